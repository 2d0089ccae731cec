/*
 * Purges: a moment beside the store at or before which everything counts as absent, and the removal
 * of what that leaves, in batches.
 *
 * The mark holds at once for all processes and all keys, however much is stored: a record received
 * at or before it is not found (entry_select()), and what was asked for at or before it is not
 * stored (purge_overtakes()).  The two leave no gap: the mark is later than every reading of the
 * clock (struct store_clock) that was made before it was set, and every later reading is later than
 * the mark.  The removal only gives the room back.  If it ends early, what is left stays absent.
 *
 * Here, "now" must have been read just now, not at the beginning of a turn.
 */
#ifndef CACHE_PURGE_H
#define CACHE_PURGE_H

#include "cache/writes.h"

enum {
	PURGE_LOOK = 256, /* entries looked at in a batch */
	PURGE_REMOVE = 8, /* entries changed in a batch: each costs up to 12 us of CPU */
};

/* A walk over the store that goes on from batch to batch; all zero to begin. */
struct purge_walk {
	struct cache_key cursor;
	int64_t pass_ms; /* the mark of which nothing is left at the end; 0 between walks */
};

/* The mark; 0 for none. */
int64_t purge_mark(struct store *store);

/* Set the mark. */
void purge_set(struct store *store, int64_t now_ms);

/* Does the mark stand between this question and its answer? */
bool purge_overtakes(struct store *store, int64_t request_steady_ms);

/* Is anything of the mark's left to remove? */
bool purge_is_due(struct store *store);

/* One batch, in one short transaction. */
enum cache_purging purge_batch(struct purge_walk *walk, struct writes *writes);

#endif
