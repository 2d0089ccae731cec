/* LINKS: proxy/http1 */
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
#define GET "GET http://h/ HTTP/1.1\r\n" HOST
#define POST "POST http://h/ HTTP/1.1\r\n" HOST
#define CONNECT "CONNECT h:443 HTTP/1.1\r\n" HOST
#define END "\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n"

#define L10 "abcdefghij"
#define L60 L10 L10 L10 L10 L10 L10
#define L64 L60 "abcd"

static struct conf *conf;
static struct wire wire;

static void show(const char *why, struct slice bytes)
{
	print_error("%s: ", why);
	for (size_t i = 0; i < bytes.n && i < 300; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		print_error(c >= 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
	}
	print_error("\n");
}

/* ---- running -------------------------------------------------------------------------------- */

static void parse(struct slice bytes)
{
	const char *difference;

	wire.conf = conf;
	difference = wire_parse_every_way(&wire, bytes);
	if (difference != NULL) {
		show("in pieces", bytes);
		fail_msg("%s differs", difference);
	}
}

static void parse_as_request(struct slice bytes)
{
	wire.response = false;
	parse(bytes);
}

static void parse_as_response(struct slice bytes, enum http_method method)
{
	wire.response = true;
	wire.method = method;
	parse(bytes);
}

static void expect_failure(struct slice bytes, enum failure failure)
{
	if (wire.result == PARSE_FAILED && wire.failure == failure)
		return;
	show("should fail", bytes);
	fail_msg("result %d, failure %d for %d (parse.h, failures.def)", wire.result, wire.failure,
		 failure);
}

static void expect_result(struct slice bytes, enum parse_result result)
{
	if (wire.result == result)
		return;
	show("wrong result", bytes);
	fail_msg("result %d for %d, failure %d", wire.result, result, wire.failure);
}

struct refused {
	enum failure failure;
	struct slice bytes;
};

static void expect_refused_requests(const struct refused *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		parse_as_request(rows[i].bytes);
		expect_failure(rows[i].bytes, rows[i].failure);
	}
}

static void expect_refused_responses(const struct slice *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		parse_as_response(rows[i], METHOD_GET);
		expect_failure(rows[i], FAILURE_BAD_RESPONSE);
	}
}

static void assert_slice(struct slice s, const char *expected)
{
	assert_int_equal(s.n, strlen(expected));
	assert_memory_equal(s.p, expected, s.n);
}

/* ---- request lines -------------------------------------------------------------------------- */

struct request_row {
	struct slice bytes;
	enum http_method method;
	enum http_target form;
	const char *host;
	uint16_t port;
	const char *path;
	uint8_t minor;
};

#define HEAD(line) TEXT(line "\r\n" HOST END)

static const struct request_row request_rows[] = {
	{HEAD("GET http://h/ HTTP/1.1"), METHOD_GET, TARGET_ABSOLUTE, "h", 80, "/", 1},
	{HEAD("HEAD http://h HTTP/1.0"), METHOD_HEAD, TARGET_ABSOLUTE, "h", 80, "", 0},
	{HEAD("POST http://h:81?q HTTP/1.1"), METHOD_POST, TARGET_ABSOLUTE, "h", 81, "?q", 1},
	{HEAD("PUT hTTp://H.Example:80/a HTTP/1.1"), METHOD_PUT, TARGET_ABSOLUTE, "H.Example", 80,
	 "/a", 1},
	{HEAD("DELETE https://h/ HTTP/1.1"), METHOD_DELETE, TARGET_ABSOLUTE, "h", 443, "/", 1},
	{HEAD("PATCH http://[::1]:8080/ HTTP/1.1"), METHOD_PATCH, TARGET_ABSOLUTE, "[::1]", 8080,
	 "/", 1},
	{HEAD("TRACE http://a.1b/ HTTP/1.1"), METHOD_TRACE, TARGET_ABSOLUTE, "a.1b", 80, "/", 1},
	{HEAD("OPTIONS * HTTP/1.1"), METHOD_OPTIONS, TARGET_ASTERISK, "", 0, "", 1},
	{HEAD("OPTIONS http://h HTTP/1.1"), METHOD_OPTIONS, TARGET_ABSOLUTE, "h", 80, "", 1},
	{HEAD("CONNECT h.example:443 HTTP/1.1"), METHOD_CONNECT, TARGET_AUTHORITY, "h.example", 443,
	 "", 1},
	{HEAD("CONNECT [::1]:22 HTTP/1.0"), METHOD_CONNECT, TARGET_AUTHORITY, "[::1]", 22, "", 0},
	{HEAD("GET /stats?x HTTP/1.1"), METHOD_GET, TARGET_ORIGIN, "", 0, "/stats?x", 1},
	/* F14: later minor versions are 1.1 to us */
	{HEAD("GET http://h/ HTTP/1.2"), METHOD_GET, TARGET_ABSOLUTE, "h", 80, "/", 1},
	{HEAD("GET http://h/ HTTP/1.9"), METHOD_GET, TARGET_ABSOLUTE, "h", 80, "/", 1},
	/* P18: methods that http-parser does not know, or knows only in upper case */
	{HEAD("QUERY http://h/ HTTP/1.1"), METHOD_QUERY, TARGET_ABSOLUTE, "h", 80, "/", 1},
	{HEAD("get http://h/ HTTP/1.1"), METHOD_OTHER, TARGET_ABSOLUTE, "h", 80, "/", 1},
	{HEAD("M-SEARCH http://h/ HTTP/1.1"), METHOD_OTHER, TARGET_ABSOLUTE, "h", 80, "/", 1},
	{HEAD("!#$%&'*+-.^_`|~0a http://h/ HTTP/1.1"), METHOD_OTHER, TARGET_ABSOLUTE, "h", 80, "/",
	 1},
	{HEAD("SOURCE http://h/ HTTP/1.1"), METHOD_OTHER, TARGET_ABSOLUTE, "h", 80, "/", 1},
	/* T4: path and query stay byte for byte */
	{HEAD("GET http://h//a/../%zz%00;x?/?'()&@: HTTP/1.1"), METHOD_GET, TARGET_ABSOLUTE, "h",
	 80, "//a/../%zz%00;x?/?'()&@:", 1},
	/* F13: a few empty lines before */
	{TEXT("\r\n" GET END), METHOD_GET, TARGET_ABSOLUTE, "h", 80, "/", 1},
	{TEXT("\r\n\r\n\r\n\r\n" GET END), METHOD_GET, TARGET_ABSOLUTE, "h", 80, "/", 1},
};

static void test_request_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(request_rows); i++) {
		const struct request_row *row = &request_rows[i];

		parse_as_request(row->bytes);
		expect_result(row->bytes, PARSE_DONE);
		assert_int_equal(wire.consumed, row->bytes.n);
		assert_int_equal(wire.req.method, row->method);
		assert_int_equal(wire.req.form, row->form);
		assert_slice(wire.req.uri.host, row->host);
		assert_int_equal(wire.req.uri.port, row->port);
		assert_slice(wire.req.uri.path, row->path);
		assert_int_equal(wire.req.version_minor, row->minor);
		assert_int_equal(wire.req.fields.count, 1);
		assert_int_equal(wire.req.body, BODY_NONE);
		assert_int_equal(wire.req.keep_alive, row->minor > 0);
	}
}

