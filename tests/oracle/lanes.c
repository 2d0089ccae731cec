/* Several workers of one service in one program; see lanes.h. */
#include "tests/oracle/lanes.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>

#include "tests/doubles/store_memory.h"

struct lane {
	pthread_t thread;
	bool threaded;   /* the thread is there, for the rest of the program */
	sem_t go, rests; /* to the thread, and from it */
	void (*job)(void *context);
	void *context;
	unsigned calls;              /* until it stops; 0 for never */
	bool stopped, killed, waits; /* waits: it stopped since it has to */
	jmp_buf end;                 /* where one goes that is killed */
};

static struct lane lanes[LANES];
static unsigned current;               /* the lane that runs */
static _Thread_local struct lane *own; /* whose thread it is; NULL: the caller's */
static void (*become)(unsigned lane);
static void (*leave)(void);
static unsigned long stops;

void lane_be(unsigned lane)
{
	current = lane;
	become(lane);
}

/* ---- in a lane ------------------------------------------------------------------------------ */

static void rest(struct lane *lane)
{
	lane->stopped = true;
	sem_post(&lane->rests);
	sem_wait(&lane->go);
	if (lane->killed)
		longjmp(lane->end, 1);
}

static void at_call(void)
{
	struct lane *lane = own;

	if (lane == NULL || lane->calls == 0 || --lane->calls > 0)
		return;
	stops++;
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

static void *live(void *argument)
{
	struct lane *lane = own = argument;

	for (;;) {
		sem_wait(&lane->go);
		if (setjmp(lane->end) == 0)
			lane->job(lane->context);
		lane->waits = false;
		lane->job = NULL;
		sem_post(&lane->rests);
	}
	return NULL;
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

static void start_thread(struct lane *lane)
{
	if (lane->threaded)
		return;
	if (sem_init(&lane->go, 0, 0) != 0 || sem_init(&lane->rests, 0, 0) != 0 ||
	    pthread_create(&lane->thread, NULL, live, lane) != 0)
		abort();
	lane->threaded = true;
}

/* Hand the baton over, and wait for it. */
static bool hand_over(struct lane *lane)
{
	lane->stopped = false;
	lane_be((unsigned)(lane - lanes));
	sem_post(&lane->go);
	sem_wait(&lane->rests);
	leave();
	return !lane->stopped;
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
	start_thread(lane);
	lane->job = job;
	lane->context = context;
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

void lane_kill(unsigned which)
{
	struct lane *lane = &lanes[which];

	lane_stop_at(which, 0);
	if (!lane->stopped)
		return;
	lane->killed = true;
	hand_over(lane);
	lane->killed = false;
}

unsigned long lanes_stops(void)
{
	return stops;
}
