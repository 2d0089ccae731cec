/* Counts the records of an entry by its layout alone. */
#include "tests/support/entry_count.h"

#include "cache/record/layout.h"

unsigned entry_count(struct slice entry)
{
	const struct entry_header *header = (const void *)entry.p;
	const struct record_header *record;
	unsigned count = 0;
	size_t at;

	if (entry.n < sizeof(*header) || !record_is_aligned(entry.p) ||
	    header->magic != ENTRY_MAGIC || header->length != entry.n)
		return 0;
	at = sizeof(*header) + record_pad(header->uri_n);
	for (; at <= entry.n && entry.n - at >= sizeof(*record); at += record->length) {
		record = (const void *)(entry.p + at);
		if (record->length < sizeof(*record) || record->length > entry.n - at)
			return 0;
		count++;
	}
	return at == entry.n && count == header->count ? count : 0;
}
