/* LINKS: proxy/limits */
/* Counts by key over several processes, one of which may be killed at any moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/limits/holdings.h"

enum { ANY = INT32_MAX };

static struct holdings *map(unsigned blocks, size_t most)
{
	struct holdings *holdings = holdings_map(blocks, most);

	assert_non_null(holdings);
	return holdings;
}

static void a_key_has_its_own_count(void **state)
{
	struct holdings *holdings = map(1, 100);
	struct holdings_row *seven, *eight;

	(void)state;
	assert_int_equal(holdings_all(holdings, 7), 0);
	seven = holdings_take(holdings, 0, 7, 2, ANY);
	assert_non_null(seven);
	assert_ptr_equal(holdings_take(holdings, 0, 7, 2, ANY), seven);
	assert_null(holdings_take(holdings, 0, 7, 2, ANY));
	eight = holdings_take(holdings, 0, 8, 2, ANY);
	assert_non_null(eight);
	assert_int_equal(holdings_here(holdings, 0, 7), 2);
	assert_int_equal(holdings_count(holdings, 0), 2);
	holdings_give(seven);
	assert_ptr_equal(holdings_take(holdings, 0, 7, ANY, 2), seven);
	assert_null(holdings_take(holdings, 0, 7, ANY, 2));
	holdings_give(seven);
	holdings_give(seven);
	holdings_give(eight);
	assert_int_equal(holdings_count(holdings, 0), 0);
	assert_null(holdings_take(holdings, 0, 9, 0, ANY));
	assert_null(holdings_take(holdings, 0, 9, ANY, 0));
	assert_int_equal(holdings_count(holdings, 0), 0);
	holdings_unmap(holdings);
}

static void all_processes_count_together(void **state)
{
	struct holdings *holdings = map(3, 100);

	(void)state;
	assert_non_null(holdings_take(holdings, 0, 7, 2, 3));
	assert_non_null(holdings_take(holdings, 1, 7, 2, 3));
	assert_non_null(holdings_take(holdings, 1, 7, 2, 3));
	assert_null(holdings_take(holdings, 1, 7, 2, 9)); /* of this one */
	assert_null(holdings_take(holdings, 2, 7, 2, 3)); /* of all */
	assert_int_equal(holdings_all(holdings, 7), 3);
	assert_int_equal(holdings_here(holdings, 2, 7), 0);
	holdings_clear(holdings, 1);
	assert_int_equal(holdings_all(holdings, 7), 1);
	assert_non_null(holdings_take(holdings, 2, 7, 2, 3));
	assert_non_null(holdings_take(holdings, 1, 7, 2, 3));
	holdings_unmap(holdings);
}

/* Rows are used again and again, by keys whose rows meet. */
static void many_keys_come_and_go(void **state)
{
	enum { HELD = 1000, ROUNDS = 200000 };
	struct holdings *holdings = map(2, HELD);
	static struct holdings_row *rows[HELD];
	static uint64_t keys[HELD];
	uint64_t random = 88172645463325252U;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		if (rows[i % HELD] != NULL)
			holdings_give(rows[i % HELD]);
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		keys[i % HELD] = random;
		rows[i % HELD] = holdings_take(holdings, 1, random, 1, 1);
		assert_non_null(rows[i % HELD]);
		assert_null(holdings_take(holdings, 0, random, 1, 1));
	}
	assert_int_equal(holdings_count(holdings, 1), HELD);
	for (unsigned i = 0; i < HELD; i++) {
		assert_int_equal(holdings_all(holdings, keys[i]), 1);
		holdings_give(rows[i]);
	}
	assert_int_equal(holdings_count(holdings, 1), 0);
	holdings_unmap(holdings);
}

/* More keys than there is room for are refused, and what is held stays right. */
static void a_full_window_refuses(void **state)
{
	struct holdings *holdings = map(1, 1);
	struct holdings_row *rows[1000];
	unsigned taken = 0;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++) {
		rows[taken] = holdings_take(holdings, 0, i << 20, 1, 1);
		taken += rows[taken] != NULL;
	}
	assert_true(taken > 0 && taken < 1000);
	assert_int_equal(holdings_count(holdings, 0), taken);
	while (taken > 0)
		holdings_give(rows[--taken]);
	assert_int_equal(holdings_count(holdings, 0), 0);
	holdings_unmap(holdings);
}

/* Keys that meet in a row have 64 from there on, around the end of the block: no more, and no fewer. */
static void a_window_has_its_rows(void **state)
{
	enum { ROWS = 256, WINDOW = 64 };
	struct holdings *holdings = map(2, 1);
	struct holdings_row *rows[WINDOW];

	(void)state;
	for (uint64_t i = 0; i < WINDOW; i++) {
		rows[i] = holdings_take(holdings, 0, (i + 1) * ROWS - 1, 1, 1);
		assert_non_null(rows[i]);
	}
	assert_null(holdings_take(holdings, 0, (WINDOW + 1) * ROWS - 1, 1, 1));
	assert_int_equal(holdings_here(holdings, 0, (WINDOW + 1) * ROWS - 1), 0);
	for (uint64_t i = 0; i < WINDOW; i++)
		assert_int_equal(holdings_here(holdings, 0, (i + 1) * ROWS - 1), 1);
	assert_int_equal(holdings_count(holdings, 0), WINDOW);
	assert_int_equal(holdings_count(holdings, 1), 0);
	holdings_give(rows[WINDOW / 2]);
	assert_ptr_equal(holdings_take(holdings, 0, (WINDOW + 1) * ROWS - 1, 1, 1),
			 rows[WINDOW / 2]);
	assert_int_equal(holdings_here(holdings, 0, (WINDOW / 2 + 1) * ROWS - 1), 0);
	holdings_unmap(holdings);
}

