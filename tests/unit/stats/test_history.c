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
#include "proxy/stats/history_sample.h"
#include "proxy/stats/shared_row.h"

enum { START_MS = 7200 * 1000, A = 101, B = 201 };

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
	/* What was counted after it is of the next. */
	now_ms = run(history, now_ms, 1, 1);
	assert_true(history_row(history, 1, (uint64_t)now_ms / 1000, &row));
	assert_int_equal(row.column[HISTORY_fresh], 101);
}

/* The row that ended last, of a history that saw `sum` grow from nothing to what it is. */
static struct history_row row_of_all(void)
{
	struct history *history = history_map();
	struct history_row row;
	static struct stats nothing;

	history_sample(history, &nothing, START_MS);
	history_sample(history, &sum, START_MS + 1000);
	assert_true(history_row(history, 1, START_MS / 1000 + 1, &row));
	return row;
}

/* Times are of two buckets that became one, so they may be one more. */
static void test_each_column_has_its_own_number(void **state)
{
	static const uint32_t expected[HISTORY_COLUMN_COUNT] = {
		[HISTORY_fresh] = 9,      [HISTORY_shared] = 10,   [HISTORY_stale] = 11,
		[HISTORY_confirmed] = 12, [HISTORY_fetched] = 13,  [HISTORY_other] = 14,
		[HISTORY_errors] = 15,    [HISTORY_hit_p50] = 3,   [HISTORY_hit_p99] = 5,
		[HISTORY_miss_p50] = 5,   [HISTORY_miss_p99] = 7,  [HISTORY_fb_p50] = 6,
		[HISTORY_fb_p99] = 6,     [HISTORY_in_flight] = 17};
	struct histogram *const histograms[] = {&sum.hit_latency, &sum.miss_latency};
	struct history_row row;

	(void)state;
	begin();
	sum.answers.at[STATUS_204][OUTCOME_HIT] = 9;
	sum.answers.at[STATUS_204][OUTCOME_COLLAPSED] = 10;
	sum.answers.at[STATUS_204][OUTCOME_STALE] = 11;
	sum.answers.at[STATUS_204][OUTCOME_VALIDATED] = 12;
	sum.answers.at[STATUS_204][OUTCOME_MISS] = 13;
	sum.answers.at[STATUS_404][OUTCOME_MISS] = 14;
	sum.failure[FAILURE_ORIGIN_REFUSED] = 15;
	sum.exchanges = 17;
	for (unsigned i = 0; i < 2; i++) {
		histogram_add(histograms[i], 2 + 2 * i, 50);
		histogram_add(histograms[i], 4 + 2 * i, 49);
	}
	histogram_add(&sum.origin_first_byte, 6, 1);
	row = row_of_all();
	for (unsigned i = 0; i < HISTORY_COLUMN_COUNT; i++)
		assert_int_equal(row.column[i], expected[i]);
}

/* The largest number is kept for what is not known. */
static void test_columns_end_below_what_is_unknown(void **state)
{
	(void)state;
	begin();
	sum.answers.at[STATUS_204][OUTCOME_HIT] = HISTORY_UNKNOWN - UINT64_C(1);
	assert_true(row_of_all().column[HISTORY_fresh] == HISTORY_UNKNOWN - 1);
	sum.answers.at[STATUS_204][OUTCOME_HIT]++;
	assert_true(row_of_all().column[HISTORY_fresh] == HISTORY_UNKNOWN - 1);
	sum.exchanges = 1;
	assert_int_equal(row_of_all().column[HISTORY_in_flight], 1);
	sum.exchanges = -1;
	assert_int_equal(row_of_all().column[HISTORY_in_flight], 0);
}

/* A sample that stands for a sum: half as many buckets, whose difference goes to both. */
static void test_a_sample_is_as_good_as_the_sum(void **state)
{
	static uint64_t first[STATS_NUMBERS], second[STATS_NUMBERS];
	static struct stats then, now, expected;
	struct history_sample sample, again;

	(void)state;
	for (size_t i = 0; i < STATS_NUMBERS; i++) {
		first[i] = UINT64_C(0xfffffff0) * (i % 3) + i;
		second[i] = first[i] + 3 + i % 1000;
	}
	stats_set_numbers(&then, first);
	stats_set_numbers(&now, second);
	memset(&sample, 0x55, sizeof(sample));
	history_sample_take(&sample, &then, 77);
	assert_int_equal(sample.at_ms, 77);
	/* Whatever was in its memory. */
	memset(&again, 0xaa, sizeof(again));
	history_sample_take(&again, &then, 77);
	assert_memory_equal(&again, &sample, sizeof(sample));
	history_sample_difference(&now, &sample, &between);
	stats_difference(&now, &then, &expected);
	for (struct histogram *h = &expected.hit_latency; h <= &expected.origin_first_byte; h++)
		for (size_t i = 0; i < HISTOGRAM_BUCKETS; i += 2) {
			uint64_t both = h->bucket[i] + h->bucket[i + 1];

			h->bucket[i] = both - both / 2;
			h->bucket[i + 1] = both / 2;
		}
	assert_memory_equal(&between, &expected, sizeof(between));
}

