/* LINKS: proxy/stats */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/stats/report.h"

static struct stats numbers;
static struct stats blocks[3];
static struct listener_names addresses;

static struct report_input sample(void)
{
	memset(&numbers, 0, sizeof(numbers));
	uint64_t next = 1000;
#define COUNTER(name, metric, help) numbers.name = next++;
#define GAUGE(name, metric, help) numbers.name = -(int64_t)next++;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	for (unsigned row = 0; row < STATUS_ROWS; row++)
		for (unsigned n = 0; n < OUTCOME_COUNT; n++)
			numbers.answers.at[row][n] = next++;
	for (unsigned n = 0; n < FAILURE_COUNT; n++)
		numbers.failure[n] = next++;
	for (unsigned n = 0; n < REASON_COUNT; n++)
		numbers.reason[n] = next++;
	memset(&addresses, 0, sizeof(addresses));
	memset(blocks, 0, sizeof(blocks));
	listener_names_row(&addresses, "127.0.0.1:3128", "");
	listener_names_row(&addresses, "127.0.0.1:3130", "http://a\"\\\n.test");
	for (unsigned n = 0; n < 3; n++) {
		numbers.listeners[n].connections = next++;
		numbers.listeners[n].bytes_in = next++;
		numbers.listeners[n].bytes_out = next++;
		for (unsigned kind = 0; kind < ANSWER_COUNT; kind++)
			numbers.listeners[n].answer[kind] = next++;
	}
	numbers.process.cpu_us = 12500000;
	numbers.process.rss = 1 << 20;
	numbers.process.fds = 30;
	numbers.process.fds_max = 2048;
	blocks[2].process = (struct process_stats){.cpu_us = 2500000,
						   .started_ms = 1700000000500,
						   .pid = 4711,
						   .rss = 1 << 19,
						   .fds = 15,
						   .fds_max = 1024};
	for (unsigned us = 0; us < 1000; us++)
		histogram_add(&numbers.hit_latency, us < 990 ? 4 : 7, 1);
	return (struct report_input){
		.stats = &numbers,
		.blocks = blocks,
		.block_count = 3,
		.listeners = &addresses,
		.started_ms = 1600000000250,
		.cache = {.stored = 1,
			  .dropped = 2,
			  .damaged = 3,
			  .invalidated = 4,
			  .flushes = 5,
			  .purged = 12},
		.store = {.entries = 6,
			  .bytes_used = 7,
			  .bytes_size = 8,
			  .evictions = 9,
			  .failures = 10},
		.uptime_s = 77,
		.version = "1.2 \"x\\y\"",
		.workers = 4,
		.map_used = 11,
	};
}

/* The report parsed again; a key given twice fails. */
static json_t *parsed(const struct report_input *input)
{
	size_t length;
	char *text = report_json(input, &length);
	assert_non_null(text);
	assert_int_equal(length, strlen(text));
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	free(text);
	return root;
}

static json_int_t number(const json_t *root, const char *group, const char *name)
{
	const json_t *object = group ? json_object_get(root, group) : root;
	const json_t *value = json_object_get(object, name);
	if (!json_is_integer(value))
		fail_msg("no integer %s.%s", group ? group : "", name);
	return json_integer_value(value);
}

/* Those of that list, and no others. */
static void assert_reasons(const json_t *object, enum reason_where where)
{
	size_t expected = 0;

	for (enum reason r = REASON_NONE; r < REASON_COUNT; r++) {
		if (!reason_is_at(r, where))
			continue;
		assert_int_equal(number(object, NULL, reason_token(r)), numbers.reason[r]);
		expected++;
	}
	assert_int_equal(json_object_size(object), expected);
	assert_true(expected >= 3 && expected < REASON_COUNT - 10);
}

static uint64_t ended(enum outcome outcome)
{
	uint64_t sum = 0;

	for (unsigned row = 0; row < STATUS_ROWS; row++)
		sum += numbers.answers.at[row][outcome];
	return sum;
}

