/* LINKS: proxy/stats */
/* Sentences for operators: which, in which order, and what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/stats/notes.h"
#include "proxy/stats/stats.h"

static struct stats minute, hour;
static struct sketch_view hosts;
static struct recent_error errors[RECENT_ERRORS_MAX];
static struct event events[EVENTS_MAX];
static struct reload_result reload;
static struct notes_input input;
static struct note notes[NOTES_MAX];

static int begin(void **state)
{
	(void)state;
	memset(&minute, 0, sizeof(minute));
	memset(&hour, 0, sizeof(hour));
	memset(&hosts, 0, sizeof(hosts));
	reload = (struct reload_result){.ok = true};
	input = (struct notes_input){
		.now_ms = 1000000,
		.wall_ms = 5000000000,
		.minute = &minute,
		.hour = &hour,
		.hosts = &hosts,
		.errors = errors,
		.events = events,
		.reload = &reload,
		.workers_alive = 2,
		.workers_wanted = 2,
	};
	return 0;
}

static void add_host(const char *name, uint64_t requests, uint64_t here, uint64_t failures)
{
	struct sketch_row *row = &hosts.row[hosts.count++];

	snprintf(row->name, sizeof(row->name), "%.*s", SKETCH_NAME_MAX, name);
	row->field[SKETCH_REQUESTS] = requests;
	row->field[SKETCH_HERE] = row->field[SKETCH_STALE] = here;
	row->field[SKETCH_FAILURES] = failures;
}

static void add_error(const char *host, enum failure failure, int64_t first_ms)
{
	struct recent_error *error = &errors[input.error_count++];

	*error = (struct recent_error){.failure = failure, .first_ms = first_ms, .last_ms = 999000};
	snprintf(error->host, sizeof(error->host), "%s", host);
	snprintf(error->uri, sizeof(error->uri), "http://%s/x", host);
}

static void test_nothing(void **state)
{
	(void)state;
	assert_int_equal(notes_find(&input, notes), 0);
}

static void test_clients_pain_first(void **state)
{
	(void)state;
	add_host("stale.test", 50, 50, 60);
	add_host("dead.test", 7, 0, 7);
	add_error("stale.test", FAILURE_ORIGIN_REFUSED, 400000);
	add_error("dead.test", FAILURE_ORIGIN_TIMEOUT, 900000);
	assert_int_equal(notes_find(&input, notes), 2);
	assert_int_equal(notes[0].id, NOTE_ORIGIN_FAILS);
	assert_string_equal(note_level_name(notes[0].id), "bad");
	assert_string_equal(notes[0].text,
			    "dead.test does not answer: 7 requests of the last minute "
			    "went without its answer.");
	assert_int_equal(notes[0].since_ms, 5000000000 - 100000);
	assert_string_equal(notes[0].uri, "http://dead.test/x");
	assert_int_equal(notes[1].id, NOTE_ORIGIN_STALE);
	assert_string_equal(note_level_name(notes[1].id), "warn");
	assert_string_equal(notes[1].text, "stale.test refuses connections. Its clients still get "
					   "their 204s: 50 stale answers in the last minute.");
	assert_true(strlen(notes[0].advice) > 0 && strlen(notes[1].advice) > 0);
}

static void test_one_is_one(void **state)
{
	(void)state;
	add_host("a.test", 1, 0, 1);
	assert_int_equal(notes_find(&input, notes), 1);
	assert_string_equal(notes[0].text,
			    "a.test fails: 1 request of the last minute went without its answer.");
	assert_int_equal(notes[0].since_ms, 0);
}

static void test_the_service(void **state)
{
	(void)state;
	STATS_BUMP(minute.client_refused, 3);
	STATS_BUMP(minute.accept_pauses, 1);
	STATS_BUMP(minute.failure[FAILURE_TOO_MANY_TUNNELS], 2);
	STATS_BUMP(minute.log_dropped, 9);
	events[0] = (struct event){EVENT_WORKER, input.wall_ms - 1000, "worker 7 died"};
	events[1] = (struct event){EVENT_PURGE, input.wall_ms - 500, "purge"};
	input.event_count = 2;
	input.workers_alive = 1;
	reload = (struct reload_result){.ok = false, .at_s = 4, .text = "line 3: wrong\nmore"};
	assert_int_equal(notes_find(&input, notes), 7);
	for (unsigned i = 1; i < 7; i++)
		assert_true(notes[i - 1].id < notes[i].id); /* in the order of the table */
	assert_int_equal(notes[3].id, NOTE_WORKER_DIED);
	assert_string_equal(notes[3].text, "worker 7 died");
	assert_int_equal(notes[3].since_ms, input.wall_ms - 1000);
	assert_string_equal(notes[4].text, "1 of 2 workers serve.");
	assert_non_null(strstr(notes[5].text, "stays: line 3: wrong"));
	assert_null(strstr(notes[5].text, "more"));
	assert_int_equal(notes[5].since_ms, 4000);
}

