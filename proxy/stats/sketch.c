/* The sketch of hosts and URLs: counting, and who has a place. */
#include "proxy/stats/sketch.h"

#include <string.h>

#include "proxy/stats/chance.h"
#include "proxy/stats/shared_row.h"
#include "proxy/stats/sketch_block.h"

enum { CHAINS = 512 };

/*
 * What this process keeps of a place besides.  Hits of a URL are gathered here and brought into the
 * block by sketch_tick(): most of a hit's cost would be there.
 */
struct node {
	struct cache_key key;
	uint64_t bytes; /* of the hits that wait */
	uint32_t hits, stale;
	uint32_t host_changes; /* of its host's place when it was last counted for it */
	uint16_t host;
	uint16_t next; /* in its chain, one more than that; 0 for the end */
};

/* A table as this process sees it. */
struct index {
	struct sketch_place *place;
	struct node *node;
	_Atomic uint32_t *used;
	struct sketch_floor *floor;
	unsigned places;
	uint16_t hand;          /* where the next lowest rank is looked for first */
	uint16_t chain[CHAINS]; /* one more than the first place; 0 for none */
};

/* Before sketch_attach() nothing is counted. */
static struct {
	struct sketch *block; /* NULL then */
	struct index of[2];
	struct node host_node[SKETCH_HOSTS], url_node[SKETCH_URLS];
	uint32_t host_changes[SKETCH_HOSTS]; /* how often each place was given away */
	uint64_t random;
	uint64_t skip;        /* hits without a place until one asks for it */
	uint64_t passed_over; /* since the last that did, */
	uint64_t bytes;       /* and what they were sent */
} own;

/* ---- places --------------------------------------------------------------------------------- */

static inline uint16_t *chain_of(struct index *index, const struct cache_key *key)
{
	return &index->chain[key->word[0] % CHAINS];
}

/* NULL for none. */
static inline struct node *find(struct index *index, const struct cache_key *key)
{
	uint16_t i = *chain_of(index, key);

	while (i != 0 && !cache_key_eq(&index->node[i - 1].key, key))
		i = index->node[i - 1].next;
	return i == 0 ? NULL : &index->node[i - 1];
}

static struct sketch_place *place_of(const struct index *index, const struct node *node)
{
	return &index->place[node - index->node];
}

static void link_node(struct index *index, struct node *node)
{
	uint16_t *chain = chain_of(index, &node->key);

	node->next = *chain;
	*chain = (uint16_t)(node - index->node + 1);
}

static void unlink_node(struct index *index, struct node *node)
{
	uint16_t *link = chain_of(index, &node->key);

	while (*link != 0 && &index->node[*link - 1] != node)
		link = &index->node[*link - 1].next;
	if (*link != 0)
		*link = node->next;
}

static void change_begin(struct sketch_place *place)
{
	STATS_WRITE(place->version, STATS_READ(place->version) + 1);
	atomic_thread_fence(memory_order_release); /* odd before anything of it changes */
}

static void change_end(struct sketch_place *place)
{
	/* Even after all of it has. */
	atomic_store_explicit(&place->version, STATS_READ(place->version) + 1,
			      memory_order_release);
}

/* All but its version; between change_begin() and change_end(). */
static void clear(struct sketch_place *place)
{
	memset((char *)place + offsetof(struct sketch_place, now), 0,
	       sizeof(*place) - offsetof(struct sketch_place, now));
}

/* ---- time ----------------------------------------------------------------------------------- */

static void add_to_slice(struct sketch_slice *slice, uint32_t number,
			 _Atomic uint64_t now[SKETCH_FIELDS])
{
	bool is_new = STATS_READ(slice->number) != number;

	for (unsigned f = 0; f < SKETCH_COUNTS; f++)
		STATS_WRITE(slice->count[f], (is_new ? 0 : STATS_READ(slice->count[f])) +
						     (uint32_t)STATS_READ(now[f]));
	STATS_WRITE(slice->bytes,
		    (is_new ? 0 : STATS_READ(slice->bytes)) + STATS_READ(now[SKETCH_BYTES]));
	STATS_WRITE(slice->number, number);
}

