/*
 * Composing a line of the access log.  Pure; bytes of peers come out as printable ASCII, whatever
 * they are.
 */
#ifndef PROXY_STATS_ACCESSLOG_LINE_H
#define PROXY_STATS_ACCESSLOG_LINE_H

#include "proxy/stats/accesslog_entry.h"
#include "proxy/stats/accesslog_format.h"

/*
 * Writes a line with its "\n" to `at`, which has room for LOG_LINE_LENGTH bytes; returns its
 * end.  The entry's target and referer become what is shown of them.
 *
 * JSON: bytes that are not printable ASCII become \u00XX; a text that was cut ends in \u2026.
 * Squid native: ten fields, one space between them; such bytes, spaces and quotes become %XX; a cut
 * text ends in "...".  Formats: such bytes but spaces become \xXX, an empty text "-", a cut one ends
 * in "...".
 */
char *accesslog_line(struct accesslog_format *format, char *at, struct accesslog_entry *entry);

#endif
