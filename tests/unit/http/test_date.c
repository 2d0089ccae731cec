/* LINKS: cache/http */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <cmocka.h>

#include "cache/http/date.h"
#include "tests/support/guarded.h"

#define NOW INT64_C(1700000000) /* Tue, 14 Nov 2023 22:13:20 GMT */
#define EXAMPLE INT64_C(784111777)

static int64_t parse(const char *text, size_t n, int64_t now_s)
{
	int64_t time_s = http_date_parse(guarded(slice_of(text, n)), now_s);

	guarded_end();
	return time_s;
}

static void test_good_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t time_s;
	} rows[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE},
		{"Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE},
		{"Sun Nov  6 08:49:37 1994", EXAMPLE},
		{"sun, 06 nov 1994 08:49:37 gmt", EXAMPLE},
		{"SUN, 06 NOV 1994 08:49:37 GMT", EXAMPLE},
		{"sUNDAY, 06-nOV-94 08:49:37 gMT", EXAMPLE},
		{"SUN NOV  6 08:49:37 1994", EXAMPLE},
		{"Sun Nov 06 08:49:37 1994", EXAMPLE},
		{"Mon, 06 Nov 1994 08:49:37 GMT", EXAMPLE}, /* the wrong day of the week */
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Wed, 31 Dec 1969 23:59:59 GMT", -1},
		{"Sat, 01 Jan 0000 00:00:00 GMT", INT64_C(-62167219200)},
		{"Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799)},
		{"Fri, 31 Dec 9999 23:59:60 GMT", INT64_C(253402300799)},
		{"Tue, 19 Jan 2038 03:14:08 GMT", INT64_C(2147483648)},
		{"Sat, 08 Feb 2200 00:00:00 GMT", INT64_C(7261401600)},
		{"Tue, 29 Feb 2000 12:00:00 GMT", INT64_C(951825600)},
		{"Thu, 29 Feb 2024 00:00:00 GMT", INT64_C(1709164800)},
		{"Sat, 31 Dec 2016 23:59:60 GMT", INT64_C(1483228799)},
		{"Thursday, 29-Feb-24 00:00:00 GMT", INT64_C(1709164800)},
		{"Wednesday, 31-Dec-69 23:59:59 GMT", INT64_C(3155759999)}, /* 2069 is 46 ahead */
		{"Thu Feb 29 00:00:00 2024", INT64_C(1709164800)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t time_s = parse(rows[i].text, strlen(rows[i].text), NOW);

		if (time_s != rows[i].time_s)
			fail_msg("%s: %lld", rows[i].text, (long long)time_s);
	}
}

static void test_bad_dates(void **state)
{
	static const char *const rows[] = {
		"",
		"0",
		"-1",
		"1",
		"now",
		"GMT",
		"784111777",
		/* zones */
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 EST",
		"Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 06 Nov 1994 08:49:37 Z",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 AEDT",
		"Sunday, 06-Nov-94 08:49:37 UTC",
		"Sun Nov  6 08:49:37 1994 GMT",
		/* years of the wrong size */
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06 Nov 19940 08:49:37 GMT",
		"Sunday, 06-Nov-1994 08:49:37 GMT",
		"Sun Nov  6 08:49:37 94",
		/* commas, spaces, dashes */
		"Sun 06 Nov 1994 08:49:37 GMT",
		"Sun,06 Nov 1994 08:49:37 GMT",
		"Sun,  06 Nov 1994 08:49:37 GMT",
		"Sun, 06  Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov  1994 08:49:37 GMT",
		"Sun, 06 Nov 1994  08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37  GMT",
		" Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 06-Nov-1994 08:49:37 GMT",
		"Sun,\t06 Nov 1994 08:49:37 GMT",
		"Sunday, 06 Nov 94 08:49:37 GMT",
		"Sun, 06-Nov-94 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Sun Nov   6 08:49:37 1994",
		"Sun, Nov  6 08:49:37 1994",
		/* one digit, no digits, other digits */
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 1994 08:9:37 GMT",
		"Sun, 06 Nov 1994 08:49:7 GMT",
		"Sun,  6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994  8:49:37 GMT",
		"Sun, 0x Nov 1994 08:49:37 GMT",
		"Sun, +6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov -994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08.49.37 GMT",
		"Sun, 06 Nov 1994 08:49 GMT",
		"Sun, 06 Nov 1994 08:49:37.5 GMT",
		/* names */
		"Foo, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Foo 1994 08:49:37 GMT",
		"Sund, 06-Nov-94 08:49:37 GMT",
		"06 Nov 1994 08:49:37 GMT",
		"Sun, 06 11 1994 08:49:37 GMT",
		"Sun, 06 November 1994 08:49:37 GMT",
		/* out of range */
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 32 Dec 1994 08:49:37 GMT",
		"Sun, 29 Feb 1994 08:49:37 GMT",
		"Sun, 29 Feb 1900 08:49:37 GMT",
		"Sun, 30 Feb 2000 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun Nov  0 08:49:37 1994",
		"Sun Nov 31 08:49:37 1994",
		"Wednesday, 29-Feb-23 00:00:00 GMT",
		/* others */
		"1994-11-06T08:49:37Z",
		"Sun, 06 Nov 1994 08:49:37 GMT, x",
		"\"Sun, 06 Nov 1994 08:49:37 GMT\"",
		"Sun, 06 Nov 1994 08:49:37 GMT;",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (parse(rows[i], strlen(rows[i]), NOW) != HTTP_DATE_INVALID)
			fail_msg("taken: %s", rows[i]);
	}
	/* A NUL and a high byte are just wrong bytes. */
	assert_int_equal(parse("Sun, 06 Nov\0"
			       "1994 08:49:37 GMT",
			       29, NOW),
			 HTTP_DATE_INVALID);
	assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GM\xd4", 29, NOW), HTTP_DATE_INVALID);
}

static void test_every_truncation_is_bad(void **state)
{
	static const char *const forms[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (size_t n = 0; n < strlen(forms[i]); n++)
			assert_int_equal(parse(forms[i], n, NOW), HTTP_DATE_INVALID);
	}
}

/* Each day that a month might have, as mktime() of the C library has it, and its year by two digits. */
static void test_days_of_months(void **state)
{
	static const char names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

	(void)state;
	for (int i = 0; i < 33 * 12 * 12; i++) {
		static const int years[12] = {1,    4,    100,  400,  1900, 1999,
					      2000, 2004, 2023, 2024, 2100, 9999};
		int year = years[i / 33 / 12], month = i / 33 % 12, day = i % 33;
		struct tm tm = {.tm_year = year - 1900, .tm_mon = month, .tm_mday = day};
		int64_t wanted = timegm(&tm);
		char text[64];

		if (day == 0 || tm.tm_mon != month)
			wanted = HTTP_DATE_INVALID;
		sprintf(text, "Mon, %02d %s %04d 00:00:00 GMT", day, names[month], year);
		assert_int_equal(parse(text, strlen(text), NOW), wanted);
	}
}

static void test_century_of_two_digits(void **state)
{
	static const struct {
		const char *text;
		int64_t now_s;
		const char *same_as;
	} rows[] = {
		{"Sunday, 06-Nov-94 08:49:37 GMT", NOW, "Sun, 06 Nov 1994 08:49:37 GMT"},
		/* not quite, and a bit more than, 50 years ahead of 14 November 2023 */
		{"Monday, 13-Nov-73 00:00:00 GMT", NOW, "Mon, 13 Nov 2073 00:00:00 GMT"},
		{"Thursday, 16-Nov-73 00:00:00 GMT", NOW, "Fri, 16 Nov 1973 00:00:00 GMT"},
		{"Monday, 01-Jan-74 00:00:00 GMT", NOW, "Tue, 01 Jan 1974 00:00:00 GMT"},
		{"Friday, 31-Dec-99 23:59:59 GMT", NOW, "Fri, 31 Dec 1999 23:59:59 GMT"},
		{"Friday, 01-Jan-00 00:00:00 GMT", NOW, "Sat, 01 Jan 2000 00:00:00 GMT"},
		/* near the end of a century the next one is meant */
		{"Friday, 01-Jan-05 00:00:00 GMT", INT64_C(3912710400), /* 2093 */
		 "Thu, 01 Jan 2105 00:00:00 GMT"},
		{"Friday, 01-Jan-70 00:00:00 GMT", 0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{"Friday, 01-Jan-30 00:00:00 GMT", 0, "Wed, 01 Jan 1930 00:00:00 GMT"},
		/* clocks beyond all reason */
		{"Friday, 01-Jan-30 00:00:00 GMT", INT64_MIN, "Wed, 01 Jan 1930 00:00:00 GMT"},
		{"Friday, 31-Dec-99 23:59:59 GMT", INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
		{"Saturday, 01-Jan-00 00:00:00 GMT", INT64_MAX, "Mon, 01 Jan 9900 00:00:00 GMT"},
		{"Friday, 01-Jan-21 00:00:00 GMT", INT64_MIN, "Sat, 01 Jan 1921 00:00:00 GMT"},
		{"Wednesday, 01-Jan-20 00:00:00 GMT", -1, "Wed, 01 Jan 2020 00:00:00 GMT"},
		/* to the second: 50 years of 365.2425 days */
		{"Saturday, 01-Jan-00 00:00:00 GMT", INT64_C(946684800) - 1577880000,
		 "Sat, 01 Jan 2000 00:00:00 GMT"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t wanted = parse(rows[i].same_as, strlen(rows[i].same_as), NOW);

		assert_int_not_equal(wanted, HTTP_DATE_INVALID);
		if (parse(rows[i].text, strlen(rows[i].text), rows[i].now_s) != wanted)
			fail_msg("%s is not %s", rows[i].text, rows[i].same_as);
	}
}

static void test_write(void **state)
{
	static const struct {
		int64_t time_s;
		const char *text;
	} rows[] = {
		{EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"},
		{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
		{-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
		{NOW, "Tue, 14 Nov 2023 22:13:20 GMT"},
		{INT64_C(951825600), "Tue, 29 Feb 2000 12:00:00 GMT"},
		{INT64_C(2147483648), "Tue, 19 Jan 2038 03:14:08 GMT"},
		{INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT"},
		{INT64_C(253402300800), "Fri, 31 Dec 9999 23:59:59 GMT"},
		{INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
		{INT64_C(-62167219200), "Sat, 01 Jan 0000 00:00:00 GMT"},
		{INT64_C(-62167219201), "Sat, 01 Jan 0000 00:00:00 GMT"},
		{INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
	};
	char text[HTTP_DATE_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text[HTTP_DATE_LENGTH] = '!';
		http_date_write(rows[i].time_s, text);
		assert_int_equal(text[HTTP_DATE_LENGTH], '!');
		text[HTTP_DATE_LENGTH] = 0;
		assert_string_equal(text, rows[i].text);
	}
}

/* Every 11th hour or so of the 10000 years, also against another implementation of the calendar. */
static void test_write_then_parse(void **state)
{
	char text[HTTP_DATE_LENGTH];

	(void)state;
	for (int64_t t = INT64_C(-62167219200); t < INT64_C(253402300800); t += 3600011) {
		http_date_write(t, text);
		assert_int_equal(http_date_parse(slice_of(text, sizeof(text)), NOW), t);
	}
}

static void test_calendar_agrees_with_libc(void **state)
{
	(void)state;
	for (int64_t t = INT64_C(-2208988800); t < INT64_C(16725225600); t += 86400 * 5 + 12345) {
		char text[HTTP_DATE_LENGTH], wanted[HTTP_DATE_LENGTH + 1];
		time_t time_s = (time_t)t;
		struct tm tm;

		gmtime_r(&time_s, &tm);
		strftime(wanted, sizeof(wanted), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		http_date_write(t, text);
		assert_memory_equal(text, wanted, sizeof(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_dates),
		cmocka_unit_test(test_bad_dates),
		cmocka_unit_test(test_every_truncation_is_bad),
		cmocka_unit_test(test_days_of_months),
		cmocka_unit_test(test_century_of_two_digits),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_then_parse),
		cmocka_unit_test(test_calendar_agrees_with_libc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
