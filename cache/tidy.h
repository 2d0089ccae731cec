/*
 * The marks whose records are still to be removed from the store: those that this process set, in
 * the order they came, and those that another has left.
 *
 * Only a list of places: what is to be done stands in shared memory (invalidation.h), so a place
 * that is forgotten, with its process or because the list is full, is found again by tidy_find().
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

/* A mark that was added; INVALIDATION_NO_PLACE is nothing to tidy. */
void tidy_add(struct tidy *tidy, uint32_t place);

/* The mark that is listed longest and still there; false when there is none. */
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
 * May the group of this mark be walked, from tidy->cursor on?  Groups are walked one after the
 * other, since there is one cursor; tidy_walked() when it is at the end, or what was done is lost.
 */
bool tidy_walk(struct tidy *tidy, const struct invalidations *all,
	       const struct invalidation_mark *mark);
void tidy_walked(struct tidy *tidy);

/*
 * Now and then, about once a second: when the list is empty, put on it marks that were there the
 * last time.  Whoever set them has died, or has too many.
 */
void tidy_find(struct tidy *tidy, const struct invalidations *all);

#endif
