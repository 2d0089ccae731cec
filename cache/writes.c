/* Puts queued writes into the store; what is to be removed is marked. */
#include "cache/writes.h"

#include <stdlib.h>

#include "cache/overtaken.h"
#include "cache/record/entry.h"
#include "cache/writes_batch.h"

enum {
	BATCH_OPS = 256, /* operations of a transaction; those of one key stay together */
	SLICE_OPS = 2,   /* of one in the background, plus a part of the queue: */
	SLICE_PART = 32,
	KEY_OPS = 32,     /* and of one that a lookup waits for, with those of its key */
	WRITE_TRIES = 64, /* more parts are not needed for one entry */
};

bool writes_init(struct writes *writes, struct store *store, const struct conf *conf)
{
	*writes = (struct writes){.store = store, .conf = conf};
	writes->evicted = (struct evicted){conf, store_clock(store), &writes->counts};
	store_watch_evicted(store, evicted_note, &writes->evicted);
	pending_init(&writes->pending, conf->store_pending);
	writes->entries[0] = malloc(ENTRY_SIZE_MAX);
	writes->entries[1] = malloc(ENTRY_SIZE_MAX);
	if (writes->entries[0] != NULL && writes->entries[1] != NULL)
		return true;
	writes_fini(writes);
	return false;
}

void writes_fini(struct writes *writes)
{
	writes_flush(writes);
	while (writes_tidy_some(writes))
		;
	pending_fini(&writes->pending);
	free(writes->entries[0]);
	free(writes->entries[1]);
}

static void write_batch(struct writes *writes, const struct cache_key *key, size_t most);

bool writes_add(struct writes *writes, enum pending_kind kind, const struct cache_key *key,
		struct slice uri, struct slice record)
{
	struct pending *pending = &writes->pending;
	bool added = pending_add(pending, kind, key, uri, record);

	if (!added)
		writes->counts.dropped++;
	if (pending->urgent)
		write_batch(writes, key, KEY_OPS);
	return added;
}

/*
 * Beyond the places of its set a mark would also affect other keys.  A set fills up by coincidence,
 * or by attack.
 */
static void make_place(struct writes *writes, const struct cache_key *key)
{
	const struct invalidations *all = store_invalidations(writes->store);

	if (writes->busy || invalidation_has_place(all, key))
		return;
	tidy_set_first(&writes->tidy, all, key);
	writes_tidy_some(writes);
}

void writes_mark(struct writes *writes, enum invalidation_kind kind, const struct cache_key *key,
		 const struct cache_key *entry, uint64_t epoch)
{
	make_place(writes, key);
	tidy_add(&writes->tidy,
		 invalidation_add(store_invalidations(writes->store), kind, key, entry, epoch));
}

void writes_mark_variant(struct writes *writes, const struct record_view *record,
			 const struct cache_key *entry)
{
	struct cache_key variant = record_variant_key(record, entry);

	writes_mark(writes, INVALIDATION_VARIANT, &variant, entry,
		    invalidation_overtake(store_invalidations(writes->store), &variant, 1, NULL));
}

/* A record that cannot be put should have replaced these: they must not answer any more. */
static void mark_superseded(struct writes *writes, struct slice entry, const struct pending_op *op)
{
	struct record_view fresh, old;
	struct slice uri;

	if (op->kind != PENDING_PUT || !record_parse(op->record, &fresh))
		return;
	for (unsigned i = 0; entry_at(entry, i, &uri, &old); i++) {
		if (!slice_eq(uri, op->uri) || !record_supersedes(&fresh, &old) ||
		    old.meta->asked_at > fresh.meta->asked_at)
			continue;
		writes_mark_variant(writes, &old, &op->key);
	}
}

/*
 * What a transaction has done so far, counted when it is committed.  (One that the store commits in
 * parts and that fails later is counted as dropped whole.)
 */
struct batch {
	uint64_t operations;
	uint64_t stored;
	uint64_t dropped;
};

/* One key's entry as its operations make it. */
struct rewrite {
	struct writes *writes;
	struct cache_key key;
	struct record_cutoff cutoff;
	const struct pending_op *last_put;
	struct slice entry; /* empty for none */
	bool existed;
	bool changed; /* it is one of ours, and no view of the store */
	unsigned turn;
	uint64_t purged; /* slots of purges that it carries out, and is counted for */
	uint64_t stored;
	uint64_t dropped;
};

static char *rewrite_room(const struct rewrite *rewrite)
{
	return rewrite->writes->entries[rewrite->turn];
}

