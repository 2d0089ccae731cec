/* LINKS: proxy/http1 -Wl,--wrap=malloc */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cache/http/fields.h"
#include "tests/support/test_conf.h"
#include "tests/oracle/wire.h"

#define TEXT(literal)                          \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HOST "Host: h\r\n"
#define END "\r\n"
#define GET "GET http://h/ HTTP/1.1\r\n" HOST
#define OK "HTTP/1.1 200 Fine\r\n"
#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define VIA "Via: 1.1 cache204\r\n"

enum { NOW_S = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

static struct conf *conf;
static struct wire asked, got, sent;
static struct buf out;

static const struct cache_status miss = {.fwd = FWD_URI_MISS};
static const struct delivery kept = {.keep_alive = true, .client_minor = 1};
static const struct delivery closing = {.client_minor = 1};

/* Memory runs out when a test says so. */
static bool no_memory;
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
	return no_memory ? NULL : __real_malloc(size);
}

/* ---- running -------------------------------------------------------------------------------- */

static void parse(struct wire *wire, struct slice bytes, bool response, enum http_method method)
{
	wire->conf = conf;
	wire->response = response;
	wire->method = method;
	wire->progress = (struct parse_progress){0};
	wire_parse(wire, bytes);
	if (wire->result != PARSE_DONE)
		fail_msg("result %d, failure %d: %.*s", wire->result, wire->failure,
			 SLICE_ARG(bytes));
}

static void ask(const char *text)
{
	parse(&asked, slice_str(text), false, METHOD_GET);
}

static void get(const char *text, enum http_method method)
{
	parse(&got, slice_str(text), true, method);
}

/* What was composed, whole; the buffer is empty again. */
static void expect_out(const char *expected)
{
	struct slice bytes = buf_waiting(&out);

	if (!slice_eq(bytes, slice_str(expected)))
		fail_msg("composed\n%.*s\nfor\n%s", SLICE_ARG(bytes), expected);
	buf_free(&out);
}

static void request(const struct request_form *form)
{
	assert_true(compose_request(&out, conf, &asked.req, form));
}

static bool respond(const struct delivery *delivery)
{
	assert_true(compose_response(&out, conf, &got.res, &miss, delivery, NOW_S));
	return compose_is_chunked(&got.res, delivery);
}

/* ---- hits ----------------------------------------------------------------------------------- */

#define HEAD_304 DATE "ETag: \"e\"\r\n"
#define HEAD_REST "X: y\r\nLast-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n"

static const char head[] = HEAD_304 HEAD_REST;

static const struct record_meta meta, old_meta = {.flags = META_HTTP_1_0};

static struct record_view a_record(void)
{
	const char *rest = head + sizeof(HEAD_304) - 1;

	return (struct record_view){
		.meta = &meta,
		.head_304 = slice_of(head, sizeof(HEAD_304) - 1),
		.head_rest = slice_of(rest, sizeof(HEAD_REST) - 1),
		.etag = SLICE("\"e\""),
		.last_modified = SLICE("Sun, 06 Nov 1994 08:00:00 GMT"),
	};
}

static void test_hits(void **state)
{
	struct record_view record = a_record();
	struct cache_status hit = {.hit = true, .ttl_s = 376};

	(void)state;
	record.meta = &old_meta;
	assert_true(
		compose_record(&out, conf, &(struct record_answer){&record, 204, 0}, &hit, &kept));
	expect_out("HTTP/1.1 204 No Content\r\n" HEAD_304 HEAD_REST "Age: 0\r\n"
		   "Via: 1.0 cache204\r\nCache-Status: cache204; hit; ttl=376\r\n\r\n");
	record.meta = &meta;
	assert_true(
		compose_record(&out, conf, &(struct record_answer){&record, 204, 0}, &hit, &kept));
	expect_out("HTTP/1.1 204 No Content\r\n" HEAD_304 HEAD_REST "Age: 0\r\n" VIA
		   "Cache-Status: cache204; hit; ttl=376\r\n\r\n");
	hit.ttl_s = -5;
	hit.why = REASON_EXPIRED;
	assert_true(compose_record(&out, conf, &(struct record_answer){&record, 304, 4294967296},
				   &hit, &closing));
	expect_out("HTTP/1.1 304 Not Modified\r\n" HEAD_304 "Age: 4294967296\r\n" VIA
		   "Cache-Status: cache204; hit; ttl=-5; detail=expired\r\n"
		   "Connection: close\r\n\r\n");
}

/* RFC 9112 9.3: a connection that stays is told to an HTTP/1.0 client, whatever the answer. */
static void test_persistence_is_announced_to_http_1_0(void **state)
{
	static const struct delivery deliveries[] = {{.keep_alive = true}, {.keep_alive = false}};
	struct record_view record = a_record();
	struct cache_status hit = {.hit = true, .ttl_s = 1};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct delivery *delivery = &deliveries[i % 2];

		if (i < 2)
			assert_true(compose_record(&out, conf,
						   &(struct record_answer){&record, 204, 1}, &hit,
						   delivery));
		else
			assert_true(compose_failure(&out, conf,
						    &(struct failure_answer){FAILURE_LOOP, ""},
						    &hit, delivery, NOW_S));
		parse(&sent, buf_waiting(&out), true, METHOD_GET);
		assert_int_equal(http_connection_has(&sent.res.fields, SLICE("keep-alive")),
				 delivery->keep_alive);
		assert_int_equal(http_connection_has(&sent.res.fields, SLICE("close")),
				 !delivery->keep_alive);
		buf_free(&out);
	}
}

