/* Numbers as operators read them. */
#include "proxy/cli/figures.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MS_PER_S = 1000, US_PER_MS = 1000, US_PER_S = 1000000, LARGEST = 1000000000 };

/* What is larger is no count or time of ours. */
#define NUMBER_MAX 1e18

static const struct figure unknown = {"-"};

double figure_of(const struct json *json, const char *name)
{
	double number;

	return json_float(json, name, &number) && number < NUMBER_MAX ? number : -1;
}

double figure_at(const struct json *json, size_t index)
{
	double number = json_float_at(json, index);

	return number < NUMBER_MAX ? number : -1;
}

double figure_share(double part, double whole)
{
	return part >= 0 && whole > 0 ? part / whole : -1;
}

/* Thousands in groups of three. */
struct figure figure_count(double n)
{
	struct figure figure;
	char digits[24];
	size_t length, at = 0;

	if (n < 0 || !isfinite(n) || n > NUMBER_MAX)
		return unknown;
	length = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, (uint64_t)(n + 0.5));
	for (size_t i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			figure.text[at++] = ' ';
		figure.text[at++] = digits[i];
	}
	figure.text[at] = '\0';
	return figure;
}

struct figure figure_rate(double n, double seconds)
{
	struct figure figure;
	double each = n < 0 || seconds <= 0 ? -1 : n / seconds;

	if (each <= 0 || each >= 9.95)
		return figure_count(each);
	snprintf(figure.text, sizeof(figure.text), "%.1f", each);
	return figure;
}

/* Never rounded to all or none of it: then it is `most` or `least`. */
static struct figure part_of(double share, int digits, const char *most, const char *least)
{
	struct figure figure;

	if (share < 0 || !(share <= 1.0001))
		return unknown;
	snprintf(figure.text, sizeof(figure.text), "%.*f %%", digits, 100 * share);
	if (share < 1 && strncmp(figure.text, "100", 3) == 0)
		snprintf(figure.text, sizeof(figure.text), "%s", most);
	if (share > 0 && strspn(figure.text, "0.") == strcspn(figure.text, " "))
		snprintf(figure.text, sizeof(figure.text), "%s", least);
	return figure;
}

struct figure figure_percent(double share)
{
	return part_of(share, 1, ">99.9 %", "<0.1 %");
}

struct figure figure_points(double share)
{
	struct figure figure = figure_percent(share);

	figure.text[strcspn(figure.text, " ")] = '\0';
	return figure;
}

struct figure figure_whole_percent(double share)
{
	return part_of(share, 0, ">99 %", "<1 %");
}

/* Two digits that count. */
static struct figure with_unit(double n, const char *unit)
{
	struct figure figure;

	snprintf(figure.text, sizeof(figure.text), n < 9.95 ? "%.1f %s" : "%.0f %s", n, unit);
	return figure;
}

struct figure figure_micros(double us)
{
	struct figure figure;

	if (us < 0 || !(us < (double)LARGEST * US_PER_S))
		return unknown;
	if (us >= US_PER_S - 500)
		return with_unit(us / US_PER_S, "s");
	if (us >= US_PER_MS - 0.5)
		return with_unit(us / US_PER_MS, "ms");
	snprintf(figure.text, sizeof(figure.text), "%.0f us", us);
	return figure;
}

struct figure figure_age(double seconds)
{
	struct figure figure;
	unsigned min, hours;

	if (seconds < 0 || !(seconds < LARGEST))
		return unknown;
	min = (unsigned)seconds / 60;
	hours = min / 60;
	if (min == 0)
		snprintf(figure.text, sizeof(figure.text), "%u s", (unsigned)seconds);
	else if (hours == 0)
		snprintf(figure.text, sizeof(figure.text), "%u min", min);
	else if (hours < 24)
		snprintf(figure.text, sizeof(figure.text), "%u h %u min", hours, min % 60);
	else
		snprintf(figure.text, sizeof(figure.text), "%u d %u h", hours / 24, hours % 24);
	return figure;
}

struct figure figure_clock(double ms)
{
	struct figure figure;
	struct tm at;
	time_t time;

	if (ms < 0 || !(ms < 1e15))
		return unknown;
	time = (time_t)(ms / MS_PER_S);
	if (gmtime_r(&time, &at) == NULL)
		return unknown;
	strftime(figure.text, sizeof(figure.text), "%H:%M:%S", &at);
	return figure;
}
