/*
 * The entry of a URI: all its records as one value of the store (record.h).  Pure.
 *
 * All functions check the entry's lengths before they use them; a damaged entry counts as absent,
 * and a damaged record is dropped when an entry is rewritten.  Entries are 8-aligned.
 */
#ifndef CACHE_RECORD_ENTRY_H
#define CACHE_RECORD_ENTRY_H

#include "cache/record/groups.h"
#include "cache/record/record.h"

enum {
	ENTRY_SIZE_MAX = 1 << 20,
	ENTRY_SETS_MAX = 4, /* different Varys of one entry: a request is written anew for each */
};

enum entry_select {
	ENTRY_NONE,     /* no entry, or another URI's (hash collision), or none for the method */
	ENTRY_NO_MATCH, /* records, but none that this request selects: a vary-miss */
	ENTRY_SELECTED,
	ENTRY_DAMAGED, /* its lengths do not fit, or the record selected is not what was written */
};

/*
 * Choose the record that the request selects: kind and selecting fields match, also those that the
 * most recent Vary names; one with Vary wins over one without (RFC 9111 4.1), then the latest Date,
 * then the latest receipt, then a GET's over a HEAD's.  With `by_language`, when no other record
 * matches, one in the request's preferred language is chosen: more than the letter of RFC 9111 4.1
 * allows, see option language_select.  The request's values for the names of a Vary are written
 * once for all variants, so the work is linear in the bytes of the request and of the entry.
 * Records that the cutoff makes absent are skipped.
 */
enum entry_select entry_select(struct slice entry, struct slice normal_uri,
			       const struct http_request *req, bool by_language,
			       const struct record_cutoff *cutoff, struct record_view *ret_view);

/*
 * The entry with `record` added: it replaces the record of the same kind and selecting fields, a
 * GET's also the HEAD's.  Beyond `variants` records (at most 64), or beyond `size` or
 * ENTRY_SIZE_MAX, the record received first is dropped; beyond ENTRY_SETS_MAX different Varys, all
 * records of the least recent one.  `old` may be empty or damaged; `to`, 8-aligned, must not
 * overlap it.  Returns the length written at `to`; 0 when `record` is damaged or does not fit
 * alone.
 */
size_t entry_put(struct slice old, struct slice normal_uri, struct slice record, uint32_t variants,
		 char *to, size_t size);

/* Whether an entry has a record that is not absent. */
bool entry_has_present(struct slice entry, const struct record_cutoff *cutoff);

/*
 * Whether entry_tidy() would change an entry: a record is absent, made stale by a soft purge, or
 * damaged.  Looks at no checksum.
 */
bool entry_is_untidy(struct slice entry, const struct record_cutoff *cutoff);

/*
 * The entry without records that are absent and damaged ones, and with those stale that a soft
 * purge makes so; 0 when none is left.
 */
size_t entry_tidy(struct slice old, const struct record_cutoff *cutoff, char *to, size_t size);

/* Its URI in normal form; empty when it is damaged. */
struct slice entry_uri(struct slice entry);

/* Visit its records until `visit` returns false.  Looks at no checksum. */
void entry_visit(struct slice entry, bool (*visit)(void *context, const struct record_view *view),
		 void *context);

/*
 * Whether an old record of the same URI makes way for `fresh`: it is of the same kind and variant,
 * or a HEAD's of the variant of a GET's.
 */
bool record_supersedes(const struct record_view *fresh, const struct record_view *old);

/*
 * Whether an entry has a record of the variant of `record` that is not absent, and was asked for at
 * the same epoch.
 */
bool entry_has_variant(struct slice entry, struct slice normal_uri,
		       const struct record_view *record, const struct record_cutoff *cutoff);

/* Walk: the i-th record's view; false past the end or damaged. */
bool entry_at(struct slice entry, unsigned i, struct slice *ret_uri, struct record_view *ret_view);

/* The groups of all its records, as groups_of_response() returns them. */
size_t entry_groups(struct slice entry, struct cache_key to[GROUPS_MAX]);

#endif
