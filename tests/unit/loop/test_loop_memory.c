/* LINKS: proxy/loop tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/* The reserve for the event loop's arrays: they grow without any other memory, and keep their content. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "proxy/loop/loop_memory.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_without_memory),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests_name("loop memory", tests, NULL, NULL);
}
