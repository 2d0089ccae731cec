/*
 * The access log: one line per exchange, JSON or Squid native, whatever bytes the exchange held
 * (HAZARDS M3: controls, quotes and non-ASCII are escaped, lengths limited, no credentials:
 * Authorization and Cookie are not fields of the log, and in targets "***" stands for what is or
 * may be a user's name and password, see accesslog_mask.h).
 *
 * Lines go to a bounded buffer that is written when it is nearly full, by accesslog_flush() (a
 * timer of the worker, once a second), and at close.  A log that cannot be written (disk full)
 * drops lines and counts them; it never blocks or stops the proxy.  The file is opened O_APPEND, so
 * that workers share it.
 */
#ifndef PROXY_STATS_ACCESSLOG_H
#define PROXY_STATS_ACCESSLOG_H

#include "cache/base/diagnostic.h"
#include "proxy/stats/accesslog_line.h"

struct accesslog;

/*
 * Whether accesslog_open() would succeed, with nothing made; false with errno.  For checks of the
 * configuration.
 */
bool accesslog_may_open(const char *path);

/* A line of text that says why by errno, and as whom it was tried, which is half of most causes. */
void accesslog_describe(const char *path, const char *what, struct diagnostic *to);

/* `path` is a file, "-" for stdout.  NULL with errno on failure. */
struct accesslog *accesslog_open(const char *path, const char *format);
void accesslog_write(struct accesslog *log, const struct accesslog_entry *entry);
void accesslog_flush(struct accesslog *log);

/* How many lines were lost since the last call, and why; for the operator. */
uint64_t accesslog_lost(struct accesslog *log, const char **ret_why);

/* Write what waits, or lose it: nothing is written after this. */
void accesslog_finish(struct accesslog *log);

/* Close and open again (SIGHUP, log rotation). */
bool accesslog_reopen(struct accesslog *log);
void accesslog_close(struct accesslog *log);

#endif
