/* Lists of `cache204 top`: hosts and URLs, reasons, errors. */
#include <stdio.h>
#include <string.h>

#include "proxy/cli/figures.h"
#include "proxy/cli/top_parts.h"

enum { MS_PER_S = 1000 };

/* Where the columns of hosts and URLs end or begin, for a width of 80 and of TOP_WIDE. */
struct columns {
	unsigned requests, bar, bar_width, percent, asked, times, failures;
};

static const struct columns narrow = {35, 37, 10, 55, 62, 64, 80};
static const struct columns wide = {38, 41, 22, 71, 80, 83, 120};

/* What is wider goes to the names, and so do the times that URLs have none of. */
static struct columns columns_of(const struct top *top)
{
	struct columns columns = top->is_wide ? wide : narrow;
	unsigned width = top->canvas->width;
	unsigned more = width > columns.failures ? width - columns.failures : 0;
	unsigned freed = top->state->list == TOP_URLS ? columns.failures - columns.times - 6 : 0;

	columns.requests += more + freed;
	columns.bar += more + freed;
	columns.percent += more + freed;
	columns.asked += more + freed;
	columns.times += more;
	columns.failures += more;
	return columns;
}

/* At most so many columns; its middle goes, as the end of a URL tells more. */
static void put_name(const struct top *top, unsigned row, unsigned column, unsigned end,
		     struct top_text name)
{
	size_t n = strlen(name.text), room = end > column ? end - column : 0;

	if (n > room && room > 6) {
		size_t before = room / 2 - 1, after = room - before - 2;

		memmove(name.text + before + 2, name.text + n - after, after + 1);
		memcpy(name.text + before, "..", 2);
	} else if (n > room) {
		name.text[room] = '\0';
	}
	canvas_put(top->canvas, row, column, TONE_PLAIN, name.text);
}

/* ---- hosts and URLs ------------------------------------------------------------------------- */

static void put_answered(const struct top *top, unsigned row, const struct columns *at,
			 const struct json *item)
{
	double here = figure_of(item, "here"), asked = figure_of(item, "asked");
	double stale = figure_of(item, "stale"), all = here + asked;
	unsigned fresh, filled, column = at->bar;

	if (here < 0 || asked < 0 || all <= 0) {
		canvas_put(top->canvas, row, at->bar, TONE_FAINT, "none answered");
		return;
	}
	if (stale < 0 || stale > here)
		stale = 0;
	/* each part that is there has a sign, but a trace of origins beside nearly all */
	filled = (unsigned)(here / all * at->bar_width + 0.5);
	if (filled == at->bar_width && here / all < 0.9995)
		filled--;
	if (filled == 0 && here > 0)
		filled = 1;
	fresh = (unsigned)((here - stale) / all * at->bar_width + 0.5);
	if (fresh > filled || stale <= 0)
		fresh = filled;
	column = canvas_fill(top->canvas, row, column, fresh, TONE_HERE, '=');
	column = canvas_fill(top->canvas, row, column, filled - fresh, TONE_HERE, '~');
	canvas_fill(top->canvas, row, column, at->bar_width - filled, TONE_ORIGIN, 'o');
	canvas_put_right(top->canvas, row, at->percent, TONE_PLAIN,
			 figure_percent(here / all).text);
}

