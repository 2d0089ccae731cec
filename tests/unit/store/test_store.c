/* LINKS: cache/store */
/* The contract of store.h, which test_store_memory.c holds the store in memory to as well. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "tests/support/store_fixture.h"

#ifndef STORE_NAME
#define STORE_NAME "store on disk"
#endif

static const struct slice none = {NULL, 0};

static void put_range(struct store *store, uint64_t from, uint64_t to, size_t size_max)
{
	assert_int_equal(store_begin(store), STORE_OK);
	for (uint64_t n = from; n < to; n++) {
		struct cache_key key = key_of(n);

		assert_int_equal(put_in_parts(store, &key, bytes_of(n, 0, size_max), NULL, 0),
				 STORE_OK);
	}
	assert_int_equal(store_commit(store), STORE_OK);
}

static uint64_t entries_of(struct store *store)
{
	struct store_usage usage;

	store_usage(store, &usage);
	return usage.entries;
}

static void test_put_and_get(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	assert_absent(f->store, 1);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 0, 400)), STORE_OK);
	assert_in_store(f->store, 1, 0);
	assert_absent(f->store, 2);
	assert_int_equal(entries_of(f->store), 1);
}

/* Every length comes back exactly, and aligned. */
static void test_lengths(void **state)
{
	struct store_fixture *f = *state;
	static char bytes[70000];
	struct slice value;

	store_fixture_open(f);
	memset(bytes, 'x', sizeof(bytes));
	for (size_t n = 0; n <= 64; n++)
		assert_int_equal(put_one(f->store, n, slice_of(bytes, n)), STORE_OK);
	for (size_t n = 1990; n < 2070; n++)
		assert_int_equal(put_one(f->store, n, slice_of(bytes, n)), STORE_OK);
	for (size_t n = 65530; n <= 65536; n++)
		assert_int_equal(put_one(f->store, n, slice_of(bytes, n)), STORE_OK);
	for (size_t n = 0; n <= 65536; n++) {
		struct cache_key key = key_of(n);

		if ((n > 64 && n < 1990) || (n >= 2070 && n < 65530))
			continue;
		assert_int_equal(store_get(f->store, &key, &value), STORE_OK);
		assert_int_equal(value.n, n);
		assert_int_equal((uintptr_t)value.p % 8, 0);
		assert_memory_equal(value.p, bytes, n);
	}
	store_turn_end(f->store);
}

static void test_too_large(void **state)
{
	struct store_fixture *f = *state;
	char *bytes = calloc(5, MIB);
	struct cache_key groups[1] = {group_of(1)}, key = key_of(2);

	store_fixture_open(f);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 0, 400)), STORE_OK);
	assert_int_equal(put_one(f->store, 1, slice_of(bytes, 5 * MIB)), STORE_FULL);
	assert_in_store(f->store, 1, 0);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(put_in_parts(f->store, &key, none, groups, STORE_GROUPS_MAX + 1),
			 STORE_FULL);
	assert_int_equal(put_in_parts(f->store, &key, none, groups, 1), STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	free(bytes);
}

static void test_replace(void **state)
{
	struct store_fixture *f = *state;
	const size_t sizes[] = {400, 24, 3000, 2500, 24, 9000, 400, 400};

	store_fixture_open(f);
	for (size_t turn = 0; turn < sizeof(sizes) / sizeof(*sizes); turn++) {
		assert_int_equal(put_one(f->store, 1, bytes_of(1, turn, sizes[turn])), STORE_OK);
		assert_in_store(f->store, 1, turn);
		assert_int_equal(entries_of(f->store), 1);
	}
}

static void test_drop(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1);

	store_fixture_open(f);
	put_range(f->store, 0, 3, 400);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(drop_in_parts(f->store, &key), STORE_OK);
	assert_int_equal(drop_in_parts(f->store, &key), STORE_NOT_FOUND);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_absent(f->store, 1);
	assert_in_store(f->store, 0, 0);
	assert_in_store(f->store, 2, 0);
	assert_int_equal(entries_of(f->store), 2);
}

