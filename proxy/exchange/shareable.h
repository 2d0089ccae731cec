/*
 * What answers have shown of keys: whether one of them serves several requests (RULES 10).
 *
 * A table of fixed size in memory shared over fork(), so that what one worker has learnt serves
 * all. A key is one word, of 22 bits of its hash and a deadline; in a full bucket it takes the
 * place of one that was not asked about since it was noted, else of the one that would be forgotten
 * first. All of it is a hint: what is forgotten, or taken for another key, costs requests a wait or
 * the origin some more, never a wrong answer.
 */
#ifndef PROXY_EXCHANGE_SHAREABLE_H
#define PROXY_EXCHANGE_SHAREABLE_H

#include <stdatomic.h>

#include "cache/base/key.h"

enum {
	SHAREABLE_BUCKETS = 8192,
	SHAREABLE_SLOTS = 8,    /* a cache line; 65,536 keys in all, 512 KiB */
	SHAREABLE_MS = 3600000, /* a key that proved shareable is remembered for so long */
};

enum shareable {
	SHAREABLE_UNKNOWN,
	SHAREABLE_NO,
	SHAREABLE_YES,
};

/* All zero when nothing is known. */
struct shareable_keys {
	_Atomic uint64_t bucket[SHAREABLE_BUCKETS][SHAREABLE_SLOTS] __attribute__((aligned(64)));
};

/* Lives as long as the process.  NULL on failure. */
struct shareable_keys *shareable_map(void);

/*
 * What is known of a key.  That it cannot be shared is remembered for `no_ms` more from now on.
 * `now_ms` is the kernel's monotonic clock, the same for all processes.
 */
enum shareable shareable_recall(struct shareable_keys *keys, const struct cache_key *key,
				int64_t now_ms, int64_t no_ms);

/* Remember for `for_ms` what an answer has shown; in the place of what was known. */
void shareable_note(struct shareable_keys *keys, const struct cache_key *key, bool yes,
		    int64_t now_ms, int64_t for_ms);

#endif
