/* Reads the purges in force, and finds those that concern an entry. */
#include "cache/purge_set.h"

#include "cache/purge_match.h"
#include "cache/record/entry.h"
#include "cache/store/purge_mark.h"

void purge_set_read(struct purge_set *set, struct store *store)
{
	const struct purge_table *purges = &store_invalidations(store)->purges;

	set->count = 0;
	for (uint64_t bits = purge_table_pending(purges); bits != 0;) {
		unsigned slot = purge_slot_next(&bits);

		if (purge_table_at(purges, slot, &set->at[set->count]))
			set->slots[set->count++] = slot;
	}
	set->purged_ms = purge_mark(store);
}

/* An entry under a purge. */
struct under {
	const struct purge *purge;
	int64_t purged_ms;
	bool is_of_uri; /* all its records are meant */
	bool found;
};

/* Stops at the first one. */
static bool is_meant(void *context, const struct record_view *view)
{
	struct under *under = context;
	const struct purge *purge = under->purge;

	if (purge->kind == PURGE_ALL && !purge->soft)
		under->found = view->meta->response_steady_ms <= under->purged_ms;
	else
		under->found = view->meta->asked_at < purge->epoch &&
			       !(purge->soft && view->meta->flags & META_PURGED) &&
			       (under->is_of_uri ||
				purge_concerns_groups(purge, view->groups, view->group_count));
	return !under->found;
}

/* Calls is_meant() for the records that `each` goes through. */
static uint64_t find_all(const struct purge_set *set, const struct cache_key *key, struct slice uri,
			 void (*each)(const void *what, struct under *under), const void *what)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < set->count; i++) {
		const struct purge *purge = &set->at[i];
		struct under under = {purge, set->purged_ms, purge_concerns_uri(purge, key, uri),
				      false};

		if (under.is_of_uri || purge->kind == PURGE_GROUP || purge->kind == PURGE_ALL)
			each(what, &under);
		if (under.found)
			bits |= UINT64_C(1) << set->slots[i];
	}
	return bits;
}

static void each_of_entry(const void *entry, struct under *under)
{
	entry_visit(*(const struct slice *)entry, is_meant, under);
}

uint64_t purge_set_of_entry(const struct purge_set *set, const struct cache_key *key,
			    struct slice entry)
{
	return find_all(set, key, entry_uri(entry), each_of_entry, &entry);
}

static void the_record(const void *record, struct under *under)
{
	is_meant(under, record);
}

uint64_t purge_set_of_record(const struct purge_set *set, const struct cache_key *key,
			     struct slice uri, const struct record_view *record)
{
	return find_all(set, key, uri, the_record, record);
}
