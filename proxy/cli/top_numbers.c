/* How much and how fast, the last hour, and why origins were asked, for `cache204 top`. */
#include <stdio.h>
#include <string.h>

#include "proxy/cli/figures.h"
#include "proxy/cli/top_parts.h"

enum { HOUR_S = 3600, SHORT_S = 300, MIN_S = 60, MS_PER_S = 1000, SPARK_MAX = 100, SERIES = 5 };

/* ---- the last hour -------------------------------------------------------------------------- */

/* What a row of signs is drawn of: the sum of columns of the history. */
struct series {
	const char *names[5]; /* up to the first NULL */
	bool is_highest;      /* of what one sign stands for, in place of the mean */
};

static const struct series all_204s = {{"fresh", "shared", "stale", "confirmed", "fetched"}, false};

/* Of one row of the history; -1 when nothing was kept of it. */
static double sum_at(const struct json *columns, const struct series *series, size_t i)
{
	double sum = -1;

	for (size_t j = 0; j < SERIES && series->names[j] != NULL; j++) {
		double n = figure_at(json_get(columns, series->names[j]), i);

		if (n >= 0)
			sum = sum < 0 ? n : sum + n;
	}
	return sum;
}

/* Mean, or highest, of rows [from, to); -1 when there is none. */
static double cell_of(const struct json *columns, const struct series *series, double from,
		      double to)
{
	double sum = 0, highest = -1;
	unsigned known = 0;

	for (double i = from < 0 ? 0 : from; i < to; i++) {
		double n = sum_at(columns, series, (size_t)i);

		if (n < 0)
			continue;
		sum += n;
		known++;
		highest = n > highest ? n : highest;
	}
	if (known == 0)
		return -1;
	return series->is_highest ? highest : sum / known;
}

/* What the history is of: rows of a second are kept for five minutes. */
static double span_s(const struct top *top)
{
	double step_s = figure_of(json_get(top->dash, "history"), "step_s");

	return step_s >= 1 && step_s < 2 ? SHORT_S : HOUR_S;
}

/* The sign at the right end is of now. */
static void put_spark(const struct top *top, unsigned row, unsigned column, unsigned width,
		      const struct series *series)
{
	static const char signs[] = " .:-=+*#%@";
	const struct json *history = json_get(top->dash, "history");
	const struct json *columns = json_get(history, "columns");
	double step_s = figure_of(history, "step_s"), cells[SPARK_MAX], highest = 0;
	double slots = span_s(top) / (step_s >= 1 ? step_s : 10);
	double missing = slots - (double)json_count(json_get(columns, series->names[0]));
	char text[SPARK_MAX + 3] = "[";

	for (unsigned i = 0; i < width; i++) {
		cells[i] = cell_of(columns, series, i * slots / width - missing,
				   (i + 1) * slots / width - missing);
		highest = cells[i] > highest ? cells[i] : highest;
	}
	for (unsigned i = 0; i < width; i++)
		text[i + 1] = cells[i] <= 0 ? ' ' : signs[1 + (int)(cells[i] / highest * 8.999)];
	text[width + 1] = ']';
	text[width + 2] = '\0';
	canvas_put(top->canvas, row, column, TONE_HERE, text);
}

static void put_axis(const struct top *top, unsigned row, unsigned column, unsigned end)
{
	double end_ms = figure_of(json_get(top->dash, "history"), "end_ms");
	char text[16];

	if (end_ms < 0)
		end_ms = top->now_ms;
	canvas_put(top->canvas, row, 1, TONE_FAINT,
		   span_s(top) < HOUR_S ? "LAST 5 MIN" : "LAST HOUR");
	snprintf(text, sizeof(text), "%.5s", figure_clock(end_ms - 1000 * span_s(top)).text);
	canvas_put(top->canvas, row, column, TONE_FAINT, text);
	snprintf(text, sizeof(text), "%.5s", figure_clock(end_ms - 500 * span_s(top)).text);
	canvas_put(top->canvas, row, (column + end) / 2, TONE_FAINT, text);
	canvas_put_right(top->canvas, row, end, TONE_FAINT,
			 top->state->trouble == NULL ? "now" : figure_clock(end_ms).text);
}

/* A label, a number that ends before `end`, and its unit behind. */
struct value {
	const char *label;
	struct figure figure;
	const char *unit;
	bool is_bad;
};

static void put_value(const struct top *top, unsigned row, unsigned column, unsigned end,
		      struct value value)
{
	enum tone tone = value.is_bad ? TONE_BAD : TONE_PLAIN;

	canvas_put(top->canvas, row, column, TONE_FAINT, value.label);
	canvas_put_right(top->canvas, row, end, tone, value.figure.text);
	canvas_put(top->canvas, row, end, tone, value.unit);
}

