/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* What the operators' pages tell and do, by value. */
#include "tests/support/admin_fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "proxy/front/admin_page.h"
#include "proxy/loop/env.h"
#include "proxy/stats/events.h"
#include "proxy/stats/history.h"
#include "proxy/stats/reload.h"
#include "tests/doubles/store_memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define A "http://10.0.0.1/a"
#define B "http://10.0.0.1/b"
#define FRESH "HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n"

static struct admin_fixture f;

static int setup(void **state)
{
	(void)state;
	admin_fixture_open(&f, "store_interval=0;variants=32");
	return 0;
}

static const char *get(const char *target)
{
	return admin_fixture_expect(&f, "GET", target, 200);
}

static const char *post(const char *target, unsigned status)
{
	return admin_fixture_expect(&f, "POST", target, status);
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

/* What the worker does by itself. */
static void remove_purged(void)
{
	for (unsigned i = 0; i < 100 && cache_purge_is_due(f.world.worker->cache); i++)
		cache_purge_some(f.world.worker->cache);
	assert_false(cache_purge_is_due(f.world.worker->cache));
}

/* ---- purges --------------------------------------------------------------------------------- */

static void one_uri_is_purged(void **state)
{
	struct event events[EVENTS_MAX];

	(void)state;
	store(A, FRESH);
	assert_string_equal(post("/purge?uri=" B, 200), "{\"purged\": 0}\n");
	assert_string_equal(post("/purge?uri=" A "&soft=1", 200), "{\"purged\": 0}\n");
	assert_string_equal(post("/purge?soft=1&uri=http://10.0.0.1:80/a", 200),
			    "{\"purged\": 1, \"soft\": true}\n");
	assert_tells(get("/explain?uri=" A), "\"verdict\": \"validate\"");
	assert_string_equal(post("/purge?soft=0&uri=" A, 200), "{\"purged\": 1}\n");
	assert_string_equal(post("/purge?soft=1&uri=" A, 200), "{\"purged\": 0, \"soft\": true}\n");
	assert_tells(get("/explain?uri=" A), "\"reason\": \"no-record\"");
	assert_int_equal(stats->purges, 5);
	assert_int_equal(events_list(f.service.events, events), 5);
}

static void many_are_purged(void **state)
{
	const char *text;
	char id[16];

	(void)state;
	store(A, FRESH);
	store("http://10.0.0.1/dir/c", FRESH);
	store("http://10.0.0.2/dir/c", FRESH);
	store("http://10.0.0.2/grouped", FRESH "Cache-Groups: \"g\"\r\n");
	assert_tells(get("/purge"), "\"pending\": [],\n  \"finished\": []");
	assert_tells(
		post("/purge?prefix=http://10.0.0.1/dir/", 202),
		"{\"id\":1,\"kind\":\"prefix\",\"prefix\":\"http://10.0.0.1/dir/\",\"soft\":false,"
		"\"state\":\"pending\",\"uris\":0,\"began_s\":784111781}\n");
	assert_tells(post("/purge?group=g&host=10.0.0.2", 202),
		     "\"kind\":\"group\",\"group\":\"g\",\"origin\":\"10.0.0.2\",");
	assert_tells(post("/purge?group=g&uri=http://10.0.0.2/", 202),
		     "\"kind\":\"group\",\"group\":\"g\",\"origin\":\"http://10.0.0.2\",");
	assert_tells(post("/purge?host=10.0.0.1:80&soft=1", 202),
		     "\"host\":\"10.0.0.1\",\"port\":80,\"soft\":true,");
	assert_tells(get("/purge"), "\"pending\": [\n    {\n      \"id\": 4,", "      \"id\": 3,",
		     "      \"id\": 2,", "      \"id\": 1,", "    }\n  ],\n  \"finished\": []");
	pass(2);
	remove_purged();
	assert_tells(get("/purge?id=1"), "\"state\":\"finished\",\"uris\":1,\"began_s\":784111781,"
					 "\"ended_s\":7841117");
	assert_tells(get("/purge?id=4"), "\"state\":\"finished\",\"uris\":2,");
	text = get("/purge");
	assert_tells(text, "\"pending\": [],\n  \"finished\": [\n    {\n      \"id\": 4,");
	for (unsigned i = 0; i < 4; i++) {
		snprintf(id, sizeof(id), "\"id\": %u,", 4 - i);
		text = strstr(text, id);
		assert_non_null(text);
	}
	assert_null(strstr(text + 1, "\"id\""));
	assert_tells(get("/explain?uri=" A), "\"verdict\": \"validate\"");
	assert_tells(get("/explain?uri=http://10.0.0.1/dir/c"), "\"verdict\": \"miss\"");
	assert_tells(get("/explain?uri=http://10.0.0.2/dir/c"), "\"verdict\": \"hit\"");
	assert_tells(get("/explain?uri=http://10.0.0.2/grouped"), "\"verdict\": \"miss\"");
	assert_tells(admin_fixture_expect(&f, "GET", "/purge?id=5", 404), "no purge of that id");
	assert_int_equal(stats->purges, 4);
}

static void all_is_purged(void **state)
{
	(void)state;
	store(A, FRESH);
	store(B, FRESH);
	assert_tells(post("/purge?all=1&soft=1", 202), "\"kind\":\"all\",\"soft\":true,");
	assert_tells(get("/explain?uri=" A), "\"verdict\": \"validate\"");
	assert_string_equal(post("/purge?all=1", 202),
			    "{\"purged\": 2, \"removal\": \"in the background\", \"id\": 2}\n");
	assert_tells(get("/explain?uri=" A), "\"verdict\": \"miss\"");
	remove_purged();
	store(A, FRESH);
	assert_string_equal(post("/purge", 202),
			    "{\"purged\": 1, \"removal\": \"in the background\", \"id\": 3}\n");
	assert_int_equal(stats->purges, 3);
}

/* More than are remembered: the first is known to have been, the pending ones have a limit. */
static void purges_are_forgotten_in_turn(void **state)
{
	char target[64];

	(void)state;
	for (unsigned i = 1; i <= PURGE_PENDING_MAX; i++) {
		snprintf(target, sizeof(target), "/purge?host=h%u.test", i);
		assert_tells(post(target, 202), "\"state\":\"pending\"");
	}
	assert_tells(post("/purge?host=last.test", 503), "Too many purges are pending");
	assert_int_equal(stats->purges, PURGE_PENDING_MAX);
	for (unsigned i = PURGE_PENDING_MAX + 1; i <= PURGE_SLOTS + 1; i++) {
		remove_purged();
		snprintf(target, sizeof(target), "/purge?host=h%u.test", i);
		post(target, 202);
	}
	assert_string_equal(get("/purge?id=1"), "{\"id\":1,\"state\":\"forgotten\"}\n");
	assert_tells(get("/purge"), "\"pending\": [\n    {\n      \"id\": 34,");
}

static void what_is_no_purge_is_none(void **state)
{
	static const char *const targets[] = {
		"/purge?",
		"/purge?x=1",
		"/purge?uri=http:%2f%2fa%2f&uri=" A,
		"/purge?soft=1",
		"/purge?soft=2",
		"/purge?all=2",
		"/purge?all=0",
		"/purge?all=1&host=h",
		"/purge?host=a&host=a",
		"/purge?host=",
		"/purge?host=a&prefix=http://a/",
		"/purge?uri=ftp://a/",
		"/purge?prefix=a",
		"/purge?group=g",
		"/purge?group=g&all=1",
		"/purge?group=g&prefix=http://a/",
		"/purge?group=g&uri=x",
		"/purge?group=%&host=a",
		"/purge?host=a&soft=%4",
		"/purge?group=g&host=",
		"/purge?host=a/b",
	};
	static const char *const asked[] = {"/purge?id=0",
					    "/purge?id=x",
					    "/purge?id=",
					    "/purge?x=1",
					    "/purge?id=1&id=1",
					    "/purge?id=%",
					    "/purge?id=1000000000000000000"};

	(void)state;
	store(A, FRESH);
	for (size_t i = 0; i < COUNT(targets); i++)
		assert_tells(post(targets[i], 400), "Say /purge for all");
	for (size_t i = 0; i < COUNT(asked); i++)
		assert_tells(admin_fixture_expect(&f, "GET", asked[i], 405), "begin by POST alone");
	assert_tells(admin_fixture_expect(&f, "GET", "/purge?id=100000000000000000", 404),
		     "no purge");
	assert_int_equal(stats->purges, 0);
	assert_tells(get("/explain?uri=" A), "\"verdict\": \"hit\"");
}

/* The store fails: an operator is not told that it is done. */
static void a_store_that_fails(void **state)
{
	(void)state;
	store(A, FRESH);
	store_memory_fail(0, STORE_FAILED);
	assert_tells(post("/purge?host=10.0.0.1", 503), "The store failed, and nothing is purged");
	assert_tells(get("/purge"), "\"pending\": [],");
	store_memory_fail(0, STORE_FAILED);
	assert_tells(admin_fixture_expect(&f, "GET", "/entries", 503), "The store failed");
	assert_int_equal(stats->purges, 0);
	assert_tells(get("/explain?uri=" A), "\"verdict\": \"hit\"");
}

/* ---- marks ---------------------------------------------------------------------------------- */

static void marks_are_set_and_listed(void **state)
{
	char target[64];

	(void)state;
	assert_string_equal(get("/marks"), "{\n  \"marks\": []\n}\n");
	assert_string_equal(
		post("/marks/a?note=one+%7e%c3%a4%1f", 201),
		"{\n  \"name\": \"a\",\n  \"ms\": 784111777000,\n  \"gone\": null\n}\n");
	assert_string_equal(get("/marks"),
			    "{\n  \"marks\": [\n    {\n      \"name\": \"a\",\n      \"ms\": "
			    "784111777000,\n      \"note\": \"one ~???\"\n    }\n  ]\n}\n");
	for (unsigned i = 1; i < 16; i++) {
		snprintf(target, sizeof(target), "/marks/m%u", i);
		assert_tells(post(target, 201), "\"gone\": null");
	}
	assert_tells(post("/marks/one-more", 201), "\"gone\": \"a\"");
	assert_tells(post("/marks/m1?", 201), "\"gone\": null"); /* it is set anew */
	assert_tells(post("/marks/m1?x=1", 400), "POST /marks/NAME");
	assert_tells(post("/marks/m1?note=%", 400), "POST /marks/NAME");
	assert_tells(post("/marks/1m", 400), "POST /marks/NAME");
	assert_tells(post("/marks/m.3456789-123456789_1234567890x2", 201), "\"gone\": \"m2\"");
	post("/marks/m.3456789-123456789_1234567890x23", 400);
}

/* A note has 80 bytes. */
static void a_long_note_is_cut(void **state)
{
	char target[128], note[82], text[128];

	(void)state;
	memset(note, 'n', sizeof(note));
	snprintf(target, sizeof(target), "/marks/a?note=%.81s", note);
	post(target, 201);
	snprintf(text, sizeof(text), "\"note\": \"%.80s\"\n", note);
	assert_tells(get("/marks"), text);
	post("/marks/a?note=long&note=b", 201); /* the last one counts */
	assert_tells(get("/marks"), "\"note\": \"b\"\n");
}

static void the_difference_between_marks(void **state)
{
	(void)state;
	store(A, FRESH);
	post("/marks/a?note=begin", 201);
	pass(5);
	admin_fixture_fetch(&f, B, "", FRESH);
	post("/marks/b", 201);
	pass(7);
	admin_fixture_fetch(&f, B "c", "", FRESH);
	assert_tells(get("/stats"), "\"requests\": 3,");
	assert_tells(get("/stats?since=a"), "\"requests\": 2,");
	assert_tells(get("/stats?since=a"), "\"since\": \"a\",");
	assert_tells(get("/stats?since=a"), "\"window_s\": 12");
	assert_tells(get("/stats?since=a&until=b"), "\"requests\": 1,");
	assert_tells(get("/stats?since=a&until=b"), "\"until\": \"b\"");
	assert_tells(get("/stats?since=a&until=b"), "\"note\": \"begin\"");
	assert_tells(get("/stats?since=a&until=b"), "\"window_s\": 5");
	assert_tells(get("/stats?since=a&until=a"), "\"requests\": 0,");
	assert_tells(get("/stats?last=60s"), "\"requests\": 3,");
	assert_tells(get("/stats?last=60s"), "\"window_s\": 13");
	assert_tells(admin_fixture_expect(&f, "GET", "/stats?since=b&until=a", 400),
		     "was set before that of since=");
	assert_string_equal(admin_fixture_expect(&f, "GET", "/stats?since=x%0a", 404),
			    "There is no mark \"x\\x0a\". Set are a, b: `cache204 mark NAME` or "
			    "POST /marks/NAME sets one.\n");
	assert_tells(admin_fixture_expect(&f, "GET", "/stats?since=a&until=x", 404),
		     "no mark \"x\".");
	assert_tells(admin_fixture_expect(&f, "GET", "/dash.json?since=x", 404), "no mark \"x\".");
	assert_tells(get("/dash.json?since=a"), "\"window_s\":12,");
}

static void no_mark_is_set(void **state)
{
	(void)state;
	assert_string_equal(admin_fixture_expect(&f, "GET", "/stats?since=x", 404),
			    "There is no mark \"x\". None is set: `cache204 mark NAME` or POST "
			    "/marks/NAME sets one.\n");
}

static void what_is_no_span_is_none(void **state)
{
	static const char *const wrong[] = {
		"/stats?x=1",         "/stats?since=",     "/stats?until=a",
		"/stats?last=1",      "/stats?last=s",     "/stats?last=0s",
		"/stats?last=60",     "/stats?last=3601s", "/stats?last=61m",
		"/stats?last=2h",     "/stats?last=1d",    "/stats?last=60s&since=a",
		"/stats?since=a&x=%", "/stats?since=%",    "/stats?x=1&since=a"};
	static const char *const right[] = {"/stats?last=1s", "/stats?last=3600s",
					    "/stats?last=60m", "/stats?last=1h", "/stats?"};

	(void)state;
	post("/marks/a", 201);
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_tells(admin_fixture_expect(&f, "GET", wrong[i], 400), "Say /stats for all");
	for (size_t i = 0; i < COUNT(right); i++)
		assert_tells(get(right[i]), "\"requests\": 0,");
}

/* ---- reloads -------------------------------------------------------------------------------- */

static void the_master_is_asked(void **state)
{
	pid_t wish = -1;

	(void)state;
	assert_string_equal(post("/reload", 202), "{\n  \"asked\": 1\n}\n");
	assert_int_equal(read(f.master, &wish, sizeof(wish)), sizeof(wish));
	assert_int_equal(wish, ENV_ASKS_RELOAD);
	assert_tells(get("/reload"), "\"asked\": 1,\n  \"answered\": 0\n");
	assert_tells(get("/upgrade"), "\"asked\": 0,\n  \"answered\": 0\n");
	assert_string_equal(post("/upgrade", 202), "{\n  \"asked\": 1\n}\n");
	assert_int_equal(read(f.master, &wish, sizeof(wish)), sizeof(wish));
	assert_int_equal(wish, ENV_ASKS_UPGRADE);
	assert_tells(get("/upgrade"), "\"asked\": 1,");
	reload_answer(f.service.reload, &(struct reload_result){.answered = 1,
								.generation = 2,
								.older = 1,
								.at_s = 77,
								.text = "line 3: no"});
	assert_tells(get("/reload"),
		     "\"generation\": 2,\n  \"older_generations\": 1,\n  \"time\": 77,\n"
		     "  \"ok\": false,\n  \"errors\": \"line 3: no\",\n"
		     "  \"asked\": 1,\n  \"answered\": 1\n");
	assert_tells(get("/stats"), "\"errors\": \"line 3: no\"");
}

/* A master that reads nothing. */
static void the_master_cannot_be_asked(void **state)
{
	char full[4096] = "";

	(void)state;
	while (write(f.world.worker->env.to_master, full, sizeof(full)) > 0)
		;
	post("/reload", 500);
}

/* ---- entries -------------------------------------------------------------------------------- */

static void entries_are_listed(void **state)
{
	(void)state;
	store(A, FRESH "ETag: \"x\"\r\nLast-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n"
		       "Vary: Accept-Language\r\n");
	pass(9);
	assert_tells(get("/entries"), "{\"entries\":[{\"uri\":\"" A "\",\"bytes\":");
	assert_tells(
		get("/entries"),
		"\"variants\":[{\"answers\":\"GET and "
		"HEAD\",\"stored_ms\":784111777000,\"age_s\":10,"
		"\"lifetime_s\":60,\"fresh_for_s\":50,\"always_validated\":false,\"purged\":false,"
		"\"bytes\":");
	assert_tells(get("/entries"),
		     "\"etag\":\"\\\"x\\\"\",\"last_modified\":\"Sun, 06 Nov 1994 08:00:00 GMT\","
		     "\"vary\":[{\"name\":\"accept-language\",\"value\":null}]}],"
		     "\"variants_left_out\":0}],\"looked_at\":1,\"stored\":1,\"after\":null}\n");
	post("/purge?soft=1&all=1", 202);
	assert_tells(get("/entries"),
		     "\"lifetime_s\":10,\"fresh_for_s\":0,\"always_validated\":false,"
		     "\"purged\":true,");
	pass(51);
	assert_tells(get("/entries"), "\"age_s\":61,\"lifetime_s\":10,\"fresh_for_s\":0,");
	post("/purge?soft=1&uri=" A, 200);
	post("/purge?uri=" A, 200);
	assert_tells(get("/entries"), "{\"entries\":[],\"looked_at\":");
}

static void pages_follow_each_other(void **state)
{
	char target[128], uri[64], cursor[33] = "";
	unsigned rows = 0, pages = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		snprintf(uri, sizeof(uri), "http://10.0.0.%u/%u", i % 2 + 1, i);
		store(uri, FRESH);
	}
	do {
		const char *text, *after;

		snprintf(target, sizeof(target), "/entries?limit=2%s%s",
			 cursor[0] != '\0' ? "&after=" : "", cursor);
		text = get(target);
		for (const char *at = text; (at = strstr(at, "{\"uri\"")) != NULL; at++)
			rows++;
		after = strstr(text, "\"after\":");
		assert_non_null(after);
		cursor[0] = '\0';
		if (after[8] == '"')
			snprintf(cursor, sizeof(cursor), "%.32s", after + 9);
		assert_true(cursor[0] == '\0' || after[9 + 32] == '"');
		pages++;
	} while (cursor[0] != '\0' && pages < 9);
	assert_int_equal(rows, 5);
	assert_int_equal(pages, 3);
	assert_tells(get("/entries?host=10.0.0.1"), "http://10.0.0.1/4");
	assert_null(strstr(get("/entries?host=10.0.0.1"), "http://10.0.0.2/"));
	assert_tells(get("/entries?prefix=http://10.0.0.2/3"), "http://10.0.0.2/3");
	assert_null(strstr(get("/entries?prefix=http://10.0.0.2/3"), "http://10.0.0.2/1"));
	assert_tells(get("/entries?after=ffffffffffffffffffffffffffffffff"), "\"looked_at\":0,");
	assert_tells(get("/entries?limit=500"), "\"looked_at\":5,\"stored\":5,\"after\":null}");
}