static void test_json_has_every_row_of_the_tables(void **state)
{
	(void)state;
	struct report_input input = sample();
	json_t *root = parsed(&input);
#define COUNTER(name, metric, help) assert_int_equal(number(root, "counters", #name), numbers.name);
#define GAUGE(name, metric, help) assert_int_equal(number(root, "gauges", #name), numbers.name);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		assert_int_equal(number(root, "outcomes", outcome_name(o)), ended(o));
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		assert_int_equal(number(root, "failures", failure_name(f)), numbers.failure[f]);
	assert_reasons(json_object_get(root, "asked"), REASON_ASKED);
	assert_reasons(json_object_get(root, "not_stored"), REASON_AT_STORE);
	assert_reasons(json_object_get(root, "stale"), REASON_AT_STALE);
	assert_null(json_object_get(json_object_get(root, "failures"), "none"));
	json_decref(root);
}

static void test_json_top_and_store(void **state)
{
	(void)state;
	struct report_input input = sample();
	json_t *root = parsed(&input);
	assert_string_equal(json_string_value(json_object_get(root, "version")), input.version);
	assert_int_equal(number(root, NULL, "uptime_s"), 77);
	assert_int_equal(number(root, NULL, "workers"), 4);
	const char *const names[] = {"stored",    "dropped",  "damaged",    "invalidated",
				     "flushes",   "entries",  "bytes_used", "bytes_size",
				     "evictions", "failures", "map_used",   "purged"};
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(number(root, "store", names[i]), i + 1);
	json_decref(root);
}

static void test_json_summary(void **state)
{
	(void)state;
	struct report_input input = sample();
	json_t *root = parsed(&input);
	uint64_t refusals = 0;
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++)
		refusals += reason_is_at(r, REASON_AT_STORE) ? numbers.reason[r] : 0;
	assert_int_equal(number(root, NULL, "requests"), numbers.requests);
	assert_int_equal(number(root, NULL, "hits"),
			 ended(OUTCOME_HIT) + ended(OUTCOME_HIT_304) + ended(OUTCOME_STALE));
	assert_int_equal(number(root, NULL, "misses"), ended(OUTCOME_MISS));
	assert_int_equal(number(root, NULL, "validations"), numbers.validations);
	assert_int_equal(number(root, NULL, "stores"), numbers.stores);
	assert_int_equal(number(root, NULL, "refusals"), refusals);
	json_decref(root);
}

static void test_json_latency(void **state)
{
	(void)state;
	struct report_input input = sample();
	json_t *root = parsed(&input);
	const json_t *latency = json_object_get(root, "latency_us");
	assert_int_equal(number(latency, "hit", "count"), 1000);
	assert_int_equal(number(latency, "hit", "p50"), 4);
	assert_int_equal(number(latency, "hit", "p90"), 4);
	assert_int_equal(number(latency, "hit", "p99"), 4);
	assert_int_equal(number(latency, "hit", "p999"), 7);
	const json_t *mean = json_object_get(json_object_get(latency, "hit"), "mean");
	assert_true(fabs(json_real_value(mean) - 4.03) < 1e-6);
	assert_int_equal(number(latency, "miss", "count"), 0);
	assert_int_equal(number(latency, "miss", "p999"), 0);
	json_decref(root);
}

/* By status and outcome, by address, of each worker. */
static void test_json_by_what_is_asked_for(void **state)
{
	(void)state;
	struct report_input input = sample();
	json_t *root = parsed(&input), *row;
	const json_t *listeners = json_object_get(root, "listeners");

	assert_int_equal(number(json_object_get(root, "responses"), "204", "hit"),
			 numbers.answers.at[STATUS_204][OUTCOME_HIT]);
	assert_int_equal(number(json_object_get(root, "responses"), "4xx", "miss"),
			 numbers.answers.at[STATUS_4XX][OUTCOME_MISS]);
	assert_int_equal(json_array_size(listeners), 2);
	row = json_array_get(listeners, 1);
	assert_string_equal(json_string_value(json_object_get(row, "address")), "127.0.0.1:3130");
	assert_string_equal(json_string_value(json_object_get(row, "origin")),
			    "http://a\"\\\n.test");
	assert_int_equal(number(row, NULL, "connections"), numbers.listeners[2].connections);
	assert_int_equal(number(row, "answers", "fetched"),
			 numbers.listeners[2].answer[ANSWER_FETCHED]);
	assert_int_equal(number(root, "process", "rss"), 1 << 20);
	row = json_array_get(json_object_get(json_object_get(root, "process"), "workers"), 0);
	assert_int_equal(number(row, NULL, "worker"), 2);
	assert_int_equal(number(row, NULL, "descriptors"), 15);
	assert_int_equal(number(row, NULL, "started_s"), 1700000000);
	json_decref(root);
}

