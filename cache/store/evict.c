/* SIEVE over an order and visited bits that the caller provides. */
#include "cache/store/evict.h"

/* A slot out of range was given out by a larger store: it shares a bit. */
static _Atomic uint64_t *evict_word(const struct evict_bits *bits, uint32_t slot,
				    uint64_t *ret_mask)
{
	slot %= bits->slots;
	*ret_mask = UINT64_C(1) << (slot % 64);
	return &bits->words[slot / 64];
}

void evict_visit(const struct evict_bits *bits, uint32_t slot)
{
	uint64_t mask;
	_Atomic uint64_t *word = evict_word(bits, slot, &mask);

	if ((atomic_load_explicit(word, memory_order_relaxed) & mask) == 0)
		atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
}

bool evict_visited(const struct evict_bits *bits, uint32_t slot)
{
	uint64_t mask;
	_Atomic uint64_t *word = evict_word(bits, slot, &mask);

	return (atomic_load_explicit(word, memory_order_relaxed) & mask) != 0;
}

static void evict_clear(const struct evict_bits *bits, uint32_t slot)
{
	uint64_t mask;
	_Atomic uint64_t *word = evict_word(bits, slot, &mask);

	atomic_fetch_and_explicit(word, ~mask, memory_order_relaxed);
}

bool evict_choose(struct evict_state *state, const struct evict_bits *bits,
		  const struct evict_order *order, unsigned *steps, struct evict_item *ret_victim)
{
	struct evict_item item;
	bool wrapped = false;

	for (;;) {
		if (!order->next(order->context, state->hand, &item)) {
			if (state->hand == 0 || wrapped)
				return false;
			state->hand = 0;
			wrapped = true;
			continue;
		}
		wrapped = false;
		state->hand = item.sequence + 1;
		if (*steps == 0 || !evict_visited(bits, item.slot))
			break;
		evict_clear(bits, item.slot);
		--*steps;
	}
	*ret_victim = item;
	return true;
}

uint32_t evict_slot_take(struct evict_state *state, const struct evict_bits *bits)
{
	uint32_t slot;

	if (state->free_count > 0 && state->free_count <= EVICT_FREE_MAX)
		slot = state->free[--state->free_count];
	else
		slot = (uint32_t)(state->slot_next++ % bits->slots);
	slot %= bits->slots;
	evict_clear(bits, slot);
	return slot;
}

void evict_slot_give(struct evict_state *state, const struct evict_bits *bits, uint32_t slot)
{
	if (state->free_count < EVICT_FREE_MAX)
		state->free[state->free_count++] = slot % bits->slots;
}

void evict_reset(struct evict_state *state, uint64_t entries)
{
	state->hand = 0;
	state->slot_next = entries;
	state->free_count = 0;
}
