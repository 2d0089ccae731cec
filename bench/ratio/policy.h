/*
 * Which objects a cache of so many entries keeps.  All objects count as one entry: a stored 204 is a head,
 * and heads are of much the same size.
 */
#ifndef BENCH_RATIO_POLICY_H
#define BENCH_RATIO_POLICY_H

#include <stdbool.h>

#include "bench/ratio/trace.h"

struct policy {
	const char *name, *what;
	void *(*make)(const struct trace *trace, size_t room);
	/* Is the object of request `at` there?  It is taken in if not, as the policy sees fit. */
	bool (*ask)(void *cache, uint32_t object, size_t at);
	void (*destroy)(void *cache);
};

extern const struct policy fifo, lru, sieve, s3_fifo, w_tinylfu, belady;

#endif
