/* LINKS: */
/*
 * The limit: what the kernel and libev cost when HTTP costs nothing.
 *
 * Counts the ends of requests in what one recv() gave, sends as many constant 204s with one send().
 * No parsing, no look-up, no composing: no server on this loop can be cheaper.
 *
 *   limit PORT [close]     (0 for a free one; the port is printed)
 *
 * With `close`, a connection has one request and is closed after its answer; what came with the connection
 * is read before epoll is asked, and the answer is in the packet of the FIN.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "bench/server.h"

#define ANSWER "HTTP/1.1 204 No Content\r\n\r\n"

enum {
	ANSWER_LENGTH = sizeof(ANSWER) - 1,
	READ_LENGTH = 64 * 1024,
	ANSWERS = READ_LENGTH / 4, /* no request is shorter than its end */
};

static char input[READ_LENGTH];
static char answers[ANSWERS * ANSWER_LENGTH];
static bool closes;

struct client {
	ev_io io;
	uint32_t last_four; /* bytes of this connection, the newest lowest */
};

/* An end may be cut anywhere by recv(): its first bytes are looked at with the last ones before. */
static size_t count_ends(struct client *client, const char *bytes, size_t n)
{
	const uint32_t end = (uint32_t)'\r' << 24 | '\n' << 16 | '\r' << 8 | '\n';
	const char *p = bytes, *stop = bytes + n;
	size_t ends = 0;
	for (; p < stop && p < bytes + 3; p++) {
		client->last_four = client->last_four << 8 | (unsigned char)*p;
		ends += client->last_four == end;
	}
	if (p == stop)
		return ends;
	for (; (p = memchr(p, '\n', (size_t)(stop - p))); p++)
		ends += memcmp(p - 3, "\r\n\r\n", 4) == 0;
	for (p = stop - 4; p < stop; p++)
		client->last_four = client->last_four << 8 | (unsigned char)*p;
	return ends;
}

static void close_client(struct ev_loop *loop, struct client *client)
{
	ev_io_stop(loop, &client->io);
	close(client->io.fd);
	free(client);
}

static void read_cb(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct client *client = (struct client *)io;
	ssize_t n = recv(io->fd, input, sizeof(input), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_client(loop, client);
		return;
	}
	size_t length = count_ends(client, input, (size_t)n) * ANSWER_LENGTH;
	/* A short send would make the figures wrong; with a reader that keeps up there is none. */
	if (length > 0 &&
	    (send(io->fd, answers, length, closes ? MSG_MORE : 0) != (ssize_t)length || closes))
		close_client(loop, client);
}

static void accept_cb(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	int fd = server_accept(io->fd);
	if (fd < 0)
		return;
	struct client *client = calloc(1, sizeof(*client));
	if (client == NULL)
		die("client");
	ev_io_init(&client->io, read_cb, fd, EV_READ);
	ev_io_start(loop, &client->io);
	/* libev tells epoll of a watcher when it waits next: one that was stopped by then costs no call */
	if (closes)
		read_cb(loop, &client->io, EV_READ);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < ANSWERS; i++)
		memcpy(answers + i * ANSWER_LENGTH, ANSWER, ANSWER_LENGTH);
	closes = argc > 2 && strcmp(argv[2], "close") == 0;
	server_run(argc > 1 ? strtoul(argv[1], NULL, 10) : 0, accept_cb);
	return 0;
}
