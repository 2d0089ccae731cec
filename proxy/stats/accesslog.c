/*
 * The access log's file and buffer: written without ever waiting.
 *
 * What keeps a write from waiting depends on what the log is.  A file: write() goes to the page
 * cache; nothing better is to be had without a thread.  A pipe, FIFO or terminal: O_NONBLOCK, and
 * stdout is opened anew through /proc for that, since the flag belongs to the open file, and the
 * one behind descriptor 1 is shared with whoever started us: a shell would find its own output
 * failing.  A socket (stdout of a service under journald): MSG_DONTWAIT, which is for the one call.
 * A stdout that cannot be opened anew: poll() first, then no more than a pipe takes at once.
 *
 * When the log is not read, lines stay in the buffer until it is full, then new ones are dropped.
 * On any other error what is in the buffer is dropped, so that a full disk costs one call per
 * buffer and not one per line.  SIGPIPE and SIGXFSZ must be ignored by the program.
 */
#include "proxy/stats/accesslog.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_LENGTH = 8 * ACCESSLOG_LINE_LENGTH };

enum sink {
	SINK_FILE,
	SINK_NONBLOCKING,
	SINK_SOCKET,
	SINK_POLLED,
};

struct accesslog {
	int fd;
	enum sink sink;
	bool stuck;    /* not read; tried again by the next accesslog_flush() */
	int failure;   /* errno of the last write that failed, EAGAIN when not read */
	uint64_t lost; /* lines, since accesslog_lost() */
	bool mid_line; /* the last byte written was not the end of a line */
	struct accesslog_stamp stamp;
	size_t used;
	char buffer[BUFFER_LENGTH];
	char path[];
};

