/* The record store: reading, and write transactions in parts. */
#include "cache/store/store.h"

#include <sched.h>
#include <stdlib.h>

#include "cache/store/impl.h"

enum {
	HAND_STEPS = 4096, /* per part of a transaction, 16 ns each */
	PUT_TRIES = 8,
	GROUP_REPAIRS = 64,
};

static void part_note_end(struct store *store)
{
	if (store->noting)
		store_files_written(&store->files);
	store->noting = false;
}

static void part_abort(struct store *store)
{
	tables_abort(&store->tables);
	part_note_end(store);
}

/* After an error the transaction is aborted and its changes are lost. */
static enum store_result store_break(struct store *store, enum store_result result)
{
	part_abort(store);
	store->failures++;
	return result;
}

/* ---- reading -------------------------------------------------------------------------------- */

static enum store_result view_begin(struct store *store)
{
	if (!store->tables.viewing)
		store->view_retired = invalidation_retired(store_invalidations(store));
	return tables_view_begin(&store->tables);
}

bool store_view_is_current(const struct store *store)
{
	const struct invalidations *all = store->invalidations_map.data;

	return !store->tables.viewing || invalidation_retired(all) == store->view_retired;
}

static enum store_result view_get(struct store *store, const struct cache_key *key,
				  struct store_value *ret_value)
{
	enum store_result result = view_begin(store);

	return result == STORE_OK ? rows_get(store, TABLES_VIEW, key, ret_value) : result;
}

static enum store_result recent_fill(struct store *store, const struct cache_key *key,
				     struct store_recent *recent)
{
	struct store_value value;
	enum store_result result = view_get(store, key, &value);

	if (result == STORE_OK)
		*recent = (struct store_recent){*key, value.value, store->tables.generation,
						value.head.slot};
	return result;
}

enum store_result store_peek(struct store *store, const struct cache_key *key,
			     struct slice *ret_value)
{
	struct store_value value;
	enum store_result result = view_get(store, key, &value);

	if (result == STORE_OK)
		*ret_value = value.value;
	return result;
}

enum store_result store_get(struct store *store, const struct cache_key *key,
			    struct slice *ret_value)
{
	struct store_recent *recent = &store->recent[key->word[0] % STORE_RECENT];
	enum store_result result = STORE_OK;

	if (!store->tables.viewing || recent->generation != store->tables.generation ||
	    !cache_key_eq(&recent->key, key))
		result = recent_fill(store, key, recent);
	if (result != STORE_OK)
		return result;
	evict_visit(&store->bits, recent->slot);
	*ret_value = recent->value;
	return STORE_OK;
}

void store_turn_end(struct store *store)
{
	tables_view_end(&store->tables);
}

const uint64_t *store_generation(const struct store *store)
{
	return &store->tables.generation;
}

/* The key after this one; false when there is none. */
static bool key_step(struct cache_key *key)
{
	unsigned char *bytes = (unsigned char *)key;

	for (size_t i = sizeof(*key); i-- > 0;)
		if (++bytes[i] != 0)
			return true;
	return false;
}

