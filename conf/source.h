/* The text of a configuration file, made ready for conf/statements.h and libconfuse. */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include <stdio.h>

/*
 * Reads a file of at most CONF_SOURCE_MAX bytes.  Leaves out a byte order mark, makes each line end
 * a LF, and blanks out comments (#, // and C ones), each line staying where it is.  Returns text
 * for the caller to free, or NULL when it cannot be read, is not UTF-8 or ASCII, or breaks off
 * inside a string or comment, and has then said so to `errors`.
 */
enum { CONF_SOURCE_MAX = 1 << 20 };
char *conf_source_read(const char *path, FILE *errors);

/*
 * fopen() to read a file that the operator names, of a process that others wait for: a FIFO that
 * says nothing for a second is ETIMEDOUT.
 */
FILE *conf_source_open(const char *path);

#endif
