/* LINKS: proxy/http1 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/http1/parse.h"
#include "proxy/http1/parse_fault.h"
#include "tests/support/guarded.h"
#include "tests/support/test_conf.h"

static char room[PARSE_MENDED_MAX];
static struct http_field fields[PARSE_FIELDS_MAX];

/* The text for a request that the parser refuses, which it must; bytes end where they end. */
static const char *request_fault(struct slice bytes)
{
	static char to[PARSE_FAULT_SIZE];
	struct conf *conf = test_conf_new();
	struct http_request req = {.fields = {.at = fields, .capacity = PARSE_REQUEST_FIELDS_MAX}};
	struct parse_progress progress = {0};
	struct parsed parsed;

	bytes = guarded(bytes);
	if (parse_request(bytes, conf, NULL, &progress, &req, &parsed) != PARSE_FAILED)
		fail_msg("taken: %.*s", (int)bytes.n, bytes.p);
	assert_ptr_equal(parse_fault_request(bytes, parsed.failure, to), to);
	guarded_end();
	test_conf_free(conf);
	return to;
}

static const char *response_fault(struct slice bytes)
{
	static char to[PARSE_FAULT_SIZE];
	struct conf *conf = test_conf_new();
	struct http_response res = {.fields = {.at = fields, .capacity = PARSE_FIELDS_MAX}};
	struct parse_progress progress = {0};
	struct parsed parsed;

	bytes = guarded(bytes);
	if (parse_response(bytes, &(struct response_rules){conf, METHOD_GET, room, NULL}, &progress,
			   &res, &parsed) != PARSE_FAILED)
		fail_msg("taken: %.*s", (int)bytes.n, bytes.p);
	assert_ptr_equal(parse_fault_response(bytes, to), to);
	guarded_end();
	test_conf_free(conf);
	return to;
}

#define HEAD(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
#define GET "GET http://a/ HTTP/1.1\r\n"

