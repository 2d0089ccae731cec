/* Answers of origins: passed on, stored, and given to waiters; and failures. */
#include "proxy/exchange/fetch_answer.h"

#include "cache/http/fields.h"
#include "proxy/base/wall_clock.h"
#include "proxy/exchange/fetch_ask.h"
#include "proxy/exchange/fetch_state.h"
#include "proxy/exchange/stale_answer.h"
#include "proxy/exchange/tunnel.h"
#include "proxy/stats/stats.h"

enum { LEADERS_TRIED = 8 }; /* when a fetch has failed; then each of those left asks for itself */

static void on_failure(void *context, enum failure failure);

/* Is there something to learn from an answer that serves the next one as well? */
static bool may_learn(const struct fetch *fetch)
{
	return fetch->plan.cacheable &&
	       (fetch->waiters != NULL ||
		fetches_recall(fetch->all, &fetch->plan.key) == SHAREABLE_NO);
}

static void remember_shareable(const struct fetch *fetch)
{
	shareable_note(fetch->all->use.shareable, &fetch->plan.key, true,
		       fetch->all->use.turn->now_us / 1000, SHAREABLE_MS);
}

/* Would what is stored answer it now? */
static bool is_fresh_for(const struct exchange *x)
{
	struct cache_lookup lookup;

	cache_lookup(x->use->cache, &x->req, &x->use->turn->now, &lookup);
	return lookup.verdict == REUSE_FRESH;
}

static void fail_waiters(struct fetch *fetch, enum failure failure)
{
	while (fetch->waiters != NULL)
		fetch_release_waiter(fetch, fetch->waiters, false, failure);
}

/* Waiters that may get a stale record instead of the error do not ask a failing origin again. */
static void answer_waiters_stale(struct fetch *fetch, enum failure failure)
{
	struct exchange *x, *next;

	for (x = fetch->waiters; x != NULL; x = next) {
		next = x->next_waiter;
		if (!response_policy_allows_stale(x))
			continue;
		x->status_field.collapsed = true;
		fetch_release_waiter(fetch, x, false, failure);
	}
}

/* Failures after the origin received the request: the request may be the cause. */
static bool is_after_request(enum failure failure)
{
	switch (failure) {
	case FAILURE_ORIGIN_CLOSED:
	case FAILURE_ORIGIN_TIMEOUT:
	case FAILURE_ORIGIN_WRITE_TIMEOUT:
	case FAILURE_BAD_RESPONSE:
	case FAILURE_RESPONSE_HEAD_TOO_LARGE:
	case FAILURE_TOO_MANY_INTERIM:
		return true;
	default:
		return false;
	}
}

/*
 * The fetch has failed: the next waiter asks, and the others wait for it.  After the second failure
 * all fail if the origin cannot be reached; otherwise each asks for itself, so that two bad
 * requests do not make all others fail (HAZARDS X8).
 */
static void hand_over(struct fetch *fetch, enum failure failure)
{
	fetch_unshare(fetch);
	if (fetch->failed_before && is_after_request(failure)) {
		fetch_release_waiters(fetch, false);
		return;
	}
	if (fetch->failed_before) {
		fail_waiters(fetch, failure);
		return;
	}
	for (unsigned tried = 0; fetch->waiters != NULL && tried < LEADERS_TRIED; tried++) {
		struct exchange *next = fetch->waiters;
		struct fetch *new_fetch;

		fetch_remove_waiter(fetch, next);
		next->no_wait = true;
		next->frontend->again(next);
		new_fetch = fetches_find(fetch->all, &fetch->plan.key);
		if (new_fetch == NULL || new_fetch->leader != next)
			continue; /* it was answered, or failed at once, or asks alone */
		new_fetch->failed_before = true;
		while (fetch->waiters != NULL) {
			struct exchange *x = fetch->waiters;

			fetch_remove_waiter(fetch, x);
			fetch_add_waiter(new_fetch, x);
		}
		new_fetch->let_go_ms = fetch->let_go_ms;
		if (new_fetch->waiters != NULL)
			fetch_arm_patience(new_fetch);
	}
	fetch_release_waiters(fetch, false);
}

/* Ask the same origin anew, without any condition.  False when that cannot be. */
static bool ask_again(struct fetch *fetch)
{
	enum failure failure;

	fetch->again = false;
	return fetch_ask(fetch, fetch->leader, true, &fetch_answer_events, &failure);
}

/* The leader has its answer from elsewhere: what is left of the origin's is of no use. */
static void answer_leader(struct fetch *fetch, const struct record_view *record,
			  enum outcome outcome)
{
	struct exchange *x = fetch_dismiss_leader(fetch);

	if (x->outcome != OUTCOME_BACKGROUND)
		x->outcome = outcome;
	if (!exchange_answer_record(x, record))
		exchange_fail(x, FAILURE_INTERNAL);
}

static void on_interim(void *context, const struct http_response *res)
{
	exchange_pass_interim(fetch_of(context)->leader, res);
}

/* RFC 9110 7.8: to one protocol of those that were asked for, and no other. */
static bool is_asked_for(const struct http_request *req, const struct http_response *res)
{
	const struct http_field *line = http_fields_first(&res->fields, FIELD_UPGRADE);

	return line != NULL && http_fields_next(&res->fields, line) == NULL &&
	       http_list_has(&req->fields, FIELD_UPGRADE, line->value);
}

/* A request that asks for another protocol is never shared: it has a leader and no waiters. */
static void on_switched(void *context, const struct http_response *res, struct conn *conn,
			struct slice early)
{
	struct fetch *fetch = fetch_of(context);
	struct tunnels *tunnels = fetch->all->use.tunnels;
	union address address = fetch->origin->address;
	struct origin_times times = fetch->origin->times;
	struct exchange *x;

