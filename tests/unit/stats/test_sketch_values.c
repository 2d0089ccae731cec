/* LINKS: proxy/stats */
/* The sketch by value: windows to the slice, times to the bucket, places and bounds to the number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/stats/sketch.h"
#include "proxy/stats/sketch_block.h"

enum {
	FIRST = 20000,
	/* slice */ START_MS = FIRST * SKETCH_SLICE_MS,
	MINUTE = 60,
	HOUR = 3600,
	ALL = 0
};

#define BYTES ((UINT64_C(1) << 33) + 1) /* both halves of it count */

static const struct sketch_event request = {.is_request = true, .asked = true};
static struct sketch_view view;
static struct sketch *blocks;

static int begin(void **state)
{
	(void)state;
	blocks = sketch_map(3);
	sketch_attach(blocks, 0);
	sketch_tick(START_MS);
	return 0;
}

static struct cache_key key_of(unsigned host, unsigned url)
{
	char name[64];
	int n = snprintf(name, sizeof(name), "http://host%u/%u", host, url);

	return cache_key_of_uri(slice_of(name, (size_t)n));
}

static void count(unsigned host, unsigned url, const struct sketch_event *event)
{
	char host_name[32], name[64];
	struct cache_key key = key_of(host, url);

	snprintf(host_name, sizeof(host_name), "host%u", host);
	snprintf(name, sizeof(name), "http://host%u/%u", host, url);
	sketch_count(event, &key, slice_str(host_name), slice_str(name));
}

/* True when it was counted, or passed over. */
static bool hit(unsigned host, unsigned url, uint64_t bytes)
{
	struct cache_key key = key_of(host, url);

	return sketch_hit(&key, bytes, false);
}

static void read_rows(enum sketch_table table, unsigned window_s, int64_t now_ms)
{
	struct sketch_query query = {window_s, SKETCH_BY_REQUESTS, SKETCH_ROWS_MAX, now_ms};

	assert_true(sketch_read(blocks, 3, table, &query, &view));
}

static const struct sketch_row *row_of(const char *name)
{
	for (unsigned i = 0; i < view.count; i++)
		if (strcmp(view.row[i].name, name) == 0)
			return &view.row[i];
	return NULL;
}

/* ---- windows -------------------------------------------------------------------------------- */

static uint64_t requests_at(unsigned window_s, int64_t ms)
{
	read_rows(SKETCH_OF_HOSTS, window_s, START_MS + ms);
	assert_int_equal(view.total[SKETCH_REQUESTS],
			 view.count == 0 ? 0 : view.row[0].field[SKETCH_REQUESTS]);
	return view.total[SKETCH_REQUESTS];
}

/* Slices are whole: a minute has twelve and the one under way, an hour likewise. */
static void test_windows_end_with_their_slices(void **state)
{
	enum { MINUTE_MS = 13 * SKETCH_SLICE_MS, HOUR_MS = 3800000 };

	(void)state;
	count(1, 1, &request); /* of the slice that is counted in; then of one that is over */
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(requests_at(MINUTE, MINUTE_MS - 1), 1 + round);
		assert_int_equal(requests_at(MINUTE, MINUTE_MS), round);
		assert_int_equal(requests_at(HOUR, HOUR_MS - 1), 1 + round);
		assert_int_equal(requests_at(HOUR, HOUR_MS), 0);
		assert_int_equal(requests_at(ALL, 2 * HOUR_MS), 1 + round);
		sketch_tick(START_MS + SKETCH_SLICE_MS);
		if (round == 0)
			count(1, 1, &request);
	}
	/* Those of the hour stay when the ring of the minute has gone round. */
	for (unsigned i = 2; i < 40; i++) {
		sketch_tick(START_MS + (int64_t)i * SKETCH_SLICE_MS);
		count(1, 1, &request);
	}
	assert_int_equal(requests_at(HOUR, 40 * SKETCH_SLICE_MS), 40);
	assert_int_equal(requests_at(MINUTE, 40 * SKETCH_SLICE_MS - 1), 13);
	/* A slice of the hour whose place an old one had. */
	sketch_tick(START_MS + INT64_C(13) * 300000);
	count(1, 1, &request);
	sketch_tick(START_MS + INT64_C(14) * 300000);
	count(1, 1, &request);
	assert_int_equal(requests_at(HOUR, INT64_C(14) * 300000), 2);
	assert_int_equal(requests_at(ALL, INT64_C(14) * 300000), 42);
}

