/* LINKS: proxy/http1 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proxy/http1/body.h"
#include "proxy/http1/compose.h"
#include "tests/support/guarded.h"

#define TEXT(literal)                          \
	{                                      \
		(literal), sizeof(literal) - 1 \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ROOM = 256 << 10 };

/* What came of a body's bytes. */
struct decoded {
	enum body_result result;
	size_t consumed;
	size_t content_n;
	char content[ROOM];
};

static struct decoded whole, piece;
static struct body body;
static bool may_pad;

/* All there is to be had of bytes that have come so far; `at` of them are done with. */
static void decode_some(struct decoded *to, struct slice bytes)
{
	do {
		size_t left = bytes.n - to->consumed, consumed;
		struct slice content, copy = guarded(slice_of(bytes.p + to->consumed, left));

		to->result = body_decode(&body, copy, &consumed, &content);
		assert_true(consumed <= left);
		assert_true(to->content_n + content.n <= ROOM);
		if (content.n > 0)
			memcpy(to->content + to->content_n, content.p, content.n);
		to->content_n += content.n;
		to->consumed += consumed;
		guarded_end();
		if (consumed == 0 || to->consumed == bytes.n)
			break; /* the end is told with the last byte, not when more come */
	} while (to->result == BODY_MORE);
}

/* The first `first` bytes, then `step` more at a time. */
static void decode(struct decoded *to, enum http_body kind, uint64_t length, struct slice bytes,
		   size_t first, size_t step)
{
	body_begin(&body, kind, length);
	body.may_pad = may_pad;
	to->result = BODY_MORE;
	to->consumed = to->content_n = 0;
	for (size_t n = first; to->result == BODY_MORE; n += step) {
		n = n < bytes.n ? n : bytes.n;
		decode_some(to, slice_of(bytes.p, n));
		if (n == bytes.n)
			break;
	}
}

/* At once, in pieces of a few sizes, and split in two at each byte: all the same. */
static void decode_every_way(enum http_body kind, uint64_t length, struct slice bytes)
{
	decode(&whole, kind, length, bytes, bytes.n, 1);
	for (size_t i = 1; i <= 7 + bytes.n; i++) {
		size_t first = i <= 7 ? i : i - 7;

		decode(&piece, kind, length, bytes, first, i <= 7 ? i : bytes.n);
		if (piece.result == whole.result && piece.content_n == whole.content_n &&
		    memcmp(piece.content, whole.content, whole.content_n) == 0 &&
		    (whole.result == BODY_BAD || piece.consumed == whole.consumed))
			continue;
		fail_msg("\"%.*s\" in pieces: %d for %d, %zu bytes of content for %zu",
			 SLICE_ARG(bytes), piece.result, whole.result, piece.content_n,
			 whole.content_n);
	}
}

static void expect(struct slice bytes, enum body_result result)
{
	if (whole.result != result)
		fail_msg("\"%.*s\": %d for %d", SLICE_ARG(bytes), whole.result, result);
}

static void expect_content(struct slice content)
{
	assert_int_equal(whole.content_n, content.n);
	assert_memory_equal(whole.content, content.p, content.n);
}

/* ---- chunked -------------------------------------------------------------------------------- */

