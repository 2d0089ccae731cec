/* Leading a fetch, waiting for one, and leaving it. */
#include "proxy/exchange/fetch.h"

#include "cache/policy/rule.h"
#include <stdlib.h>

#include "proxy/exchange/fetch_answer.h"
#include "proxy/exchange/fetch_ask.h"
#include "proxy/exchange/fetch_state.h"
#include "proxy/exchange/stale_answer.h"
#include "proxy/stats/stats.h"

enum { GRACE_MS = 250 }; /* for the rest of an answer that has begun to come */

static void release_some(void *owner);
static bool look_at_origin(void *owner);
static void let_go(void *owner);

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

/* ---- the table ------------------------------------------------------------------------------ */

bool fetch_under_way(struct fetches *fetches, const struct cache_key *key)
{
	return fetches_find(fetches, key) != NULL;
}

/* ---- waiters -------------------------------------------------------------------------------- */

static void join(struct fetch *fetch, struct exchange *x)
{
	STATS_ADD(collapsed, 1);
	x->waits_since_ms = deadlines_now_ms();
	fetch_add_waiter(fetch, x);
	if (fetch->waiters == x)
		fetch_arm_patience(fetch);
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
		fetches_remove_released(fetches, x);
		if (x->released_for != FAILURE_NONE)
			stale_answer_or_fail(x, x->released_for);
		else
			x->frontend->again(x);
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

/* The answer may have arrived unread: give waiters one more chance to get it. */
static bool look_at_origin(void *owner)
{
	struct fetch *fetch = fetch_of(owner);

	if (fetch->has_begun || !origin_has_event(fetch->origin))
		return false;
	fetch->has_begun = true;
	deadline_set(&fetch->patience, GRACE_MS);
	return true;
}

/* Those who have waited for long enough go on by themselves, at a pace. */
static void let_go(void *owner)
{
	struct fetch *fetch = fetch_of(owner);
	const struct conf *conf = fetch->plan.options;
	int64_t now_ms = deadlines_now_ms();
	int64_t since_ms = now_ms - collapse_wait_ms(conf, fetch->plan.proved);
	struct collapse_wait wait;
	unsigned count;

	if (fetch->waiters == NULL)
		return;
	wait = fetch_wait_of(fetch);
	count = collapse_let_go(conf, &wait, now_ms);
	for (; count > 0 && fetch->waiters != NULL && fetch->waiters->waits_since_ms <= since_ms;
	     count--) {
		STATS_ADD(collapse_timeouts, 1);
		fetch_release_waiter(fetch, fetch->waiters, false, FAILURE_NONE);
		fetch->let_go_ms = now_ms;
	}
	fetch->has_begun = false;
	if (fetch->waiters != NULL)
		fetch_arm_patience(fetch);
	else
		fetch_drop_if_unwanted(fetch);
}

static void lead(struct fetches *fetches, struct exchange *x, const struct fetch_plan *plan,
		 bool shared)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	enum failure failure = FAILURE_INTERNAL;

	if (fetch == NULL) {
		fetches_end_lease(fetches, plan);
		exchange_fail(x, failure);
		return;
	}
	fetch->magic = FETCH_MAGIC;
	fetch->all = fetches;
	fetch->plan = *plan;
	fetch->waiters_end = &fetch->waiters;
	deadline_init(&fetch->patience, &patience, fetch);
	if (!fetch_ask(fetch, x, false, &fetch_answer_events, &failure)) {
		free(fetch);
		fetches_end_lease(fetches, plan);
		stale_answer_or_fail(x, failure);
		return;
	}
	fetches_add(fetches, fetch);
	fetch->leader = x;
	x->fetch = fetch;
	if (shared && fetches_find(fetches, &plan->key) == NULL)
		fetch_share(fetch);
}

/* Under way already, and worth waiting for: of the same key, or a GET for a HEAD. */
static struct fetch *find_for(struct fetches *fetches, const struct exchange *x,
			      const struct fetch_plan *plan)
{
	struct fetch *fetch = fetches_find(fetches, &plan->key);
	struct cache_key get_key = plan->key;

	if (fetch == NULL && x->req.method == METHOD_HEAD) {
		get_key.word[1] -= (uint64_t)METHOD_HEAD - (uint64_t)METHOD_GET;
		fetch = fetches_find(fetches, &get_key);
	}
	return fetch;
}

void fetch_start(struct fetches *fetches, struct exchange *x, struct fetch_plan *plan)
{
	const struct conf *conf = policy_options(&x->req, fetches->use.conf);
	enum shareable learnt = SHAREABLE_NO;
	bool may_share, background = x->sink == NULL;
	struct fetch *fetch;

	plan->options = conf;
	if (plan->not_reusable)
		fetches_note_unshareable(fetches, &plan->key);
	if (plan->cacheable && conf->collapse_timeout_ms > 0 && policy_may_wait(&x->req))
		learnt = fetches_recall(fetches, &plan->key);
	may_share = learnt != SHAREABLE_NO;
	plan->proved |= learnt == SHAREABLE_YES;
	fetch = may_share && !x->no_wait && !background ? find_for(fetches, x, plan) : NULL;
	/* A request that is allowed to go there must not fail together with others that are not. */
	if (fetch != NULL && fetch->leader != NULL &&
	    fetch->leader->frontend->chosen != x->frontend->chosen)
		fetch = NULL;
	/* A key may be that of URIs with several rules, which may have parents and lifetimes of their own. */
	if (fetch != NULL && fetch->plan.options != conf)
		fetch = NULL;
	if (fetch != NULL)
		fetch->plan.proved |= plan->proved;
	if (fetch != NULL && fetch->waiter_count < conf->collapse_waiters &&
	    collapse_wait_ms(conf, fetch->plan.proved) > 0)
		join(fetch, x);
	else
		lead(fetches, x, plan, may_share || background);
}

bool fetch_send(struct exchange *x, struct slice content)
{
	return x->fetch == NULL || origin_send(x->fetch->origin, content);
}

void fetch_send_end(struct exchange *x)
{
	if (x->fetch != NULL)
		origin_send_end(x->fetch->origin);
}

void fetch_resume(struct exchange *x)
{
	if (x->fetch != NULL && x->fetch->leader == x)
		origin_resume(x->fetch->origin);
}

bool fetch_leave(struct fetches *fetches, struct exchange *x)
{
	struct fetch *fetch = x->fetch;

	if (fetch == NULL && x->waiter_link != NULL)
		fetches_remove_released(fetches, x);
	if (fetch == NULL)
		return false;
	if (x->waiter_link != NULL) {
		fetch_remove_waiter(fetch, x);
		fetch_drop_if_unwanted(fetch);
		return false;
	}
	if (fetch->waiters != NULL)
		return true;
	fetch_dismiss_leader(fetch);
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
		fetch_dismiss_leader(fetch);
		fetch_free(fetch);
		exchange_end(x);
	}
}

/* ---- answers -------------------------------------------------------------------------------- */
