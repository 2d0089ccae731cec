/* LINKS: proxy/base */
/* Rows of failures.def: what a client is told, and the options that decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/option.h"
#include "proxy/base/failure.h"

/* Whether the sentence has the name as a word. */
static bool names(const char *sentence, const char *option)
{
	size_t n = strlen(option);

	for (const char *at = sentence; (at = strstr(at, option)) != NULL; at += n)
		if ((at == sentence || at[-1] == ' ') &&
		    strspn(at + n, "abcdefghijklmnopqrstuvwxyz_") == 0)
			return true;
	return false;
}

static void options_exist_and_are_named(void **state)
{
	(void)state;
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
		char left[64];

		assert_true(strlen(failure_options(f)) < sizeof(left));
		strcpy(left, failure_options(f));
		for (char *at = strtok(left, ", "); at != NULL; at = strtok(NULL, ", ")) {
			if (option_find(at) == NULL)
				fail_msg("%s: %s is no option", failure_name(f), at);
			if (!names(failure_sentence(f), at))
				fail_msg("%s: the sentence does not name %s", failure_name(f), at);
		}
	}
}

static void what_sentences_name_decides(void **state)
{
	(void)state;
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		assert_int_equal(strstr(failure_sentence(f), "option") != NULL,
				 failure_options(f)[0] != '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_exist_and_are_named),
		cmocka_unit_test(what_sentences_name_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
