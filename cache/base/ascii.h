/* Letters, digits and decimal numbers as protocols have them: ASCII, whatever the locale.  Pure. */
#ifndef CACHE_BASE_ASCII_H
#define CACHE_BASE_ASCII_H

#include <stdint.h>

#include "cache/base/slice.h"

static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* The text in lower case; `to` has text.n bytes, and may be the text itself. */
static inline void ascii_write_lower(struct slice text, char *to)
{
	for (size_t i = 0; i < text.n; i++)
		to[i] = ascii_lower(text.p[i]);
}

/*
 * Read the number at the start of the text; returns how many digits it has, 0 for none.  A number
 * larger than `most` (at most UINT64_MAX / 10 - 1) becomes `most`.
 */
static inline size_t ascii_take_decimal(struct slice text, uint64_t most, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t n = 0;

	for (; n < text.n && ascii_is_digit(text.p[n]); n++) {
		number = number * 10 + (uint64_t)(text.p[n] - '0');
		if (number > most)
			number = most;
	}
	*ret_number = number;
	return n;
}

/*
 * Read a text that is one or more digits and nothing else; false otherwise.  A number larger than
 * `most` becomes `most`: to refuse it, pass the largest allowed number plus one.
 */
static inline bool ascii_decimal(struct slice text, uint64_t most, uint64_t *ret_number)
{
	return text.n > 0 && ascii_take_decimal(text, most, ret_number) == text.n;
}

#endif
