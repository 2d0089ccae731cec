/* Claims on keys, in words of shared memory. */
#include "proxy/claims.h"

#include <sys/mman.h>

enum {
	BUCKETS = 2048,
	BUCKET_SLOTS = 8, /* a cache line */
	TRIES = 8,
	DEADLINE_BITS = 40, /* of milliseconds since boot: 34 years */
};

/* A slot: the upper bits of the key's second half, then the deadline.  0 was never used. */
struct claims {
	uint64_t bucket[BUCKETS][BUCKET_SLOTS] __attribute__((aligned(64)));
};

static bool is_live(uint64_t word, int64_t now_ms)
{
	return (int64_t)(word & ((UINT64_C(1) << DEADLINE_BITS) - 1)) > now_ms;
}

static bool same_key(uint64_t a, uint64_t b)
{
	return a >> DEADLINE_BITS == b >> DEADLINE_BITS;
}

struct claims *claims_map(void)
{
	void *map = mmap(NULL, sizeof(struct claims), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* Is the key of `word` claimed in a slot other than `own`? */
static bool is_claimed(uint64_t *bucket, const uint64_t *own, uint64_t word, int64_t now_ms)
{
	for (uint64_t *slot = bucket; slot < bucket + BUCKET_SLOTS; slot++) {
		uint64_t found = __atomic_load_n(slot, __ATOMIC_SEQ_CST);

		if (slot != own && same_key(found, word) && is_live(found, now_ms))
			return true;
	}
	return false;
}

/* Put `word` into a slot that has lapsed; NULL when there is none. */
static uint64_t *put(uint64_t *bucket, uint64_t word, int64_t now_ms)
{
	for (int try = 0; try < TRIES; try++) {
		for (uint64_t *slot = bucket; slot < bucket + BUCKET_SLOTS; slot++) {
			uint64_t old = __atomic_load_n(slot, __ATOMIC_SEQ_CST);

			if (!is_live(old, now_ms) &&
			    __atomic_compare_exchange_n(slot, &old, word, false, __ATOMIC_SEQ_CST,
							__ATOMIC_SEQ_CST))
				return slot;
		}
	}
	return NULL;
}

bool claims_take(struct claims *claims, const struct cache_key *key, int64_t now_ms,
		 struct claim *ret_claim)
{
	uint64_t *bucket = claims->bucket[key->word[0] % BUCKETS];
	uint64_t word =
		(key->word[1] >> DEADLINE_BITS << DEADLINE_BITS) | (uint64_t)(now_ms + CLAIM_MS);

	*ret_claim = (struct claim){0};
	if (is_claimed(bucket, NULL, word, now_ms))
		return false;
	ret_claim->slot = put(bucket, word, now_ms);
	ret_claim->word = word;
	/* Two that looked at once may have found different slots: each looks again after its own
	   word stands, so at least one sees the other, and gives way. */
	if (ret_claim->slot != NULL && !is_claimed(bucket, ret_claim->slot, word, now_ms))
		return true;
	claims_release(ret_claim);
	return false;
}

void claims_release(struct claim *claim)
{
	uint64_t word = claim->word;

	if (claim->slot != NULL)
		__atomic_compare_exchange_n(claim->slot, &word, 0, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
	*claim = (struct claim){0};
}
