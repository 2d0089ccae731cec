/* LINKS: proxy/stats */
/* Reports by value, part by part: each number where it belongs, and none in another's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/version.h"
#include "proxy/stats/report.h"
#include "tests/support/json_at.h"

static struct stats numbers, blocks[3];
static struct listener_names addresses;
static struct last_uris *last;
static struct report_input input;

/* Nothing was counted. */
static int begin(void **state)
{
	(void)state;
	memset(&numbers, 0, sizeof(numbers));
	memset(blocks, 0, sizeof(blocks));
	memset(&addresses, 0, sizeof(addresses));
	assert_true(last_uris_share());
	last = last_uris_all();
	input = (struct report_input){.stats = &numbers,
				      .blocks = blocks,
				      .block_count = 3,
				      .listeners = &addresses,
				      .version = "1.2",
				      .workers = 1,
				      .last_uris = last};
	return 0;
}

static int end(void **state)
{
	(void)state;
	json_at_end();
	return 0;
}

static void read_json(void)
{
	size_t length = 0;
	char *text = report_json(&input, &length);

	json_at_begin(text, length);
}

static void assert_json(const char *path, const char *expected)
{
	assert_string_equal(json_at(path), expected);
}

/* All samples whose lines begin so, of what Prometheus gets. */
static void assert_lines(const char *prefix, const char *expected)
{
	static char found[65536];
	size_t length = 0, used = 0;
	char *text = report_prometheus(&input, &length);

	assert_non_null(text);
	assert_int_equal(length, strlen(text));
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		size_t n = (size_t)(strchr(line, '\n') + 1 - line);

		if (strncmp(line, prefix, strlen(prefix)) != 0)
			continue;
		assert_true(used + n < sizeof(found));
		memcpy(found + used, line, n);
		used += n;
	}
	found[used] = '\0';
	assert_string_equal(found, expected);
	free(text);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void fill_answers(void)
{
	numbers.answers.at[STATUS_204][OUTCOME_HIT] = 1;
	numbers.answers.at[STATUS_304][OUTCOME_HIT_304] = 2;
	numbers.answers.at[STATUS_204][OUTCOME_COLLAPSED] = 3;
	numbers.answers.at[STATUS_204][OUTCOME_STALE] = 4;
	numbers.answers.at[STATUS_304][OUTCOME_VALIDATED] = 5;
	numbers.answers.at[STATUS_204][OUTCOME_MISS] = 25;
	numbers.answers.at[STATUS_5XX][OUTCOME_BYPASS] = 6;
	numbers.answers.at[STATUS_MORE][OUTCOME_MISS] = 1;
	numbers.answers.at[STATUS_NONE][OUTCOME_FAILED] = 3;
	numbers.answers.at[STATUS_204][OUTCOME_BACKGROUND] = 70;
}

static void test_json_of_answers(void **state)
{
	(void)state;
	fill_answers();
	read_json();
	assert_json("share", "0.25");
	assert_json("share_of_all", "0.2");
	assert_json("hits", "7");
	assert_json("misses", "26");
	assert_json("answers", "{\"fresh\":3,\"shared\":3,\"stale\":4,\"confirmed\":5,"
			       "\"fetched\":25,\"other\":7,\"failed\":3}");
	assert_json("outcomes", "{\"hit\":1,\"hit_304\":2,\"stale\":4,\"validated\":5,"
				"\"collapsed\":3,\"miss\":26,\"bypass\":6,\"tunnel\":0,"
				"\"local\":0,\"failed\":3,\"background\":70}");
	assert_json("responses", "{\"204\":{\"hit\":1,\"stale\":4,\"collapsed\":3,\"miss\":25,"
				 "\"background\":70},\"304\":{\"hit_304\":2,\"validated\":5},"
				 "\"none\":{\"failed\":3},\"5xx\":{\"bypass\":6},"
				 "\"more\":{\"miss\":1}}");
}