static void test_good_chunks(void **state)
{
	static const struct {
		struct slice bytes; /* and, to be left alone, "GET" */
		struct slice content;
	} rows[] = {
		{TEXT("0\r\n\r\nGET"), TEXT("")},
		{TEXT("5\r\nhello\r\n0\r\n\r\nGET"), TEXT("hello")},
		{TEXT("1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\nGET"), TEXT("abcdef")},
		{TEXT("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\nGET"),
		 TEXT("01234567890123456789")},
		{TEXT("4\r\n\r\n\0\n\r\n0\r\n\r\nGET"), TEXT("\r\n\0\n")},
		{TEXT("5\r\n0\r\n\r\n\r\n0\r\n\r\nGET"), TEXT("0\r\n\r\n")},
		/* leading zeros count as no digits */
		{TEXT("00000000000000000000000005\r\nhello\r\n0000\r\n\r\nGET"), TEXT("hello")},
		/* extensions are dropped */
		{TEXT("5;a\r\nhello\r\n0;b=c;d=\"e\"\r\n\r\nGET"), TEXT("hello")},
		{TEXT("5 \t; a = \"x y\" \r\nhello\r\n0 ;\r\n\r\nGET"), TEXT("hello")},
		{TEXT("5;\xff\r\nhello\r\n0\r\n\r\nGET"), TEXT("hello")},
		/* P15, A10: trailers are dropped, whatever they are called */
		{TEXT("0\r\nX: y\r\n\r\nGET"), TEXT("")},
		{TEXT("1\r\na\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: "
		      "x\r\nHost:\r\n\r\nGET"),
		 TEXT("a")},
		{TEXT("0\r\nX:\ta\xff \r\n\r\nGET"), TEXT("")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		decode_every_way(BODY_CHUNKED, 0, rows[i].bytes);
		expect(rows[i].bytes, BODY_DONE);
		expect_content(rows[i].content);
		assert_int_equal(whole.consumed, rows[i].bytes.n - 3);
		decode_every_way(BODY_CHUNKED, 0, slice_of(rows[i].bytes.p, whole.consumed));
		expect(rows[i].bytes, BODY_DONE);
		expect_content(rows[i].content);
		/* done is done, whatever comes */
		piece.consumed = 0;
		decode_some(&piece, SLICE("5\r\nhello\r\n"));
		assert_int_equal(piece.result, BODY_DONE);
		assert_int_equal(piece.content_n, rows[i].content.n);
	}
}

/* Every way that a good body can be cut is waited on: only the caller knows of the close (A5). */
static void test_cut_chunks(void **state)
{
	static const char text[] = "5 ;x=\"y\"\r\nhello\r\n0;z\r\nX: y\r\nY:\r\n\r\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		decode_every_way(BODY_CHUNKED, 0, slice_of(text, n));
		expect(slice_of(text, n), BODY_MORE);
		assert_int_equal(whole.consumed, n);
		assert_false(body.done);
	}
}

/* F5, P2, P4 and the like */
static const struct slice bad_chunks[] = {
	TEXT("\r\n"),
	TEXT("\n"),
	TEXT(";a\r\n"),
	TEXT(" 5\r\n"),
	TEXT("\t5\r\n"),
	TEXT("+5\r\n"),
	TEXT("-5\r\n"),
	TEXT("-0\r\n"),
	TEXT("0x5\r\n"),
	TEXT("5h\r\n"),
	TEXT("g\r\n"),
	TEXT("5.0\r\n"),
	TEXT("5,5\r\n"),
	TEXT("\"5\"\r\n"),
	TEXT("\0"),
	TEXT("5\0\r\n"),
	TEXT("5_0\r\n"),
	TEXT("\xb2\r\n"),
	/* the end of the size line */
	TEXT("5\nhello\r\n"),
	TEXT("5\rhello\r\n"),
	TEXT("5\r\rhello"),
	TEXT("5\r \nhello"),
	TEXT("5 \r\nhello"),
	TEXT("5 5\r\n"),
	TEXT("5\t\r\n"),
	TEXT("5\x0b\r\n"),
	/* 17 digits, and 2^63 */
	TEXT("10000000000000000\r\n"),
	TEXT("0010000000000000000\r\n"),
	TEXT("8000000000000000\r\n"),
	TEXT("ffffffffffffffff\r\n"),
	/* extensions */
	TEXT("5;a\nhello"),
	TEXT("5;a\0\r\n"),
	TEXT("5;a\x1f\r\n"),
	TEXT("5;a\x7f\r\n"),
	TEXT("5;a\r\rhello"),
	TEXT("5;a\rb\r\n"),
	TEXT("0;a\r\r\n"),
	TEXT("5;\"\n\"\r\n"),
	/* the end of the content */
	TEXT("5\r\nhelloXX0\r\n\r\n"),
	TEXT("5\r\nhelloX\n0\r\n\r\n"),
	TEXT("5\r\nhello\n0\r\n\r\n"),
	TEXT("5\r\nhello\r0\r\n\r\n"),
	TEXT("5\r\nhello!\r\n"),
	TEXT("5\r\nhello\n\r"),
	TEXT("5\r\nhello0\r\n\r\n"),
	TEXT("2\r\nhello\r\n"),
	/* the end of all */
	TEXT("0\r\n\n"),
	TEXT("0\r\n\r0"),
	TEXT("0\r\n\rX"),
	TEXT("0\n\n"),
	TEXT("0\r\n\r\r\n"),
	/* trailers */
	TEXT("0\r\n: y\r\n\r\n"),
	TEXT("0\r\nX: y\r\n: z\r\n\r\n"), /* no name, in the second line */
	TEXT("0\r\nX\r\n\r\n"),
	TEXT("0\r\n: y\r\n\r\n"),
	TEXT("0\r\nX : y\r\n\r\n"),
	TEXT("0\r\n X: y\r\n\r\n"),
	TEXT("0\r\nX: y\r\n z\r\n\r\n"),
	TEXT("0\r\nX: y\n\r\n"),
	TEXT("0\r\nX: y\n\n"),
	TEXT("0\r\nX: y\r\n\n"),
	TEXT("0\r\nX: a\rb\r\n\r\n"),
	TEXT("0\r\nX: \0\r\n\r\n"),
	TEXT("0\r\nX: \x7f\r\n\r\n"),
	TEXT("0\r\nX\0: y\r\n\r\n"),
	TEXT("0\r\nX\x80: y\r\n\r\n"),
	TEXT("0\r\nGET / HTTP/1.1\r\n\r\n"),
};

