/* What `cache204 top` shows: its order from above, and what is left out where it does not fit. */
#include "proxy/cli/top_view.h"

#include "proxy/cli/figures.h"
#include "proxy/cli/top_parts.h"

enum {
	ROWS_ALL = 12,   /* of a list, where the height is any */
	ROWS_LEAST = 3,  /* of a list, before what is below it goes */
	ERRORS_BELOW = 3 /* below hosts, on a wide terminal */
};

static void put_keys(const struct top *top, unsigned row)
{
	canvas_put(top->canvas, row, 1, TONE_FAINT,
		   top->is_wide
			   ? "h hosts   u urls   w why   e errors   s order   / explain a URL   "
			     "m set a mark   1 2 3 window   p pause   q quit"
			   : "h hosts  u urls  w why  e errors  s order  / explain  m mark  123 "
			     "span  q quit");
}

static unsigned put_list(const struct top *top, unsigned row, unsigned rows)
{
	switch (top->state->list) {
	case TOP_WHY:
		return top_reasons(top, row, rows);
	case TOP_ERRORS:
		return top_errors(top, row, rows);
	case TOP_HOSTS:
	case TOP_URLS:
		break;
	}
	return top_hosts(top, row, rows);
}

/* How many rows a list may have: what is left above `below` others, or nearly none. */
static unsigned room(unsigned height, unsigned row, unsigned below)
{
	if (height == 0)
		return ROWS_ALL;
	return row + 1 + below + ROWS_LEAST < height ? height - row - 1 - below : ROWS_LEAST;
}

static void put_narrow(const struct top *top, unsigned row, unsigned height, unsigned keys)
{
	row = top_vitals(top, row) + 1;
	row = put_list(top, row, room(height, row, 3 + keys)) + 1;
	if (top->state->list != TOP_WHY)
		top_reason_lines(top, row);
}

static void put_wide(const struct top *top, unsigned row, unsigned height, unsigned keys)
{
	bool has_errors = json_count(json_get(top->dash, "errors_recent")) > 0 &&
			  top->state->list != TOP_ERRORS;

	row = top_last_hour(top, row) + 1;
	row = top_latency_and_reasons(top, row) + 1;
	row = put_list(top, row, room(height, row, keys + (has_errors ? ERRORS_BELOW + 2 : 0))) + 1;
	if (has_errors)
		top_errors(top, row, ERRORS_BELOW);
}

static void put_begin(const struct top *top, unsigned row)
{
	const char *proxy = json_text(top->dash, "proxy");
	struct top_text address = top_text(proxy != NULL ? proxy : "127.0.0.1:3128");
	struct canvas *canvas = top->canvas;
	unsigned column = canvas_put(canvas, row, 4, TONE_PLAIN, "export http_proxy=http://");

	canvas_put(canvas, row, column, TONE_PLAIN, address.text);
	canvas_put(canvas, row + 1, 4, TONE_PLAIN, "curl -si http://YOUR-ORIGIN/ping");
	canvas_put(canvas, row + 3, 1, TONE_PLAIN,
		   "Already sent something? Programs skip the proxy for localhost (no_proxy), and");
	canvas_put(canvas, row + 4, 1, TONE_PLAIN,
		   "through https_proxy ask for a tunnel, in which nothing can be cached.");
}

/* Of what was put only the first rows stay. */
static void cut(struct canvas *canvas, unsigned height)
{
	for (unsigned row = height; row < canvas->rows; row++)
		for (unsigned column = 0; column < canvas->width; column++)
			canvas->cells[row][column] = ' ';
	if (canvas->rows > height)
		canvas->rows = height;
}

void top_view(const struct json *dash, const struct top_state *state, unsigned height,
	      struct canvas *canvas)
{
	struct top top = {.dash = dash, .state = state, .canvas = canvas};
	bool is_empty;
	unsigned row, keys = state->has_keys ? 2 : 0;

	top.seconds = figure_of(dash, "window_s");
	top.now_ms = figure_of(dash, "now_ms");
	top.is_wide = canvas->width >= TOP_WIDE;
	is_empty = top_all_204s(&top) == 0 && figure_of(json_get(dash, "share"), "w0") < 0;
	row = top_head(&top, 0);
	row = top_verdict(&top, row) + 1;
	if (dash != NULL)
		row = top_number(&top, row) + 1;
	if (is_empty)
		put_begin(&top, row);
	else if (dash != NULL && top.is_wide)
		put_wide(&top, row, height, keys);
	else if (dash != NULL)
		put_narrow(&top, row, height, keys);
	if (height == 0 && keys > 0) {
		put_keys(&top, canvas->rows + 1);
	} else if (height > 0) {
		cut(canvas, keys > 0 ? height - 1 : height);
		if (keys > 0 && state->message != NULL)
			canvas_put(canvas, height - 1, 1, TONE_STRONG,
				   top_text(state->message).text);
		else if (keys > 0)
			put_keys(&top, height - 1);
	}
}