/* Those that are usual are there from the start, others once they are. */
static void test_lines_of_answers(void **state)
{
#define ROW(status, outcome, n) \
	"cache204_responses_total{status=\"" #status "\",outcome=\"" #outcome "\"} " #n "\n"
	static const char at_first[] = ROW(204, hit, 0) ROW(204, stale, 0) ROW(204, validated, 0)
		ROW(204, collapsed, 0) ROW(204, miss, 0) ROW(204, bypass, 0) ROW(304, hit_304, 0)
			ROW(502, failed, 0) ROW(504, failed, 0);
	static const char filled[] = ROW(204, hit, 1) ROW(204, stale, 4) ROW(204, validated, 0)
		ROW(204, collapsed, 3) ROW(204, miss, 25) ROW(204, bypass, 0) ROW(304, hit_304, 2)
			ROW(304, validated, 5) ROW(502, failed, 0) ROW(504, failed, 0)
				ROW(none, failed, 3) ROW(5xx, bypass, 6) ROW(more, miss, 1);
#undef ROW

	(void)state;
	assert_lines("cache204_responses_total", at_first);
	fill_answers();
	assert_lines("cache204_responses_total", filled);
	assert_lines("cache204_answers_total{", "cache204_answers_total{answer=\"fresh\"} 3\n"
						"cache204_answers_total{answer=\"shared\"} 3\n"
						"cache204_answers_total{answer=\"stale\"} 4\n"
						"cache204_answers_total{answer=\"confirmed\"} 5\n"
						"cache204_answers_total{answer=\"fetched\"} 25\n"
						"cache204_answers_total{answer=\"other\"} 7\n"
						"cache204_answers_total{answer=\"failed\"} 3\n");
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void fill_listener(unsigned row, unsigned base)
{
	struct listener_counts *to = &numbers.listeners[row];

	to->connections = base + 1;
	to->bytes_in = base + 2;
	to->bytes_out = base + 3;
	to->handshakes = base + 4;
	to->resumed = base + 5;
	to->handshakes_failed = base + 6;
	for (unsigned kind = 0; kind < ANSWER_COUNT; kind++)
		to->answer[kind] = base + 10 + kind;
}

static void test_of_addresses(void **state)
{
	(void)state;
	listener_names_row(&addresses, "127.0.0.1:1", "http://a.test");
	fill_listener(0, 900);
	fill_listener(1, 100);
	fill_listener(2, 900);
	read_json();
	assert_json(
		"listeners",
		"[{\"address\":\"127.0.0.1:1\",\"origin\":\"http://a.test\",\"connections\":101,"
		"\"bytes_in\":102,\"bytes_out\":103,\"tls_handshakes\":104,\"tls_resumed\":105,"
		"\"tls_failed\":106,\"answers\":{\"fresh\":110,\"shared\":111,\"stale\":112,"
		"\"confirmed\":113,\"fetched\":114,\"other\":115,\"failed\":116}}]");
#define LINE(name, n)                                                                            \
	"cache204_listener_" name "_total{listener=\"127.0.0.1:1\",origin=\"http://a.test\"} " n \
	"\n"
#define ANSWERS(name, n)                                                            \
	"cache204_listener_answers_total{listener=\"127.0.0.1:1\",origin=\"http://" \
	"a.test\",answer=\"" name "\"} " n "\n"
	assert_lines("cache204_listener_answers_total{",
		     ANSWERS("fresh", "110") ANSWERS("shared", "111") ANSWERS("stale", "112")
			     ANSWERS("confirmed", "113") ANSWERS("fetched", "114")
				     ANSWERS("other", "115") ANSWERS("failed", "116"));
	assert_lines("cache204_listener_connections_total{", LINE("connections", "101"));
	assert_lines("cache204_listener_received_bytes_total{", LINE("received_bytes", "102"));
	assert_lines("cache204_listener_sent_bytes_total{", LINE("sent_bytes", "103"));
	assert_lines("cache204_listener_tls_handshakes_total{", LINE("tls_handshakes", "104"));
	assert_lines("cache204_listener_tls_resumed_total{", LINE("tls_resumed", "105"));
	assert_lines("cache204_listener_tls_failed_total{", LINE("tls_failed", "106"));
#undef LINE
#undef ANSWERS
}

/* Addresses beyond the last row are one more, and without a name. */
static void test_of_more_addresses_than_rows(void **state)
{
	char address[32], path[32];
	size_t length = 0;
	char *text;

	(void)state;
	for (unsigned port = 1; port < LISTENER_ROWS; port++) {
		snprintf(address, sizeof(address), "127.0.0.1:%u", port);
		listener_names_row(&addresses, address, "");
	}
	fill_listener(0, 100);
	read_json();
	assert_int_equal(json_at_count("listeners"), LISTENER_ROWS);
	assert_json("listeners.0.address", "\"127.0.0.1:1\"");
	assert_json("listeners.0.origin", "null");
	assert_json("listeners.126.address", "\"127.0.0.1:127\"");
	snprintf(path, sizeof(path), "listeners.%d.", LISTENER_ROWS - 1);
	assert_json(strcat(path, "address"), "null");
	strcpy(strrchr(path, '.'), ".connections");
	assert_json(path, "101");
	text = report_prometheus(&input, &length);
	assert_non_null(strstr(text, "\ncache204_listener_connections_total{listener=\"others\","
				     "origin=\"\"} 101\n"));
	free(text);
}

/* ---- processes ------------------------------------------------------------------------------ */

static void test_of_processes(void **state)
{
	(void)state;
	input.started_ms = 1600000000250;
	input.block_count = 2;
	numbers.process = (struct process_stats){
		.cpu_us = 1500000, .rss = 11, .virtual = 12, .fds = 13, .fds_max = 14};
	for (unsigned i = 0; i < 3; i++)
		blocks[i].process = (struct process_stats){.pid = 40 + (int)i,
							   .started_ms = 1700000001999,
							   .cpu_us = 250000,
							   .rss = 21 + i,
							   .virtual = 22,
							   .fds = 23,
							   .fds_max = 24};
	blocks[0].process.pid = 0; /* it died */
	read_json();
	assert_json("process", "{\"cpu_s\":1.5,\"rss\":11,\"virtual\":12,\"descriptors\":13,"
			       "\"descriptors_max\":14,\"started_s\":1600000000,\"workers\":["
			       "{\"worker\":1,\"pid\":41,\"cpu_s\":0.25,\"rss\":22,\"virtual\":22,"
			       "\"descriptors\":23,\"descriptors_max\":24,"
			       "\"started_s\":1700000001}]}");
	assert_lines("cache204_worker_cpu_seconds_total{",
		     "cache204_worker_cpu_seconds_total{worker=\"1\"} 0.25\n");
	assert_lines("cache204_worker_resident_memory_bytes{",
		     "cache204_worker_resident_memory_bytes{worker=\"1\"} 22\n");
	assert_lines("cache204_worker_open_fds{", "cache204_worker_open_fds{worker=\"1\"} 23\n");
	assert_lines("cache204_worker_max_fds{", "cache204_worker_max_fds{worker=\"1\"} 24\n");
	assert_lines("cache204_worker_start_time_seconds{",
		     "cache204_worker_start_time_seconds{worker=\"1\"} 1700000001.999\n");
	assert_lines("process_cpu_seconds_total ", "process_cpu_seconds_total 1.5\n");
	assert_lines("process_resident_memory_bytes ", "process_resident_memory_bytes 11\n");
	assert_lines("process_virtual_memory_bytes ", "process_virtual_memory_bytes 12\n");
	assert_lines("process_open_fds ", "process_open_fds 13\n");
	assert_lines("process_max_fds ", "process_max_fds 14\n");
	assert_lines("process_start_time_seconds ", "process_start_time_seconds 1600000000.25\n");
}

/* ---- reloads -------------------------------------------------------------------------------- */

static void test_of_reloads(void **state)
{
	struct reload_result good = {
		.answered = 1, .generation = 7, .older = 2, .at_s = 1700000000, .ok = true};
	struct reload_result bad = {.answered = 5, .generation = 3, .text = "line 3:\n\"x\"\n"};
	size_t length = 0;
	char *text;

	(void)state;
	assert_lines("cache204_config", "");
	input.reload = &good;
	input.upgrade = &bad;
	read_json();
	assert_json("reload", "{\"generation\":7,\"older_generations\":2,\"time\":1700000000,"
			      "\"ok\":true,\"errors\":\"\"}");
	assert_json("upgrade", "{\"generation\":3,\"older_generations\":0,\"time\":0,\"ok\":false,"
			       "\"errors\":\"line 3:\\n\\\"x\\\"\\n\"}");
	assert_lines("cache204_config_generation ", "cache204_config_generation 7\n");
	assert_lines("cache204_config_older_generations ", "cache204_config_older_generations 2\n");
	assert_lines("cache204_config_last_reload_successful ",
		     "cache204_config_last_reload_successful 1\n");
	input.reload = &bad;
	assert_lines("cache204_config_last_reload_successful ",
		     "cache204_config_last_reload_successful 0\n");
	text = report_reload(&bad, 6, &length);
	json_at_begin(text, length);
	assert_json("", "{\"version\":\"" CACHE204_VERSION "\",\"generation\":3,"
			"\"older_generations\":0,\"time\":0,\"ok\":false,"
			"\"errors\":\"line 3:\\n\\\"x\\\"\\n\",\"asked\":6,\"answered\":5}");
}

/* ---- names ---------------------------------------------------------------------------------- */

static void test_of_names(void **state)
{
	struct http_uri uri;

	(void)state;
	offenders_add(&numbers.repaired, SLICE("a.test:80"), 3);
	offenders_add(&numbers.repaired, SLICE("b.test:80"), 1);
	offenders_add(&numbers.mended, SLICE("c.test:80"), 4);
	offenders_add(&numbers.tunnelled, SLICE("d\".test"), 5);
	assert_int_equal(http_uri_parse_absolute(SLICE("http://a.test/\"x"), &uri), URI_OK);
	last_uris_note(REASON_PRIVATE, &uri);
	last_uris_note(REASON_STATUS, &uri);
	read_json();
	assert_json("framing_repaired_by_origin", "{\"a.test:80\":3,\"b.test:80\":1}");
	assert_json("responses_mended_by_origin", "{\"c.test:80\":4}");
	assert_json("tunnelled_not_seen", "{\"d\\\".test\":5}");
	assert_json("last_uris", "{\"status\":\"http://a.test/\\\"x\","
				 "\"private\":\"http://a.test/\\\"x\"}");
	assert_lines("cache204_responses_repaired_by_origin{",
		     "cache204_responses_repaired_by_origin{origin=\"a.test:80\"} 3\n"
		     "cache204_responses_repaired_by_origin{origin=\"b.test:80\"} 1\n");
	assert_lines("cache204_responses_mended_by_origin{",
		     "cache204_responses_mended_by_origin{origin=\"c.test:80\"} 4\n");
	assert_lines("cache204_tunnels_by_host{",
		     "cache204_tunnels_by_host{host=\"d\\\".test\"} 5\n");
	input.last_uris = NULL;
	read_json();
	assert_json("listeners", "[]");
}

static void test_of_as_many_names_as_there_is_room_for(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < OFFENDERS_MAX; i++) {
		snprintf(name, sizeof(name), "host%u", i);
		offenders_add(&numbers.mended, slice_str(name), i + 1);
	}
	read_json();
	assert_int_equal(json_at_count("responses_mended_by_origin"), OFFENDERS_MAX);
	for (unsigned i = 0; i < OFFENDERS_MAX; i++) {
		char path[64], line[128];

		snprintf(path, sizeof(path), "responses_mended_by_origin.host%u", i);
		snprintf(name, sizeof(name), "%u", i + 1);
		assert_json(path, name);
		snprintf(path, sizeof(path),
			 "cache204_responses_mended_by_origin{origin=\"host%u\"", i);
		snprintf(line, sizeof(line), "%s} %u\n", path, i + 1);
		assert_lines(path, line);
	}
}

