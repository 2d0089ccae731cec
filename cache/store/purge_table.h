/*
 * Purges by operators that are under way, and the last that ended, in memory shared by the processes
 * of a store.  It is a part of its invalidation times (invalidation.h), is kept with them, and uses
 * the same count: what was asked for before a purge's epoch is purged by it.
 *
 * A slot is changed only by the process that holds the writers' lock of the store (store_begin()),
 * which the kernel takes from a process that dies.  So no write transaction is open while a purge
 * begins: what was committed earlier is found by the walk that removes it, and later transactions
 * look here first.  Readers take no lock.  Two words say what a slot is, each a bit for each slot,
 * so a process that dies in the middle leaves a slot that is free:
 *
 *	pending	 in force for lookups, until what it purges is removed
 *	known	 for writes: an answer that was asked for before it is not stored, also after the
 *		 removal.  When the slot is needed for another, `forgotten` rises to its epoch:
 *		 answers of any URI that were asked for before that are not stored.
 *
 * The words that say whom a purge concerns are opaque here (cache/purge_match.h).
 */
#ifndef CACHE_STORE_PURGE_TABLE_H
#define CACHE_STORE_PURGE_TABLE_H

#include <stdatomic.h>

#include "cache/base/key.h"

enum {
	PURGE_PENDING_MAX = 16,
	PURGE_SLOTS = 2 * PURGE_PENDING_MAX + 1,
	PURGE_SLOT_ALL = 0, /* for a purge of everything, which is never refused */
	PURGE_TEXT_MAX = 1024,
};

#define PURGE_NOT_ENDED INT64_MIN

_Static_assert(PURGE_SLOTS <= 64, "a bit for each");

enum purge_kind {
	PURGE_ALL,
	PURGE_URI,    /* the keys are the entry's, the text for people to read */
	PURGE_PREFIX, /* of URIs in normal form */
	PURGE_HOST,   /* and port, 0 for any */
	PURGE_GROUP,  /* the keys are the group's, the text for people to read */
};

/* A copy of one. */
struct purge {
	uint64_t id;                         /* counts up from 1 */
	uint64_t epoch;                      /* what was asked for before it is purged */
	uint64_t found;                      /* entries that it removed, or changed */
	int64_t steady_ms, began_s, ended_s; /* PURGE_NOT_ENDED until all is removed */
	struct cache_key keys[2]; /* of a group that two origins have; else they are the same */
	enum purge_kind kind;
	bool soft;    /* it makes stale instead of removing */
	bool pending; /* in force for lookups */
	uint16_t port;
	uint32_t text_n;
	char text[PURGE_TEXT_MAX];
};

struct purge_slot {
	_Atomic uint64_t id; /* 0 while the slot is written */
	_Atomic uint64_t epoch, found, keys[4];
	_Atomic int64_t steady_ms, began_s, ended_s;
	_Atomic uint32_t kind, soft, port, text_n;
	_Atomic uint64_t text[PURGE_TEXT_MAX / sizeof(uint64_t)];
};

struct purge_table {
	_Atomic uint64_t pending, known;
	_Atomic uint64_t latest; /* no purge has a later epoch, but for that in PURGE_SLOT_ALL */
	_Atomic uint64_t forgotten;
	_Atomic uint64_t last_id;
	struct purge_slot slots[PURGE_SLOTS];
};

/* For the first process that opens the store; `epoch` is the latest given out. */
void purge_table_recover(struct purge_table *table, uint64_t epoch);

/* Under the writers' lock, with *epochs the count of epochs: enter a purge, in force on return.
 * One like it that is pending is joined: it purges as of now, keeps its id, and ends later.  Sets id
 * and epoch.  False when PURGE_PENDING_MAX are pending.
 */
bool purge_table_add(struct purge_table *table, _Atomic uint64_t *epochs, struct purge *purge);

/*
 * Under the writers' lock: all that it purges is removed.  *retired counts removals that lookups
 * must not miss (invalidation.h).  False, and nothing is changed, when the slot has another by now,
 * or it was joined after `epoch`.
 */
bool purge_table_end(struct purge_table *table, _Atomic uint64_t *retired, unsigned slot,
		     const struct purge *purge, int64_t ended_s);

/* Bits of the slots in force for lookups.  A load, seldom anything but 0. */
static inline uint64_t purge_table_pending(const struct purge_table *table)
{
	return atomic_load_explicit(&table->pending, memory_order_acquire);
}

/* Bits of those that writes look at. */
static inline uint64_t purge_table_known(const struct purge_table *table)
{
	return atomic_load_explicit(&table->known, memory_order_acquire);
}

/* Copy a slot; false when it is being changed, or is free. */
bool purge_table_at(const struct purge_table *table, unsigned slot, struct purge *ret_purge);

/* Without its text, and without copying it. */
bool purge_table_head(const struct purge_table *table, unsigned slot, struct purge *ret_purge);

/* Count entries; negative to take some back. */
void purge_table_count(struct purge_table *table, unsigned slot, int64_t entries);

static inline bool purge_has_key(const struct purge *purge, const struct cache_key *key)
{
	return cache_key_eq(&purge->keys[0], key) || cache_key_eq(&purge->keys[1], key);
}

/* The next slot of `bits`, taken off them; they are not 0. */
static inline unsigned purge_slot_next(uint64_t *bits)
{
	unsigned slot = (unsigned)__builtin_ctzll(*bits);

	*bits &= *bits - 1;
	return slot;
}

#endif
