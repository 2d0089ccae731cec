/* FIFO, LRU and S3-FIFO: objects in queues. */
#include "bench/ratio/policy.h"
#include "bench/ratio/ring.h"

/* ---- FIFO and LRU --------------------------------------------------------------------------- */

struct queue {
	struct rings rings;
	size_t room, used;
};

static void *queue_make(const struct trace *trace, size_t room)
{
	struct queue *cache = allocate(1, sizeof(*cache), 0);

	*cache = (struct queue){.rings = rings_make(trace->distinct, 1), .room = room};
	return cache;
}

static void queue_destroy(void *cache)
{
	rings_free(&((struct queue *)cache)->rings);
	free(cache);
}

static bool fifo_ask(void *context, uint32_t object, size_t at)
{
	struct queue *cache = context;

	(void)at;
	if (ring_has(&cache->rings, object))
		return true;
	if (cache->used == cache->room)
		ring_take_oldest(&cache->rings, 0);
	else
		cache->used++;
	ring_add_newest(&cache->rings, 0, object);
	return false;
}

static bool lru_ask(void *context, uint32_t object, size_t at)
{
	struct queue *cache = context;
	bool hit = fifo_ask(context, object, at);

	if (hit) {
		ring_remove(&cache->rings, object);
		ring_add_newest(&cache->rings, 0, object);
	}
	return hit;
}

const struct policy fifo = {"FIFO", "the oldest goes", queue_make, fifo_ask, queue_destroy};
const struct policy lru = {"LRU", "what was not asked for the longest goes", queue_make, lru_ask,
			   queue_destroy};

/* ---- S3-FIFO (Yang et al., SOSP 2023) ------------------------------------------------------- */

enum { SMALL, MAIN, GHOST, S3_RINGS, S3_COUNT_MAX = 3, S3_TO_MAIN = 2 };

struct s3 {
	struct rings rings;
	size_t room[S3_RINGS], used[S3_RINGS];
	uint8_t *count; /* how often asked for, to S3_COUNT_MAX */
	uint8_t *where; /* the ring of an object that is in one */
};

static void *s3_make(const struct trace *trace, size_t room)
{
	struct s3 *cache = allocate(1, sizeof(*cache), 0);
	size_t small = room / 10 > 0 ? room / 10 : 1;

	*cache = (struct s3){
		.rings = rings_make(trace->distinct, S3_RINGS),
		.room = {[SMALL] = small, [MAIN] = room - small, [GHOST] = room - small},
		.count = allocate(trace->distinct, 1, 0),
		.where = allocate(trace->distinct, 1, 0),
	};
	return cache;
}

static void s3_destroy(void *context)
{
	struct s3 *cache = context;

	rings_free(&cache->rings);
	free(cache->count);
	free(cache->where);
	free(cache);
}

static void s3_add(struct s3 *cache, unsigned ring, uint32_t object)
{
	ring_add_newest(&cache->rings, ring, object);
	cache->where[object] = (uint8_t)ring;
	cache->used[ring]++;
}

static uint32_t s3_take(struct s3 *cache, unsigned ring)
{
	cache->used[ring]--;
	return ring_take_oldest(&cache->rings, ring);
}

static void s3_evict_main(struct s3 *cache)
{
	for (;;) {
		uint32_t object = s3_take(cache, MAIN);

		if (cache->count[object] == 0)
			return;
		cache->count[object]--;
		s3_add(cache, MAIN, object);
	}
}

/* The oldest goes on to the main queue if it was asked for again, else it is remembered only. */
static void s3_evict_small(struct s3 *cache)
{
	while (cache->used[SMALL] > 0) {
		uint32_t object = s3_take(cache, SMALL);

		if (cache->count[object] < S3_TO_MAIN) {
			if (cache->room[GHOST] == 0)
				return;
			if (cache->used[GHOST] == cache->room[GHOST])
				s3_take(cache, GHOST);
			s3_add(cache, GHOST, object);
			return;
		}
		cache->count[object] = 0;
		s3_add(cache, MAIN, object);
		if (cache->used[MAIN] > cache->room[MAIN]) {
			s3_evict_main(cache);
			return;
		}
	}
}

static bool s3_ask(void *context, uint32_t object, size_t at)
{
	struct s3 *cache = context;
	bool known = ring_has(&cache->rings, object);

	(void)at;
	if (known && cache->where[object] != GHOST) {
		if (cache->count[object] < S3_COUNT_MAX)
			cache->count[object]++;
		return true;
	}
	while (cache->used[SMALL] + cache->used[MAIN] >= cache->room[SMALL] + cache->room[MAIN]) {
		if (cache->used[SMALL] >= cache->room[SMALL] || cache->used[MAIN] == 0)
			s3_evict_small(cache);
		else
			s3_evict_main(cache);
	}
	/* Making room may have forgotten it. */
	known = known && ring_has(&cache->rings, object);
	if (known) {
		ring_remove(&cache->rings, object);
		cache->used[GHOST]--;
	}
	cache->count[object] = 0;
	s3_add(cache, known ? MAIN : SMALL, object);
	return false;
}

const struct policy s3_fifo = {"S3-FIFO", "a small queue, a main one, and one of names", s3_make,
			       s3_ask, s3_destroy};
