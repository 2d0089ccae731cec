/* Taking one in so many by chance, so that what comes in a rhythm is not missed.  Not for secrets. */
#ifndef PROXY_STATS_CHANCE_H
#define PROXY_STATS_CHANCE_H

#include <stdint.h>

/* xorshift64 (Marsaglia 2003): to be even is all that is asked of it.  `state` is not 0. */
static inline uint64_t chance_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* How many to leave out before the next, when one in `mean` (1 at least) is taken on average. */
static inline uint64_t chance_skip(uint64_t *state, uint64_t mean)
{
	return chance_next(state) % (2 * mean - 1);
}

#endif