/* Sixteen of an entry are shown, the rest are counted. */
static void variants_that_are_left_out(void **state)
{
	char line[64];
	const char *text;
	unsigned shown = 0;

	(void)state;
	for (unsigned i = 0; i < 18; i++) {
		snprintf(line, sizeof(line), "X: %u\r\n", i);
		admin_fixture_fetch(&f, A, line, FRESH "Vary: X\r\n");
		pass(1);
	}
	text = get("/entries");
	assert_tells(text, "\"variants_left_out\":2}", "\"etag\":null,\"last_modified\":null,",
		     "\"vary\":[{\"name\":\"x\",\"value\":\"15\"}]");
	for (const char *at = text; (at = strstr(at, "\"answers\"")) != NULL; at++)
		shown++;
	assert_int_equal(shown, 16);
}

/* Who may read the pages is not to have what lets others in (HAZARDS M5). */
static void values_of_credentials_are_not_shown(void **state)
{
	static const char fields[] = "Authorization: Basic c2VjcmV0\r\nCookie: id=secret\r\n"
				     "X-Cookie: a\r\n";
	const char *text;

	(void)state;
	admin_fixture_fetch(&f, A, fields,
			    "HTTP/1.1 204 N\r\nCache-Control: public, max-age=60\r\nVary: Cookie, "
			    "Authorization, X-Cookie, Proxy-Authorization\r\n");
	pass(1);
	text = get("/entries");
	assert_tells(text, "{\"name\":\"cookie\",\"value\":\"***\"}",
		     "{\"name\":\"authorization\",\"value\":\"***\"}",
		     "{\"name\":\"x-cookie\",\"value\":\"a\"}",
		     "{\"name\":\"proxy-authorization\",\"value\":null}");
	assert_null(strstr(text, "secret"));
	text = get("/explain?uri=" A);
	assert_tells(text, "Cookie: ***");
	assert_null(strstr(text, "secret"));
}

