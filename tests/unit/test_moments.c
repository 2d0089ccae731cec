/* LINKS: cache/moments.c */
/* When keys were invalidated: what was asked for before and after. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "cache/moments.h"

static const struct cache_key a = {{1, 2}}, b = {{2, 2}}, c = {{3, 2}};

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct moments));
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void nothing_is_passed_at_first(void **state)
{
	assert_int_equal(moments_now(*state), 0);
	assert_false(moments_passed(*state, &a, 0));
}

static void what_was_asked_for_before_is_passed(void **state)
{
	struct moments *moments = *state;
	const struct cache_key keys[] = {a, b};
	uint64_t before = moments_now(moments);

	moments_mark(moments, moments_next(moments), keys, 2);
	assert_true(moments_passed(moments, &a, before));
	assert_true(moments_passed(moments, &b, before));
	assert_false(moments_passed(moments, &c, before));
	assert_false(moments_passed(moments, &a, moments_now(moments)));
}

/* Two processes take their moments in one order, and mark in the other. */
static void a_mark_never_goes_back(void **state)
{
	struct moments *moments = *state;
	uint64_t first = moments_next(moments), second = moments_next(moments);

	moments_mark(moments, second, &a, 1);
	moments_mark(moments, first, &a, 1);
	assert_true(moments_passed(moments, &a, first));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_passed_at_first),
		TEST(what_was_asked_for_before_is_passed),
		TEST(a_mark_never_goes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
