/* LINKS: proxy/http1 */
/* What is composed, byte for byte, where other tests look for parts; and room for each part that can be long. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cache/http/fields.h"
#include "tests/oracle/wire.h"
#include "tests/support/test_conf.h"

#define HOST "Host: h\r\n"
#define END "\r\n"
#define GET "GET http://h/ HTTP/1.1\r\n" HOST
#define CONNECT "CONNECT h:443 HTTP/1.1\r\n" HOST
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define VIA "Via: 1.1 cache204\r\n"

enum { NOW_S = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

static struct conf *conf;
static struct wire wire;
static struct buf out;

static const struct cache_status none = {0};
static const struct delivery kept = {.keep_alive = true, .client_minor = 1};
static const struct request_form plain = {0};

static void parse(const char *text, bool response, enum http_method method)
{
	wire.conf = conf;
	wire.response = response;
	wire.method = method;
	wire.progress = (struct parse_progress){0};
	wire_parse(&wire, slice_str(text));
	if (wire.result != PARSE_DONE)
		fail_msg("result %d, failure %d: %s", wire.result, wire.failure, text);
}

static void ask(const char *text)
{
	parse(text, false, METHOD_GET);
}

/* The buffer is empty again. */
static void expect_out(const char *expected)
{
	struct slice bytes = buf_waiting(&out);

	if (!slice_eq(bytes, slice_str(expected)))
		fail_msg("composed\n%.*s\nfor\n%s", SLICE_ARG(bytes), expected);
	buf_free(&out);
}

/* ---- status lines --------------------------------------------------------------------------- */

