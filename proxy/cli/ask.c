/* A request over a socket of its own, with a deadline. */
#include "proxy/cli/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache/base/decimal.h"
#include "proxy/base/monotonic.h"

enum { READ_SIZE = 16 * 1024 };

/* ---- sockets -------------------------------------------------------------------------------- */

static bool say(struct diagnostic *error, const struct asked *asked, const char *what)
{
	char text[PLACE_NAME];

	place_name(&asked->place, text);
	diagnostic_set(error, "%s: %s", text, what);
	return false;
}

/* Until the socket can be read or written.  False with errno when the time is over. */
static bool wait_for(int fd, short events, int64_t deadline_us)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	int64_t left_us;
	int ready;

	do {
		left_us = deadline_us - monotonic_us();
		ready = poll(&poll_fd, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0;
}

/* connect() to an address or a path. */
static int connect_to(int fd, const struct place *place)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	_Static_assert(sizeof(name.sun_path) >= sizeof(place->path), "a path fits");
	if (place->path[0] == '\0')
		return connect(fd, &place->address.any, address_length(&place->address));
	memcpy(name.sun_path, place->path, sizeof(place->path));
	return connect(fd, (const struct sockaddr *)&name, sizeof(name));
}

/* A socket, or -1 with errno. */
static int open_connection(const struct place *place, int64_t deadline_us)
{
	int fd =
		socket(place->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int wrong = 0;
	socklen_t length = sizeof(wrong);

	if (fd < 0)
		return -1;
	if (connect_to(fd, place) == 0)
		return fd;
	wrong = errno;
	if (wrong == EINPROGRESS) {
		if (!wait_for(fd, POLLOUT, deadline_us))
			wrong = errno;
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &wrong, &length) != 0)
			wrong = errno;
	}
	if (wrong == 0)
		return fd;
	close(fd);
	errno = wrong;
	return -1;
}

static bool send_all(int fd, const char *bytes, size_t n, int64_t deadline_us)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (sent < 0 && !wait_for(fd, POLLOUT, deadline_us))
			return false;
		if (sent > 0) {
			bytes += sent;
			n -= (size_t)sent;
		}
	}
	return true;
}

/* Up to the end of the connection, which the request asked for. */
static bool receive_all(int fd, struct buf *bytes, int64_t deadline_us)
{
	for (;;) {
		char *room = buf_reserve(bytes, READ_SIZE);
		ssize_t n;

		if (room == NULL || buf_length(bytes) > ASK_ANSWER_MAX) {
			errno = room == NULL ? ENOMEM : EMSGSIZE;
			return false;
		}
		n = recv(fd, room, READ_SIZE, 0);
		if (n == 0)
			return true;
		if (n > 0)
			buf_added(bytes, (size_t)n);
		else if (errno != EAGAIN && errno != EINTR)
			return false;
		else if (!wait_for(fd, POLLIN, deadline_us))
			return false;
	}
}

/* ---- answers -------------------------------------------------------------------------------- */

/* Digits alone, up to 10 of them. */
static bool parse_number(struct slice text, uint64_t *ret_number)
{
	return text.n <= 10 && decimal_read(text, UINT64_MAX, ret_number);
}

/* A line of the head without its CRLF; moves `rest` behind it.  False when there is none. */
static bool next_line(struct slice *rest, struct slice *ret_line)
{
	const char *end = memmem(rest->p, rest->n, "\r\n", 2);

	if (end == NULL)
		return false;
	*ret_line = slice_of(rest->p, (size_t)(end - rest->p));
	*rest = slice_of(end + 2, rest->n - ret_line->n - 2);
	return true;
}

/*
 * The operators' pages come with their length, and in no transfer coding: anything else is not
 * one of them, or was cut.
 */
static bool parse_answer(struct answer *answer)
{
	struct slice rest = buf_waiting(&answer->bytes), line;
	uint64_t status, length;
	bool has_length = false;

	if (!next_line(&rest, &line) || line.n < 12 || memcmp(line.p, "HTTP/1.", 7) != 0 ||
	    line.p[8] != ' ' || !parse_number(slice_of(line.p + 9, 3), &status))
		return false;
	answer->status = (unsigned)status;
	while (next_line(&rest, &line) && line.n > 0) {
		static const struct slice name = {.p = "Content-Length:", .n = 15};

		if (line.n < name.n || !slice_ieq(slice_of(line.p, name.n), name))
			continue;
		has_length = parse_number(slice_trim(slice_of(line.p + name.n, line.n - name.n)),
					  &length);
	}
	answer->content = rest;
	return line.n == 0 && (has_length ? length == rest.n : status == 204);
}

