/* LINKS: proxy/exchange tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* What is remembered of keys, by a clock that is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/exchange/leases.h"
#include "proxy/exchange/shareable.h"
#include "tests/doubles/failing_calls.h"

enum { NOW = 1000000, NO_MS = 600000, SLOTS = SHAREABLE_SLOTS };

static struct shareable_keys *keys;

static int setup(void **state)
{
	(void)state;
	keys = shareable_map();
	return keys == NULL;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(keys, sizeof(*keys));
}

/* Keys of equal `a` share a bucket. */
static struct cache_key key_of(uint64_t a, uint64_t b)
{
	return (struct cache_key){{a, b << 42}};
}

static enum shareable recall(struct cache_key key, int64_t now_ms)
{
	return shareable_recall(keys, &key, now_ms, NO_MS);
}

static void note(struct cache_key key, bool yes, int64_t now_ms)
{
	shareable_note(keys, &key, yes, now_ms, yes ? SHAREABLE_MS : NO_MS);
}

static void test_unshareable_is_renewed_by_use(void **state)
{
	int64_t now_ms = NOW;

	(void)state;
	assert_int_equal(recall(key_of(1, 1), now_ms), SHAREABLE_UNKNOWN);
	note(key_of(1, 1), false, now_ms);
	for (unsigned i = 0; i < 100; i++) {
		now_ms += NO_MS - 1;
		assert_int_equal(recall(key_of(1, 1), now_ms), SHAREABLE_NO);
	}
	assert_int_equal(recall(key_of(1, 1), now_ms + NO_MS), SHAREABLE_UNKNOWN);
}

static void test_shareable_is_not(void **state)
{
	(void)state;
	note(key_of(1, 1), true, NOW);
	assert_int_equal(recall(key_of(1, 1), NOW + SHAREABLE_MS - 1), SHAREABLE_YES);
	assert_int_equal(recall(key_of(1, 1), NOW + SHAREABLE_MS), SHAREABLE_UNKNOWN);
}

static void test_what_was_learnt_last_counts(void **state)
{
	(void)state;
	note(key_of(1, 1), false, NOW);
	note(key_of(1, 1), true, NOW);
	assert_int_equal(recall(key_of(1, 1), NOW), SHAREABLE_YES);
	note(key_of(1, 1), false, NOW);
	assert_int_equal(recall(key_of(1, 1), NOW), SHAREABLE_NO);
	/* no time to remember it: forgotten */
	shareable_note(keys, &(struct cache_key){{1, UINT64_C(1) << 42}}, false, NOW, 0);
	assert_int_equal(recall(key_of(1, 1), NOW), SHAREABLE_UNKNOWN);
}

static void test_methods_and_front_ends_of_a_uri_are_distinguished(void **state)
{
	struct cache_key get = key_of(5, 9);

	(void)state;
	note(get, false, NOW);
	for (uint64_t method = 0; method < 4; method++) {
		for (uint64_t door = 0; door < 2; door++) {
			struct cache_key other = {{get.word[0] + door, get.word[1] + method}};

			assert_int_equal(recall(other, NOW), method == 0 && door == 0
								     ? SHAREABLE_NO
								     : SHAREABLE_UNKNOWN);
		}
	}
}

static void test_full_bucket_gives_up_the_unused(void **state)
{
	(void)state;
	note(key_of(8, 1), false, NOW);
	assert_int_equal(recall(key_of(8, 1), NOW), SHAREABLE_NO);
	/* many that nobody asks about again do not displace it */
	for (uint64_t i = 2; i < 1000; i++)
		note(key_of(8, i), false, NOW + (int64_t)i);
	assert_int_equal(recall(key_of(8, 1), NOW + 1000), SHAREABLE_NO);
	assert_int_equal(recall(key_of(8, 2), NOW + 1000), SHAREABLE_UNKNOWN);
	assert_int_equal(recall(key_of(8, 999), NOW + 1000), SHAREABLE_NO);
}

