/* LINKS: cache */
/*
 * A lookup in a view, while another process removes what is marked and retires the mark.  cache.c
 * is compiled here, against a store_get() that waits for the other.
 */
#include <dlfcn.h>
#include <lmdb.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cache_fixture.h"

enum moment { BEFORE_READING, IN_A_NEW_VIEW, AFTER_READING, NEVER };

static enum moment tidies_at;
static int to_other, from_other;

static void other_tidies(void)
{
	char byte = 0;

	tidies_at = NEVER;
	assert_int_equal(write(to_other, &byte, 1), 1);
	assert_int_equal(read(from_other, &byte, 1), 1);
}

/* Stands before LMDB's: a view begins. */
int mdb_txn_renew(MDB_txn *txn)
{
	int (*renew)(MDB_txn *);
	int result;

	*(void **)&renew = dlsym(RTLD_NEXT, "mdb_txn_renew");
	result = renew(txn);
	if (tidies_at == IN_A_NEW_VIEW)
		other_tidies();
	return result;
}

static enum store_result waiting_get(struct store *store, const struct cache_key *key,
				     struct slice *ret_value)
{
	enum store_result result;

	if (tidies_at == BEFORE_READING)
		other_tidies();
	result = store_get(store, key, ret_value);
	if (tidies_at == AFTER_READING)
		other_tidies();
	return result;
}

/* Removals that never end: each view is one from before the next. */
static bool is_always_late;

static bool late_view_is_current(const struct store *store)
{
	return !is_always_late && store_view_is_current(store);
}

#define store_get waiting_get
#define store_view_is_current late_view_is_current
#include "cache/cache.c"

static struct invalidations *marks_of(struct fixture *f)
{
	return store_invalidations(cache_store_of(f->cache));
}

/* It takes up what it finds, until nothing is marked. */
static void be_the_other(struct fixture *f, int told, int tell)
{
	char byte;

	cache_fixture_open(f);
	while (read(told, &byte, 1) == 1) {
		while (invalidation_any(marks_of(f))) {
			cache_tick(f->cache);
			cache_flush_some(f->cache);
		}
		if (write(tell, &byte, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static pid_t start_other(struct fixture *f)
{
	int told[2], tell[2];
	pid_t child;

	cache_fixture_close(f);
	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(tell), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(told[1]);
		close(tell[0]);
		be_the_other(f, told[0], tell[1]);
	}
	close(told[0]);
	close(tell[1]);
	to_other = told[1];
	from_other = tell[0];
	cache_fixture_open(f);
	return child;
}

/* The view may be of before the removal, and the mark gone when it is looked for. */
static void a_lookup_finds_nothing_that_another_removes(void **state)
{
	struct cache_key key = cache_key_of_uri(SLICE("http://a/"));
	struct fixture *f = *state;
	int status;
	pid_t other;

	tidies_at = NEVER;
	other = start_other(f);
	assert_stored(f, "GET http://a/other\n", FRESH "X: 1\n", 0);
	for (enum moment moment = BEFORE_READING; moment <= NEVER; moment++) {
		for (unsigned viewing = 0; viewing < 2; viewing++) {
			assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
			assert_hit(f, "GET http://a/\n", 0, "1");
			cache_turn_end(f->cache);
			if (viewing)
				assert_hit(f, "GET http://a/other\n", 0, "1");
			invalidation_add(marks_of(f), INVALIDATION_URI, &key, &key,
					 invalidation_overtake(marks_of(f), &key, 1, NULL));
			tidies_at = moment;
			assert_miss(f, "GET http://a/\n", 0);
			tidies_at = NEVER;
		}
	}
	close(to_other);
	close(from_other);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
}

/* What could be of before a removal is not used, and looking again has an end. */
static void a_view_that_is_never_current_is_no_answer(void **state)
{
	struct http_clock now = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct fixture *f = *state;
	struct cache_found found;

	tidies_at = NEVER;
	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	for (unsigned late = 0; late < 2; late++) {
		is_always_late = late == 1;
		look_up(f, "GET http://a/\n", 0);
		assert_int_equal(f->lookup.has_record, !late);
		cache_peek(f->cache, request_of(&f->req, "GET http://a/\n"), &now, &found);
		assert_int_equal(found.selected, late ? ENTRY_NONE : ENTRY_SELECTED);
		assert_int_equal(found.lookup.has_record, !late);
		assert_int_equal(found.lookup.verdict, late ? REUSE_MISS : REUSE_FRESH);
	}
	is_always_late = false;
	assert_hit(f, "GET http://a/\n", 0, "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_lookup_finds_nothing_that_another_removes,
						cache_fixture_setup, cache_fixture_teardown),
		cmocka_unit_test_setup_teardown(a_view_that_is_never_current_is_no_answer,
						cache_fixture_setup, cache_fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