static void test_hits_parse_as_what_they_are(void **state)
{
	static const unsigned statuses[] = {204, 304};
	struct record_view record = a_record();
	struct cache_status hit = {.hit = true, .ttl_s = 1};

	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		assert_true(compose_record(
			&out, conf, &(struct record_answer){&record, statuses[i], 1}, &hit, &kept));
		parse(&sent, buf_waiting(&out), true, METHOD_GET);
		assert_int_equal(sent.consumed, buf_length(&out));
		assert_int_equal(sent.res.status, statuses[i]);
		assert_true(sent.res.keep_alive && !sent.res.framing_trouble);
		assert_int_equal(http_fields_lines(&sent.res.fields, FIELD_AGE), 1);
		buf_free(&out);
	}
}

static void test_cache_status(void **state)
{
	static const struct {
		struct cache_status status;
		const char *value;
	} rows[] = {
		{{.hit = true, .ttl_s = INT64_MAX}, "; hit; ttl=9223372036854775807"},
		{{.hit = true, .ttl_s = INT64_MIN}, "; hit; ttl=-9223372036854775808"},
		{{.fwd = FWD_BYPASS}, "; fwd=bypass"},
		{{.fwd = FWD_METHOD}, "; fwd=method"},
		{{.fwd = FWD_URI_MISS, .fwd_status = 204, .stored = true},
		 "; fwd=uri-miss; fwd-status=204; stored"},
		{{.fwd = FWD_VARY_MISS, .why = REASON_PRIVATE}, "; fwd=vary-miss; detail=private"},
		{{.fwd = FWD_STALE, .fwd_status = 304}, "; fwd=stale; fwd-status=304"},
		{{.fwd = FWD_REQUEST, .collapsed = true}, "; fwd=request; collapsed"},
		{{.hit = true, .key = TEXT("http://h/?q")}, "; hit; ttl=0; key=\"http://h/?q\""},
		{{.hit = true, .key = TEXT("a\"b\\")}, "; hit; ttl=0; key=\"a\\\"b\\\\\""},
	};
	struct record_view record = {.meta = &meta, .head_304 = TEXT("")};
	char expected[512];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(compose_record(&out, conf, &(struct record_answer){&record, 204, 7},
					   &rows[i].status, &kept));
		sprintf(expected,
			"HTTP/1.1 204 No Content\r\nAge: 7\r\n" VIA
			"Cache-Status: cache204%s\r\n\r\n",
			rows[i].value);
		expect_out(expected);
	}
}

/* ---- answers made here ---------------------------------------------------------------------- */

static void test_a_failure(void **state)
{
	struct cache_status none = {0};
	struct delivery delivery = {.client_minor = 1};

	(void)state;
	assert_true(compose_failure(&out, conf, &(struct failure_answer){FAILURE_BAD_HOST, ""},
				    &none, &delivery, NOW_S));
	expect_out("HTTP/1.1 400 Bad Request\r\n" DATE "Content-Type: text/plain; charset=utf-8\r\n"
		   "Content-Length: 87\r\n"
		   "Cache-Control: no-store\r\n"
		   "Proxy-Status: cache204; error=http_request_error\r\n"
		   "Cache-Status: cache204\r\n"
		   "X-Content-Type-Options: nosniff\r\n"
		   "Connection: close\r\n\r\n"
		   "400 Bad Request\n"
		   "The Host field is missing, repeated or malformed.\n"
		   "(cache204: bad_host)\n");
	/* what the client asked for is no error of the proxy's, and ends no connection */
	delivery = (struct delivery){.keep_alive = true, .client_minor = 1, .head_only = true};
	none.why = REASON_NO_RECORD;
	assert_true(compose_failure(&out, conf,
				    &(struct failure_answer){FAILURE_ONLY_IF_CACHED, ""}, &none,
				    &delivery, NOW_S));
	expect_out("HTTP/1.1 504 Gateway Timeout\r\n" DATE
		   "Content-Type: text/plain; charset=utf-8\r\n"
		   "Content-Length: 116\r\n"
		   "Cache-Control: no-store\r\n"
		   "Cache-Status: cache204; detail=no-record\r\n"
		   "X-Content-Type-Options: nosniff\r\n\r\n");
}