/* ---- the store ------------------------------------------------------------------------------ */

static void test_of_the_store(void **state)
{
	(void)state;
	input.copies.made = 21;
	input.copies.failed = 22;
	input.copies.last_s = 1700000000;
	input.store = (struct store_usage){1, 2, 3, 4, 5};
	input.map_used = 6;
	input.cache = (struct cache_counts){.stored = 7,
					    .dropped = 8,
					    .damaged = 9,
					    .invalidated = 10,
					    .purged = 11,
					    .flushes = 12,
					    .failures = 13};
	read_json();
	assert_json("store",
		    "{\"entries\":1,\"bytes_used\":2,\"bytes_size\":3,\"map_used\":6,"
		    "\"evictions\":4,\"failures\":5,\"stored\":7,\"dropped\":8,\"damaged\":9,"
		    "\"invalidated\":10,\"purged\":11,\"flushes\":12,\"copies\":21,"
		    "\"copies_failed\":22,\"copied_at\":1700000000}");
	assert_lines("cache204_store_copies_failed_total",
		     "cache204_store_copies_failed_total 22\n");
	assert_lines("cache204_store_copied_timestamp_seconds ",
		     "cache204_store_copied_timestamp_seconds 1700000000\n");
	assert_lines("cache204_store_entries", "cache204_store_entries 1\n");
}

