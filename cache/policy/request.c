/*
 * What the policy reads from a request alone: use of the cache, directives, and whether it may
 * wait.
 */
#include "cache/policy/request.h"

#include "cache/http/fields.h"
#include "cache/policy/rule.h"

#define FIELD_BIT(id) ((uint64_t)1 << FIELD_##id)

/* RFC 9111 4.3.2: these conditions are for the origin to judge. */
static const uint64_t preconditions =
	FIELD_BIT(IF_MATCH) | FIELD_BIT(IF_UNMODIFIED_SINCE) | FIELD_BIT(IF_RANGE);

/* Fields that some origins use to override the method or target (HAZARDS C10). */
static const uint64_t overrides = FIELD_BIT(X_HTTP_METHOD) | FIELD_BIT(X_HTTP_METHOD_OVERRIDE) |
				  FIELD_BIT(X_METHOD_OVERRIDE) | FIELD_BIT(X_ORIGINAL_URL) |
				  FIELD_BIT(X_REWRITE_URL);

/* Inline, for each hit comes by here. */
static inline bool stands_alone(const struct http_request *req, enum reason *ret_why)
{
	bool has_body = req->body != BODY_NONE && req->method != METHOD_POST;

	if (!(req->fields.present & (preconditions | overrides)) && !has_body && !req->upgrade)
		return false;
	/* A POST is never looked up, and its answer may be stored with or without a body. */
	if (has_body)
		*ret_why = REASON_REQUEST_BODY;
	else if (req->fields.present & preconditions)
		*ret_why = REASON_PRECONDITION;
	else
		*ret_why = req->upgrade ? REASON_UPGRADE : REASON_OVERRIDE;
	return true;
}

bool policy_request_stands_alone(const struct http_request *req, enum reason *ret_why)
{
	return stands_alone(req, ret_why);
}

bool policy_is_personal(const struct http_field *field)
{
	struct slice forwarded = SLICE("X-Forwarded-");

	if (http_field_flags((enum http_field_id)field->id) & PERSONAL)
		return true;
	return field->id == FIELD_OTHER && field->name.n >= forwarded.n &&
	       slice_ieq(slice_of(field->name.p, forwarded.n), forwarded);
}

static bool has_one_value(const struct http_fields *fields, enum http_field_id id)
{
	const struct http_field *line = http_fields_first(fields, id);

	return line != NULL && line->value.n > 0 && http_fields_next(fields, line) == NULL;
}

/* It has request fields that a preflight's key does not include (vary_write_preflight()). */
static bool asks_for_more(const struct http_fields *fields)
{
	struct slice prefix = SLICE("Access-Control-Request-");

	for (uint32_t i = 0; i < fields->count; i++) {
		const struct http_field *field = &fields->at[i];

		if (field->id == FIELD_OTHER && !field->nominated && field->name.n >= prefix.n &&
		    slice_ieq(slice_of(field->name.p, prefix.n), prefix))
			return true;
	}
	return false;
}

bool policy_request_is_preflight(const struct http_request *req)
{
	/* Without a path it is "*", the server as a whole (RFC 9110 9.3.7). */
	return req->method == METHOD_OPTIONS && req->uri.path.n > 0 &&
	       has_one_value(&req->fields, FIELD_ORIGIN) &&
	       has_one_value(&req->fields, FIELD_ACCESS_CONTROL_REQUEST_METHOD) &&
	       !(req->fields.present & (FIELD_BIT(COOKIE) | FIELD_BIT(AUTHORIZATION))) &&
	       !asks_for_more(&req->fields);
}

/* As if the request had not been sent by a reload (RFC 9111 5.2.1.4): the operator's wish. */
__attribute__((noinline)) static void forget_no_cache(struct request_control *control)
{
	struct cache_control *asked = &control->asked;

	control->pragma = false;
	cache_control_forget(asked, CC_NO_CACHE);
	if (cache_control_has(asked, CC_MAX_AGE) && asked->max_age == 0)
		cache_control_forget(asked, CC_MAX_AGE);
}

/* Pragma: no-cache, or what cannot be read. */
__attribute__((noinline)) static bool pragma_forbids(const struct http_request *req)
{
	struct cache_control pragma;

	cache_control_parse(&req->fields, FIELD_PRAGMA, &pragma);
	return cache_control_has(&pragma, CC_NO_CACHE) ||
	       cache_control_is_too_long(&req->fields, FIELD_PRAGMA);
}

void policy_request_control(const struct http_request *req, struct request_control *ret_control)
{
	cache_control_parse(&req->fields, FIELD_CACHE_CONTROL, &ret_control->asked);
	ret_control->pragma = !http_has_field(&req->fields, FIELD_CACHE_CONTROL) &&
			      http_has_field(&req->fields, FIELD_PRAGMA) && pragma_forbids(req);
	if (req->rule != NULL && req->rule->ignore_request_no_cache)
		forget_no_cache(ret_control);
}

bool policy_is_lookup(const struct http_request *req, const struct conf *conf, enum reason *ret_why)
{
	*ret_why = REASON_METHOD;
	if (req->method == METHOD_OPTIONS) {
		if (!policy_options(req, conf)->preflight_cache ||
		    !policy_request_is_preflight(req))
			return false;
	} else if (req->method != METHOD_GET && req->method != METHOD_HEAD) {
		return false;
	}
	if (stands_alone(req, ret_why))
		return false;
	if (req->rule != NULL && !req->rule->store) {
		*ret_why = REASON_RULE_STORE_OFF;
		return false;
	}
	*ret_why = REASON_NONE;
	return true;
}

bool policy_kind_serves(enum record_kind kind, const struct http_request *req)
{
	switch (kind) {
	case RECORD_GET:
		return req->method == METHOD_GET || req->method == METHOD_HEAD;
	case RECORD_HEAD:
		return req->method == METHOD_HEAD;
	case RECORD_PREFLIGHT:
		return policy_request_is_preflight(req);
	}
	return false;
}

bool policy_may_wait(const struct http_request *req)
{
	struct request_control control;
	const struct cache_control *asked = &control.asked;
	enum reason why;

	if (req->method != METHOD_GET && req->method != METHOD_HEAD &&
	    !policy_request_is_preflight(req))
		return false;
	if (policy_request_stands_alone(req, &why) ||
	    req->fields.present & (FIELD_BIT(AUTHORIZATION) | FIELD_BIT(RANGE)))
		return false;
	policy_request_control(req, &control);
	/* max-age=0 is not met by any answer but its own. */
	return !control.pragma && !asked->broken && !cache_control_has(asked, CC_NO_CACHE) &&
	       !cache_control_has(asked, CC_NO_STORE) &&
	       !cache_control_has(asked, CC_ONLY_IF_CACHED) &&
	       !(cache_control_has(asked, CC_MAX_AGE) && asked->max_age == 0);
}

bool policy_is_unshareable(const struct http_request *req, const struct http_response *res)
{
	return policy_may_wait(req) && (res->status == 204 || policy_supersedes(res->status));
}