/* At the boot of a machine there is no time before. */
static void test_a_young_machine(void **state)
{
	(void)state;
	blocks = sketch_map(3);
	sketch_attach(blocks, 0);
	sketch_tick(SKETCH_SLICE_MS);
	count(1, 1, &request);
	sketch_tick(12 * SKETCH_SLICE_MS);
	count(1, 1, &request);
	read_rows(SKETCH_OF_HOSTS, ALL, 12 * SKETCH_SLICE_MS);
	assert_int_equal(view.total[SKETCH_REQUESTS], 2);
	read_rows(SKETCH_OF_HOSTS, HOUR, 12 * SKETCH_SLICE_MS);
	assert_int_equal(view.total[SKETCH_REQUESTS], 2);
	read_rows(SKETCH_OF_HOSTS, MINUTE, 13 * SKETCH_SLICE_MS);
	assert_int_equal(view.total[SKETCH_REQUESTS], 2);
	read_rows(SKETCH_OF_HOSTS, MINUTE, 14 * SKETCH_SLICE_MS);
	assert_int_equal(view.total[SKETCH_REQUESTS], 1);
}

static void assert_fields(const uint64_t field[SKETCH_FIELDS], uint64_t times)
{
	static const uint64_t expected[SKETCH_FIELDS] = {
		[SKETCH_REQUESTS] = 7, [SKETCH_HERE] = 5,     [SKETCH_STALE] = 4,
		[SKETCH_ASKED] = 3,    [SKETCH_FAILURES] = 2, [SKETCH_BYTES] = 5 * BYTES};

	for (unsigned f = 0; f < SKETCH_FIELDS; f++)
		assert_int_equal(field[f], times * expected[f]);
}

/* Each of the numbers, while its slice is under way and after it. */
static void test_each_field_in_each_window(void **state)
{
	static const unsigned windows[] = {MINUTE, HOUR, ALL};

	(void)state;
	for (unsigned round = 1; round < 4; round++) {
		for (unsigned i = 0; i < 7; i++)
			count(1, 1,
			      &(struct sketch_event){.is_request = true,
						     .here = i < 3,
						     .stale = i < 3,
						     .asked = i < 3,
						     .failed = i < 2,
						     .bytes = i < 3 ? BYTES : 0});
		for (unsigned i = 0; i < 2; i++) {
			struct cache_key key = key_of(1, 1);

			assert_true(sketch_hit(&key, BYTES, i == 0));
		}
		sketch_tick(START_MS + (int64_t)round * SKETCH_SLICE_MS);
		for (unsigned w = 0; w < 3; w++)
			for (enum sketch_table t = SKETCH_OF_HOSTS; t <= SKETCH_OF_URLS; t++) {
				read_rows(t, windows[w],
					  START_MS + (int64_t)round * SKETCH_SLICE_MS);
				view.total[SKETCH_REQUESTS] -= 2 * round;
				view.row[0].field[SKETCH_REQUESTS] -= 2 * round;
				assert_fields(view.total, round);
				assert_fields(view.row[0].field, round);
				assert_int_equal(view.other[SKETCH_BYTES], 0);
			}
	}
}