/* Nothing was answered yet: the share is not known, which is not 0. */
static void test_json_of_nothing(void **state)
{
	(void)state;
	struct report_input input = sample();
	memset(&numbers, 0, sizeof(numbers));
	json_t *root = parsed(&input);
	assert_true(json_is_null(json_object_get(root, "share")));
	assert_true(json_is_null(json_object_get(root, "share_of_all")));
	assert_int_equal(json_object_size(json_object_get(root, "responses")), 0);
	json_decref(root);
}

/* The value of a series, as text in `ret_value`; it must be there once. */
static void series(const char *text, const char *name, char ret_value[32])
{
	char needle[160];
	snprintf(needle, sizeof(needle), "\n%s ", name);
	const char *found = strstr(text, needle);
	if (found == NULL)
		fail_msg("no series %s", name);
	assert_null(strstr(found + 1, needle));
	assert_int_equal(sscanf(found + strlen(needle), "%31s", ret_value), 1);
}

static void assert_series(const char *text, uint64_t value, const char *format, ...)
{
	char name[128], found[32], expected[32];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	series(text, name, found);
	snprintf(expected, sizeof(expected), "%lld", (long long)value);
	assert_string_equal(found, expected);
}

static void test_prometheus_has_every_row_of_the_tables(void **state)
{
	(void)state;
	struct report_input input = sample();
	size_t length;
	char *text = report_prometheus(&input, &length);
	assert_non_null(text);
	assert_int_equal(length, strlen(text));
#define COUNTER(name, metric, help)                                           \
	assert_series(text, numbers.name, "cache204_" #metric);               \
	assert_non_null(strstr(text, "# HELP cache204_" #metric " " help "\n" \
				     "# TYPE cache204_" #metric " counter\n"));
#define GAUGE(name, metric, help)                                             \
	assert_series(text, (uint64_t)numbers.name, "cache204_" #metric);     \
	assert_non_null(strstr(text, "# HELP cache204_" #metric " " help "\n" \
				     "# TYPE cache204_" #metric " gauge\n"));
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		assert_series(text, numbers.failure[f], "cache204_failures_total{failure=\"%s\"}",
			      failure_name(f));
	for (enum reason r = REASON_NONE; r < REASON_COUNT; r++) {
		const char *list = reason_is_at(r, REASON_ASKED)      ? "asked"
				   : reason_is_at(r, REASON_AT_STORE) ? "not_stored"
				   : reason_is_at(r, REASON_AT_STALE) ? "stale"
								      : NULL;

		if (list != NULL)
			assert_series(text, numbers.reason[r], "cache204_%s_total{reason=\"%s\"}",
				      list, reason_token(r));
	}
	for (enum status_row row = 0; row < STATUS_ROWS; row++)
		for (enum outcome o = 0; o < OUTCOME_BACKGROUND; o++)
			assert_series(text, numbers.answers.at[row][o],
				      "cache204_responses_total{status=\"%s\",outcome=\"%s\"}",
				      status_row_name(row), outcome_name(o));
	assert_null(strstr(text, "outcome=\"background\""));
	free(text);
}

static void test_prometheus_of_the_rest(void **state)
{
	(void)state;
	struct report_input input = sample();
	size_t length;
	char value[32], *text = report_prometheus(&input, &length);
	assert_series(text, 1, "cache204_build_info{version=\"1.2 \\\"x\\\\y\\\"\"}");
	assert_series(text, 4, "cache204_workers");
	assert_series(text, 6, "cache204_store_entries");
	assert_series(text, 9, "cache204_store_evictions_total");
	assert_series(text, 11, "cache204_store_map_used_bytes");
	assert_series(text, 30, "process_open_fds");
	assert_series(text, 15, "cache204_worker_open_fds{worker=\"2\"}");
	assert_null(strstr(text, "worker=\"0\""));
	series(text, "process_cpu_seconds_total", value);
	assert_string_equal(value, "12.5");
	series(text, "process_start_time_seconds", value);
	assert_string_equal(value, "1600000000.25");
	series(text, "cache204_worker_start_time_seconds{worker=\"2\"}", value);
	assert_string_equal(value, "1700000000.5");
	assert_series(text, numbers.listeners[1].answer[ANSWER_STALE],
		      "cache204_listener_answers_total{listener=\"127.0.0.1:3128\",origin=\"\","
		      "answer=\"stale\"}");
	assert_series(text, numbers.listeners[2].connections,
		      "cache204_listener_connections_total{listener=\"127.0.0.1:3130\","
		      "origin=\"http://a\\\"\\\\\\n.test\"}");
	free(text);
}

/* Buckets are cumulative, and those of all machines have the same ends. */
static void test_prometheus_histograms(void **state)
{
	(void)state;
	struct report_input input = sample();
	size_t length;
	char value[32], *text;
	const char *name = "cache204_request_duration_seconds";

	histogram_add(&numbers.hit_latency, 64, 2); /* no more in the first bucket */
	histogram_add(&numbers.hit_latency, 2000000, 3);
	histogram_add(&numbers.hit_latency, UINT64_C(3600) * 1000000, 5);
	text = report_prometheus(&input, &length);
	assert_series(text, 1000, "%s_bucket{path=\"hit\",le=\"0.000064\"}", name);
	assert_series(text, 1002, "%s_bucket{path=\"hit\",le=\"0.000128\"}", name);
	assert_series(text, 1002, "%s_bucket{path=\"hit\",le=\"1.048576\"}", name);
	assert_series(text, 1005, "%s_bucket{path=\"hit\",le=\"4.194304\"}", name);
	assert_series(text, 1005, "%s_bucket{path=\"hit\",le=\"67.108864\"}", name);
	assert_series(text, 1010, "%s_bucket{path=\"hit\",le=\"+Inf\"}", name);
	assert_series(text, 1010, "%s_count{path=\"hit\"}", name);
	assert_series(text, 0, "cache204_origin_dns_seconds_bucket{le=\"+Inf\"}");
	assert_series(text, 0, "cache204_origin_dns_seconds_count");
	series(text, "cache204_request_duration_seconds_sum{path=\"hit\"}", value);
	assert_string_equal(value, "18006.004158");
	free(text);
}

/* A line is a comment of a known kind, or NAME[{LABELS}] VALUE of the family that TYPE told last.
 */
static void assert_line(const char *line, char family[96])
{
	char name[96], rest[160];
	if (sscanf(line, "# HELP %95s %159[^\n]", name, rest) == 2) {
		assert_string_not_equal(name, family);
		snprintf(family, 96, "%s", name);
	} else if (sscanf(line, "# TYPE %95s %159[^\n]", name, rest) == 2) {
		assert_string_equal(name, family);
		assert_true(!strcmp(rest, "counter") || !strcmp(rest, "gauge") ||
			    !strcmp(rest, "histogram"));
	} else {
		char *end;
		assert_int_equal(sscanf(line, "%95[a-zA-Z0-9_]", name), 1);
		assert_int_equal(strncmp(name, family, strlen(family)), 0);
		const char *value = strrchr(line, ' ') + 1;
		strtod(value, &end);
		assert_true(end > value && *end == '\0');
	}
}

static void test_prometheus_lines_are_well_formed(void **state)
{
	(void)state;
	struct report_input input = sample();
	size_t length;
	char family[96] = "", *text = report_prometheus(&input, &length);
	assert_int_equal(text[length - 1], '\n');
	unsigned lines = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++)
		assert_line(line, family);
	assert_true(lines > 100);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_has_every_row_of_the_tables),
		cmocka_unit_test(test_json_top_and_store),
		cmocka_unit_test(test_json_summary),
		cmocka_unit_test(test_json_latency),
		cmocka_unit_test(test_json_by_what_is_asked_for),
		cmocka_unit_test(test_json_of_nothing),
		cmocka_unit_test(test_prometheus_has_every_row_of_the_tables),
		cmocka_unit_test(test_prometheus_of_the_rest),
		cmocka_unit_test(test_prometheus_histograms),
		cmocka_unit_test(test_prometheus_lines_are_well_formed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
