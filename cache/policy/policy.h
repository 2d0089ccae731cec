/*
 * The rules of HTTP caching for 204 responses: RFC 9111, with 5861, 8246, 9213.
 *
 * Every function here is pure: a verdict from (messages, clock, options), with a reason from the
 * closed list of reasons.def.  The rule of a request (req->rule, rule.h) goes before `conf`.  The contract, rule by rule, is in cache/RULES.md and proved by
 * tests/vectors/.
 */
#ifndef CACHE_POLICY_POLICY_H
#define CACHE_POLICY_POLICY_H

#include "cache/policy/cache_control.h"
#include "cache/base/clock.h"
#include "cache/http/message.h"
#include "conf/conf.h"

enum reason {
#define REASON(id, token, where, meaning, advice) REASON_##id,
#include "cache/policy/reasons.def"
#undef REASON
	REASON_COUNT
};

/* Static texts of the table's row: its name, what it means, and what to do about it. */
const char *reason_token(enum reason reason);
const char *reason_meaning(enum reason reason);
const char *reason_advice(enum reason reason);

/* The lists of reasons.def; a set of them is their sum. */
enum reason_where {
	REASON_AT_OTHER = 1,
	REASON_AT_REQUEST = 2,
	REASON_AT_ASKED = 4,
	REASON_AT_STORE = 8,
	REASON_AT_STALE = 16,
	/* Why the origin was asked, and why a 204 may not be in the store after that. */
	REASON_ASKED = REASON_AT_REQUEST + REASON_AT_ASKED,
	REASON_NOT_STORED = REASON_AT_REQUEST + REASON_AT_STORE,
};

bool reason_is_at(enum reason reason, enum reason_where where);

/* What a record may answer. */
enum record_kind {
	RECORD_GET,       /* made from GET, or POST with Content-Location: serves GET and HEAD */
	RECORD_HEAD,      /* made from HEAD: serves HEAD */
	RECORD_PREFLIGHT, /* made from OPTIONS: serves the same preflight */
};

enum lifetime_source {
	LIFETIME_NONE,
	LIFETIME_TARGETED,
	LIFETIME_S_MAXAGE,
	LIFETIME_MAX_AGE,
	LIFETIME_EXPIRES,
	LIFETIME_HEURISTIC,
	LIFETIME_DEFAULT,
	LIFETIME_PREFLIGHT,
	LIFETIME_RULE,   /* ttl of a rule: the response has none */
	LIFETIME_FORCED, /* force_ttl of a rule, from receipt on */
	LIFETIME_LAST = LIFETIME_FORCED,
};

enum record_meta_flags {
	META_NO_CACHE = 1,        /* validate at each use */
	META_NO_STALE = 2,        /* must-revalidate, proxy-revalidate, s-maxage: never stale */
	META_MUST_REVALIDATE = 4, /* 504 rather than stale when the origin fails */
	META_SHAREABLE_AUTH = 8,  /* may answer requests although made under Authorization */
	META_HAS_ETAG = 16,
	META_HAS_LAST_MODIFIED = 32,
	META_IMMUTABLE = 64,
	META_HTTP_1_0 = 128, /* it came as HTTP/1.0: for Via */
	META_PURGED = 256,   /* purged softly: validate before use; its lifetime ended then */
	META_SAYS_WHILE_REVALIDATE = 512, /* so a rule's does not count */
};

/*
 * What the policy needs to know of a stored response, worked out once when it is stored: plain
 * numbers, written into the record as they are (record.h; a change here is a new RECORD_VERSION).
 */
struct record_meta {
	uint64_t asked_at; /* invalidation epoch at the request (cache/store/invalidation.h) */
	int64_t response_steady_ms;  /* time of receipt on the steady clock */
	int64_t response_wall_s;     /* and on the wall clock */
	int64_t date_s;              /* Date, or time of receipt when absent or invalid */
	int64_t last_modified_s;     /* HTTP_DATE_INVALID when absent or invalid */
	uint32_t initial_age_s;      /* corrected_initial_age (RFC 9111 4.2.3) */
	uint32_t lifetime_s;         /* as the origin or heuristic gives it, before max_ttl */
	uint32_t while_revalidate_s; /* stale-while-revalidate */
	uint32_t if_error_s;         /* stale-if-error; UINT32_MAX when the response does not say */
	uint8_t kind;                /* enum record_kind */
	uint8_t lifetime_source;     /* enum lifetime_source */
	uint16_t flags;              /* enum record_meta_flags */
	uint32_t admission;          /* from struct exchange_times */
	uint32_t query_tag; /* of the rule that joined its key with that of other URIs, or 0 */
	uint32_t unused;
};

/* When the exchange with the origin took place, and how long it took. */
struct exchange_times {
	int64_t request_steady_ms;
	struct http_clock response; /* both clocks at receipt of the head */
	uint64_t asked_at;          /* cache_epoch() at the request */
	/*
	 * From the request to receipt, on the boot clock: response_delay of RFC 9111 4.2.3.  The
	 * steady clock would not do, because it jumps with the wall clock.
	 */
	int64_t delay_ms;
	uint32_t admission; /* where it came from (proxy/origin/admission.h); opaque here */
};

/*
 * May this final response to this request be stored (RFC 9111 3)?  True writes *ret_meta.  Writes
 * *ret_why in all cases.
 */
bool policy_may_store(const struct http_request *req, const struct http_response *res,
		      const struct exchange_times *times, const struct conf *conf,
		      struct record_meta *ret_meta, enum reason *ret_why);

/*
 * Which lines of a response are left out of the record: hop-by-hop ones, UNSTORED ones, and those
 * named by a qualified no-cache or private of Cache-Control.  Read once for all lines; it has views
 * of the response.
 */
