/* Reading the sketch: blocks of all workers, merged by name, for a window of time. */
#include <stdlib.h>
#include <string.h>

#include "proxy/stats/sketch.h"
#include "proxy/stats/sketch_block.h"

enum { TRIES = 4 };

/* Which slices are of the window, and how they are found. */
struct window {
	enum { MINUTE, HOUR, ALL } of;
	uint32_t slice; /* the first, of 5 s; */
	uint32_t hour;  /* of 5 min; */
	uint32_t time;  /* of times */
};

/* What one name has, in one block or in all. */
struct item {
	struct cache_key key;
	const struct sketch_place *place; /* of the name */
	uint64_t field[SKETCH_FIELDS];
	uint32_t time[TIME_BUCKETS];
	uint32_t p99_us;
};

static uint32_t back(uint32_t number, uint32_t by)
{
	return number > by ? number - by : 0;
}

static struct window window_of(unsigned window_s, int64_t now_ms)
{
	uint32_t slice = (uint32_t)(now_ms / SKETCH_SLICE_MS);
	struct window window = {.of = ALL};

	if (window_s == 0)
		return window;
	window.of = window_s <= 60 ? MINUTE : HOUR;
	window.hour = back(slice / SLICES_PER_HOUR_SLICE, HOUR_SLICES - 1);
	window.slice = window.of == MINUTE ? back(slice, MINUTE_SLICES - 1)
					   : window.hour * SLICES_PER_HOUR_SLICE;
	window.time = window.of == MINUTE
			      ? back(slice / SLICES_PER_TIME_MINUTE, TIME_MINUTE_SLICES - 1)
			      : back(slice / SLICES_PER_TIME_HOUR, TIME_HOUR_SLICES - 1);
	return window;
}

/* ---- one place ------------------------------------------------------------------------------ */

static void add_slices(uint64_t field[SKETCH_FIELDS], const struct sketch_slice *slices,
		       unsigned count, uint32_t from)
{
	for (const struct sketch_slice *slice = slices; slice < slices + count; slice++) {
		if (STATS_READ(slice->number) < from)
			continue;
		for (unsigned f = 0; f < SKETCH_COUNTS; f++)
			field[f] += STATS_READ(slice->count[f]);
		field[SKETCH_BYTES] += STATS_READ(slice->bytes);
	}
}

static void add_place(uint64_t field[SKETCH_FIELDS], const struct sketch_place *place,
		      const struct window *window)
{
	bool is_now = STATS_READ(place->slice) >= window->slice;

	if (window->of == MINUTE)
		add_slices(field, place->minute, MINUTE_SLICES, window->slice);
	else if (window->of == HOUR)
		add_slices(field, place->hour, HOUR_SLICES, window->hour);
	for (unsigned f = 0; f < SKETCH_FIELDS; f++) {
		field[f] += window->of == ALL ? STATS_READ(place->total[f]) : 0;
		field[f] += is_now ? STATS_READ(place->now[f]) : 0;
	}
}

/* False when it is being given to another. */
static bool read_place(const struct sketch_place *place, const struct window *window,
		       struct item *ret_item)
{
	for (unsigned try = 0; try < TRIES; try++) {
		uint64_t before = atomic_load_explicit(&place->version, memory_order_acquire);

		memset(ret_item->field, 0, sizeof(ret_item->field));
		ret_item->key = place->key;
		ret_item->place = place;
		add_place(ret_item->field, place, window);
		/* All was read before the version is again. */
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 == 0 &&
		    atomic_load_explicit(&place->version, memory_order_relaxed) == before)
			return true;
	}
	return false;
}

static void add_times(uint32_t to[TIME_BUCKETS], const struct sketch_times_slice *slices,
		      unsigned count, uint32_t from)
{
	for (const struct sketch_times_slice *slice = slices; slice < slices + count; slice++)
		for (unsigned i = 0; i < TIME_BUCKETS && STATS_READ(slice->number) >= from; i++)
			to[i] += STATS_READ(slice->bucket[i]);
}

