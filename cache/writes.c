/* Puts queued writes into the store, and removes what must go at once. */
#include "cache/writes.h"

#include <stdlib.h>

#include "cache/groups.h"
#include "cache/purge.h"

enum {
	BATCH_OPS = 256, /* operations of a transaction; those of one key stay together */
	SLICE_OPS = 2,   /* and of one that nobody waits for, but for a part of what is queued */
	SLICE_PART = 32,
	GROUP_BATCH = 256, /* members of a group dropped in one */
};

bool writes_init(struct writes *writes, struct store *store, const struct conf *conf)
{
	*writes = (struct writes){.store = store, .conf = conf};
	pending_init(&writes->pending, conf->store_pending);
	writes->entries[0] = malloc(ENTRY_SIZE_MAX);
	writes->entries[1] = malloc(ENTRY_SIZE_MAX);
	if (writes->entries[0] && writes->entries[1])
		return true;
	writes_fini(writes);
	return false;
}

void writes_fini(struct writes *writes)
{
	writes_flush(writes);
	pending_fini(&writes->pending);
	free(writes->entries[0]);
	free(writes->entries[1]);
}

bool writes_add(struct writes *writes, enum pending_kind kind, const struct cache_key *key,
		uint64_t moment, struct slice uri, struct slice record)
{
	struct pending *pending = &writes->pending;
	bool added = pending_add(pending, kind, key, moment, uri, record);

	/*
	 * `record` may be a view of the store: after a flush it is not to be read.  Without memory
	 * for a copy all of the URI is removed, for which the key will do.
	 */
	if (!added && kind != PENDING_PUT)
		writes_remove(writes, key, 1, NULL, 0);
	if (!added)
		writes->counts.dropped++;
	if (pending->urgent)
		writes_flush(writes);
	return added;
}

/* What a transaction has done so far, counted when it is committed.  (One that the store commits in
   parts and that fails later is counted as dropped whole.) */
struct batch {
	uint64_t operations;
	uint64_t stored;
	uint64_t dropped;
};

