/* The clocks of a turn, tasks of this one and of those to come, and shares of it. */
#include "proxy/loop/turn.h"

#include <limits.h>

#include "cache/store/steady_clock.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/wall_clock.h"
#include "proxy/loop/deadline.h"
#include "proxy/stats/stats.h"

enum {
	ROUNDS_MAX = 16, /* of tasks that queue tasks, before the loop goes round */
	LATER_MAX = 16,  /* tasks that were put off, in one turn */
	LATER_US = 2000, /* and no more of them when the turn has taken so long */
	SHARE_CLOCK_STEPS = 16,
	SHARE_US = 1000,
};

static void queue_add(struct task_queue *queue, struct task *task)
{
	if (task_is_queued(task))
		return;
	task->next = task;
	*queue->end = task;
	queue->end = &task->next;
	queue->count++;
}

static void queue_run_first(struct task_queue *queue)
{
	struct task *task = queue->first;

	if (--queue->count > 0)
		queue->first = task->next;
	else
		queue->end = &queue->first;
	task->next = NULL;
	task->run(task->owner);
}

void turn_init(struct turn *turn)
{
	*turn = (struct turn){.number = 1, .steps_max = UINT_MAX};
	turn->soon.end = &turn->soon.first;
	turn->later.end = &turn->later.first;
}

void turn_read_clocks(struct turn *turn)
{
	int64_t back_ms = clock_read(turn->steady, wall_clock_ms(), &turn->now);

	if (back_ms > 0)
		log_info("the clock was set back by %lld s", (long long)back_ms / 1000);
	turn->now_us = monotonic_us();
	turn->now_ms = deadlines_advance(turn->now_us / 1000);
}

void turn_begin(struct turn *turn)
{
	turn->number++;
	turn->due = turn->later.count;
}

static void run_soon(struct turn *turn)
{
	for (unsigned round = 0; round < ROUNDS_MAX && turn->soon.count > 0; round++) {
		for (unsigned left = turn->soon.count; left > 0; left--)
			queue_run_first(&turn->soon);
	}
}

bool turn_end(struct turn *turn)
{
	unsigned most = turn->due < LATER_MAX ? turn->due : LATER_MAX;

	run_soon(turn);
	for (unsigned i = 0; i < most; i++) {
		if (i > 0 && monotonic_us() - turn->now_us >= LATER_US)
			break;
		queue_run_first(&turn->later);
	}
	run_soon(turn);
	return turn->soon.count + turn->later.count > 0;
}

void turn_soon(struct turn *turn, struct task *task)
{
	queue_add(&turn->soon, task);
}

void turn_later(struct turn *turn, struct task *task)
{
	queue_add(&turn->later, task);
}

bool share_take(struct share *share, const struct turn *turn, unsigned most)
{
	if (share->turn != turn->number)
		*share = (struct share){.turn = turn->number};
	_Static_assert(SHARE_PIECES <= UINT16_MAX && SHARE_REQUESTS <= UINT16_MAX, "steps");
	if (share->used_up)
		return false;
	if (share->steps >= most || share->steps >= turn->steps_max || share->bytes >= SHARE_BYTES)
		share->used_up = true;
	else if (share->steps > 0 && share->steps % SHARE_CLOCK_STEPS == 0)
		share->used_up = monotonic_us() - turn->now_us >= SHARE_US;
	share->steps += !share->used_up;
	if (share->used_up)
		STATS_ADD(shares_used_up, 1);
	return !share->used_up;
}
