/* LINKS: cache tests/doubles/store_memory.c */
/* How much of the queue a transaction takes, what the queue holds at most, and what evictions count. */
#include <stdio.h>
#include <stdlib.h>

#include "cache/evicted.h"
#include "cache/impl.h"
#include "cache/pending.h"
#include "cache/writes.h"
#include "tests/support/cache_fixture.h"

/* ---- the queue ------------------------------------------------------------------------------ */

static struct cache_key key_of_number(uint64_t n)
{
	return (struct cache_key){{n * UINT64_C(0x9e3779b97f4a7c15), n}};
}

static bool add(struct pending *pending, enum pending_kind kind, uint64_t n, size_t size)
{
	static char record[2 << 20];
	struct cache_key key = key_of_number(n);

	return pending_add(pending, kind, &key, SLICE("http://a/"), slice_of(record, size));
}

static size_t take_all(struct pending *pending)
{
	struct pending_op *ops;
	size_t keys = 0;

	while ((ops = pending_take(pending)) != NULL) {
		pending_release(ops);
		keys++;
	}
	assert_int_equal(pending->count, 0);
	assert_int_equal(pending->bytes, 0);
	assert_false(pending->urgent);
	return keys;
}

static void the_queue_is_full(void **state)
{
	struct pending pending;

	(void)state;
	pending_init(&pending, 5);
	for (unsigned n = 0; n < 5; n++)
		assert_true(add(&pending, PENDING_PUT, n, 10));
	assert_false(pending.urgent);
	assert_false(add(&pending, PENDING_PUT, 5, 10));
	assert_int_equal(pending.count, 5);
	assert_false(pending.urgent);
	/* What removes is never refused, but then it is time to write. */
	assert_true(add(&pending, PENDING_CLEAN, 5, 0));
	assert_int_equal(pending.count, 6);
	assert_true(pending.urgent);
	/* And goes on being so until all is. */
	pending_release(pending_take(&pending));
	assert_true(pending.urgent);
	assert_int_equal(take_all(&pending), 5);
	assert_true(add(&pending, PENDING_PUT, 5, 10));
	assert_false(pending.urgent);
	pending_fini(&pending);
}

static void the_queue_has_many_bytes(void **state)
{
	enum { ALMOST = (1 << 20) - 4096 };
	struct pending pending;

	(void)state;
	pending_init(&pending, 100);
	for (unsigned n = 0; n < 8; n++) {
		assert_true(add(&pending, PENDING_PUT, n, ALMOST));
		assert_false(pending.urgent);
	}
	assert_in_range(pending.bytes, 8 * ALMOST, 8 << 20);
	/* Up to 8 MiB, and no byte more. */
	assert_true(add(&pending, PENDING_PUT, 9, 0));
	assert_false(pending.urgent);
	assert_true(add(&pending, PENDING_PUT, 10, (8 << 20) - pending.bytes));
	assert_true(pending.urgent);
	assert_int_equal(take_all(&pending), 10);
}

static void the_queue_has_many_of_a_key(void **state)
{
	struct pending pending;

	(void)state;
	pending_init(&pending, 1000);
	for (unsigned n = 0; n < 63; n++) {
		assert_true(add(&pending, PENDING_PUT, 1, n));
		assert_true(add(&pending, PENDING_PUT, 2 + n, n));
		assert_false(pending.urgent);
	}
	assert_true(add(&pending, PENDING_PUT, 1, 63));
	assert_true(pending.urgent);
	for (unsigned n = 0; n < 64; n++) {
		struct pending_op *ops = n == 0 ? pending_take(&pending) : NULL, *op = ops;

		for (unsigned size = 0; op != NULL; op = op->next)
			assert_int_equal(op->record.n, size++); /* in order */
		pending_release(ops);
	}
	assert_int_equal(take_all(&pending), 63);
}

static void one_key_is_taken_out(void **state)
{
	struct pending pending;
	struct cache_key key = key_of_number(2);
	struct pending_op *ops;

	(void)state;
	pending_init(&pending, 10);
	assert_false(pending_has(&pending, &key));
	assert_null(pending_take_key(&pending, &key));
	for (unsigned n = 1; n <= 3; n++)
		assert_true(add(&pending, PENDING_PUT, n, n));
	assert_true(pending_has(&pending, &key));
	ops = pending_take_key(&pending, &key);
	assert_int_equal(ops->record.n, 2);
	assert_null(ops->next);
	pending_release(ops);
	assert_false(pending_has(&pending, &key));
	assert_null(pending_take_key(&pending, &key));
	assert_int_equal(take_all(&pending), 2);
}

