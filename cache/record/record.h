/*
 * The bytes of a stored response, and of the entry that holds all records of one URI.
 *
 *	entry   header | URI, padded | record | record | ...         one value in the store
 *	record  header | group keys | vary block | fields of a 304 | other fields | padding to 8
 *
 * All records of a URI (variants, HEAD, preflights) stand in one entry: a hit is one read of the
 * store whatever Vary says, and an invalidation is one delete.  Field lines are kept as they will
 * be sent, "Name: value\r\n", those that a 304 repeats first: an answer is a status line, one copy,
 * and what is composed at each answer (Age, Via, Cache-Status).
 *
 * LMDB has no checksums (HAZARDS S2), so every record has one over all its bytes and the URI; it is
 * checked whenever a record is viewed.  Layouts are of this machine's byte order: the store is a
 * cache, not an archive.
 */
#ifndef CACHE_RECORD_RECORD_H
#define CACHE_RECORD_RECORD_H

#include "cache/base/key.h"
#include "cache/base/view.h"
#include "cache/policy/policy.h"
#include "cache/record/layout.h"

enum {
	RECORD_FIELDS_MAX = 512, /* field lines of one, and so of a merged one */
};

/*
 * A view of one record, valid as long as the bytes it was made from.  Outside of cache/, read it
 * with the functions below, which check that the bytes are still valid.
 */
struct record_view {
	struct view_generation generation; /* of the owner of the bytes */
	const struct record_meta *meta;
	const struct cache_key *groups; /* keys of the cache groups it is in */
	size_t group_count;
	struct slice vary;      /* block of cache/record/vary.h */
	struct slice head_304;  /* field lines of a 304 */
	struct slice head_rest; /* the others; follows head_304 in memory, so one copy takes both */
	struct slice etag;      /* within head_304; empty when none */
	struct slice last_modified; /* value, within head_rest */
	struct slice bytes;         /* the whole record, for a copy */
	uint64_t vary_set;          /* vary_names_hash() of the names that Vary has */
};

/* May its bytes still be read? */
static inline bool record_is_current(const struct record_view *view)
{
	return view_is_current(&view->generation);
}

static inline const struct record_meta *record_meta(const struct record_view *view)
{
	VIEW_ASSERT(&view->generation);
	return view->meta;
}

/* The minor HTTP/1 version of the origin's last message about it; later versions count as 1. */
static inline uint8_t record_minor_version(const struct record_view *view)
{
	return record_meta(view)->flags & META_HTTP_1_0 ? 0 : 1;
}

static inline struct slice record_etag(const struct record_view *view)
{
	VIEW_ASSERT(&view->generation);
	return view->etag;
}

static inline struct slice record_last_modified(const struct record_view *view)
{
	VIEW_ASSERT(&view->generation);
	return view->last_modified;
}

/* The selecting fields, a block of cache/record/vary.h. */
static inline struct slice record_vary(const struct record_view *view)
{
	VIEW_ASSERT(&view->generation);
	return view->vary;
}

static inline struct slice record_bytes(const struct record_view *view)
{
	VIEW_ASSERT(&view->generation);
	return view->bytes;
}

/* The field lines of a 304, or all. */
static inline struct slice record_head(const struct record_view *view, bool is_304)
{
	VIEW_ASSERT(&view->generation);
	return slice_of(view->head_304.p, view->head_304.n + (is_304 ? 0 : view->head_rest.n));
}

/*
 * Write a record of a response that policy_may_store() allowed.  `size` bytes at `to`, 8-aligned.
 * Date is written as meta->date_s says when the response has none, several or an invalid one (RFC
 * 9110 6.6.1).  Returns its length, a multiple of 8; 0 when it does not fit, or has a Vary that no
 * request matches (vary_write()), or names more than GROUPS_NAMED_MAX cache groups: an invalidation
 * would miss some.
 */
size_t record_write(const struct http_request *req, const struct http_response *res,
		    const struct record_meta *meta, struct slice normal_uri, char *to, size_t size);