/* RFC 9209 2.1.4: where a head is wrong, and the options that decide, as one String. */
static void test_details_of_a_failure(void **state)
{
	static const struct {
		enum failure failure;
		const char *fault, *field;
	} cases[] = {
		{FAILURE_BAD_REQUEST, "line 2, byte 3: 0x00 in a value",
		 "http_request_error; details=\"line 2, byte 3: 0x00 in a value\"\r\n"},
		{FAILURE_URI_TOO_LONG, "", "http_request_error; details=\"option uri_length\"\r\n"},
		{FAILURE_HEAD_TOO_LARGE, "9 lines",
		 "http_request_error; details=\"9 lines; options head_size, field_count\"\r\n"},
		{FAILURE_BAD_REQUEST, "\"\\\r\n\x80\x7f",
		 "http_request_error; details=\"\\\"\\\\????\"\r\n"},
		{FAILURE_BAD_REQUEST, "x", "http_request_error; details=\"x\"\r\n"},
		{FAILURE_URI_TOO_LONG, "x",
		 "http_request_error; details=\"x; option uri_length\"\r\n"},
		{FAILURE_HEAD_TOO_LARGE, "",
		 "http_request_error; details=\"options head_size, field_count\"\r\n"},
		{FAILURE_ORIGIN_REFUSED, "", "connection_refused\r\n"},
	};
	struct cache_status none = {0};
	struct delivery delivery = {.client_minor = 1};
	struct slice sent_text;
	char fault[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[256];

		snprintf(expected, sizeof(expected), "Proxy-Status: cache204; error=%s",
			 cases[i].field);
		assert_true(compose_failure(
			&out, conf, &(struct failure_answer){cases[i].failure, cases[i].fault},
			&none, &delivery, NOW_S));
		sent_text = buf_waiting(&out);
		assert_non_null(memmem(sent_text.p, sent_text.n, expected, strlen(expected)));
		buf_consume(&out, buf_length(&out));
	}
	/* whatever it is, it is bounded */
	memset(fault, '"', sizeof(fault) - 1);
	fault[sizeof(fault) - 1] = '\0';
	assert_true(compose_failure(&out, conf,
				    &(struct failure_answer){FAILURE_HEAD_TOO_LARGE, fault}, &none,
				    &delivery, NOW_S));
	assert_true(buf_length(&out) < 1500);
	buf_consume(&out, buf_length(&out));
}

/* M5, for each: framed, closing, not stored, told why. */
static void expect_failure(enum failure failure, const struct delivery *delivery)
{
	const struct http_field *line;
	struct slice text;

	assert_true(compose_failure(&out, conf, &(struct failure_answer){failure, ""}, &miss,
				    delivery, NOW_S));
	parse(&sent, buf_waiting(&out), true, delivery->head_only ? METHOD_HEAD : METHOD_GET);
	text = buf_waiting(&out);
	text = slice_of(text.p + sent.consumed, text.n - sent.consumed);
	assert_int_equal(sent.res.status, failure_status(failure));
	assert_int_equal(text.n, delivery->head_only ? 0 : sent.res.content_length);
	assert_true(sent.res.content_length > 0);
	assert_int_equal(sent.res.keep_alive, delivery->keep_alive);
	assert_true(http_list_has(&sent.res.fields, FIELD_CACHE_CONTROL, SLICE("no-store")));
	assert_non_null(http_fields_named(&sent.res.fields, SLICE("X-Content-Type-Options")));
	line = http_fields_first(&sent.res.fields, FIELD_PROXY_STATUS);
	assert_int_equal(line != NULL, failure_token(failure)[0] != '\0');
	if (text.n > 0)
		assert_non_null(memmem(text.p, text.n, failure_name(failure),
				       strlen(failure_name(failure))));
	assert_string_not_equal(compose_reason_phrase(sent.res.status), "Other");
	buf_free(&out);
}

static void test_failures(void **state)
{
	struct delivery head_only = {.client_minor = 1, .keep_alive = true, .head_only = true};

	(void)state;
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
		if (failure_status(f) == 0)
			continue;
		expect_failure(f, &closing);
		expect_failure(f, &head_only);
	}
}

/* What the client needs to know to do better is told by the status. */
static void test_failures_advise(void **state)
{
	static const struct {
		unsigned status;
		const char *name;
		const char *value;
	} rows[] = {
		{405, "Allow", "GET, QUERY"},
		{407, "Proxy-Authenticate", "Basic realm=\"cache204\", charset=\"UTF-8\""},
		{429, "Retry-After", "2"},
		{503, "Retry-After", "2"},
	};

	(void)state;
	assert_true(test_conf_set(conf, "methods", "GET, QUERY"));
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
		if (failure_status(f) == 0)
			continue;
		assert_true(compose_failure(&out, conf, &(struct failure_answer){f, ""}, &miss,
					    &kept, NOW_S));
		parse(&sent, buf_waiting(&out), true, METHOD_GET);
		for (size_t i = 0; i < COUNT(rows); i++) {
			const struct http_field *line =
				http_fields_named(&sent.res.fields, slice_str(rows[i].name));

			if (failure_status(f) == rows[i].status)
				assert_true(line != NULL &&
					    slice_eq(line->value, slice_str(rows[i].value)));
			else if (failure_status(f) == 400)
				assert_null(line);
		}
		buf_free(&out);
	}
}

static void test_allow(void **state)
{
	(void)state;
	assert_true(compose_allow(&out, conf));
	expect_out("Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, CONNECT\r\n");
	assert_true(test_conf_set(conf, "methods", "GET"));
	assert_true(compose_allow(&out, conf));
	expect_out("Allow: GET\r\n");
}