static void test_requests(void **state)
{
	static const struct {
		struct slice bytes;
		const char *text;
	} rows[] = {
		{HEAD("\x16\x03\x01"),
		 "line 1, byte 1: 0x16 begins TLS, this address speaks plain HTTP"},
		{HEAD("PROXY TCP4 192.0.2.7 192.0.2.9 1 80\r\n" GET "\r\n"),
		 "line 1: a PROXY header, from a sender not in proxy_protocol_from"},
		{HEAD("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"),
		 "line 1: a PROXY header, from a sender not in proxy_protocol_from"},
		{HEAD("PROXY \r\n" GET "\r\n"),
		 "line 1: a PROXY header, from a sender not in proxy_protocol_from"},
		{HEAD("\x04\x01"), "line 1, byte 1: 0x04 begins no method"},
		{HEAD("\r\n\x04"), "line 1, byte 1: 0x04 begins no method"},
		{HEAD("G(T http://a/ HTTP/1.1\r\n\r\n"), "line 1, byte 2: 0x28 in the method"},
		{HEAD("AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD http://a/ HTTP/1.1\r\n\r\n"),
		 "line 1: the method is too long"},
		{HEAD("GET\r\n\r\n"), "line 1: not a method, a target and a version"},
		{HEAD("GET http://a/\r\n\r\n"), "line 1: not a method, a target and a version"},
		{HEAD("\r\n\r\nGET  HTTP/1.1\r\n\r\n"),
		 "line 1: not a method, a target and a version"},
		{HEAD("GET http://a/b c HTTP/1.1\r\n\r\n"), "line 1, byte 15: 0x20 in the target"},
		{HEAD("GET http://a/\0 HTTP/1.1\r\n\r\n"), "line 1, byte 14: 0x00 in the target"},
		{HEAD("GET http://a/ HTTP\r\n\r\n"), "line 1, byte 15: not an HTTP version"},
		{HEAD("GET http://a/ HTTP/1.10\r\n\r\n"), "line 1, byte 15: not an HTTP version"},
		{HEAD("GET http://a/ HTTPS1.1\r\n\r\n"), "line 1, byte 15: not an HTTP version"},
		{HEAD("GET http://a/ HTTP/1,1\r\n\r\n"), "line 1, byte 15: not an HTTP version"},
		{HEAD("GET http://a/ HTTP/1.1\nHost: a\r\n\r\n"), "line 1, byte 23: LF without CR"},
		{HEAD("GET http://[fe80::1%25eth0]/ HTTP/1.1\r\nHost: a\r\n\r\n"),
		 "line 1: a zone id in the target, which is not supported"},
		{HEAD("CONNECT [fe80::1%eth0]:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
		 "line 1: a zone id in the target, which is not supported"},
		{HEAD("GET http://[x]/%25] HTTP/1.1\r\nHost: a\r\n\r\n"), "line 1: the target"},
		{HEAD("GET http://u:secret@a/ HTTP/1.1\r\nHost: a\r\n\r\n"), "line 1: the target"},
		/* it failed by the target: what is wrong behind it was not looked at */
		{HEAD("GET http://u:secret@a/ HTTP/1.1\r\nHost a\r\nA: \0\r\n\r\n"),
		 "line 1: the target"},
		{HEAD("GET http://a/ HTTP/2.0\r\nHost a\r\n\r\n"), "line 1: the version"},
		{HEAD(GET "Host: a\nA: b\r\n\r\n"), "line 2, byte 8: LF without CR"},
		{HEAD(GET "Host: a\r\nA: b\rc\r\n\r\n"), "line 3, byte 5: 0x0d in a value"},
		{HEAD(GET "Host: a\r\nA: secret\0\r\n\r\n"), "line 3, byte 10: 0x00 in a value"},
		{HEAD(GET "Host : a\r\n\r\n"), "line 2, byte 5: white space before the colon"},
		{HEAD(GET "Host: a\r\n b\r\n\r\n"), "line 3, byte 1: white space begins the line"},
		{HEAD(GET "Host: a\r\nsecret\r\n\r\n"), "line 3: no colon"},
		{HEAD(GET "Host: a\r\n: b\r\n\r\n"), "line 3, byte 1: no name before the colon"},
		{HEAD(GET "Host: a\r\n\xc3: b\r\n\r\n"),
		 "line 3, byte 1: 0xc3 begins no field name"},
		{HEAD(GET "Host: a\r\nA@: b\r\n\r\n"), "line 3, byte 2: 0x40 in a field name"},
		{HEAD(GET "\r\n"), "no Host"},
		{HEAD(GET "A: b\r\n\r\nHost: a\r\n"), "no Host"},
		{HEAD(GET "Host: a\r\nA: b\r\nhost: a\r\n\r\n"),
		 "line 4: Host, beside that of line 2"},
		{HEAD(GET "A: b\r\nHost: a b\r\n\r\n"), "line 3: Host"},
		{HEAD(GET "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
		 "line 4: Transfer-Encoding, beside that of line 3"},
		{HEAD(GET "Host: a\r\nContent-Length: x\r\n\r\n"), "line 3: Content-Length"},
		{HEAD(GET "Host: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
		 "line 3: Transfer-Encoding"},
		{HEAD(GET "Host: a\r\nExpect: magic\r\n\r\n"), "line 3: Expect"},
		{HEAD(GET "Host \r\n\r\n"), "line 2, byte 5: 0x20 in a field name"},
		{HEAD("\r\n\r\n\0\r\nGET "), "line 1, byte 1: 0x00 begins no method"},
		{HEAD("\r\n\r\n\0\r\nQ"), "line 1, byte 1: 0x00 begins no method"},
		{HEAD("\r\n\r\n\r\n\r\n\r\n" GET), "line 1, byte 1: 0x0d begins no method"},
		{HEAD("GET http://a:x/ HTTP/1.1\r\nHost: a\r\n\r\n"), "line 1: the target"},
		{HEAD("GET http://[fe80::1%25eth0/ HTTP/1.1\r\nHost: a\r\n\r\n"),
		 "line 1: the target"},
		{HEAD("\r\n\r\n\r\n\r\n\x04"), "line 1, byte 1: 0x04 begins no method"},
		{HEAD("\rGET / HTTP/1.1\r\n\r\n"), "line 1, byte 1: 0x0d begins no method"},
		{HEAD("\r\n\0\r\nQUIT"),
		 "line 1: a PROXY header, from a sender not in proxy_protocol_from"},
		{HEAD("GET a HTTP/1.10\r\n\r\n"), "line 1, byte 7: not an HTTP version"},
		{HEAD(GET "Host: a\r\n\n"), "line 3, byte 1: LF without CR"},
		{HEAD("GET http://a/ HTTX/1.1\r\n\r\n"), "line 1, byte 15: not an HTTP version"},
		{HEAD("GET http://a/ HTTP/1x1\r\n\r\n"), "line 1, byte 15: not an HTTP version"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(request_fault(rows[i].bytes), rows[i].text);
}

static void test_sizes(void **state)
{
	char *head = calloc(1, 200000), *end = head + sprintf(head, GET "Host: a\r\n");

	(void)state;
	for (int i = 0; i < 200; i++)
		end += sprintf(end, "A: b\r\n");
	end += sprintf(end, "\r\n");
	assert_string_equal(request_fault(slice_of(head, (size_t)(end - head))),
			    "202 lines, 1235 bytes as far as it came");
	/* what follows is not counted */
	assert_string_equal(request_fault(slice_of(head, (size_t)(end - head) + 100)),
			    "202 lines, 1235 bytes as far as it came");
	/* of a response without an end, cut in a line and behind one */
	memcpy(head, "HTTP/1.1 200 OK\r\n", 17);
	end = head + 17;
	while (end < head + 66000)
		end += sprintf(end, "A: b\r\n");
	assert_string_equal(response_fault(slice_of(head, (size_t)(end - head))), "");
	assert_string_equal(response_fault(slice_of(head, (size_t)(end - head) - 3)), "");
	memcpy(head, GET "Host: a\r\n", 24);
	memset(head + 13, 'a', 100000);
	assert_string_equal(request_fault(slice_of(head, 90000)),
			    "1 lines, 90000 bytes as far as it came");
	free(head);
}

#define OK "HTTP/1.1 200 OK\r\n"

static void test_responses(void **state)
{
	static const struct {
		struct slice bytes;
		const char *text;
	} rows[] = {
		{HEAD("\x15\x03\x01 xxxxxxxx"),
		 "line 1, byte 1: 0x15 begins TLS, the request was plain HTTP"},
		{HEAD("220 ESMTP\r\n\r\n"), "line 1, byte 1: 0x32 in the place of HTTP/1."},
		{HEAD("HTTP/2.0 200 OK\r\n\r\n"), "line 1, byte 6: 0x32 in the place of HTTP/1."},
		{HEAD("HTTP/1.1 20\r\n\r\n"), "line 1: not a version, a status and a reason"},
		{HEAD("HTTP/1.1 2x0 OK\r\n\r\n"), "line 1, byte 11: 0x78 in the status"},
		{HEAD("HTTP/1.1 200 O\0K\r\n\r\n"), "line 1, byte 15: 0x00 in the reason"},
		{HEAD(OK " A: b\r\n\r\n"), "line 2, byte 1: white space begins the line"},
		{HEAD(OK "A: b\r\nContent-Length: 1\r\n 2\r\n\r\n"),
		 "line 4, byte 1: white space begins the line"},
		/* what can be mended before it is no fault */
		{HEAD(OK "A : b\nC: \x01\r\n d\r\nD: \0\r\n\r\n"),
		 "line 5, byte 4: 0x00 in a value"},
		{HEAD(OK "secret\r\n\r\n"), "line 2: no colon"},
		{HEAD(OK "A: b\rC: d\r\n\r\n"), "line 2, byte 5: 0x0d in a value"},
		{HEAD(OK "A@: b\r\n\r\n"), "line 2, byte 2: 0x40 in a field name"},
		{HEAD(OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
		 "line 3: Content-Length, beside that of line 2"},
		{HEAD(OK "Transfer-Encoding: gzip\r\n\r\n"), "line 2: Transfer-Encoding"},
		{HEAD("HTTP/1.1x200 OK\r\n\r\n"), "line 1: not a version, a status and a reason"},
		{HEAD("HTTP/1.1 2000 OK\r\n\r\n"), "line 1: not a version, a status and a reason"},
		{HEAD("HTTP/1.1 2x0\r\n\r\n"), "line 1, byte 11: 0x78 in the status"},
		{HEAD(OK "Transfer-Encoding: chunked\r\n x\r\n\r\n"),
		 "line 3, byte 1: white space begins the line"},
		{HEAD(OK "Connection: close\r\n x\r\n\r\n"),
		 "line 3, byte 1: white space begins the line"},
		{HEAD("HTTP/1,1 200 OK\r\n\r\n"), "line 1, byte 7: 0x2c in the place of HTTP/1."},
		{HEAD("HTTP/1\r\n\r\n"), "line 1: too short for a status line"},
		{HEAD("HTTP/1.1 2000\r\n\r\n"), "line 1: not a version, a status and a reason"},
		/* what can be mended, and the highest digit */
		{HEAD("HTTP/1.1 299 O\x01K\r\nA: \0\r\n\r\n"), "line 2, byte 4: 0x00 in a value"},
		/* a line of one blank ends neither the head nor the search */
		{HEAD(OK "A: b\r\n \r\nsecret\r\n\r\n"), "line 4: no colon"},
		{HEAD(OK "A: b\r\n \r\nTransfer-Encoding: gzip\r\n\r\n"),
		 "line 4: Transfer-Encoding"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(response_fault(rows[i].bytes), rows[i].text);
}

/* Of nothing, and of what is right, there is nothing to say; and no text is left from before. */
static void test_no_fault(void **state)
{
	static const struct slice requests[] = {HEAD(""), HEAD("\r\n"), HEAD("\r\n\r\n"),
						HEAD("GET"), HEAD(GET "Host: a\r\n\r\n")};
	static const struct slice responses[] = {HEAD(""), HEAD(OK "A: b\r\n\r\n")};
	char to[PARSE_FAULT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		strcpy(to, "left");
		assert_string_equal(
			parse_fault_request(guarded(requests[i]), FAILURE_BAD_REQUEST, to), "");
	}
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		strcpy(to, "left");
		assert_string_equal(parse_fault_response(guarded(responses[i]), to), "");
	}
	guarded_end();
}

/* Whatever the bytes, cut anywhere: within its room, and printable. */
static void test_any_bytes(void **state)
{
	static const char seed[] = GET "Host: a\r\nContent-Length: 1\r\nA: b\r\n\r\n";
	char to[PARSE_FAULT_SIZE];
	unsigned random = 1;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t n = (size_t)rand() % sizeof(seed);
		char *copy = malloc(n + 1);

		memcpy(copy, seed, n);
		for (size_t at = 0; n > 0 && at < 3; at++) {
			random = random * 1103515245 + 12345;
			copy[random / 65536 % n] = (char)(random >> 8);
		}
		parse_fault_request(slice_of(copy, n), (enum failure)(i % FAILURE_COUNT), to);
		for (const char *p = to; *p != '\0'; p++)
			assert_true(*p >= ' ' && *p < 0x7f);
		parse_fault_response(slice_of(copy, n), to);
		for (const char *p = to; *p != '\0'; p++)
			assert_true(*p >= ' ' && *p < 0x7f);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),  cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_responses), cmocka_unit_test(test_no_fault),
		cmocka_unit_test(test_any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
