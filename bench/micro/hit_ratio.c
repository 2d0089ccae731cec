/* LINKS: cache/store */
/*
 * Which share of requests SIEVE answers, as evict.c has it, beside FIFO and LRU of as many
 * entries: a Markdown table.
 *
 *   hit_ratio [REQUESTS]     (5000000)
 *
 * The trace is the same in every run.  Four of five requests are for one of 500,000 objects, whose
 * popularity is Zipf's; one of five is of a scan, a run of objects that nobody asks for again.
 * Those can never be hits, so 80 % is the most there is.  The first fifth of the trace fills the
 * caches and is not counted.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/store/evict.h"

enum {
	OBJECTS = 500000,
	SCAN_RUN = 1000,   /* objects one after the other, then four times as many requests */
	HAND_STEPS = 4096, /* of SIEVE, for each... */
	BATCH = 100,       /* ...so many entries that come, as in one transaction of the store */
	NONE = UINT32_MAX,
};

struct trace {
	uint32_t *objects;
	size_t requests;
	size_t distinct; /* objects of the scans are numbered from OBJECTS on */
};

/* A cache of at most `room` entries; what an object needs to be known for is at its index. */
struct cache {
	bool (*ask)(struct cache *cache, uint32_t object); /* is it a hit? stored if not */
	size_t room, used;

	uint32_t *newer, *older; /* FIFO, LRU: a ring in order; NONE for what is not stored */
	uint32_t anchor;         /* LRU and FIFO: a member of the ring that is no object */

	/* SIEVE: an object's sequence, 0 when not stored; then by sequence, with `next` the way to
	 * one that is still there. */
	uint32_t *sequence, *object, *slot, *next;
	uint32_t newest;
	unsigned steps;
	struct evict_state state;
	struct evict_bits bits;
};

static void *allocate(size_t count, size_t size, int fill)
{
	void *memory = malloc(count * size);
	if (memory == NULL) {
		perror("hit_ratio");
		exit(1);
	}
	return memset(memory, fill, count * size);
}

/* ---- The trace ------------------------------------------------------------------------------ */

static uint64_t random_state;

