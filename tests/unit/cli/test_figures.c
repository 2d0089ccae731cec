/* LINKS: proxy/cli */
/* Numbers as operators read them: at each place where their form changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "proxy/cli/figures.h"

struct row {
	double n;
	const char *text;
};

static struct figure a_second(double n)
{
	return figure_rate(n, 1);
}

static const struct row counts[] = {
	{-1, "-"},           {0, "0"},           {0.4, "0"},
	{0.5, "1"},          {9, "9"},           {999, "999"},
	{999.5, "1 000"},    {1000, "1 000"},    {15837, "15 837"},
	{999999, "999 999"}, {1e6, "1 000 000"}, {1e18, "1 000 000 000 000 000 000"},
	{1.1e18, "-"},       {INFINITY, "-"},    {NAN, "-"},
};
static const struct row rates[] = {
	{-1, "-"},     {0, "0"},     {0.04, "0.0"}, {0.06, "0.1"},   {9.9, "9.9"},
	{9.94, "9.9"}, {9.95, "10"}, {10.4, "10"},  {1000, "1 000"},
};
static const struct row percents[] = {
	{-0.1, "-"},         {0, "0.0 %"},        {0.0004, "<0.1 %"},
	{0.0005, "0.1 %"},   {0.5, "50.0 %"},     {0.974, "97.4 %"},
	{0.9994, "99.9 %"},  {0.9995, ">99.9 %"}, {0.99949999999999994, "99.9 %"},
	{0.00049, "<0.1 %"}, {0.00051, "0.1 %"},  {1e-300, "<0.1 %"},
	{1.0002, "-"},       {0.9996, ">99.9 %"}, {0.99999, ">99.9 %"},
	{1, "100.0 %"},      {1.0001, "100.0 %"}, {1.001, "-"},
	{NAN, "-"},
};
static const struct row whole_percents[] = {
	{-0.1, "-"},       {0, "0 %"},    {0.004, "<1 %"}, {0.006, "1 %"},   {0.0049, "<1 %"},
	{0.0051, "1 %"},   {0.5, "50 %"}, {0.994, "99 %"}, {0.996, ">99 %"}, {1, "100 %"},
	{1.0001, "100 %"}, {1.0002, "-"}, {1.001, "-"},    {NAN, "-"},
};
static const struct row micros[] = {
	{-1, "-"},         {0, "0 us"},        {999, "999 us"},   {999.4, "999 us"},
	{999.5, "1.0 ms"}, {1000, "1.0 ms"},   {8700, "8.7 ms"},  {9949, "9.9 ms"},
	{9950, "10 ms"},   {999499, "999 ms"}, {999500, "1.0 s"}, {1e6, "1.0 s"},
	{62e6, "62 s"},    {1e15, "-"},        {INFINITY, "-"},   {NAN, "-"},
};
static const struct row ages[] = {
	{-1, "-"},          {0, "0 s"},           {59.9, "59 s"},      {60, "1 min"},
	{3599, "59 min"},   {3600, "1 h 0 min"},  {7380, "2 h 3 min"}, {86399, "23 h 59 min"},
	{86400, "1 d 0 h"}, {226800, "2 d 15 h"}, {1e9, "-"},          {NAN, "-"},
};
static const struct row clocks[] = {
	{-1, "-"},         {0, "00:00:00"}, {1795801297123, "17:41:37"},
	{999, "00:00:00"}, {1e15, "-"},     {NAN, "-"},
};

static void check(struct figure (*figure)(double), const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct figure is = figure(rows[i].n);

		if (strcmp(is.text, rows[i].text) != 0)
			fail_msg("%.17g is \"%s\", not \"%s\"", rows[i].n, is.text, rows[i].text);
	}
}

#define CHECK(figure, rows) check(figure, rows, sizeof(rows) / sizeof(*(rows)))

static void texts_are_by_value(void **state)
{
	(void)state;
	CHECK(figure_count, counts);
	CHECK(a_second, rates);
	CHECK(figure_percent, percents);
	CHECK(figure_whole_percent, whole_percents);
	CHECK(figure_micros, micros);
	CHECK(figure_age, ages);
	CHECK(figure_clock, clocks);
}

static void points_are_percents_without_their_sign(void **state)
{
	(void)state;
	assert_string_equal(figure_points(0.544).text, "54.4");
	assert_string_equal(figure_points(0.9999).text, ">99.9");
	assert_string_equal(figure_points(1).text, "100.0");
	assert_string_equal(figure_points(-1).text, "-");
}

static void rates_are_by_their_time(void **state)
{
	(void)state;
	assert_string_equal(figure_rate(30, 60).text, "0.5");
	assert_string_equal(figure_rate(6000, 60).text, "100");
	assert_string_equal(figure_rate(1, 0).text, "-");
	assert_string_equal(figure_rate(1, -1).text, "-");
}

static void shares_of_what_is_not_known_are_not(void **state)
{
	(void)state;
	assert_true(figure_share(1, 4) == 0.25);
	assert_true(figure_share(0, 4) == 0);
	assert_true(figure_share(-1, 4) == -1);
	assert_true(figure_share(1, 0) == -1);
	assert_true(figure_share(1, -1) == -1);
}

static void members_that_are_no_numbers_of_ours_are_not_known(void **state)
{
	struct json *json =
		json_read(SLICE("{\"a\": 1.5, \"b\": \"x\", \"c\": 1e18, \"d\": [7, 1e19, 8]}"));
	const struct json *list = json_get(json, "d");

	(void)state;
	assert_true(figure_of(json, "a") == 1.5);
	assert_true(figure_of(json, "b") == -1);
	assert_true(figure_of(json, "c") == -1);
	assert_true(figure_of(json, "none") == -1);
	assert_true(figure_at(list, 0) == 7);
	assert_true(figure_at(list, 1) == -1);
	assert_true(figure_at(list, 2) == 8);
	json_free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_by_value),
		cmocka_unit_test(points_are_percents_without_their_sign),
		cmocka_unit_test(rates_are_by_their_time),
		cmocka_unit_test(shares_of_what_is_not_known_are_not),
		cmocka_unit_test(members_that_are_no_numbers_of_ours_are_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
