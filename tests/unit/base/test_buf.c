/* LINKS: proxy/base -Wl,--wrap=malloc -Wl,--wrap=free */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proxy/base/buf.h"

enum { SCRATCH = 64 };

static struct buf buf;
static char block[SCRATCH];

/* ---- memory that is counted, and runs out when a test says so ------------------------------- */

static bool no_memory;
static int blocks;
static size_t largest;

void *__real_malloc(size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
	if (no_memory)
		return NULL;
	blocks++;
	largest = size > largest ? size : largest;
	return __real_malloc(size);
}

void __wrap_free(void *memory)
{
	blocks -= memory != NULL;
	__real_free(memory);
}

static int setup(void **state)
{
	(void)state;
	buf = (struct buf){0};
	no_memory = false;
	blocks = 0;
	largest = 0;
	return 0;
}

/* Each test leaves the buffer as it likes; nothing may be lost. */
static int teardown(void **state)
{
	(void)state;
	buf_free(&buf);
	return blocks;
}

/* ---- checks --------------------------------------------------------------------------------- */

static void expect_waiting(const char *expected)
{
	assert_int_equal(buf_length(&buf), strlen(expected));
	assert_memory_equal(buf_waiting(&buf).p, expected, strlen(expected));
}

static void append(const char *text)
{
	assert_true(buf_append(&buf, slice_str(text)));
}

/* ---- memory of its own ---------------------------------------------------------------------- */

static void test_no_memory_while_empty(void **state)
{
	(void)state;
	assert_int_equal(buf_length(&buf), 0);
	assert_true(buf_append(&buf, slice_of(NULL, 0)));
	assert_true(buf_settle(&buf));
	assert_int_equal(blocks, 0);
	append("abc");
	assert_int_equal(blocks, 1);
	buf_consume(&buf, 2);
	expect_waiting("c");
	assert_int_equal(blocks, 1);
	buf_consume(&buf, 1);
	assert_int_equal(blocks, 0);
	assert_null(buf.block);
}

static void test_bytes_keep_their_order(void **state)
{
	char *to;

	(void)state;
	append("abc");
	to = buf_reserve(&buf, 10);
	memcpy(to, "defghijklm", 10);
	buf_added(&buf, 4); /* less than there was room for */
	append("xyz");
	buf_consume(&buf, 1);
	expect_waiting("bcdefgxyz");
}

/* Room that is there is used as it is: neither moved nor grown. */
static void test_room_is_used(void **state)
{
	const char *first;
	size_t size;

	(void)state;
	append("abc");
	first = buf.block;
	size = buf.size;
	while (buf.tail < buf.size)
		append("x");
	assert_ptr_equal(buf.block, first);
	assert_int_equal(buf_length(&buf), size);
	assert_int_equal(blocks, 1);
	append("y");
	assert_true(buf.size >= 2 * size);
	assert_int_equal(blocks, 1);
	assert_int_equal(buf_waiting(&buf).p[size], 'y');
}

/* When most is consumed what waits moves to the front of the same block. */
static void test_moving_before_growing(void **state)
{
	size_t size;

	(void)state;
	append("abc");
	size = buf.size;
	while (buf.tail < buf.size)
		append("x");
	buf_consume(&buf, size - 3);
	append("defg");
	assert_int_equal(buf.size, size);
	assert_int_equal(buf.head, 0);
	expect_waiting("xxxdefg");
	assert_int_equal(largest, size);
}

/* Half of a block is moved, and more than half is not. */
static void test_moving_a_half(void **state)
{
	char *first;
	size_t size;

	(void)state;
	for (int i = 0; i < 2; i++) {
		append("abc");
		first = buf.block;
		size = buf.size;
		while (buf.tail < buf.size)
			append("x");
		buf_consume(&buf, size / 2 - (i == 0 ? 0 : 1));
		append("y");
		assert_int_equal(buf.size == size, i == 0);
		if (i == 0)
			assert_ptr_equal(buf.block, first);
		buf_free(&buf);
	}
}

/* A byte at a time through a nearly full buffer must not move all of it each time. */
static void test_work_is_linear(void **state)
{
	unsigned moves = 0;

	(void)state;
	append("x");
	while (buf.tail < buf.size - 1)
		append("x");
	for (int i = 0; i < 100000; i++) {
		uint32_t head = buf.head + 1;

		buf_consume(&buf, 1);
		append("y");
		moves += buf.head != head;
	}
	/* at most one move for each half of a block */
	assert_in_range(moves, 1, 100000 / 2048 + 2);
	assert_true(buf.size <= 4 * 4096);
}

static void test_a_large_reserve_is_exact(void **state)
{
	(void)state;
	append("abc");
	assert_non_null(buf_reserve(&buf, 1 << 20));
	assert_int_equal(buf.size, 3 + (1 << 20));
	buf_added(&buf, 1 << 20);
	assert_memory_equal(buf_waiting(&buf).p, "abc", 3);
}

/* Offsets have 32 bits: what does not fit is refused, not cut. */
static void test_too_much_is_refused(void **state)
{
	(void)state;
	append("abc");
	assert_null(buf_reserve(&buf, UINT32_MAX));
	assert_null(buf_reserve(&buf, (size_t)UINT32_MAX + 10));
	assert_null(buf_reserve(&buf, UINT32_MAX / 2));
	expect_waiting("abc");
}

static void test_out_of_memory(void **state)
{
	(void)state;
	no_memory = true;
	assert_false(buf_append(&buf, SLICE("abc")));
	assert_int_equal(buf_length(&buf), 0);
	no_memory = false;
	append("abc");
	no_memory = true;
	assert_null(buf_reserve(&buf, 1 << 20));
	expect_waiting("abc");
	append("def"); /* there is room */
	expect_waiting("abcdef");
}

