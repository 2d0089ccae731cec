/*
 * Memory for libev's own arrays, of watchers, descriptors and events.  Libev ends the process when
 * one of them cannot grow.  So address space for them is reserved at the start, when a failure is
 * one to start, and used only once there is no other memory: what cannot be served then is refused,
 * as everywhere else, and the process lives.  The same holds for the stack.
 *
 * Of a process with one loop.  Pages of the reserve that were never used take no memory.
 */
#ifndef PROXY_LOOP_LOOP_MEMORY_H
#define PROXY_LOOP_LOOP_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Enough for watchers of as many descriptors as this process may have, or of so many; false with
 * errno. Before the loop is made.
 */
bool loop_memory_setup(void);
bool loop_memory_reserve(uint64_t descriptors);

/* For ev_set_allocator(): realloc(), but that a size of 0 frees.  NULL when the reserve is used up. */
void *loop_memory_resize(void *memory, long size);

#endif
