/*
 * Requests that were read before.
 *
 * A client says the same fields with each of its requests, clients of a kind say the same, and one
 * that polls asks the same again.  What a head means depends on nothing but its bytes and the
 * configuration, and what its field lines mean on nothing but theirs, the method, the form of the
 * target and the minor version (read_fields()): so what is, byte for byte, what was accepted before
 * is accepted again without being parsed, by us or by http-parser.  Refusals are not kept.
 *
 * What comes for the second time is kept; newer takes the place of older with the same slot.  One
 * memo per configuration.  Responses have one of their own: response_memo.h.
 */
#ifndef PROXY_HTTP1_PARSE_MEMO_H
#define PROXY_HTTP1_PARSE_MEMO_H

#include "cache/http/message.h"

struct parse_memo;

struct parse_memo *parse_memo_new(void); /* NULL when out of memory */
void parse_memo_free(struct parse_memo *memo);

/*
 * Where the last request of a connection is kept: written by what is below, any numbers are safe.
 */
struct parse_hints {
	uint8_t head, block;
};

/*
 * Does `bytes` begin with the head of the connection's last request?  Then *req is what it means,
 * as views of the memo, valid until the next parse_memo_note_...(), and *ret_length its length.
 */
bool parse_memo_again(const struct parse_memo *memo, struct parse_hints hints, struct slice bytes,
		      struct http_request *req, size_t *ret_length);

/*
 * Do `bytes`, from the first field line on, begin with the block of the connection's last request?
 * Then as parse_memo_recall(), and *ret_length is the length of the block: its end need not be
 * looked for.
 */
bool parse_memo_block_again(struct parse_memo *memo, struct parse_hints hints, struct slice bytes,
			    struct http_request *req, size_t *ret_length);

/*
 * With method, form and version of `req` given: its fields and all that follows from them, as they
 * were when this block, from the first field line to the empty one, was noted.  They are views of
 * the memo as above.  False when the block is not known.
 */
bool parse_memo_recall(struct parse_memo *memo, struct parse_hints *hints, struct slice block,
		       struct http_request *req);

/* After an unsuccessful recall: the same block was accepted, and `req` is what it means. */
void parse_memo_note_block(struct parse_memo *memo, struct slice block,
			   const struct http_request *req);

/*
 * After a successful recall: the block is that of `head` from `fields_at` on, and the whole was
 * accepted.
 */
void parse_memo_note_head(struct parse_memo *memo, struct parse_hints *hints, struct slice head,
			  size_t fields_at, const struct http_request *req);

/*
 * The rule for every path of the origin that was asked for last (cache/policy/rule.h).  False when
 * another is asked for, or its rule depends on the path.
 */
bool parse_memo_rule(const struct parse_memo *memo, const struct http_uri *uri,
		     const struct conf_rule **ret_rule);

/* After an unsuccessful one: this is the rule for every path of the URI's origin. */
void parse_memo_note_rule(struct parse_memo *memo, const struct http_uri *uri,
			  const struct conf_rule *rule);

#endif
