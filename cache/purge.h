/*
 * The removal of what a purge leaves, in batches.  All of it is absent from the moment that the
 * mark stands (cache/store/purge_mark.h): the removal only gives the room back, and may end early.
 */
#ifndef CACHE_PURGE_H
#define CACHE_PURGE_H

#include "cache/base/key.h"

struct writes;

enum {
	PURGE_LOOK = 256, /* entries looked at in a batch */
	PURGE_REMOVE = 8, /* entries changed in a batch: each costs up to 12 us of CPU */
};

/* How far a purge has come. */
enum cache_purging {
	CACHE_PURGED_NOTHING, /* there was none */
	CACHE_PURGED_ALL,     /* that was to be removed */
	CACHE_PURGE_GOES_ON,  /* there is more to remove */
	CACHE_PURGE_FAILED,   /* by the store, for now */
};

/* A walk over the store that goes on from batch to batch; all zero to begin. */
struct purge_walk {
	struct cache_key cursor;
	int64_t pass_ms; /* the mark of which nothing is left at the end; 0 between walks */
};

/* One batch, in one short transaction. */
enum cache_purging purge_batch(struct purge_walk *walk, struct writes *writes);

#endif
