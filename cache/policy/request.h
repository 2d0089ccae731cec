/* What the policy reads from a request alone.  Part of the policy: for its own files. */
#ifndef CACHE_POLICY_REQUEST_H
#define CACHE_POLICY_REQUEST_H

#include "cache/policy/cache_control.h"
#include "cache/policy/policy.h"

/*
 * A request that takes no part in caching either way: it is not answered from a record, and its
 * answer makes none.  `*ret_why` is written when true.
 */
bool policy_request_stands_alone(const struct http_request *req, enum reason *ret_why);

/* A CORS preflight without credentials (Fetch 4.8) and without unknown request fields. */
bool policy_request_is_preflight(const struct http_request *req);

struct request_control {
	struct cache_control asked;
	bool pragma; /* Pragma: no-cache, without a Cache-Control (RFC 9111 5.4) */
};

void policy_request_control(const struct http_request *req, struct request_control *ret_control);

#endif
