/*
 * Response heads that are not by the grammar, but can be read in one way only.
 *
 * Mended are white space before the colon (RFC 9112 5.1), a bare LF as line end (2.2), folded
 * values (5.2), control bytes in values (RFC 9110 5.5), equal values of Content-Length (8.6), and a
 * Transfer-Encoding of `identity`, which was never more than to say that there is none (RFC 9112
 * 7).  What can be read in two ways is left alone, so that the strict pass refuses it.
 *
 * Pure functions of the bytes, without memory of their own.
 */
#ifndef PROXY_HTTP1_MEND_H
#define PROXY_HTTP1_MEND_H

#include "cache/base/slice.h"

/* Memory for a mended head of at most `head` bytes and `lines` field lines: each may get a CR. */
#define MEND_ROOM(head, lines) ((head) + (lines) + 2)

/*
 * Write the mended form of a whole head into `room`; its length in *ret_n.  It still has to pass
 * the strict parser.  DOUBTFUL: the head can be read in two ways.  NO_ROOM: it has more lines than
 * the room was made for.
 */
enum mend { MEND_DONE, MEND_DOUBTFUL, MEND_NO_ROOM };
enum mend mend_head(struct slice head, char *room, size_t size, size_t *ret_n);

#endif
