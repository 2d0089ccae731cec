/* Listening sockets. */
#include "proxy/loop/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/close_fd.h"
#include "proxy/loop/activation.h"

enum { BACKLOG = 4096 };

/* A Unix socket, whose file it made. */
static bool has_file(const struct listener_address *at)
{
	return at->path[0] != '\0' && !at->is_passed;
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

/* What a set has bound to the address and path of this one; NULL for nothing. */
static const struct listener_address *find_bound(const struct listener *listener,
						 const struct listener_address *one)
{
	for (unsigned i = 0; listener != NULL && i < listener->count; i++)
		if (is_same(&listener->at[i].address, &one->address) &&
		    strcmp(listener->at[i].path, one->path) == 0)
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
						  const struct listener_address *one)
{
	const struct listener *former = listener->former;

	for (unsigned i = 0; former != NULL && i < former->count; i++) {
		const struct listener_address *at = &former->at[i];

		if (is_same(&at->asked, &one->asked) && strcmp(at->path, one->path) == 0 &&
		    find_bound(listener, at) == NULL &&
		    (address_port(&one->asked) != 0 ||
		     (strcmp(at->option, one->option) == 0 && at->is_tls == one->is_tls)))
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

void listener_name(const struct listener_address *at, char to[static LISTENER_NAME_SIZE])
{
	if (at->path[0] == '\0')
		address_format_port(&at->address, to);
	else
		snprintf(to, LISTENER_NAME_SIZE, "unix:%s", at->path);
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
	fd = activation_take(&to->asked, "");
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
		    find_bound(listener, &one) != NULL)
			continue;
		one.asked = one.address;
		one.option = all->option;
		one.frontend = all->frontend;
		one.is_tls = all->is_tls;
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

/* False with why in `error`. */
static bool bind_address(struct listener *listener, struct listener_address *one, const char *text,
			 struct diagnostic *error)
{
	char host[46];
	uint16_t port;
	socklen_t length = sizeof(one->address);

	errno = EINVAL;
	if (conf_split_address(text, host, &port) &&
	    address_parse(slice_str(host), &one->address)) {
		address_set_port(&one->address, port);
		one->asked = one->address;
		one->fd = find_socket(one, listener->former, find_former(listener, one));
		if (one->fd >= 0) {
			getsockname(one->fd, &one->address.any, &length);
			if (add(listener, one) && keep_included(listener, one))
				return true;
		}
	}
	diagnostic_set(error, "%s%s", strerror(errno), advice(errno));
	return false;
}

/* The same of a Unix socket.  One whose file was removed cannot be reached, and is made anew. */
static bool bind_path(struct listener *listener, struct listener_address *one, const char *path,
		      struct diagnostic *error)
{
	const struct listener_address *former;

	one->address = one->asked = address_unix();
	one->mode = listener->owner.mode;
	snprintf(one->path, sizeof(one->path), "%s", path);
	former = find_former(listener, one);
	if (former != NULL && (former->is_passed || listener_file_is_there(path, &former->file))) {
		one->file = former->file;
		one->is_passed = former->is_passed;
		one->fd = share_socket(former);
		diagnostic_set(error, "%s", strerror(errno));
	} else if ((one->fd = activation_take(&one->address, path)) >= 0) {
		one->is_passed = true;
	} else {
		one->fd = listener_file_bind(path, &listener->owner, BACKLOG, &one->file, error);
	}
	if (one->fd < 0 || add(listener, one))
		return one->fd >= 0;
	diagnostic_set(error, "%s", strerror(errno));
	if (former == NULL && !one->is_passed)
		listener_file_remove(path, &one->file);
	return false;
}

bool listener_bind(struct listener *listener, const struct conf_list *list, const char *option,
		   const struct frontend *frontend, struct diagnostic *error)
{
	for (size_t i = 0; i < list->count; i++) {
		struct listener_address one = {.option = option, .frontend = frontend};
		const char *path;
		struct diagnostic why;

		if (listener->count == LISTENERS_MAX) {
			diagnostic_set(error, "more than %d listening addresses", LISTENERS_MAX);
			return false;
		}
		one.is_tls = conf_is_tls(list->at[i]);
		path = conf_unix_path(list->at[i]);
		if (path != NULL ? bind_path(listener, &one, path, &why)
				 : bind_address(listener, &one, conf_behind_tls(list->at[i]), &why))
			continue;
		diagnostic_set(error, "cannot listen on %s: %s", list->at[i], why.text);
		return false;
	}
	return true;
}

bool listener_again(const struct listener *first, const struct listener *former,
		    struct listener *ret_set, struct diagnostic *error)
{
	*ret_set = (struct listener){.owner = first->owner};
	for (unsigned i = 0; i < first->count; i++) {
		struct listener_address one = first->at[i];
		char text[LISTENER_NAME_SIZE];

		bool is_alone = one.is_passed || one.path[0] != '\0';

		one.fd = is_alone ? -1 : share_socket(find_bound(former, &one));
		if (one.fd < 0 && !is_alone)
			one.fd = bind_socket(&one.address, true);
		/* a group is of one user, and we may have been another when it was begun */
		if (one.fd < 0 && (is_alone || errno == EADDRINUSE || errno == EACCES))
			one.fd = share_socket(&first->at[i]);
		if (one.fd < 0 || !add(ret_set, &one)) {
			listener_name(&one, text);
			diagnostic_set(error, "cannot listen on %s once for each worker: %s", text,
				       strerror(errno));
			return false;
		}
	}
	return true;
}

bool listener_listen(const struct listener *listener, struct diagnostic *error)
{
	char text[LISTENER_NAME_SIZE];

	for (unsigned i = 0; i < listener->count; i++) {
		const struct listener_address *at = &listener->at[i];

		if (listen(at->fd, BACKLOG) == 0 &&
		    (!has_file(at) || listener_file_set_mode(at->path, &at->file, at->mode)))
			continue;
		listener_name(at, text);
		diagnostic_set(error, "cannot listen on %s: %s%s", text, strerror(errno),
			       advice(errno));
		return false;
	}
	return true;
}

bool listener_keep(const struct listener *first, const struct listener *former,
		   struct listener *ret_set)
{
	*ret_set = (struct listener){.owner = first->owner};
	for (unsigned i = 0; i < first->count; i++) {
		struct listener_address one = first->at[i];

		const struct listener_address *before = find_bound(former, &one);

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

void listener_remove_files(const struct listener *listener, const struct listener *kept)
{
	for (unsigned i = 0; i < listener->count; i++) {
		const struct listener_address *at = &listener->at[i];

		if (has_file(at) && find_bound(kept, at) == NULL)
			listener_file_remove(at->path, &at->file);
	}
}

void listener_close(struct listener *listener)
{
	while (listener->count > 0)
		close(listener->at[--listener->count].fd);
	free(listener->at);
	listener->at = NULL;
}
