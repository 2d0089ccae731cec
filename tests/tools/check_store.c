/* LINKS: cache/record */
/*
 * Usage: check_store DIRECTORY [dead]
 *
 * Whether the tables of a store say the same: each entry can be read to its last record, has its row
 * in the order and in the table of each of its groups, no row stands for nothing, and each page is
 * in a tree or free.  Reads, and changes nothing; with `dead` not even LMDB's lock file, for a store
 * that no process has open: it is left to the next service as it is.  Prints what is wrong, and what
 * was found in one line of numbers and names; fails when anything is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/base/key.h"
#include "cache/record/entry.h"
#include "cache/store/invalidation.h"
#include "cache/store/note.h"
#include "cache/store/value.h"

/* As in cache/store/rows.c, lmdb.c and shared_map.c. */
enum {
	ORDER_VALUE_SIZE = 20,
	GROUP_ROW_SIZE = 2 * sizeof(struct cache_key),
	FREE_TABLE = 0,
	META_PAGES = 2,
	MAP_HEAD = 64,
};

struct stored_format {
	uint32_t layout, format;
	uint64_t key_seed;
};

static MDB_env *env;
static MDB_txn *txn;
static MDB_dbi data, order, groups;
static unsigned faults;
static size_t bytes, records, free_pages, readers, dead_readers;

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

/* ---- tables --------------------------------------------------------------------------------- */

static bool is_among(const struct cache_key *key, const struct cache_key *keys, size_t count)
{
	bool is = false;

	for (size_t i = 0; i < count; i++)
		is |= cache_key_eq(key, &keys[i]);
	return is;
}

static void check_records(const MDB_val *k, const struct store_value *value)
{
	struct cache_key found[GROUPS_MAX], key;
	struct record_view view;
	struct slice uri = entry_uri(value->value);
	size_t count = entry_groups(value->value, found);

	if (uri.n == 0) {
		fault("an entry that is not whole");
		return;
	}
	key = cache_key_of_uri(uri);
	if (memcmp(&key, k->mv_data, sizeof(key)) != 0)
		fault("an entry under the key of another URI");
	if (!entry_at(value->value, 0, &uri, &view))
		fault("an entry without a record");
	for (unsigned i = 0; entry_at(value->value, i, &uri, &view); i++) {
		records++;
		if (!record_is_intact(&view, record_seed(uri)))
			fault("a record that is not what was written");
	}
	for (size_t i = 0; i < count; i++)
		if (!is_among(&found[i], value->groups, value->head.group_count))
			fault("a record of a group that its entry is not in: an invalidation "
			      "misses it");
}

static void check_entry(const MDB_val *k, const MDB_val *v)
{
	char row[GROUP_ROW_SIZE];
	struct store_value value;
	MDB_val found;

	bytes += v->mv_size;
	if (k->mv_size != sizeof(struct cache_key) ||
	    !store_value_view(v->mv_data, v->mv_size, &value)) {
		fault("an entry that cannot be read");
		return;
	}
	check_records(k, &value);
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
	struct cache_key group;
	struct store_value value;
	MDB_val found;

	(void)v;
	memcpy(&group, row, sizeof(group));
	if (!has_row(data, row + sizeof(struct cache_key), sizeof(struct cache_key), &found) ||
	    !store_value_view(found.mv_data, found.mv_size, &value) ||
	    !is_among(&group, value.groups, value.head.group_count))
		fault("a row of a group without its entry");
}

/* A record of the list of free pages: their number, then they. */
static void count_free(const MDB_val *k, const MDB_val *v)
{
	size_t count;

	(void)k;
	memcpy(&count, v->mv_data, sizeof(count));
	free_pages += count;
}

