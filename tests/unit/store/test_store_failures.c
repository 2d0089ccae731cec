/* LINKS: cache/store tests/doubles/counted_memory.c tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/*
 * Calls of the system and of LMDB that fail, each where it is made: the store says which and why, loses
 * nothing that was committed, keeps no descriptor, memory or lock, and works when the failure is over.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/store/impl.h"
#include "cache/store/invalidation.h"
#include "cache/store/note.h"
#include "cache/store/purge_mark.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/store_fixture.h"

enum {
	KEYS = 24,
	LARGE = 9000, /* a value of pages of its own */
	CALLS_MAX = 5000,
};

static size_t size_of(uint64_t n)
{
	return n % 6 == 0 ? LARGE : 400;
}

static unsigned descriptors(void)
{
	DIR *all = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(all);
	while (readdir(all) != NULL)
		count++;
	closedir(all);
	return count;
}

/* In one transaction, values of both kinds with groups: what the commit said. */
static enum store_result fill(struct store *store)
{
	enum store_result result = store_begin(store);

	for (uint64_t n = 0; n < KEYS && result == STORE_OK; n++) {
		struct cache_key key = key_of(n), group = group_of(n % 3);

		result = put_in_parts(store, &key, bytes_of(n, 0, size_of(n)), &group, n % 2);
	}
	if (result == STORE_OK)
		return store_commit(store);
	store_abort(store);
	return result;
}

static unsigned count_stored(struct store *store)
{
	unsigned count = 0;

	for (uint64_t n = 0; n < KEYS; n++) {
		struct cache_key key = key_of(n);
		struct slice value;
		uint64_t turn;

		if (store_get(store, &key, &value) != STORE_OK)
			continue;
		assert_true(value_is_of(value, n, &turn));
		count++;
	}
	store_turn_end(store);
	return count;
}

static uint64_t failures_of(struct store *store)
{
	struct store_usage usage;

	store_usage(store, &usage);
	return usage.failures;
}

/* ---- any call ------------------------------------------------------------------------------- */

static bool see(void *context, const struct cache_key *key, struct slice value)
{
	(void)key;
	(void)value;
	++*(unsigned *)context;
	return true;
}

/* Open, fill, look, remove a group, close; whether the values are in the file. */
static bool live(struct store_fixture *f)
{
	struct cache_key cursor = {{0, 0}}, group = group_of(1);
	enum store_result filled;
	size_t removed = 0;
	unsigned seen = 0;
	bool more, dropped;

	f->store = store_open(&f->options, &f->notice);
	if (f->store == NULL) {
		assert_string_not_equal(f->notice.text, "");
		return false;
	}
	filled = fill(f->store);
	if (filled != STORE_OK)
		assert_string_not_equal(store_error(f->store), "");
	count_stored(f->store);
	if (store_walk(f->store, &cursor, KEYS, see, &seen, &more) == STORE_OK &&
	    filled == STORE_OK)
		assert_int_equal(seen, KEYS);
	dropped = store_begin(f->store) == STORE_OK &&
		  drop_members(f->store, &group, KEYS, &removed) == STORE_OK &&
		  store_commit(f->store) == STORE_OK;
	if (!dropped)
		store_abort(f->store);
	else if (filled == STORE_OK)
		assert_in_range(removed, 4, 4);
	store_fixture_close(f);
	return filled == STORE_OK && !dropped;
}

static void any_call(struct store_fixture *f, int error)
{
	unsigned n = 0, before = descriptors(), stored;
	size_t memory = allocations_alive();

	for (bool happened = true; happened; n++) {
		bool whole;

		assert_in_range(n, 0, CALLS_MAX);
		f->options.size = MIB;
		fail_calls(NULL, n, 1, error);
		whole = live(f);
		happened = fail_calls_never();
		assert_int_equal(descriptors(), before);
		assert_int_equal(allocations_alive(), memory);
		store_fixture_open(f);
		stored = count_stored(f->store);
		if (whole && f->notice.text[0] == '\0')
			assert_int_equal(stored, KEYS);
		assert_int_equal(fill(f->store), STORE_OK);
		assert_int_equal(count_stored(f->store), KEYS);
		assert_int_equal(failures_of(f->store), 0);
		store_fixture_close(f);
		assert_int_equal(descriptors(), before);
		directory_remove(f->directory);
	}
	assert_in_range(n, 200, CALLS_MAX);
}

static void test_any_call_fails(void **state)
{
	any_call(*state, EIO);
}

