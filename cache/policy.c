/* The closed list of reasons, and what a final response means for records already there. */
#include "cache/policy.h"

const char *reason_token(enum reason reason)
{
	static const char *const tokens[REASON_COUNT] = {
#define REASON(id, token, help) token,
#include "cache/reasons.def"
#undef REASON
	};

	return tokens[reason];
}

bool policy_keeps_old_record(const struct http_response *res)
{
	return res->status == 204 || res->status >= 500;
}

bool policy_invalidates(const struct http_request *req, const struct http_response *res)
{
	/* CONNECT has no target that could be stored. */
	return !http_method_is_safe(req->method) && req->method != METHOD_CONNECT &&
	       res->status >= 200 && res->status < 400;
}
