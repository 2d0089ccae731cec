/*
 * When keys were invalidated or purged, told to all processes: what was asked for before that may
 * tell of the state before it, and is not stored however late it comes, whichever process gets it.
 *
 * Time is a count of invalidations, for within a millisecond a clock tells nothing.  A key, of a
 * URI or a group, has a slot by its hash, which other keys may share: then a response is not stored
 * that could have been.  An invalidation marks its keys before it removes them from the store, and
 * a write looks inside its transaction: so what is not seen by the one is removed by the other.
 */
#ifndef CACHE_MOMENTS_H
#define CACHE_MOMENTS_H

#include "cache/key.h"

enum { MOMENT_SLOTS = 4096 };

/* In memory shared by the processes of a store (store_moments()); all zero to begin with. */
struct moments {
	uint64_t last;
	uint64_t slots[MOMENT_SLOTS];
};

/* For what is asked for now. */
uint64_t moments_now(const struct moments *moments);

/* A new moment, for one invalidation. */
uint64_t moments_next(struct moments *moments);
void moments_mark(struct moments *moments, uint64_t moment, const struct cache_key *keys,
		  size_t count);

/* Was the key marked after `asked_at`? */
bool moments_passed(const struct moments *moments, const struct cache_key *key, uint64_t asked_at);

#endif
