/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/counted_memory.c */
/* What the log and the page's events tell of operators' changes, numbers of pages, and that pages keep no memory. */
#include "tests/doubles/counted_memory.h"
#include "tests/support/admin_fixture.h"
#include "tests/support/captured.h"

#include <stdio.h>

#include "proxy/base/log.h"
#include "proxy/stats/events.h"
#include "proxy/stats/reload.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define A "http://10.0.0.1/a"
#define FRESH "HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n"

static struct admin_fixture f;

static int setup(void **state)
{
	(void)state;
	admin_fixture_open(&f, "store_interval=0;variants=32");
	return 0;
}

static void pass(int64_t seconds)
{
	worker_fixture_pass(&f.world, seconds * 1000);
}

static void store(const char *uri, const char *answer)
{
	admin_fixture_fetch(&f, uri, "", answer);
	pass(1); /* it is written then */
}

static const char *get(const char *target)
{
	return admin_fixture_expect(&f, "GET", target, 200);
}

/* The operator's address, what was changed, and nothing that would break the line. */
static void changes_are_told(void **state)
{
	static const struct {
		const char *target;
		unsigned status;
		const char *log, *event;
	} cases[] = {
		{"/purge", 202, "purge of everything by 127.0.0.1: 1 URIs\n",
		 "purge of everything"},
		{"/purge?all=1&soft=1", 202, "soft purge of everything by 127.0.0.1\n",
		 "soft purge of everything"},
		{"/purge?uri=" A, 200, "purge of \"" A "\" by 127.0.0.1\n", "purge of " A},
		{"/purge?soft=1&uri=" A, 200, "soft purge of uri \"" A "\" by 127.0.0.1\n",
		 "soft purge of uri " A},
		{"/purge?prefix=http://10.0.0.1/d", 202,
		 "purge of prefix \"http://10.0.0.1/d\" by 127.0.0.1\n",
		 "purge of prefix http://10.0.0.1/d"},
		{"/purge?host=10.0.0.1:81&soft=1", 202,
		 "soft purge of host \"10.0.0.1\" by 127.0.0.1\n", "soft purge of host 10.0.0.1"},
		{"/purge?group=g%22&host=a", 202, "purge of group \"a g\\x22\" by 127.0.0.1\n",
		 "purge of group a g\""},
		{"/marks/m", 201, "mark m set by 127.0.0.1\n", NULL},
	};
	struct event events[EVENTS_MAX];

	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	store(A, FRESH);
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned before = events_list(f.service.events, events), after;
		struct captured captured;

		captured_begin(&captured, false);
		admin_fixture_expect(&f, "POST", cases[i].target, cases[i].status);
		captured_end(&captured);
		if (strstr(captured.err, cases[i].log) == NULL)
			fail_msg("%s: not '%s': %s", cases[i].target, cases[i].log, captured.err);
		captured_free(&captured);
		after = events_list(f.service.events, events);
		assert_int_equal(after - before, cases[i].event != NULL);
		for (unsigned n = 0; cases[i].event != NULL; n++) {
			assert_true(n < after);
			if (strcmp(events[n].text, cases[i].event) == 0)
				break;
		}
	}
	for (unsigned i = 1; i < 16; i++) {
		char target[32];

		snprintf(target, sizeof(target), "/marks/m%u", i);
		admin_fixture_expect(&f, "POST", target, 201);
	}
}

/* 503 bytes of a URI or prefix are in the line of the log. */
static void long_uris_are_cut_in_the_log(void **state)
{
	static const char *const targets[] = {
		"/purge?uri=", "/purge?prefix=", "/purge?soft=1&uri="};
	char uri[600] = "http://10.0.0.1/", target[700], line[600];

	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	memset(uri + strlen(uri), 'p', sizeof(uri) - 1 - strlen(uri));
	snprintf(line, sizeof(line), "\"%.503s...\" by 127.0.0.1", uri);
	for (size_t i = 0; i < COUNT(targets); i++) {
		struct captured captured;

		snprintf(target, sizeof(target), "%s%s", targets[i], uri);
		captured_begin(&captured, false);
		admin_fixture_ask(&f, "POST", target);
		captured_end(&captured);
		assert_tells(captured.err, line);
		captured_free(&captured);
	}
}

