/*
 * What the programs of bench/ share: a listening socket on loopback and the choice of libev's back
 * end. Small enough to be static in each.
 */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Listens on 127.0.0.1:port, 0 for a free one, and prints the port as a line. */
static inline int server_listen(unsigned long port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) !=
		    0) /* Linux hands it down */
		die("listen");
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

/* The next connection, or -1. */
static inline int server_accept(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static inline void server_end_cb(struct ev_loop *loop, ev_signal *watcher, int events)
{
	(void)watcher;
	(void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Accepts with `accept_cb` until SIGTERM. */
static inline void server_run(unsigned long port, void (*accept_cb)(struct ev_loop *, ev_io *, int))
{
	struct ev_loop *loop = ev_default_loop(EVBACKEND_EPOLL);
	ev_signal end;
	ev_io listener;
	if (loop == NULL)
		die("epoll");
	signal(SIGPIPE, SIG_IGN);
	ev_signal_init(&end, server_end_cb, SIGTERM);
	ev_signal_start(loop, &end);
	ev_io_init(&listener, accept_cb, server_listen(port), EV_READ);
	ev_io_start(loop, &listener);
	ev_run(loop, 0);
	ev_loop_destroy(loop);
}

#endif