/* Within a transaction one reads what it has written; after store_abort() there was nothing. */
static void test_transaction(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key one = key_of(1), two = key_of(2);
	struct slice value;
	uint64_t turn;

	store_fixture_open(f);
	put_range(f->store, 1, 2, 400);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(put_in_parts(f->store, &one, bytes_of(1, 7, 400), NULL, 0), STORE_OK);
	assert_int_equal(put_in_parts(f->store, &two, bytes_of(2, 7, 400), NULL, 0), STORE_OK);
	assert_int_equal(store_read(f->store, &one, &value), STORE_OK);
	assert_true(value_is_of(value, 1, &turn));
	assert_int_equal(turn, 7);
	assert_int_equal(drop_in_parts(f->store, &one), STORE_OK);
	assert_int_equal(store_read(f->store, &one, &value), STORE_NOT_FOUND);
	store_abort(f->store);
	assert_in_store(f->store, 1, 0);
	assert_absent(f->store, 2);
	/* One that was begun and never ended is undone by the next. */
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(drop_in_parts(f->store, &one), STORE_OK);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_in_store(f->store, 1, 0);
}

static void test_outside_a_transaction(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1);
	struct cache_key cursor = {{0, 0}};
	struct slice value;

	store_fixture_open(f);
	assert_int_equal(store_put(f->store, &key, none, NULL, 0), STORE_FAILED);
	assert_int_equal(store_drop(f->store, &key), STORE_FAILED);
	assert_int_equal(store_group_next(f->store, &key, &cursor, &key), STORE_FAILED);
	assert_int_equal(store_renew(f->store), STORE_FAILED);
	assert_int_equal(store_read(f->store, &key, &value), STORE_FAILED);
	assert_int_equal(store_commit(f->store), STORE_FAILED);
	store_abort(f->store);
	store_turn_end(f->store);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 0, 400)), STORE_OK);
}

/* A view stays as it is until the turn ends, and the next turn sees what was written. */
static void test_turns(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1);
	struct slice value;
	uint64_t turn;

	store_fixture_open(f);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(put_one(f->store, 1, bytes_of(1, i, 400)), STORE_OK);
		assert_int_equal(store_get(f->store, &key, &value), STORE_OK);
		assert_true(value_is_of(value, 1, &turn));
		assert_int_equal(turn, i);
		if (i % 3 != 0)
			store_turn_end(f->store);
	}
}

