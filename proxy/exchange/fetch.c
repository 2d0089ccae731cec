/* Questions to origins: leading and waiting, and what an answer means for the store. */
#include "proxy/exchange/fetch.h"

#include <inttypes.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Memory may run out: the element is not in the table then, and says so (uthash 2.3). */
#define HASH_NONFATAL_OOM 1
#include "cache/base/ascii.h"
#include "cache/base/table.h"

#include "cache/http/fields.h"
#include "proxy/exchange/collapse.h"
#include "proxy/loop/deadline.h"
#include "proxy/origin/origin.h"
#include "proxy/stats/stats.h"
#include "proxy/exchange/shareable.h"
#include "proxy/exchange/tunnel.h"
#include "proxy/base/wall_clock.h"

enum {
	FETCH_MAGIC = 0x46657463,
	LEADERS_TRIED = 8, /* when a fetch has failed; then each of those left asks for itself */
	GRACE_MS = 250,    /* for the rest of an answer that has begun to come */
};

struct fetch {
	uint32_t magic;
	bool shared;        /* in the table */
	bool failed_before; /* its leader waited for one that failed */
	bool again;         /* the answer fits no condition: to be asked anew, without any */
	bool has_begun;     /* waiters were to be let go, and the answer was about to be read */
	struct fetch_plan plan;
	struct fetches *all;
	struct exchange *leader; /* NULL once it has its answer from elsewhere */
	struct exchange *waiters, **waiters_end;
	unsigned waiter_count;
	int64_t let_go_ms;        /* when a waiter was last let go */
	struct deadline patience; /* of the waiters: when the next of them is let go */
	struct origin *origin;
	struct exchange_times times; /* of the request */
	int64_t asked_ms;            /* on the boot clock */
	UT_hash_handle hh;
};

struct fetches {
	struct fetches_use use;
	struct fetch *by_key;
	/* exchanges that need not wait any more, in their order: so many go on in each turn */
	struct exchange *released, **released_end;
	struct share share;
	struct task release;
};

static void release_some(void *owner);
static bool on_content(void *context, struct slice content);
static void on_interim(void *context, const struct http_response *res);
static void on_switched(void *context, const struct http_response *res, struct conn *conn,
			struct slice early);
static void on_head(void *context, const struct http_response *res);
static void on_end(void *context);
static void on_failure(void *context, enum failure failure);
static void on_drained(void *context);
static bool look_at_origin(void *owner);
static void let_go(void *owner);

static const struct origin_events events = {
	.interim = on_interim,
	.switched = on_switched,
	.head = on_head,
	.content = on_content,
	.end = on_end,
	.failure = on_failure,
	.drained = on_drained,
};

static const struct deadline_kind patience = {.look = look_at_origin, .passed = let_go};

struct fetches *fetches_new(const struct fetches_use *use)
{
	struct fetches *fetches = calloc(1, sizeof(*fetches));

	if (fetches == NULL)
		return NULL;
	fetches->use = *use;
	fetches->released_end = &fetches->released;
	fetches->release = (struct task){.run = release_some, .owner = fetches};
	return fetches;
}

void fetches_free(struct fetches *fetches)
{
	free(fetches);
}

static struct fetch *fetch_of(void *context)
{
	struct fetch *fetch = context;

	assert(fetch->magic == FETCH_MAGIC);
	return fetch;
}

/* ---- the table ------------------------------------------------------------------------------ */

static struct fetch *find(struct fetches *fetches, const struct cache_key *key)
{
	struct fetch *fetch;

	HASH_FIND(hh, fetches->by_key, key, sizeof(*key), fetch);
	return fetch;
}

/* GET and HEAD have keys of their own, for the one is no answer to the other; and so has OPTIONS.
 */
struct cache_key fetch_key(const struct cache_key *uri_key, enum http_method method, bool chosen)
{
	struct cache_key key = *uri_key;

	key.word[1] += (uint64_t)method;
	key.word[0] += chosen;
	return key;
}

bool fetch_under_way(struct fetches *fetches, const struct cache_key *key)
{
	return find(fetches, key) != NULL;
}