static void test_any_call_panics(void **state)
{
	any_call(*state, MDB_PANIC);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void assert_error(struct store_fixture *f, const char *what, int error)
{
	char wanted[200];

	snprintf(wanted, sizeof(wanted), "%s: %s", what, mdb_strerror(error));
	assert_string_equal(store_error(f->store), wanted);
}

static void open_filled(struct store_fixture *f)
{
	store_fixture_open(f);
	assert_int_equal(fill(f->store), STORE_OK);
}

static enum store_result get_one(struct store *store, uint64_t n)
{
	struct cache_key key = key_of(n);
	struct slice value;
	enum store_result result = store_get(store, &key, &value);

	store_turn_end(store);
	return result;
}

static void test_reading(void **state)
{
	struct store_fixture *f = *state;
	static const struct {
		const char *call;
		int error;
		enum store_result result;
	} rows[] = {
		{"mdb_txn_renew", EIO, STORE_FAILED},
		{"mdb_txn_renew", MDB_READERS_FULL, STORE_FAILED},
		{"mdb_txn_renew", ENOMEM, STORE_FAILED},
		{"mdb_txn_renew", MDB_PANIC, STORE_OK}, /* reopened */
		{"mdb_get", EIO, STORE_FAILED},
		{"mdb_get", MDB_CORRUPTED, STORE_FAILED},
		{"mdb_get", MDB_NOTFOUND, STORE_NOT_FOUND},
	};

	open_filled(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fail_calls(rows[i].call, 0, 1, rows[i].error);
		assert_int_equal(get_one(f->store, 1), rows[i].result);
		assert_true(fail_calls_never());
		if (rows[i].result == STORE_FAILED)
			assert_error(f, "read", rows[i].error);
		assert_int_equal(count_stored(f->store), KEYS);
	}
	assert_int_equal(failures_of(f->store), 0);
}

static void test_walking(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1), from = {{0, 0}};
	unsigned counted = 0;
	struct slice value;
	bool more;
	static const struct {
		const char *call;
		unsigned n;
		int error;
		enum store_result result;
		unsigned seen;
		bool more;
	} rows[] = {
		{"mdb_txn_renew", 0, EIO, STORE_FAILED, 0, false},
		{"mdb_cursor_open", 0, ENOMEM, STORE_FAILED, 0, false},
		{"mdb_cursor_get", 0, EIO, STORE_FAILED, 0, true},
		{"mdb_cursor_get", 1, EIO, STORE_FAILED, 1, true},
		{"mdb_cursor_get", 5, MDB_NOTFOUND, STORE_OK, 5, false},
	};

	open_filled(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct cache_key cursor = {{0, 0}};
		unsigned seen = 0;

		more = true;
		fail_calls(rows[i].call, rows[i].n, 1, rows[i].error);
		assert_int_equal(store_walk(f->store, &cursor, KEYS, see, &seen, &more),
				 rows[i].result);
		assert_true(fail_calls_never());
		assert_int_equal(seen, rows[i].seen);
		assert_int_equal(more, rows[i].more);
		if (rows[i].result == STORE_FAILED)
			assert_error(f, "read", rows[i].error);
		/* No view is left: what another process stores next is seen. */
		assert_false(f->store->tables.viewing);
		assert_int_equal(put_one(f->store, KEYS + i, bytes_of(KEYS + i, 0, 400)), STORE_OK);
		assert_in_store(f->store, KEYS + i, 0);
	}
	/* but one of who was reading before stays */
	assert_int_equal(store_get(f->store, &key, &value), STORE_OK);
	assert_int_equal(store_walk(f->store, &from, 1, see, &counted, &more), STORE_OK);
	assert_true(f->store->tables.viewing);
	store_turn_end(f->store);
}

static void test_usage_is_not_known(void **state)
{
	struct store_fixture *f = *state;
	struct store_usage usage;

	open_filled(f);
	fail_calls("mdb_txn_renew", 0, 1, EIO);
	store_usage(f->store, &usage);
	assert_true(fail_calls_never());
	assert_int_equal(usage.entries, 0);
	assert_int_equal(usage.bytes_used, 0);
	assert_int_equal(usage.bytes_size, f->options.size);
	store_usage(f->store, &usage);
	assert_int_equal(usage.entries, KEYS);
}

/* ---- a database that LMDB does nothing with until it is reopened ---------------------------- */

static void test_it_cannot_be_reopened(void **state)
{
	struct store_fixture *f = *state;
	struct store_usage usage;

	open_filled(f);
	fail_calls("mdb_txn_renew|mdb_env_open", 0, 2, MDB_PANIC);
	assert_int_equal(get_one(f->store, 1), STORE_FAILED);
	assert_true(fail_calls_never());
	assert_error(f, "open", MDB_PANIC);
	/* Readers do not try again; the next writer does. */
	assert_int_equal(get_one(f->store, 1), STORE_FAILED);
	assert_error(f, "read", MDB_PANIC);
	store_usage(f->store, &usage);
	assert_int_equal(usage.entries, 0);
	store_check_readers(f->store);
	store_turn_end(f->store);
	assert_int_equal(put_one(f->store, KEYS, bytes_of(KEYS, 0, 400)), STORE_OK);
	assert_int_equal(count_stored(f->store), KEYS);
	assert_in_store(f->store, KEYS, 0);
	assert_int_equal(failures_of(f->store), 0);
}

static void test_a_writer_cannot_reopen_it(void **state)
{
	struct store_fixture *f = *state;

	open_filled(f);
	fail_calls("mdb_txn_begin", 0, 1, MDB_PANIC);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_true(fail_calls_never());
	store_abort(f->store);
	assert_int_equal(failures_of(f->store), 0);
	fail_calls("mdb_txn_begin|mdb_env_open", 0, 2, MDB_PANIC);
	assert_int_equal(store_begin(f->store), STORE_FAILED);
	assert_true(fail_calls_never());
	assert_error(f, "open", MDB_PANIC);
	assert_int_equal(failures_of(f->store), 1);
	/* That it is closed as it is costs nothing: the next one looks at it. */
	store_fixture_close(f);
	store_fixture_open(f);
	assert_int_equal(count_stored(f->store), KEYS);
}