/* So many hits in a second as its number says, beginning with one. */
static int64_t run_counting(struct history *history, unsigned seconds)
{
	int64_t now_ms = START_MS;

	for (unsigned i = 1; i <= seconds; i++)
		now_ms = run(history, now_ms, 1, i);
	return now_ms;
}

static void test_rows_of_ten_seconds(void **state)
{
	struct history *history = history_map();
	struct history_row row;

	(void)state;
	begin();
	run_counting(history, 4 * HISTORY_TENS * 10 / 3);
	/* The first two sampled fives are those of 7205 s (the first sample is of 7201 s) and 7210 s. */
	assert_false(history_row(history, 10, 721, &row));
	assert_false(history_row(history, 10, 840, &row)); /* too old now */
	for (uint64_t ten = 841; ten <= 1200; ten++) {
		uint64_t last = ten * 10 - START_MS / 1000; /* of ten numbers one after the other */

		assert_true(history_row(history, 10, ten, &row));
		assert_int_equal(row.column[HISTORY_fresh], 10 * last - 45);
	}
	assert_false(history_row(history, 10, 1201, &row));
	assert_false(history_row(history, 1, 11700, &row));
	assert_true(history_row(history, 1, 11701, &row));
	assert_int_equal(row.column[HISTORY_fresh], 11701 - START_MS / 1000);
	assert_true(history_row(history, 1, 12000, &row));
	assert_int_equal(row.column[HISTORY_fresh], 12000 - START_MS / 1000);
}

/* From the boot of the machine on: there is no time before. */
static void test_the_first_seconds_of_a_machine(void **state)
{
	struct history *history = history_map();
	struct history_row row;

	(void)state;
	begin();
	run(history, 0, 30, 2);
	assert_false(history_row(history, 1, 0, &row));
	assert_false(history_row(history, 1, 1, &row)); /* the first sample */
	assert_true(history_row(history, 1, 2, &row));
	assert_false(history_row(history, 10, 0, &row));
	assert_false(history_row(history, 10, 1, &row)); /* the first five was not sampled */
	assert_true(history_row(history, 10, 2, &row));
	assert_int_equal(row.column[HISTORY_fresh], 20);
	assert_true(history_row(history, 10, 3, &row));
}

/* Which sample is the nearest to the time asked for, of both rings, and of those before a gap. */
static void test_windows_begin_at_the_nearest_sample(void **state)
{
	static const struct {
		unsigned from_start_s, window_s;
		int64_t length_ms;
	} cases[] = {
		{600, 60, 60000},      {602, 60, 62000},      {603, 60, 58000},
		{604, 60, 59000},      {605, 60, 60000},      {606, 60, 61000},
		{659, 600, 658000},    {661, 600, 541000},    {720, 600, 600000},
		{7200, 3600, 3600000}, {7259, 3600, 3659000}, {7261, 3600, 3541000},
		{7320, 3600, 3600000}, {7380, 3600, 3660000}, {7439, 3600, 3599000},
	};
	struct history *history = history_map();
	int64_t now_ms = START_MS;

	(void)state;
	begin();
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		now_ms = run(history, now_ms,
			     cases[i].from_start_s - (unsigned)(now_ms - START_MS) / 1000, 2);
		assert_int_equal(window(history, now_ms, cases[i].window_s), cases[i].length_ms);
		assert_int_equal(between.requests, 2 * cases[i].length_ms / 1000);
	}
}

/* Whichever row of a ring has the sample: each of them in turn. */
static void test_windows_begin_in_any_row(void **state)
{
	struct history *history = history_map();
	int64_t now_ms;

	(void)state;
	begin();
	now_ms = run(history, START_MS, 7200, 1);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(window(history, now_ms, 3600), 3600000);
		now_ms = run(history, now_ms, 120, 1);
	}
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(window(history, now_ms, 60), 60000);
		now_ms = run(history, now_ms, 5, 1);
	}
}

