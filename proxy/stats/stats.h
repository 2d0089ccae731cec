/*
 * Counters, gauges and latency histograms, a block per worker.
 *
 * A worker writes only its own block; a report adds the blocks up. Blocks stand in memory shared by
 * all workers (stats_attach()), or in the process when there is one.
 *
 * All numbers of a block are atomic, so that a reader gets each whole, and all accesses are
 * relaxed, for none says anything about another.  With one writer an addition is a load and a
 * store, STATS_BUMP(): `+=` on an atomic is a locked instruction, `make check` looks for it.
 */
#ifndef PROXY_STATS_STATS_H
#define PROXY_STATS_STATS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/cache.h"
#include "cache/policy/policy.h"
#include "proxy/base/failure.h"
#include "proxy/stats/offenders.h"

enum outcome {
#define OUTCOME(id, name, help) OUTCOME_##id,
#include "proxy/stats/outcomes.def"
#undef OUTCOME
	OUTCOME_COUNT
};

/* Static text of the table's row; constant time. */
const char *outcome_name(enum outcome outcome);

/*
 * Latency in logarithmic buckets: 8 to each power of two of microseconds, 0 to over an hour;
 * relative error of a percentile is under 7 %.
 */
enum { HISTOGRAM_BUCKETS = 8 * 34 };

struct histogram {
	_Atomic uint64_t count;
	_Atomic uint64_t sum_us;
	_Atomic uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t us, uint64_t times);

void histogram_merge(struct histogram *to, const struct histogram *from);

/* Middle of the bucket that holds the given quantile (0-1), in microseconds; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* The most that one in the highest bucket in use can be; 0 when empty. */
uint64_t histogram_max(const struct histogram *histogram);

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
#define COUNTER(name, help) _Atomic uint64_t name;
#define GAUGE(name, help) _Atomic int64_t name;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	_Atomic uint64_t outcome[OUTCOME_COUNT];
	_Atomic uint64_t failure[FAILURE_COUNT];
	_Atomic uint64_t not_stored[REASON_COUNT]; /* responses to requests the cache looks at */
	_Atomic uint64_t not_reused[REASON_COUNT]; /* requests that no fresh record answered */
	_Atomic uint64_t store[STATS_STORE_WORDS]; /* stats_store_set(), a few times a second */
	/* From the start of the loop's turn in which the request was read. */
	struct histogram hit_latency; /* to its answer sent */
	/* To the end of its answer, but for the time in which the client did not take it. */
	struct histogram miss_latency;
	/* All before are 64-bit numbers (STATS_NUMBERS), and tables of names come last. */
	struct offenders repaired;  /* origins by 204 responses that were repaired */
	struct offenders mended;    /* origins by responses that were mended */
	struct offenders tunnelled; /* hosts by CONNECTs that were opened */
} __attribute__((aligned(64)));

/* What a block or a sum has but for the tables of names. */
enum { STATS_NUMBERS = offsetof(struct stats, repaired) / sizeof(uint64_t) };

/* What the workers of a service tell of themselves, in memory mapped before the fork. */
struct stats_service {
	int64_t started_us;         /* monotonic */
	_Atomic unsigned alive;     /* that serve now; written by the master, a number by itself */
	_Atomic unsigned used;      /* blocks from the first on that a worker has had; likewise */
	struct reload *reload;      /* the last one, written by the master */
	struct stats_copies copies; /* written by the master */
	struct marks *marks;        /* moments, by operators */
	struct stats *blocks;       /* one for each worker that there is room for */
};

/* This worker's block; never NULL. */
extern struct stats *stats;

/* A number of this process's own block; any number that it alone writes. */
#define STATS_GET(name) atomic_load_explicit(&stats->name, memory_order_relaxed)
#define STATS_SET(name, value) atomic_store_explicit(&stats->name, (value), memory_order_relaxed)
#define STATS_ADD(name, n) STATS_BUMP(stats->name, (n))
#if defined(__x86_64__)
/* What the other branch says, as one instruction where compilers make three of it. */
#define STATS_BUMP(number, n)                                                      \
	do {                                                                       \
		_Static_assert(sizeof(number) == 8, "what addq adds to");          \
		__asm__("addq %1, %0" : "+m"(number) : "er"((int64_t)(n)) : "cc"); \
	} while (0)
#else
#define STATS_BUMP(number, n)                                                              \
	atomic_store_explicit(&(number),                                                   \
			      atomic_load_explicit(&(number), memory_order_relaxed) + (n), \
			      memory_order_relaxed)
#endif

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

/* The numbers of a sum, to be kept; and such as a sum without tables of names. */
void stats_get_numbers(const struct stats *sum, uint64_t ret_numbers[STATS_NUMBERS]);
void stats_set_numbers(struct stats *ret_sum, const uint64_t numbers[STATS_NUMBERS]);

/*
 * What was counted between two sums: counters and histograms as differences, gauges as they are in
 * `now`, no names.
 */
void stats_difference(const struct stats *now, const struct stats *then, struct stats *ret_between);

/* Sum of blocks. */
void stats_sum(const struct stats *blocks, unsigned count, struct stats *ret_sum);

#endif