static void rewrite_become(struct rewrite *rewrite, size_t n)
{
	rewrite->entry = slice_of(rewrite_room(rewrite), n);
	rewrite->turn ^= 1;
	rewrite->changed = true;
}

/*
 * The store refuses values larger than a part of its size (store_put()): drop variants before that.
 */
static size_t entry_size_max(const struct conf *conf)
{
	uint64_t part = conf->store_size / (conf->store_size < 4 << 20 ? 16 : 64);
	uint64_t overhead = GROUPS_MAX * sizeof(struct cache_key) + 64;

	return part - overhead < ENTRY_SIZE_MAX ? part - overhead : ENTRY_SIZE_MAX;
}

/* Invalidated or purged while it waited, by any process. */
static bool is_put_overtaken(const struct rewrite *rewrite, const struct pending_op *op,
			     const struct record_view *view)
{
	return record_is_absent(view, &rewrite->cutoff) ||
	       overtaken_record(rewrite->writes->store, &op->key, op->uri, view);
}

static bool read_purges(struct writes *writes)
{
	if (purge_table_pending(&store_invalidations(writes->store)->purges) == 0)
		return false;
	purge_set_read(&writes->purges, writes->store);
	return true;
}

/* For which purges something is removed from the entry, or made stale. */
static void count_entry(struct rewrite *rewrite)
{
	if (read_purges(rewrite->writes))
		rewrite->purged =
			purge_set_of_entry(&rewrite->writes->purges, &rewrite->key, rewrite->entry);
}

/* The same of a put that waited. */
static void count_put(struct rewrite *rewrite, const struct pending_op *op,
		      const struct record_view *view)
{
	if (read_purges(rewrite->writes))
		rewrite->purged |=
			purge_set_of_record(&rewrite->writes->purges, &op->key, op->uri, view);
}

/* Softly purged while it waited: put it as stale.  The queue owns its bytes. */
static void make_put_stale(const struct rewrite *rewrite, const struct pending_op *op,
			   const struct record_view *view)
{
	int64_t purged_ms;

	if (!(view->meta->flags & META_PURGED) &&
	    overtaken_softly(rewrite->writes->store, &op->key, op->uri, view, &purged_ms))
		record_make_stale((char *)(uintptr_t)op->record.p, purged_ms, record_seed(op->uri));
}

/* The variants within entry_size, or this one alone: record_size has bounded it. */
static size_t put_into(struct rewrite *rewrite, struct slice old, const struct pending_op *op)
{
	const struct conf *conf = rewrite->writes->conf;
	size_t most = entry_size_max(conf);
	size_t n = entry_put(old, op->uri, op->record, conf->variants, rewrite_room(rewrite),
			     most < conf->entry_size ? most : conf->entry_size);

	if (n > 0 || most <= conf->entry_size)
		return n;
	return entry_put(slice_of(NULL, 0), op->uri, op->record, 1, rewrite_room(rewrite), most);
}

static void rewrite_put(struct rewrite *rewrite, struct slice old, const struct pending_op *op)
{
	struct record_view view;
	size_t n;

	if (!record_parse(op->record, &view))
		return;
	count_put(rewrite, op, &view);
	if (is_put_overtaken(rewrite, op, &view))
		return;
	make_put_stale(rewrite, op, &view);
	n = put_into(rewrite, old, op);
	if (n == 0) {
		mark_superseded(rewrite->writes, old, op);
		rewrite->dropped++;
		return;
	}
	rewrite_become(rewrite, n);
	rewrite->last_put = op;
	rewrite->stored++;
}

static void rewrite_tidy(struct rewrite *rewrite)
{
	rewrite_become(rewrite, entry_tidy(rewrite->entry, &rewrite->cutoff, rewrite_room(rewrite),
					   ENTRY_SIZE_MAX));
}

static void rewrite_apply(struct rewrite *rewrite, const struct pending_op *ops)
{
	for (const struct pending_op *op = ops; op != NULL; op = op->next) {
		if (op->kind == PENDING_PUT)
			rewrite_put(rewrite, rewrite->entry, op);
		else
			rewrite_tidy(rewrite);
	}
}

/*
 * The groups of the entry.  When its records are in too many groups, all records but the last put
 * are dropped; if that is in too many by itself, it cannot be kept.
 */
