/*
 * Plays schedules: what happens to whole exchanges, and when, as a row of events; for the fuzzer,
 * and for tests in which something fails.
 *
 * A schedule is a character that chooses the options and how many workers there are, then
 * events: a letter (event_table in schedule.c) and its operands, a character each, '0' for the
 * first choice.  Spaces and lines are passed over, and any bytes are a schedule.  Clients ask for
 * things of origins that say things, in the words of witness.h or in any words; bytes come in
 * pieces, connections end and break, time passes, calls and memory fail.  In the end nothing more
 * happens, but time passes.
 */
#ifndef TESTS_ORACLE_SCHEDULE_H
#define TESTS_ORACLE_SCHEDULE_H

#include "cache/base/slice.h"

/* Something that fails besides, from when the worker stands to the end. */
struct schedule_trouble {
	const char *name;
	unsigned n; /* the n-th of them */
	void (*arm)(unsigned n);
	bool (*disarm)(void); /* true when it has happened */
	bool of_store;
};

/*
 * Aborts, after telling all that was said on stderr, unless all was closed in the end, and nobody
 * got what was not meant for him.  `trouble` may be NULL; true when it has happened.
 */
bool schedule_play(struct slice schedule, const struct schedule_trouble *trouble, bool verbose);

#endif
