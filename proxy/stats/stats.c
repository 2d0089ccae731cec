/* Counters of a worker, and their sum. */
#include "proxy/stats/stats.h"

#include <assert.h>
#include <string.h>

#include "proxy/stats/shared_row.h"

/* Before stats_attach() a process counts here. */
static struct stats own_block;
struct stats *stats = &own_block;

struct stats *stats_map(unsigned workers)
{
	return shared_map(workers * sizeof(struct stats));
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

/* It is made of counters. */
void stats_store_add(struct stats_store *to, const struct stats_store *from)
{
	uint64_t sum[STATS_STORE_WORDS], words[STATS_STORE_WORDS];

	memcpy(sum, to, sizeof(sum));
	memcpy(words, from, sizeof(words));
	for (unsigned i = 0; i < STATS_STORE_WORDS; i++)
		sum[i] += words[i];
	memcpy(to, sum, sizeof(sum));
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

_Static_assert(offsetof(struct stats, repaired) % sizeof(uint64_t) == 0, "is made of words");

/* The numbers of a block as an array: they are atomic words, one after the other. */
static const _Atomic uint64_t *numbers_of(const struct stats *sum)
{
	return (const _Atomic uint64_t *)(const void *)sum;
}

void stats_sum_numbers(const struct stats *blocks, unsigned count, struct stats *ret_sum)
{
	memset(ret_sum, 0, sizeof(*ret_sum));
	for (const struct stats *block = blocks; block < blocks + count; block++)
		add_all((_Atomic uint64_t *)(void *)ret_sum, numbers_of(block), STATS_NUMBERS);
	/* These do not add up. */
	STATS_WRITE(ret_sum->process.started_ms, 0);
	STATS_WRITE(ret_sum->process.pid, 0);
}

void stats_sum(const struct stats *blocks, unsigned count, struct stats *ret_sum)
{
	stats_sum_numbers(blocks, count, ret_sum);
	for (const struct stats *block = blocks; block < blocks + count; block++) {
		offenders_merge(&ret_sum->repaired, &block->repaired);
		offenders_merge(&ret_sum->mended, &block->mended);
		offenders_merge(&ret_sum->tunnelled, &block->tunnelled);
		for (unsigned i = 0; i < LISTENER_ROWS; i++)
			listener_counts_sum(&ret_sum->listeners[i], &block->listeners[i]);
	}
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
	uint64_t cpu_us = STATS_READ(ret_between->process.cpu_us);
	memcpy(&ret_between->process, &now->process, sizeof(now->process));
	STATS_WRITE(ret_between->process.cpu_us, cpu_us);
}
