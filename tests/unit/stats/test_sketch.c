/* LINKS: proxy/stats */
/* The sketch of hosts and URLs against known traffic, within the bound that it tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/stats/sketch.h"

static const struct sketch_event hit = {.is_request = true, .here = true, .bytes = 100};
static const struct sketch_event miss = {
	.is_request = true, .asked = true, .bytes = 200, .first_byte_us = 8000};
static struct sketch_view view;
static int64_t now_ms;

static struct sketch *begin(unsigned workers)
{
	struct sketch *blocks = sketch_map(workers);

	assert_non_null(blocks);
	now_ms = 1000000;
	sketch_attach(blocks, 0);
	sketch_tick(now_ms);
	return blocks;
}

static void pass(int64_t ms)
{
	now_ms += ms;
	sketch_tick(now_ms);
}

static void count(unsigned host, unsigned url, const struct sketch_event *event)
{
	char host_name[32], url_name[64];
	struct cache_key key;
	int host_length = snprintf(host_name, sizeof(host_name), "host%u.test", host);
	int length = snprintf(url_name, sizeof(url_name), "http://%s/%u", host_name, url);

	key = cache_key_of_uri(slice_of(url_name, (size_t)length));
	if (event->here && sketch_hit(&key, event->bytes, event->stale))
		return;
	sketch_count(event, &key, slice_of(host_name, (size_t)host_length),
		     slice_of(url_name, (size_t)length));
}

static const struct sketch_row *row_of(const char *name)
{
	for (unsigned i = 0; i < view.count; i++)
		if (strcmp(view.row[i].name, name) == 0)
			return &view.row[i];
	return NULL;
}

static void read_by(struct sketch *blocks, unsigned workers, enum sketch_table table,
		    unsigned window_s, enum sketch_sort sort, unsigned rows)
{
	struct sketch_query query = {window_s, sort, rows, now_ms};

	assert_true(sketch_read(blocks, workers, table, &query, &view));
}

static void read_hosts(struct sketch *blocks, unsigned workers, unsigned window_s)
{
	sketch_tick(now_ms);
	read_by(blocks, workers, SKETCH_OF_HOSTS, window_s, SKETCH_BY_REQUESTS, SKETCH_ROWS_MAX);
}

static void read_urls(struct sketch *blocks, unsigned workers, unsigned window_s)
{
	sketch_tick(now_ms);
	read_by(blocks, workers, SKETCH_OF_URLS, window_s, SKETCH_BY_REQUESTS, SKETCH_ROWS_MAX);
}

static void test_few_names_are_counted_exactly(void **state)
{
	struct sketch *blocks = begin(1);
	const unsigned windows[] = {60, 3600, 0};
	struct sketch_event failed = {.is_request = true, .failed = true, .bytes = 10};
	struct sketch_event stale = {.is_request = true, .here = true, .stale = true};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		count(i % 10, i % 100, &hit);
	for (unsigned i = 0; i < 30; i++)
		count(3, 1000 + i, &miss);
	count(4, 4, &failed);
	count(4, 4, &stale);
	for (unsigned w = 0; w < 3; w++) {
		read_hosts(blocks, 1, windows[w]);
		assert_int_equal(view.count, 10);
		assert_int_equal(view.error, 0);
		assert_int_equal(view.total[SKETCH_REQUESTS], 1032);
		assert_int_equal(view.other[SKETCH_REQUESTS], 0);
		assert_string_equal(view.row[0].name, "host3.test");
		assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 130);
		assert_int_equal(view.row[0].field[SKETCH_HERE], 100);
		assert_int_equal(view.row[0].field[SKETCH_ASKED], 30);
		assert_int_equal(view.row[0].field[SKETCH_BYTES], 100 * 100 + 30 * 200);
		assert_in_range(view.row[0].first_byte_p50_us, 6400, 9600);
		assert_in_range(view.row[0].first_byte_p99_us, 6400, 9600);
		assert_string_equal(view.row[1].name, "host4.test");
		assert_int_equal(view.row[1].field[SKETCH_FAILURES], 1);
		assert_int_equal(view.row[1].field[SKETCH_STALE], 1);
		assert_int_equal(view.row[1].first_byte_p50_us, 0);
		read_urls(blocks, 1, windows[w]);
		assert_int_equal(view.count, SKETCH_ROWS_MAX);
		assert_int_equal(view.other_names, 130 - SKETCH_ROWS_MAX);
		assert_int_equal(row_of("http://host4.test/4")->field[SKETCH_REQUESTS], 12);
	}
}

static void test_windows_roll(void **state)
{
	struct sketch *blocks = begin(1);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		count(1, 1, &hit);
	pass(30000);
	for (unsigned i = 0; i < 10; i++)
		count(1, 1, &miss);
	read_hosts(blocks, 1, 60);
	assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 110);
	pass(40000);
	read_hosts(blocks, 1, 60);
	assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 10);
	assert_int_equal(view.total[SKETCH_REQUESTS], 10);
	pass(100000);
	read_hosts(blocks, 1, 60);
	assert_int_equal(view.count, 0);
	read_hosts(blocks, 1, 3600);
	assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 110);
	count(1, 1, &hit);
	pass(3400000);
	read_hosts(blocks, 1, 3600);
	assert_in_range(view.row[0].field[SKETCH_REQUESTS], 1, 111);
	pass(400000);
	read_hosts(blocks, 1, 3600);
	assert_int_equal(view.count, 0);
	read_hosts(blocks, 1, 0);
	assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 111);
	assert_in_range(view.row[0].first_byte_p99_us, 6400, 9600);
}

/* Reads of another time than that of the slices: the worker that counts was stopped. */
static void test_a_worker_that_stands_still_has_no_minute(void **state)
{
	struct sketch *blocks = begin(1);

	(void)state;
	count(1, 1, &hit);
	now_ms += 120000;
	read_by(blocks, 1, SKETCH_OF_HOSTS, 60, SKETCH_BY_REQUESTS, SKETCH_ROWS_MAX);
	assert_int_equal(view.count, 0);
	assert_int_equal(view.total[SKETCH_REQUESTS], 0);
}

