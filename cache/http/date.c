/* HTTP dates: the three forms to seconds, and seconds to the preferred one. */
#include "cache/http/date.h"

#include <limits.h>

#include "cache/base/ascii.h"
#include "cache/base/decimal.h"

#define SECONDS_PER_DAY 86400
#define FIFTY_YEARS \
	((int64_t)18262 * SECONDS_PER_DAY + SECONDS_PER_DAY / 2) /* 50 * 365.2425 days */
#define TIME_YEAR_0 INT64_C(-62167219200)
#define TIME_YEAR_10000 INT64_C(253402300800)

enum { ASCTIME_LENGTH = 24, NAME_MAX_LENGTH = 9 };

static const char day_names[7][NAME_MAX_LENGTH + 1] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
};

static const char month_names[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

struct date {
	int year;
	int month; /* 1-12 */
	int day;
	int hour;
	int minute;
	int second;
};

/* Days since 1970-01-01 in the Gregorian calendar, which HTTP uses for all years. */
static int64_t days_of_date(int year, int month, int day)
{
	/* Counted from March, so that the leap day is the last of its year. */
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

/* The inverse, for days in years 0 to 9999. */
static void date_of_days(int64_t days, struct date *ret_date)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */

	ret_date->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	ret_date->month = (int)(month < 10 ? month + 3 : month - 9);
	ret_date->year = (int)(year_of_era + era * 400) + (ret_date->month <= 2);
}

static int days_in_month(int year, int month)
{
	static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Exactly `digits` digits, moved past. */
static bool take_number(struct slice *text, size_t digits, int *ret_number)
{
	uint64_t number;

	if (text->n < digits || !decimal_read(slice_of(text->p, digits), INT_MAX, &number))
		return false;
	text->p += digits;
	text->n -= digits;
	*ret_number = (int)number;
	return true;
}

/* A letter of `wanted` may come in either case (RFC 9111 4.2). */
static bool is_char(char c, char wanted)
{
	return ascii_is_alpha(wanted) ? (c | 0x20) == (wanted | 0x20) : c == wanted;
}

static bool take_char(struct slice *text, char wanted)
{
	if (text->n == 0 || !is_char(text->p[0], wanted))
		return false;
	text->p++;
	text->n--;
	return true;
}

static bool take_name(struct slice *text, const char *name, size_t n)
{
	if (text->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!is_char(text->p[i], name[i]))
			return false;
	}
	text->p += n;
	text->n -= n;
	return true;
}

/* A day name of 3 letters, or a whole one. */
static bool take_day_name(struct slice *text, bool whole)
{
	for (int i = 0; i < 7; i++) {
		if (take_name(text, day_names[i], whole ? strlen(day_names[i]) : 3))
			return true;
	}
	return false;
}

static bool take_month(struct slice *text, int *ret_month)
{
	for (int i = 0; i < 12; i++) {
		if (take_name(text, month_names[i], 3)) {
			*ret_month = i + 1;
			return true;
		}
	}
	return false;
}

/* The day of an asctime date: two digits, or a space and one. */
static bool take_padded_day(struct slice *text, int *ret_day)
{
	if (take_char(text, ' '))
		return take_number(text, 1, ret_day);
	return take_number(text, 2, ret_day);
}

/* One conversion of take_form(). */
static bool take_part(struct slice *text, char conversion, struct date *date)
{
	switch (conversion) {
	case 'a':
		return take_day_name(text, false);
	case 'A':
		return take_day_name(text, true);
	case 'b':
		return take_month(text, &date->month);
	case 'd':
		return take_number(text, 2, &date->day);
	case 'e':
		return take_padded_day(text, &date->day);
	case 'Y':
		return take_number(text, 4, &date->year);
	case 'y':
		return take_number(text, 2, &date->year);
	case 'T':
		return take_number(text, 2, &date->hour) && take_char(text, ':') &&
		       take_number(text, 2, &date->minute) && take_char(text, ':') &&
		       take_number(text, 2, &date->second);
	default:
		return false;
	}
}

/*
 * The whole of `text` in a form written as for strptime(), which itself is too lenient and
 * locale-bound.
 */
static bool take_form(struct slice text, const char *form, struct date *date)
{
	for (; *form; form++) {
		bool taken;

		if (*form == '%')
			taken = take_part(&text, *++form, date);
		else
			taken = take_char(&text, *form);
		if (!taken)
			return false;
	}
	return text.n == 0;
}

static int64_t time_of_date(const struct date *date)
{
	/* A leap second is no second of its own since the epoch. */
	int second = date->second < 60 ? date->second : 59;

	return days_of_date(date->year, date->month, date->day) * SECONDS_PER_DAY +
	       date->hour * 3600 + date->minute * 60 + second;
}

/* RFC 9110 5.6.7: a year more than 50 years ahead is the latest past year with these digits. */
static void expand_year(struct date *date, int64_t now_s)
{
	struct date latest;
	int two_digits = date->year;

	if (now_s < 0)
		now_s = 0;
	if (now_s > TIME_YEAR_10000 - 1 - FIFTY_YEARS)
		now_s = TIME_YEAR_10000 - 1 - FIFTY_YEARS;
	date_of_days((now_s + FIFTY_YEARS) / SECONDS_PER_DAY, &latest);
	date->year = latest.year - latest.year % 100 + two_digits;
	if (time_of_date(date) > now_s + FIFTY_YEARS)
		date->year -= 100;
}

int64_t http_date_parse(struct slice text, int64_t now_s)
{
	struct date date;

	/* Each form has its lengths, so there is only one to try. */
	if (text.n == HTTP_DATE_LENGTH) {
		if (!take_form(text, "%a, %d %b %Y %T GMT", &date))
			return HTTP_DATE_INVALID;
	} else if (text.n == ASCTIME_LENGTH) {
		if (!take_form(text, "%a %b %e %T %Y", &date))
			return HTTP_DATE_INVALID;
	} else {
		if (!take_form(text, "%A, %d-%b-%y %T GMT", &date))
			return HTTP_DATE_INVALID;
		expand_year(&date, now_s);
	}

	if (date.day < 1 || date.day > days_in_month(date.year, date.month))
		return HTTP_DATE_INVALID;
	if (date.hour > 23 || date.minute > 59 || date.second > 60)
		return HTTP_DATE_INVALID;
	return time_of_date(&date);
}

static char *put_number(char *to, int number, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		to[i] = (char)('0' + number % 10);
		number /= 10;
	}
	return to + digits;
}

