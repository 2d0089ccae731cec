/* The forward proxy: the steps of a request from admission to its answer or fetch. */
#include "proxy/forward.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/http_fields.h"
#include "proxy/client.h"
#include "proxy/credentials.h"
#include "proxy/fetch.h"
#include "proxy/parse.h"
#include "proxy/tunnel.h"

/* ---- steps ---------------------------------------------------------------------------------- */

/* Needs memory of its own from here on.  False when there is none, and the exchange was failed. */
static bool park(struct exchange *x)
{
	if (exchange_park(x))
		return true;
	exchange_fail(x, FAILURE_INTERNAL);
	return false;
}

/* RFC 9110 7.6.2: TRACE and OPTIONS stop here when Max-Forwards says so. */
static bool stops_here(const struct exchange *x)
{
	const struct http_field *line = http_fields_first(&x->req.fields, FIELD_MAX_FORWARDS);

	return (x->req.method == METHOD_OPTIONS || x->req.method == METHOD_TRACE) && line != NULL &&
	       slice_eq(line->value, SLICE("0"));
}

static void answer_options(struct exchange *x)
{
	const struct conf *conf = x->worker->conf;
	struct buf lines = {0};

	if (compose_allow(&lines, conf) && buf_append(&lines, SLICE("Cache-Status: ")) &&
	    buf_append(&lines, slice_str(conf->pseudonym)) && buf_append(&lines, SLICE("\r\n")))
		exchange_answer_local(x, 204, "", buf_waiting(&lines), slice_of("", 0));
	else
		exchange_fail(x, FAILURE_INTERNAL);
	buf_free(&lines);
}

/* Who asks, and whether that may be asked for. */
static enum failure judge(struct exchange *x)
{
	struct credentials *credentials = x->worker->shared->credentials;
	enum failure failure = FAILURE_NONE;

	if (credentials != NULL)
		failure = credentials_check(credentials, &x->req, x->worker->now_ms, &x->user);
	return failure != FAILURE_NONE ? failure : access_request(x->worker->access, &x->req);
}

/* What can be told without looking anything up.  False when the exchange was answered. */
static bool step_admit(struct exchange *x)
{
	enum failure failure = judge(x);

	if (failure != FAILURE_NONE) {
		exchange_fail(x, failure);
		return false;
	}
	if (x->req.form == TARGET_ASTERISK) {
		answer_options(x);
		return false;
	}
	/* a TRACE would show fields of the proxy's side to the client (HAZARDS T8) */
	if (x->req.method == METHOD_TRACE) {
		exchange_fail(x, FAILURE_DENIED_METHOD);
		return false;
	}
	if (x->req.form == TARGET_ORIGIN) {
		exchange_fail(x, FAILURE_NOT_A_PROXY_REQUEST);
		return false;
	}
	return true;
}

/* Ask the origin: for this request alone, as the cache has no part in it. */
static void bypass(struct exchange *x, enum forward_reason fwd, enum reason why, bool had_record)
{
	struct fetch_plan plan = {.cacheable = false, .had_record = had_record};

	x->outcome = OUTCOME_BYPASS;
	x->status_field.fwd = (uint8_t)fwd;
	x->status_field.why = why;
	if (park(x))
		fetch_start(x, &plan);
}

static enum forward_reason forward_reason_of(const struct cache_lookup *lookup)
{
	if (!lookup->has_record)
		return lookup->uri_known ? FWD_VARY_MISS : FWD_URI_MISS;
	switch (lookup->why) {
	case REASON_EXPIRED:
	case REASON_CLOCK:
	case REASON_RESTORED:
	case REASON_RESPONSE_NO_CACHE:
		return FWD_STALE;
	default:
		return FWD_REQUEST;
	}
}