static void what_is_no_list_is_none(void **state)
{
	static const char *const targets[] = {"/entries?x=1",
					      "/entries?limit=0",
					      "/entries?limit=501",
					      "/entries?limit=x",
					      "/entries?after=00",
					      "/entries?after=FFffffffffffffffffffffffffffffff",
					      "/entries?after=0000000000000000000000000000000g",
					      "/entries?after=000000000000000000000000000000000",
					      "/entries?host=a&host=b",
					      "/entries?host=a&prefix=http://a/",
					      "/entries?host=",
					      "/entries?prefix=a",
					      "/entries?host=%",
					      "/entries?prefix=ftp://a/"};
	char target[2048] = "/entries?prefix=http://a/";

	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++)
		assert_tells(admin_fixture_expect(&f, "GET", targets[i], 400), "Say /entries");
	memset(target + strlen(target), 'p', 1100); /* longer than a prefix may be */
	assert_tells(admin_fixture_expect(&f, "GET", target, 400), "Say /entries");
}

/* ---- what the page shows -------------------------------------------------------------------- */

static void the_dash(void **state)
{
	static const char *const wrong[] = {
		"/dash.json?x=1",      "/dash.json?since=",   "/dash.json?sort=x",
		"/dash.json?window=1", "/dash.json?window=x", "/dash.json?step=2",
		"/dash.json?step=0",   "/dash.json?after=x",  "/dash.json?after=%",
		"/dash.json?after=-1", "/dash.json?window=61"};
	static const char *const right[] = {
		"/dash.json?sort=requests",  "/dash.json?sort=asked",      "/dash.json?sort=bytes",
		"/dash.json?sort=failures",  "/dash.json?sort=first_byte", "/dash.json?step=1",
		"/dash.json?after=7&step=10"};

	(void)state;
	store(A, FRESH);
	store(B, FRESH);
	pass(98);
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_tells(admin_fixture_expect(&f, "GET", wrong[i], 400),
			     "Parameters: window=60");
	for (size_t i = 0; i < COUNT(right); i++)
		assert_tells(get(right[i]), "\"admin\":\"127.0.0.1:3129\",");
	assert_tells(get("/dash.json?step=1"), "\"step_s\":1,");
	assert_tells(get("/dash.json"), "\"step_s\":10,");
	assert_tells(get("/dash.json?window=0"), "\"window_s\":100,");
	assert_tells(get("/dash.json?window=0"), "\"requests\":2,\"clients\":0,");
	assert_tells(get("/dash.json?window=3600"), "\"window_s\":100,");
	assert_tells(get("/dash.json?window=0"),
		     "\"state\":\"serving\",\"start_ms\":784111777000,");
	f.world.worker->turn.leaving = true;
	assert_null(strstr(get("/dash.json"), "\"state\":\"serving\""));
}

