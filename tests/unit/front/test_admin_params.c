/* LINKS: proxy/front */
#include "proxy/front/admin_params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* All parameters as "name=value;", and "!" when the target could not be read. */
static void expect(const char *target, const char *expected)
{
	struct admin_params params;
	struct slice name, value;
	char text[512];
	size_t n = 0;

	assert_true(admin_params_begin(&params, slice_str(target)));
	text[0] = '\0';
	while (admin_params_next(&params, &name, &value))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s=%.*s;", SLICE_ARG(name),
				      SLICE_ARG(value));
	if (params.bad)
		snprintf(text + n, sizeof(text) - n, "!");
	admin_params_end(&params);
	assert_string_equal(text, expected);
}

static void parameters_are_decoded_as_forms_are(void **state)
{
	(void)state;
	expect("/p", "");
	expect("/p?", "");
	expect("/p?a", "a=;");
	expect("/p?a=", "a=;");
	expect("/p?a=1&b=2", "a=1;b=2;");
	expect("/p?a=1&", "a=1;");
	expect("/p?&a=1", "=;a=1;");
	expect("/p?a=1=2", "a=1=2;");
	expect("/p?a=x+y%20z", "a=x y z;");
	expect("/p?%61%3D=%26%3d", "a==&=;");
	expect("/p?a=1?2", "a=1?2;");
	expect("/p?header=Accept%3A+de&header=Cookie:x", "header=Accept: de;header=Cookie:x;");
}

static void a_uri_as_it_is_goes_to_the_end(void **state)
{
	(void)state;
	expect("/p?uri=http://h/x?a=1&b=%20+", "uri=http://h/x?a=1&b=%20+;");
	expect("/p?n=1&uri=https://h/?&", "n=1;uri=https://h/?&;");
	expect("/p?uri=http%3A%2F%2Fh%2Fx%3Fa%3D1%26b&n=1", "uri=http://h/x?a=1&b;n=1;");
	expect("/p?uri=http:/h&n=1", "uri=http:/h;n=1;");
}

static void what_cannot_be_decoded_ends_them(void **state)
{
	(void)state;
	expect("/p?a=%", "!");
	expect("/p?a=1&b=%4", "a=1;!");
	expect("/p?a=%4&b=1", "!");
	expect("/p?a=%g0", "!");
	expect("/p?%zz=1", "!");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parameters_are_decoded_as_forms_are),
		cmocka_unit_test(a_uri_as_it_is_goes_to_the_end),
		cmocka_unit_test(what_cannot_be_decoded_ends_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
