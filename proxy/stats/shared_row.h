/*
 * Rows in memory shared by processes: each is written whole by one process and read by any.
 *
 * A row is a ticket, a check of ticket and content, and the content, all of words.  The ticket is 0
 * while the row is written.  So a reader that meets a writer, a writer that was killed in the
 * middle, and one that was stopped there and goes on when the row is another's by now, all leave
 * the same: a row that is not whole, which the reader passes over and the next writer replaces.
 * There is no lock to be left behind.
 */
#ifndef PROXY_STATS_SHARED_ROW_H
#define PROXY_STATS_SHARED_ROW_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Words that a row with so many bytes of content has. */
#define SHARED_ROW_WORDS(size) (2 + ((size) + 7) / 8)

/* The ticket is not 0, and not that of an earlier content of this row. */
void shared_row_write(_Atomic uint64_t *row, uint64_t ticket, const void *content, size_t size);

/* The ticket of a whole row, whose content is copied; 0 for one that is empty or not whole. */
uint64_t shared_row_read(const _Atomic uint64_t *row, void *ret_content, size_t size);

/* Its ticket, unchecked, as a first look. */
static inline uint64_t shared_row_ticket(const _Atomic uint64_t *row)
{
	return atomic_load_explicit(&row[0], memory_order_relaxed);
}

/* `size` bytes of zeros shared over fork(); NULL with errno on failure, as for no bytes. */
void *shared_map(size_t size);

#endif