static size_t rewrite_groups(struct rewrite *rewrite, struct cache_key *groups)
{
	size_t count = entry_groups(rewrite->entry, groups);

	if (count == SIZE_MAX && rewrite->last_put != NULL) {
		rewrite_put(rewrite, slice_of(NULL, 0), rewrite->last_put);
		rewrite->stored--;
		count = entry_groups(rewrite->entry, groups);
	}
	if (count != SIZE_MAX)
		return count;
	rewrite->entry.n = 0;
	rewrite->dropped += rewrite->stored;
	rewrite->stored = 0;
	return 0;
}

/*
 * There is no room for the new entry.  The old one stays, without the records that were superseded.
 */
static enum store_result rewrite_give_up(struct rewrite *rewrite, const struct pending_op *ops)
{
	struct slice entry;
	enum store_result result = store_read(rewrite->writes->store, &rewrite->key, &entry);

	for (; result == STORE_OK && ops != NULL; ops = ops->next)
		mark_superseded(rewrite->writes, entry, ops);
	rewrite->dropped += rewrite->stored;
	rewrite->stored = rewrite->purged = 0;
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

/* STORE_FULL only without operations: absent records stay for now. */
static enum store_result rewrite_write(struct rewrite *rewrite, const struct pending_op *ops)
{
	struct store *store = rewrite->writes->store;
	struct cache_key groups[GROUPS_MAX];
	size_t group_count = rewrite_groups(rewrite, groups);
	enum store_result result = STORE_OK;