static void test_local_answers(void **state)
{
	struct delivery head_only = {.head_only = true};
	struct slice extra = SLICE("Allow: GET\r\n"), content = SLICE("hello");

	(void)state;
	assert_true(compose_local(&out, &(struct local_answer){200, "text/html", extra, content},
				  &kept, NOW_S));
	expect_out("HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/html\r\nContent-Length: 5\r\n"
		   "Cache-Control: no-store\r\nAllow: GET\r\n\r\nhello");
	assert_true(compose_local(&out, &(struct local_answer){200, "", slice_of(NULL, 0), content},
				  &head_only, NOW_S));
	expect_out("HTTP/1.1 200 OK\r\n" DATE "Content-Length: 5\r\n"
		   "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
	/* A1: no framing, nor content, on a 204 */
	assert_true(compose_local(&out, &(struct local_answer){204, "text/html", extra, content},
				  &kept, NOW_S));
	expect_out("HTTP/1.1 204 No Content\r\n" DATE
		   "Cache-Control: no-store\r\nAllow: GET\r\n\r\n");
}

/* ---- requests ------------------------------------------------------------------------------- */

static const struct request_form plain = {0};
static const struct request_form to_parent = {.absolute = true};

static void test_request_targets(void **state)
{
	static const struct {
		const char *line;
		const char *composed;
	} rows[] = {
		{"GET http://H.Example:80/A?b HTTP/1.1",
		 "GET /A?b HTTP/1.1\r\nHost: h.example\r\n"},
		{"GET http://h HTTP/1.1", "GET / HTTP/1.1\r\nHost: h\r\n"},
		{"GET http://h?q HTTP/1.1", "GET /?q HTTP/1.1\r\nHost: h\r\n"},
		{"GET http://h/a/../%7e//? HTTP/1.1", "GET /a/../%7e//? HTTP/1.1\r\nHost: h\r\n"},
		{"QUERY http://[::1]:8080/ HTTP/1.1", "QUERY / HTTP/1.1\r\nHost: [::1]:8080\r\n"},
		{"GET http://h:443/ HTTP/1.1", "GET / HTTP/1.1\r\nHost: h:443\r\n"},
		{"OPTIONS http://h:81 HTTP/1.1", "OPTIONS * HTTP/1.1\r\nHost: h:81\r\n"},
		{"OPTIONS http://h/ HTTP/1.1", "OPTIONS / HTTP/1.1\r\nHost: h\r\n"},
		{"OPTIONS http://h?q HTTP/1.1", "OPTIONS /?q HTTP/1.1\r\nHost: h\r\n"},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		/* T2: the Host that was sent does not matter */
		sprintf(text, "%s\r\nHost: evil.example\r\n\r\n", rows[i].line);
		ask(text);
		request(&plain);
		sprintf(text, "%s" VIA END, rows[i].composed);
		expect_out(text);
	}
	ask("GET http://H:80/A HTTP/1.0\r\n\r\n");
	request(&to_parent);
	expect_out("GET http://h/A HTTP/1.1\r\nHost: h\r\nVia: 1.0 cache204\r\n\r\n");
	ask("GET http://h:81?q HTTP/1.1\r\n" HOST END);
	request(&to_parent);
	expect_out("GET http://h:81/?q HTTP/1.1\r\nHost: h:81\r\n" VIA END);
}

/* H1, H2, F8 */
static void test_request_fields(void **state)
{
	(void)state;
	ask("POST http://h/ HTTP/1.1\r\nX-First: 1\r\nhost: h:80\r\n"
	    "Connection: X-Secret, close, Authorization\r\n"
	    "x-secret: a\r\nConnection: TE,,  Host , content-length, Via\r\nTE: trailers\r\n"
	    "Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTrailer: X\r\nUpgrade: h2c\r\n"
	    "HTTP2-Settings: AA\r\nProxy-Authorization: Basic YTpi\r\n"
	    "Proxy-Authenticate: x\r\nAuthorization: Basic YTpi\r\nVia: 1.0 other\r\n"
	    "X-SECRET: b\r\nX-Empty:\r\nCookie: a=b\r\nContent-Length: 05\r\nX-Last:  2 \r\n\r\n");
	request(&plain);
	expect_out("POST / HTTP/1.1\r\nHost: h\r\nX-First: 1\r\nAuthorization: Basic YTpi\r\n"
		   "Via: 1.0 other\r\nX-Empty: \r\nCookie: a=b\r\nX-Last: 2\r\n"
		   "Content-Length: 5\r\n" VIA END);
}

static void test_request_framing(void **state)
{
	(void)state;
	ask("PUT http://h/ HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n" HOST END);
	request(&plain);
	expect_out("PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" VIA END);
	ask("POST http://h/ HTTP/1.1\r\nContent-Length: 0\r\n" HOST END);
	request(&plain);
	expect_out("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" VIA END);
	/* F7 */
	ask("DELETE http://h/ HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n" HOST END);
	request(&plain);
	expect_out("DELETE / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n" VIA END);
}

#define OWN_TAG "If-None-Match: \"e\"" /* of a_record() */
#define OWN_TIME "If-Modified-Since: Sun, 06 Nov 1994 08:00:00 GMT\r\n"

static void test_request_validators(void **state)
{
	static const struct {
		const char *asked; /* conditions of the client */
		const char *sent;
	} rows[] = {
		{"", OWN_TAG "\r\n"},
		{"If-None-Match: \"a\", W/\"b\"\r\n", OWN_TAG ", \"a\", W/\"b\"\r\n"},
		{"If-None-Match: \"a\"\r\nX: y\r\nIf-None-Match: \"b\"\r\n",
		 "X: y\r\n" OWN_TAG ", \"a\", \"b\"\r\n"},
		{"If-None-Match: \"e\"\r\n", OWN_TAG "\r\n"},
		{"If-None-Match: *\r\n", OWN_TAG "\r\n"},
		{"If-None-Match:\r\n", OWN_TAG "\r\n"},
		{"If-Modified-Since: Sun, 06 Nov 1994 09:00:00 GMT\r\n", OWN_TAG "\r\n"},
	};
	struct record_view record = a_record();
	struct request_form form = {.validate = &record};
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		sprintf(text, GET "%s" END, rows[i].asked);
		ask(text);
		request(&form);
		sprintf(text, "GET / HTTP/1.1\r\n" HOST "%s" OWN_TIME VIA END, rows[i].sent);
		expect_out(text);
	}
}