static char *put_text(char *to, const char *text, size_t n)
{
	memcpy(to, text, n);
	return to + n;
}

void http_date_write(int64_t time_s, char *to)
{
	struct date date;
	int64_t days;
	int seconds;

	if (time_s < TIME_YEAR_0)
		time_s = TIME_YEAR_0;
	if (time_s >= TIME_YEAR_10000)
		time_s = TIME_YEAR_10000 - 1;

	/* Counted from year 0, so that division rounds down. */
	days = (time_s - TIME_YEAR_0) / SECONDS_PER_DAY + TIME_YEAR_0 / SECONDS_PER_DAY;
	seconds = (int)(time_s - days * SECONDS_PER_DAY);
	date_of_days(days, &date);

	/* Year 0 began on a Saturday, 719528 days before the epoch. */
	to = put_text(to, day_names[(days + 719528 + 6) % 7], 3);
	to = put_text(to, ", ", 2);
	to = put_number(to, date.day, 2);
	to = put_text(to, " ", 1);
	to = put_text(to, month_names[date.month - 1], 3);
	to = put_text(to, " ", 1);
	to = put_number(to, date.year, 4);
	to = put_text(to, " ", 1);
	to = put_number(to, seconds / 3600, 2);
	to = put_text(to, ":", 1);
	to = put_number(to, seconds / 60 % 60, 2);
	to = put_text(to, ":", 1);
	to = put_number(to, seconds % 60, 2);
	put_text(to, " GMT", 4);
}