/* Ask the origin, validating the record that was found, if any. */
static void ask(struct exchange *x, const struct cache_lookup *lookup)
{
	struct fetch_plan plan = {
		.cacheable = true,
		.key = fetch_key(&lookup->key, x->req.method),
	};

	x->outcome = OUTCOME_MISS;
	x->status_field.fwd = (uint8_t)forward_reason_of(lookup);
	/* "no record" is what fwd= says already */
	if (lookup->has_record)
		x->status_field.why = lookup->why;
	plan.spent = x->stored_for && lookup->has_record &&
		     (lookup->why == REASON_EXPIRED || lookup->why == REASON_RESPONSE_NO_CACHE);
	plan.had_fresh = lookup->has_record && lookup->why != REASON_RESTORED &&
			 policy_age_s(lookup->record.meta, &x->worker->now) <
				 policy_lifetime_s(lookup->record.meta, x->worker->conf);
	if (lookup->has_record && lookup->verdict == REUSE_VALIDATE &&
	    !exchange_keep_record(x, &lookup->record)) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	if (park(x))
		fetch_start(x, &plan);
}

/* What only this client wants, and not of what is stored. */
static bool is_client_wish(const struct http_field *field)
{
	return field->id == FIELD_IF_NONE_MATCH || field->id == FIELD_IF_MODIFIED_SINCE ||
	       field->id == FIELD_RANGE || field->id == FIELD_EXPECT ||
	       field->id == FIELD_CACHE_CONTROL || field->id == FIELD_PRAGMA;
}

/* The question for a record, made from one that it answers.  `lines` are of the new one. */
static struct http_request background_request(const struct http_request *req, enum record_kind kind,
					      struct http_field lines[PARSE_FIELDS_MAX])
{
	struct http_request background = *req;
	struct http_fields *fields = &background.fields;

	fields->at = lines;
	fields->count = 0;
	for (uint32_t i = 0; i < req->fields.count; i++) {
		if (is_client_wish(&req->fields.at[i]))
			fields->present &= ~((uint64_t)1 << req->fields.at[i].id);
		else
			lines[fields->count++] = req->fields.at[i];
	}
	if (kind == RECORD_GET) {
		background.method = METHOD_GET;
		background.method_name = SLICE("GET");
	}
	return background;
}

/*
 * May a validation in the background begin?  Once per key at a time (RFC 5861 3), over all workers:
 * another may have ended one between our lookup and our claim, so it is looked up again.
 */
static struct claim claim_validation(struct exchange *x, struct cache_lookup *lookup)
{
	struct worker *worker = x->worker;
	bool is_get = lookup->record.meta->kind == RECORD_GET;
	struct cache_key key = fetch_key(&lookup->key, is_get ? METHOD_GET : x->req.method);
	struct claim claim = {0};

	if (fetch_under_way(worker, &key) ||
	    !claims_take(worker->shared->claims, &key, worker->now_ms, &claim) ||
	    worker->shared->workers == 1)
		return claim;
	cache_turn_end(worker->cache);
	cache_lookup(worker->cache, &x->req, &worker->now, lookup);
	if (lookup->verdict != REUSE_REVALIDATE)
		claims_release(&claim);
	return claim;
}

/* Validate in the background, for nobody in particular. */
static void revalidate_in_background(struct exchange *x, const struct cache_lookup *lookup,
				     struct claim claim)
{
	static struct http_field lines[PARSE_FIELDS_MAX];
	enum record_kind kind = (enum record_kind)lookup->record.meta->kind;
	struct http_request req = background_request(&x->req, kind, lines);
	struct fetch_plan plan = {
		.cacheable = true,
		.key = fetch_key(&lookup->key, req.method),
		.claim = claim,
	};
	struct exchange *background = exchange_new(x->worker, NULL, x->frontend);

	if (background == NULL) {
		claims_release(&plan.claim);
		return;
	}
	STATS_ADD(exchanges, 1);
	background->req = req;
	background->outcome = OUTCOME_BACKGROUND;
	if (!exchange_park(background) || !exchange_keep_record(background, &lookup->record)) {
		exchange_fail(background, FAILURE_INTERNAL);
		claims_release(&plan.claim);
		return;
	}
	STATS_ADD(validations_background, 1);
	fetch_start(background, &plan);
}