static const char *state_words(const char *state, bool is_wide)
{
	static const struct {
		const char *state, *wide, *narrow;
	} words[] = {
		{"refused", "refuses connections", "refuses"},
		{"timeout", "does not answer", "no answer"},
		{"unreachable", "cannot be reached", "unreachable"},
		{"dns", "has no address", "no address"},
		{"tls", "fails at TLS", "TLS fails"},
		{"failing", "fails", "fails"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(state, words[i].state) == 0)
			return is_wide ? words[i].wide : words[i].narrow;
	return state;
}

/* "7.9 - 31 ms": the unit once, if it is one, where there is little room. */
static void put_times(const struct top *top, unsigned row, const struct columns *at,
		      const struct json *item)
{
	const struct json *us = json_get(item, "first_byte_us");
	const char *state = json_text(item, "state");
	struct figure p50 = figure_micros(figure_of(us, "p50"));
	struct figure p99 = figure_micros(figure_of(us, "p99"));
	char *unit = strchr(p50.text, ' '), *other = strchr(p99.text, ' ');
	char text[80];

	if (state != NULL && strcmp(state, "ok") != 0 && strcmp(state, "slow") != 0) {
		struct top_text words = top_text(state_words(state, top->is_wide));

		words.text[top->is_wide ? 24 : 11] = '\0';
		canvas_put(top->canvas, row, at->times, TONE_BAD, words.text);
		return;
	}
	if (unit == NULL || other == NULL)
		return;
	if (!top->is_wide && strcmp(unit, other) == 0)
		*unit = '\0';
	snprintf(text, sizeof(text), "%s - %s", p50.text, p99.text);
	if (!top->is_wide && strlen(text) > 12)
		snprintf(text, sizeof(text), "%s", p99.text);
	canvas_put(top->canvas, row, at->times, TONE_PLAIN, text);
}

static void put_host(const struct top *top, unsigned row, const struct columns *at,
		     const struct json *item, struct top_text name)
{
	double failures = figure_of(item, "failures");
	struct figure requests = figure_count(figure_of(item, "requests"));

	put_name(top, row, 1, at->requests - (unsigned)strlen(requests.text) - 1, name);
	canvas_put_right(top->canvas, row, at->requests, TONE_PLAIN, requests.text);
	put_answered(top, row, at, item);
	canvas_put_right(top->canvas, row, at->asked, TONE_PLAIN,
			 figure_count(figure_of(item, "asked")).text);
	if (top->state->list != TOP_URLS)
		put_times(top, row, at, item);
	canvas_put_right(top->canvas, row, at->failures, failures > 0 ? TONE_BAD : TONE_FAINT,
			 figure_count(failures).text);
}

static void put_host_heads(const struct top *top, unsigned row, const struct columns *at)
{
	struct canvas *canvas = top->canvas;
	bool is_url = top->state->list == TOP_URLS;

	canvas_put(canvas, row, 1, TONE_FAINT, is_url ? "URL" : "HOST");
	canvas_put_right(canvas, row, at->requests, TONE_FAINT, "REQUESTS");
	canvas_put(canvas, row, at->bar, TONE_FAINT, "WITHOUT ORIGIN");
	canvas_put_right(canvas, row, at->asked, TONE_FAINT, "ASKED");
	if (!is_url)
		canvas_put(canvas, row, at->times, TONE_FAINT,
			   top->is_wide ? "FIRST BYTE, p50 - p99" : "FIRST BYTE");
	canvas_put_right(canvas, row, at->failures, TONE_FAINT, top->is_wide ? "FAILURES" : "FAIL");
}

unsigned top_hosts(const struct top *top, unsigned row, unsigned rows)
{
	bool is_url = top->state->list == TOP_URLS;
	const struct json *items = json_get(top->dash, is_url ? "urls" : "hosts");
	const struct json *other = json_get(top->dash, "hosts_other");
	struct columns at = columns_of(top);
	size_t n = json_count(items);

	put_host_heads(top, row++, &at);
	for (size_t i = 0; i < n && i < rows; i++) {
		const struct json *item = json_element(items, i);

		put_host(top, row++, &at, item, top_uri(json_text(item, is_url ? "uri" : "host")));
	}
	if (!is_url && n < rows && figure_of(other, "requests") > 0) {
		struct top_text name;

		snprintf(name.text, sizeof(name.text), "%s more hosts",
			 figure_count(figure_of(other, "hosts")).text);
		put_host(top, row++, &at, other, name);
	}
	return row;
}

/* ---- reasons -------------------------------------------------------------------------------- */

static unsigned put_reasons(const struct top *top, unsigned row, unsigned rows, const char *title,
			    const struct json *items)
{
	enum { SHARE = 8, TOKEN = 10, COUNT = 46, URI = 49 };
	double all = 0;

	for (size_t i = 0; i < json_count(items); i++)
		all += figure_of(json_element(items, i), "n");
	canvas_put(top->canvas, row, 1, TONE_FAINT, title);
	canvas_put_right(top->canvas, row, COUNT, TONE_FAINT, "TIMES");
	canvas_put(top->canvas, row++, URI, TONE_FAINT, "LAST");
	for (size_t i = 0; i < json_count(items) && i < rows; i++, row++) {
		const struct json *item = json_element(items, i);
		double n = figure_of(item, "n");

		canvas_put_right(top->canvas, row, SHARE, TONE_PLAIN,
				 figure_percent(figure_share(n, all)).text);
		put_name(top, row, TOKEN, COUNT - 11, top_text(json_text(item, "reason")));
		canvas_put_right(top->canvas, row, COUNT, TONE_PLAIN, figure_count(n).text);
		put_name(top, row, URI, top->canvas->width, top_uri(json_text(item, "uri")));
	}
	return row;
}

unsigned top_reasons(const struct top *top, unsigned row, unsigned rows)
{
	unsigned half = rows > 3 ? (rows - 1) / 2 : 1;

	row = put_reasons(top, row, half, "WHY ORIGINS WERE ASKED", json_get(top->dash, "asked"));
	return put_reasons(top, row + 1, half, "WHY 204s WERE NOT STORED",
			   json_get(top->dash, "not_stored"));
}

/* ---- errors --------------------------------------------------------------------------------- */

static void put_got(const struct top *top, unsigned row, unsigned column, double status)
{
	bool is_stale = status > 203 && status < 305;
	char text[32];

	if (is_stale)
		snprintf(text, sizeof(text), "a stale 204");
	else if (status >= 400)
		snprintf(text, sizeof(text), "%.0f error", status);
	else
		snprintf(text, sizeof(text), status < 0 ? "-" : "cut off");
	canvas_put(top->canvas, row, column, is_stale ? TONE_PLAIN : TONE_BAD, text);
}

/* The cause and the URL in the room that there is. */
static void put_cause(const struct top *top, unsigned row, unsigned column, unsigned end,
		      const struct json *error)
{
	struct top_text cause = top_text(json_text(error, "failure"));

	column = canvas_put(top->canvas, row, column, TONE_PLAIN, cause.text) + 2;
	put_name(top, row, column, end, top_uri(json_text(error, "uri")));
}

/* Its first unit, where two do not fit. */
static void put_ago(const struct top *top, unsigned row, double ago_ms)
{
	struct figure ago = figure_age(ago_ms / MS_PER_S);
	char *second = strchr(ago.text, ' ');

	if (strlen(ago.text) > 8 && second != NULL && (second = strchr(second + 1, ' ')) != NULL)
		*second = '\0';
	canvas_put(top->canvas, row, 1, TONE_PLAIN, ago_ms < 1500 ? "now" : ago.text);
}

unsigned top_errors(const struct top *top, unsigned row, unsigned rows)
{
	enum { CAUSE = 10, AFTER = 14, TIMES = 16 };
	const struct json *errors = json_get(top->dash, "errors_recent");
	unsigned width = top->is_wide ? 96 : top->canvas->width, got = width - AFTER;

	canvas_put(top->canvas, row, 1, TONE_FAINT, "LAST");
	canvas_put(top->canvas, row, CAUSE, TONE_FAINT, "ERROR");
	canvas_put_right(top->canvas, row, width > TIMES ? width - TIMES - 1 : 0, TONE_FAINT,
			 "TIMES");
	canvas_put(top->canvas, row++, got, TONE_FAINT, "CLIENT GOT");
	if (json_count(errors) == 0)
		canvas_put(top->canvas, row++, 1, TONE_PLAIN, "None since the start.");
	for (size_t i = 0; i < json_count(errors) && i < rows; i++, row++) {
		const struct json *error = json_element(errors, i);
		double ago_ms = top->now_ms - figure_of(error, "last_ms");
		struct figure n = figure_count(figure_of(error, "n"));

		put_ago(top, row, ago_ms);
		put_cause(top, row, CAUSE, got - 5 - (unsigned)strlen(n.text), error);
		canvas_put_right(top->canvas, row, got - 3, TONE_PLAIN, n.text);
		put_got(top, row, got, figure_of(error, "status"));
	}
	return row;
}
