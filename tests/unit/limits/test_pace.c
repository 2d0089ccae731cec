/* LINKS: */
/* A deadline for bytes that slow ones cannot push out for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/limits/pace.h"

/* 10 s to lose, 100 bytes a second. */
static const struct conf conf = {.body_timeout_ms = 10000, .body_rate = 100};

/* How long one who sends `n` bytes each `pause_ms` lasts, up to an hour. */
static int64_t lasts_ms(const struct conf *with, size_t n, int64_t pause_ms)
{
	struct pace pace = {0};
	int64_t now_ms = 5000, began_ms = now_ms;

	pace_wait(&pace, true, with, now_ms);
	while (now_ms - began_ms < 3600000) {
		if (pace.until_us < (now_ms + pause_ms) * 1000)
			return pace.until_us / 1000 - began_ms;
		now_ms += pause_ms;
		pace_moved(&pace, n, with, now_ms);
		pace_wait(&pace, true, with, now_ms);
	}
	return now_ms - began_ms;
}

static void test_who_keeps_to_the_rate(void **state)
{
	(void)state;
	assert_int_equal(lasts_ms(&conf, 100, 1000), 3600000);
	assert_int_equal(lasts_ms(&conf, 1, 10), 3600000);
	assert_int_equal(lasts_ms(&conf, 900, 9000), 3600000);
}

static void test_who_is_slower(void **state)
{
	int64_t half, tenth;

	(void)state;
	half = lasts_ms(&conf, 50, 1000);
	tenth = lasts_ms(&conf, 10, 1000);
	assert_in_range(half, 18000, 20000);
	assert_in_range(tenth, 10000, 11200);
	assert_int_equal(lasts_ms(&conf, 0, 1000), 10000);
	assert_int_equal(lasts_ms(&conf, 1000000, 10001), 10000); /* bytes that come too late */
}

static void test_without_a_rate_each_byte_counts_whole(void **state)
{
	struct conf any = {.body_timeout_ms = 10000, .body_rate = 0};

	(void)state;
	assert_int_equal(lasts_ms(&any, 1, 10000), 3600000);
	assert_int_equal(lasts_ms(&any, 1, 10001), 10000);
	assert_int_equal(lasts_ms(&any, 0, 100), 10000);
}

static void test_nothing_is_saved_up(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_wait(&pace, true, &conf, 1000);
	pace_moved(&pace, 1 << 30, &conf, 1000);
	assert_int_equal(pace_left_ms(&pace, 1000), 10000);
	assert_int_equal(pace_left_ms(&pace, 20000), 1);
}

static void test_waiting_begins_anew(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_moved(&pace, 100, &conf, 1000); /* nothing was waited for */
	assert_int_equal(pace.until_us, 0);
	pace_wait(&pace, true, &conf, 1000);
	pace_wait(&pace, true, &conf, 9000); /* still the same wait */
	assert_int_equal(pace_left_ms(&pace, 9000), 2000);
	pace_wait(&pace, false, &conf, 9000);
	pace_wait(&pace, true, &conf, 9000);
	assert_int_equal(pace_left_ms(&pace, 9000), 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_keeps_to_the_rate),
		cmocka_unit_test(test_who_is_slower),
		cmocka_unit_test(test_without_a_rate_each_byte_counts_whole),
		cmocka_unit_test(test_nothing_is_saved_up),
		cmocka_unit_test(test_waiting_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
