/* LINKS: cache/store tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/*
 * Rows of the three tables that do not agree, as damage leaves them, what is evicted then, and what
 * parts of a transaction are left with when pages run short.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <lmdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/store/impl.h"
#include "cache/store/store.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/store_fixture.h"

enum { SIZE = 400 };

static void put(struct store *store, uint64_t n)
{
	assert_int_equal(put_one(store, n, bytes_of(n, 0, SIZE)), STORE_OK);
}

static void drop(struct store *store, uint64_t n)
{
	struct cache_key key = key_of(n);

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_drop(store, &key), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
}

/* Removes the entry and leaves its row in the order, as only damage does. */
static void drop_but_for_its_place(struct store *store, uint64_t n)
{
	fail_calls("mdb_del", 1, 1, MDB_NOTFOUND);
	drop(store, n);
	assert_true(fail_calls_never());
}

static int raw_put(const char *directory, const char *table, unsigned flags, MDB_val key,
		   MDB_val value)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi at;

	return mdb_env_create(&env) != 0 || mdb_env_set_maxdbs(env, STORE_TABLES) != 0 ||
	       mdb_env_open(env, directory, MDB_NOSYNC, 0600) != 0 ||
	       mdb_txn_begin(env, NULL, 0, &txn) != 0 ||
	       mdb_dbi_open(txn, table, flags, &at) != 0 ||
	       mdb_put(txn, at, &key, &value, 0) != 0 || mdb_txn_commit(txn) != 0;
}

/* Another program writes into a table. */
static void write_row(struct store_fixture *f, const char *table, unsigned flags, struct slice key,
		      struct slice value)
{
	MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, (void *)(uintptr_t)value.p};
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(raw_put(f->directory, table, flags, k, v));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- eviction ------------------------------------------------------------------------------- */

/* Evict `victims` at most, for more bytes than they have; how many were left. */
static unsigned evict(struct store *store, unsigned victims, uint64_t *ret_due)
{
	*ret_due = MIB;
	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(rows_evict(store, ret_due, &victims), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
	return victims;
}

static void test_the_oldest_goes(void **state)
{
	struct store_fixture *f = *state;
	uint64_t due;

	store_fixture_open(f);
	for (uint64_t n = 0; n < 5; n++)
		put(f->store, n);
	put(f->store, 0); /* a new value keeps its place */
	assert_int_equal(evict(f->store, 2, &due), 0);
	assert_int_equal(f->store->evictions, 2);
	assert_in_range(MIB - due, 2 * 24, 2 * (SIZE + 200));
	assert_absent(f->store, 0);
	assert_absent(f->store, 1);
	assert_in_store(f->store, 2, 0);
	/* And all: then nothing is due, and nobody was asked in vain. */
	assert_int_equal(evict(f->store, 10, &due), 7);
	assert_int_equal(due, 0);
	assert_int_equal(f->store->evictions, 5);
	assert_int_equal(evict(f->store, 10, &due), 10);
	assert_int_equal(due, 0);
}

static void test_a_place_without_entry(void **state)
{
	struct store_fixture *f = *state;
	uint64_t due;

	store_fixture_open(f);
	put(f->store, 1);
	put(f->store, 2);
	drop_but_for_its_place(f->store, 1);
	assert_int_equal(evict(f->store, 1, &due), 0);
	assert_int_equal(due, MIB);
	assert_int_equal(f->store->evictions, 0);
	assert_in_store(f->store, 2, 0);
	assert_int_equal(evict(f->store, 1, &due), 0);
	assert_true(due < MIB);
	assert_int_equal(f->store->evictions, 1);
	assert_absent(f->store, 2);
}

static void test_a_place_of_before(void **state)
{
	struct store_fixture *f = *state;
	uint64_t due;

	store_fixture_open(f);
	put(f->store, 1);
	put(f->store, 2);
	drop_but_for_its_place(f->store, 1);
	put(f->store, 1); /* has another place, behind that of 2 */
	assert_int_equal(evict(f->store, 1, &due), 0);
	assert_int_equal(due, MIB);
	assert_int_equal(f->store->evictions, 0);
	assert_in_store(f->store, 1, 0);
	assert_int_equal(evict(f->store, 1, &due), 0);
	assert_absent(f->store, 2);
	assert_in_store(f->store, 1, 0);
}

static void test_a_place_of_another_size(void **state)
{
	struct store_fixture *f = *state;
	uint64_t due, first = 0;

	store_fixture_open(f);
	put(f->store, 1);
	write_row(f, "order", MDB_INTEGERKEY, slice_of((const char *)&first, sizeof(first)),
		  SLICE("abc"));
	assert_int_equal(evict(f->store, 1, &due), 1);
	assert_int_equal(due, 0);
	assert_in_store(f->store, 1, 0);
	put(f->store, 2);
	assert_in_store(f->store, 2, 0);
}

/* The hand, and the slots that are known as free, begin anew with an empty store. */
static void test_slots_of_an_empty_store(void **state)
{
	struct store_fixture *f = *state;
	struct evict_state *evict_state;
	uint64_t due;

	store_fixture_open(f);
	evict_state = &f->store->shared->evict;
	for (uint64_t n = 0; n < 3; n++)
		put(f->store, n);
	assert_int_equal(evict_state->slot_next, 3);
	drop(f->store, 1);
	assert_int_equal(evict_state->free_count, 1);
	put(f->store, 4); /* in the slot of that */
	assert_int_equal(evict_state->free_count, 0);
	assert_int_equal(evict_state->slot_next, 3);
	assert_int_equal(evict(f->store, 3, &due), 0);
	assert_true(evict_state->hand > 0);
	put(f->store, 5);
	assert_int_equal(evict_state->hand, 0);
	assert_int_equal(evict_state->free_count, 0);
	assert_int_equal(evict_state->slot_next, 1);
}

/* ---- values --------------------------------------------------------------------------------- */

static bool count_it(void *context, const struct cache_key *key, struct slice value)
{
	(void)key;
	(void)value;
	++*(unsigned *)context;
	return true;
}

static void test_a_damaged_value(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1), cursor = {{0, 0}};
	unsigned seen = 0;
	uint64_t due;
	bool more;

	store_fixture_open(f);
	put(f->store, 1);
	put(f->store, 2);
	write_row(f, "data", 0, slice_of((const char *)&key, sizeof(key)), SLICE("rubbish"));
	assert_absent(f->store, 1);
	assert_int_equal(store_walk(f->store, &cursor, 9, count_it, &seen, &more), STORE_OK);
	assert_int_equal(seen, 1);
	assert_false(more);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(store_drop(f->store, &key), STORE_NOT_FOUND);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(evict(f->store, 1, &due), 0); /* its place */
	assert_int_equal(f->store->evictions, 0);
	put(f->store, 1);
	assert_in_store(f->store, 1, 0);
	assert_in_store(f->store, 2, 0);
}

