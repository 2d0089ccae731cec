/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* What would become of a request, as operators read it: verdicts, reasons, lifetimes, records, by value. */
#include "tests/support/admin_fixture.h"

#include <errno.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define A "http://10.0.0.1/a"
#define OK "HTTP/1.1 204 No Content\r\n"
#define SAYS(text) "\"line\": \"" text "\""

static struct admin_fixture f;

static void open_with(const char *options, const char *rules)
{
	admin_fixture_open(&f, options);
	assert_true(test_conf_rules(f.world.conf, rules));
}

static int setup(void **state)
{
	(void)state;
	open_with("store_interval=0", "");
	return 0;
}

/* Begin anew. */
static void again(const char *options, const char *rules)
{
	admin_fixture_close(NULL);
	open_with(options, rules);
}

static void pass(int64_t seconds)
{
	worker_fixture_pass(&f.world, seconds * 1000);
}

/* It is asked for and answered so, a second ago. */
static void store(const char *lines, const char *answer)
{
	admin_fixture_fetch(&f, A, lines, answer);
	pass(1);
}

/* What is told of a request, by further parameters and the URI. */
static const char *explain(const char *parameters)
{
	char target[1024];

	snprintf(target, sizeof(target), "/explain?%s%suri=" A, parameters,
		 parameters[0] != '\0' ? "&" : "");
	return admin_fixture_expect(&f, "GET", target, 200);
}

/* ---- verdicts ------------------------------------------------------------------------------- */

static void a_fresh_one_is_a_hit(void **state)
{
	(void)state;
	store("", OK "Cache-Control: max-age=60\r\nETag: \"x\"\r\n");
	assert_tells(explain(""), "\"verdict\": \"hit\"", "\"from_store\": true",
		     SAYS("A request now is answered from the store, fresh for 59 s more."),
		     "\"reason\": null", "\"status\": 204",
		     "\"cache_status\": \"cache204; hit; ttl=59\"", "\"proxy_refuses\": null",
		     "\"1 s of 60 s\"", "\"there is no Vary\"",
		     "\"does not ask to be confirmed at each use\"", "\"fetch\": null");
	assert_tells(explain("header=If-None-Match:+%22x%22"), "\"status\": 304",
		     SAYS("A request now is answered 304 from the store: its condition matches the "
			  "stored answer, which is fresh for 59 s more."));
	assert_tells(explain("header=If-None-Match:+%22y%22"), "\"status\": 204", "fresh for 59 s");
	again("store_interval=0;conditional_hit=204", "");
	store("", OK "Cache-Control: max-age=60\r\nETag: \"x\"\r\n");
	assert_tells(explain("header=If-None-Match:+%22x%22"), "\"status\": 204", "fresh for 59 s");
}

static void a_stale_one_may_answer(void **state)
{
	(void)state;
	store("", OK "Cache-Control: max-age=10, stale-while-revalidate=90\r\nETag: \"x\"\r\n");
	pass(29);
	assert_tells(
		explain(""), "\"verdict\": \"stale\"", "\"from_store\": true",
		SAYS("A request now is answered at once from the store, 20 s after the lifetime, "
		     "and the origin is asked for a new one behind it."),
		"\"reason\": \"revalidating\"", "\"warn\",\n      \"Age\"",
		"\"cache_status\": \"cache204; hit; ttl=-20; detail=revalidating\"",
		"\"swr_s\": 90", "\"renewed_behind_until_ms\": 784111877000",
		"\"stale_at_ms\": 784111787000", "\"if_error_until_ms\": null");
	assert_tells(explain("header=If-None-Match:+%22x%22"), "answered 304 from the store, 20 s");
	pass(71);
	assert_tells(
		explain(""), "\"verdict\": \"validate\"",
		SAYS("A request now goes to the origin, which can confirm the stored answer with "
		     "a 304: its lifetime is over (91 s ago)."),
		"\"status\": null", "\"cache_status\": \"cache204; fwd=stale; detail=expired\"",
		"\"no\",\n      \"Age\",\n      \"101 s of 10 s: its lifetime is over\"");
	assert_tells(explain("header=Cache-Control:+max-stale"), "\"verdict\": \"stale\"",
		     "91 s after the lifetime, as the request allows.");
}

