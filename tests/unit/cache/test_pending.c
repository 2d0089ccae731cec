/* LINKS: cache tests/doubles/counted_memory.c */
/* The queue of writes: in which order they leave it, when it is urgent, and memory that runs out at any call. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cache/pending.h"
#include "tests/doubles/counted_memory.h"

enum {
	KEYS = 700, /* enough for the table to grow, and not to grow again at once */
	LIMIT = 10000,
	KEY_OPS_MAX = 64,
	BYTES_MAX = 8 << 20,
	LARGE = 1 << 20,
};

static struct cache_key key_of(unsigned n)
{
	return cache_key_of_uri(slice_of((const char *)&n, sizeof(n)));
}

static bool add(struct pending *pending, enum pending_kind kind, unsigned n, struct slice record)
{
	struct cache_key key = key_of(n);

	return pending_add(pending, kind, &key, SLICE("http://a/"), record);
}

static bool put(struct pending *pending, unsigned n)
{
	return add(pending, PENDING_PUT, n, SLICE("12345678"));
}

static bool has(const struct pending *pending, unsigned n)
{
	struct cache_key key = key_of(n);

	return pending_has(pending, &key);
}

/* Those of one key leave together, oldest first; the keys in the order in which they came. */
static void test_order(void **state)
{
	struct cache_key second = key_of(2);
	struct pending_op *ops;
	struct pending pending;

	(void)state;
	pending_init(&pending, LIMIT);
	assert_null(pending_take(&pending));
	assert_null(pending_take_key(&pending, &second));
	assert_false(has(&pending, 1));
	assert_true(add(&pending, PENDING_PUT, 1, SLICE("record a")));
	assert_true(add(&pending, PENDING_CLEAN, 2, slice_of(NULL, 0)));
	assert_true(add(&pending, PENDING_PUT, 1, SLICE("record b")));
	assert_true(add(&pending, PENDING_PUT, 3, SLICE("record c")));
	assert_int_equal(pending.count, 4);
	assert_true(has(&pending, 3));
	ops = pending_take_key(&pending, &second);
	assert_int_equal(ops->kind, PENDING_CLEAN);
	assert_int_equal(ops->record.n, 0);
	assert_true(slice_eq(ops->uri, SLICE("http://a/")));
	assert_null(ops->next);
	pending_release(ops);
	assert_null(pending_take_key(&pending, &second));
	ops = pending_take(&pending);
	assert_true(slice_eq(ops->record, SLICE("record a")));
	assert_true(slice_eq(ops->next->record, SLICE("record b")));
	assert_int_equal((uintptr_t)ops->next->record.p % 8, 0);
	assert_null(ops->next->next);
	assert_int_equal(pending.count, 1);
	pending_release(ops);
	pending_fini(&pending);
	assert_int_equal(pending.count, 0);
	assert_int_equal(pending.bytes, 0);
}

/* Puts stop at the limit, removals make the queue urgent there. */
static void test_limit(void **state)
{
	struct pending pending;

	(void)state;
	pending_init(&pending, 3);
	for (unsigned n = 0; n < 3; n++)
		assert_true(put(&pending, n));
	assert_false(pending.urgent);
	assert_false(put(&pending, 3));
	assert_false(has(&pending, 3));
	assert_int_equal(pending.count, 3);
	assert_true(add(&pending, PENDING_CLEAN, 4, slice_of(NULL, 0)));
	assert_true(pending.urgent);
	assert_int_equal(pending.count, 4);
	pending_release(pending_take(&pending));
	assert_true(pending.urgent);
	pending_fini(&pending);
	assert_false(pending.urgent);
}

/* Many of one key make it urgent, and many bytes. */
static void test_urgent(void **state)
{
	static char large[LARGE];
	struct pending pending;
	size_t own;

	(void)state;
	pending_init(&pending, LIMIT);
	for (unsigned i = 1; i < KEY_OPS_MAX; i++)
		assert_true(put(&pending, 1));
	assert_true(put(&pending, 2));
	assert_false(pending.urgent);
	assert_true(put(&pending, 1));
	assert_true(pending.urgent);
	pending_fini(&pending);
	assert_true(add(&pending, PENDING_PUT, 98, slice_of(large, LARGE)));
	own = pending.bytes - LARGE;
	for (unsigned n = 0; n < BYTES_MAX / LARGE - 2; n++)
		assert_true(add(&pending, PENDING_PUT, n, slice_of(large, LARGE)));
	assert_true(
		add(&pending, PENDING_PUT, 99, slice_of(large, BYTES_MAX - pending.bytes - own)));
	assert_int_equal(pending.bytes, BYTES_MAX);
	assert_false(pending.urgent);
	assert_true(add(&pending, PENDING_PUT, 100, slice_of(large, 1)));
	assert_true(pending.urgent);
	pending_fini(&pending);
}

/* Without memory one is not taken, and all others are there. */
static void test_memory(void **state)
{
	unsigned refused = 0;

	(void)state;
	for (size_t failed = 0; failed < KEYS + 2; failed++) {
		size_t before = allocations_alive();
		unsigned lost = KEYS;
		struct pending pending;

		pending_init(&pending, LIMIT);
		if (!fail_allocation(failed))
			skip();
		for (unsigned n = 0; n < KEYS; n++) {
			if (put(&pending, n))
				continue;
			assert_int_equal(lost, KEYS);
			lost = n;
		}
		fail_no_allocation();
		assert_int_equal(pending.count, KEYS - (lost < KEYS));
		for (unsigned n = 0; n < KEYS; n++)
			assert_int_equal(has(&pending, n), n != lost);
		refused += lost < KEYS;
		pending_fini(&pending);
		assert_int_equal(pending.bytes, 0);
		assert_int_equal(allocations_alive(), before);
	}
	assert_int_equal(refused, KEYS + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
