/* Listening sockets. */
#include "proxy/loop/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/loop/activation.h"

enum { BACKLOG = 4096 };

static void close_keeping_errno(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

/* The set owns the socket then; without memory it is closed. */
static bool add(struct listener *listener, const struct listener_address *one)
{
	struct listener_address *at = reallocarray(listener->at, listener->count + 1, sizeof(*at));

	if (at == NULL) {
		close_keeping_errno(one->fd);
		return false;
	}
	listener->at = at;
	at[listener->count++] = *one;
	return true;
}

static bool is_same(const union address *a, const union address *b)
{
	return address_equal(a, b) && address_port(a) == address_port(b);
}

/* What a set has bound to this address; NULL for nothing. */
static const struct listener_address *find_bound(const struct listener *listener,
						 const union address *bound)
{
	for (unsigned i = 0; listener != NULL && i < listener->count; i++)
		if (is_same(&listener->at[i].address, bound))
			return &listener->at[i];
	return NULL;
}

/* The same socket, by another descriptor; -1 for none. */
static int share_socket(const struct listener_address *at)
{
	return at != NULL ? fcntl(at->fd, F_DUPFD_CLOEXEC, 0) : -1;
}

/* One is of all addresses of the machine, the other of one of them, with the same port. */
static bool overlap(const union address *a, const union address *b)
{
	return a->any.sa_family == b->any.sa_family && address_port(a) == address_port(b) &&
	       address_is_wildcard(a) != address_is_wildcard(b);
}

static bool overlaps(const struct listener *listener, const union address *address)
{
	for (unsigned i = 0; listener != NULL && i < listener->count; i++)
		if (overlap(&listener->at[i].address, address))
			return true;
	return false;
}

/*
 * What the former set has bound for what is asked for now, and this one has not taken yet.  Of
 * ports that the system chose each kind of listener keeps its own.
 */
static const struct listener_address *find_former(const struct listener *listener,
						  const union address *asked, const char *option)
{
	const struct listener *former = listener->former;

	for (unsigned i = 0; former != NULL && i < former->count; i++) {
		const struct listener_address *at = &former->at[i];

		if (is_same(&at->asked, asked) && find_bound(listener, &at->address) == NULL &&
		    (address_port(asked) != 0 || strcmp(at->option, option) == 0))
			return at;
	}
	return NULL;
}

static int bind_socket(const union address *address, bool reuse_port)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (reuse_port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	/* accepted sockets have it from here (Linux) */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, &address->any, address_length(address)) != 0) {
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}

/*
 * The first of a group.  Any process of the same user could join the group of another service, and
 * take half of its connections: a socket that is of no group tells whether the address is free, and
 * decides the port.  Not so when it is `is_ours` that stands in its way.
 */
static int open_first(union address *address, bool is_ours)
{
	socklen_t length = sizeof(*address);
	int probe, fd;

	if (is_ours)
		return bind_socket(address, true);
	probe = bind_socket(address, false);
	if (probe < 0)
		return -1;
	getsockname(probe, &address->any, &length);
	fd = bind_socket(address, true);
	close_keeping_errno(probe);
	return fd;
}

/* Shared with what the former set has for it, passed by the service manager, or bound now. */
static int find_socket(struct listener_address *to, const struct listener *former,
		       const struct listener_address *before)
{
	int fd;

	if (before != NULL) {
		to->address = before->address;
		to->is_passed = before->is_passed;
		return share_socket(before);
	}
	fd = activation_take(&to->asked);
	to->is_passed = fd >= 0;
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return fd >= 0 ? fd : open_first(&to->address, overlaps(former, &to->asked));
}

/* Those of single addresses that all addresses include now go on: connections may wait there. */
static bool keep_included(struct listener *listener, const struct listener_address *all)
{
	const struct listener *former = listener->former;

	for (unsigned i = 0; former != NULL && i < former->count; i++) {
		struct listener_address one = former->at[i];

		if (address_is_wildcard(&one.address) || !overlap(&one.address, &all->address) ||
		    find_bound(listener, &one.address) != NULL)
			continue;
		one.asked = one.address;
		one.option = all->option;
		one.frontend = all->frontend;
		one.fd = share_socket(&one);
		if (one.fd < 0 || !add(listener, &one))
			return false;
	}
	return true;
}

