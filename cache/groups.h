/*
 * Cache groups (RFC 9875) as keys of the store.  Pure.
 *
 * A group is a string and the origin that said it: no response can name a group of another origin.
 */
#ifndef CACHE_GROUPS_H
#define CACHE_GROUPS_H

#include "cache/record.h"

/* Groups of one entry, and of one invalidation; RFC 9875 2 and 3 want at least 32. */
enum { GROUPS_MAX = 128 };

/*
 * The groups that a response is in (Cache-Groups), each once.  Returns their number, or SIZE_MAX
 * when they are more than GROUPS_MAX: such a response must not be kept, for an invalidation would
 * miss it.  A field that is no list of strings names no group.
 */
size_t groups_of_response(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX]);

/* Those of all records of an entry, in the same manner. */
size_t groups_of_entry(struct slice entry, struct cache_key to[GROUPS_MAX]);

/* The first GROUPS_MAX groups that a response invalidates (Cache-Group-Invalidation). */
size_t groups_invalidated(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX]);

#endif