	if (rewrite->entry.n > 0)
		result = store_put(store, &rewrite->key, rewrite->entry, groups, group_count);
	if (rewrite->existed && (rewrite->entry.n == 0 || (result == STORE_FULL && ops == NULL)))
		result = store_drop(store, &rewrite->key);
	if (result == STORE_FULL && ops != NULL)
		result = rewrite_give_up(rewrite, ops);
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

/* Read the entry of a key as it is in this part of the transaction, without what is absent. */
static enum store_result rewrite_begin(struct rewrite *rewrite, struct writes *writes,
				       const struct cache_key *key, const struct pending_op *ops)
{
	struct slice uri = ops != NULL ? ops->uri : slice_of("", 0);
	enum store_result result;

	*rewrite = (struct rewrite){.writes = writes, .key = *key};
	result = store_read(writes->store, key, &rewrite->entry);
	rewrite->existed = result == STORE_OK;
	if (rewrite->existed) {
		uri = entry_uri(rewrite->entry);
		count_entry(rewrite);
	}
	overtaken_cutoff(writes->store, key, uri, &rewrite->cutoff);
	if (rewrite->existed && entry_is_untidy(rewrite->entry, &rewrite->cutoff))
		rewrite_tidy(rewrite);
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

/*
 * Rewrite the entry of one key, inside a transaction: drop absent records, and apply the
 * operations, if any.  Values read are valid until the part ends: in the next one the entry is read
 * and processed again.
 */
static enum store_result rewrite_key(struct writes *writes, const struct cache_key *key,
				     const struct pending_op *ops, struct rewrite *rewrite)
{
	enum store_result result =
		store_part_is_done(writes->store) ? store_renew(writes->store) : STORE_OK;

	for (unsigned tries = 0; result == STORE_OK && tries < WRITE_TRIES; tries++) {
		result = rewrite_begin(rewrite, writes, key, ops);
		if (result != STORE_OK)
			return result;
		rewrite_apply(rewrite, ops);
		if (rewrite->changed)
			result = rewrite_write(rewrite, ops);
		if (result != STORE_PART_FULL)
			return result;
		result = store_renew(writes->store);
	}
	return result == STORE_OK ? STORE_FAILED : result;
}

static uint64_t count_ops(const struct pending_op *ops)
{
	uint64_t count = 0;

	for (; ops != NULL; ops = ops->next)
		count++;
	return count;
}

/* Count an entry at once for the purges that it was changed for; taken back if that is lost. */
static void count_purged(struct writes *writes, uint64_t slots)
{
	while (slots != 0) {
		unsigned slot = purge_slot_next(&slots);
		uint64_t bit = UINT64_C(1) << slot;

		if (!(writes->counted_slots & bit))
			writes->counted[slot] = 0;
		writes->counted_slots |= bit;
		writes->counted[slot]++;
		purge_table_count(&store_invalidations(writes->store)->purges, slot, 1);
	}
}

static void count_back(struct writes *writes)
{
	struct purge_table *purges = &store_invalidations(writes->store)->purges;

	for (uint64_t slots = writes->counted_slots; slots != 0;) {
		unsigned slot = purge_slot_next(&slots);

		purge_table_count(purges, slot, -(int64_t)writes->counted[slot]);
	}
}

enum store_result writes_begin_batch(struct writes *writes, bool *ret_begun)
{
	enum store_result result = store_begin(writes->store);

	writes->counted_slots = 0;
	writes->busy = *ret_begun = result == STORE_OK;
	return result;
}

bool writes_end_batch(struct writes *writes, bool begun, enum store_result result)
{
	writes->counts.flushes++;
	writes->busy = false;
	if (result == STORE_OK)
		result = store_commit(writes->store);
	else if (begun)
		store_abort(writes->store);
	if (result != STORE_OK && writes->counted_slots != 0)
		count_back(writes);
	writes->counts.failures += result != STORE_OK;
	writes->waiting = result != STORE_OK;
	return result == STORE_OK;
}

/* Operations of one transaction, by key. */
struct taken {
	struct pending_op *ops[BATCH_OPS];
	size_t count;
};

/* A failed put should have replaced what is stored; if that cannot be read, what may be stored. */
static void mark_lost_put(struct writes *writes, const struct pending_op *op)
{
	struct record_view fresh;
	struct slice entry;

	switch (store_get(writes->store, &op->key, &entry)) {
	case STORE_NOT_FOUND:
		break;
	case STORE_OK:
		mark_superseded(writes, entry, op);
		break;
	default:
		if (record_parse(op->record, &fresh))
			writes_mark_variant(writes, &fresh, &op->key);
	}
}

static void mark_lost(struct writes *writes, const struct taken *taken)
{
	writes->busy = true;
	for (size_t i = 0; i < taken->count; i++) {
		for (const struct pending_op *op = taken->ops[i]; op != NULL; op = op->next) {
			if (op->kind == PENDING_PUT)
				mark_lost_put(writes, op);
		}
	}
	store_turn_end(writes->store);
	writes->busy = false;
}

static enum store_result write_taken(struct writes *writes, struct pending_op *ops,
				     struct batch *batch)
{
	struct rewrite rewrite;
	enum store_result result = rewrite_key(writes, &ops->key, ops, &rewrite);

	if (result != STORE_OK)
		return result;
	count_purged(writes, rewrite.purged);
	batch->stored += rewrite.stored;
	batch->dropped += rewrite.dropped;
	return STORE_OK;
}

/*
 * One transaction for the operations of `key`, if any, and those that wait longest.  They leave the
 * queue whether it succeeds or not.
 */
static void write_batch(struct writes *writes, const struct cache_key *key, size_t most)
{
	struct cache_counts *counts = &writes->counts;
	bool begun;
	enum store_result result = writes_begin_batch(writes, &begun);
	struct batch batch = {0};
	struct taken taken;
	struct pending_op *ops = key != NULL ? pending_take_key(&writes->pending, key) : NULL;

	taken.count = 0;
	while (batch.operations < most && taken.count < BATCH_OPS &&
	       (ops != NULL || (ops = pending_take(&writes->pending)) != NULL)) {
		taken.ops[taken.count++] = ops;
		if (result == STORE_OK)
			result = write_taken(writes, ops, &batch);
		batch.operations += count_ops(ops);
		ops = NULL;
	}
	if (writes_end_batch(writes, begun, result)) {
		counts->stored += batch.stored;
		counts->dropped += batch.dropped;
	} else {
		counts->dropped += batch.operations;
		mark_lost(writes, &taken);
	}
	for (size_t i = 0; i < taken.count; i++)
		pending_release(taken.ops[i]);
}

void writes_flush(struct writes *writes)
{
	while (writes->pending.count > 0)
		write_batch(writes, NULL, BATCH_OPS);
}

void writes_flush_key(struct writes *writes, const struct cache_key *key)
{
	if (pending_has(&writes->pending, key))
		write_batch(writes, key, KEY_OPS);
}

bool writes_flush_some(struct writes *writes)
{
	size_t most = writes->pending.count / SLICE_PART;

	if (most < SLICE_OPS)
		most = SLICE_OPS;
	if (writes->pending.count > 0)
		write_batch(writes, NULL, most < BATCH_OPS ? most : BATCH_OPS);
	return writes->pending.count > 0;
}

enum store_result writes_clean_key(struct writes *writes, const struct cache_key *key,
				   uint64_t *count)
{
	struct rewrite rewrite;
	enum store_result result = rewrite_key(writes, key, NULL, &rewrite);

	if (result == STORE_OK)
		count_purged(writes, rewrite.purged);
	*count += result == STORE_OK && rewrite.changed;
	return result;
}
