/* What all pages of the operators' front end have in common. */
#include "proxy/front/admin_page.h"

#include <stdlib.h>

#include "cache/http/fields.h"
#include "proxy/loop/env.h"
#include "proxy/stats/store_counts.h"

bool admin_read_params(struct exchange *x, struct admin_params *ret_params)
{
	if (admin_params_begin(ret_params, x->req.uri.path))
		return true;
	exchange_fail(x, FAILURE_INTERNAL);
	return false;
}

void admin_refuse(struct exchange *x, unsigned status, const char *fields, const char *text)
{
	exchange_answer_local(x, status, "text/plain; charset=utf-8", slice_str(fields),
			      slice_str(text));
}

static void answer_text(struct exchange *x, unsigned status, const char *content_type, char *text,
			size_t length)
{
	if (text == NULL) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	exchange_answer_local(x, status, content_type, SLICE(ADMIN_FIELDS), slice_of(text, length));
	free(text);
}

void admin_answer_text(struct exchange *x, const char *content_type, char *text, size_t length)
{
	answer_text(x, 200, content_type, text, length);
}

void admin_answer_json(struct exchange *x, unsigned status, struct json_writer *out)
{
	size_t length = 0;
	char *text = json_writer_take(out, &length);

	answer_text(x, status, "application/json", text, length);
}

/* The page that sends it, if one does, is from here: "http://" and our Host. */
static bool origin_is_ours(const struct http_request *req, struct slice origin)
{
	const struct http_field *host = http_fields_first(&req->fields, FIELD_HOST);
	struct slice scheme = SLICE("http://");

	return host != NULL && origin.n == scheme.n + host->value.n &&
	       slice_eq(slice_of(origin.p, scheme.n), scheme) &&
	       slice_ieq(slice_of(origin.p + scheme.n, host->value.n), host->value);
}

/*
 * A browser sends a POST to any address for any page (HAZARDS M4), but says from where: Origin (RFC
 * 6454 7) in all of them, Sec-Fetch-Site (Fetch Metadata) in newer ones.  A program sends neither.
 */
bool admin_is_from_own_page(const struct http_request *req)
{
	for (size_t i = 0; i < req->fields.count; i++) {
		const struct http_field *field = &req->fields.at[i];

		if (field->id == FIELD_ORIGIN && !origin_is_ours(req, field->value))
			return false;
		if (slice_ieq(field->name, SLICE("Sec-Fetch-Site")) &&
		    !slice_eq(field->value, SLICE("same-origin")) &&
		    !slice_eq(field->value, SLICE("none")))
			return false;
	}
	return true;
}

void admin_page_sum(const struct env *env, struct stats *ret_sum)
{
	const struct stats_service *service = env->service;

	store_counts_note(env->counts);
	stats_sum(service->blocks, atomic_load_explicit(&service->used, memory_order_relaxed),
		  ret_sum);
}
