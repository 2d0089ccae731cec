/* Several workers of one service in one program; see lanes.h. */
#include "tests/oracle/lanes.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdlib.h>

#include "tests/doubles/store_memory.h"

struct lane {
	pthread_t thread;
	bool threaded;   /* the thread is there, for the rest of the program */
	sem_t go, rests; /* to the thread, and from it */
	void (*job)(void *context);
	void *context;
	unsigned calls; /* until it stops; 0 for never */
	bool stopped;
};

static struct lane lanes[LANES];
static unsigned current; /* the lane that runs */
static void (*become)(unsigned lane);
static unsigned long stops;

static void be(unsigned lane)
{
	current = lane;
	become(lane);
}

/* ---- in a lane ------------------------------------------------------------------------------ */

static void at_call(void)
{
	struct lane *lane = &lanes[current];

	if (lane->calls == 0 || --lane->calls > 0)
		return;
	stops++;
	lane->stopped = true;
	sem_post(&lane->rests);
	sem_wait(&lane->go);
}

/* Another's transaction is in the way: it stopped in the midst of it. */
static void at_wait(void)
{
	unsigned own = current;

	for (unsigned i = 0; i < LANES; i++)
		if (i != own)
			lane_finish(i);
	be(own);
}

static void *live(void *argument)
{
	struct lane *lane = argument;

	for (;;) {
		sem_wait(&lane->go);
		lane->job(lane->context);
		lane->job = NULL;
		sem_post(&lane->rests);
	}
	return NULL;
}

/* ---- from outside --------------------------------------------------------------------------- */

void lanes_open(void (*wanted)(unsigned lane))
{
	become = wanted;
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
	be((unsigned)(lane - lanes));
	sem_post(&lane->go);
	sem_wait(&lane->rests);
	return !lane->stopped;
}

bool lane_run(unsigned which, void (*job)(void *context), void *context)
{
	struct lane *lane = &lanes[which];

	assert(!lane->stopped);
	if (lane->calls == 0) {
		be(which);
		job(context);
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

bool lane_go_on(unsigned lane)
{
	return !lanes[lane].stopped || hand_over(&lanes[lane]);
}

void lane_finish(unsigned lane)
{
	lane_stop_at(lane, 0);
	lane_go_on(lane);
}

unsigned long lanes_stops(void)
{
	return stops;
}
