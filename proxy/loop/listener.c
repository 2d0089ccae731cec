/* Listening sockets and accepting. */
#include "proxy/loop/listener.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/client/client.h"
#include "proxy/loop/deadline.h"
#include "proxy/exchange/exchange.h"
#include "proxy/base/log.h"
#include "proxy/base/trouble.h"

enum {
	BACKLOG = 4096,
	ACCEPTS_PER_EVENT = 64,
	PAUSE_MS = 100, /* between looks whether descriptors are to be had again */
};

struct acceptor {
	struct acceptors *all;
	const struct frontend *frontend;
	ev_io io;
};

struct acceptors {
	struct ev_loop *loop;
	struct worker *worker;
	struct deadline pause;
	struct trouble trouble;
	int spare_fd; /* given up to refuse a client when descriptors ran out */
	unsigned count;
	struct acceptor at[LISTENERS_MAX];
};

static void close_keeping_errno(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

static int bind_socket(const union address *address, bool reuse_port)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t length =
		address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
	int on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (reuse_port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (address->any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &address->any, length) != 0) {
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}

static int open_socket(const union address *address, bool reuse_port)
{
	int fd = bind_socket(address, reuse_port);

	if (fd >= 0 && listen(fd, BACKLOG) != 0) {
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}

/*
 * The first of a group.  Any process of the same user could join the group of another service, and
 * take half of its connections: a socket that is of no group tells whether the address is free, and
 * decides the port.
 */
static int open_first(union address *address)
{
	int probe = bind_socket(address, false);
	socklen_t length = sizeof(*address);
	int fd;

	if (probe < 0)
		return -1;
	getsockname(probe, &address->any, &length);
	fd = open_socket(address, true);
	close_keeping_errno(probe);
	return fd;
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

static bool bind_one(struct listener *listener, const char *text, const struct frontend *frontend)
{
	struct listener_address *to = &listener->at[listener->count];
	char host[46];
	uint16_t port;
	socklen_t length = sizeof(to->address);

	if (!conf_split_address(text, host, &port) ||
	    !address_parse(slice_str(host), &to->address)) {
		errno = EINVAL;
		return false;
	}
	address_set_port(&to->address, port);
	to->fd = listener->reuse_port ? open_first(&to->address) : open_socket(&to->address, false);
	if (to->fd < 0)
		return false;
	getsockname(to->fd, &to->address.any, &length);
	to->frontend = frontend;
	listener->count++;
	return true;
}

bool listener_bind(struct listener *listener, const struct conf_list *list,
		   const struct frontend *frontend, char *error, size_t error_size)
{
	for (size_t i = 0; i < list->count; i++) {
		if (listener->count == LISTENERS_MAX) {
			snprintf(error, error_size, "more than %d listening addresses",
				 LISTENERS_MAX);
			return false;
		}
		if (!bind_one(listener, list->at[i], frontend)) {
			snprintf(error, error_size, "cannot listen on %s: %s%s", list->at[i],
				 strerror(errno), advice(errno));
			return false;
		}
	}
	return true;
}

bool listener_again(const struct listener *first, struct listener *ret_set, char *error,
		    size_t error_size)
{
	*ret_set = (struct listener){.reuse_port = true};
	for (unsigned i = 0; i < first->count; i++) {
		struct listener_address *to = &ret_set->at[i];
		char text[ADDRESS_TEXT_SIZE];

		*to = first->at[i];
		to->fd = open_socket(&to->address, true);
		if (to->fd < 0) {
			address_format_port(&to->address, text);
			snprintf(error, error_size, "cannot listen on %s once for each worker: %s",
				 text, strerror(errno));
			return false;
		}
		ret_set->count++;
	}
	return true;
}

void listener_close(struct listener *listener)
{
	while (listener->count > 0)
		close(listener->at[--listener->count].fd);
}

static void set_watching(struct acceptors *all, bool watching)
{
	for (unsigned i = 0; i < all->count; i++) {
		if (watching)
			ev_io_start(all->loop, &all->at[i].io);
		else
			ev_io_stop(all->loop, &all->at[i].io);
	}
}

static void pause_passed(void *owner)
{
	struct acceptors *all = owner;

	if (all->spare_fd < 0)
		all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	set_watching(all, true);
}

/* Once a kind, and once a minute: it pauses ten times a second. */
static void tell_pause(struct acceptors *all, int error)
{
	uint64_t count;

	if (trouble_note(&all->trouble, strerror(error), 1, all->worker->turn.now_ms, &count))
		log_error("cannot accept clients, pausing: %s (%llu times)%s", strerror(error),
			  (unsigned long long)count,
			  error == EMFILE ? ": raise LimitNOFILE (ulimit -n), or lower clients_max"
			  : error == ENFILE ? ": raise fs.file-max of the system"
					    : "");
}

/*
 * No descriptor is left.  Accepting would spin: it pauses, and goes on when the timer fires.  The
 * spare descriptor lets one waiting client be turned away rather than hang.
 */
static void out_of_descriptors(struct acceptors *all, int listen_fd)
{
	STATS_ADD(accept_pauses, 1);
	tell_pause(all, errno);
	if (all->spare_fd >= 0) {
		int fd;

		close(all->spare_fd);
		fd = accept(listen_fd, NULL, NULL);
		if (fd >= 0)
			close(fd);
		all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	set_watching(all, false);
	deadline_set(&all->pause, PAUSE_MS);
}

static void admit(struct acceptor *acceptor, int fd, const union address *peer)
{
	struct worker *worker = acceptor->all->worker;
	enum failure refusal = FAILURE_NONE;
	int on = 1;

	if (!acceptor->frontend->is_reserved)
		STATS_ADD(client_connections, 1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (acceptor->frontend->behind && access_sender(worker->access, peer)) {
		client_new_behind(worker, acceptor->frontend, fd, peer, refusal);
		return;
	}
	if (!access_client(worker->access, peer))
		refusal = FAILURE_DENIED_CLIENT;
	client_new(worker, acceptor->frontend, fd, peer, refusal);
}

static void accept_cb(struct ev_loop *loop, ev_io *io, int revents)
{
	struct acceptor *acceptor = io->data;

	(void)loop;
	(void)revents;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		union address peer = {0};
		socklen_t length = sizeof(peer);
		int fd = accept4(io->fd, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(acceptor, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			out_of_descriptors(acceptor->all, io->fd);
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static const struct deadline_kind pauses = {.passed = pause_passed};

struct acceptors *acceptors_start(void *loop, struct worker *worker,
				  const struct listener *listener)
{
	struct acceptors *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	all->loop = loop;
	all->worker = worker;
	all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	deadline_init(&all->pause, &pauses, all);
	for (unsigned i = 0; i < listener->count; i++) {
		struct acceptor *acceptor = &all->at[all->count++];

		acceptor->all = all;
		acceptor->frontend = listener->at[i].frontend;
		ev_io_init(&acceptor->io, accept_cb, listener->at[i].fd, EV_READ);
		acceptor->io.data = acceptor;
	}
	set_watching(all, true);
	return all;
}

void acceptors_stop(struct acceptors *all)
{
	set_watching(all, false);
	deadline_stop(&all->pause);
	for (unsigned i = 0; i < all->count; i++)
		close(all->at[i].io.fd);
	if (all->spare_fd >= 0)
		close(all->spare_fd);
	all->spare_fd = -1;
	all->count = 0;
}

void acceptors_free(struct acceptors *all)
{
	free(all);
}