static void one_that_is_to_be_validated(void **state)
{
	(void)state;
	store("", OK "Cache-Control: max-age=60, no-cache\r\n");
	assert_tells(
		explain(""), "\"verdict\": \"validate\"", "\"reason\": \"no-cache\"",
		SAYS("A request now goes to the origin, for a new answer, since the stored one "
		     "has no validator to ask with: the response asks for validation at each use."),
		"\"always_validated\": true", "\"no\",\n      \"Response\"");
	store("", OK "Cache-Control: max-age=60\r\n"
		     "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n");
	assert_tells(explain("header=Cache-Control:+no-cache"), "\"reason\": \"request-no-cache\"",
		     "can confirm the stored answer with a 304: the request has no-cache.",
		     "\"cache_status\": \"cache204; fwd=request; detail=request-no-cache\"",
		     "\"no\",\n      \"Request\"", "\"last_modified\": \"Sun, 06 Nov");
	assert_tells(explain("header=Cache-Control:+max-age=0"), "\"reason\": \"request-max-age\"",
		     "\"no\",\n      \"Age\"");
}

static void one_that_is_not_there(void **state)
{
	(void)state;
	assert_tells(explain(""), "\"verdict\": \"miss\"", "\"reason\": \"no-record\"",
		     SAYS("A request now goes to the origin: nothing stored under this URI."),
		     "\"record\": null", "\"others\": []", "\"no\",\n      \"Stored\"");
	store("", OK "Cache-Control: no-store\r\n");
	assert_tells(
		explain(""), "\"reason\": \"no-store\"", "\"do\": \"Leave no-store out",
		SAYS("A request now goes to the origin: nothing stored under this URI. Its last "
		     "answer was not stored: the response has no-store."));
	assert_tells(explain("header=Cache-Control:+only-if-cached"), "\"verdict\": \"refused\"",
		     "\"failure\": \"only_if_cached\"", "\"status\": 504",
		     "\"reason\": \"only-if-cached\"",
		     "A request now is answered 504 here (only_if_cached)",
		     "\"ok\",\n      \"Access\"", "\"no\",\n      \"Request\"");
}

/* What is there, and answers other requests alone. */
static void one_that_is_for_others(void **state)
{
	(void)state;
	store("Accept-Language: de\r\n",
	      OK "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n");
	store("Accept-Language: fr\r\n",
	      OK "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n");
	assert_tells(explain("header=Accept-Language:+nl"), "\"reason\": \"vary\"",
		     "\"variant\": \"de\"", "\"variant\": \"fr\"", "\"no\",\n      \"Variant\"",
		     "fwd=vary-miss");
	assert_tells(explain("header=accept-language:+de"), "\"verdict\": \"hit\"",
		     "\"variants\": 2", "\"variant\": \"Accept-Language: de\"",
		     "\"the fields that Vary names are as stored\"",
		     "\"headers\": [\n    \"accept-language: de\"\n  ]");
	admin_fixture_fetch(&f, A, "",
			    OK "Cache-Control: max-age=60\r\nVary: Accept-Language, X\r\n");
	pass(1);
	assert_tells(explain(""), "\"verdict\": \"hit\"", "\"variants\": 3",
		     "\"variant\": \"x absent, Accept-Language absent\"");
	admin_fixture_expect(&f, "POST", "/purge?uri=" A, 200);
	admin_fixture_fetch(&f, A, "", OK "Cache-Control: max-age=60\r\nVary: X\r\n");
	pass(1);
	assert_tells(explain("header=x:+1"), "\"variant\": \"absent\"");
}