static void read_times(const struct sketch_times *times, const struct window *window,
		       uint32_t ret_times[TIME_BUCKETS])
{
	memset(ret_times, 0, TIME_BUCKETS * sizeof(ret_times[0]));
	if (window->of == MINUTE)
		add_times(ret_times, times->minute, TIME_MINUTE_SLICES, window->time);
	else if (window->of == HOUR)
		add_times(ret_times, times->hour, TIME_HOUR_SLICES, window->time);
	else
		for (unsigned i = 0; i < TIME_BUCKETS; i++)
			ret_times[i] = STATS_READ(times->total[i]);
}

static uint32_t time_quantile(const uint32_t times[TIME_BUCKETS], double share)
{
	uint64_t total = 0, seen = 0;
	unsigned i = 0;

	for (unsigned j = 0; j < TIME_BUCKETS; j++)
		total += times[j];
	if (total == 0)
		return 0;
	for (seen = times[0]; (double)seen < share * (double)total && i + 1 < TIME_BUCKETS;)
		seen += times[++i];
	return sketch_time_middle(i);
}

/* ---- all places ----------------------------------------------------------------------------- */

static bool has_any(const struct item *item)
{
	return item->field[SKETCH_REQUESTS] + item->field[SKETCH_ASKED] +
		       item->field[SKETCH_FAILURES] >
	       0;
}

static size_t collect(const struct sketch *block, enum sketch_table table,
		      const struct window *window, struct item *items)
{
	const struct sketch_place *places = table == SKETCH_OF_HOSTS ? block->host : block->url;
	unsigned most = table == SKETCH_OF_HOSTS ? SKETCH_HOSTS : SKETCH_URLS;
	size_t used = STATS_READ(block->used[table]), count = 0;

	for (size_t i = 0; i < used && i < most; i++) {
		struct item *item = &items[count];

		if (!read_place(&places[i], window, item) || !has_any(item))
			continue;
		if (table == SKETCH_OF_HOSTS)
			read_times(&block->times[i], window, item->time);
		else
			memset(item->time, 0, sizeof(item->time));
		count++;
	}
	return count;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(&((const struct item *)a)->key, &((const struct item *)b)->key,
		      sizeof(struct cache_key));
}

/* Items of one name, from several blocks, become one. */
static size_t merge(struct item *items, size_t count)
{
	size_t kept = 0;

	qsort(items, count, sizeof(items[0]), by_key);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || !cache_key_eq(&items[kept - 1].key, &items[i].key)) {
			items[kept++] = items[i];
			continue;
		}
		for (unsigned f = 0; f < SKETCH_FIELDS; f++)
			items[kept - 1].field[f] += items[i].field[f];
		for (unsigned t = 0; t < TIME_BUCKETS; t++)
			items[kept - 1].time[t] += items[i].time[t];
	}
	return kept;
}

static uint64_t order_of(const struct item *item, enum sketch_sort sort)
{
	switch (sort) {
	case SKETCH_BY_ASKED:
		return item->field[SKETCH_ASKED];
	case SKETCH_BY_BYTES:
		return item->field[SKETCH_BYTES];
	case SKETCH_BY_FAILURES:
		return item->field[SKETCH_FAILURES];
	case SKETCH_BY_FIRST_BYTE:
		return item->p99_us;
	case SKETCH_BY_REQUESTS:
		break;
	}
	return item->field[SKETCH_REQUESTS];
}

/* Of equals the more requested comes first, and then always the same. */
static bool comes_before(const struct item *a, const struct item *b, enum sketch_sort sort)
{
	if (order_of(a, sort) != order_of(b, sort))
		return order_of(a, sort) > order_of(b, sort);
	if (a->field[SKETCH_REQUESTS] != b->field[SKETCH_REQUESTS])
		return a->field[SKETCH_REQUESTS] > b->field[SKETCH_REQUESTS];
	return by_key(a, b) < 0;
}

/* The name is still that of the key. */
static bool read_name(const struct item *item, char name[SKETCH_NAME_MAX + 1])
{
	const struct sketch_place *place = item->place;
	uint64_t before = atomic_load_explicit(&place->version, memory_order_acquire);
	size_t length = place->length < SKETCH_NAME_MAX ? place->length : SKETCH_NAME_MAX;
	struct cache_key key = place->key;

	memcpy(name, place->name, length);
	name[length] = '\0';
	/* All was read before the version is again. */
	atomic_thread_fence(memory_order_acquire);
	return before % 2 == 0 && cache_key_eq(&key, &item->key) &&
	       atomic_load_explicit(&place->version, memory_order_relaxed) == before;
}

