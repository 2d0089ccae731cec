/* LINKS: proxy/stats */
/*
 * The operators' JSON by value: tests/vectors/dash/whole.json is all of it for the numbers of fill(), and
 * each case beside that is where a member turns to another value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/stats/dash.h"
#include "proxy/stats/events.h"
#include "proxy/stats/in_flight.h"
#include "proxy/stats/last_uris.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/service.h"
#include "tests/support/json_at.h"

enum { WORKERS = 2, STARTED_MS = 7200000, NOW_MS = 7210400 };

#define WALL_MS INT64_C(1700000000400)

static struct stats sum, minute, hour, between;
static struct stats_service service;
static struct sketch_view hosts, urls, failing;
static struct reload_result reload;
static struct dash_rows rows;
static struct dash dash;

/* Nothing was counted yet. */
static int begin(void **state)
{
	(void)state;
	memset(&sum, 0, sizeof(sum));
	memset(&minute, 0, sizeof(minute));
	memset(&hour, 0, sizeof(hour));
	memset(&between, 0, sizeof(between));
	memset(&service, 0, sizeof(service));
	memset(&hosts, 0, sizeof(hosts));
	memset(&urls, 0, sizeof(urls));
	memset(&failing, 0, sizeof(failing));
	assert_true(stats_service_map(&service, WORKERS));
	assert_true(last_uris_share());
	stats_service_attach(&service, 1);
	STATS_WRITE(service.used, WORKERS);
	STATS_WRITE(service.alive, 2);
	service.started_ms = WALL_MS - 10400;
	reload = (struct reload_result){.ok = true};
	rows = (struct dash_rows){.history = service.history,
				  .started_us = INT64_C(1000) * STARTED_MS,
				  .now_ms = NOW_MS,
				  .wall_ms = WALL_MS,
				  .step_s = 1};
	dash = (struct dash){.now_ms = NOW_MS,
			     .wall_ms = WALL_MS,
			     .name = "edge \"1\"",
			     .version = "1.2",
			     .admin = SLICE("proxy.test:3128"),
			     .service = &service,
			     .sum = &sum,
			     .minute = &minute,
			     .hour = &hour,
			     .between = &between,
			     .window_s = 10,
			     .hosts = &hosts,
			     .urls = &urls,
			     .failing = &failing,
			     .workers_wanted = 2,
			     .reload = &reload,
			     .rows = &rows};
	return 0;
}

static void read_json(void)
{
	size_t length = 0;
	char *text = dash_json(&dash, &length);

	json_at_begin(text, length);
}

static int end(void **state)
{
	(void)state;
	json_at_end();
	return 0;
}

/* ---- what whole.json is of ------------------------------------------------------------------ */

static void fill_answers(void)
{
	struct answer_counts *of = &between.answers;

	minute.answers.at[STATUS_204][OUTCOME_HIT] = 3;
	minute.answers.at[STATUS_204][OUTCOME_MISS] = 1;
	hour.answers.at[STATUS_204][OUTCOME_STALE] = 1;
	hour.answers.at[STATUS_204][OUTCOME_VALIDATED] = 3;
	sum.answers.at[STATUS_204][OUTCOME_COLLAPSED] = 6;
	sum.answers.at[STATUS_204][OUTCOME_BYPASS] = 4;
	of->at[STATUS_204][OUTCOME_HIT] = 5;
	of->at[STATUS_304][OUTCOME_HIT_304] = 2;
	of->at[STATUS_204][OUTCOME_COLLAPSED] = 3;
	of->at[STATUS_204][OUTCOME_STALE] = 4;
	of->at[STATUS_204][OUTCOME_VALIDATED] = 6;
	of->at[STATUS_204][OUTCOME_MISS] = 7;
	of->at[STATUS_204][OUTCOME_BYPASS] = 1;
	of->at[STATUS_200][OUTCOME_MISS] = 11;
	of->at[STATUS_200][OUTCOME_BYPASS] = 1;
	of->at[STATUS_304][OUTCOME_BYPASS] = 12;
	of->at[STATUS_4XX][OUTCOME_LOCAL] = 2;
	of->at[STATUS_200][OUTCOME_TUNNEL] = 13;
	of->at[STATUS_204][OUTCOME_BACKGROUND] = 100;
	of->at[STATUS_200][OUTCOME_BACKGROUND] = 100;
	of->at[STATUS_502][OUTCOME_FAILED] = 5;
}

