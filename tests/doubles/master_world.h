/*
 * The world of a master: its clock, its processes and what it tells, so that hours of its life are
 * a moment of a test, and each thing it does has a time.  A play has what happens to it, lines
 * "MS > WORDS"; its transcript is these lines, with lines "MS WORDS" between them for what it did.
 *
 *   with NAME=VALUE              an option, of the file that reloads read; before the first line
 *   after KIND NAME=VALUE ...    it takes over (handover.h): kind=0|1|2, workers=PID:GEN:READY:RETIRED,...
 *   MS > serves PID ...          these workers say so
 *   MS > lost PID                it has lost its store
 *   MS > ends PID STATUS, dies PID SIGNAL
 *   MS > signal NAME             to the master
 *   MS > asks reload|upgrade     an operator, by a worker
 *   MS > file NAME=VALUE; ...    what the file has now
 *   MS > fails CALL, works CALL  from here on: a call named in `calls`
 *   MS > fails memory N          the N-th allocation alone, from 0 on
 *   MS > hangs PID               its loop turns no more
 *   MS > sleeps MILLISECONDS     the machine
 *   MS > says TEXT               the program that is tried; "~" is the end of a line
 *   MS > touches program|store   another is there
 *   MS > touches seconds|nanoseconds|nothing  the time of the program is another, it is gone
 *   MS > shows                   what operators see
 *   MS > forks                   workers that start from here on are processes, which say what they have open, and end
 *   MS > waits                   nothing, so that all until then is seen
 *
 * Processes are numbered from 101 on, in the order of their start.  An event comes before what the master does
 * at the same time by its clock.
 *
 * Each play is played in a process of its own.  One that has more turns or lines than any should, that dies, or
 * that does not come back within 30 s has a last line "stuck: ...".
 *
 * Links with --wrap for all functions that are defined here as __wrap_NAME, and with failing_memory.c.
 */
#ifndef TESTS_DOUBLES_MASTER_WORLD_H
#define TESTS_DOUBLES_MASTER_WORLD_H

#include "cache/base/slice.h"

/* Plays it.  The transcript, for the caller to free. */
char *master_world_play(struct slice play);

#endif
