/* All points at which two processes may meet, or one be killed. */
#include "tests/support/two_processes.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

enum { NEVER = 1 << 20 };

/* What the other process does, when, and how far it comes. */
static void (*other)(void);
static unsigned outer, runs_at, inner, killed_at;
static unsigned point_of_check;
static bool inside, has_run, was_killed;
static jmp_buf death;

void two_processes_step(void)
{
	if (inside && inner++ == killed_at)
		longjmp(death, 1);
	if (inside || outer++ != runs_at)
		return;
	inside = has_run = true;
	if (setjmp(death) == 0)
		other();
	else
		was_killed = true;
	inside = false;
}

void two_processes_begin(void)
{
	outer = 0;
	runs_at = point_of_check;
}

void two_processes_end(void)
{
	inside = false;
	runs_at = NEVER;
}

void two_processes_at_each_point(void (*reset)(void), void (*check)(void), void (*what)(void))
{
	unsigned point = 0, runs = 0;

	other = what;
	do {
		unsigned kill_at = 0;

		do {
			reset();
			has_run = was_killed = false;
			outer = inner = 0;
			killed_at = kill_at++;
			runs_at = NEVER;
			point_of_check = point;
			check();
			runs++;
		} while (was_killed);
		point++;
	} while (has_run);
	assert_true(runs > 10);
}