static void fill_traffic(void)
{
	between.requests = 72;
	between.clients = 4;
	between.failure[FAILURE_ORIGIN_REFUSED] = 3;
	between.failure[FAILURE_DENIED_PORT] = 50;
	between.origin_requests = 20;
	between.origin_reused = 15;
	between.process.cpu_us = 2500000;
	between.process.rss = 4096;
	histogram_add(&between.hit_latency, 2, 60);
	histogram_add(&between.hit_latency, 4, 35);
	histogram_add(&between.hit_latency, 6, 4);
	histogram_add(&between.hit_latency, 7, 1);
	histogram_add(&between.miss_latency, 5, 1);
	histogram_add(&between.origin_dns, 1, 2);
	histogram_add(&between.origin_connect, 2, 3);
	histogram_add(&between.origin_first_byte, 3, 6);
	sum.origin_requests = 8;
	sum.origin_bytes_in = 4004;
	sum.exchanges = 9;
	sum.tunnels_open = 2;
	sum.waiting = 3;
	between.reason[REASON_EXPIRED] = 5;
	between.reason[REASON_NO_RECORD] = 9;
	between.reason[REASON_VARY] = 5;
	between.reason[REASON_METHOD] = 6;
	between.reason[REASON_NO_FRESHNESS] = 2;
	between.reason[REASON_PRIVATE] = 3;
	between.reason[REASON_STALE_ERROR] = 4;
}

static void fill_listeners(void)
{
	static const char *const names[][2] = {
		{"127.0.0.1:3128", ""},
		{"127.0.0.1:3129", ""},
		{"127.0.0.1:8080", "http://a.test"},
		{"127.0.0.1:8081", "http://b.test"},
	};

	for (unsigned i = 0; i < 4; i++)
		listener_names_row(&service.listeners, names[i][0], names[i][1]);
	for (unsigned i = 0; i <= 4; i++) {
		sum.listeners[i].bytes_in = 500;
		sum.listeners[i].bytes_out = 1000 + i;
		for (unsigned kind = 0; kind < ANSWER_COUNT; kind++)
			sum.listeners[i].answer[kind] = 10 * i + kind;
	}
}

static void fill_names(void)
{
	hosts = (struct sketch_view){.count = 3,
				     .row = {{"a.test:80", {1, 2, 3, 4, 5, 6}, 70, 80},
					     {"b.test:80", {9}, 0, 0},
					     {"c.test:80", {8}, 0, 1}},
				     .other = {11, 12, 13, 14, 15, 16},
				     .other_names = 17,
				     .error = 18};
	urls = (struct sketch_view){.count = 1,
				    .row = {{"http://a.test/", {21, 22, 23, 24, 25, 26}, 0, 0}},
				    .other = {31, 32, 33, 34, 35, 36},
				    .other_names = 37,
				    .error = 38};
	failing = (struct sketch_view){.count = 1, .row = {{"a.test:80", {7, 0, 0, 1, 6}, 0, 0}}};
}

static void fill_store(void)
{
	struct stats_store counts = {.cache = {.stored = 41, .dropped = 42, .evicted_fresh = 43},
				     .evictions = 44,
				     .failures = 45};

	counts.cache.evicted_age[4] = 10;
	counts.cache.evicted_age[7] = 90;
	stats_store_set(&between, &counts);
	dash.store = (struct store_usage){
		.entries = 46, .bytes_used = 47, .bytes_size = 48, .evictions = 1, .failures = 1};
}

