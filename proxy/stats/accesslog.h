/*
 * The access log: one line per exchange, JSON or Squid native, whatever bytes the exchange held
 * (HAZARDS M3: controls, quotes and non-ASCII are escaped, lengths limited, no credentials:
 * Authorization and Cookie are not fields of the log, and in targets "***" stands for what is or
 * may be a user's name and password, see accesslog_mask.h).
 *
 * Lines go to a bounded buffer that is written when it is nearly full, by accesslog_flush() (a
 * timer of the worker, once a second), and at close.  A log that cannot be written (disk full)
 * drops lines and counts them; it never blocks or ends the proxy.  The file is opened O_APPEND, so
 * that workers share it.
 */
#ifndef PROXY_STATS_ACCESSLOG_H
#define PROXY_STATS_ACCESSLOG_H

#include "cache/http/message.h"
#include "proxy/stats/stats.h"

struct accesslog;

/* What is told of an exchange.  Slices are copied by the call. */
struct accesslog_entry {
	int64_t wall_ms;     /* when it ended, since the epoch */
	int64_t elapsed_us;  /* from the request head read to the end of the answer, but for: */
	int64_t held_us;     /* the client did not take what there was; 0 for never */
	struct slice client; /* numeric address */
	uint16_t client_port;
	struct slice method;
	struct slice target;     /* as received; empty when none was read */
	struct slice origin_uri; /* goes before a path: of the origin that a gateway stands for */
	bool target_read;        /* it was understood; otherwise its authority is masked */
	uint16_t status;         /* 0 when none was sent */
	uint64_t bytes_in;       /* of the request, head and body as received */
	uint64_t bytes_out;      /* of the answer, head and body as sent */
	enum outcome outcome;
	enum failure failure;
	enum reason why; /* not stored, or not reused */
	bool stored;
	struct slice origin; /* numeric address and port asked, empty when none */
	struct slice user;   /* who logged in, empty for nobody */
	struct slice user_agent;
};

/*
 * Whether accesslog_open() would succeed, with nothing made; false with errno.  For checks of the
 * configuration.
 */
bool accesslog_may_open(const char *path);

/* A line of text that says why by errno, and as whom it was tried, which is half of most causes. */
void accesslog_describe(const char *path, const char *what, char *to, size_t size);

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
