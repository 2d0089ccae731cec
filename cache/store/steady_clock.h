/*
 * The cache's own clock (clock.h), from readings of the wall clock.  Pure but for the state, which
 * all processes of the store share: each field is read and written atomically, two processes that
 * see the same step at once come to the same result, and no reading is later than the latest one
 * noted.
 */
#ifndef CACHE_STORE_STEADY_CLOCK_H
#define CACHE_STORE_STEADY_CLOCK_H

#include "cache/base/clock.h"
#include "cache/store/store.h"

enum {
	/*
	 * A wall clock this far behind was set back; less may be slewing, or another process's
	 * reading.
	 */
	CLOCK_STEP_BACK_MS = 1000,
};

/*
 * Convert a reading of the wall clock, `wall_ms` since the epoch.  The steady time in *ret_now is
 * never less than one before.  Returns the milliseconds by which the wall clock was set back,
 * usually 0.
 */
int64_t clock_read(struct store_clock *state, int64_t wall_ms, struct http_clock *ret_now);

/* As any process has last read it, for those who have no reading of their own. */
struct http_clock clock_latest(const struct store_clock *state);

#endif
