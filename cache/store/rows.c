/* Entries, which are rows of three tables; and which of them to evict. */
#include "cache/store/impl.h"

enum {
	ORDER_VALUE_SIZE = 20,
};

/* A row of the order table is these members without the padding behind: ORDER_VALUE_SIZE bytes. */
struct order_row {
	struct cache_key key;
	uint32_t slot;
};

enum store_result rows_get(struct store *store, enum tables_side side, const struct cache_key *key,
			   struct store_value *ret_value)
{
	struct slice bytes;
	enum store_result result = tables_get(&store->tables, side, STORE_DATA, key, &bytes);

	if (result == STORE_OK && !store_value_view(bytes.p, bytes.n, ret_value))
		result = STORE_NOT_FOUND;
	return result;
}

/* `groups` must not be memory of the tables, which is invalid after the first change. */
static enum store_result groups_delete(struct store *store, const struct cache_key *key,
				       const struct cache_key *groups, size_t count)
{
	enum store_result result = STORE_OK;

	for (size_t i = 0; i < count && result == STORE_OK; i++)
		result = tables_delete(&store->tables, STORE_GROUPS,
				       &(struct group_row){groups[i], *key});
	return result;
}

static enum store_result groups_add(struct store *store, const struct cache_key *key,
				    const struct cache_key *groups, size_t count)
{
	enum store_result result = STORE_OK;
	char *nothing;

	for (size_t i = 0; i < count && result == STORE_OK; i++)
		result = tables_put(&store->tables, STORE_GROUPS,
				    &(struct group_row){groups[i], *key}, 0, &nothing);
	return result;
}

/* Keeps the group keys of a value for after the first change. */
static size_t old_groups_keep(struct store *store, const struct store_value *value)
{
	size_t count = value->head.group_count;

	if (count > STORE_GROUPS_MAX)
		count = STORE_GROUPS_MAX;
	if (count > 0)
		memcpy(store->old_groups, value->groups, count * sizeof(*value->groups));
	return count;
}

enum store_result rows_delete(struct store *store, const struct cache_key *key,
			      const struct store_value *value)
{
	struct store_value_head head = value->head;
	size_t group_count = old_groups_keep(store, value);
	enum store_result result = tables_delete(&store->tables, STORE_DATA, key);

	if (result == STORE_OK)
		result = tables_delete(&store->tables, STORE_ORDER, &head.sequence);
	if (result == STORE_OK)
		result = groups_delete(store, key, store->old_groups, group_count);
	if (result == STORE_OK)
		evict_slot_give(&store->shared->evict, &store->bits, head.slot);
	return result;
}

static enum store_result sequence_next(struct store *store, uint64_t *ret_sequence)
{
	struct tables_cursor at;
	struct slice k, v;
	enum store_result result = STORE_OK;

	if (store->sequence == 0) {
		result = tables_cursor_open(&store->tables, TABLES_WRITE, STORE_ORDER, &at);
		if (result != STORE_OK)
			return result;
		result = tables_last(&store->tables, &at, &k, &v);
		if (result == STORE_OK)
			memcpy(&store->sequence, k.p, sizeof(store->sequence));
		else if (result == STORE_NOT_FOUND)
			evict_reset(&store->shared->evict, 0);
		tables_cursor_close(&at);
	}
	*ret_sequence = ++store->sequence;
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

/* Sequences only grow, so the order is filled page by page. */
static enum store_result order_append(struct store *store, const struct cache_key *key,
				      struct store_value_head *head)
{
	struct order_row row = {.key = *key};
	enum store_result result = sequence_next(store, &head->sequence);
	char *to;

	if (result == STORE_OK)
		result = tables_append(&store->tables, STORE_ORDER, &head->sequence,
				       ORDER_VALUE_SIZE, &to);
	if (result != STORE_OK)
		return result;
	row.slot = head->slot = evict_slot_take(&store->shared->evict, &store->bits);
	memcpy(to, &row, ORDER_VALUE_SIZE);
	return STORE_OK;
}

static bool has_key(const struct cache_key *keys, size_t count, const struct cache_key *key)
{
	for (size_t i = 0; i < count; i++) {
		if (cache_key_eq(&keys[i], key))
			return true;
	}
	return false;
}

/*
 * Remove rows of groups that the entry has left, and write all others, even those that should
 * exist: a missing row would hide the entry from an invalidation.
 */
static enum store_result groups_replace(struct store *store, const struct put_job *put,
					size_t old_count)
{
	enum store_result result = STORE_OK;

	for (size_t i = 0; i < old_count && result == STORE_OK; i++) {
		if (!has_key(put->groups, put->group_count, &store->old_groups[i]))
			result = groups_delete(store, put->key, &store->old_groups[i], 1);
	}
	if (result == STORE_OK)
		result = groups_add(store, put->key, put->groups, put->group_count);
	return result;
}

enum store_result rows_write(struct store *store, const struct put_job *put)
{
	struct store_value_head head = {0};
	size_t old_count = 0;
	struct store_value old;
	char *to;
	enum store_result result = rows_get(store, TABLES_WRITE, put->key, &old);

