/* LINKS: proxy/stats */
/* The last hour: one sampler at a time, rows, gaps, windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/stats/history.h"

enum { START_MS = 7200 * 1000, A = 100, B = 200 };

static struct stats sum, between;

static void begin(void)
{
	memset(&sum, 0, sizeof(sum));
}

/* So many hits of so many microseconds. */
static void hit(uint64_t count, uint64_t us)
{
	STATS_BUMP(sum.requests, count);
	STATS_BUMP(sum.answers.at[STATUS_204][OUTCOME_HIT], count);
	histogram_add(&sum.hit_latency, us, count);
}

/* Seconds pass, with some hits in each. */
static int64_t run(struct history *history, int64_t from_ms, unsigned seconds, uint64_t hits)
{
	int64_t now_ms = from_ms;

	for (unsigned i = 0; i < seconds; i++) {
		hit(hits, 50);
		now_ms += 1000;
		history_sample(history, &sum, now_ms);
	}
	return now_ms;
}

/* What was counted in it is in `between`; how long it is. */
static int64_t window(const struct history *history, int64_t now_ms, unsigned window_s)
{
	struct history_span span = {.window_s = window_s, .now_ms = now_ms, .started_ms = START_MS};

	history_window(history, &sum, &span, &between);
	return span.length_ms;
}

static void test_one_samples_at_a_time(void **state)
{
	struct history *history = history_map();
	int64_t now_ms = START_MS;
	bool sample;

	(void)state;
	begin();
	assert_int_equal(history_due(history, A, now_ms, &sample), 1000);
	assert_true(sample);
	history_sample(history, &sum, now_ms);
	assert_true(history_due(history, A, now_ms + 300, &sample) == 700);
	assert_false(sample); /* this second was sampled */
	assert_true(history_due(history, B, now_ms + 500, &sample) > 500);
	assert_false(sample);
	/* A is killed or stopped: B waits until its lease has lapsed. */
	history_due(history, B, now_ms + 1100, &sample);
	assert_false(sample);
	history_due(history, B, now_ms + 300 + HISTORY_LEASE_MS, &sample);
	assert_true(sample);
	/* A goes on, and is not wanted any more. */
	history_due(history, A, now_ms + 300 + HISTORY_LEASE_MS + 10, &sample);
	assert_false(sample);
	/* B leaves: A takes over at once. */
	history_leave(history, A); /* not its lease */
	history_due(history, A, now_ms + 2900, &sample);
	assert_false(sample);
	history_leave(history, B);
	history_due(history, A, now_ms + 2900, &sample);
	assert_true(sample);
}

static void test_a_row_has_what_its_second_had(void **state)
{
	struct history *history = history_map();
	struct history_row row;
	int64_t now_ms = run(history, START_MS, 3, 7);
	uint64_t newest;

	(void)state;
	STATS_BUMP(sum.failure[FAILURE_ORIGIN_REFUSED], 2);
	STATS_BUMP(sum.failure[FAILURE_DENIED_PORT], 5); /* the client's own doing */
	STATS_BUMP(sum.answers.at[STATUS_204][OUTCOME_STALE], 3);
	STATS_BUMP(sum.exchanges, 4);
	run(history, now_ms, 1, 9);
	newest = history_newest(history, 1, now_ms + 1000);
	assert_int_equal(newest, (now_ms + 1000) / 1000);
	assert_true(history_row(history, 1, newest, &row));
	assert_int_equal(row.column[HISTORY_fresh], 9);
	assert_int_equal(row.column[HISTORY_stale], 3);
	assert_int_equal(row.column[HISTORY_errors], 2);
	assert_int_equal(row.column[HISTORY_in_flight], 4);
	assert_in_range(row.column[HISTORY_hit_p99], 43, 57);
	assert_int_equal(row.column[HISTORY_miss_p50], HISTORY_UNKNOWN);
	assert_true(history_row(history, 1, newest - 1, &row));
	assert_int_equal(row.column[HISTORY_fresh], 7);
	/* Before the first there was nothing to compare with. */
	assert_false(history_row(history, 1, newest - 3, &row));
	assert_false(history_row(history, 1, newest + 1, &row));
}

static void test_what_was_not_sampled_is_a_gap(void **state)
{
	struct history *history = history_map();
	struct history_row row;
	int64_t now_ms, gap_ms;
	unsigned rows = 0;

	(void)state;
	begin();
	gap_ms = run(history, START_MS, 25, 1);
	hit(1000, 50); /* while no worker sampled */
	now_ms = run(history, gap_ms + 4000, 25, 1);
	for (int64_t at_ms = gap_ms - 5000; at_ms <= now_ms; at_ms += 1000) {
		bool is_gap = at_ms > gap_ms && at_ms <= gap_ms + 5000;

		assert_int_equal(history_row(history, 1, (uint64_t)at_ms / 1000, &row), !is_gap);
		if (!is_gap)
			assert_int_equal(row.column[HISTORY_fresh], 1);
	}
	/* In ten seconds it is not lost. */
	for (uint64_t ten = (uint64_t)gap_ms / 10000; ten <= (uint64_t)now_ms / 10000; ten++)
		if (history_row(history, 10, ten, &row))
			rows += row.column[HISTORY_fresh] >= 1000;
	assert_int_equal(rows, 1);
	/* A sampler that stands still is not waited for. */
	assert_int_equal(history_newest(history, 1, now_ms + 60000), now_ms / 1000 + 59);
	assert_false(history_row(history, 1, (uint64_t)now_ms / 1000 + 59, &row));
}

