/* LINKS: proxy/stats */
/* Marks: kept, replaced, and left whole by writers that were killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/stats/marks.h"

static struct stats sum, found;

static bool set_mark(struct marks *marks, const char *name, int64_t at_us, char *gone)
{
	struct mark mark = {.wall_ms = 1000 + at_us, .at_us = at_us};
	char room[MARK_NAME_MAX + 1];

	snprintf(mark.name, sizeof(mark.name), "%s", name);
	return marks_set(marks, &mark, &sum, gone != NULL ? gone : room);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(mark_name_is_valid(SLICE("a")));
	assert_true(mark_name_is_valid(SLICE("Run-1_b.2")));
	assert_true(mark_name_is_valid(SLICE("abcdefghijklmnopqrstuvwxyzabcdef")));
	assert_false(mark_name_is_valid(SLICE("abcdefghijklmnopqrstuvwxyzabcdefg")));
	assert_false(mark_name_is_valid(SLICE("")));
	assert_false(mark_name_is_valid(SLICE("1a")));
	assert_false(mark_name_is_valid(SLICE("-a")));
	assert_false(mark_name_is_valid(SLICE("a b")));
	assert_false(mark_name_is_valid(SLICE("a/b")));
	assert_false(mark_name_is_valid(SLICE("a\"b")));
	assert_false(mark_name_is_valid(SLICE("a\0b")));
}

static void test_a_difference_is_of_counters_and_not_of_gauges(void **state)
{
	struct marks *marks = marks_map();
	struct stats between;
	struct mark mark;

	(void)state;
	memset(&sum, 0, sizeof(sum));
	sum.requests = 100;
	sum.clients = 7;
	sum.answers.at[STATUS_204][OUTCOME_HIT] = 60;
	histogram_add(&sum.hit_latency, 10, 60);
	assert_true(set_mark(marks, "a", 5, NULL));
	sum.requests = 150;
	sum.clients = 3;
	histogram_add(&sum.hit_latency, 1000, 40);
	assert_true(marks_find(marks, SLICE("a"), &mark, &found));
	assert_int_equal(mark.at_us, 5);
	assert_int_equal(found.requests, 100);
	stats_difference(&sum, &found, &between);
	assert_int_equal(between.requests, 50);
	assert_int_equal(between.clients, 3);
	assert_int_equal(between.answers.at[STATUS_204][OUTCOME_HIT], 0);
	assert_int_equal(between.hit_latency.count, 40);
	assert_in_range(histogram_quantile(&between.hit_latency, 0.01), 930, 1070);
	assert_in_range(histogram_max(&between.hit_latency), 1000, 1125);
	assert_false(marks_find(marks, SLICE("b"), &mark, &found));
}

static void test_the_oldest_makes_room(void **state)
{
	struct marks *marks = marks_map();
	struct mark listed[MARKS_MAX];
	char name[16], gone[MARK_NAME_MAX + 1];

	(void)state;
	for (int i = 0; i < MARKS_MAX; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		assert_true(set_mark(marks, name, i, gone));
		assert_string_equal(gone, "");
	}
	/* The same name is no more, and is the newest now. */
	assert_true(set_mark(marks, "m0", 100, gone));
	assert_string_equal(gone, "");
	assert_true(set_mark(marks, "new", 101, gone));
	assert_string_equal(gone, "m1");
	assert_int_equal(marks_list(marks, listed), MARKS_MAX);
	assert_string_equal(listed[0].name, "m2");
	assert_string_equal(listed[MARKS_MAX - 2].name, "m0");
	assert_string_equal(listed[MARKS_MAX - 1].name, "new");
	assert_int_equal(listed[MARKS_MAX - 2].at_us, 100);
}

