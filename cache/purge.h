/*
 * Removal of purged records, in batches.  They count as absent as soon as the mark is set
 * (cache/store/purge_mark.h): removing them only frees their room, and may stop early.
 */
#ifndef CACHE_PURGE_H
#define CACHE_PURGE_H

#include "cache/base/key.h"

struct writes;

enum {
	PURGE_LOOK = 256, /* entries looked at in a batch */
	PURGE_REMOVE = 8, /* entries changed in a batch: each costs up to 12 us of CPU */
};

/* The progress of a purge. */
enum cache_purging {
	CACHE_PURGED_NOTHING, /* nothing was stored */
	CACHE_PURGED_ALL,     /* finished */
	CACHE_PURGE_GOES_ON,  /* there is more to remove */
	CACHE_PURGE_FAILED,   /* the store failed; may be tried again */
};

/* A walk over the store, continued by each batch; start with all zero. */
struct purge_walk {
	struct cache_key cursor;
	int64_t pass_ms; /* the mark whose records this walk removes; 0 between walks */
};

/* One batch, in one short transaction. */
enum cache_purging purge_batch(struct purge_walk *walk, struct writes *writes);

#endif
