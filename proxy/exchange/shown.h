/*
 * Exchanges that have ended, and those that last, in what operators are shown (sketch.h,
 * recent_errors.h, in_flight.h): by host and URI, without what may be a password.
 */
#ifndef PROXY_EXCHANGE_SHOWN_H
#define PROXY_EXCHANGE_SHOWN_H

#include "cache/base/key.h"
#include "cache/http/message.h"
#include "proxy/exchange/failure_log.h"

struct sketch_event;

enum { SHOWN_URI_MAX = 640 };

/*
 * In normal form, cut where it is long; passwords within are masked as in the access log (HAZARDS
 * M3).  "" when no URI was understood.
 */
struct slice shown_uri(const struct http_uri *uri, char room[SHOWN_URI_MAX]);

/* Count it in the sketch.  `key` is that of its URI, all zero when it was never looked up. */
void shown_count(const struct sketch_event *event, const struct cache_key *key,
		 const struct http_request *req);

/*
 * Among the last errors, once for each exchange: its client got an error of this status, half an
 * answer (0), or what was stored.  Failures that the request itself caused are none.
 */
void shown_error(const struct failure_subject *of, enum failure failure, unsigned status);

#endif
