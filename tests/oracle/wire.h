/*
 * Heads as the wire brings them: whole, or in pieces of any size, and messages that were parsed,
 * composed and parsed again.
 */
#ifndef TESTS_ORACLE_WIRE_H
#define TESTS_ORACLE_WIRE_H

#include "proxy/http1/compose.h"
#include "proxy/http1/parse.h"
#include "proxy/http1/response_memo.h"

/* One run of the parser.  It must not move: the message has its lines in it. */
struct wire {
	const struct conf *conf;
	struct parse_memo *memo; /* NULL for none; and of responses */
	struct response_memo *response_memo;
	bool response; /* parse a response, to a request of `method` */
	enum http_method method;
	struct parse_progress progress;
	struct http_field lines[PARSE_FIELDS_MAX];
	char mended[PARSE_MENDED_MAX];
	struct http_request req;
	struct http_response res;
	enum parse_result result;
	enum failure failure;
	size_t consumed;
};

/* Parse with the progress made so far.  Messages are views of `bytes` or `mended`. */
void wire_parse(struct wire *wire, struct slice bytes);

/*
 * Give the parser the first `first` bytes, then `step` more at a time, each time in memory of
 * exactly that size, and a memory of field lines.  The verdict must be that of `whole`, which is of
 * the same bytes at once and without one, and come as soon as it can (HAZARDS R0.4).  NULL, or what
 * differs.
 */
const char *wire_pieces_differ(const struct wire *whole, struct slice bytes, size_t first,
			       size_t step);

/*
 * Parse at once, then in pieces: steps of 1 to 7 bytes and a split in two at each byte; long heads
 * in steps of 1000 and split at each of the last bytes, where limits are met.  Leaves in `wire`
 * what came of the whole.  NULL, or what differs.
 */
const char *wire_parse_every_way(struct wire *wire, struct slice bytes);

/* What differs between a message and its composed form, parsed again (HAZARDS V1); or NULL. */
const char *wire_request_differs(const struct http_request *asked, const struct request_form *form,
				 const struct http_request *sent);
const char *wire_response_differs(const struct http_response *got, const struct delivery *delivery,
				  const struct http_response *sent);

#endif
