/* LINKS: cache */
/* The list of marks whose records are still to be removed: its order, its end, one group at a time. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "cache/tidy.h"

static struct invalidations all;
static struct tidy tidy;

static int setup(void **state)
{
	(void)state;
	memset(&all, 0, sizeof(all));
	tidy = (struct tidy){.count = 0};
	return 0;
}

/* A mark in a set of its own; its place. */
static uint32_t mark(uint64_t n, uint64_t epoch)
{
	struct cache_key key = {{n + 1, n}};
	uint32_t place = invalidation_add(&all, INVALIDATION_GROUP, &key, &key, epoch);

	assert_int_not_equal(place, INVALIDATION_NO_PLACE);
	atomic_store(&all.last, epoch);
	return place;
}

static struct invalidation_mark mark_at(uint32_t place)
{
	struct invalidation_mark found;

	assert_true(invalidation_at(&all, place, &found));
	return found;
}

static void retire(uint32_t place)
{
	struct invalidation_mark found = mark_at(place);

	invalidation_retire(&all, &found);
}

static void assert_first(uint32_t place)
{
	struct invalidation_mark found;

	assert_true(tidy_first(&tidy, &all, &found));
	assert_int_equal(found.place, place);
}

static void test_in_order(void **state)
{
	struct invalidation_mark found;
	uint32_t places[4];

	(void)state;
	assert_false(tidy_first(&tidy, &all, &found));
	tidy_add(&tidy, INVALIDATION_NO_PLACE);
	assert_int_equal(tidy.count, 0);
	for (unsigned i = 0; i < 4; i++) {
		places[i] = mark(i, i + 1);
		tidy_add(&tidy, places[i]);
	}
	assert_first(places[0]);
	assert_first(places[0]);
	tidy_put_off(&tidy);
	assert_int_equal(tidy.count, 4);
	assert_first(places[1]);
	tidy_take(&tidy);
	retire(places[2]); /* by another process */
	assert_first(places[3]);
	assert_int_equal(tidy.count, 2);
	tidy_take(&tidy);
	assert_first(places[0]);
	retire(places[0]);
	assert_false(tidy_first(&tidy, &all, &found));
	assert_int_equal(tidy.count, 0);
}

static void test_a_full_list(void **state)
{
	uint32_t first = mark(0, 1), last = 0;

	(void)state;
	tidy_add(&tidy, first);
	tidy_take(&tidy); /* so that the list goes round */
	for (unsigned i = 0; i < TIDY_LIST; i++) {
		last = mark(i, i + 2);
		tidy_add(&tidy, last);
	}
	assert_int_equal(tidy.count, TIDY_LIST);
	tidy_add(&tidy, mark(TIDY_LIST, TIDY_LIST + 2));
	assert_int_equal(tidy.count, TIDY_LIST);
	assert_first(first);
	for (unsigned i = 1; i < TIDY_LIST; i++)
		tidy_take(&tidy);
	assert_first(last);
}

/* Those of a set that is full are put before all others, and push the last off a full list. */
static void test_a_set_goes_first(void **state)
{
	struct cache_key key = {{7, 7}}, other = {{8, 7}};
	uint32_t place, second;

	(void)state;
	for (unsigned n = 100; tidy.count < TIDY_LIST; n++)
		if (n % INVALIDATION_SETS != 7)
			tidy_add(&tidy, mark(n, n));
	place = invalidation_add(&all, INVALIDATION_URI, &key, &key, 5000);
	second = invalidation_add(&all, INVALIDATION_URI, &other, &other, 5001);
	tidy_set_first(&tidy, &all, &key);
	assert_int_equal(tidy.count, TIDY_LIST);
	assert_first(second);
	tidy_take(&tidy);
	assert_first(place);
	tidy_take(&tidy);
	assert_first(mark(100, 6000));
	assert_int_equal(tidy.count, TIDY_LIST - 2);
}

/* There is one cursor: another group waits until that which is walked has ended, or its mark has. */
static void test_one_group_at_a_time(void **state)
{
	struct invalidation_mark a = mark_at(mark(1, 1)), b = mark_at(mark(2, 2)),
				 c = mark_at(mark(3, 3));

	(void)state;
	assert_true(tidy_walk(&tidy, &all, &a));
	tidy.cursor.word[0] = 55;
	assert_false(tidy_walk(&tidy, &all, &b));
	assert_true(tidy_walk(&tidy, &all, &a));
	assert_int_equal(tidy.cursor.word[0], 55);
	tidy_walked(&tidy);
	assert_true(tidy_walk(&tidy, &all, &b));
	assert_int_equal(tidy.cursor.word[0], 0);
	tidy.cursor.word[0] = 66;
	assert_false(tidy_walk(&tidy, &all, &a));
	/* Raised meanwhile: its members are to be gone through anew, and others may be before. */
	b = mark_at(mark(2, 4));
	assert_true(tidy_walk(&tidy, &all, &b));
	assert_int_equal(tidy.cursor.word[0], 0);
	assert_false(tidy_walk(&tidy, &all, &c));
	retire(b.place);
	assert_true(tidy_walk(&tidy, &all, &c));
	assert_false(tidy_walk(&tidy, &all, &a));
}

/* With nothing on the list, marks are looked for that were there a second ago already. */
static void test_what_others_left(void **state)
{
	uint32_t old = mark(1, 1), young;
	unsigned rounds = INVALIDATION_MARKS / TIDY_SEARCH;

	(void)state;
	tidy_find(&tidy, &all);
	assert_int_equal(tidy.old, 1);
	assert_int_equal(tidy.count, 0);
	young = mark(2, 2);
	for (unsigned i = 0; i < rounds && tidy.count == 0; i++) {
		atomic_store(&all.last, 2);
		tidy.old = 1;
		tidy_find(&tidy, &all);
	}
	assert_int_equal(tidy.count, 1);
	assert_first(old);
	/* While it is there, nobody searches. */
	tidy_find(&tidy, &all);
	assert_int_equal(tidy.count, 1);
	tidy_take(&tidy);
	retire(old);
	for (unsigned i = 0; i < rounds + 1 && tidy.count == 0; i++)
		tidy_find(&tidy, &all);
	assert_first(young);
	tidy_take(&tidy);
	retire(young);
	tidy.searched = 5;
	tidy_find(&tidy, &all);
	assert_int_equal(tidy.searched, 5); /* there is none */
	/* So many places at a time, and round again. */
	mark(3, 100);
	tidy.old = 0;
	tidy.searched = INVALIDATION_MARKS - 1;
	tidy_find(&tidy, &all);
	assert_int_equal(tidy.searched, TIDY_SEARCH - 1);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_order),         TEST(test_a_full_list),
		TEST(test_a_set_goes_first), TEST(test_one_group_at_a_time),
		TEST(test_what_others_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