static void fill_happened(void)
{
	struct recent_error_names names = {SLICE("a.test:80"), SLICE("http://a.test/x"),
					   SLICE("Connection refused")};
	struct in_flight_row hanging[] = {
		{NOW_MS - 3000, IN_FLIGHT_FIRST_BYTE, 2, "http://a.test/slow"},
		{NOW_MS - 1001, IN_FLIGHT_CONNECT, 0, "http://b.test/"}};
	struct mark mark = {.name = "run1", .note = "before", .wall_ms = WALL_MS - 5000};
	char gone[MARK_NAME_MAX + 1];
	struct http_uri uri;

	recent_errors_add(FAILURE_ORIGIN_REFUSED, 502, &names, NOW_MS - 400);
	recent_errors_add(FAILURE_ORIGIN_REFUSED, 502, &names, NOW_MS - 300);
	in_flight_note(hanging, 2);
	events_add(service.events, EVENT_PURGE, "all of %s", "it");
	events_add(service.events, EVENT_RELOAD, "generation 2");
	assert_true(marks_set(service.marks, &mark, &sum, gone));
	assert_int_equal(http_uri_parse_absolute(SLICE("http://a.test/new"), &uri), URI_OK);
	last_uris_note(REASON_NO_RECORD, &uri);
}

/* So many hits in each second, from the second on that ends then. */
static void run(uint64_t second, unsigned seconds, uint64_t hits)
{
	static struct stats counted;

	for (unsigned i = 0; i < seconds; i++) {
		STATS_BUMP(counted.answers.at[STATUS_204][OUTCOME_HIT], hits);
		history_sample(service.history, &counted, (int64_t)(second + i) * 1000);
	}
}

static void fill(void)
{
	fill_answers();
	fill_traffic();
	fill_listeners();
	fill_names();
	fill_store();
	fill_happened();
	run(7201, 9, 3);
}

/* Those in the text are of now, so they are taken from where they are kept. */
static void expect_events(json_t *expected)
{
	struct event listed[EVENTS_MAX];
	unsigned count = events_list(service.events, listed);

	for (unsigned i = 0; i < count; i++)
		json_object_set_new(json_array_get(expected, i), "ms",
				    json_integer(listed[i].wall_ms));
}

static void test_all_of_it(void **state)
{
	json_t *expected = json_load_file("tests/vectors/dash/whole.json", 0, NULL), *member;
	const char *name;

	(void)state;
	fill();
	read_json();
	assert_non_null(expected);
	expect_events(json_object_get(expected, "events"));
	json_object_foreach(expected, name, member)
	{
		char *text =
			json_dumps(member, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));

		assert_string_equal(json_at(name), text);
		free(text);
	}
	assert_int_equal(json_at_count(""), json_object_size(expected));
	json_decref(expected);
}

