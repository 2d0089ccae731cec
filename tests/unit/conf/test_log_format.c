/* LINKS: conf */
/* Formats of the access log: their parts, and what is wrong with a text that is none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/slice.h"
#include "conf/log_format.h"

static struct log_format format;
static struct diagnostic error;

static void assert_part(unsigned i, const char *text, unsigned field)
{
	const struct log_part *part = &format.parts[i];

	assert_in_range(i, 0, format.count - 1);
	assert_true(slice_eq(slice_of(format.text + part->begin, part->length), slice_str(text)));
	assert_int_equal(part->field, field);
}

static void test_parts(void **state)
{
	(void)state;
	assert_true(log_format_parse("a$status$$b${client}_c$ $method ", &format, &error) == false);
	assert_string_equal(error.text,
			    "character 23: no name follows the $; write $$ for the sign "
			    "itself");
	assert_true(log_format_parse("a$status$$b${client}_c$$ $method ", &format, &error));
	assert_int_equal(format.kind, LOG_PARTS);
	assert_int_equal(format.count, 4);
	assert_part(0, "a", LOG_FIELD_status);
	assert_part(1, "$b", LOG_FIELD_client);
	assert_part(2, "_c$ ", LOG_FIELD_method);
	assert_part(3, " ", LOG_FIELD_NONE);
	assert_false(format.shows_referer);
	assert_true(log_format_parse("${referer}", &format, &error));
	assert_int_equal(format.count, 2);
	assert_part(0, "", LOG_FIELD_referer);
	assert_part(1, "", LOG_FIELD_NONE);
	assert_true(format.shows_referer);
}

static void test_names(void **state)
{
	(void)state;
	assert_true(log_format_parse("json", &format, &error));
	assert_int_equal(format.kind, LOG_JSON);
	assert_true(log_format_parse("squid", &format, &error));
	assert_int_equal(format.kind, LOG_SQUID);
	assert_int_equal(format.count, 0);
	assert_true(log_format_parse("combined", &format, &error));
	assert_int_equal(format.kind, LOG_PARTS);
	assert_true(format.shows_referer);
	assert_part(0, "", LOG_FIELD_client);
	assert_part(1, " - ", LOG_FIELD_user);
	assert_part(format.count - 1, "\"", LOG_FIELD_NONE);
}

#define N40 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

static void test_wrong(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"text", "not json, squid, combined or a text with fields, as $client"},
		{"", "not json, squid, combined or a text with fields, as $client"},
		{"JSON", "not json, squid, combined or a text with fields, as $client"},
		{"$", "character 1: no name follows the $; write $$ for the sign itself"},
		{"ab${}", "character 3: no name follows the $; write $$ for the sign itself"},
		{"$client ${status", "character 9: ${status has no } at its end"},
		{"${status x}", "character 1: ${status has no } at its end"},
		{"${" N40 "n", "character 1: ${" N40 " has no } at its end"},
		{"$Status", "character 1: $Status is not a field; see access_log_format in "
			    "cache204.conf(5) for those there are"},
		{"${statu}", "character 1: $statu is not a field; see access_log_format in "
			     "cache204.conf(5) for those there are"},
		{"$$$" N40 "n", "character 3: $" N40 " is not a field; see access_log_format in "
				"cache204.conf(5) for those there are"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(log_format_parse(rows[i].text, &format, &error));
		assert_string_equal(error.text, rows[i].why);
	}
}

/* The longest text, the most fields and the longest line are taken, and none beyond. */
static void test_bounds(void **state)
{
	char text[LOG_FORMAT_LENGTH + 2], why[64];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "$status ", 8);
	assert_false(log_format_parse(text, &format, &error));
	snprintf(why, sizeof(why), "longer than %d characters", LOG_FORMAT_LENGTH);
	assert_string_equal(error.text, why);
	text[LOG_FORMAT_LENGTH] = '\0';
	assert_true(log_format_parse(text, &format, &error));
	assert_int_equal(format.parts[1].length, LOG_FORMAT_LENGTH - 7);
	*text = '\0';
	for (unsigned i = 0; i < LOG_FORMAT_PARTS - 1; i++)
		strcat(text, "$status");
	assert_true(log_format_parse(text, &format, &error));
	assert_int_equal(format.count, LOG_FORMAT_PARTS);
	strcat(text, "$status");
	assert_false(log_format_parse(text, &format, &error));
	snprintf(why, sizeof(why), "more than %d fields", LOG_FORMAT_PARTS - 1);
	assert_string_equal(error.text, why);
}

/* How long a line could become is the sum of its texts and fields, whose bytes may all be escaped, with a line feed. */
static void test_longest_line(void **state)
{
	static const struct {
		const char *name;
		size_t bytes;
	} fields[] = {{"$target", TARGET_LENGTH},
		      {"$user_agent", AGENT_LENGTH},
		      {"$method", METHOD_LENGTH}};
	char text[LOG_FORMAT_LENGTH + 1] = "", why[160];
	size_t most = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		for (size_t length = 4 * fields[i].bytes + 3; most + length <= LOG_LINE_LENGTH;
		     most += length)
			strcat(text, fields[i].name);
	for (; most < LOG_LINE_LENGTH; most++)
		strcat(text, " ");
	assert_true(log_format_parse(text, &format, &error));
	strcat(text, " ");
	assert_false(log_format_parse(text, &format, &error));
	snprintf(why, sizeof(why),
		 "a line could have %d bytes, of at most %d: leave out long fields that it has "
		 "several times",
		 LOG_LINE_LENGTH + 1, LOG_LINE_LENGTH);
	assert_string_equal(error.text, why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),        cmocka_unit_test(test_names),
		cmocka_unit_test(test_wrong),        cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_longest_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
