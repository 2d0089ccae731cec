/* Leases on keys, in words of shared memory. */
#include "proxy/exchange/leases.h"

#include <sys/mman.h>

enum {
	BUCKETS = 2048,
	BUCKET_SLOTS = 8, /* a cache line */
	TRIES = 8,
	DEADLINE_BITS = 40, /* of milliseconds since boot: 34 years */
};

/*
 * A slot: the upper bits of the key's second half, then the deadline.  0 was never used.
 *
 * All accesses are sequentially consistent: two who lease a key in different slots each store one
 * word and then read the other's, and at least one must see it.
 */
struct leases {
	_Atomic uint64_t bucket[BUCKETS][BUCKET_SLOTS] __attribute__((aligned(64)));
};

static bool is_live(uint64_t word, int64_t now_ms)
{
	return (int64_t)(word & ((UINT64_C(1) << DEADLINE_BITS) - 1)) > now_ms;
}

static bool same_key(uint64_t a, uint64_t b)
{
	return a >> DEADLINE_BITS == b >> DEADLINE_BITS;
}

struct leases *leases_map(void)
{
	void *map = mmap(NULL, sizeof(struct leases), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* Is the key of `word` leased in a slot other than `own`? */
static bool is_leased(_Atomic uint64_t *bucket, const _Atomic uint64_t *own, uint64_t word,
		      int64_t now_ms)
{
	for (_Atomic uint64_t *slot = bucket; slot < bucket + BUCKET_SLOTS; slot++) {
		uint64_t found = atomic_load_explicit(slot, memory_order_seq_cst);

		if (slot != own && same_key(found, word) && is_live(found, now_ms))
			return true;
	}
	return false;
}

/* Put `word` into a slot that has lapsed; NULL when there is none. */
static _Atomic uint64_t *put(_Atomic uint64_t *bucket, uint64_t word, int64_t now_ms)
{
	for (int try = 0; try < TRIES; try++) {
		for (_Atomic uint64_t *slot = bucket; slot < bucket + BUCKET_SLOTS; slot++) {
			uint64_t old = atomic_load_explicit(slot, memory_order_seq_cst);

			if (!is_live(old, now_ms) &&
			    atomic_compare_exchange_strong_explicit(
				    slot, &old, word, memory_order_seq_cst, memory_order_seq_cst))
				return slot;
		}
	}
	return NULL;
}

bool leases_take(struct leases *leases, const struct cache_key *key, int64_t now_ms,
		 struct lease *ret_lease)
{
	_Atomic uint64_t *bucket = leases->bucket[key->word[0] % BUCKETS];
	uint64_t word =
		(key->word[1] >> DEADLINE_BITS << DEADLINE_BITS) | (uint64_t)(now_ms + LEASE_MS);

	*ret_lease = (struct lease){0};
	if (is_leased(bucket, NULL, word, now_ms))
		return false;
	ret_lease->slot = put(bucket, word, now_ms);
	ret_lease->word = word;
	if (ret_lease->slot == NULL)
		return true; /* without a lease */
	/*
	 * Two that looked at once may have found different slots: each looks again after its own
	 * word stands, so at least one sees the other, and gives way.
	 */
	if (!is_leased(bucket, ret_lease->slot, word, now_ms))
		return true;
	lease_release(ret_lease);
	return false;
}

void lease_release(struct lease *lease)
{
	uint64_t word = lease->word;

	if (lease->slot != NULL)
		atomic_compare_exchange_strong_explicit(lease->slot, &word, 0, memory_order_seq_cst,
							memory_order_seq_cst);
	*lease = (struct lease){0};
}
