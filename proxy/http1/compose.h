/*
 * Messages to bytes.  Every outgoing head is built anew from checked parts (HAZARDS R0.1): fields
 * that belong to one connection are left out, Via and Cache-Status added (RFC 9110 7.6, RFC 9211).
 * Pure but for the buffer's memory: each returns false when that runs out.
 */
#ifndef PROXY_HTTP1_COMPOSE_H
#define PROXY_HTTP1_COMPOSE_H

#include "cache/record/record.h"
#include "proxy/base/buf.h"
#include "proxy/base/failure.h"

/* Why a request went to the origin: the values of Cache-Status fwd (RFC 9211 2.2). */
enum forward_reason {
	FWD_NONE, /* it did not: a hit, or a failure before */
	FWD_BYPASS,
	FWD_METHOD,
	FWD_URI_MISS,
	FWD_VARY_MISS,
	FWD_STALE,
	FWD_REQUEST,
};

/* As Cache-Status has it, "" for FWD_NONE. */
const char *compose_forward_word(enum forward_reason reason);

/* One member of Cache-Status. */
struct cache_status {
	bool hit;
	bool stored;
	bool collapsed;
	uint8_t fwd;         /* enum forward_reason */
	uint16_t fwd_status; /* 0 for none */
	int64_t ttl_s;       /* with hit: lifetime left, negative when stale */
	enum reason why;     /* detail, but for REASON_NONE */
	struct slice key;    /* empty for none */
};

/* How an answer travels to its client. */
struct delivery {
	bool keep_alive;      /* announced to an HTTP/1.0 client (RFC 9112 9.3) */
	uint8_t client_minor; /* HTTP version of the request */
	bool head_only;       /* the request was HEAD */
};

/* The value of Cache-Status that an answer would have, without the field's name. */
bool compose_cache_status(struct buf *to, const struct conf *conf,
			  const struct cache_status *status_field);

/* A 204 or 304 from a record, and its Age. */
struct record_answer {
	const struct record_view *record;
	unsigned status;
	int64_t age_s;
};

bool compose_record(struct buf *to, const struct conf *conf, const struct record_answer *answer,
		    const struct cache_status *status_field, const struct delivery *delivery);

/*
 * A final response passed on.  Its content is to be sent in chunks, see compose_is_chunked(), or by
 * its length, or until close (then `keep_alive` must be false: see compose_needs_close()).
 */
bool compose_response(struct buf *to, const struct conf *conf, const struct http_response *res,
		      const struct cache_status *status_field, const struct delivery *delivery,
		      int64_t now_s);

bool compose_is_chunked(const struct http_response *res, const struct delivery *delivery);

/* A 101 passed on, with its Upgrade (RFC 9110 15.2.2). */
bool compose_switch(struct buf *to, const struct conf *conf, const struct http_response *res);

/* Whether only closing the client's connection can mark the end of this response. */
bool compose_needs_close(const struct http_response *res, const struct delivery *delivery);

/* An interim response (1xx) passed on. */
bool compose_interim(struct buf *to, const struct conf *conf, const struct http_response *res);

/*
 * An answer made here for a failure: status, Proxy-Status, Cache-Status, a short text.  `fault`, where a head
 * is wrong, is shown to the client (RFC 9209 2.1.4, details), as are the options that decide.
 */
struct failure_answer {
	enum failure failure;
	const char *fault; /* "" for none */
};

bool compose_failure(struct buf *to, const struct conf *conf, const struct failure_answer *answer,
		     const struct cache_status *status_field, const struct delivery *delivery,
		     int64_t now_s);

/*
 * Allow, a whole field line: the methods of the option, or those that are known (RFC 9110 10.2.1).
 */
bool compose_allow(struct buf *to, const struct conf *conf);

/* An answer made here. */
struct local_answer {
	unsigned status;
	const char *content_type; /* "" for none */
	struct slice extra;       /* whole field lines */
	struct slice content;
};

bool compose_local(struct buf *to, const struct local_answer *answer,
		   const struct delivery *delivery, int64_t now_s);

/* A request to an origin. */
struct request_form {
	const struct record_view *validate; /* its validators are added, NULL for none */
	bool unconditional;                 /* leave If-None-Match and If-Modified-Since out */
	bool absolute;                      /* absolute-form target, for a parent proxy */
	struct slice proxy_authorization;   /* value for the parent, empty for none */
	const char *max_forwards;           /* decremented value to send, NULL to copy */
};

bool compose_request(struct buf *to, const struct conf *conf, const struct http_request *req,
		     const struct request_form *form);

/*
 * CONNECT to a parent proxy, for the end of `req`'s way: its Via goes along, so that a loop is
 * seen.  `proxy_authorization` may be empty.
 */
bool compose_connect(struct buf *to, const struct conf *conf, const struct http_request *req,
		     struct slice proxy_authorization);

/* Chunked framing around `n` bytes of content: the line before; CRLF follows the content. */
enum { CHUNK_HEAD_MAX = 20 };
size_t compose_chunk_head(char *to, size_t n);

/* "Bad Gateway" for 502: reason phrases are our own (HAZARDS A6). */
const char *compose_reason_phrase(unsigned status);

#endif
