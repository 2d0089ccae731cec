/* The store's tables in LMDB, which this file and lmdb_copy.c alone know. */
#include "cache/store/tables.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "cache/base/decimal.h"

enum {
	FREE_TABLE = 0, /* LMDB's list of free pages; read-only, as its own mdb_stat reads it */
	META_PAGES = 2,
	SPARE_READERS = 16, /* slots for an operator's tools */
};

struct tables_handles {
	MDB_env *env;
	MDB_dbi main, table[STORE_TABLES];
	MDB_txn *reader; /* reset between views, keeps its slot */
	MDB_txn *writer, *outer;
	unsigned page_size;
};

struct tables_format {
	uint32_t layout, format;
	uint64_t key_seed;
};

/* ---- results -------------------------------------------------------------------------------- */

static enum store_result tables_result(struct tables *tables, int rc, const char *what)
{
	switch (rc) {
	case MDB_SUCCESS:
		return STORE_OK;
	case MDB_NOTFOUND:
		return STORE_NOT_FOUND;
	default:
		diagnostic_set(&tables->error, "%s: %s", what, mdb_strerror(rc));
		return rc == MDB_MAP_FULL || rc == MDB_TXN_FULL ? STORE_FULL : STORE_FAILED;
	}
}

/* LMDB takes a pointer to non-const, but does not write through it. */
static MDB_val val_of(const void *p, size_t n)
{
	return (MDB_val){.mv_size = n, .mv_data = (void *)(uintptr_t)p};
}

static struct slice slice_of_val(MDB_val val)
{
	return slice_of(val.mv_data, val.mv_size);
}

static MDB_val key_of(enum store_table table, const void *key)
{
	return val_of(key, store_table_specs[table].key_size);
}

/* ---- opening -------------------------------------------------------------------------------- */

/*
 * NOSYNC: nothing is synced at a commit; cache/store/files.h has what makes up for it.  NOTLS: a
 * reader's slot belongs to the transaction object, so that renewing it takes no lock, and one can
 * read the free list while writing. NORDAHEAD: keys are hashes, so a page's neighbours are not
 * wanted next; reading them ahead would push out pages that are. No WRITEMAP: a stray pointer
 * cannot spoil the file, and a full disk is an error of a write and not a SIGBUS.  No NOMEMINIT:
 * unset memory of this process must not reach the disk.
 */
