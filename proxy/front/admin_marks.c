/* Marks by operators: set, listed, and the statistics between two of them. */
#include "proxy/front/admin_marks.h"

#include <stdio.h>
#include <string.h>

#include "cache/base/decimal.h"
#include "proxy/base/json_writer.h"
#include "proxy/base/log.h"
#include "proxy/base/wall_clock.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/admin_params.h"
#include "proxy/loop/env.h"
#include "proxy/stats/history.h"
#include "proxy/stats/marks.h"

enum { TEXT_MAX = 16 * 1024 };

static const char prefix[] = "/marks/";

/* What stands behind the prefix in the target, before any parameters. */
static struct slice name_in(struct slice target)
{
	size_t begin = sizeof(prefix) - 1;
	const char *query = memchr(target.p, '?', target.n);
	size_t end = query != NULL ? (size_t)(query - target.p) : target.n;

	return slice_of(target.p + begin, end - begin);
}

/* As far as there is room; what is not printable ASCII becomes '?'. */
static void copy_text(char *to, size_t size, struct slice from)
{
	size_t n = from.n < size - 1 ? from.n : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = from.p[i] >= ' ' && from.p[i] <= '~' ? from.p[i] : '?';
	to[n] = '\0';
}

/* The one parameter that a mark may have. */
static bool read_note(struct admin_params *params, char note[MARK_NOTE_MAX + 1])
{
	struct slice name, value;
	bool good = true;

	while (good && admin_params_next(params, &name, &value)) {
		good = slice_eq(name, SLICE("note"));
		copy_text(note, MARK_NOTE_MAX + 1, value);
	}
	return good && !params->bad;
}

static void answer_set(struct exchange *x, const struct mark *mark, const char *gone)
{
	char operator[ADDRESS_TEXT_SIZE];
	struct json_writer out;

	address_format(&x->peer, operator);
	log_info("mark %s set by %s%s%s", mark->name, operator,
		 gone[0] == '\0' ? "" : "; the oldest made room: ", gone);
	json_writer_begin(&out, JSON_LINES, TEXT_MAX);
	json_put_object(&out, NULL);
	json_put_words(&out, "name", mark->name);
	json_put_signed(&out, "ms", mark->wall_ms);
	json_put_words(&out, "gone", gone[0] == '\0' ? NULL : gone);
	json_put_end(&out);
	admin_answer_json(x, 201, &out);
}

void admin_marks_set(struct exchange *x)
{
	const struct env *env = x->use->env;
	struct slice name = name_in(x->req.uri.path);
	struct mark mark = {.wall_ms = wall_clock_ms()};
	char gone[MARK_NAME_MAX + 1];
	struct admin_params params;
	struct stats sum;
	bool good;

	if (!admin_read_params(x, &params))
		return;
	good = mark_name_is_valid(name) && read_note(&params, mark.note);
	admin_params_end(&params);
	if (!good) {
		admin_refuse(
			x, 400, ADMIN_FIELDS,
			"A mark is POST /marks/NAME, or /marks/NAME?note=TEXT: the name begins "
			"with a letter and has up to 32 letters, digits, '.', '_' and '-'.\n");
		return;
	}
	copy_text(mark.name, sizeof(mark.name), name);
	turn_read_clocks(env->turn);
	mark.at_us = env->turn->now_us;
	admin_page_sum(env, &sum);
	if (marks_set(env->service->marks, &mark, &sum, gone))
		answer_set(x, &mark, gone);
	else
		admin_refuse(x, 503, ADMIN_FIELDS "Retry-After: 1\r\n",
			     "Another mark is being set at this moment: try again.\n");
}

void admin_marks_show(struct exchange *x)
{
	struct mark marks[MARKS_MAX];
	unsigned count = marks_list(x->use->env->service->marks, marks);
	struct json_writer out;

	json_writer_begin(&out, JSON_LINES, TEXT_MAX);
	json_put_object(&out, NULL);
	json_put_array(&out, "marks");
	for (const struct mark *mark = marks; mark < marks + count; mark++) {
		json_put_object(&out, NULL);
		json_put_words(&out, "name", mark->name);
		json_put_signed(&out, "ms", mark->wall_ms);
		json_put_words(&out, "note", mark->note);
		json_put_end(&out);
	}
	json_put_end(&out);
	json_put_end(&out);
	admin_answer_json(x, 200, &out);
}

/* ---- between two moments -------------------------------------------------------------------- */

