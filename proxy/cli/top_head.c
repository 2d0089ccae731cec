/* The head of `cache204 top`: who it is, what needs the operator, the one number and its parts. */
#include <stdio.h>
#include <string.h>

#include "proxy/cli/figures.h"
#include "proxy/cli/shown.h"
#include "proxy/cli/top_parts.h"

enum { MS_PER_S = 1000, MS_PER_MIN = 60000, NOTES_MAX = 4, SOURCES = 5 };

static const struct source {
	const char *name;
	char sign;
	enum tone tone;
} sources[SOURCES] = {
	{"fresh", '=', TONE_HERE},       {"shared", '=', TONE_HERE},    {"stale", '~', TONE_HERE},
	{"confirmed", 'c', TONE_ORIGIN}, {"fetched", 'o', TONE_ORIGIN},
};

struct top_text top_text(const char *text)
{
	struct top_text shown;

	shown_copy(shown.text, sizeof(shown.text), text != NULL ? text : "-");
	return shown;
}

struct top_text top_uri(const char *uri)
{
	static const char scheme[] = "http://";

	if (uri != NULL && strncmp(uri, scheme, sizeof(scheme) - 1) == 0)
		uri += sizeof(scheme) - 1;
	return top_text(uri);
}

/* ---- who ------------------------------------------------------------------------------------ */

static void put_windows(const struct top *top, unsigned row, unsigned column)
{
	static const struct {
		unsigned seconds;
		const char *name;
	} windows[] = {{60, "1 min"}, {3600, "1 h"}, {0, "start"}};

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		bool is_it = windows[i].seconds == top->state->window_s;

		if (is_it)
			column = canvas_put(top->canvas, row, column, TONE_STRONG, "[");
		column = canvas_put(top->canvas, row, column, is_it ? TONE_STRONG : TONE_FAINT,
				    windows[i].name);
		if (is_it)
			column = canvas_put(top->canvas, row, column, TONE_STRONG, "]");
		column += 2;
	}
}

/* As long as it stays clear of what stands at the right: else it is left out.  Returns the column behind. */
static unsigned put_part(const struct top *top, unsigned row, unsigned column, unsigned end,
			 const char *text)
{
	if (column + 2 + strlen(text) >= end)
		return column;
	return canvas_put(top->canvas, row, column + 2, TONE_PLAIN, text);
}

unsigned top_head(const struct top *top, unsigned row)
{
	const char *name = json_text(top->dash, "name");
	struct top_text version = top_text(json_text(top->dash, "version"));
	double up_ms = top->now_ms - figure_of(top->dash, "start_ms");
	double workers = figure_of(top->dash, "workers");
	unsigned width = top->canvas->width, right = width - (top->is_wide ? 35 : 31);
	unsigned column = canvas_put(top->canvas, row, 0, TONE_STRONG, "cache204");
	char text[64];

	/* what a build adds to a version is told by cache204 -V */
	version.text[strcspn(version.text, "+")] = '\0';
	version.text[12] = '\0';
	if (top->dash != NULL) {
		column = canvas_put(top->canvas, row, column + 1, TONE_PLAIN, version.text);
		if (name != NULL)
			column = put_part(top, row, column, right, top_text(name).text);
		snprintf(text, sizeof(text), "up %s", figure_age(up_ms / MS_PER_S).text);
		column = put_part(top, row, column, right, text);
		snprintf(text, sizeof(text), "%s worker%s", figure_count(workers).text,
			 workers > 0 && workers < 2 ? "" : "s");
		put_part(top, row, column, right, text);
	}
	put_windows(top, row, right);
	snprintf(text, sizeof(text), "%s%s",
		 top->state->is_paused ? "paused" : figure_clock(top->now_ms).text,
		 top->is_wide && !top->state->is_paused ? " UTC" : "");
	canvas_put_right(top->canvas, row, width, TONE_PLAIN, text);
	return row + 1;
}

/* ---- what needs the operator ---------------------------------------------------------------- */

