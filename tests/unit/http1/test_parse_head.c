/* LINKS: proxy/http1 */
/*
 * http-parser's opinion alone, as if our own checks were wrong: it does not confirm a head that it reads in another
 * way.  test_parse_alone.c has our own without it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/http/fields.h"
#include "proxy/http1/parse_head.h"
#include "tests/support/guarded.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT(literal)                          \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}
#define END "\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define UPGRADE "Connection: upgrade\r\nUpgrade: other\r\n"

static const struct framing none = {.minor = 1};
static const struct framing old = {.minor = 0};
static const struct framing five = {.minor = 1, .has_length = true, .length = 5};
static const struct framing six = {.minor = 1, .has_length = true, .length = 6};
static const struct framing zero = {.minor = 1, .has_length = true, .length = 0};
static const struct framing chunks = {.minor = 1, .chunked = true};
static const struct framing both = {.minor = 1, .has_length = true, .length = 5, .chunked = true};

static void test_requests(void **state)
{
	static const struct {
		enum http_method method;
		struct slice fields;
		const struct framing *framing; /* as we read it */
		bool confirmed;
	} rows[] = {
		{METHOD_GET, TEXT(END), &none, true},
		{METHOD_GET, TEXT(END), &old, true},
		{METHOD_CONNECT, TEXT("Host: h\r\n" END), &none, true},
		{METHOD_OTHER, TEXT("A: 1\r\n" END), &none, true},
		{METHOD_GET, TEXT(UPGRADE END), &none, true},
		{METHOD_POST, TEXT(UPGRADE "Content-Length: 5\r\n" END), &five, true},
		{METHOD_POST, TEXT(UPGRADE "Content-Length: 5\r\n" END), &six, false},
		{METHOD_POST, TEXT(UPGRADE "Transfer-Encoding: chunked\r\n" END), &chunks, true},
		{METHOD_POST, TEXT(UPGRADE "Transfer-Encoding: chunked\r\n" END), &none, false},
		{METHOD_GET, TEXT(UPGRADE), &none, false},
		{METHOD_CONNECT, TEXT("Content-Length: 5\r\n" END), &five, true},
		{METHOD_CONNECT, TEXT("Content-Length: 5\r\n" END), &none, false},
		{METHOD_POST, TEXT("Content-Length: 5\r\n" END), &five, true},
		{METHOD_POST, TEXT("Content-Length: 5\r\n" END), &six, false},
		{METHOD_POST, TEXT("Content-Length: 5\r\n" END), &none, false},
		{METHOD_POST, TEXT("Content-Length: 5\r\n" END), &zero, false},
		{METHOD_POST, TEXT("Content-Length: 0\r\n" END), &zero, true},
		{METHOD_POST, TEXT("Content-Length: 0\r\n" END), &none, false},
		{METHOD_POST, TEXT(END), &five, false},
		{METHOD_POST, TEXT(END), &zero, false},
		{METHOD_POST, TEXT("Transfer-Encoding: chunked\r\n" END), &chunks, true},
		{METHOD_POST, TEXT("Transfer-Encoding: chunked\r\n" END), &none, false},
		{METHOD_POST, TEXT("Transfer-Encoding: chunked\r\n" END), &five, false},
		{METHOD_POST, TEXT(END), &chunks, false},
		/* what it refuses by itself, whatever we make of it */
		{METHOD_POST, TEXT("Content-Length: 5\r\nContent-Length: 5\r\n" END), &five, false},
		{METHOD_POST, TEXT("Content-Length: 5\r\nContent-Length: 6\r\n" END), &five, false},
		{METHOD_POST, TEXT("Content-Length: 5\r\nContent-Length: 6\r\n" END), &six, false},
		{METHOD_POST, TEXT("Content-Length: 5, 5\r\n" END), &five, false},
		{METHOD_POST, TEXT("Content-Length: +5\r\n" END), &five, false},
		{METHOD_POST, TEXT("Content-Length: 5x\r\n" END), &five, false},
		{METHOD_POST, TEXT("Content-Length: 18446744073709551621\r\n" END), &five, false},
		{METHOD_POST, TEXT("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END),
		 &both, false},
		{METHOD_POST, TEXT("Transfer-Encoding: chunked, gzip\r\n" END), &none, false},
		{METHOD_POST, TEXT("A\r\n" END), &none, false},
		{METHOD_POST, TEXT("A(: 1\r\n" END), &none, false},
		{METHOD_POST, TEXT("A: a\0b\r\n" END), &none, false},
		{METHOD_POST,
		 TEXT("A: a\x01"
		      "b\r\n" END),
		 &none, false},
		/* and a head that is not whole */
		{METHOD_GET, TEXT("A: 1\r\n"), &none, false},
		/* what it takes: ours alone stands before it */
		{METHOD_POST, TEXT("A : 1\r\n" END), &none, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (head_confirm_request(rows[i].method, rows[i].fields, rows[i].framing) !=
		    rows[i].confirmed)
			fail_msg("row %zu: %.*s", i, SLICE_ARG(rows[i].fields));
}

static void test_responses(void **state)
{
	static const struct {
		struct slice head;
		unsigned status;
		bool no_body;
		const struct framing *framing;
		bool confirmed;
	} rows[] = {
		{TEXT(OK END), 200, false, &none, true},
		{TEXT(OK END), 201, false, &none, false},
		{TEXT("HTTP/1.1 101 Other\r\n" UPGRADE END), 101, true, &none, true},
		{TEXT(OK UPGRADE END), 200, false, &none, true},
		{TEXT(OK UPGRADE "Content-Length: 5\r\n" END), 200, false, &five, true},
		{TEXT(OK UPGRADE "Content-Length: 5\r\n" END), 200, false, &none, false},
		{TEXT(OK END), 200, false, &five, false},
		{TEXT(OK END), 200, false, &zero, false},
		{TEXT(OK END), 200, false, &chunks, false},
		{TEXT(OK "Content-Length: 5\r\n" END), 200, false, &five, true},
		{TEXT(OK "Content-Length: 5\r\n" END), 200, false, &six, false},
		{TEXT(OK "Content-Length: 5\r\n" END), 200, false, &none, false},
		{TEXT(OK "Content-Length: 5\r\n" END), 200, true, &five, true},
		{TEXT(OK "Content-Length: 5\r\n" END), 200, true, &six, false},
		{TEXT(OK "Content-Length: 5\r\nContent-Length: 5\r\n" END), 200, false, &five,
		 false},
		{TEXT(OK "Content-Length: 5\r\nContent-Length: 6\r\n" END), 200, false, &five,
		 false},
		{TEXT(OK "Content-Length: 5\r\nContent-Length: 6\r\n" END), 200, true, &six, false},
		{TEXT(OK "Content-Length: -1\r\n" END), 200, false, &none, false},
		{TEXT(OK "Content-Length: 5x\r\n" END), 200, false, &five, false},
		{TEXT(OK "Transfer-Encoding: chunked\r\n" END), 200, false, &chunks, true},
		{TEXT(OK "Transfer-Encoding: chunked\r\n" END), 200, false, &none, false},
		/* without a body it does not matter how that would have been framed */
		{TEXT(OK "Transfer-Encoding: chunked\r\n" END), 200, true, &none, true},
		{TEXT(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END), 200, false,
		 &both, true},
		{TEXT(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END), 200, false,
		 &five, false},
		{TEXT("HTTP/2.0 200 OK\r\n" END), 200, false, &none, false},
		{TEXT("HTTP/1.1 20x OK\r\n" END), 20, false, &none, false},
		{TEXT(OK "A: a\0b\r\n" END), 200, false, &none, false},
		{TEXT(OK "A(: b\r\n" END), 200, false, &none, false},
		{TEXT(OK "A: 1\r\n"), 200, false, &none, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (head_confirm_response(rows[i].head, rows[i].status, rows[i].no_body,
					  rows[i].framing) != rows[i].confirmed)
			fail_msg("row %zu: %.*s", i, SLICE_ARG(rows[i].head));
}

/* How much white space is behind the values of the two fields that frame. */
static void test_what_padding_is_found(void **state)
{
	static const struct {
		struct slice head;
		size_t length, coding;
	} rows[] = {
		{TEXT("Content-Length: 5\r\n" END), 0, 0},
		{TEXT("Content-Length: 5 \r\n" END), 1, 0},
		{TEXT("Content-Length: 5\t \t\r\nA: 1 \r\n" END), 3, 0},
		{TEXT("A: 1  \r\nTransfer-Encoding: chunked\r\n" END), 0, 0},
		{TEXT("Transfer-Encoding: chunked \t\r\nContent-Length: 5 \r\n" END), 1, 2},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_field lines[8];
		struct http_fields fields = {.at = lines, .capacity = COUNT(lines)};
		struct framing framing = {.minor = 1};

		assert_int_equal(head_fields(guarded(rows[i].head), 0, 8, &fields,
					     FAILURE_BAD_REQUEST, FAILURE_HEAD_TOO_LARGE),
				 FAILURE_NONE);
		assert_true(head_length(&fields, &framing));
		if (head_coding(&fields) == CODING_CHUNKED)
			head_set_chunked(&fields, &framing);
		assert_int_equal(framing.padding[0].n, rows[i].length);
		assert_int_equal(framing.padding[1].n, rows[i].coding);
		guarded_end();
	}
}

/* The white space behind a length and `chunked` is kept from it (P18), and nothing else. */
static void test_padding(void **state)
{
	static const char text[] =
		"Transfer-Encoding: chunked \t\r\nA: 1\r\nContent-Length: 5  \r\n\r\n";
	struct framing framing = both;
	struct slice head;
	char whole[200] = OK;

	(void)state;
	strcat(whole, text);
	head = slice_str(whole);
	assert_false(head_confirm_response(head, 200, false, &framing));
	framing.padding[0] = slice_of(strstr(whole, "  \r\n"), 2);
	assert_false(head_confirm_response(head, 200, false, &framing));
	framing.padding[1] = slice_of(strstr(whole, " \t\r\n"), 2);
	assert_true(head_confirm_response(head, 200, false, &framing));
	framing.length = 6;
	assert_false(head_confirm_response(head, 200, false, &framing));
	framing.length = 5;
	framing.chunked = false;
	assert_false(head_confirm_response(head, 200, false, &framing));
	/* in the other order */
	strcpy(whole, OK "Content-Length: 5  \r\nA: 1\r\nTransfer-Encoding: chunked \t\r\n\r\n");
	head = slice_str(whole);
	framing = both;
	framing.padding[0] = slice_of(strstr(whole, "  \r\n"), 2);
	framing.padding[1] = slice_of(strstr(whole, " \t\r\n"), 2);
	assert_true(head_confirm_response(head, 200, false, &framing));
	framing.padding[1].n = 0;
	assert_false(head_confirm_response(head, 200, false, &framing));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_what_padding_is_found),
		cmocka_unit_test(test_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