/* Hits that wait are in no number before they are brought. */
static void test_hits_wait_for_a_tick(void **state)
{
	(void)state;
	count(1, 1, &request);
	assert_true(hit(1, 1, 10));
	assert_int_equal(requests_at(ALL, 0), 1);
	sketch_tick(START_MS);
	assert_int_equal(requests_at(ALL, 0), 2);
	sketch_tick(START_MS - 3 * SKETCH_SLICE_MS); /* a clock of another moment */
	assert_int_equal(blocks->slice, FIRST);
	assert_int_equal(requests_at(ALL, 0), 2);
}

/* Hits are of the slice that they are brought in, whenever their place was counted in last. */
static void test_hits_are_of_their_time(void **state)
{
	(void)state;
	count(1, 1, &request);
	sketch_tick(START_MS + 5 * SKETCH_SLICE_MS);
	assert_true(hit(1, 1, 1));
	sketch_tick(START_MS + 6 * SKETCH_SLICE_MS);
	for (enum sketch_table t = SKETCH_OF_HOSTS; t <= SKETCH_OF_URLS; t++) {
		read_rows(t, MINUTE, START_MS + 13 * SKETCH_SLICE_MS);
		assert_int_equal(view.total[SKETCH_REQUESTS], 1);
		assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 1);
		read_rows(t, MINUTE, START_MS + 18 * SKETCH_SLICE_MS);
		assert_int_equal(view.count, 0);
		assert_int_equal(view.total[SKETCH_REQUESTS], 0);
	}
}

/* ---- times of first bytes ------------------------------------------------------------------- */

static void test_buckets_of_times(void **state)
{
	uint64_t begin_us = 64;

	(void)state;
	assert_int_equal(sketch_time_bucket(0), 0);
	assert_int_equal(sketch_time_bucket(63), 0);
	for (unsigned i = 0; i < TIME_BUCKETS; i++) {
		uint64_t end_us = i % 2 == 0 ? begin_us / 2 * 3 : begin_us / 3 * 4;

		assert_int_equal(sketch_time_bucket((uint32_t)begin_us), i);
		assert_int_equal(sketch_time_bucket((uint32_t)end_us - 1), i);
		assert_int_equal(sketch_time_middle(i), (begin_us + end_us) / 2);
		begin_us = end_us;
	}
	assert_int_equal(sketch_time_bucket((uint32_t)begin_us), TIME_BUCKETS - 1);
	assert_int_equal(sketch_time_bucket(UINT32_MAX), TIME_BUCKETS - 1);
}

static void take(unsigned times, uint32_t us)
{
	struct sketch_event event = request;

	event.first_byte_us = us;
	for (unsigned i = 0; i < times; i++)
		count(1, 1, &event);
}

static void assert_times(unsigned window_s, int64_t ms, unsigned p50, unsigned p99)
{
	read_rows(SKETCH_OF_HOSTS, window_s, START_MS + ms);
	assert_int_equal(view.row[0].first_byte_p50_us, p50);
	assert_int_equal(view.row[0].first_byte_p99_us, p99);
}

static void test_quantiles_of_times(void **state)
{
	(void)state;
	take(1, 1);
	assert_times(MINUTE, 0, 80, 80);
	take(49, 1);
	take(49, 100);
	take(1, UINT32_MAX);
	assert_times(MINUTE, 0, 80, 112);
	assert_times(HOUR, 0, 80, 112);
	assert_times(ALL, 0, 80, 112);
	take(2, 100);
	assert_times(ALL, 0, 112, 112);
	take(2, UINT32_MAX);
	assert_times(ALL, 0, 112, 7U << 23);
	begin(NULL);
	take(1, UINT32_MAX);
	assert_times(ALL, 0, 7U << 23, 7U << 23);
	read_rows(SKETCH_OF_URLS, ALL, START_MS);
	assert_int_equal(view.row[0].first_byte_p99_us, 0); /* of hosts alone */
}

