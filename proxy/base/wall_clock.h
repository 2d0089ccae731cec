/*
 * The clocks of the world outside, which go on while this machine does not.
 *
 * The wall clock: what people and other machines call the time.  It can be set at any moment, to
 * anything, so it is for dates alone: of messages, records, log lines.  How long something takes is
 * measured by monotonic_us() (monotonic.h), and how long it may take by a deadline (deadline.h).
 * scripts/check-clocks.sh finds who asks for the wall clock elsewhere.
 */
#ifndef PROXY_BASE_WALL_CLOCK_H
#define PROXY_BASE_WALL_CLOCK_H

#include <stdint.h>

/* Milliseconds since the epoch, now. */
int64_t wall_clock_ms(void);

/*
 * Milliseconds since this machine was started, those in which it was suspended included: for how
 * old something from outside has become.  It cannot be set.
 */
int64_t boot_clock_ms(void);

#endif
