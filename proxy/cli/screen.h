/*
 * The terminal as a page of its own: nothing scrolls, keys come one by one, and whatever ends the
 * program, it is as it was before.
 */
#ifndef PROXY_CLI_SCREEN_H
#define PROXY_CLI_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

struct screen_size {
	unsigned columns, rows;
};

/* Of the terminal at standard output; 80 and 24 when it does not say. */
struct screen_size screen_size(void);

/* False when standard input or output is no terminal. */
bool screen_begin(void);
void screen_end(void);

/* What ended a wait. */
enum screen_event { SCREEN_TIME, SCREEN_KEY, SCREEN_RESIZED, SCREEN_CLOSED };

/*
 * Until a key, another size or `until_us` (monotonic).  A stop by SIGTSTP is done within, and counts
 * as another size when it is over.
 */
enum screen_event screen_wait(int64_t until_us, char *ret_key);

/*
 * A line typed at the row of the cursor, behind `prompt`, of printable ASCII.  False when it was given
 * up (Escape) or is empty.
 */
bool screen_read_line(const char *prompt, char *line, unsigned size);

#endif
