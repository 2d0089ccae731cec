/* The mark of a purge, and the removal of what it leaves. */
#include "cache/purge.h"

#include "cache/record/entry.h"

/* Mark and clock are two words that processes set at once: both must see them in one order. */
#define LOAD(field) atomic_load_explicit(&(field), memory_order_seq_cst)

int64_t purge_mark(struct store *store)
{
	return atomic_load_explicit(&store_clock(store)->purged_ms, memory_order_relaxed);
}

/*
 * Another process may read the clock while the mark is being set, and not see it yet when it stores
 * what it got.  Such a reading is in latest_ms by then: the mark goes behind it.
 */
void purge_set(struct store *store, int64_t now_ms)
{
	struct store_clock *clock = store_clock(store);
	int64_t mark_ms = now_ms, latest_ms = LOAD(clock->latest_ms);

	do {
		if (latest_ms > mark_ms)
			mark_ms = latest_ms;
		store_clock_raise(&clock->purged_ms, mark_ms);
		latest_ms = LOAD(clock->latest_ms);
	} while (latest_ms > mark_ms);
	store_clock_raise(&clock->latest_ms, mark_ms + 1);
}

/* The fence stands between the reading of the clock and that of the mark, as in purge_set(). */
bool purge_overtakes(struct store *store, int64_t request_steady_ms)
{
	atomic_thread_fence(memory_order_seq_cst);
	return request_steady_ms <= LOAD(store_clock(store)->purged_ms);
}

bool purge_is_due(struct store *store)
{
	struct store_clock *clock = store_clock(store);

	return LOAD(clock->removed_ms) < LOAD(clock->purged_ms);
}

struct purge_batch {
	struct cache_key keys[PURGE_REMOVE];
	size_t count;
	struct record_cutoff cutoff; /* of the purge alone */
};

static bool purge_visit(void *context, const struct cache_key *key, struct slice value)
{
	struct purge_batch *batch = context;

	if (entry_has_absent(value, &batch->cutoff))
		batch->keys[batch->count++] = *key;
	return batch->count < PURGE_REMOVE;
}

/* A failed batch is tried again: the walk stays where it was. */
enum cache_purging purge_batch(struct purge_walk *walk, struct writes *writes)
{
	struct store *store = writes->store;
	struct purge_batch batch = {.count = 0, .cutoff = {.purged_ms = purge_mark(store)}};
	struct cache_key cursor;
	bool more;

	if (!purge_is_due(store))
		return CACHE_PURGED_ALL;
	/* From the beginning: what stands before the cursor may have come after an earlier mark. */
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
	store_clock_raise(&store_clock(store)->removed_ms, walk->pass_ms);
	walk->pass_ms = 0;
	return purge_is_due(store) ? CACHE_PURGE_GOES_ON : CACHE_PURGED_ALL;
}
