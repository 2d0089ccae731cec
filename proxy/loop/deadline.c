/*
 * Deadlines on libev's timers, lazily re-armed; what is waited for is looked at before they pass.
 */
#include "proxy/loop/deadline.h"

#include <assert.h>
#include <stddef.h>

#define NEVER INT64_MAX

static struct ev_loop *loop;
static int64_t turn_monotonic_ms; /* when the turn began; 0 before the first */
static int64_t now_ms;

void deadlines_setup(struct ev_loop *ev_loop)
{
	loop = ev_loop;
	turn_monotonic_ms = 0;
}

int64_t deadlines_advance(int64_t monotonic_ms)
{
	int64_t passed_ms = monotonic_ms - turn_monotonic_ms;

	if (turn_monotonic_ms == 0)
		now_ms = monotonic_ms;
	else if (passed_ms > 0)
		now_ms += passed_ms < DEADLINE_TURN_MAX_MS ? passed_ms : DEADLINE_TURN_MAX_MS;
	turn_monotonic_ms = monotonic_ms;
	return now_ms;
}

int64_t deadlines_now_ms(void)
{
	return now_ms;
}

static void arm(struct deadline *deadline, int64_t at_ms)
{
	int64_t left_ms = at_ms - now_ms;

	ev_timer_stop(loop, &deadline->timer);
	ev_timer_set(&deadline->timer, left_ms > 0 ? (ev_tstamp)left_ms / 1000 : 0, 0);
	ev_timer_start(loop, &deadline->timer);
	deadline->armed_ms = at_ms;
}

/* True when it is not to pass yet: something was there. */
static bool look(struct deadline *deadline)
{
	if (deadline->kind->look == NULL || deadline->looks >= DEADLINE_LOOKS)
		return false;
	deadline->looks++;
	if (!deadline->kind->look(deadline->timer.data))
		return false;
	if (deadline->at_ms <= now_ms && !ev_is_active(&deadline->timer))
		arm(deadline, now_ms); /* in the next turn, after what it finds */
	return true;
}

static void timer_cb(struct ev_loop *l, struct ev_timer *timer, int revents)
{
	struct deadline *deadline = (struct deadline *)timer;

	(void)l;
	(void)revents;
	if (deadline->at_ms == NEVER)
		return;
	if (deadline->at_ms > now_ms) {
		deadline->looks = 0;
		arm(deadline, deadline->at_ms); /* it has moved on since */
		return;
	}
	if (look(deadline))
		return;
	deadline->at_ms = NEVER;
	deadline->looks = 0;
	deadline->kind->passed(timer->data);
}

void deadline_init(struct deadline *deadline, const struct deadline_kind *kind, void *owner)
{
	_Static_assert(offsetof(struct deadline, timer) == 0, "timer_cb() takes one for the other");
	ev_timer_init(&deadline->timer, timer_cb, 0, 0);
	/* After the events of descriptors that are at hand in the same turn. */
	ev_set_priority(&deadline->timer, EV_MINPRI);
	deadline->timer.data = owner;
	deadline->kind = kind;
	deadline->at_ms = NEVER;
	deadline->looks = 0;
}

void deadline_set(struct deadline *deadline, int64_t ms)
{
	assert(ms >= 0);
	deadline->at_ms = now_ms + ms;
	/* What is set for at once may have passed before, and was looked at then. */
	if (ms > 1)
		deadline->looks = 0;
	if (!ev_is_active(&deadline->timer) || deadline->at_ms < deadline->armed_ms)
		arm(deadline, deadline->at_ms);
}

void deadline_clear(struct deadline *deadline)
{
	deadline->at_ms = NEVER;
}

void deadline_stop(struct deadline *deadline)
{
	deadline->at_ms = NEVER;
	ev_timer_stop(loop, &deadline->timer);
}

bool deadline_is_set(const struct deadline *deadline)
{
	return deadline->at_ms != NEVER;
}