/* What was counted in its slice is put where it belongs. */
static void roll(struct sketch_place *place, uint32_t slice)
{
	uint32_t hour = STATS_READ(place->slice) / SLICES_PER_HOUR_SLICE;

	change_begin(place);
	add_to_slice(&place->minute[STATS_READ(place->slice) % MINUTE_SLICES],
		     STATS_READ(place->slice), place->now);
	add_to_slice(&place->hour[hour % HOUR_SLICES], hour, place->now);
	for (unsigned f = 0; f < SKETCH_FIELDS; f++) {
		STATS_BUMP(place->total[f], STATS_READ(place->now[f]));
		STATS_WRITE(place->now[f], 0);
	}
	STATS_WRITE(place->slice, slice);
	change_end(place);
}

static inline void roll_if_due(struct sketch_place *place, uint32_t slice)
{
	if (STATS_READ(place->slice) != slice)
		roll(place, slice);
}

/* ---- counting ------------------------------------------------------------------------------- */

/* Answered without the origin, so many times. */
static void add_hits(struct sketch_place *place, uint64_t times, uint64_t stale, uint64_t bytes)
{
	roll_if_due(place, STATS_READ(own.block->slice));
	STATS_BUMP(place->now[SKETCH_REQUESTS], times);
	STATS_BUMP(place->now[SKETCH_HERE], times);
	STATS_BUMP(place->now[SKETCH_STALE], stale);
	STATS_BUMP(place->now[SKETCH_BYTES], bytes);
}

/* The hits that wait are counted; for their host if that has its place still. */
static void bring(struct node *url)
{
	uint64_t hits = url->hits, stale = url->stale, bytes = url->bytes;

	if (hits == 0)
		return;
	url->hits = url->stale = 0;
	url->bytes = 0;
	add_hits(&own.block->all, hits, stale, bytes);
	add_hits(place_of(&own.of[SKETCH_OF_URLS], url), hits, stale, bytes);
	if (url->host_changes == own.host_changes[url->host])
		add_hits(&own.block->host[url->host], hits, stale, bytes);
}

static void bring_all(void)
{
	uint32_t used = STATS_READ(own.block->used[SKETCH_OF_URLS]);

	for (uint32_t i = 0; i < used; i++)
		bring(&own.url_node[i]);
}

/* ---- who has a place ------------------------------------------------------------------------ */

/* What it took over, and what it has counted since: so a hit need not raise it. */
static uint64_t rank_of(const struct index *index, unsigned i)
{
	const struct sketch_place *place = &index->place[i];

	return STATS_READ(place->base) + STATS_READ(place->total[SKETCH_REQUESTS]) +
	       STATS_READ(place->now[SKETCH_REQUESTS]) + index->node[i].hits;
}

/*
 * The place with the lowest rank.  No rank is below the floor, which is the last that went, and in
 * a flood of names most are at it: so the next one there is taken, and only then all are looked at.
 */
static uint16_t lowest(struct index *index)
{
	uint64_t floor = STATS_READ(index->floor->now), least_rank = UINT64_MAX;
	uint16_t least = index->hand;

	for (unsigned looked = 0; looked < index->places && least_rank > floor; looked++) {
		uint64_t rank = rank_of(index, index->hand);

		if (rank < least_rank) {
			least_rank = rank;
			least = index->hand;
		}
		index->hand = (uint16_t)((index->hand + 1U) % index->places);
	}
	return least;
}

/* One that is free, or freed. */
static uint16_t take_place(struct index *index)
{
	uint32_t used = STATS_READ(*index->used);
	uint16_t least;

	if (used < index->places) {
		STATS_WRITE(*index->used, used + 1);
		return (uint16_t)used;
	}
	/* Hits that wait are part of a host's rank. */
	if (index == &own.of[SKETCH_OF_HOSTS])
		bring_all();
	least = lowest(index);
	STATS_WRITE(index->floor->now, rank_of(index, least));
	if (index == &own.of[SKETCH_OF_URLS])
		bring(&own.url_node[least]);
	unlink_node(index, &index->node[least]);
	return least;
}

