/*
 * What a worker's cache and store count, brought into its block of statistics.  They count from 0
 * when they are opened, the block goes on with what those before them have counted.
 */
#ifndef PROXY_STATS_STORE_COUNTS_H
#define PROXY_STATS_STORE_COUNTS_H

#include "proxy/stats/stats.h"

struct store_counts {
	struct cache *cache;
	struct stats_store before; /* counted by others */
};

/* After stats_attach().  The cache outlives it. */
void store_counts_begin(struct store_counts *counts, struct cache *cache);

/* Bring them into this process's block: a few times a second, and before it is reported. */
void store_counts_note(const struct store_counts *counts);

#endif