/* One that says that it is in more groups than any can be. */
static void test_a_value_of_too_many_groups(void **state)
{
	struct store_fixture *f = *state;
	static struct cache_key groups[STORE_GROUPS_MAX + 1];
	static _Alignas(8) char bytes[sizeof(groups) + 1000];
	struct store_value_head head = {.sequence = 1, .group_count = STORE_GROUPS_MAX + 1};
	struct cache_key key = key_of(1);

	store_fixture_open(f);
	put(f->store, 1);
	store_value_write(bytes, head, groups, bytes_of(1, 0, SIZE));
	write_row(f, "data", 0, slice_of((const char *)&key, sizeof(key)),
		  slice_of(bytes, store_value_size(bytes_of(1, 0, SIZE).n, STORE_GROUPS_MAX + 1)));
	assert_in_store(f->store, 1, 0);
	put(f->store, 1);
	assert_in_store(f->store, 1, 0);
	drop(f->store, 1);
	assert_absent(f->store, 1);
}

static void test_a_key_of_another_size(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key cursor = {{0, 0}};
	unsigned seen = 0;
	bool more;

	store_fixture_open(f);
	put(f->store, 1);
	write_row(f, "data", 0, slice_of("\0\0\0\1", 4), SLICE("x"));
	assert_int_equal(store_walk(f->store, &cursor, 9, count_it, &seen, &more), STORE_FAILED);
	assert_string_equal(store_error(f->store),
			    "read: MDB_CORRUPTED: Located page was wrong type");
	assert_int_equal(seen, 0);
	assert_in_store(f->store, 1, 0);
}

/* The row that says whose tables these are, cut short or not there: they are of another version. */
static void test_a_format_of_another_size(void **state)
{
	struct store_fixture *f = *state;
	const struct {
		uint32_t layout, format;
	} first_half = {STORE_VALUE_LAYOUT, 1};

	for (unsigned is_there = 0; is_there < 2; is_there++) {
		store_fixture_open(f);
		put(f->store, 1);
		if (is_there)
			write_row(f, NULL, 0, SLICE("format"),
				  slice_of((const char *)&first_half, sizeof(first_half)));
		else
			fail_calls("mdb_get", 0, 1, MDB_NOTFOUND);
		store_fixture_reopen(f);
		assert_int_equal(fail_calls_never(), !is_there);
		assert_non_null(strstr(f->notice.text, "it is of another version; begun anew"));
		assert_absent(f->store, 1);
		store_fixture_close(f);
	}
}

