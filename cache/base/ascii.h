/* Letters and digits as protocols have them: ASCII, whatever the locale.  Pure. */
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

/* What a hexadecimal digit of either case stands for; -1 when it is none. */
static inline int ascii_hex(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Eight bytes at once, each as by ascii_lower(). */
static inline uint64_t ascii_lower_eight(uint64_t bytes)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t low = bytes & 0x7f * each;
	uint64_t from_a = low + (0x80 - 'A') * each, behind_z = low + (0x80 - 'Z' - 1) * each;

	/* the top bit of each byte: 'A' to 'Z', and not beyond ASCII */
	return bytes | (from_a & ~behind_z & ~bytes & 0x80 * each) >> 2;
}

/* The text in lower case; `to` has text.n bytes, and may be the text itself. */
static inline void ascii_write_lower(struct slice text, char *to)
{
	size_t i = 0;
	uint64_t eight;

	for (; text.n - i >= 8; i += 8) {
		memcpy(&eight, text.p + i, 8);
		eight = ascii_lower_eight(eight);
		memcpy(to + i, &eight, 8);
	}
	for (; i < text.n; i++)
		to[i] = ascii_lower(text.p[i]);
}

#endif