static void test_names_are_views(void **state)
{
	struct slice bytes = TEXT("QUERY http://h/ HTTP/1.1\r\nHost:\t h \t\r\nX:\r\n" END "GET ");

	(void)state;
	parse_as_request(bytes);
	expect_result(bytes, PARSE_DONE);
	assert_int_equal(wire.consumed, bytes.n - 4);
	assert_slice(wire.req.method_name, "QUERY");
	assert_slice(wire.req.target, "http://h/");
	assert_ptr_equal(wire.req.target.p, bytes.p + 6);
	assert_slice(wire.lines[0].value, "h");
	assert_slice(wire.lines[1].name, "X");
	assert_int_equal(wire.lines[1].value.n, 0);
}

/* P7, F13, F14: what begins no HTTP/1.x request */
static const struct refused other_tongues[] = {
	{FAILURE_BAD_REQUEST, TEXT("GET /x\r\n")},
	{FAILURE_BAD_REQUEST, TEXT("GET\r\n")},
	{FAILURE_BAD_REQUEST, TEXT("SOURCE x ICE/1.0\r\n")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1.")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1.10")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/11.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1,1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/a.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1.a")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ http/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP /1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1.1x")},
	{FAILURE_UNSUPPORTED_VERSION, HEAD("GET http://h/ HTTP/0.9")},
	{FAILURE_UNSUPPORTED_VERSION, HEAD("GET http://h/ HTTP/2.0")},
	{FAILURE_UNSUPPORTED_VERSION, HEAD("GET http://h/ HTTP/9.9")},
	{FAILURE_UNSUPPORTED_VERSION, TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
	{FAILURE_BAD_REQUEST, TEXT("\x16\x03\x01\x02\x00\x01\x00")},
	{FAILURE_BAD_REQUEST, TEXT("EHLO example.com\r\n")},
	{FAILURE_BAD_REQUEST, TEXT("*1\r\n$4\r\nPING\r\n")},
	{FAILURE_BAD_REQUEST, TEXT("{\"a\":1}")},
	{FAILURE_BAD_REQUEST, TEXT("\0")},
	{FAILURE_BAD_REQUEST, TEXT("HTTP/1.1 200 OK\r\n" END)},
	{FAILURE_BAD_REQUEST, TEXT("\n" GET END)},
	{FAILURE_BAD_REQUEST, TEXT("\r" GET END)},
	{FAILURE_BAD_REQUEST, TEXT("\r\n\n" GET END)},
	{FAILURE_BAD_REQUEST, TEXT("\r\n\r\n\r\n\r\n\r\n" GET END)},
	{FAILURE_BAD_REQUEST, TEXT(" " GET END)},
	{FAILURE_BAD_REQUEST, TEXT("\r\n " GET END)},
};

/* P8: one space and no other white space; P2, P4: the line ends in CRLF */
static const struct refused bad_lines[] = {
	{FAILURE_BAD_TARGET, HEAD("GET  http://h/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h/  HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h/ x HTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1.1 ")},
	{FAILURE_BAD_REQUEST, HEAD("GET HTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET  HTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET\thttp://h/ HTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/\tHTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET http://h/ HTTP/1.1\t")},
	{FAILURE_BAD_REQUEST, HEAD("GE(T http://h/ HTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET: http://h/ HTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET\x80 http://h/ HTTP/1.1")},
	{FAILURE_BAD_REQUEST, HEAD("GET\0 http://h/ HTTP/1.1")},
	{FAILURE_BAD_REQUEST, TEXT("GET http://h/ HTTP/1.1\n" HOST END)},
	{FAILURE_BAD_REQUEST, TEXT("GET http://h/ HTTP/1.1\r" HOST END)},
	{FAILURE_BAD_REQUEST, TEXT("GET http://h/ HTTP/1.1\r\r\n" HOST END)},
	{FAILURE_BAD_TARGET, TEXT("GET http://h/\r HTTP/1.1\r\n" HOST END)},
	{FAILURE_BAD_REQUEST, TEXT("GET http://h/\n HTTP/1.1\r\n" HOST END)},
};

