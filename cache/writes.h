/*
 * Writes to the store: queued records, which are put in together, and removals.
 *
 * An entry is read inside the transaction that rewrites it, since other processes write too.
 *
 * A removal begins with a mark (invalidation.h), which is in force at once for all processes;
 * removing the records from the store is only cleaning up, and is retried until it succeeds.  A
 * record that could not be put is dropped and counted, and the record it should have replaced is
 * marked.
 */
#ifndef CACHE_WRITES_H
#define CACHE_WRITES_H

#include "cache/counts.h"
#include "cache/evicted.h"
#include "cache/pending.h"
#include "cache/purge_set.h"
#include "cache/store/store.h"
#include "cache/tidy.h"

struct writes {
	struct store *store;
	const struct conf *conf;
	struct cache_counts counts;
	struct evicted evicted; /* what the store is given to look at what it evicts */
	struct pending pending;
	struct tidy tidy;
	bool waiting;     /* the last transaction failed, or there is no room: removals wait for
			     writes_tick() */
	bool busy;        /* in a transaction, or with a view in hand */
	char *entries[2]; /* an entry is rewritten from one into the other */
	struct purge_set purges; /* in force when the rewrite under way began */
	uint64_t counted_slots;  /* of the transaction under way: entries counted for purges */
	uint64_t counted[PURGE_SLOTS];
};

/* `store` and `conf` must outlive it.  False without memory. */
bool writes_init(struct writes *writes, struct store *store, const struct conf *conf);

/* Flushes, and releases. */
void writes_fini(struct writes *writes);

/*
 * Queue an operation; false, and counted, when there is no room.  May flush.  A record that is
 * overtaken while it waits is not put into the store.
 */
bool writes_add(struct writes *writes, enum pending_kind kind, const struct cache_key *key,
		struct slice uri, struct slice record);

/* Put what is queued into the store, in short transactions. */
void writes_flush(struct writes *writes);

/*
 * Put what waits for this key into the store, if anything does, and a few others with it, in one
 * transaction.
 */
void writes_flush_key(struct writes *writes, const struct cache_key *key);

/*
 * Put a part of it into the store, so small that requests hardly wait for it, but larger the more
 * is queued.  True when there is more.
 */
bool writes_flush_some(struct writes *writes);

/*
 * Mark a key as of its epoch, the second half (invalidation_add()), and put its removal on the
 * list.  Where there is no place for it, marks are tidied up first: views of the store end.
 */
void writes_mark(struct writes *writes, enum invalidation_kind kind, const struct cache_key *key,
		 const struct cache_key *entry, uint64_t epoch);

/* The same for the variant of a record, as of now.  The record may be of a view. */
void writes_mark_variant(struct writes *writes, const struct record_view *record,
			 const struct cache_key *entry);

/*
 * Remove some of what is marked, in one short transaction.  True when there is more to do now;
 * after a failure it waits.  Members of groups that are removed are counted (`invalidated`).
 */
bool writes_tidy_some(struct writes *writes);

/* Whether writes_tidy_some() has something to do now. */
static inline bool writes_tidy_is_due(const struct writes *writes)
{
	return writes->tidy.count > 0 && !writes->waiting;
}

/* About once a second: try again what failed, and find what others have left. */
void writes_tick(struct writes *writes);

/*
 * Remove from the entries of these keys what is absent (cache/overtaken.h), and make stale what was
 * purged softly, in one transaction.  In the store when it returns; false when that failed, which is
 * counted, or there was no room for all of it while a copy is made.
 */
bool writes_purge(struct writes *writes, const struct cache_key *keys, size_t count);

#endif
