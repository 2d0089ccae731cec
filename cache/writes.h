/*
 * Writes on their way into the store: queued ones, put in together, and removals at once.
 *
 * An entry is read inside the transaction that writes it anew, since other processes write too.  A
 * failure costs the operations of its transaction, which are counted; it is not tried again.
 */
#ifndef CACHE_WRITES_H
#define CACHE_WRITES_H

#include "cache/cache.h"
#include "cache/pending.h"

struct writes {
	struct store *store;
	const struct conf *conf;
	struct cache_counts counts;
	struct pending pending;
	char *entries[2]; /* an entry being rewritten goes from one to the other */
};

/* `store` and `conf` must outlive it.  False without memory. */
bool writes_init(struct writes *writes, struct store *store, const struct conf *conf);

/* Flushes, and releases. */
void writes_fini(struct writes *writes);

/*
 * Queue an operation; false, and counted, when there is no room.  May flush.  A record that has
 * been overtaken since `moment` when its turn comes is not put into the store.
 */
bool writes_add(struct writes *writes, enum pending_kind kind, const struct cache_key *key,
		uint64_t moment, struct slice uri, struct slice record);

/* Put what is queued into the store, in short transactions. */
void writes_flush(struct writes *writes);

/*
 * Put a part of it into the store, so small that requests hardly wait for it, but larger the more
 * is queued.  True when there is more.
 */
bool writes_flush_some(struct writes *writes);

/*
 * Remove these keys and the members of these groups, after what is queued.  In the store when it
 * returns; how many entries there were.
 */
unsigned writes_remove(struct writes *writes, const struct cache_key *keys, size_t key_count,
		       const struct cache_key *groups, size_t group_count);

/*
 * Remove from the entries of these keys what is purged by that mark (cache/purge.h), in one
 * transaction.  In the store when it returns; false, and counted, when that failed.
 */
bool writes_purge(struct writes *writes, const struct cache_key *keys, size_t count,
		  int64_t purged_ms);

#endif