/* ---- durations ------------------------------------------------------------------------------ */

static void fill_durations(void)
{
	struct histogram *const histograms[] = {&numbers.hit_latency, &numbers.miss_latency,
						&numbers.origin_dns,  &numbers.origin_connect,
						&numbers.origin_tls,  &numbers.origin_first_byte};

	for (unsigned i = 0; i < 6; i++) {
		histogram_add(histograms[i], i + 1, 995);
		histogram_add(histograms[i], 7, 5 + i);
	}
}

static void test_of_durations(void **state)
{
	(void)state;
	fill_durations();
	read_json();
	assert_json(
		"latency_us",
		"{\"hit\":{\"count\":1000,\"mean\":1.03,\"p50\":1,\"p90\":1,\"p99\":1,\"p999\":7,"
		"\"max\":7},\"miss\":{\"count\":1001,\"mean\":2.02997,\"p50\":2,\"p90\":2,\"p99\":"
		"2,"
		"\"p999\":7,\"max\":7}}");
	assert_json("origin_us.dns.p50", "3");
	assert_json("origin_us.dns.count", "1002");
	assert_json("origin_us.connect.p50", "4");
	assert_json("origin_us.tls.p50", "5");
	assert_json("origin_us.first_byte.p50", "6");
	assert_json("origin_us.first_byte.count", "1005");
	assert_int_equal(json_at_count("origin_us"), 4);
	assert_lines("cache204_origin_tls_seconds_sum",
		     "cache204_origin_tls_seconds_sum 0.005038\n");
	assert_lines("cache204_origin_tls_seconds_count",
		     "cache204_origin_tls_seconds_count 1004\n");
	assert_lines("cache204_request_duration_seconds_count",
		     "cache204_request_duration_seconds_count{path=\"hit\"} 1000\n"
		     "cache204_request_duration_seconds_count{path=\"miss\"} 1001\n");
}

