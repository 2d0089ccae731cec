/* LINKS: */
/*
 * An origin that is faster than any proxy in front of it.  It looks at the path's first word alone:
 *
 *   /hit...   204, fresh for an hour, ETag "bench"
 *   /vary...  the same, with Vary: Accept-Language
 *   /stale... 204, fresh for a second, then to be used stale for an hour while it is fetched anew
 *   /herd...  the same, after 10 ms
 *   /body...  200 of 1 KiB, no-store
 *   /large... 200 of 256 MiB, no-store, then the connection is closed; nobody else is served
 * meanwhile /asked    200, how many requests came before this one, as text
 *   /...      204, no-store
 *
 *   origin PORT [CERTIFICATE KEY]     (0 for a free one; the port is printed; with files, it speaks TLS)
 */
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "bench/peer.h"

enum {
	INPUT_LENGTH = 16 * 1024,
	OUTPUT_LENGTH = 2 * 1024 * 1024, /* answers to as many requests as fit in the input */
	ANSWER_LENGTH = 2048,            /* of the longest answer, and more */
	LARGE_LENGTH = 256 * 1024 * 1024,
};

struct client {
	ev_io io;
	ev_timer delay; /* while active, nothing is read and a stored answer is due */
	struct peer peer;
	size_t used;
	char input[INPUT_LENGTH];
};

static char output[OUTPUT_LENGTH];
static char body[1024];
static unsigned long asked;
static SSL_CTX *tls; /* NULL for plain */

static const char *date(ev_tstamp now)
{
	static char text[64];
	static time_t made_at;
	time_t second = (time_t)now;
	struct tm tm;
	if (second != made_at)
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&second, &tm));
	made_at = second;
	return text;
}

static char *append(char *at, const char *text)
{
	size_t n = strlen(text);
	memcpy(at, text, n);
	return at + n;
}

static char *answer_head(char *at, const char *status, const char *fields, ev_tstamp now)
{
	at = append(append(append(at, "HTTP/1.1 "), status), "\r\nDate: ");
	return append(append(append(at, date(now)), "\r\n"), fields);
}

static const struct {
	const char *path, *fields;
} no_content[] = {
	{"/hit", "Cache-Control: max-age=3600\r\nETag: \"bench\"\r\n\r\n"},
	{"/vary", "Cache-Control: max-age=3600\r\nVary: Accept-Language\r\n\r\n"},
	{"/stale", "Cache-Control: max-age=1, stale-while-revalidate=3600\r\n\r\n"},
	{"", "Cache-Control: no-store\r\n\r\n"},
};

static char *answer_stored(char *at, ev_tstamp now)
{
	return answer_head(at, "204 No Content", no_content[0].fields, now);
}

static bool starts(const char *path, const char *with)
{
	return strncmp(path, with, strlen(with)) == 0;
}

static char *answer(char *at, const char *path, ev_tstamp now)
{
	size_t row = 0;

	if (starts(path, "/body")) {
		at = answer_head(at, "200 OK",
				 "Cache-Control: no-store\r\nContent-Length: 1024\r\n\r\n", now);
		memcpy(at, body, sizeof(body));
		return at + sizeof(body);
	}
	if (starts(path, "/asked")) {
		char fields[128], number[32];
		int n = snprintf(number, sizeof(number), "%lu\n", asked - 1);
		snprintf(fields, sizeof(fields),
			 "Cache-Control: no-store\r\nContent-Length: %d\r\n\r\n", n);
		return append(answer_head(at, "200 OK", fields, now), number);
	}
	while (!starts(path, no_content[row].path))
		row++;
	return answer_head(at, "204 No Content", no_content[row].fields, now);
}

static void close_client(struct ev_loop *loop, struct client *client)
{
	ev_io_stop(loop, &client->io);
	ev_timer_stop(loop, &client->delay);
	peer_close(&client->peer);
	free(client);
}

/* All of it at once, waiting for whoever reads it: the load is one transfer at a time. */
static void answer_large(struct ev_loop *loop, struct client *client)
{
	char *end = answer_head(output, "200 OK",
				"Cache-Control: no-store\r\nConnection: close\r\n"
				"Content-Length: 268435456\r\n\r\n",
				ev_now(loop));
	size_t left = LARGE_LENGTH;
	ssize_t n = send(client->io.fd, output, (size_t)(end - output), 0);
	fcntl(client->io.fd, F_SETFL, 0);
	while (n > 0 && left > 0) {
		n = send(client->io.fd, output, left < OUTPUT_LENGTH ? left : OUTPUT_LENGTH, 0);
		left -= n > 0 ? (size_t)n : 0;
	}
	close_client(loop, client);
}

static void answer_requests(struct ev_loop *loop, struct client *client);

static void delay_cb(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct client *client = timer->data;
	char *end = answer_stored(output, ev_now(loop));
	if (!peer_send(&client->peer, output, (size_t)(end - output))) {
		close_client(loop, client);
		return;
	}
	ev_io_start(loop, &client->io);
	answer_requests(loop, client);
}

static void start_delay(struct ev_loop *loop, struct client *client)
{
	ev_io_stop(loop, &client->io);
	ev_timer_set(&client->delay, 0.01, 0);
	ev_timer_start(loop, &client->delay);
}

/* Answers all whole requests in the buffer, up to one that is to be delayed. */
static void answer_requests(struct ev_loop *loop, struct client *client)
{
	char *from = client->input, *stop = from + client->used, *at = output, *end;
	while ((size_t)(output + sizeof(output) - at) >= ANSWER_LENGTH &&
	       (end = memmem(from, (size_t)(stop - from), "\r\n\r\n", 4))) {
		const char *space = memchr(from, ' ', (size_t)(end - from));
		from = end + 4;
		asked++;
		if (space != NULL && starts(space + 1, "/herd")) {
			start_delay(loop, client);
			break;
		}
		if (space != NULL && starts(space + 1, "/large")) {
			answer_large(loop, client);
			return;
		}
		at = answer(at, space ? space + 1 : "/", ev_now(loop));
	}
	client->used = (size_t)(stop - from);
	memmove(client->input, from, client->used);
	if (at > output && !peer_send(&client->peer, output, (size_t)(at - output)))
		close_client(loop, client);
}

static void read_cb(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct client *client = (struct client *)io;
	ssize_t n =
		peer_recv(&client->peer, client->input + client->used, INPUT_LENGTH - client->used);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_client(loop, client);
		return;
	}
	client->used += (size_t)n;
	answer_requests(loop, client);
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
	client->delay.data = client;
	client->peer.fd = fd;
	client->peer.ssl = tls != NULL ? tls_open(tls, fd, NULL) : NULL;
	ev_io_init(&client->io, read_cb, fd, EV_READ);
	ev_init(&client->delay, delay_cb);
	ev_io_start(loop, &client->io);
}

int main(int argc, char **argv)
{
	memset(body, 'x', sizeof(body));
	if (argc > 3)
		tls = tls_server(argv[2], argv[3]);
	server_run(argc > 1 ? strtoul(argv[1], NULL, 10) : 0, accept_cb);
	return 0;
}