/* Numeric, or localhost for a Unix socket: as the admin pages take it. */
static void write_host(const struct place *place, char to[PLACE_NAME])
{
	if (place->path[0] == '\0')
		place_name(place, to);
	else
		memcpy(to, "localhost", sizeof("localhost"));
}

static bool send_request(int fd, const struct asked *asked, const char *method, const char *path,
			 int64_t deadline_us)
{
	bool token = asked->token.length > 0, sent;
	char host[PLACE_NAME], *request = NULL;
	int n;

	write_host(&asked->place, host);
	n = asprintf(&request,
		     "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%sContent-Length: 0\r\nConnection: "
		     "close\r\n\r\n",
		     method, path, host, token ? "Authorization: Bearer " : "", asked->token.text,
		     token ? "\r\n" : "");
	if (n < 0) {
		errno = ENOMEM;
		return false;
	}
	sent = send_all(fd, request, (size_t)n, deadline_us);
	explicit_bzero(request, (size_t)n);
	free(request);
	return sent;
}

static bool receive_answer(int fd, const struct asked *asked, int64_t deadline_us,
			   struct answer *answer, struct diagnostic *error)
{
	if (!receive_all(fd, &answer->bytes, deadline_us))
		return say(error, asked, strerror(errno));
	if (buf_length(&answer->bytes) == 0)
		return say(error, asked, "the connection was closed without an answer");
	if (!parse_answer(answer))
		return say(error, asked, "the answer is not one of cache204, or was cut");
	return true;
}

bool ask(const struct asked *asked, const char *method, const char *path, struct answer *ret_answer,
	 struct diagnostic *error)
{
	int64_t deadline_us = monotonic_us() + INT64_C(1000) * asked->timeout_ms;
	int fd = open_connection(&asked->place, deadline_us);
	bool ok;

	*ret_answer = (struct answer){0};
	if (fd < 0)
		return say(error, asked, strerror(errno));
	ok = send_request(fd, asked, method, path, deadline_us);
	if (ok)
		ok = receive_answer(fd, asked, deadline_us, ret_answer, error);
	else
		say(error, asked, strerror(errno));
	close(fd);
	return ok;
}

void ask_free(struct answer *answer)
{
	buf_free(&answer->bytes);
}

/* A line of the content without its end; moves `rest` behind it. */
static struct slice next_text_line(struct slice *rest)
{
	const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	struct slice line = slice_of(rest->p, n);

	*rest = slice_of(rest->p + n, rest->n - n);
	if (end != NULL)
		*rest = slice_of(rest->p + 1, rest->n - 1);
	return line;
}

struct slice ask_reason(const struct answer *answer)
{
	struct slice rest = answer->content, line = next_text_line(&rest);
	uint64_t number;

	if (line.n > 4 && line.p[3] == ' ' && parse_number(slice_of(line.p, 3), &number) &&
	    number == answer->status && rest.n > 0)
		line = next_text_line(&rest);
	return line;
}

bool ask_find(const struct conf *conf, struct asked *ret_asked, struct diagnostic *error)
{
	int64_t deadline_us = monotonic_us() + INT64_C(1000) * ASK_TIMEOUT_MS;

	ret_asked->timeout_ms = ASK_TIMEOUT_MS;
	if (!admin_token_read(conf->admin_token_file, &ret_asked->token, error))
		return false;
	diagnostic_set(error, "admin: empty in this configuration: there is nothing to ask on");
	for (size_t i = 0; i < conf->admin.count; i++) {
		int fd;

		if (!place_reached_here("admin", conf->admin.at[i], &ret_asked->place, error))
			continue;
		fd = open_connection(&ret_asked->place, deadline_us);
		if (fd >= 0) {
			close(fd);
			return true;
		}
		diagnostic_set(error,
			       "admin: %s: %s: is the proxy running, with this configuration?",
			       conf->admin.at[i], strerror(errno));
	}
	return false;
}

struct conf *ask_conf(const struct arguments *arguments, struct diagnostic *error)
{
	struct conf *conf =
		conf_load(arguments->file, arguments->settings, arguments->setting_count, stderr);

	if (conf == NULL)
		diagnostic_set(error,
			       "the configuration cannot be read, so where to ask is not known");
	return conf;
}

bool ask_begin(const struct arguments *arguments, struct asked *ret_asked, struct diagnostic *error)
{
	struct conf *conf = ask_conf(arguments, error);
	bool found = conf != NULL && ask_find(conf, ret_asked, error);

	conf_free(conf);
	return found;
}

void ask_end(struct asked *asked)
{
	admin_token_forget(&asked->token);
}