static void test_request_without_some_validators(void **state)
{
	struct record_view record = a_record();
	struct request_form form = {.validate = &record};

	(void)state;
	ask(GET "If-None-Match: \"a\"\r\nIf-Modified-Since: x\r\nIf-Match: \"m\"\r\n" END);
	request(&plain);
	expect_out("GET / HTTP/1.1\r\n" HOST "If-None-Match: \"a\"\r\nIf-Modified-Since: x\r\n"
		   "If-Match: \"m\"\r\n" VIA END);
	record.etag = slice_of(NULL, 0);
	request(&form);
	expect_out("GET / HTTP/1.1\r\n" HOST "If-Match: \"m\"\r\n" OWN_TIME VIA END);
	record = a_record();
	record.last_modified = slice_of(NULL, 0);
	request(&form);
	expect_out("GET / HTTP/1.1\r\n" HOST "If-Match: \"m\"\r\n" OWN_TAG ", \"a\"\r\n" VIA END);
	form = (struct request_form){.unconditional = true};
	request(&form);
	expect_out("GET / HTTP/1.1\r\n" HOST "If-Match: \"m\"\r\n" VIA END);
}

/* RFC 9110 10.1.1: what an HTTP/1.0 client expects is ignored, and so it goes no further. */
static void test_expectations_of_http10(void **state)
{
	(void)state;
	ask("POST http://h/ HTTP/1.0\r\n" HOST "Expect: x\r\nX: y\r\n" END);
	request(&plain);
	expect_out("POST / HTTP/1.1\r\n" HOST "X: y\r\nVia: 1.0 cache204\r\n" END);
	ask("POST http://h/ HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n" END);
	request(&plain);
	expect_out("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n" VIA END);
}

static void test_request_to_parent(void **state)
{
	struct request_form form = {
		.absolute = true,
		.proxy_authorization = SLICE("Basic eDp5"),
		.max_forwards = "4",
	};

	(void)state;
	ask("OPTIONS http://h HTTP/1.1\r\n" HOST "Max-Forwards: 5\r\n"
	    "Proxy-Authorization: Basic YTpi\r\n" END);
	request(&form);
	expect_out("OPTIONS http://h HTTP/1.1\r\n" HOST "Max-Forwards: 4\r\n"
		   "Proxy-Authorization: Basic eDp5\r\n" VIA END);
	request(&plain);
	expect_out("OPTIONS * HTTP/1.1\r\n" HOST "Max-Forwards: 5\r\n" VIA END);
}

static void test_connect_to_parent(void **state)
{
	(void)state;
	ask("CONNECT [::1]:80 HTTP/1.0\r\nVia: 1.1 other\r\nX: y\r\n"
	    "Proxy-Authorization: Basic YTpi\r\n" END);
	assert_true(compose_connect(&out, conf, &asked.req, slice_of(NULL, 0)));
	expect_out("CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\nVia: 1.1 other\r\n"
		   "Via: 1.0 cache204\r\n\r\n");
	ask("CONNECT h:443 HTTP/1.1\r\n" HOST END);
	assert_true(compose_connect(&out, conf, &asked.req, SLICE("Basic eDp5")));
	parse(&sent, buf_waiting(&out), false, METHOD_GET);
	expect_out("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n" VIA
		   "Proxy-Authorization: Basic eDp5\r\n" END);
}

/* ---- responses ------------------------------------------------------------------------------ */

#define STATUS "Cache-Status: cache204; fwd=uri-miss\r\n"
#define CLOSE "Connection: close\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct delivery old_client = {.client_minor = 0};