/* Slices of half a minute, three; of twenty minutes, four. */
static void test_times_end_with_their_slices(void **state)
{
	(void)state;
	take(1, 100);
	assert_int_equal(blocks->times[0].minute[FIRST / 6 % TIME_MINUTE_SLICES].bucket[1], 1);
	assert_int_equal(blocks->times[0].hour[FIRST / 240 % TIME_HOUR_SLICES].bucket[1], 1);
	assert_int_equal(blocks->times[0].total[1], 1);
	sketch_tick(START_MS + 79999);
	take(1, 0); /* so that there is a row */
	assert_times(MINUTE, 79999, 112, 112);
	sketch_tick(START_MS + 80000);
	take(1, 0);
	assert_times(MINUTE, 80000, 0, 0);
	assert_times(HOUR, 80000, 112, 112);
	sketch_tick(START_MS + 4399999);
	take(1, 0);
	assert_times(HOUR, 4399999, 112, 112);
	sketch_tick(START_MS + 4400000);
	take(1, 0);
	assert_times(HOUR, 4400000, 0, 0);
	assert_times(ALL, 4400000, 112, 112);
	/* A slice that has the place of an old one begins with nothing. */
	take(3, 1);
	assert_times(MINUTE, 4400000, 80, 80);
	assert_times(HOUR, 4400000, 80, 80);
	assert_times(ALL, 4400000, 80, 112);
}

static void test_times_of_all_workers(void **state)
{
	(void)state;
	for (unsigned worker = 0; worker < 3; worker++) {
		sketch_attach(blocks, worker);
		sketch_tick(START_MS);
		take(worker == 0 ? 2 : 1, worker == 0 ? 1 : 100);
		count(worker + 10, 1, &request); /* rows before and behind it */
	}
	assert_times(MINUTE, 0, 80, 112);
	assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 4);
	sketch_attach(blocks, 2);
	take(2, 100);
	assert_times(MINUTE, 0, 112, 112);
}

/* ---- places --------------------------------------------------------------------------------- */

/* All hosts have places: the i-th was asked for so many times more than the least. */
static void fill_hosts(unsigned least)
{
	for (unsigned i = 0; i < SKETCH_HOSTS; i++)
		for (unsigned n = 0; n < (i == least ? 1 : 3); n++)
			count(i, 1, &request);
}

static bool has_host(unsigned host)
{
	for (unsigned i = 0; i < SKETCH_HOSTS; i++) {
		char name[32];
		int n = snprintf(name, sizeof(name), "host%u", host);

		if (slice_eq(slice_of(blocks->host[i].name, blocks->host[i].length),
			     slice_of(name, (size_t)n)))
			return true;
	}
	return false;
}

/* Wherever it is, and then the next: the newcomer begins with the rank of the one that went. */
static void test_the_lowest_goes(void **state)
{
	static const unsigned places[] = {0, 1, 77, SKETCH_HOSTS - 1};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		unsigned least = places[i];

		begin(NULL);
		fill_hosts(least);
		count(1000, 1, &request);
		assert_false(has_host(least));
		assert_true(has_host(1000));
		assert_int_equal(blocks->host[least].base, 1);
		read_rows(SKETCH_OF_HOSTS, MINUTE, START_MS);
		assert_int_equal(view.error, 1);
		assert_int_equal(view.other_names, SKETCH_HOSTS - SKETCH_ROWS_MAX);
		count(1001, 1, &request); /* 1000 has a rank of 2, the others of 3 */
		assert_false(has_host(1000));
		assert_int_equal(blocks->host[least].base, 2);
		count(1002, 1, &request); /* of equals the next in turn */
		assert_int_equal(blocks->floor[SKETCH_OF_HOSTS].now, 3);
		assert_memory_equal(blocks->host[0].name, "host1002", 8);
		count(1003, 1, &request);
		assert_memory_equal(blocks->host[0].name, "host1002", 8);
		assert_memory_equal(blocks->host[1].name, "host1003", 8);
	}
}

