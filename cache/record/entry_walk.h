/* Walking over the records of an entry; for the files of entry.h. */
#ifndef CACHE_RECORD_ENTRY_WALK_H
#define CACHE_RECORD_ENTRY_WALK_H

#include "cache/record/record.h"

enum { ENTRY_RECORDS_MAX = 64 }; /* more is damage; conf->variants is at most this */

/* The rest of an entry while walking over its records. */
struct entry_walk {
	struct slice uri;
	struct slice rest;
	uint32_t left;
};

static inline bool entry_open(struct slice entry, struct entry_walk *ret_walk)
{
	const struct entry_header *header = (const void *)entry.p;
	size_t begin;

	if (entry.n < sizeof(*header) || !record_is_aligned(entry.p))
		return false;
	if (header->magic != ENTRY_MAGIC || header->length != entry.n ||
	    header->uri_n > entry.n - sizeof(*header) || header->count > ENTRY_RECORDS_MAX)
		return false;
	begin = sizeof(*header) + record_pad(header->uri_n);
	if (begin > entry.n)
		return false;
	ret_walk->uri = slice_of(entry.p + sizeof(*header), header->uri_n);
	ret_walk->rest = slice_of(entry.p + begin, entry.n - begin);
	ret_walk->left = header->count;
	return true;
}

/* The next record, with its checksum not yet verified; false at the end or at damage. */
static inline bool entry_next(struct entry_walk *walk, struct record_view *ret_view)
{
	if (walk->left == 0 || !record_parse(walk->rest, ret_view))
		return false;
	walk->rest.p += ret_view->bytes.n;
	walk->rest.n -= ret_view->bytes.n;
	walk->left--;
	return true;
}

/* Whether a walk stopped at the end rather than at damage. */
static inline bool entry_is_walked(const struct entry_walk *walk)
{
	return walk->left == 0 && walk->rest.n == 0;
}

#endif