/* Nothing that is stored is used for these. */
static void a_request_that_passes_by(void **state)
{
	(void)state;
	store("", OK "Cache-Control: max-age=60\r\n");
	assert_tells(
		explain("method=DELETE"), "\"verdict\": \"bypass\"", "\"method\": \"DELETE\"",
		SAYS("A request now goes to the origin, and no stored answer is used for it: the "
		     "method's responses are not stored."),
		"\"cache_status\": \"cache204; fwd=method; detail=method\"");
	assert_tells(explain("header=Cache-Control:+no-store"), "\"verdict\": \"bypass\"",
		     "\"reason\": \"request-no-store\"", "fwd=request; detail=request-no-store");
	assert_tells(explain("header=If-Match:+%22x%22"), "\"reason\": \"precondition\"");
	assert_tells(explain("method=DELETE&header=Cache-Control:+only-if-cached"),
		     "\"verdict\": \"refused\"", "\"failure\": \"only_if_cached\"");
	assert_tells(explain("method=OPTIONS&header=Max-Forwards:+0"), "\"verdict\": \"local\"",
		     SAYS("The proxy answers this itself: Max-Forwards is 0."), "\"status\": 204",
		     "\"cache_status\": null");
	assert_tells(explain("method=OPTIONS&header=Max-Forwards:+1"), "\"verdict\": \"bypass\"");
	assert_tells(explain("method=GET&header=Max-Forwards:+0"), "\"verdict\": \"hit\"");
	assert_tells(explain("method=TRACE"), "\"verdict\": \"refused\"",
		     "\"failure\": \"denied_method\"", "\"no\",\n      \"Access\"");
}

static void a_rule_decides(void **state)
{
	(void)state;
	again("store_interval=0", "rule \"no\" { match = \"*/a\" deny = on }\n");
	assert_tells(explain(""), "\"verdict\": \"refused\"", "\"failure\": \"denied_rule\"",
		     "\"status\": 403", "\"rule\": \"by rule no, line 1: deny = on\"",
		     "\"no\",\n      \"Rule\"", "\"no\",\n      \"Access\"");
	again("store_interval=0", "rule \"off\" { match = \"*/a\" store = off }\n");
	assert_tells(explain(""), "\"reason\": \"rule-store-off\"", "\"no\",\n      \"Rule\"",
		     "fwd=bypass");
	again("store_interval=0", "rule \"is\" { match = \"*/a\" }\n");
	assert_tells(explain(""), "\"rule\": \"by rule is, line 1\"", "\"ok\",\n      \"Rule\"",
		     "\"key\": null");
	again("store_interval=0", "\nrule \"key\" { match = \"*/a*\" ignore_query = \"u\" }\n");
	assert_tells(explain(""), "\"rule\": \"by rule key, line 2: ", "\"key\": \"" A "\"");
}

/* By the gateway of its origin it is asked for, whatever the proxy's own clients may. */
static void by_a_gateway(void **state)
{
	(void)state;
	again("store_interval=0;gateway=127.0.0.1:81=http://10.0.0.9,127.0.0.1:82=http://10.0.0.1",
	      "");
	assert_tells(explain(""), "\"gateway\": \"127.0.0.1:82\"", "\"proxy_refuses\": null",
		     "\"verdict\": \"miss\"", "\"login\": false");
	assert_tells(explain("method=TRACE"), "\"failure\": \"denied_method\"",
		     "\"proxy_refuses\": \"");
	again("store_interval=0;gateway=127.0.0.1:81=http://10.0.0.9", "");
	assert_tells(explain(""), "\"gateway\": null");
}

/* ---- lifetimes ------------------------------------------------------------------------------ */

