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

/* Bytes that are compared at once: SSE2, NEON, or what the compiler makes of it. */
typedef signed char text_bytes __attribute__((vector_size(16)));
typedef signed char text_word __attribute__((vector_size(8)));

/*
 * Do they all stand for themselves: printable ASCII from `least` on, but quote and backslash?  A byte
 * above 127 is negative, and so below `least`.
 */
static inline bool are_plain_16(const char *bytes, unsigned char least)
{
	text_bytes text, odd;
	uint64_t halves[2];

	memcpy(&text, bytes, sizeof(text));
	odd = (text < (signed char)least) | (text == '"') | (text == '\\') | (text == 0x7f);
	memcpy(halves, &odd, sizeof(halves));
	return (halves[0] | halves[1]) == 0;
}

static inline bool are_plain_8(const char *bytes, unsigned char least)
{
	text_word text, odd;
	uint64_t all;

	memcpy(&text, bytes, sizeof(text));
	odd = (text < (signed char)least) | (text == '"') | (text == '\\') | (text == 0x7f);
	memcpy(&all, &odd, sizeof(all));
	return all == 0;
}

/* The same of a text of eight bytes or more: its last bytes are looked at again with those before. */
static inline bool is_all_plain(struct slice text, unsigned char least)
{
	if (text.n < 2 * sizeof(text_word))
		return are_plain_8(text.p, least) &&
		       are_plain_8(text.p + text.n - sizeof(text_word), least);
	for (size_t i = 0; i + sizeof(text_bytes) < text.n; i += sizeof(text_bytes))
		if (!are_plain_16(text.p + i, least))
			return false;
	return are_plain_16(text.p + text.n - sizeof(text_bytes), least);
}

static inline bool is_plain(unsigned char c, unsigned char least)
{
	return c >= least && c < 0x7f && c != '"' && c != '\\';
}

typedef char *append_escape(char *at, unsigned char c);

/* Most texts have nothing to escape: they are looked at once, and copied. */
static inline char *append_text(char *at, struct slice text, unsigned char least,
				append_escape *escape)
{
	if (text.n >= sizeof(text_word) && is_all_plain(text, least))
		return append_bytes(at, text.p, text.n);
	for (size_t i = 0; i < text.n;) {
		size_t n = text.n - i < sizeof(text_bytes) ? text.n - i : sizeof(text_bytes);

		if (n == sizeof(text_bytes) && are_plain_16(text.p + i, least)) {
			at = append_bytes(at, text.p + i, sizeof(text_bytes));
			i += n;
			continue;
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