/* A level of notes.def as a sign: trouble of clients, trouble, a word. */
static const char *sign_of(const struct json *note)
{
	const char *level = json_text(note, "level");

	if (level != NULL && strcmp(level, "bad") == 0)
		return "!!";
	return level != NULL && strcmp(level, "warn") == 0 ? "!" : "i";
}

/* Broken at a space into two rows, where one is too short.  Returns the row behind. */
static unsigned put_sentence(const struct top *top, unsigned row, enum tone tone,
			     struct top_text sentence, unsigned room)
{
	size_t n = strlen(sentence.text), at = room;

	if (n > room) {
		while (at > 0 && sentence.text[at] != ' ')
			at--;
		if (at > 0) {
			sentence.text[at] = '\0';
			canvas_put(top->canvas, row++, 4, tone, sentence.text);
			memmove(sentence.text, sentence.text + at + 1, n - at);
		}
	}
	canvas_put(top->canvas, row++, 4, tone, sentence.text);
	return row;
}

static unsigned put_note(const struct top *top, unsigned row, const struct json *note)
{
	const char *sign = sign_of(note), *advice = json_text(note, "do");
	struct top_text sentence = top_text(json_text(note, "text"));
	double since_ms = figure_of(note, "since_ms");
	enum tone tone = sign[0] == 'i'            ? TONE_PLAIN
			 : strcmp(sign, "!!") == 0 ? TONE_BAD
						   : TONE_STRONG;
	char since[64];

	canvas_put(top->canvas, row, 0, tone, sign);
	if (top->is_wide && since_ms >= 0) {
		snprintf(since, sizeof(since), "since %.5s", figure_clock(since_ms).text);
		canvas_put_right(top->canvas, row, top->canvas->width, TONE_FAINT, since);
	}
	row = put_sentence(top, row, tone, sentence, top->canvas->width - (top->is_wide ? 17 : 4));
	if (top->is_wide && advice != NULL)
		row = put_sentence(top, row, TONE_PLAIN, top_text(advice), top->canvas->width - 4);
	return row;
}

/* When a client last got an error, or -1. */
static double last_error_ms(const struct top *top)
{
	const struct json *errors = json_get(top->dash, "errors_recent");
	double latest = -1;

	for (size_t i = 0; i < json_count(errors); i++) {
		const struct json *error = json_element(errors, i);
		double status = figure_of(error, "status"), ms = figure_of(error, "last_ms");

		if ((status < 200 || status >= 400) && ms > latest)
			latest = ms;
	}
	return latest;
}

static void put_nothing(const struct top *top, unsigned row)
{
	double latest_ms = last_error_ms(top);
	char text[128];

	if (latest_ms < 0)
		snprintf(text, sizeof(text),
			 "Nothing needs you. No client got an error since the start.");
	else if (top->now_ms - latest_ms < MS_PER_MIN)
		snprintf(text, sizeof(text),
			 "Nothing needs you. The last error is less than a minute ago.");
	else
		snprintf(text, sizeof(text),
			 "Nothing needs you. No client got an error in the last %s.",
			 figure_age((top->now_ms - latest_ms) / MS_PER_S).text);
	canvas_put(top->canvas, row, 0, TONE_HERE, "ok");
	canvas_put(top->canvas, row, 4, TONE_PLAIN, text);
}

unsigned top_verdict(const struct top *top, unsigned row)
{
	const struct json *notes = json_get(top->dash, "notes");
	size_t count = json_count(notes);
	bool has_trouble = false;

	if (top->state->trouble != NULL) {
		char text[64];

		canvas_put(top->canvas, row, 0, TONE_BAD, "??");
		snprintf(text, sizeof(text), "Not known since %s.", figure_clock(top->now_ms).text);
		row++;
		canvas_put(top->canvas, row, 4, TONE_PLAIN, top_text(top->state->trouble).text);
		canvas_put(top->canvas, row - 1, 4, TONE_BAD,
			   top->dash != NULL ? text : "Nothing is known yet.");
		return row + 1;
	}
	for (size_t i = 0; i < count && i < NOTES_MAX; i++)
		has_trouble = has_trouble || strcmp(sign_of(json_element(notes, i)), "i") != 0;
	if (!has_trouble)
		put_nothing(top, row++);
	for (size_t i = 0; i < count && i < NOTES_MAX; i++)
		row = put_note(top, row, json_element(notes, i));
	return row;
}

