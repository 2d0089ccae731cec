/* LINKS: cache/base */
/* Decimal numbers, up to and beyond the largest that is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cache/base/decimal.h"

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t most, number;
		bool read, capped;
	} rows[] = {
		{"0", 9, 0, true, true},
		{"9", 9, 9, true, true},
		{"10", 9, 9, false, true},
		{"007", 9, 7, true, true},
		{"255", 255, 255, true, true},
		{"256", 255, 255, false, true},
		{"0000000000000000000000000000000000255", 255, 255, true, true},
		{"99999999999999999999999999", 255, 255, false, true},
		{"9223372036854775807", INT64_MAX, INT64_MAX, true, true},
		{"9223372036854775808", INT64_MAX, INT64_MAX, false, true},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX, true, true},
		{"18446744073709551616", UINT64_MAX, UINT64_MAX, false, true},
		{"184467440737095516150", UINT64_MAX, UINT64_MAX, false, true},
		{"", 9, 0, false, false},
		{"-1", 9, 0, false, false},
		{"+1", 9, 0, false, false},
		{" 1", 9, 0, false, false},
		{"1 ", 9, 1, false, false},
		{"1a", 9, 1, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice text = slice_str(rows[i].text);
		uint64_t number = 42;

		if (decimal_read(text, rows[i].most, &number) != rows[i].read ||
		    number != rows[i].number)
			fail_msg("\"%s\"", rows[i].text);
		if (decimal_read_capped(text, rows[i].most, &number) != rows[i].capped ||
		    number != rows[i].number)
			fail_msg("\"%s\", capped", rows[i].text);
	}
}

/* Digits are counted where they end, however large the number. */
static void test_digits_at_the_start(void **state)
{
	struct decimal decimal = decimal_take(SLICE("80/path"), UINT16_MAX);

	(void)state;
	assert_int_equal(decimal.number, 80);
	assert_int_equal(decimal.digits, 2);
	assert_false(decimal.too_large);
	decimal = decimal_take(SLICE("65536:"), UINT16_MAX);
	assert_int_equal(decimal.number, UINT16_MAX);
	assert_int_equal(decimal.digits, 5);
	assert_true(decimal.too_large);
	decimal = decimal_take(SLICE("655360"), UINT16_MAX);
	assert_true(decimal.too_large);
	decimal = decimal_take(SLICE(":"), UINT16_MAX);
	assert_int_equal(decimal.digits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_digits_at_the_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
