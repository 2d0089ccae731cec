/*
 * What a process has of the kernel: memory, descriptors, maps.  Several workers are one program in a
 * test, so each allocation and descriptor is noted with the worker that it was made by, and goes when
 * that worker is killed, as the kernel takes it back; whatever refers to it then is as dead.
 *
 * Links with --wrap for malloc, calloc, realloc, reallocarray, free, strdup, strndup, aligned_alloc, open, openat,
 * close, fcntl, mmap, munmap, msync and getrandom.  Links
 * with failing_memory.c, too, whose failures are those of workers alone. Random bytes are the same in each run.
 */
#ifndef TESTS_DOUBLES_PROCESS_H
#define TESTS_DOUBLES_PROCESS_H

#include <stdbool.h>

enum { PROCESS_NONE = -1 }; /* the test's own */

/* Who allocates, opens and maps from now on. */
void process_be(int worker);

/* It was killed. */
void process_die(int worker);

/* Begin anew: random bytes, and what was synced. */
void process_reset(void);

/*
 * The machine went down: what was mapped from this file is on disk as it was when it was last
 * synced, all zero if never.  Nobody may have it mapped.
 */
void process_lose(const char *path);

/* Called when a lock has to be waited for, until it is free. */
void process_watch(void (*wait)(void));

#endif