/* Blanks behind a size, which the grammar has not and some origins send (HAZARDS A7). */
static void test_padded_sizes(void **state)
{
	static const struct slice padded[] = {
		TEXT("5 \r\nhello\r\n0\r\n\r\n"),
		TEXT("5\r\nhello\r\n0 \t  \r\n\r\n"),
		TEXT("5   \r\nhello\r\n00000000\t\r\nX: y\r\n\r\n"),
	};
	static const struct slice bad[] = {
		TEXT(" 5\r\n"), TEXT("5 \nhello"), TEXT("5 5\r\n"),
		TEXT("5 \r\r"), TEXT("5 x\r\n"),   TEXT("5 \x0b\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(padded); i++) {
		may_pad = false;
		decode_every_way(BODY_CHUNKED, 0, padded[i]);
		expect(padded[i], BODY_BAD);
		may_pad = true;
		decode_every_way(BODY_CHUNKED, 0, padded[i]);
		expect(padded[i], BODY_DONE);
		assert_true(body.padded);
		assert_int_equal(whole.content_n, 5);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		decode_every_way(BODY_CHUNKED, 0, bad[i]);
		expect(bad[i], BODY_BAD);
	}
	may_pad = false;
}

static void test_bad_chunks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_chunks); i++) {
		decode_every_way(BODY_CHUNKED, 0, bad_chunks[i]);
		expect(bad_chunks[i], BODY_BAD);
	}
}

static void test_largest_chunk(void **state)
{
	struct slice bytes = TEXT("0007fffffffffffffff\r\nabc");

	(void)state;
	decode_every_way(BODY_CHUNKED, 0, bytes);
	expect(bytes, BODY_MORE);
	assert_int_equal(whole.content_n, 3);
	assert_int_equal(body.left, INT64_MAX - 3);
}

/* ---- limits --------------------------------------------------------------------------------- */

static char large[ROOM];

static enum body_result decode_large(size_t n)
{
	static const size_t steps[] = {1, 1000, ROOM};

	assert_true(n <= ROOM);
	decode(&whole, BODY_CHUNKED, 0, slice_of(large, n), n, 1);
	for (size_t i = 0; i < COUNT(steps); i++) {
		if (steps[i] == 1 && n > 20000)
			continue;
		decode(&piece, BODY_CHUNKED, 0, slice_of(large, n), steps[i], steps[i]);
		assert_int_equal(piece.result, whole.result);
		assert_int_equal(piece.content_n, whole.content_n);
	}
	return whole.result;
}

static size_t put(size_t at, const char *text)
{
	assert_true(at + strlen(text) < ROOM);
	strcpy(large + at, text);
	return at + strlen(text);
}

static size_t put_run(size_t at, char c, size_t n)
{
	assert_true(at + n <= ROOM);
	memset(large + at, c, n);
	return at + n;
}