/* A reader that finds it so within the transaction must not close it under the writer. */
static void test_not_reopened_within_a_transaction(void **state)
{
	struct store_fixture *f = *state;

	open_filled(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	fail_calls("mdb_txn_renew", 0, 1, MDB_PANIC);
	assert_int_equal(get_one(f->store, 1), STORE_FAILED);
	assert_true(fail_calls_never());
	assert_int_equal(put_in_parts(f->store, &(struct cache_key){{1, 2}}, bytes_of(KEYS, 0, 400),
				      NULL, 0),
			 STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
}

/* A new map of use has a bit for each entry that is there: the next to come does not share one. */
static void test_its_map_of_use_is_lost(void **state)
{
	struct store_fixture *f = *state;
	char path[128];

	open_filled(f);
	store_fixture_close(f);
	snprintf(path, sizeof(path), "%s/visited", f->directory);
	assert_int_equal(unlink(path), 0);
	store_fixture_open(f);
	assert_int_equal(f->store->shared->evict.slot_next, KEYS);
}

/* Memory and descriptors of a copy are given back, each time. */
static void test_a_copy_leaves_nothing(void **state)
{
	struct store_fixture *f = *state;
	struct diagnostic error;
	size_t memory = 0;
	unsigned before = 0;

	open_filled(f);
	store_fixture_close(f);
	for (unsigned round = 0; round < 3; round++) {
		struct tables_copy *copy;
		char bytes[4096];
		int from;

		if (round == 1) {
			memory = allocations_alive();
			before = descriptors();
		}
		copy = tables_copy_begin(f->directory, 8 * MIB, &from, &error);
		assert_non_null(copy);
		while (read(from, bytes, sizeof(bytes)) > 0)
			;
		assert_true(tables_copy_end(copy, &error));
	}
	assert_int_equal(allocations_alive(), memory);
	assert_int_equal(descriptors(), before);
}

/* ---- writing -------------------------------------------------------------------------------- */

static const struct writing {
	const char *call;
	unsigned n;
	int error;
	enum store_result result;
	const char *what;
} puts_of_one[] = {
	{"mdb_txn_begin", 0, EIO, STORE_FAILED, "begin"},
	{"mdb_txn_begin", 0, ENOSPC, STORE_FAILED, "begin"},
	{"mdb_get", 1, EIO, STORE_FAILED, "read"}, /* the first is for the room it needs */
	{"mdb_cursor_open", 0, ENOMEM, STORE_FAILED, "read"},
	{"mdb_cursor_get", 0, EIO, STORE_FAILED, "read"},
	{"mdb_put", 0, EIO, STORE_FAILED, "put"}, /* its place in the order */
	{"mdb_put", 0, MDB_MAP_FULL, STORE_FULL, "put"},
	{"mdb_put", 1, EIO, STORE_FAILED, "put"}, /* its group */
	{"mdb_put", 1, MDB_TXN_FULL, STORE_FULL, "put"},
	{"mdb_put", 2, EIO, STORE_FAILED, "put"}, /* itself */
	{"mdb_put", 2, MDB_MAP_FULL, STORE_FULL, "put"},
	{"mdb_txn_commit", 0, EIO, STORE_FAILED, "commit"},
	{"mdb_txn_commit", 0, ENOSPC, STORE_FAILED, "commit"},
};

static enum store_result put_with_group(struct store *store, uint64_t n, size_t size)
{
	struct cache_key key = key_of(n), group = group_of(9);
	enum store_result result = store_begin(store), ended;

	if (result != STORE_OK)
		return result;
	result = put_in_parts(store, &key, bytes_of(n, 0, size), &group, 1);
	ended = store_commit(store);
	return result != STORE_OK ? result : ended;
}

static size_t members_of(struct store *store, uint64_t n)
{
	struct cache_key group = group_of(n);
	size_t count;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(drop_members(store, &group, KEYS, &count), STORE_OK);
	store_abort(store);
	return count;
}

static void test_putting(void **state)
{
	struct store_fixture *f = *state;

	open_filled(f);
	for (size_t i = 0; i < sizeof(puts_of_one) / sizeof(*puts_of_one); i++) {
		const struct writing *row = &puts_of_one[i];

		fail_calls(row->call, row->n, 1, row->error);
		if (put_with_group(f->store, KEYS, 400) != row->result)
			fail_msg("%s %u: not %d", row->call, row->n, row->result);
		if (!fail_calls_never())
			fail_msg("%s %u is not called", row->call, row->n);
		assert_error(f, row->what, row->error);
		assert_int_equal(failures_of(f->store), i + 1);
		assert_absent(f->store, KEYS);
		assert_int_equal(members_of(f->store, 9), 0);
		assert_int_equal(count_stored(f->store), KEYS);
	}
	assert_int_equal(put_with_group(f->store, KEYS, 400), STORE_OK);
	assert_int_equal(members_of(f->store, 9), 1);
	store_fixture_reopen(f);
	assert_string_equal(f->notice.text, "");
	assert_in_store(f->store, KEYS, 0);
}

/* A transaction within another, that values of many pages are put in: what becomes of it is told, begun or ended. */
static void test_a_transaction_within_another(void **state)
{
	struct store_fixture *f = *state;
	struct tables *tables;

	open_filled(f);
	tables = &f->store->tables;
	assert_int_equal(store_begin(f->store), STORE_OK);
	fail_calls("mdb_txn_begin", 0, 1, ENOSPC);
	assert_int_equal(tables_nest(tables), STORE_FAILED);
	assert_true(fail_calls_never());
	assert_error(f, "begin", ENOSPC);
	assert_int_equal(tables_nest(tables), STORE_OK);
	fail_calls("mdb_txn_commit", 0, 1, EIO);
	assert_int_equal(tables_unnest(tables, true), STORE_FAILED);
	assert_true(fail_calls_never());
	assert_error(f, "commit", EIO);
	/* one that is not kept is not committed; the outer one goes on */
	assert_int_equal(tables_nest(tables), STORE_OK);
	fail_calls("mdb_txn_commit", 0, 1, EIO);
	assert_int_equal(tables_unnest(tables, false), STORE_OK);
	assert_false(fail_calls_never());
	assert_int_equal(tables_nest(tables), STORE_OK);
	assert_int_equal(tables_unnest(tables, true), STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(count_stored(f->store), KEYS);
}

/* After a failure the transaction is over, whatever is asked for. */
static void assert_over(struct store *store)
{
	struct cache_key key = key_of(1), cursor = {{0, 0}}, group = group_of(1);
	struct slice value;

	assert_int_equal(store_read(store, &key, &value), STORE_FAILED);
	assert_int_equal(store_put(store, &key, bytes_of(1, 0, 400), NULL, 0), STORE_FAILED);
	assert_int_equal(store_drop(store, &key), STORE_FAILED);
	assert_int_equal(store_group_next(store, &group, &cursor, &key), STORE_FAILED);
	assert_int_equal(store_renew(store), STORE_FAILED);
	assert_int_equal(store_commit(store), STORE_FAILED);
}

static void test_dropping(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1); /* of a group */
	static const struct writing rows[] = {
		{"mdb_del", 0, EIO, STORE_FAILED, "delete"},
		{"mdb_del", 1, EIO, STORE_FAILED, "delete"},
		{"mdb_del", 2, EIO, STORE_FAILED, "delete"},
		{"mdb_del", 0, MDB_MAP_FULL, STORE_FULL, "delete"},
		{"mdb_del", 2, MDB_MAP_FULL, STORE_FULL, "delete"},
	};

	open_filled(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(store_begin(f->store), STORE_OK);
		fail_calls(rows[i].call, rows[i].n, 1, rows[i].error);
		assert_int_equal(store_drop(f->store, &key), rows[i].result);
		assert_true(fail_calls_never());
		assert_error(f, rows[i].what, rows[i].error);
		assert_over(f->store);
		assert_int_equal(failures_of(f->store), i + 1);
		assert_int_equal(count_stored(f->store), KEYS);
		assert_int_equal(members_of(f->store, 1), 4);
	}
	/* What it reads first breaks nothing. */
	assert_int_equal(store_begin(f->store), STORE_OK);
	fail_calls("mdb_get", 0, 1, EIO);
	assert_int_equal(store_drop(f->store, &key), STORE_FAILED);
	assert_true(fail_calls_never());
	assert_int_equal(store_drop(f->store, &key), STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(members_of(f->store, 1), 3);
}

/* A row is there already, or gone already: as it is to be. */
static void test_dropping_what_is_gone(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1);

	open_filled(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	fail_calls("mdb_del", 1, 2, MDB_NOTFOUND);
	assert_int_equal(store_drop(f->store, &key), STORE_OK);
	assert_true(fail_calls_never());
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(failures_of(f->store), 0);
	assert_absent(f->store, 1);
	/* The member's row is left, and removed on the way. */
	assert_int_equal(members_of(f->store, 1), 3);
}

static void test_a_group(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key cursor = {{0, 0}}, group = group_of(1), found, gone = key_of(1);
	static const struct writing rows[] = {
		{"mdb_cursor_open", 0, ENOMEM, STORE_FAILED, "read"},
		{"mdb_cursor_get", 0, EIO, STORE_FAILED, "read"},
		{"mdb_get", 0, EIO, STORE_FAILED, "read"},
	};

	open_filled(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fail_calls(rows[i].call, rows[i].n, 1, rows[i].error);
		assert_int_equal(store_group_next(f->store, &group, &cursor, &found),
				 rows[i].result);
		assert_true(fail_calls_never());
		assert_error(f, rows[i].what, rows[i].error);
		assert_true(cache_key_eq(&cursor, &(struct cache_key){{0, 0}}));
	}
	assert_int_equal(store_group_next(f->store, &group, &cursor, &found), STORE_OK);
	/* Rows without their member cannot be removed. */
	fail_calls("mdb_del", 1, 2, MDB_NOTFOUND);
	assert_int_equal(store_drop(f->store, &gone), STORE_OK);
	assert_true(fail_calls_never());
	fail_calls("mdb_del", 0, 1, EIO);
	cursor = (struct cache_key){{0, 0}};
	for (unsigned i = 0; i < 4; i++)
		if (store_group_next(f->store, &group, &cursor, &found) == STORE_FAILED)
			break;
	assert_true(fail_calls_never());
	assert_error(f, "delete", EIO);
	assert_over(f->store);
	assert_int_equal(failures_of(f->store), 1);
}

/* ---- a store that is full ------------------------------------------------------------------- */

/* Any call of a put that has to evict: it is put, or not, and the store goes on. */
static void test_evicting(void **state)
{
	struct store_fixture *f = *state;
	uint64_t at = 0;
	unsigned n = 0;

	f->options.size = MIB;
	store_fixture_open(f);
	for (; at < 3000; at++)
		assert_int_equal(put_one(f->store, at, bytes_of(at, 0, 700)), STORE_OK);
	for (bool happened = true; happened; n++, at += 2) {
		uint64_t failures = failures_of(f->store);
		enum store_result result;

		assert_in_range(n, 0, CALLS_MAX);
		fail_calls(NULL, n, 1, EIO);
		result = put_with_group(f->store, at, n % 3 == 0 ? LARGE : 700);
		happened = fail_calls_never();
		if (result != STORE_OK) {
			assert_int_equal(result, STORE_FAILED);
			assert_int_equal(failures_of(f->store), failures + 1);
			assert_absent(f->store, at);
		} else {
			assert_int_equal(failures_of(f->store), failures);
			assert_in_store(f->store, at, 0);
		}
		assert_int_equal(put_one(f->store, at + 1, bytes_of(at + 1, 0, 700)), STORE_OK);
		assert_in_store(f->store, at + 1, 0);
	}
	assert_in_range(n, 30, CALLS_MAX);
}

/* ---- closing -------------------------------------------------------------------------------- */

/*
 * Closed well, it is good after a boot; otherwise not, for nothing was synced.  One that the system
 * says nothing of counts as another boot.
 */
static void closed_with(struct store_fixture *f, const char *call, unsigned n, bool well)
{
	unsigned before = descriptors();

	open_filled(f);
	if (call != NULL)
		fail_calls(call, n, 1, EIO);
	store_fixture_close(f);
	if (call != NULL && !fail_calls_never())
		fail_msg("%s %u is not called", call, n);
	assert_int_equal(descriptors(), before);
	fail_calls("open", 1, 1, ENOENT);
	store_fixture_open(f);
	assert_true(fail_calls_never());
	if (well)
		assert_string_equal(f->notice.text, "");
	else
		assert_notice(f, "the system went down while it was in use");
	assert_int_equal(count_stored(f->store), well ? KEYS : 0);
	store_fixture_close(f);
	directory_remove(f->directory);
}

static void test_closing(void **state)
{
	struct store_fixture *f = *state;

	closed_with(f, NULL, 0, true);
	closed_with(f, "F_OFD_SETLKW", 0, false);
	closed_with(f, "F_OFD_SETLK", 0, false);
	closed_with(f, "mdb_env_sync", 0, false);
	closed_with(f, "msync", 0, false); /* the clock */
	closed_with(f, "msync", 1, false); /* the invalidations */
	closed_with(f, "F_DUPFD_CLOEXEC", 0, false);
	closed_with(f, "fstat", 0, false);
	closed_with(f, "openat", 0, false);
}

/* ---- the directory -------------------------------------------------------------------------- */

static void test_locking_the_service(void **state)
{
	struct store_fixture *f = *state;
	unsigned before = descriptors();
	static const struct {
		const char *call;
		int error;
		const char *notice;
	} rows[] = {
		{"F_OFD_SETLK", EAGAIN, "another service uses this store"},
		{"F_OFD_SETLK", EACCES, "another service uses this store"},
		{"F_OFD_SETLK", ENOLCK, "cannot be locked: No locks available"},
		{"F_DUPFD_CLOEXEC", EMFILE, "cannot be locked: Too many open files"},
		{"openat", EROFS, "cannot be made or written by this user: Read-only file system"},
		{"open", EMFILE, "cannot be made or written by this user: Too many open files"},
	};
	int lock;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fail_calls(rows[i].call, 0, 1, rows[i].error);
		assert_int_equal(store_lock(f->directory, &f->notice), -1);
		assert_true(fail_calls_never());
		assert_notice(f, rows[i].notice);
		assert_int_equal(descriptors(), before);
	}
	fail_calls("F_OFD_SETLK", 0, 3, EINTR);
	lock = store_lock(f->directory, &f->notice);
	assert_true(fail_calls_never());
	assert_in_range(lock, STDERR_FILENO + 1, 1000);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(descriptors(), before + 1);
	fail_calls("fstat", 0, 1, EIO);
	assert_false(store_lock_in_place(f->directory, lock));
	assert_true(fail_calls_never());
	assert_true(store_lock_in_place(f->directory, lock));
	close(lock);
}

/* Errors that say that the file is another one, and such as say nothing of it. */
static void test_what_the_path_names(void **state)
{
	struct store_fixture *f = *state;
	static const struct {
		int error;
		bool in_place;
	} rows[] = {{ENOENT, false}, {ENOTDIR, false}, {ELOOP, false},
		    {EACCES, true},  {EIO, true},      {ENOMEM, true}};

	store_fixture_open(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fail_calls("stat", i, 1, rows[i].error);
		assert_int_equal(store_in_place(f->store), rows[i].in_place);
		assert_true(fail_calls_never());
	}
	assert_true(store_in_place(f->store));
}

static void test_no_path(void **state)
{
	struct store_fixture *f = *state;
	char path[5000];

	f->options.directory = "";
	assert_null(store_open(&f->options, &f->notice));
	assert_notice(f, "cannot be made or written by this user: No such file or directory");
	memset(path, 'x', sizeof(path));
	for (size_t n = 4090; n < 4100; n++) {
		path[n] = '\0';
		assert_int_equal(store_lock(path, &f->notice), -1);
		assert_notice(f, "store: xxx");
		path[n] = 'x';
	}
}

/* Each part of the path is made; what kept it from being made is said, not what came of that. */
static void test_a_path_that_cannot_be_made(void **state)
{
	struct store_fixture *f = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/a/b", f->directory);
	fail_calls("mkdir", 3, 1, EROFS);
	assert_int_equal(store_lock(path, &f->notice), -1);
	assert_true(fail_calls_never());
	assert_notice(f, "Read-only file system");
	fail_calls("mkdir", 3, 1, EEXIST);
	assert_int_equal(store_lock(path, &f->notice), -1);
	assert_true(fail_calls_never());
	assert_notice(f, "No such file or directory");
	/* file systems that name a directory that is there by another error */
	fail_calls("mkdir", 0, 9, EISDIR);
	assert_int_equal(store_lock(path, &f->notice), -1);
	assert_true(fail_calls_never());
	assert_notice(f, "No such file or directory");
	/* what is there and no directory is not waited for */
	snprintf(path, sizeof(path), "%s/a", f->directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(store_lock(path, &f->notice), -1);
	assert_notice(f, "Not a directory");
}

/* What is stored is for its user alone: every directory that is made. */
static void test_whose_the_path_is(void **state)
{
	static const char *const parts[] = {"/a/b", "/a"};
	struct store_fixture *f = *state;
	char path[128];
	struct stat st;
	mode_t mask = umask(0);
	int lock;

	snprintf(path, sizeof(path), "%s/a/b", f->directory);
	lock = store_lock(path, &f->notice);
	umask(mask);
	assert_true(lock >= 0);
	close(lock);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(path, sizeof(path), "%s%s", f->directory, parts[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
}

/* ---- room on disk --------------------------------------------------------------------------- */

static void test_room_on_disk(void **state)
{
	struct store_fixture *f = *state;
	static const struct {
		const char *calls;
		unsigned n, count;
		int error;
		uint64_t size; /* 0 for none */
		const char *notice;
	} rows[] = {
		{"fallocate", 0, 3, EINTR, 8 * MIB, ""},
		{"fallocate", 0, 1, EOPNOTSUPP, 8 * MIB, "cannot reserve room"},
		{"fallocate", 0, 1, ENOSYS, 8 * MIB, "cannot reserve room"},
		{"fallocate", 0, 1, EFBIG, 0, "no room on disk: File too large"},
		{"fallocate|fstatvfs", 0, 2, ENOSPC, MIB,
		 "no room on disk for 8192 KiB, using 1024 KiB"},
		{"fallocate|fstatvfs", 0, 2, EDQUOT, MIB,
		 "no room on disk for 8192 KiB, using 1024 KiB"},
		{"fallocate", 0, 3, ENOSPC, 0, "no room on disk: No space left on device"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct store_usage usage = {0};

		fail_calls(rows[i].calls, rows[i].n, rows[i].count, rows[i].error);
		f->store = store_open(&f->options, &f->notice);
		assert_true(fail_calls_never());
		assert_int_equal(f->store != NULL, rows[i].size != 0);
		assert_notice(f, rows[i].notice);
		if (rows[i].notice[0] == '\0')
			assert_string_equal(f->notice.text, "");
		if (f->store != NULL)
			store_usage(f->store, &usage);
		assert_int_equal(usage.bytes_size, rows[i].size);
		store_fixture_close(f);
		directory_remove(f->directory);
	}
}

/* One that was changed since is read before it is used: what cannot be read is not trusted. */
static void touch(struct store_fixture *f)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/data.mdb", f->directory);
	file_settle(path);
	assert_int_equal(chmod(path, 0600), 0);
}

/* Filled, and changed since: each page is read. */
static void to_be_checked(struct store_fixture *f)
{
	open_filled(f);
	store_fixture_close(f);
	touch(f);
}

/* What fails once is told and costs nothing: the next opening has all that was stored. */
static void test_it_cannot_be_read(void **state)
{
	static const int errors[] = {EIO, ENOMEM, EMFILE, ENFILE};
	struct store_fixture *f = *state;
	unsigned reads = 0;
	bool called = true;

	f->options.size = MIB;
	for (unsigned n = 0; called; n++) {
		to_be_checked(f);
		fail_calls("pread", n, 1, errors[n % (sizeof(errors) / sizeof(*errors))]);
		f->store = store_open(&f->options, &f->notice);
		called = fail_calls_never();
		/* the note and the bits of use are begun anew */
		assert_true(f->store != NULL || called);
		reads += strstr(f->notice.text, "/data.mdb: cannot be read: ") != NULL;
		if (f->store == NULL) {
			assert_notice(f, strerror(errors[n % (sizeof(errors) / sizeof(*errors))]));
			store_fixture_open(f);
		}
		assert_string_equal(f->notice.text, "");
		assert_int_equal(count_stored(f->store), KEYS);
		store_fixture_close(f);
		directory_remove(f->directory);
	}
	assert_in_range(reads, 12, 100);
}

enum { PAGE_READ = 8 }; /* that many reads are of the maps and of the file's head */

/*
 * A disk that fails at each opening stops some, each with the cause, and not the next: the file is set aside.
 * One that fails now and then never does.
 */
static void test_it_can_never_be_read(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = MIB;
	to_be_checked(f);
	for (unsigned n = 0; n < 3 * STORE_UNREAD_MAX; n++) {
		store_fixture_second_passes(f);
		fail_calls("pread", PAGE_READ, 1, EIO);
		f->store = store_open(&f->options, &f->notice);
		assert_true(fail_calls_never());
		if (n % STORE_UNREAD_MAX == STORE_UNREAD_MAX - 1) {
			assert_null(f->store);
			store_fixture_open(f);
			assert_string_equal(f->notice.text, "");
			assert_int_equal(count_stored(f->store), KEYS);
			store_fixture_close(f);
			touch(f);
		}
		assert_null(f->store);
	}
	/* memory says nothing of the disk, and is not counted */
	for (unsigned n = 0; n < 2 * STORE_UNREAD_MAX; n++) {
		fail_calls("pread", PAGE_READ, 1, ENOMEM);
		assert_null(store_open(&f->options, &f->notice));
		assert_true(fail_calls_never());
	}
	for (unsigned n = 0; n <= STORE_UNREAD_MAX; n++) {
		assert_false(file_exists(f, "data.mdb.damaged"));
		store_fixture_second_passes(f);
		fail_calls("pread", PAGE_READ, 1, EIO);
		f->store = store_open(&f->options, &f->notice);
		assert_true(fail_calls_never());
		assert_int_equal(f->store != NULL, n == STORE_UNREAD_MAX);
	}
	assert_notice(f, "it cannot be read; set aside as data.mdb.damaged and begun anew");
	assert_int_equal(count_stored(f->store), 0);
}

/* Workers that are replaced open it many times within a moment: a disk that fails for that long costs nothing. */
static void test_it_cannot_be_read_for_a_moment(void **state)
{
	struct store_fixture *f = *state;
	struct timespec now;

	f->options.size = MIB;
	to_be_checked(f);
	do /* not across the end of a second, more than once */
		clock_gettime(CLOCK_BOOTTIME, &now);
	while (now.tv_nsec > 500000000);
	for (unsigned n = 0; n < 2 * STORE_UNREAD_MAX; n++) {
		fail_calls("pread", PAGE_READ, 1, EIO);
		assert_null(store_open(&f->options, &f->notice));
		assert_true(fail_calls_never());
	}
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(count_stored(f->store), KEYS);
}

/* Nor does a disk that fails at one of the maps keep the service from starting for ever. */
static void test_a_map_can_never_be_read(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = MIB;
	for (unsigned map = 0; map < 3; map++) {
		unsigned n = 0;

		open_filled(f);
		store_fixture_close(f);
		do {
			assert_in_range(n, 0, STORE_UNREAD_MAX);
			store_fixture_second_passes(f);
			fail_calls("pread", map, 1, EIO);
			f->store = store_open(&f->options, &f->notice);
			assert_true(fail_calls_never());
		} while (f->store == NULL && n++ <= STORE_UNREAD_MAX);
		assert_non_null(f->store);
		store_fixture_close(f);
		directory_remove(f->directory);
	}
}

/* What was purged stays so: when the map with the mark is begun anew, what is stored from before it goes, too. */
static void test_a_purge_outlives_the_map_of_the_clock(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = MIB;
	open_filled(f);
	purge_mark_set(f->store, 1000);
	store_fixture_close(f);
	for (unsigned n = 0; f->store == NULL; n++) {
		assert_in_range(n, 0, STORE_UNREAD_MAX);
		store_fixture_second_passes(f);
		fail_calls("pread", 1, 1, EIO);
		f->store = store_open(&f->options, &f->notice);
		assert_true(fail_calls_never());
	}
	assert_true(purge_mark(f->store) >= 1000 || count_stored(f->store) == 0);
}

/* A start that begins the invalidation times anew, and then fails: the next knows that they are lost. */
static void test_invalidations_lost_at_a_start_that_fails(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1);
	char path[128];

	f->options.size = MIB;
	open_filled(f);
	invalidation_add(store_invalidations(f->store), INVALIDATION_URI, &key, &key,
			 invalidation_overtake(store_invalidations(f->store), &key, 1, NULL));
	store_fixture_close(f);
	touch(f);
	snprintf(path, sizeof(path), "%s/invalidations", f->directory);
	assert_int_equal(truncate(path, 10), 0);
	fail_calls("pread", PAGE_READ, 1, EIO);
	assert_null(store_open(&f->options, &f->notice));
	assert_true(fail_calls_never());
	store_fixture_open(f);
	assert_true(invalidation_of(store_invalidations(f->store), &key) != 0 ||
		    count_stored(f->store) == 0);
}

/* A worker crashed, and left a page damaged: is that seen at the next start? */
static bool damage_is_seen(struct store_fixture *f, off_t page, bool note_is_unread)
{
	char path[128], rubbish[4096];
	bool seen;
	int fd;

	open_filled(f);
	store_doubt(f->store);
	memset(rubbish, 0xa5, sizeof(rubbish));
	snprintf(path, sizeof(path), "%s/data.mdb", f->directory);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, rubbish, sizeof(rubbish), page * 4096), sizeof(rubbish));
	close(fd);
	store_fixture_close(f);
	if (note_is_unread)
		fail_calls("pread", 0, 1, EIO);
	f->store = store_open(&f->options, &f->notice);
	assert_int_equal(fail_calls_never(), note_is_unread);
	if (f->store == NULL) /* it may wait for the next start */
		store_fixture_open(f);
	seen = file_exists(f, "data.mdb.damaged");
	store_fixture_close(f);
	directory_remove(f->directory);
	return seen;
}

/* That the file is doubted is not lost with the note. */
static void test_a_doubt_outlives_the_note(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = MIB;
	for (off_t page = 2; page < 16; page++)
		assert_int_equal(damage_is_seen(f, page, true), damage_is_seen(f, page, false));
}

/* ---- beside another process ----------------------------------------------------------------- */

/* One that has it open, filled, until *ret_end is closed. */
static pid_t other_opens(struct store_fixture *f, int *ret_end)
{
	int end[2], opened[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(end), 0);
	assert_int_equal(pipe(opened), 0);
	child = fork();
	if (child == 0) {
		close(end[1]);
		open_filled(f);
		if (write(opened[1], "", 1) != 1)
			_exit(1);
		(void)!read(end[0], &byte, 1);
		store_close(f->store);
		_exit(0);
	}
	close(end[0]);
	close(opened[1]);
	assert_int_equal(read(opened[0], &byte, 1), 1);
	close(opened[0]);
	*ret_end = end[1];
	return child;
}

static void other_closes(pid_t child, int end)
{
	int status;

	close(end);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void assert_not_opened(struct store_fixture *f, const char *why)
{
	char wanted[200];

	f->store = store_open(&f->options, &f->notice);
	assert_null(f->store);
	snprintf(wanted, sizeof(wanted), "%s%s", f->directory, why);
	assert_string_equal(f->notice.text, wanted);
}

static void assert_opened(struct store_fixture *f)
{
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(count_stored(f->store), KEYS);
	store_fixture_close(f);
}

static void test_beside_another(void **state)
{
	static const struct {
		const char *call;
		unsigned n;
		int error;
		const char *why;
	} rows[] = {
		{"mdb_env_open", 0, EIO, ": open: Input/output error"},
		{"mdb_env_open", 0, MDB_VERSION_MISMATCH, ": in use with another version"},
		{"mdb_txn_begin", 1, MDB_READERS_FULL,
		 ": open: MDB_READERS_FULL: Environment maxreaders limit reached"},
		{"calloc", 1, ENOMEM, ": open: no memory"},
		{"mmap", 4, ENOMEM, "/visited: Cannot allocate memory"},
		/* before the tables are opened, and behind that */
		{"fstatat", 0, ENOENT,
		 ": files were removed or exchanged while the store is in use"},
		{"fstatat", 7, ENOENT,
		 ": files were removed or exchanged while the store is in use"},
		{"F_OFD_SETLK", 1, ENOLCK, ": cannot be held: No locks available"},
		{"F_DUPFD_CLOEXEC", 0, EMFILE, ": cannot be held: Too many open files"},
		{"F_OFD_SETLKW", 1, ENOLCK, ": cannot be locked: No locks available"},
	};
	struct store_fixture *f = *state;
	int end, before;
	pid_t other = other_opens(f, &end);

	before = (int)descriptors();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fail_calls(rows[i].call, rows[i].n, 1, rows[i].error);
		assert_not_opened(f, rows[i].why);
		assert_true(fail_calls_never());
		assert_int_equal(descriptors(), before);
		assert_opened(f);
	}
	other_closes(other, end);
	assert_opened(f);
}

/* Without the file of the service's locks, the data file says that it is in use. */
static void test_its_lock_is_removed(void **state)
{
	struct store_fixture *f = *state;
	char path[128];
	int end;
	pid_t other = other_opens(f, &end);

	snprintf(path, sizeof(path), "%s/lock", f->directory);
	assert_int_equal(unlink(path), 0);
	assert_not_opened(f, ": its lock was removed while another service uses this store");
	other_closes(other, end);
	assert_opened(f);
}

/* What it has been opened with counts. */
static void test_other_options_beside_another(void **state)
{
	struct store_fixture *f = *state;
	struct store_usage usage;
	int end, lock;
	pid_t other = other_opens(f, &end);

	f->options.size = 4 * MIB;
	store_fixture_open(f);
	assert_notice(f, ": in use with another size, which it keeps");
	store_usage(f->store, &usage);
	assert_int_equal(usage.bytes_size, 8 * MIB);
	assert_int_equal(count_stored(f->store), KEYS);
	store_fixture_close(f);
	f->options.size = 8 * MIB;
	f->options.format++;
	assert_not_opened(f, ": in use with another version");
	f->options.format--;
	lock = open("/dev/null", O_RDONLY | O_CLOEXEC);
	f->options.lock = lock;
	assert_not_opened(f, ": was removed or exchanged while the service uses it");
	f->options.lock = 0;
	close(lock);
	assert_opened(f);
	other_closes(other, end);
}

/* The map says with which size it was opened, and has as many bits. */
static void test_a_damaged_map_beside_another(void **state)
{
	static const uint64_t bounds[] = {0, MIB, 8 * MIB - (1 << 14), 8 * MIB + (1 << 14)};
	struct store_fixture *f = *state;
	char path[128];
	uint64_t was;
	int end, fd;
	pid_t other = other_opens(f, &end);

	snprintf(path, sizeof(path), "%s/visited", f->directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &was, sizeof(was), 64), sizeof(was));
	assert_int_equal(was, 8 * MIB);
	for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
		assert_int_equal(pwrite(fd, &bounds[i], sizeof(was), 64), sizeof(was));
		assert_not_opened(f, "/visited: damaged, while the store is in use");
	}
	assert_int_equal(pwrite(fd, &was, sizeof(was), 64), sizeof(was));
	close(fd);
	assert_opened(f);
	other_closes(other, end);
}

