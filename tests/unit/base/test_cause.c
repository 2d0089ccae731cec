/* LINKS: proxy/base */
/* The cause of a failure: the last one that was set, and whether it is a fault that has a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proxy/base/cause.h"

static void expect(const char *text, const char *fault)
{
	assert_string_equal(cause_text(), text);
	assert_string_equal(cause_fault(), fault);
}

static void the_last_one_counts(void **state)
{
	(void)state;
	expect("", "");
	cause_set("%s of %d", "one", 2);
	expect("one of 2", "");
	cause_set_fault("a fault of 100%");
	expect("a fault of 100%", "a fault of 100%");
	cause_set("no fault");
	expect("no fault", "");
	cause_set_fault("again");
	cause_clear();
	expect("", "");
	cause_set_fault("after that");
	expect("after that", "after that");
}

static void a_long_one_is_cut(void **state)
{
	char text[300];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cause_set("%s", text);
	assert_int_equal(strlen(cause_text()), 191);
	cause_set_fault(text);
	assert_int_equal(strlen(cause_fault()), 191);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_one_counts),
		cmocka_unit_test(a_long_one_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