	if (result == STORE_OK) {
		head = old.head;
		old_count = old_groups_keep(store, &old);
	} else if (result == STORE_NOT_FOUND) {
		result = order_append(store, put->key, &head);
	}
	head.group_count = (uint16_t)put->group_count;
	if (result == STORE_OK)
		result = groups_replace(store, put, old_count);
	if (result == STORE_OK)
		result = tables_put(&store->tables, STORE_DATA, put->key, put->stored_size, &to);
	if (result == STORE_OK)
		store_value_write(to, head, put->groups, put->value);
	return result;
}

struct order_walk {
	struct tables *tables;
	struct tables_cursor at;
	uint64_t next;        /* sequence behind the cursor's, 0 at first */
	struct order_row row; /* under the cursor */
};

static bool order_next(void *context, uint64_t from, struct evict_item *ret_item)
{
	struct order_walk *walk = context;
	struct slice k, v;
	enum store_result result = walk->next != 0 && walk->next == from
					   ? tables_next(walk->tables, &walk->at, &k, &v)
					   : tables_seek(walk->tables, &walk->at, &from, &k, &v);

	if (result != STORE_OK || k.n != sizeof(ret_item->sequence) || v.n != ORDER_VALUE_SIZE)
		return false;
	memcpy(&ret_item->sequence, k.p, sizeof(ret_item->sequence));
	memcpy(&walk->row, v.p, ORDER_VALUE_SIZE);
	ret_item->slot = walk->row.slot;
	walk->next = ret_item->sequence + 1;
	return true;
}

/* STORE_NOT_FOUND when there is nothing to evict. */
static enum store_result victim_find(struct store *store, struct evict_item *ret_victim,
				     struct cache_key *ret_key)
{
	struct order_walk walk = {.tables = &store->tables};
	struct evict_order order = {order_next, &walk};
	enum store_result result =
		tables_cursor_open(&store->tables, TABLES_WRITE, STORE_ORDER, &walk.at);

	if (result != STORE_OK)
		return result;
	if (!evict_choose(&store->shared->evict, &store->bits, &order, &store->hand_steps,
			  ret_victim))
		result = STORE_NOT_FOUND;
	*ret_key = walk.row.key;
	tables_cursor_close(&walk.at);
	return result;
}

struct store_change rows_change(const struct store *store, size_t stored_size, size_t group_rows)
{
	return (struct store_change){group_rows, store_room_overflow(&store->room, stored_size)};
}

/* STORE_NOT_FOUND when there is nothing to evict, STORE_FULL when there is no room in this part. */
static enum store_result evict_one(struct store *store, uint64_t *due)
{
	struct store_change change;
	struct evict_item victim;
	struct store_value value;
	struct cache_key key;
	size_t size;
	enum store_result result = victim_find(store, &victim, &key);

	if (result != STORE_OK)
		return result;
	result = rows_get(store, TABLES_WRITE, &key, &value);
	/* A row of the order without an entry. */
	if (result == STORE_NOT_FOUND ||
	    (result == STORE_OK && value.head.sequence != victim.sequence))
		return tables_delete(&store->tables, STORE_ORDER, &victim.sequence);
	if (result != STORE_OK)
		return result;
	size = store_value_size(value.value.n, value.head.group_count);
	/* Freeing the pages of a value costs nothing. */
	change = rows_change(store, 0, value.head.group_count);
	if (!store_room_fits_put(&store->room, store_room_cost(&store->room, change)))
		return STORE_FULL;
	if (store->evicted != NULL)
		store->evicted(store->evicted_context, value.value);
	result = rows_delete(store, &key, &value);
	if (result != STORE_OK)
		return STORE_FAILED;
	store_room_spend(&store->room, change);
	*due = store_room_pay(&store->room, *due, size);
	store->evictions++;
	return STORE_OK;
}

enum store_result rows_evict(struct store *store, uint64_t *due, unsigned *victims)
{
	while (*due > 0 && *victims > 0) {
		enum store_result result = evict_one(store, due);

		if (result == STORE_NOT_FOUND)
			*due = 0;
		if (result == STORE_FULL || result == STORE_NOT_FOUND)
			break;
		if (result != STORE_OK)
			return result;
		--*victims;
	}
	return STORE_OK;
}
