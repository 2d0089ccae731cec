/* Begins purges, and walks the store to carry them out. */
#include "cache/purge.h"

#include "cache/record/entry.h"
#include "cache/store/purge_mark.h"
#include "cache/store/steady_clock.h"
#include "cache/writes.h"

enum { SETTLE_MS = 100 }; /* beyond store_interval */

/*
 * The transaction changes nothing in the store: it waits for those that did not see the purge, and
 * keeps the table for this process.
 */
enum cache_purging purge_begin(struct writes *writes, const struct http_clock *now,
			       struct purge *purge)
{
	bool added;

	purge->steady_ms = now->steady_ms;
	purge->began_s = now->wall_s;
	if (store_begin(writes->store) != STORE_OK) {
		writes->counts.failures++;
		return CACHE_PURGE_FAILED;
	}
	added = invalidation_purge(store_invalidations(writes->store), purge);
	purge->pending = added;
	store_abort(writes->store);
	return added ? CACHE_PURGE_GOES_ON : CACHE_PURGE_REFUSED;
}

static struct http_clock clock_now(struct store *store)
{
	return clock_latest(store_clock(store));
}

/*
 * What waited for the store when the purge began has been written by now, in each process, and is
 * counted: so its count is not told too early.
 */
static bool has_settled(const struct writes *writes, const struct purge *purge)
{
	int64_t interval_ms = writes->conf->store_interval_ms;

	return interval_ms == 0 ||
	       clock_now(writes->store).steady_ms - purge->steady_ms > interval_ms + SETTLE_MS;
}

/* Those of `set` that have not been joined by another since. */
static bool end_all(struct writes *writes, const struct purge_set *set)
{
	struct invalidations *all = store_invalidations(writes->store);
	bool everything_is_due = purge_mark_is_due(writes->store);

	if (set->count == 0)
		return true;
	if (store_begin(writes->store) != STORE_OK) {
		writes->counts.failures++;
		return false;
	}
	for (unsigned i = 0; i < set->count; i++) {
		if (set->slots[i] != PURGE_SLOT_ALL || !everything_is_due)
			invalidation_purge_end(all, set->slots[i], &set->at[i],
					       clock_now(writes->store).wall_s);
	}
	store_abort(writes->store);
	return true;
}

/* Take those off the set whose count may still go up: another pass ends them. */
static void keep_settled(struct purge_set *set, const struct writes *writes)
{
	unsigned count = 0;

	for (unsigned i = 0; i < set->count; i++) {
		if (!has_settled(writes, &set->at[i]))
			continue;
		set->slots[count] = set->slots[i];
		set->at[count++] = set->at[i];
	}
	set->count = count;
}

void purge_end(struct writes *writes, const struct purge *purge)
{
	struct purge_set set;
	unsigned i = 0;

	purge_set_read(&set, writes->store);
	while (i < set.count && set.at[i].id != purge->id)
		i++;
	if (i == set.count)
		return;
	set.slots[0] = set.slots[i];
	set.at[0] = *purge;
	set.count = 1;
	(void)end_all(writes, &set);
}

bool purge_is_due(struct store *store)
{
	return purge_mark_is_due(store) ||
	       purge_table_pending(&store_invalidations(store)->purges) != 0;
}

/* ---- the walk ------------------------------------------------------------------------------- */

struct found {
	struct cache_key keys[PURGE_REMOVE];
	size_t count;
	size_t cost;
	unsigned looks;              /* at each record */
	struct record_cutoff cutoff; /* of the purge of everything alone */
	const struct purge_set *set;
};

static bool purge_visit(void *context, const struct cache_key *key, struct slice value)
{
	struct found *batch = context;

	batch->cost += value.n * batch->looks;
	if (entry_is_untidy(value, &batch->cutoff) ||
	    purge_set_of_entry(batch->set, key, value) != 0) {
		batch->keys[batch->count++] = *key;
		batch->cost += value.n * PURGE_CHANGE_COST;
	}
	return batch->count < PURGE_REMOVE && batch->cost < PURGE_COST;
}

/* How often the records of an entry are gone through: groups are told by them. */
static unsigned looks_of(const struct purge_set *set)
{
	unsigned looks = 1;

	for (unsigned i = 0; i < set->count; i++)
		looks += set->at[i].kind == PURGE_GROUP;
	return looks;
}

/* All entries from before the purges of the pass have been looked at. */
static enum cache_purging end_pass(struct purge_walk *walk, struct writes *writes)
{
	purge_mark_removed(writes->store, walk->pass.purged_ms);
	keep_settled(&walk->pass, writes);
	if (!end_all(writes, &walk->pass))
		return CACHE_PURGE_FAILED;
	walk->walking = false;
	return purge_is_due(writes->store) ? CACHE_PURGE_GOES_ON : CACHE_PURGED_ALL;
}

/*
 * A failed batch is tried again: the walk stays where it was.  What was committed before a purge
 * began must be seen, so a view from before it ends.
 */
enum cache_purging purge_batch(struct purge_walk *walk, struct writes *writes)
{
	struct store *store = writes->store;
	struct found batch = {.set = &walk->now};
	struct cache_key cursor;
	bool more;

	if (!purge_is_due(store))
		return CACHE_PURGED_ALL;
	purge_set_read(&walk->now, store);
	store_turn_end(store);
	/* Start from the beginning: entries before the cursor may be newer than an earlier purge. */
	if (!walk->walking) {
		walk->walking = true;
		walk->cursor = (struct cache_key){{0, 0}};
		walk->pass = walk->now;
	}
	batch.cutoff.purged_ms = walk->now.purged_ms;
	batch.looks = looks_of(&walk->now);
	cursor = walk->cursor;
	if (store_walk(store, &cursor, PURGE_LOOK, purge_visit, &batch, &more) != STORE_OK) {
		writes->counts.failures++;
		return CACHE_PURGE_FAILED;
	}
	if (batch.count > 0 && !writes_purge(writes, batch.keys, batch.count))
		return CACHE_PURGE_FAILED;
	walk->cursor = cursor;
	return more ? CACHE_PURGE_GOES_ON : end_pass(walk, writes);
}