/* One key's entry as its operations make it. */
struct rewrite {
	struct writes *writes;
	int64_t purged_ms;
	const struct pending_op *last_put;
	struct slice entry; /* empty for none */
	bool changed;       /* it is one of ours, and no view of the store */
	unsigned turn;
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

/* The store takes no value over a part of its size (store_put()): variants make way before that. */
static size_t entry_size_max(const struct conf *conf)
{
	uint64_t part = conf->store_size / (conf->store_size < 4 << 20 ? 16 : 64);
	uint64_t overhead = GROUPS_MAX * sizeof(struct cache_key) + 64;

	return part - overhead < ENTRY_SIZE_MAX ? part - overhead : ENTRY_SIZE_MAX;
}

/* Purged while it waited. */
static bool is_put_purged(const struct rewrite *rewrite, const struct pending_op *op)
{
	struct record_view view;

	return record_view(op->record, op->uri, &view) &&
	       record_is_purged(view.meta, rewrite->purged_ms);
}

/* Invalidated by another process, while it waited. */
static bool is_put_overtaken(const struct rewrite *rewrite, const struct pending_op *op)
{
	const struct moments *moments = store_moments(rewrite->writes->store);
	struct http_field lines[RECORD_FIELDS_MAX];
	struct http_response res = {.fields = {.at = lines, .capacity = RECORD_FIELDS_MAX}};
	struct record_view view;

	if (moments_now(moments) == op->moment)
		return false;
	return !record_view(op->record, op->uri, &view) || !record_to_response(&view, &res) ||
	       groups_passed(moments, &op->key, op->uri, &res.fields, op->moment);
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
	size_t n;

	if (is_put_purged(rewrite, op) || is_put_overtaken(rewrite, op))
		return;
	n = put_into(rewrite, old, op);
	if (n == 0) {
		rewrite->dropped++;
		return;
	}
	rewrite_become(rewrite, n);
	rewrite->last_put = op;
	rewrite->stored++;
}

static void rewrite_drop(struct rewrite *rewrite, const struct pending_op *op)
{
	rewrite_become(rewrite, entry_drop(rewrite->entry, op->uri, op->record,
					   rewrite_room(rewrite), ENTRY_SIZE_MAX));
}

/* Whether there was anything to remove. */
static bool rewrite_drop_purged(struct rewrite *rewrite)
{
	if (!entry_has_purged(rewrite->entry, rewrite->purged_ms))
		return false;
	rewrite_become(rewrite, entry_drop_purged(rewrite->entry, rewrite->purged_ms,
						  rewrite_room(rewrite), ENTRY_SIZE_MAX));
	return true;
}

static void rewrite_apply(struct rewrite *rewrite, const struct pending_op *ops)
{
	for (const struct pending_op *op = ops; op; op = op->next) {
		if (op->kind == PENDING_PUT)
			rewrite_put(rewrite, rewrite->entry, op);
		else
			rewrite_drop(rewrite, op);
	}
}

/*
 * The groups of the entry.  When its records are in too many, all but the last put are let go; if
 * that is in too many by itself, it cannot be kept.
 */
static size_t rewrite_groups(struct rewrite *rewrite, struct cache_key *groups)
{
	size_t count = groups_of_entry(rewrite->entry, groups);

	if (count == SIZE_MAX && rewrite->last_put) {
		rewrite_put(rewrite, slice_of(NULL, 0), rewrite->last_put);
		rewrite->stored--;
		count = groups_of_entry(rewrite->entry, groups);
	}
	if (count != SIZE_MAX)
		return count;
	rewrite->entry.n = 0;
	rewrite->dropped += rewrite->stored;
	rewrite->stored = 0;
	return 0;
}

/* Without room for the new entry the old one goes: it must not answer for what superseded it. */
static enum store_result rewrite_write(struct rewrite *rewrite, const struct cache_key *key,
				       bool existed)
{
	struct store *store = rewrite->writes->store;
	struct cache_key groups[GROUPS_MAX];
	size_t group_count = rewrite_groups(rewrite, groups);
	enum store_result result = STORE_OK;

	if (rewrite->entry.n > 0)
		result = store_put(store, key, rewrite->entry, groups, group_count);
	if (result == STORE_FULL) {
		rewrite->entry.n = 0;
		rewrite->dropped += rewrite->stored;
		rewrite->stored = 0;
		result = STORE_OK;
	}
	if (result == STORE_OK && rewrite->entry.n == 0 && existed)
		result = store_drop(store, key);
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

/* Rewrite the entry of one key, inside a transaction. */
static enum store_result write_key(struct writes *writes, const struct pending_op *ops,
				   struct batch *batch)
{
	struct rewrite rewrite = {.writes = writes, .purged_ms = purge_mark(writes->store)};
	enum store_result result = store_read(writes->store, &ops->key, &rewrite.entry);
	bool existed = result == STORE_OK;

	if (!existed && result != STORE_NOT_FOUND)
		return result;
	if (existed)
		rewrite_drop_purged(&rewrite);
	rewrite_apply(&rewrite, ops);
	result = rewrite.changed ? rewrite_write(&rewrite, &ops->key, existed) : STORE_OK;
	batch->stored += rewrite.stored;
	batch->dropped += rewrite.dropped;
	return result;
}

static uint64_t release_ops(struct pending_op *ops)
{
	uint64_t count = 0;

	for (const struct pending_op *op = ops; op; op = op->next)
		count++;
	pending_release(ops);
	return count;
}

/* One transaction; whatever comes of it, the operations are off the queue. */
static void write_batch(struct writes *writes, size_t most)
{
	struct cache_counts *counts = &writes->counts;
	enum store_result result = store_begin(writes->store);
	bool begun = result == STORE_OK;
	struct batch batch = {0};
	struct pending_op *ops;

	counts->flushes++;
	while (batch.operations < most && (ops = pending_take(&writes->pending))) {
		if (result == STORE_OK)
			result = write_key(writes, ops, &batch);
		batch.operations += release_ops(ops);
	}
	if (result == STORE_OK)
		result = store_commit(writes->store);
	else if (begun)
		store_abort(writes->store);
	if (result == STORE_OK) {
		counts->stored += batch.stored;
		counts->dropped += batch.dropped;
	} else {
		counts->failures++;
		counts->dropped += batch.operations;
	}
}

void writes_flush(struct writes *writes)
{
	while (writes->pending.count > 0)
		write_batch(writes, BATCH_OPS);
}

bool writes_flush_some(struct writes *writes)
{
	size_t most = writes->pending.count / SLICE_PART;

	if (most < SLICE_OPS)
		most = SLICE_OPS;
	if (writes->pending.count > 0)
		write_batch(writes, most < BATCH_OPS ? most : BATCH_OPS);
	return writes->pending.count > 0;
}

/*
 * Most unsafe requests concern nothing that is stored.  A look at the store as it is now, not as it
 * was when the turn began, spares them the lock of the writers.
 */
static bool any_exists(struct writes *writes, const struct cache_key *keys, size_t key_count)
{
	struct slice value;

	store_turn_end(writes->store);
	for (size_t i = 0; i < key_count; i++) {
		if (store_get(writes->store, &keys[i], &value) != STORE_NOT_FOUND)
			return true;
	}
	return false;
}

/* What is still to be removed, and how much the transaction under way has removed. */
struct removal {
	const struct cache_key *keys;
	size_t key_count;
	const struct cache_key *groups;
	size_t group_count;
	unsigned removed;
};

/* Part of a removal: a group may be large, and transactions are to be short. */
static enum store_result remove_some(struct store *store, struct removal *removal)
{
	for (; removal->key_count > 0; removal->keys++, removal->key_count--) {
		enum store_result result = store_drop(store, removal->keys);

		if (result != STORE_OK && result != STORE_NOT_FOUND)
			return result;
		removal->removed += result == STORE_OK;
	}
	for (; removal->group_count > 0; removal->groups++, removal->group_count--) {
		size_t dropped = 0;
		enum store_result result =
			store_drop_group(store, removal->groups, GROUP_BATCH, &dropped);

		if (result != STORE_OK && result != STORE_NOT_FOUND)
			return result;
		removal->removed += (unsigned)dropped;
		if (dropped >= GROUP_BATCH)
			return STORE_OK;
	}
	return STORE_OK;
}

static enum store_result remove_batch(struct writes *writes, struct removal *removal)
{
	enum store_result result = store_begin(writes->store);

	writes->counts.flushes++;
	removal->removed = 0;
	if (result == STORE_OK) {
		result = remove_some(writes->store, removal);
		if (result == STORE_OK)
			result = store_commit(writes->store);
		else
			store_abort(writes->store);
	}
	writes->counts.failures += result != STORE_OK;
	return result;
}

unsigned writes_remove(struct writes *writes, const struct cache_key *keys, size_t key_count,
		       const struct cache_key *groups, size_t group_count)
{
	struct removal removal = {keys, key_count, groups, group_count, 0};
	unsigned removed = 0;

	writes_flush(writes);
	if (!any_exists(writes, keys, key_count))
		removal.key_count = 0;
	while (removal.key_count + removal.group_count > 0) {
		if (remove_batch(writes, &removal) != STORE_OK)
			break;
		removed += removal.removed;
	}
	return removed;
}

static enum store_result purge_key(struct writes *writes, const struct cache_key *key,
				   int64_t purged_ms, uint64_t *count)
{
	struct rewrite rewrite = {.writes = writes, .purged_ms = purged_ms};
	enum store_result result = store_read(writes->store, key, &rewrite.entry);

	if (result != STORE_OK)
		return result == STORE_NOT_FOUND ? STORE_OK : result;
	if (!rewrite_drop_purged(&rewrite))
		return STORE_OK;
	++*count;
	return rewrite_write(&rewrite, key, true);
}

bool writes_purge(struct writes *writes, const struct cache_key *keys, size_t count,
		  int64_t purged_ms)
{
	enum store_result result = store_begin(writes->store);
	bool begun = result == STORE_OK;
	uint64_t purged = 0;

	writes->counts.flushes++;
	for (; count > 0 && result == STORE_OK; keys++, count--)
		result = purge_key(writes, keys, purged_ms, &purged);
	if (result == STORE_OK)
		result = store_commit(writes->store);
	else if (begun)
		store_abort(writes->store);
	if (result == STORE_OK)
		writes->counts.purged += purged;
	else
		writes->counts.failures++;
	return result == STORE_OK;
}
