/*
 * malloc(), calloc() and realloc() of the whole program, libraries included: counted, and made to
 * fail one by one.  Whoever links this has them.  What doubles ask for by sure_memory.h does not fail,
 * and counts only as long as it is alive.
 */
#ifndef TESTS_DOUBLES_COUNTED_MEMORY_H
#define TESTS_DOUBLES_COUNTED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Calls of malloc() and its kin by this process; 0 under a sanitizer, which has its own. */
size_t allocations_so_far(void);

/* Of these, what is not freed yet; likewise.  Only differences say something. */
size_t allocations_alive(void);

/* The n-th allocation from now on fails, 0 being the next; false under a sanitizer. */
bool fail_allocation(size_t n);
void fail_no_allocation(void);

#endif