/* A place for a name that has none. */
static struct node *enter(struct index *index, const struct cache_key *key, struct slice name)
{
	uint16_t i = take_place(index);
	struct sketch_place *place = &index->place[i];

	change_begin(place);
	clear(place);
	if (index == &own.of[SKETCH_OF_HOSTS]) {
		memset(&own.block->times[i], 0, sizeof(own.block->times[i]));
		own.host_changes[i]++;
	}
	place->key = *key;
	place->length = (uint16_t)(name.n < SKETCH_NAME_MAX ? name.n : SKETCH_NAME_MAX);
	memcpy(place->name, name.p, place->length);
	STATS_WRITE(place->slice, STATS_READ(own.block->slice));
	STATS_WRITE(place->base, STATS_READ(index->floor->now));
	change_end(place);
	index->node[i] = (struct node){.key = *key};
	link_node(index, &index->node[i]);
	return &index->node[i];
}

static struct node *find_or_enter(struct index *index, const struct cache_key *key,
				  struct slice name)
{
	struct node *node = find(index, key);

	return node != NULL ? node : enter(index, key, name);
}

/* ---- events --------------------------------------------------------------------------------- */

/* Is a hit of a URL without a place passed over? */
static bool pass_over(uint64_t bytes, bool stale)
{
	const struct index *urls = &own.of[SKETCH_OF_URLS];

	if (STATS_READ(*urls->used) < urls->places)
		return false;
	if (own.skip == 0) {
		/* With one number, a cycle of URLs may hide from it. */
		own.skip = chance_skip(&own.random, SKETCH_SAMPLE);
		return false;
	}
	own.skip--;
	own.passed_over++;
	own.bytes += bytes;
	STATS_BUMP(own.block->passed_over.now, 1);
	add_hits(&own.block->all, 1, stale, bytes);
	return true;
}

bool sketch_hit(const struct cache_key *key, uint64_t bytes, bool stale)
{
	struct node *url = find(&own.of[SKETCH_OF_URLS], key);

	if (url == NULL)
		return own.block == NULL || pass_over(bytes, stale);
	if (url->host_changes != own.host_changes[url->host])
		return false;
	url->hits++;
	url->stale += stale;
	url->bytes += bytes;
	return true;
}

static void add_event(struct sketch_place *place, const struct sketch_event *event)
{
	roll_if_due(place, STATS_READ(own.block->slice));
	STATS_BUMP(place->now[SKETCH_REQUESTS], event->is_request);
	STATS_BUMP(place->now[SKETCH_HERE], event->here);
	STATS_BUMP(place->now[SKETCH_STALE], event->stale);
	STATS_BUMP(place->now[SKETCH_ASKED], event->asked);
	STATS_BUMP(place->now[SKETCH_FAILURES], event->failed);
	STATS_BUMP(place->now[SKETCH_BYTES], event->bytes);
}

static void add_time_to(struct sketch_times_slice *slice, uint32_t number, unsigned bucket)
{
	if (STATS_READ(slice->number) != number)
		for (unsigned i = 0; i < TIME_BUCKETS; i++)
			STATS_WRITE(slice->bucket[i], 0);
	STATS_WRITE(slice->number, number);
	STATS_WRITE(slice->bucket[bucket], STATS_READ(slice->bucket[bucket]) + 1);
}

static void add_time(struct sketch_times *times, uint32_t us)
{
	uint32_t slice = STATS_READ(own.block->slice), minute = slice / SLICES_PER_TIME_MINUTE,
		 hour = slice / SLICES_PER_TIME_HOUR;
	unsigned bucket = sketch_time_bucket(us);

	add_time_to(&times->minute[minute % TIME_MINUTE_SLICES], minute, bucket);
	add_time_to(&times->hour[hour % TIME_HOUR_SLICES], hour, bucket);
	STATS_WRITE(times->total[bucket], STATS_READ(times->total[bucket]) + 1);
}

/* Those that were passed over were as this one: its host has them, and its rank says so. */
static void stand_for_others(struct sketch_place *host, struct sketch_place *url)
{
	add_hits(host, own.passed_over, 0, own.bytes);
	STATS_BUMP(url->base, own.passed_over);
	own.passed_over = own.bytes = 0;
}

