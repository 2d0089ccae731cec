/*
 * What was asked for, one after the other: read from a file, or made.  Objects are numbered from 0 in
 * the order in which they are met.  What cannot be read or allocated ends the program with a line.
 */
#ifndef BENCH_RATIO_TRACE_H
#define BENCH_RATIO_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct trace {
	const char *name;
	uint32_t *objects; /* of each request */
	uint32_t *sizes;   /* of each request, in bytes; NULL when the file has none */
	size_t requests;
	uint32_t distinct;
	double seconds; /* from the first to the last; 0 when the file has no times */
};

/* FORMAT:PATH, or PATH for lines of a URL with a size and a time after it; "-" is standard input. */
void trace_read(struct trace *trace, const char *named);

/* One of those below, the same on every run. */
void trace_make(struct trace *trace, const char *name, size_t requests);

struct trace_row {
	const char *name, *what;
};

/* What can be made and which formats can be read, for a usage text; ended by a NULL. */
extern const struct trace_row trace_made[], trace_formats[];

void trace_free(struct trace *trace);

void *allocate(size_t count, size_t size, int fill);

/* splitmix64: the same numbers on every machine. */
uint64_t random_next(uint64_t *state);

#endif