static uint64_t random_next(void)
{
	uint64_t n = random_state += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

/* The object whose part of the sum holds a random number. */
static uint32_t zipf_next(const double *sums)
{
	double at = (double)(random_next() >> 11) * 0x1p-53 * sums[OBJECTS - 1];
	uint32_t low = 0, high = OBJECTS - 1;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (sums[middle] > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct trace trace_make(size_t requests, double exponent)
{
	struct trace trace = {allocate(requests, sizeof(uint32_t), 0), requests, OBJECTS};
	double *sums = allocate(OBJECTS, sizeof(double), 0), sum = 0;
	for (size_t i = 0; i < OBJECTS; i++)
		sums[i] = sum += pow((double)(i + 1), -exponent);
	random_state = 204;
	for (size_t i = 0; i < requests; i++) {
		bool scan = i / SCAN_RUN % 5 == 4;
		trace.objects[i] = scan ? (uint32_t)trace.distinct++ : zipf_next(sums);
	}
	free(sums);
	return trace;
}

/* ---- FIFO and LRU --------------------------------------------------------------------------- */

static void ring_remove(struct cache *cache, uint32_t object)
{
	cache->newer[cache->older[object]] = cache->newer[object];
	cache->older[cache->newer[object]] = cache->older[object];
	cache->newer[object] = NONE;
}

static void ring_add_newest(struct cache *cache, uint32_t object)
{
	uint32_t newest = cache->older[cache->anchor];
	cache->newer[object] = cache->anchor;
	cache->older[object] = newest;
	cache->newer[newest] = cache->older[cache->anchor] = object;
}

static bool fifo_ask(struct cache *cache, uint32_t object)
{
	if (cache->newer[object] != NONE)
		return true;
	if (cache->used == cache->room)
		ring_remove(cache, cache->newer[cache->anchor]);
	else
		cache->used++;
	ring_add_newest(cache, object);
	return false;
}

static bool lru_ask(struct cache *cache, uint32_t object)
{
	bool hit = fifo_ask(cache, object);
	if (hit) {
		ring_remove(cache, object);
		ring_add_newest(cache, object);
	}
	return hit;
}

/* ---- SIEVE ---------------------------------------------------------------------------------- */

/* The way is shortened behind whoever walks it. */
static bool sieve_next(void *context, uint64_t from, struct evict_item *ret_item)
{
	struct cache *cache = context;
	uint32_t *next = cache->next, i = from > 0 ? (uint32_t)from : 1;
	while (i <= cache->newest && next[i] != i)
		i = next[i] = next[next[i]];
	if (i > cache->newest)
		return false;
	*ret_item = (struct evict_item){i, cache->slot[i]};
	return true;
}

static void sieve_evict(struct cache *cache)
{
	struct evict_order order = {sieve_next, cache};
	struct evict_item victim;
	if (!evict_choose(&cache->state, &cache->bits, &order, &cache->steps, &victim))
		abort();
	cache->sequence[cache->object[victim.sequence]] = 0;
	cache->next[victim.sequence] = (uint32_t)victim.sequence + 1;
	evict_slot_give(&cache->state, &cache->bits, victim.slot);
}

static bool sieve_ask(struct cache *cache, uint32_t object)
{
	uint32_t sequence = cache->sequence[object];
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

/* ---- The table ------------------------------------------------------------------------------ */

static struct cache *cache_make(bool (*ask)(struct cache *, uint32_t), size_t room,
				const struct trace *trace)
{
	struct cache *cache = allocate(1, sizeof(*cache), 0);
	size_t sequences = trace->requests + 2;
	*cache = (struct cache){.ask = ask, .room = room};
	cache->anchor = (uint32_t)trace->distinct;
	cache->newer = allocate(trace->distinct + 1, sizeof(uint32_t), 0xff);
	cache->older = allocate(trace->distinct + 1, sizeof(uint32_t), 0xff);
	cache->newer[cache->anchor] = cache->older[cache->anchor] = cache->anchor;
	cache->sequence = allocate(trace->distinct, sizeof(uint32_t), 0);
	cache->object = allocate(sequences, sizeof(uint32_t), 0);
	cache->slot = allocate(sequences, sizeof(uint32_t), 0);
	cache->next = allocate(sequences, sizeof(uint32_t), 0);
	cache->next[1] = 1;
	cache->bits.slots = (uint32_t)room;
	cache->bits.words = allocate(evict_words(cache->bits.slots), sizeof(uint64_t), 0);
	return cache;
}

static void cache_free(struct cache *cache)
{
	free(cache->newer);
	free(cache->older);
	free(cache->sequence);
	free(cache->object);
	free(cache->slot);
	free(cache->next);
	free(cache->bits.words);
	free(cache);
}

/* Per cent of the requests that are hits, after the first fifth. */
static double hit_ratio(struct cache *cache, const struct trace *trace)
{
	size_t hits = 0, first = trace->requests / 5;
	for (size_t i = 0; i < trace->requests; i++)
		hits += cache->ask(cache, trace->objects[i]) && i >= first;
	return 100.0 * (double)hits / (double)(trace->requests - first);
}

static void print_row(const struct trace *trace, double exponent, size_t percent)
{
	static const struct {
		const char *name;
		bool (*ask)(struct cache *cache, uint32_t object);
	} policies[] = {{"FIFO", fifo_ask}, {"LRU", lru_ask}, {"SIEVE", sieve_ask}};
	printf("| %.1f | %zu %% |", exponent, percent);
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		struct cache *cache = cache_make(policies[i].ask, OBJECTS * percent / 100, trace);
		printf(" %.1f |", hit_ratio(cache, trace));
		cache_free(cache);
	}
	printf("\n");
}

int main(int argc, char **argv)
{
	static const double exponents[] = {0.8, 1.0};
	size_t requests = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000000;
	if (requests < 5 || requests > UINT32_MAX / 2) {
		fprintf(stderr, "usage: hit_ratio [REQUESTS]\n");
		return 2;
	}
	printf("%zu requests, a fifth of them scans; hits in %% of requests (80 at most).\n\n",
	       requests);
	printf("| Zipf | size, of %d objects | FIFO | LRU | SIEVE |\n", OBJECTS);
	printf("|---:|---:|---:|---:|---:|\n");
	for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
		struct trace trace = trace_make(requests, exponents[i]);
		print_row(&trace, exponents[i], 1);
		print_row(&trace, exponents[i], 10);
		free(trace.objects);
	}
	return 0;
}
