/*
 * Cache groups (RFC 9875) as keys of the store.  Pure.
 *
 * A group is a string together with its origin: no response can name a group of another origin.
 *
 * Every response in a group is also in one common group of its origin.  An invalidation that names
 * too many groups to be marked one by one invalidates the common group.
 */
#ifndef CACHE_RECORD_GROUPS_H
#define CACHE_RECORD_GROUPS_H

#include "cache/base/key.h"
#include "cache/http/message.h"

enum {
	/* That a response, an entry or an invalidation names; RFC 9875 2 and 3 want at least 32. */
	GROUPS_NAMED_MAX = 128,
	GROUPS_MAX = GROUPS_NAMED_MAX + 1, /* and the common one */
};

/*
 * The groups that a response is in (Cache-Groups), each once.  Returns their number, or SIZE_MAX
 * when it names more than GROUPS_NAMED_MAX: such a response must not be kept, because an
 * invalidation could miss it.  A field that is not a list of strings names no groups.
 */
size_t groups_of_response(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX]);

/*
 * Add the groups of one record to `count` others, without duplicates.  Returns the new number, or
 * SIZE_MAX when there are too many.
 */
size_t groups_add(struct cache_key to[GROUPS_MAX], size_t count, const struct cache_key *groups,
		  size_t group_count);

/*
 * The groups that a response invalidates (Cache-Group-Invalidation); if more than GROUPS_NAMED_MAX,
 * the common group instead.
 */
size_t groups_invalidated(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX]);

#endif
