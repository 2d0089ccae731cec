/* LINKS: proxy/stats -Wl,--wrap=cache_counts,--wrap=cache_store_of,--wrap=store_usage */
/* What a cache and a store count, on top of what those before them in the block have counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proxy/stats/store_counts.h"

static struct cache_counts counts;
static struct store_usage usage;
static char of_cache, of_store; /* what stands for them */

const struct cache_counts *__wrap_cache_counts(const struct cache *cache);
struct store *__wrap_cache_store_of(struct cache *cache);
void __wrap_store_usage(struct store *store, struct store_usage *ret_usage);

const struct cache_counts *__wrap_cache_counts(const struct cache *cache)
{
	assert_ptr_equal(cache, &of_cache);
	return &counts;
}

struct store *__wrap_cache_store_of(struct cache *cache)
{
	assert_ptr_equal(cache, &of_cache);
	return (struct store *)&of_store;
}

void __wrap_store_usage(struct store *store, struct store_usage *ret_usage)
{
	assert_ptr_equal(store, &of_store);
	*ret_usage = usage;
}

static void test_they_go_on(void **state)
{
	struct stats_store before = {.cache = {.stored = 100, .evicted_fresh = 7, .compared = 9},
				     .evictions = 200,
				     .failures = 300};
	struct stats_store read;
	struct store_counts own;

	(void)state;
	stats_store_set(stats, &before);
	store_counts_begin(&own, (struct cache *)&of_cache);
	for (unsigned round = 1; round < 4;
	     round++) { /* of each moment, and not on top of the last */
		counts = (struct cache_counts){
			.stored = 10 * round, .purged = round, .failures = 50};
		counts.evicted_age[3] = round;
		usage = (struct store_usage){
			.entries = 1, .evictions = 20 * round, .failures = 30 * round};
		store_counts_note(&own);
		stats_store_get(stats, &read);
		assert_int_equal(read.cache.stored, 100 + 10 * round);
		assert_int_equal(read.cache.purged, round);
		assert_int_equal(read.cache.failures, 50);
		assert_int_equal(read.cache.evicted_fresh, 7);
		assert_int_equal(read.cache.evicted_age[3], round);
		assert_int_equal(read.cache.compared, 9);
		assert_int_equal(read.evictions, 200 + 20 * round);
		assert_int_equal(read.failures, 300 + 30 * round);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_they_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
