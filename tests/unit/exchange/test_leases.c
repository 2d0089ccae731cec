/* LINKS: proxy/exchange */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/exchange/leases.h"

enum { NOW = 1000000 };

static struct leases *leases;

static int setup(void **state)
{
	(void)state;
	leases = leases_map();
	return leases == NULL;
}

static struct cache_key key_of(uint64_t a, uint64_t b)
{
	return (struct cache_key){{a, b << 40 | 0x123456789}};
}

static bool take(struct cache_key key, int64_t now_ms, struct lease *lease)
{
	return leases_take(leases, &key, now_ms, lease);
}

static void test_one_at_a_time(void **state)
{
	struct lease first, second;

	(void)state;
	assert_true(take(key_of(1, 1), NOW, &first));
	assert_false(take(key_of(1, 1), NOW, &second));
	assert_null(second.slot);
	assert_false(take(key_of(1, 1), NOW + LEASE_MS - 1, &second));
	lease_release(&first);
	assert_null(first.slot);
	assert_true(take(key_of(1, 1), NOW, &second));
	lease_release(&second);
}

static void test_keys_do_not_hinder_each_other(void **state)
{
	struct lease lease[8];

	(void)state;
	/* of one bucket, as the first halves are the same */
	for (uint64_t i = 0; i < 8; i++)
		assert_true(take(key_of(77, i), NOW, &lease[i]));
	for (uint64_t i = 0; i < 8; i++)
		lease_release(&lease[i]);
}

static void test_full_bucket(void **state)
{
	struct lease lease[8], more;

	(void)state;
	for (uint64_t i = 0; i < 8; i++)
		assert_true(take(key_of(78, i), NOW, &lease[i]));
	/* nobody can be told of the ninth, which is no reason not to be at it */
	assert_true(take(key_of(78, 8), NOW, &more));
	assert_null(more.slot);
	lease_release(&more);
	lease_release(&lease[3]);
	assert_true(take(key_of(78, 8), NOW, &more));
	/* found where it is, though a place before it is free */
	lease_release(&lease[0]);
	assert_false(take(key_of(78, 8), NOW, &lease[0]));
	lease_release(&more);
	for (uint64_t i = 0; i < 8; i++)
		lease_release(&lease[i]);
}

static void test_lapses(void **state)
{
	struct lease first, second, third;

	(void)state;
	assert_true(take(key_of(2, 2), NOW, &first));
	assert_true(take(key_of(2, 2), NOW + LEASE_MS, &second));
	/* the one who came late does not release what is another's by now */
	lease_release(&first);
	assert_false(take(key_of(2, 2), NOW + LEASE_MS, &third));
	lease_release(&second);
	assert_true(take(key_of(2, 2), NOW + LEASE_MS, &third));
	lease_release(&third);
}

static void test_release_of_none(void **state)
{
	struct lease none = {0};

	(void)state;
	lease_release(&none);
	assert_null(none.slot);
}

static void test_zero_key(void **state)
{
	struct lease first, second;

	(void)state;
	assert_true(take((struct cache_key){{0, 0}}, NOW, &first));
	assert_false(take((struct cache_key){{0, 0}}, NOW, &second));
	lease_release(&first);
}

/*
 * Processes take and release few keys of one bucket as fast as they can, each until it has had its
 * share.  Whoever has a lease finds nobody else in there.
 */
enum { PROCESSES = 4, SHARE = 20000, KEYS = 3 };

struct inside {
	_Atomic unsigned count[KEYS];
	_Atomic unsigned overlaps;
};

static void compete(struct inside *inside)
{
	for (unsigned i = 0, taken = 0; taken < SHARE; i++) {
		unsigned which = i % KEYS;
		struct lease lease;

		if (!take(key_of(5, which), NOW + i % 1000, &lease)) {
			sched_yield();
			continue;
		}
		taken++;
		if (atomic_fetch_add(&inside->count[which], 1) != 0)
			atomic_fetch_add(&inside->overlaps, 1);
		for (volatile int wait = 0; wait < 100; wait++)
			continue;
		atomic_fetch_sub(&inside->count[which], 1);
		lease_release(&lease);
	}
}

static void test_processes_exclude_each_other(void **state)
{
	struct inside *inside = mmap(NULL, sizeof(*inside), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	(void)state;
	assert_ptr_not_equal(inside, MAP_FAILED);
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			compete(inside);
			_exit(EXIT_SUCCESS);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	}
	assert_int_equal(inside->overlaps, 0);
	munmap(inside, sizeof(*inside));
}

/* What a process leaves when it dies lapses; nobody has to clear it. */
static void test_lease_of_the_dead_lapses(void **state)
{
	struct lease lease;
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(take(key_of(9, 9), NOW, &lease) ? EXIT_SUCCESS : EXIT_FAILURE);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
	assert_false(take(key_of(9, 9), NOW, &lease));
	assert_true(take(key_of(9, 9), NOW + LEASE_MS, &lease));
	lease_release(&lease);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_keys_do_not_hinder_each_other),
		cmocka_unit_test(test_full_bucket),
		cmocka_unit_test(test_lapses),
		cmocka_unit_test(test_release_of_none),
		cmocka_unit_test(test_zero_key),
		cmocka_unit_test(test_processes_exclude_each_other),
		cmocka_unit_test(test_lease_of_the_dead_lapses),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