/* Hits that wait count for the rank, of hosts and of URLs. */
static void test_hits_that_wait_keep_a_place(void **state)
{
	(void)state;
	fill_hosts(5);
	for (unsigned i = 0; i < 5; i++)
		assert_true(hit(5, 1, 1));
	count(1000, 1, &request);
	assert_true(has_host(5));
	begin(NULL);
	for (unsigned i = 0; i < SKETCH_URLS; i++)
		for (unsigned n = 0; n < (i == 5 ? 1 : 2); n++)
			count(1, i, &request);
	assert_true(hit(1, 5, 1));
	assert_true(hit(1, 5, 1));
	count(1, 1000, &request); /* ranks are 2, but for that of 3 */
	assert_true(hit(1, 5, 1));
	sketch_tick(START_MS);
	read_rows(SKETCH_OF_URLS, ALL, START_MS);
	assert_int_equal(row_of("http://host1/5")->field[SKETCH_REQUESTS], 4);
}

/* Hits that wait are counted when their URL loses its place. */
static void test_hits_that_wait_are_not_lost(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SKETCH_URLS; i++)
		for (unsigned n = 0; n < (i == 5 ? 1 : 3); n++)
			count(1, i, &request);
	assert_true(hit(1, 5, 7));
	count(1, 1000, &request);
	assert_memory_equal(blocks->url[5].name, "http://host1/1000", 17);
	sketch_tick(START_MS);
	read_rows(SKETCH_OF_HOSTS, ALL, START_MS);
	assert_int_equal(view.total[SKETCH_REQUESTS], 3 * SKETCH_URLS);
	assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 3 * SKETCH_URLS);
	assert_int_equal(view.row[0].field[SKETCH_BYTES], 7);
}

/* A URL whose host has lost its place is not counted as a hit: it may be another's place now. */
static void test_a_host_that_lost_its_place(void **state)
{
	(void)state;
	fill_hosts(5);
	assert_true(hit(5, 1, 1));
	sketch_tick(START_MS);
	assert_true(hit(7, 1, 1));
	for (unsigned i = 1000; has_host(7); i++)
		count(i, 1, &request);
	assert_false(hit(7, 1, 1));
	count(7, 1, &request);
	assert_true(hit(7, 1, 1));
}

/* Names of one chain, of which those in the middle go, are found or not as they should be. */
static void test_chains_of_names(void **state)
{
	unsigned known = 0;

	(void)state;
	for (unsigned i = 0; i < SKETCH_URLS; i++)
		for (unsigned n = 0; n < 1 + i % 5; n++) {
			struct cache_key key = {{512 * (uint64_t)i + 3, i + 1}};

			sketch_count(&request, &key, SLICE("h"), SLICE("u"));
		}
	for (unsigned i = 0; i < 52; i++) { /* as many as have a rank of 1 */
		struct cache_key key = {{512 * (uint64_t)(i + 1000) + 3, i}};

		for (unsigned n = 0; n < 9; n++)
			sketch_count(&request, &key, SLICE("h"), SLICE("v"));
	}
	for (unsigned i = 0; i < SKETCH_URLS; i++) {
		bool is_known = false;

		for (unsigned j = 0; j < SKETCH_URLS; j++)
			is_known |= blocks->url[j].key.word[0] == 512 * (uint64_t)i + 3;
		assert_int_equal(is_known, i % 5 != 0);
		known += is_known;
	}
	assert_int_equal(known, SKETCH_URLS - 52);
	for (unsigned i = 0; i < SKETCH_URLS; i++) {
		struct cache_key key = {{512 * (uint64_t)i + 3, i + 1}};

		if (i % 5 != 0)
			assert_true(sketch_hit(&key, 1, false));
	}
}