/* P3, P8, P9, P17, T1, T3, T4 */
static const struct refused bad_targets[] = {
	{FAILURE_BAD_TARGET, HEAD("GET http://h/\f HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h/\ta HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h/\x7f HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h/\0 HTTP/1.1")},
	{FAILURE_FRAGMENT, HEAD("GET http://h/#f HTTP/1.1")},
	{FAILURE_FRAGMENT, HEAD("GET http://h/?#a#b HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET /a\x7f HTTP/1.1")},
	{FAILURE_FRAGMENT, HEAD("GET /a#f HTTP/1.1")},
	{FAILURE_FRAGMENT, HEAD("GET /?a#b HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h\\a/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http:/// HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://:80/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http:h/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http:/h/ HTTP/1.1")},
	{FAILURE_USERINFO, HEAD("GET http://u@h/ HTTP/1.1")},
	{FAILURE_USERINFO, HEAD("GET http://u:p@h@i/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h:/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h:0/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h:65536/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h:8a/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://[::1/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://[1:2]/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://[fe80::1%25eth0]/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://[::1]x/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://" L64 "/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://" L60 "." L60 "." L60 "." L60 "." L10 "/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET http://h%2ei/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET * HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("OPTIONS ** HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET ?q HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("GET h/x HTTP/1.1")},
	{FAILURE_UNSUPPORTED_SCHEME, HEAD("GET ftp://h/ HTTP/1.1")},
	{FAILURE_UNSUPPORTED_SCHEME, HEAD("GET h:443 HTTP/1.1")},
	{FAILURE_UNSUPPORTED_SCHEME, HEAD("GET file:///etc/passwd HTTP/1.1")},
	{FAILURE_NO_PORT, HEAD("CONNECT h HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("CONNECT h: HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("CONNECT h:443/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("CONNECT u@h:443 HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("CONNECT /x HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("CONNECT http://h:443/ HTTP/1.1")},
	{FAILURE_BAD_TARGET, HEAD("CONNECT * HTTP/1.1")},
};

static void test_bad_request_lines(void **state)
{
	(void)state;
	expect_refused_requests(other_tongues, COUNT(other_tongues));
	expect_refused_requests(bad_lines, COUNT(bad_lines));
	expect_refused_requests(bad_targets, COUNT(bad_targets));
}

/* The log tells what was asked for, if it could be read, in pieces as well. */
static void test_refused_requests_keep_their_names(void **state)
{
	struct slice bad_field = TEXT(POST "Content-Length: x\r\n" END);
	struct slice bad_target = TEXT("GET ftp://h/ HTTP/1.1\r\n");
	struct slice no_request = TEXT("\r\n\r\n\r\n\r\n\r\n");

	(void)state;
	parse_as_request(bad_field);
	assert_slice(wire.req.method_name, "POST");
	assert_slice(wire.req.target, "http://h/");
	parse_as_request(bad_target);
	assert_slice(wire.req.method_name, "GET");
	assert_slice(wire.req.target, "ftp://h/");
	assert_int_equal(wire.req.uri.path.n + wire.req.uri.host.n, 0);
	parse_as_request(no_request);
	assert_int_equal(wire.req.method_name.n + wire.req.target.n, 0);
}

/* ---- field lines ---------------------------------------------------------------------------- */

/* P1 to P5, F4, A7: what may stand in no head, of either side; after a start line */
static const struct slice bad_field_lines[] = {
	TEXT("X Y: 1\r\n" END),
	TEXT(" X: 1\r\n" END),
	TEXT("\tX: 1\r\n" END),
	TEXT("Transfer-Encoding:\r\n chunked\r\n" END),
	TEXT("Content-Length:\r\n 5\r\n" END),
	TEXT("X: 1\r\n \r\n" END),
	TEXT("X\r\n" END),
	TEXT(": 1\r\n" END),
	TEXT("X(: 1\r\n" END),
	TEXT("X\x80: 1\r\n" END),
	TEXT("X\0: 1\r\n" END),
	TEXT("X: a\0b\r\n" END),
	TEXT("X: a\rb\r\n" END),
	TEXT("X: a\r\r\n" END),
	TEXT("X: a\rContent-Length: 5\r\n" END),
	TEXT("\rX: a\r\n" END),
	TEXT("X: a\r\n\r\r\n" END),
	TEXT("X: a\r\n\rY: b\r\n" END),
};

/* and what may stand in no request, but is mended in a response */
static const struct slice mendable_field_lines[] = {
	TEXT("Content-Length : 5\r\n" END),
	TEXT("X : 1\r\n" END),
	TEXT("X\t: 1\r\n" END),
	TEXT("X: 1\r\n folded\r\n" END),
	TEXT("X: 1\r\n\tfolded\r\n" END),
	TEXT("X: a\x01"
	     "b\r\n" END),
	TEXT("X: a\x0b"
	     "b\r\n" END),
	TEXT("X: a\x7f"
	     "b\r\n" END),
	TEXT("X: a\n" END),
	TEXT("X: a\n\n"),
	TEXT("X: a\r\n\n"),
	TEXT("X: a\n\r\n"),
	TEXT("\n"),
};

static struct slice with_start(const char *start, struct slice rest)
{
	static char text[512];
	size_t n = strlen(start);

	assert_true(n + rest.n < sizeof(text));
	memcpy(text, start, n);
	memcpy(text + n, rest.p, rest.n);
	return slice_of(text, n + rest.n);
}

static void test_bad_field_lines(void **state)
{
	struct slice bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(bad_field_lines); i++) {
		bytes = with_start(GET, bad_field_lines[i]);
		parse_as_request(bytes);
		expect_failure(bytes, FAILURE_BAD_REQUEST);
		bytes = with_start("GET http://h/ HTTP/1.1\r\n", bad_field_lines[i]);
		parse_as_request(bytes);
		expect_failure(bytes, FAILURE_BAD_REQUEST);
		bytes = with_start(OK, bad_field_lines[i]);
		parse_as_response(bytes, METHOD_GET);
		expect_failure(bytes, FAILURE_BAD_RESPONSE);
		bytes = with_start("HTTP/1.0 204\r\n", bad_field_lines[i]);
		parse_as_response(bytes, METHOD_GET);
		expect_failure(bytes, FAILURE_BAD_RESPONSE);
	}
}

/* Requests are not mended: no byte of them is anything but what it seems. */
static void test_mendable_field_lines(void **state)
{
	struct slice bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(mendable_field_lines); i++) {
		bytes = with_start(GET, mendable_field_lines[i]);
		parse_as_request(bytes);
		expect_failure(bytes, FAILURE_BAD_REQUEST);
		bytes = with_start(NO_CONTENT "Date: x\r\n", mendable_field_lines[i]);
		parse_as_response(bytes, METHOD_GET);
		expect_result(bytes, PARSE_DONE);
		assert_true(wire.res.mended && !wire.res.keep_alive);
	}
}

static void test_good_field_lines(void **state)
{
	struct slice bytes = TEXT(GET "X:\r\n"
				      "!#$%&'*+-.^_`|~0: \t a\tb c\x80\xff\"\\:, \t\r\n"
				      "Connection: x, UPGRADE ,,host, Content-Length\r\n"
				      "Upgrade: websocket\r\n"
				      "content-length: 05\r\n" END);

	(void)state;
	parse_as_request(bytes);
	expect_result(bytes, PARSE_DONE);
	assert_int_equal(wire.req.fields.count, 6);
	assert_slice(wire.lines[2].value, "a\tb c\x80\xff\"\\:,");
	/* F8, H2: what the proxy needs is not disarmed; P11: no upgrade stops the parser */
	assert_true(wire.lines[1].nominated);
	assert_false(wire.lines[2].nominated);
	assert_true(wire.lines[4].nominated);
	assert_int_equal(wire.lines[5].id, FIELD_CONTENT_LENGTH);
	assert_false(wire.lines[5].nominated);
	assert_int_equal(wire.req.body, BODY_LENGTH);
	assert_int_equal(wire.req.content_length, 5);
	assert_true(wire.req.keep_alive);
}

/* ---- Host, framing, Expect, Connection of requests ------------------------------------------ */

#define LINE "GET http://h/ HTTP/1.1\r\n"

/* P6, T2 */
static const struct refused bad_hosts[] = {
	{FAILURE_BAD_HOST, TEXT(LINE END)},
	{FAILURE_BAD_HOST, TEXT("CONNECT h:443 HTTP/1.1\r\n" END)},
	{FAILURE_BAD_HOST, TEXT("OPTIONS * HTTP/1.1\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(GET HOST END)},
	{FAILURE_BAD_HOST, TEXT(GET "hOST: i\r\n" END)},
	{FAILURE_BAD_HOST, TEXT("GET http://h/ HTTP/1.0\r\n" HOST HOST END)},
	{FAILURE_BAD_HOST, TEXT("GET http://h/ HTTP/1.0\r\nHost: h/x\r\n" END)},
	{FAILURE_BAD_HOST, TEXT("GET / HTTP/1.1\r\nHost:\r\n" END)},
	{FAILURE_BAD_HOST, TEXT("CONNECT h:443 HTTP/1.1\r\nHost:\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host:\r\nHost:\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: h, i\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: h i\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: h/x\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: u@h\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: http://h\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: h:\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: h:80:80\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: h?x\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: [::1\r\n" END)},
	{FAILURE_BAD_HOST, TEXT(LINE "Host: h\xe9\r\n" END)},
};

/* F1 to F3, P9, P10 */
static const struct refused bad_framings[] = {
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: \"chunked\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: chunked, \"\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: gzip;a=\"b\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: ,\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "transfer-encoding: CHUNKED\r\ncontent-length: 0\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5\r\nTransfer-Encoding:\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5\r\nContent-Length: 6\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5\r\nContent-Length: 5\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5, 5\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length:\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: +5\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: -5\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 0x5\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5 5\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5;\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: \"5\"\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 5.0\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: \xb2\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 9223372036854775808\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 18446744073709551617\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Content-Length: 00000000000000000000000000000000"
					"5\r\n" END)},
	{FAILURE_BAD_FRAMING,
	 TEXT("POST http://h/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT("POST http://h/ HTTP/1.0\r\nTransfer-Encoding: gzip\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding:\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: ,\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: chunked, chunked\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: chunked, gzip\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: chunked,\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: , chunked\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: \"chunked\"\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: chunked\"\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: chun ked\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(POST "Transfer-Encoding: chunked\x80\r\n" END)},
	{FAILURE_BAD_FRAMING,
	 TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END)},
	{FAILURE_BAD_FRAMING,
	 TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n" END)},
	{FAILURE_BAD_FRAMING,
	 TEXT(POST "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n" END)},
	{FAILURE_BAD_FRAMING,
	 TEXT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" END)},
	{FAILURE_UNSUPPORTED_CODING, TEXT(POST "Transfer-Encoding: identity\r\n" END)},
	{FAILURE_UNSUPPORTED_CODING, TEXT(POST "Transfer-Encoding: gzip\r\n" END)},
	{FAILURE_UNSUPPORTED_CODING, TEXT(POST "Transfer-Encoding: gzip, chunked\r\n" END)},
	{FAILURE_UNSUPPORTED_CODING,
	 TEXT(POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n" END)},
	{FAILURE_UNSUPPORTED_CODING, TEXT(POST "Transfer-Encoding: identity, chunked\r\n" END)},
	{FAILURE_UNSUPPORTED_CODING, TEXT(POST "Transfer-Encoding: xchunked\r\n" END)},
	{FAILURE_UNSUPPORTED_CODING, TEXT(POST "Transfer-Encoding: chunked;x=\"y,z\"\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(CONNECT "Content-Length: 0\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(CONNECT "Content-Length: 5\r\n" END)},
	{FAILURE_BAD_FRAMING, TEXT(CONNECT "Transfer-Encoding: chunked\r\n" END)},
	{FAILURE_EXPECTATION, TEXT(POST "Expect: 200-ok\r\n" END)},
	{FAILURE_EXPECTATION, TEXT(POST "Expect:\r\n" END)},
	{FAILURE_EXPECTATION, TEXT(POST "Expect: 100-continue, x\r\n" END)},
	{FAILURE_EXPECTATION, TEXT(POST "Expect: 100-continue\r\nExpect: 100-continue\r\n" END)},
};

static void test_bad_request_fields(void **state)
{
	(void)state;
	expect_refused_requests(bad_hosts, COUNT(bad_hosts));
	expect_refused_requests(bad_framings, COUNT(bad_framings));
}

struct framing_row {
	struct slice bytes;
	enum http_body body;
	uint64_t length;
	bool keep_alive;
	bool expect;
};

static const struct framing_row framing_rows[] = {
	{TEXT(GET END), BODY_NONE, 0, true, false},
	{TEXT(POST "Content-Length: 0\r\n" END), BODY_NONE, 0, true, false},
	{TEXT(POST "Content-Length: 1\r\n" END "h"), BODY_LENGTH, 1, true, false},
	{TEXT(POST "Content-Length: 5\r\n" END "hello"), BODY_LENGTH, 5, true, false},
	{TEXT(POST "Content-Length: 9223372036854775807\r\n" END), BODY_LENGTH, INT64_MAX, true,
	 false},
	{TEXT(POST "Content-Length: 00000000000000000000000000000005\r\n" END), BODY_LENGTH, 5,
	 true, false},
	{TEXT(POST "Transfer-Encoding: chunked\r\n" END), BODY_CHUNKED, 0, true, false},
	{TEXT(POST "transfer-encoding:CHUNKED\r\n" END "0\r\n\r\n"), BODY_CHUNKED, 0, true, false},
	{TEXT(POST "Transfer-Encoding: \t chunked  \r\n" END), BODY_CHUNKED, 0, true, false},
	/* of which http-parser does not know that it is allowed: P18 */
	{TEXT(POST "Transfer-Encoding: chunked \t \r\n" END), BODY_CHUNKED, 0, true, false},
	{TEXT(POST "Transfer-Encoding: chunked\t\r\nX: y\r\n" END), BODY_CHUNKED, 0, true, false},
	{TEXT(POST "Content-Length: 5\t\r\n" END), BODY_LENGTH, 5, true, false},
	{TEXT(POST "Content-Length: \t5  \r\n" END), BODY_LENGTH, 5, true, false},
	{TEXT("POST http://h/ HTTP/1.0\r\nContent-Length: 5\r\n" END), BODY_LENGTH, 5, false,
	 false},
	/* F7: a body is one on any method */
	{TEXT(GET "Content-Length: 5\r\n" END), BODY_LENGTH, 5, true, false},
	{TEXT("HEAD http://h/ HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END), BODY_LENGTH, 5, true,
	 false},
	{TEXT("DELETE http://h/ HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END),
	 BODY_CHUNKED, 0, true, false},
	{TEXT("QUERY http://h/ HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END), BODY_LENGTH, 5,
	 true, false},
	/* F8 */
	{TEXT(POST "Connection: Content-Length, Host\r\nContent-Length: 5\r\n" END), BODY_LENGTH, 5,
	 true, false},
	{TEXT(POST "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n" END),
	 BODY_CHUNKED, 0, true, false},
	/* F9: close, in any case, list and line; P12 */
	{TEXT(GET "Connection: close\r\n" END GET END), BODY_NONE, 0, false, false},
	{TEXT(GET "connection: x,\tCLOSE , y\r\n" END), BODY_NONE, 0, false, false},
	{TEXT(GET "Connection: keep-alive\r\nConnection: , close\r\n" END), BODY_NONE, 0, false,
	 false},
	{TEXT(GET "Connection: keep-alive\r\n" END), BODY_NONE, 0, true, false},
	{TEXT(GET "Connection: closed\r\n" END), BODY_NONE, 0, true, false},
	{TEXT(GET "Proxy-Connection: close\r\n" END), BODY_NONE, 0, true, false},
	{TEXT("GET http://h/ HTTP/1.0\r\n" END), BODY_NONE, 0, false, false},
	{TEXT("GET http://h/ HTTP/1.0\r\nConnection: keep-alive\r\n" END), BODY_NONE, 0, false,
	 false},
	/* P11: an upgrade is read past, with what comes after */
	{TEXT(GET "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n" END "PRI *"),
	 BODY_NONE, 0, true, false},
	{TEXT(POST "Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n" END "hello"),
	 BODY_LENGTH, 5, true, false},
	{TEXT(CONNECT END "\x16\x03"), BODY_NONE, 0, true, false},
	/* RFC 9110 10.1.1: needs content, and is nothing to HTTP/1.0 */
	{TEXT(POST "Expect: 100-Continue\r\nContent-Length: 5\r\n" END), BODY_LENGTH, 5, true,
	 true},
	{TEXT(POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n" END), BODY_CHUNKED, 0,
	 true, true},
	{TEXT(POST "Expect: 100-continue\r\n" END), BODY_NONE, 0, true, false},
	{TEXT("POST http://h/ HTTP/1.0\r\nExpect: x\r\nContent-Length: 5\r\n" END), BODY_LENGTH, 5,
	 false, false},
};

/* RFC 9112 9.3: the wish of an HTTP/1.0 client, which is its own on no other version. */
static void test_asking_for_a_connection_to_stay(void **state)
{
#define OLD "GET http://h/ HTTP/1.0\r\n"
	static const struct {
		struct slice bytes;
		bool keep_alive, asks;
	} rows[] = {
		{TEXT(OLD END), false, false},
		{TEXT(OLD "Connection: keep-alive\r\n" END), false, true},
		{TEXT(OLD "Connection: x\r\nconnection: a,Keep-Alive\r\n" END), false, true},
		{TEXT(OLD "Connection: keep-alive, close\r\n" END), false, false},
		{TEXT(OLD "Keep-Alive: 300\r\n" END), false, false},
		{TEXT(OLD "Proxy-Connection: keep-alive\r\n" END), false, false},
		{TEXT(GET "Connection: keep-alive\r\n" END), true, false},
	};
#undef OLD

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		parse_as_request(rows[i].bytes);
		expect_result(rows[i].bytes, PARSE_DONE);
		assert_int_equal(wire.req.keep_alive, rows[i].keep_alive);
		assert_int_equal(wire.req.asks_keep_alive, rows[i].asks);
	}
}

/* RFC 9110 7.8: another protocol is asked for by a GET of HTTP/1.1 without content, and where the option is set. */
static void test_asking_for_another_protocol(void **state)
{
#define UPGRADE "Connection: upgrade\r\nUpgrade: websocket\r\n"
	static const struct {
		struct slice bytes;
		bool asks;
	} rows[] = {
		{TEXT(GET UPGRADE END), true},
		{TEXT(GET "Connection: x, Upgrade\r\nUpgrade: websocket, y\r\n" END), true},
		{TEXT(GET UPGRADE "Content-Length: 0\r\n" END), true},
		{TEXT(GET END), false},
		{TEXT(GET "Upgrade: websocket\r\n" END), false},
		{TEXT(GET "Connection: upgrade\r\n" END), false},
		{TEXT(GET UPGRADE "Upgrade: other\r\n" END), false},
		{TEXT(GET "Connection: upgrade\r\nUpgrade: h2c\r\n" END), false},
		{TEXT(GET "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n" END), false},
		{TEXT(GET UPGRADE "Content-Length: 5\r\n" END), false},
		{TEXT(GET UPGRADE "Transfer-Encoding: chunked\r\n" END), false},
		{TEXT(POST UPGRADE END), false},
		{TEXT("HEAD http://h/ HTTP/1.1\r\n" HOST UPGRADE END), false},
		{TEXT("GET http://h/ HTTP/1.0\r\n" HOST UPGRADE END), false},
	};
#undef UPGRADE

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		struct slice bytes = rows[i / 2].bytes;

		conf->upgrade = i % 2 == 1;
		parse_as_request(bytes);
		expect_result(bytes, PARSE_DONE);
		if (wire.req.upgrade != (conf->upgrade && rows[i / 2].asks)) {
			show("asks, or does not", bytes);
			fail();
		}
	}
}

static void test_request_framing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(framing_rows); i++) {
		const struct framing_row *row = &framing_rows[i];
		const char *end = memmem(row->bytes.p, row->bytes.n, "\r\n\r\n", 4);

		parse_as_request(row->bytes);
		expect_result(row->bytes, PARSE_DONE);
		assert_int_equal(wire.consumed, end + 4 - row->bytes.p);
		assert_int_equal(wire.req.body, row->body);
		assert_int_equal(wire.req.content_length, row->length);
		assert_int_equal(wire.req.keep_alive, row->keep_alive);
		assert_int_equal(wire.req.expect_continue, row->expect);
	}
}

/* ---- responses ------------------------------------------------------------------------------ */

/* P7, P14, A6 */
static const struct slice bad_status_lines[] = {
	TEXT("HTTP/1.1 20\r\n" END),
	TEXT("HTTP/1.1 2\r\n" END),
	TEXT("HTTP/1.1 \r\n" END),
	TEXT("HTTP/1.1\r\n" END),
	TEXT("HTTP/1.1 2000\r\n" END),
	TEXT("HTTP/1.1 2x0 OK\r\n" END),
	TEXT("HTTP/1.1 000 X\r\n" END),
	TEXT("HTTP/1.1 099 X\r\n" END),
	TEXT("HTTP/1.1  200 OK\r\n" END),
	TEXT("HTTP/1.1\t200 OK\r\n" END),
	TEXT("HTTP/1.1 200\tOK\r\n" END),
	TEXT("HTTP/1.1 +20 OK\r\n" END),
	TEXT("HTTP/1.1 200 O\0K\r\n" END),
	TEXT("HTTP/1.1 200 O\x1bK\r\n" END),
	TEXT("HTTP/1.1 200 O\rK\r\n" END),
	TEXT("HTTP/1.1 200 OK\r\r\n" END),
	TEXT("HTTP/1.x 200 OK\r\n" END),
	TEXT("HTTP/0.9 200 OK\r\n" END),
	TEXT("HTTP/2.0 200 OK\r\n" END),
	TEXT("HTTP/2 200\r\n" END),
	TEXT("HTTP/11.1 200 OK\r\n" END),
	TEXT("http/1.1 200 OK\r\n" END),
	TEXT("ICY 200 OK\r\n" END),
	TEXT("200 OK\r\n" END),
	TEXT("<html>\r\n"),
	TEXT("\r\n" OK END),
	TEXT(" " OK END),
	TEXT("\xef\xbb\xbf" OK END),
	TEXT("X: y\r\n" OK END),
	TEXT("GET / HTTP/1.1\r\n" END),
};

/* A4, P10 */
static const struct slice bad_response_framings[] = {
	TEXT(OK "Content-Length: 5\r\nContent-Length: 6\r\n" END),
	TEXT(OK "Content-Length:\r\n" END),
	TEXT(OK "Content-Length: -1\r\n" END),
	TEXT(OK "Content-Length: 5x\r\n" END),
	TEXT(OK "Content-Length: 9223372036854775808\r\n" END),
	TEXT(NO_CONTENT "Content-Length: x\r\n" END),
	TEXT("HTTP/1.1 304 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n" END),
	TEXT(OK "Transfer-Encoding: gzip\r\n" END),
	TEXT(OK "Transfer-Encoding: gzip, chunked\r\n" END),
	TEXT(OK "Transfer-Encoding: identity, chunked\r\n" END),
	TEXT(OK "Transfer-Encoding: chunked, identity\r\n" END),
	TEXT(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END),
	TEXT(OK "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n" END),
	TEXT(OK "Transfer-Encoding: chunked;x\r\n" END),
	TEXT(OK "Transfer-Encoding: \x0b"
		"chunked\r\n" END),
	TEXT(OK "Transfer-Encoding: \"chunked\"\r\n" END),
	TEXT(OK "Transfer-Encoding:\r\n" END),
	TEXT(OK "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n" END),
};

static void test_bad_responses(void **state)
{
	(void)state;
	expect_refused_responses(bad_status_lines, COUNT(bad_status_lines));
	expect_refused_responses(bad_response_framings, COUNT(bad_response_framings));
}

struct response_row {
	struct slice bytes;
	enum http_method method;
	uint16_t status;
	enum http_body body;
	uint64_t length;
	bool keep_alive;
	bool trouble;
};

#define NOT_MODIFIED "HTTP/1.1 304 Not Modified\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct response_row response_rows[] = {
	{TEXT(NO_CONTENT END), METHOD_GET, 204, BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.1 204\r\n" END), METHOD_GET, 204, BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.1 204 \r\n" END), METHOD_GET, 204, BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.1 204 a\tb \xe9  \r\n" END), METHOD_GET, 204, BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.5 204 No Content\r\n" END), METHOD_GET, 204, BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.1 100 Continue\r\n" END OK), METHOD_POST, 100, BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.1 599 X\r\nContent-Length: 1\r\n" END "x"), METHOD_GET, 599, BODY_LENGTH, 1,
	 true, false},
	/* P13, A1, A2: these end at their empty line, whatever follows */
	{TEXT(NO_CONTENT "Content-Length: 0\r\n" END), METHOD_GET, 204, BODY_NONE, 0, true, false},
	{TEXT(NO_CONTENT "Content-Length: 1\r\n" END "h"), METHOD_GET, 204, BODY_NONE, 1, false,
	 true},
	{TEXT(NO_CONTENT "Content-Length: 5\r\n" END "hello"), METHOD_GET, 204, BODY_NONE, 5, false,
	 true},
	{TEXT(NO_CONTENT CHUNKED END "0\r\n\r\n"), METHOD_GET, 204, BODY_NONE, 0, false, true},
	{TEXT(NO_CONTENT "Transfer-Encoding: gzip\r\n" END), METHOD_GET, 204, BODY_NONE, 0, false,
	 true},
	{TEXT(NO_CONTENT CHUNKED "Content-Length: 5\r\n" END), METHOD_PUT, 204, BODY_NONE, 5, false,
	 true},
	{TEXT(NO_CONTENT END OK END), METHOD_GET, 204, BODY_NONE, 0, true, false},
	{TEXT(NO_CONTENT "Connection: Upgrade\r\nUpgrade: x\r\n" END), METHOD_GET, 204, BODY_NONE,
	 0, true, false},
	{TEXT(NOT_MODIFIED "Content-Length: 5\r\n" END), METHOD_GET, 304, BODY_NONE, 5, true,
	 false},
	{TEXT(NOT_MODIFIED CHUNKED END), METHOD_GET, 304, BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n" END), METHOD_GET, 103, BODY_NONE,
	 5, true, false},
	{TEXT("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n" END "abc"), METHOD_GET, 101,
	 BODY_NONE, 0, true, false},
	{TEXT(OK "Content-Length: 5\r\n" END), METHOD_HEAD, 200, BODY_NONE, 5, true, false},
	{TEXT(OK CHUNKED END), METHOD_HEAD, 200, BODY_NONE, 0, true, false},
	{TEXT(OK END), METHOD_HEAD, 200, BODY_NONE, 0, true, false},
	{TEXT(OK "Transfer-Encoding: gzip\r\n" END), METHOD_HEAD, 200, BODY_NONE, 0, true, false},
	/* RFC 9112 6.3 */
	{TEXT(OK "Content-Length: 5\r\n" END), METHOD_GET, 200, BODY_LENGTH, 5, true, false},
	{TEXT(OK "Content-Length: 0\r\n" END), METHOD_GET, 200, BODY_NONE, 0, true, false},
	{TEXT(OK "Content-Length: 9223372036854775807\r\n" END), METHOD_GET, 200, BODY_LENGTH,
	 INT64_MAX, true, false},
	{TEXT(OK "transfer-encoding: Chunked\r\n" END), METHOD_GET, 200, BODY_CHUNKED, 0, true,
	 false},
	{TEXT(OK END), METHOD_GET, 200, BODY_UNTIL_CLOSE, 0, false, false},
	{TEXT("HTTP/1.1 205 X\r\n" END), METHOD_POST, 205, BODY_UNTIL_CLOSE, 0, false, false},
	{TEXT(NO_CONTENT "Content-Length: 0 \t\r\n" END), METHOD_GET, 204, BODY_NONE, 0, true,
	 false},
	{TEXT(OK "Transfer-Encoding: chunked \t\r\n" END), METHOD_GET, 200, BODY_CHUNKED, 0, true,
	 false},
	{TEXT(OK "Transfer-Encoding: chunked\t\r\nContent-Length: 5\t\r\n" END), METHOD_GET, 200,
	 BODY_CHUNKED, 5, false, false},
	{TEXT(OK "Content-Length: 5\t\r\nTransfer-Encoding: chunked\t\r\n" END), METHOD_GET, 200,
	 BODY_CHUNKED, 5, false, false},
	/* A4: decoded, and closed after */
	{TEXT(OK CHUNKED "Content-Length: 5\r\n" END), METHOD_GET, 200, BODY_CHUNKED, 5, false,
	 false},
	{TEXT(OK "Content-Length: 5\r\n" CHUNKED END), METHOD_GET, 200, BODY_CHUNKED, 5, false,
	 false},
	{TEXT(OK "Content-Length: 5\r\n" CHUNKED END), METHOD_HEAD, 200, BODY_NONE, 5, false,
	 false},
	{TEXT("HTTP/1.0 200 OK\r\n" CHUNKED END), METHOD_GET, 200, BODY_CHUNKED, 0, false, false},
	{TEXT("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" CHUNKED END), METHOD_GET, 200,
	 BODY_CHUNKED, 0, false, false},
	/* persistence */
	{TEXT(NO_CONTENT "Connection: Close\r\n" END), METHOD_GET, 204, BODY_NONE, 0, false, false},
	{TEXT(NO_CONTENT "Connection: a\r\nConnection: b ,close\r\n" END), METHOD_GET, 204,
	 BODY_NONE, 0, false, false},
	{TEXT("HTTP/1.0 204 No Content\r\n" END), METHOD_GET, 204, BODY_NONE, 0, false, false},
	{TEXT("HTTP/1.0 204 No Content\r\nConnection: Keep-Alive\r\n" END), METHOD_GET, 204,
	 BODY_NONE, 0, true, false},
	{TEXT("HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 1\r\n" END),
	 METHOD_GET, 200, BODY_LENGTH, 1, false, false},
};

static void test_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(response_rows); i++) {
		const struct response_row *row = &response_rows[i];
		const char *end = memmem(row->bytes.p, row->bytes.n, "\r\n\r\n", 4);

		parse_as_response(row->bytes, row->method);
		expect_result(row->bytes, PARSE_DONE);
		assert_int_equal(wire.consumed, end + 4 - row->bytes.p);
		assert_int_equal(wire.res.status, row->status);
		assert_int_equal(wire.res.body, row->body);
		assert_int_equal(wire.res.content_length, row->length);
		assert_int_equal(wire.res.keep_alive, row->keep_alive);
		assert_int_equal(wire.res.framing_trouble, row->trouble);
		assert_false(wire.res.mended);
		assert_int_equal(wire.res.version_minor, row->bytes.p[7] != '0');
	}
}

/* ---- mended responses ----------------------------------------------------------------------- */

/* A fault, and what is read of it; status 0 for what can be read in two ways. */
struct mended_row {
	struct slice bytes;
	uint16_t status;
	enum http_body body;
	uint64_t length;
	const char *fields; /* all of them, each with CRLF */
};

#define BOTH(length) OK length END "hello"

static const struct mended_row mended_rows[] = {
	/* white space before the colon: RFC 9112 5.1 */
	{TEXT(OK "X : y\r\nContent-Length: 5\r\n" END "hello"), 200, BODY_LENGTH, 5,
	 "X:y\r\nContent-Length:5\r\n"},
	{TEXT(NO_CONTENT "X \t: y\r\n" END), 204, BODY_NONE, 0, "X:y\r\n"},
	{TEXT(BOTH("Content-Length : 5\r\n")), 200, BODY_LENGTH, 5, "Content-Length:5\r\n"},
	{TEXT(OK "Transfer-Encoding\t: chunked\r\n" END), 200, BODY_CHUNKED, 0,
	 "Transfer-Encoding:chunked\r\n"},
	{TEXT(OK "Transfer-Encoding : chunked\r\nContent-Length : 3\r\n" END), 200, BODY_CHUNKED, 3,
	 "Transfer-Encoding:chunked\r\nContent-Length:3\r\n"},
	{TEXT(OK "Content-Length : 5\r\nContent-Length: 6\r\n" END), 0, 0, 0, ""},
	{TEXT("HTTP/1.1 : 200 OK\r\n" END), 0, 0, 0, ""},
	/* bare LF: RFC 9112 2.2 */
	{TEXT("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"), 200, BODY_LENGTH, 5,
	 "Content-Length:5\r\n"},
	{TEXT("HTTP/1.1 204 No Content\nX: y\r\n" END), 204, BODY_NONE, 0, "X:y\r\n"},
	{TEXT(NO_CONTENT "X: y\nZ: a\r\n" END), 204, BODY_NONE, 0, "X:y\r\nZ:a\r\n"},
	{TEXT(OK "Transfer-Encoding: chunked\nX: y\r\n" END), 200, BODY_CHUNKED, 0,
	 "Transfer-Encoding:chunked\r\nX:y\r\n"},
	{TEXT(NO_CONTENT "\n"), 204, BODY_NONE, 0, ""},
	{TEXT("HTTP/1.1 204\n\n"), 204, BODY_NONE, 0, ""},
	{TEXT(OK "Content-Length: 5\nContent-Length: 6\n\n"), 0, 0, 0, ""},
	{TEXT("HTTP/1.1 200 O\rK\n\n"), 0, 0, 0, ""},
	{TEXT(OK "Content-Length: 5\r\r\n" END), 0, 0, 0, ""},
	{TEXT(OK "Transfer-Encoding: chunked\rX: y\r\n" END), 0, 0, 0, ""},
	/* folds: RFC 9112 5.2 */
	{TEXT(NO_CONTENT "X: a \t\r\n \t b\r\n\tc\r\nY: z\r\n" END), 204, BODY_NONE, 0,
	 "X:a b c\r\nY:z\r\n"},
	{TEXT(NO_CONTENT "X:\r\n a\n b\r\n" END), 204, BODY_NONE, 0, "X:a b\r\n"},
	{TEXT(NO_CONTENT "X: a\r\n Content-Length: 5\r\n" END), 204, BODY_NONE, 0,
	 "X:a Content-Length: 5\r\n"},
	{TEXT(NO_CONTENT "X: a\r\n : b\r\n" END), 204, BODY_NONE, 0, "X:a : b\r\n"},
	{TEXT(OK "Content-Length: 5\r\n 0\r\n" END), 0, 0, 0, ""},
	{TEXT(OK "content-length :\r\n 5\r\n" END), 0, 0, 0, ""},
	{TEXT(OK "Content-Length: 5\r\nContent-Length: 5\r\n x\r\n" END), 0, 0, 0, ""},
	{TEXT(OK "Transfer-Encoding:\r\n chunked\r\n" END), 0, 0, 0, ""},
	{TEXT(OK "Transfer-Encoding: identity\r\n ,chunked\r\n" END), 0, 0, 0, ""},
	{TEXT(NO_CONTENT "Connection: close\r\n ,X\r\n" END), 0, 0, 0, ""},
	{TEXT("HTTP/1.1 204 No\r\n Content\r\n" END), 0, 0, 0, ""},
	{TEXT("HTTP/1.1 204\r\n\tX: y\r\n" END), 0, 0, 0, ""},
	{TEXT(NO_CONTENT "X\r\n : y\r\n" END), 0, 0, 0, ""},
	/* which some take for the empty line */
	{TEXT(NO_CONTENT "X: a\r\n \r\n" END), 0, 0, 0, ""},
	{TEXT(NO_CONTENT "X: a\r\n\t\x0b\r\n" END), 0, 0, 0, ""},
	/* control bytes: RFC 9110 5.5 */
	{TEXT(NO_CONTENT "X: a\x01\x1b\x7f\x0b"
			 "b\r\n" END),
	 204, BODY_NONE, 0, "X:a    b\r\n"},
	{TEXT(NO_CONTENT "X: \x08"
			 "a\x08\r\n b\x08\r\n" END),
	 204, BODY_NONE, 0, "X:a b\r\n"},
	{TEXT(NO_CONTENT "X: \x08\r\n" END), 204, BODY_NONE, 0, "X:\r\n"},
	{TEXT(OK "Content-Length: 5\x0b\r\n" END "hello"), 0, 0, 0, ""},
	{TEXT(OK "Content-Length: \x0c"
		 "5\r\n" END "hello"),
	 0, 0, 0, ""},
	{TEXT(OK "Transfer-Encoding: \x0b"
		 "chunked\r\n" END),
	 0, 0, 0, ""},
	{TEXT(OK "Transfer-Encoding: \x7f"
		 "identity\r\n" END),
	 0, 0, 0, ""},
	{TEXT(NO_CONTENT "Connection: x\x0b\r\n" END), 0, 0, 0, ""},
	{TEXT("HTTP/1.1 204 a\x07"
	      "b\r\n" END),
	 0, 0, 0, ""},
	{TEXT(NO_CONTENT "X: a\x01\0\r\n" END), 0, 0, 0, ""},
	{TEXT(NO_CONTENT "X\x01: a\r\n" END), 0, 0, 0, ""},
	/* lengths: RFC 9110 8.6 */
	{TEXT(BOTH("Content-Length: 5\r\nX: y\r\nContent-Length: 5\r\n")), 200, BODY_LENGTH, 5,
	 "Content-Length:5\r\nX:y\r\n"},
	{TEXT(BOTH("Content-Length: 5, 5 ,5\r\nContent-Length: 5\t\r\n")), 200, BODY_LENGTH, 5,
	 "Content-Length:5\r\n"},
	{TEXT(NO_CONTENT "Content-Length: 0\r\nContent-Length: 0\r\n" END), 204, BODY_NONE, 0,
	 "Content-Length:0\r\n"},
	{TEXT(BOTH("Content-Length: 5\r\nContent-Length: 05\r\n")), 0, 0, 0, ""},
	{TEXT(BOTH("Content-Length: 5, 6\r\n")), 0, 0, 0, ""},
	{TEXT(BOTH("Content-Length: 5,\r\n")), 0, 0, 0, ""},
	{TEXT(BOTH("Content-Length: 5 5\r\n")), 0, 0, 0, ""},
	{TEXT(BOTH("Content-Length: x, x\r\n")), 0, 0, 0, ""},
	{TEXT(BOTH("Content-Length: ,\r\n")), 0, 0, 0, ""},
	/* identity: RFC 2616 3.6 */
	{TEXT(BOTH("Transfer-Encoding: Identity\r\nContent-Length: 5\r\n")), 200, BODY_LENGTH, 5,
	 "Content-Length:5\r\n"},
	{TEXT(OK "Transfer-Encoding: identity\r\n" END "hello"), 200, BODY_UNTIL_CLOSE, 0, ""},
	{TEXT(OK "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n" END), 0, 0, 0, ""},
	{TEXT(OK "Transfer-Encoding: identity\r\nTransfer-Encoding: identity\r\n" END), 0, 0, 0,
	 ""},
	{TEXT(OK "Transfer-Encoding: identity;q=1\r\n" END), 0, 0, 0, ""},
	/* statuses: RFC 9110 15 */
	{TEXT("HTTP/1.1 600 X\r\nContent-Length: 5\r\n" END "hello"), 600, BODY_LENGTH, 5,
	 "Content-Length:5\r\n"},
	{TEXT("HTTP/1.1 999 X\n\n"), 999, BODY_UNTIL_CLOSE, 0, ""},
	{TEXT("HTTP/1.1 1000 X\n\n"), 0, 0, 0, ""},
	{TEXT("HTTP/1.1 099 X\n\n"), 0, 0, 0, ""},
	/* all of them at once */
	{TEXT("HTTP/1.0 700\nX : a\x01\n b\nContent-Length:5\nContent-Length : 5\n"
	      "Transfer-Encoding: identity\n\nhello"),
	 700, BODY_LENGTH, 5, "X:a b\r\nContent-Length:5\r\n"},
};

static void assert_fields(const struct http_fields *fields, const char *expected)
{
	char text[512];
	size_t n = 0;

	for (uint32_t i = 0; i < fields->count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s:%.*s\r\n",
				      SLICE_ARG(fields->at[i].name),
				      SLICE_ARG(fields->at[i].value));
	assert_string_equal(n > 0 ? text : "", expected);
}

static void test_mended_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mended_rows); i++) {
		const struct mended_row *row = &mended_rows[i];

		parse_as_response(row->bytes, METHOD_GET);
		if (row->status == 0) {
			expect_failure(row->bytes, FAILURE_BAD_RESPONSE);
			continue;
		}
		expect_result(row->bytes, PARSE_DONE);
		assert_int_equal(wire.res.status, row->status);
		assert_int_equal(wire.res.body, row->body);
		assert_int_equal(wire.res.content_length, row->length);
		assert_true(wire.res.mended);
		assert_false(wire.res.keep_alive);
		assert_fields(&wire.res.fields, row->fields);
	}
}

