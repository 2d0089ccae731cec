/* What the cache counts, in each process. */
#ifndef CACHE_COUNTS_H
#define CACHE_COUNTS_H

#include <stdint.h>

enum { CACHE_AGE_BUCKETS = 50 }; /* two to each power of two of seconds */

struct cache_counts {
	uint64_t stored;        /* records put into the store */
	uint64_t dropped;       /* writes that did not fit the queue or the store */
	uint64_t damaged;       /* records found damaged, and dropped */
	uint64_t invalidated;   /* URIs removed by unsafe methods and groups */
	uint64_t purged;        /* entries that a purge removed, or removed records from */
	uint64_t flushes;       /* write transactions */
	uint64_t failures;      /* failed ones */
	uint64_t evicted_fresh; /* entries evicted that had a fresh record still */
	uint64_t evicted_age[CACHE_AGE_BUCKETS]; /* those evicted, by the time since they came */
	uint64_t compared;                       /* bytes of entries that lookups went through */
};

#endif