static void test_freed_is_empty(void **state)
{
	(void)state;
	append("abc");
	buf_free(&buf);
	assert_int_equal(blocks, 0);
	assert_int_equal(buf_length(&buf), 0);
	buf_free(&buf);
	append("def");
	expect_waiting("def");
}

/* ---- borrowed memory ------------------------------------------------------------------------ */

static void test_a_loan_that_was_enough(void **state)
{
	(void)state;
	buf_borrow(&buf, block, sizeof(block));
	append("abc");
	assert_ptr_equal(buf_waiting(&buf).p, block);
	buf_consume(&buf, 3);
	assert_ptr_equal(buf.block, block); /* still on loan, from its start */
	append("de");
	assert_ptr_equal(buf_waiting(&buf).p, block);
	buf_consume(&buf, 2);
	assert_true(buf_settle(&buf));
	assert_null(buf.block);
	assert_int_equal(blocks + (int)largest, 0);
}

static void test_what_waits_is_kept(void **state)
{
	(void)state;
	buf_borrow(&buf, block, sizeof(block));
	append("abcdef");
	buf_consume(&buf, 2);
	assert_true(buf_settle(&buf));
	memset(block, 'X', sizeof(block));
	expect_waiting("cdef");
	assert_false(buf.borrowed);
	assert_int_equal(blocks, 1);
	assert_true(buf_settle(&buf));
	expect_waiting("cdef");
}

static void test_a_loan_that_was_too_small(void **state)
{
	(void)state;
	buf_borrow(&buf, block, sizeof(block));
	append("abc");
	assert_non_null(buf_reserve(&buf, SCRATCH));
	assert_ptr_not_equal(buf.block, block);
	memset(block, 'X', sizeof(block));
	expect_waiting("abc");
	assert_true(buf_settle(&buf));
	expect_waiting("abc");
}

static void test_no_loan_over_memory(void **state)
{
	char other[SCRATCH];

	(void)state;
	append("abc");
	buf_borrow(&buf, block, sizeof(block));
	assert_false(buf.borrowed);
	expect_waiting("abc");
	buf_free(&buf);
	buf_borrow(&buf, block, sizeof(block));
	buf_borrow(&buf, other, sizeof(other));
	assert_ptr_equal(buf.block, block);
	buf_free(&buf); /* not the lender's */
	assert_int_equal(blocks, 0);
}

static void test_settling_without_memory(void **state)
{
	(void)state;
	buf_borrow(&buf, block, sizeof(block));
	append("abc");
	no_memory = true;
	assert_false(buf_settle(&buf));
	assert_null(buf_reserve(&buf, SCRATCH));
	expect_waiting("abc");
}

/* ---- one scratch block, many buffers -------------------------------------------------------- */

static void test_scratch_has_one_borrower(void **state)
{
	struct scratch scratch = {.block = block, .size = sizeof(block)};
	struct buf second = {0};

	(void)state;
	scratch_lend(&scratch, &buf);
	assert_ptr_equal(scratch.borrower, &buf);
	scratch_lend(&scratch, &second);
	assert_null(second.block);
	append("abc");
	assert_true(buf_append(&second, SLICE("def")));
	expect_waiting("abc");
	/* who has no loan ends none */
	assert_true(scratch_settle(&scratch, &second));
	assert_ptr_equal(scratch.borrower, &buf);
	scratch_free(&scratch, &second);
	assert_ptr_equal(scratch.borrower, &buf);
	assert_true(scratch_settle(&scratch, &buf));
	assert_null(scratch.borrower);
	scratch_lend(&scratch, &second);
	assert_ptr_equal(second.block, block);
	expect_waiting("abc");
	scratch_free(&scratch, &second);
	assert_null(scratch.borrower);
	assert_null(second.block);
}

static void test_scratch_is_not_lent_over_memory(void **state)
{
	struct scratch scratch = {.block = block, .size = sizeof(block)};

	(void)state;
	append("abc");
	scratch_lend(&scratch, &buf);
	assert_null(scratch.borrower);
	expect_waiting("abc");
}

/* A loan outgrown is one until it is settled: the block is not lent twice in between. */
static void test_an_outgrown_loan_ends_with_settling(void **state)
{
	struct scratch scratch = {.block = block, .size = sizeof(block)};

	(void)state;
	scratch_lend(&scratch, &buf);
	assert_non_null(buf_reserve(&buf, SCRATCH + 1));
	assert_ptr_equal(scratch.borrower, &buf);
	assert_true(scratch_settle(&scratch, &buf));
	assert_null(scratch.borrower);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_memory_while_empty),
		TEST(test_bytes_keep_their_order),
		TEST(test_room_is_used),
		TEST(test_moving_before_growing),
		TEST(test_moving_a_half),
		TEST(test_work_is_linear),
		TEST(test_a_large_reserve_is_exact),
		TEST(test_too_much_is_refused),
		TEST(test_out_of_memory),
		TEST(test_freed_is_empty),
		TEST(test_a_loan_that_was_enough),
		TEST(test_what_waits_is_kept),
		TEST(test_a_loan_that_was_too_small),
		TEST(test_no_loan_over_memory),
		TEST(test_settling_without_memory),
		TEST(test_scratch_has_one_borrower),
		TEST(test_scratch_is_not_lent_over_memory),
		TEST(test_an_outgrown_loan_ends_with_settling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
