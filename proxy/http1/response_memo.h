/*
 * Response heads that were read before.
 *
 * What is asked often answers the same with another Date.  What a head means depends on nothing but
 * its bytes, whether its request was HEAD, and the configuration; and the value of its one Date is
 * read neither by us nor by http-parser, as long as it holds no control byte and no white space at
 * its ends.  So a head that is, byte for byte but for such a Date of the same length, one that was
 * accepted before is accepted again without being parsed.  Refused and mended heads are not kept.
 *
 * What comes for the second time is kept; newer takes the place of older with the same slot.  One
 * memo per configuration.
 */
#ifndef PROXY_HTTP1_RESPONSE_MEMO_H
#define PROXY_HTTP1_RESPONSE_MEMO_H

#include "cache/http/message.h"

struct response_memo;

struct response_memo *response_memo_new(void); /* NULL when out of memory */
void response_memo_free(struct response_memo *memo);

/*
 * What this whole head means, when it is known: as views of `head`, in the array that res->fields
 * has from the caller.
 */
bool response_memo_recall(struct response_memo *memo, struct slice head, enum http_method method,
			  struct http_response *res);

/* After an unsuccessful recall: the head was accepted as it is, and `res` is what it means. */
void response_memo_note(struct response_memo *memo, struct slice head, enum http_method method,
			const struct http_response *res);

#endif
