/*
 * What reading a request's head and a response's have in common.  Private to the readers of this
 * room; see parse.h.
 */
#ifndef PROXY_HTTP1_PARSE_HEAD_H
#define PROXY_HTTP1_PARSE_HEAD_H

#include "proxy/http1/parse.h"

/* How a message says that its body ends; what our pass and http-parser must agree on. */
struct framing {
	unsigned minor;
	bool has_length;
	uint64_t length;
	bool chunked;
	struct slice padding[2]; /* white space behind the length and behind `chunked` */
};

/*
 * The line at `offset`: its bytes without CRLF, and where the next begins.  Lines end in CRLF and
 * nothing else; other CR are left in the line, where no check lets them pass.
 */
enum parse_result head_line(struct slice bytes, size_t offset, struct slice *ret_line,
			    size_t *ret_next);

/* Whether the empty line that ends the head has come; *ret_end is the length of the head. */
bool head_find_end(struct slice bytes, size_t start, struct parse_progress *progress,
		   size_t *ret_end);

/* No controls but tab. */
bool head_value_is_clean(struct slice value);

/* "HTTP/1.x": the minor version, 0 or 1. */
enum failure head_version(struct slice text, uint8_t *ret_minor);

/*
 * All field lines from `offset` up to the empty one, at which `head` must end; `too_many` is the
 * failure for more than `limit` of them, `bad` for all else.  fields->at and capacity are given.
 */
enum failure head_fields(struct slice head, size_t offset, unsigned limit,
			 struct http_fields *fields, enum failure bad, enum failure too_many);

/* Content-Length: one line of 1*DIGIT, or none; false for anything else. */
bool head_length(const struct http_fields *fields, struct framing *framing);

/* What Transfer-Encoding says: exactly one `chunked`, other codings, or nonsense. */
enum coding { CODING_NONE, CODING_CHUNKED, CODING_OTHER, CODING_BAD };
enum coding head_coding(const struct http_fields *fields);

/* What CODING_CHUNKED means for the framing. */
void head_set_chunked(const struct http_fields *fields, struct framing *framing);

/*
 * Does http-parser read these field lines, with their empty line, as we did?  It is shown a request
 * line of that method (POST for one that it does not know, HAZARDS P18) in the place of the real
 * one, which it is not asked about: our own checks of that are stricter than its own in every point
 * (tests/fuzz/fuzz_request.c holds them against each other).  So the verdict on field lines depends
 * on nothing but method, minor version and bytes (parse_memo.h).
 */
bool head_confirm_request(enum http_method method, struct slice fields,
			  const struct framing *framing);

/* The same of a whole response head. */
bool head_confirm_response(struct slice head, unsigned status, bool no_body,
			   const struct framing *framing);

#endif
