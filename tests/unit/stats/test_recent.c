/* LINKS: proxy/stats */
/* The last errors, events, and what hangs: gathered, merged over workers, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/base/wall_clock.h"
#include "proxy/stats/events.h"
#include "proxy/stats/in_flight.h"
#include "proxy/stats/recent_errors.h"

enum { WORKERS = 3 };

static struct recent_error errors[RECENT_ERRORS_MAX];

static void add_error(enum failure failure, unsigned status, const char *host, int64_t now_ms)
{
	char uri[64];
	struct recent_error_names names = {.host = slice_str(host), .detail = SLICE("why")};

	snprintf(uri, sizeof(uri), "http://%s/%lld", host, (long long)now_ms);
	names.uri = slice_str(uri);
	recent_errors_add(failure, status, &names, now_ms);
}

static void test_equal_errors_are_one(void **state)
{
	struct recent_errors *blocks = recent_errors_map(WORKERS);

	(void)state;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		recent_errors_attach(blocks, worker);
		for (int i = 0; i < 5; i++)
			add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", 1000 * worker + i);
	}
	add_error(FAILURE_ORIGIN_REFUSED, 204, "a.test",
		  5000); /* hidden: another thing to a client */
	add_error(FAILURE_ORIGIN_TIMEOUT, 504, "b.test", 4000);
	assert_int_equal(recent_errors_list(blocks, WORKERS, errors), 3);
	assert_int_equal(errors[0].status, 204);
	assert_string_equal(errors[1].host, "b.test");
	assert_int_equal(errors[2].count, 15);
	assert_int_equal(errors[2].first_ms, 0);
	assert_int_equal(errors[2].last_ms, 2004);
	assert_string_equal(errors[2].uri, "http://a.test/2004");
	assert_string_equal(errors[2].detail, "why");
}

static void test_an_error_that_comes_back_begins_anew(void **state)
{
	struct recent_errors *blocks = recent_errors_map(1);

	(void)state;
	recent_errors_attach(blocks, 0);
	add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", 1000);
	add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", 1000 + RECENT_ERRORS_GAP_MS);
	assert_int_equal(recent_errors_list(blocks, 1, errors), 1);
	assert_int_equal(errors[0].count, 2);
	add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", 1002 + 2 * RECENT_ERRORS_GAP_MS);
	recent_errors_list(blocks, 1, errors);
	assert_int_equal(errors[0].count, 1);
	assert_int_equal(errors[0].first_ms, 1002 + 2 * RECENT_ERRORS_GAP_MS);
	/* The next worker in the block goes on with what is there. */
	recent_errors_attach(blocks, 0);
	add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", 1003 + 2 * RECENT_ERRORS_GAP_MS);
	recent_errors_list(blocks, 1, errors);
	assert_int_equal(errors[0].count, 2);
}

static void test_the_latest_of_many_are_kept(void **state)
{
	struct recent_errors *blocks = recent_errors_map(2);
	char host[400];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		if (i % 100 == 0)
			recent_errors_attach(blocks, i / 100);
		snprintf(host, sizeof(host), "%u.test", i);
		add_error(FAILURE_DNS_ERROR, 502, host, i);
	}
	assert_int_equal(recent_errors_list(blocks, 2, errors), RECENT_ERRORS_MAX);
	for (unsigned i = 0; i < RECENT_ERRORS_MAX; i++)
		assert_int_equal(errors[i].last_ms, 199 - i);
	memset(host, 'x', sizeof(host));
	recent_errors_add(FAILURE_DNS_ERROR, 502,
			  &(struct recent_error_names){slice_of(host, sizeof(host)),
						       slice_of(host, sizeof(host)),
						       slice_of(host, sizeof(host))},
			  1000);
	recent_errors_add(FAILURE_DNS_ERROR, 502,
			  &(struct recent_error_names){slice_of(host, sizeof(host)),
						       slice_of(host, sizeof(host)),
						       slice_of(host, sizeof(host))},
			  1001);
	recent_errors_list(blocks, 2, errors);
	assert_int_equal(errors[0].count, 2);
	assert_int_equal(strlen(errors[0].uri), RECENT_URI_MAX);
	assert_int_equal(strlen(errors[0].detail), RECENT_DETAIL_MAX);
}

