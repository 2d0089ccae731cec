/* How long to wait for another's fetch, and at what pace to give up waiting. */
#include "proxy/exchange/collapse.h"

int64_t collapse_wait_ms(const struct conf *conf, bool proved)
{
	int64_t cold_ms = conf->collapse_cold_timeout_ms;

	return proved || cold_ms > conf->collapse_timeout_ms ? conf->collapse_timeout_ms : cold_ms;
}

int64_t collapse_due_ms(const struct conf *conf, const struct collapse_wait *wait)
{
	int64_t due_ms = wait->oldest_ms + collapse_wait_ms(conf, wait->proved);
	int64_t paced_ms = wait->let_go_ms + COLLAPSE_STEP_MS;

	return !wait->proved && wait->let_go_ms != 0 && paced_ms > due_ms ? paced_ms : due_ms;
}

unsigned collapse_let_go(const struct conf *conf, const struct collapse_wait *wait, int64_t now_ms)
{
	int64_t left_ms = wait->oldest_ms + conf->collapse_timeout_ms - now_ms;

	if (wait->proved || left_ms <= COLLAPSE_STEP_MS)
		return wait->waiting;
	return (unsigned)(((int64_t)wait->waiting * COLLAPSE_STEP_MS + left_ms - 1) / left_ms);
}
