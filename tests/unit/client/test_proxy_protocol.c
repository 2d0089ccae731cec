/* LINKS: proxy/client */
/* Headers of the PROXY protocol: what is told, what is refused, at every length. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "proxy/client/proxy_protocol.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4_BLOCK "\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
#define TCP6_ONE "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"
#define TCP6_BLOCK TCP6_ONE "\x01" TCP6_ONE "\x02\xdc\x04\x01\xbb"
#define BYTES(literal)                         \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}

struct good_case {
	struct slice bytes;
	const char *source; /* with its port; NULL when none is told */
	bool local;
};

static const struct good_case good[] = {
	{BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), "192.0.2.1:56324", false},
	{BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	 "255.255.255.255:65535", false},
	{BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n"), "192.0.2.1:0", false},
	{BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n"), "[2001:db8::1]:56324", false},
	{BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", false},
	{BYTES("PROXY UNKNOWN\r\n"), NULL, false},
	{BYTES("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), NULL, false},
	{BYTES(SIGNATURE "\x21\x11\x00\x0c" TCP4_BLOCK), "192.0.2.1:56324", false},
	{BYTES(SIGNATURE "\x21\x21\x00\x24" TCP6_BLOCK), "[2001:db8::1]:56324", false},
	{BYTES(SIGNATURE "\x21\x11\x00\x14" TCP4_BLOCK "\x03\x00\x01x\x04\x00\x01y"),
	 "192.0.2.1:56324", false},
	{BYTES(SIGNATURE "\x21\x11\x00\x0f" TCP4_BLOCK "\x04\x00\x00"), "192.0.2.1:56324", false},
	{BYTES(SIGNATURE "\x20\x00\x00\x00"), NULL, true},
	{BYTES(SIGNATURE "\x20\x11\x00\x0c" TCP4_BLOCK), NULL, true},
	{BYTES(SIGNATURE "\x20\xff\x00\x03xyz"), NULL, true},
	{BYTES(SIGNATURE "\x21\x00\x00\x00"), NULL, false},
	{BYTES(SIGNATURE "\x21\x00\x00\x02xy"), NULL, false},
};

static const struct slice bad[] = {
	BYTES("GET / HTTP/1.1\r\n"),
	BYTES("PROXY\r\n"),
	BYTES("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
	BYTES("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
	BYTES("PROXY \r\n"),
	BYTES("PROXY TCP4\r\n"),
	BYTES("PROXY TCP4 \r\n"),
	BYTES("PROXY TCP4 192.0.2.1\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1\n2\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 655360\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n"),
	BYTES("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n"),
	BYTES("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n"),
	BYTES("PROXY TCP4 192.0.2.1 192.0.2 1 2\r\n"),
	BYTES("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
	BYTES("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"),
	BYTES("PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n"),
	BYTES("PROXY TCP6 2001:db8::1%lo 2001:db8::2 1 2\r\n"),
	BYTES("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"),
	BYTES("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"),
	BYTES("PROXY UNKNOWNX\r\n"),
	BYTES("PROXY TCP4 192.0.2.1\x00 192.0.2.2 1 2\r\n"),
	BYTES("\r\n\r\n\0\r\nQUIT\r"),
	BYTES("\r\n\r\nGET / HTTP/1.1\r\n"),
	BYTES(SIGNATURE "\x11\x11\x00\x0c" TCP4_BLOCK),
	BYTES(SIGNATURE "\x22\x11\x00\x0c" TCP4_BLOCK),
	BYTES(SIGNATURE "\x31\x11\x00\x0c" TCP4_BLOCK),
	BYTES(SIGNATURE "\x21\x11\x00\x0b" TCP4_BLOCK),
	BYTES(SIGNATURE "\x21\x11\x00\x00"),
	BYTES(SIGNATURE "\x21\x21\x00\x0c" TCP4_BLOCK),
	BYTES(SIGNATURE "\x21\x12\x00\x0c" TCP4_BLOCK),
	BYTES(SIGNATURE "\x21\x41\x00\x0c" TCP4_BLOCK),
	BYTES(SIGNATURE "\x21\x31\x00\x0c" TCP4_BLOCK),
	BYTES(SIGNATURE "\x21\x11\x00\x0d" TCP4_BLOCK "x"),
	BYTES(SIGNATURE "\x21\x11\x00\x10" TCP4_BLOCK "\x04\x00\x02y"),
	BYTES(SIGNATURE "\x21\x11\x00\x15" TCP4_BLOCK "\x04\x00\x00\x04\x00\x09xyz"),
	BYTES(SIGNATURE "\x21\x11\xff\xff" TCP4_BLOCK),
};

/* The first `n` bytes, in memory of just that size, so that a sanitizer sees a byte too many. */
static enum proxy_header_result parse_first(struct slice bytes, size_t n, struct proxy_header *ret,
					    size_t *ret_length)
{
	char *copy = malloc(n > 0 ? n : 1);
	enum proxy_header_result result;

	memcpy(copy, bytes.p, n);
	result = proxy_header_parse(slice_of(copy, n), ret, ret_length);
	free(copy);
	return result;
}

static void check_good(const struct good_case *one, const struct proxy_header *header)
{
	char text[ADDRESS_TEXT_SIZE];

	assert_int_equal(header->local, one->local);
	if (one->source == NULL) {
		assert_int_equal(header->source.any.sa_family, AF_UNSPEC);
		return;
	}
	address_format_port(&header->source, text);
	assert_string_equal(text, one->source);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct slice bytes = good[i].bytes;
		struct proxy_header header;
		size_t length = 0;

		for (size_t n = 0; n < bytes.n; n++)
			if (parse_first(bytes, n, &header, &length) != PROXY_HEADER_MORE)
				fail_msg("good %zu: decided at %zu bytes", i, n);
		if (parse_first(bytes, bytes.n, &header, &length) != PROXY_HEADER_DONE)
			fail_msg("good %zu is refused", i);
		assert_int_equal(length, bytes.n);
		check_good(&good[i], &header);
	}
}

/* What follows the header is not looked at. */
static void test_bytes_after(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct slice bytes = good[i].bytes;
		char *more = malloc(bytes.n + 4);
		struct proxy_header header;
		size_t length = 0;

		memcpy(more, bytes.p, bytes.n);
		memcpy(more + bytes.n, "GET ", 4);
		assert_int_equal(proxy_header_parse(slice_of(more, bytes.n + 4), &header, &length),
				 PROXY_HEADER_DONE);
		assert_int_equal(length, bytes.n);
		check_good(&good[i], &header);
		free(more);
	}
}

/* Refused whole, and never taken on the way there; once refused it stays so. */
static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct proxy_header header;
		size_t length = 0;
		bool refused = false;

		for (size_t n = 0; n <= bad[i].n; n++) {
			enum proxy_header_result result = parse_first(bad[i], n, &header, &length);

			if (result == PROXY_HEADER_DONE || (refused && result != PROXY_HEADER_BAD))
				fail_msg("bad %zu at %zu bytes: %d", i, n, (int)result);
			refused = result == PROXY_HEADER_BAD;
		}
		if (!refused)
			fail_msg("bad %zu is taken", i);
	}
}

/* What no more bytes can mend is refused with the byte that is wrong. */
static void test_bad_at_once(void **state)
{
	static const struct {
		struct slice bytes;
		size_t at;
	} cases[] = {
		{BYTES("X"), 1},
		{BYTES("PROXy"), 5},
		{BYTES("\r\n\r\n\n"), 5},
		{BYTES("PROXY TCP4 1\n"), 13},
		{BYTES(SIGNATURE "\x11"), 13},
		{BYTES(SIGNATURE "\x21\x11\xff\xff"), 16},
	};
	struct proxy_header header;
	size_t length;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(parse_first(cases[i].bytes, cases[i].at, &header, &length),
				 PROXY_HEADER_BAD);
		assert_int_equal(parse_first(cases[i].bytes, cases[i].at - 1, &header, &length),
				 PROXY_HEADER_MORE);
	}
}

static void test_bounds_of_version_1(void **state)
{
	char line[PROXY_HEADER_V1_MAX + 2];
	struct proxy_header header;
	size_t length;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + PROXY_HEADER_V1_MAX - 2, "\r\n", 2);
	assert_int_equal(proxy_header_parse(slice_of(line, PROXY_HEADER_V1_MAX), &header, &length),
			 PROXY_HEADER_DONE);
	assert_int_equal(length, PROXY_HEADER_V1_MAX);
	memcpy(line + PROXY_HEADER_V1_MAX - 2, "x\r\n", 3);
	assert_int_equal(
		proxy_header_parse(slice_of(line, PROXY_HEADER_V1_MAX + 1), &header, &length),
		PROXY_HEADER_BAD);
	memset(line + 14, 'x', sizeof(line) - 14);
	assert_int_equal(
		proxy_header_parse(slice_of(line, PROXY_HEADER_V1_MAX - 1), &header, &length),
		PROXY_HEADER_MORE);
	assert_int_equal(proxy_header_parse(slice_of(line, PROXY_HEADER_V1_MAX), &header, &length),
			 PROXY_HEADER_BAD);
}

/* One TLV that fills the rest: at the bound it is taken, a byte more is refused at its head. */
static void test_bounds_of_version_2(void **state)
{
	char *bytes = calloc(1, PROXY_HEADER_MAX + 1);
	size_t block = PROXY_HEADER_MAX - 16, value = block - 12 - 3, length;
	struct proxy_header header;

	(void)state;
	memcpy(bytes, SIGNATURE "\x21\x11\x00\x00" TCP4_BLOCK "\x04", 29);
	bytes[14] = (char)(block >> 8);
	bytes[15] = (char)block;
	bytes[29] = (char)(value >> 8);
	bytes[30] = (char)value;
	assert_int_equal(
		proxy_header_parse(slice_of(bytes, PROXY_HEADER_MAX - 1), &header, &length),
		PROXY_HEADER_MORE);
	assert_int_equal(proxy_header_parse(slice_of(bytes, PROXY_HEADER_MAX), &header, &length),
			 PROXY_HEADER_DONE);
	assert_int_equal(length, PROXY_HEADER_MAX);
	bytes[15]++;
	assert_int_equal(proxy_header_parse(slice_of(bytes, 16), &header, &length),
			 PROXY_HEADER_BAD);
	free(bytes);
}

static void test_unix_addresses(void **state)
{
	char bytes[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/run/a";
	struct proxy_header header;
	size_t length;

	(void)state;
	assert_int_equal(proxy_header_parse(slice_of(bytes, sizeof(bytes)), &header, &length),
			 PROXY_HEADER_DONE);
	assert_int_equal(header.source.any.sa_family, AF_UNSPEC);
	assert_false(header.local);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bytes_after),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bad_at_once),
		cmocka_unit_test(test_bounds_of_version_1),
		cmocka_unit_test(test_bounds_of_version_2),
		cmocka_unit_test(test_unix_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
