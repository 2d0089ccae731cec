/* SIEVE as the store has it: evict.c, with as many steps of the hand to a batch of entries. */
#include "bench/ratio/policy.h"

#include <stdlib.h>

#include "cache/store/evict.h"

enum {
	HAND_STEPS = 4096, /* of the hand, for each... */
	BATCH = 100,       /* ...so many entries that come, as in one transaction of the store */
};

/* An object's sequence, 0 when not stored; then by sequence, with `next` the way to one that is there. */
struct sieve {
	uint32_t *sequence, *object, *slot, *next;
	size_t room, used;
	uint32_t newest;
	unsigned steps;
	struct evict_state state;
	struct evict_bits bits;
};

static void *sieve_make(const struct trace *trace, size_t room)
{
	struct sieve *cache = allocate(1, sizeof(*cache), 0);
	size_t sequences = trace->requests + 2;
	uint32_t slots = room < EVICT_SLOTS_MIN ? EVICT_SLOTS_MIN : (uint32_t)room;

	*cache = (struct sieve){
		.sequence = allocate(trace->distinct, sizeof(uint32_t), 0),
		.object = allocate(sequences, sizeof(uint32_t), 0),
		.slot = allocate(sequences, sizeof(uint32_t), 0),
		.next = allocate(sequences, sizeof(uint32_t), 0),
		.room = room,
		.bits = {.words = allocate(evict_words(slots), sizeof(uint64_t), 0),
			 .slots = slots},
	};
	cache->next[1] = 1;
	return cache;
}

static void sieve_destroy(void *context)
{
	struct sieve *cache = context;

	free(cache->sequence);
	free(cache->object);
	free(cache->slot);
	free(cache->next);
	free(cache->bits.words);
	free(cache);
}

/* The way is shortened behind whoever walks it. */
static bool sieve_next(void *context, uint64_t from, struct evict_item *ret_item)
{
	struct sieve *cache = context;
	uint32_t *next = cache->next, i = from > 0 ? (uint32_t)from : 1;

	while (i <= cache->newest && next[i] != i)
		i = next[i] = next[next[i]];
	if (i > cache->newest)
		return false;
	*ret_item = (struct evict_item){i, cache->slot[i]};
	return true;
}

static void sieve_evict(struct sieve *cache)
{
	struct evict_order order = {sieve_next, cache};
	struct evict_item victim;

	if (!evict_choose(&cache->state, &cache->bits, &order, &cache->steps, &victim))
		abort();
	cache->sequence[cache->object[victim.sequence]] = 0;
	cache->next[victim.sequence] = (uint32_t)victim.sequence + 1;
	evict_slot_give(&cache->state, &cache->bits, victim.slot);
}

static bool sieve_ask(void *context, uint32_t object, size_t at)
{
	struct sieve *cache = context;
	uint32_t sequence = cache->sequence[object];

	(void)at;
	if (sequence != 0) {
		evict_visit(&cache->bits, cache->slot[sequence]);
		return true;
	}
	if (cache->newest % BATCH == 0)
		cache->steps = HAND_STEPS;
	if (cache->used == cache->room)
		sieve_evict(cache);
	else
		cache->used++;
	sequence = ++cache->newest;
	cache->sequence[object] = sequence;
	cache->object[sequence] = object;
	cache->slot[sequence] = evict_slot_take(&cache->state, &cache->bits);
	/* Whoever looks beyond the newest finds itself there: the next that comes. */
	cache->next[sequence + 1] = sequence + 1;
	return false;
}

const struct policy sieve = {"SIEVE", "the oldest that was not asked for goes: the store's own",
			     sieve_make, sieve_ask, sieve_destroy};