/* What the workers have learnt of a key; asking renews the memory that it cannot be shared. */
static enum shareable recall(const struct fetches *fetches, const struct cache_key *key)
{
	return shareable_recall(fetches->use.shareable, key, fetches->use.turn->now_us / 1000,
				fetches->use.conf->unshareable_time_ms);
}

static void remember_unshareable(const struct fetches *fetches, const struct cache_key *key)
{
	shareable_note(fetches->use.shareable, key, false, fetches->use.turn->now_us / 1000,
		       fetches->use.conf->unshareable_time_ms);
}

/* Is there something to learn from an answer that serves the next one as well? */
static bool may_learn(const struct fetch *fetch)
{
	return fetch->plan.cacheable &&
	       (fetch->waiters != NULL || recall(fetch->all, &fetch->plan.key) == SHAREABLE_NO);
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

static void share(struct fetch *fetch)
{
	struct fetches *fetches = fetch->all;

	HASH_ADD(hh, fetches->by_key, plan.key, sizeof(fetch->plan.key), fetch);
	fetch->shared = fetch->hh.tbl != NULL;
}

static void unshare(struct fetch *fetch)
{
	if (fetch->shared)
		HASH_DEL(fetch->all->by_key, fetch);
	fetch->shared = false;
}

/* ---- waiters -------------------------------------------------------------------------------- */

static void add_waiter(struct fetch *fetch, struct exchange *x)
{
	x->fetch = fetch;
	x->next_waiter = NULL;
	x->waiter_link = fetch->waiters_end;
	*fetch->waiters_end = x;
	fetch->waiters_end = &x->next_waiter;
	fetch->waiter_count++;
}

static void remove_waiter(struct fetch *fetch, struct exchange *x)
{
	*x->waiter_link = x->next_waiter;
	if (x->next_waiter != NULL)
		x->next_waiter->waiter_link = x->waiter_link;
	else
		fetch->waiters_end = x->waiter_link;
	x->next_waiter = NULL;
	x->waiter_link = NULL;
	x->fetch = NULL;
	fetch->waiter_count--;
}

static struct collapse_wait wait_of(const struct fetch *fetch)
{
	return (struct collapse_wait){
		.proved = fetch->plan.proved,
		.waiting = fetch->waiter_count,
		.oldest_ms = fetch->waiters->waits_since_ms,
		.let_go_ms = fetch->let_go_ms,
	};
}

/* Somebody waits. */
static void arm_patience(struct fetch *fetch)
{
	struct collapse_wait wait = wait_of(fetch);
	int64_t left_ms = collapse_due_ms(fetch->all->use.conf, &wait) - deadlines_now_ms();

	deadline_set(&fetch->patience, left_ms > 0 ? left_ms : 0);
}

static void join(struct fetch *fetch, struct exchange *x)
{
	STATS_ADD(collapsed, 1);
	x->waits_since_ms = deadlines_now_ms();
	add_waiter(fetch, x);
	if (fetch->waiters == x)
		arm_patience(fetch);
}

/*
 * It goes on by itself, before the turn ends if it has not to give way to others: answered from
 * what was stored meanwhile, or asking alone; with a failure, failed, or answered stale.
 */
static void release_waiter(struct fetch *fetch, struct exchange *x, bool stored,
			   enum failure failure)
{
	struct fetches *fetches = fetch->all;

	remove_waiter(fetch, x);
	x->no_wait = true;
	x->stored_for = stored;
	x->released_for = failure;
	x->waiter_link = fetches->released_end;
	*fetches->released_end = x;
	fetches->released_end = &x->next_waiter;
	turn_soon(fetches->use.turn, &fetches->release);
}

/* It goes on, or its client has left. */
static void remove_released(struct fetches *fetches, struct exchange *x)
{
	*x->waiter_link = x->next_waiter;
	if (x->next_waiter != NULL)
		x->next_waiter->waiter_link = x->waiter_link;
	else
		fetches->released_end = x->waiter_link;
	x->next_waiter = NULL;
	x->waiter_link = NULL;
}

static void release_waiters(struct fetch *fetch, bool stored)
{
	while (fetch->waiters != NULL)
		release_waiter(fetch, fetch->waiters, stored, FAILURE_NONE);
}

static void fail_waiters(struct fetch *fetch, enum failure failure)
{
	while (fetch->waiters != NULL)
		release_waiter(fetch, fetch->waiters, false, failure);
}

/* Answer with a stale record in the place of an error, if it has one that allows it (RFC 5861 4).
 */
static bool answer_stale(struct exchange *x, enum failure failure)
{
	struct failure_subject subject = exchange_subject(x);
	struct record_view record;

	if (!response_policy_allows_stale(x, &record))
		return false;
	if (failure != FAILURE_NONE)
		failure_log_hidden(&subject, failure);
	x->status_field.why = REASON_STALE_ERROR;
	STATS_ADD(not_reused[REASON_STALE_ERROR], 1);
	if (x->outcome != OUTCOME_BACKGROUND)
		x->outcome = OUTCOME_STALE;
	return exchange_answer_record(x, &record);
}

/* The origin could not be asked, or broke off. */
static void fail(struct exchange *x, enum failure failure)
{
	struct record_view record;

	/* what the proxy itself refuses is no error of the origin */
	if (failure_status(failure) >= 500) {
		if (x->sink != NULL && answer_stale(x, failure))
			return;
		if (x->status == 0 && response_policy_kept_record(x, &record) &&
		    record_meta(&record)->flags & META_MUST_REVALIDATE)
			failure = FAILURE_MUST_REVALIDATE; /* RFC 9111 5.2.2.2 */
	}
	exchange_fail(x, failure);
}

/* A share of those that were released. */
static void release_some(void *owner)
{
	struct fetches *fetches = owner;

	while (fetches->released != NULL) {
		struct exchange *x = fetches->released;

		if (!share_take(&fetches->share, fetches->use.turn, SHARE_REQUESTS)) {
			turn_later(fetches->use.turn, &fetches->release);
			return;
		}
		remove_released(fetches, x);
		if (x->released_for != FAILURE_NONE)
			fail(x, x->released_for);
		else
			x->frontend->again(x);
	}
}

/* Those who may have a stale record instead of the error do not ask a failing origin again. */
static void answer_waiters_stale(struct fetch *fetch, enum failure failure)
{
	struct exchange *x, *next;

	for (x = fetch->waiters; x != NULL; x = next) {
		struct record_view record;

		next = x->next_waiter;
		if (!response_policy_allows_stale(x, &record))
			continue;
		x->status_field.collapsed = true;
		release_waiter(fetch, x, false, failure);
	}
}

/* Failures of an origin that had the request before it: it may be what it did not like. */
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
 * The fetch has failed: the next waiter asks, the others wait for it.  Not a third time: they fail
 * as well when the origin cannot be reached, and otherwise ask each for itself, lest two odd
 * requests fail all others (HAZARDS X8).
 */
static void hand_over(struct fetch *fetch, enum failure failure)
{
	unshare(fetch);
	if (fetch->failed_before && is_after_request(failure)) {
		release_waiters(fetch, false);
		return;
	}
	if (fetch->failed_before) {
		fail_waiters(fetch, failure);
		return;
	}
	for (unsigned tried = 0; fetch->waiters != NULL && tried < LEADERS_TRIED; tried++) {
		struct exchange *next = fetch->waiters;
		struct fetch *new_fetch;

		remove_waiter(fetch, next);
		next->no_wait = true;
		next->frontend->again(next);
		new_fetch = find(fetch->all, &fetch->plan.key);
		if (new_fetch == NULL || new_fetch->leader != next)
			continue; /* it was answered, or failed at once, or asks alone */
		new_fetch->failed_before = true;
		while (fetch->waiters != NULL) {
			struct exchange *x = fetch->waiters;

			remove_waiter(fetch, x);
			add_waiter(new_fetch, x);
		}
		new_fetch->let_go_ms = fetch->let_go_ms;
		if (new_fetch->waiters != NULL)
			arm_patience(new_fetch);
	}
	release_waiters(fetch, false);
}

/* ---- life ----------------------------------------------------------------------------------- */

/* What was learnt is in the store, for all workers, before another of them may ask the same. */
static void end_lease(const struct fetches *fetches, const struct fetch_plan *plan)
{
	struct lease lease = plan->lease;

	if (lease.slot == NULL)
		return;
	if (fetches->use.service->workers > 1)
		cache_flush_key(fetches->use.cache, &plan->uri_key);
	lease_release(&lease);
}

static void fetch_free(struct fetch *fetch)
{
	if (fetch->magic == 0)
		return; /* its client left while it was being answered */
	assert(fetch->waiters == NULL);
	deadline_stop(&fetch->patience);
	unshare(fetch);
	if (fetch->leader != NULL)
		fetch->leader->fetch = NULL;
	if (fetch->origin != NULL)
		origin_cancel(fetch->origin);
	end_lease(fetch->all, &fetch->plan);
	fetch->magic = 0;
	turn_free(fetch);
}

/* Take the leader out: the fetch goes on, if at all, without anybody to answer. */
static struct exchange *dismiss_leader(struct fetch *fetch)
{
	struct exchange *x = fetch->leader;

	fetch->leader = NULL;
	if (x != NULL)
		x->fetch = NULL;
	return x;
}

/* Max-Forwards of an OPTIONS, less one (RFC 9110 7.6.2); NULL to leave the field as it is. */
static const char *fewer_forwards(const struct http_request *req, char text[static 24])
{
	const struct http_field *line = http_fields_first(&req->fields, FIELD_MAX_FORWARDS);
	uint64_t forwards = 0;

	if (req->method != METHOD_OPTIONS || line == NULL || line->value.n > 9)
		return NULL;
	if (line->value.n > 0 && !ascii_decimal(line->value, UINT32_MAX, &forwards))
		return NULL;
	snprintf(text, 24, "%" PRIu64, forwards > 0 ? forwards - 1 : 0);
	return text;
}

static bool compose_question(const struct routes *routes, struct exchange *x,
			     const struct route *route, bool again, struct buf *head)
{
	char forwards[24];
	struct record_view record;
	struct request_form form = {
		.validate = response_policy_kept_record(x, &record) ? &record : NULL,
		/* what nobody waits for is asked for the store's sake alone */
		.unconditional = again || x->sink == NULL,
		.absolute = route->parent && !route->tunnel,
		.max_forwards = fewer_forwards(&x->req, forwards),
	};

	if (form.absolute)
		form.proxy_authorization = routes_parent(routes)->authorization;
	if (form.validate != NULL)
		STATS_ADD(validations, 1);
	return compose_request(head, x->use->conf, &x->req, &form);
}

/* Ask by the way that leads to it.  NULL with *ret_failure when that cannot be. */
static struct origin *ask_origin(struct fetch *fetch, struct exchange *x, bool again,
				 enum failure *ret_failure)
{
	const struct fetches_use *use = &fetch->all->use;
	struct origin_asker asker = {
		.holder = exchange_holder(x),
		.is_extra = x->outcome == OUTCOME_BACKGROUND,
		.events = &events,
		.context = fetch,
	};
	struct route route;
	struct buf head = {0};

	*ret_failure = route_find(use->routes, &x->req, x->frontend->chosen, &route);
	if (*ret_failure != FAILURE_NONE)
		return NULL;
	if (!compose_question(use->routes, x, &route, again, &head)) {
		buf_free(&head);
		*ret_failure = FAILURE_INTERNAL;
		return NULL;
	}
	return origin_start(use->origins, &x->req, &route, &head, &asker, ret_failure);
}

static void note_asked(struct fetch *fetch)
{
	const struct fetches_use *use = &fetch->all->use;

	fetch->times.request_steady_ms = use->turn->now.steady_ms;
	fetch->asked_ms = boot_clock_ms();
	fetch->times.asked_at = cache_epoch(use->cache);
}

/* Its client left, and those for whom it went on do not wait any more. */
static void drop_if_unwanted(struct fetch *fetch)
{
	struct exchange *x = fetch->leader;

	if (fetch->waiters != NULL || x == NULL || x->sink != NULL ||
	    x->outcome == OUTCOME_BACKGROUND)
		return;
	dismiss_leader(fetch);
	fetch_free(fetch);
	exchange_end(x);
}

/* What they wait for may be there, unread: once, they are left for it. */
static bool look_at_origin(void *owner)
{
	struct fetch *fetch = fetch_of(owner);

	if (fetch->has_begun || fetch->origin == NULL || !origin_has_event(fetch->origin))
		return false;
	fetch->has_begun = true;
	deadline_set(&fetch->patience, GRACE_MS);
	return true;
}

/* Those who have waited for long enough go on by themselves, at a pace. */
static void let_go(void *owner)
{
	struct fetch *fetch = fetch_of(owner);
	const struct conf *conf = fetch->all->use.conf;
	int64_t now_ms = deadlines_now_ms();
	int64_t since_ms = now_ms - collapse_wait_ms(conf, fetch->plan.proved);
	struct collapse_wait wait;
	unsigned count;

	if (fetch->waiters == NULL)
		return;
	wait = wait_of(fetch);
	count = collapse_let_go(conf, &wait, now_ms);
	for (; count > 0 && fetch->waiters != NULL && fetch->waiters->waits_since_ms <= since_ms;
	     count--) {
		STATS_ADD(collapse_timeouts, 1);
		release_waiter(fetch, fetch->waiters, false, FAILURE_NONE);
		fetch->let_go_ms = now_ms;
	}
	fetch->has_begun = false;
	if (fetch->waiters != NULL)
		arm_patience(fetch);
	else
		drop_if_unwanted(fetch);
}

static void lead(struct fetches *fetches, struct exchange *x, const struct fetch_plan *plan,
		 bool shared)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	enum failure failure = FAILURE_INTERNAL;

	if (fetch == NULL) {
		end_lease(fetches, plan);
		exchange_fail(x, failure);
		return;
	}
	fetch->magic = FETCH_MAGIC;
	fetch->all = fetches;
	fetch->plan = *plan;
	fetch->waiters_end = &fetch->waiters;
	deadline_init(&fetch->patience, &patience, fetch);
	note_asked(fetch);
	fetch->origin = ask_origin(fetch, x, false, &failure);
	if (fetch->origin == NULL) {
		free(fetch);
		end_lease(fetches, plan);
		fail(x, failure);
		return;
	}
	fetch->leader = x;
	x->fetch = fetch;
	if (shared && find(fetches, &plan->key) == NULL)
		share(fetch);
}

