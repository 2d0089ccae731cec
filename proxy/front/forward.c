/* The forward proxy: the steps of a request from admission to its answer or fetch. */
#include "proxy/front/forward.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "cache/policy/rule.h"
#include "cache/record/vary.h"
#include "proxy/exchange/fetch.h"
#include "proxy/front/forward_rules.h"
#include "proxy/front/logins.h"
#include "proxy/access/access.h"
#include "proxy/base/cause.h"
#include "proxy/http1/parse.h"
#include "proxy/loop/env.h"
#include "proxy/origin/admission.h"
#include "proxy/base/log.h"
#include "proxy/exchange/inside.h"
#include "proxy/exchange/tunnel.h"
#include "proxy/stats/notices.h"

static const struct frontend inside_frontend;

/* ---- steps ---------------------------------------------------------------------------------- */

/* Needs memory of its own from here on.  False when there is none, and the exchange was failed. */
static bool park(struct exchange *x)
{
	if (exchange_park(x))
		return true;
	exchange_fail(x, FAILURE_INTERNAL);
	return false;
}

static void answer_options(struct exchange *x)
{
	const struct conf *conf = x->use->conf;
	struct buf lines = {0};

	if (compose_allow(&lines, conf) && buf_append(&lines, SLICE("Cache-Status: ")) &&
	    buf_append(&lines, slice_str(conf->pseudonym)) && buf_append(&lines, SLICE("\r\n")))
		exchange_answer_local(x, 204, "", buf_waiting(&lines), slice_of("", 0));
	else
		exchange_fail(x, FAILURE_INTERNAL);
	buf_free(&lines);
}

/*
 * What can be decided without a look-up.  `failure` says who asks, or why that is not known.
 * False when the exchange was answered.
 */
static bool step_admit(struct exchange *x, enum failure failure)
{
	if (failure == FAILURE_NONE)
		failure = forward_refuses(x->use->env->access, &x->req);
	if (failure != FAILURE_NONE) {
		exchange_fail(x, failure);
		return false;
	}
	if (x->req.form == TARGET_ASTERISK) {
		answer_options(x);
		return false;
	}
	if (x->req.form == TARGET_ORIGIN) {
		exchange_fail(x, FAILURE_NOT_A_PROXY_REQUEST);
		return false;
	}
	return true;
}

/* Counted when it is known what comes of it: the first look-up says why the origin is asked. */
static void note_asked(struct exchange *x, enum reason why)
{
	if (x->asked == REASON_NONE)
		x->asked = why;
}

/* Ask the origin: for this request alone, as the cache has no part in it. */
static void bypass(struct exchange *x, enum forward_reason fwd, enum reason why, bool had_record)
{
	struct fetch_plan plan = {.cacheable = false, .passed_over.had_record = had_record};

	note_asked(x, why);
	x->outcome = OUTCOME_BYPASS;
	x->status_field.fwd = (uint8_t)fwd;
	x->status_field.why = why;
	if (park(x))
		fetch_start(x->use->env->fetches, x, &plan);
}

static void forget_status(struct exchange *x)
{
	x->status_field.why = REASON_NONE;
	x->status_field.collapsed = false;
}

/* As if there were no record. */
static void forget_record(struct exchange *x, struct cache_lookup *lookup)
{
	forward_forget_record(&x->req, &x->use->turn->now, x->use->conf, lookup);
	forget_status(x);
}

/* Ask the origin, validating the record that was found, if any. */
static void ask(struct exchange *x, const struct cache_lookup *lookup)
{
	const struct conf *options = policy_options(&x->req, x->use->conf);
	struct fetch_plan plan = {
		.cacheable = true,
		.key = fetch_key(&lookup->key, x->req.method, x->frontend->chosen),
	};

	note_asked(x, lookup->why);
	x->outcome = OUTCOME_MISS;
	x->status_field.fwd = (uint8_t)forward_reason_of(lookup);
	/* "no record" is what fwd= says already */
	if (lookup->has_record || lookup->why == REASON_ADMISSION)
		x->status_field.why = lookup->why;
	plan.not_reusable =
		x->stored_for && lookup->has_record &&
		(lookup->why == REASON_EXPIRED || lookup->why == REASON_RESPONSE_NO_CACHE);
	plan.proved = lookup->has_record && lookup->why != REASON_RESPONSE_NO_CACHE &&
		      policy_lifetime_s(record_meta(&lookup->record), options) > 0;
	plan.passed_over.had_fresh =
		lookup->has_record && lookup->why != REASON_RESTORED &&
		policy_age_s(record_meta(&lookup->record), &x->use->turn->now) <
			policy_lifetime_s(record_meta(&lookup->record), options);
	if (lookup->has_record && lookup->verdict == REUSE_VALIDATE &&
	    !exchange_keep_record(x, lookup)) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	if (park(x))
		fetch_start(x->use->env->fetches, x, &plan);
}

