/*
 * Composing a line of the access log.  Pure; bytes of peers come out as printable ASCII, whatever
 * they are.
 */
#ifndef PROXY_STATS_ACCESSLOG_LINE_H
#define PROXY_STATS_ACCESSLOG_LINE_H

#include "cache/http/message.h"
#include "proxy/stats/stats.h"

/* What a line has of an exchange.  Slices are copied by the call. */
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
	struct slice user;   /* who logged in, empty for none */
	struct slice user_agent;
};

/* No line is longer. */
enum { ACCESSLOG_LINE_LENGTH = 16 * 1024 };

/*
 * The form of the lines, and the part of their time that lasts a second.  Zero but for `squid` to
 * begin.
 */
struct accesslog_stamp {
	bool squid;
	size_t length;
	int64_t second;
	char text[32];
};

/*
 * Writes a line with its "\n" to `at`, which has room for ACCESSLOG_LINE_LENGTH bytes; returns its
 * end. JSON: bytes that are not printable ASCII become \u00XX; a text that was cut ends in \u2026.
 * Squid native: ten fields, one space between them; such bytes, spaces and quotes become %XX; a cut
 * text ends in "...".
 */
char *accesslog_line(struct accesslog_stamp *stamp, char *at, const struct accesslog_entry *entry);

#endif