static void test_workers_are_merged(void **state)
{
	struct sketch *blocks = begin(3);

	(void)state;
	for (unsigned worker = 0; worker < 3; worker++) {
		sketch_attach(blocks, worker);
		sketch_tick(now_ms);
		for (unsigned i = 0; i < 10 * (worker + 1); i++)
			count(1, i % 2, &hit);
		count(10 + worker, 0, &miss);
		sketch_tick(now_ms);
	}
	read_hosts(blocks, 3, 60);
	assert_int_equal(view.count, 4);
	assert_int_equal(view.row[0].field[SKETCH_REQUESTS], 60);
	assert_int_equal(view.total[SKETCH_REQUESTS], 63);
	read_urls(blocks, 3, 60);
	assert_int_equal(row_of("http://host1.test/0")->field[SKETCH_REQUESTS], 30);
}

static uint64_t random_state = 1;

static uint64_t next_random(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return random_state >> 33;
}

/*
 * A few that are requested often, among very many that are not, hits and misses: what each says
 * differs from what it was by no more than the bound.
 */
static void flood(unsigned distinct, bool as_hits)
{
	enum { OFTEN = 20, REQUESTS = 400000 };
	static uint64_t true_hosts[OFTEN], true_urls[OFTEN];
	struct sketch *blocks = begin(1);

	memset(true_hosts, 0, sizeof(true_hosts));
	memset(true_urls, 0, sizeof(true_urls));
	for (unsigned i = 0; i < REQUESTS; i++) {
		unsigned n = (unsigned)(next_random() % 100);

		if (n < OFTEN) {
			count(n, n, &hit);
			true_hosts[n]++;
			true_urls[n]++;
		} else {
			unsigned one = OFTEN + (unsigned)(next_random() % distinct);

			count(one, one, as_hits ? &hit : &miss);
		}
	}
	read_urls(blocks, 1, 60);
	assert_int_equal(view.total[SKETCH_REQUESTS], REQUESTS);
	assert_true(view.error < REQUESTS / 40);
	for (unsigned i = 0; i < OFTEN; i++) {
		char name[64];

		snprintf(name, sizeof(name), "http://host%u.test/%u", i, i);
		assert_non_null(row_of(name));
		assert_true(row_of(name)->field[SKETCH_REQUESTS] <= true_urls[i]);
		assert_true(row_of(name)->field[SKETCH_REQUESTS] + view.error >= true_urls[i]);
	}
	read_hosts(blocks, 1, 60);
	assert_true(view.error < REQUESTS / 40);
	for (unsigned i = 0; i < OFTEN; i++) {
		char name[64];

		snprintf(name, sizeof(name), "host%u.test", i);
		assert_non_null(row_of(name));
		assert_true(row_of(name)->field[SKETCH_REQUESTS] + view.error >= true_hosts[i]);
		assert_true(row_of(name)->field[SKETCH_REQUESTS] <= true_hosts[i] + view.error);
	}
	assert_int_equal(view.total[SKETCH_REQUESTS], REQUESTS);
}

static void test_a_flood_of_names(void **state)
{
	(void)state;
	flood(1000000, false);
	flood(1000000, true);
	flood(2000, true);
}

/* All that is asked for is stored, at one host: each request is a hit, of few URLs with a place. */
static void test_one_host_of_very_many_urls(void **state)
{
	enum { REQUESTS = 200000 };
	struct sketch *blocks = begin(1);
	uint64_t of_row;

	(void)state;
	for (unsigned i = 0; i < REQUESTS; i++)
		count(1, (unsigned)(next_random() % 50000), &hit);
	read_hosts(blocks, 1, 60);
	of_row = view.row[0].field[SKETCH_REQUESTS];
	assert_int_equal(view.count, 1);
	assert_true(of_row <= REQUESTS + view.error && of_row + view.error >= REQUESTS);
	assert_true(view.row[0].field[SKETCH_BYTES] > 90 * REQUESTS);
}

