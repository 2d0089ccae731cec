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

	snprintf(row->name, sizeof(row->name), "%s", name);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
