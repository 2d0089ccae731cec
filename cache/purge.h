/*
 * Purges by operators: their beginning, and the removal of what they purge, in batches.
 *
 * A purge is in force for lookups and writes of all processes as soon as it has begun
 * (cache/store/purge_mark.h for everything, cache/store/purge_table.h for the others).  The walk
 * over the store frees the room of what was removed, writes down what was made stale, and counts
 * both; it may stop early.
 */
#ifndef CACHE_PURGE_H
#define CACHE_PURGE_H

#include "cache/base/clock.h"
#include "cache/purge_set.h"

struct writes;

enum {
	PURGE_LOOK = 256, /* entries looked at in a batch */
	PURGE_REMOVE = 8, /* entries changed in a batch: each costs up to 12 us of CPU */
	/* Bytes gone through in a batch, an entry more at most: those of many variants are large. */
	PURGE_COST = 256 << 10,
	PURGE_CHANGE_COST = 4, /* a byte written, in bytes gone through */
};

/* The progress of a purge. */
enum cache_purging {
	CACHE_PURGED_NOTHING, /* nothing was stored */
	CACHE_PURGED_ALL,     /* finished */
	CACHE_PURGE_GOES_ON,  /* there is more to remove */
	CACHE_PURGE_REFUSED,  /* too many have begun and not ended; may be tried again */
	CACHE_PURGE_FAILED,   /* the store failed; may be tried again */
};

/* A walk over the store, continued by each batch; start with all zero. */
struct purge_walk {
	bool walking;
	struct cache_key cursor;
	struct purge_set pass; /* what this walk removes */
	struct purge_set now;  /* of the batch */
};

/*
 * Begin a purge (cache/purge_match.h): in force on return.  Sets id and times.  CACHE_PURGE_GOES_ON,
 * CACHE_PURGE_REFUSED or CACHE_PURGE_FAILED.
 */
enum cache_purging purge_begin(struct writes *writes, const struct http_clock *now,
			       struct purge *purge);

/* End one whose records are all changed: what else is pending is not touched. */
void purge_end(struct writes *writes, const struct purge *purge);

/* Whether there is something to walk for.  Cheap. */
bool purge_is_due(struct store *store);

/* One batch, in one short transaction.  Ends views. */
enum cache_purging purge_batch(struct purge_walk *walk, struct writes *writes);

#endif
