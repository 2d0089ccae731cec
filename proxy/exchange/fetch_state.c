/* Fetches under way: the table, those who wait, and the end. */
#include "proxy/exchange/fetch_state.h"

#include "proxy/stats/stats.h"

struct fetch *fetches_find(struct fetches *fetches, const struct cache_key *key)
{
	struct fetch *fetch;

	HASH_FIND(hh, fetches->by_key, key, sizeof(*key), fetch);
	return fetch;
}

enum shareable fetches_recall(const struct fetches *fetches, const struct cache_key *key)
{
	return shareable_recall(fetches->use.shareable, key, fetches->use.turn->now_us / 1000,
				fetches->use.conf->unshareable_time_ms);
}

void fetches_note_unshareable(const struct fetches *fetches, const struct cache_key *key)
{
	shareable_note(fetches->use.shareable, key, false, fetches->use.turn->now_us / 1000,
		       fetches->use.conf->unshareable_time_ms);
}

void fetch_share(struct fetch *fetch)
{
	struct fetches *fetches = fetch->all;

	HASH_ADD(hh, fetches->by_key, plan.key, sizeof(fetch->plan.key), fetch);
	fetch->shared = fetch->hh.tbl != NULL;
}

void fetch_unshare(struct fetch *fetch)
{
	if (fetch->shared)
		HASH_DEL(fetch->all->by_key, fetch);
	fetch->shared = false;
}

void fetches_add(struct fetches *fetches, struct fetch *fetch)
{
	fetch->started_ms = fetches->use.turn->now_ms;
	fetch->older = fetches->newest;
	fetch->newer = NULL;
	if (fetches->newest != NULL)
		fetches->newest->newer = fetch;
	else
		fetches->oldest = fetch;
	fetches->newest = fetch;
}

static void fetches_remove(struct fetches *fetches, struct fetch *fetch)
{
	*(fetch->older != NULL ? &fetch->older->newer : &fetches->oldest) = fetch->newer;
	*(fetch->newer != NULL ? &fetch->newer->older : &fetches->newest) = fetch->older;
}

void fetch_add_waiter(struct fetch *fetch, struct exchange *x)
{
	x->fetch = fetch;
	x->next_waiter = NULL;
	x->waiter_link = fetch->waiters_end;
	*fetch->waiters_end = x;
	fetch->waiters_end = &x->next_waiter;
	fetch->waiter_count++;
	STATS_ADD(waiting, 1);
}

void fetch_remove_waiter(struct fetch *fetch, struct exchange *x)
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
	STATS_ADD(waiting, -1);
}

struct collapse_wait fetch_wait_of(const struct fetch *fetch)
{
	return (struct collapse_wait){
		.proved = fetch->plan.proved,
		.waiting = fetch->waiter_count,
		.oldest_ms = fetch->waiters->waits_since_ms,
		.let_go_ms = fetch->let_go_ms,
	};
}

void fetch_arm_patience(struct fetch *fetch)
{
	struct collapse_wait wait = fetch_wait_of(fetch);
	int64_t left_ms = collapse_due_ms(fetch->plan.options, &wait) - deadlines_now_ms();

	deadline_set(&fetch->patience, left_ms > 0 ? left_ms : 0);
}

void fetch_release_waiter(struct fetch *fetch, struct exchange *x, bool stored,
			  enum failure failure)
{
	struct fetches *fetches = fetch->all;

	fetch_remove_waiter(fetch, x);
	x->no_wait = true;
	x->stored_for = stored;
	x->released_for = failure;
	x->waiter_link = fetches->released_end;
	*fetches->released_end = x;
	fetches->released_end = &x->next_waiter;
	turn_soon(fetches->use.turn, &fetches->release);
}

void fetches_remove_released(struct fetches *fetches, struct exchange *x)
{
	*x->waiter_link = x->next_waiter;
	if (x->next_waiter != NULL)
		x->next_waiter->waiter_link = x->waiter_link;
	else
		fetches->released_end = x->waiter_link;
	x->next_waiter = NULL;
	x->waiter_link = NULL;
}

void fetch_release_waiters(struct fetch *fetch, bool stored)
{
	while (fetch->waiters != NULL)
		fetch_release_waiter(fetch, fetch->waiters, stored, FAILURE_NONE);
}

void fetches_end_lease(const struct fetches *fetches, const struct fetch_plan *plan)
{
	struct lease lease = plan->lease;

	if (lease.slot == NULL)
		return;
	cache_flush_key(fetches->use.cache, &plan->uri_key);
	lease_release(&lease);
}

void fetch_free(struct fetch *fetch)
{
	if (fetch->magic == 0)
		return; /* its client left while it was being answered */
	assert(fetch->waiters == NULL && fetch->leader == NULL);
	fetches_remove(fetch->all, fetch);
	deadline_stop(&fetch->patience);
	fetch_unshare(fetch);
	if (fetch->origin != NULL)
		origin_cancel(fetch->origin);
	fetches_end_lease(fetch->all, &fetch->plan);
	fetch->magic = 0;
	turn_free(fetch);
}

struct exchange *fetch_dismiss_leader(struct fetch *fetch)
{
	struct exchange *x = fetch->leader;

	fetch->leader = NULL;
	if (x != NULL)
		x->fetch = NULL;
	return x;
}

void fetch_drop_if_unwanted(struct fetch *fetch)
{
	struct exchange *x = fetch->leader;

	if (fetch->waiters != NULL || x == NULL || x->sink != NULL ||
	    x->outcome == OUTCOME_BACKGROUND)
		return;
	fetch_dismiss_leader(fetch);
	fetch_free(fetch);
	exchange_end(x);
}
