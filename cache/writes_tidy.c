/* Removals: records of marks and of purges are dropped from the store, in short transactions. */
#include "cache/writes.h"

#include "cache/writes_batch.h"

enum { TIDY_ENTRIES = 32 }; /* rewritten or looked at in one transaction */

/* The limits and the progress of one transaction. */
struct tidying {
	unsigned entries; /* left to look at */
	uint64_t members; /* of groups, removed */
	struct invalidation_mark done[TIDY_ENTRIES];
	size_t done_count;
};

/* Continue the walk of a group; *ret_done at its end.  Another group may come first. */
static enum store_result tidy_group(struct writes *writes, const struct invalidation_mark *mark,
				    struct tidying *tidying, bool *ret_done)
{
	struct tidy *tidy = &writes->tidy;
	enum store_result result = STORE_OK;
	struct cache_key member;

	if (!tidy_walk(tidy, store_invalidations(writes->store), mark)) {
		tidying->entries--;
		return STORE_OK;
	}
	while (result == STORE_OK && tidying->entries > 0) {
		struct cache_key cursor = tidy->cursor;

		result = store_group_next(writes->store, &mark->key, &cursor, &member);
		if (result == STORE_OK)
			result = writes_clean_key(writes, &member, &tidying->members);
		if (result == STORE_OK || result == STORE_PART_FULL)
			tidy->cursor = cursor;
		tidying->entries--;
	}
	*ret_done = result == STORE_NOT_FOUND;
	if (*ret_done)
		tidy_walked(tidy);
	return result == STORE_NOT_FOUND || result == STORE_PART_FULL ? STORE_OK : result;
}

static enum store_result tidy_mark(struct writes *writes, const struct invalidation_mark *mark,
				   struct tidying *tidying, bool *ret_done)
{
	uint64_t counted = 0; /* when it was marked */

	*ret_done = mark->kind != INVALIDATION_GROUP;
	if (!*ret_done)
		return tidy_group(writes, mark, tidying, ret_done);
	tidying->entries--;
	return writes_clean_key(writes, &mark->entry, &counted);
}

bool writes_tidy_some(struct writes *writes)
{
	struct invalidations *all = store_invalidations(writes->store);
	struct tidying tidying = {.entries = TIDY_ENTRIES};
	struct invalidation_mark mark;
	enum store_result result;
	bool begun, done, wait = false;

	if (writes->waiting || !tidy_first(&writes->tidy, all, &mark))
		return false;
	result = writes_begin_batch(writes, &begun);
	while (result == STORE_OK && tidying.entries > 0 && tidy_first(&writes->tidy, all, &mark)) {
		result = tidy_mark(writes, &mark, &tidying, &done);
		if (result == STORE_OK && done) {
			tidying.done[tidying.done_count++] = mark;
			tidy_take(&writes->tidy);
		} else if (result == STORE_OK) {
			tidy_put_off(&writes->tidy);
		}
	}
	/* Without room, because a copy is being made, the mark stays in force. */
	if (result == STORE_FULL) {
		wait = true;
		result = STORE_OK;
	}
	/* writes_tick() finds those again that fall off the list. */
	if (!writes_end_batch(writes, begun, result)) {
		tidy_walked(&writes->tidy);
		for (size_t i = 0; i < tidying.done_count; i++)
			tidy_add(&writes->tidy, tidying.done[i].place);
		return false;
	}
	for (size_t i = 0; i < tidying.done_count; i++)
		invalidation_retire(all, &tidying.done[i]);
	writes->counts.invalidated += tidying.members;
	writes->waiting = wait;
	if (wait && invalidation_are_many(all))
		store_give_up_copy(writes->store);
	return writes_tidy_is_due(writes);
}

void writes_tick(struct writes *writes)
{
	writes->waiting = false;
	tidy_find(&writes->tidy, store_invalidations(writes->store));
}

bool writes_purge(struct writes *writes, const struct cache_key *keys, size_t count)
{
	bool begun;
	enum store_result result = writes_begin_batch(writes, &begun);
	uint64_t purged = 0;
	bool all;

	for (; count > 0 && result == STORE_OK; keys++, count--)
		result = writes_clean_key(writes, keys, &purged);
	/* Without room, because a copy is being made, the rest stays absent until the next try. */
	all = result != STORE_FULL;
	if (!writes_end_batch(writes, begun, all ? result : STORE_OK))
		return false;
	writes->counts.purged += purged;
	return all;
}
