/* Purges by operators: what they ask for. */
#include "proxy/front/admin_purge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/policy/rule.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/admin_params.h"
#include "proxy/front/purge_report.h"
#include "proxy/loop/env.h"
#include "proxy/stats/events.h"
#include "proxy/stats/stats.h"
#include "proxy/base/log.h"

static void answer_text(struct exchange *x, unsigned status, const char *text)
{
	exchange_answer_local(x, status, "application/json", SLICE(ADMIN_FIELDS), slice_str(text));
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

/* ---- everything, and one URI ---------------------------------------------------------------- */

static void purge_all(struct exchange *x)
{
	const struct env *env = x->use->env;
	struct store_usage usage;
	char text[128], operator[ADDRESS_TEXT_SIZE];
	uint64_t id;

	turn_read_clocks(env->turn);
	id = cache_purge_all(env->cache, &env->turn->now);
	turn_read_clocks(env->turn);
	STATS_ADD(purges, 1);
	store_usage(cache_store_of(env->cache), &usage);
	events_add(env->service->events, EVENT_PURGE, "purge of everything");
	log_info("purge of everything by %s: %llu URIs", operator_of(x, operator),
		 (unsigned long long)usage.entries);
	snprintf(text, sizeof(text),
		 "{\"purged\": %llu, \"removal\": \"in the background\", \"id\": %llu}\n",
		 (unsigned long long)usage.entries, (unsigned long long)id);
	answer_text(x, 202, text);
}

static void purge_uri(struct exchange *x, const struct http_uri *uri)
{
	const struct env *env = x->use->env;
	char *normal = malloc(policy_key_uri_max(uri));
	char operator[ADDRESS_TEXT_SIZE], told[512];
	enum cache_purging result;
	struct slice key;

	if (normal == NULL) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	key = policy_key_uri(env->conf, uri, normal);
	result = cache_purge(env->cache, key);
	log_quote(key.p, key.n, told, sizeof(told));
	events_add(env->service->events, EVENT_PURGE, "purge of %.*s", SLICE_ARG(key));
	free(normal);
	STATS_ADD(purges, 1);
	log_info("purge of %s by %s", told, operator_of(x, operator));
	answer_text(x, 200, result == CACHE_PURGED_ALL ? "{\"purged\": 1}\n" : "{\"purged\": 0}\n");
}

/* ---- patterns ------------------------------------------------------------------------------- */

static void log_purge(const struct exchange *x, const struct purge *purge)
{
	struct slice text = purge_text(purge);
	char operator[ADDRESS_TEXT_SIZE], told[512] = "", what[64];

	log_quote(text.p, text.n, told, sizeof(told));
	if (purge->kind == PURGE_ALL)
		told[0] = '\0';
	snprintf(what, sizeof(what), "%spurge of %s%s", purge->soft ? "soft " : "",
		 purge->kind == PURGE_ALL ? "everything" : purge_kind_name(purge->kind),
		 told[0] != '\0' ? " " : "");
	events_add(x->use->env->service->events, EVENT_PURGE, "%s%.*s", what,
		   told[0] != '\0' ? (int)text.n : 0, text.p);
	log_info("%s%s by %s", what, told, operator_of(x, operator));
}

static void refuse_failed(struct exchange *x)
{
	admin_refuse(x, 503, ADMIN_FIELDS "Retry-After: 1\r\n",
		     "The store failed, and nothing is purged: see the log.\n");
}

static void purge_begin_one(struct exchange *x, struct purge *purge)
{
	const struct env *env = x->use->env;
	enum cache_purging result;

	turn_read_clocks(env->turn);
	result = cache_purge_begin(env->cache, &env->turn->now, purge);
	switch (result) {
	case CACHE_PURGE_FAILED:
		refuse_failed(x);
		return;
	case CACHE_PURGE_REFUSED:
		admin_refuse(x, 503, ADMIN_FIELDS "Retry-After: 1\r\n",
			     "Too many purges are pending, and nothing is purged: GET /purge lists "
			     "them.  Try again when one has ended, or purge everything.\n");
		return;
	case CACHE_PURGED_ALL:
	case CACHE_PURGED_NOTHING:
		answer_text(x, 200,
			    result == CACHE_PURGED_ALL ? "{\"purged\": 1, \"soft\": true}\n"
						       : "{\"purged\": 0, \"soft\": true}\n");
		break;
	case CACHE_PURGE_GOES_ON:
		purge_report_one(x, 202, purge);
		break;
	}
	STATS_ADD(purges, 1);
	log_purge(x, purge);
}

/* What the parameters say: each at most once. */
struct asked {
	const struct conf *conf;
	struct slice uri, prefix, host, group;
	bool all, soft, wrong;
	struct http_uri parsed; /* of uri or prefix */
};

static void set_once(struct asked *asked, struct slice *to, struct slice value)
{
	asked->wrong |= to->n > 0 || value.n == 0;
	*to = value;
}

static void set_switch(struct asked *asked, bool *to, struct slice value)
{
	*to = slice_eq(value, SLICE("1"));
	asked->wrong |= !*to && !slice_eq(value, SLICE("0"));
}

static void read_asked(struct admin_params *params, struct asked *asked)
{
	struct slice name, value;

	while (admin_params_next(params, &name, &value)) {
		if (slice_eq(name, SLICE("uri")))
			set_once(asked, &asked->uri, value);
		else if (slice_eq(name, SLICE("prefix")))
			set_once(asked, &asked->prefix, value);
		else if (slice_eq(name, SLICE("host")))
			set_once(asked, &asked->host, value);
		else if (slice_eq(name, SLICE("group")))
			set_once(asked, &asked->group, value);
		else if (slice_eq(name, SLICE("all")))
			set_switch(asked, &asked->all, value);
		else if (slice_eq(name, SLICE("soft")))
			set_switch(asked, &asked->soft, value);
		else
			asked->wrong = true;
	}
	asked->wrong |= params->bad;
}

static bool is_uri(struct asked *asked, struct slice text)
{
	return http_uri_parse_absolute(text, &asked->parsed) == URI_OK;
}

/* Exactly one thing is asked for, but that a group needs to be told of its origin. */
static bool make_purge(struct asked *asked, struct purge *purge)
{
	unsigned things = (asked->uri.n > 0) + (asked->prefix.n > 0) + (asked->host.n > 0) +
			  (unsigned)asked->all;

	purge->soft = asked->soft;
	if (asked->wrong || things != 1)
		return false;
	if (asked->group.n > 0 && asked->uri.n > 0)
		return is_uri(asked, asked->uri) &&
		       purge_of_group(&asked->parsed, asked->group, purge);
	if (asked->group.n > 0)
		return asked->host.n > 0 && purge_of_group_at(asked->host, asked->group, purge);
	if (asked->uri.n > 0)
		return is_uri(asked, asked->uri) &&
		       purge_of_uri(asked->conf, &asked->parsed, purge);
	if (asked->prefix.n > 0)
		return is_uri(asked, asked->prefix) && purge_of_prefix(&asked->parsed, purge);
	if (asked->host.n > 0)
		return purge_of_host(asked->host, purge);
	purge->kind = PURGE_ALL;
	return true;
}

static void refuse(struct exchange *x)
{
	admin_refuse(
		x, 400, ADMIN_FIELDS,
		"Say /purge for all, or one of\n"
		"  /purge?uri=URI\n"
		"  /purge?prefix=URI (scheme, host and how its path begins)\n"
		"  /purge?host=HOST or HOST:PORT\n"
		"  /purge?group=NAME&uri=URI (of the group's origin), or &host=HOST\n"
		"  /purge?all=1\n"
		"each with soft=1 to make stale only.  A URI is an absolute http or https URI, "
		"as it is and last of all, or encoded as in a form, without user and "
		"fragment; a prefix has at most 1000 bytes.\n");
}

/* A query that is not understood is no purge of everything. */
void admin_purge(struct exchange *x)
{
	struct admin_params params;
	struct asked asked = {.conf = x->use->conf};
	struct purge purge = {0};
	bool good;

	if (memchr(x->req.uri.path.p, '?', x->req.uri.path.n) == NULL) {
		purge_all(x);
		return;
	}
	if (!admin_read_params(x, &params))
		return;
	read_asked(&params, &asked);
	errno = 0;
	good = make_purge(&asked, &purge);
	if (!good && errno == ENOMEM)
		exchange_fail(x, FAILURE_INTERNAL);
	else if (!good)
		refuse(x);
	else if (purge.soft || purge.kind > PURGE_URI)
		purge_begin_one(x, &purge);
	else if (purge.kind == PURGE_URI)
		purge_uri(x, &asked.parsed);
	else
		purge_all(x);
	admin_params_end(&params);
}

/* ---- what became of them -------------------------------------------------------------------- */

void admin_purges(struct exchange *x)
{
	struct admin_params params;
	struct slice name, value;
	uint64_t id = 0;
	bool wrong = false;

	if (!admin_read_params(x, &params))
		return;
	while (admin_params_next(&params, &name, &value))
		wrong |= !slice_eq(name, SLICE("id")) || id != 0 || !purge_id_of(value, &id);
	wrong |= params.bad;
	admin_params_end(&params);
	if (wrong)
		admin_refuse(x, 405, ADMIN_FIELDS "Allow: POST\r\n",
			     "GET /purge lists purges, GET /purge?id=ID tells of one; they begin "
			     "by POST alone.\n");
	else if (id != 0)
		purge_report_id(x, id);
	else
		purge_report_all(x);
}