/* 404, with the names that there are. */
static void refuse_unknown(struct exchange *x, struct slice name)
{
	struct mark marks[MARKS_MAX];
	unsigned count = marks_list(x->use->env->service->marks, marks);
	char text[256 + MARKS_MAX * (MARK_NAME_MAX + 2)], quoted[3 * MARK_NAME_MAX];
	size_t n;

	log_quote(name.p, name.n, quoted, sizeof(quoted));
	n = (size_t)snprintf(text, sizeof(text), "There is no mark %s.", quoted);
	n += (size_t)snprintf(text + n, sizeof(text) - n, count == 0 ? " None is set" : " Set are");
	for (unsigned i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s", i == 0 ? "" : ",",
				      marks[i].name);
	snprintf(text + n, sizeof(text) - n,
		 ": `cache204 mark NAME` or POST /marks/NAME sets one.\n");
	admin_refuse(x, 404, ADMIN_FIELDS, text);
}

static bool find(struct exchange *x, struct slice name, struct mark *ret_mark,
		 struct stats *ret_sum)
{
	bool found = marks_find(x->use->env->service->marks, name, ret_mark, ret_sum);

	if (!found)
		refuse_unknown(x, name);
	return found;
}

static void refuse_parameters(struct exchange *x)
{
	admin_refuse(x, 400, ADMIN_FIELDS,
		     "Say /stats for all since the start, or /stats?since=MARK, or "
		     "/stats?since=MARK&until=MARK, or /stats?last=60s, 5m or 1h at most.\n");
}

static bool between(struct exchange *x, struct slice since, struct slice until,
		    const struct stats *now, struct report_span *span, struct stats *ret_between)
{
	struct mark from, to = {.wall_ms = wall_clock_ms(), .at_us = x->use->turn->now_us};
	struct stats then, end;

	if (!find(x, since, &from, &then))
		return false;
	if (until.n > 0 && !find(x, until, &to, &end))
		return false;
	if (to.at_us < from.at_us) {
		admin_refuse(x, 400, ADMIN_FIELDS,
			     "The mark of until= was set before that of since=.\n");
		return false;
	}
	stats_difference(until.n > 0 ? &end : now, &then, ret_between);
	*span = (struct report_span){
		.from_ms = from.wall_ms,
		.to_ms = to.wall_ms,
		.length_us = to.at_us - from.at_us,
	};
	snprintf(span->since, sizeof(span->since), "%s", from.name);
	snprintf(span->until, sizeof(span->until), "%s", to.name);
	snprintf(span->note, sizeof(span->note), "%s", from.note);
	return true;
}

/* "60s", "5m", "1h", up to what is kept; 0 for anything else. */
static unsigned seconds_of(struct slice text)
{
	static const struct {
		char unit;
		unsigned seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
	uint64_t number;

	if (text.n < 2 ||
	    !decimal_read(slice_of(text.p, text.n - 1), HISTORY_WINDOW_MAX_S, &number))
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text.p[text.n - 1] == units[i].unit &&
		    number * units[i].seconds <= HISTORY_WINDOW_MAX_S)
			return (unsigned)number * units[i].seconds;
	return 0;
}

static void last_seconds(const struct exchange *x, unsigned seconds, const struct stats *now,
			 struct report_span *span, struct stats *ret_between)
{
	const struct stats_service *service = x->use->env->service;
	struct history_span last = {
		.window_s = seconds,
		.now_ms = x->use->turn->now_us / 1000,
		.started_ms = service->started_us / 1000,
	};
	int64_t wall_ms = wall_clock_ms();

	history_window(service->history, now, &last, ret_between);
	*span = (struct report_span){
		.from_ms = wall_ms - last.length_ms,
		.to_ms = wall_ms,
		.length_us = last.length_ms * 1000,
	};
}

bool admin_marks_since(struct exchange *x, struct slice name, const struct stats *now,
		       struct stats *ret_between, double *ret_length_s)
{
	struct mark from;
	struct stats then;

	if (!find(x, name, &from, &then))
		return false;
	stats_difference(now, &then, ret_between);
	*ret_length_s = (double)(x->use->turn->now_us - from.at_us) / 1e6;
	return true;
}

bool admin_marks_span(struct exchange *x, const struct stats *now, struct report_span *ret_span,
		      struct stats *ret_between)
{
	struct slice name, value, since = {"", 0}, until = {"", 0};
	struct admin_params params;
	unsigned seconds = 0;
	bool good = true;

	*ret_span = (struct report_span){.is_all = true};
	if (!admin_read_params(x, &params))
		return false;
	while (good && admin_params_next(&params, &name, &value)) {
		if (slice_eq(name, SLICE("since")))
			since = value;
		else if (slice_eq(name, SLICE("until")))
			until = value;
		else if (slice_eq(name, SLICE("last")))
			good = (seconds = seconds_of(value)) > 0;
		else
			good = false;
		good = good && value.n > 0;
	}
	good = good && !params.bad && (until.n == 0 || since.n > 0) &&
	       (seconds == 0 || since.n == 0);
	if (!good)
		refuse_parameters(x);
	else if (seconds > 0)
		last_seconds(x, seconds, now, ret_span, ret_between);
	else if (since.n > 0)
		good = between(x, since, until, now, ret_span, ret_between);
	admin_params_end(&params);
	return good;
}