/* ---- transactions --------------------------------------------------------------------------- */

static void open_with_queue(struct fixture *f, const char *limit)
{
	cache_fixture_close(f);
	assert_true(test_conf_set(f->conf, "store_pending", limit));
	cache_fixture_open(f);
}

static void queue(struct fixture *f, unsigned from, unsigned to)
{
	char req[64];

	for (unsigned i = from; i < to; i++) {
		sprintf(req, "GET http://a/%u\n", i);
		assert_stored(f, req, FRESH "X: 1\n", 0);
	}
}

/* Two, or a thirty-second part when that is more, and never more than 256. */
static void a_slice_of_the_queue(void **state)
{
	static const struct {
		unsigned queued, taken;
	} rows[] = {{1, 1},    {2, 2},      {10, 2},     {64, 2},     {95, 2},    {96, 3},
		    {640, 20}, {8160, 255}, {8192, 256}, {8224, 256}, {9000, 256}};
	struct fixture *f = *state;

	open_with_queue(f, "10000");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t stored = cache_counts(f->cache)->stored;
		uint64_t flushes = cache_counts(f->cache)->flushes;

		queue(f, 0, rows[i].queued);
		assert_int_equal(cache_pending(f->cache), rows[i].queued);
		assert_int_equal(writes_flush_some(&f->cache->writes),
				 rows[i].taken < rows[i].queued);
		assert_int_equal(cache_pending(f->cache), rows[i].queued - rows[i].taken);
		assert_int_equal(cache_counts(f->cache)->stored, stored + rows[i].taken);
		assert_int_equal(cache_counts(f->cache)->flushes, flushes + 1);
		cache_flush(f->cache);
	}
	assert_false(writes_flush_some(&f->cache->writes));
}

static void all_of_the_queue(void **state)
{
	struct fixture *f = *state;

	open_with_queue(f, "1000");
	queue(f, 0, 300);
	cache_flush(f->cache);
	assert_int_equal(cache_counts(f->cache)->flushes, 2);
	assert_int_equal(cache_counts(f->cache)->stored, 300);
	queue(f, 0, 256);
	cache_flush(f->cache);
	assert_int_equal(cache_counts(f->cache)->flushes, 3);
}

/* What a lookup waits for is put first, with up to 31 that wait longest. */
static void what_a_lookup_waits_for(void **state)
{
	struct fixture *f = *state;

	queue(f, 0, 50);
	assert_hit(f, "GET http://a/45\n", 0, "1");
	assert_int_equal(cache_pending(f->cache), 50 - 32);
	assert_int_equal(cache_counts(f->cache)->flushes, 1);
	assert_hit(f, "GET http://a/30\n", 0, "1");
	assert_int_equal(cache_counts(f->cache)->flushes, 1);
	assert_hit(f, "GET http://a/31\n", 0, "1");
	assert_int_equal(cache_counts(f->cache)->flushes, 2);
	assert_int_equal(cache_pending(f->cache), 0);
}

/* Operations of a key stay together, and count. */
static void those_of_a_key(void **state)
{
	struct fixture *f = *state;
	char req[64];

	for (unsigned i = 0; i < 5; i++) {
		sprintf(req, "GET http://a/\nFoo: %u\n", i);
		assert_stored(f, req, FRESH "Vary: Foo\n", 0);
	}
	queue(f, 0, 5);
	assert_true(writes_flush_some(&f->cache->writes));
	assert_int_equal(cache_pending(f->cache), 5);
	assert_true(writes_flush_some(&f->cache->writes));
	assert_int_equal(cache_pending(f->cache), 3);
}

static void a_full_queue_refuses(void **state)
{
	struct fixture *f = *state;

	queue(f, 0, PENDING_MAX);
	assert_int_equal(store(f, "GET http://a/more\n", FRESH, 0), REASON_STORE_BUSY);
	assert_int_equal(cache_counts(f->cache)->dropped, 1);
	assert_int_equal(cache_pending(f->cache), PENDING_MAX);
	assert_true(writes_flush_some(&f->cache->writes));
	assert_stored(f, "GET http://a/more\n", FRESH, 0);
}

/* ---- evictions ------------------------------------------------------------------------------ */

static struct slice entry_of(struct fixture *f, const char *req)
{
	struct slice entry;

