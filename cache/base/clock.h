/*
 * The two clocks that HTTP caching needs, read together once per loop turn by the caller.
 *
 * wall_s      seconds since the epoch, as the system says; for Date, Expires, Last-Modified.
 * steady_ms   milliseconds on the cache's own clock: it follows the wall clock forwards, and goes
 * on where it was when the wall clock steps back.  It never decreases, also across a restart (its
 * lead over the wall clock is kept beside the store).  Resident time and so Age are counted on it:
 * a clock that steps back can make a record stale, never younger than it was. restored_ms up to
 * there on the steady clock, what was invalidated or changed has been lost, since the store was
 * restored from a copy: records received then are validated before use. 0 for never.
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
