/*
 * uthash with a secret hash function.
 *
 * Names and keys in tables come from clients and origins, and uthash's own hash functions are
 * public: an attacker could choose keys with the same hash, and turn each lookup into a linear
 * search.  Here the hash depends on random numbers drawn when the process starts.  As always in
 * uthash, iteration is in order of insertion.
 *
 * Include this instead of <uthash.h>, after the macros that uthash.h wants defined before it.
 */
#ifndef CACHE_BASE_TABLE_H
#define CACHE_BASE_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

static uint64_t table_secret[2] = {UINT64_C(0x9e3779b97f4a7c15), UINT64_C(0xd1b54a32d192ed03)};

/*
 * Each file that has tables draws its own.  Early in a boot there may be no randomness: then the
 * constants stay.
 */
__attribute__((constructor)) static void table_draw_secret(void)
{
	uint64_t drawn[2];

	if (getrandom(drawn, sizeof(drawn), GRND_NONBLOCK) == (ssize_t)sizeof(drawn)) {
		table_secret[0] = drawn[0] | 1;
		table_secret[1] = drawn[1] | 1;
	}
}

/* Each bit of the result depends on all of what goes in, by way of both numbers. */
static inline uint64_t table_mix(uint64_t bits)
{
	bits *= table_secret[0];
	bits ^= bits >> 32;
	bits *= table_secret[1];
	return bits ^ bits >> 29;
}

static inline uint32_t table_hash(const void *key, size_t n)
{
	const unsigned char *at = key;
	uint64_t hash = table_secret[0] ^ n, word;

	for (; n >= sizeof(word); n -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = table_mix(hash ^ word) + table_secret[0];
	}
	word = 0;
	memcpy(&word, at, n);
	hash = table_mix(hash ^ word);
	return (uint32_t)(hash ^ hash >> 32);
}

#define HASH_FUNCTION(key, n, hash) ((hash) = table_hash((key), (n)))

#include <uthash.h>

#endif
