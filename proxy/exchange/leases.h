/*
 * Which keys are being validated in the background, shared by all workers: only one process at a
 * time validates a key (RFC 5861 3).
 *
 * A table of fixed size in memory shared over fork().  A lease is one word, put there and taken out
 * by compare-and-swap, and lapses by itself: a worker that dies leaves nothing that another must
 * clear.  Taking a lease never waits.  A refusal means that another process validates the key, or
 * in rare cases (two at the same instant) that it is left to the next request.  With a full bucket
 * nothing is refused, so that origins that are slow for some keys cannot keep others from being
 * validated: then several workers may validate the same key.
 */
#ifndef PROXY_EXCHANGE_LEASES_H
#define PROXY_EXCHANGE_LEASES_H

#include <stdatomic.h>

#include "cache/base/key.h"

enum { LEASE_MS = 30000 }; /* a lease that is not released lapses after this */

struct leases;

/* A lease that is held; all zero for none, and for one without a slot. */
struct lease {
	_Atomic uint64_t *slot;
	uint64_t word;
};

/* Lives as long as the process.  NULL on failure. */
struct leases *leases_map(void);

/* `now_ms` is the kernel's monotonic clock, the same for all processes.  False: not now. */
bool leases_take(struct leases *leases, const struct cache_key *key, int64_t now_ms,
		 struct lease *ret_lease);

/* Does nothing when there is none, or it lapsed and is another's by now. */
void lease_release(struct lease *lease);

#endif