static int setup(void **state)
{
	fail_calls_never();
	return store_setup(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, store_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_any_call_fails),
		TEST(test_any_call_panics),
		TEST(test_reading),
		TEST(test_walking),
		TEST(test_usage_is_not_known),
		TEST(test_it_cannot_be_reopened),
		TEST(test_a_writer_cannot_reopen_it),
		TEST(test_not_reopened_within_a_transaction),
		TEST(test_its_map_of_use_is_lost),
		TEST(test_a_copy_leaves_nothing),
		TEST(test_putting),
		TEST(test_a_transaction_within_another),
		TEST(test_dropping),
		TEST(test_dropping_what_is_gone),
		TEST(test_a_group),
		TEST(test_evicting),
		TEST(test_closing),
		TEST(test_locking_the_service),
		TEST(test_what_the_path_names),
		TEST(test_no_path),
		TEST(test_a_path_that_cannot_be_made),
		TEST(test_whose_the_path_is),
		TEST(test_room_on_disk),
		TEST(test_it_cannot_be_read),
		TEST(test_it_can_never_be_read),
		TEST(test_it_cannot_be_read_for_a_moment),
		TEST(test_a_map_can_never_be_read),
		TEST(test_a_purge_outlives_the_map_of_the_clock),
		TEST(test_invalidations_lost_at_a_start_that_fails),
		TEST(test_a_doubt_outlives_the_note),
		TEST(test_beside_another),
		TEST(test_its_lock_is_removed),
		TEST(test_other_options_beside_another),
		TEST(test_a_damaged_map_beside_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
