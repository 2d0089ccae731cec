/* When keys were invalidated or purged: counters in shared memory. */
#include "cache/moments.h"

uint64_t moments_now(const struct moments *moments)
{
	return __atomic_load_n(&moments->last, __ATOMIC_SEQ_CST);
}

uint64_t moments_next(struct moments *moments)
{
	return __atomic_add_fetch(&moments->last, 1, __ATOMIC_SEQ_CST);
}

/* Never back: another process may have marked a later moment meanwhile. */
static void raise(uint64_t *slot, uint64_t moment)
{
	uint64_t old = __atomic_load_n(slot, __ATOMIC_SEQ_CST);

	while (old < moment && !__atomic_compare_exchange_n(slot, &old, moment, false,
							    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

void moments_mark(struct moments *moments, uint64_t moment, const struct cache_key *keys,
		  size_t count)
{
	for (size_t i = 0; i < count; i++)
		raise(&moments->slots[keys[i].word[0] % MOMENT_SLOTS], moment);
}

bool moments_passed(const struct moments *moments, const struct cache_key *key, uint64_t asked_at)
{
	return asked_at <
	       __atomic_load_n(&moments->slots[key->word[0] % MOMENT_SLOTS], __ATOMIC_SEQ_CST);
}