static void test_of_one_duration(void **state)
{
	(void)state;
	histogram_add(&numbers.origin_tls, 6, 1);
	read_json();
	assert_json("origin_us.tls", "{\"count\":1,\"mean\":6,\"p50\":6,\"p90\":6,\"p99\":6,"
				     "\"p999\":6,\"max\":6}");
	assert_json("origin_us.dns", "{\"count\":0,\"mean\":0,\"p50\":0,\"p90\":0,\"p99\":0,"
				     "\"p999\":0,\"max\":0}");
}

/* At each edge: what is as long counts for the next. */
static void test_edges_of_buckets(void **state)
{
	static const unsigned exponents[] = {6,  7,  8,  9,  10, 11, 12, 13, 14,
					     15, 16, 17, 18, 19, 20, 22, 24, 26};
	char expected[4096] = "";
	uint64_t count = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
		uint64_t edge = UINT64_C(1) << exponents[i];
		size_t used = strlen(expected);

		histogram_add(&numbers.origin_dns, edge - 1, i + 1);
		histogram_add(&numbers.origin_dns, edge, 100);
		count += i + 1;
		snprintf(expected + used, sizeof(expected) - used,
			 "cache204_origin_dns_seconds_bucket{le=\"%.6f\"} %llu\n",
			 (double)edge / 1e6, (unsigned long long)count);
		count += 100;
	}
	snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
		 "cache204_origin_dns_seconds_bucket{le=\"+Inf\"} %llu\n",
		 (unsigned long long)count);
	assert_lines("cache204_origin_dns_seconds_bucket", expected);
}

