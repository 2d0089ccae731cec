/* LINKS: */
/* Lower case, eight bytes at a time, is that of each byte. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/base/ascii.h"

/* Each byte, at each place of texts of each length, between bytes that carries could reach. */
static void test_lower_case_of_each_byte(void **state)
{
	static const char around[] = {0, '@', 'Z', '[', 0x7f, (char)0xc1, (char)0xff};
	char text[24], lower[24 + 1];

	(void)state;
	for (size_t length = 1; length <= sizeof(text); length++) {
		for (size_t at = 0; at < length; at++) {
			for (unsigned byte = 0; byte < 256; byte++) {
				memset(text, around[byte % sizeof(around)], sizeof(text));
				text[at] = (char)byte;
				lower[length] = '!';
				ascii_write_lower(slice_of(text, length), lower);
				for (size_t i = 0; i < length; i++)
					assert_int_equal(lower[i], ascii_lower(text[i]));
				assert_int_equal(lower[length], '!');
			}
		}
	}
}

static void test_in_place(void **state)
{
	char text[] = "WWW.Example.ORG:8080/";

	(void)state;
	ascii_write_lower(slice_of(text, sizeof(text) - 1), text);
	assert_string_equal(text, "www.example.org:8080/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lower_case_of_each_byte),
		cmocka_unit_test(test_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