static void count_url(const struct sketch_event *event, const struct cache_key *key,
		      struct slice name, uint16_t host)
{
	struct index *urls = &own.of[SKETCH_OF_URLS];
	struct node *url = find(urls, key);
	bool is_new = url == NULL;

	if (is_new)
		url = enter(urls, key, name);
	if (is_new && event->here)
		stand_for_others(&own.block->host[host], place_of(urls, url));
	bring(url); /* for the host that it had */
	url->host = host;
	url->host_changes = own.host_changes[host];
	add_event(place_of(urls, url), event);
}

void sketch_count(const struct sketch_event *event, const struct cache_key *key,
		  struct slice host_name, struct slice url_name)
{
	struct cache_key host_key;
	uint16_t host;

	if (own.block == NULL)
		return;
	add_event(&own.block->all, event);
	if (host_name.n == 0)
		return;
	host_key = cache_key_of_uri(host_name);
	host = (uint16_t)(find_or_enter(&own.of[SKETCH_OF_HOSTS], &host_key, host_name) -
			  own.host_node);
	add_event(&own.block->host[host], event);
	if (event->first_byte_us > 0)
		add_time(&own.block->times[host], event->first_byte_us);
	if (key != NULL && url_name.n > 0)
		count_url(event, key, url_name, host);
}

/* ---- time passes ---------------------------------------------------------------------------- */

/* Slices of a ring begin, from the one after `before` to `last`, all with what there is now. */
static void begin_slices(_Atomic uint64_t *ring, uint32_t count, uint32_t before, uint32_t last,
			 uint64_t now)
{
	if (last - before > count)
		before = last - count;
	for (uint32_t number = before + 1; number <= last; number++)
		STATS_WRITE(ring[number % count], now);
}

static void note_floor(struct sketch_floor *floor, uint32_t before, uint32_t slice)
{
	uint64_t now = STATS_READ(floor->now);

	begin_slices(floor->minute, MINUTE_SLICES, before, slice, now);
	begin_slices(floor->hour, HOUR_SLICES, before / SLICES_PER_HOUR_SLICE,
		     slice / SLICES_PER_HOUR_SLICE, now);
}

void sketch_tick(int64_t now_ms)
{
	uint32_t slice = (uint32_t)(now_ms / SKETCH_SLICE_MS), before;

	if (own.block == NULL)
		return;
	bring_all();
	before = STATS_READ(own.block->slice);
	if (slice <= before)
		return;
	for (unsigned t = 0; t < 2; t++)
		note_floor(&own.block->floor[t], before, slice);
	note_floor(&own.block->passed_over, before, slice);
	STATS_WRITE(own.block->slice, slice);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct sketch *sketch_map(unsigned workers)
{
	return shared_map(workers * sizeof(struct sketch));
}

/* The one before may have been killed while it gave the place to another name. */
static void mend(struct sketch_place *place)
{
	if (STATS_READ(place->version) % 2 == 0)
		return;
	clear(place);
	change_end(place);
}

static void index_begin(enum sketch_table table, struct sketch_place *places, struct node *nodes,
			unsigned count)
{
	struct index *index = &own.of[table];

	*index = (struct index){
		.place = places,
		.node = nodes,
		.used = &own.block->used[table],
		.floor = &own.block->floor[table],
		.places = count,
	};
	for (uint32_t i = 0; i < STATS_READ(*index->used); i++) {
		mend(&places[i]);
		/* A URL's host is learnt anew. */
		nodes[i] = (struct node){.key = places[i].key, .host_changes = UINT32_MAX};
		link_node(index, &nodes[i]);
	}
}

void sketch_attach(struct sketch *blocks, unsigned index)
{
	struct sketch *block = &blocks[index];

	memset(&own, 0, sizeof(own));
	own.block = block;
	own.random = UINT64_C(0x9e3779b97f4a7c15) * (index + 1);
	mend(&block->all);
	index_begin(SKETCH_OF_HOSTS, block->host, own.host_node, SKETCH_HOSTS);
	index_begin(SKETCH_OF_URLS, block->url, own.url_node, SKETCH_URLS);
}