/* ---- the number ----------------------------------------------------------------------------- */

static double source_count(const struct top *top, size_t i)
{
	return figure_of(json_get(top->dash, "answers204"), sources[i].name);
}

double top_all_204s(const struct top *top)
{
	double sum = 0;

	for (size_t i = 0; i < SOURCES; i++) {
		double n = source_count(top, i);

		if (n < 0)
			return -1;
		sum += n;
	}
	return sum;
}

/* Each part that is there has a sign at least. */
static void put_bar(const struct top *top, unsigned row, unsigned column, unsigned width,
		    double all)
{
	double done = 0;
	unsigned at = 0;

	for (size_t i = 0; i < SOURCES; i++) {
		double n = source_count(top, i);
		unsigned end, after = 0;

		if (n <= 0)
			continue;
		for (size_t j = i + 1; j < SOURCES; j++)
			after += source_count(top, j) > 0;
		done += n;
		end = after == 0 ? width : (unsigned)(done / all * width + 0.5);
		if (end <= at)
			end = at + 1;
		if (end > width - (after < width ? after : 0))
			end = width - (after < width ? after : 0);
		canvas_fill(top->canvas, row, column + at, end > at ? end - at : 0, sources[i].tone,
			    sources[i].sign);
		at = end;
	}
}

static void put_legend(const struct top *top, unsigned row, double all)
{
	static const size_t from[] = {0, 2, 3, 4};
	unsigned column = 1;
	char text[64];

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		const struct source *source = &sources[from[i]];
		double n = source_count(top, from[i]) + (i == 0 ? source_count(top, 1) : 0);

		snprintf(text, sizeof(text), "%c %s %s", source->sign, source->name,
			 figure_points(n / all).text);
		column = canvas_put(top->canvas, row, column, source->tone, text) + 3;
	}
	snprintf(text, sizeof(text), "%s 204s/s", figure_rate(all, top->seconds).text);
	canvas_put_right(top->canvas, row, top->canvas->width, TONE_PLAIN, text);
}

unsigned top_number(const struct top *top, unsigned row)
{
	const struct json *share = json_get(top->dash, "share");
	double all = top_all_204s(top),
	       here = source_count(top, 0) + source_count(top, 1) + source_count(top, 2);
	double stale = figure_share(source_count(top, 2), all);
	unsigned width = top->canvas->width, column;
	char text[160];

	if (all <= 0) {
		canvas_put(top->canvas, row, 1, TONE_STRONG,
			   figure_of(share, "w0") < 0 ? "No 204 yet. To begin:"
						      : "No 204 in this time.");
		return row + 1;
	}
	column = canvas_put(top->canvas, row, 1, TONE_STRONG, figure_percent(here / all).text);
	if (stale > 0.01)
		snprintf(text, sizeof(text),
			 "of 204s answered without the origin: %s fresh, %s STALE",
			 figure_points(here / all - stale).text, figure_points(stale).text);
	else
		snprintf(text, sizeof(text), "of 204s answered without the origin");
	column = canvas_put(top->canvas, row, column + 2, TONE_PLAIN, text);
	snprintf(text, sizeof(text), "  1 h %s   since start %s",
		 figure_percent(figure_of(share, "w3600")).text,
		 figure_percent(figure_of(share, "w0")).text);
	if (column + strlen(text) <= width)
		canvas_put_right(top->canvas, row, width, TONE_PLAIN, text);
	put_bar(top, row + 1, 1, width > 2 ? width - 2 : 1, all);
	put_legend(top, row + 2, all);
	return row + 3;
}
