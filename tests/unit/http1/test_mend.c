/* LINKS: proxy/http1 */
/* What mending alone makes of a head, before the strict parser looks at it: one reading, or none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "proxy/http1/mend.h"
#include "tests/support/guarded.h"

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
	const char *head, *mended; /* NULL: it can be read in two ways */
} rows[] = {
	{OK "\r\n", OK "\r\n"},
	{OK "A: 1\r\n\r\n", OK "A:1\r\n\r\n"},
	{OK "A : 1\r\n\r\n", OK "A:1\r\n\r\n"},
	{OK "A\t \t: 1 \r\n\r\n", OK "A:1\r\n\r\n"},
	{OK "A:\r\n\r\n", OK "A:\r\n\r\n"},
	{OK "A: 1\nB: 2\n\n", OK "A:1\r\nB:2\r\n\r\n"},
	{"HTTP/1.1 200 OK\n\n", OK "\r\n"},
	{OK "A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n", OK "A:1 2 3\r\nB:4\r\n\r\n"},
	{OK "A: 1 \t\r\n  2\r\n\r\n", OK "A:1 2\r\n\r\n"},
	{OK "A: \x01"
	    "1\x1f\x7f"
	    "2\r\n\r\n",
	 OK "A: 1  2\r\n\r\n"},
	{OK "A: 1\r\n\x01 2\r\n\r\n", NULL},
	{OK "A: 1\r\n \x01"
	    "2\r\n\r\n",
	 OK "A:1  2\r\n\r\n"},
	{OK "Content-Length: 5, 5\r\n\r\n", OK "Content-Length:5\r\n\r\n"},
	{OK "Content-Length: 5\r\ncontent-length: 5\r\nA: 1\r\n\r\n",
	 OK "Content-Length:5\r\nA:1\r\n\r\n"},
	{OK "Content-Length: 5,5 , 5\r\nContent-Length: 5\r\n\r\n", OK "Content-Length:5\r\n\r\n"},
	{OK "Content-Length: 5, 6\r\n\r\n", NULL},
	{OK "Content-Length: 5\r\nContent-Length: 05\r\n\r\n", NULL},
	{OK "Content-Length: 5,\r\n\r\n", NULL},
	{OK "Content-Length: 5\r\n 5\r\n\r\n", NULL},
	{OK "Content-Length: \x01"
	    "5\r\n\r\n",
	 NULL},
	{OK "Transfer-Encoding: identity\r\n\r\n", OK "\r\n"},
	{OK "Transfer-Encoding: IDENTITY\r\nA: 1\r\n\r\n", OK "A:1\r\n\r\n"},
	{OK "Transfer-Encoding: chunked\r\n\r\n", OK "Transfer-Encoding:chunked\r\n\r\n"},
	{OK "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n", NULL},
	{OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", NULL},
	{OK "Transfer-Encoding: identity\r\nTransfer-Encoding: identity\r\n\r\n", NULL},
	{OK "Transfer-Encoding: identity\r\n x\r\n\r\n", NULL},
	{OK "Transfer-Encoding: \x0b"
	    "chunked\r\n\r\n",
	 NULL},
	{OK "Connection: close\r\n, A\r\n\r\n", NULL},
	{OK "Connection: close\r\n A\r\n\r\n", NULL},
	{OK "Connection: \x01"
	    "close\r\n\r\n",
	 NULL},
	{OK " A: 1\r\n\r\n", NULL},
	{OK "A: 1\r\n \r\n\r\n", NULL},
	{OK "A: 1\r\n\t \x01\r\n\r\n", NULL},
	{OK "A: 1\r\n \x01 \x02\r\n\r\n", NULL},
	{OK "A: 1\r\n \x01 2\r\n\r\n", OK "A:1   2\r\n\r\n"},
	{OK "(A: 1\r\n\r\n", NULL},
	{OK "A(: 1\r\n\r\n", NULL},
	{OK "A B: 1\r\n\r\n", NULL},
	{OK ": 1\r\n\r\n", NULL},
	{OK "A\r\n\r\n", NULL},
	{OK "A \r\n\r\n", NULL},
	{OK "A: 1\r2\r\n\r\n", NULL},
	{OK "A: 1\r\r\n\r\n", NULL},
	{OK "A: 1\r\n", NULL},
	{OK "A: 1", NULL},
	{"HTTP/1.1 200 OK", NULL},
	{OK "A: 1\r\n\r\nB: 2\r\n\r\n", NULL},
};

static void test_one_reading_or_none(void **state)
{
	static char room[300];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t n = 0;
		enum mend result = mend_head(guarded_str(rows[i].head), room, sizeof(room), &n);

		guarded_end();
		if (result != (rows[i].mended != NULL ? MEND_DONE : MEND_DOUBTFUL))
			fail_msg("%d of %s", result, rows[i].head);
		if (rows[i].mended != NULL &&
		    !slice_eq(slice_of(room, n), slice_str(rows[i].mended)))
			fail_msg("%.*s\nof %s", (int)n, room, rows[i].head);
	}
}

/* A NUL is no control byte that can be mended. */
static void test_nul(void **state)
{
	static const char head[] = OK "A: 1\0\r\n\r\n";
	char room[100];
	size_t n;

	(void)state;
	assert_int_equal(mend_head(slice_of(head, sizeof(head) - 1), room, sizeof(room), &n),
			 MEND_DOUBTFUL);
}

/* To the last byte of the room. */
static void test_room(void **state)
{
	static const char head[] = OK "A: 1\n\n", mended[] = OK "A:1\r\n\r\n";
	char room[sizeof(mended) + 1];
	size_t n;

	(void)state;
	for (size_t size = 0; size < 2 * sizeof(room); size++) {
		/* one is a control byte, which becomes SP in a value */
		char left = size % 2 == 0 ? '?' : '\0';

		memset(room, left, sizeof(room));
		assert_int_equal(mend_head(SLICE(head), room, size / 2, &n),
				 size / 2 >= sizeof(mended) - 1 ? MEND_DONE : MEND_NO_ROOM);
		assert_int_equal(room[size / 2], left);
	}
	assert_int_equal(n, sizeof(mended) - 1);
	assert_memory_equal(room, mended, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_reading_or_none),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
