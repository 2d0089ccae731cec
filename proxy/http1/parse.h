/*
 * Bytes to messages, strictly (RFC 9112; HAZARDS P, F and A).
 *
 * A head is read twice: by a pass of our own that takes nothing but what the grammar allows, and by
 * http-parser.  The two must agree on method, version and framing, or the message is refused.  A
 * response head that our pass refuses is mended, if it can be read in one way only (mend.h), and
 * both read the mended one.  The verdict does not depend on how the bytes were split over reads.
 *
 * Messages are views of the bytes given, mended ones of the memory given for that: nothing is
 * allocated.
 */
#ifndef PROXY_HTTP1_PARSE_H
#define PROXY_HTTP1_PARSE_H

#include "cache/http/message.h"
#include "conf/conf.h"
#include "proxy/http1/mend.h"
#include "proxy/http1/parse_memo.h"
#include "proxy/base/failure.h"

struct response_memo;

enum parse_result {
	PARSE_MORE, /* not whole yet: call again with more bytes after the same ones */
	PARSE_DONE,
	PARSE_FAILED,
};

enum {
	PARSE_METHOD_MAX = 32,
	PARSE_EMPTY_LINES_MAX = 4, /* before a request line (RFC 9112 2.2) */
	PARSE_REQUEST_FIELDS_MAX = 128,
	PARSE_FIELDS_MAX = 1024,    /* room for the bounds of conf->field_count */
	PARSE_HEAD_MAX = 64 * 1024, /* and of conf->head_size */
	PARSE_MENDED_MAX = MEND_ROOM(PARSE_HEAD_MAX, PARSE_FIELDS_MAX),
};

/*
 * How far an incomplete head was looked at, so that slow bytes cost linear work.  All zero at the
 * start of a connection; for the messages after the first it is right as it is left.
 */
struct parse_progress {
	uint32_t scanned;         /* bytes known to hold no end of the line, or of the head */
	bool line_checked;        /* the start line was whole and right */
	struct parse_hints hints; /* of requests: what the last of the connection was */
};

/* What became of a head: how long it is when it is whole, and why it failed. */
struct parsed {
	size_t consumed;
	enum failure failure;
};

/*
 * A request head at the start of `bytes`.  On PARSE_DONE `consumed` is its length with the empty
 * line (and empty lines before it).  req->fields.at and capacity are given by the caller; after a
 * recall from `memo`, which may be NULL, the fields are the memo's.  On PARSE_FAILED `failure` is
 * BAD_REQUEST, BAD_FRAMING, BAD_HOST, BAD_TARGET, URI_TOO_LONG, HEAD_TOO_LARGE, EXPECTATION,
 * UNSUPPORTED_CODING, UNSUPPORTED_SCHEME or UNSUPPORTED_VERSION; req->method_name and req->target
 * are set when they could be read, for the log.
 */
enum parse_result parse_request(struct slice bytes, const struct conf *conf,
				struct parse_memo *memo, struct parse_progress *progress,
				struct http_request *req, struct parsed *ret_parsed);

/* What a response head is read by. */
struct response_rules {
	const struct conf *conf;
	enum http_method method; /* of its request */
	char *mended; /* room of PARSE_MENDED_MAX bytes; NULL: what has to be mended fails */
	struct response_memo *memo; /* of this configuration; NULL for none */
};

/*
 * A response head at the start of `bytes`.  On PARSE_FAILED
 * `failure` is BAD_RESPONSE, RESPONSE_HEAD_TOO_LARGE or RESPONSE_TOO_MANY_FIELDS.  Bodies of
 * 1xx, 204, 304 and answers to HEAD are BODY_NONE, whatever they announce (RFC 9112 6.3); a 204
 * that announced one has framing_trouble.  A status of 600 to 999 counts as mended.
 */
enum parse_result parse_response(struct slice bytes, const struct response_rules *rules,
				 struct parse_progress *progress, struct http_response *res,
				 struct parsed *ret_parsed);

#endif
