/* LINKS: */
/*
 * A relay that does not look: what the kernel and libev cost when a request goes to an origin and its
 * answer comes back, and nothing is parsed.
 *
 * Each client has a connection to the origin of its own, as long as it stays.  What one sends, the other
 * gets: one recv() and one send() each way, so no proxy on this loop can be cheaper on a miss.
 *
 *   relay PORT ORIGIN_PORT [tunnel]     (0 for a free one; the port is printed)
 *
 * With `tunnel`, what a client says first is a CONNECT, and is answered with 200; bytes pass from then on.
 */
#include <stdbool.h>
#include <string.h>

#include "bench/client.h"

struct pair;

/* One of the two connections of a pair. */
struct side {
	ev_io io;
	struct pair *pair;
	struct side *other;
};

struct pair {
	struct side client, origin;
	bool connects; /* CONNECT is still to come */
};

static char bytes[64 * 1024];
static unsigned long origin_port;
static bool tunnels;

#define CONNECTED "HTTP/1.1 200 OK\r\n\r\n"

static void close_pair(struct ev_loop *loop, struct pair *pair)
{
	ev_io_stop(loop, &pair->client.io);
	ev_io_stop(loop, &pair->origin.io);
	close(pair->client.io.fd);
	close(pair->origin.io.fd);
	free(pair);
}

static void read_cb(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct side *side = (struct side *)io;
	ssize_t n = recv(io->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n > 0 && side->pair->connects) {
		side->pair->connects = false;
		side = side->other; /* it is answered */
		n = sizeof(CONNECTED) - 1;
		memcpy(bytes, CONNECTED, (size_t)n);
	}
	/* A short send would make the figures wrong; with readers that keep up there is none. */
	if (n <= 0 || send(side->other->io.fd, bytes, (size_t)n, MSG_DONTWAIT) != n)
		close_pair(loop, side->pair);
}

static void start(struct ev_loop *loop, struct side *side, struct side *other, int fd)
{
	side->other = other;
	ev_io_init(&side->io, read_cb, fd, EV_READ);
	ev_io_start(loop, &side->io);
}

static void accept_cb(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	int fd = server_accept(io->fd);
	if (fd < 0)
		return;
	struct pair *pair = calloc(1, sizeof(*pair));
	if (pair == NULL)
		die("pair");
	pair->client.pair = pair->origin.pair = pair;
	pair->connects = tunnels;
	start(loop, &pair->client, &pair->origin, fd);
	start(loop, &pair->origin, &pair->client, client_connect(origin_port));
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "tunnel") != 0)) {
		fprintf(stderr, "usage: relay PORT ORIGIN_PORT [tunnel]\n");
		return 2;
	}
	tunnels = argc == 4;
	origin_port = strtoul(argv[2], NULL, 10);
	server_run(strtoul(argv[1], NULL, 10), accept_cb);
	return 0;
}
