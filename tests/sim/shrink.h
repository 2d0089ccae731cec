/* Makes a failing world shorter, while it fails. */
#ifndef TESTS_SIM_SHRINK_H
#define TESTS_SIM_SHRINK_H

#include "tests/sim/world.h"

enum { SHRINK_WHAT_MAX = 256 };

/*
 * The shortest that was found that fails in the same way, in `room`; *ret_what is the last line that
 * it says.  Each try is a process of its own.
 */
struct slice shrink(struct slice text, char room[static WORLD_TEXT_MAX],
		    char ret_what[static SHRINK_WHAT_MAX]);

/* The same without making it shorter. */
struct slice shrink_not(struct slice text, char ret_what[static SHRINK_WHAT_MAX]);

/* Of this process: what it says goes nowhere. */
void shrink_quiet(void);

#endif
