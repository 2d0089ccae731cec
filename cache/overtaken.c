/* Records and answers that an invalidation or a purge has overtaken. */
#include "cache/overtaken.h"

#include "cache/store/purge_mark.h"

static uint64_t epoch_of(const void *context, const struct cache_key *key)
{
	return invalidation_of(context, key);
}

void overtaken_cutoff(struct store *store, const struct cache_key *entry,
		      struct record_cutoff *ret_cutoff)
{
	const struct invalidations *all = store_invalidations(store);

	ret_cutoff->purged_ms = purge_mark(store);
	ret_cutoff->epoch_of = NULL;
	if (!invalidation_any(all))
		return;
	ret_cutoff->epoch_of = epoch_of;
	ret_cutoff->context = all;
	ret_cutoff->entry = *entry;
	ret_cutoff->asked_before = invalidation_of(all, entry);
}

bool overtaken_record(struct store *store, const struct cache_key *entry,
		      const struct record_view *record)
{
	const struct invalidations *all = store_invalidations(store);
	uint64_t asked_at = record->meta->asked_at;
	struct cache_key variant;

	if (invalidation_now(all) == asked_at)
		return false;
	if (invalidation_overtakes(all, entry, asked_at))
		return true;
	for (size_t i = 0; i < record->group_count; i++) {
		if (invalidation_overtakes(all, &record->groups[i], asked_at))
			return true;
	}
	variant = record_variant_key(record, entry);
	return invalidation_overtakes(all, &variant, asked_at);
}
