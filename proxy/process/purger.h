/*
 * The removal in the background of what a purge of everything leaves in the store (cache.h), by one
 * worker at a time.
 */
#ifndef PROXY_PROCESS_PURGER_H
#define PROXY_PROCESS_PURGER_H

#include "cache/cache.h"
#include "proxy/exchange/leases.h"
#include "proxy/loop/turn.h"

struct purger {
	struct cache *cache;
	const struct turn *turn;
	struct leases *leases;
	struct lease lease; /* while this worker is at it */
	int64_t leased_ms;
};

/*
 * Do a part of the removal, a fraction of a millisecond, if one is due and no other worker does it.
 * Returns the milliseconds until the next call, 0 when there is nothing to do for this worker.
 * Call it a few times a second in any case, since the worker that was removing may have died.
 */
int64_t purger_step(struct purger *purger);

/* Leave the rest to another worker. */
void purger_stop(struct purger *purger);

#endif