/* Under way already, and worth waiting for: of the same key, or a GET for a HEAD. */
static struct fetch *find_for(struct fetches *fetches, const struct exchange *x,
			      const struct fetch_plan *plan)
{
	struct fetch *fetch = find(fetches, &plan->key);
	struct cache_key get_key = plan->key;

	if (fetch == NULL && x->req.method == METHOD_HEAD) {
		get_key.word[1] -= (uint64_t)METHOD_HEAD - (uint64_t)METHOD_GET;
		fetch = find(fetches, &get_key);
	}
	return fetch;
}

void fetch_start(struct fetches *fetches, struct exchange *x, struct fetch_plan *plan)
{
	const struct conf *conf = fetches->use.conf;
	enum shareable learnt = SHAREABLE_NO;
	bool may_share, background = x->sink == NULL;
	struct fetch *fetch;

	if (plan->spent)
		remember_unshareable(fetches, &plan->key);
	if (plan->cacheable && conf->collapse_timeout_ms > 0 && policy_may_wait(&x->req))
		learnt = recall(fetches, &plan->key);
	may_share = learnt != SHAREABLE_NO;
	plan->proved |= learnt == SHAREABLE_YES;
	fetch = may_share && !x->no_wait && !background ? find_for(fetches, x, plan) : NULL;
	/* one who may ask where others may not is not made to fail with them */
	if (fetch != NULL && fetch->leader != NULL &&
	    fetch->leader->frontend->chosen != x->frontend->chosen)
		fetch = NULL;
	if (fetch != NULL)
		fetch->plan.proved |= plan->proved;
	if (fetch != NULL && fetch->waiter_count < conf->collapse_waiters &&
	    collapse_wait_ms(conf, fetch->plan.proved) > 0)
		join(fetch, x);
	else
		lead(fetches, x, plan, may_share || background);
}

