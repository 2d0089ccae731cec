/*
 * What happens to a service beside its traffic: kills, replacements, reloads, restarts, copies, faults
 * of the disk, power failures, clocks that are set.  Events of schedule.h in more words:
 *
 *	kWORKER   is killed, wherever it is        vWORKER  the one in its place starts
 *	XHOW      all are killed, and start again  Q        all end and start again
 *	OHOW      the machine goes down; of four maps, those of HOW's bits were not on disk
 *	L N OPT   N workers with other options take over, the others drain
 *	C         a copy of the store is made      mCALL    of the disk fails; odd: it is full
 *	jHOW      the wall clock is set
 */
#ifndef TESTS_SIM_EVENTS_H
#define TESTS_SIM_EVENTS_H

#include "tests/oracle/schedule_impl.h"

extern const struct schedule_event sim_events[];

/* The rest of a struct schedule_world. */
void sim_set(struct conf *conf);
void sim_begin(void);
void sim_after(void);
void sim_quiet(void);
void sim_end(void);

/* After all workers have gone. */
void sim_forget(void);

#endif