static int env_create(struct tables *tables, MDB_env **ret_env)
{
	int rc = mdb_env_create(ret_env);

	if (rc == 0)
		rc = mdb_env_set_mapsize(*ret_env, tables->size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(*ret_env, STORE_TABLES);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(*ret_env, tables->readers + SPARE_READERS);
	if (rc == 0)
		rc = mdb_env_open(*ret_env, tables->directory,
				  MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	return rc;
}

/*
 * The format stands beside the tables' names: written into an empty file, with a seed, else
 * compared.
 */
static int format_check(struct tables *tables, MDB_txn *txn, MDB_dbi table)
{
	struct tables_format wanted = {tables->layout, tables->format, 0}, found = {0};
	MDB_val key = val_of("format", 6), value = val_of(&wanted, sizeof(wanted));
	MDB_stat stat;
	int rc = mdb_stat(txn, table, &stat);

	if (rc != 0)
		return rc;
	if (stat.ms_entries == 0) {
		if (getrandom(&wanted.key_seed, sizeof(wanted.key_seed), 0) !=
		    (ssize_t)sizeof(wanted.key_seed))
			return errno;
		tables->key_seed = wanted.key_seed;
		return mdb_put(txn, table, &key, &value, 0);
	}
	rc = mdb_get(txn, table, &key, &value);
	if (rc == 0 && value.mv_size == sizeof(found))
		memcpy(&found, value.mv_data, sizeof(found));
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	tables->key_seed = found.key_seed;
	return found.layout == wanted.layout && found.format == wanted.format
		       ? 0
		       : MDB_VERSION_MISMATCH;
}

static int handles_open(struct tables *tables, struct tables_handles *handles)
{
	MDB_txn *txn = NULL;
	MDB_stat stat;
	int dead, rc = mdb_reader_check(handles->env, &dead);

	if (rc == 0)
		rc = mdb_txn_begin(handles->env, NULL, 0, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, 0, &handles->main);
	if (rc == 0)
		rc = format_check(tables, txn, handles->main);
	for (size_t i = 0; i < STORE_TABLES && rc == 0; i++)
		rc = mdb_dbi_open(txn, store_table_specs[i].name,
				  MDB_CREATE | (store_table_specs[i].integer ? MDB_INTEGERKEY : 0),
				  &handles->table[i]);
	if (rc == 0) {
		rc = mdb_txn_commit(txn);
		txn = NULL;
	}
	mdb_txn_abort(txn);
	if (rc == 0)
		rc = mdb_env_stat(handles->env, &stat);
	if (rc == 0)
		rc = mdb_txn_begin(handles->env, NULL, MDB_RDONLY, &handles->reader);
	mdb_txn_reset(handles->reader);
	handles->page_size = rc == 0 ? stat.ms_psize : 0;
	return rc;
}

enum tables_opened tables_open(struct tables *tables)
{
	struct tables_handles *handles = calloc(1, sizeof(*handles));
	int rc;

	tables->handles = handles;
	tables->viewing = tables->writing = false;
	if (handles == NULL) {
		diagnostic_set(&tables->error, "open: no memory");
		return TABLES_FAILED;
	}
	rc = env_create(tables, &handles->env);
	if (rc == 0)
		rc = handles_open(tables, handles);
	if (rc == 0)
		return TABLES_OPENED;
	tables_close(tables);
	tables_result(tables, rc, "open");
	return rc == MDB_VERSION_MISMATCH ? TABLES_OTHER_FORMAT : TABLES_FAILED;
}

void tables_close(struct tables *tables)
{
	struct tables_handles *handles = tables->handles;

	if (handles == NULL)
		return;
	tables_abort(tables);
	tables_view_end(tables);
	mdb_txn_abort(handles->reader);
	if (handles->env != NULL)
		mdb_env_close(handles->env);
	free(handles);
	tables->handles = NULL;
}

int tables_fd(const struct tables *tables)
{
	int fd;

	return tables->handles != NULL && mdb_env_get_fd(tables->handles->env, &fd) == 0 ? fd : -1;
}

uint64_t tables_pages(const struct tables *tables)
{
	MDB_envinfo info;

	mdb_env_info(tables->handles->env, &info);
	return info.me_last_pgno + 2;
}

enum store_result tables_resize(struct tables *tables, uint64_t size)
{
	int rc = mdb_env_set_mapsize(tables->handles->env, size);

	if (rc == 0)
		tables->size = size;
	return tables_result(tables, rc, "resize");
}

enum store_result tables_sync(struct tables *tables)
{
	return tables_result(
		tables, tables->handles != NULL ? mdb_env_sync(tables->handles->env, 1) : MDB_PANIC,
		"sync");
}

bool tables_check_readers(struct tables *tables)
{
	int dead = 0;

	return tables->handles != NULL && mdb_reader_check(tables->handles->env, &dead) == 0 &&
	       dead > 0;
}

/* ---- transactions --------------------------------------------------------------------------- */

/* What LMDB does with a database whose head it could not write: nothing, until it is reopened. */
static bool reopen(struct tables *tables)
{
	tables_close(tables);
	return tables_open(tables) == TABLES_OPENED;
}

enum store_result tables_view_begin(struct tables *tables)
{
	int rc = MDB_PANIC;

	if (tables->viewing)
		return STORE_OK;
	if (tables->handles != NULL) {
		rc = mdb_txn_renew(tables->handles->reader);
		if (rc == MDB_PANIC && !tables->writing) {
			if (!reopen(tables))
				return STORE_FAILED; /* only writers try it again, now and then */
			rc = mdb_txn_renew(tables->handles->reader);
		}
	}
	tables->viewing = rc == 0;
	return tables_result(tables, rc, "read");
}

void tables_view_end(struct tables *tables)
{
	if (!tables->viewing)
		return;
	tables->viewing = false;
	tables->generation++;
	mdb_txn_reset(tables->handles->reader);
}

static int begin(struct tables *tables)
{
	return tables->handles != NULL
		       ? mdb_txn_begin(tables->handles->env, NULL, 0, &tables->handles->writer)
		       : MDB_PANIC;
}

enum store_result tables_begin(struct tables *tables)
{
	int rc = begin(tables);

	if (rc == MDB_PANIC) {
		if (!reopen(tables))
			return STORE_FAILED;
		rc = begin(tables);
	}
	tables->writing = rc == 0;
	return tables_result(tables, rc, "begin");
}

enum store_result tables_commit(struct tables *tables)
{
	int rc;

	if (!tables->writing)
		return STORE_FAILED; /* and `error` says what ended it */
	rc = mdb_txn_commit(tables->handles->writer);
	tables->writing = false;
	return tables_result(tables, rc, "commit");
}

void tables_abort(struct tables *tables)
{
	if (tables->writing)
		mdb_txn_abort(tables->handles->writer);
	tables->writing = false;
}

uint64_t tables_last_transaction(const struct tables *tables)
{
	MDB_envinfo info = {0};

	if (tables->handles != NULL)
		mdb_env_info(tables->handles->env, &info);
	return info.me_last_txnid;
}

enum store_result tables_nest(struct tables *tables)
{
	struct tables_handles *handles = tables->handles;
	MDB_txn *inner;
	int rc = mdb_txn_begin(handles->env, handles->writer, 0, &inner);

	if (rc == 0) {
		handles->outer = handles->writer;
		handles->writer = inner;
	}
	return tables_result(tables, rc, "begin");
}

enum store_result tables_unnest(struct tables *tables, bool keep)
{
	struct tables_handles *handles = tables->handles;
	MDB_txn *inner = handles->writer;
	int rc = 0;

	handles->writer = handles->outer;
	if (keep)
		rc = mdb_txn_commit(inner);
	else
		mdb_txn_abort(inner);
	return tables_result(tables, rc, "commit");
}

/* ---- rows ----------------------------------------------------------------------------------- */

static MDB_txn *side_txn(const struct tables *tables, enum tables_side side)
{
	return side == TABLES_VIEW ? tables->handles->reader : tables->handles->writer;
}

enum store_result tables_get(struct tables *tables, enum tables_side side, enum store_table table,
			     const void *key, struct slice *ret_value)
{
	MDB_val k = key_of(table, key), v;
	int rc = mdb_get(side_txn(tables, side), tables->handles->table[table], &k, &v);

	if (rc == 0)
		*ret_value = slice_of_val(v);
	return tables_result(tables, rc, "read");
}

static enum store_result put(struct tables *tables, enum store_table table, const void *key,
			     size_t size, char **ret_to, unsigned flags)
{
	MDB_val k = key_of(table, key), v = val_of(NULL, size);
	int rc = mdb_put(tables->handles->writer, tables->handles->table[table], &k, &v,
			 MDB_RESERVE | flags);

	if (rc == 0)
		*ret_to = v.mv_data;
	return tables_result(tables, rc, "put");
}

enum store_result tables_put(struct tables *tables, enum store_table table, const void *key,
			     size_t size, char **ret_to)
{
	return put(tables, table, key, size, ret_to, 0);
}

enum store_result tables_append(struct tables *tables, enum store_table table, const void *key,
				size_t size, char **ret_to)
{
	return put(tables, table, key, size, ret_to, MDB_APPEND);
}

enum store_result tables_delete(struct tables *tables, enum store_table table, const void *key)
{
	MDB_val k = key_of(table, key);
	int rc = mdb_del(tables->handles->writer, tables->handles->table[table], &k, NULL);

	return tables_result(tables, rc == MDB_NOTFOUND ? 0 : rc, "delete");
}

enum store_result tables_cursor_open(struct tables *tables, enum tables_side side,
				     enum store_table table, struct tables_cursor *ret_cursor)
{
	MDB_cursor *at = NULL;
	int rc = mdb_cursor_open(side_txn(tables, side), tables->handles->table[table], &at);

	*ret_cursor = (struct tables_cursor){at, table};
	return tables_result(tables, rc, "read");
}

void tables_cursor_close(struct tables_cursor *cursor)
{
	if (cursor->handle != NULL)
		mdb_cursor_close(cursor->handle);
	cursor->handle = NULL;
}

static enum store_result cursor_get(struct tables *tables, struct tables_cursor *cursor, MDB_val k,
				    MDB_cursor_op op, struct slice *ret_key,
				    struct slice *ret_value)
{
	MDB_val v;
	int rc = mdb_cursor_get(cursor->handle, &k, &v, op);

	if (rc == 0 && k.mv_size != store_table_specs[cursor->table].key_size)
		rc = MDB_CORRUPTED;
	if (rc == 0) {
		*ret_key = slice_of_val(k);
		*ret_value = slice_of_val(v);
	}
	return tables_result(tables, rc, "read");
}

enum store_result tables_seek(struct tables *tables, struct tables_cursor *cursor, const void *key,
			      struct slice *ret_key, struct slice *ret_value)
{
	return cursor_get(tables, cursor, key_of(cursor->table, key), MDB_SET_RANGE, ret_key,
			  ret_value);
}

enum store_result tables_next(struct tables *tables, struct tables_cursor *cursor,
			      struct slice *ret_key, struct slice *ret_value)
{
	return cursor_get(tables, cursor, val_of(NULL, 0), MDB_NEXT, ret_key, ret_value);
}

enum store_result tables_last(struct tables *tables, struct tables_cursor *cursor,
			      struct slice *ret_key, struct slice *ret_value)
{
	return cursor_get(tables, cursor, val_of(NULL, 0), MDB_LAST, ret_key, ret_value);
}

/* ---- what is used and what is free ---------------------------------------------------------- */

static uint64_t table_pages(MDB_txn *txn, MDB_dbi table, MDB_stat *ret_stat)
{
	*ret_stat = (MDB_stat){0};
	if (mdb_stat(txn, table, ret_stat) != 0)
		return 0;
	return ret_stat->ms_branch_pages + ret_stat->ms_leaf_pages + ret_stat->ms_overflow_pages;
}

/* LMDB counts the pages of each tree: what is used is known without looking at the free list. */
struct store_trees tables_trees(struct tables *tables, enum tables_side side, uint64_t *ret_entries)
{
	const struct tables_handles *handles = tables->handles;
	struct store_trees trees = {.used = META_PAGES};
	MDB_txn *txn = side_txn(tables, side);
	MDB_stat stat;

	trees.used += table_pages(txn, FREE_TABLE, &stat);
	trees.used += table_pages(txn, handles->main, &stat);
	for (size_t i = 0; i < STORE_TABLES; i++) {
		trees.used += table_pages(txn, handles->table[i], &stat);
		trees.tree[i] = (struct store_tree){stat.ms_depth, stat.ms_branch_pages,
						    stat.ms_leaf_pages};
		if (i == STORE_DATA)
			*ret_entries = stat.ms_entries;
	}
	return trees;
}

/* A line of LMDB's list of readers ends with the reader's transaction, or "-". */
static int oldest_reader(const char *line, void *context)
{
	const char *last = strrchr(line, ' ');
	struct decimal transaction;
	size_t *oldest = context;

	if (last == NULL)
		return 0;
	transaction = decimal_take(slice_str(last + 1), SIZE_MAX);
	if (transaction.digits > 0 && last[1 + transaction.digits] == '\n' &&
	    transaction.number < *oldest)
		*oldest = transaction.number;
	return 0;
}

/* A record of the free list is the pages that a transaction freed: their number, then which. */
static uint64_t free_count(struct tables_handles *handles, uint64_t enough)
{
	size_t oldest = mdb_txn_id(handles->writer) - 1, id, count;
	uint64_t sum = 0;
	MDB_cursor *at;
	MDB_val k, v;
	int rc;

	mdb_reader_list(handles->env, oldest_reader, &oldest);
	if (mdb_cursor_open(handles->reader, FREE_TABLE, &at) != 0)
		return 0;
	for (rc = mdb_cursor_get(at, &k, &v, MDB_FIRST); rc == 0 && sum < enough;
	     rc = mdb_cursor_get(at, &k, &v, MDB_NEXT)) {
		memcpy(&id, k.mv_data, sizeof(id));
		if (id >= oldest)
			break;
		memcpy(&count, v.mv_data, sizeof(count));
		sum += count;
	}
	mdb_cursor_close(at);
	return sum;
}

uint64_t tables_available(struct tables *tables, uint64_t enough, uint64_t *ret_virgin)
{
	uint64_t pages = tables->size / tables->handles->page_size, used = tables_pages(tables),
		 sum;

	sum = *ret_virgin = pages > used ? pages - used : 0;
	if (sum < enough && tables_view_begin(tables) == STORE_OK) {
		sum += free_count(tables->handles, enough - sum);
		tables_view_end(tables);
	}
	return sum;
}