/* A minute, an hour, or since the start: the service is noted each second. */
static void the_window_of_the_dash(void **state)
{
	struct stats sum;

	(void)state;
	store(A, FRESH);
	for (unsigned i = 0; i < 200; i++) {
		pass(1);
		admin_page_sum(&f.world.worker->env, &sum);
		history_sample(f.service.history, &sum, fake_conn_now_ms() + 1);
	}
	store(B, FRESH);
	assert_tells(get("/dash.json"), "\"requests\":1,", "\"window_s\":6");
	assert_tells(get("/dash.json?window=60"), "\"requests\":1,");
	assert_tells(get("/dash.json?window=3600"), "\"requests\":2,", "\"window_s\":20");
	assert_tells(get("/dash.json?window=0"), "\"requests\":2,", "\"window_s\":202,");
	assert_tells(get("/stats?last=60s"), "\"requests\": 1,");
	assert_tells(get("/stats?last=5m"), "\"requests\": 2,");
}

/* Not longer than since the start, however late that was. */
static void a_window_of_a_late_start(void **state)
{
	(void)state;
	pass(5000);
	f.service.started_us = f.world.worker->turn.now_us;
	pass(10);
	assert_tells(get("/stats?last=60s"), "\"window_s\": 10");
	assert_tells(get("/dash.json?window=60"), "\"window_s\":10,");
	assert_tells(get("/dash.json?window=3600"), "\"window_s\":10,");
	assert_tells(get("/dash.json?window=0"), "\"window_s\":10,");
}

static unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		count++;
	return count;
}

/* Ten hosts and eight URLs, and how many more have a place. */
static void the_rows_of_the_dash(void **state)
{
	char uri[64];
	const char *text;

	(void)state;
	for (unsigned i = 1; i <= 12; i++) {
		snprintf(uri, sizeof(uri), "http://10.0.0.%u/a", i);
		store(uri, FRESH);
	}
	text = get("/dash.json");
	assert_int_equal(count_of(text, "\"host\":\"10.0.0."), 10);
	assert_int_equal(count_of(strstr(text, "\"urls\":["), "{\"uri\":"), 8);
	assert_tells(text, "{\"hosts\":2,", "{\"urls\":4,");
}

/* Of an operator's own name that is told, else of the machine's. */
static void the_name_of_the_proxy(void **state)
{
	char host[256] = "", text[300];

	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	snprintf(text, sizeof(text), "\"name\":\"%s\",", host);
	assert_tells(get("/dash.json"), text);
	admin_fixture_close(state);
	admin_fixture_open(&f, "pseudonym=edge-7");
	assert_tells(get("/dash.json"), "\"name\":\"edge-7\",");
}

/* Hosts and URLs of a mark are of the window that is nearest: a minute, an hour, or all. */
static void the_window_of_names(void **state)
{
	(void)state;
	store(A, FRESH);
	pass(60);
	post("/marks/m", 201);
	pass(500);
	assert_null(strstr(get("/dash.json?since=m"), "\"host\":\"10.0.0.1\""));
	pass(101);
	assert_tells(get("/dash.json?since=m"), "\"host\":\"10.0.0.1\"");
	pass(3600);
	assert_null(strstr(get("/dash.json?since=m"), "\"host\":\"10.0.0.1\""));
	pass(3000);
	assert_tells(get("/dash.json?since=m"), "\"host\":\"10.0.0.1\"");
}