/* A chunk of `content` bytes whose extension takes `extension`, semicolon and all. */
static size_t put_chunk(size_t at, size_t content, size_t extension)
{
	at = put_run(at + (size_t)sprintf(large + at, "%zx", content), ';', extension);
	at = put_run(put(at, "\r\n"), 'x', content);
	return put(at, "\r\n");
}

static void test_extension_of_one_chunk(void **state)
{
	(void)state;
	for (size_t n = BODY_EXTENSION_MAX - 1; n <= BODY_EXTENSION_MAX + 1; n++) {
		bool fits = n <= BODY_EXTENSION_MAX;

		assert_int_equal(decode_large(put(put_chunk(0, 1, n), "0\r\n\r\n")),
				 fits ? BODY_DONE : BODY_BAD);
		assert_int_equal(decode_large(put(put_run(put(0, "1"), ' ', n), ";\r\n")),
				 n < BODY_EXTENSION_MAX ? BODY_MORE : BODY_BAD);
		/* another chunk, another extension */
		assert_int_equal(
			decode_large(put(put_chunk(put_chunk(0, 1, n), 1, n), "0\r\n\r\n")),
			fits ? BODY_DONE : BODY_BAD);
	}
}

/* Extensions in all: what is spared, and an eighth of the content before. */
static void test_extensions_in_all(void **state)
{
	enum { EACH = 200, CHUNKS = BODY_EXTENSIONS_SPARE / EACH };

	(void)state;
	for (int more = -1; more <= 1; more++) {
		size_t rest = BODY_EXTENSIONS_SPARE - EACH * CHUNKS;
		size_t at = 0;

		for (int i = 0; i < CHUNKS; i++)
			at = put_chunk(at, 8, EACH);
		/* each chunk of 8 bytes allows one byte more to those after it */
		at = put_chunk(at, 1, rest + CHUNKS + (size_t)more);
		/* the zero of the last chunk is needed, so it is none of them */
		assert_int_equal(decode_large(put(at, "0\r\n\r\n")),
				 more <= 0 ? BODY_DONE : BODY_BAD);
	}
}

/* Large content may have more of them, to its end. */
static void test_extensions_of_large_content(void **state)
{
	size_t at = 0;

	(void)state;
	for (int i = 0; i < 60; i++)
		at = put_chunk(at, 2048, 200);
	assert_int_equal(decode_large(put(at, "0\r\n\r\n")), BODY_DONE);
	assert_int_equal(whole.content_n, 60 * 2048);
	assert_true(body.extensions > BODY_EXTENSIONS_SPARE);
}

static void test_leading_zeros(void **state)
{
	size_t at = 0;

	(void)state;
	for (size_t n = BODY_EXTENSIONS_SPARE - 1; n <= BODY_EXTENSIONS_SPARE + 1; n++)
		assert_int_equal(decode_large(put(put_run(0, '0', n), "0\r\n\r\n")),
				 n <= BODY_EXTENSIONS_SPARE ? BODY_DONE : BODY_BAD);
	/* some servers write all sizes with eight digits */
	for (int i = 0; i < 1100; i++)
		at = put(at, "00000080\r\n"
			     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			     "\r\n");
	assert_int_equal(decode_large(put(at, "00000000\r\n\r\n")), BODY_DONE);
	assert_int_equal(whole.content_n, 1100 * 128);
}

static void test_trailer_bytes(void **state)
{
	(void)state;
	for (size_t n = BODY_TRAILERS_MAX - 1; n <= BODY_TRAILERS_MAX + 1; n++) {
		/* two lines, each with its CR */
		size_t at = put_run(put(0, "0\r\nX:"), 'x', n - 7);

		at = put(at, "\r\nY:a\r\n\r\n");
		assert_int_equal(decode_large(at), n <= BODY_TRAILERS_MAX ? BODY_DONE : BODY_BAD);
		/* without an end */
		at = put_run(put(0, "0\r\n"), 'x', n);
		assert_int_equal(decode_large(at), n <= BODY_TRAILERS_MAX ? BODY_MORE : BODY_BAD);
	}
}

