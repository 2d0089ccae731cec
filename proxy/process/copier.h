/*
 * Copies of the store, every conf->sync_ms: when, and by whom.
 *
 * Each is made by a child of the master, which has nothing of the store open and little memory to
 * be forked with: nice, short-lived, one at a time.  No process waits for it.  One that takes
 * longer than COPIER_TIME_MAX_MS is killed.  The first of failures in a row is logged, each is
 * counted; that one was cancelled is none.
 *
 * Times are monotonic, in milliseconds.
 */
#ifndef PROXY_PROCESS_COPIER_H
#define PROXY_PROCESS_COPIER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "proxy/stats/stats.h"

enum {
	COPIER_PAUSE_MIN_MS = 1000, /* between two copies, however small conf->sync_ms is */
	COPIER_TIME_MAX_MS = 300000,
};

struct copier {
	const struct conf *conf;
	struct stats_copies *counts;
	pid_t pid;      /* 0 for none */
	int64_t due_ms; /* of the next copy, or the limit of the one being made; INT64_MAX: never */
	bool failing;   /* and that was logged */
	bool stopped;
	bool late, cancelled; /* the one being made was killed for that */
};

/* Both must outlive it.  With conf->sync_ms 0 it never does anything. */
void copier_init(struct copier *copier, const struct conf *conf, struct stats_copies *counts,
		 int64_t now_ms);

/* Another configuration is in effect: copies begin, stop, or come more or less often. */
void copier_set_conf(struct copier *copier, const struct conf *conf, int64_t now_ms);

/* Of a program before: the process that makes one (0 for none), and when the last was made. */
void copier_adopt(struct copier *copier, pid_t pid, int64_t last_s);

/* When copier_turn() has something to do. */
int64_t copier_due_ms(const struct copier *copier);

/* Begin the copy that is due, or kill one that is late. */
void copier_turn(struct copier *copier, int64_t now_ms);

/* A child has ended, this one's perhaps. */
void copier_ended(struct copier *copier, pid_t pid, int status, int64_t now_ms);

/* The store it is of is left: kill the one that is made. */
void copier_cancel(struct copier *copier);

/* The service ends: kill it, and make no more. */
void copier_stop(struct copier *copier);
bool copier_is_busy(const struct copier *copier);

#endif
