/*
 * Keys of the store.  Pure, except for a secret seed shared by all processes of a store: it keeps
 * clients from choosing URIs whose hashes collide, to push out or invalidate another URI's record.
 *
 * The primary key is a hash of the normal form of the target URI (RFC 9111 2); the URI itself is
 * stored in the entry and compared, so a collision is a miss.  Records of one URI differ by kind
 * and Vary, which are compared record by record within the entry.
 */
#ifndef CACHE_BASE_KEY_H
#define CACHE_BASE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/slice.h"

/* Seeded XXH3-128 of the normal URI (or of origin and group name). */
struct cache_key {
	uint64_t word[2];
};

static inline bool cache_key_eq(const struct cache_key *a, const struct cache_key *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

/* The seed of all keys from now on, store_key_seed(); 0 before.  A process has one store. */
void cache_key_set_seed(uint64_t seed);

struct cache_key cache_key_of_uri(struct slice normal_uri);

/*
 * Of a cache group (RFC 9875): the origin "scheme://host[:port]" in normal form, and the group
 * name.
 */
struct cache_key cache_key_of_group(struct slice origin, struct slice group);

#endif
