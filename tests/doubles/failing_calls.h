/*
 * Calls of the system and of LMDB that fail when a test says so: those that the program's own objects
 * make, not those that LMDB makes.  Link with -Wl,@tests/doubles/failing_calls.wraps.
 */
#ifndef TESTS_DOUBLES_FAILING_CALLS_H
#define TESTS_DOUBLES_FAILING_CALLS_H

#include <stdbool.h>

enum {
	FAIL_SHORT = 1000, /* in place of an error: half of the bytes are read or written */
};

/*
 * From the n-th call on, 0 for the next, `count` calls of that name fail with an error of the system
 * or of LMDB.  That of fcntl() is its command, "F_OFD_SETLK".  Several names have bars between them,
 * "read|pwrite"; NULL is any.  An error of LMDB is EIO to calls of the system.
 */
void fail_calls(const char *name, unsigned n, unsigned count, int error);

/* No failure any more; true when at least one that was ordered has happened. */
bool fail_calls_never(void);

/* For another double that has calls of its own: 0, or what this call of that name fails with. */
int fail_calls_now(const char *name);

#endif
