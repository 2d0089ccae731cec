/* Counts the records of an entry by its layout alone. */
#include "tests/support/entry_count.h"

#include "cache/record/record.h"

unsigned entry_count(struct slice entry)
{
	const struct entry_header *header = (const void *)entry.p;
	struct record_view view;
	unsigned count = 0;
	size_t at;

	if (entry.n < sizeof(*header) || !record_is_aligned(entry.p) ||
	    header->magic != ENTRY_MAGIC || header->length != entry.n)
		return 0;
	at = sizeof(*header) + record_pad(header->uri_n);
	while (count < header->count && at <= entry.n &&
	       record_parse(slice_of(entry.p + at, entry.n - at), &view)) {
		at += view.bytes.n;
		count++;
	}
	return at == entry.n && count == header->count ? count : 0;
}
