/*
 * How long a response is fresh, and its age on arrival, from its fields (RFC 9111 4.2).
 *
 * Part of the policy: for may_store.c, which keeps the results in a struct record_meta.  Pure; all
 * times are seconds of the wall clock, all lifetimes and ages are at most CC_SECONDS_MAX.
 */
#ifndef CACHE_POLICY_FRESHNESS_H
#define CACHE_POLICY_FRESHNESS_H

#include "cache/policy/cache_control.h"
#include "cache/policy/policy.h"

/* The directives that count for a response (RFC 9213 2.2). */
struct response_control {
	struct cache_control directives;
	bool targeted; /* from a targeted field: Cache-Control and Expires are ignored */
};

struct lifetime {
	enum lifetime_source source;
	uint32_t seconds; /* 0 with LIFETIME_NONE */
};

/* Given by the origin, for this response. */
static inline bool lifetime_is_explicit(enum lifetime_source source)
{
	return source == LIFETIME_TARGETED || source == LIFETIME_S_MAXAGE ||
	       source == LIFETIME_MAX_AGE || source == LIFETIME_EXPIRES;
}

/* The directives of the first targeted field in conf that is usable, else of Cache-Control. */
void response_control_read(const struct http_fields *fields, const struct conf *conf,
			   struct response_control *ret_control);

/* A date of exactly one line; HTTP_DATE_INVALID when it is absent, repeated or not a date. */
int64_t freshness_date(const struct http_fields *fields, enum http_field_id id, int64_t now_s);

/* When the response was made: Date, else the time of receipt (RFC 9110 6.6.1). */
int64_t freshness_made(const struct http_fields *fields, int64_t receipt_s);

/* corrected_initial_age (RFC 9111 4.2.3). */
uint32_t freshness_initial_age(const struct http_fields *fields, int64_t made_s,
			       const struct exchange_times *times);

/*
 * s-maxage, max-age, Expires, a guess from Last-Modified, or the operator's default, in this order.
 */
struct lifetime freshness_lifetime(const struct http_fields *fields,
				   const struct response_control *control, int64_t made_s,
				   int64_t receipt_s, const struct conf *conf);

/*
 * For a preflight: explicit, or Access-Control-Max-Age, capped by preflight_max_age; 0 if neither.
 */
struct lifetime freshness_preflight(const struct http_fields *fields,
				    const struct response_control *control, int64_t made_s,
				    int64_t receipt_s, const struct conf *conf);

#endif