static void metrics(void **state)
{
	const char *text;

	(void)state;
	store(A, FRESH);
	text = get("/metrics");
	assert_tells(text, "\ncache204_requests_total 1\n");
	assert_tells(text, "\ncache204_stores_total 1\n");
	assert_tells(admin_fixture_ask(&f, "GET", "/metrics"),
		     "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_tells(get("/stats"), "\"uptime_s\": 1,\n  \"workers\": 1,");
	assert_tells(get("/stats"), "\"entries\": 1,");
}

/* Those of all workers, and not what this one's store alone has seen. */
static void counts_of_all_stores(void **state)
{
	(void)state;
	f.counts.before.evictions = 7;
	f.counts.before.failures = 5;
	f.counts.before.cache.stored = 11;
	store(A, FRESH);
	assert_tells(get("/stats"), "\"evictions\": 7,", "\"failures\": 5,", "\"stored\": 12,");
	assert_tells(get("/metrics"), "\ncache204_store_evictions_total 7\n",
		     "\ncache204_store_failures_total 5\n");
	assert_tells(get("/dash.json?window=0"), "\"evicted\":7,", "\"stored\":12,");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, admin_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_uri_is_purged),
		TEST(many_are_purged),
		TEST(all_is_purged),
		TEST(purges_are_forgotten_in_turn),
		TEST(what_is_no_purge_is_none),
		TEST(a_store_that_fails),
		TEST(marks_are_set_and_listed),
		TEST(a_long_note_is_cut),
		TEST(the_difference_between_marks),
		TEST(no_mark_is_set),
		TEST(what_is_no_span_is_none),
		TEST(the_master_is_asked),
		TEST(the_master_cannot_be_asked),
		TEST(entries_are_listed),
		TEST(pages_follow_each_other),
		TEST(variants_that_are_left_out),
		TEST(values_of_credentials_are_not_shown),
		TEST(what_is_no_list_is_none),
		TEST(the_dash),
		TEST(the_window_of_the_dash),
		TEST(a_window_of_a_late_start),
		TEST(the_rows_of_the_dash),
		TEST(the_name_of_the_proxy),
		TEST(the_window_of_names),
		TEST(metrics),
		TEST(counts_of_all_stores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
