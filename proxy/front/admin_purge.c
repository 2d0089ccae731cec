/* Purges by operators. */
#include "proxy/front/admin_purge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/http/fields.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/admin_params.h"
#include "proxy/loop/env.h"
#include "proxy/base/log.h"

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

/* The one parameter is a URI.  A query that is not understood is no purge of everything. */
static bool read_uri(struct admin_params *params, struct http_uri *ret_uri)
{
	struct slice name, value;

	return admin_params_next(params, &name, &value) && slice_eq(name, SLICE("uri")) &&
	       http_uri_parse_absolute(value, ret_uri) == URI_OK && params->rest.n == 0;
}

void admin_purge(struct exchange *x)
{
	struct admin_params params;
	struct http_uri uri;

	if (memchr(x->req.uri.path.p, '?', x->req.uri.path.n) == NULL) {
		purge_all(x);
		return;
	}
	admin_params_begin(&params, x->req.uri.path);
	if (read_uri(&params, &uri))
		purge_uri(x, &uri);
	else
		admin_refuse(
			x, 400, ADMIN_FIELDS,
			"Say /purge for all, or /purge?uri= and an absolute http or https URI, "
			"as it is or encoded as in a form, without user and fragment.\n");
	admin_params_end(&params);
}
