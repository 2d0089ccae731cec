/*
 * The headers of records and entries as they lie in the store.  The structures are read and written
 * by record.c and entry.c alone.
 *
 * All lengths come from disk: trust them only after record_parse() has checked them, and the bytes
 * only after record_is_intact().
 */
#ifndef CACHE_RECORD_LAYOUT_H
#define CACHE_RECORD_LAYOUT_H

#include "cache/policy/policy.h"

enum {
	RECORD_VERSION = 6, /* raise at any change of layout, of struct record_meta or of keys */
	RECORD_ALIGN = 8,
};

struct record_header {
	uint64_t checksum; /* XXH3-64 of what follows it, padding too, XOR record_seed() */
	uint32_t length;   /* header, parts and padding */
	uint32_t vary_n;
	uint32_t head_304_n;
	uint32_t head_rest_n;
	uint32_t etag_at; /* value, from the start of head_304 */
	uint32_t etag_n;
	uint32_t last_modified_at; /* value, from the start of head_rest */
	uint32_t last_modified_n;
	uint16_t version;     /* RECORD_VERSION */
	uint16_t group_count; /* keys of the groups it is in; they follow the header */
	uint32_t language_at; /* value of its only Content-Language, from the start of head_rest; 0
				 for none */
	uint64_t vary_set;    /* vary_names_hash() of what Vary names */
	struct record_meta meta;
};

_Static_assert(sizeof(struct record_meta) == 72, "no padding: its bytes are summed and stored");
_Static_assert(sizeof(struct record_header) == 128, "no padding: its bytes are summed and stored");
_Static_assert(sizeof(struct record_header) % RECORD_ALIGN == 0, "parts follow the header");
_Static_assert(offsetof(struct record_header, meta) % RECORD_ALIGN == 0, "meta is used in place");
_Static_assert(_Alignof(struct record_header) == RECORD_ALIGN, "records stand at such places");

#define ENTRY_MAGIC 0x34303265u /* "e204" */

/* The URI follows, padded with zeros to RECORD_ALIGN, then the records. */
struct entry_header {
	uint32_t magic;
	uint32_t length; /* of the whole entry */
	uint32_t uri_n;
	uint32_t count; /* of records */
};

_Static_assert(sizeof(struct entry_header) == 16, "no padding: its bytes are stored");
_Static_assert(sizeof(struct entry_header) % RECORD_ALIGN == 0, "the records stay aligned");

static inline size_t record_pad(size_t n)
{
	return (n + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

static inline bool record_is_aligned(const void *p)
{
	return (uintptr_t)p % RECORD_ALIGN == 0;
}

#endif