static size_t drop_group(struct store *store, uint64_t group, size_t limit)
{
	struct cache_key key = group_of(group);
	size_t count = SIZE_MAX;

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(drop_members(store, &key, limit, &count), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
	return count;
}

static void put_in_groups(struct store *store, uint64_t n, const struct cache_key *groups,
			  size_t count)
{
	struct cache_key key = key_of(n);

	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(put_in_parts(store, &key, bytes_of(n, 0, 400), groups, count), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
}

static void test_groups(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key groups[3] = {group_of(1), group_of(2), group_of(3)};

	store_fixture_open(f);
	for (uint64_t n = 0; n < 20; n++)
		put_in_groups(f->store, n, groups, n % 4);
	put_in_groups(f->store, 20, groups + 1, 2);
	assert_int_equal(drop_group(f->store, 4, 10), 0);
	/* Of 20: five are in none, five in 1, five in 1 and 2, five in 1, 2 and 3. */
	assert_int_equal(drop_group(f->store, 3, 4), 4);
	assert_int_equal(drop_group(f->store, 3, 4), 2);
	assert_int_equal(drop_group(f->store, 3, 4), 0);
	assert_absent(f->store, 3);
	assert_absent(f->store, 20);
	assert_in_store(f->store, 2, 0);
	assert_int_equal(drop_group(f->store, 1, 100), 10);
	assert_int_equal(drop_group(f->store, 2, 100), 0);
	assert_int_equal(entries_of(f->store), 5);
	assert_in_store(f->store, 16, 0);
}

/* The groups are those of the last put; a drop leaves nothing behind. */
static void test_groups_change(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key groups[3] = {group_of(1), group_of(2), group_of(1)}, key = key_of(1);

	store_fixture_open(f);
	put_in_groups(f->store, 1, groups, 1);
	put_in_groups(f->store, 1, groups + 1, 1);
	assert_int_equal(drop_group(f->store, 1, 10), 0);
	assert_in_store(f->store, 1, 0);
	assert_int_equal(drop_group(f->store, 2, 10), 1);
	put_in_groups(f->store, 1, groups, 3);
	put_in_groups(f->store, 1, groups, 3);
	assert_int_equal(drop_group(f->store, 1, 10), 1);
	assert_int_equal(drop_group(f->store, 2, 10), 0);
	put_in_groups(f->store, 1, groups, 3);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(drop_in_parts(f->store, &key), STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	put_in_groups(f->store, 1, NULL, 0);
	assert_int_equal(drop_group(f->store, 1, 10), 0);
	assert_int_equal(drop_group(f->store, 2, 10), 0);
	assert_in_store(f->store, 1, 0);
	/* of several it leaves those that it is not put into again */
	groups[2] = group_of(3);
	put_in_groups(f->store, 1, groups, 3);
	put_in_groups(f->store, 1, groups + 1, 1);
	assert_int_equal(drop_group(f->store, 1, 10), 0);
	assert_int_equal(drop_group(f->store, 3, 10), 0);
	assert_in_store(f->store, 1, 0);
	assert_int_equal(drop_group(f->store, 2, 10), 1);
}

static void test_many_groups(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key groups[STORE_GROUPS_MAX];

	store_fixture_open(f);
	for (uint64_t i = 0; i < STORE_GROUPS_MAX; i++)
		groups[i] = group_of(i);
	for (uint64_t n = 0; n < 5; n++)
		put_in_groups(f->store, n, groups, STORE_GROUPS_MAX);
	assert_in_store(f->store, 4, 0);
	assert_int_equal(drop_group(f->store, STORE_GROUPS_MAX - 1, 100), 5);
	assert_int_equal(drop_group(f->store, 0, 100), 0);
}

struct walk {
	struct cache_key last;
	uint64_t seen, stop;
	bool in_order;
};

static bool walk_visit(void *context, const struct cache_key *key, struct slice value)
{
	struct walk *walk = context;

	if (walk->seen > 0 && memcmp(&walk->last, key, sizeof(*key)) >= 0)
		walk->in_order = false;
	walk->last = *key;
	assert_true(value.n >= 24);
	return ++walk->seen != walk->stop;
}

static void test_walk(void **state)
{
	struct store_fixture *f = *state;
	struct walk walk = {.in_order = true, .stop = 7};
	struct cache_key cursor = {{0}};
	bool more = true;
	unsigned calls = 0;

	store_fixture_open(f);
	assert_int_equal(store_walk(f->store, &cursor, 10, walk_visit, &walk, &more), STORE_OK);
	assert_int_equal(walk.seen, 0);
	assert_false(more);
	put_range(f->store, 0, 100, 400);
	while (calls == 0 || more) {
		assert_int_equal(store_walk(f->store, &cursor, 10, walk_visit, &walk, &more),
				 STORE_OK);
		calls++;
		assert_true(walk.seen <= calls * 10);
		/* Stopped at the seventh: the next call begins with the eighth. */
		assert_true(calls > 1 || walk.seen == 7);
	}
	assert_int_equal(walk.seen, 100);
	assert_true(walk.in_order);
	assert_in_range(calls, 11, 12);
}

/* Keys at both ends are walked, once. */
static void test_walk_ends(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key keys[2] = {{{0, 0}}, {{UINT64_MAX, UINT64_MAX}}}, cursor = {{0}};
	struct walk walk = {.in_order = true};
	bool more;

	store_fixture_open(f);
	assert_int_equal(store_begin(f->store), STORE_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(put_in_parts(f->store, &keys[i], bytes_of(1, 1, 40), NULL, 0),
				 STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(store_walk(f->store, &cursor, 1, walk_visit, &walk, &more), STORE_OK);
	assert_true(more);
	assert_int_equal(store_walk(f->store, &cursor, 1, walk_visit, &walk, &more), STORE_OK);
	assert_false(more);
	assert_int_equal(walk.seen, 2);
	assert_true(walk.in_order);
}

static bool collect_visit(void *context, const struct cache_key *key, struct slice value)
{
	struct cache_key **to = context;

	(void)value;
	*(*to)++ = *key;
	return true;
}

/* A purge: walk a batch, drop it, go on; nothing is left. */
static void test_purge_by_walk(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key cursor = {{0}}, batch[50], *end;
	bool more = true;

	store_fixture_open(f);
	put_range(f->store, 0, 1000, 400);
	while (more) {
		end = batch;
		assert_int_equal(store_walk(f->store, &cursor, 50, collect_visit, &end, &more),
				 STORE_OK);
		assert_int_equal(store_begin(f->store), STORE_OK);
		for (struct cache_key *key = batch; key < end; key++)
			assert_int_equal(drop_in_parts(f->store, key), STORE_OK);
		assert_int_equal(store_commit(f->store), STORE_OK);
	}
	assert_int_equal(entries_of(f->store), 0);
	put_range(f->store, 0, 10, 400);
	assert_int_equal(entries_of(f->store), 10);
}

/* More than fits: no put fails, the last are there, and what was visited stays. */
static void test_eviction(void **state)
{
	struct store_fixture *f = *state;
	struct store_usage usage;
	uint64_t hot = 0;

	f->options.size = 2 * MIB;
	store_fixture_open(f);
	for (uint64_t n = 0; n < 10000; n += 20) {
		put_range(f->store, n, n + 20, 800);
		for (uint64_t i = 0; i < 50 && i < n; i++) {
			struct cache_key key = key_of(i);
			struct slice value;

			(void)store_get(f->store, &key, &value);
		}
		store_turn_end(f->store);
	}
	for (uint64_t n = 9980; n < 10000; n++)
		assert_in_store(f->store, n, 0);
	for (uint64_t i = 0; i < 50; i++) {
		struct cache_key key = key_of(i);
		struct slice value;

		hot += store_get(f->store, &key, &value) == STORE_OK;
	}
	assert_true(hot >= 48);
	store_usage(f->store, &usage);
	assert_true(usage.bytes_used <= usage.bytes_size);
	assert_int_equal(usage.bytes_size, 2 * MIB);
	assert_int_equal(usage.entries + usage.evictions, 10000);
	assert_true(usage.entries > 1000);
	assert_int_equal(usage.failures, 0);
}

/* An operator who looks at an entry does not keep it in the store. */
static void test_peek(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key looked_at = key_of(0), used = key_of(1);
	struct slice value, seen;

	f->options.size = 2 * MIB;
	store_fixture_open(f);
	for (uint64_t n = 0; n < 10000; n += 20) {
		put_range(f->store, n, n + 20, 800);
		(void)store_peek(f->store, &looked_at, &value);
		assert_int_equal(store_get(f->store, &used, &seen), STORE_OK);
		assert_int_equal(store_peek(f->store, &used, &value), STORE_OK);
		assert_true(slice_eq(value, seen));
		store_turn_end(f->store);
	}
	assert_int_equal(store_peek(f->store, &looked_at, &value), STORE_NOT_FOUND);
	assert_int_equal(store_peek(f->store, &used, &value), STORE_OK);
}

static void test_reopen(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	put_range(f->store, 0, 100, 400);
	store_clock(f->store)->lead_ms = 17;
	store_fixture_reopen(f);
	assert_string_equal(f->notice.text, "");
	for (uint64_t n = 0; n < 100; n++)
		assert_in_store(f->store, n, 0);
	assert_int_equal(store_clock(f->store)->lead_ms, 17);
	assert_int_equal(store_clock(f->store)->latest_ms, 0);
}

static void test_another_format(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	put_range(f->store, 0, 10, 400);
	f->options.format = 2;
	store_fixture_reopen(f);
	assert_non_null(strstr(f->notice.text, "version"));
	assert_int_equal(entries_of(f->store), 0);
	put_range(f->store, 0, 10, 400);
	store_fixture_reopen(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(entries_of(f->store), 10);
}

static void test_exclusive(void **state)
{
	struct store_fixture *f = *state;
	struct diagnostic notice;
	int lock;

	f->options.exclusive = true;
	store_fixture_open(f);
	assert_int_equal(store_lock(f->directory, &notice), -1);
	assert_non_null(strstr(notice.text, "another service"));
	store_fixture_close(f);
	lock = store_lock(f->directory, &notice);
	assert_true(lock >= 0);
	assert_string_equal(notice.text, "");
	close(lock);
	store_fixture_open(f);
}

static void test_too_small(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = MIB - 4096;
	assert_null(store_open(&f->options, &f->notice));
	assert_non_null(strstr(f->notice.text, "1 MiB"));
}

enum {
	MODEL_KEYS = 300,
	MODEL_GROUPS = 8,
};

struct model {
	bool is[MODEL_KEYS];
	uint64_t turn[MODEL_KEYS];
	unsigned groups[MODEL_KEYS]; /* a bit each */
};

static void model_put(struct store *store, struct model *model, uint64_t random)
{
	uint64_t n = random % MODEL_KEYS;
	struct cache_key key = key_of(n), groups[MODEL_GROUPS];
	size_t count = 0;

	model->groups[n] = random >> 32 & 0xf & (random >> 40);
	for (unsigned i = 0; i < MODEL_GROUPS; i++)
		if (model->groups[n] >> i & 1)
			groups[count++] = group_of(i);
	model->is[n] = true;
	model->turn[n] = random;
	assert_int_equal(put_in_parts(store, &key, bytes_of(n, random, 3000), groups, count),
			 STORE_OK);
}

static void model_drop(struct store *store, struct model *model, uint64_t random)
{
	uint64_t n = random % MODEL_KEYS, group = random >> 32 & 3;
	struct cache_key key = key_of(n), group_key = group_of(group);
	size_t count, members = 0;

	if (random >> 48 & 15) {
		assert_int_equal(drop_in_parts(store, &key),
				 model->is[n] ? STORE_OK : STORE_NOT_FOUND);
		model->is[n] = false;
		return;
	}
	for (n = 0; n < MODEL_KEYS; n++)
		if (model->is[n] && model->groups[n] >> group & 1) {
			members++;
			model->is[n] = false;
		}
	assert_int_equal(drop_members(store, &group_key, MODEL_KEYS, &count), STORE_OK);
	assert_int_equal(count, members);
}

/* Puts, drops, group drops and aborts at random, compared with a table. */
static void test_against_a_model(void **state)
{
	struct store_fixture *f = *state;
	struct model model = {0}, before;

	f->options.size = 64 * MIB; /* so that a transaction is one part, and can be undone */
	store_fixture_open(f);
	for (uint64_t step = 0; step < 400; step++) {
		uint64_t random = mix(step);

		before = model;
		assert_int_equal(store_begin(f->store), STORE_OK);
		for (uint64_t i = 0; i < random % 8; i++) {
			uint64_t what = mix(random + i);

			if (what >> 60 > 4)
				model_put(f->store, &model, what);
			else
				model_drop(f->store, &model, what);
		}
		if (random >> 60 == 0) {
			store_abort(f->store);
			model = before;
		} else {
			assert_int_equal(store_commit(f->store), STORE_OK);
		}
		if (random >> 59 == 3)
			store_fixture_reopen(f);
		for (uint64_t n = 0; n < MODEL_KEYS; n++)
			if (model.is[n])
				assert_in_store(f->store, n, model.turn[n]);
			else
				assert_absent(f->store, n);
	}
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_put_and_get),
		STORE_TEST(test_lengths),
		STORE_TEST(test_too_large),
		STORE_TEST(test_replace),
		STORE_TEST(test_drop),
		STORE_TEST(test_transaction),
		STORE_TEST(test_outside_a_transaction),
		STORE_TEST(test_turns),
		STORE_TEST(test_groups),
		STORE_TEST(test_groups_change),
		STORE_TEST(test_many_groups),
		STORE_TEST(test_walk),
		STORE_TEST(test_walk_ends),
		STORE_TEST(test_purge_by_walk),
		STORE_TEST(test_eviction),
		STORE_TEST(test_peek),
		STORE_TEST(test_reopen),
		STORE_TEST(test_another_format),
		STORE_TEST(test_exclusive),
		STORE_TEST(test_too_small),
		STORE_TEST(test_against_a_model),
	};

	return cmocka_run_group_tests_name(STORE_NAME, tests, NULL, NULL);
}
