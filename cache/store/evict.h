/*
 * SIEVE (Zhang et al., NSDI 2024): which entry to drop when room is needed.
 *
 * Entries stand in the order in which they came, each with a slot: the index of its visited bit.  A
 * hit sets the bit and moves nothing.  A hand walks from the oldest to the newest and round again:
 * it clears the bits that are set and stops at the first that is not.  That entry is the victim.
 *
 * The order, the bits and the hand are given: here they lie in a database and in memory that
 * processes share.  Bits are set by any process at any time; all else is called by one at a time,
 * who holds the writer's lock.  Nothing here is worth protecting from a crash: a lost bit or hand
 * costs a lap in order of arrival, and two entries with one slot share a bit.
 */
#ifndef CACHE_STORE_EVICT_H
#define CACHE_STORE_EVICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	EVICT_FREE_MAX =
		4096, /* slots remembered as free; more are forgotten until the store is empty */
	EVICT_SLOTS_MIN = 64,
};

/* Kept with the bits; all zero to begin with.  Any content is safe. */
struct evict_state {
	uint64_t hand;      /* sequence the hand looks at next */
	uint64_t slot_next; /* slots given out so far, when none was free */
	uint32_t free_count;
	uint32_t unused;
	uint32_t free[EVICT_FREE_MAX];
};

/* `words` has evict_words(slots) members; at least EVICT_SLOTS_MIN slots. */
struct evict_bits {
	_Atomic uint64_t *words;
	uint32_t slots;
};

struct evict_item {
	uint64_t sequence;
	uint32_t slot;
};

/*
 * The order of arrival: the first item with a sequence of at least `from`; false when there is
 * none.
 */
struct evict_order {
	bool (*next)(void *context, uint64_t from, struct evict_item *ret_item);
	void *context;
};

static inline uint64_t evict_words(uint32_t slots)
{
	return ((uint64_t)slots + 63) / 64;
}

/*
 * A hit.  Writes only when the bit is clear, so that a popular entry's line stays shared by all
 * caches.
 */
void evict_visit(const struct evict_bits *bits, uint32_t slot);

bool evict_visited(const struct evict_bits *bits, uint32_t slot);

/*
 * The next victim; false when the order is empty.  The hand examines at most *steps items, and
 * *steps goes down by as many; when it is used up the item under the hand goes, visited or not.
 */
bool evict_choose(struct evict_state *state, const struct evict_bits *bits,
		  const struct evict_order *order, unsigned *steps, struct evict_item *ret_victim);

/* A slot for a new entry, its bit clear; and back when the entry is gone. */
uint32_t evict_slot_take(struct evict_state *state, const struct evict_bits *bits);
void evict_slot_give(struct evict_state *state, const struct evict_bits *bits, uint32_t slot);

/*
 * Begin anew with `entries` slots taken for granted: for a store that is empty, or whose bits were
 * lost.
 */
void evict_reset(struct evict_state *state, uint64_t entries);

#endif
