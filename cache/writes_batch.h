/* Transactions of the queued writes, for the files of writes.h. */
#ifndef CACHE_WRITES_BATCH_H
#define CACHE_WRITES_BATCH_H

#include "cache/base/key.h"
#include "cache/store/result.h"

struct writes;

/* Waits for the writers' lock.  False in *ret_begun: nothing was begun. */
enum store_result writes_begin_batch(struct writes *writes, bool *ret_begun);

/* The end of a transaction: it is committed, or, after a failure, what it held is lost. */
bool writes_end_batch(struct writes *writes, bool begun, enum store_result result);

/* Drop absent records of a key; *count goes up when there were any. */
enum store_result writes_clean_key(struct writes *writes, const struct cache_key *key,
				   uint64_t *count);

#endif
