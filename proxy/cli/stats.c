/* `cache204 stats`: what the proxy has counted, since its start or between two marks, as text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/figures.h"
#include "proxy/cli/mark_name.h"
#include "proxy/cli/shown.h"

enum { PATH_MAX_LENGTH = 256, LABEL = 28, NUMBER = 16 };

static int complain(const char *text)
{
	return shown_complain("stats", text);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* A time as options have it: digits and a unit, or nothing but digits. */
static bool is_time(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 10 && strlen(text + digits) <= 3 &&
	       strspn(text + digits, "abcdefghijklmnopqrstuvwxyz") == strlen(text + digits);
}

/* False with a line in `error`. */
static bool write_path(const struct arguments *arguments, char path[PATH_MAX_LENGTH],
		       struct diagnostic *error)
{
	const char *marks[] = {arguments->since, arguments->until};

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (marks[i] != NULL && !mark_name_is_good(marks[i])) {
			diagnostic_set(error, "%.40s: not a name of a mark", marks[i]);
			return false;
		}
	if (arguments->until != NULL && arguments->since == NULL) {
		diagnostic_set(error, "--until needs --since: from which mark on?");
		return false;
	}
	if (arguments->last != NULL && (arguments->since != NULL || !is_time(arguments->last))) {
		diagnostic_set(error, "%s",
			       arguments->since != NULL ? "give --last or --since, not both"
							: "--last is a time, as 60s, 5m or 1h");
		return false;
	}
	if (arguments->last != NULL)
		snprintf(path, PATH_MAX_LENGTH, "/stats?last=%s", arguments->last);
	else if (arguments->since != NULL)
		snprintf(path, PATH_MAX_LENGTH, "/stats?since=%s%s%s", arguments->since,
			 arguments->until != NULL ? "&until=" : "",
			 arguments->until != NULL ? arguments->until : "");
	else
		snprintf(path, PATH_MAX_LENGTH, "/stats");
	return true;
}

/* ---- showing -------------------------------------------------------------------------------- */

static void write_row(const char *label, struct figure figure, const char *more)
{
	printf("  %-*.*s%*s%s\n", LABEL, LABEL, label, NUMBER, figure.text, more);
}

static void write_head(const struct json *json)
{
	const char *since = json_text(json, "since"), *until = json_text(json, "until");
	const char *note = json_text(json, "note"), *version = json_text(json, "version");
	double seconds = figure_of(json, "window_s");

	fputs("cache204 ", stdout);
	shown_write(stdout, version != NULL ? version : "");
	if (since != NULL || seconds >= 0) {
		printf(", %s", since != NULL ? "from " : "the last");
		shown_write(stdout, since != NULL ? since : "");
		fputs(since == NULL ? " " : until != NULL ? " to " : " to now, ", stdout);
		shown_write(stdout, since != NULL && until != NULL ? until : "");
		printf("%s%s", since != NULL && until != NULL ? ", " : "",
		       figure_age(seconds).text);
	} else {
		printf(", up %s", figure_age(figure_of(json, "uptime_s")).text);
	}
	if (note != NULL) {
		fputs(": ", stdout);
		shown_write(stdout, note);
	}
	putchar('\n');
}

/* Members that are numbers above 0. */
static void write_group(const char *title, const struct json *group)
{
	const char *name = NULL;
	bool any = false;

	for (size_t i = 0; json_member(group, i, &name) != NULL; i++) {
		double n = figure_of(group, name);
		char label[64];

		if (n <= 0)
			continue;
		if (!any)
			printf("\n%s\n", title);
		any = true;
		shown_copy(label, sizeof(label), name);
		write_row(label, figure_count(n), "");
	}
}

static void write_latency(const char *label, const struct json *latency)
{
	if (figure_of(latency, "count") <= 0 && figure_of(latency, "n") <= 0)
		return;
	printf("  %-*s  p50 %s, p90 %s, p99 %s\n", LABEL - 2, label,
	       figure_micros(figure_of(latency, "p50")).text,
	       figure_micros(figure_of(latency, "p90")).text,
	       figure_micros(figure_of(latency, "p99")).text);
}

static void write_summary(const struct json *json)
{
	double seconds = figure_of(json, "window_s"), share = figure_of(json, "share");
	double requests = figure_of(json, "requests");
	char rate[64];

	if (seconds < 0)
		seconds = figure_of(json, "uptime_s");
	snprintf(rate, sizeof(rate), "   %s /s", figure_rate(requests, seconds).text);
	write_row("requests", figure_count(requests), rate);
	if (share >= 0)
		write_row("without the origin", figure_percent(share), "");
	if (figure_of(json, "origin") >= 0)
		write_row("requests to origins", figure_count(figure_of(json, "origin")), "");
	if (figure_of(json, "errors") >= 0)
		write_row("errors", figure_count(figure_of(json, "errors")), "");
	if (figure_of(json, "cpu_us") >= 0)
		write_row("CPU of a request", figure_micros(figure_of(json, "cpu_us")), "");
}

static void write_text(const struct json *json)
{
	const struct json *latency = json_get(json, "latency_us");

	write_head(json);
	write_summary(json);
	write_latency("latency of all", latency);
	write_latency("latency of hits", json_get(latency, "hit"));
	write_latency("latency of misses", json_get(latency, "miss"));
	write_group("Outcomes", json_get(json, "outcomes"));
	write_group("Why origins were asked", json_get(json, "not_reused"));
	write_group("Why responses were not stored", json_get(json, "not_stored"));
	write_group("Failures", json_get(json, "failures"));
	write_group("Store", json_get(json, "store"));
}

/* The status that the process ends with. */
static int tell(const struct arguments *arguments, const struct answer *answer)
{
	struct json *json = answer->status == 200 ? json_read(answer->content) : NULL;
	struct diagnostic text;

	if (json == NULL) {
		struct slice line = ask_reason(answer);

		diagnostic_set(&text, "%.*s", (int)(line.n < 400 ? line.n : 400), line.p);
		complain(text.text);
		return answer->status == 404 ? EXIT_REFUSED : EXIT_USAGE;
	}
	if (arguments_have(arguments, FLAG_JSON))
		fwrite(answer->content.p, 1, answer->content.n, stdout);
	else
		write_text(json);
	json_free(json);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_USAGE;
}

int run_stats(const struct arguments *arguments)
{
	struct answer answer = {0};
	struct diagnostic error;
	char path[PATH_MAX_LENGTH];
	struct asked asked;
	int status;
	bool ok;

	if (!write_path(arguments, path, &error))
		return complain(error.text);
	ok = ask_begin(arguments, &asked, &error) && ask(&asked, "GET", path, &answer, &error);
	status = ok ? tell(arguments, &answer) : complain(error.text);
	ask_free(&answer);
	ask_end(&asked);
	return status;
}
