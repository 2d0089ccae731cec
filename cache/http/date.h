/* HTTP dates to seconds and back (RFC 9110 5.6.7).  Pure, no locale, no time zone data. */
#ifndef CACHE_HTTP_DATE_H
#define CACHE_HTTP_DATE_H

#include <stdint.h>

#include "cache/base/slice.h"

#define HTTP_DATE_INVALID INT64_MIN
enum { HTTP_DATE_LENGTH = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/*
 * Seconds since the epoch, or HTTP_DATE_INVALID.  IMF-fixdate, RFC 850 or asctime form; names in
 * any case, zone GMT only, otherwise exactly as in the grammar.  `now_s` decides the century of an
 * RFC 850 year: one more than 50 years ahead is in the past.
 */
int64_t http_date_parse(struct slice text, int64_t now_s);

/* IMF-fixdate of a time in years 0 to 9999 (clamped); writes HTTP_DATE_LENGTH bytes, no NUL. */
void http_date_write(int64_t time_s, char *to);

#endif
