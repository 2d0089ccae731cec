/* The closed list of reasons, and what a final response means for records already there. */
#include "cache/policy/policy.h"

const char *reason_token(enum reason reason)
{
	static const char *const tokens[REASON_COUNT] = {
#define REASON(id, token, where, meaning, advice) token,
#include "cache/policy/reasons.def"
#undef REASON
	};

	return tokens[reason];
}

const char *reason_meaning(enum reason reason)
{
	static const char *const meanings[REASON_COUNT] = {
#define REASON(id, token, where, meaning, advice) meaning,
#include "cache/policy/reasons.def"
#undef REASON
	};

	return meanings[reason];
}

const char *reason_advice(enum reason reason)
{
	static const char *const advices[REASON_COUNT] = {
#define REASON(id, token, where, meaning, advice) advice,
#include "cache/policy/reasons.def"
#undef REASON
	};

	return advices[reason];
}

bool reason_is_at(enum reason reason, enum reason_where where)
{
	static const uint8_t places[REASON_COUNT] = {
#define REASON(id, token, where, meaning, advice) REASON_AT_##where,
#include "cache/policy/reasons.def"
#undef REASON
	};

	return (places[reason] & where) != 0;
}

bool policy_supersedes(uint16_t status)
{
	bool answers = status >= 200 && status < 400 && status != 304;

	return (answers && status != 204) || status == 404 || status == 410;
}

bool policy_is_about_request(enum reason why)
{
	return reason_is_at(why, REASON_AT_REQUEST) || why == REASON_AUTHORIZATION ||
	       why == REASON_RANGE;
}

static bool overrides_method(const struct http_request *req)
{
	static const uint64_t fields = (uint64_t)1 << FIELD_X_HTTP_METHOD |
				       (uint64_t)1 << FIELD_X_HTTP_METHOD_OVERRIDE |
				       (uint64_t)1 << FIELD_X_METHOD_OVERRIDE;

	return req->fields.present & fields;
}

bool policy_invalidates(const struct http_request *req, const struct http_response *res)
{
	bool unsafe = !http_method_is_safe(req->method) || overrides_method(req);

	/* CONNECT has no target that could be stored. */
	return unsafe && req->method != METHOD_CONNECT && res->status >= 200 && res->status < 400;
}

bool policy_is_repeatable(const struct http_request *req)
{
	return req->body == BODY_NONE && http_method_is_idempotent(req->method) &&
	       !overrides_method(req);
}
