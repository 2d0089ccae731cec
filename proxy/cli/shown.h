/*
 * Text of the proxy's answers for a terminal: what peers sent may be in it, so every byte that is
 * not printable ASCII is shown as \xNN.
 */
#ifndef PROXY_CLI_SHOWN_H
#define PROXY_CLI_SHOWN_H

#include <stddef.h>
#include <stdio.h>

enum { SHOWN_WIDTH = 79 }; /* columns of a line */

/* Into memory: what does not fit is left out.  A string like that of shown_write(). */
void shown_copy(char *to, size_t size, const char *text);

/* A string of jansson's: bytes from 0x80 on stand in it as characters of that number, in UTF-8. */
void shown_write(FILE *to, const char *text);

/* The same of several lines, which stay such: each after `prefix`. */
void shown_write_lines(FILE *to, const char *prefix, const char *text);

/* What went wrong in a command, as a line on standard error.  Returns EXIT_USAGE. */
int shown_complain(const char *command, const char *text);

/*
 * A string of jansson's as a paragraph: broken at spaces, all lines but the first one after
 * `indent` columns; the first one begins at column `at`.
 */
void shown_write_filled(FILE *to, const char *text, unsigned at, unsigned indent);

#endif
