/*
 * Pieces of lines, put to where there is room for any: by hand, as each request pays for them.  For
 * accesslog_line.c and accesslog_format.c.
 */
#ifndef PROXY_STATS_ACCESSLOG_PUT_H
#define PROXY_STATS_ACCESSLOG_PUT_H

#include <stdint.h>
#include <string.h>

#include "cache/base/slice.h"

#define APPEND(at, literal) append_bytes(at, literal, sizeof(literal) - 1)

static inline char *append_bytes(char *at, const char *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static inline char *append_word(char *at, const char *word)
{
	return append_bytes(at, word, strlen(word));
}

static inline char *append_unsigned(char *at, uint64_t number)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	return append_bytes(at, digits + i, sizeof(digits) - i);
}

static inline char *append_signed(char *at, int64_t number)
{
	uint64_t size = (uint64_t)number;

	if (number < 0) {
		*at++ = '-';
		size = -size;
	}
	return append_unsigned(at, size);
}

/* Of any integer type. */
#define append_number(at, number) \
	_Generic((number), int64_t : append_signed, default : append_unsigned)(at, number)

static inline char *append_3_digits(char *at, unsigned number)
{
	*at++ = (char)('0' + number / 100 % 10);
	*at++ = (char)('0' + number / 10 % 10);
	*at++ = (char)('0' + number % 10);
	return at;
}

static inline char *append_hex(char *at, uint64_t number)
{
	char digits[16];
	size_t i = sizeof(digits);

	do
		digits[--i] = "0123456789abcdef"[number & 15];
	while ((number >>= 4) > 0);
	return append_bytes(at, digits + i, sizeof(digits) - i);
}

/* Set in some byte of the result if any of the eight is below `least` (1-128) or above 127. */
static inline uint64_t below(uint64_t word, unsigned char least)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return ((word - ones * least) | word) & ones * 0x80;
}

/*
 * Eight bytes that stand for themselves: printable ASCII from `least` on, but quote and backslash.
 */
static inline bool are_plain(uint64_t word, unsigned char least)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	return !(below(word, least) | below(word ^ ones * '"', 1) | below(word ^ ones * '\\', 1) |
		 below(word ^ ones * 0x7f, 1));
}

static inline bool is_plain(unsigned char c, unsigned char least)
{
	return c >= least && c < 0x7f && c != '"' && c != '\\';
}

typedef char *append_escape(char *at, unsigned char c);

/*
 * Most texts have nothing to escape and are short, so eight bytes at a time is all the speed there
 * is.
 */
static inline char *append_text(char *at, struct slice text, unsigned char least,
				append_escape *escape)
{
	uint64_t word;

	for (size_t i = 0; i < text.n;) {
		size_t n = text.n - i < sizeof(word) ? text.n - i : sizeof(word);

		if (n == sizeof(word)) {
			memcpy(&word, text.p + i, sizeof(word));
			if (are_plain(word, least)) {
				at = append_bytes(at, text.p + i, sizeof(word));
				i += sizeof(word);
				continue;
			}
		}
		for (size_t end = i + n; i < end; i++) {
			unsigned char c = (unsigned char)text.p[i];

			if (is_plain(c, least))
				*at++ = (char)c;
			else
				at = escape(at, c);
		}
	}
	return at;
}

static inline struct slice cut(struct slice text, size_t length)
{
	return slice_of(text.p, text.n < length ? text.n : length);
}

#endif
