/* LINKS: cache/store */
/* The steady clock while the wall clock is set about. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/store/steady_clock.h"

#define NOW_MS ((int64_t)1939639200123)
#define HOUR_MS ((int64_t)3600000)
#define DECADE_MS (10 * 365 * 24 * HOUR_MS)

/* Reads the wall clock; the steady clock must not have gone back. */
static struct http_clock tick(struct store_clock *state, int64_t wall_ms, int64_t back_ms)
{
	int64_t before_ms = state->latest_ms;
	struct http_clock now;

	assert_int_equal(clock_read(state, wall_ms, &now), back_ms);
	assert_true(now.steady_ms >= before_ms);
	assert_int_equal(now.steady_ms, state->latest_ms);
	assert_int_equal(now.wall_s, wall_ms / 1000);
	return now;
}

static void it_is_the_wall_clock_at_first(void **state)
{
	struct store_clock clock = {0};

	(void)state;
	assert_int_equal(tick(&clock, NOW_MS, 0).steady_ms, NOW_MS);
	assert_int_equal(tick(&clock, NOW_MS + 5, 0).steady_ms, NOW_MS + 5);
	assert_int_equal(clock.lead_ms, 0);
}

static void it_follows_a_step_forward(void **state)
{
	struct store_clock clock = {0};

	(void)state;
	tick(&clock, NOW_MS, 0);
	assert_int_equal(tick(&clock, NOW_MS + DECADE_MS, 0).steady_ms, NOW_MS + DECADE_MS);
}

/* A step of any size: time goes on from where it was. */
static void it_goes_on_after_a_step_back(void **state)
{
	static const int64_t steps[] = {CLOCK_STEP_BACK_MS + 1, HOUR_MS, 24 * HOUR_MS, DECADE_MS};

	(void)state;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct store_clock clock = {0};
		int64_t wall_ms = NOW_MS - steps[i];

		tick(&clock, NOW_MS, 0);
		assert_int_equal(tick(&clock, wall_ms, steps[i]).steady_ms, NOW_MS);
		assert_int_equal(clock.lead_ms, steps[i]);
		assert_int_equal(tick(&clock, wall_ms + 7, 0).steady_ms, NOW_MS + 7);
		assert_int_equal(tick(&clock, wall_ms + HOUR_MS, 0).steady_ms, NOW_MS + HOUR_MS);
	}
}

static void a_small_step_back_is_waited_out(void **state)
{
	struct store_clock clock = {0};

	(void)state;
	tick(&clock, NOW_MS, 0);
	assert_int_equal(tick(&clock, NOW_MS - CLOCK_STEP_BACK_MS, 0).steady_ms, NOW_MS);
	assert_int_equal(tick(&clock, NOW_MS - 1, 0).steady_ms, NOW_MS);
	assert_int_equal(tick(&clock, NOW_MS + 1, 0).steady_ms, NOW_MS + 1);
	assert_int_equal(clock.lead_ms, 0);
}

/* Forward by mistake and back again: what came in between stays in the past. */
static void steps_there_and_back_add_up(void **state)
{
	struct store_clock clock = {0};

	(void)state;
	tick(&clock, NOW_MS, 0);
	tick(&clock, NOW_MS + DECADE_MS, 0);
	assert_int_equal(tick(&clock, NOW_MS + 10, DECADE_MS - 10).steady_ms, NOW_MS + DECADE_MS);
	assert_int_equal(tick(&clock, NOW_MS + HOUR_MS, 0).steady_ms,
			 NOW_MS + DECADE_MS + HOUR_MS - 10);
	assert_int_equal(tick(&clock, NOW_MS, HOUR_MS).steady_ms,
			 NOW_MS + DECADE_MS + HOUR_MS - 10);
}

/* The state is kept beside the store: a clock set back while nothing ran is seen as well. */
static void it_survives_a_restart(void **state)
{
	struct store_clock before = {0}, after;

	(void)state;
	tick(&before, NOW_MS, 0);
	after = before;
	assert_int_equal(tick(&after, NOW_MS - HOUR_MS, HOUR_MS).steady_ms, NOW_MS);
}

/* Of two processes one sees the step, and both go on from there. */
static void two_processes_agree(void **state)
{
	struct store_clock clock = {0};

	(void)state;
	tick(&clock, NOW_MS, 0);
	tick(&clock, NOW_MS - HOUR_MS, HOUR_MS);
	assert_int_equal(tick(&clock, NOW_MS - HOUR_MS, 0).steady_ms, NOW_MS);
	assert_int_equal(tick(&clock, NOW_MS - HOUR_MS + 3, 0).steady_ms, NOW_MS + 3);
}

static void seconds_before_the_epoch_are_counted_down(void **state)
{
	struct store_clock clock = {.lead_ms = -5000, .latest_ms = -5000};
	struct http_clock now;

	(void)state;
	clock_read(&clock, -1, &now);
	assert_int_equal(now.wall_s, -1);
	clock_read(&clock, -1000, &now);
	assert_int_equal(now.wall_s, -1);
	clock_read(&clock, -1001, &now);
	assert_int_equal(now.wall_s, -2);
}

/* What the store says of its copy is told to the rules, and changes no time. */
static void restored_records_are_recognised(void **state)
{
	struct store_clock clock = {.latest_ms = NOW_MS + 1, .restored_ms = NOW_MS};
	struct http_clock now = tick(&clock, NOW_MS - 10, 0);

	(void)state;
	assert_int_equal(now.restored_ms, NOW_MS);
	assert_true(now.steady_ms > now.restored_ms);
	now = tick(&clock, NOW_MS - HOUR_MS, HOUR_MS + 1);
	assert_true(now.steady_ms > now.restored_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_wall_clock_at_first),
		cmocka_unit_test(it_follows_a_step_forward),
		cmocka_unit_test(it_goes_on_after_a_step_back),
		cmocka_unit_test(a_small_step_back_is_waited_out),
		cmocka_unit_test(steps_there_and_back_add_up),
		cmocka_unit_test(it_survives_a_restart),
		cmocka_unit_test(two_processes_agree),
		cmocka_unit_test(seconds_before_the_epoch_are_counted_down),
		cmocka_unit_test(restored_records_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
