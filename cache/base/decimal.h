/*
 * Decimal numbers as protocols and files have them: digits, whatever the locale, up to a largest
 * number that the reader names.  Pure.
 *
 * All numbers of peers and operators are read by these, but for fractions (qvalues) and fields of
 * bits (hexadecimal, octal), which are other grammars.
 */
#ifndef CACHE_BASE_DECIMAL_H
#define CACHE_BASE_DECIMAL_H

#include <stdint.h>

#include "cache/base/ascii.h"
#include "cache/base/slice.h"

/* Digits that were read.  All zero: none yet. */
struct decimal {
	uint64_t number; /* the largest number allowed when too_large */
	size_t digits;
	bool too_large;
};

/* One digit more. */
static inline void decimal_add(struct decimal *decimal, char digit, uint64_t most)
{
	uint64_t number;

	if (__builtin_mul_overflow(decimal->number, 10, &number) ||
	    __builtin_add_overflow(number, (uint64_t)(digit - '0'), &number) || number > most) {
		decimal->too_large = true;
		number = most;
	}
	decimal->number = number;
	decimal->digits++;
}

/* The digits at the start of the text, all of them. */
static inline struct decimal decimal_take(struct slice text, uint64_t most)
{
	struct decimal decimal = {0};

	for (size_t i = 0; i < text.n && ascii_is_digit(text.p[i]); i++)
		decimal_add(&decimal, text.p[i], most);
	return decimal;
}

/* A text that is digits and nothing else.  False for others, and for a number above `most`. */
static inline bool decimal_read(struct slice text, uint64_t most, uint64_t *ret_number)
{
	struct decimal decimal = decimal_take(text, most);

	*ret_number = decimal.number;
	return decimal.digits > 0 && decimal.digits == text.n && !decimal.too_large;
}

/* The same where any number of digits is allowed: a number above `most` becomes `most`. */
static inline bool decimal_read_capped(struct slice text, uint64_t most, uint64_t *ret_number)
{
	struct decimal decimal = decimal_take(text, most);

	*ret_number = decimal.number;
	return decimal.digits > 0 && decimal.digits == text.n;
}

#endif