/* The key before it in the window does not end a search, whichever it is. */
static void a_search_passes_others(void **state)
{
	struct holdings *holdings = map(1, 1);
	struct holdings_row *second;

	(void)state;
	for (uint64_t first = 1; first <= 3; first++) {
		assert_non_null(holdings_take(holdings, 0, first, 1, 1));
		second = holdings_take(holdings, 0, first + 256, 2, 2);
		assert_non_null(second);
		assert_ptr_equal(holdings_take(holdings, 0, first + 256, 2, 2), second);
		assert_int_equal(holdings_here(holdings, 0, first + 256), 2);
	}
	holdings_unmap(holdings);
}

/* More rows than a process has addresses for. */
static void what_cannot_be_mapped_is_none(void **state)
{
	(void)state;
	assert_null(holdings_map(1, (size_t)1 << 56));
}

/* The kernel does not take pages back that are locked: the counts are set one by one. */
static void a_block_is_cleared_where_its_memory_stays(void **state)
{
	struct holdings *holdings = map(2, 1);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct holdings_row *mine = holdings_take(holdings, 0, 7, 2, ANY);
	char *locked = (char *)((uintptr_t)mine & ~(page - 1));

	(void)state;
	assert_ptr_equal(holdings_take(holdings, 0, 7, 2, ANY), mine);
	assert_non_null(holdings_take(holdings, 0, 8, 2, ANY));
	assert_non_null(holdings_take(holdings, 0, 1 << 20, 2, ANY));       /* in the first row */
	assert_non_null(holdings_take(holdings, 0, (1 << 20) - 1, 2, ANY)); /* in the last one */
	assert_non_null(holdings_take(holdings, 1, 7, 2, ANY));
	assert_int_equal(holdings_count(holdings, 0), 4);
	if (mlock(locked, page) != 0) {
		holdings_unmap(holdings);
		skip(); /* not one page may be locked here */
	}
	holdings_clear(holdings, 0);
	assert_int_equal(holdings_count(holdings, 0), 0);
	assert_int_equal(holdings_count(holdings, 1), 1);
	assert_int_equal(holdings_all(holdings, 7), 1);
	assert_ptr_equal(holdings_take(holdings, 0, 7, 2, ANY),
			 mine); /* its row has kept its key */
	holdings_unmap(holdings);
}

enum { PROCESSES = 4, LIMIT = 3, KILLS = 60 };

/* What the processes really have, beside what they are counted for. */
struct truth {
	_Atomic unsigned inside; /* a bit each: all are read at one moment */
	_Atomic int worst;
	_Atomic int rounds;
};

/* Taking and giving back for ever, among keys that come and go. */
static void churn(struct holdings *holdings, struct truth *truth, unsigned block)
{
	for (uint64_t i = 1;; i++) {
		struct holdings_row *row =
			holdings_take(holdings, block, 2 + (i + block) % 500, ANY, ANY);
		int sum;

		if (row != NULL)
			holdings_give(row);
		row = holdings_take(holdings, block, 1, ANY, LIMIT);
		if (row == NULL)
			continue;
		sum = __builtin_popcount(atomic_fetch_or(&truth->inside, 1U << block) |
					 1U << block);
		if (sum > atomic_load(&truth->worst))
			atomic_store(&truth->worst, sum);
		atomic_fetch_add(&truth->rounds, 1);
		atomic_fetch_and(&truth->inside, ~(1U << block));
		holdings_give(row);
	}
}

static pid_t start(struct holdings *holdings, struct truth *truth, unsigned block)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		churn(holdings, truth, block);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Each dies again and again in the middle of it: never more than the limit, and nothing is lost. */
static void killed_processes_hold_nothing(void **state)
{
	struct holdings *holdings = map(PROCESSES, 1000);
	struct truth *truth = mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[PROCESSES];

	(void)state;
	assert_ptr_not_equal(truth, MAP_FAILED);
	for (unsigned i = 0; i < PROCESSES; i++)
		pids[i] = start(holdings, truth, i);
	for (unsigned i = 0; i < KILLS; i++) {
		unsigned block = i % PROCESSES;
		int until = atomic_load(&truth->rounds) + 50;

		while (atomic_load(&truth->rounds) < until)
			usleep(100);
		end(pids[block]);
		atomic_fetch_and(&truth->inside, ~(1U << block));
		holdings_clear(holdings, block);
		pids[block] = start(holdings, truth, block);
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		end(pids[i]);
		holdings_clear(holdings, i);
	}
	assert_in_range(atomic_load(&truth->worst), 1, LIMIT);
	for (uint64_t key = 1; key < 600; key++)
		assert_int_equal(holdings_all(holdings, key), 0);
	for (unsigned i = 0; i < LIMIT; i++)
		assert_non_null(holdings_take(holdings, i % PROCESSES, 1, ANY, LIMIT));
	assert_null(holdings_take(holdings, 0, 1, ANY, LIMIT));
	munmap(truth, sizeof(*truth));
	holdings_unmap(holdings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_its_own_count),
		cmocka_unit_test(all_processes_count_together),
		cmocka_unit_test(many_keys_come_and_go),
		cmocka_unit_test(a_full_window_refuses),
		cmocka_unit_test(a_window_has_its_rows),
		cmocka_unit_test(a_search_passes_others),
		cmocka_unit_test(what_cannot_be_mapped_is_none),
		cmocka_unit_test(a_block_is_cleared_where_its_memory_stays),
		cmocka_unit_test(killed_processes_hold_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