static void test_response_framing(void **state)
{
	static const struct {
		const char *got;
		enum http_method method;
		const struct delivery *delivery;
		bool chunked;
		const char *sent; /* status line and framing */
		const char *end;
	} rows[] = {
		{OK "Content-Length: 005\r\n" END, METHOD_GET, &kept, false,
		 "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 5\r\n", END},
		{OK "Content-Length: 0\r\n" END, METHOD_GET, &closing, false,
		 "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n", CLOSE END},
		{OK CHUNKED END, METHOD_GET, &kept, true, "HTTP/1.1 200 OK\r\n" DATE CHUNKED, END},
		{OK CHUNKED "Content-Length: 5\r\n" END, METHOD_GET, &kept, true,
		 "HTTP/1.1 200 OK\r\n" DATE CHUNKED, END},
		{OK END, METHOD_GET, &kept, true, "HTTP/1.1 200 OK\r\n" DATE CHUNKED, END},
		{OK CHUNKED END, METHOD_GET, &old_client, false, "HTTP/1.1 200 OK\r\n" DATE,
		 CLOSE END},
		{OK END, METHOD_GET, &old_client, false, "HTTP/1.1 200 OK\r\n" DATE, CLOSE END},
		/* A1, A3: a 204 has no framing fields */
		{"HTTP/1.1 204 X\r\nContent-Length: 0\r\n" END, METHOD_GET, &kept, false,
		 "HTTP/1.1 204 No Content\r\n" DATE, END},
		{"HTTP/1.1 204 X\r\nContent-Length: 5\r\n" CHUNKED END, METHOD_GET, &kept, false,
		 "HTTP/1.1 204 No Content\r\n" DATE, END},
		/* HEAD and 304 tell the length that a GET would have, if it is one */
		{OK "Content-Length: 5\r\n" END, METHOD_HEAD, &kept, false,
		 "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 5\r\n", END},
		{OK CHUNKED END, METHOD_HEAD, &kept, false, "HTTP/1.1 200 OK\r\n" DATE, END},
		{OK CHUNKED "Content-Length: 5\r\n" END, METHOD_HEAD, &kept, false,
		 "HTTP/1.1 200 OK\r\n" DATE, END},
		{"HTTP/1.1 304 X\r\nContent-Length: 5\r\n" END, METHOD_GET, &kept, false,
		 "HTTP/1.1 304 Not Modified\r\n" DATE "Content-Length: 5\r\n", END},
		/* A6: the phrase is our own */
		{"HTTP/1.1 599 <b>\r\nContent-Length: 1\r\n" END, METHOD_GET, &kept, false,
		 "HTTP/1.1 599 Other\r\n" DATE "Content-Length: 1\r\n", END},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		get(rows[i].got, rows[i].method);
		assert_int_equal(respond(rows[i].delivery), rows[i].chunked);
		sprintf(text, "%s" VIA STATUS "%s", rows[i].sent, rows[i].end);
		expect_out(text);
	}
}

static void test_response_fields(void **state)
{
	(void)state;
	get("HTTP/1.0 204 X\r\nServer: s\r\nConnection: keep-alive, x-hop, Date, set-cookie\r\n"
	    "Date: yesterday\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: Basic\r\n"
	    "Proxy-Authentication-Info: x\r\nUpgrade: h2c\r\nTrailer: X\r\n"
	    "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nVia: 1.1 other\r\n"
	    "Cache-Status: other; hit\r\nX:\r\n\r\n",
	    METHOD_GET);
	assert_false(respond(&kept));
	expect_out("HTTP/1.1 204 No Content\r\nServer: s\r\nDate: yesterday\r\nVia: 1.1 other\r\n"
		   "Cache-Status: other; hit\r\nX: \r\nVia: 1.0 cache204\r\n" STATUS END);
}

static void test_interim_responses(void **state)
{
	(void)state;
	get("HTTP/1.1 103 X\r\nLink: </a>\r\nContent-Length: 5\r\nConnection: X\r\nX: y\r\n" END,
	    METHOD_GET);
	assert_true(compose_interim(&out, conf, &got.res));
	expect_out("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n" VIA END);
	get("HTTP/1.0 100 X\r\n" CHUNKED END, METHOD_POST);
	assert_true(compose_interim(&out, conf, &got.res));
	expect_out("HTTP/1.1 100 Continue\r\nVia: 1.0 cache204\r\n\r\n");
}

static void test_who_needs_a_close(void **state)
{
	(void)state;
	get(OK END, METHOD_GET);
	assert_true(compose_needs_close(&got.res, &old_client));
	assert_false(compose_needs_close(&got.res, &kept));
	get(OK CHUNKED END, METHOD_GET);
	assert_true(compose_needs_close(&got.res, &old_client));
	assert_false(compose_needs_close(&got.res, &kept));
	get(OK CHUNKED END, METHOD_HEAD);
	assert_false(compose_needs_close(&got.res, &old_client));
	get(OK "Content-Length: 5\r\n" END, METHOD_GET);
	assert_false(compose_needs_close(&got.res, &old_client));
	get("HTTP/1.1 204 X\r\n" END, METHOD_GET);
	assert_false(compose_needs_close(&got.res, &old_client));
}

/* ---- what was composed, parsed again: the same message (V1) --------------------------------- */