/* A personal field that selected the record does not count as personal: others sent the same. */
static bool is_left_out(const struct http_field *field, struct slice vary)
{
	bool needed = http_field_flags((enum http_field_id)field->id) & KEEP;

	return policy_is_personal(field) && (needed || !vary_has_name(vary, field->name));
}

/* Make of a request that a record answers the question for that record. */
static void make_background(struct http_request *req, const struct record_view *record)
{
	struct http_fields *fields = &req->fields;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < fields->count; i++) {
		if (is_left_out(&fields->at[i], record_vary(record)))
			fields->present &= ~((uint64_t)1 << fields->at[i].id);
		else
			fields->at[kept++] = fields->at[i];
	}
	fields->count = kept;
	if (record_meta(record)->kind == RECORD_GET) {
		req->method = METHOD_GET;
		req->method_name = SLICE("GET");
	}
}

/* A validation that is to begin once the client was answered; the memory of its exchange then. */
struct background {
	struct task task;
	struct exchanges *exchanges;
	const struct frontend *frontend;
	struct lease lease;
	budget_id holder;        /* for whom it is made */
	struct http_request req; /* as the client sent it */
	_Alignas(struct http_field) char memory[];
};

static void background_end(struct background *background, struct lease *lease)
{
	lease_release(lease);
	free(background);
}

/*
 * Another worker may have ended a validation between the lookup and the lease, so it is looked up
 * again, in the store as it is now.
 */
static void background_begin(void *owner)
{
	struct background *background = owner;
	struct exchanges *use = background->exchanges;
	struct fetch_plan plan = {.cacheable = true, .proved = true, .lease = background->lease};
	struct cache_lookup lookup;
	struct exchange *x;

	cache_turn_end(use->cache);
	cache_lookup(use->cache, &background->req, &use->turn->now, &lookup);
	if (lookup.verdict != REUSE_REVALIDATE) {
		background_end(background, &plan.lease);
		return;
	}
	x = exchange_new(use, NULL, background->frontend);
	if (x == NULL) {
		background_end(background, &plan.lease);
		return;
	}
	STATS_ADD(exchanges, 1);
	x->outcome = OUTCOME_BACKGROUND;
	x->req = background->req;
	x->memory = background;
	x->holder = background->holder;
	if (!exchange_keep_record(x, &lookup)) {
		exchange_fail(x, FAILURE_INTERNAL);
		lease_release(&plan.lease);
		return;
	}
	make_background(&x->req, &lookup.record);
	plan.key = fetch_key(&lookup.key, x->req.method, x->frontend->chosen);
	plan.uri_key = x->uri_key = lookup.key;
	STATS_ADD(validations_background, 1);
	fetch_start(x->use->env->fetches, x, &plan);
}

/*
 * Once per key at a time (RFC 5861 3), over all workers.  Nothing here may touch the store: the
 * client is still to be answered from what was looked up.
 */
static void validate_later(struct exchange *x, const struct cache_lookup *lookup)
{
	const struct env *env = x->use->env;
	bool is_get = record_meta(&lookup->record)->kind == RECORD_GET;
	struct cache_key key =
		fetch_key(&lookup->key, is_get ? METHOD_GET : x->req.method, x->frontend->chosen);
	struct background *background;
	struct lease lease = {0};

	if (fetch_under_way(env->fetches, &key) ||
	    !leases_take(env->leases, &key, env->turn->now_us / 1000, &lease))
		return;
	background = malloc(sizeof(*background) + http_request_copy_size(&x->req));
	if (background == NULL) {
		lease_release(&lease);
		return;
	}
	*background = (struct background){
		.task = {.run = background_begin, .owner = background},
		.exchanges = x->use,
		.frontend = x->frontend,
		.lease = lease,
		.holder = exchange_holder(x),
	};
	http_request_copy(&background->req, &x->req, background->memory);
	turn_soon(env->turn, &background->task);
}