/* The oldest mark goes when there are too many, and all that there are can be named. */
static void names_of_marks(void **state)
{
	char target[160], names[16 * 36] = "";
	const char *text;

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		snprintf(target, sizeof(target), "/marks/a%031u", i);
		admin_fixture_expect(&f, "POST", target, 201);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s a%031u",
			 i == 0 ? "" : ",", i);
	}
	text = admin_fixture_expect(&f, "GET", "/stats?since=b", 404);
	assert_tells(text, "There is no mark \"b\". Set are");
	assert_tells(text, names);
	assert_tells(text, ": `cache204 mark NAME` or POST /marks/NAME sets one.\n");
	snprintf(target, sizeof(target), "/stats?since=%0120d", 0);
	snprintf(names, sizeof(names), "There is no mark \"%087d...\". Set are", 0);
	assert_tells(admin_fixture_expect(&f, "GET", target, 404), names);
}

/* A mark is of the moment at which it was set, not of when its turn began. */
static void pages_have_the_numbers(void **state)
{
	const char *text;

	(void)state;
	store(A, FRESH "Vary: X\r\n");
	admin_fixture_fetch(&f, A, "X: 1\r\n", FRESH "Vary: X\r\n");
	pass(7);
	text = get("/explain?uri=" A);
	assert_tells(text, "\"size\": ", "\"variants\": 2");
	text = strstr(text, "\"others\": [");
	assert_non_null(text);
	assert_tells(text, "\"variant\": \"1\"", "\"age_s\": 7,", "\"lifetime_s\": 60");
	assert_null(strstr(get("/explain?uri=" A), "\"size\": 0,"));
	reload_answer(f.service.reload,
		      &(struct reload_result){
			      .answered = 1, .generation = 2, .at_s = 77, .text = "line 3: no"});
	assert_tells(get("/dash.json"), "line 3: no", "\"restored\":false");
}

/* Of what an origin answers, each fault with where it is; a second is a lifetime. */
static void what_an_origin_answers(void **state)
{
	static const struct {
		const char *answer;
		const char *parts[3];
	} cases[] = {
		{"HTTP/1.1 204 No Content\r\nCache-Control: max-age=1\r\n",
		 {"Such an answer is stored, for 1 s:", "\"lifetime_s\": 1", ""}},
		{"HTTP/1.1 204 No Content\r\nX : 1\r\nCache-Control: max-age=60\r\n",
		 {"line 2", "\"stored\": false", "(mended)"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake_peer *operator= admin_fixture_connect(&f, "127.0.0.1");
		struct fake_peer *origin = NULL;
		const char *text;

		worker_fixture_say(&f.world, operator,
				   "POST /explain?fetch=1&uri=" A
				   " HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\n\r\n");
		for (unsigned n = 0; fake_peer_connected(n) != NULL; n++)
			origin = fake_peer_connected(n);
		assert_non_null(origin);
		fake_peer_say(origin, slice_str(cases[i].answer));
		worker_fixture_say(&f.world, origin, "\r\n");
		text = worker_fixture_got(&f.world, operator);
		for (unsigned n = 0; n < 3; n++)
			assert_tells(text, cases[i].parts[n]);
	}
}

/* Whatever it tells, and whatever was wrong with the question. */
static void pages_keep_no_memory(void **state)
{
	static const char *const targets[] = {
		"/",
		"/stats",
		"/stats?last=60s",
		"/stats?since=x",
		"/metrics",
		"/dash.json",
		"/dash.json?x=1",
		"/marks",
		"/entries",
		"/entries?limit=0",
		"/entries?host=10.0.0.1",
		"/purge",
		"/purge?id=1",
		"/purge?x=1",
		"/reload",
		"/explain",
		"/explain?uri=" A,
		"/explain?x=1&uri=" A,
		"/explain?uri=nonsense",
		"/explain?header=nonsense&uri=" A,
		"/explain?header=X:+1&method=POST&uri=" A,
	};
	static const char *const posts[] = {"/marks/m?note=%", "/purge?x=1",   "/purge?uri=" A,
					    "/purge?host=b",   "/explain?x=1", "/explain?uri=" A};
	size_t before = 0;

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		store(A, FRESH);
		for (size_t i = 0; i < COUNT(targets); i++)
			admin_fixture_ask(&f, "GET", targets[i]);
		for (size_t i = 0; i < COUNT(posts); i++)
			admin_fixture_ask(&f, "POST", posts[i]);
		admin_fixture_close(state);
		if (round > 1)
			assert_int_equal(allocations_alive(), before);
		before = allocations_alive();
		setup(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, admin_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(changes_are_told),       TEST(long_uris_are_cut_in_the_log),
		TEST(names_of_marks),         TEST(pages_have_the_numbers),
		TEST(what_an_origin_answers), TEST(pages_keep_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
