/*
 * Where the access log goes: a file, standard output, or a datagram socket of syslog or journald.
 * Written without ever waiting.
 *
 * What keeps a write from waiting depends on what it is.  A file: write() goes to the page cache;
 * nothing better is to be had without a thread.  A pipe, FIFO or terminal: O_NONBLOCK, and stdout
 * is opened anew through /proc for that, since the flag belongs to the open file, and the one
 * behind descriptor 1 is shared with the program that started us: a shell would find its own output
 * failing.  A socket (stdout of a service under journald): MSG_DONTWAIT, which is for the one call.
 * A stdout that cannot be opened anew: poll() first, then no more than a pipe takes at once.
 *
 * A datagram has one line.  For syslog that begins with priority, time and name as syslog(3) has
 * them (RFC 3164 4.1); for journald, in its own protocol, with the digit of the priority.
 */
#ifndef PROXY_STATS_ACCESSLOG_SINK_H
#define PROXY_STATS_ACCESSLOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/stats/accesslog_format.h"

enum accesslog_sink_kind {
	SINK_FILE,
	SINK_NONBLOCKING,
	SINK_SOCKET,
	SINK_POLLED,
	SINK_SYSLOG,
	SINK_JOURNAL,
};

struct accesslog_sink {
	int fd;
	enum accesslog_sink_kind kind;
};

/* RFC 5424 6.2.1 */
enum accesslog_priority { PRIORITY_WARNING = 4, PRIORITY_NOTICE = 5, PRIORITY_INFO = 6 };

/*
 * `path` is a file, "-", "syslog", "journald", or these two with ":" and a path of their socket.
 * False with errno.
 */
bool accesslog_sink_open(const char *path, struct accesslog_sink *ret_sink);

/* Whether that would succeed, with nothing made; false with errno. */
bool accesslog_sink_may_open(const char *path);

/* It does not go on when what it led to is gone, but can be opened again. */
bool accesslog_sink_is_lost(const struct accesslog_sink *sink, int error);

static inline bool accesslog_sink_has_datagrams(const struct accesslog_sink *sink)
{
	return sink->kind == SINK_SYSLOG || sink->kind == SINK_JOURNAL;
}

/* What stands before a line for it; at most ACCESSLOG_SINK_HEAD bytes. */
enum { ACCESSLOG_SINK_HEAD = 64 };
char *accesslog_sink_put_head(const struct accesslog_sink *sink, struct accesslog_stamp *stamp,
			      char *at, enum accesslog_priority priority, int64_t wall_ms);

/* How much to offer at once, of `n` bytes of lines that each end in "\n". */
size_t accesslog_sink_piece(const struct accesslog_sink *sink, const char *from, size_t n);

/* As write(): bytes taken, or -1 with errno, EAGAIN when it would have to wait. */
ssize_t accesslog_sink_write(const struct accesslog_sink *sink, const char *from, size_t n);

#endif
