/*
 * Bytes on their way, between `head` and `tail` of a block of memory:
 *
 *	0 ......... head ......... tail ......... size
 *	   done          waiting         room
 *
 * A buffer has no memory until it needs some, and gives it back when it is empty, so that an idle
 * connection holds none.  It may work for the length of an event on a block that it borrows (the
 * worker's scratch blocks); buf_settle() then moves what is left to memory of its own.
 */
#ifndef PROXY_BASE_BUF_H
#define PROXY_BASE_BUF_H

#include <assert.h>
#include <stdint.h>

#include "cache/base/slice.h"

struct buf {
	char *block;
	uint32_t head;
	uint32_t tail;
	uint32_t size;
	bool borrowed;
};

static inline void buf_check(const struct buf *buf)
{
	assert(buf->head <= buf->tail);
	assert(buf->tail <= buf->size);
}

static inline size_t buf_length(const struct buf *buf)
{
	return buf->tail - buf->head;
}

static inline struct slice buf_waiting(const struct buf *buf)
{
	/* Without memory there is no offset either: adding 0 to NULL is undefined. */
	return slice_of(buf->head > 0 ? buf->block + buf->head : buf->block, buf_length(buf));
}

/* Work on `block`, which stays the lender's, if the buffer is empty and has none. */
void buf_borrow(struct buf *buf, char *block, size_t size);

/* End of a loan: what waits moves to memory of the buffer's own.  False when out of memory. */
bool buf_settle(struct buf *buf);

/*
 * Room for `n` more bytes at the tail, by moving or growing; NULL when out of memory.  buf_added()
 * says how much of it was filled.
 */
char *buf_reserve(struct buf *buf, size_t n);

static inline void buf_added(struct buf *buf, size_t n)
{
	buf->tail += (uint32_t)n;
	buf_check(buf);
}

bool buf_append(struct buf *buf, struct slice bytes);

/* Bytes at the head are done with.  An emptied buffer gives its own memory back. */
void buf_consume(struct buf *buf, size_t n);

void buf_free(struct buf *buf);

/*
 * A scratch block that one buffer at a time may borrow.  A second one that asks meanwhile gets none
 * and works on memory of its own: two connections never compose into the same bytes.
 */
struct scratch {
	char *block;
	size_t size;
	const struct buf *borrower;
};

static inline void scratch_lend(struct scratch *scratch, struct buf *buf)
{
	if (buf->block != NULL || scratch->borrower != NULL)
		return;
	buf_borrow(buf, scratch->block, scratch->size);
	scratch->borrower = buf;
}

/* buf_settle(), and the end of the loan if it was one.  False when out of memory. */
bool scratch_settle(struct scratch *scratch, struct buf *buf);

/* buf_free(), and the end of the loan. */
void scratch_free(struct scratch *scratch, struct buf *buf);

#endif