/* Ask the same origin anew, without any condition.  False when that cannot be. */
static bool ask_again(struct fetch *fetch)
{
	enum failure failure;

	fetch->again = false;
	note_asked(fetch);
	fetch->origin = ask_origin(fetch, fetch->leader, true, &failure);
	return fetch->origin != NULL;
}

bool fetch_send(struct exchange *x, struct slice content)
{
	return x->fetch == NULL || x->fetch->origin == NULL ||
	       origin_send(x->fetch->origin, content);
}

void fetch_send_end(struct exchange *x)
{
	if (x->fetch != NULL && x->fetch->origin != NULL)
		origin_send_end(x->fetch->origin);
}

void fetch_resume(struct exchange *x)
{
	if (x->fetch != NULL && x->fetch->origin != NULL && x->fetch->leader == x)
		origin_resume(x->fetch->origin);
}

bool fetch_leave(struct fetches *fetches, struct exchange *x)
{
	struct fetch *fetch = x->fetch;

	if (fetch == NULL && x->waiter_link != NULL)
		remove_released(fetches, x);
	if (fetch == NULL)
		return false;
	if (x->waiter_link != NULL) {
		remove_waiter(fetch, x);
		drop_if_unwanted(fetch);
		return false;
	}
	if (fetch->waiters != NULL)
		return true;
	dismiss_leader(fetch);
	fetch_free(fetch);
	return false;
}

