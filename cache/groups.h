/*
 * Cache groups (RFC 9875) as keys of the store.  Pure.
 *
 * A group is a string and the origin that said it: no response can name a group of another origin.
 */
#ifndef CACHE_GROUPS_H
#define CACHE_GROUPS_H

#include "cache/moments.h"
#include "cache/record.h"

/* Groups of one entry, and of one invalidation; RFC 9875 2 and 3 want at least 32. */
enum { GROUPS_MAX = 128 };

/*
 * The groups that the records of an entry are in (Cache-Groups), each once.  Returns their number,
 * or SIZE_MAX when they are more than GROUPS_MAX: such an entry must not be kept, for an
 * invalidation would miss it.  A field that is no list of strings names no group.
 */
size_t groups_of_entry(struct slice entry, struct cache_key to[GROUPS_MAX]);

/*
 * Was the URI of that key, or a group that the fields of a response for it name, marked after
 * `asked_at` (moments.h)?
 */
bool groups_passed(const struct moments *moments, const struct cache_key *key,
		   struct slice normal_uri, const struct http_fields *fields, uint64_t asked_at);

/* The first GROUPS_MAX groups that a response invalidates (Cache-Group-Invalidation). */
size_t groups_invalidated(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX]);

#endif
