/* What cache and store count, in a worker's block of statistics. */
#include "proxy/stats/store_counts.h"

void store_counts_begin(struct store_counts *counts, struct cache *cache)
{
	counts->cache = cache;
	stats_store_get(stats, &counts->before);
}

void store_counts_note(const struct store_counts *counts)
{
	struct stats_store own = {.cache = *cache_counts(counts->cache)};
	struct stats_store sum = counts->before;
	struct store_usage usage;

	store_usage(cache_store_of(counts->cache), &usage);
	own.evictions = usage.evictions;
	own.failures = usage.failures;
	stats_store_add(&sum, &own);
	stats_store_set(stats, &sum);
}