static void expect_same_request(const struct request_form *form)
{
	const char *difference;

	request(form);
	parse(&sent, buf_waiting(&out), false, METHOD_GET);
	assert_int_equal(sent.consumed, buf_length(&out));
	difference = wire_request_differs(&asked.req, form, &sent.req);
	if (difference != NULL)
		fail_msg("%s differs: %.*s", difference, SLICE_ARG(buf_waiting(&out)));
	buf_free(&out);
}

static void test_requests_parse_as_the_same(void **state)
{
	static const char *const rows[] = {
		GET END,
		"HEAD http://H.example:8080?a HTTP/1.0\r\nX: y\r\nExpect: z\r\n\r\n",
		"POST http://h/a HTTP/1.1\r\nContent-Length: 5\r\nConnection: close\r\n" HOST END,
		"QUERY http://[::1]/ HTTP/1.1\r\n" CHUNKED HOST END,
		"OPTIONS http://h HTTP/1.1\r\nMax-Forwards: 3\r\n" HOST END,
		"PATCH http://h HTTP/1.9\r\nContent-Length: 0\r\nExpect: 100-continue\r\n" HOST END,
		GET "Connection: a, b\r\nA: 1\r\nB: 2\r\nC: 3\r\nTE: x\r\nVia: 1.1 x\r\n" END,
		GET "If-None-Match: \"a\"\r\nX:\r\nIf-None-Match: \"b\"\r\n"
		    "If-Modified-Since: x\r\nX: \x80\r\n" END,
		GET "X: a\tb\r\nx: ,\r\nCookie: \"\r\nCookie: ;\r\nAuthorization: x\r\n" END,
	};
	struct record_view record = a_record();
	const struct request_form forms[] = {
		plain,
		to_parent,
		{.validate = &record},
		{.unconditional = true, .max_forwards = "2"},
		{.absolute = true, .proxy_authorization = SLICE("Basic eDp5")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask(rows[i]);
		for (size_t f = 0; f < COUNT(forms); f++)
			expect_same_request(&forms[f]);
	}
}

static void expect_same_response(enum http_method method, struct delivery delivery)
{
	const char *difference;
	bool chunked;

	if (got.res.status < 200) {
		assert_true(compose_interim(&out, conf, &got.res));
		chunked = false;
		delivery.keep_alive = true;
	} else {
		if (compose_needs_close(&got.res, &delivery))
			delivery.keep_alive = false;
		chunked = respond(&delivery);
	}
	parse(&sent, buf_waiting(&out), true, method);
	assert_int_equal(sent.consumed, buf_length(&out));
	assert_int_equal(chunked, sent.res.body == BODY_CHUNKED);
	difference = wire_response_differs(&got.res, &delivery, &sent.res);
	if (difference != NULL)
		fail_msg("%s differs: %.*s", difference, SLICE_ARG(buf_waiting(&out)));
	buf_free(&out);
}

static void test_responses_parse_as_the_same(void **state)
{
	static const char *const rows[] = {
		"HTTP/1.1 204 X\r\n" END,
		"HTTP/1.1 204 X\r\nContent-Length: 5\r\n" DATE END,
		"HTTP/1.1 204 X\r\n" CHUNKED "Vary: *\r\n" END,
		"HTTP/1.1 304 X\r\nContent-Length: 5\r\nETag: \"e\"\r\n" END,
		OK "Content-Length: 5\r\nX:\r\nx: \x80\r\n" END,
		OK "Content-Length: 0\r\n" END,
		OK CHUNKED "Trailer: X\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n" END,
		OK CHUNKED "Content-Length: 5\r\nVia: 1.1 x\r\nCache-Status: x\r\n" END,
		OK "Set-Cookie: a\r\nSet-Cookie: b\r\nDate: x\r\nDate: y\r\n" END,
		"HTTP/1.0 500 X\r\n" END,
		"HTTP/1.1 103 X\r\nLink: x\r\nContent-Length: 5\r\n" END,
	};
	static const enum http_method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_PUT};
	const struct delivery deliveries[] = {kept, closing, old_client};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t m = 0; m < COUNT(methods); m++) {
			get(rows[i], methods[m]);
			for (size_t d = 0; d < COUNT(deliveries); d++)
				expect_same_response(methods[m], deliveries[d]);
		}
	}
}

/* ---- room ----------------------------------------------------------------------------------- */

static char long_text[32 << 10];

static const char *long_run(char c, size_t n)
{
	memset(long_text, c, n);
	long_text[n] = '\0';
	return long_text;
}

/*
 * Where the most is asked for, the buffer is just as large as was asked for: buf_added() and the
 * sanitizers see what is beyond.
 */
static void test_room_is_enough(void **state)
{
	struct cache_status all = {
		true,     true, true, FWD_VARY_MISS, 999, INT64_MIN, REASON_BAD_CACHE_CONTROL,
		{NULL, 0}};
	struct record_view record = a_record();

	(void)state;
	assert_true(test_conf_set(conf, "pseudonym", long_run('p', 5000)));
	all.key = slice_str(long_run('"', 8 << 10));
	assert_true(compose_record(&out, conf, &(struct record_answer){&record, 204, INT64_MAX},
				   &all, &closing));
	buf_free(&out);
	get("HTTP/1.1 511 X\r\nContent-Length: 9223372036854775807\r\n" END, METHOD_GET);
	assert_true(compose_response(&out, conf, &got.res, &all, &closing, NOW_S));
	buf_free(&out);
	assert_true(compose_interim(&out, conf, &got.res));
	buf_free(&out);
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
		assert_true(compose_failure(&out, conf, &(struct failure_answer){f, ""}, &all,
					    &closing, NOW_S));
		if (failure_status(f) == 0) {
			buf_free(&out);
			continue;
		}
		parse(&sent, buf_waiting(&out), true, METHOD_GET);
		assert_int_equal(buf_length(&out) - sent.consumed, sent.res.content_length);
		buf_free(&out);
	}
}

