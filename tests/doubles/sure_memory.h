/*
 * Memory of what stands in for the world outside: it is not the program's own, and does not fail
 * when a test lets malloc() and its kin fail (failing_memory.h).  Given back by free().
 */
#ifndef TESTS_DOUBLES_SURE_MEMORY_H
#define TESTS_DOUBLES_SURE_MEMORY_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* It is asked for just now: for process.h, which notes what a worker asks for. */
__attribute__((weak)) bool sure_memory_asks;

/* All zero, if it is new. */
static inline void *sure_memory(void *old, size_t count, size_t size)
{
	/* not one of the functions that are made to fail */
	void *memory;

	sure_memory_asks = true;
	memory = reallocarray(old, count, size);
	sure_memory_asks = false;
	if (memory == NULL)
		abort();
	return old == NULL ? memset(memory, 0, count * size) : memory;
}

#endif
