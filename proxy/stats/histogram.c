/* Durations in logarithmic buckets. */
#include "proxy/stats/histogram.h"

/*
 * 0 to 7 have buckets of their own.  Above, a bucket's number is the position of the highest bit
 * and the three bits below it, so each is an eighth of its power of two wide.
 */
static unsigned bucket_of(uint64_t us)
{
	if (us < 8)
		return (unsigned)us;
	unsigned exponent = 63 - (unsigned)__builtin_clzll(us);
	unsigned index = (exponent - 2) * 8 + (unsigned)(us >> (exponent - 3) & 7);
	return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

/* Half of the width is at most a sixteenth of any value in the bucket. */
static uint64_t bucket_middle(unsigned index)
{
	if (index < 8)
		return index;
	unsigned shift = index / 8 - 1;
	uint64_t low = (uint64_t)(8 + index % 8) << shift;
	return low + (((uint64_t)1 << shift) - 1) / 2;
}

void histogram_add(struct histogram *histogram, uint64_t us, uint64_t times)
{
	STATS_BUMP(histogram->count, times);
	STATS_BUMP(histogram->sum_us, us * times);
	STATS_BUMP(histogram->bucket[bucket_of(us)], times);
}

void histogram_add_since(struct histogram *histogram, int64_t since_us, int64_t now_us)
{
	histogram_add(histogram, now_us > since_us ? (uint64_t)(now_us - since_us) : 0, 1);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	STATS_BUMP(to->count, STATS_READ(from->count));
	STATS_BUMP(to->sum_us, STATS_READ(from->sum_us));
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		STATS_BUMP(to->bucket[i], STATS_READ(from->bucket[i]));
}

/* Not ->count: another process may have been between its stores when the block was read. */
uint64_t histogram_below(const struct histogram *histogram, uint64_t edge_us)
{
	unsigned end = edge_us < UINT64_MAX ? bucket_of(edge_us) : HISTOGRAM_BUCKETS;
	uint64_t count = 0;

	for (unsigned i = 0; i < end; i++)
		count += STATS_READ(histogram->bucket[i]);
	return count;
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
	uint64_t total = histogram_below(histogram, UINT64_MAX);

	if (total == 0)
		return 0;
	/*
	 * The smallest rank with at least this share of all at or below it: rounded up, 1 at least.
	 */
	double share = quantile * (double)total;
	uint64_t rank = (uint64_t)share;
	if ((double)rank < share || rank == 0)
		rank++;

	unsigned index = 0;
	for (uint64_t seen = STATS_READ(histogram->bucket[0]);
	     seen < rank && index < HISTOGRAM_BUCKETS - 1;
	     seen += STATS_READ(histogram->bucket[index]))
		index++;
	return bucket_middle(index);
}

uint64_t histogram_max(const struct histogram *histogram)
{
	unsigned index = HISTOGRAM_BUCKETS;

	while (index > 0 && STATS_READ(histogram->bucket[index - 1]) == 0)
		index--;
	if (index == 0)
		return 0;
	index--;
	return index < 8 ? index : ((uint64_t)(8 + index % 8 + 1) << (index / 8 - 1)) - 1;
}
