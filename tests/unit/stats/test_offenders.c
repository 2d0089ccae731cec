/* LINKS: proxy/stats */
/* The table of offenders: who is in it, who makes way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "proxy/stats/offenders.h"

static uint64_t count_of(const struct offenders *offenders, const char *name)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < OFFENDERS_MAX; i++) {
		if (offenders->at[i].count > 0 && strcmp(offenders->at[i].name, name) == 0)
			count += offenders->at[i].count;
	}
	return count;
}

static void add_numbered(struct offenders *offenders, unsigned number, uint64_t count)
{
	char name[32];

	snprintf(name, sizeof(name), "host%u:80", number);
	offenders_add(offenders, slice_str(name), count);
}

static unsigned rows_of(const struct offenders *offenders)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < OFFENDERS_MAX; i++)
		rows += offenders->at[i].count > 0;
	return rows;
}

static void names_are_counted(void **state)
{
	static struct offenders offenders;

	(void)state;
	offenders_add(&offenders, SLICE("a:80"), 1);
	offenders_add(&offenders, SLICE("b:80"), 1);
	offenders_add(&offenders, SLICE("a:80"), 2);
	assert_int_equal(count_of(&offenders, "a:80"), 3);
	assert_int_equal(count_of(&offenders, "b:80"), 1);
	assert_int_equal(count_of(&offenders, "a:8"), 0);
	assert_int_equal(rows_of(&offenders), 2);
}

static void the_rarest_makes_way_and_of_equals_the_oldest(void **state)
{
	static struct offenders offenders;

	(void)state;
	for (unsigned i = 0; i < OFFENDERS_MAX; i++)
		add_numbered(&offenders, i, i == 5 ? 1 : 2);
	add_numbered(&offenders, 100, 1);
	assert_int_equal(count_of(&offenders, "host5:80"), 0);
	assert_int_equal(count_of(&offenders, "host100:80"), 1);
	add_numbered(&offenders, 100, 1); /* now there are none but twos, the first is the oldest */
	add_numbered(&offenders, 101, 1);
	assert_int_equal(count_of(&offenders, "host0:80"), 0);
	assert_int_equal(count_of(&offenders, "host1:80"), 2);
	assert_int_equal(rows_of(&offenders), OFFENDERS_MAX);
}

/* One that is rarer than all, although it came last; of equals the one that was added to before the others. */
static void the_rarest_makes_way_however_new(void **state)
{
	static struct offenders offenders;

	(void)state;
	for (unsigned i = 0; i < OFFENDERS_MAX; i++)
		add_numbered(&offenders, i, i == 5 ? 1 : 2);
	add_numbered(&offenders, 100, 1);
	add_numbered(&offenders, 101, 1);
	assert_int_equal(count_of(&offenders, "host100:80"), 0);
	assert_int_equal(count_of(&offenders, "host101:80"), 1);
	assert_int_equal(rows_of(&offenders), OFFENDERS_MAX);
	for (unsigned i = 0; i < OFFENDERS_MAX; i++)
		add_numbered(&offenders, i == 5 ? 101 : i, i == 5 ? 2 : 1);
	for (unsigned i = OFFENDERS_MAX; i-- > 0;)
		add_numbered(&offenders, i == 5 ? 101 : i, 1);
	add_numbered(&offenders, 200, 1);
	assert_int_equal(count_of(&offenders, "host63:80"), 0);
	assert_int_equal(count_of(&offenders, "host62:80"), 4);
}

/* A name that takes the row of a longer one is itself alone. */
static void a_shorter_name_takes_a_row(void **state)
{
	static struct offenders offenders;

	(void)state;
	for (unsigned i = 0; i < OFFENDERS_MAX; i++)
		add_numbered(&offenders, i, 1);
	offenders_add(&offenders, SLICE("b"), 1);
	assert_int_equal(count_of(&offenders, "b"), 1);
	offenders_add(&offenders, SLICE("b"), 1);
	assert_int_equal(count_of(&offenders, "b"), 2);
}

static void a_crowd_of_new_names_leaves_the_frequent(void **state)
{
	static struct offenders offenders;

	(void)state;
	add_numbered(&offenders, 0, 100);
	for (unsigned i = 1; i < 10 * OFFENDERS_MAX; i++)
		add_numbered(&offenders, i, 1);
	assert_int_equal(count_of(&offenders, "host0:80"), 100);
	assert_int_equal(count_of(&offenders, "host639:80"), 1);
}

static void long_names_are_cut(void **state)
{
	static struct offenders offenders;
	char name[OFFENDER_NAME_MAX + 11];

	(void)state;
	memset(name, 'x', sizeof(name));
	offenders_add(&offenders, slice_of(name, sizeof(name)), 1);
	offenders_add(&offenders, slice_of(name, OFFENDER_NAME_MAX), 1);
	assert_int_equal(rows_of(&offenders), 1);
	assert_int_equal(strlen(offenders.at[0].name), OFFENDER_NAME_MAX);
	assert_int_equal(offenders.at[0].count, 2);
}

static void tables_are_merged(void **state)
{
	static struct offenders one, two, sum;

	(void)state;
	add_numbered(&one, 1, 1);
	add_numbered(&one, 2, 2);
	add_numbered(&two, 2, 3);
	offenders_merge(&sum, &one);
	offenders_merge(&sum, &two);
	assert_int_equal(count_of(&sum, "host1:80"), 1);
	assert_int_equal(count_of(&sum, "host2:80"), 5);
}

static void a_row_being_written_is_passed_over(void **state)
{
	static struct offenders one, sum;

	(void)state;
	add_numbered(&one, 1, 1);
	add_numbered(&one, 2, 1);
	assert_int_equal(one.at[0].version, 2);
	one.at[0].version++;
	offenders_merge(&sum, &one);
	assert_int_equal(count_of(&sum, "host1:80"), 0);
	assert_int_equal(count_of(&sum, "host2:80"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_counted),
		cmocka_unit_test(the_rarest_makes_way_and_of_equals_the_oldest),
		cmocka_unit_test(the_rarest_makes_way_however_new),
		cmocka_unit_test(a_shorter_name_takes_a_row),
		cmocka_unit_test(a_crowd_of_new_names_leaves_the_frequent),
		cmocka_unit_test(long_names_are_cut),
		cmocka_unit_test(tables_are_merged),
		cmocka_unit_test(a_row_being_written_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
