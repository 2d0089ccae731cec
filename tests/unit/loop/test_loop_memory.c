/* LINKS: proxy/loop tests/doubles/failing_memory.c tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,--wrap=malloc,--wrap=realloc */
/* The reserve for the event loop's arrays: they grow without any other memory, and keep their content. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "proxy/loop/loop_memory.h"
#include "tests/doubles/failing_calls.h"
#include "tests/doubles/failing_memory.h"

enum { DESCRIPTORS = 20000, ARRAYS = 4 };

static const long per_descriptor[ARRAYS] = {16, 16, 12, 4};

static void fill(char *memory, long from, long to, int number)
{
	for (long i = from; i < to; i++)
		memory[i] = (char)(i * 7 + number);
}

static void assert_kept(const char *memory, long size, int number)
{
	for (long i = 0; i < size; i++)
		assert_int_equal(memory[i], (char)(i * 7 + number));
}

static void no_memory(void)
{
	fail_memory(0, true);
}

/* All of them grow to twice their size, by turns, until each has room for every descriptor. */
static void test_grows_without_memory(void **state)
{
	char *arrays[ARRAYS] = {NULL};
	long sizes[ARRAYS] = {0};

	(void)state;
	assert_true(loop_memory_reserve(DESCRIPTORS));
	for (int n = 0; n < ARRAYS; n++) {
		arrays[n] = loop_memory_resize(NULL, sizes[n] = 64);
		fill(arrays[n], 0, sizes[n], n);
	}
	no_memory();
	for (long count = 64; count < 2 * DESCRIPTORS; count *= 2) {
		for (int n = 0; n < ARRAYS; n++) {
			long size = count * per_descriptor[n];

			arrays[n] = loop_memory_resize(arrays[n], size);
			assert_non_null(arrays[n]);
			assert_kept(arrays[n], sizes[n] < size ? sizes[n] : size, n);
			fill(arrays[n], 0, size, n);
			sizes[n] = size;
		}
	}
	assert_true(fail_memory_never());
	/* There is memory again. */
	for (int n = 0; n < ARRAYS; n++) {
		arrays[n] = loop_memory_resize(arrays[n], 2 * sizes[n]);
		assert_non_null(arrays[n]);
		assert_kept(arrays[n], sizes[n], n);
		assert_null(loop_memory_resize(arrays[n], 0));
	}
}

static void test_ends(void **state)
{
	char *one, *other;

	(void)state;
	assert_true(loop_memory_reserve(0));
	no_memory();
	one = loop_memory_resize(NULL, 1000);
	other = loop_memory_resize(NULL, 1000);
	assert_non_null(other);
	assert_null(loop_memory_resize(NULL, 1 << 20));
	assert_null(loop_memory_resize(one, 1 << 20));
	assert_null(loop_memory_resize(other, 0));
	assert_ptr_equal(loop_memory_resize(NULL, 1000),
			 other); /* what was the last is taken again */
	assert_true(fail_memory_never());
	/* More than any process needs is not reserved. */
	assert_true(loop_memory_reserve(UINT64_MAX));
}

enum { BLOCK = 16 }; /* what a block has before its bytes */

/* The reserve is of so many bytes with that of its one block. */
static void expect_reserve(uint64_t descriptors, long size)
{
	assert_true(loop_memory_reserve(descriptors));
	no_memory();
	assert_null(loop_memory_resize(NULL, size - BLOCK + 1));
	assert_non_null(loop_memory_resize(NULL, size - BLOCK));
	assert_null(loop_memory_resize(NULL, 1));
	assert_true(fail_memory_never());
}

static void test_sizes_of_the_reserve(void **state)
{
	(void)state;
	expect_reserve(0, 64 << 10);
	expect_reserve(341, 64 << 10);
	expect_reserve(342, 342 * 192);
	expect_reserve(20000, 20000 * 192);
	expect_reserve(87381, 16 << 20);
	expect_reserve(UINT64_MAX, 16 << 20);
}

static void test_without_a_reserve(void **state)
{
	char *memory;

	(void)state;
	fail_calls("mmap", 0, 1, ENOMEM);
	assert_false(loop_memory_reserve(1000));
	no_memory();
	assert_null(loop_memory_resize(NULL, 16));
	assert_true(fail_memory_never());
	memory = loop_memory_resize(NULL, 16);
	assert_non_null(memory);
	fill(memory, 0, 16, 1);
	no_memory();
	assert_null(loop_memory_resize(memory, 32));
	assert_true(fail_memory_never());
	assert_kept(memory, 16, 1); /* as realloc() leaves it */
	assert_null(loop_memory_resize(memory, 0));
	fail_calls("getrlimit", 0, 1, EINVAL);
	assert_false(loop_memory_setup());
	fail_calls("mmap", 0, 1, ENOMEM);
	assert_false(loop_memory_setup());
	assert_true(fail_calls_never());
	assert_true(loop_memory_setup());
}

/* What has room stays; what moves back to memory leaves its place in the reserve to the next. */
static void test_moves_in_and_out(void **state)
{
	char *one, *other;

	(void)state;
	assert_true(loop_memory_reserve(0));
	one = loop_memory_resize(NULL, 1000);
	fill(one, 0, 1000, 1);
	no_memory();
	one = loop_memory_resize(one, 40000);
	assert_true(fail_memory_never());
	assert_kept(one, 1000, 1);
	fill(one, 0, 40000, 2);
	assert_ptr_equal(loop_memory_resize(one, 39999), one);
	assert_ptr_equal(loop_memory_resize(one, 40000), one);
	other = loop_memory_resize(one, 40001);
	assert_ptr_not_equal(other, one);
	assert_kept(other, 40000, 2);
	no_memory();
	assert_ptr_equal(loop_memory_resize(NULL, 60000), one);
	assert_true(fail_memory_never());
	assert_null(loop_memory_resize(one, 0));
	/* one with another behind it leaves its place to nobody */
	no_memory();
	one = loop_memory_resize(NULL, 30000);
	assert_non_null(loop_memory_resize(NULL, 100));
	assert_null(loop_memory_resize(one, 0));
	assert_null(loop_memory_resize(NULL, 60000));
	assert_true(fail_memory_never());
	assert_null(loop_memory_resize(other, -1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_without_memory),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_sizes_of_the_reserve),
		cmocka_unit_test(test_without_a_reserve),
		cmocka_unit_test(test_moves_in_and_out),
	};

	return cmocka_run_group_tests_name("loop memory", tests, NULL, NULL);
}
