#include "cache/base/key.h"

#include <xxhash.h>

static uint64_t key_seed;

void cache_key_set_seed(uint64_t seed)
{
	key_seed = seed;
}

struct cache_key cache_key_of_uri(struct slice normal_uri)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(normal_uri.p, normal_uri.n, key_seed);

	return (struct cache_key){{hash.high64, hash.low64}};
}

struct cache_key cache_key_of_group(struct slice origin, struct slice group)
{
	uint64_t seed = XXH3_64bits_withSeed(origin.p, origin.n, key_seed);
	XXH128_hash_t hash = XXH3_128bits_withSeed(group.p, group.n, seed);

	return (struct cache_key){{hash.high64, hash.low64}};
}