static void where_a_lifetime_is_from(void **state)
{
	static const struct {
		const char *options, *rules, *fields, *part;
		int64_t lifetime_s;
	} cases[] = {
		{"", "", "Cache-Control: max-age=7\r\n", "max-age=7 in Cache-Control", 7},
		{"", "", "Cache-Control: max-age=7, s-maxage=8\r\n", "s-maxage=8 in Cache-Control",
		 8},
		{"", "",
		 "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nExpires: Sun, 06 Nov 1994 08:50:37 "
		 "GMT\r\n",
		 "Expires less Date", 60},
		{"", "", "Last-Modified: Sun, 06 Nov 1994 08:32:57 GMT\r\n",
		 "Last-Modified, by the option heuristic_percent", 100},
		{";default_ttl=9s", "", "", "the option default_ttl", 9},
		{"", "rule \"r\" { match = \"*/a\" ttl = 11s }\n", "", "ttl of a rule", 11},
		{"", "rule \"r\" { match = \"*/a\" force_ttl = 12s }\n",
		 "Cache-Control: max-age=7\r\n", "force_ttl of a rule, from receipt on", 12},
		{";targeted_cache_control=X-One,CDN-Cache-Control", "",
		 "CDN-Cache-Control: max-age=13\r\nCache-Control: max-age=7\r\n",
		 "CDN-Cache-Control", 13},
		{";targeted_cache_control=CDN-Cache-Control,X-One", "",
		 "CDN-Cache-Control: max-age=14\r\nX-One: max-age=7\r\n", "CDN-Cache-Control", 14},
		{";max_ttl=5s", "", "Cache-Control: max-age=7\r\n", "max-age=7 in Cache-Control",
		 5},
	};
	char options[256], text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char answer[512];

		snprintf(options, sizeof(options), "store_interval=0%s", cases[i].options);
		again(options, cases[i].rules);
		snprintf(answer, sizeof(answer), OK "%s", cases[i].fields);
		store("", answer);
		snprintf(text, sizeof(text), "\"lifetime_s\": %lld,\n    \"lifetime_from\": \"%s\"",
			 (long long)cases[i].lifetime_s, cases[i].part);
		assert_tells(explain(""), text,
			     strstr(cases[i].options, "max_ttl") != NULL ? "\"capped\": true"
									 : "\"capped\": false");
	}
}

static void the_one_of_a_preflight(void **state)
{
	const char *request = "method=OPTIONS&header=Origin:+http://o.test&"
			      "header=Access-Control-Request-Method:+PUT";

	(void)state;
	again("store_interval=0;preflight_cache=on", "");
	worker_fixture_say(&f.world, f.world.client,
			   "OPTIONS " A " HTTP/1.1\r\nHost: x\r\nOrigin: http://o.test\r\n"
			   "Access-Control-Request-Method: PUT\r\n\r\n");
	worker_fixture_say(&f.world, fake_peer_connected(0),
			   OK "Access-Control-Max-Age: 600\r\nAccess-Control-Allow-Origin: *\r\n"
			      "Access-Control-Allow-Methods: PUT\r\n\r\n");
	pass(1);
	assert_tells(
		explain(request), "\"verdict\": \"hit\"", "\"answers\": \"the same preflight\"",
		"\"lifetime_from\": \"Access-Control-Max-Age, by the option preflight_max_age\"",
		"\"lifetime_s\": 600");
	assert_tells(
		explain(""), "\"verdict\": \"miss\"",
		"nothing stored under this URI that this request could be answered from: what is "
		"there is for other methods, or was purged or invalidated.");
}

static void how_long_errors_are_bridged(void **state)
{
	(void)state;
	store("", OK "Cache-Control: max-age=10, stale-if-error=20\r\n");
	assert_tells(explain(""), "\"sie_s\": 20", "\"sie_from\": \"stale-if-error=20\"",
		     "\"if_error_until_ms\": 784111807000", "\"never_stale\": false");
	assert_tells(explain("header=Cache-Control:+stale-if-error=15"), "\"sie_s\": 15",
		     "\"sie_from\": \"stale-if-error=15 of the request\"");
	again("store_interval=0;stale_if_error=40s", "");
	store("", OK "Cache-Control: max-age=10\r\n");
	assert_tells(explain(""), "\"sie_s\": 40", "\"sie_from\": \"the option stale_if_error\"");
	again("store_interval=0;stale_if_error=40s",
	      "rule \"r\" { match = \"*/a\" stale_if_error = 50s }\n");
	store("", OK "Cache-Control: max-age=10\r\n");
	assert_tells(explain(""), "\"sie_s\": 50",
		     "\"sie_from\": \"the option stale_if_error of a rule\"");
	again("store_interval=0", "");
	store("", OK "Cache-Control: max-age=10, must-revalidate\r\n");
	assert_tells(explain(""), "\"sie_s\": 0", "\"sie_from\": null", "\"never_stale\": true",
		     "\"swr_s\": 0", "\"renewed_behind_until_ms\": null");
}

