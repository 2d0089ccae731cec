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

/* The text in lower case; `to` has text.n bytes, and may be the text itself. */
static inline void ascii_write_lower(struct slice text, char *to)
{
	for (size_t i = 0; i < text.n; i++)
		to[i] = ascii_lower(text.p[i]);
}

#endif
