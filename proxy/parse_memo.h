/*
 * Field lines that were read before.
 *
 * A client says the same fields with each of its requests, and clients of a kind say the same. What
 * field lines mean depends on nothing but their bytes, the method, the minor version and the
 * configuration: so a block that is, byte for byte, one that was accepted before is accepted again
 * without being parsed, by us or by http-parser.  Refusals are not kept.
 *
 * A block is kept when it comes for the second time; a newer one takes the place of another with
 * the same slot.  One memo per configuration; not for responses, whose Date changes.
 */
#ifndef PROXY_PARSE_MEMO_H
#define PROXY_PARSE_MEMO_H

#include "cache/http_message.h"

struct parse_memo;

struct parse_memo *parse_memo_new(void); /* NULL when out of memory */
void parse_memo_free(struct parse_memo *memo);

/*
 * With method and version of `req` given: its fields and all that is told by them, as they were
 * when this block was noted.  They are views of the memo, valid until the next parse_memo_note().
 * False when the block is not known.
 */
bool parse_memo_recall(struct parse_memo *memo, struct slice block, struct http_request *req);

/* After a recall in vain: the same block was accepted, and `req` is what it means. */
void parse_memo_note(struct parse_memo *memo, struct slice block, const struct http_request *req);

#endif
