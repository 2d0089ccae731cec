/*
 * Records and answers that an invalidation (invalidation.h) or a purge (cache/store/purge_mark.h,
 * cache/store/purge_table.h) has overtaken, and that therefore no longer count.
 */
#ifndef CACHE_OVERTAKEN_H
#define CACHE_OVERTAKEN_H

#include "cache/record/record.h"
#include "cache/store/store.h"

/* For lookups and rewrites: which records of that entry, of that URI, count as absent, or stale. */
void overtaken_cutoff(struct store *store, const struct cache_key *entry, struct slice uri,
		      struct record_cutoff *ret_cutoff);

/*
 * For writes: was a record's URI, variant or one of its groups marked or purged after it was asked
 * for?  True also for some that share a slot with such a key.
 */
bool overtaken_record(struct store *store, const struct cache_key *entry, struct slice uri,
		      const struct record_view *record);

/* For writes: was it purged softly after it was asked for?  *ret_ms is when, as in record.h. */
bool overtaken_softly(struct store *store, const struct cache_key *entry, struct slice uri,
		      const struct record_view *record, int64_t *ret_ms);

/* For answers that are not records: the latest purge, hard or soft, of that URI or these groups. */
uint64_t overtaken_by_purge(struct store *store, const struct cache_key *entry, struct slice uri,
			    const struct cache_key *groups, size_t group_count);

#endif