static void test_the_oldest_in_flight_of_all_workers(void **state)
{
	struct in_flight *blocks = in_flight_map(WORKERS);
	struct in_flight_row rows[IN_FLIGHT_MAX];

	(void)state;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		in_flight_attach(blocks, worker);
		for (unsigned i = 0; i < IN_FLIGHT_MAX; i++)
			rows[i] = (struct in_flight_row){.since_ms = 10 * i + worker,
							 .uri = "http://a/"};
		in_flight_note(rows, worker == 1 ? 2 : IN_FLIGHT_MAX);
	}
	assert_int_equal(in_flight_list(blocks, WORKERS, rows), IN_FLIGHT_MAX);
	assert_int_equal(rows[0].since_ms, 0);
	assert_int_equal(rows[4].since_ms, 11);
	for (unsigned i = 1; i < IN_FLIGHT_MAX; i++)
		assert_true(rows[i - 1].since_ms <= rows[i].since_ms);
	in_flight_clear(blocks, 0);
	in_flight_note(rows, 0); /* of the last worker */
	assert_int_equal(in_flight_list(blocks, WORKERS, rows), 2);
}

static void test_events(void **state)
{
	struct events *events = events_map();
	struct event listed[EVENTS_MAX];

	(void)state;
	assert_int_equal(events_list(events, listed), 0);
	for (unsigned i = 0; i < 3 * EVENTS_MAX; i++)
		events_add(events, EVENT_PURGE, "%u%0400u", i, 0U);
	assert_int_equal(events_list(events, listed), EVENTS_MAX);
	assert_int_equal(strlen(listed[0].text), EVENT_TEXT_MAX);
	assert_memory_equal(listed[0].text, "640", 3);
	assert_string_equal(event_name(listed[0].kind), "purge");
}

/* A worker that has no block yet: nothing is kept, and nothing is written anywhere. */
static void test_nothing_before_attach(void **state)
{
	struct in_flight_row row = {.since_ms = 1};

	(void)state;
	add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", 1);
	in_flight_note(&row, 1);
}

/* Whichever worker's comes first in memory: the texts are the later's, the time the earlier's. */
static void test_joined_errors_in_either_order(void **state)
{
	static const struct {
		int64_t first[2], last[2];
	} cases[] = {
		{{100, 200}, {300, 400}}, {{200, 100}, {400, 300}}, {{100, 200}, {400, 300}},
		{{200, 100}, {300, 400}}, {{100, 100}, {300, 300}},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct recent_errors *blocks = recent_errors_map(2);
		int64_t latest =
			cases[i].last[0] < cases[i].last[1] ? cases[i].last[1] : cases[i].last[0];
		char uri[64];

		for (unsigned worker = 0; worker < 2; worker++) {
			recent_errors_attach(blocks, worker);
			add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", cases[i].first[worker]);
			add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", cases[i].last[worker]);
		}
		assert_int_equal(recent_errors_list(blocks, 2, errors), 1);
		assert_int_equal(errors[0].count, 4);
		assert_int_equal(errors[0].first_ms, 100);
		assert_int_equal(errors[0].last_ms, latest);
		snprintf(uri, sizeof(uri), "http://a.test/%lld", (long long)latest);
		assert_string_equal(errors[0].uri, uri);
	}
}

/* Failure, what the client got, and host: each makes another error of it. */
static void test_what_makes_errors_equal(void **state)
{
	struct recent_errors *blocks = recent_errors_map(2);

	(void)state;
	for (unsigned worker = 0; worker < 2; worker++) {
		recent_errors_attach(blocks, worker);
		add_error(FAILURE_ORIGIN_REFUSED, 502, "a.test", 10);
		add_error(FAILURE_ORIGIN_REFUSED, 502, "a.tesu", 20);
		add_error(FAILURE_ORIGIN_REFUSED, 204, "a.test", 30);
		add_error(FAILURE_ORIGIN_TIMEOUT, 502, "a.test", 40);
	}
	assert_int_equal(recent_errors_list(blocks, 2, errors), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(errors[i].count, 2);
		assert_int_equal(errors[i].last_ms, 40 - 10 * i);
	}
	assert_int_equal(errors[0].failure, FAILURE_ORIGIN_TIMEOUT);
	assert_int_equal(errors[1].status, 204);
	assert_string_equal(errors[2].host, "a.tesu");
}