struct policy_drops {
	bool all; /* Cache-Control is too long to be read: drop whatever it could name */
	struct cache_control_names no_cache;
	struct cache_control_names private;
};
void policy_drops_read(const struct http_response *res, struct policy_drops *ret_drops);
bool policy_drops_field(const struct policy_drops *drops, const struct http_field *field);

/* Whether a record could answer the request at all; false for a bypass (*ret_why says why). */
bool policy_is_lookup(const struct http_request *req, const struct conf *conf,
		      enum reason *ret_why);

/* Whether a record of `kind` may answer this request at all: method and preflight. */
bool policy_kind_serves(enum record_kind kind, const struct http_request *req);

/*
 * current_age in seconds, never negative (RFC 9111 4.2.3), and the lifetime as capped by max_ttl.
 * For a request, `conf` is policy_options() of rule.h.
 */
int64_t policy_age_s(const struct record_meta *meta, const struct http_clock *now);
int64_t policy_lifetime_s(const struct record_meta *meta, const struct conf *conf);

enum reuse {
	REUSE_FRESH,      /* answer from the record */
	REUSE_STALE,      /* answer from the record although stale (max-stale of the client) */
	REUSE_REVALIDATE, /* answer from the record now, validate in the background */
	REUSE_VALIDATE,   /* ask the origin, with the record's validators when it has any */
	REUSE_MISS,       /* no record, or a preflight's that is not usable: ask the origin */
	REUSE_BYPASS,     /* ask the origin without using the record */
	REUSE_REFUSED,    /* only-if-cached and nothing usable: 504 */
};

/*
 * May this record, whose URI, kind and variant match, answer the request (RFC 9111 4)?  `meta` is
 * NULL when there is no record or policy_is_lookup() returned false; only-if-cached is REFUSED
 * then, too.  Always writes *ret_why: REASON_NONE exactly for FRESH.
 */
enum reuse policy_reuse(const struct http_request *req, const struct record_meta *meta,
			const struct http_clock *now, const struct conf *conf,
			enum reason *ret_why);

/*
 * Evaluate the client's own condition against a record that is going to answer (RFC 9110 13.1, RFC
 * 9111 4.3.2): true when the answer is a 304.  `etag` is the record's, empty when none.  Does not
 * look at conf->conditional_hit.
 */
bool policy_not_modified(const struct http_request *req, const struct record_meta *meta,
			 struct slice etag, const struct http_clock *now);

/*
 * What a final response to a validation of a record means (RFC 9111 4.3.3, 4.3.4).  `req` is the
 * client's request.  The request to the origin had the record's validators and the client's own
 * entity tags, and no other conditions of the client.  In the `background` no error removes a
 * record: the request that triggered the validation may have caused it.
 */
enum validation {
	VALIDATION_FRESHEN,  /* 304 for the record: update it and answer from it */
	VALIDATION_PASS_304, /* 304 for a tag that only the client has: pass on, keep the record */
	VALIDATION_RETRY,    /* 304 that fits neither: ask again without any condition */
	VALIDATION_REPLACE,  /* 204: pass on; replaces the record, or removes it if not storable */
	VALIDATION_UPDATE,   /* 204 to a HEAD, for a GET's record: pass on, and update the record */
	VALIDATION_REMOVE,   /* supersedes the record: pass on, and remove the record */
	VALIDATION_KEEP,     /* another error: pass on without touching the record */
	VALIDATION_STALE,    /* 500, 502, 503, 504 within stale-if-error: answer from the record */
};

/* The record that is validated. */
struct validated {
	const struct record_meta *meta;
	struct slice etag; /* empty when it has none */
	bool background;   /* no client waits for the answer */
};

enum validation policy_validation(const struct http_request *req, const struct validated *record,
				  const struct http_response *res, const struct http_clock *now,
				  const struct conf *conf);

/*
 * For how many seconds after its lifetime a record may answer while it is validated in the
 * background, and in the place of an error (RFC 5861 3, 4); 0 for never.
 */
uint32_t policy_while_revalidate_s(const struct http_request *req, const struct record_meta *meta);
uint32_t policy_if_error_s(const struct http_request *req, const struct record_meta *meta,
			   const struct conf *conf);

/* The origin could not be asked, or failed: may the stale record answer (RFC 5861 4)? */
bool policy_stale_if_error(const struct http_request *req, const struct record_meta *meta,
			   const struct http_clock *now, const struct conf *conf);

/*
 * Does a final status show that the stored response is out of date?  Other 2xx and 3xx do, and so
 * do 404 and 410; other errors may be caused by one client's request (400, 403, 412, 414, 429,
 * ...), or by a failing server (HAZARDS X8).  A 204 depends on its fields; a 304 confirms the
 * record.
 */
bool policy_supersedes(uint16_t status);

/* Whether a reason not to store concerns only the request, not the resource. */
bool policy_is_about_request(enum reason why);

/*
 * After an answer that was not stored: should requests for the same key stop waiting for one
 * another for a while?  Not after an error, or an answer to an unusual request (HAZARDS X8).
 */
bool policy_is_unshareable(const struct http_request *req, const struct http_response *res);

/* May it be sent again when a kept connection turns out to be closed (RFC 9110 9.2.2)? */
bool policy_is_repeatable(const struct http_request *req);

/* RFC 9111 4.4: must the target URI (and Location, Content-Location) be invalidated? */
bool policy_invalidates(const struct http_request *req, const struct http_response *res);

/*
 * Whether a field concerns only the client that sent it, and is left out of a request made on
 * behalf of all: conditions, Range, Authorization, directives, and what earlier proxies say of the
 * client.
 */
bool policy_is_personal(const struct http_field *field);

/* May a request that misses or must validate wait for another's answer, or others for its own? */
bool policy_may_wait(const struct http_request *req);

#endif
