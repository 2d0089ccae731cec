/*
 * Durations in logarithmic buckets: 8 to each power of two of microseconds, 0 to over an hour;
 * relative error of a quantile is under 7 %.  One process adds, others may read meanwhile.
 */
#ifndef PROXY_STATS_HISTOGRAM_H
#define PROXY_STATS_HISTOGRAM_H

#include "proxy/stats/number.h"

enum { HISTOGRAM_BUCKETS = 8 * 34 };

struct histogram {
	_Atomic uint64_t count;
	_Atomic uint64_t sum_us;
	_Atomic uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t us, uint64_t times);

/* The same, once, of a time since then; a clock that was read earlier counts as 0. */
void histogram_add_since(struct histogram *histogram, int64_t since_us, int64_t now_us);

/* Add all of another. */
void histogram_merge(struct histogram *to, const struct histogram *from);

/* Middle of the bucket that holds the given quantile (0-1), in microseconds; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* The most that one in the highest bucket in use can be, in microseconds; 0 when empty. */
uint64_t histogram_max(const struct histogram *histogram);

/*
 * How many are in the buckets below `edge_us`, exactly those shorter where it is a power of two;
 * with UINT64_MAX all, which is what a reader takes for their number.
 */
uint64_t histogram_below(const struct histogram *histogram, uint64_t edge_us);

#endif
