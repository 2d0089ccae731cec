/* A page of a terminal. */
#include "proxy/cli/canvas.h"

#include <string.h>

void canvas_begin(struct canvas *canvas, unsigned width)
{
	canvas->width = width < CANVAS_COLUMNS ? width : CANVAS_COLUMNS;
	canvas->rows = 0;
	memset(canvas->cells, ' ', sizeof(canvas->cells));
	memset(canvas->tones, TONE_PLAIN, sizeof(canvas->tones));
}

static void put_sign(struct canvas *canvas, unsigned row, unsigned column, enum tone tone, char c)
{
	if (row >= CANVAS_ROWS || column >= canvas->width)
		return;
	canvas->cells[row][column] = c >= ' ' && c <= '~' ? c : '?';
	canvas->tones[row][column] = (unsigned char)tone;
	if (canvas->rows <= row)
		canvas->rows = row + 1;
}

unsigned canvas_put(struct canvas *canvas, unsigned row, unsigned column, enum tone tone,
		    const char *text)
{
	for (; *text != '\0'; text++)
		put_sign(canvas, row, column++, tone, *text);
	return column;
}

void canvas_put_right(struct canvas *canvas, unsigned row, unsigned end, enum tone tone,
		      const char *text)
{
	size_t n = strlen(text);

	if (n <= end)
		canvas_put(canvas, row, end - (unsigned)n, tone, text);
}

unsigned canvas_fill(struct canvas *canvas, unsigned row, unsigned column, unsigned n,
		     enum tone tone, char sign)
{
	while (n-- > 0)
		put_sign(canvas, row, column++, tone, sign);
	return column;
}

/* SGR (ECMA-48 8.3.117): bold, faint, blue, yellow, red. */
static const char *const sequences[TONE_COUNT] = {
	[TONE_PLAIN] = "\033[0m",   [TONE_STRONG] = "\033[0;1m",  [TONE_FAINT] = "\033[0;2m",
	[TONE_HERE] = "\033[0;34m", [TONE_ORIGIN] = "\033[0;33m", [TONE_BAD] = "\033[0;1;31m",
};

bool canvas_write_row(const struct canvas *canvas, unsigned row, bool colours, struct buf *out)
{
	unsigned end = canvas->width, tone = TONE_PLAIN;
	bool ok = true;

	if (row >= CANVAS_ROWS)
		return true;
	while (end > 0 && canvas->cells[row][end - 1] == ' ')
		end--;
	for (unsigned i = 0; i < end && ok; i++) {
		if (colours && canvas->tones[row][i] != tone && canvas->cells[row][i] != ' ') {
			tone = canvas->tones[row][i];
			ok = buf_append(out, slice_str(sequences[tone]));
		}
		ok = ok && buf_append(out, slice_of(&canvas->cells[row][i], 1));
	}
	return ok && (tone == TONE_PLAIN || buf_append(out, slice_str(sequences[TONE_PLAIN])));
}
