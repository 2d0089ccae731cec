/* Walks the store and removes purged entries. */
#include "cache/purge.h"

#include "cache/record/entry.h"
#include "cache/store/purge_mark.h"
#include "cache/writes.h"

struct found {
	struct cache_key keys[PURGE_REMOVE];
	size_t count;
	struct record_cutoff cutoff; /* of the purge alone */
};

static bool purge_visit(void *context, const struct cache_key *key, struct slice value)
{
	struct found *batch = context;

	if (entry_has_absent(value, &batch->cutoff))
		batch->keys[batch->count++] = *key;
	return batch->count < PURGE_REMOVE;
}

/* A failed batch is tried again: the walk stays where it was. */
enum cache_purging purge_batch(struct purge_walk *walk, struct writes *writes)
{
	struct store *store = writes->store;
	struct found batch = {.count = 0, .cutoff = {.purged_ms = purge_mark(store)}};
	struct cache_key cursor;
	bool more;

	if (!purge_mark_is_due(store))
		return CACHE_PURGED_ALL;
	/* Start from the beginning: entries before the cursor may be newer than an earlier mark. */
	if (walk->pass_ms == 0)
		*walk = (struct purge_walk){.pass_ms = batch.cutoff.purged_ms};
	cursor = walk->cursor;
	if (store_walk(store, &cursor, PURGE_LOOK, purge_visit, &batch, &more) != STORE_OK) {
		writes->counts.failures++;
		return CACHE_PURGE_FAILED;
	}
	if (batch.count > 0 && !writes_purge(writes, batch.keys, batch.count))
		return CACHE_PURGE_FAILED;
	walk->cursor = cursor;
	if (more)
		return CACHE_PURGE_GOES_ON;
	purge_mark_removed(store, walk->pass_ms);
	walk->pass_ms = 0;
	return purge_mark_is_due(store) ? CACHE_PURGE_GOES_ON : CACHE_PURGED_ALL;
}
