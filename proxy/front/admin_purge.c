/* Purges by operators. */
#include "proxy/front/admin_purge.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "proxy/front/admin_page.h"
#include "proxy/loop/env.h"
#include "proxy/base/log.h"

/* ---- who may -------------------------------------------------------------------------------- */

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

/* ---- purging -------------------------------------------------------------------------------- */

static void answer(struct exchange *x, unsigned status, const char *content_type, const char *text)
{
	exchange_answer_local(x, status, content_type, SLICE(ADMIN_FIELDS), slice_str(text));
}

/*
 * For the log on stderr: changes are logged there, since operators' requests are not in the access
 * log.
 */
static const char *operator_of(const struct exchange *x, char text[static ADDRESS_TEXT_SIZE])
{
	address_format(&x->peer, text);
	return text;
}

static void purge_all(struct exchange *x)
{
	const struct env *env = x->use->env;
	struct store_usage usage;
	char text[128], operator[ADDRESS_TEXT_SIZE];

	turn_read_clocks(env->turn);
	cache_purge_all(env->cache, &env->turn->now);
	turn_read_clocks(env->turn);
	STATS_ADD(purges, 1);
	store_usage(cache_store_of(env->cache), &usage);
	log_info("purge of everything by %s: %llu URIs", operator_of(x, operator),
		 (unsigned long long)usage.entries);
	snprintf(text, sizeof(text), "{\"purged\": %llu, \"removal\": \"in the background\"}\n",
		 (unsigned long long)usage.entries);
	answer(x, 202, "application/json", text);
}

static void purge_uri(struct exchange *x, const struct http_uri *uri)
{
	const struct env *env = x->use->env;
	char *normal = malloc(http_uri_normal_max(uri));
	char operator[ADDRESS_TEXT_SIZE], told[512];
	enum cache_purging result;
	size_t n;

	if (normal == NULL) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	n = http_uri_normal(uri, normal);
	result = cache_purge(env->cache, slice_of(normal, n));
	log_quote(normal, n, told, sizeof(told));
	free(normal);
	if (result == CACHE_PURGE_FAILED) {
		answer(x, 503, "text/plain; charset=utf-8",
		       "The store failed: it may still have the URI.\n");
		return;
	}
	STATS_ADD(purges, 1);
	log_info("purge of %s by %s", told, operator_of(x, operator));
	answer(x, 200, "application/json",
	       result == CACHE_PURGED_ALL ? "{\"purged\": 1}\n" : "{\"purged\": 0}\n");
}

/* A query that is not understood is no purge of everything: a script may have lost its URI. */
void admin_purge(struct exchange *x)
{
	struct slice query = x->req.uri.path;
	size_t path_n = sizeof("/purge") - 1, named_n = sizeof("/purge?uri=") - 1;
	struct http_uri uri;

	if (!admin_is_from_own_page(&x->req)) {
		admin_refuse(x, 403, ADMIN_FIELDS, "A page of another origin may not purge.\n");
		return;
	}
	if (query.n == path_n) {
		purge_all(x);
		return;
	}
	if (query.n >= named_n && memcmp(query.p, "/purge?uri=", named_n) == 0 &&
	    http_uri_parse_absolute(slice_of(query.p + named_n, query.n - named_n), &uri) ==
		    URI_OK) {
		purge_uri(x, &uri);
		return;
	}
	admin_refuse(x, 400, ADMIN_FIELDS,
		     "Say /purge for all, or /purge?uri= and an absolute http or https URI as it "
		     "is: nothing encoded, no user, no fragment.\n");
}
