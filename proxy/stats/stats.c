/* Counters of a worker and their sum, latency histograms, and the names of outcomes. */
#include "proxy/stats/stats.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static const char *const outcome_names[OUTCOME_COUNT] = {
#define OUTCOME(id, name, help) [OUTCOME_##id] = name,
#include "proxy/stats/outcomes.def"
#undef OUTCOME
};

/* The owner may be counting meanwhile: each number is read once and whole. */
#define READ(number) atomic_load_explicit(&(number), memory_order_relaxed)
#define WRITE(number, value) atomic_store_explicit(&(number), (value), memory_order_relaxed)

/* Before stats_attach() a process counts here. */
static struct stats own_block;
struct stats *stats = &own_block;

const char *outcome_name(enum outcome outcome)
{
	assert(outcome < OUTCOME_COUNT);
	return outcome_names[outcome];
}

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

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
	/* Not ->count: another process may have been between its stores when the block was read. */
	uint64_t total = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += READ(histogram->bucket[i]);
	if (total == 0)
		return 0;

	/*
	 * The smallest rank with at least this share of all at or below it: rounded up, 1 at least.
	 */
	double share = quantile * (double)total;
	uint64_t rank = (uint64_t)share;
	if ((double)rank < share || rank == 0)
		rank++;
	if (rank > total)
		rank = total;

	unsigned index = 0;
	for (uint64_t seen = READ(histogram->bucket[0]); seen < rank;
	     seen += READ(histogram->bucket[index]))
		index++;
	return bucket_middle(index);
}

uint64_t histogram_max(const struct histogram *histogram)
{
	unsigned index = HISTOGRAM_BUCKETS;

	while (index > 0 && READ(histogram->bucket[index - 1]) == 0)
		index--;
	if (index == 0)
		return 0;
	index--;
	return index < 8 ? index : ((uint64_t)(8 + index % 8 + 1) << (index / 8 - 1)) - 1;
}

struct stats *stats_map(unsigned workers)
{
	if (workers == 0) {
		errno = EINVAL;
		return NULL;
	}
	void *blocks = mmap(NULL, workers * sizeof(struct stats), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return blocks == MAP_FAILED ? NULL : blocks;
}

void stats_attach(struct stats *block)
{
	assert(block != NULL);
	stats = block;
}

static void add_all(_Atomic uint64_t *to, const _Atomic uint64_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		STATS_BUMP(to[i], READ(from[i]));
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	STATS_BUMP(to->count, READ(from->count));
	STATS_BUMP(to->sum_us, READ(from->sum_us));
	add_all(to->bucket, from->bucket, HISTOGRAM_BUCKETS);
}

void stats_reset_gauges(struct stats *block)
{
#define COUNTER(name, help)
#define GAUGE(name, help) WRITE(block->name, 0);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
}

void stats_store_add(struct stats_store *to, const struct stats_store *from)
{
	to->cache.stored += from->cache.stored;
	to->cache.dropped += from->cache.dropped;
	to->cache.damaged += from->cache.damaged;
	to->cache.invalidated += from->cache.invalidated;
	to->cache.purged += from->cache.purged;
	to->cache.flushes += from->cache.flushes;
	to->cache.failures += from->cache.failures;
	to->evictions += from->evictions;
	to->failures += from->failures;
}

_Static_assert(sizeof(struct stats_store) % sizeof(uint64_t) == 0, "is made of counters");

void stats_store_set(struct stats *block, const struct stats_store *counts)
{
	uint64_t words[STATS_STORE_WORDS];

	memcpy(words, counts, sizeof(words));
	for (unsigned i = 0; i < STATS_STORE_WORDS; i++)
		WRITE(block->store[i], words[i]);
}

void stats_store_get(const struct stats *block, struct stats_store *ret_counts)
{
	uint64_t words[STATS_STORE_WORDS];

	for (unsigned i = 0; i < STATS_STORE_WORDS; i++)
		words[i] = READ(block->store[i]);
	memcpy(ret_counts, words, sizeof(words));
}

void stats_copies_read(const struct stats_copies *from, struct stats_copies *ret_copies)
{
	WRITE(ret_copies->made, READ(from->made));
	WRITE(ret_copies->failed, READ(from->failed));
	WRITE(ret_copies->last_s, READ(from->last_s));
}

void stats_sum(const struct stats *blocks, unsigned count, struct stats *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (const struct stats *block = blocks; block < blocks + count; block++) {
#define COUNTER(name, help) STATS_BUMP(ret_sum->name, READ(block->name));
#define GAUGE(name, help) STATS_BUMP(ret_sum->name, READ(block->name));
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
		add_all(ret_sum->outcome, block->outcome, OUTCOME_COUNT);
		add_all(ret_sum->failure, block->failure, FAILURE_COUNT);
		add_all(ret_sum->not_stored, block->not_stored, REASON_COUNT);
		add_all(ret_sum->not_reused, block->not_reused, REASON_COUNT);
		offenders_merge(&ret_sum->repaired, &block->repaired);
		offenders_merge(&ret_sum->mended, &block->mended);
		offenders_merge(&ret_sum->tunnelled, &block->tunnelled);
		add_all(ret_sum->store, block->store, STATS_STORE_WORDS);
		histogram_merge(&ret_sum->hit_latency, &block->hit_latency);
		histogram_merge(&ret_sum->miss_latency, &block->miss_latency);
	}
}

_Static_assert(offsetof(struct stats, repaired) % sizeof(uint64_t) == 0, "is made of words");

/* The numbers of a block as an array: they are atomic words, one after the other. */
static const _Atomic uint64_t *numbers_of(const struct stats *sum)
{
	return (const _Atomic uint64_t *)(const void *)sum;
}

void stats_get_numbers(const struct stats *sum, uint64_t ret_numbers[STATS_NUMBERS])
{
	for (size_t i = 0; i < STATS_NUMBERS; i++)
		ret_numbers[i] = READ(numbers_of(sum)[i]);
}

void stats_set_numbers(struct stats *ret_sum, const uint64_t numbers[STATS_NUMBERS])
{
	_Atomic uint64_t *to = (_Atomic uint64_t *)(void *)ret_sum;

	memset(ret_sum, 0, sizeof(*ret_sum));
	for (size_t i = 0; i < STATS_NUMBERS; i++)
		WRITE(to[i], numbers[i]);
}

void stats_difference(const struct stats *now, const struct stats *then, struct stats *ret_between)
{
	_Atomic uint64_t *to = (_Atomic uint64_t *)(void *)ret_between;

	memset(ret_between, 0, sizeof(*ret_between));
	for (size_t i = 0; i < STATS_NUMBERS; i++)
		WRITE(to[i], READ(numbers_of(now)[i]) - READ(numbers_of(then)[i]));
#define COUNTER(name, help)
#define GAUGE(name, help) WRITE(ret_between->name, READ(now->name));
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
}
