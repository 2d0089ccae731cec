/* Records and answers that an invalidation or a purge has overtaken. */
#include "cache/overtaken.h"

#include "cache/purge_match.h"
#include "cache/store/purge_mark.h"

/* ---- purges in force ------------------------------------------------------------------------ */

/*
 * The latest purge of a group, hard or soft, 0 for none; *ret_ms, unless NULL, is its time, and is
 * left alone without one.
 */
static uint64_t group_purged(const struct purge_table *purges, const struct cache_key *group,
			     bool soft, int64_t *ret_ms)
{
	struct purge purge;
	uint64_t latest = 0;

	for (uint64_t bits = purge_table_pending(purges); bits != 0;) {
		if (!purge_table_head(purges, purge_slot_next(&bits), &purge) ||
		    purge.kind != PURGE_GROUP || purge.soft != soft ||
		    !purge_has_key(&purge, group) || purge.epoch <= latest)
			continue;
		latest = purge.epoch;
		if (ret_ms != NULL)
			*ret_ms = purge.steady_ms;
	}
	return latest;
}

static uint64_t epoch_of(const void *context, const struct cache_key *key)
{
	const struct invalidations *all = context;
	uint64_t marked = invalidation_of(all, key);
	uint64_t purged = group_purged(&all->purges, key, false, NULL);

	return purged > marked ? purged : marked;
}

static uint64_t group_stale(const void *context, const struct cache_key *key, int64_t *ret_ms)
{
	const struct invalidations *all = context;

	return group_purged(&all->purges, key, true, ret_ms);
}

static void add_purge(struct record_cutoff *cutoff, const struct purge *purge)
{
	if (purge->soft && purge->kind == PURGE_GROUP)
		cutoff->group_stale = group_stale;
	if (!purge_concerns_uri(purge, &cutoff->entry, cutoff->uri))
		return;
	if (!purge->soft && purge->epoch > cutoff->asked_before)
		cutoff->asked_before = purge->epoch;
	if (purge->soft && purge->epoch > cutoff->stale_before) {
		cutoff->stale_before = purge->epoch;
		cutoff->stale_ms = purge->steady_ms;
	}
}

void overtaken_cutoff(struct store *store, const struct cache_key *entry, struct slice uri,
		      struct record_cutoff *ret_cutoff)
{
	const struct invalidations *all = store_invalidations(store);
	uint64_t pending;
	struct purge purge;

	ret_cutoff->purged_ms = purge_mark(store);
	ret_cutoff->epoch_of = NULL;
	if (!invalidation_any_or_purge(all))
		return;
	pending = purge_table_pending(&all->purges);
	*ret_cutoff = (struct record_cutoff){
		.purged_ms = ret_cutoff->purged_ms,
		.epoch_of = epoch_of,
		.context = all,
		.entry = *entry,
		.uri = uri,
		.asked_before = invalidation_of(all, entry),
	};
	while (pending != 0) {
		if (purge_table_at(&all->purges, purge_slot_next(&pending), &purge))
			add_purge(ret_cutoff, &purge);
	}
}

/* ---- for writes ----------------------------------------------------------------------------- */

static bool concerns(const struct purge *purge, const struct cache_key *entry, struct slice uri,
		     const struct cache_key *groups, size_t group_count)
{
	return purge_concerns_groups(purge, groups, group_count) ||
	       purge_concerns_uri(purge, entry, uri);
}

/* The latest known purge that concerns it, of the kind in *ret_purge; false when there is none. */
static bool find_purge(const struct invalidations *all, const struct cache_key *entry,
		       struct slice uri, const struct record_view *record, bool soft,
		       struct purge *ret_purge)
{
	uint64_t asked_at = record->meta->asked_at, bits = purge_table_known(&all->purges);

	if (asked_at >= atomic_load_explicit(&all->purges.latest, memory_order_acquire))
		return false;
	while (bits != 0) {
		if (purge_table_at(&all->purges, purge_slot_next(&bits), ret_purge) &&
		    ret_purge->soft == soft && asked_at < ret_purge->epoch &&
		    concerns(ret_purge, entry, uri, record->groups, record->group_count))
			return true;
	}
	return false;
}

/* What is known no more is read last: it rises before a purge is forgotten. */
static bool is_purged(const struct invalidations *all, const struct cache_key *entry,
		      struct slice uri, const struct record_view *record)
{
	struct purge purge;

	return find_purge(all, entry, uri, record, false, &purge) ||
	       record->meta->asked_at <
		       atomic_load_explicit(&all->purges.forgotten, memory_order_acquire);
}

bool overtaken_record(struct store *store, const struct cache_key *entry, struct slice uri,
		      const struct record_view *record)
{
	const struct invalidations *all = store_invalidations(store);
	uint64_t asked_at = record->meta->asked_at;
	struct cache_key variant;

	if (invalidation_now(all) == asked_at)
		return false;
	if (invalidation_overtakes(all, entry, asked_at) || is_purged(all, entry, uri, record))
		return true;
	for (size_t i = 0; i < record->group_count; i++) {
		if (invalidation_overtakes(all, &record->groups[i], asked_at))
			return true;
	}
	variant = record_variant_key(record, entry);
	return invalidation_overtakes(all, &variant, asked_at);
}

bool overtaken_softly(struct store *store, const struct cache_key *entry, struct slice uri,
		      const struct record_view *record, int64_t *ret_ms)
{
	struct purge purge;

	if (!find_purge(store_invalidations(store), entry, uri, record, true, &purge))
		return false;
	*ret_ms = purge.steady_ms;
	return true;
}

uint64_t overtaken_by_purge(struct store *store, const struct cache_key *entry, struct slice uri,
			    const struct cache_key *groups, size_t group_count)
{
	const struct purge_table *purges = &store_invalidations(store)->purges;
	uint64_t bits = purge_table_known(purges), latest = 0;
	struct purge purge;

	while (bits != 0) {
		if (purge_table_at(purges, purge_slot_next(&bits), &purge) &&
		    purge.epoch > latest && concerns(&purge, entry, uri, groups, group_count))
			latest = purge.epoch;
	}
	bits = atomic_load_explicit(&purges->forgotten, memory_order_acquire);
	return bits > latest ? bits : latest;
}