/* Samples that are not whole, as of a sampler that was killed: the next one is taken. */
static void test_windows_begin_at_whole_samples(void **state)
{
	enum { WORDS = SHARED_ROW_WORDS(sizeof(struct history_sample)), FIVES = 13 };
	struct history *history = history_map();
	uint64_t *five = (uint64_t *)history + 2 + WORDS; /* behind lease, second and the last */
	int64_t now_ms;

	(void)state;
	begin();
	now_ms = run(history, START_MS, 60, 1);
	assert_int_equal(window(history, now_ms, 30), 30000);
	for (unsigned i = 0; i < FIVES; i++)
		five[i * WORDS + 1] ^= 1;
	assert_int_equal(window(history, now_ms, 30), 59000); /* of the first two minutes' sample */
}

/* Whose it is until when, and when to look again. */
static void test_the_lease_ends_in_time(void **state)
{
	struct history *history = history_map();
	bool sample;

	(void)state;
	begin();
	assert_int_equal(history_due(history, A, START_MS + 250, &sample), 750);
	assert_true(sample);
	history_sample(history, &sum, START_MS + 250);
	assert_int_equal(history_due(history, B, START_MS + 400, &sample), 620);
	assert_int_equal(history_due(history, B, START_MS + 1020, &sample), 1000);
	assert_false(sample);
	assert_int_equal(history_due(history, B, START_MS + 250 + HISTORY_LEASE_MS - 1, &sample),
			 271);
	assert_false(sample);
	assert_int_equal(history_due(history, B, START_MS + 250 + HISTORY_LEASE_MS, &sample), 250);
	assert_true(sample);
	assert_int_equal(
		history_due(history, A, START_MS + 250 + 2 * HISTORY_LEASE_MS - 1, &sample), 771);
	assert_false(sample);
	history_leave(history, B);
	history_leave(history, B);
	assert_int_equal(
		history_due(history, A, START_MS + 250 + 2 * HISTORY_LEASE_MS - 1, &sample), 751);
	assert_true(sample);
	/* to the millisecond, whether that is even or odd */
	history_due(history, B, START_MS + 250 + 3 * HISTORY_LEASE_MS - 2, &sample);
	assert_false(sample);
	history_due(history, B, START_MS + 250 + 3 * HISTORY_LEASE_MS - 1, &sample);
	assert_true(sample);
}

static void test_which_row_is_the_newest(void **state)
{
	struct history *history = history_map();

	(void)state;
	begin();
	history_sample(history, &sum, 7205000);
	assert_int_equal(history_newest(history, 1, 7205999), 7205);
	assert_int_equal(history_newest(history, 1, 7206999), 7205); /* its own may come */
	assert_int_equal(history_newest(history, 1, 7207000), 7206); /* that did not */
	assert_int_equal(history_newest(history, 10, 7209999), 720);
	assert_int_equal(history_newest(history, 10, 7210999), 720);
	assert_int_equal(history_newest(history, 10, 7211000), 721);
}

/* A sampler that was late skips what is over, also where a five or a two begins. */
static void test_a_late_sample_begins_what_it_has_passed(void **state)
{
	struct history *history = history_map();
	int64_t now_ms;

	(void)state;
	begin();
	now_ms = run(history, START_MS, 4, 1);      /* 7204 s */
	now_ms = run(history, now_ms + 2000, 1, 1); /* 7207 s: the first of its five */
	now_ms = run(history, now_ms, 60, 1);
	assert_int_equal(window(history, now_ms, 60), 60000);
	assert_int_equal(between.requests, 60);
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
		cmocka_unit_test(test_each_column_has_its_own_number),
		cmocka_unit_test(test_columns_end_below_what_is_unknown),
		cmocka_unit_test(test_a_sample_is_as_good_as_the_sum),
		cmocka_unit_test(test_rows_of_ten_seconds),
		cmocka_unit_test(test_the_first_seconds_of_a_machine),
		cmocka_unit_test(test_windows_begin_at_the_nearest_sample),
		cmocka_unit_test(test_windows_begin_in_any_row),
		cmocka_unit_test(test_windows_begin_at_whole_samples),
		cmocka_unit_test(test_the_lease_ends_in_time),
		cmocka_unit_test(test_which_row_is_the_newest),
		cmocka_unit_test(test_a_late_sample_begins_what_it_has_passed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
