/*
 * Records and answers that an invalidation (invalidation.h) or a purge (cache/store/purge_mark.h)
 * has overtaken, and that therefore no longer count.
 */
#ifndef CACHE_OVERTAKEN_H
#define CACHE_OVERTAKEN_H

#include "cache/record/record.h"
#include "cache/store/store.h"

/* For lookups and rewrites: which records of that entry count as absent now. */
void overtaken_cutoff(struct store *store, const struct cache_key *entry,
		      struct record_cutoff *ret_cutoff);

/*
 * For writes: was a record's URI, variant or one of its groups marked after it was asked for?  True
 * also for some that share a slot with such a key.
 */
bool overtaken_record(struct store *store, const struct cache_key *entry,
		      const struct record_view *record);

#endif
