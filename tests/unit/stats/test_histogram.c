/* LINKS: proxy/stats */
/* Durations in buckets: what is seen of them, and how they add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/stats/histogram.h"

/* What the histogram gives back for a single value. */
static uint64_t seen_as(uint64_t us)
{
	struct histogram histogram = {0};
	histogram_add(&histogram, us, 1);
	assert_int_equal(histogram.count, 1);
	assert_int_equal(histogram.sum_us, us);
	return histogram_quantile(&histogram, 0.5);
}

static void assert_close(uint64_t seen, uint64_t us)
{
	double error = seen > us ? (double)(seen - us) : (double)(us - seen);
	if (error > 0.07 * (double)us)
		fail_msg("%llu is seen as %llu", (unsigned long long)us, (unsigned long long)seen);
}

/* Between two moments; a clock that went back is no time. */
static void test_times_since(void **state)
{
	struct histogram histogram = {0};

	(void)state;
	histogram_add_since(&histogram, 100, 106);
	assert_int_equal(histogram.sum_us, 6);
	histogram_add_since(&histogram, 100, 100);
	histogram_add_since(&histogram, 100, 99);
	assert_int_equal(histogram.sum_us, 6);
	assert_int_equal(histogram.count, 3);
	assert_int_equal(histogram.bucket[0], 2);
	assert_int_equal(histogram.bucket[6], 1);
}

static void test_a_value_is_seen_within_7_percent(void **state)
{
	(void)state;
	const uint64_t hour = UINT64_C(3600) * 1000000;
	for (uint64_t us = 0; us < 5000; us++)
		assert_close(seen_as(us), us);
	for (uint64_t edge = 4096; edge < 4 * hour; edge += edge / 8) {
		assert_close(seen_as(edge - 1), edge - 1);
		assert_close(seen_as(edge), edge);
		assert_close(seen_as(edge + 1), edge + 1);
	}
	for (uint64_t us = 0; us < 8; us++)
		assert_int_equal(seen_as(us), us);
}

static void test_values_beyond_the_last_bucket_are_in_it(void **state)
{
	(void)state;
	struct histogram histogram = {0};
	histogram_add(&histogram, UINT64_MAX, 1);
	histogram_add(&histogram, UINT64_C(1) << 36, 1);
	assert_int_equal(histogram.bucket[HISTOGRAM_BUCKETS - 1], 2);
	assert_close(histogram_quantile(&histogram, 1), UINT64_C(1) << 36);
}

static void test_larger_values_never_look_smaller(void **state)
{
	(void)state;
	uint64_t last = 0;
	for (uint64_t us = 0; us < UINT64_C(1) << 40; us += 1 + us / 50) {
		uint64_t seen = seen_as(us);
		assert_true(seen >= last);
		last = seen;
	}
}

/* The largest that the last bucket in use can have: the next larger one would be in the next. */
static void test_the_maximum_is_the_end_of_its_bucket(void **state)
{
	struct histogram histogram = {0};

	(void)state;
	assert_int_equal(histogram_max(&histogram), 0);
	for (uint64_t us = 0; us < UINT64_C(1) << 36; us += 1 + us / 17) {
		uint64_t most;

		histogram_add(&histogram, us, 1);
		most = histogram_max(&histogram);
		assert_true(most >= us);
		assert_int_equal(seen_as(most), seen_as(us));
		assert_true(us >= UINT64_C(1) << 35 || seen_as(most + 1) > seen_as(us));
	}
}

/* And nothing of what stands beside it. */
static void test_histograms_add_up(void **state)
{
	struct histogram from[2] = {{0}}, to[2] = {{0}}, expected[2] = {{0}};
	struct histogram *const merged[] = {&from[0], &to[0]};

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		for (uint64_t us = 1; us < UINT64_C(1) << 40; us *= 3) {
			histogram_add(merged[i], us, 2 + i);
			histogram_add(&expected[0], us, 2 + i);
		}
	histogram_add(&from[1], 5, 7);
	histogram_merge(&to[0], &from[0]);
	assert_memory_equal(to, expected, sizeof(to));
}

static void test_quantiles(void **state)
{
	(void)state;
	struct histogram histogram = {0};
	assert_int_equal(histogram_quantile(&histogram, 0.99), 0);
	for (uint64_t us = 1; us <= 10000; us++)
		histogram_add(&histogram, us, 1);
	assert_close(histogram_quantile(&histogram, 0.5), 5000);
	assert_close(histogram_quantile(&histogram, 0.9), 9000);
	assert_close(histogram_quantile(&histogram, 0.99), 9900);
	assert_close(histogram_quantile(&histogram, 0.999), 9990);
	assert_int_equal(histogram_quantile(&histogram, 0), 1);
	assert_close(histogram_quantile(&histogram, 1), 10000);
}

/* 99 of 100 are at or below 2; the hundredth is not hidden at 1, nor shown at 0.99. */
static void test_quantiles_at_the_rank(void **state)
{
	(void)state;
	struct histogram histogram = {0};
	for (unsigned i = 0; i < 99; i++)
		histogram_add(&histogram, 2, 1);
	histogram_add(&histogram, 7, 1);
	assert_int_equal(histogram_quantile(&histogram, 0.99), 2);
	assert_int_equal(histogram_quantile(&histogram, 0.995), 7);
	assert_int_equal(histogram_quantile(&histogram, 1), 7);
}

/* ->count may be ahead of the buckets when another process is between two stores. */
static void test_a_torn_histogram_is_read_safely(void **state)
{
	(void)state;
	struct histogram histogram = {.count = 5};
	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	histogram.bucket[3] = 1;
	assert_int_equal(histogram_quantile(&histogram, 1), 3);
}

/* As many as the edge divides, exactly, at each edge that reports have. */
static void test_buckets_end_at_powers_of_two(void **state)
{
	(void)state;
	struct histogram histogram = {0};
	for (uint64_t us = 1; us < UINT64_C(1) << 27; us += 1 + us / 40)
		histogram_add(&histogram, us, 1);
	for (unsigned exponent = 3; exponent < 27; exponent++) {
		uint64_t edge = UINT64_C(1) << exponent, expected = 0;

		for (uint64_t us = 1; us < UINT64_C(1) << 27; us += 1 + us / 40)
			expected += us < edge;
		assert_int_equal(histogram_below(&histogram, edge), expected);
	}
	assert_int_equal(histogram_below(&histogram, UINT64_MAX), histogram.count);
}

/* No time at all is a time, too. */
static void test_nothing_is_as_long_as_nothing(void **state)
{
	struct histogram histogram = {0};

	(void)state;
	histogram_add(&histogram, 0, 5);
	assert_int_equal(histogram_below(&histogram, 0), 0);
	assert_int_equal(histogram_below(&histogram, 1), 5);
	assert_int_equal(histogram_below(&histogram, UINT64_MAX), 5);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	histogram_add(&histogram, 3, 5);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	assert_int_equal(histogram_quantile(&histogram, 0.6), 3);
	assert_int_equal(histogram.sum_us, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times_since),
		cmocka_unit_test(test_a_value_is_seen_within_7_percent),
		cmocka_unit_test(test_values_beyond_the_last_bucket_are_in_it),
		cmocka_unit_test(test_larger_values_never_look_smaller),
		cmocka_unit_test(test_the_maximum_is_the_end_of_its_bucket),
		cmocka_unit_test(test_histograms_add_up),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_quantiles_at_the_rank),
		cmocka_unit_test(test_a_torn_histogram_is_read_safely),
		cmocka_unit_test(test_buckets_end_at_powers_of_two),
		cmocka_unit_test(test_nothing_is_as_long_as_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