/* Half of a key may be 0. */
static void test_keys_with_zeros(void **state)
{
	(void)state;
	sketch_count(&request, &(struct cache_key){{0, 7}}, SLICE("h"), SLICE("u"));
	sketch_count(&request, &(struct cache_key){{7, 0}}, SLICE("h"), SLICE("v"));
	read_rows(SKETCH_OF_URLS, MINUTE, START_MS);
	assert_int_equal(view.count, 2);
}

/* ---- hits without a place ------------------------------------------------------------------- */

/* Of hits for names without a place one in sixteen asks for one, of any worker. */
static void test_one_in_so_many_asks_for_a_place(void **state)
{
	(void)state;
	for (unsigned worker = 0; worker < 3; worker++) {
		unsigned asked = 0;

		sketch_attach(blocks, worker);
		sketch_tick(START_MS);
		for (unsigned i = 0; i < SKETCH_URLS; i++) {
			assert_false(hit(1, i, 1)); /* a place is free */
			count(1, i, &request);
		}
		for (unsigned i = 0; i < 16000; i++)
			asked += !hit(1, 1000 + i, 1);
		assert_in_range(asked, 800, 1200);
		assert_int_equal(blocks[worker].passed_over.now, 16000 - asked);
	}
}

/* The one that asks stands for those that were passed over: for its host, and for its rank. */
static void test_who_asks_stands_for_others(void **state)
{
	static const struct sketch_event here = {.is_request = true, .here = true, .bytes = 3};
	unsigned passed = 0, url = 1000;
	uint64_t all_before, base = 0;
	char name[64];

	(void)state;
	for (unsigned i = 0; i < SKETCH_URLS; i++)
		count(1, i, &here);
	while (passed < 100)
		passed += hit(1, url++, 3);
	read_rows(SKETCH_OF_HOSTS, ALL, START_MS);
	all_before = view.total[SKETCH_REQUESTS];
	/* A worker that takes another block takes nothing along. */
	sketch_attach(blocks, 1);
	sketch_tick(START_MS);
	for (unsigned i = 0; i < SKETCH_URLS; i++)
		count(2, i, &here);
	while (!hit(2, url, 3)) /* the first may ask at once */
		count(2, url++, &here);
	passed = 1;
	while (hit(2, ++url, 3))
		passed++;
	count(2, url, &here);
	read_rows(SKETCH_OF_HOSTS, ALL, START_MS);
	assert_int_equal(row_of("host2")->field[SKETCH_REQUESTS],
			 view.total[SKETCH_REQUESTS] - all_before);
	assert_int_equal(row_of("host2")->field[SKETCH_HERE],
			 row_of("host2")->field[SKETCH_REQUESTS]);
	assert_int_equal(row_of("host2")->field[SKETCH_BYTES],
			 3 * row_of("host2")->field[SKETCH_REQUESTS]);
	snprintf(name, sizeof(name), "http://host2/%u", url);
	for (unsigned i = 0; i < SKETCH_URLS; i++)
		if (strcmp(blocks[1].url[i].name, name) == 0)
			base = blocks[1].url[i].base;
	assert_int_equal(base, blocks[1].floor[SKETCH_OF_URLS].now + passed);
}

/* ---- what may be missing -------------------------------------------------------------------- */

static uint64_t error_at(enum sketch_table table, unsigned window_s, uint32_t slice)
{
	read_rows(table, window_s, (int64_t)slice * SKETCH_SLICE_MS);
	return view.error;
}