/* False when the record can no longer be read, and nothing was done. */
static bool answer(struct exchange *x, const struct cache_lookup *lookup)
{
	bool fresh = lookup->verdict == REUSE_FRESH;

	x->outcome = fresh ? OUTCOME_HIT : OUTCOME_STALE;
	x->status_field.why = fresh ? REASON_NONE : lookup->why;
	if (x->no_wait) {
		/* What it waited for was fetched: no hit, by RFC 9211 2.6. */
		x->outcome = OUTCOME_COLLAPSED;
		x->status_field.collapsed = true;
		x->status_field.fwd_status = 0;
	}
	return exchange_answer_record(x, &lookup->record);
}

/* Bytes that were taken back are not read, whatever for: a miss. */
static void forget_ended(struct exchange *x, struct cache_lookup *lookup)
{
	if (!lookup->has_record || record_is_current(&lookup->record))
		return;
	STATS_ADD(views_ended, 1);
	forget_record(x, lookup);
}

/* Nothing that can write to the store, or end its view, may stand between the lookup and this. */
static void step_answer(struct exchange *x, struct cache_lookup *lookup)
{
	if (lookup->verdict == REUSE_REVALIDATE)
		validate_later(x, lookup);
	switch (lookup->verdict) {
	case REUSE_FRESH:
	case REUSE_STALE:
	case REUSE_REVALIDATE:
		if (answer(x, lookup))
			break;
		forget_record(x, lookup);
		step_answer(x, lookup);
		break;
	case REUSE_VALIDATE:
	case REUSE_MISS:
		ask(x, lookup);
		break;
	case REUSE_BYPASS:
		bypass(x, FWD_REQUEST, lookup->why, lookup->has_record);
		break;
	case REUSE_REFUSED:
		x->status_field.why = lookup->why;
		exchange_fail(x, FAILURE_ONLY_IF_CACHED);
		break;
	}
}

/* It came by the door that the client came by, or from where that client may go. */
static bool may_be_shown(const struct exchange *x, const struct record_view *record)
{
	return admission_allows(x->use->env->admission, record_meta(record)->admission) ||
	       x->frontend->chosen;
}

static void hide_record(struct exchange *x, struct cache_lookup *lookup)
{
	forward_hide_record(&x->req, &x->use->turn->now, x->use->conf, lookup);
	forget_status(x);
}

static void step_lookup(struct exchange *x)
{
	struct cache_lookup lookup;

	cache_lookup(x->use->cache, &x->req, &x->use->turn->now, &lookup);
	x->uri_key = lookup.key;
	forget_ended(x, &lookup);
	if (lookup.has_record && !may_be_shown(x, &lookup.record))
		hide_record(x, &lookup);
	step_answer(x, &lookup);
}

static void forward_again(struct exchange *x)
{
	step_lookup(x);
}

/*
 * No record could answer a request like this: the origin is asked, unless the request forbids it.
 */
static void step_bypass(struct exchange *x, enum reason why)
{
	enum reason refusal;

	if (policy_reuse(&x->req, NULL, &x->use->turn->now, x->use->conf, &refusal) ==
	    REUSE_REFUSED) {
		x->status_field.why = refusal;
		exchange_fail(x, FAILURE_ONLY_IF_CACHED);
		return;
	}
	bypass(x, why == REASON_METHOD ? FWD_METHOD : FWD_BYPASS, why, false);
}

/* ---- front end ------------------------------------------------------------------------------ */

static void step_tunnel(struct exchange *x)
{
	struct tunnels *tunnels = x->use->env->tunnels;

	if (!park(x))
		return;
	if (access_reads_tunnel(x->use->env->access, &x->req.uri))
		tunnel_offer(tunnels, x, &inside_frontend);
	else
		tunnel_start(tunnels, x);
}

