/*
 * The invalidation marks whose records are still to be removed from the store: those that this
 * process set, oldest first, and those that another process left behind.
 *
 * This is only a list of places; the marks themselves are in shared memory (invalidation.h).  So
 * tidy_find() finds a place again that was lost because its process died or the list was full.
 */
#ifndef CACHE_TIDY_H
#define CACHE_TIDY_H

#include "cache/store/invalidation.h"

enum {
	TIDY_LIST = 1024,
	TIDY_SEARCH = 2048, /* places looked at by one tidy_find() */
};

struct tidy {
	uint32_t places[TIDY_LIST];
	size_t first, count;
	uint32_t searched;       /* where tidy_find() goes on */
	uint64_t old;            /* the epoch at the tidy_find() before */
	struct cache_key cursor; /* in the group that is being walked: */
	uint64_t walked;         /* the epoch of its mark; 0 for none */
	uint32_t walked_place;
};

/* List a new mark; does nothing for INVALIDATION_NO_PLACE. */
void tidy_add(struct tidy *tidy, uint32_t place);

/* The first listed mark that still exists; false when there is none. */
bool tidy_first(struct tidy *tidy, const struct invalidations *all,
		struct invalidation_mark *ret_mark);

/* Take it off the list. */
void tidy_take(struct tidy *tidy);

/* Put it at the end of the list. */
void tidy_put_off(struct tidy *tidy);

/* List all marks of a set, before all others. */
void tidy_set_first(struct tidy *tidy, const struct invalidations *all,
		    const struct cache_key *key);

/*
 * Whether the group of this mark may be walked now, from tidy->cursor on.  There is one cursor, so
 * groups are walked one after another; call tidy_walked() at the end, or to start over.
 */
bool tidy_walk(struct tidy *tidy, const struct invalidations *all,
	       const struct invalidation_mark *mark);
void tidy_walked(struct tidy *tidy);

/*
 * Call about once a second: when the list is empty, lists marks that were already there at the last
 * call.  The process that set them has died, or has too many.
 */
void tidy_find(struct tidy *tidy, const struct invalidations *all);

#endif