/* By how much the lowest rank rose since the window began, and more where hits were passed over. */
static void test_what_may_be_missing(void **state)
{
	struct sketch_floor *floor = blocks->floor;

	(void)state;
	for (unsigned t = 0; t < 2; t++) {
		floor[t].now = 1000;
		floor[t].minute[(FIRST - 12) % MINUTE_SLICES] = 391;
		floor[t].hour[(FIRST / 60 - 12) % HOUR_SLICES] = 250;
		assert_int_equal(error_at(t, MINUTE, FIRST), 609);
		assert_int_equal(error_at(t, HOUR, FIRST), 750);
		assert_int_equal(error_at(t, ALL, FIRST), 1000);
		/* Nothing was counted in a window that began later. */
		assert_int_equal(error_at(t, MINUTE, FIRST + 13), 0);
		assert_int_equal(error_at(t, HOUR, FIRST + 760), 0);
	}
	blocks->passed_over.now = 90000;
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST), 609 + 3 * 1200 + 32);
	assert_int_equal(error_at(SKETCH_OF_URLS, MINUTE, FIRST), 609 + 32 + 12 * 25);
	blocks->passed_over.now = 89999;
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST), 609 + 3 * 1199 + 32);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST + 13), 0);
	/* Of all workers together. */
	blocks[1].slice = FIRST;
	blocks[1].floor[0].now = 7;
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST), 609 + 3 * 1199 + 32 + 7);
}

static void set_floor(uint64_t now, uint32_t slice)
{
	blocks->floor[SKETCH_OF_HOSTS].now = now;
	sketch_tick((int64_t)slice * SKETCH_SLICE_MS);
}

/* Each slice begins with the floor that was when the one before ended. */
static void test_floors_of_slices(void **state)
{
	(void)state;
	set_floor(10, FIRST + 1);
	set_floor(30, FIRST + 5);
	set_floor(100, FIRST + 5);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST + 12), 100);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST + 13), 90);
	for (unsigned i = 14; i <= 17; i++)
		assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST + i), 70);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, FIRST + 18), 0);
}

/* Also when a worker was stopped for as long as slices of the hour: they began with what there was. */
static void test_floors_of_slices_that_were_missed(void **state)
{
	static const uint32_t hour = FIRST / 60;

	(void)state;
	set_floor(10, FIRST + 30);
	assert_int_equal(hour, 333);
	set_floor(40, 336 * 60);
	set_floor(100, 336 * 60 + 1);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, HOUR, (333 + 12) * 60), 100);
	for (uint32_t missed = 334; missed <= 336; missed++)
		assert_int_equal(error_at(SKETCH_OF_HOSTS, HOUR, (missed + 12) * 60), 60);
	/* All of an hour, and more. */
	set_floor(100, 400 * 60);
	set_floor(107, 400 * 60 + 1);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, HOUR, 400 * 60), 7);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, HOUR, 412 * 60), 7);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, 400 * 60 + 1), 7);
	/* The last slice that was counted in is the first of the window. */
	set_floor(107, 410 * 60);
	blocks->floor[SKETCH_OF_HOSTS].now = 150;
	assert_int_equal(error_at(SKETCH_OF_HOSTS, HOUR, 422 * 60), 43);
	assert_int_equal(error_at(SKETCH_OF_HOSTS, MINUTE, 410 * 60 + 12), 43);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Of equals the more requested, and then always the same, in whatever order they came. */
static void test_the_order_of_equals(void **state)
{
	struct sketch_query query = {ALL, SKETCH_BY_FAILURES, 3, START_MS};
	char first[3][SKETCH_NAME_MAX + 1];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		begin(NULL);
		for (unsigned i = 0; i < 10; i++)
			count(round == 0 ? i : 9 - i, 1, &request);
		count(4, 1, &request);
		count(6, 1, &request);
		count(6, 1, &request);
		assert_true(sketch_read(blocks, 1, SKETCH_OF_HOSTS, &query, &view));
		assert_int_equal(view.count, 3);
		assert_int_equal(view.other_names, 7);
		assert_int_equal(view.other[SKETCH_REQUESTS], 13 - 3 - 2 - 1);
		assert_string_equal(view.row[0].name, "host6");
		assert_string_equal(view.row[1].name, "host4");
		for (unsigned i = 0; i < 3 && round == 0; i++)
			strcpy(first[i], view.row[i].name);
		assert_string_equal(view.row[2].name, first[2]);
	}
	query.rows = SKETCH_ROWS_MAX + 1;
	for (unsigned i = 0; i < SKETCH_ROWS_MAX + 5; i++)
		count(100 + i, 1, &request);
	assert_true(sketch_read(blocks, 1, SKETCH_OF_HOSTS, &query, &view));
	assert_int_equal(view.count, SKETCH_ROWS_MAX);
}

