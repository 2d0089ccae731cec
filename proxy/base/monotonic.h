/*
 * The monotonic clock, for how long something takes.  How long it may take, deadline.h says; dates
 * are of the wall clock (wall_clock.h).
 */
#ifndef PROXY_BASE_MONOTONIC_H
#define PROXY_BASE_MONOTONIC_H

#include <stdint.h>

/* Microseconds, now; the same clock for all processes of a machine. */
int64_t monotonic_us(void);

#endif