/* Two units at most, the second one where it is not 0. */
static void spans(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {{1, "1 s"},          {119, "119 s"},         {120, "2 min"},
		     {121, "2 min 1 s"},  {7199, "119 min 59 s"}, {7200, "2 h"},
		     {7260, "2 h 1 min"}, {7259, "2 h"},          {172799, "47 h 59 min"},
		     {172800, "2 d"},     {176400, "2 d 1 h"}};
	char answer[128], text[128];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		again("store_interval=0", "");
		snprintf(answer, sizeof(answer), OK "Cache-Control: max-age=%lld\r\n",
			 (long long)cases[i].seconds + 1);
		store("", answer);
		snprintf(text, sizeof(text), "from the store, fresh for %s more.", cases[i].text);
		assert_tells(explain(""), text);
	}
}

static void what_a_record_is(void **state)
{
	(void)state;
	store("", OK "Cache-Control: max-age=60\r\nETag: \"x\"\r\nX-Y: z\r\n"
		     "Cache-Groups: \"one\", \"two\"\r\n");
	assert_tells(explain(""), "\"etag\": \"\\\"x\\\"\"", "\"answers\": \"GET and HEAD\"",
		     "\"groups\": [\n      \"one\",\n      \"two\"\n    ]", "\"variants\": 1",
		     "\"variant\": null", "\"stored_ms\": 784111777000", "\"age_s\": 1",
		     "\"others\": []", "\"last_modified\": null",
		     "\"head\": \"HTTP/1.1 204 No Content\\u000a");
	assert_tells(explain(""), "X-Y: z");
	assert_tells(explain("method=HEAD"), "\"verdict\": \"hit\"", "\"method\": \"HEAD\"");
}

/* 256 bytes of a field are shown, and of what selected a record. */
static void long_fields_are_cut(void **state)
{
	char x[300], parameter[300], lines[300], shown[300];

	(void)state;
	memset(x, 'x', sizeof(x));
	snprintf(lines, sizeof(lines), "X: %.254s\r\n", x);
	store(lines, OK "Cache-Control: max-age=60\r\nVary: X\r\n");
	snprintf(shown, sizeof(shown), "\"X: %.253s\"", x);
	for (unsigned n = 253; n < 256; n++) {
		snprintf(parameter, sizeof(parameter), "header=X:+%.*s", (int)n, x);
		assert_tells(explain(parameter), shown, n == 254 ? "\"hit\"" : "\"miss\"");
	}
	snprintf(parameter, sizeof(parameter), "header=X:+%.254s", x);
	snprintf(shown, sizeof(shown), "\"variant\": \"x: %.253s\"", x);
	assert_tells(explain(parameter), shown);
}

/* ---- questions ------------------------------------------------------------------------------ */

