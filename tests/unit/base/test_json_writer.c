/* LINKS: proxy/base -Wl,--wrap=realloc */
#include "proxy/base/json_writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static bool no_memory;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
	return no_memory ? NULL : __real_realloc(memory, size);
}

static void expect(struct json_writer *out, const char *expected)
{
	size_t length;
	char *text = json_writer_take(out, &length);

	assert_non_null(text);
	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(text));
	free(text);
}

static void values_have_their_names_and_commas(void **state)
{
	struct json_writer out;

	(void)state;
	json_writer_begin(&out, JSON_COMPACT, 1024);
	json_put_object(&out, NULL);
	json_put_number(&out, "most", UINT64_MAX);
	json_put_signed(&out, "least", INT64_MIN);
	json_put_array(&out, "list");
	json_put_string(&out, NULL, SLICE("a"));
	json_put_null(&out, NULL);
	json_put_object(&out, NULL);
	json_put_end(&out);
	json_put_end(&out);
	json_put_array(&out, "none");
	json_put_end(&out);
	json_put_bool(&out, "yes", true);
	json_put_bool(&out, "no", false);
	json_put_words(&out, "words", "w");
	json_put_words(&out, "unknown", NULL);
	json_put_end(&out);
	expect(&out, "{\"most\":18446744073709551615,\"least\":-9223372036854775808,"
		     "\"list\":[\"a\",null,{}],\"none\":[],\"yes\":true,\"no\":false,"
		     "\"words\":\"w\",\"unknown\":null}\n");
}

static void lines_are_for_people(void **state)
{
	struct json_writer out;

	(void)state;
	json_writer_begin(&out, JSON_LINES, 1024);
	json_put_object(&out, NULL);
	json_put_array(&out, "a");
	json_put_number(&out, NULL, 1);
	json_put_number(&out, NULL, 2);
	json_put_end(&out);
	json_put_object(&out, "o");
	json_put_end(&out);
	json_put_end(&out);
	expect(&out, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"o\": {}\n}\n");
}

static void real(double value, const char *expected)
{
	struct json_writer out;

	json_writer_begin(&out, JSON_COMPACT, 64);
	json_put_real(&out, NULL, value);
	expect(&out, expected);
}

static void quotients_of_nothing_are_null(void **state)
{
	struct json_writer out;

	(void)state;
	json_writer_begin(&out, JSON_COMPACT, 1024);
	json_put_array(&out, NULL);
	json_put_quotient(&out, NULL, 1, 8);
	json_put_quotient(&out, NULL, 0, 8);
	json_put_quotient(&out, NULL, 0, 0);
	json_put_quotient(&out, NULL, 1, 0);
	json_put_end(&out);
	expect(&out, "[0.125,0,null,null]\n");
}

static void reals_are_numbers_or_null(void **state)
{
	(void)state;
	real(0.9741, "0.9741\n");
	real(0, "0\n");
	real(1e9, "1e+09\n");
	real(NAN, "null\n");
	real(-INFINITY, "null\n");
}

/* Each byte alone, read by a library: the character of that number, and nothing beside it. */
static void each_byte_is_read_back(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char byte = (char)c;
		struct json_writer out;
		size_t length;
		char *text;
		json_t *root;

		json_writer_begin(&out, JSON_COMPACT, 64);
		json_put_array(&out, NULL);
		json_put_text(&out, NULL, slice_of(&byte, 1));
		json_put_end(&out);
		text = json_writer_take(&out, &length);
		assert_non_null(text);
		for (size_t i = 0; i + 1 < length; i++)
			assert_true(text[i] >= 0x20 && text[i] <= 0x7e);
		root = json_loads(text, JSON_ALLOW_NUL, NULL);
		assert_int_equal(json_array_size(root), 1);
		if (c < 0x80) {
			assert_int_equal(json_string_length(json_array_get(root, 0)), 1);
			assert_memory_equal(json_string_value(json_array_get(root, 0)), &byte, 1);
		} else {
			const char utf8[] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};

			assert_int_equal(json_string_length(json_array_get(root, 0)), 2);
			assert_memory_equal(json_string_value(json_array_get(root, 0)), utf8, 2);
		}
		json_decref(root);
		free(text);
	}
}

static void names_are_escaped_as_values_are(void **state)
{
	struct json_writer out;

	(void)state;
	json_writer_begin(&out, JSON_COMPACT, 64);
	json_put_object(&out, NULL);
	json_put_number(&out, "a\"\n", 1);
	json_put_end(&out);
	expect(&out, "{\"a\\\"\\u000a\":1}\n");
}

static void strings_are_cut_and_texts_are_whole(void **state)
{
	char bytes[JSON_STRING_MAX + 44];
	struct json_writer out;
	size_t length;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	json_writer_begin(&out, JSON_COMPACT, 1024);
	json_put_string(&out, NULL, slice_of(bytes, sizeof(bytes)));
	free(json_writer_take(&out, &length));
	assert_int_equal(length, JSON_STRING_MAX + strlen("\"\"\n"));
	json_writer_begin(&out, JSON_COMPACT, 1024);
	json_put_text(&out, NULL, slice_of(bytes, sizeof(bytes)));
	free(json_writer_take(&out, &length));
	assert_int_equal(length, sizeof(bytes) + strlen("\"\"\n"));
}

/* An array of numbers of one digit: so many bytes, or nothing. */
static bool fits(size_t max)
{
	struct json_writer out;
	size_t length;
	char *text;

	json_writer_begin(&out, JSON_COMPACT, max);
	json_put_array(&out, NULL);
	for (int i = 0; i < 2000; i++)
		json_put_number(&out, NULL, 1);
	json_put_end(&out);
	text = json_writer_take(&out, &length);
	if (text != NULL)
		assert_int_equal(length, 2 * 2000 + 2);
	else
		assert_null(out.text); /* what there was of it is freed */
	free(text);
	return text != NULL;
}

static void more_than_the_bound_is_a_failure(void **state)
{
	(void)state;
	assert_true(fits(2 * 2000 + 2));
	for (size_t max = 0; max < 2 * 2000 + 2; max++)
		assert_false(fits(max));
}

static void without_memory_it_fails_at_the_end(void **state)
{
	struct json_writer out;
	size_t length;

	(void)state;
	no_memory = true;
	json_writer_begin(&out, JSON_COMPACT, 1024);
	json_put_object(&out, NULL);
	json_put_end(&out);
	assert_null(json_writer_take(&out, &length));
	no_memory = false;
	json_writer_begin(&out, JSON_COMPACT, 1024);
	json_put_object(&out, NULL);
	json_writer_drop(&out);
	json_writer_drop(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_their_names_and_commas),
		cmocka_unit_test(lines_are_for_people),
		cmocka_unit_test(reals_are_numbers_or_null),
		cmocka_unit_test(quotients_of_nothing_are_null),
		cmocka_unit_test(each_byte_is_read_back),
		cmocka_unit_test(names_are_escaped_as_values_are),
		cmocka_unit_test(strings_are_cut_and_texts_are_whole),
		cmocka_unit_test(more_than_the_bound_is_a_failure),
		cmocka_unit_test(without_memory_it_fails_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
