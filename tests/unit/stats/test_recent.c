/* LINKS: proxy/stats */
/* The last errors, events, and what hangs: gathered, merged over workers, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_errors_are_one),
		cmocka_unit_test(test_an_error_that_comes_back_begins_anew),
		cmocka_unit_test(test_the_latest_of_many_are_kept),
		cmocka_unit_test(test_the_oldest_in_flight_of_all_workers),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