void fetches_give_up(struct fetches *fetches)
{
	struct fetch *fetch, *next;

	HASH_ITER(hh, fetches->by_key, fetch, next)
	{
		struct exchange *x = fetch->leader;

		if (fetch->waiters != NULL || x == NULL || x->sink != NULL)
			continue;
		dismiss_leader(fetch);
		fetch_free(fetch);
		exchange_end(x);
	}
}

/* ---- answers -------------------------------------------------------------------------------- */

/* The leader has its answer from elsewhere: what is left of the origin's is of no use. */
static void answer_leader(struct fetch *fetch, const struct record_view *record,
			  enum outcome outcome)
{
	struct exchange *x = dismiss_leader(fetch);

	if (x->outcome != OUTCOME_BACKGROUND)
		x->outcome = outcome;
	if (!exchange_answer_record(x, record))
		exchange_fail(x, FAILURE_INTERNAL);
}

static void on_interim(void *context, const struct http_response *res)
{
	struct fetch *fetch = fetch_of(context);

	if (fetch->leader != NULL)
		exchange_pass_interim(fetch->leader, res);
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
	struct exchange *x;

	fetch->origin = NULL;
	x = dismiss_leader(fetch);
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
		remember_unshareable(fetch->all, &fetch->plan.key);
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
	other = find(fetch->all, &fetch->plan.key);
	if (other == NULL || other == fetch || other->waiters == NULL)
		return;
	if (stored ? !is_fresh_for(other->waiters)
		   : recall(fetch->all, &fetch->plan.key) != SHAREABLE_NO)
		return;
	release_waiters(other, stored);
	drop_if_unwanted(other);
}