static void test_trailer_lines(void **state)
{
	(void)state;
	for (int n = BODY_TRAILER_LINES_MAX - 1; n <= BODY_TRAILER_LINES_MAX + 1; n++) {
		size_t at = put(0, "0\r\n");

		for (int i = 0; i < n; i++)
			at = put(at, "X:\r\n");
		assert_int_equal(decode_large(put(at, "\r\n")),
				 n <= BODY_TRAILER_LINES_MAX ? BODY_DONE : BODY_BAD);
	}
}

/* ---- the other kinds ------------------------------------------------------------------------ */

static void test_length(void **state)
{
	struct slice bytes = TEXT("hello, GET");

	(void)state;
	for (uint64_t length = 1; length <= bytes.n + 1; length++) {
		bool fits = length <= bytes.n;
		size_t n = fits ? (size_t)length : bytes.n;

		decode_every_way(BODY_LENGTH, length, bytes);
		expect(bytes, fits ? BODY_DONE : BODY_MORE);
		expect_content(slice_of(bytes.p, n));
		assert_int_equal(whole.consumed, n);
		assert_int_equal(body.content, n);
	}
	decode_every_way(BODY_LENGTH, INT64_MAX, bytes);
	assert_int_equal(body.left, INT64_MAX - bytes.n);
}

static void test_none(void **state)
{
	struct slice bytes = TEXT("GET");

	(void)state;
	body_begin(&body, BODY_NONE, 5);
	assert_true(body.done);
	decode_every_way(BODY_NONE, 5, bytes);
	expect(bytes, BODY_DONE);
	assert_int_equal(whole.consumed + whole.content_n, 0);
	body_begin(&body, BODY_LENGTH, 0);
	assert_true(body.done);
	body_begin(&body, BODY_CHUNKED, 0);
	assert_false(body.done);
}

static void test_until_close(void **state)
{
	struct slice bytes = TEXT("0\r\n\r\nhello");

	(void)state;
	decode_every_way(BODY_UNTIL_CLOSE, 0, bytes);
	expect(bytes, BODY_MORE);
	expect_content(bytes);
	assert_int_equal(body.content, bytes.n);
	assert_false(body.done);
}

/* No bytes are no end, and ask for more. */
static void test_no_bytes(void **state)
{
	static const enum http_body kinds[] = {BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE};
	struct slice content;
	size_t consumed;

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		body_begin(&body, kinds[i], 5);
		assert_int_equal(body_decode(&body, slice_of(NULL, 0), &consumed, &content),
				 BODY_MORE);
		assert_int_equal(consumed + content.n, 0);
	}
}

/* ---- what we frame ourselves ---------------------------------------------------------------- */

static void test_framed_content_comes_back(void **state)
{
	static const size_t sizes[] = {1, 2, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536, 3};
	static char content[ROOM];
	size_t at = 0, content_n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (char)(i * 31);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		at += compose_chunk_head(large + at, sizes[i]);
		memcpy(large + at, content + content_n, sizes[i]);
		at = put(at + sizes[i], "\r\n");
		content_n += sizes[i];
	}
	assert_int_equal(decode_large(put(at, "0\r\n\r\n")), BODY_DONE);
	expect_content(slice_of(content, content_n));
}

static void test_chunk_heads(void **state)
{
	static const struct {
		size_t n;
		const char *head;
	} rows[] = {
		{1, "1\r\n"},
		{10, "a\r\n"},
		{4096, "1000\r\n"},
		{SIZE_MAX, "ffffffffffffffff\r\n"},
	};
	char head[CHUNK_HEAD_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t n = compose_chunk_head(head, rows[i].n);

		assert_int_equal(n, strlen(rows[i].head));
		assert_memory_equal(head, rows[i].head, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_chunks),
		cmocka_unit_test(test_cut_chunks),
		cmocka_unit_test(test_bad_chunks),
		cmocka_unit_test(test_padded_sizes),
		cmocka_unit_test(test_largest_chunk),
		cmocka_unit_test(test_extension_of_one_chunk),
		cmocka_unit_test(test_extensions_in_all),
		cmocka_unit_test(test_extensions_of_large_content),
		cmocka_unit_test(test_leading_zeros),
		cmocka_unit_test(test_trailer_bytes),
		cmocka_unit_test(test_trailer_lines),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_until_close),
		cmocka_unit_test(test_no_bytes),
		cmocka_unit_test(test_framed_content_comes_back),
		cmocka_unit_test(test_chunk_heads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
