/*
 * A page of a terminal: text put at rows and columns, with a tone that a terminal with colours shows.
 *
 * Only printable ASCII is put; what does not fit is cut.
 */
#ifndef PROXY_CLI_CANVAS_H
#define PROXY_CLI_CANVAS_H

#include "proxy/base/buf.h"

enum { CANVAS_ROWS = 120, CANVAS_COLUMNS = 300 };

/* What a colour adds to what is said in words or signs as well. */
enum tone { TONE_PLAIN, TONE_STRONG, TONE_FAINT, TONE_HERE, TONE_ORIGIN, TONE_BAD, TONE_COUNT };

struct canvas {
	unsigned width;
	unsigned rows; /* that something was put on */
	char cells[CANVAS_ROWS][CANVAS_COLUMNS];
	unsigned char tones[CANVAS_ROWS][CANVAS_COLUMNS];
};

/* Empty, of so many columns at most. */
void canvas_begin(struct canvas *canvas, unsigned width);

/* Returns the column behind the text. */
unsigned canvas_put(struct canvas *canvas, unsigned row, unsigned column, enum tone tone,
		    const char *text);

/* The text ends before `end`. */
void canvas_put_right(struct canvas *canvas, unsigned row, unsigned end, enum tone tone,
		      const char *text);

/* `n` times a sign.  Returns the column behind. */
unsigned canvas_fill(struct canvas *canvas, unsigned row, unsigned column, unsigned n,
		     enum tone tone, char sign);

/* The text of one row, with escape sequences if there are colours; false when out of memory. */
bool canvas_write_row(const struct canvas *canvas, unsigned row, bool colours, struct buf *out);

#endif
