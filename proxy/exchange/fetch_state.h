/*
 * Fetches under way, as the files that work on them see them: who leads, who waits, what was learnt
 * of their keys, and their end.  fetch.h is for who asks; fetch_ask.c puts the question,
 * fetch_answer.c takes the answer.
 */
#ifndef PROXY_EXCHANGE_FETCH_STATE_H
#define PROXY_EXCHANGE_FETCH_STATE_H

#include <assert.h>

/* Memory may run out: the element is not in the table then, and says so (uthash 2.3). */
#define HASH_NONFATAL_OOM 1
#include "cache/base/table.h"

#include "proxy/exchange/collapse.h"
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/fetch_plan.h"
#include "proxy/exchange/shareable.h"
#include "proxy/loop/deadline.h"
#include "proxy/origin/origin.h"

enum { FETCH_MAGIC = 0x46657463 };

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
	struct origin *origin; /* NULL only within the functions that end the fetch or ask again */
	struct exchange_times times; /* of the request */
	int64_t asked_ms;            /* on the boot clock */
	int64_t started_ms;          /* on the clock of deadlines */
	struct fetch *older, *newer; /* of all, in their order */
	UT_hash_handle hh;
};

struct fetches {
	struct fetches_use use;
	struct fetch *by_key;
	struct fetch *oldest, *newest; /* of all that are under way */
	/* Exchanges that need not wait any more, in their order: so many go on in each turn. */
	struct exchange *released, **released_end;
	struct share share;
	struct task release;
};

static inline struct fetch *fetch_of(void *context)
{
	struct fetch *fetch = context;

	assert(fetch->magic == FETCH_MAGIC);
	return fetch;
}

/* ---- by key --------------------------------------------------------------------------------- */

/* The fetch of that key that may be joined, or NULL. */
struct fetch *fetches_find(struct fetches *fetches, const struct cache_key *key);

/* It may be joined, or not any more. */
void fetch_share(struct fetch *fetch);
void fetch_unshare(struct fetch *fetch);

/* What the workers have learnt of a key; asking renews the memory that it cannot be shared. */
enum shareable fetches_recall(const struct fetches *fetches, const struct cache_key *key);
void fetches_note_unshareable(const struct fetches *fetches, const struct cache_key *key);

/* ---- all, in their order -------------------------------------------------------------------- */

/* As the newest; it is taken out by fetch_free(). */
void fetches_add(struct fetches *fetches, struct fetch *fetch);

/* ---- those who wait ------------------------------------------------------------------------- */

void fetch_add_waiter(struct fetch *fetch, struct exchange *x);
void fetch_remove_waiter(struct fetch *fetch, struct exchange *x);

/* How they wait; at least one does. */
struct collapse_wait fetch_wait_of(const struct fetch *fetch);

/* Set the deadline at which the next of them is let go; at least one waits. */
void fetch_arm_patience(struct fetch *fetch);

/*
 * It goes on by itself, before the turn ends if it has not to give way to others: answered from
 * what was stored meanwhile, or asking alone; with a failure, failed, or answered stale.
 */
void fetch_release_waiter(struct fetch *fetch, struct exchange *x, bool stored,
			  enum failure failure);
void fetch_release_waiters(struct fetch *fetch, bool stored);

/* One that was released goes on, or its client has left. */
void fetches_remove_released(struct fetches *fetches, struct exchange *x);

/* ---- the end -------------------------------------------------------------------------------- */

/* Take the leader out: the fetch goes on, if at all, without anybody to answer. */
struct exchange *fetch_dismiss_leader(struct fetch *fetch);

/* None waits any more. */
void fetch_free(struct fetch *fetch);

/*
 * The same, of one whose client left, and for whose waiters it went on: they do not wait any more.
 */
void fetch_drop_if_unwanted(struct fetch *fetch);

/* What was learnt is in the store, for all workers, before another of them may ask the same. */
void fetches_end_lease(const struct fetches *fetches, const struct fetch_plan *plan);

#endif