static void add_row(struct sketch_view *view, const struct item *item)
{
	struct sketch_row *row = &view->row[view->count];

	if (!read_name(item, row->name))
		return;
	memcpy(row->field, item->field, sizeof(row->field));
	row->first_byte_p50_us = time_quantile(item->time, 0.5);
	row->first_byte_p99_us = item->p99_us;
	view->count++;
}

/* The first ones are picked one by one: there are few of them. */
static void pick(struct item *items, size_t count, const struct sketch_query *query,
		 struct sketch_view *view)
{
	unsigned rows = query->rows < SKETCH_ROWS_MAX ? query->rows : SKETCH_ROWS_MAX;

	for (size_t i = 0; i < count; i++)
		items[i].p99_us = time_quantile(items[i].time, 0.99);
	for (size_t taken = 0; taken < count && view->count < rows; taken++) {
		size_t best = taken;
		struct item first;

		for (size_t i = taken + 1; i < count; i++)
			if (comes_before(&items[i], &items[best], query->sort))
				best = i;
		first = items[best];
		items[best] = items[taken]; /* whose own place is not looked at again */
		add_row(view, &first);
	}
	view->other_names = (unsigned)(count - view->count);
}

/* ---- what may be missing -------------------------------------------------------------------- */

/* By how much the floor rose since the window began. */
static uint64_t rise(const struct sketch *block, const struct sketch_floor *floor,
		     const struct window *window)
{
	uint64_t now = STATS_READ(floor->now), then = 0;

	if (window->of == MINUTE)
		then = STATS_READ(block->slice) < window->slice
			       ? now
			       : STATS_READ(floor->minute[window->slice % MINUTE_SLICES]);
	else if (window->of == HOUR)
		then = STATS_READ(block->slice) < window->slice
			       ? now
			       : STATS_READ(floor->hour[window->hour % HOUR_SLICES]);
	return now > then ? now - then : 0;
}

static uint64_t root(uint64_t of)
{
	uint64_t low = 0, high = UINT32_MAX;

	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (middle * middle <= of)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/*
 * A name that has a place at no time was requested, while it might have had one, by no more than
 * the lowest rank rose.  Where hits are passed over, it is about as many as its places stand for:
 * three standard deviations more are allowed for.
 */
static uint64_t error_of(const struct sketch *block, enum sketch_table table,
			 const struct window *window)
{
	uint64_t floor = rise(block, &block->floor[table], window);
	uint64_t passed_over = rise(block, &block->passed_over, window);

	if (passed_over == 0)
		return floor;
	if (table == SKETCH_OF_HOSTS)
		return floor + 3 * root(SKETCH_SAMPLE * passed_over) + 2 * SKETCH_SAMPLE;
	return floor + 2 * SKETCH_SAMPLE + 12 * root(floor + SKETCH_SAMPLE);
}

static void add_others(struct sketch_view *view)
{
	memcpy(view->other, view->total, sizeof(view->other));
	for (unsigned i = 0; i < view->count; i++)
		for (unsigned f = 0; f < SKETCH_FIELDS; f++) {
			uint64_t of_row = view->row[i].field[f];

			/* Counted while it was read. */
			view->other[f] -= of_row < view->other[f] ? of_row : view->other[f];
		}
}

bool sketch_read(const struct sketch *blocks, unsigned count, enum sketch_table table,
		 const struct sketch_query *query, struct sketch_view *ret_view)
{
	struct window window = window_of(query->window_s, query->now_ms);
	size_t places = table == SKETCH_OF_HOSTS ? SKETCH_HOSTS : SKETCH_URLS, found = 0;
	struct item *items = malloc((count * places + 1) * sizeof(*items));
	struct item all;

	memset(ret_view, 0, sizeof(*ret_view));
	if (items == NULL)
		return false;
	for (const struct sketch *block = blocks; block < blocks + count; block++) {
		found += collect(block, table, &window, items + found);
		ret_view->error += error_of(block, table, &window);
		read_place(&block->all, &window, &all);
		for (unsigned f = 0; f < SKETCH_FIELDS; f++)
			ret_view->total[f] += all.field[f];
	}
	found = merge(items, found);
	pick(items, found, query, ret_view);
	free(items);
	add_others(ret_view);
	return true;
}