/* From here on it is known who asks. */
static void handle_known(struct exchange *x, enum failure failure)
{
	if (!step_admit(x, failure))
		return;
	if (x->req.method == METHOD_CONNECT)
		step_tunnel(x);
	else
		forward_admitted(x);
}

/* In a tunnel: as if it had been asked in absolute-form by whom the CONNECT was of. */
static void inside_handle(struct exchange *x)
{
	const struct inside *inside = x->sink->inside;
	enum failure failure = inside_complete(inside, &x->req);

	STATS_ADD(tunnel_requests, 1);
	x->user = inside->user;
	if (failure == FAILURE_NONE) {
		policy_choose_rule(&x->req, x->use->conf);
		failure = forward_refuses(x->use->env->access, &x->req);
	}
	if (failure == FAILURE_NONE) {
		forward_admitted(x);
		return;
	}
	/* The client is mistaken in whom it talks to: what follows may be for another as well. */
	if (failure == FAILURE_MISDIRECTED) {
		cause_set_fault("not for the authority of the CONNECT");
		x->sink->last = true;
	}
	exchange_fail(x, failure);
	cause_clear();
}

static void forward_handle(struct exchange *x)
{
	enum failure failure = FAILURE_NONE;
	bool waits = false;

	if (x->use->env->logins != NULL)
		failure = logins_check(x->use->env->logins, x, &waits);
	if (waits)
		x->sink->kind->hold(x->sink);
	else
		handle_known(x, failure);
}

/* Without path and query, which may have secrets. */
void forward_announce(const struct exchange *x)
{
	const struct http_uri *uri = &x->req.uri;
	bool is_tunnel = x->req.method == METHOD_CONNECT;
	char client[ADDRESS_TEXT_SIZE], authority[URI_HOST_MAX + sizeof("[]:65535")];
	size_t length = http_uri_authority(uri, authority);

	if (!notices_first_request())
		return;
	address_format(&x->peer, client);
	log_info("first request through the proxy: %.*s %s%.*s from %s", (int)x->req.method_name.n,
		 x->req.method_name.p,
		 is_tunnel                     ? ""
		 : uri->scheme == SCHEME_HTTPS ? "https://"
					       : "http://",
		 (int)length, authority, client);
}

/*
 * Until a request has come that is one for a proxy: then forward_handle() takes its place, and no
 * other pays for the look.
 */
static void forward_handle_first(struct exchange *x)
{
	if (x->req.uri.host.n > 0 && x->req.form != TARGET_ORIGIN) {
		forward_frontend.handle = forward_handle;
		forward_announce(x);
	}
	forward_handle(x);
}

void forward_known(struct exchange *x, enum failure failure)
{
	struct answer_sink *sink = x->sink;

	handle_known(x, failure);
	sink->kind->let_go(sink, x); /* its body was held back meanwhile */
}

void forward_admitted(struct exchange *x)
{
	enum reason why;

	if (x->req.upgrade && !tunnel_may_open(x->use->env->tunnels)) {
		exchange_fail(x, FAILURE_TOO_MANY_TUNNELS);
		return;
	}
	if (x->req.method == METHOD_OPTIONS && forward_stops_here(&x->req))
		answer_options(x);
	else if (policy_is_lookup(&x->req, x->use->conf, &why))
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
	if (x->login != NULL) {
		logins_leave(x->login);
		return false;
	}
	if (x->tunnel != NULL) {
		tunnel_cancel(x);
		return false;
	}
	return fetch_leave(x->use->env->fetches, x);
}

static const struct frontend inside_frontend = {
	.name = "tunnel",
	.is_origin = true,
	.is_inside = true,
	.handle = inside_handle,
	.body = forward_body,
	.body_end = forward_body_end,
	.again = forward_again,
	.drained = forward_drained,
	.cancel = forward_cancel,
};

struct frontend forward_frontend = {
	.name = "proxy",
	.behind = true,
	.handle = forward_handle_first,
	.body = forward_body,
	.body_end = forward_body_end,
	.again = forward_again,
	.drained = forward_drained,
	.cancel = forward_cancel,
};