static void test_windows_roll(void **state)
{
	struct history *history = history_map();
	int64_t now_ms, length_ms;

	(void)state;
	begin();
	now_ms = run(history, START_MS, 30, 2);
	length_ms = window(history, now_ms, 60);
	assert_int_equal(between.requests, 60); /* not older than the start */
	assert_int_equal(length_ms, 30000);
	now_ms = run(history, now_ms, 600, 5);
	length_ms = window(history, now_ms, 60);
	assert_in_range(length_ms, 57000, 63000);
	assert_int_equal(between.requests, 5 * length_ms / 1000);
	assert_int_equal(between.hit_latency.count, between.requests);
	assert_in_range(histogram_quantile(&between.hit_latency, 0.5), 43, 57);
	length_ms = window(history, now_ms, 3600);
	assert_int_equal(between.requests, 60 + 3000);
	assert_int_equal(length_ms, 630000);
	now_ms = run(history, now_ms, 7200, 1);
	length_ms = window(history, now_ms, 3600);
	assert_in_range(length_ms, 3540000, 3660000);
	assert_int_equal(between.requests, length_ms / 1000);
	length_ms = window(history, now_ms, 600);
	assert_in_range(length_ms, 540000, 660000);
}

/* Bursts of slow hits are seen in their window and not in the one after. */
static void test_latencies_are_of_the_window(void **state)
{
	struct history *history = history_map();
	int64_t now_ms;

	(void)state;
	begin();
	now_ms = run(history, START_MS, 100, 10);
	hit(1000, 20000);
	now_ms = run(history, now_ms, 10, 10);
	window(history, now_ms, 60);
	assert_in_range(histogram_quantile(&between.hit_latency, 0.5), 16800, 23200);
	now_ms = run(history, now_ms, 100, 10);
	window(history, now_ms, 60);
	assert_in_range(histogram_quantile(&between.hit_latency, 0.999), 43, 57);
}

/* Who was stopped in the middle of a sample and goes on does no harm, and neither does a death. */
static void test_killed_samplers_leave_no_harm(void **state)
{
	struct history *history = history_map();
	struct history_row row;
	int64_t now_ms = START_MS, length_ms;

	(void)state;
	begin();
	for (unsigned round = 0; round < 20; round++) {
		pid_t sampler = fork();

		if (sampler == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				now_ms = run(history, now_ms, 1, 3);
		}
		for (unsigned i = 0; i < 2000; i++) {
			uint64_t newest = history_newest(history, 1, now_ms);

			/* Of this writer or of the one before, and never of both. */
			if (history_row(history, 1, newest, &row))
				assert_true(row.column[HISTORY_fresh] == 3 ||
					    row.column[HISTORY_fresh] == 1);
		}
		kill(sampler, SIGKILL);
		waitpid(sampler, NULL, 0);
		now_ms = (int64_t)(history_newest(history, 1, 0) + 10000) * 1000;
		now_ms = run(history, now_ms, 70, 1);
		assert_true(history_row(history, 1, (uint64_t)now_ms / 1000, &row));
		assert_int_equal(row.column[HISTORY_fresh], 1);
		length_ms = window(history, now_ms, 60);
		assert_int_equal(between.requests, length_ms / 1000);
	}
}

static void test_a_sample_is_not_taken_twice(void **state)
{
	struct history *history = history_map();
	struct history_row row;
	int64_t now_ms;

	(void)state;
	begin();
	now_ms = run(history, START_MS, 5, 1);
	hit(100, 50);
	history_sample(history, &sum, now_ms);        /* the same second */
	history_sample(history, &sum, now_ms - 3000); /* one long over */
	assert_true(history_row(history, 1, (uint64_t)now_ms / 1000, &row));
	assert_int_equal(row.column[HISTORY_fresh], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_samples_at_a_time),
		cmocka_unit_test(test_a_row_has_what_its_second_had),
		cmocka_unit_test(test_what_was_not_sampled_is_a_gap),
		cmocka_unit_test(test_windows_roll),
		cmocka_unit_test(test_latencies_are_of_the_window),
		cmocka_unit_test(test_killed_samplers_leave_no_harm),
		cmocka_unit_test(test_a_sample_is_not_taken_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