	fetch->origin = NULL;
	x = fetch_dismiss_leader(fetch);
	x->times = times;
	fetch_free(fetch);
	x->origin = address;
	x->status_field.fwd_status = res->status;
	if (is_asked_for(&x->req, res)) {
		tunnel_adopt(tunnels, x, res, conn, early);
		return;
	}
	conn_close(conn);
	exchange_fail(x, FAILURE_UNASKED_UPGRADE);
}

/* Before the answer is passed on, of which a view of the store may be a part. */
static void learn(struct fetch *fetch, const struct http_response *res, bool stored)
{
	if (!stored && fetch->plan.cacheable && policy_is_unshareable(&fetch->leader->req, res))
		fetches_note_unshareable(fetch->all, &fetch->plan.key);
	else if (stored && may_learn(fetch) && is_fresh_for(fetch->leader))
		remember_shareable(fetch);
}

/* The same of a record that was confirmed. */
static void learn_confirmed(struct fetch *fetch, const struct record_view *record)
{
	enum reason why;

	if (may_learn(fetch) &&
	    policy_reuse(&fetch->leader->req, record_meta(record), &fetch->all->use.turn->now,
			 fetch->all->use.conf, &why) == REUSE_FRESH)
		remember_shareable(fetch);
}

/*
 * One who did not wait, or was let go, has its answer before the one that others still wait for:
 * they need not when it serves them, or shows that none will.
 */
static void tell_waiters(const struct fetch *fetch, bool stored)
{
	struct fetch *other;

	if (!fetch->plan.cacheable)
		return;
	other = fetches_find(fetch->all, &fetch->plan.key);
	if (other == NULL || other == fetch || other->waiters == NULL)
		return;
	if (stored ? !is_fresh_for(other->waiters)
		   : fetches_recall(fetch->all, &fetch->plan.key) != SHAREABLE_NO)
		return;
	fetch_release_waiters(other, stored);
	fetch_drop_if_unwanted(other);
}

static void on_head(void *context, const struct http_response *res)
{
	struct fetch *fetch = fetch_of(context);
	struct exchange *x = fetch->leader;
	struct response_effect effect;

	x->origin = fetch->origin->address;
	x->times = fetch->origin->times;
	x->status_field.fwd_status = res->status;
	fetch->times.delay_ms = boot_clock_ms() - fetch->asked_ms;
	fetch->times.admission = fetch->origin->admission;
	switch (response_policy_apply(x, &fetch->plan.passed_over, &fetch->times, res, &effect)) {
	case RESPONSE_ASK_AGAIN:
		fetch->again = true;
		return;
	case RESPONSE_REFUSE:
		origin_cancel(fetch->origin);
		on_failure(fetch, FAILURE_BAD_RESPONSE);
		return;
	case RESPONSE_USE_STALE:
		x = fetch_dismiss_leader(fetch);
		if (!stale_answer(x, FAILURE_NONE))
			exchange_fail(x, FAILURE_INTERNAL);
		answer_waiters_stale(fetch, FAILURE_INTERNAL);
		break;
	case RESPONSE_USE_RECORD:
		learn_confirmed(fetch, &effect.record);
		answer_leader(fetch, &effect.record, OUTCOME_VALIDATED);
		break;
	case RESPONSE_PASS_ON:
		learn(fetch, res, effect.stored);
		exchange_pass_head(x, res);
		break;
	}
	fetch_unshare(fetch);
	fetch_release_waiters(fetch, effect.stored);
	tell_waiters(fetch, effect.stored);
	if (res->body == BODY_NONE)
		return;
	/* Content without a receiver. */
	x = fetch->leader;
	if (x != NULL && x->sink == NULL)
		exchange_end(fetch_dismiss_leader(fetch));
	if (fetch->leader == NULL)
		fetch_free(fetch);
}

static bool on_content(void *context, struct slice content)
{
	struct fetch *fetch = fetch_of(context);

	return fetch->leader == NULL || exchange_pass_content(fetch->leader, content);
}

static void on_end(void *context)
{
	struct fetch *fetch = fetch_of(context);
	const struct origin *origin = fetch->origin;
	struct exchange *x;

	if (origin->body.padded && !origin->mended)
		response_policy_note_mended(fetch->leader);
	fetch->origin = NULL;
	if (fetch->again) {
		if (!ask_again(fetch))
			on_failure(fetch, FAILURE_INTERNAL);
		return;
	}
	x = fetch_dismiss_leader(fetch);
	fetch_free(fetch);
	if (x != NULL)
		exchange_pass_end(x);
}

static void on_failure(void *context, enum failure failure)
{
	struct fetch *fetch = fetch_of(context);
	struct exchange *x = fetch_dismiss_leader(fetch);

	/* It is released, and its memory there until the turn ends. */
	if (x != NULL && fetch->origin != NULL)
		x->times = fetch->origin->times;
	fetch->origin = NULL;
	if (x != NULL)
		stale_answer_or_fail(x, failure);
	answer_waiters_stale(fetch, failure);
	hand_over(fetch, failure);
	fetch_free(fetch);
}

static void on_drained(void *context)
{
	struct fetch *fetch = fetch_of(context);

	if (fetch->leader != NULL)
		exchange_resume(fetch->leader);
}

const struct origin_events fetch_answer_events = {
	.interim = on_interim,
	.switched = on_switched,
	.head = on_head,
	.content = on_content,
	.end = on_end,
	.failure = on_failure,
	.drained = on_drained,
};