static void test_old_news_is_none(void **state)
{
	(void)state;
	events[0] = (struct event){EVENT_WORKER, input.wall_ms - 3600000, "worker 7 died"};
	input.event_count = 1;
	assert_int_equal(notes_find(&input, notes), 0);
}

static void test_the_store(void **state)
{
	struct stats_store counts = {.evictions = 1000, .cache = {.evicted_fresh = 100}};

	(void)state;
	stats_store_set(&hour, &counts);
	assert_int_equal(notes_find(&input, notes), 0); /* a tenth is well */
	counts.cache.evicted_fresh = 420;
	stats_store_set(&hour, &counts);
	assert_int_equal(notes_find(&input, notes), 1);
	assert_string_equal(notes[0].text,
			    "The store is too small: 42 % of what was evicted in the "
			    "last hour was still fresh.");
	counts = (struct stats_store){.failures = 2, .cache = {.dropped = 5}};
	stats_store_set(&minute, &counts);
	assert_int_equal(notes_find(&input, notes), 3);
	assert_int_equal(notes[0].id, NOTE_STORE_FAILS);
	assert_int_equal(notes[1].id, NOTE_WRITES_DROPPED);
}

/* The only note there is; "" for none. */
static const char *only_note(void)
{
	unsigned count = notes_find(&input, notes);

	assert_in_range(count, 0, 1);
	return count == 0 ? "" : notes[0].text;
}

/* Each number that says one thing, as one and as several. */
static void test_each_number_of_a_minute(void **state)
{
	static const struct {
		_Atomic uint64_t *number;
		enum note_id id;
		const char *one, *two;
	} cases[] = {
		{&minute.client_refused, NOTE_CLIENTS_REFUSED, "1 connection of",
		 "2 connections of"},
		{&minute.accept_pauses, NOTE_NO_DESCRIPTORS, "reached 1 time in",
		 "reached 2 times in"},
		{&minute.failure[FAILURE_TOO_MANY_TUNNELS], NOTE_PLACES_TAKEN, "1 request of",
		 "2 requests of"},
		{&minute.failure[FAILURE_TOO_MANY_ORIGIN], NOTE_PLACES_TAKEN, "1 request of",
		 "2 requests of"},
		{&minute.failure[FAILURE_TOO_MANY_LOOKUPS], NOTE_PLACES_TAKEN, "1 request of",
		 "2 requests of"},
		{&minute.failure[FAILURE_TOO_MANY_LOGINS], NOTE_PLACES_TAKEN, "1 request of",
		 "2 requests of"},
		{&minute.log_dropped, NOTE_LOG_LOST, "1 line of", "2 lines of"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*cases[i].number = 1;
		assert_non_null(strstr(only_note(), cases[i].one));
		*cases[i].number = 2;
		assert_non_null(strstr(only_note(), cases[i].two));
		assert_int_equal(notes[0].id, cases[i].id);
		assert_int_equal(notes[0].since_ms, 0);
		assert_string_equal(notes[0].uri, "");
		assert_string_equal(notes[0].host, "");
		assert_in_range(strlen(notes[0].advice), 20, 200);
		*cases[i].number = 0;
	}
}

static void test_workers_that_are_missing(void **state)
{
	(void)state;
	input.workers_wanted = 3;
	assert_string_equal(only_note(), "2 of 3 workers serve.");
	input.workers_alive = 4;
	assert_string_equal(only_note(), "");
	input.workers_alive = 2;
	input.leaving = true;
	assert_string_equal(only_note(),
			    "The service is going down: what is in flight is finished.");
	assert_int_equal(notes[0].id, NOTE_LEAVING);
	assert_string_equal(note_name(notes[0].id), "leaving");
}

/* The last death of the last ten minutes. */
static void test_news_of_workers(void **state)
{
	(void)state;
	events[0] = (struct event){EVENT_WORKER, input.wall_ms - 600000, "worker 1 died"};
	input.event_count = 1;
	assert_string_equal(only_note(), "worker 1 died");
	events[0].wall_ms--;
	assert_string_equal(only_note(), "");
	events[0].wall_ms += 2;
	events[1] = (struct event){EVENT_WORKER, input.wall_ms - 10, "worker 2 died"};
	input.event_count = 2;
	assert_string_equal(only_note(), "worker 2 died");
	assert_int_equal(notes[0].since_ms, input.wall_ms - 10);
	events[0].kind = events[1].kind = EVENT_RELOAD;
	assert_string_equal(only_note(), "");
}

static void test_what_is_not_known_of_reloads(void **state)
{
	(void)state;
	input.reload = NULL;
	assert_string_equal(only_note(), "");
}

/* More than a tenth of a hundred or more. */
static void test_when_the_store_is_small(void **state)
{
	static const struct {
		uint64_t evictions, fresh;
		const char *percent;
	} cases[] = {{99, 99, ""},  {100, 10, ""},     {100, 11, "11 %"},
		     {200, 21, ""}, {200, 22, "11 %"}, {100, 100, "100 %"}};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stats_store counts = {.evictions = cases[i].evictions,
					     .cache = {.evicted_fresh = cases[i].fresh}};
		const char *text;

		stats_store_set(&hour, &counts);
		text = only_note();
		assert_int_equal(*text == '\0', *cases[i].percent == '\0');
		assert_non_null(strstr(text, cases[i].percent));
	}
}

