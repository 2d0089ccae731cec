/* LINKS: proxy/http1 */
/*
 * A chunked body, whole and in pieces: verdict and content are the same.  http-parser, which is
 * less strict, reads what was accepted as we do, and framed by us it comes back (HAZARDS R0.4, V1).
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/http1/body.h"
#include "proxy/http1/compose.h"

/* the library's list of methods has the tag of ours */
#define http_method http_parser_method
#include <http_parser.h>
#undef http_method

enum { SIZE_MAX_FUZZED = 32 << 10 };

struct decoded {
	struct body body;
	enum body_result result;
	size_t consumed;
	struct buf content;
	struct buf framed; /* each run of content as a chunk of our own */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool right, const char *what, struct slice bytes)
{
	if (right)
		return;
	fprintf(stderr, "%s differs:\n%.*s\n", what, SLICE_ARG(bytes));
	abort();
}

static void keep(struct decoded *to, struct slice content)
{
	char head[CHUNK_HEAD_MAX];

	if (content.n == 0)
		return;
	if (!buf_append(&to->content, content) ||
	    !buf_append(&to->framed, slice_of(head, compose_chunk_head(head, content.n))) ||
	    !buf_append(&to->framed, content) || !buf_append(&to->framed, SLICE("\r\n")))
		abort();
}

/* `step` bytes more at a time, in memory of exactly the size that waits. */
static void decode(struct decoded *to, struct slice bytes, size_t step, bool may_pad)
{
	*to = (struct decoded){.result = BODY_MORE};
	body_begin(&to->body, BODY_CHUNKED, 0);
	to->body.may_pad = may_pad;
	for (size_t n = 0; to->result == BODY_MORE && n < bytes.n;) {
		size_t consumed;

		n = bytes.n - n > step ? n + step : bytes.n;
		do {
			size_t left = n - to->consumed;
			char *copy = malloc(left + 1);
			struct slice content;

			if (copy == NULL)
				abort();
			memcpy(copy, bytes.p + to->consumed, left);
			to->result =
				body_decode(&to->body, slice_of(copy, left), &consumed, &content);
			require(consumed <= left, "what was consumed", bytes);
			to->consumed += consumed;
			keep(to, content);
			free(copy);
		} while (to->result == BODY_MORE && consumed > 0);
	}
}

static void release(struct decoded *decoded)
{
	buf_free(&decoded->content);
	buf_free(&decoded->framed);
}

static bool content_is(const struct decoded *decoded, const struct buf *content)
{
	return slice_eq(buf_waiting(&decoded->content), buf_waiting(content));
}

/* ---- http-parser ---------------------------------------------------------------------------- */

struct opinion {
	struct buf content;
	bool complete;
};

static int on_body(http_parser *parser, const char *at, size_t length)
{
	struct opinion *opinion = parser->data;

	return buf_append(&opinion->content, slice_of(at, length)) ? 0 : -1;
}

static int on_message_complete(http_parser *parser)
{
	struct opinion *opinion = parser->data;

	opinion->complete = true;
	return 0;
}

/* Trailers may say what http-parser takes for framing, and it knows no TAB before extensions. */
static void ask_parser(const struct decoded *decoded, struct slice bytes)
{
	static const struct slice head = {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
					  47};
	static const http_parser_settings settings = {
		.on_body = on_body,
		.on_message_complete = on_message_complete,
	};
	struct opinion opinion = {.complete = false};
	bool plain = decoded->body.trailer_lines == 0 && memchr(bytes.p, '\t', bytes.n) == NULL;
	http_parser parser;
	bool accepted;

	http_parser_init(&parser, HTTP_RESPONSE);
	parser.data = &opinion;
	http_parser_execute(&parser, &settings, head.p, head.n);
	accepted = http_parser_execute(&parser, &settings, bytes.p, bytes.n) == bytes.n &&
		   HTTP_PARSER_ERRNO(&parser) == HPE_OK;
	if (plain)
		require(accepted && opinion.complete, "http-parser's end", bytes);
	if (accepted)
		require(content_is(decoded, &opinion.content), "http-parser's content", bytes);
	buf_free(&opinion.content);
}

/* --------------------------------------------------------------------------------------------- */

static void check_framing(struct decoded *whole, struct slice bytes)
{
	struct decoded again;

	if (!buf_append(&whole->framed, SLICE("0\r\n\r\n")))
		abort();
	decode(&again, buf_waiting(&whole->framed), 5, false);
	require(again.result == BODY_DONE && again.consumed == buf_length(&whole->framed) &&
			content_is(whole, &again.content),
		"content framed by us", bytes);
	release(&again);
}

/* `may_pad`: as of an origin, with blanks behind sizes. */
static void check(struct slice bytes, bool may_pad)
{
	static const size_t steps[] = {1, 2, 3, 29};
	struct decoded whole, pieces;

	decode(&whole, bytes, bytes.n, may_pad);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		decode(&pieces, bytes, steps[i], may_pad);
		require(pieces.result == whole.result, "the verdict in pieces", bytes);
		require(whole.result == BODY_BAD || pieces.consumed == whole.consumed,
			"the end in pieces", bytes);
		require(content_is(&pieces, &whole.content), "content in pieces", bytes);
		release(&pieces);
	}
	if (whole.result == BODY_DONE)
		ask_parser(&whole, slice_of(bytes.p, whole.consumed));
	check_framing(&whole, bytes);
	release(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);

	if (size > SIZE_MAX_FUZZED)
		return 0;
	check(bytes, false);
	check(bytes, true);
	return 0;
}
