/* LINKS: cache/store */
/* The layout of a stored value, by value: what is written is read back, and nothing else is taken for one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cache/store/value.h"
#include "tests/support/guarded.h"

static const struct cache_key groups[2] = {{{11, 12}}, {{21, 22}}};

static void test_sizes(void **state)
{
	static const struct {
		size_t value, groups, size;
	} rows[] = {{0, 0, 16}, {1, 0, 24}, {7, 0, 24}, {8, 0, 24},
		    {9, 0, 32}, {0, 1, 32}, {8, 2, 56}, {9, 2, 64}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(store_value_size(rows[i].value, rows[i].groups), rows[i].size);
}

/* Written over bytes that are all set, and read from where memory ends. */
static void test_written_and_read(void **state)
{
	_Alignas(8) char bytes[200], text[64];

	(void)state;
	memset(text, 'v', sizeof(text));
	for (size_t n = 0; n <= 24; n++) {
		for (uint16_t count = 0; count <= 2; count++) {
			struct store_value_head head = {.sequence = 7,
							.slot = 9,
							.group_count = count,
							.padding = 99,
							.zero = 99};
			size_t size = store_value_size(n, count);
			struct store_value found;
			struct slice copy;

			memset(bytes, 0xff, sizeof(bytes));
			store_value_write(bytes, head, groups, slice_of(text, n));
			assert_int_equal((unsigned char)bytes[size], 0xff);
			for (size_t i = 16 + count * sizeof(*groups) + n; i < size; i++)
				assert_int_equal(bytes[i], 0);
			copy = guarded(slice_of(bytes, size));
			assert_true(store_value_view(copy.p, copy.n, &found));
			assert_int_equal(found.head.sequence, 7);
			assert_int_equal(found.head.slot, 9);
			assert_int_equal(found.head.group_count, count);
			assert_int_equal(found.head.padding, (8 - n % 8) % 8);
			assert_int_equal(found.head.zero, 0);
			assert_int_equal(found.value.n, n);
			assert_memory_equal(found.value.p, text, n);
			if (count > 0)
				assert_memory_equal(found.groups, groups, count * sizeof(*groups));
			guarded_end();
		}
	}
}

static void test_what_is_no_value(void **state)
{
	_Alignas(8) char bytes[64] = {0};
	struct store_value_head *head = (void *)bytes;
	struct store_value found;

	(void)state;
	for (size_t size = 0; size <= 32; size++)
		assert_int_equal(store_value_view(bytes, size, &found),
				 size >= 16 && size % 8 == 0);
	assert_false(store_value_view(bytes + 4, 24, &found));
	head->zero = 1;
	assert_false(store_value_view(bytes, 32, &found));
	head->zero = 0;
	for (unsigned padding = 0; padding <= 8; padding++) {
		head->padding = (uint8_t)padding;
		assert_int_equal(store_value_view(bytes, 24, &found), padding <= 7);
	}
	head->padding = 1;
	assert_false(store_value_view(bytes, 16, &found));
	assert_true(store_value_view(bytes, 24, &found));
	assert_int_equal(found.value.n, 7);
	/* groups to the last byte, and not beyond */
	head->padding = 0;
	head->group_count = 1;
	assert_false(store_value_view(bytes, 24, &found));
	assert_true(store_value_view(bytes, 32, &found));
	assert_int_equal(found.value.n, 0);
	head->padding = 1;
	assert_false(store_value_view(bytes, 32, &found));
	head->group_count = UINT16_MAX;
	assert_false(store_value_view(bytes, 64, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_written_and_read),
		cmocka_unit_test(test_what_is_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
