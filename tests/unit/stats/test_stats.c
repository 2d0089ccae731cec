/* LINKS: proxy/stats */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
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

static void fill(struct stats *block, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
#define COUNTER(name, metric, help) block->name += 1;
#define GAUGE(name, metric, help) block->name -= 1;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
		for (unsigned row = 0; row < STATUS_ROWS; row++)
			for (unsigned n = 0; n < OUTCOME_COUNT; n++)
				block->answers.at[row][n] += row * OUTCOME_COUNT + n;
		for (unsigned n = 0; n < FAILURE_COUNT; n++)
			block->failure[n] += n;
		for (unsigned n = 0; n < REASON_COUNT; n++)
			block->reason[n] += n;
		for (unsigned n = 0; n < LISTENER_ROWS; n++) {
			struct listener_counts *listener = &block->listeners[n];

			listener->connections += n;
			listener->bytes_in += 2 * n;
			listener->bytes_out += 3 * n;
			listener->handshakes += 4 * n;
			listener->resumed += 5 * n;
			listener->handshakes_failed += 6 * n;
			for (unsigned kind = 0; kind < ANSWER_COUNT; kind++)
				listener->answer[kind] += n * kind;
		}
#define HISTOGRAM(member, metric, labels, group, name, help) \
	histogram_add(&block->member, offsetof(struct stats, member), 1);
#include "proxy/stats/histograms.def"
#undef HISTOGRAM
		block->process.cpu_us += 7;
		block->process.rss += 8;
		block->process.fds += 9;
		block->process.fds_max += 10;
		block->process.virtual += 11;
	}
}

static void test_the_sum_has_every_number(void **state)
{
	(void)state;
	struct stats *blocks = stats_map(3);
	static struct stats sum, expected;
	assert_non_null(blocks);
	assert_int_equal((uintptr_t)blocks % 64, 0);
	fill(&blocks[0], 1);
	fill(&blocks[2], 4);
	blocks[2].process.pid = 7;
	blocks[2].process.started_ms = 8;
	memset(&sum, 0xff, sizeof(sum));
	stats_sum(blocks, 3, &sum);

	fill(&expected, 5);
	assert_memory_equal(&sum, &expected, sizeof(sum));
	assert_int_equal(sum.clients, -5);
	stats_sum(blocks, 0, &sum);
	assert_int_equal(sum.requests, 0);
	munmap(blocks, 3 * sizeof(*blocks));
}

/* The numbers of a sum, each, and none of what stands behind them. */
static void test_numbers_are_kept(void **state)
{
	static uint64_t numbers[STATS_NUMBERS + 1], kept[STATS_NUMBERS + 1];
	static struct stats sum, nothing;

	(void)state;
	for (size_t i = 0; i <= STATS_NUMBERS; i++)
		numbers[i] = i + 1;
	memset(&sum, 0xff, sizeof(sum));
	stats_set_numbers(&sum, numbers);
	assert_memory_equal(&sum, numbers, STATS_NUMBERS * sizeof(numbers[0]));
	assert_memory_equal(&sum.repaired, &nothing.repaired,
			    sizeof(sum) - offsetof(struct stats, repaired));
	memset(&sum.repaired, 0xff, sizeof(sum.repaired));
	kept[STATS_NUMBERS] = 77;
	stats_get_numbers(&sum, kept);
	numbers[STATS_NUMBERS] = 77;
	assert_memory_equal(kept, numbers, sizeof(kept));
}

/* Gauges, and what a process has now, are those of the later moment. */
static void test_the_difference_has_every_number(void **state)
{
	static struct stats then, now, between, expected;

	(void)state;
	fill(&then, 3);
	fill(&now, 10);
	then.process.started_ms = 5;
	now.process.started_ms = 9;
	now.process.pid = 11;
	memset(&now.repaired, 0x55, sizeof(now.repaired));
	memset(&between, 0xff, sizeof(between));
	stats_difference(&now, &then, &between);
	fill(&expected, 7);
	memset(expected.listeners, 0, sizeof(expected.listeners));
#define COUNTER(name, metric, help)
#define GAUGE(name, metric, help) expected.name = now.name;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	expected.process = now.process;
	expected.process.cpu_us = 7 * 7;
	assert_memory_equal(&between, &expected, sizeof(between));
}

