/* Files, pipes and sockets that the access log is written to. */
#include "proxy/stats/accesslog_sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/close_fd.h"
#include "proxy/stats/accesslog_put.h"

enum { FACILITY_DAEMON = 3 };

/* ---- sockets -------------------------------------------------------------------------------- */

/* The socket that a path of these forms stands for, and its kind; NULL for a file. */
static const char *socket_of(const char *path, enum accesslog_sink_kind *ret_kind)
{
	static const struct {
		const char *name, *preset;
		enum accesslog_sink_kind kind;
	} sockets[] = {
		{"syslog", "/dev/log", SINK_SYSLOG},
		{"journald", "/run/systemd/journal/socket", SINK_JOURNAL},
	};

	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		size_t n = strlen(sockets[i].name);

		if (strncmp(path, sockets[i].name, n) != 0 || (path[n] != '\0' && path[n] != ':'))
			continue;
		*ret_kind = sockets[i].kind;
		return path[n] == '\0' ? sockets[i].preset : path + n + 1;
	}
	return NULL;
}

/* connect() of a datagram socket does not wait. */
static int open_socket(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	int fd;

	errno = ENAMETOOLONG;
	if (n >= sizeof(name.sun_path))
		return -1;
	memcpy(name.sun_path, path, n + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof(name)) != 0) {
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}

bool accesslog_sink_is_lost(const struct accesslog_sink *sink, int error)
{
	return accesslog_sink_has_datagrams(sink) &&
	       (error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET ||
		error == EPIPE || error == EDESTADDRREQ);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The descriptor and what it is of, or -1 with errno. */
static int open_stdout(int flags, enum accesslog_sink_kind *ret_kind)
{
	struct stat status;
	int fd = -1;

	if (fstat(STDOUT_FILENO, &status) != 0)
		return -1;
	*ret_kind = SINK_NONBLOCKING;
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
		fd = open("/proc/self/fd/1", flags);
	if (fd >= 0)
		return fd;
	if (S_ISREG(status.st_mode))
		*ret_kind = SINK_FILE;
	else
		*ret_kind = S_ISSOCK(status.st_mode) ? SINK_SOCKET : SINK_POLLED;
	return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static int open_file(const char *path, int flags, enum accesslog_sink_kind *ret_kind)
{
	int fd = open(path, flags | O_CREAT, 0640);
	struct stat status;
	bool is_file = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);

	*ret_kind = is_file ? SINK_FILE : SINK_NONBLOCKING;
	return fd;
}

bool accesslog_sink_open(const char *path, struct accesslog_sink *ret_sink)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	const char *socket = socket_of(path, &ret_sink->kind);

	if (socket != NULL)
		ret_sink->fd = open_socket(socket);
	else if (strcmp(path, "-") == 0)
		ret_sink->fd = open_stdout(flags, &ret_sink->kind);
	else
		ret_sink->fd = open_file(path, flags, &ret_sink->kind);
	return ret_sink->fd >= 0;
}

/* A missing file is made in its directory, which must let us. */
static bool may_make(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash == NULL   ? strdup(".")
			  : slash == path ? strdup("/")
					  : strndup(path, (size_t)(slash - path));
	bool may = directory != NULL && eaccess(directory, W_OK | X_OK) == 0;

	free(directory);
	return may;
}

bool accesslog_sink_may_open(const char *path)
{
	enum accesslog_sink_kind kind;
	const char *socket = socket_of(path, &kind);
	int fd;

	if (strcmp(path, "-") == 0)
		return fcntl(STDOUT_FILENO, F_GETFD) >= 0;
	fd = socket != NULL ? open_socket(socket)
			    : open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0) {
		close(fd);
		return true;
	}
	return socket == NULL && errno == ENOENT && may_make(path);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* "<30>Nov 27 17:41:37 cache204[123]: ", in the time of the machine, as syslog(3) writes it. */
static char *put_syslog_head(struct accesslog_stamp *stamp, char *at,
			     enum accesslog_priority priority, int64_t wall_ms)
{
	time_t second = wall_ms / 1000;
	struct tm tm;
	char *end = stamp->text;

	if (stamp->length == 0 || stamp->second != second) {
		if (localtime_r(&second, &tm) != NULL)
			end += strftime(end, sizeof(stamp->text), "%b %e %H:%M:%S ", &tm);
		stamp->length = (size_t)(end - stamp->text);
		stamp->second = second;
	}
	at = append_unsigned(APPEND(at, "<"), FACILITY_DAEMON * 8U + priority);
	at = append_bytes(APPEND(at, ">"), stamp->text, stamp->length);
	at = append_unsigned(APPEND(at, "cache204["), (uint64_t)getpid());
	return APPEND(at, "]: ");
}

char *accesslog_sink_put_head(const struct accesslog_sink *sink, struct accesslog_stamp *stamp,
			      char *at, enum accesslog_priority priority, int64_t wall_ms)
{
	if (sink->kind == SINK_SYSLOG)
		return put_syslog_head(stamp, at, priority, wall_ms);
	if (sink->kind == SINK_JOURNAL)
		*at++ = (char)('0' + priority);
	return at;
}

/*
 * A pipe takes PIPE_BUF bytes whole or not at all (pipe(7)), so that the lines of several workers do
 * not mix; longer lines may.
 */
size_t accesslog_sink_piece(const struct accesslog_sink *sink, const char *from, size_t n)
{
	const char *last;

	if (accesslog_sink_has_datagrams(sink)) {
		last = memchr(from, '\n', n);
		return last != NULL ? (size_t)(last + 1 - from) : n;
	}
	if (sink->kind == SINK_FILE || n <= PIPE_BUF)
		return n;
	last = memrchr(from, '\n', PIPE_BUF);
	return last != NULL ? (size_t)(last + 1 - from) : PIPE_BUF;
}

/* Each field is a line with its end, which journald wants of the last, too (Native Journal Protocol). */
static ssize_t send_to_journal(int fd, const char *line, size_t n)
{
	static const char priority[] = "SYSLOG_IDENTIFIER=cache204\nSYSLOG_FACILITY=3\nPRIORITY=";
	static const char message[] = "\nMESSAGE=";
	struct iovec parts[] = {
		{(void *)(uintptr_t)priority, sizeof(priority) - 1},
		{(void *)(uintptr_t)line, 1},
		{(void *)(uintptr_t)message, sizeof(message) - 1},
		{(void *)(uintptr_t)(line + 1), n - 1},
	};
	struct msghdr all = {.msg_iov = parts, .msg_iovlen = sizeof(parts) / sizeof(parts[0])};

	assert(n > 1);
	return sendmsg(fd, &all, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t accesslog_sink_write(const struct accesslog_sink *sink, const char *from, size_t n)
{
	struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
	ssize_t sent;

	switch (sink->kind) {
	case SINK_SYSLOG:
		sent = send(sink->fd, from, n - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		return sent < 0 ? sent : (ssize_t)n;
	case SINK_JOURNAL:
		sent = send_to_journal(sink->fd, from, n);
		return sent < 0 ? sent : (ssize_t)n;
	case SINK_SOCKET:
		return send(sink->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_POLLED:
		if (poll(&ready, 1, 0) <= 0) {
			errno = EAGAIN;
			return -1;
		}
		break;
	case SINK_FILE:
	case SINK_NONBLOCKING:
		break;
	}
	return write(sink->fd, from, n);
}
