/* Parts of what `cache204 top` shows, for its narrow and its wide form.  Each returns the row behind. */
#ifndef PROXY_CLI_TOP_PARTS_H
#define PROXY_CLI_TOP_PARTS_H

#include "proxy/cli/canvas.h"
#include "proxy/cli/json.h"
#include "proxy/cli/top_state.h"

struct top {
	const struct json *dash;
	const struct top_state *state;
	struct canvas *canvas;
	double seconds; /* of the window */
	double now_ms;
	bool is_wide;
};

/* Text of the answer, with what is not printable ASCII escaped. */
enum { TOP_TEXT = 300 };
struct top_text {
	char text[TOP_TEXT];
};
struct top_text top_text(const char *text);
struct top_text top_uri(const char *uri); /* without "http://" */

/* The sum of 204s, and of those without the origin; -1 when not known. */
double top_all_204s(const struct top *top);

unsigned top_head(const struct top *top, unsigned row);
unsigned top_verdict(const struct top *top, unsigned row);
unsigned top_number(const struct top *top, unsigned row);
unsigned top_vitals(const struct top *top, unsigned row);
unsigned top_last_hour(const struct top *top, unsigned row);
unsigned top_latency_and_reasons(const struct top *top, unsigned row);
unsigned top_reason_lines(const struct top *top, unsigned row);
/* At most so many rows beside the heading. */
unsigned top_hosts(const struct top *top, unsigned row, unsigned rows);
unsigned top_reasons(const struct top *top, unsigned row, unsigned rows);
unsigned top_errors(const struct top *top, unsigned row, unsigned rows);

#endif
