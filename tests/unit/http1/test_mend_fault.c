/* LINKS: proxy/http1 */
#include "proxy/http1/mend_fault.h"
#include "proxy/http1/mend.h"

#include "tests/support/guarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>

#define HEAD "HTTP/1.1 204 No Content\r\n"

static const struct {
	const char *head, *fault;
} rows[] = {
	{HEAD "Date: x\r\n\r\n", ""},
	{HEAD "\r\n", ""},
	{HEAD "Content-Length: 0\r\n\r\n", ""},
	{"HTTP/1.1 204 No Content\n\r\n", "line 1: ends in LF without CR"},
	{HEAD "A: b\nC: d\r\n\r\n", "line 2: ends in LF without CR"},
	{HEAD "A: b\r\n\n", "line 3: ends in LF without CR"},
	{HEAD "A : b\r\n\r\n", "line 2: white space before the colon"},
	{HEAD "A: b\r\n c\r\n\r\n", "line 3: goes on with the value of the line before it"},
	{HEAD "A: b\x01\r\n\r\n", "line 2: a control byte in the value"},
	{HEAD "Content-Length: 0\r\ncontent-length: 0\r\n\r\n", "line 3: Content-Length again"},
	{HEAD "Content-Length: 0, 0\r\n\r\n", "line 2: Content-Length again"},
	{HEAD "Transfer-Encoding: identity\r\n\r\n",
	 "line 2: a Transfer-Encoding of identity, which there is not"},
};

/* All of it is mended. */
static void what_is_mended_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice head = guarded_str(rows[i].head);
		char to[MEND_FAULT_SIZE], mended[256];
		size_t n;

		assert_string_equal(mend_fault(head, to), rows[i].fault);
		assert_int_equal(mend_head(head, mended, sizeof(mended), &n), MEND_DONE);
	}
}

static void a_head_that_was_cut_is_no_trouble(void **state)
{
	static const char text[] = HEAD "A: b\r\n c\r\n";
	char to[MEND_FAULT_SIZE];

	(void)state;
	for (size_t n = 0; n < strlen(text); n++)
		mend_fault(guarded(slice_of(text, n)), to);
	assert_string_equal(mend_fault(SLICE(HEAD "A\r\n"), to), "line 2: no colon");
	assert_string_equal(mend_fault(SLICE(HEAD ": b\r\n\r\n"), to), "");
	assert_string_equal(mend_fault(SLICE(HEAD "Transfer-Encoding: chunked\r\nA : b\r\n"), to),
			    "line 3: white space before the colon");
}

static void a_status_of_no_class_is_named(void **state)
{
	static const char *const odd[] = {"600", "700", "799", "999"};
	char to[MEND_FAULT_SIZE], head[40];

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		snprintf(head, sizeof(head), "HTTP/1.1 %s X\r\n\r\n", odd[i]);
		assert_string_equal(mend_fault(slice_str(head), to),
				    "line 1: a status of 600 or more");
	}
	assert_string_equal(mend_fault(SLICE("HTTP/1.1 599 X\r\n\r\n"), to), "");
	assert_string_equal(mend_fault(SLICE("HTTP/1.1 :99 X\r\n\r\n"), to), "");
	/* without the byte that would tell */
	assert_string_equal(mend_fault(slice_of("HTTP/1.1 799", 9), to), "");
	assert_string_equal(mend_fault(slice_of("HTTP/1.1 799", 10), to),
			    "line 1: a status of 600 or more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_mended_is_named),
		cmocka_unit_test(a_head_that_was_cut_is_no_trouble),
		cmocka_unit_test(a_status_of_no_class_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
