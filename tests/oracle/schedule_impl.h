/*
 * What a schedule is played on, for those that add events to it (tests/sim).
 */
#ifndef TESTS_ORACLE_SCHEDULE_IMPL_H
#define TESTS_ORACLE_SCHEDULE_IMPL_H

#include "tests/doubles/fake_worker.h"
#include "tests/oracle/schedule.h"
#include "tests/oracle/witness.h"

enum { SCHEDULE_CLIENTS = 6 /* of the workers in turn */ };

/* A connection, and what is on its way from its far end. */
struct line {
	struct fake_peer *peer;
	struct fake_bytes staged;
};

struct run {
	struct slice all;
	const char *at, *end;
	struct fake_worker *workers[FAKE_WORKERS];
	unsigned worker_count; /* in all, dead ones and those that drain included */
	struct fake_worker *serving[FAKE_WORKERS]; /* those that clients come to */
	unsigned serving_count;
	unsigned nameable; /* so many can be named by events */
	struct witness *witness;
	struct line clients[SCHEDULE_CLIENTS];
	struct line origins[FAKE_PEERS];
	const struct schedule_trouble *trouble;
	const struct schedule_world *world; /* NULL for none */
	bool verbose;
};

struct schedule_event {
	char letter;
	void (*happen)(void);
	const char *name;
};

/* What else there is in the world. */
struct schedule_world {
	const struct schedule_event *events; /* the last has no letter */
	unsigned workers;                    /* to begin with */
	unsigned options;                    /* which choice of options */
	void (*set)(struct conf *conf);      /* more options */
	void (*begin)(void);                 /* workers are there */
	void (*after)(void);                 /* each event */
	void (*quiet)(void);                 /* at the end, before connections time out */
	void (*end)(void);                   /* and after, before it is judged */
	void (*judged)(void);                /* all is still there */
};

void schedule_play_world(struct slice schedule, const struct schedule_world *world, bool verbose);

struct run *schedule_run(void);

/* The next operand, one of `count`. */
unsigned schedule_choose(size_t count);

/* Which worker an event is about: NULL when it is dead, or there is none. */
struct fake_worker *schedule_worker(void);

/* It knows the names of the hosts. */
void schedule_tell_names(struct fake_worker *worker);

/* The options of a choice. */
struct conf *schedule_conf(unsigned choice);

/* NULL, or what was wrong: says all that happened, and aborts. */
void schedule_require(const char *fault);

#endif