/* An hour of others does not count against what is requested now. */
static void test_a_new_favourite_is_seen_within_its_minute(void **state)
{
	struct sketch *blocks = begin(1);

	(void)state;
	for (unsigned i = 0; i < 300000; i++)
		count(i % 300, i % 600, &hit);
	pass(600000);
	for (unsigned i = 0; i < 5000; i++) {
		count(7777, 1, &hit);
		count((unsigned)(1000 + next_random() % 100000), 1, &miss);
	}
	read_hosts(blocks, 1, 60);
	assert_string_equal(view.row[0].name, "host7777.test");
	assert_true(view.row[0].field[SKETCH_REQUESTS] + view.error >= 5000);
	read_urls(blocks, 1, 60);
	assert_string_equal(view.row[0].name, "http://host7777.test/1");
}

static void test_orders(void **state)
{
	struct sketch *blocks = begin(1);
	struct sketch_event slow = miss, large = hit, failed = {.is_request = true, .failed = true};

	(void)state;
	slow.first_byte_us = 900000;
	large.bytes = 1000000;
	for (unsigned i = 0; i < 9; i++)
		count(1, 1, &hit);
	for (unsigned i = 0; i < 5; i++)
		count(2, 2, &miss);
	count(3, 3, &slow);
	count(4, 4, &large);
	count(5, 5, &failed);
	sketch_tick(now_ms);
	for (unsigned sort = SKETCH_BY_REQUESTS; sort <= SKETCH_BY_FIRST_BYTE; sort++) {
		const char *const first[] = {
			[SKETCH_BY_REQUESTS] = "host1.test",   [SKETCH_BY_ASKED] = "host2.test",
			[SKETCH_BY_BYTES] = "host4.test",      [SKETCH_BY_FAILURES] = "host5.test",
			[SKETCH_BY_FIRST_BYTE] = "host3.test",
		};

		read_by(blocks, 1, SKETCH_OF_HOSTS, 60, sort, 2);
		assert_int_equal(view.count, 2);
		assert_int_equal(view.other_names, 3);
		assert_string_equal(view.row[0].name, first[sort]);
	}
}

static void test_long_names_are_cut(void **state)
{
	struct sketch *blocks = begin(1);
	char name[5000];
	struct cache_key key;

	(void)state;
	memset(name, 'x', sizeof(name));
	key = cache_key_of_uri(slice_of(name, sizeof(name)));
	sketch_count(&miss, &key, slice_of(name, sizeof(name)), slice_of(name, sizeof(name)));
	sketch_count(&miss, NULL, slice_of(name, 3), slice_of("", 0));
	sketch_count(&miss, NULL, slice_of("", 0), slice_of("", 0));
	read_hosts(blocks, 1, 60);
	assert_int_equal(view.count, 2);
	assert_int_equal(view.total[SKETCH_REQUESTS], 3);
	assert_int_equal(strlen(view.row[0].name) + strlen(view.row[1].name), SKETCH_NAME_MAX + 3);
	read_urls(blocks, 1, 60);
	assert_int_equal(view.count, 1);
}

/* Killed at any instruction: the next in its block goes on, and readers see no mixture of two. */
static void test_killed_writers_leave_no_harm(void **state)
{
	struct sketch *blocks = begin(1);

	(void)state;
	for (unsigned round = 0; round < 15; round++) {
		pid_t writer = fork();

		if (writer == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			random_state = round + 1;
			sketch_attach(blocks, 0);
			for (unsigned i = 0;; i++) {
				unsigned n = (unsigned)(next_random() % 1000);

				if (i % 1000 == 0)
					pass(1000);
				count(n, n, i % 3 == 0 ? &miss : &hit);
			}
		}
		for (unsigned i = 0; i < 20 + round; i++) {
			read_urls(blocks, 1, 0);
			for (unsigned j = 0; j < view.count; j++) {
				unsigned host, url;

				/* Host and path are of one name. */
				assert_int_equal(sscanf(view.row[j].name, "http://host%u.test/%u",
							&host, &url),
						 2);
				assert_int_equal(host, url);
			}
		}
		kill(writer, SIGKILL);
		waitpid(writer, NULL, 0);
	}
	sketch_attach(blocks, 0);
	for (unsigned i = 0; i < 100000; i++)
		count(123456, 1, &hit);
	read_hosts(blocks, 1, 0);
	assert_non_null(row_of("host123456.test"));
	assert_true(row_of("host123456.test")->field[SKETCH_REQUESTS] + view.error >= 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_names_are_counted_exactly),
		cmocka_unit_test(test_windows_roll),
		cmocka_unit_test(test_a_worker_that_stands_still_has_no_minute),
		cmocka_unit_test(test_workers_are_merged),
		cmocka_unit_test(test_a_flood_of_names),
		cmocka_unit_test(test_one_host_of_very_many_urls),
		cmocka_unit_test(test_a_new_favourite_is_seen_within_its_minute),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_long_names_are_cut),
		cmocka_unit_test(test_killed_writers_leave_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
