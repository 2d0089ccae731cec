/*
 * The header of a value in the store: its place in the order of arrival, its visited bit, its
 * groups.
 *
 *	sequence 8 | slot 4 | groups 2 | padding 1 | zero 1 | group keys, 16 each | value | padding
 *
 * The total is a multiple of 8 bytes, and keys are 16 bytes: so every node of the data table is a
 * multiple of 8 bytes, LMDB lays them out from the end of a page without gaps, and all values are
 * 8-aligned, also in overflow pages (whose header is 16 bytes) and in the pages of a write
 * transaction.  This holds only if every size in the table is such a multiple; other tables use
 * other pages.
 *
 * Layouts are of this machine's byte order.
 */
#ifndef CACHE_STORE_VALUE_H
#define CACHE_STORE_VALUE_H

#include "cache/base/key.h"

enum {
	STORE_VALUE_LAYOUT = 1, /* raise at any change of the tables */
};

struct store_value_head {
	uint64_t sequence;
	uint32_t slot;
	uint16_t group_count;
	uint8_t padding; /* bytes after the value, 0-7 */
	uint8_t zero;
};
_Static_assert(sizeof(struct store_value_head) == 16, "the head has no gaps");

/* The parts of a stored value, as pointers into it. */
struct store_value {
	struct store_value_head head;
	const struct cache_key *groups;
	struct slice value;
};

/* Bytes that a value takes in the data table. */
size_t store_value_size(size_t value_size, size_t group_count);

/* `to` has store_value_size() bytes.  Sequence, slot and group count of `head` are used. */
void store_value_write(char *to, struct store_value_head head, const struct cache_key *groups,
		       struct slice value);

/* False when the bytes are not what store_value_write() wrote: lengths are checked before use. */
bool store_value_view(const void *bytes, size_t size, struct store_value *ret_value);

#endif
