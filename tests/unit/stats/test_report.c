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

static struct report_input sample(void)
{
	memset(&numbers, 0, sizeof(numbers));
	uint64_t next = 1000;
#define COUNTER(name, help) numbers.name = next++;
#define GAUGE(name, help) numbers.name = -(int64_t)next++;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	for (unsigned n = 0; n < OUTCOME_COUNT; n++)
		numbers.outcome[n] = next++;
	for (unsigned n = 0; n < FAILURE_COUNT; n++)
		numbers.failure[n] = next++;
	for (unsigned n = 0; n < REASON_COUNT; n++) {
		numbers.not_stored[n] = next++;
		numbers.not_reused[n] = next++;
	}
	for (unsigned us = 0; us < 1000; us++)
		histogram_add(&numbers.hit_latency, us < 990 ? 4 : 7, 1);
	return (struct report_input){
		.stats = &numbers,
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

/* Those that may stand in the way there, and no others. */
static void assert_reasons(const json_t *object, const _Atomic uint64_t *counts,
			   enum reason_where where)
{
	size_t expected = 0;

	for (enum reason r = REASON_NONE; r < REASON_COUNT; r++) {
		if (!reason_is_at(r, where))
			continue;
		assert_int_equal(number(object, NULL, reason_token(r)), counts[r]);
		expected++;
	}
	assert_int_equal(json_object_size(object), expected);
	assert_true(expected > 10 && expected < REASON_COUNT - 1);
}

static void test_json_has_every_row_of_the_tables(void **state)
{
	(void)state;
	struct report_input input = sample();
	json_t *root = parsed(&input);
#define COUNTER(name, help) assert_int_equal(number(root, "counters", #name), numbers.name);
#define GAUGE(name, help) assert_int_equal(number(root, "gauges", #name), numbers.name);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		assert_int_equal(number(root, "outcomes", outcome_name(o)), numbers.outcome[o]);
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		assert_int_equal(number(root, "failures", failure_name(f)), numbers.failure[f]);
	assert_reasons(json_object_get(root, "not_stored"), numbers.not_stored, REASON_NOT_STORED);
	assert_reasons(json_object_get(root, "not_reused"), numbers.not_reused,
		       REASON_ASKED + REASON_AT_STALE);
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
		refusals += numbers.not_stored[r];
	assert_int_equal(number(root, NULL, "requests"), numbers.requests);
	assert_int_equal(number(root, NULL, "hits"), numbers.outcome[OUTCOME_HIT] +
							     numbers.outcome[OUTCOME_HIT_304] +
							     numbers.outcome[OUTCOME_STALE]);
	assert_int_equal(number(root, NULL, "misses"), numbers.outcome[OUTCOME_MISS]);
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

static void test_json_of_huge_numbers_stays_positive(void **state)
{
	(void)state;
	struct report_input input = sample();
	numbers.requests = UINT64_MAX;
	json_t *root = parsed(&input);
	assert_int_equal(number(root, NULL, "requests"), INT64_MAX);
	json_decref(root);
}

/* Allocations that jansson may still make before one fails. */
static unsigned allocations_left;

static void *scarce_malloc(size_t size)
{
	return allocations_left > 0 && allocations_left-- ? malloc(size) : NULL;
}

/* Wherever memory ends, the report is NULL, and nothing leaks (the sanitizer looks). */
static void test_json_out_of_memory(void **state)
{
	(void)state;
	struct report_input input = sample();
	size_t length = 0;
	char *text = NULL;
	unsigned most = 0;
	json_set_alloc_funcs(scarce_malloc, free);
	for (; !text && most < 100000; most++) {
		allocations_left = most;
		text = report_json(&input, &length);
	}
	json_set_alloc_funcs(malloc, free);
	assert_non_null(text);
	assert_true(most > 100);
	assert_int_equal(length, strlen(text));
	free(text);
}

/* The value of a series, as text in `ret_value`; it must be there once. */
static void series(const char *text, const char *name, char ret_value[32])
{
	char needle[160];
	snprintf(needle, sizeof(needle), "\n%s ", name);
	const char *found = strstr(text, needle);
	if (!found)
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
#define COUNTER(name, help)                                                       \
	assert_series(text, numbers.name, "cache204_" #name "_total");            \
	assert_non_null(strstr(text, "# HELP cache204_" #name "_total " help "\n" \
				     "# TYPE cache204_" #name "_total counter\n"));
#define GAUGE(name, help)                                                   \
	assert_series(text, (uint64_t)numbers.name, "cache204_" #name);     \
	assert_non_null(strstr(text, "# HELP cache204_" #name " " help "\n" \
				     "# TYPE cache204_" #name " gauge\n"));
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		assert_series(text, numbers.outcome[o], "cache204_outcomes_total{outcome=\"%s\"}",
			      outcome_name(o));
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		assert_series(text, numbers.failure[f], "cache204_failures_total{failure=\"%s\"}",
			      failure_name(f));
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		if (reason_is_at(r, REASON_NOT_STORED))
			assert_series(text, numbers.not_stored[r],
				      "cache204_not_stored_total{reason=\"%s\"}", reason_token(r));
		if (reason_is_at(r, REASON_ASKED + REASON_AT_STALE))
			assert_series(text, numbers.not_reused[r],
				      "cache204_not_reused_total{reason=\"%s\"}", reason_token(r));
	}
	free(text);
}

static void test_prometheus_of_the_rest(void **state)
{
	(void)state;
	struct report_input input = sample();
	size_t length;
	char value[32], *text = report_prometheus(&input, &length);
	assert_series(text, 1, "cache204_info{version=\"1.2 \\\"x\\\\y\\\"\"}");
	assert_series(text, 77, "cache204_uptime_seconds");
	assert_series(text, 4, "cache204_workers");
	assert_series(text, 6, "cache204_store_entries");
	assert_series(text, 9, "cache204_store_evictions_total");
	assert_series(text, 11, "cache204_store_map_used");
	assert_series(text, 1000, "cache204_latency_seconds_count{path=\"hit\"}");
	series(text, "cache204_latency_seconds{path=\"hit\",quantile=\"0.999\"}", value);
	assert_string_equal(value, "0.000007");
	series(text, "cache204_latency_seconds_sum{path=\"hit\"}", value);
	assert_string_equal(value, "0.004030");
	series(text, "cache204_latency_seconds{path=\"miss\",quantile=\"0.5\"}", value);
	assert_string_equal(value, "NaN");
	free(text);
}

/* A line is a comment of a known kind, or NAME[{LABELS}] VALUE of the family that TYPE told last.
 */
static void assert_line(const char *line, char family[96])
{
	char name[96], rest[160];
	if (sscanf(line, "# HELP %95s %159[^\n]", name, rest) == 2) {
		assert_string_not_equal(name, family);
		strcpy(family, name);
	} else if (sscanf(line, "# TYPE %95s %159[^\n]", name, rest) == 2) {
		assert_string_equal(name, family);
		assert_true(!strcmp(rest, "counter") || !strcmp(rest, "gauge") ||
			    !strcmp(rest, "summary"));
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
		cmocka_unit_test(test_json_of_huge_numbers_stays_positive),
		cmocka_unit_test(test_json_out_of_memory),
		cmocka_unit_test(test_prometheus_has_every_row_of_the_tables),
		cmocka_unit_test(test_prometheus_of_the_rest),
		cmocka_unit_test(test_prometheus_lines_are_well_formed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
