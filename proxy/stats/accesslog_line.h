/*
 * Composing a line of the access log.  Pure; bytes of peers come out as printable ASCII, whatever
 * they are.
 */
#ifndef PROXY_STATS_ACCESSLOG_LINE_H
#define PROXY_STATS_ACCESSLOG_LINE_H

#include "proxy/stats/accesslog.h"

/* No line is longer. */
enum { ACCESSLOG_LINE_LENGTH = 16 * 1024 };

/* The form of the lines, and the part of their time that lasts a second.  Zero but for `squid` to
 * begin. */
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
