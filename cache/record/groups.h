/*
 * Cache groups (RFC 9875) as keys of the store.  Pure.
 *
 * A group is a string and the origin that said it: no response can name a group of another origin.
 *
 * What is in a group is in one more, in which is all that is in any group of that origin.  An
 * invalidation of more groups than are marked one by one is one of that.
 */
#ifndef CACHE_RECORD_GROUPS_H
#define CACHE_RECORD_GROUPS_H

#include "cache/base/key.h"
#include "cache/http/message.h"

enum {
	/* That a response, an entry or an invalidation names; RFC 9875 2 and 3 want at least 32. */
	GROUPS_NAMED_MAX = 128,
	GROUPS_MAX = GROUPS_NAMED_MAX + 1, /* and that of all */
};

/*
 * The groups that a response is in (Cache-Groups), each once.  Returns their number, or SIZE_MAX
 * when it names more than GROUPS_NAMED_MAX: such a response must not be kept, for an invalidation
 * would miss it.  A field that is no list of strings names no group.
 */
size_t groups_of_response(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX]);

/*
 * Add what is not there yet of the groups of one record to `count` others; how many there are then,
 * or SIZE_MAX when there are too many.
 */
size_t groups_add(struct cache_key to[GROUPS_MAX], size_t count, const struct cache_key *groups,
		  size_t group_count);

/*
 * The groups that a response invalidates (Cache-Group-Invalidation); of more than GROUPS_NAMED_MAX
 * that of all instead.
 */
size_t groups_invalidated(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX]);

#endif
