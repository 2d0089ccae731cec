/* LINKS: cache/record */
/* Accept-Language: spellings that mean the same, and the language wanted most. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/record/accept_language.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static bool is_first(struct slice value, struct slice language)
{
	struct slice first;

	return language_first(value, &first) && slice_ieq(first, language);
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
		size_t n = language_normal(slice_str(cases[i].value), to);

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
		assert_true(language_normal(slice_str(values[i]), to) == SIZE_MAX);
}

/* As long and as many as it takes, and one more. */
static void values_are_bounded(void **state)
{
	char value[LANGUAGE_VALUE_MAX + 1], to[LANGUAGE_VALUE_MAX];
	char many[2 * LANGUAGE_RANGES_MAX + 2];

	(void)state;
	memset(value, 'x', sizeof(value));
	assert_int_equal(language_normal(slice_of(value, LANGUAGE_VALUE_MAX), to),
			 LANGUAGE_VALUE_MAX);
	assert_true(language_normal(slice_of(value, LANGUAGE_VALUE_MAX + 1), to) == SIZE_MAX);
	assert_false(is_first(slice_of(value, LANGUAGE_VALUE_MAX + 1), SLICE("x")));
	for (unsigned i = 0; i <= 2 * LANGUAGE_RANGES_MAX; i++)
		many[i] = i % 2 ? ',' : 'a';
	assert_int_equal(language_normal(slice_of(many, 2 * LANGUAGE_RANGES_MAX - 1), to),
			 2 * LANGUAGE_RANGES_MAX - 1);
	assert_true(language_normal(slice_of(many, 2 * LANGUAGE_RANGES_MAX + 1), to) == SIZE_MAX);
}

static void one_language_may_be_wanted_most(void **state)
{
	static const struct {
		const char *value, *language;
		bool first;
	} cases[] = {
		{"de", "de", true},
		{"DE", "de", true},
		{"de", "DE", true},
		{"fr;q=0.5, de;q=1.0", "de", true},
		{"de;q=0.5, *;q=0.4", "de", true},
		{"de;q=0.001", "de", true},
		{"de-AT, de;q=0.9", "de-at", true},
		{"fr;q=0.5, de;q=1.0", "fr", false},
		{"de, fr", "de", false},
		{"de, *", "de", false},
		{"de, de", "de", false},
		{"de;q=0", "de", false},
		{"de-AT", "de", false},
		{"de", "de-at", false},
		{"*", "*", false},
		{"*", "de", false},
		{"", "de", false},
		{"de;x", "de", false},
		{"de", "", false},
		{"de, en;q=0.5", "de, en", false},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(is_first(slice_str(cases[i].value), slice_str(cases[i].language)),
				 cases[i].first);
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