/* The pages of its tree. */
static size_t walk(MDB_dbi table, void (*visit)(const MDB_val *, const MDB_val *))
{
	MDB_cursor *cursor;
	MDB_stat stat;
	MDB_val k, v;

	check(mdb_cursor_open(txn, table, &cursor), "cursor");
	while (visit != NULL && mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
		visit(&k, &v);
	mdb_cursor_close(cursor);
	check(mdb_stat(txn, table, &stat), "stat");
	return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

static size_t tables_check(void)
{
	MDB_dbi names;
	MDB_val k = {6, (void *)(uintptr_t) "format"}, v;
	struct stored_format format;
	size_t used;

	check(mdb_dbi_open(txn, NULL, 0, &names), "names");
	check(mdb_dbi_open(txn, "data", 0, &data), "data");
	check(mdb_dbi_open(txn, "order", MDB_INTEGERKEY, &order), "order");
	check(mdb_dbi_open(txn, "groups", 0, &groups), "groups");
	check(mdb_get(txn, names, &k, &v), "format");
	memcpy(&format, v.mv_data, sizeof(format));
	cache_key_set_seed(format.key_seed);
	used = META_PAGES + walk(names, NULL) + walk(FREE_TABLE, count_free);
	return used + walk(data, check_entry) + walk(order, check_order) +
	       walk(groups, check_group);
}

/* ---- what is beside them -------------------------------------------------------------------- */

static int count_reader(const char *line, void *context)
{
	long pid = strtol(line, NULL, 10);

	(void)context;
	if (pid <= 0 || pid == getpid())
		return 0;
	readers++;
	dead_readers += kill((pid_t)pid, 0) != 0 && errno == ESRCH;
	return 0;
}

/* The content of a shared map, all zero when there is none of that size. */
static void map_read(const char *directory, const char *name, void *to, size_t size)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, to, size, MAP_HEAD) != (ssize_t)size)
		memset(to, 0, size);
	if (fd >= 0)
		close(fd);
}

/* Marks in force, places that were taken and never filled, and how much the count is too high. */
static void maps_report(const char *directory)
{
	static struct invalidations all;
	struct store_note note;
	size_t marks = 0, half = 0, by_hash = 0;

	map_read(directory, "invalidations", &all, sizeof(all));
	map_read(directory, "noted", &note, sizeof(note));
	for (size_t i = 0; i < INVALIDATION_MARKS; i++) {
		struct invalidation_set *set = &all.sets[i / INVALIDATION_WAYS];

		if (atomic_load(&set->places[i % INVALIDATION_WAYS].epoch) != 0)
			marks++;
		else
			half += atomic_load(&set->tags[i % INVALIDATION_WAYS]) != 0;
	}
	for (size_t i = 0; i < INVALIDATION_OVERFLOW; i++)
		by_hash += atomic_load(&all.overflow[i]) != 0;
	printf(", %zu marks, %zu half_marks, %zu marks_by_hash, %lld marks_live, %d purges, %u "
	       "copying",
	       marks, half, by_hash, (long long)atomic_load(&all.live),
	       __builtin_popcountll(purge_table_pending(&all.purges)), note.copying);
}

int main(int argc, char **argv)
{
	bool dead = argc == 3 && strcmp(argv[2], "dead") == 0;
	size_t used, lost = 0;
	MDB_envinfo info;
	MDB_stat stat;

	if (argc != 2 && !dead) {
		fprintf(stderr, "Usage: check_store DIRECTORY [dead]\n");
		return 2;
	}
	check(mdb_env_create(&env), "create");
	check(mdb_env_set_maxdbs(env, 3), "tables");
	check(mdb_env_open(env, argv[1], MDB_RDONLY | (dead ? MDB_NOLOCK : 0), 0), argv[1]);
	check(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin");
	used = tables_check();
	check(mdb_stat(txn, data, &stat), "stat");
	check(mdb_env_info(env, &info), "info");
	/* While it is in use, others may have written since the transaction began. */
	if (info.me_last_txnid == mdb_txn_id(txn))
		lost = info.me_last_pgno + 1 - used - free_pages;
	if (lost != 0)
		fault("pages that are in no tree and not free");
	if (!dead)
		check(mdb_reader_list(env, count_reader, NULL) < 0, "readers");
	printf("%zu entries, %u faults, %zu records, %zu bytes, %zu pages_used, %zu pages_free, "
	       "%zu readers, "
	       "%zu dead_readers",
	       stat.ms_entries, faults, records, bytes, used, free_pages, readers, dead_readers);
	maps_report(argv[1]);
	printf("\n");
	mdb_txn_abort(txn);
	mdb_env_close(env);
	return faults > 0;
}
