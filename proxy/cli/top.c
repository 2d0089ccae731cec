/* `cache204 top`: the operator's page for a terminal, an answer every two seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/monotonic.h"
#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/figures.h"
#include "proxy/cli/mark_name.h"
#include "proxy/cli/screen.h"
#include "proxy/cli/shown.h"
#include "proxy/cli/top_view.h"

enum {
	EVERY_US = 2000000,
	LIMIT_MS = 2000, /* for one answer: keys wait for it */
	MESSAGE_US = 4000000,
	URL_MAX = 2048,
	YOUNG_MS = 300000,
	COLUMNS_MIN = 40,  /* narrower terminals see a part */
	COLUMNS_ONCE = 80, /* with -1, where there is no terminal */
};

static const char *const orders[] = {"requests", "asked", "bytes", "failures", "first_byte"};

enum { ORDERS = sizeof(orders) / sizeof(orders[0]) };

struct program {
	const struct arguments *arguments;
	struct asked asked;
	struct json *dash; /* the last answer; NULL for none */
	struct top_state state;
	unsigned order;
	bool colours;
	struct diagnostic trouble, message;
	int64_t ask_at_us, message_until_us;
	struct canvas canvas;
};

static int complain(const char *text)
{
	return shown_complain("top", text);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* Then the last hour has next to nothing to show, and the last five minutes have. */
static bool has_just_begun(const struct json *dash)
{
	double up_ms = figure_of(dash, "now_ms") - figure_of(dash, "start_ms");

	return figure_of(dash, "start_ms") >= 0 && up_ms < YOUNG_MS;
}

/* The answer and the numbers on the screen stay as they were when there is none. */
static bool ask_dash(struct program *top)
{
	char path[128];
	struct answer answer;
	struct json *dash = NULL;
	struct slice line;

	snprintf(path, sizeof(path), "/dash.json?window=%u&step=%s&sort=%s", top->state.window_s,
		 has_just_begun(top->dash) ? "1" : "10", orders[top->order]);
	if (ask(&top->asked, "GET", path, &answer, &top->trouble)) {
		line = ask_reason(&answer);
		if (answer.status == 200)
			dash = json_read(answer.content);
		if (answer.status == 404)
			diagnostic_set(
				&top->trouble,
				"the proxy that runs there knows no /dash.json: it is older");
		else if (dash == NULL)
			diagnostic_set(&top->trouble, "the proxy answers %u: %.*s", answer.status,
				       (int)(line.n < 200 ? line.n : 200), line.p);
	}
	ask_free(&answer);
	if (dash != NULL) {
		json_free(top->dash);
		top->dash = dash;
	}
	top->state.trouble = dash != NULL ? NULL : top->trouble.text;
	return dash != NULL;
}

static void say(struct program *top, const char *text)
{
	diagnostic_set(&top->message, "%s", text);
	top->state.message = top->message.text;
	top->message_until_us = monotonic_us() + MESSAGE_US;
}

/* ---- showing -------------------------------------------------------------------------------- */

/* What was there is erased first: behind the last column the cursor stands on its sign, and would take that along. */
static bool put_rows(struct program *top, unsigned rows, struct buf *out)
{
	bool ok = buf_append(out, SLICE("\033[H"));

	for (unsigned row = 0; row < rows && ok; row++) {
		bool is_last = row + 1 == rows;

		ok = buf_append(out, is_last ? SLICE("\033[J") : SLICE("\033[K")) &&
		     canvas_write_row(&top->canvas, row, top->colours, out) &&
		     (is_last || buf_append(out, SLICE("\r\n")));
	}
	return ok;
}

static void draw(struct program *top)
{
	struct screen_size size = screen_size();
	struct buf out = {0};

	canvas_begin(&top->canvas, size.columns < COLUMNS_MIN ? COLUMNS_MIN : size.columns);
	if (size.rows > CANVAS_ROWS)
		size.rows = CANVAS_ROWS;
	top_view(top->dash, &top->state, size.rows, &top->canvas);
	if (put_rows(top, size.rows, &out)) {
		fwrite(buf_waiting(&out).p, 1, buf_length(&out), stdout);
		fflush(stdout);
	}
	buf_free(&out);
}

/* -1: what there is, in as many rows as it takes. */
static int show_once(struct program *top)
{
	const char *columns = getenv("COLUMNS");
	unsigned width = columns != NULL ? (unsigned)strtoul(columns, NULL, 10) : 0;
	struct buf out = {0};
	bool ok = true;

	if (!ask_dash(top) || (has_just_begun(top->dash) && !ask_dash(top)))
		return complain(top->trouble.text);
	if (width == 0)
		width = screen_size().columns;
	canvas_begin(&top->canvas, width < COLUMNS_MIN ? COLUMNS_ONCE : width);
	top_view(top->dash, &top->state, 0, &top->canvas);
	for (unsigned row = 0; row < top->canvas.rows && ok; row++)
		ok = canvas_write_row(&top->canvas, row, top->colours, &out) &&
		     buf_append(&out, SLICE("\n"));
	if (!ok)
		complain("out of memory");
	ok = ok && fwrite(buf_waiting(&out).p, 1, buf_length(&out), stdout) == buf_length(&out) &&
	     fflush(stdout) == 0;
	buf_free(&out);
	return ok ? EXIT_SUCCESS : EXIT_USAGE;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* The same command as in a shell, on the page that was there before. */
static void explain(struct program *top)
{
	struct arguments arguments = *top->arguments;
	char url[URL_MAX], *operands[] = {url};

	if (!screen_read_line(" explain the URL: ", url, sizeof(url)))
		return;
	screen_end();
	arguments.operands = operands;
	arguments.operand_count = 1;
	arguments.given &= ~(UINT32_C(1) << FLAG_JSON | UINT32_C(1) << FLAG_FETCH);
	run_explain(&arguments);
	fputs("\nEnter goes back to top. ", stdout);
	fflush(stdout);
	for (int c = getchar(); c != '\n' && c != EOF; c = getchar())
		continue;
	if (!screen_begin())
		exit(EXIT_USAGE);
}

static void set_mark(struct program *top)
{
	char name[MARK_NAME + 1];
	struct diagnostic text;

	if (!screen_read_line(" set a mark of the name: ", name, sizeof(name)))
		return;
	if (mark_set(&top->asked, name, NULL, &text))
		diagnostic_set(&text, "mark %s is set", name);
	say(top, text.text);
}

static void pick_window(struct program *top, unsigned seconds)
{
	top->state.window_s = seconds;
	top->ask_at_us = 0;
}

static void pick_list(struct program *top, enum top_list list)
{
	top->state.list = list;
}

/* False when it ends. */
static bool press(struct program *top, char key)
{
	switch (key) {
	case 'q':
		return false;
	case '1':
		pick_window(top, 60);
		break;
	case '2':
		pick_window(top, 3600);
		break;
	case '3':
		pick_window(top, 0);
		break;
	case 'h':
		pick_list(top, TOP_HOSTS);
		break;
	case 'u':
		pick_list(top, TOP_URLS);
		break;
	case 'w':
		pick_list(top, TOP_WHY);
		break;
	case 'e':
		pick_list(top, TOP_ERRORS);
		break;
	case 's':
		top->order = (top->order + 1) % ORDERS;
		diagnostic_set(&top->message, "ordered by %s", orders[top->order]);
		say(top, top->message.text);
		top->ask_at_us = 0;
		break;
	case 'p':
		top->state.is_paused = !top->state.is_paused;
		top->ask_at_us = 0;
		break;
	case '/':
		explain(top);
		break;
	case 'm':
		set_mark(top);
		top->ask_at_us = 0;
		break;
	default:
		break;
	}
	return true;
}

static int run(struct program *top)
{
	bool goes_on = true;

	while (goes_on) {
		int64_t now_us = monotonic_us();
		char key;

		if (now_us >= top->message_until_us)
			top->state.message = NULL;
		if (!top->state.is_paused && now_us >= top->ask_at_us) {
			ask_dash(top);
			top->ask_at_us = monotonic_us() + EVERY_US;
		}
		draw(top);
		switch (screen_wait(top->state.is_paused ? now_us + EVERY_US : top->ask_at_us,
				    &key)) {
		case SCREEN_KEY:
			goes_on = press(top, key);
			break;
		case SCREEN_CLOSED:
			goes_on = false;
			break;
		case SCREEN_TIME:
		case SCREEN_RESIZED:
			break;
		}
	}
	screen_end();
	return EXIT_SUCCESS;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool wants_colours(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return (none == NULL || none[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

/* The status that the process ends with. */
static int show(struct program *top)
{
	if (arguments_have(top->arguments, FLAG_ONCE))
		return show_once(top);
	if (!screen_begin())
		return complain("this is no terminal: -1 prints it once");
	top->state.has_keys = true;
	top->colours = wants_colours();
	return run(top);
}

int run_top(const struct arguments *arguments)
{
	struct program *top = calloc(1, sizeof(*top));
	struct diagnostic error;
	int status;

	if (top == NULL)
		return complain("out of memory");
	top->arguments = arguments;
	top->state.window_s = 60;
	if (ask_begin(arguments, &top->asked, &error)) {
		top->asked.timeout_ms = LIMIT_MS;
		status = show(top);
	} else {
		status = complain(error.text);
	}
	json_free(top->dash);
	ask_end(&top->asked);
	free(top);
	return status;
}
