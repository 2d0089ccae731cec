/*
 * The tables of the store on disk: ordered keys, one view, one write transaction.
 * cache/store/lmdb.c and lmdb_copy.c keep them in LMDB and alone include it; entries and eviction
 * are the business of store.c.
 *
 * Results are those of the store: STORE_NOT_FOUND and STORE_FULL are ordinary; when a change
 * returns STORE_FULL or STORE_FAILED the transaction must be aborted.  STORE_FAILED leaves its text
 * in `error`.
 *
 * One per process, opened after a fork.  Bytes that a call returns are the database's own memory:
 * those of a view last until tables_view_end(), those of a transaction until its next change.
 */
#ifndef CACHE_STORE_TABLES_H
#define CACHE_STORE_TABLES_H

#include "cache/base/diagnostic.h"
#include "cache/base/slice.h"
#include "cache/store/check.h"
#include "cache/store/result.h"
#include "cache/store/room.h"

struct tables {
	struct tables_handles *handles; /* NULL when closed, or broken and not yet reopened */
	const char *directory;
	uint64_t size; /* bound on the file */
	uint32_t readers, layout, format;
	uint64_t key_seed; /* of the file: made with it, read when it is opened */
	bool viewing, writing;
	uint64_t generation; /* views that have ended */
	struct diagnostic error;
};

enum tables_opened {
	TABLES_OPENED,
	TABLES_OTHER_FORMAT,
	TABLES_FAILED,
};

/* `directory`, `size`, `readers`, `layout` and `format` are set.  A missing file is made. */
enum tables_opened tables_open(struct tables *tables);

/* Harmless when not open. */
void tables_close(struct tables *tables);

/* The data file's descriptor; the database's own.  -1 when not open. */
int tables_fd(const struct tables *tables);

/* Pages up to the last ever used, metas and one that LMDB leaves unused included. */
uint64_t tables_pages(const struct tables *tables);

/* Change the bound; not within a view or transaction. */
enum store_result tables_resize(struct tables *tables, uint64_t size);

enum store_result tables_sync(struct tables *tables);

/* Clear the slots of readers that died; true when there were any. */
bool tables_check_readers(struct tables *tables);

/*
 * The view: what was committed when it began.  Beginning it twice does nothing.  A database whose
 * head could not be written is reopened, here and in tables_begin().
 */
enum store_result tables_view_begin(struct tables *tables);
void tables_view_end(struct tables *tables);

/* The write transaction; waits for that of another process. */
enum store_result tables_begin(struct tables *tables);
enum store_result tables_commit(struct tables *tables);
void tables_abort(struct tables *tables);

/* Number of the last transaction that changed anything, of any process. */
uint64_t tables_last_transaction(const struct tables *tables);

/* A nested transaction, so that a failed change leaves the outer one as it was. */
enum store_result tables_nest(struct tables *tables);
enum store_result tables_unnest(struct tables *tables, bool keep);

/* Whether to read from the view or within the write transaction. */
enum tables_side {
	TABLES_VIEW,
	TABLES_WRITE,
};

enum store_result tables_get(struct tables *tables, enum tables_side side, enum store_table table,
			     const void *key, struct slice *ret_value);

/* The row gets `size` bytes, to be written at *ret_to at once.  Replaces. */
enum store_result tables_put(struct tables *tables, enum store_table table, const void *key,
			     size_t size, char **ret_to);

/* The same for a key above all others: fills pages completely. */
enum store_result tables_append(struct tables *tables, enum store_table table, const void *key,
				size_t size, char **ret_to);

/* STORE_OK also when there was none. */
enum store_result tables_delete(struct tables *tables, enum store_table table, const void *key);

/* Rows in order.  Closed before the table is changed. */
struct tables_cursor {
	void *handle; /* NULL when closed */
	enum store_table table;
};
enum store_result tables_cursor_open(struct tables *tables, enum tables_side side,
				     enum store_table table, struct tables_cursor *ret_cursor);
void tables_cursor_close(struct tables_cursor *cursor);

/* The first row at or after `key`; the next; the last.  Keys are of the table's size. */
enum store_result tables_seek(struct tables *tables, struct tables_cursor *cursor, const void *key,
			      struct slice *ret_key, struct slice *ret_value);
enum store_result tables_next(struct tables *tables, struct tables_cursor *cursor,
			      struct slice *ret_key, struct slice *ret_value);
enum store_result tables_last(struct tables *tables, struct tables_cursor *cursor,
			      struct slice *ret_key, struct slice *ret_value);

/* Depth and pages of the trees, and the rows of the data table.  A few reads of memory. */
struct store_trees tables_trees(struct tables *tables, enum tables_side side,
				uint64_t *ret_entries);

/*
 * The number of pages that the transaction, before its first change, may use: never used ones
 * (*ret_virgin, in one run), and those of the free list that no reader and no restart still needs.
 * Stops counting at `enough`, usually in the free list's first record.
 */
uint64_t tables_available(struct tables *tables, uint64_t enough, uint64_t *ret_virgin);

/*
 * Stream a snapshot of the whole file, for a process that has no tables open: read *ret_from to its
 * end, then tables_copy_end() tells whether it is complete.  NULL with `error`.  Writers wait only
 * while the first two pages are read; pages freed meanwhile are not reused.
 */
struct tables_copy;
struct tables_copy *tables_copy_begin(const char *directory, uint64_t size, int *ret_from,
				      struct diagnostic *error);
bool tables_copy_end(struct tables_copy *copy, struct diagnostic *error);

#endif
