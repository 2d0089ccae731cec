/*
 * A simulated service: made from a seed, or from the words that say what happens to it.
 *
 * The text begins with the number of workers and a letter of options, then has the events of schedule.c
 * and of events.h.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdint.h>
#include <sys/types.h>

#include "cache/base/slice.h"

enum { WORLD_TEXT_MAX = 1 << 14 };

/* What a seed says. */
struct slice world_of(uint64_t seed, char text[static WORLD_TEXT_MAX]);

struct world_told {
	uint64_t trace;  /* of all that happened: the same for the same text */
	int64_t time_ms; /* that passed in it */
	unsigned requests;
};

/* Play it; what is wrong is said on stderr, and aborts. */
void world_play(struct slice text, bool verbose, struct world_told *ret_told);

/* Remove the files of a process that has ended, however it did. */
void world_clean(pid_t pid);

#endif
