/* Buffers with lazily attached memory. */
#include "proxy/base/buf.h"

#include <stdlib.h>

enum { BUF_SIZE_MIN = 4096 };

void buf_borrow(struct buf *buf, char *block, size_t size)
{
	if (buf->block != NULL)
		return;
	*buf = (struct buf){.block = block, .size = (uint32_t)size, .borrowed = true};
}

/* Move what waits to a new block of the buffer's own. */
static bool move_to(struct buf *buf, size_t size)
{
	size_t length = buf_length(buf);
	char *block = malloc(size);

	if (block == NULL)
		return false;
	if (length > 0)
		memcpy(block, buf->block + buf->head, length);
	if (!buf->borrowed)
		free(buf->block);
	*buf = (struct buf){.block = block, .tail = (uint32_t)length, .size = (uint32_t)size};
	return true;
}

bool buf_settle(struct buf *buf)
{
	buf_check(buf);
	if (!buf->borrowed)
		return true;
	if (buf_length(buf) == 0) {
		*buf = (struct buf){0};
		return true;
	}
	return move_to(buf, buf_length(buf));
}

char *buf_reserve(struct buf *buf, size_t n)
{
	size_t length = buf_length(buf);
	size_t size = length + n;

	buf_check(buf);
	if (n <= buf->size - buf->tail)
		return buf->block + buf->tail;
	if (size <= buf->size && length <= buf->size / 2) {
		memmove(buf->block, buf->block + buf->head, length);
		buf->head = 0;
		buf->tail = (uint32_t)length;
		return buf->block + buf->tail;
	}
	if (size > UINT32_MAX / 2)
		return NULL;
	if (size < 2 * length)
		size = 2 * length;
	if (!move_to(buf, size < BUF_SIZE_MIN ? BUF_SIZE_MIN : size))
		return NULL;
	return buf->block + buf->tail;
}

bool buf_append(struct buf *buf, struct slice bytes)
{
	char *to;

	if (bytes.n == 0)
		return true;
	to = buf_reserve(buf, bytes.n);
	if (to == NULL)
		return false;
	memcpy(to, bytes.p, bytes.n);
	buf_added(buf, bytes.n);
	return true;
}

void buf_consume(struct buf *buf, size_t n)
{
	buf->head += (uint32_t)n;
	buf_check(buf);
	if (buf->head < buf->tail)
		return;
	if (buf->borrowed)
		buf->head = buf->tail = 0;
	else
		buf_free(buf);
}

void buf_free(struct buf *buf)
{
	if (!buf->borrowed)
		free(buf->block);
	*buf = (struct buf){0};
}

static void loan_ends(struct scratch *scratch, const struct buf *buf)
{
	if (scratch->borrower == buf)
		scratch->borrower = NULL;
}

bool scratch_settle(struct scratch *scratch, struct buf *buf)
{
	loan_ends(scratch, buf);
	return buf_settle(buf);
}

void scratch_free(struct scratch *scratch, struct buf *buf)
{
	loan_ends(scratch, buf);
	buf_free(buf);
}
