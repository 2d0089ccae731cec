/*
 * How long a request waits for another's fetch, and how those who waited too long are let go (RULES
 * 10).  Pure; the clock is that of deadlines.
 *
 * For a key that has proved shareable it is collapse_timeout, and all who have waited that long are
 * let go together.  For any other it is collapse_cold_timeout.  After that they are let go one by
 * one, so that a slow origin does not get them all at once, and an answer that comes meanwhile can
 * still serve those who are left.
 */
#ifndef PROXY_EXCHANGE_COLLAPSE_H
#define PROXY_EXCHANGE_COLLAPSE_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

/* Between two who are let go. */
enum { COLLAPSE_STEP_MS = 10 };

struct collapse_wait {
	bool proved;       /* the key has proved shareable */
	unsigned waiting;  /* how many wait for the fetch */
	int64_t oldest_ms; /* since when the first of them waits */
	int64_t let_go_ms; /* when one was last let go; 0 for never */
};

/* At most so long; 0 for not at all. */
int64_t collapse_wait_ms(const struct conf *conf, bool proved);

/* When the next one is to be let go; somebody waits. */
int64_t collapse_due_ms(const struct conf *conf, const struct collapse_wait *wait);

/*
 * How many of those who have waited for collapse_wait_ms() are let go now, as it is due: one, or,
 * of a crowd that one in 10 ms would keep for longer than collapse_timeout, as many as it takes.
 */
unsigned collapse_let_go(const struct conf *conf, const struct collapse_wait *wait, int64_t now_ms);

#endif
