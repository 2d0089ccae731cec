/* LINKS: proxy/cli */
/* Values of an answer: followed by names, and absent wherever they are of another kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/cli/json.h"

#define TEXT                                                                                     \
	"{\"n\": 7, \"negative\": -1, \"share\": 0.5, \"on\": true, \"text\": \"t\", \"none\": " \
	"null, \"rows\": [{\"name\": \"a\"}, {\"name\": \"b\"}, \"c\", 4]}"

static void test_values(void **state)
{
	struct json *json = json_read(SLICE(TEXT));
	const struct json *rows = json_get(json, "rows");
	uint64_t number = 0;
	double real = 0;
	bool on = false;

	(void)state;
	assert_non_null(json);
	assert_true(json_number(json, "n", &number) && number == 7);
	assert_true(json_float(json, "share", &real) && real > 0.49 && real < 0.51);
	assert_true(json_float(json, "n", &real) && real > 6.9 && real < 7.1);
	assert_true(json_switch(json, "on", &on) && on);
	assert_string_equal(json_text(json, "text"), "t");
	assert_int_equal(json_count(rows), 4);
	assert_string_equal(json_text(json_element(rows, 1), "name"), "b");
	assert_string_equal(json_as_text(json_element(rows, 2)), "c");
	assert_true(json_float_at(rows, 3) > 3.9 && json_float_at(rows, 3) < 4.1);
	for (size_t i = 2; i < 6; i++)
		assert_int_equal(json_float_at(rows, i) * 2, i == 3 ? 8 : -2);
	json_free(json);
}

static void test_what_is_not_there(void **state)
{
	static const char *const names[] = {"negative", "none", "text", "rows", "nosuch"};
	struct json *json = json_read(SLICE(TEXT));
	uint64_t number;
	double real;
	bool on;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_false(json_number(json, names[i], &number));
		assert_false(json_float(json, names[i], &real));
		assert_false(json_switch(json, names[i], &on));
	}
	assert_null(json_text(json, "n"));
	assert_null(json_get(json_get(json, "nosuch"), "name"));
	assert_null(json_element(json_get(json, "rows"), 4));
	assert_null(json_element(json_get(json, "text"), 0));
	assert_int_equal(json_count(json_get(json, "text")), 0);
	assert_null(json_as_text(json_get(json, "n")));
	assert_null(json_as_text(NULL));
	json_free(json);
	json_free(NULL);
}

static void test_members_in_their_order(void **state)
{
	struct json *json = json_read(SLICE(TEXT));
	const char *name = NULL;

	(void)state;
	assert_non_null(json_member(json, 0, &name));
	assert_string_equal(name, "n");
	assert_non_null(json_member(json, 6, &name));
	assert_string_equal(name, "rows");
	assert_null(json_member(json, 7, &name));
	assert_null(json_member(json_get(json, "rows"), 0, &name));
	assert_null(json_member(NULL, 0, &name));
	json_free(json);
}

static void test_no_object(void **state)
{
	(void)state;
	assert_null(json_read(SLICE("")));
	assert_null(json_read(SLICE("[]")));
	assert_null(json_read(SLICE("{\"a\": 1, \"a\": 2}")));
	assert_null(json_read(SLICE("{\"a\": 1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_members_in_their_order),
		cmocka_unit_test(test_no_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
