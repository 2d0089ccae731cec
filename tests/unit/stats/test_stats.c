/* LINKS: proxy/stats */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/stats/stats.h"

/* A name of a table's row, fit for a log, a JSON key and a label. */
static void assert_name(const char *name)
{
	assert_non_null(name);
	assert_true(islower((unsigned char)name[0]));
	for (; *name; name++)
		assert_true(islower((unsigned char)*name) || isdigit((unsigned char)*name) ||
			    *name == '_' || *name == '-');
}

static void test_failures_are_whole(void **state)
{
	(void)state;
	assert_string_equal(failure_name(FAILURE_NONE), "none");
	assert_int_equal(failure_status(FAILURE_NONE), 0);
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
		unsigned status = failure_status(f);
		assert_name(failure_name(f));
		assert_true(status == 0 || (status >= 400 && status < 600));
		assert_non_null(failure_token(f));
		assert_true(strlen(failure_sentence(f)) > 0);
		for (enum failure other = FAILURE_NONE; other < f; other++)
			assert_string_not_equal(failure_name(f), failure_name(other));
	}
}

static void test_failure_rows(void **state)
{
	(void)state;
	assert_string_equal(failure_name(FAILURE_DNS_TIMEOUT), "dns_timeout");
	assert_int_equal(failure_status(FAILURE_DNS_TIMEOUT), 504);
	assert_string_equal(failure_token(FAILURE_LOOP), "proxy_loop_detected");
	assert_string_equal(failure_sentence(FAILURE_BAD_BODY), "The request body is malformed.");
	assert_int_equal(failure_status(FAILURE_RESPONSE_CUT), 0);
}

static void test_outcomes_and_reasons_are_whole(void **state)
{
	(void)state;
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++) {
		assert_name(outcome_name(o));
		for (enum outcome other = 0; other < o; other++)
			assert_string_not_equal(outcome_name(o), outcome_name(other));
	}
	for (enum reason r = 0; r < REASON_COUNT; r++) {
		assert_name(reason_token(r));
		for (enum reason other = 0; other < r; other++)
			assert_string_not_equal(reason_token(r), reason_token(other));
	}
}

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

static void fill(struct stats *block, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
#define COUNTER(name, help) block->name += 1;
#define GAUGE(name, help) block->name -= 1;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
		for (unsigned n = 0; n < OUTCOME_COUNT; n++)
			block->outcome[n] += n;
		for (unsigned n = 0; n < FAILURE_COUNT; n++)
			block->failure[n] += n;
		for (unsigned n = 0; n < REASON_COUNT; n++) {
			block->not_stored[n] += n;
			block->not_reused[n] += 2 * n;
		}
		histogram_add(&block->hit_latency, 3, 1);
		histogram_add(&block->miss_latency, 3000, 1);
	}
}

static void test_the_sum_has_every_number(void **state)
{
	(void)state;
	struct stats *blocks = stats_map(3), sum;
	assert_non_null(blocks);
	assert_int_equal((uintptr_t)blocks % 64, 0);
	fill(&blocks[0], 1);
	fill(&blocks[2], 4);
	memset(&sum, 0xff, sizeof(sum));
	stats_sum(blocks, 3, &sum);

	struct stats expected = {0};
	fill(&expected, 5);
	assert_memory_equal(&sum, &expected, sizeof(sum));
	assert_int_equal(sum.clients, -5);
	stats_sum(blocks, 0, &sum);
	assert_int_equal(sum.requests, 0);
	munmap(blocks, 3 * sizeof(*blocks));
}

static void test_a_process_counts_in_its_own_block(void **state)
{
	(void)state;
	struct stats *own = stats, *blocks = stats_map(2), sum;
	assert_non_null(own);
	STATS_ADD(requests, 1);
	stats_attach(&blocks[0]);
	STATS_ADD(requests, 10);

	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		stats_attach(&blocks[1]);
		STATS_ADD(requests, 200);
		STATS_ADD(clients, -1);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	stats_sum(blocks, 2, &sum);
	assert_int_equal(sum.requests, 210);
	assert_int_equal(sum.clients, -1);
	assert_int_equal(own->requests, 1);
	stats_attach(own);
	munmap(blocks, 2 * sizeof(*blocks));
}

static void test_no_blocks(void **state)
{
	(void)state;
	errno = 0;
	assert_null(stats_map(0));
	assert_int_equal(errno, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures_are_whole),
		cmocka_unit_test(test_failure_rows),
		cmocka_unit_test(test_outcomes_and_reasons_are_whole),
		cmocka_unit_test(test_a_value_is_seen_within_7_percent),
		cmocka_unit_test(test_values_beyond_the_last_bucket_are_in_it),
		cmocka_unit_test(test_larger_values_never_look_smaller),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_quantiles_at_the_rank),
		cmocka_unit_test(test_a_torn_histogram_is_read_safely),
		cmocka_unit_test(test_the_sum_has_every_number),
		cmocka_unit_test(test_a_process_counts_in_its_own_block),
		cmocka_unit_test(test_no_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