static double asked_origins(const struct top *top)
{
	const struct json *answers = json_get(top->dash, "answers204");
	double confirmed = figure_of(answers, "confirmed"), fetched = figure_of(answers, "fetched");

	return confirmed < 0 || fetched < 0 ? -1 : confirmed + fetched;
}

static struct figure per_minute(const struct top *top, double n)
{
	return figure_rate(n < 0 ? -1 : n * MIN_S, top->seconds);
}

/* What both forms have. */
static struct value requests_of(const struct top *top)
{
	return (struct value){"requests",
			      figure_rate(figure_of(top->dash, "requests"), top->seconds), " /s",
			      false};
}

static struct value origins_of(const struct top *top)
{
	return (struct value){"origins", figure_rate(asked_origins(top), top->seconds), " /s",
			      false};
}

static struct value errors_of(const struct top *top)
{
	double n = figure_of(top->dash, "errors");

	return (struct value){"errors", per_minute(top, n), " /min", n > 0};
}

static struct value flight_of(const struct top *top, const char *label, const char *name)
{
	return (struct value){
		label, figure_count(figure_of(json_get(top->dash, "in_flight"), name)), "", false};
}

unsigned top_last_hour(const struct top *top, unsigned row)
{
	static const struct {
		const char *label;
		struct series series;
	} strips[] = {
		{"204s/s", {{"fresh", "shared", "stale", "confirmed", "fetched"}, false}},
		{"stale/s", {{"stale"}, false}},
		{"at origins/s", {{"confirmed", "fetched"}, false}},
		{"errors/s", {{"errors"}, true}},
		{"first byte p99", {{"fb_p99"}, true}},
	};
	enum { FROM = 17, WIDTH = 66, LABEL = 98, END = 115 };
	struct value clients = {"clients", figure_count(figure_of(top->dash, "clients")), "",
				false};

	put_axis(top, row, FROM, FROM + WIDTH + 2);
	for (unsigned i = 0; i < sizeof(strips) / sizeof(strips[0]); i++) {
		canvas_put(top->canvas, row + 1 + i, 1, TONE_FAINT, strips[i].label);
		put_spark(top, row + 1 + i, FROM, WIDTH, &strips[i].series);
	}
	put_value(top, row + 1, LABEL, END, requests_of(top));
	put_value(top, row + 2, LABEL, END, clients);
	put_value(top, row + 3, LABEL, END, origins_of(top));
	put_value(top, row + 4, LABEL, END, errors_of(top));
	put_value(top, row + 5, LABEL, END, flight_of(top, "in flight", "n"));
	return row + 6;
}

/* ---- how much, how fast --------------------------------------------------------------------- */

static void put_latency(const struct top *top, unsigned row, const char *label,
			const struct json *values)
{
	unsigned column = canvas_put(top->canvas, row, 24, TONE_FAINT, label);

	if (column < 32)
		canvas_put(top->canvas, row, 29, TONE_FAINT, "p50");
	canvas_put_right(top->canvas, row, 40, TONE_PLAIN,
			 figure_micros(figure_of(values, "p50")).text);
	canvas_put(top->canvas, row, 43, TONE_FAINT, "p99");
	canvas_put_right(top->canvas, row, 54, TONE_PLAIN,
			 figure_micros(figure_of(values, "p99")).text);
}

static void put_store(const struct top *top, unsigned row, unsigned end)
{
	const struct json *store = json_get(top->dash, "store");
	double p50_s = figure_of(json_get(store, "evicted_age_s"), "p50");
	double full = figure_share(figure_of(store, "used"), figure_of(store, "size"));
	char text[80];

	canvas_put(top->canvas, row, 63, TONE_FAINT, "store");
	snprintf(text, sizeof(text), "%s full", figure_whole_percent(full).text);
	canvas_put_right(top->canvas, row, end, TONE_PLAIN, text);
	if (p50_s >= 0)
		snprintf(text, sizeof(text), "evicted: stored %s before", figure_age(p50_s).text);
	else
		snprintf(text, sizeof(text), "evicted: none");
	canvas_put_right(top->canvas, row + 1, end, TONE_FAINT, text);
}