/* Of more errors than one list has, those of the worker that is looked at last are in it, too. */
static void test_the_latest_whoever_had_them(void **state)
{
	struct recent_errors *blocks = recent_errors_map(2);
	char host[32];

	(void)state;
	for (unsigned i = 0; i < 2 * RECENT_ERRORS_MAX; i++) {
		if (i % RECENT_ERRORS_MAX == 0)
			recent_errors_attach(blocks, 1 - i / RECENT_ERRORS_MAX);
		snprintf(host, sizeof(host), "%u.test", i);
		add_error(FAILURE_DNS_ERROR, 502, host, i);
	}
	assert_int_equal(recent_errors_list(blocks, 2, errors), RECENT_ERRORS_MAX);
	for (unsigned i = 0; i < RECENT_ERRORS_MAX; i++)
		assert_int_equal(errors[i].last_ms, 2 * RECENT_ERRORS_MAX - 1 - i);
	assert_int_equal(recent_errors_list(blocks, 1, errors), RECENT_ERRORS_MAX);
	assert_int_equal(errors[0].last_ms, 2 * RECENT_ERRORS_MAX - 1);
	assert_int_equal(recent_errors_list(blocks, 0, errors), 0);
}

static void test_equally_late_errors_stay(void **state)
{
	struct recent_errors *blocks = recent_errors_map(2);
	char host[32];

	(void)state;
	for (unsigned i = 0; i <= RECENT_ERRORS_MAX; i++) {
		if (i % RECENT_ERRORS_MAX == 0)
			recent_errors_attach(blocks, i / RECENT_ERRORS_MAX);
		snprintf(host, sizeof(host), "%u.test", i);
		add_error(FAILURE_DNS_ERROR, 502, host, 7);
	}
	assert_int_equal(recent_errors_list(blocks, 2, errors), RECENT_ERRORS_MAX);
	for (unsigned i = 0; i < RECENT_ERRORS_MAX; i++)
		assert_string_not_equal(errors[i].host, host);
}

