/*
 * Belady's optimum: what is asked for again the latest goes, or does not come in.  It knows the future, so
 * it is no policy but the most that any could have.
 */
#include "bench/ratio/policy.h"

#include <stdlib.h>

#define NEVER UINT32_MAX

struct use {
	uint32_t next, object;
};

struct optimum {
	uint32_t *next;    /* of each request: the next one for the same object, or NEVER */
	uint32_t *current; /* of each object that is there: when it is asked for again */
	bool *is_there;
	struct use *heap; /* the latest first; what is no longer so is skipped */
	size_t heap_used, room, used;
};

static void *optimum_make(const struct trace *trace, size_t room)
{
	struct optimum *cache = allocate(1, sizeof(*cache), 0);
	uint32_t *last = allocate(trace->distinct, sizeof(*last), 0xff);

	*cache = (struct optimum){
		.next = allocate(trace->requests, sizeof(uint32_t), 0),
		.current = allocate(trace->distinct, sizeof(uint32_t), 0),
		.is_there = allocate(trace->distinct, sizeof(bool), 0),
		.heap = allocate(trace->requests + 1, sizeof(struct use), 0),
		.room = room,
	};
	for (size_t i = trace->requests; i-- > 0;) {
		cache->next[i] = last[trace->objects[i]];
		last[trace->objects[i]] = (uint32_t)i;
	}
	free(last);
	return cache;
}

static void optimum_destroy(void *context)
{
	struct optimum *cache = context;

	free(cache->next);
	free(cache->current);
	free(cache->is_there);
	free(cache->heap);
	free(cache);
}

static void push(struct optimum *cache, struct use use)
{
	struct use *heap = cache->heap;
	size_t at = cache->heap_used++;

	while (at > 0 && heap[(at - 1) / 2].next < use.next) {
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = use;
}

static void pop(struct optimum *cache)
{
	struct use *heap = cache->heap, last = heap[--cache->heap_used];
	size_t at = 0, child;

	while ((child = 2 * at + 1) < cache->heap_used) {
		if (child + 1 < cache->heap_used && heap[child].next < heap[child + 1].next)
			child++;
		if (heap[child].next <= last.next)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
}

/* Of those that are there, which is asked for the latest?  There is one. */
static struct use latest(struct optimum *cache)
{
	while (!cache->is_there[cache->heap->object] ||
	       cache->current[cache->heap->object] != cache->heap->next)
		pop(cache);
	return *cache->heap;
}

static bool optimum_ask(void *context, uint32_t object, size_t at)
{
	struct optimum *cache = context;
	uint32_t next = cache->next[at];
	bool hit = cache->is_there[object];

	if (!hit && cache->used == cache->room) {
		struct use victim = latest(cache);

		if (victim.next <= next)
			return false;
		cache->is_there[victim.object] = false;
		cache->used--;
	}
	if (!hit)
		cache->used++;
	cache->is_there[object] = true;
	cache->current[object] = next;
	push(cache, (struct use){next, object});
	return hit;
}

const struct policy belady = {"Belady", "the optimum, which knows what comes", optimum_make,
			      optimum_ask, optimum_destroy};
