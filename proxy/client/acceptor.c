/* Accepting clients, within limits. */
#include "proxy/client/acceptor.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/access/access.h"
#include "proxy/base/log.h"
#include "proxy/base/trouble.h"
#include "proxy/loop/deadline.h"

enum {
	ACCEPTS_PER_EVENT = 64,
	FULL_EVENTS = 4, /* then it tries for twice as many */
	REST_MAX = 4096, /* more do not wait in a socket */
	PAUSE_MS = 100,  /* between looks whether descriptors are to be had again */
};

struct acceptor {
	struct acceptors *all;
	const struct frontend *frontend;
	bool is_tls;
	uint8_t row;  /* of the statistics */
	uint8_t most; /* to accept in an event: more only where more were waiting */
	uint8_t full; /* events in a row that found as many */
	ev_io io;
};

struct acceptors {
	ev_io go; /* readable when they may begin */
	struct ev_loop *loop;
	struct clients *clients;
	struct deadline pause;
	struct trouble trouble;
	int spare_fd; /* given up to refuse a client when descriptors ran out */
	unsigned count;
	struct acceptor at[];
};

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

	if (trouble_note(&all->trouble, strerror(error), 1, all->clients->turn->now_ms, &count))
		log_error("cannot accept clients, pausing: %s (%llu times)%s", strerror(error),
			  (unsigned long long)count,
			  error == EMFILE ? ": raise LimitNOFILE (ulimit -n), or lower clients_max"
			  : error == ENFILE ? ": raise fs.file-max of the system"
			  : error == ENOSPC ? ": raise fs.epoll.max_user_watches"
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
	struct clients *clients = acceptor->all->clients;
	struct accepted accepted = {
		.fd = fd,
		.listener = acceptor->row,
		.is_tls = acceptor->is_tls,
		.frontend = acceptor->frontend,
		.peer = *peer,
	};
	enum failure refusal = FAILURE_NONE;

	if (!acceptor->frontend->is_reserved) {
		STATS_ADD(client_connections, 1);
		STATS_ADD(listeners[acceptor->row].connections, 1);
	}
	if (acceptor->frontend->behind && access_sender(clients->access, peer)) {
		client_new_behind(clients, &accepted, refusal);
		return;
	}
	if (!access_client(clients->access, peer))
		refusal = FAILURE_DENIED_CLIENT;
	client_new(clients, &accepted, refusal);
}

/* How many were accepted; with `most` of them there may be more. */
static int accept_some(struct acceptor *acceptor, int most)
{
	int accepted = 0;

	while (accepted < most) {
		union address peer = {0};
		socklen_t length = sizeof(peer);
		int fd = accept4(acceptor->io.fd, &peer.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			accepted++;
			/* the name that a process may have given to its end says nothing */
			if (peer.any.sa_family == AF_UNIX)
				peer = address_unix();
			admit(acceptor, fd, &peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			out_of_descriptors(acceptor->all, acceptor->io.fd);
		if (errno != EINTR && errno != ECONNABORTED)
			break;
	}
	return accepted;
}

/* The kernel watches no more, and libev has stopped all that is watched by this. */
static void unwatched(struct acceptors *all)
{
	STATS_ADD(accept_pauses, 1);
	tell_pause(all, ENOSPC);
	set_watching(all, false);
	deadline_set(&all->pause, PAUSE_MS);
}

/*
 * The call that finds no connection waiting is left out as a rule: the loop reports one that is.
 */
static void accept_cb(struct ev_loop *loop, ev_io *io, int revents)
{
	struct acceptor *acceptor = io->data;
	int accepted = accept_some(acceptor, acceptor->most);

	(void)loop;
	if (revents & EV_ERROR)
		unwatched(acceptor->all);
	if (accepted < acceptor->most) {
		acceptor->most = (uint8_t)(accepted > 0 ? accepted : 1);
		acceptor->full = 0;
	} else if (++acceptor->full == FULL_EVENTS) {
		acceptor->most = (uint8_t)(2 * acceptor->most);
		if (acceptor->most > ACCEPTS_PER_EVENT)
			acceptor->most = ACCEPTS_PER_EVENT;
		acceptor->full = 0;
	}
}

static void go_cb(struct ev_loop *loop, ev_io *io, int revents)
{
	struct acceptors *all = io->data;

	(void)revents;
	ev_io_stop(loop, io);
	close(io->fd);
	set_watching(all, true);
}

static const struct deadline_kind pauses = {.passed = pause_passed};

struct acceptors *acceptors_start(void *loop, struct clients *clients,
				  const struct listener *listener, int go)
{
	struct acceptors *all = calloc(1, sizeof(*all) + listener->count * sizeof(struct acceptor));

	if (all == NULL)
		return NULL;
	all->loop = loop;
	all->clients = clients;
	all->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	deadline_init(&all->pause, &pauses, all);
	for (unsigned i = 0; i < listener->count; i++) {
		struct acceptor *acceptor = &all->at[all->count++];

		acceptor->all = all;
		acceptor->most = 1;
		acceptor->frontend = listener->at[i].frontend;
		acceptor->is_tls = listener->at[i].is_tls;
		acceptor->row = listener->at[i].row;
		ev_io_init(&acceptor->io, accept_cb, listener->at[i].fd, EV_READ);
		acceptor->io.data = acceptor;
	}
	ev_io_init(&all->go, go_cb, go, EV_READ);
	all->go.data = all;
	if (go >= 0)
		ev_io_start(loop, &all->go);
	else
		set_watching(all, true);
	return all;
}

void acceptors_take_rest(struct acceptors *all)
{
	for (unsigned i = 0; i < all->count; i++)
		accept_some(&all->at[i], REST_MAX);
}

void acceptors_stop(struct acceptors *all)
{
	ev_io_stop(all->loop, &all->go);
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