/* Texts of the length that there is room for, one less and one more. */
static void test_texts_of_errors_fit(void **state)
{
	char text[RECENT_HOST_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (unsigned less = 0; less < 3; less++) {
		struct recent_errors *blocks = recent_errors_map(1);
		struct recent_error_names names = {
			.host = slice_of(text, RECENT_HOST_MAX + 1 - less),
			.uri = slice_of(text, RECENT_URI_MAX + 1 - less),
			.detail = slice_of(text, RECENT_DETAIL_MAX + 1 - less)};
		unsigned cut = less == 0 ? 0 : less - 1;

		recent_errors_attach(blocks, 0);
		recent_errors_add(FAILURE_DNS_ERROR, 502, &names, 5);
		assert_int_equal(recent_errors_list(blocks, 1, errors), 1);
		assert_int_equal(strlen(errors[0].host), RECENT_HOST_MAX - cut);
		assert_int_equal(strlen(errors[0].uri), RECENT_URI_MAX - cut);
		assert_int_equal(strlen(errors[0].detail), RECENT_DETAIL_MAX - cut);
	}
}

/* In the order of their age, the earlier worker's first of equals; no more than there is room for. */
static void test_what_hangs_is_in_order(void **state)
{
	static const int64_t since[3][4] = {{70, 30, 50, 30}, {30, 10, 90, 20}, {5, 60, 40, 80}};
	static const int64_t expected[IN_FLIGHT_MAX] = {5, 10, 20, 30, 30, 30, 40, 50, 60, 70};
	struct in_flight *blocks = in_flight_map(WORKERS);
	struct in_flight_row rows[IN_FLIGHT_MAX];

	(void)state;
	for (unsigned worker = 0; worker < WORKERS; worker++) {
		in_flight_attach(blocks, worker);
		for (unsigned i = 0; i < 4; i++)
			rows[i] = (struct in_flight_row){
				.since_ms = since[worker][i], .phase = i % 3, .waiters = worker};
		in_flight_note(rows, 4);
	}
	assert_int_equal(in_flight_list(blocks, WORKERS, rows), IN_FLIGHT_MAX);
	for (unsigned i = 0; i < IN_FLIGHT_MAX; i++)
		assert_int_equal(rows[i].since_ms, expected[i]);
	assert_int_equal(rows[3].waiters + rows[4].waiters, 0);
	assert_int_equal(rows[5].waiters, 1);
	assert_int_equal(rows[0].phase, IN_FLIGHT_CONNECT);
	assert_int_equal(rows[2].phase, IN_FLIGHT_CONNECT);
	assert_int_equal(in_flight_list(blocks, 2, rows), 8);
	assert_int_equal(in_flight_list(blocks, 0, rows), 0);
	assert_string_equal(in_flight_phase_name(IN_FLIGHT_CONNECT), "connect");
	assert_string_equal(in_flight_phase_name(IN_FLIGHT_FIRST_BYTE), "first-byte");
	assert_string_equal(in_flight_phase_name(IN_FLIGHT_CONTENT), "content");
}

/* More than a block has rows for leave those of the next block alone; who takes a block has none. */
static void test_what_hangs_is_bounded(void **state)
{
	struct in_flight *blocks = in_flight_map(2);
	struct in_flight_row rows[IN_FLIGHT_MAX + 2];

	(void)state;
	for (unsigned i = 0; i < IN_FLIGHT_MAX + 2; i++)
		rows[i] = (struct in_flight_row){.since_ms = i};
	in_flight_attach(blocks, 1);
	in_flight_note(rows, 2);
	in_flight_attach(blocks, 0);
	in_flight_note(rows + 1, IN_FLIGHT_MAX + 1);
	assert_int_equal(in_flight_list(blocks, 1, rows), IN_FLIGHT_MAX);
	assert_int_equal(rows[IN_FLIGHT_MAX - 1].since_ms, IN_FLIGHT_MAX);
	assert_int_equal(in_flight_list(blocks, 2, rows), IN_FLIGHT_MAX);
	assert_int_equal(rows[0].since_ms, 0);
	assert_int_equal(rows[1].since_ms + rows[2].since_ms, 2);
	assert_int_equal(rows[IN_FLIGHT_MAX - 1].since_ms, IN_FLIGHT_MAX - 2);
	in_flight_attach(blocks, 0);
	assert_int_equal(in_flight_list(blocks, 2, rows), 2);
}

/* A row that its worker was killed in is passed over. */
static void test_half_a_row_hangs_nowhere(void **state)
{
	struct in_flight *blocks = in_flight_map(1);
	struct in_flight_row rows[IN_FLIGHT_MAX] = {{.since_ms = 1}, {.since_ms = 2}};
	uint64_t ticket;

	(void)state;
	in_flight_attach(blocks, 0);
	in_flight_note(rows, 2);
	ticket = ((uint64_t *)blocks)[2]; /* of the first row */
	in_flight_note(rows, 2);
	assert_int_not_equal(((uint64_t *)blocks)[2], ticket); /* readers see that it is another */
	((uint64_t *)blocks)[2] = 0;
	assert_int_equal(in_flight_list(blocks, 1, rows), 1);
	assert_int_equal(rows[0].since_ms, 2);
}

/* Each that is kept, from the first to the one that drives it out, with its time and its kind. */
static void test_each_event(void **state)
{
	static const char *const names[] = {"start", "reload", "purge", "worker"};
	struct events *events = events_map();
	struct event listed[EVENTS_MAX];
	int64_t before_ms = wall_clock_ms();

	(void)state;
	for (unsigned i = 1; i <= EVENTS_MAX + 2; i++) {
		char first[16], last[16];
		unsigned kept = i < EVENTS_MAX ? i : EVENTS_MAX;

		events_add(events, (enum event_kind)(i % 4), "%u", i);
		assert_int_equal(events_list(events, listed), kept);
		snprintf(first, sizeof(first), "%u", i - kept + 1);
		snprintf(last, sizeof(last), "%u", i);
		assert_string_equal(listed[0].text, first);
		assert_string_equal(listed[kept - 1].text, last);
		assert_string_equal(event_name(listed[kept - 1].kind), names[i % 4]);
		assert_in_range(listed[kept - 1].wall_ms, before_ms, wall_clock_ms());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_before_attach),
		cmocka_unit_test(test_equal_errors_are_one),
		cmocka_unit_test(test_an_error_that_comes_back_begins_anew),
		cmocka_unit_test(test_the_latest_of_many_are_kept),
		cmocka_unit_test(test_the_oldest_in_flight_of_all_workers),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_joined_errors_in_either_order),
		cmocka_unit_test(test_what_makes_errors_equal),
		cmocka_unit_test(test_the_latest_whoever_had_them),
		cmocka_unit_test(test_equally_late_errors_stay),
		cmocka_unit_test(test_texts_of_errors_fit),
		cmocka_unit_test(test_what_hangs_is_in_order),
		cmocka_unit_test(test_what_hangs_is_bounded),
		cmocka_unit_test(test_half_a_row_hangs_nowhere),
		cmocka_unit_test(test_each_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
