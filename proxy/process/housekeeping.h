/*
 * What a worker does by itself, between requests: writes that wait go into the store, what was
 * purged is removed, passwords are verified in turn, and a few times a second the log is written,
 * counts are brought into the statistics, and the store's files are looked after.  One of the workers
 * samples the history each second.
 */
#ifndef PROXY_PROCESS_HOUSEKEEPING_H
#define PROXY_PROCESS_HOUSEKEEPING_H

#include "proxy/base/trouble.h"
#include "proxy/loop/deadline.h"
#include "proxy/process/purger.h"
#include "proxy/process/store_hold.h"
#include "proxy/stats/process.h"
#include "proxy/stats/store_counts.h"

struct accesslog;
struct fetches;
struct logins;

/* The first members are what it uses, all of which outlives it; the others are zero to begin. */
struct housekeeping {
	const struct conf *conf;
	const struct turn *turn;
	struct cache *cache;
	struct accesslog *accesslog; /* NULL for none */
	struct logins *logins;       /* NULL without a password file */
	struct store_counts *counts;
	struct store_watch *store;
	const struct fetches *fetches;
	const struct stats_service *service;
	struct purger purger;
	struct process_watch process; /* begun with the worker */

	struct deadline flush;  /* of the writes that wait */
	struct deadline purge;  /* the next part of the removal */
	struct deadline verify; /* the next password */
	struct deadline tick;
	struct deadline sample; /* of the history */
	unsigned ticks;
	uint64_t failures; /* of the store, at the last tick */
	struct trouble store_trouble, log_trouble;
};

/* Once there is a loop. */
void housekeeping_begin(struct housekeeping *keeping);

/* At the end of each turn, when all events and tasks have been handled. */
void housekeeping_end_turn(struct housekeeping *keeping);

/* The worker ends: what waits is written. */
void housekeeping_end(struct housekeeping *keeping);

#endif
