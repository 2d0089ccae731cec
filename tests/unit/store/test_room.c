/* LINKS: cache/store */
/* The store's arithmetic on pages, by value and at each bound. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/store/room.h"
#include "tests/support/store_fixture.h"

enum { PAGE = 4096 };

static struct store_room room_of(uint64_t size)
{
	struct store_room room;

	store_room_init(&room, size, PAGE);
	return room;
}

static const struct store_trees some_trees = {
	.tree = {[STORE_DATA] = {.depth = 3, .branches = 10, .leaves = 100},
		 [STORE_ORDER] = {.depth = 2, .branches = 1, .leaves = 50},
		 [STORE_GROUPS] = {.depth = 2, .branches = 3, .leaves = 4}},
};

static void test_marks(void **state)
{
	static const struct {
		uint64_t size, pages, reserve, high, full, part, wanted, value_max;
	} rows[] = {
		{MIB, 256, 64, 192, 224, 32, 60, 65536},
		{4 * MIB, 1024, 64, 960, 992, 32, 60, 65536},
		{8 * MIB, 2048, 128, 1920, 1984, 64, 108, 131072},
		{120 * MIB, 30720, 1920, 28800, 29760, 960, 1452, 1966080},
		{256 * MIB, 65536, 4096, 61440, 63488, 960, 1996, 4194304},
		{1024 * (uint64_t)MIB, 262144, 4096, 258048, 260096, 960, 1996, 4194304},
		{MIB + PAGE - 1, 256, 64, 192, 224, 32, 60, 65536},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct store_room room = room_of(rows[i].size);

		assert_int_equal(room.pages, rows[i].pages);
		assert_int_equal(room.reserve, rows[i].reserve);
		assert_int_equal(room.high, rows[i].high);
		assert_int_equal(room.full, rows[i].full);
		assert_int_equal(room.part, rows[i].part);
		assert_int_equal(store_room_wanted(&room), rows[i].wanted);
		assert_int_equal(store_room_value_max(&room), rows[i].value_max);
		assert_true(store_room_below_full(&room, room.full - 2, 1));
		assert_false(store_room_below_full(&room, room.full - 1, 1));
		assert_int_equal(room.spent + room.margin + room.credit + room.available, 0);
	}
}

/* A value stands in a leaf when two of its size fit there; else in pages of its own. */
static void test_overflow(void **state)
{
	static const struct {
		size_t stored;
		uint64_t pages;
	} rows[] = {{0, 0},         {2014, 0},          {2015, 1},         {PAGE - 16, 1},
		    {PAGE - 15, 2}, {2 * PAGE - 16, 2}, {2 * PAGE - 15, 3}};
	struct store_room room = room_of(MIB);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(store_room_overflow(&room, rows[i].stored), rows[i].pages);
}

static void test_cost(void **state)
{
	const struct store_trees none = {0};
	const struct store_trees roots = {.tree = {{1, 9, 1}, {0, 9, 0}, {1, 9, 1}}};
	const struct store_change plain = {0, 0}, large = {0, 5}, one = {1, 0}, many = {100, 0};
	struct store_room room = room_of(MIB);

	(void)state;
	store_room_begin(&room, &none, 100);
	assert_int_equal(store_room_cost(&room, plain), 2);
	assert_int_equal(store_room_cost(&room, large), 7);
	assert_int_equal(store_room_cost(&room, one), 4);
	store_room_begin(&room, &roots, 100);
	assert_int_equal(store_room_cost(&room, plain), 3);
	assert_int_equal(store_room_cost(&room, one), 6);
	store_room_begin(&room, &some_trees, 100);
	assert_int_equal(store_room_cost(&room, plain), 2 + 3 + 2);
	assert_int_equal(store_room_cost(&room, large), 5 + 2 + 3 + 2);
	assert_int_equal(store_room_cost(&room, one), 2 + 3 + 2 + 2 + 2);
	assert_int_equal(store_room_cost(&room, many), 2 + 3 + 2 + (3 + 4) + (2 + 2));
}