/* More than a half of a hundred or more. */
static void test_when_204s_have_no_lifetime(void **state)
{
	static const struct {
		uint64_t fetched, without;
		const char *percent;
	} cases[] = {{99, 99, ""},
		     {100, 50, ""},
		     {100, 51, "51 % of the 204s"},
		     {200, 101, ""},
		     {1000, 999, "99 % of the 204s"}};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text;

		hour.answers.at[STATUS_204][OUTCOME_MISS] = cases[i].fetched;
		hour.reason[REASON_NO_FRESHNESS] = cases[i].without;
		text = only_note();
		assert_int_equal(*text == '\0', *cases[i].percent == '\0');
		assert_memory_equal(text, cases[i].percent, strlen(cases[i].percent));
	}
}

/* How many went without an answer: of those that failed, who got neither a record nor the origin's. */
static void test_who_went_without(void **state)
{
	static const struct {
		uint64_t requests, here, asked, failures;
		const char *text;
	} cases[] = {
		{9, 1, 2, 0, ""},
		{9, 1, 2, 8, "a.test fails: 6 requests of"},
		{9, 1, 2, 3, "a.test fails: 3 requests of"}, /* not all are over yet */
		{9, 4, 4, 9, "a.test fails: 1 request of"},
		{9, 4, 5, 9, "a.test fails. Its clients still get their 204s: 4 stale answers"},
		{9, 8, 5, 9, "a.test fails. Its clients still get their 204s: 8 stale answers"},
		{1, 1, 0, 1, "a.test fails. Its clients still get their 204s: 1 stale answer in"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text;

		hosts.count = 0;
		add_host("a.test", cases[i].requests, cases[i].here, cases[i].failures);
		hosts.row[0].field[SKETCH_ASKED] = cases[i].asked;
		text = only_note();
		assert_int_equal(*text == '\0', *cases[i].text == '\0');
		assert_memory_equal(text, cases[i].text, strlen(cases[i].text));
		if (*text != '\0')
			assert_string_equal(notes[0].advice,
					    "Its log, and the proxy's, may say why.");
	}
}

/* An error of another host says nothing; names in a sketch are cut. */
static void test_whose_error_it_is(void **state)
{
	char name[RECENT_HOST_MAX + 1];

	(void)state;
	add_host("a.test", 2, 0, 2);
	add_host("b.test", 2, 0, 2);
	hosts.count--; /* what stands behind the rows is none */
	add_error("b.test", FAILURE_ORIGIN_REFUSED, 900000);
	assert_memory_equal(only_note(), "a.test fails:", 13);
	add_error("a.test", FAILURE_DNS_ERROR, 990000);
	add_error("a.test", FAILURE_ORIGIN_TIMEOUT, 980000); /* before that one */
	assert_memory_equal(only_note(), "a.test has no address:", 22);
	assert_string_equal(notes[0].host, "a.test");
	assert_int_equal(notes[0].since_ms, input.wall_ms - 10000);
	memset(name, 'x', sizeof(name));
	name[RECENT_HOST_MAX] = '\0';
	hosts.count = input.error_count = 0;
	add_host(name, 2, 0, 2);
	add_error(name, FAILURE_TLS_TIMEOUT, 990000);
	assert_non_null(strstr(only_note(), "xxx fails at TLS:"));
}

/* A word for programs, and something to do, for whatever may fail at an origin. */
static void test_what_failing_is(void **state)
{
	static const struct {
		enum failure failure;
		const char *state, *words;
	} cases[] = {
		{FAILURE_DNS_ERROR, "dns", "has no address:"},
		{FAILURE_ORIGIN_REFUSED, "refused", "refuses connections:"},
		{FAILURE_ORIGIN_UNREACHABLE, "unreachable", "cannot be reached:"},
		{FAILURE_CONNECT_TIMEOUT, "timeout", "does not take connections:"},
		{FAILURE_TLS_PLAIN, "tls", "fails at TLS:"},
		{FAILURE_PARENT_REFUSED, "failing", "is not reached, as the parent proxy refuses:"},
		{FAILURE_RESPONSE_CUT, "failing", "breaks responses off:"},
		{FAILURE_INTERNAL, "failing", "fails:"},
	};

	(void)state;
	add_host("a.test", 2, 0, 2);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		input.error_count = 0;
		add_error("a.test", cases[i].failure, 990000);
		assert_string_equal(note_failure_state(cases[i].failure), cases[i].state);
		assert_memory_equal(only_note() + strlen("a.test "), cases[i].words,
				    strlen(cases[i].words));
		assert_true(strlen(notes[0].advice) > 0);
	}
}

