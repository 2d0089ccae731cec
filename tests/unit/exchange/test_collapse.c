/* LINKS: proxy/exchange */
/* How long to wait for another's fetch, and how many are let go when: at every step of a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/exchange/collapse.h"

enum { START = 1000000, CROWD_MAX = 20000, TIMEOUT = 10000, COLD = 1000 };

static struct conf conf;
static unsigned per_step_max; /* of play(): let go at once */
static unsigned steps;

static int setup(void **state)
{
	(void)state;
	conf.collapse_timeout_ms = TIMEOUT;
	conf.collapse_cold_timeout_ms = COLD;
	return 0;
}

/* When the last of a crowd that came in one instant is let go, after the first. */
static int64_t play(unsigned crowd, bool proved, unsigned late_ms)
{
	struct collapse_wait wait = {.proved = proved, .waiting = crowd, .oldest_ms = START};
	int64_t now_ms = START;

	per_step_max = steps = 0;
	while (wait.waiting > 0) {
		int64_t due_ms = collapse_due_ms(&conf, &wait);
		unsigned count;

		assert_true(due_ms > now_ms);
		now_ms = due_ms + late_ms;
		count = collapse_let_go(&conf, &wait, now_ms);
		assert_in_range(count, 1, wait.waiting);
		wait.waiting -= count;
		wait.let_go_ms = now_ms;
		steps++;
		if (count > per_step_max)
			per_step_max = count;
	}
	return now_ms - START;
}

static void test_one_every_ten_milliseconds(void **state)
{
	(void)state;
	for (unsigned crowd = 1; crowd <= 900; crowd += 29) {
		assert_int_equal(play(crowd, false, 0), COLD + (crowd - 1) * COLLAPSE_STEP_MS);
		assert_int_equal(per_step_max, 1);
		assert_int_equal(steps, crowd);
	}
}

static void test_more_than_that_are_spread_over_the_time_that_is_left(void **state)
{
	(void)state;
	for (unsigned crowd = 901; crowd < CROWD_MAX; crowd += 333) {
		assert_in_range(play(crowd, false, 0), 0, TIMEOUT);
		assert_in_range(per_step_max, 2, crowd / 900 + 1);
	}
}

static void test_proved_all_at_once_after_the_long_time(void **state)
{
	(void)state;
	assert_int_equal(play(100, true, 0), TIMEOUT);
	assert_int_equal(steps, 1);
}

static void test_late_turns_make_it_slower_not_denser(void **state)
{
	(void)state;
	assert_int_equal(play(10, false, 25), COLD + 10 * 25 + 9 * COLLAPSE_STEP_MS);
	assert_int_equal(per_step_max, 1);
	/* but nobody waits for longer than the bound, and a turn */
	assert_in_range(play(900, false, 500), 0, TIMEOUT + 500);
}

/* With one step left all go; with more, as many a step as are needed, rounded up. */
static void test_how_many_in_the_last_steps(void **state)
{
	static const struct {
		int64_t left_ms;
		unsigned waiting, count;
	} cases[] = {
		{-5, 7, 7},
		{0, 7, 7},
		{COLLAPSE_STEP_MS, 7, 7},
		{COLLAPSE_STEP_MS + 1, 7, 7}, /* 7 * 10 / 11, rounded up */
		{COLLAPSE_STEP_MS + 1, 70, 64},
		{2 * COLLAPSE_STEP_MS, 7, 4},
		{7 * COLLAPSE_STEP_MS, 7, 1},
		{7 * COLLAPSE_STEP_MS - 1, 7, 2},
		{TIMEOUT, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct collapse_wait wait = {.waiting = cases[i].waiting, .oldest_ms = START};

		assert_int_equal(collapse_let_go(&conf, &wait, START + TIMEOUT - cases[i].left_ms),
				 cases[i].count);
	}
}

static void test_who_came_later_is_due_later(void **state)
{
	struct collapse_wait wait = {.waiting = 2, .oldest_ms = START + 300};

	(void)state;
	assert_int_equal(collapse_due_ms(&conf, &wait), START + 300 + COLD);
	wait.let_go_ms = START + 300 + COLD - 5;
	assert_int_equal(collapse_due_ms(&conf, &wait), START + 300 + COLD + 5);
	wait.let_go_ms = START + 10;
	assert_int_equal(collapse_due_ms(&conf, &wait), START + 300 + COLD);
}

static void test_the_short_time_is_never_the_longer(void **state)
{
	(void)state;
	assert_int_equal(collapse_wait_ms(&conf, false), COLD);
	assert_int_equal(collapse_wait_ms(&conf, true), TIMEOUT);
	conf.collapse_timeout_ms = 100;
	assert_int_equal(collapse_wait_ms(&conf, false), 100);
	conf.collapse_timeout_ms = TIMEOUT;
	conf.collapse_cold_timeout_ms = 0;
	assert_int_equal(collapse_wait_ms(&conf, false), 0);
	assert_int_equal(collapse_wait_ms(&conf, true), TIMEOUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_one_every_ten_milliseconds, setup),
		cmocka_unit_test_setup(test_more_than_that_are_spread_over_the_time_that_is_left,
				       setup),
		cmocka_unit_test_setup(test_proved_all_at_once_after_the_long_time, setup),
		cmocka_unit_test_setup(test_late_turns_make_it_slower_not_denser, setup),
		cmocka_unit_test_setup(test_how_many_in_the_last_steps, setup),
		cmocka_unit_test_setup(test_who_came_later_is_due_later, setup),
		cmocka_unit_test_setup(test_the_short_time_is_never_the_longer, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