/* The mark that comes back keeps its row, and nobody goes, wherever that is. */
static void test_a_mark_that_is_set_again(void **state)
{
	struct marks *marks = marks_map();
	struct mark listed[MARKS_MAX], mark;
	char name[16], gone[MARK_NAME_MAX + 1];

	(void)state;
	assert_int_equal(marks_list(marks, listed), 0);
	for (int i = 0; i < MARKS_MAX; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		sum.requests = 100 + (unsigned)i;
		set_mark(marks, name, i, NULL);
	}
	for (int i = MARKS_MAX - 1; i >= 0; i--) {
		snprintf(name, sizeof(name), "m%d", i);
		sum.requests = 200 + (unsigned)i;
		memset(gone, 'x', sizeof(gone));
		assert_true(set_mark(marks, name, 100 - i, gone));
		assert_string_equal(gone, "");
		assert_int_equal(marks_list(marks, listed), MARKS_MAX);
		assert_string_equal(listed[MARKS_MAX - 1].name, name);
		assert_true(marks_find(marks, slice_str(name), &mark, &found));
		assert_int_equal(found.requests, sum.requests);
		assert_int_equal(mark.at_us, 100 - i);
		assert_int_equal(mark.wall_ms, 1100 - i);
	}
}

/* Who began less than a second ago may be at it; after that it was killed. */
static void test_one_sets_at_a_time(void **state)
{
	struct marks *marks = marks_map();
	_Atomic int64_t *busy_until_ms = (_Atomic int64_t *)marks;

	(void)state;
	assert_true(set_mark(marks, "a", 5000000, NULL));
	assert_int_equal(*busy_until_ms, 0);
	*busy_until_ms = 6001;
	assert_false(set_mark(marks, "b", 6000999, NULL));
	assert_int_equal(*busy_until_ms, 6001);
	assert_true(set_mark(marks, "b", 6001000, NULL));
	assert_int_equal(*busy_until_ms, 0);
}

/* The row of a writer that was killed in it: its name counts for nothing. */
static void test_half_a_mark_is_none(void **state)
{
	struct marks *marks = marks_map();
	struct mark listed[MARKS_MAX], mark;
	char gone[MARK_NAME_MAX + 1];

	(void)state;
	assert_true(set_mark(marks, "a", 1, NULL));
	assert_true(set_mark(marks, "b", 2, NULL));
	((uint64_t *)marks)[3] ^= 1; /* the checksum of the first row */
	assert_false(marks_find(marks, SLICE("a"), &mark, &found));
	assert_true(marks_find(marks, SLICE("b"), &mark, &found));
	assert_int_equal(marks_list(marks, listed), 1);
	assert_string_equal(listed[0].name, "b");
	assert_true(set_mark(marks, "a", 3, gone));
	assert_string_equal(gone, "");
	assert_int_equal(marks_list(marks, listed), 2);
	assert_string_equal(listed[1].name, "a");
}

/* Killed at any instruction: what others can read is whole, and a second later they may write. */
static void test_killed_writers_leave_no_harm(void **state)
{
	struct marks *marks = marks_map();
	struct mark mark;

	(void)state;
	for (int round = 0; round < 20; round++) {
		pid_t writer = fork();
		int64_t later = (int64_t)(round + 1) * 10000000;

		if (writer == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (writer == 0)
			for (int64_t at = later - 5000000;; at += 5) {
				sum.requests = sum.turns = (uint64_t)at;
				set_mark(marks, at % 2 == 0 ? "even" : "odd", at, NULL);
			}
		usleep(1000 + (useconds_t)round * 137);
		kill(writer, SIGKILL);
		waitpid(writer, NULL, 0);
		if (marks_find(marks, SLICE("even"), &mark, &found))
			assert_int_equal(found.requests, mark.at_us);
		if (marks_find(marks, SLICE("odd"), &mark, &found))
			assert_int_equal(found.turns, mark.at_us);
		sum.requests = sum.turns = (uint64_t)later;
		assert_true(set_mark(marks, "even", later, NULL));
		assert_true(marks_find(marks, SLICE("even"), &mark, &found));
		assert_int_equal(found.requests, later);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_a_difference_is_of_counters_and_not_of_gauges),
		cmocka_unit_test(test_the_oldest_makes_room),
		cmocka_unit_test(test_a_mark_that_is_set_again),
		cmocka_unit_test(test_one_sets_at_a_time),
		cmocka_unit_test(test_half_a_mark_is_none),
		cmocka_unit_test(test_killed_writers_leave_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
