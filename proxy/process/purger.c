/* Removal of purged records, in small parts. */
#include "proxy/process/purger.h"

#include "proxy/base/log.h"
#include "proxy/stats/stats.h"

enum {
	PAUSE_MS = 1, /* between batches: clients come first */
	FAILURE_PAUSE_MS = 1000,
	LEASE_RENEW_MS = LEASE_MS / 3,
};

/* No real URI has this hash, except with probability 2^-128. */
static const struct cache_key removal_key = {{UINT64_MAX, UINT64_MAX}};

/*
 * Does this worker hold the lease?  The lease lapses, so that another worker takes over after a
 * crash.
 */
static bool take_lease(struct purger *purger)
{
	int64_t now_ms = purger->turn->now_us / 1000; /* a clock that all workers have */

	if (purger->lease.slot != NULL && now_ms - purger->leased_ms < LEASE_RENEW_MS)
		return true;
	lease_release(&purger->lease);
	purger->leased_ms = now_ms;
	return leases_take(purger->leases, &removal_key, now_ms, &purger->lease);
}

void purger_stop(struct purger *purger)
{
	lease_release(&purger->lease);
	STATS_SET(purging, 0);
}

int64_t purger_step(struct purger *purger)
{
	enum cache_purging result = CACHE_PURGED_ALL;

	if (!cache_purge_is_due(purger->cache) || purger->turn->draining || !take_lease(purger)) {
		purger_stop(purger);
		return 0;
	}
	STATS_SET(purging, 1);
	result = cache_purge_some(purger->cache);
	if (result == CACHE_PURGE_GOES_ON)
		return PAUSE_MS;
	if (result == CACHE_PURGE_FAILED)
		return FAILURE_PAUSE_MS;
	purger_stop(purger);
	log_info("purge finished");
	return 0;
}