static void test_room_for_requests_is_enough(void **state)
{
	static char text[48 << 10];
	struct record_view record = a_record();
	struct request_form form = {
		.validate = &record,
		.max_forwards = "18446744073709551615",
	};

	(void)state;
	assert_true(test_conf_set(conf, "pseudonym", long_run('p', 5000)));
	/* the longest authority */
	sprintf(text, "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM http://%.63s.%.63s.%.63s.%.61s:65535 ",
		long_text, long_text, long_text, long_text);
	strcat(text, "HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n" HOST);
	for (int i = 0; i < 50; i++)
		strcat(text, "If-None-Match: \"x\"\r\n");
	strcat(text, END);
	ask(text);
	record.etag = slice_str(long_run('e', 9000));
	form.proxy_authorization = slice_of(long_text, 7000);
	request(&form);
	parse(&sent, buf_waiting(&out), false, METHOD_GET);
	assert_int_equal(sent.req.content_length, INT64_MAX);
	buf_free(&out);
}

/* What waits stays as it is, and so it does when there is no memory for more. */
static void test_answers_queue(void **state)
{
	static const char waiting[] =
		"HTTP/1.1 204 No Content\r\n" DATE "Cache-Control: no-store\r\n\r\n"
		"HTTP/1.1 200 OK\r\n" VIA "\r\nxxx";
	struct record_view record = a_record();
	struct cache_status hit = {.hit = true};
	size_t n;

	(void)state;
	ask(GET END);
	get(OK END, METHOD_GET);
	assert_true(compose_local(&out, &(struct local_answer){204, "", SLICE(""), SLICE("")},
				  &kept, NOW_S));
	assert_true(compose_interim(&out, conf, &got.res));
	assert_true(buf_settle(&out));
	buf_reserve(&out, 1);
	while (out.size > out.tail)
		assert_true(buf_append(&out, SLICE("x")));
	n = buf_length(&out);
	no_memory = true;
	assert_false(compose_local(&out, &(struct local_answer){200, "", SLICE(""), SLICE("")},
				   &kept, NOW_S));
	assert_false(
		compose_record(&out, conf, &(struct record_answer){&record, 204, 0}, &hit, &kept));
	assert_false(compose_interim(&out, conf, &got.res));
	assert_false(compose_response(&out, conf, &got.res, &hit, &kept, NOW_S));
	assert_false(compose_failure(&out, conf, &(struct failure_answer){FAILURE_LOOP, ""}, &hit,
				     &kept, NOW_S));
	assert_false(compose_request(&out, conf, &asked.req, &plain));
	assert_false(compose_connect(&out, conf, &asked.req, SLICE("")));
	assert_false(compose_allow(&out, conf));
	assert_false(compose_switch(&out, conf, &got.res));
	assert_false(compose_cache_status(&out, conf, &hit));
	no_memory = false;
	assert_int_equal(buf_length(&out), n);
	assert_memory_equal(buf_waiting(&out).p, waiting, sizeof(waiting) - 1);
	buf_free(&out);
}

static void test_reason_phrases(void **state)
{
	(void)state;
	assert_string_equal(compose_reason_phrase(204), "No Content");
	assert_string_equal(compose_reason_phrase(502), "Bad Gateway");
	assert_string_equal(compose_reason_phrase(0), "Other");
	assert_string_equal(compose_reason_phrase(299), "Other");
	assert_string_equal(compose_reason_phrase(65535), "Other");
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
	no_memory = false;
	buf_free(&out);
	test_conf_free(conf);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hits),
		TEST(test_hits_parse_as_what_they_are),
		TEST(test_persistence_is_announced_to_http_1_0),
		TEST(test_cache_status),
		TEST(test_a_failure),
		TEST(test_details_of_a_failure),
		TEST(test_failures),
		TEST(test_failures_advise),
		TEST(test_allow),
		TEST(test_local_answers),
		TEST(test_request_targets),
		TEST(test_request_fields),
		TEST(test_request_framing),
		TEST(test_request_validators),
		TEST(test_request_without_some_validators),
		TEST(test_expectations_of_http10),
		TEST(test_request_to_parent),
		TEST(test_connect_to_parent),
		TEST(test_response_framing),
		TEST(test_response_fields),
		TEST(test_interim_responses),
		TEST(test_who_needs_a_close),
		TEST(test_requests_parse_as_the_same),
		TEST(test_responses_parse_as_the_same),
		TEST(test_room_is_enough),
		TEST(test_room_for_requests_is_enough),
		TEST(test_answers_queue),
		TEST(test_reason_phrases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
