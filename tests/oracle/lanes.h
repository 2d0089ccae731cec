/*
 * Several workers of one service in one program: what a worker does runs in a lane of its own,
 * stops at a chosen call of the store, and goes on when the test says so; what the others do
 * meanwhile falls in between.
 *
 * One lane runs at a time, so that nothing is left to chance.  Lanes have stacks of their
 * own, between which the program changes; a worker whose lane is not to stop runs on the caller's.  The store in memory
 * calls in at each of its calls (store_memory.h), and when a transaction has to wait for another's.
 */
#ifndef TESTS_ORACLE_LANES_H
#define TESTS_ORACLE_LANES_H

#include <stdbool.h>

enum { LANES = 8 };

/*
 * `become` is called whenever another lane goes on than the last: its worker is the one now; `leave`
 * when none does any more.
 */
void lanes_open(void (*become)(unsigned lane), void (*leave)(void));

/* What follows is done as this lane's worker, without a stop. */
void lane_be(unsigned lane);

/* All must have ended. */
void lanes_close(void);

/* The lane stops at the n-th call of the store from now on, 1 being the next; 0: it does not. */
void lane_stop_at(unsigned lane, unsigned calls);

/* Do this in a lane that is not stopped.  False: it stopped in the midst of it. */
bool lane_run(unsigned lane, void (*job)(void *context), void *context);

bool lane_is_stopped(unsigned lane);

/* It stopped by itself, as it has to wait for another: it may go on at any time. */
bool lane_waits(unsigned lane);

/* Go on to the end, or to the next stop: true at the end, and when there was nothing to do. */
bool lane_go_on(unsigned lane);

/* Go on to the end. */
void lane_finish(unsigned lane);

/* Do not go on: what it does ends here, as that of a process which is killed. */
void lane_kill(unsigned lane);

/* How often lanes have stopped, in all. */
unsigned long lanes_stops(void);

#endif
