/*
 * The access log: one line per exchange, in JSON or another format, whatever bytes the exchange held
 * (HAZARDS M3: controls, quotes and non-ASCII are escaped, lengths limited, no credentials:
 * Authorization and Cookie are not fields of the log, and in targets "***" stands for what is or
 * may be a user's name and password, see accesslog_mask.h).
 *
 * Lines go to a bounded buffer that is written when it is nearly full, by accesslog_flush() (a
 * timer of the worker, once a second), and at close.  A log that cannot be written (disk full)
 * drops lines and counts them; it never blocks or stops the proxy.  The file is opened O_APPEND, so
 * that workers share it.  accesslog_sink.h has what else it may go to, conf/log_format.h the formats.
 */
#ifndef PROXY_STATS_ACCESSLOG_H
#define PROXY_STATS_ACCESSLOG_H

#include "cache/base/diagnostic.h"
#include "proxy/stats/accesslog_line.h"

struct accesslog;

/* Whether accesslog_open() would succeed, with nothing made; false with a line in `error`. */
bool accesslog_check(const char *path, struct diagnostic *error);

/* A line of text that says why by errno, and as whom it was tried, which is half of most causes. */
void accesslog_describe(const char *path, const char *what, struct diagnostic *to);

/*
 * `path` as for accesslog_sink_open(), `format` as for log_format_parse().  Of hits one in `hits` is to
 * be logged, 0 for none.  NULL with errno on failure.
 */
struct accesslog *accesslog_open(const char *path, const char *format, uint32_t hits);

/* Whether the hit at hand is to be logged; those that are not are counted. */
bool accesslog_takes_hit(struct accesslog *log);

/* How many hits a line of one stands for, on average. */
uint32_t accesslog_sample(const struct accesslog *log);

/* Whether a line has the Referer: that field is not to be looked for otherwise. */
bool accesslog_shows_referer(const struct accesslog *log);

/* An id that no other request has, of any worker or of one before; in `room`. */
enum { ACCESSLOG_NEW_ID = 40 };
struct slice accesslog_new_id(struct accesslog *log, char room[static ACCESSLOG_NEW_ID]);

/* The entry's target and referer become what is shown of them. */
void accesslog_write(struct accesslog *log, struct accesslog_entry *entry);
void accesslog_flush(struct accesslog *log);

/* How many lines were lost since the last call, and why; for the operator. */
uint64_t accesslog_lost(struct accesslog *log, const char **ret_why);

/* Write what waits, or lose it: nothing is written after this. */
void accesslog_finish(struct accesslog *log);

/* Close and open again (SIGUSR1, log rotation); false with errno, and the former goes on. */
bool accesslog_reopen(struct accesslog *log);
void accesslog_close(struct accesslog *log);

#endif
