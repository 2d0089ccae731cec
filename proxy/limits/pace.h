/*
 * A deadline for moving bytes that a slow peer cannot postpone for ever (HAZARDS L3).
 *
 * It begins conf->body_timeout away.  Each byte that moves gives back its part of a second at
 * conf->body_rate, but the deadline is never further away than at the beginning: who keeps to the
 * rate goes on for ever, a slower peer has used body_timeout up in the end, and one that stops has
 * no more than that.  With a rate of 0 each byte gives back all of it.
 *
 * A rate is owed by a client that sends a body or does not take what is there, and by an origin
 * that does not take a body.  An origin that gives one may trickle: it may be an event stream,
 * which says nothing for as long as nothing happens.  There each byte gives back all of the time.
 */
#ifndef PROXY_LIMITS_PACE_H
#define PROXY_LIMITS_PACE_H

#include "conf/conf.h"

struct pace {
	int64_t until_us; /* monotonic; 0 while nothing is waited for */
};

/* Bytes are waited for, or are not any more. */
static inline void pace_wait(struct pace *pace, bool waiting, const struct conf *conf,
			     int64_t now_ms)
{
	if (!waiting)
		pace->until_us = 0;
	else if (pace->until_us == 0)
		pace->until_us = (now_ms + conf->body_timeout_ms) * 1000;
}

/* `n` bytes have moved. */
static inline void pace_moved(struct pace *pace, size_t n, const struct conf *conf, int64_t now_ms)
{
	int64_t latest_us = (now_ms + conf->body_timeout_ms) * 1000;

	if (pace->until_us == 0 || n == 0)
		return;
	if (conf->body_rate > 0)
		pace->until_us += (int64_t)(n * 1000000 / conf->body_rate);
	if (conf->body_rate == 0 || pace->until_us > latest_us)
		pace->until_us = latest_us;
}

/* Bytes have moved that no rate is owed for. */
static inline void pace_anew(struct pace *pace, const struct conf *conf, int64_t now_ms)
{
	if (pace->until_us != 0)
		pace->until_us = (now_ms + conf->body_timeout_ms) * 1000;
}

/* Milliseconds that are left, 1 at least; of something that is waited for. */
static inline int64_t pace_left_ms(const struct pace *pace, int64_t now_ms)
{
	int64_t left_ms = (pace->until_us + 999) / 1000 - now_ms;

	return left_ms > 0 ? left_ms : 1;
}

#endif