/* The descriptor and what it is of, or -1 with errno. */
static int open_stdout(int flags, enum sink *ret_sink)
{
	struct stat status;
	if (fstat(STDOUT_FILENO, &status) != 0)
		return -1;
	*ret_sink = SINK_NONBLOCKING;
	int fd = -1;
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
		fd = open("/proc/self/fd/1", flags);
	if (fd >= 0)
		return fd;
	if (S_ISREG(status.st_mode))
		*ret_sink = SINK_FILE;
	else
		*ret_sink = S_ISSOCK(status.st_mode) ? SINK_SOCKET : SINK_POLLED;
	return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static int open_sink(const char *path, enum sink *ret_sink)
{
	const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	if (strcmp(path, "-") == 0)
		return open_stdout(flags, ret_sink);
	int fd = open(path, flags | O_CREAT, 0640);
	struct stat status;
	bool is_file = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
	*ret_sink = is_file ? SINK_FILE : SINK_NONBLOCKING;
	return fd;
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

bool accesslog_may_open(const char *path)
{
	int fd;

	if (strcmp(path, "-") == 0)
		return fcntl(STDOUT_FILENO, F_GETFD) >= 0;
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0) {
		close(fd);
		return true;
	}
	return errno == ENOENT && may_make(path);
}

void accesslog_describe(const char *path, const char *what, struct diagnostic *to)
{
	int error = errno;
	const struct passwd *entry = getpwuid(geteuid());

	diagnostic_set(to, "access_log: %s: %s: %s (as user %s)", path, what, strerror(error),
		       entry == NULL ? "without a name" : entry->pw_name);
}

struct accesslog *accesslog_open(const char *path, const char *format)
{
	bool squid = strcmp(format, "squid") == 0;
	if (!squid && strcmp(format, "json") != 0) {
		errno = EINVAL;
		return NULL;
	}
	struct accesslog *log = malloc(sizeof(*log) + strlen(path) + 1);
	if (log == NULL)
		return NULL;
	log->used = 0;
	log->stuck = log->mid_line = false;
	log->failure = 0;
	log->lost = 0;
	log->stamp = (struct accesslog_stamp){.squid = squid};
	strcpy(log->path, path);
	log->fd = open_sink(path, &log->sink);
	if (log->fd < 0) {
		free(log);
		return NULL;
	}
	return log;
}

/*
 * How much to offer at once: a pipe takes PIPE_BUF bytes whole or not at all (pipe(7)), so that the
 * lines of several workers do not mix; longer lines may.
 */
static size_t piece(const struct accesslog *log, const char *from, size_t n)
{
	if (log->sink == SINK_FILE || n <= PIPE_BUF)
		return n;
	const char *last = memrchr(from, '\n', PIPE_BUF);
	return last != NULL ? (size_t)(last + 1 - from) : PIPE_BUF;
}

/* As write(): bytes taken, or -1 with errno, EAGAIN when it would have to wait. */
static ssize_t write_piece(const struct accesslog *log, const char *from, size_t n)
{
	if (log->sink == SINK_SOCKET)
		return send(log->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (log->sink == SINK_POLLED) {
		struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
		if (poll(&ready, 1, 0) <= 0) {
			errno = EAGAIN;
			return -1;
		}
	}
	return write(log->fd, from, n);
}

static void lose_line(struct accesslog *log)
{
	STATS_ADD(log_dropped, 1);
	log->lost++;
}

/* Give up what is in the buffer.  A line that is half in the file is ended there, later. */
static void drop(struct accesslog *log)
{
	size_t i =
		log->used > 0 && log->buffer[0] == '\n'; /* an end of line lost is no line lost */
	for (; i < log->used; i++)
		if (log->buffer[i] == '\n')
			lose_line(log);
	log->used = 0;
	if (log->mid_line)
		log->buffer[log->used++] = '\n';
}

void accesslog_flush(struct accesslog *log)
{
	size_t done = 0;
	log->stuck = false;
	while (done < log->used && !log->stuck) {
		const char *from = log->buffer + done;
		ssize_t n = write_piece(log, from, piece(log, from, log->used - done));
		if (n > 0) {
			done += (size_t)n;
			log->mid_line = from[n - 1] != '\n';
		} else if (n == 0 || errno == EAGAIN) {
			log->stuck = true;
			log->failure = EAGAIN;
		} else if (errno != EINTR) {
			log->failure = errno;
			break;
		}
	}
	log->used -= done;
	memmove(log->buffer, log->buffer + done, log->used);
	if (log->used > 0 && !log->stuck)
		drop(log);
}

static bool has_room(const struct accesslog *log)
{
	return BUFFER_LENGTH - log->used >= ACCESSLOG_LINE_LENGTH;
}

void accesslog_write(struct accesslog *log, const struct accesslog_entry *entry)
{
	if (!has_room(log) && !log->stuck)
		accesslog_flush(log);
	if (!has_room(log)) {
		lose_line(log);
		return;
	}
	char *end = accesslog_line(&log->stamp, log->buffer + log->used, entry);
	log->used = (size_t)(end - log->buffer);
}

bool accesslog_reopen(struct accesslog *log)
{
	enum sink sink;
	accesslog_flush(log);
	if (strcmp(log->path, "-") == 0)
		return true;
	int fd = open_sink(log->path, &sink);
	if (fd < 0)
		return false;
	drop(log);
	close(log->fd);
	log->fd = fd;
	log->sink = sink;
	log->used = 0;
	log->mid_line = false;
	log->stuck = false;
	return true;
}

uint64_t accesslog_lost(struct accesslog *log, const char **ret_why)
{
	uint64_t lost = log->lost;

	*ret_why = log->failure == EAGAIN ? "what reads it is too slow" : strerror(log->failure);
	log->lost = 0;
	return lost;
}

void accesslog_finish(struct accesslog *log)
{
	accesslog_flush(log);
	drop(log);
}

void accesslog_close(struct accesslog *log)
{
	if (log == NULL)
		return;
	accesslog_finish(log);
	close(log->fd);
	free(log);
}