static void on_head(void *context, const struct http_response *res)
{
	struct fetch *fetch = fetch_of(context);
	struct exchange *x = fetch->leader;
	struct response_effect effect;

	x->origin = fetch->origin->address;
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
		x = dismiss_leader(fetch);
		if (!answer_stale(x, FAILURE_NONE))
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
	unshare(fetch);
	release_waiters(fetch, effect.stored);
	tell_waiters(fetch, effect.stored);
	if (res->body == BODY_NONE)
		return;
	/* content that nobody is there to take */
	x = fetch->leader;
	if (x != NULL && x->sink == NULL)
		exchange_end(dismiss_leader(fetch));
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

	if (origin->body.padded && !origin->mended && fetch->leader != NULL)
		response_policy_note_mended(fetch->leader);
	fetch->origin = NULL;
	if (fetch->again && fetch->leader != NULL) {
		if (!ask_again(fetch))
			on_failure(fetch, FAILURE_INTERNAL);
		return;
	}
	x = dismiss_leader(fetch);
	fetch_free(fetch);
	if (x != NULL)
		exchange_pass_end(x);
}

static void on_failure(void *context, enum failure failure)
{
	struct fetch *fetch = fetch_of(context);
	struct exchange *x = dismiss_leader(fetch);

	fetch->origin = NULL;
	if (x != NULL)
		fail(x, failure);
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