/* Each page of a tree counts once in a part. */
static void test_spending(void **state)
{
	const struct store_change many = {100, 0}, plain = {0, 0};
	struct store_room room = room_of(MIB);

	(void)state;
	room.spent = 7;
	room.margin = 7;
	store_room_begin(&room, &some_trees, 100);
	assert_int_equal(room.available, 100);
	assert_int_equal(room.spent, 0);
	assert_int_equal(room.margin, 0);
	store_room_spend(&room, many);
	assert_int_equal(room.spent, 18);
	assert_int_equal(room.untouched[STORE_DATA].branches, 8);
	assert_int_equal(room.untouched[STORE_DATA].leaves, 99);
	assert_int_equal(room.untouched[STORE_ORDER].branches, 0);
	assert_int_equal(room.untouched[STORE_ORDER].leaves, 49);
	assert_int_equal(room.untouched[STORE_GROUPS].branches, 0);
	assert_int_equal(room.untouched[STORE_GROUPS].leaves, 0);
	assert_int_equal(store_room_cost(&room, many), 2 + 3 + 1 + 0 + 4);
	store_room_spend(&room, plain);
	assert_int_equal(room.spent, 18 + 6);
	assert_false(store_room_part_done(&room));
	room.spent = room.part - 1;
	assert_false(store_room_part_done(&room));
	room.spent = room.part;
	assert_true(store_room_part_done(&room));
}

/* To the last page: 12 are for the commit of a put, 8 for that of a drop. */
static void test_what_fits(void **state)
{
	struct store_room room = room_of(MIB);

	(void)state;
	store_room_begin(&room, &some_trees, 100);
	room.spent = 10;
	assert_true(store_room_fits_put(&room, 78));
	assert_false(store_room_fits_put(&room, 79));
	assert_true(store_room_fits_drop(&room, 82));
	assert_false(store_room_fits_drop(&room, 83));
	store_room_keep_margin(&room);
	assert_int_equal(room.margin, 16);
	assert_true(store_room_fits_put(&room, 62));
	assert_false(store_room_fits_put(&room, 63));
	assert_true(store_room_fits_drop(&room, 82));
	assert_false(store_room_is_scarce(&room));
	room.spent = 72;
	assert_false(store_room_is_scarce(&room));
	room.spent = 73;
	assert_true(store_room_is_scarce(&room));
	room.margin = 0;
	room.spent = 1000;
	assert_false(store_room_is_scarce(&room)); /* no copy is being made */
}

static void test_price(void **state)
{
	struct store_room room = room_of(MIB);

	(void)state;
	/* free up to the mark, then one and a half times its bytes, up to six times */
	room.credit = 77;
	assert_int_equal(store_room_price(&room, room.high, 1000), 0);
	assert_int_equal(room.credit, 0);
	assert_int_equal(store_room_price(&room, room.high + 1, 1000), 1745);
	assert_int_equal(store_room_price(&room, room.high + 16, 1000), 3990);
	assert_int_equal(store_room_price(&room, room.full, 1000), 6384);
	assert_int_equal(store_room_price(&room, room.full + 9, 1000), 6384);
	assert_int_equal(store_room_price(&room, room.high + 1, 0), 105);
	/* too little for it all; then more than it, which is left for the next */
	assert_int_equal(store_room_pay(&room, 1000, 500), 436);
	assert_int_equal(room.credit, 0);
	assert_int_equal(store_room_pay(&room, 564, 500), 0);
	assert_int_equal(room.credit, 0);
	assert_int_equal(store_room_pay(&room, 100, 500), 0);
	assert_int_equal(room.credit, 464);
	assert_int_equal(store_room_pay(&room, 0, 36), 0);
	assert_int_equal(room.credit, 564);
	assert_int_equal(store_room_price(&room, room.high + 1, 0), 0);
	assert_int_equal(room.credit, 459);
	assert_int_equal(store_room_price(&room, room.high + 1, 1000), 1745 - 459);
	assert_int_equal(room.credit, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),     cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_cost),      cmocka_unit_test(test_spending),
		cmocka_unit_test(test_what_fits), cmocka_unit_test(test_price),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