/* What is not known yet is null, which is not 0. */
static void test_of_nothing(void **state)
{
	static const char *const nulls[] = {"share.w60",
					    "share.w3600",
					    "share.w0",
					    "latency_us.hit.p50",
					    "latency_us.miss.max",
					    "origin_us.tls.p90",
					    "origin_reused",
					    "saved.bytes_in",
					    "store.evicted_age_s.p10",
					    "store.evicted_age_s.p50",
					    "proxy"};
	static const char *const empty[] = {
		"gateways", "other.by", "asked",         "not_stored",       "hosts", "urls",
		"notes",    "events",   "errors_recent", "in_flight.oldest", "marks"};

	(void)state;
	read_json();
	for (unsigned i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		assert_string_equal(json_at(nulls[i]), "null");
	for (unsigned i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		assert_string_equal(json_at(empty[i]), "[]");
	assert_string_equal(json_at("answers204"),
			    "{\"fresh\":0,\"shared\":0,\"stale\":0,\"confirmed\":0,\"fetched\":0}");
	assert_string_equal(json_at("state"), "\"serving\"");
	dash.leaving = true;
	dash.restored = true;
	read_json();
	assert_string_equal(json_at("state"), "\"leaving\"");
	assert_string_equal(json_at("store.restored"), "true");
	assert_string_equal(json_at("notes.0.id"), "\"leaving\"");
	assert_string_equal(json_at("notes.0.level"), "\"info\"");
	assert_string_equal(json_at("notes.0.since_ms"), "null");
}

/* Gauges of workers that died in the middle of a step may be below 0 for a moment. */
static void test_no_gauge_is_below_0(void **state)
{
	(void)state;
	between.clients = -1;
	sum.waiting = -1;
	sum.exchanges = 2;
	sum.tunnels_open = 3;
	read_json();
	assert_string_equal(json_at("clients"), "0");
	assert_string_equal(json_at("in_flight.n"), "0");
	assert_string_equal(json_at("in_flight.waiting"), "0");
	sum.origin_requests = 1;
	sum.origin_bytes_in = 50;
	between.answers.at[STATUS_204][OUTCOME_HIT] = 2;
	between.clients = sum.waiting = sum.tunnels_open = 1;
	read_json();
	assert_string_equal(json_at("clients"), "1");
	assert_string_equal(json_at("in_flight.n"), "1");
	assert_string_equal(json_at("in_flight.waiting"), "1");
	assert_string_equal(json_at("saved.bytes_in"), "100");
}

static void test_states_of_hosts(void **state)
{
	static const struct {
		unsigned failures, asked, p50_us;
		int64_t ago_ms; /* the last error; -1 for none */
		const char *state;
	} cases[] = {
		{0, 0, 0, -1, "\"ok\""},         {2, 1, 0, 60000, "\"refused\""},
		{2, 1, 0, 60001, "\"ok\""},      {2, 1, 0, -1, "\"ok\""},
		{2, 2, 0, 10, "\"ok\""},         {2, 1, 2000000, 10, "\"refused\""},
		{0, 9, 49999, -1, "\"ok\""}, /* not slow enough by itself */
		{0, 9, 50000, -1, "\"slow\""},   {2, 2, 50000, 10, "\"slow\""},
		{0, 9, 999999, -2, "\"ok\""}, /* as all are slow, but */
		{0, 9, 1000000, -2, "\"slow\""},
	};
	struct recent_error_names names = {SLICE("a.test:80"), SLICE(""), SLICE("")};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(NULL);
		hosts = (struct sketch_view){.count = 1,
					     .row = {{"a.test:80",
						      {[SKETCH_FAILURES] = cases[i].failures,
						       [SKETCH_ASKED] = cases[i].asked},
						      cases[i].p50_us,
						      cases[i].p50_us}}};
		if (cases[i].ago_ms >= 0)
			recent_errors_add(FAILURE_ORIGIN_REFUSED, 502, &names,
					  NOW_MS - cases[i].ago_ms);
		histogram_add(&between.origin_first_byte, cases[i].ago_ms == -2 ? 300000 : 7, 1);
		read_json();
		assert_string_equal(json_at("hosts.0.state"), cases[i].state);
	}
	/* Five times as slow as all. */
	begin(NULL);
	histogram_add(&between.origin_first_byte, 20000, 1);
	hosts.count = 1;
	hosts.row[0].first_byte_p50_us =
		5 * (uint32_t)histogram_quantile(&between.origin_first_byte, 0.5);
	read_json();
	assert_string_equal(json_at("hosts.0.state"), "\"slow\"");
	hosts.row[0].first_byte_p50_us--;
	read_json();
	assert_string_equal(json_at("hosts.0.state"), "\"ok\"");
}

/* The middle of its bucket; all in one, the last one among them, are told as well. */
static void test_ages_of_what_was_evicted(void **state)
{
	static const struct {
		unsigned bucket[2];
		uint64_t n[2];
		const char *p10, *p50;
	} cases[] = {
		{{0, 1}, {1, 0}, "1", "1"},
		{{1, 2}, {5, 0}, "1", "1"},
		{{2, 9}, {1, 9}, "2", "28"},
		{{2, 9}, {1, 10}, "28", "28"},
		{{3, 10}, {5, 5}, "3", "3"},
		{{3, 10}, {4, 5}, "3", "40"},
		{{48, 49}, {5, 1}, "20971520", "20971520"},
		{{48, 49}, {1, 9}, "20971520", "29360128"},
		{{49, 0}, {3, 0}, "29360128", "29360128"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stats_store counts = {.evictions = 1, .cache = {.compared = 1000000}};

		for (unsigned n = 0; n < 2; n++)
			counts.cache.evicted_age[cases[i].bucket[n]] = cases[i].n[n];
		stats_store_set(&between, &counts);
		read_json();
		assert_string_equal(json_at("store.evicted_age_s.p10"), cases[i].p10);
		assert_string_equal(json_at("store.evicted_age_s.p50"), cases[i].p50);
	}
}

/* ---- the chart ------------------------------------------------------------------------------ */

/* From the start on, as far back as rows are kept, and from the number asked for. */
static void test_rows_of_the_chart(void **state)
{
	(void)state;
	run(7201, 9, 3);
	read_json();
	assert_int_equal(json_at_count("history.columns.fresh"), 9);
	assert_string_equal(json_at("history.columns.fresh"), "[null,3,3,3,3,3,3,3,3]");
	rows.after = 7208;
	read_json();
	assert_string_equal(json_at("history.columns.fresh"), "[3,3]");
	rows.after = 7209;
	read_json();
	assert_string_equal(json_at("history.columns.fresh"), "[3]");
	rows.after = 7210;
	read_json();
	assert_string_equal(json_at("history.columns.fresh"), "[]");
	assert_string_equal(json_at("history.next"), "7210");
	rows.after = 8000;
	read_json();
	assert_string_equal(json_at("history.columns.fresh"), "[]");
}

static void test_the_chart_is_as_long_as_rows_are_kept(void **state)
{
	(void)state;
	run(7201, 4000, 2);
	rows.now_ms = (7201 + 4000) * 1000;
	read_json();
	assert_string_equal(json_at("history.step_s"), "1");
	assert_int_equal(json_at_count("history.columns.fresh"), HISTORY_SECONDS);
	assert_string_equal(json_at("history.columns.fresh.0"), "2");
	rows.step_s = 10;
	read_json();
	assert_string_equal(json_at("history.step_s"), "10");
	assert_string_equal(json_at("history.next"), "1121");
	assert_string_equal(json_at("history.end_ms"),
			    "1699999999400"); /* 11,200 s; it is 11,201 s */
	assert_int_equal(json_at_count("history.columns.fresh"), HISTORY_TENS);
	assert_string_equal(json_at("history.columns.fresh.0"), "20");
	assert_string_equal(json_at("history.columns.fresh.359"), "20");
}

/* A machine that has just started: its clock is younger than the chart is long. */
static void test_the_chart_of_a_young_machine(void **state)
{
	(void)state;
	rows.started_us = 2000000;
	rows.now_ms = 5000;
	run(3, 3, 1);
	read_json();
	assert_string_equal(json_at("history.columns.fresh"), "[null,1,1]");
	assert_string_equal(json_at("history.next"), "6");
	rows.started_us = 0;
	read_json();
	assert_string_equal(json_at("history.columns.fresh"), "[null,null,null,1,1]");
	rows.now_ms = HISTORY_SECONDS * 1000;
	run(6, HISTORY_SECONDS - 5, 1);
	read_json();
	assert_int_equal(json_at_count("history.columns.fresh"), HISTORY_SECONDS);
	rows.started_us = -1000000;
	rows.now_ms = (HISTORY_SECONDS - 1) * 1000;
	read_json();
	assert_int_equal(json_at_count("history.columns.fresh"), HISTORY_SECONDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_of_it, begin, end),
		cmocka_unit_test_setup_teardown(test_of_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_no_gauge_is_below_0, begin, end),
		cmocka_unit_test_setup_teardown(test_states_of_hosts, begin, end),
		cmocka_unit_test_setup_teardown(test_ages_of_what_was_evicted, begin, end),
		cmocka_unit_test_setup_teardown(test_rows_of_the_chart, begin, end),
		cmocka_unit_test_setup_teardown(test_the_chart_is_as_long_as_rows_are_kept, begin,
						end),
		cmocka_unit_test_setup_teardown(test_the_chart_of_a_young_machine, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
