/*
 * What is printed to standard output and standard error meanwhile, by any writer of this process and
 * its children.
 */
#ifndef TESTS_SUPPORT_CAPTURED_H
#define TESTS_SUPPORT_CAPTURED_H

#include <stdbool.h>
#include <stdio.h>

struct captured {
	FILE *files[2];
	int saved[2];
	char *out, *err; /* NUL-terminated, by captured_end() */
};

/* With `full`, standard output is a device without room. */
void captured_begin(struct captured *captured, bool full);

/* The streams are as before, and the texts are there until captured_free(). */
void captured_end(struct captured *captured);

void captured_free(struct captured *captured);

#endif
