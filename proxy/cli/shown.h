/*
 * Text of the proxy's answers for a terminal: what peers sent may be in it, so every byte that is not
 * printable ASCII is shown as \xNN.
 */
#ifndef PROXY_CLI_SHOWN_H
#define PROXY_CLI_SHOWN_H

#include <stdio.h>

enum { SHOWN_WIDTH = 79 }; /* columns of a line */

/* A string of jansson's: bytes from 0x80 on stand in it as characters of that number, in UTF-8. */
void shown_write(FILE *to, const char *text);

/*
 * The same as a paragraph: broken at spaces, all lines but the first one after `indent` columns; the
 * first one begins at column `at`.
 */
void shown_write_filled(FILE *to, const char *text, unsigned at, unsigned indent);

#endif