static void test_full_bucket_of_used_gives_up_the_oldest(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < SLOTS; i++) {
		note(key_of(8, i + 1), false, NOW);
		recall(key_of(8, i + 1), NOW + (int64_t)i);
	}
	note(key_of(8, 100), false, NOW + 100);
	assert_int_equal(recall(key_of(8, 1), NOW + 100), SHAREABLE_UNKNOWN);
	for (uint64_t i = 1; i < SLOTS; i++)
		assert_int_equal(recall(key_of(8, i + 1), NOW + 100), SHAREABLE_NO);
	assert_int_equal(recall(key_of(8, 100), NOW + 100), SHAREABLE_NO);
	/* and those that are over go before any */
	note(key_of(8, 101), true, NOW + 2 * NO_MS);
	assert_int_equal(recall(key_of(8, 101), NOW + 2 * NO_MS), SHAREABLE_YES);
}

/* One that was used, and is over this very millisecond, goes before those that are not. */
static void test_what_is_over_goes_first(void **state)
{
	(void)state;
	for (uint64_t place = 0; place < SLOTS; place += SLOTS - 1) {
		for (uint64_t i = 0; i < SLOTS; i++) {
			note(key_of(9 + place, i + 1), false, i == place ? NOW : NOW + 10);
			if (i == place)
				recall(key_of(9 + place, i + 1), NOW);
		}
		note(key_of(9 + place, 100), false, NOW + NO_MS);
		for (uint64_t i = 0; i < SLOTS; i++)
			assert_int_equal(recall(key_of(9 + place, i + 1), NOW + NO_MS),
					 i == place ? SHAREABLE_UNKNOWN : SHAREABLE_NO);
	}
}

/* What is to be remembered for no time takes no place of others. */
static void test_no_time_displaces_none(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < SLOTS; i++)
		note(key_of(8, i + 1), false, NOW);
	shareable_note(keys, &(struct cache_key){{8, UINT64_C(100) << 42}}, false, NOW, 0);
	for (uint64_t i = 0; i < SLOTS; i++)
		assert_int_equal(recall(key_of(8, i + 1), NOW), SHAREABLE_NO);
	shareable_note(keys, &(struct cache_key){{8, UINT64_C(100) << 42}}, false, NOW, 1);
	assert_int_equal(recall(key_of(8, 100), NOW), SHAREABLE_NO);
}

/* Two workers may have noted a key in a slot each: no slot contradicts the one that counts. */
static void test_noted_twice(void **state)
{
	struct cache_key key = key_of(8, 1);

	(void)state;
	note(key, false, NOW);
	atomic_store_explicit(&keys->bucket[8][5],
			      atomic_load_explicit(&keys->bucket[8][0], memory_order_relaxed),
			      memory_order_relaxed);
	note(key, true, NOW);
	for (uint64_t i = 0; i < SLOTS - 1; i++)
		note(key_of(8, 50 + i), false, NOW + 10);
	assert_int_equal(recall(key, NOW + 10), SHAREABLE_YES);
}

static void test_other_processes_know(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		note(key_of(3, 3), false, NOW);
		_exit(recall(key_of(3, 3), NOW) == SHAREABLE_NO ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(recall(key_of(3, 3), NOW), SHAREABLE_NO);
}

/* Several at once: whatever is said of a key was noted of it. */
static void test_at_once(void **state)
{
	enum { PROCESSES = 3, ROUNDS = 20000, KEYS = 12 };
	pid_t pids[PROCESSES];

	(void)state;
	for (unsigned i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] != 0)
			continue;
		for (unsigned n = 0; n < ROUNDS; n++) {
			uint64_t of = (n * 7 + i) % KEYS;

			note(key_of(4, of + 1), of % 2 == 0, NOW);
			if (recall(key_of(4, of + 1), NOW) ==
			    (of % 2 == 0 ? SHAREABLE_NO : SHAREABLE_YES))
				_exit(1);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static void test_without_memory_there_is_none(void **state)
{
	(void)state;
	fail_calls("mmap", 0, 2, ENOMEM);
	assert_null(shareable_map());
	assert_null(leases_map());
	assert_true(fail_calls_never());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unshareable_is_renewed_by_use, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_shareable_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_learnt_last_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_methods_and_front_ends_of_a_uri_are_distinguished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_bucket_gives_up_the_unused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_full_bucket_of_used_gives_up_the_oldest, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_is_over_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_time_displaces_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_noted_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_processes_know, setup, teardown),
		cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
		cmocka_unit_test(test_without_memory_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