/*
 * Write the record that `old` becomes by a 304 (RFC 9111 3.2, 4.3.4): fields of the 304 replace
 * those of the same name, the rest stays, never Content-Length nor hop-by-hop; Date is that of the
 * 304, or of its receipt.  The meta is worked out anew from the merged fields, the kind stays.
 *
 * *ret_why is REASON_NONE when the record may be kept.  Otherwise (the policy says why, or it is
 * over conf->record_size) the record written may be used for one answer, but not stored.  Returns
 * the length; 0 when it does not fit.  `to` must not overlap `old`.
 */
struct record_confirmation {
	const struct http_request *req;
	const struct http_response *res_304;
	const struct exchange_times *times;
	const struct conf *conf;
	struct slice normal_uri;
};

size_t record_freshen(const struct record_view *old, const struct record_confirmation *by, char *to,
		      size_t size, enum reason *ret_why);

/* Ties the checksum of a record to its URI. */
uint64_t record_seed(struct slice normal_uri);

/*
 * View the record at the start of `bytes`, which may continue after it.  Never reads outside of
 * `bytes`, whatever they contain, but does not verify the checksum.  False when they are not a
 * record.
 */
bool record_parse(struct slice bytes, struct record_view *ret_view);

/* Whether the checksum of a parsed record is right, for the URI of that seed. */
bool record_is_intact(const struct record_view *view, uint64_t seed);

/* View a record alone (a copy of record_bytes()); false when damaged or not of that URI. */
bool record_view(struct slice bytes, struct slice normal_uri, struct record_view *ret_view);

/*
 * The stored head as a response message: `at` and `capacity` of its fields are given
 * (RECORD_FIELDS_MAX is enough).  False when they are too few or the head is malformed.
 */
bool record_to_response(const struct record_view *view, struct http_response *ret_res);

/* The value of its Content-Language, when that has just one line. */
bool record_language(const struct record_view *view, struct slice *ret_value);

/*
 * A key for one variant of one URI: made from the entry's key, the kind and the selecting fields.
 */
struct cache_key record_variant_key(const struct record_view *view, const struct cache_key *entry);

/*
 * Which records of an entry count as absent.  Plain data of one lookup or write; without any mark
 * in force (cache/store/invalidation.h) `epoch_of` is NULL, and only the purge is checked.
 */
struct record_cutoff {
	int64_t purged_ms;     /* received at or before it: purged (cache/store/purge_mark.h) */
	uint64_t asked_before; /* asked for before it: the URI was invalidated */
	uint64_t (*epoch_of)(const void *context, const struct cache_key *key);
	const void *context;
	struct cache_key entry; /* its key */
	struct slice uri;       /* in normal form */
	/* Soft purges, when `epoch_of` is not NULL: */
	uint64_t stale_before; /* asked for before it: one of the URI, at stale_ms */
	int64_t stale_ms;
	uint64_t (*group_stale)(const void *context, const struct cache_key *key, int64_t *ret_ms);
};

/* Whether a mark in force on its URI, variant or groups came after the record was asked for. */
bool record_is_invalidated(const struct record_view *view, const struct record_cutoff *cutoff);

/*
 * Whether a soft purge makes a record stale that is not so already; *ret_ms is when it was purged,
 * on the steady clock.
 */
bool record_is_made_stale(const struct record_view *view, const struct record_cutoff *cutoff,
			  int64_t *ret_ms);

/*
 * Make a record stale as of a soft purge, in the bytes of a copy: it is validated before its next
 * use, and stale-if-error counts from the purge.  `seed` is record_seed() of its URI.
 */
void record_make_stale(char *record, int64_t purged_ms, uint64_t seed);

static inline bool record_is_absent(const struct record_view *view,
				    const struct record_cutoff *cutoff)
{
	return view->meta->response_steady_ms <= cutoff->purged_ms ||
	       (cutoff->epoch_of && record_is_invalidated(view, cutoff));
}

#endif