static void what_is_no_question(void **state)
{
	static const struct {
		const char *target, *part;
	} cases[] = {
		{"/explain", "say which URI"},
		{"/explain?x=1&uri=" A, "\"x\": not a parameter"},
		{"/explain?method=GET&method=GET&uri=" A,
		 "\"method\": not a parameter, given twice"},
		{"/explain?uri=http:%2f%2fa%2f&uri=" A, "\"uri\": not a parameter"},
		{"/explain?fetch=2&uri=" A, "\"fetch\": not a parameter"},
		{"/explain?fetch=&uri=" A, "\"fetch\": not a parameter"},
		{"/explain?method=&uri=" A, "method: not a method"},
		{"/explain?method=G+T&uri=" A, "method: not a method"},
		{"/explain?method=G%7fT&uri=" A, "method: not a method"},
		{"/explain?method=G%ZZ&uri=" A, "% needs two hexadecimal digits"},
		{"/explain?header=x&uri=" A, "header: write it as Name: value"},
		{"/explain?header=:x&uri=" A, "header: write it as Name: value"},
		{"/explain?header=a+b:x&uri=" A, "header: write it as Name: value"},
		{"/explain?header=a:x%0dy&uri=" A, "header: write it as Name: value"},
		{"/explain?header=a:x%0ay&uri=" A, "header: write it as Name: value"},
		{"/explain?header=Host:+%40&uri=" A,
		 "such a request is answered 400: The Host field is missing, repeated or "
		 "malformed. line 2: Host\n"},
		{"/explain?header=a:x%01y&uri=" A, "such a request is answered 400: "},
		{"/explain?uri=", "uri: not an absolute http or https URI"},
		{"/explain?uri=a", "uri: not an absolute http or https URI"},
		{"/explain?uri=http:%2f%2fa%2f%20", "uri: not an absolute http or https URI"},
		{"/explain?uri=http://u@a/", "uri: has a user"},
		{"/explain?uri=http:%2f%2fa%2f%23f", "uri: has a fragment"},
		{"/explain?uri=ftp://a/", "uri: the scheme may be http or https"},
		{"/explain?uri=http://a:0/", "uri: not an absolute"},
		{"/explain?method=CONNECT&uri=" A, "such a request is answered 400: "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_tells(admin_fixture_expect(&f, "GET", cases[i].target, 400), cases[i].part);
	assert_tells(admin_fixture_expect(&f, "GET", "/explain?fetch=1&uri=" A, 405), "by POST");
	assert_tells(admin_fixture_ask(&f, "GET", "/explain?fetch=1&uri=" A),
		     "\r\nAllow: POST\r\n");
	assert_tells(explain("fetch=0&header=Host:+other.test"), "\"verdict\": \"miss\"");
}

/* ---- with a fetch --------------------------------------------------------------------------- */

/* An operator has the origin asked, which answers so. */
static const char *fetch(const char *parameters, const char *answer)
{
	struct fake_peer *operator= admin_fixture_connect(&f, "127.0.0.1"), *origin = NULL, *peer;
	char text[1024];

	snprintf(text, sizeof(text),
		 "POST /explain?fetch=1&%suri=" A " HTTP/1.1\r\nHost: [::1]\r\n\r\n", parameters);
	worker_fixture_say(&f.world, operator, text);
	for (unsigned i = 0; (peer = fake_peer_connected(i)) != NULL; i++)
		origin = peer;
	assert_non_null(origin);
	worker_fixture_pass(&f.world, 40);
	worker_fixture_say(&f.world, origin, answer);
	return worker_fixture_got(&f.world, operator);
}

static void an_origin_is_asked(void **state)
{
	const char *text;

	(void)state;
	assert_tells(fetch("", OK "Cache-Control: max-age=60\r\n\r\n"), "HTTP/1.1 200 OK",
		     "\"verdict\": \"miss\"", "Its answer is stored then.\"", "\"do\": null",
		     "\"cache_status\": \"cache204; fwd=uri-miss; fwd-status=204; stored\"",
		     "\"origin\": \"10.0.0.1:80\"", "\"took_us\": 40000", "\"ms\": 784111777000",
		     "\"summary\": \"Asked 10.0.0.1:80 once, 204 in 40.0 ms. Such an answer is "
		     "stored, for "
		     "60 s:\"",
		     "\"stored\": true", "\"lifetime_s\": 60", "\"failure\": null");
	assert_tells(explain(""), "\"verdict\": \"miss\""); /* nothing was stored */
	assert_tells(fetch("", OK "Cache-Control: no-store\r\n\r\n"), "\"reason\": \"no-store\"",
		     "Its answer is not stored: the response has no-store.", "\"stored\": false",
		     "Such an answer is not stored (no-store):", "\"lifetime_s\": null",
		     "\"head\": \"HTTP/1.1 204 No Content\\u000aCache-Control: no-store\"");
	text = fetch("", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_tells(text, "\"status\": 200", "\"reason\": \"status\"",
		     "fwd-status=200; detail=status");
	assert_null(strstr(text, "nothing is wrong"));
	text = fetch("", OK "Cache-Control: max-age=60\r\n\r\n");
	assert_tells(text, "nothing is wrong");
}

static void an_answer_that_is_confirmed_each_time(void **state)
{
	(void)state;
	assert_tells(fetch("", OK "Cache-Control: no-cache\r\nETag: \"x\"\r\n\r\n"),
		     "Such an answer is stored, and each request has it confirmed:",
		     "\"stored\": true", "\"lifetime_s\": 0");
}

/* One that is larger than a record may be, which only its bytes tell. */
static void an_answer_that_is_too_large(void **state)
{
	char answer[2048] = OK "Cache-Control: max-age=60\r\nX: ";

	(void)state;
	again("store_interval=0;record_size=512", "");
	memset(answer + strlen(answer), 'x', 600);
	strcat(answer, "\r\n\r\n");
	assert_tells(fetch("", answer), "\"reason\": \"too-large\"", "\"stored\": false",
		     "Such an answer is not stored (too-large):");
}

static void an_origin_that_fails(void **state)
{
	const char *text;

	(void)state;
	fake_conn_connects(ECONNREFUSED);
	text = fetch("", "");
	assert_tells(text, "\"failure\": \"origin_refused\"",
		     "and there was no answer (origin_refused",
		     "\"summary\": \"Asked for it once, and there was no answer",
		     "\"no\",\n        \"origin_refused\"");
	assert_null(strstr(text, "fwd-status"));
	fake_conn_connects(0);
}

/* What is in the store is not told over again. */
static void with_a_hit(void **state)
{
	(void)state;
	store("", OK "Cache-Control: max-age=60\r\n");
	assert_tells(fetch("", OK "Cache-Control: no-store\r\n\r\n"), "\"verdict\": \"hit\"",
		     "\"cache_status\": \"cache204; hit; ttl=59\"",
		     SAYS("A request now is answered from the store, fresh for 59 s more."),
		     "\"reason\": \"no-store\"");
}

static void what_is_not_asked(void **state)
{
	(void)state;
	again("store_interval=0;upgrade=on", "");
	assert_tells(admin_fixture_expect(&f, "POST", "/explain?uri=" A, 400),
		     "say so with fetch=1");
	assert_tells(admin_fixture_expect(&f, "POST", "/explain?fetch=1&method=POST&uri=" A, 400),
		     "the method may be GET, HEAD");
	assert_tells(admin_fixture_expect(
			     &f, "POST",
			     "/explain?fetch=1&header=Upgrade:+x&header=Connection:+upgrade&uri=" A,
			     400),
		     "without content or Upgrade");
	assert_tells(admin_fixture_expect(&f, "POST",
					  "/explain?fetch=1&header=Content-Length:+1&uri=" A, 400),
		     "without content or Upgrade");
	admin_fixture_expect(&f, "POST", "/explain?fetch=1&x=1&uri=" A, 400);
	assert_tells(admin_fixture_expect(&f, "POST", "/explain?fetch=1&method=TRACE&uri=" A, 200),
		     "\"verdict\": \"refused\"", "\"fetch\": null");
	assert_tells(admin_fixture_expect(
			     &f, "POST",
			     "/explain?fetch=1&method=OPTIONS&header=Max-Forwards:+0&uri=" A, 200),
		     "\"verdict\": \"local\"", "\"fetch\": null");
	assert_null(fake_peer_connected(0));
}

/* It leaves before the origin answers; content of its own is of no account. */
static void an_operator_who_leaves(void **state)
{
	struct fake_peer *operator= admin_fixture_connect(&f, "127.0.0.1");

	(void)state;
	worker_fixture_say(&f.world, operator,
			   "POST /explain?fetch=1&uri=" A " HTTP/1.1\r\nHost: [::1]\r\n"
			   "Content-Length: 6\r\n\r\nabc");
	assert_non_null(fake_peer_connected(0));
	worker_fixture_say(&f.world, operator, "def");
	assert_int_equal(fake_peer_got(operator).n, 0);
	fake_peer_reset(operator);
	worker_fixture_settle(&f.world);
	assert_true(fake_peer_connected(0)->got_end);
	assert_int_equal(stats->exchanges, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, admin_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_one_is_a_hit),
		TEST(a_stale_one_may_answer),
		TEST(one_that_is_to_be_validated),
		TEST(one_that_is_not_there),
		TEST(one_that_is_for_others),
		TEST(a_request_that_passes_by),
		TEST(a_rule_decides),
		TEST(by_a_gateway),
		TEST(where_a_lifetime_is_from),
		TEST(the_one_of_a_preflight),
		TEST(how_long_errors_are_bridged),
		TEST(spans),
		TEST(what_a_record_is),
		TEST(long_fields_are_cut),
		TEST(what_is_no_question),
		TEST(an_origin_is_asked),
		TEST(an_answer_that_is_confirmed_each_time),
		TEST(an_answer_that_is_too_large),
		TEST(an_origin_that_fails),
		TEST(with_a_hit),
		TEST(what_is_not_asked),
		TEST(an_operator_who_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
