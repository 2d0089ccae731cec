/* The steady clock: follows the wall clock forwards, and never back. */
#include "cache/store/steady_clock.h"

/* Relaxed: each word is independent, and a slightly old value is good enough. */
#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

/* Whole seconds, rounded down also before the epoch. */
static int64_t seconds_of(int64_t ms)
{
	return ms / 1000 - (ms % 1000 < 0);
}

int64_t clock_read(struct store_clock *state, int64_t wall_ms, struct http_clock *ret_now)
{
	int64_t latest_ms = LOAD(state->latest_ms);
	int64_t steady_ms = wall_ms + LOAD(state->lead_ms);
	int64_t back_ms = 0;

	if (steady_ms < latest_ms - CLOCK_STEP_BACK_MS) {
		back_ms = latest_ms - steady_ms;
		STORE(state->lead_ms, latest_ms - wall_ms);
		steady_ms = latest_ms;
	}
	if (steady_ms > latest_ms)
		store_clock_raise(&state->latest_ms, steady_ms);
	else
		steady_ms = latest_ms;
	*ret_now = (struct http_clock){.wall_s = seconds_of(wall_ms),
				       .steady_ms = steady_ms,
				       .restored_ms = LOAD(state->restored_ms)};
	return back_ms;
}

/* The state has the steady time alone: the wall clock is that less its lead. */
struct http_clock clock_latest(const struct store_clock *state)
{
	int64_t steady_ms = LOAD(state->latest_ms);

	return (struct http_clock){.wall_s = seconds_of(steady_ms - LOAD(state->lead_ms)),
				   .steady_ms = steady_ms,
				   .restored_ms = LOAD(state->restored_ms)};
}