	cache_flush(f->cache);
	look_up(f, req, 0);
	assert_int_equal(store_get(cache_store_of(f->cache), &f->lookup.key, &entry), STORE_OK);
	return entry;
}

/* Two buckets to a power of two of seconds, since the youngest of its records came. */
static void ages_of_what_is_evicted(void **state)
{
	static const struct {
		int64_t s;
		unsigned bucket;
	} rows[] = {{-5, 0},
		    {0, 0},
		    {1, 0},
		    {2, 2},
		    {3, 3},
		    {4, 4},
		    {5, 4},
		    {6, 5},
		    {7, 5},
		    {8, 6},
		    {60, 11},
		    {95, 12},
		    {96, 13},
		    {(1 << 24) - 1, 47},
		    {1 << 24, 48},
		    {3 << 23, 49},
		    {1 << 25, 49},
		    {INT32_MAX, 49},
		    {INT64_C(1) << 40, 49}};
	struct fixture *f = *state;
	struct cache_counts *counts = &f->cache->writes.counts;
	struct store_clock *clock = store_clock(cache_store_of(f->cache));
	struct slice entry;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	entry = entry_of(f, "GET http://a/\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t before = counts->evicted_age[rows[i].bucket];

		atomic_store(&clock->latest_ms, at_ms(rows[i].s));
		evicted_note(&f->cache->writes.evicted, entry);
		if (counts->evicted_age[rows[i].bucket] != before + 1)
			fail_msg("%lld s are not of %u", (long long)rows[i].s, rows[i].bucket);
	}
}

/* It is fresh when one of its first four records is; those are of one age. */
static void fresh_when_it_is_evicted(void **state)
{
	struct fixture *f = *state;
	struct cache_counts *counts = &f->cache->writes.counts;
	struct store_clock *clock = store_clock(cache_store_of(f->cache));
	struct slice entry;

	assert_stored(f, "GET http://a/\nFoo: 1\n", "204\nCache-Control: max-age=1000\nVary: Foo\n",
		      0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", "204\nCache-Control: max-age=10\nVary: Foo\n",
		      30);
	entry = entry_of(f, "GET http://a/\nFoo: 1\n");
	atomic_store(&clock->latest_ms, at_ms(999));
	evicted_note(&f->cache->writes.evicted, entry);
	assert_int_equal(counts->evicted_fresh, 1);
	assert_int_equal(counts->evicted_age[19], 1); /* 969 s */
	atomic_store(&clock->latest_ms, at_ms(1000));
	evicted_note(&f->cache->writes.evicted, entry);
	assert_int_equal(counts->evicted_fresh, 1);
	assert_int_equal(counts->evicted_age[19], 2);
	/* What is damaged is of no age. */
	evicted_note(&f->cache->writes.evicted, slice_of("rubbish!", 8));
	assert_int_equal(counts->evicted_fresh, 1);
	for (unsigned i = 0; i < CACHE_AGE_BUCKETS; i++)
		assert_int_equal(counts->evicted_age[i], i == 19 ? 2 : 0);
}

/* ---- marks of variants ---------------------------------------------------------------------- */

/* What was asked for before a variant was removed is not stored in its place; another variant is. */
static void a_removed_variant(void **state)
{
	struct fixture *f = *state;
	struct slice old;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: 1\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: 2\n", 0);
	old = copy_of_record(f, "GET http://a/\nFoo: 1\n", 0);
	remove_record(f, "GET http://a/\nFoo: 1\n", old);
	f->asked_long_ago = true;
	assert_int_equal(store(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: 3\n", 0),
			 REASON_OVERTAKEN);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: 4\n", 0);
	assert_hit(f, "GET http://a/\nFoo: 2\n", 0, "4");
	assert_miss(f, "GET http://a/\nFoo: 1\n", 0);
	f->asked_long_ago = false;
	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: 5\n", 0);
	assert_hit(f, "GET http://a/\nFoo: 1\n", 0, "5");
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, cache_fixture_setup, cache_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_queue_is_full),
		cmocka_unit_test(the_queue_has_many_bytes),
		cmocka_unit_test(the_queue_has_many_of_a_key),
		cmocka_unit_test(one_key_is_taken_out),
		TEST(a_slice_of_the_queue),
		TEST(all_of_the_queue),
		TEST(what_a_lookup_waits_for),
		TEST(those_of_a_key),
		TEST(a_full_queue_refuses),
		TEST(ages_of_what_is_evicted),
		TEST(fresh_when_it_is_evicted),
		TEST(a_removed_variant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
