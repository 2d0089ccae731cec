/*
 * W-TinyLFU (Einziger, Friedman, Manes, 2017): a small LRU before a segmented one, to which only those
 * are let that are asked for more often than whom they drive out, by a sketch that forgets.
 */
#include "bench/ratio/policy.h"
#include "bench/ratio/ring.h"

enum { WINDOW, PROBATION, PROTECTED, RINGS, ROWS = 4, COUNT_MAX = 15, SAMPLE = 10 };

struct tiny {
	struct rings rings;
	size_t room[RINGS], used[RINGS];
	uint8_t *where;
	uint8_t *counts; /* ROWS of them, each as long as a power of two */
	uint64_t mask;
	size_t seen, sample; /* all counts are halved after so many */
};

static void *tiny_make(const struct trace *trace, size_t room)
{
	struct tiny *cache = allocate(1, sizeof(*cache), 0);
	size_t window = room / 100 > 0 ? room / 100 : 1, main_room = room - window;
	uint64_t width = 16;

	while (width < room)
		width *= 2;
	*cache = (struct tiny){
		.rings = rings_make(trace->distinct, RINGS),
		.room = {[WINDOW] = window,
			 [PROBATION] = main_room,
			 [PROTECTED] = main_room * 4 / 5},
		.where = allocate(trace->distinct, 1, 0),
		.counts = allocate(width * ROWS, 1, 0),
		.mask = width - 1,
		.sample = SAMPLE * room,
	};
	return cache;
}

static void tiny_destroy(void *context)
{
	struct tiny *cache = context;

	rings_free(&cache->rings);
	free(cache->where);
	free(cache->counts);
	free(cache);
}

/* ---- the sketch ----------------------------------------------------------------------------- */

static uint8_t *count_at(struct tiny *cache, uint32_t object, unsigned row)
{
	uint64_t state = (uint64_t)object * ROWS + row;

	return &cache->counts[row * (cache->mask + 1) + (random_next(&state) & cache->mask)];
}

static unsigned count_of(struct tiny *cache, uint32_t object)
{
	unsigned least = COUNT_MAX;

	for (unsigned row = 0; row < ROWS; row++) {
		unsigned count = *count_at(cache, object, row);

		least = count < least ? count : least;
	}
	return least;
}

static void count(struct tiny *cache, uint32_t object)
{
	for (unsigned row = 0; row < ROWS; row++) {
		uint8_t *at = count_at(cache, object, row);

		*at += *at < COUNT_MAX;
	}
	if (++cache->seen < cache->sample)
		return;
	cache->seen /= 2;
	for (size_t i = 0; i < ROWS * (cache->mask + 1); i++)
		cache->counts[i] /= 2;
}

/* ---- the queues ----------------------------------------------------------------------------- */

static void add(struct tiny *cache, unsigned ring, uint32_t object)
{
	ring_add_newest(&cache->rings, ring, object);
	cache->where[object] = (uint8_t)ring;
	cache->used[ring]++;
}

static void drop(struct tiny *cache, uint32_t object)
{
	cache->used[cache->where[object]]--;
	ring_remove(&cache->rings, object);
}

static void protect(struct tiny *cache, uint32_t object)
{
	add(cache, PROTECTED, object);
	if (cache->used[PROTECTED] <= cache->room[PROTECTED])
		return;
	object = ring_oldest(&cache->rings, PROTECTED);
	drop(cache, object);
	add(cache, PROBATION, object);
}

/* Whom does it drive out?  The one that would go next, if that is asked for less. */
static void leave_window(struct tiny *cache, uint32_t candidate)
{
	uint32_t victim;

	drop(cache, candidate);
	if (cache->used[PROBATION] + cache->used[PROTECTED] < cache->room[PROBATION]) {
		add(cache, PROBATION, candidate);
		return;
	}
	if (cache->room[PROBATION] == 0)
		return;
	victim = ring_oldest(&cache->rings, cache->used[PROBATION] > 0 ? PROBATION : PROTECTED);
	if (count_of(cache, candidate) <= count_of(cache, victim))
		return;
	drop(cache, victim);
	add(cache, PROBATION, candidate);
}

static bool tiny_ask(void *context, uint32_t object, size_t at)
{
	struct tiny *cache = context;
	bool hit = ring_has(&cache->rings, object);
	unsigned where = cache->where[object];

	(void)at;
	count(cache, object);
	if (hit)
		drop(cache, object);
	if (hit && where != WINDOW) {
		protect(cache, object);
		return true;
	}
	add(cache, WINDOW, object);
	if (cache->used[WINDOW] > cache->room[WINDOW])
		leave_window(cache, ring_oldest(&cache->rings, WINDOW));
	return hit;
}

const struct policy w_tinylfu = {"W-TinyLFU", "who comes must be asked for more than who goes",
				 tiny_make, tiny_ask, tiny_destroy};