/* Each of its counters, in a block and added up. */
static void test_the_counters_of_the_store(void **state)
{
	uint64_t first[STATS_STORE_WORDS], second[STATS_STORE_WORDS], both[STATS_STORE_WORDS];
	struct stats_store one, other, read;
	static struct stats block, untouched;

	(void)state;
	for (unsigned i = 0; i < STATS_STORE_WORDS; i++) {
		first[i] = i + 1;
		second[i] = 1000 * i;
		both[i] = first[i] + second[i];
	}
	memcpy(&one, first, sizeof(one));
	memcpy(&other, second, sizeof(other));
	stats_store_add(&one, &other);
	assert_memory_equal(&one, both, sizeof(one));
	stats_store_set(&block, &one);
	assert_memory_equal(block.store, both, sizeof(both));
	memset(block.store, 0, sizeof(block.store));
	assert_memory_equal(&block, &untouched, sizeof(block)); /* nothing beside them */
	stats_store_set(&block, &one);
	memset(&read, 0xff, sizeof(read));
	stats_store_get(&block, &read);
	assert_memory_equal(&read, both, sizeof(read));
}

static void test_the_counts_of_copies(void **state)
{
	struct stats_copies copies = {.made = 3, .failed = 4, .last_s = -5}, read;

	(void)state;
	stats_copies_read(&copies, &read);
	assert_int_equal(read.made, 3);
	assert_int_equal(read.failed, 4);
	assert_int_equal(read.last_s, -5);
}

/* Those of all blocks in the sum; none in the sum of numbers alone. */
static void test_the_sum_has_every_name(void **state)
{
	static struct stats blocks[2], sum, nothing;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		offenders_add(&blocks[i].repaired, SLICE("a"), 1 + i);
		offenders_add(&blocks[i].mended, SLICE("b"), 10 + i);
		offenders_add(&blocks[i].tunnelled, SLICE("c"), 100 + i);
	}
	stats_sum(blocks, 2, &sum);
	assert_int_equal(sum.repaired.at[0].count, 3);
	assert_int_equal(sum.mended.at[0].count, 21);
	assert_int_equal(sum.tunnelled.at[0].count, 201);
	stats_sum_numbers(blocks, 2, &sum);
	assert_memory_equal(&sum, &nothing, sizeof(sum));
}

/* The owner has died: what it had open is closed, what it counted stays. */
static void test_gauges_end_with_their_process(void **state)
{
	(void)state;
	static struct stats block, other;
	fill(&block, 1);
	fill(&other, 1);
	block.process.pid = 1;
	stats_reset_gauges(&block);
#define COUNTER(name, metric, help) assert_int_equal(block.name, other.name);
#define GAUGE(name, metric, help) assert_int_equal(block.name, 0);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	assert_int_equal(block.process.cpu_us, other.process.cpu_us);
	assert_int_equal(block.process.rss + block.process.fds + block.process.fds_max +
				 block.process.virtual + block.process.pid,
			 0);
	assert_memory_equal(&block.answers, &other.answers, sizeof(other.answers));
	assert_memory_equal(block.reason, other.reason, sizeof(other.reason));
	assert_memory_equal(block.listeners, other.listeners, sizeof(other.listeners));
}

static void test_answers_are_of_one_kind(void **state)
{
	(void)state;
	static const struct {
		enum outcome outcome;
		unsigned status;
		enum answer_kind answer;
	} cases[] = {
		{OUTCOME_HIT, 204, ANSWER_FRESH},
		{OUTCOME_HIT_304, 304, ANSWER_FRESH},
		{OUTCOME_COLLAPSED, 204, ANSWER_SHARED},
		{OUTCOME_COLLAPSED, 304, ANSWER_SHARED},
		{OUTCOME_STALE, 204, ANSWER_STALE},
		{OUTCOME_STALE, 304, ANSWER_STALE},
		{OUTCOME_VALIDATED, 204, ANSWER_CONFIRMED},
		{OUTCOME_VALIDATED, 304, ANSWER_CONFIRMED},
		{OUTCOME_MISS, 204, ANSWER_FETCHED},
		{OUTCOME_MISS, 304, ANSWER_OTHER},
		{OUTCOME_MISS, 200, ANSWER_OTHER},
		{OUTCOME_MISS, 404, ANSWER_OTHER},
		{OUTCOME_BYPASS, 204, ANSWER_FETCHED},
		{OUTCOME_BYPASS, 304, ANSWER_OTHER},
		{OUTCOME_BYPASS, 100, ANSWER_OTHER},
		{OUTCOME_BYPASS, 999, ANSWER_OTHER},
		{OUTCOME_TUNNEL, 200, ANSWER_OTHER},
		{OUTCOME_LOCAL, 204, ANSWER_OTHER},
		{OUTCOME_FAILED, 0, ANSWER_FAILED},
		{OUTCOME_FAILED, 204, ANSWER_FAILED},
		{OUTCOME_FAILED, 502, ANSWER_FAILED},
	};
	struct answer_counts counts = {0};
	uint64_t kinds[ANSWER_COUNT], expected[ANSWER_COUNT] = {0};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum status_row row = status_row_of(cases[i].status);

		assert_int_equal(answer_of(cases[i].outcome, row), cases[i].answer);
		counts.at[row][cases[i].outcome]++;
		expected[cases[i].answer]++;
	}
	/* What is for no client is no answer. */
	counts.at[STATUS_204][OUTCOME_BACKGROUND] = 100;
	answer_counts_kinds(&counts, kinds);
	assert_memory_equal(kinds, expected, sizeof(kinds));
	assert_int_equal(answers_here(kinds), 6);
	assert_int_equal(answers_204(kinds), 10);
}

