/* Numbers made from a seed, for tests that make up what happens. */
#ifndef TESTS_ORACLE_DICE_H
#define TESTS_ORACLE_DICE_H

#include <stdint.h>
#include <string.h>

/* Never 0. */
static inline uint64_t dice_of(uint64_t seed)
{
	return seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* xorshift64* */
static inline unsigned dice_roll(uint64_t *state, unsigned sides)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (unsigned)((*state * UINT64_C(2685821657736338717) >> 33) % sides);
}

static inline char dice_pick(uint64_t *state, const char *choices)
{
	return choices[dice_roll(state, (unsigned)strlen(choices))];
}

#endif
