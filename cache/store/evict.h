/*
 * SIEVE (Zhang et al., NSDI 2024): which entry to drop when room is needed.
 *
 * Entries stand in the order in which they came, each with a slot: the index of its visited bit.  A
 * hit sets the bit and moves nothing.  A hand walks from the oldest to the newest and round again:
 * it clears the bits that are set and stops at the first that is clear.  That entry is the victim.
 *
 * The caller provides the order (a table of the database), the bits and the hand (memory shared by
 * processes).  Any process may set bits at any time; everything else needs the writers' lock.  None
 * of it needs protection from a crash: a lost bit or hand costs one lap in order of arrival, and
 * two entries with one slot share a bit.
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

/* Kept with the bits; initially all zero.  Any content is safe. */
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
 * Call on a hit.  Writes only when the bit is clear, so that the cache line of a popular entry
 * stays shared by all processors.
 */
void evict_visit(const struct evict_bits *bits, uint32_t slot);

bool evict_visited(const struct evict_bits *bits, uint32_t slot);

/*
 * The next victim; false when the order is empty.  The hand examines at most *steps items, and
 * *steps goes down by as many; when it is used up the item under the hand goes, visited or not.
 */
bool evict_choose(struct evict_state *state, const struct evict_bits *bits,
		  const struct evict_order *order, unsigned *steps, struct evict_item *ret_victim);

/* Take a slot, with its bit clear, for a new entry; give it back when the entry is removed. */
uint32_t evict_slot_take(struct evict_state *state, const struct evict_bits *bits);
void evict_slot_give(struct evict_state *state, const struct evict_bits *bits, uint32_t slot);

/*
 * Start over, assuming that `entries` slots are in use: for an empty store, or one whose bits were
 * lost.
 */
void evict_reset(struct evict_state *state, uint64_t entries);

#endif