unsigned top_vitals(const struct top *top, unsigned row)
{
	enum { VALUE = 17, RIGHT = 65, END = 80, SPARK = 11, WIDTH = 34 };
	const struct json *latency = json_get(top->dash, "latency_us");

	put_value(top, row, 1, VALUE, requests_of(top));
	put_value(top, row + 1, 1, VALUE, origins_of(top));
	put_value(top, row + 2, 1, VALUE, errors_of(top));
	put_latency(top, row, "hit", json_get(latency, "hit"));
	put_latency(top, row + 1, "miss", json_get(latency, "miss"));
	put_latency(top, row + 2, "1st byte",
		    json_get(json_get(top->dash, "origin_us"), "first_byte"));
	put_value(top, row, RIGHT, END, flight_of(top, "in flight", "n"));
	put_value(top, row + 1, RIGHT, END, flight_of(top, "waiting", "waiting"));
	put_store(top, row + 2, END);
	canvas_put(top->canvas, row + 3, 1, TONE_FAINT,
		   span_s(top) < HOUR_S ? "last 5 m" : "last hour");
	put_spark(top, row + 3, SPARK, WIDTH, &all_204s);
	return row + 4;
}

/* ---- latency and reasons, side by side ------------------------------------------------------ */

static void put_reason_column(const struct top *top, unsigned row, unsigned column, unsigned end,
			      const struct json *items, size_t most)
{
	double all = 0;

	for (size_t i = 0; i < json_count(items); i++)
		all += figure_of(json_element(items, i), "n");
	for (size_t i = 0; i < json_count(items) && i < most; i++, row++) {
		const struct json *item = json_element(items, i);
		double n = figure_of(item, "n");

		canvas_put_right(top->canvas, row, column + 6, TONE_PLAIN,
				 figure_percent(figure_share(n, all)).text);
		canvas_put(top->canvas, row, column + 8, TONE_PLAIN,
			   top_text(json_text(item, "reason")).text);
		canvas_put_right(top->canvas, row, end, TONE_PLAIN, figure_count(n).text);
	}
}

static void put_steps(const struct top *top, unsigned row)
{
	static const char *const names[] = {"p50", "p90", "p99", "max"};
	static const unsigned ends[] = {24, 33, 42, 51};
	const struct json *latency = json_get(top->dash, "latency_us");
	const struct json *origin = json_get(top->dash, "origin_us");
	const struct {
		const char *label;
		const struct json *values;
	} steps[] = {
		{"hit", json_get(latency, "hit")},
		{"miss", json_get(latency, "miss")},
		{"look-up", json_get(origin, "dns")},
		{"connect", json_get(origin, "connect")},
		{"first byte", json_get(origin, "first_byte")},
	};

	canvas_put(top->canvas, row, 1, TONE_FAINT, "LATENCY");
	for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
		canvas_put_right(top->canvas, row, ends[j], TONE_FAINT, names[j]);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		row++;
		canvas_put(top->canvas, row, 1, TONE_PLAIN, steps[i].label);
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			canvas_put_right(top->canvas, row, ends[j], TONE_PLAIN,
					 figure_micros(figure_of(steps[i].values, names[j])).text);
	}
}

unsigned top_latency_and_reasons(const struct top *top, unsigned row)
{
	enum { ROWS = 5 };

	put_steps(top, row);
	canvas_put(top->canvas, row, 56, TONE_FAINT, "WHY ORIGINS WERE ASKED");
	put_reason_column(top, row + 1, 56, 88, json_get(top->dash, "asked"), ROWS);
	canvas_put(top->canvas, row, 89, TONE_FAINT, "WHY 204s WERE NOT STORED");
	put_reason_column(top, row + 1, 90, 120, json_get(top->dash, "not_stored"), ROWS);
	return row + 1 + ROWS;
}

/* "54 % no-record  26 % expired", as many as fit. */
static void put_reason_line(const struct top *top, unsigned row, const char *label,
			    const struct json *items)
{
	unsigned column = 13;
	double all = 0;

	canvas_put(top->canvas, row, 1, TONE_FAINT, label);
	for (size_t i = 0; i < json_count(items); i++)
		all += figure_of(json_element(items, i), "n");
	if (json_count(items) == 0)
		canvas_put(top->canvas, row, column, TONE_PLAIN, "-");
	for (size_t i = 0; i < json_count(items); i++) {
		const struct json *item = json_element(items, i);
		struct top_text reason = top_text(json_text(item, "reason"));
		char text[TOP_TEXT + 32];

		snprintf(text, sizeof(text), "%s %s",
			 figure_whole_percent(figure_share(figure_of(item, "n"), all)).text,
			 reason.text);
		if (column + strlen(text) > top->canvas->width)
			break;
		column = canvas_put(top->canvas, row, column, TONE_PLAIN, text) + 2;
	}
}

unsigned top_reason_lines(const struct top *top, unsigned row)
{
	put_reason_line(top, row, "why asked", json_get(top->dash, "asked"));
	put_reason_line(top, row + 1, "not stored", json_get(top->dash, "not_stored"));
	return row + 2;
}
