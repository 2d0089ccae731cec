/*
 * The text of a configuration file, made ready for libconfuse.
 */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include <stdio.h>

/*
 * Reads a file of at most CONF_SOURCE_MAX bytes and blanks out its comments (#, // and C ones),
 * each line staying where it is.  Returns text for the caller to free, or NULL when it cannot be
 * read or breaks off inside a string or comment, and has then said so to `errors`.
 */
enum { CONF_SOURCE_MAX = 1 << 20 };
char *conf_source_read(const char *path, FILE *errors);

/* The last line of such a text where option `name` is given a value; 0 for none. */
int conf_source_line(const char *text, const char *name);

#endif