static void test_statuses_have_rows(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *name;
	} cases[] = {
		{0, "none"},  {99, "none"}, {100, "1xx"},  {101, "101"},
		{200, "200"}, {203, "2xx"}, {204, "204"},  {299, "2xx"},
		{304, "304"}, {305, "3xx"}, {404, "404"},  {418, "4xx"},
		{500, "500"}, {599, "5xx"}, {600, "more"}, {999, "more"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(status_row_name(status_row_of(cases[i].status)), cases[i].name);
	for (enum status_row row = 0; row < STATUS_ROWS; row++)
		for (enum status_row other = 0; other < row; other++)
			assert_string_not_equal(status_row_name(row), status_row_name(other));
}

static void test_addresses_keep_their_rows(void **state)
{
	(void)state;
	static struct listener_names names;
	char address[32];

	assert_int_equal(listener_names_row(&names, "127.0.0.1:1", ""), 1);
	assert_int_equal(listener_names_row(&names, "127.0.0.1:2", "http://a.test"), 2);
	assert_int_equal(listener_names_row(&names, "127.0.0.1:2", "http://b.test"), 3);
	assert_int_equal(listener_names_row(&names, "127.0.0.1:1", ""), 1);
	assert_int_equal(listener_names_count(&names), 4);
	for (unsigned port = 4; port < LISTENER_ROWS; port++) {
		snprintf(address, sizeof(address), "127.0.0.1:%u", port);
		assert_int_equal(listener_names_row(&names, address, ""), port);
	}
	assert_int_equal(listener_names_row(&names, "127.0.0.1:9999", ""), 0);
	assert_int_equal(listener_names_row(&names, "127.0.0.1:2", "http://b.test"), 3);
	assert_int_equal(listener_names_count(&names), LISTENER_ROWS);
}

static void test_a_process_sees_what_it_takes(void **state)
{
	(void)state;
	static struct process_stats process;
	struct process_watch watch;
	int64_t before;
	int more;

	process.cpu_us = 5000000;
	process_watch_begin(&watch, &process);
	assert_true(process.cpu_us >= 5000000 && process.cpu_us < 5000000 + 60000000);
	assert_int_equal(process.pid, getpid());
	assert_true(process.rss > 100000 && process.virtual > process.rss);
	assert_true(process.fds >= 5 && process.fds_max > process.fds);
	before = process.fds;
	more = dup(0);
	process_watch_look(&watch, 10);
	assert_int_equal(process.fds, before); /* not counted so often */
	process_watch_look(&watch, 5000);
	assert_int_equal(process.fds, before + 1);
	close(more);
	process_watch_end(&watch);
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
		cmocka_unit_test(test_the_sum_has_every_number),
		cmocka_unit_test(test_a_process_counts_in_its_own_block),
		cmocka_unit_test(test_the_sum_has_every_name),
		cmocka_unit_test(test_numbers_are_kept),
		cmocka_unit_test(test_the_difference_has_every_number),
		cmocka_unit_test(test_the_counters_of_the_store),
		cmocka_unit_test(test_the_counts_of_copies),
		cmocka_unit_test(test_no_blocks),
		cmocka_unit_test(test_gauges_end_with_their_process),
		cmocka_unit_test(test_answers_are_of_one_kind),
		cmocka_unit_test(test_statuses_have_rows),
		cmocka_unit_test(test_addresses_keep_their_rows),
		cmocka_unit_test(test_a_process_sees_what_it_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
