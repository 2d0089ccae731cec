/*
 * Counters, gauges and latency histograms, a block per worker.
 *
 * A worker writes only its own block, with plain stores; whoever reports adds the blocks up. Blocks
 * stand in memory shared by all workers (stats_attach()), or in the process when there is one.
 */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"
#include "cache/policy.h"
#include "proxy/offenders.h"

enum failure {
	FAILURE_NONE,
#define FAILURE(id, name, status, token, sentence) FAILURE_##id,
#include "proxy/failures.def"
#undef FAILURE
	FAILURE_COUNT
};

enum outcome {
#define OUTCOME(id, name, help) OUTCOME_##id,
#include "proxy/outcomes.def"
#undef OUTCOME
	OUTCOME_COUNT
};

/* Static text of the tables' rows; constant time. */
const char *failure_name(enum failure failure);
unsigned failure_status(enum failure failure);
const char *failure_token(enum failure failure);
const char *failure_sentence(enum failure failure);
const char *outcome_name(enum outcome outcome);

/*
 * Latency in logarithmic buckets: 8 to each power of two of microseconds, 0 to over an hour;
 * relative error of a percentile is under 7 %.
 */
enum { HISTOGRAM_BUCKETS = 8 * 34 };

struct histogram {
	uint64_t count;
	uint64_t sum_us;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t us, uint64_t times);

/* Middle of the bucket that holds the given quantile (0-1), in microseconds; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* What a worker's cache and store count. */
struct stats_store {
	struct cache_counts cache;
	uint64_t evictions;
	uint64_t failures;
};

/* Copies of the store, by the service. */
struct stats_copies {
	uint64_t made;
	uint64_t failed;
	int64_t last_s; /* wall clock, when the last was made; 0 for none yet */
};

struct stats {
#define COUNTER(name, help) uint64_t name;
#define GAUGE(name, help) int64_t name;
#include "proxy/counters.def"
#undef COUNTER
#undef GAUGE
	uint64_t outcome[OUTCOME_COUNT];
	uint64_t failure[FAILURE_COUNT];
	uint64_t not_stored[REASON_COUNT]; /* responses to requests the cache looks at, by reason */
	uint64_t reason[REASON_COUNT];     /* exchanges by the reason told to client and log */
	struct offenders offenders;        /* origins by 204 responses that were repaired */
	struct stats_store store;          /* brought up to date a few times a second */
	/* from the start of the loop's turn in which the request was read */
	struct histogram hit_latency;  /* to its answer sent */
	struct histogram miss_latency; /* to the end of its answer */
} __attribute__((aligned(64)));

/* This worker's block; never NULL. */
extern struct stats *stats;

#define STATS_ADD(name, n) ((void)(stats->name += (n)))

/* Memory for the blocks of `workers` processes, shared over fork(); NULL on failure. */
struct stats *stats_map(unsigned workers);

/* Make `block` this process's own. */
void stats_attach(struct stats *block);

/* The owner has died: what it had open is closed, what it counted stays. */
void stats_reset_gauges(struct stats *block);

void stats_store_add(struct stats_store *to, const struct stats_store *from);

/* As they are now, while another process writes them. */
void stats_copies_read(const struct stats_copies *from, struct stats_copies *ret_copies);

/* Sum of blocks. */
void stats_sum(const struct stats *blocks, unsigned count, struct stats *ret_sum);

#endif