/* Without memory for it nothing is mended. */
static void test_nothing_is_mended_unasked(void **state)
{
	static struct http_field lines[8];
	struct http_response res = {.fields = {.at = lines, .capacity = 8}};
	struct parse_progress progress = {0};
	const struct response_rules rules = {.conf = conf, .method = METHOD_CONNECT};
	struct parsed parsed;

	(void)state;
	assert_int_equal(
		parse_response(SLICE("HTTP/1.1 200 OK\n\n"), &rules, &progress, &res, &parsed),
		PARSE_FAILED);
	assert_int_equal(parsed.failure, FAILURE_BAD_RESPONSE);
}

/* ---- not whole yet -------------------------------------------------------------------------- */

static void test_more(void **state)
{
	static const struct slice requests[] = {
		TEXT(""),         TEXT("\r"),       TEXT("\r\n\r\n\r\n\r\n"), TEXT("G"),
		TEXT("GET http"), TEXT(LINE "\r"),  TEXT(GET "\r"),           TEXT(GET),
		TEXT(GET "X: y"), TEXT("TRACE\0 "),
	};
	static const struct slice responses[] = {
		TEXT(""), TEXT("H"), TEXT("HTTP/1."), TEXT("HTTP/1.1 "), TEXT(OK), TEXT(OK "\r"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		parse_as_request(requests[i]);
		expect_result(requests[i], PARSE_MORE);
	}
	for (size_t i = 0; i < COUNT(responses); i++) {
		parse_as_response(responses[i], METHOD_GET);
		expect_result(responses[i], PARSE_MORE);
	}
}

/* What begins no message is told at its first wrong byte, or with its line: nobody waits for more.
 */
static void test_early_refusals(void **state)
{
	static const struct slice responses[] = {TEXT("h"), TEXT("HTTP/2"), TEXT("HTTP/1 ")};
	static const struct refused requests[] = {
		{FAILURE_BAD_REQUEST, TEXT("\x16")},
		{FAILURE_BAD_REQUEST, TEXT("\r\n\r\r")},
		{FAILURE_BAD_REQUEST, TEXT("\r\n\r\n\r\n\r\n\r")},
		{FAILURE_USERINFO, TEXT("GET http://u@h/ HTTP/1.1\r\n")},
		{FAILURE_BAD_REQUEST, TEXT("USER x\r\n")},
	};

	(void)state;
	expect_refused_requests(requests, COUNT(requests));
	expect_refused_responses(responses, COUNT(responses));
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
	test_conf_free(conf);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_request_lines),
		TEST(test_names_are_views),
		TEST(test_bad_request_lines),
		TEST(test_refused_requests_keep_their_names),
		TEST(test_bad_field_lines),
		TEST(test_mendable_field_lines),
		TEST(test_good_field_lines),
		TEST(test_bad_request_fields),
		TEST(test_asking_for_a_connection_to_stay),
		TEST(test_asking_for_another_protocol),
		TEST(test_request_framing),
		TEST(test_bad_responses),
		TEST(test_responses),
		TEST(test_mended_responses),
		TEST(test_nothing_is_mended_unasked),
		TEST(test_more),
		TEST(test_early_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
