/* LINKS: cache/record */
/* Accept-Language: spellings that mean the same, and the language wanted most. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/record/accept_language.h"
#include "tests/support/guarded.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* The language wanted most; "" for none. */
static const char *first_of(const char *value)
{
	static char text[LANGUAGE_VALUE_MAX + 1];
	struct slice first;
	bool found = language_first(guarded_str(value), &first);

	if (found)
		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(first));
	guarded_end();
	return found ? text : "";
}

static void spellings_become_one(void **state)
{
	static const struct {
		const char *value, *normal;
	} cases[] = {
		{"en", "en"},
		{"EN", "en"},
		{"en, DE;q=0.50", "de;q=0.5,en"},
		{"de;q=0.500 , en;q=1.000", "de;q=0.5,en"},
		{"en;q=1", "en"},
		{"en;q=1.", "en"},
		{"en;q=0", "en;q=0"},
		{"en;q=0.000", "en;q=0"},
		{"en;q=0.001", "en;q=0.001"},
		{"en;q=0.120", "en;q=0.12"},
		{"en;q=0.102", "en;q=0.102"},
		{"en ;\tq=0.9", "en;q=0.9"},
		{"en;Q=0.9", "en;q=0.9"},
		{"*", "*"},
		{"*;q=0.1, en", "*;q=0.1,en"},
		{"en-GB, en", "en,en-gb"},
		{"en, en;q=0.5", "en;q=0.5,en"},
		{"zh-Hant-TW", "zh-hant-tw"},
		{"", ""},
		{" , ,, ", ""},
		{"b,,a", "a,b"},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++) {
		char to[LANGUAGE_VALUE_MAX], again[LANGUAGE_VALUE_MAX];
		size_t n = language_normal(guarded_str(cases[i].value), to);

		assert_int_equal(n, strlen(cases[i].normal));
		assert_memory_equal(to, cases[i].normal, n);
		assert_int_equal(language_normal(slice_of(to, n), again), n);
		assert_memory_equal(again, to, n);
	}
}

static void what_is_no_list_of_ranges_has_no_spelling(void **state)
{
	static const char *const values[] = {
		"en;",     "en;q",     "en;q=",   "en;q=2",  "en;q=1.001", "en;q=0.1234",
		"en;q=-1", "en;q=0;5", "en;x=1",  "en fr",   "en;q=0.5;x", "e_n",
		"\"en\"",  "en=1",     "en;q= 1", "en;q=.5", ";q=1",       "en\xc3\xa9",
		"en;q=00", "en;q=01",  "**",      "en,\"de",
	};
	char to[LANGUAGE_VALUE_MAX];

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(values); i++)
		assert_true(language_normal(guarded_str(values[i]), to) == SIZE_MAX);
}

/* As long and as many as it takes, and one more. */
static void values_are_bounded(void **state)
{
	char value[LANGUAGE_VALUE_MAX + 2], to[LANGUAGE_VALUE_MAX];
	char many[2 * LANGUAGE_RANGES_MAX + 2];

	(void)state;
	memset(value, 'x', sizeof(value));
	assert_int_equal(language_normal(slice_of(value, LANGUAGE_VALUE_MAX), to),
			 LANGUAGE_VALUE_MAX);
	assert_true(language_normal(slice_of(value, LANGUAGE_VALUE_MAX + 1), to) == SIZE_MAX);
	value[LANGUAGE_VALUE_MAX + 1] = '\0';
	assert_string_equal(first_of(value), "");
	assert_int_equal(strlen(first_of(value + 1)), LANGUAGE_VALUE_MAX);
	for (unsigned i = 0; i <= 2 * LANGUAGE_RANGES_MAX; i++)
		many[i] = i % 2 ? ',' : 'a';
	assert_int_equal(language_normal(slice_of(many, 2 * LANGUAGE_RANGES_MAX - 1), to),
			 2 * LANGUAGE_RANGES_MAX - 1);
	assert_true(language_normal(slice_of(many, 2 * LANGUAGE_RANGES_MAX + 1), to) == SIZE_MAX);
}

static void one_language_may_be_wanted_most(void **state)
{
	static const char *const cases[][2] = {
		{"de", "de"},
		{"DE", "DE"},
		{"fr;q=0.5, de;q=1.0", "de"},
		{"de;q=1.0, fr;q=0.5", "de"},
		{"de;q=0.5, *;q=0.4", "de"},
		{"de;q=0.001", "de"},
		{"de-AT, de;q=0.9", "de-AT"},
		{"de, en;q=0.5", "de"},
		{"en;q=0.5, de;q=0.6, fr;q=0.4", "de"},
		{"a;q=0.1, b;q=0.2, c;q=0.3, d;q=0.2", "c"},
		{"a;q=0.1, b;q=0.2, c;q=0.3, d;q=0.3", ""},
		{"de, fr", ""},
		{"fr;q=0.1, de;q=0.2, it;q=0.2", ""},
		{"a;q=0.5, b;q=0.5", ""},
		{"de, *", ""},
		{"de, de", ""},
		{"de, DE;q=0.5", ""},
		{"de;q=0.5, de", ""},
		{"de;q=0", ""},
		{"*", ""},
		{"*, de;q=0.9", ""},
		{"", ""},
		{"de;x", ""},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++)
		assert_string_equal(first_of(cases[i][0]), cases[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spellings_become_one),
		cmocka_unit_test(what_is_no_list_of_ranges_has_no_spelling),
		cmocka_unit_test(values_are_bounded),
		cmocka_unit_test(one_language_may_be_wanted_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
