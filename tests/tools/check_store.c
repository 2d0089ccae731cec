/* LINKS: cache/store */
/*
 * Usage: check_store DIRECTORY
 *
 * Whether the tables of a store say the same: each entry has its row in the order and in the table
 * of each of its groups, and no row stands for nothing.  Reads, and changes nothing.  Prints what
 * is wrong, and the number of entries; fails when anything is wrong.
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/store/value.h"

/* As in cache/store/rows.c. */
enum { ORDER_VALUE_SIZE = 20, GROUP_ROW_SIZE = 2 * sizeof(struct cache_key) };

static MDB_env *env;
static MDB_txn *txn;
static MDB_dbi data, order, groups;
static unsigned faults;

static void check(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "check_store: %s: %s\n", what, mdb_strerror(rc));
	exit(2);
}

static void fault(const char *what)
{
	if (faults++ < 10)
		printf("%s\n", what);
}

static bool has_row(MDB_dbi table, const void *key, size_t key_n, MDB_val *ret_value)
{
	MDB_val k = {key_n, (void *)(uintptr_t)key};

	return mdb_get(txn, table, &k, ret_value) == 0;
}

static void check_entry(const MDB_val *k, const MDB_val *v)
{
	char row[GROUP_ROW_SIZE];
	struct store_value value;
	MDB_val found;

	if (k->mv_size != sizeof(struct cache_key) ||
	    !store_value_view(v->mv_data, v->mv_size, &value)) {
		fault("an entry that cannot be read");
		return;
	}
	if (!has_row(order, &value.head.sequence, sizeof(value.head.sequence), &found) ||
	    found.mv_size != ORDER_VALUE_SIZE ||
	    memcmp(found.mv_data, k->mv_data, sizeof(struct cache_key)) != 0)
		fault("an entry without its row in the order: it is never evicted");
	for (size_t i = 0; i < value.head.group_count; i++) {
		memcpy(row, &value.groups[i], sizeof(struct cache_key));
		memcpy(row + sizeof(struct cache_key), k->mv_data, sizeof(struct cache_key));
		if (!has_row(groups, row, sizeof(row), &found))
			fault("an entry without its row in a group: an invalidation misses it");
	}
}

static void check_order(const MDB_val *k, const MDB_val *v)
{
	struct store_value value;
	MDB_val found;

	if (!has_row(data, v->mv_data, sizeof(struct cache_key), &found) ||
	    !store_value_view(found.mv_data, found.mv_size, &value) ||
	    memcmp(&value.head.sequence, k->mv_data, sizeof(value.head.sequence)) != 0)
		fault("a row of the order without its entry");
}

static void check_group(const MDB_val *k, const MDB_val *v)
{
	const char *row = k->mv_data;
	struct store_value value;
	MDB_val found;
	bool is = false;

	(void)v;
	if (has_row(data, row + sizeof(struct cache_key), sizeof(struct cache_key), &found) &&
	    store_value_view(found.mv_data, found.mv_size, &value))
		for (size_t i = 0; i < value.head.group_count; i++)
			is |= memcmp(&value.groups[i], row, sizeof(struct cache_key)) == 0;
	if (!is)
		fault("a row of a group without its entry");
}

static void walk(MDB_dbi table, void (*visit)(const MDB_val *, const MDB_val *))
{
	MDB_cursor *cursor;
	MDB_val k, v;

	check(mdb_cursor_open(txn, table, &cursor), "cursor");
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
		visit(&k, &v);
	mdb_cursor_close(cursor);
}

int main(int argc, char **argv)
{
	MDB_stat stat;

	if (argc != 2) {
		fprintf(stderr, "Usage: check_store DIRECTORY\n");
		return 2;
	}
	check(mdb_env_create(&env), "create");
	check(mdb_env_set_maxdbs(env, 3), "tables");
	check(mdb_env_open(env, argv[1], MDB_RDONLY, 0), argv[1]);
	check(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin");
	check(mdb_dbi_open(txn, "data", 0, &data), "data");
	check(mdb_dbi_open(txn, "order", MDB_INTEGERKEY, &order), "order");
	check(mdb_dbi_open(txn, "groups", 0, &groups), "groups");
	walk(data, check_entry);
	walk(order, check_order);
	walk(groups, check_group);
	check(mdb_stat(txn, data, &stat), "stat");
	printf("%zu entries, %u faults\n", stat.ms_entries, faults);
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return faults > 0;
}
