/* What is decided of a request before any origin is asked. */
#include "proxy/front/forward_rules.h"

#include "cache/http/fields.h"
#include "conf/rule.h"

enum failure forward_rule_refuses(const struct http_request *req)
{
	return req->rule != NULL && rule_denies(req->rule) ? FAILURE_DENIED_RULE : FAILURE_NONE;
}

enum failure forward_refuses(const struct access *access, const struct http_request *req)
{
	enum failure failure = access_request(access, req);

	/* A TRACE would show fields of the proxy's side to the client (HAZARDS T8). */
	if (failure == FAILURE_NONE && req->method == METHOD_TRACE)
		failure = FAILURE_DENIED_METHOD;
	return failure == FAILURE_NONE ? forward_rule_refuses(req) : failure;
}

enum failure gateway_refuses(const struct access *access, const struct http_request *req)
{
	if (access_is_loop(access, req))
		return FAILURE_LOOP;
	if (req->method == METHOD_CONNECT || req->method == METHOD_TRACE ||
	    !access_method(access, req->method_name))
		return FAILURE_DENIED_METHOD;
	return forward_rule_refuses(req);
}

bool forward_stops_here(const struct http_request *req)
{
	const struct http_field *line = http_fields_first(&req->fields, FIELD_MAX_FORWARDS);

	return (req->method == METHOD_OPTIONS || req->method == METHOD_TRACE) && line != NULL &&
	       slice_eq(line->value, SLICE("0"));
}

enum forward_reason forward_reason_of(const struct cache_lookup *lookup)
{
	if (!lookup->has_record)
		return lookup->uri_known ? FWD_VARY_MISS : FWD_URI_MISS;
	switch (lookup->why) {
	case REASON_EXPIRED:
	case REASON_CLOCK:
	case REASON_RESTORED:
	case REASON_PURGED:
	case REASON_RESPONSE_NO_CACHE:
		return FWD_STALE;
	case REASON_RULE_KEY: /* of other URIs */
		return FWD_URI_MISS;
	default:
		return FWD_REQUEST;
	}
}

void forward_forget_record(const struct http_request *req, const struct http_clock *now,
			   const struct conf *conf, struct cache_lookup *lookup)
{
	lookup->has_record = false;
	lookup->uri_known = false;
	lookup->verdict = policy_reuse(req, NULL, now, conf, &lookup->why);
}

void forward_hide_record(const struct http_request *req, const struct http_clock *now,
			 const struct conf *conf, struct cache_lookup *lookup)
{
	forward_forget_record(req, now, conf, lookup);
	if (lookup->why == REASON_NO_RECORD)
		lookup->why = REASON_ADMISSION;
}
