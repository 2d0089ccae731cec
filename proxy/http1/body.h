/*
 * Where a message body ends, and what of its bytes is content (RFC 9112 6, 7): the decoder of both
 * sides.
 *
 * Chunked framing is decoded strictly: CRLF exactly where the grammar has it, sizes of at most 16
 * hex digits, extensions dropped and bounded, trailers checked, bounded and dropped (HAZARDS F5,
 * P2, P15).  Blanks behind a size are taken where the owner allows it, for responses of origins
 * that pad it (A7).  A plain struct without memory of its own.
 */
#ifndef PROXY_HTTP1_BODY_H
#define PROXY_HTTP1_BODY_H

#include "cache/http/message.h"

enum {
	BODY_EXTENSION_MAX = 256,         /* bytes of extensions of one chunk */
	BODY_EXTENSIONS_SPARE = 4 * 1024, /* and in all, beyond an eighth of the content */
	BODY_TRAILERS_MAX = 8 * 1024,
	BODY_TRAILER_LINES_MAX = 64,
};

struct body {
	enum http_body kind;
	uint8_t state;
	uint8_t digits; /* of the chunk size, without leading zeros */
	bool done;
	uint64_t left;       /* of the length, or of the chunk */
	uint64_t content;    /* bytes of content so far */
	uint64_t extensions; /* bytes of extensions and of leading zeros so far */
	uint32_t line;       /* bytes of this extension or trailer line */
	uint32_t trailers;   /* bytes of trailers */
	uint32_t trailer_lines;
	bool name_ended; /* the trailer line has its colon */
	bool may_pad;    /* set after body_begin(): take blanks behind a chunk size */
	bool padded;     /* there were some */
};

enum body_result {
	BODY_MORE, /* call again with the bytes not consumed, or with new ones */
	BODY_DONE, /* the end; bytes not consumed belong to what follows */
	BODY_BAD,
};

void body_begin(struct body *body, enum http_body kind, uint64_t content_length);

/*
 * Decode from `bytes`: at most one run of content per call, a view in *ret_content (may be empty),
 * and in *ret_consumed how many bytes are done with.  BODY_MORE with nothing consumed means that
 * more bytes are needed.  BODY_UNTIL_CLOSE is never done: the caller knows of the close.
 */
enum body_result body_decode(struct body *body, struct slice bytes, size_t *ret_consumed,
			     struct slice *ret_content);

#endif
