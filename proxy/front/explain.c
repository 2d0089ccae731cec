/* What would become of a request now. */
#include "proxy/front/explain.h"

#include "cache/http/fields.h"
#include "cache/policy/rule.h"
#include "proxy/loop/turn.h"
#include "proxy/origin/admission.h"
#include "proxy/stats/last_uris.h"

const char *explain_verdict_token(enum explain_verdict verdict)
{
	static const char *const tokens[EXPLAIN_COUNT] = {
#define VERDICT(id, token, from_store) token,
#include "proxy/front/explain_verdicts.def"
#undef VERDICT
	};

	return tokens[verdict];
}

bool explain_is_from_store(enum explain_verdict verdict)
{
	static const bool from_stores[EXPLAIN_COUNT] = {
#define VERDICT(id, token, from_store) from_store,
#include "proxy/front/explain_verdicts.def"
#undef VERDICT
	};

	return from_stores[verdict];
}

/* ---- by which door -------------------------------------------------------------------------- */

/* The gateway whose origin the URI is of, if there is one: "ADDRESS:PORT". */
static struct slice gateway_for(const struct conf *conf, const struct http_uri *uri)
{
	for (size_t i = 0; i < conf->gateway.count; i++) {
		struct conf_gateway gateway;
		struct http_uri origin;

		if (conf_split_gateway(conf->gateway.at[i], &gateway) &&
		    http_uri_parse_absolute(slice_str(gateway.origin), &origin) == URI_OK &&
		    http_uri_same_origin(&origin, uri))
			return slice_of(conf->gateway.at[i], strlen(gateway.listen));
	}
	return slice_of(NULL, 0);
}

/* Who asks by way of a gateway may go where the operator chose; others go by the proxy's rules. */
static enum failure enter(struct explained *explained)
{
	const struct access *access = explained->env->access;
	const struct http_request *req = explained->req;
	enum failure failure = forward_refuses(access, req);

	explained->gateway = gateway_for(explained->env->conf, &req->uri);
	explained->chosen = explained->gateway.n > 0;
	if (!explained->chosen)
		return failure;
	explained->proxy_refuses = failure;
	return gateway_refuses(access, req);
}

/* ---- what is made of it --------------------------------------------------------------------- */

static void refuse(struct explained *explained, enum failure failure)
{
	explained->verdict = EXPLAIN_REFUSED;
	explained->refused = failure;
	explained->status = failure_status(failure);
}

static void answer(struct explained *explained, enum explain_verdict verdict)
{
	const struct cache_lookup *lookup = &explained->in_store.lookup;
	const struct conf *conf = explained->env->conf;
	bool matches = conf->conditional_hit == CONF_CONDITIONAL_HIT_304 &&
		       policy_not_modified(explained->req, record_meta(&lookup->record),
					   record_etag(&lookup->record), &explained->now);

	explained->verdict = verdict;
	explained->status = matches ? 304 : 204;
	explained->status_field.hit = true;
	explained->status_field.ttl_s = explained->lifetime_s - explained->age_s;
	explained->status_field.why = verdict == EXPLAIN_HIT ? REASON_NONE : explained->why;
}

static void ask(struct explained *explained, enum explain_verdict verdict)
{
	const struct cache_lookup *lookup = &explained->in_store.lookup;

	explained->verdict = verdict;
	explained->status_field.fwd = (uint8_t)forward_reason_of(lookup);
	if (lookup->has_record || explained->why == REASON_ADMISSION)
		explained->status_field.why = explained->why;
}

static void bypass(struct explained *explained, enum forward_reason fwd)
{
	explained->verdict = EXPLAIN_BYPASS;
	explained->status_field.fwd = (uint8_t)fwd;
	explained->status_field.why = explained->why;
}

static void look_up(struct explained *explained)
{
	const struct env *env = explained->env;
	struct cache_lookup *lookup = &explained->in_store.lookup;

	cache_peek(env->cache, explained->req, &explained->now, &explained->in_store);
	explained->found = true;
	if (lookup->has_record && !explained->chosen &&
	    !admission_allows(env->admission, record_meta(&lookup->record)->admission))
		forward_hide_record(explained->req, &explained->now, env->conf, lookup);
	if (lookup->has_record) {
		explained->age_s = policy_age_s(record_meta(&lookup->record), &explained->now);
		explained->lifetime_s =
			policy_lifetime_s(record_meta(&lookup->record), explained->options);
	}
	explained->why = lookup->why;
	switch (lookup->verdict) {
	case REUSE_FRESH:
		answer(explained, EXPLAIN_HIT);
		break;
	case REUSE_STALE:
	case REUSE_REVALIDATE:
		answer(explained, EXPLAIN_STALE);
		break;
	case REUSE_VALIDATE:
		ask(explained, EXPLAIN_VALIDATE);
		break;
	case REUSE_MISS:
		ask(explained, EXPLAIN_MISS);
		explained->barred =
			last_uris_find(last_uris_all(), &explained->req->uri, REASON_AT_STORE);
		break;
	case REUSE_BYPASS:
		bypass(explained, FWD_REQUEST);
		break;
	case REUSE_REFUSED:
		refuse(explained, FAILURE_ONLY_IF_CACHED);
		explained->status_field.why = lookup->why;
		break;
	}
}

/* No record could answer a request like this. */
static void pass_by(struct explained *explained, enum reason why)
{
	enum reason refusal;

	explained->why = why;
	if (policy_reuse(explained->req, NULL, &explained->now, explained->env->conf, &refusal) ==
	    REUSE_REFUSED) {
		explained->why = explained->status_field.why = refusal;
		refuse(explained, FAILURE_ONLY_IF_CACHED);
		return;
	}
	bypass(explained, why == REASON_METHOD ? FWD_METHOD : FWD_BYPASS);
}

void explain(const struct env *env, const struct http_request *req, struct explained *ret_explained)
{
	enum failure failure;
	enum reason why;

	*ret_explained = (struct explained){.req = req,
					    .env = env,
					    .options = policy_options(req, env->conf),
					    .now = env->turn->now};
	failure = enter(ret_explained);
	if (failure != FAILURE_NONE) {
		refuse(ret_explained, failure);
	} else if (req->method == METHOD_OPTIONS && forward_stops_here(req)) {
		ret_explained->verdict = EXPLAIN_LOCAL;
		ret_explained->status = 204;
	} else if (policy_is_lookup(req, env->conf, &why)) {
		look_up(ret_explained);
	} else {
		pass_by(ret_explained, why);
	}
}

void explain_answered(struct explained *explained, const struct http_response *res,
		      const struct lint *lint)
{
	explained->asked = true;
	explained->kept = lint->stored;
	explained->barred = lint->stored ? REASON_NONE : lint->why;
	if (explain_is_from_store(explained->verdict))
		return;
	explained->status_field.fwd_status = res->status;
	explained->status_field.stored = lint->stored;
	explained->status_field.why = explained->barred;
}