/* Whatever is said at once, as much as there is room for. */
static void test_as_many_as_there_is_room_for(void **state)
{
	struct note more[NOTES_MAX + 1];
	struct stats_store counts = {.failures = 1, .cache = {.dropped = 1}};

	(void)state;
	for (unsigned i = 0; i < NOTE_HOSTS_MAX + 1; i++) {
		add_host("fails.test", 2, 0, 2);
		add_host("stale.test", 2, 2, 2);
	}
	minute.client_refused = minute.accept_pauses = minute.log_dropped = 1;
	minute.failure[FAILURE_TOO_MANY_TUNNELS] = 1;
	stats_store_set(&minute, &counts);
	counts = (struct stats_store){.evictions = 100, .cache = {.evicted_fresh = 100}};
	stats_store_set(&hour, &counts);
	events[0] = (struct event){EVENT_WORKER, input.wall_ms, "worker 7 died"};
	input.event_count = 1;
	input.workers_wanted = 3;
	reload = (struct reload_result){.ok = false, .text = "x"};
	memset(&more[NOTES_MAX], 0x55, sizeof(more[0]));
	assert_int_equal(notes_find(&input, more), NOTES_MAX);
	for (unsigned i = 0; i < NOTE_HOSTS_MAX; i++) {
		assert_int_equal(more[i].id, NOTE_ORIGIN_FAILS);
		assert_int_equal(more[i + NOTE_HOSTS_MAX + 6].id, NOTE_ORIGIN_STALE);
	}
	assert_int_equal(more[NOTES_MAX - 2].id, NOTE_RELOAD_REFUSED);
	assert_int_equal(more[NOTES_MAX - 1].id, NOTE_WRITES_DROPPED);
	assert_int_equal(more[NOTES_MAX].text[0], 0x55);
}

/* What is longer than the room for it is cut; of a reload's errors there is the first line. */
static void test_long_texts_are_cut(void **state)
{
	(void)state;
	reload = (struct reload_result){.ok = false};
	memset(reload.text, 'x', 500);
	assert_int_equal(strlen(strstr(only_note(), "stays: ")), strlen("stays: ") + 199);
	reload.text[199] = '\n';
	assert_int_equal(strlen(strstr(only_note(), "stays: ")), strlen("stays: ") + 199);
	reload.text[198] = '\n';
	assert_int_equal(strlen(strstr(only_note(), "stays: ")), strlen("stays: ") + 198);
}

/* Names fill a text, and more notes than there is room for are left out. */
static void test_bounds(void **state)
{
	char name[SKETCH_NAME_MAX + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < 20; i++)
		add_host(name, 2, 0, 2);
	reload = (struct reload_result){.ok = false};
	memset(reload.text, '{', sizeof(reload.text) - 1);
	assert_int_equal(notes_find(&input, notes), NOTE_HOSTS_MAX + 1);
	for (unsigned i = 0; i < NOTE_HOSTS_MAX + 1; i++)
		assert_true(strlen(notes[i].text) < NOTE_TEXT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing, begin),
		cmocka_unit_test_setup(test_clients_pain_first, begin),
		cmocka_unit_test_setup(test_one_is_one, begin),
		cmocka_unit_test_setup(test_the_service, begin),
		cmocka_unit_test_setup(test_old_news_is_none, begin),
		cmocka_unit_test_setup(test_the_store, begin),
		cmocka_unit_test_setup(test_bounds, begin),
		cmocka_unit_test_setup(test_each_number_of_a_minute, begin),
		cmocka_unit_test_setup(test_workers_that_are_missing, begin),
		cmocka_unit_test_setup(test_news_of_workers, begin),
		cmocka_unit_test_setup(test_what_is_not_known_of_reloads, begin),
		cmocka_unit_test_setup(test_when_the_store_is_small, begin),
		cmocka_unit_test_setup(test_when_204s_have_no_lifetime, begin),
		cmocka_unit_test_setup(test_who_went_without, begin),
		cmocka_unit_test_setup(test_whose_error_it_is, begin),
		cmocka_unit_test_setup(test_what_failing_is, begin),
		cmocka_unit_test_setup(test_as_many_as_there_is_room_for, begin),
		cmocka_unit_test_setup(test_long_texts_are_cut, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
