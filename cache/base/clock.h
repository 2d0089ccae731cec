/*
 * The two clocks that HTTP caching needs, read together once per loop turn by the caller.
 *
 *	wall_s       seconds since the epoch, as the system says: for Date, Expires, Last-Modified
 *	steady_ms    milliseconds on the cache's own clock, for time in the store and so for Age
 *	restored_ms  a time on the steady clock, 0 for never: invalidations up to then may be lost,
 *	             because the store was restored from a copy, so records received by then are
 *	             validated before use
 *
 * The steady clock follows the wall clock forwards, and continues from where it was when the wall
 * clock is set back.  It never decreases, not even across a restart: its lead over the wall clock
 * is kept beside the store.  So a clock that is set back can make a record stale, but never younger
 * than it was.
 */
#ifndef CACHE_BASE_CLOCK_H
#define CACHE_BASE_CLOCK_H

#include <stdint.h>

struct http_clock {
	int64_t wall_s;
	int64_t steady_ms;
	int64_t restored_ms;
};

#endif