/* What is about a name alone makes a row; what is of no window of it does not. */
static void test_what_makes_a_row(void **state)
{
	(void)state;
	count(1, 1, &(struct sketch_event){.asked = true});
	count(2, 2, &(struct sketch_event){.failed = true});
	count(3, 3, &(struct sketch_event){.bytes = 5});
	read_rows(SKETCH_OF_HOSTS, ALL, START_MS);
	assert_int_equal(view.count, 2);
	assert_int_equal(view.other[SKETCH_BYTES], 5);
	assert_int_equal(view.other_names, 0);
}

/* A place that its worker was killed in has no row, and is cleared by the next; another has its own. */
static void test_half_a_place_is_cleared(void **state)
{
	(void)state;
	count(1, 1, &request);
	count(2, 2, &request);
	blocks->host[0].version++;
	read_rows(SKETCH_OF_HOSTS, ALL, START_MS);
	assert_int_equal(view.count, 1);
	assert_string_equal(view.row[0].name, "host2");
	sketch_attach(blocks, 0);
	assert_int_equal(blocks->host[0].version % 2, 0);
	read_rows(SKETCH_OF_HOSTS, ALL, START_MS);
	assert_int_equal(view.count, 1);
	assert_int_equal(view.total[SKETCH_REQUESTS], 2);
	assert_false(hit(2, 2, 1)); /* its host is learnt anew */
	count(2, 2, &request);
	assert_true(hit(2, 2, 1));
	count(1, 1, &request);
	read_rows(SKETCH_OF_HOSTS, ALL, START_MS);
	assert_int_equal(view.count, 2);
	assert_int_equal(row_of("host1")->field[SKETCH_REQUESTS], 1);
	assert_int_equal(row_of("host2")->field[SKETCH_REQUESTS], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_windows_end_with_their_slices, begin),
		cmocka_unit_test_setup(test_a_young_machine, begin),
		cmocka_unit_test_setup(test_each_field_in_each_window, begin),
		cmocka_unit_test_setup(test_hits_wait_for_a_tick, begin),
		cmocka_unit_test_setup(test_hits_are_of_their_time, begin),
		cmocka_unit_test_setup(test_buckets_of_times, begin),
		cmocka_unit_test_setup(test_quantiles_of_times, begin),
		cmocka_unit_test_setup(test_times_end_with_their_slices, begin),
		cmocka_unit_test_setup(test_times_of_all_workers, begin),
		cmocka_unit_test_setup(test_the_lowest_goes, begin),
		cmocka_unit_test_setup(test_hits_that_wait_keep_a_place, begin),
		cmocka_unit_test_setup(test_hits_that_wait_are_not_lost, begin),
		cmocka_unit_test_setup(test_a_host_that_lost_its_place, begin),
		cmocka_unit_test_setup(test_chains_of_names, begin),
		cmocka_unit_test_setup(test_keys_with_zeros, begin),
		cmocka_unit_test_setup(test_one_in_so_many_asks_for_a_place, begin),
		cmocka_unit_test_setup(test_who_asks_stands_for_others, begin),
		cmocka_unit_test_setup(test_what_may_be_missing, begin),
		cmocka_unit_test_setup(test_floors_of_slices, begin),
		cmocka_unit_test_setup(test_floors_of_slices_that_were_missed, begin),
		cmocka_unit_test_setup(test_the_order_of_equals, begin),
		cmocka_unit_test_setup(test_what_makes_a_row, begin),
		cmocka_unit_test_setup(test_half_a_place_is_cleared, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
