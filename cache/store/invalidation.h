/*
 * When keys were invalidated, in memory shared by the processes of a store: a response requested
 * before an invalidation is neither stored nor used after it, by any process, whatever the order of
 * requests, commits and crashes (RFC 9111 4.4).
 *
 * Time is a counter, the *epoch*, since a clock cannot order events within a millisecond.  Each
 * mark takes a new epoch, a request has the current one (invalidation_now()), and a record keeps
 * the epoch of its request.  The file of this map keeps the count when all processes are killed.
 * When marks may have been lost, the count continues far above every epoch ever given out
 * (invalidation_begin_life()), so that records of an earlier life are older than any mark.
 *
 * A mark is kept in two places:
 *
 *	slots	for writes.  By hash, for ever: a late answer is not stored, and at worst neither is
 *		one of another key that shares the slot.  A write checks inside its transaction.
 *	marks	for lookups.  By full key, from before the unsafe request is answered until the
 *		removal from the store is committed (invalidation_retire()).  So an invalidation is
 *		in force without a write to the store, and the removal only cleans up: it may fail,
 *		wait, or be taken over by another process.  Their number is bounded; beyond it a
 *		mark goes into a slot by hash, which lookups check as well, and stays there.
 *
 * A lookup reads a snapshot of the store.  It checks the marks after it has read, and reads again
 * when a mark was retired since the snapshot was taken: so what it has read is either newer than
 * the removal, or still marked.
 *
 * Purges of many URIs by operators have their own table (purge_table.h), which lookups and writes
 * look at likewise.
 *
 * Lock-free, but for that table, and safe against kill -9 at any instruction: at worst a killed process leaves a place
 * that cannot be used until a first process opens the store again.
 */
#ifndef CACHE_STORE_INVALIDATION_H
#define CACHE_STORE_INVALIDATION_H

#include <stdatomic.h>

#include "cache/store/purge_table.h"

enum {
	INVALIDATION_SLOTS = 1 << 16, /* for writes */
	INVALIDATION_OVERFLOW = 4096, /* for lookups */
	INVALIDATION_WAYS = 16,       /* marks of one set */
	INVALIDATION_SETS = 512,
	INVALIDATION_MARKS = INVALIDATION_SETS * INVALIDATION_WAYS,
	INVALIDATION_NO_PLACE = INVALIDATION_MARKS, /* the mark is in a slot by hash, for ever */
};

/* What a mark is about. */
enum invalidation_kind {
	INVALIDATION_URI,     /* all records of a URI; the key is the entry's */
	INVALIDATION_VARIANT, /* those of one variant; the key is record_variant_key() */
	INVALIDATION_GROUP,   /* those in a cache group */
};

/* The place of one key.  Its tag in the set identifies the key; 0 for a free place. */
struct invalidation_place {
	_Atomic uint64_t epoch; /* 0 when no mark is in force */
	_Atomic uint64_t rest, entry[2];
	_Atomic uint32_t kind;
	uint32_t spare;
};

struct invalidation_set {
	_Alignas(64) _Atomic uint64_t tags[INVALIDATION_WAYS];
	struct invalidation_place places[INVALIDATION_WAYS];
};

struct invalidations {
	_Atomic uint64_t last;    /* the epoch */
	_Atomic uint64_t retired; /* number of retirements, counted before each */
	_Atomic uint64_t live;    /* at least the places in use and marks by hash */
	struct purge_table purges;
	_Atomic uint64_t slots[INVALIDATION_SLOTS];
	_Atomic uint64_t overflow[INVALIDATION_OVERFLOW];
	struct invalidation_set sets[INVALIDATION_SETS];
};

/* A mark to be tidied up. */
struct invalidation_mark {
	struct cache_key key;
	struct cache_key entry; /* key of the entry with the records; of a group, the group's key */
	enum invalidation_kind kind;
	uint64_t epoch;
	uint32_t place;
};

/*
 * For the first process that opens the store: no earlier mark is in force any more, and every epoch
 * from now on is later than any before.  For a store whose content is lost, or validated before
 * use.  Sync the map to disk afterwards.
 */
void invalidation_begin_life(struct invalidations *all);

/* For the first process that opens the store: free places that killed processes left unfinished. */
void invalidation_recover(struct invalidations *all);

/* The epoch for a request sent now. */
uint64_t invalidation_now(const struct invalidations *all);

/*
 * Take an epoch for each of these keys, and mark them for writes: the first half of an
 * invalidation.  Returns the last epoch; no other key has one in between.
 *
 * *ret_before, unless NULL, is the latest epoch at which their slots were marked before: an answer
 * requested at that epoch or later, and not at an epoch of another mark, may count as requested at
 * the returned one.  UINT64_MAX when other marks took epochs meanwhile.
 */
uint64_t invalidation_overtake(struct invalidations *all, const struct cache_key *keys,
			       unsigned count, uint64_t *ret_before);

/*
 * Mark a key as of its epoch: in force on return.  Returns the place, for invalidation_retire()
 * when the records are removed, or INVALIDATION_NO_PLACE.
 */
uint32_t invalidation_add(struct invalidations *all, enum invalidation_kind kind,
			  const struct cache_key *key, const struct cache_key *entry,
			  uint64_t epoch);

/* For writes: was the key marked after `asked_at`?  True also for keys that share its slot. */
bool invalidation_overtakes(const struct invalidations *all, const struct cache_key *key,
			    uint64_t asked_at);

/* For writes: when the key, or one that shares its slot, was last marked. */
uint64_t invalidation_latest(const struct invalidations *all, const struct cache_key *key);

/* For lookups: is any mark in force?  A load. */
static inline bool invalidation_any(const struct invalidations *all)
{
	return atomic_load_explicit(&all->live, memory_order_acquire) != 0;
}

/* For lookups: is any mark or purge in force?  Two loads. */
static inline bool invalidation_any_or_purge(const struct invalidations *all)
{
	return (atomic_load_explicit(&all->live, memory_order_acquire) |
		purge_table_pending(&all->purges)) != 0;
}

/* Within a write transaction: purge_table_add(), and purge_table_end(). */
bool invalidation_purge(struct invalidations *all, struct purge *purge);
bool invalidation_purge_end(struct invalidations *all, unsigned slot, const struct purge *purge,
			    int64_t ended_s);

/* Whether free places are running low. */
bool invalidation_are_many(const struct invalidations *all);

/* For lookups: the epoch of the mark in force for a key, 0 for none. */
uint64_t invalidation_of(const struct invalidations *all, const struct cache_key *key);

/*
 * Changes when a mark is retired.  Read it before taking a snapshot, and again after checking the
 * marks: if it is the same, no removal came in between (see above).
 */
static inline uint64_t invalidation_retired(const struct invalidations *all)
{
	return atomic_load_explicit(&all->retired, memory_order_acquire);
}

/* The set of a key is the INVALIDATION_WAYS places from this one on. */
static inline uint32_t invalidation_first_place(const struct cache_key *key)
{
	return (uint32_t)(key->word[1] % INVALIDATION_SETS) * INVALIDATION_WAYS;
}

/* Whether there is a place for a mark of the key, if it is not taken meanwhile. */
bool invalidation_has_place(const struct invalidations *all, const struct cache_key *key);

/* The mark at a place; false when there is none. */
bool invalidation_at(const struct invalidations *all, uint32_t place,
		     struct invalidation_mark *ret_mark);

/*
 * Call when its records have been removed by a committed transaction that began after the mark was
 * added.  Does nothing when the key was marked again meanwhile.
 */
void invalidation_retire(struct invalidations *all, const struct invalidation_mark *mark);

#endif
