/*
 * The purges in force, read together: for those who look at many entries, or remove records and
 * count for whom.
 */
#ifndef CACHE_PURGE_SET_H
#define CACHE_PURGE_SET_H

#include "cache/record/record.h"
#include "cache/store/store.h"

struct purge_set {
	int64_t purged_ms; /* of everything (cache/store/purge_mark.h), not earlier than the slots */
	unsigned count;
	unsigned slots[PURGE_SLOTS];
	struct purge at[PURGE_SLOTS];
};

void purge_set_read(struct purge_set *set, struct store *store);

/* Bits of the slots of those that have records of this entry to remove, or to make stale. */
uint64_t purge_set_of_entry(const struct purge_set *set, const struct cache_key *key,
			    struct slice entry);

/* The same of one record, which need not be stored. */
uint64_t purge_set_of_record(const struct purge_set *set, const struct cache_key *key,
			     struct slice uri, const struct record_view *record);

#endif
