/*
 * Counters, gauges and histograms of durations, a block per worker.
 *
 * A worker writes only its own block; a report adds the blocks up. Blocks stand in memory shared by
 * all workers (stats_attach()), or in the process when there is one.
 *
 * All numbers of a block are atomic, so that a reader gets each whole: see number.h.
 */
#ifndef PROXY_STATS_STATS_H
#define PROXY_STATS_STATS_H

#include <stddef.h>

#include "cache/cache.h"
#include "cache/policy/policy.h"
#include "proxy/base/failure.h"
#include "proxy/stats/answers.h"
#include "proxy/stats/histogram.h"
#include "proxy/stats/listeners.h"
#include "proxy/stats/offenders.h"
#include "proxy/stats/process.h"

/* What a worker's cache and store count. */
struct stats_store {
	struct cache_counts cache;
	uint64_t evictions;
	uint64_t failures;
};

enum { STATS_STORE_WORDS = sizeof(struct stats_store) / sizeof(uint64_t) };

/* Copies of the store, by the service: written by one process, read by all. */
struct stats_copies {
	_Atomic uint64_t made;
	_Atomic uint64_t failed;
	_Atomic int64_t last_s; /* wall clock, when the last was made; 0 for none yet */
};

struct stats {
#define COUNTER(name, metric, help) _Atomic uint64_t name;
#define GAUGE(name, metric, help) _Atomic int64_t name;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	struct answer_counts answers; /* exchanges that have ended, those in the background too */
	_Atomic uint64_t failure[FAILURE_COUNT];
	/*
	 * Of 204s to clients: why the origin was asked (sums to those confirmed and fetched), why
	 * what was fetched is not stored (with answers_stored and answers_not_storable it sums to
	 * those fetched), why a stale one was used.  A reason is in one of these lists.
	 */
	_Atomic uint64_t reason[REASON_COUNT];
	_Atomic uint64_t store[STATS_STORE_WORDS]; /* stats_store_set(), a few times a second */
	struct process_stats process;
	/* Together, and last of the numbers: history_sample.c */
#define HISTOGRAM(member, metric, labels, group, name, help) struct histogram member;
#include "proxy/stats/histograms.def"
#undef HISTOGRAM
	/* All before are 64-bit numbers (STATS_NUMBERS), and what has names as keys comes last. */
	struct offenders repaired;  /* origins by 204 responses that were repaired */
	struct offenders mended;    /* origins by responses that were mended */
	struct offenders tunnelled; /* hosts by CONNECTs that were opened */
	struct listener_counts listeners[LISTENER_ROWS];
} __attribute__((aligned(64)));

/* What a block or a sum has, without what has names as keys. */
enum { STATS_NUMBERS = offsetof(struct stats, repaired) / sizeof(uint64_t) };

/* What the workers of a service tell of themselves, in memory mapped before the fork. */
struct stats_service {
	int64_t started_us;         /* monotonic */
	int64_t started_ms;         /* since the epoch, by the clock as it was then */
	_Atomic unsigned alive;     /* that serve now; written by the master, a number by itself */
	_Atomic unsigned used;      /* blocks from the first on that a worker has had; likewise */
	struct reload *reload;      /* the last one, written by the master */
	struct reload *upgrade;     /* likewise, of the program */
	struct stats_copies copies; /* written by the master */
	struct listener_names listeners; /* likewise */
	struct marks *marks;             /* moments, by operators */
	struct history *history;         /* the last hour */
	struct events *events;           /* what happened to the service */
	struct sketch *sketch; /* hosts and URLs: a block for each of `blocks`, as those below */
	struct recent_errors *errors;
	struct in_flight *in_flight;
	struct stats *blocks; /* one for each worker that there is room for */
};

/* This worker's block; never NULL. */
extern struct stats *stats;

/* A number of this process's own block; any number that it alone writes. */
#define STATS_GET(name) STATS_READ(stats->name)
#define STATS_SET(name, value) STATS_WRITE(stats->name, (value))
#define STATS_ADD(name, n) STATS_BUMP(stats->name, (n))

/* Memory for the blocks of `workers` processes, shared over fork(); NULL on failure. */
struct stats *stats_map(unsigned workers);

/* Make `block` this process's own. */
void stats_attach(struct stats *block);

/* The owner has died: what it had open is closed, what it counted stays. */
void stats_reset_gauges(struct stats *block);

void stats_store_add(struct stats_store *to, const struct stats_store *from);

/* Those of a block: of this process to write, of any to read. */
void stats_store_set(struct stats *block, const struct stats_store *counts);
void stats_store_get(const struct stats *block, struct stats_store *ret_counts);

/* As they are now, while another process writes them. */
void stats_copies_read(const struct stats_copies *from, struct stats_copies *ret_copies);

/* The numbers of a sum, to be kept; and as a sum without what has names as keys. */
void stats_get_numbers(const struct stats *sum, uint64_t ret_numbers[STATS_NUMBERS]);
void stats_set_numbers(struct stats *ret_sum, const uint64_t numbers[STATS_NUMBERS]);

/*
 * What was counted between two sums: counters and histograms as differences, gauges as they are in
 * `now`, nothing that has names as keys.
 */
void stats_difference(const struct stats *now, const struct stats *then, struct stats *ret_between);

/*
 * Sum of blocks; and without their tables of names, which take most of the time.  Start and number
 * of a process are 0 in it.
 */
void stats_sum_numbers(const struct stats *blocks, unsigned count, struct stats *ret_sum);
void stats_sum(const struct stats *blocks, unsigned count, struct stats *ret_sum);

#endif
