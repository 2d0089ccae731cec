/* Whether answers of a key serve several requests, in words of shared memory. */
#include "proxy/exchange/shareable.h"

#include <sys/mman.h>

enum {
	DEADLINE_BITS = 40, /* of milliseconds since boot: 34 years */
	YES_BIT = DEADLINE_BITS,
	USED_BIT,
	TAG_SHIFT,
};

/*
 * A slot: the upper bits of the key's second half, two flags, the deadline.  0 was never used.
 * Each word says all that there is to know of its key and orders nothing else, so accesses are
 * relaxed.
 */
#define YES (UINT64_C(1) << YES_BIT)
#define USED (UINT64_C(1) << USED_BIT)
#define DEADLINE_MASK ((UINT64_C(1) << DEADLINE_BITS) - 1)

struct shareable_keys *shareable_map(void)
{
	void *map = mmap(NULL, sizeof(struct shareable_keys), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static _Atomic uint64_t *bucket_of(struct shareable_keys *keys, const struct cache_key *key)
{
	/* Keys of one URI differ in their lowest bits, by the door and the method (fetch_key()). */
	return keys->bucket[(key->word[0] + 2 * key->word[1]) % SHAREABLE_BUCKETS];
}

static int64_t deadline_of(uint64_t word)
{
	return (int64_t)(word & DEADLINE_MASK);
}

static bool is_of(uint64_t word, const struct cache_key *key)
{
	return word != 0 && word >> TAG_SHIFT == key->word[1] >> TAG_SHIFT;
}

static uint64_t word_of(const struct cache_key *key, uint64_t flags, int64_t until_ms)
{
	return (key->word[1] >> TAG_SHIFT << TAG_SHIFT) | flags |
	       ((uint64_t)until_ms & DEADLINE_MASK);
}

static uint64_t load(const _Atomic uint64_t *slot)
{
	return atomic_load_explicit(slot, memory_order_relaxed);
}

enum shareable shareable_recall(struct shareable_keys *keys, const struct cache_key *key,
				int64_t now_ms, int64_t no_ms)
{
	_Atomic uint64_t *bucket = bucket_of(keys, key);

	for (_Atomic uint64_t *slot = bucket; slot < bucket + SHAREABLE_SLOTS; slot++) {
		uint64_t word = load(slot);
		bool yes = word & YES;

		if (!is_of(word, key) || deadline_of(word) <= now_ms)
			continue;
		/* Unless another worker has just learnt better. */
		atomic_compare_exchange_strong_explicit(
			slot, &word, yes ? word | USED : word_of(key, USED, now_ms + no_ms),
			memory_order_relaxed, memory_order_relaxed);
		return yes ? SHAREABLE_YES : SHAREABLE_NO;
	}
	return SHAREABLE_UNKNOWN;
}

/* Which of two words is rather given up. */
static bool goes_before(uint64_t a, uint64_t b, int64_t now_ms)
{
	bool a_used = a & USED && deadline_of(a) > now_ms;
	bool b_used = b & USED && deadline_of(b) > now_ms;

	return a_used != b_used ? b_used : deadline_of(a) < deadline_of(b);
}

void shareable_note(struct shareable_keys *keys, const struct cache_key *key, bool yes,
		    int64_t now_ms, int64_t for_ms)
{
	_Atomic uint64_t *bucket = bucket_of(keys, key), *victim = bucket;
	uint64_t used = 0;

	for (_Atomic uint64_t *slot = bucket; slot < bucket + SHAREABLE_SLOTS; slot++) {
		uint64_t word = load(slot);

		if (is_of(word, key)) {
			/* Two workers may have noted it at once, in a slot each. */
			atomic_store_explicit(slot, 0, memory_order_relaxed);
			used |= word & USED;
			word = 0;
		}
		if (goes_before(word, load(victim), now_ms))
			victim = slot;
	}
	if (for_ms > 0)
		atomic_store_explicit(victim, word_of(key, used | (yes ? YES : 0), now_ms + for_ms),
				      memory_order_relaxed);
}
