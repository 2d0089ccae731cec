/*
 * Memory that runs out when a test says so: malloc(), calloc() and realloc() of the program's own
 * objects.  Link with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc; what must not fail uses
 * sure_memory.h.  Without a double that uses that, reallocarray() and strdup() may be wrapped, too.
 */
#ifndef TESTS_DOUBLES_FAILING_MEMORY_H
#define TESTS_DOUBLES_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Let the n-th call from now on, 0 for the next, return NULL; with `on`, all that follow, too. */
void fail_memory(size_t n, bool on);

/* No failure any more; true when the one that was ordered has happened. */
bool fail_memory_never(void);

/* For another double that has these calls: does this one fail? */
bool fail_memory_now(void);

#endif
