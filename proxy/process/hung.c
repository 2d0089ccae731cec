/* The master's look at workers that hang. */
#include <signal.h>

#include "proxy/base/log.h"
#include "proxy/process/master_impl.h"

enum { LOOK_MS = 1000 }; /* between two looks */

/* All have their time anew. */
void master_turned_all(struct master *master, int64_t now_ms)
{
	for (unsigned i = 0; i < master->count; i++)
		master->members[i].turned_ms = now_ms;
}

/* When a worker's loop has turned last, as far as it was looked at. */
static void note_turns(struct master *master, struct member *member)
{
	const struct stats *block = &master->shared->service.blocks[member - master->members];
	uint64_t turns = atomic_load_explicit(&block->turns, memory_order_relaxed);

	if (turns != member->turns)
		member->turned_ms = master->now_ms;
	member->turns = turns;
}

/*
 * Once a second.  A loop turns four times a second with nothing to do; the clock is that of the
 * master's deadlines, so a machine that stood still has none that hangs.  One may wait for another
 * that does, so only the first goes, and the others have their time anew.
 */
void master_look_for_hung(struct master *master)
{
	int64_t timeout_ms = master->now->conf->watchdog_timeout_ms;
	struct member *first = NULL;

	if (master->now_ms < master->look_ms)
		return;
	master->look_ms = master->now_ms + LOOK_MS;
	for (unsigned i = 0; i < master->slots; i++) {
		struct member *member = &master->members[i];

		if (!member->ready || member->pid == 0)
			continue;
		note_turns(master, member);
		if (first == NULL || member->turned_ms < first->turned_ms)
			first = member;
	}
	if (first == NULL)
		master->look_ms = NEVER;
	if (first == NULL || timeout_ms == 0 || master->now_ms - first->turned_ms < timeout_ms)
		return;
	log_error("worker %d hangs: its loop has not turned for %lld ms, it is killed",
		  (int)first->pid, (long long)(master->now_ms - first->turned_ms));
	kill(first->pid, SIGKILL);
	master_turned_all(master, master->now_ms);
}
