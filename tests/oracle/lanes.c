/* Several workers of one service in one program; see lanes.h. */
#include "tests/oracle/lanes.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>

#include "tests/doubles/store_memory.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_SIZE = 1 << 20 };

struct lane {
	ucontext_t here, caller; /* where it stopped, and who had it go on */
	void (*job)(void *context);
	void *context;
	unsigned calls;      /* until it stops; 0 for never */
	bool stopped, waits; /* waits: it stopped since it has to */
	const void *caller_stack;
	size_t caller_size;
};

static char stacks[LANES][STACK_SIZE] __attribute__((aligned(64)));
static struct lane lanes[LANES];
static unsigned current; /* the lane that runs */
static struct lane *own; /* whose stack it is on; NULL: the caller's */
static void (*become)(unsigned lane);
static void (*leave)(void);
static unsigned long stops;

void lane_be(unsigned lane)
{
	current = lane;
	become(lane);
}

/* ---- stacks --------------------------------------------------------------------------------- */

/* A sanitizer is told of each change of stacks. */
#ifdef __SANITIZE_ADDRESS__

static void switch_begins(void **fake, const void *stack, size_t size)
{
	__sanitizer_start_switch_fiber(fake, stack, size);
}

static void switch_ends(void *fake, struct lane *from)
{
	__sanitizer_finish_switch_fiber(fake, from != NULL ? &from->caller_stack : NULL,
					from != NULL ? &from->caller_size : NULL);
}

/* What the last job left of its frames. */
static void stack_clean(char *stack)
{
	ASAN_UNPOISON_MEMORY_REGION(stack, STACK_SIZE);
}

#else

static void switch_begins(void **fake, const void *stack, size_t size)
{
	(void)fake;
	(void)stack;
	(void)size;
}

static void switch_ends(void *fake, struct lane *from)
{
	(void)fake;
	(void)from;
}

static void stack_clean(char *stack)
{
	(void)stack;
}

#endif

/* ---- in a lane ------------------------------------------------------------------------------ */

static void rest(struct lane *lane)
{
	void *fake = NULL;

	stops++;
	lane->stopped = true;
	switch_begins(&fake, lane->caller_stack, lane->caller_size);
	if (swapcontext(&lane->here, &lane->caller) != 0)
		abort();
	switch_ends(fake, lane);
}

static void at_call(void)
{
	struct lane *lane = own;

	if (lane == NULL || lane->calls == 0 || --lane->calls > 0)
		return;
	rest(lane);
}

/*
 * Another's transaction is in the way: it stopped in the midst of it, or it waits itself for what this
 * one had, and goes on when this one stops.
 */
static void at_wait(void)
{
	unsigned was = current;
	bool any = false;

	for (unsigned i = 0; i < LANES; i++)
		if (&lanes[i] != own && lanes[i].stopped) {
			lane_finish(i);
			any = true;
		}
	lane_be(was);
	if (any || own == NULL)
		return;
	own->waits = true;
	rest(own);
	own->waits = false;
}

static void live(void)
{
	struct lane *lane = own;

	switch_ends(NULL, lane);
	lane->job(lane->context);
	lane->job = NULL;
	switch_begins(NULL, lane->caller_stack, lane->caller_size);
	setcontext(&lane->caller);
	abort();
}

/* ---- from outside --------------------------------------------------------------------------- */

void lanes_open(void (*become_wanted)(unsigned lane), void (*leave_wanted)(void))
{
	become = become_wanted;
	leave = leave_wanted;
	stops = 0;
	for (unsigned i = 0; i < LANES; i++)
		lanes[i].calls = 0;
	store_memory_watch(at_call, at_wait);
}

void lanes_close(void)
{
	for (unsigned i = 0; i < LANES; i++)
		assert(!lanes[i].stopped);
	store_memory_watch(NULL, NULL);
}

void lane_stop_at(unsigned lane, unsigned calls)
{
	lanes[lane].calls = calls;
}

/* Change to its stack, until it stops or has done. */
static bool hand_over(struct lane *lane)
{
	unsigned which = (unsigned)(lane - lanes);
	struct lane *outer = own;
	void *fake = NULL;

	lane->stopped = false;
	lane_be(which);
	own = lane;
	switch_begins(&fake, stacks[which], STACK_SIZE);
	if (swapcontext(&lane->caller, &lane->here) != 0)
		abort();
	switch_ends(fake, NULL);
	own = outer;
	leave();
	return !lane->stopped;
}

static void start(struct lane *lane)
{
	unsigned which = (unsigned)(lane - lanes);

	if (getcontext(&lane->here) != 0)
		abort();
	stack_clean(stacks[which]);
	lane->here.uc_stack.ss_sp = stacks[which];
	lane->here.uc_stack.ss_size = STACK_SIZE;
	lane->here.uc_link = NULL;
	makecontext(&lane->here, live, 0);
}

bool lane_run(unsigned which, void (*job)(void *context), void *context)
{
	struct lane *lane = &lanes[which];

	assert(!lane->stopped);
	if (lane->calls == 0) {
		lane_be(which);
		job(context);
		leave();
		return true;
	}
	lane->job = job;
	lane->context = context;
	start(lane);
	return hand_over(lane);
}

bool lane_is_stopped(unsigned lane)
{
	return lanes[lane].stopped;
}

bool lane_waits(unsigned lane)
{
	return lanes[lane].stopped && lanes[lane].waits;
}

bool lane_go_on(unsigned lane)
{
	return !lanes[lane].stopped || hand_over(&lanes[lane]);
}

void lane_finish(unsigned lane)
{
	lane_stop_at(lane, 0);
	lane_go_on(lane);
}

/* Its stack is left as it is. */
void lane_kill(unsigned lane)
{
	lane_stop_at(lane, 0);
	lanes[lane].stopped = lanes[lane].waits = false;
}

unsigned long lanes_stops(void)
{
	return stops;
}
