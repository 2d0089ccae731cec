/* Counters of a worker, and their sum. */
#include "proxy/stats/stats.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Before stats_attach() a process counts here. */
static struct stats own_block;
struct stats *stats = &own_block;

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
		STATS_BUMP(to[i], STATS_READ(from[i]));
}

void stats_reset_gauges(struct stats *block)
{
#define COUNTER(name, metric, help)
#define GAUGE(name, metric, help) STATS_WRITE(block->name, 0);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	process_stats_reset(&block->process);
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
		STATS_WRITE(block->store[i], words[i]);
}

void stats_store_get(const struct stats *block, struct stats_store *ret_counts)
{
	uint64_t words[STATS_STORE_WORDS];

	for (unsigned i = 0; i < STATS_STORE_WORDS; i++)
		words[i] = STATS_READ(block->store[i]);
	memcpy(ret_counts, words, sizeof(words));
}

void stats_copies_read(const struct stats_copies *from, struct stats_copies *ret_copies)
{
	STATS_WRITE(ret_copies->made, STATS_READ(from->made));
	STATS_WRITE(ret_copies->failed, STATS_READ(from->failed));
	STATS_WRITE(ret_copies->last_s, STATS_READ(from->last_s));
}

static void add_block(struct stats *to, const struct stats *from)
{
#define COUNTER(name, metric, help) STATS_BUMP(to->name, STATS_READ(from->name));
#define GAUGE(name, metric, help) STATS_BUMP(to->name, STATS_READ(from->name));
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	answer_counts_sum(&to->answers, &from->answers);
	add_all(to->failure, from->failure, FAILURE_COUNT);
	add_all(to->reason, from->reason, REASON_COUNT);
	offenders_merge(&to->repaired, &from->repaired);
	offenders_merge(&to->mended, &from->mended);
	offenders_merge(&to->tunnelled, &from->tunnelled);
	add_all(to->store, from->store, STATS_STORE_WORDS);
#define HISTOGRAM(member, metric, labels, group, name, help) \
	histogram_merge(&to->member, &from->member);
#include "proxy/stats/histograms.def"
#undef HISTOGRAM
	for (unsigned i = 0; i < LISTENER_ROWS; i++)
		listener_counts_sum(&to->listeners[i], &from->listeners[i]);
	process_stats_sum(&to->process, &from->process);
}

void stats_sum(const struct stats *blocks, unsigned count, struct stats *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (const struct stats *block = blocks; block < blocks + count; block++)
		add_block(ret_sum, block);
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
		ret_numbers[i] = STATS_READ(numbers_of(sum)[i]);
}

void stats_set_numbers(struct stats *ret_sum, const uint64_t numbers[STATS_NUMBERS])
{
	_Atomic uint64_t *to = (_Atomic uint64_t *)(void *)ret_sum;

	memset(ret_sum, 0, sizeof(*ret_sum));
	for (size_t i = 0; i < STATS_NUMBERS; i++)
		STATS_WRITE(to[i], numbers[i]);
}

void stats_difference(const struct stats *now, const struct stats *then, struct stats *ret_between)
{
	_Atomic uint64_t *to = (_Atomic uint64_t *)(void *)ret_between;

	memset(ret_between, 0, sizeof(*ret_between));
	for (size_t i = 0; i < STATS_NUMBERS; i++)
		STATS_WRITE(to[i],
			    STATS_READ(numbers_of(now)[i]) - STATS_READ(numbers_of(then)[i]));
#define COUNTER(name, metric, help)
#define GAUGE(name, metric, help) STATS_WRITE(ret_between->name, STATS_READ(now->name));
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
}
