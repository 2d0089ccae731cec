/* The mark of a purge: two words of the store's clock, set by several processes. */
#include "cache/store/purge_mark.h"

/* Mark and clock are set by several processes, which must all see the two in one order. */
#define LOAD(field) atomic_load_explicit(&(field), memory_order_seq_cst)

int64_t purge_mark(struct store *store)
{
	return atomic_load_explicit(&store_clock(store)->purged_ms, memory_order_relaxed);
}

/*
 * Another process may read the clock while the mark is being set, and store a response before it
 * sees the mark.  Its reading is in latest_ms by then: so the mark is set later than that.
 */
void purge_mark_set(struct store *store, int64_t now_ms)
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

/* The fence stands between reading the clock and reading the mark, as in purge_mark_set(). */
bool purge_mark_overtakes(struct store *store, int64_t request_steady_ms)
{
	atomic_thread_fence(memory_order_seq_cst);
	return request_steady_ms <= LOAD(store_clock(store)->purged_ms);
}

bool purge_mark_is_due(struct store *store)
{
	struct store_clock *clock = store_clock(store);

	return LOAD(clock->removed_ms) < LOAD(clock->purged_ms);
}

void purge_mark_removed(struct store *store, int64_t mark_ms)
{
	store_clock_raise(&store_clock(store)->removed_ms, mark_ms);
}
