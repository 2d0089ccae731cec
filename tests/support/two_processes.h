/*
 * Two processes on memory that they share: while one is at work the other does its own, at each point between two
 * accesses to that memory, to its end or until it is killed at each point of its own.
 *
 * The code under test is included in the test, with an atomic_load() and so on that call two_processes_step().
 */
#ifndef TESTS_SUPPORT_TWO_PROCESSES_H
#define TESTS_SUPPORT_TWO_PROCESSES_H

/* Between two accesses, of either. */
void two_processes_step(void);

/* In `check`: from here on the other may run; it has run, or does no more. */
void two_processes_begin(void);
void two_processes_end(void);

/* `check` at each point, on memory that `reset` made, while the other does `what`. */
void two_processes_at_each_point(void (*reset)(void), void (*check)(void), void (*what)(void));

#endif