/* ---- between two moments -------------------------------------------------------------------- */

static void test_of_a_span(void **state)
{
	struct report_span span = {.from_ms = 1000,
				   .to_ms = 3500,
				   .length_us = 2500000,
				   .since = "a",
				   .note = "first \"run\""};

	(void)state;
	fill_durations();
	numbers.requests = 50;
	numbers.origin_requests = 11;
	numbers.failure[FAILURE_ORIGIN_REFUSED] = 2;
	numbers.failure[FAILURE_RESPONSE_CUT] = 1;
	numbers.failure[FAILURE_DENIED_PORT] = 70;
	input.span = &span;
	read_json();
	assert_json("since", "\"a\"");
	assert_json("until", "null");
	assert_json("note", "\"first \\\"run\\\"\"");
	assert_json("from_ms", "1000");
	assert_json("to_ms", "3500");
	assert_json("window_s", "2.5");
	assert_json("rate", "20");
	assert_json("origin", "11");
	assert_json("errors", "3");
	assert_json("miss_us", "{\"n\":1001,\"p50\":2,\"p90\":2,\"p99\":2,\"p999\":7,\"max\":7}");
	/* Of hits and misses together, before each of them. */
	assert_int_equal(json_at_count("latency_us"), 8);
	assert_json("latency_us.n", "2001");
	assert_json("latency_us.p50", "2");
	assert_json("latency_us.p90", "2");
	assert_json("latency_us.p99", "2");
	assert_json("latency_us.p999", "7");
	assert_json("latency_us.max", "7");
	assert_int_equal(json_at_count("origin_us"), 4);
	span.length_us = 0;
	strcpy(span.until, "b");
	read_json();
	assert_json("until", "\"b\"");
	assert_json("rate", "null");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_json_of_answers, begin, end),
		cmocka_unit_test_setup_teardown(test_lines_of_answers, begin, end),
		cmocka_unit_test_setup_teardown(test_of_addresses, begin, end),
		cmocka_unit_test_setup_teardown(test_of_more_addresses_than_rows, begin, end),
		cmocka_unit_test_setup_teardown(test_of_processes, begin, end),
		cmocka_unit_test_setup_teardown(test_of_reloads, begin, end),
		cmocka_unit_test_setup_teardown(test_of_names, begin, end),
		cmocka_unit_test_setup_teardown(test_of_as_many_names_as_there_is_room_for, begin,
						end),
		cmocka_unit_test_setup_teardown(test_of_the_store, begin, end),
		cmocka_unit_test_setup_teardown(test_of_durations, begin, end),
		cmocka_unit_test_setup_teardown(test_of_one_duration, begin, end),
		cmocka_unit_test_setup_teardown(test_edges_of_buckets, begin, end),
		cmocka_unit_test_setup_teardown(test_of_a_span, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
