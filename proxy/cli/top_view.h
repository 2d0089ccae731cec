/*
 * What `cache204 top` shows: an answer of /dash.json, laid out for a terminal.  Pure: the same answer,
 * state and size are the same text, and every number of it is of the one answer.
 *
 * Rows are dropped from below where the terminal is small; the keys keep the last one.
 */
#ifndef PROXY_CLI_TOP_VIEW_H
#define PROXY_CLI_TOP_VIEW_H

#include "proxy/cli/canvas.h"
#include "proxy/cli/json.h"
#include "proxy/cli/top_state.h"

enum { TOP_MIN_HEIGHT = 2 };

/* `height` 0 is any.  The canvas has been begun with the width. */
void top_view(const struct json *dash, const struct top_state *state, unsigned height,
	      struct canvas *canvas);

#endif