static void answer(struct exchange *x, const struct cache_lookup *lookup)
{
	bool fresh = lookup->verdict == REUSE_FRESH;

	x->outcome = fresh ? OUTCOME_HIT : OUTCOME_STALE;
	x->status_field.why = fresh ? REASON_NONE : lookup->why;
	if (x->no_wait) {
		/* what it waited for was fetched: no hit, by RFC 9211 2.6 */
		x->outcome = OUTCOME_COLLAPSED;
		x->status_field.collapsed = true;
		x->status_field.fwd_status = 0;
	}
	exchange_answer_record(x, &lookup->record);
}

static void step_lookup(struct exchange *x)
{
	struct cache_lookup lookup;
	struct claim claim = {0};

	cache_lookup(x->worker->cache, &x->req, &x->worker->now, &lookup);
	if (lookup.verdict == REUSE_REVALIDATE)
		claim = claim_validation(x, &lookup);
	if (claim.slot != NULL)
		revalidate_in_background(x, &lookup, claim);
	switch (lookup.verdict) {
	case REUSE_FRESH:
	case REUSE_STALE:
	case REUSE_REVALIDATE:
		answer(x, &lookup);
		break;
	case REUSE_VALIDATE:
	case REUSE_MISS:
		ask(x, &lookup);
		break;
	case REUSE_BYPASS:
		bypass(x, FWD_REQUEST, lookup.why, lookup.has_record);
		break;
	case REUSE_REFUSED:
		x->status_field.why = lookup.why;
		exchange_fail(x, FAILURE_ONLY_IF_CACHED);
		break;
	}
}

void forward_again(struct exchange *x)
{
	step_lookup(x);
}

/* No record could answer a request like this: the origin is asked, unless the request forbids it.
 */
static void step_bypass(struct exchange *x, enum reason why)
{
	enum reason refusal;

	if (policy_reuse(&x->req, NULL, &x->worker->now, x->worker->conf, &refusal) ==
	    REUSE_REFUSED) {
		x->status_field.why = refusal;
		exchange_fail(x, FAILURE_ONLY_IF_CACHED);
		return;
	}
	bypass(x, why == REASON_METHOD ? FWD_METHOD : FWD_BYPASS, why, false);
}

/* ---- front end ------------------------------------------------------------------------------ */

static void forward_handle(struct exchange *x)
{
	if (!step_admit(x))
		return;
	if (x->req.method == METHOD_CONNECT) {
		if (park(x))
			tunnel_start(x);
		return;
	}
	forward_admitted(x);
}

void forward_admitted(struct exchange *x)
{
	enum reason why;

	if (x->req.upgrade && !tunnel_may_open(x->worker)) {
		exchange_fail(x, FAILURE_TOO_MANY_TUNNELS);
		return;
	}
	if (x->req.method == METHOD_OPTIONS && stops_here(x))
		answer_options(x);
	else if (policy_is_lookup(&x->req, x->worker->conf, &why))
		step_lookup(x);
	else
		step_bypass(x, why);
}

static bool forward_body(struct exchange *x, struct slice content)
{
	return fetch_send(x, content);
}

static void forward_body_end(struct exchange *x)
{
	fetch_send_end(x);
}

static void forward_drained(struct exchange *x)
{
	fetch_resume(x);
}

static bool forward_cancel(struct exchange *x)
{
	if (x->tunnel != NULL) {
		tunnel_cancel(x);
		return false;
	}
	return fetch_leave(x);
}

const struct frontend forward_frontend = {
	.name = "proxy",
	.behind = true,
	.handle = forward_handle,
	.body = forward_body,
	.body_end = forward_body_end,
	.drained = forward_drained,
	.cancel = forward_cancel,
};