static enum store_result walk(struct store *store, struct cache_key *cursor, size_t limit,
			      store_visit visit, void *context, bool *ret_more)
{
	struct tables_cursor at;
	struct store_value value;
	struct slice k, v;
	enum store_result result = tables_cursor_open(&store->tables, TABLES_VIEW, STORE_DATA, &at);
	bool go_on = true;

	if (result != STORE_OK)
		return result;
	*ret_more = true;
	result = tables_seek(&store->tables, &at, cursor, &k, &v);
	for (; result == STORE_OK && limit > 0 && go_on; limit--) {
		struct cache_key key;

		memcpy(&key, k.p, sizeof(key));
		*cursor = key;
		if (!key_step(cursor))
			*ret_more = false;
		if (store_value_view(v.p, v.n, &value))
			go_on = visit(context, &key, value.value);
		result = tables_next(&store->tables, &at, &k, &v);
	}
	tables_cursor_close(&at);
	if (result == STORE_NOT_FOUND)
		*ret_more = false;
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

enum store_result store_walk(struct store *store, struct cache_key *cursor, size_t limit,
			     store_visit visit, void *context, bool *ret_more)
{
	bool was_viewing = store->tables.viewing;
	enum store_result result = view_begin(store);

	*ret_more = false;
	if (result == STORE_OK)
		result = walk(store, cursor, limit, visit, context, ret_more);
	if (!was_viewing)
		store_turn_end(store);
	return result;
}

void store_watch_evicted(struct store *store, store_evicted evicted, void *context)
{
	store->evicted = evicted;
	store->evicted_context = context;
}

void store_usage(struct store *store, struct store_usage *ret_usage)
{
	bool was_viewing = store->tables.viewing;

	*ret_usage = (struct store_usage){.bytes_size = store->tables.size,
					  .evictions = store->evictions,
					  .failures = store->failures};
	if (view_begin(store) == STORE_OK)
		ret_usage->bytes_used =
			tables_trees(&store->tables, TABLES_VIEW, &ret_usage->entries).used *
			store->room.page_size;
	if (!was_viewing)
		store_turn_end(store);
}

/* ---- parts of a transaction ----------------------------------------------------------------- */

/* Is the file still as the last writer left it (cache/store/note.h)?  After tables_begin(). */
static void part_note_begin(struct store *store)
{
	store->noting = store_files_writing(&store->files);
	if (!store->noting || !store_note_holds(store->note, tables_fd(&store->tables),
						tables_last_transaction(&store->tables)))
		store_note_doubt(store->note);
}

static enum store_result part_begin(struct store *store)
{
	enum store_result result = tables_begin(&store->tables);
	uint64_t entries, available;
	struct store_trees trees;

	if (result != STORE_OK) {
		store->failures++;
		return result;
	}
	part_note_begin(store);
	trees = tables_trees(&store->tables, TABLES_WRITE, &entries);
	available =
		tables_available(&store->tables, store_room_wanted(&store->room), &store->virgin);
	store_room_begin(&store->room, &trees, available);
	if (atomic_load_explicit(&store->note->copying, memory_order_relaxed))
		store_room_keep_margin(&store->room);
	store->sequence = 0;
	store->hand_steps = HAND_STEPS;
	return STORE_OK;
}

static enum store_result part_commit(struct store *store)
{
	bool writing = store->tables.writing;
	enum store_result result = tables_commit(&store->tables);

	if (writing && result != STORE_OK)
		store->failures++;
	if (store->noting && result == STORE_OK)
		store_note_take(store->note, tables_fd(&store->tables),
				tables_last_transaction(&store->tables));
	part_note_end(store);
	return result;
}

enum store_result store_begin(struct store *store)
{
	store_abort(store);
	store->debt.tries = 0;
	return part_begin(store);
}

bool store_part_is_done(const struct store *store)
{
	return store->tables.writing && store_room_part_done(&store->room);
}

enum store_result store_renew(struct store *store)
{
	enum store_result result = part_commit(store);

	if (result != STORE_OK)
		return result;
	/* The lock is not fair: give a waiting process the chance to take it. */
	sched_yield();
	return part_begin(store);
}

enum store_result store_commit(struct store *store)
{
	return part_commit(store);
}

void store_abort(struct store *store)
{
	store_turn_end(store);
	part_abort(store);
}

enum store_result store_read(struct store *store, const struct cache_key *key,
			     struct slice *ret_value)
{
	struct store_value value;
	enum store_result result = STORE_FAILED;

	if (store->tables.writing)
		result = rows_get(store, TABLES_WRITE, key, &value);
	if (result == STORE_OK)
		*ret_value = value.value;
	return result;
}

/* ---- putting -------------------------------------------------------------------------------- */

/*
 * A value that needs a run of pages may find none although enough pages are free.  A nested
 * transaction contains the failure, so that earlier puts are kept.
 */
static enum store_result write_guarded(struct store *store, const struct put_job *put)
{
	enum store_result result = tables_nest(&store->tables), ended;

	if (result != STORE_OK)
		return result;
	result = rows_write(store, put);
	ended = tables_unnest(&store->tables, result == STORE_OK);
	store->sequence = 0;
	return result == STORE_OK ? ended : result;
}

/* What a put would change, and the bytes by which the value grows. */
static struct store_change put_change(struct store *store, const struct put_job *put,
				      size_t *ret_growth)
{
	size_t old_size = 0, old_groups = 0;
	struct store_value old;

	if (rows_get(store, TABLES_WRITE, put->key, &old) == STORE_OK) {
		old_groups = old.head.group_count;
		old_size = store_value_size(old.value.n, old_groups);
	}
	*ret_growth = put->stored_size > old_size ? put->stored_size - old_size : 0;
	return rows_change(store, put->stored_size, put->group_count + old_groups);
}

/*
 * STORE_FULL, with nothing changed apart from evictions, when it does not fit into this part.  A
 * put has to evict enough bytes first, or ten victims.
 */
static enum store_result put_try(struct store *store, struct put_job *put, bool first)
{
	uint64_t entries, cost;
	struct store_trees trees = tables_trees(&store->tables, TABLES_WRITE, &entries);
	struct store_change change;
	enum store_result result;
	bool guarded;
	size_t growth;

	put->at_mark = false;
	if (store_room_is_scarce(&store->room))
		return STORE_FULL;
	change = put_change(store, put, &growth);
	if (first)
		put->due = store_room_price(&store->room, trees.used, growth);
	result = rows_evict(store, &put->due, &put->victims);
	if (result != STORE_OK)
		return store_break(store, result);
	cost = store_room_cost(&store->room, change);
	put->at_mark = !store_room_below_full(&store->room, trees.used, change.overflow + 1);
	if ((put->due > 0 && put->victims > 0) || put->at_mark ||
	    !store_room_fits_put(&store->room, cost))
		return STORE_FULL;
	guarded = change.overflow > 0 && store->virgin < store->room.spent + cost;
	result = guarded ? write_guarded(store, put) : rows_write(store, put);
	if (guarded && result == STORE_FULL)
		return STORE_FULL;
	if (result != STORE_OK)
		return store_break(store, result);
	store_room_spend(&store->room, change);
	return STORE_OK;
}

/*
 * Make room for a retry in the next part.  If this part was begun for the put and was still too
 * small, or the store is at its high-water mark, evict a batch.
 */
static enum store_result put_room(struct store *store, const struct put_job *put)
{
	enum store_result result = STORE_OK;
	unsigned victims = STORE_EVICT_MAX;
	uint64_t all = UINT64_MAX;
	/* A dead reader keeps pages, too, until its slot is cleared. */
	bool freed = store->room.spent == 0 && tables_check_readers(&store->tables);

	if (store_room_is_scarce(&store->room) && store->room.spent == 0 && !freed)
		return STORE_FULL;
	if (put->at_mark || (store->room.spent == 0 && !freed))
		result = rows_evict(store, &all, &victims);
	if (result != STORE_OK)
		return store_break(store, result);
	/* Nothing to commit and nothing to evict: some reader keeps the pages. */
	return store->room.spent == 0 && !freed ? STORE_FULL : STORE_PART_FULL;
}

/* Remember what a put has paid, so that it does not pay twice in the next part. */
static struct store_debt *debt_of(struct store *store, const struct cache_key *key)
{
	struct store_debt *debt = &store->debt;

	if (debt->tries == 0 || !cache_key_eq(&debt->key, key))
		*debt = (struct store_debt){.key = *key, .victims = STORE_EVICT_MAX};
	return debt;
}

static enum store_result put_once(struct store *store, struct put_job *put)
{
	struct store_debt *debt = debt_of(store, put->key);
	enum store_result result = STORE_FULL;

	put->due = debt->due;
	put->victims = debt->victims;
	if (debt->tries < PUT_TRIES)
		result = put_try(store, put, debt->tries == 0);
	if (result == STORE_FULL && store->tables.writing && debt->tries + 1 < PUT_TRIES)
		result = put_room(store, put);
	if (result == STORE_PART_FULL)
		*debt = (struct store_debt){*put->key, put->due, put->victims, debt->tries + 1};
	else
		debt->tries = 0;
	return result;
}

enum store_result store_put(struct store *store, const struct cache_key *key, struct slice value,
			    const struct cache_key *groups, size_t group_count)
{
	struct put_job put = {
		.key = key, .value = value, .groups = groups, .group_count = group_count};

	if (!store->tables.writing)
		return STORE_FAILED;
	if (group_count > STORE_GROUPS_MAX || value.n > store_room_value_max(&store->room))
		return STORE_FULL;
	put.stored_size = store_value_size(value.n, group_count);
	return put_once(store, &put);
}

/* ---- dropping ------------------------------------------------------------------------------- */

/* Uses the last pages if necessary. */
enum store_result store_drop(struct store *store, const struct cache_key *key)
{
	enum store_result result = STORE_FAILED;
	struct store_change change;
	struct store_value value;

	if (store->tables.writing)
		result = rows_get(store, TABLES_WRITE, key, &value);
	if (result != STORE_OK)
		return result;
	if (store_room_is_scarce(&store->room))
		return STORE_FULL;
	change = rows_change(store, 0, value.head.group_count);
	/*
	 * The next part can use pages that this one frees, and those that a dead reader has kept.
	 */
	if (!store_room_fits_drop(&store->room, store_room_cost(&store->room, change)) &&
	    (store->room.spent > 0 || tables_check_readers(&store->tables)))
		return STORE_PART_FULL;
	result = rows_delete(store, key, &value);
	if (result != STORE_OK)
		return store_break(store, result);
	store_room_spend(&store->room, change);
	return STORE_OK;
}

/* ---- groups --------------------------------------------------------------------------------- */

/* The first row from `from` on; copied, because the next change invalidates it. */
static enum store_result group_row_next(struct store *store, const struct group_row *from,
					struct group_row *ret_row)
{
	struct tables_cursor at;
	struct slice k, v;
	enum store_result result = STORE_FAILED;

	if (store->tables.writing)
		result = tables_cursor_open(&store->tables, TABLES_WRITE, STORE_GROUPS, &at);
	if (result != STORE_OK)
		return result;
	result = tables_seek(&store->tables, &at, from, &k, &v);
	if (result == STORE_OK)
		memcpy(ret_row, k.p, sizeof(*ret_row));
	tables_cursor_close(&at);
	if (result == STORE_OK && !cache_key_eq(&ret_row->group, &from->group))
		result = STORE_NOT_FOUND;
	return result;
}

/* Does the row's entry exist, and is it a member of the group? */
static enum store_result group_row_is_right(struct store *store, const struct group_row *row,
					    bool *ret_right)
{
	struct store_value value;
	enum store_result result = rows_get(store, TABLES_WRITE, &row->key, &value);

	*ret_right = false;
	for (size_t i = 0; result == STORE_OK && i < value.head.group_count; i++)
		*ret_right |= cache_key_eq(&value.groups[i], &row->group);
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

enum store_result store_group_next(struct store *store, const struct cache_key *group,
				   struct cache_key *cursor, struct cache_key *ret_key)
{
	struct group_row row;

	for (unsigned i = 0; i < GROUP_REPAIRS; i++) {
		bool right, more;
		enum store_result result =
			group_row_next(store, &(struct group_row){*group, *cursor}, &row);

		if (result == STORE_OK)
			result = group_row_is_right(store, &row, &right);
		if (result != STORE_OK)
			return result;
		if (!right) {
			result = tables_delete(&store->tables, STORE_GROUPS, &row);
			if (result != STORE_OK)
				return store_break(store, result);
		}
		*ret_key = *cursor = row.key;
		more = key_step(cursor);
		if (right)
			return STORE_OK;
		if (!more)
			return STORE_NOT_FOUND;
	}
	return STORE_PART_FULL;
}

/* ---- the rest ------------------------------------------------------------------------------- */

void store_give_up_copy(struct store *store)
{
	atomic_store_explicit(&store->note->give_way, 1, memory_order_relaxed);
}

void store_check_readers(struct store *store)
{
	(void)tables_check_readers(&store->tables);
}

const char *store_error(const struct store *store)
{
	return store->tables.error.text;
}

void store_doubt(struct store *store)
{
	store_note_crash(store->note);
}

uint64_t store_key_seed(const struct store *store)
{
	return store->tables.key_seed;
}

struct invalidations *store_invalidations(struct store *store)
{
	return store->invalidations_map.data;
}

struct store_clock *store_clock(struct store *store)
{
	return store->clock_map.data;
}