/* What to do about it, where that can be known. */
static const char *advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return ": another process has it, ss -ltnp shows which";
	case EADDRNOTAVAIL:
		return ": no interface of this machine has that address; one without IPv4 has "
		       "[::1]";
	case EAFNOSUPPORT:
		return ": this machine has IPv4 or IPv6 alone, as in 127.0.0.1 or [::1]";
	case EACCES:
		return ": ports below 1024 need CAP_NET_BIND_SERVICE, or root and the option user";
	default:
		return "";
	}
}

static bool bind_one(struct listener *listener, const char *text, const char *option,
		     const struct frontend *frontend)
{
	struct listener_address one = {.option = option, .frontend = frontend};
	const struct listener_address *former;
	char host[46];
	uint16_t port;
	socklen_t length = sizeof(one.address);

	if (!conf_split_address(text, host, &port) ||
	    !address_parse(slice_str(host), &one.address)) {
		errno = EINVAL;
		return false;
	}
	address_set_port(&one.address, port);
	one.asked = one.address;
	former = find_former(listener, &one.asked, option);
	one.fd = find_socket(&one, listener->former, former);
	if (one.fd < 0)
		return false;
	getsockname(one.fd, &one.address.any, &length);
	return add(listener, &one) && keep_included(listener, &one);
}

bool listener_bind(struct listener *listener, const struct conf_list *list, const char *option,
		   const struct frontend *frontend, struct diagnostic *error)
{
	for (size_t i = 0; i < list->count; i++) {
		if (listener->count == LISTENERS_MAX) {
			diagnostic_set(error, "more than %d listening addresses", LISTENERS_MAX);
			return false;
		}
		if (!bind_one(listener, list->at[i], option, frontend)) {
			diagnostic_set(error, "cannot listen on %s: %s%s", list->at[i],
				       strerror(errno), advice(errno));
			return false;
		}
	}
	return true;
}

bool listener_again(const struct listener *first, const struct listener *former,
		    struct listener *ret_set, struct diagnostic *error)
{
	*ret_set = (struct listener){0};
	for (unsigned i = 0; i < first->count; i++) {
		struct listener_address one = first->at[i];
		char text[ADDRESS_TEXT_SIZE];

		one.fd = share_socket(find_bound(former, &one.address));
		if (one.fd < 0 && !one.is_passed)
			one.fd = bind_socket(&one.address, true);
		/* a group is of one user, and we may have been another when it was begun */
		if (one.fd < 0 && (one.is_passed || errno == EADDRINUSE || errno == EACCES))
			one.fd = share_socket(&first->at[i]);
		if (one.fd < 0 || !add(ret_set, &one)) {
			address_format_port(&one.address, text);
			diagnostic_set(error, "cannot listen on %s once for each worker: %s", text,
				       strerror(errno));
			return false;
		}
	}
	return true;
}

bool listener_listen(const struct listener *listener, struct diagnostic *error)
{
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < listener->count; i++) {
		if (listen(listener->at[i].fd, BACKLOG) == 0)
			continue;
		address_format_port(&listener->at[i].address, text);
		diagnostic_set(error, "cannot listen on %s: %s%s", text, strerror(errno),
			       advice(errno));
		return false;
	}
	return true;
}

bool listener_keep(const struct listener *first, const struct listener *former,
		   struct listener *ret_set)
{
	*ret_set = (struct listener){0};
	for (unsigned i = 0; i < first->count; i++) {
		struct listener_address one = first->at[i];

		const struct listener_address *before = find_bound(former, &one.address);

		if (before == NULL)
			continue;
		one.fd = share_socket(before);
		if (one.fd < 0 || !add(ret_set, &one))
			return false;
	}
	return true;
}

bool listener_join(struct listener *to, const struct listener *from)
{
	for (unsigned i = 0; i < from->count; i++)
		if (!add(to, &from->at[i]))
			return false;
	return true;
}

void listener_close(struct listener *listener)
{
	while (listener->count > 0)
		close(listener->at[--listener->count].fd);
	free(listener->at);
	listener->at = NULL;
}
