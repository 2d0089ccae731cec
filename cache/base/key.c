#include "cache/base/key.h"

#include <xxhash.h>

struct cache_key cache_key_of_uri(struct slice normal_uri)
{
	XXH128_hash_t hash = XXH3_128bits(normal_uri.p, normal_uri.n);

	return (struct cache_key){{hash.high64, hash.low64}};
}

struct cache_key cache_key_of_group(struct slice origin, struct slice group)
{
	uint64_t seed = XXH3_64bits(origin.p, origin.n);
	XXH128_hash_t hash = XXH3_128bits_withSeed(group.p, group.n, seed);

	return (struct cache_key){{hash.high64, hash.low64}};
}