/* ---- groups --------------------------------------------------------------------------------- */

static void test_all_of_a_group(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key group = group_of(1), cursor = {{0, 0}}, last = {{0, 0}}, key;
	unsigned count = 0;

	store_fixture_open(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	for (uint64_t n = 0; n < 20; n++) {
		struct cache_key of_one = key_of(n), other = group_of(n % 2);

		assert_int_equal(store_put(f->store, &of_one, bytes_of(n, 0, SIZE), &other, 1),
				 STORE_OK);
	}
	while (store_group_next(f->store, &group, &cursor, &key) == STORE_OK) {
		assert_true(count == 0 || memcmp(&key, &last, sizeof(key)) > 0);
		assert_true(memcmp(&cursor, &key, sizeof(key)) > 0);
		last = key;
		assert_in_range(++count, 1, 10);
	}
	assert_int_equal(count, 10);
	assert_int_equal(store_commit(f->store), STORE_OK);
}

/* Behind the last of all keys there is none. */
static void test_the_last_key(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key group = group_of(1), cursor = {{0, 0}}, key,
			 last = {{UINT64_MAX, UINT64_MAX}};

	store_fixture_open(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(store_put(f->store, &last, bytes_of(1, 0, SIZE), &group, 1), STORE_OK);
	assert_int_equal(store_group_next(f->store, &group, &cursor, &key), STORE_OK);
	assert_true(cache_key_eq(&key, &last));
	/* A row without its member is the last that is looked at, too. */
	fail_calls("mdb_del", 2, 1, MDB_NOTFOUND);
	assert_int_equal(store_drop(f->store, &last), STORE_OK);
	assert_true(fail_calls_never());
	cursor = (struct cache_key){{0, 0}};
	assert_int_equal(store_group_next(f->store, &group, &cursor, &key), STORE_NOT_FOUND);
	assert_int_equal(store_commit(f->store), STORE_OK);
}

/* Rows without members are removed some at a time; the caller comes again. */
static void test_rows_without_members(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key group = group_of(1), cursor = {{0, 0}}, key;
	enum { ROWS = 150, AT_ONCE = 64 };
	unsigned parts = 0;

	store_fixture_open(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	for (uint64_t n = 0; n < ROWS; n++) {
		struct cache_key of_one = key_of(n);

		assert_int_equal(put_in_parts(f->store, &of_one, bytes_of(n, 0, 40), &group, 1),
				 STORE_OK);
		fail_calls("mdb_del", 2, 1, MDB_NOTFOUND);
		assert_int_equal(drop_in_parts(f->store, &of_one), STORE_OK);
		assert_true(fail_calls_never());
	}
	while (store_group_next(f->store, &group, &cursor, &key) == STORE_PART_FULL)
		assert_in_range(++parts, 1, ROWS / AT_ONCE);
	assert_int_equal(parts, ROWS / AT_ONCE);
	cursor = (struct cache_key){{0, 0}};
	assert_int_equal(store_group_next(f->store, &group, &cursor, &key), STORE_NOT_FOUND);
	assert_int_equal(store_commit(f->store), STORE_OK);
}

/* ---- pages that run short ------------------------------------------------------------------- */

/* A process that dies while it reads. */
static void reader_dies(struct store_fixture *f)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct store *store = store_open(&f->options, &f->notice);
		struct cache_key key = key_of(1);
		struct slice value;

		_exit(store == NULL || store_get(store, &key, &value) != STORE_OK);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_a_drop_takes_the_last_pages(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1), other = key_of(2);

	store_fixture_open(f);
	put(f->store, 1);
	put(f->store, 2);
	reader_dies(f);
	/* The part has changed something: the next one has what this one frees. */
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(store_drop(f->store, &other), STORE_OK);
	f->store->room.available = f->store->room.spent;
	assert_int_equal(store_drop(f->store, &key), STORE_PART_FULL);
	/* It has not, but a reader has died. */
	assert_int_equal(store_renew(f->store), STORE_OK);
	f->store->room.available = 0;
	assert_int_equal(store_drop(f->store, &key), STORE_PART_FULL);
	/* Nor that. */
	assert_int_equal(store_drop(f->store, &key), STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_absent(f->store, 1);
}

/* While a copy keeps pages, neither a put nor a drop takes those that are left for a commit. */
static void test_pages_are_scarce(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1), other = key_of(2);

	store_fixture_open(f);
	put(f->store, 1);
	reader_dies(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	store_room_keep_margin(&f->store->room);
	f->store->room.available = f->store->room.margin;
	assert_true(store_room_is_scarce(&f->store->room));
	/* The next part may have what a dead reader kept. */
	assert_int_equal(store_put(f->store, &other, bytes_of(2, 0, SIZE), NULL, 0),
			 STORE_PART_FULL);
	assert_int_equal(store_put(f->store, &other, bytes_of(2, 0, SIZE), NULL, 0), STORE_FULL);
	assert_int_equal(store_drop(f->store, &key), STORE_FULL);
	/* And what the part has changed is committed first. */
	f->store->room.spent = 1;
	assert_int_equal(store_put(f->store, &other, bytes_of(2, 0, SIZE), NULL, 0),
			 STORE_PART_FULL);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(f->store->failures, 0);
	assert_int_equal(f->store->evictions, 0);
	assert_in_store(f->store, 1, 0);
	assert_absent(f->store, 2);
}

static void fill_it(struct store *store, uint64_t *n)
{
	while (store->evictions == 0)
		put(store, ++*n);
}

/* Tries of a key are counted within a transaction. */
static void test_tries_are_of_a_transaction(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1 << 20);
	unsigned tries = 0;
	uint64_t n = 0;

	f->options.size = MIB;
	store_fixture_open(f);
	fill_it(f->store, &n);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(store_begin(f->store), STORE_OK);
		f->store->room.spent = 1;
		f->store->room.available = 0;
		assert_int_equal(store_put(f->store, &key, bytes_of(1 << 20, 0, SIZE), NULL, 0),
				 STORE_PART_FULL);
		store_abort(f->store);
	}
	/* Within one they come to an end. */
	assert_int_equal(store_begin(f->store), STORE_OK);
	for (;; tries++) {
		f->store->room.spent = 1;
		f->store->room.available = 0;
		if (store_put(f->store, &key, bytes_of(1 << 20, 0, SIZE), NULL, 0) == STORE_FULL)
			break;
		assert_in_range(tries, 0, 8);
		assert_int_equal(store_renew(f->store), STORE_OK);
	}
	assert_int_equal(tries, 7);
	assert_int_equal(store_commit(f->store), STORE_OK);
}

/* What a value grows by has to be paid for, not its size. */
static void test_the_price_of_growing(void **state)
{
	enum { PUTS = 20 };
	struct store_fixture *f = *state;
	uint64_t n = 0, before;

	f->options.size = MIB;
	store_fixture_open(f);
	fill_it(f->store, &n);
	before = f->store->evictions;
	for (unsigned i = 0; i < PUTS; i++) {
		static _Alignas(8) char bytes[800];
		struct cache_key key = key_of(n - i);

		assert_int_equal(store_begin(f->store), STORE_OK);
		assert_int_equal(put_in_parts(f->store, &key, slice_of(bytes, 780), NULL, 0),
				 STORE_OK);
		assert_int_equal(store_commit(f->store), STORE_OK);
	}
	before = f->store->evictions - before;
	for (unsigned i = 0; i < PUTS; i++) {
		static _Alignas(8) char bytes[800];
		struct cache_key key = key_of(n - i);
		uint64_t evictions = f->store->evictions;

		assert_int_equal(store_begin(f->store), STORE_OK);
		assert_int_equal(put_in_parts(f->store, &key, slice_of(bytes, 788), NULL, 0),
				 STORE_OK);
		assert_int_equal(store_commit(f->store), STORE_OK);
		/* 72 bytes with its nodes, six times at most: that is two values of the others. */
		assert_in_range(f->store->evictions - evictions, 0, 2);
	}
	assert_true(before > 0);
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
		TEST(test_the_oldest_goes),
		TEST(test_a_place_without_entry),
		TEST(test_a_place_of_before),
		TEST(test_a_place_of_another_size),
		TEST(test_slots_of_an_empty_store),
		TEST(test_a_damaged_value),
		TEST(test_a_value_of_too_many_groups),
		TEST(test_a_key_of_another_size),
		TEST(test_a_format_of_another_size),
		TEST(test_all_of_a_group),
		TEST(test_the_last_key),
		TEST(test_rows_without_members),
		TEST(test_a_drop_takes_the_last_pages),
		TEST(test_pages_are_scarce),
		TEST(test_tries_are_of_a_transaction),
		TEST(test_the_price_of_growing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