/* Those of the registry that an origin may send: all others are "Other". */
static const struct {
	unsigned status;
	const char *phrase;
} phrases[] = {
	{100, "Continue"},
	{101, "Switching Protocols"},
	{102, "Processing"},
	{103, "Early Hints"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{203, "Non-Authoritative Information"},
	{204, "No Content"},
	{205, "Reset Content"},
	{206, "Partial Content"},
	{300, "Multiple Choices"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{407, "Proxy Authentication Required"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Content"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{508, "Loop Detected"},
};

static void test_reason_phrases(void **state)
{
	size_t at = 0;

	(void)state;
	for (unsigned status = 0; status < 1100; status++) {
		bool known =
			at < sizeof(phrases) / sizeof(*phrases) && phrases[at].status == status;

		assert_string_equal(compose_reason_phrase(status),
				    known ? phrases[at].phrase : "Other");
		at += known;
	}
	assert_int_equal(at, sizeof(phrases) / sizeof(*phrases));
}

static void test_forward_words(void **state)
{
	(void)state;
	assert_string_equal(compose_forward_word(FWD_NONE), "");
	assert_string_equal(compose_forward_word(FWD_BYPASS), "bypass");
	assert_string_equal(compose_forward_word(FWD_METHOD), "method");
	assert_string_equal(compose_forward_word(FWD_URI_MISS), "uri-miss");
	assert_string_equal(compose_forward_word(FWD_VARY_MISS), "vary-miss");
	assert_string_equal(compose_forward_word(FWD_STALE), "stale");
	assert_string_equal(compose_forward_word(FWD_REQUEST), "request");
}

/* ---- fields --------------------------------------------------------------------------------- */

/* RFC 9110 15.2.2: a 101 keeps its Upgrade, which no other does. */
static void test_a_switch(void **state)
{
	static const char *text = "HTTP/1.1 101 Go\r\nConnection: upgrade, X\r\nX: y\r\n"
				  "Upgrade: websocket\r\nZ: 1\r\n" END;

	(void)state;
	parse(text, true, METHOD_GET);
	assert_true(compose_switch(&out, conf, &wire.res));
	expect_out("HTTP/1.1 101 Switching Protocols\r\nZ: 1\r\n"
		   "Connection: Upgrade\r\nUpgrade: websocket\r\n" VIA END);
	assert_true(compose_interim(&out, conf, &wire.res));
	expect_out("HTTP/1.1 101 Switching Protocols\r\nZ: 1\r\n" VIA END);
}

/* A 304 has no content, and tells of none. */
static void test_a_local_304(void **state)
{
	struct local_answer answer = {304, "text/html", SLICE("ETag: \"e\"\r\n"), SLICE("hello")};

	(void)state;
	assert_true(compose_local(&out, &answer, &kept, NOW_S));
	expect_out("HTTP/1.1 304 Not Modified\r\n" DATE
		   "Cache-Control: no-store\r\nETag: \"e\"\r\n" END);
	answer.status = 305;
	assert_true(compose_local(&out, &answer, &kept, NOW_S));
	expect_out("HTTP/1.1 305 Other\r\n" DATE "Content-Type: text/html\r\n"
		   "Content-Length: 5\r\nCache-Control: no-store\r\nETag: \"e\"\r\n" END "hello");
}

/* A value of one byte is one. */
static void test_the_shortest_authorization(void **state)
{
	struct request_form form = {.proxy_authorization = SLICE("x")};

	(void)state;
	ask(GET END);
	assert_true(compose_request(&out, conf, &wire.req, &form));
	expect_out("GET / HTTP/1.1\r\n" HOST "Proxy-Authorization: x\r\n" VIA END);
	ask(CONNECT END);
	assert_true(compose_connect(&out, conf, &wire.req, SLICE("x")));
	expect_out("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n" VIA
		   "Proxy-Authorization: x\r\n" END);
}

/* What stands behind the last field, of a longer message before, is not sent. */
static void test_fields_end_with_their_count(void **state)
{
	(void)state;
	ask(GET "A: 1\r\nVia: 1.1 before\r\n" END);
	wire.req.fields.count--;
	assert_true(compose_request(&out, conf, &wire.req, &plain));
	expect_out("GET / HTTP/1.1\r\n" HOST "A: 1\r\n" VIA END);
	ask(CONNECT "A: 1\r\nVia: 1.1 before\r\n" END);
	wire.req.fields.count--;
	assert_true(compose_connect(&out, conf, &wire.req, SLICE("")));
	expect_out("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n" VIA END);
	parse("HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\nB: 2\r\n" END, true, METHOD_GET);
	wire.res.fields.count--;
	assert_true(compose_response(&out, conf, &wire.res, &none, &kept, NOW_S));
	expect_out("HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n" VIA
		   "Cache-Status: cache204\r\n" END);
}

/* ---- texts of failures ---------------------------------------------------------------------- */

static void expect_text(enum failure failure, const char *fault, const char *expected)
{
	struct slice bytes;
	const char *text;

	assert_true(compose_failure(&out, conf, &(struct failure_answer){failure, fault}, &none,
				    &kept, NOW_S));
	bytes = buf_waiting(&out);
	text = memmem(bytes.p, bytes.n, "\r\n\r\n", 4);
	assert_non_null(text);
	buf_consume(&out, (size_t)(text + 4 - bytes.p));
	expect_out(expected);
}

static void test_texts_of_failures(void **state)
{
	(void)state;
	expect_text(FAILURE_BAD_REQUEST, "line 2, byte 3: 0x00 in a value",
		    "400 Bad Request\nThe request could not be understood.\n"
		    "Where: line 2, byte 3: 0x00 in a value.\n(cache204: bad_request)\n");
	expect_text(FAILURE_LOOP, "",
		    "508 Loop Detected\nThe request has been here before, or the option pseudonym "
		    "gives two proxies the same name.\n"
		    "Its Via has this proxy's name, cache204: look where parent proxies and the "
		    "name of the origin lead. If the name is that of another proxy in the chain as "
		    "well, give each a pseudonym of its own (option pseudonym).\n"
		    "(cache204: loop)\n");
	expect_text(FAILURE_OWN_ADDRESS, "",
		    "508 Loop Detected\nThis is the proxy's own address: use --noproxy '*' with "
		    "curl, or no_proxy, to ask it without the proxy.\n"
		    "If it was for another host, look where the name of that host, a gateway's URL "
		    "or a parent proxy leads: it is here.\n"
		    "(cache204: own_address)\n");
	conf->instance = strdup("mine");
	expect_text(FAILURE_LOOP, "",
		    "508 Loop Detected\nThe request has been here before, or the option pseudonym "
		    "gives two proxies the same name.\n"
		    "Its Via has this proxy's name, mine: look where parent proxies and the "
		    "name of the origin lead. If the name is that of another proxy in the chain as "
		    "well, give each a pseudonym of its own (option pseudonym).\n"
		    "(cache204: loop)\n");
}

/* ---- requests ------------------------------------------------------------------------------- */

/* Our name in Via where it is not the pseudonym, and Upgrade where it is passed on. */
static void test_requests(void **state)
{
	(void)state;
	conf->upgrade = true;
	conf->instance = strdup("mine");
	ask(GET "A: 1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" END);
	assert_true(compose_request(&out, conf, &wire.req, &plain));
	expect_out("GET / HTTP/1.1\r\n" HOST
		   "A: 1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nVia: 1.1 mine\r\n" END);
	ask(CONNECT END);
	assert_true(compose_connect(&out, conf, &wire.req, SLICE("")));
	expect_out("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\nVia: 1.1 mine\r\n" END);
}

/* ---- values alone --------------------------------------------------------------------------- */

static void test_cache_status_alone(void **state)
{
	const struct cache_status status = {.hit = true, .ttl_s = -5, .key = SLICE("k")};

	(void)state;
	assert_true(buf_append(&out, SLICE("before ")));
	assert_true(compose_cache_status(&out, conf, &status));
	expect_out("before cache204; hit; ttl=-5; key=\"k\"");
	assert_true(compose_cache_status(&out, conf, &none));
	expect_out("cache204");
}

static void test_a_type_of_one_byte(void **state)
{
	(void)state;
	assert_true(compose_local(&out, &(struct local_answer){200, "t", SLICE(""), SLICE("c")},
				  &kept, NOW_S));
	expect_out("HTTP/1.1 200 OK\r\n" DATE "Content-Type: t\r\nContent-Length: 1\r\n"
		   "Cache-Control: no-store\r\n\r\nc");
}

/* ---- room ----------------------------------------------------------------------------------- */

enum { LONG = 20000 };

static char long_text[LONG + 1];

static struct slice a_long_one(char c)
{
	memset(long_text, c, LONG);
	return slice_of(long_text, LONG);
}

/* `before`, a long run of 'a', `after`. */
static const char *around(const char *before, const char *after)
{
	static char text[LONG + 1000];

	snprintf(text, sizeof(text), "%s%.*s%s", before, SLICE_ARG(a_long_one('a')), after);
	return text;
}

/* Composed, all of it: buf_added() and the sanitizers see what is beyond the room. */
static void expect_room(bool composed)
{
	assert_true(composed);
	assert_true(buf_length(&out) >= LONG);
	buf_free(&out);
}

/* So that a message may be of any length. */
static void set_no_limits(void)
{
	conf->head_size = 32 << 10;
	conf->uri_length = 24 << 10;
}

static void test_room_for_requests(void **state)
{
	struct record_view record = {.etag = SLICE("\"e\""), .head_304 = SLICE("")};
	struct request_form form = {.validate = &record};

	(void)state;
	set_no_limits();
	ask(around("GET http://h/", " HTTP/1.1\r\n" HOST END));
	expect_room(compose_request(&out, conf, &wire.req, &plain));
	ask(around(GET "A: ", "\r\n" END));
	expect_room(compose_request(&out, conf, &wire.req, &plain));
	ask(around(CONNECT "Via: 1.1 ", "\r\n" END));
	expect_room(compose_connect(&out, conf, &wire.req, SLICE("")));
	ask(CONNECT END);
	expect_room(compose_connect(&out, conf, &wire.req, a_long_one('b')));
	ask(GET END);
	form.proxy_authorization = a_long_one('b');
	expect_room(compose_request(&out, conf, &wire.req, &form));
	form.proxy_authorization = SLICE("");
	record.etag = a_long_one('"');
	expect_room(compose_request(&out, conf, &wire.req, &form));
	a_long_one('p');
	assert_true(test_conf_set(conf, "pseudonym", long_text));
	expect_room(compose_request(&out, conf, &wire.req, &plain));
	ask(CONNECT END);
	expect_room(compose_connect(&out, conf, &wire.req, SLICE("")));
}

static void test_room_for_responses(void **state)
{
	struct cache_status status = {.hit = true};
	struct record_meta meta = {0};
	struct record_view record = {.meta = &meta};

	(void)state;
	set_no_limits();
	parse(around("HTTP/1.1 200 OK\r\nA: ", "\r\n" END), true, METHOD_GET);
	expect_room(compose_response(&out, conf, &wire.res, &none, &kept, NOW_S));
	parse(around("HTTP/1.1 103 OK\r\nA: ", "\r\n" END), true, METHOD_GET);
	expect_room(compose_interim(&out, conf, &wire.res));
	record.head_304 = slice_of(a_long_one('a').p, 0);
	record.head_rest = slice_of(long_text, LONG);
	expect_room(
		compose_record(&out, conf, &(struct record_answer){&record, 204, 0}, &none, &kept));
	record = (struct record_view){.meta = &meta};
	status.key = a_long_one('\\');
	expect_room(compose_record(&out, conf, &(struct record_answer){&record, 204, 0}, &status,
				   &kept));
	expect_room(compose_cache_status(&out, conf, &status));
	parse("HTTP/1.1 103 OK\r\n" END, true, METHOD_GET);
	a_long_one('p');
	assert_true(test_conf_set(conf, "pseudonym", long_text));
	expect_room(compose_interim(&out, conf, &wire.res));
	expect_room(
		compose_record(&out, conf, &(struct record_answer){&record, 204, 0}, &none, &kept));
	expect_room(compose_cache_status(&out, conf, &none));
}

static void test_room_for_answers_made_here(void **state)
{
	struct slice empty = SLICE("");

	(void)state;
	expect_room(compose_local(&out, &(struct local_answer){200, "", empty, a_long_one('c')},
				  &kept, NOW_S));
	expect_room(compose_local(&out, &(struct local_answer){200, "", a_long_one('e'), empty},
				  &kept, NOW_S));
	expect_room(compose_local(
		&out, &(struct local_answer){200, a_long_one('t').p, empty, empty}, &kept, NOW_S));
	a_long_one('M');
	assert_true(test_conf_set(conf, "methods", long_text));
	expect_room(compose_allow(&out, conf));
	expect_room(compose_failure(&out, conf, &(struct failure_answer){FAILURE_DENIED_METHOD, ""},
				    &none, &kept, NOW_S));
	assert_true(test_conf_set(conf, "pseudonym", long_text));
	expect_room(compose_failure(&out, conf, &(struct failure_answer){FAILURE_AUTH_FAILED, ""},
				    &none, &kept, NOW_S));
}

/* Many of them, of which each costs a separator. */
static void test_room_for_many_methods(void **state)
{
	static char methods[12000];

	(void)state;
	for (size_t i = 0; i < sizeof(methods) - 1; i++)
		methods[i] = i % 2 == 0 ? 'M' : ',';
	assert_true(test_conf_set(conf, "methods", methods));
	assert_true(compose_allow(&out, conf));
	assert_int_equal(buf_length(&out), strlen("Allow: \r\n") + 6000 + 2 * 5999);
	buf_free(&out);
}

/* --------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	conf = test_conf_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&out);
	test_conf_free(conf);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reason_phrases),
		TEST(test_forward_words),
		TEST(test_a_switch),
		TEST(test_a_local_304),
		TEST(test_the_shortest_authorization),
		TEST(test_fields_end_with_their_count),
		TEST(test_texts_of_failures),
		TEST(test_requests),
		TEST(test_cache_status_alone),
		TEST(test_a_type_of_one_byte),
		TEST(test_room_for_requests),
		TEST(test_room_for_responses),
		TEST(test_room_for_answers_made_here),
		TEST(test_room_for_many_methods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
