/* The master's ends: of the service, of all workers for another store, of starts that fail. */
#include <signal.h>
#include <stdlib.h>

#include "proxy/base/log.h"
#include "proxy/process/master_impl.h"
#include "proxy/process/notify.h"

enum {
	STARTS_MAX = 5,      /* failed starts in a row, for each worker */
	NONE_MS = 5000,      /* a service without a worker: what it lacks may come back */
	FINISH_MS = 1000,    /* to end when all are replaced: no client is served meanwhile */
	CRASHES_MS = 600000, /* a worker that crashes later has another reason */
	CRASHES_MAX = 4,
};

/* ---- stopping ------------------------------------------------------------------------------- */

void master_signal_all(const struct master *master, int number)
{
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].pid != 0)
			kill(master->members[i].pid, number);
}

/* What is of the program before is removed by that one, if it goes on. */
static void close_sockets(struct master *master)
{
	struct handover *before = master->before;

	generation_close(master->now, master_is_trial(master) ? handover_first_set(before) : NULL);
	if (before == NULL)
		return;
	if (!master_is_trial(master))
		handover_remove_files(before, NULL);
	handover_close_sockets(before);
}

int64_t master_drain_ms(const struct master *master)
{
	const struct conf *conf = master->now->conf;

	return conf->drain_delay_ms + conf->drain_timeout_ms + MASTER_GRACE_MS;
}

/* Connections are refused from here on: workers close their copies of the sockets, too. */
void master_stop(struct master *master, int status)
{
	master->stopping = true;
	master->replacing = master->hurried = false;
	master->status = status;
	master->kill_ms = master->now_ms + master_drain_ms(master);
	notify_stopping("going down", master->kill_ms + MASTER_HURRY_MS - master->now_ms);
	generation_free(master->next, &master->now->sets[0]);
	master->next = NULL;
	close_sockets(master);
	master_signal_all(master, SIGTERM);
	copier_stop(&master->copier);
	master_give_up_trial(master, "the service goes down");
}

void master_hurry(struct master *master)
{
	master->hurried = true;
	master->kill_ms = master->now_ms + MASTER_HURRY_MS;
	master_signal_all(master, SIGQUIT);
}

static bool any_left(const struct master *master)
{
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].pid != 0)
			return true;
	return false;
}

/* A copy's process that was killed may still wait for the disk: not for long. */
bool master_is_done(const struct master *master)
{
	return master->stopping && !any_left(master) && master->trial.pid == 0 &&
	       (!copier_is_busy(&master->copier) || master->now_ms >= master->kill_ms);
}

void master_kill_late(struct master *master)
{
	if (!master->stopping || master->now_ms < master->kill_ms || !any_left(master))
		return;
	log_error("killing workers that have not ended in time");
	master->status = EXIT_FAILURE;
	master->kill_ms = master->now_ms + MASTER_HURRY_MS;
	master_signal_all(master, SIGKILL);
}

/* ---- replacing all -------------------------------------------------------------------------- */

/* Requests in flight have a moment to end; connections that come wait in the sockets. */
static void replace_all(struct master *master, const char *why)
{
	master_give_up_next(master, why);
	master_give_up_trial(master, why);
	master->replacing = true;
	master->hurried = false;
	master->kill_ms = master->now_ms + FINISH_MS;
	master_signal_all(master, SIGTERM);
	copier_cancel(&master->copier);
}

/* The store's files are not what its path names (store_hold.h). */
void master_replace_all(struct master *master)
{
	static const char gone[] =
		"the store's files were removed or exchanged meanwhile: try again";

	if (master_is_trial(master)) {
		if (!master->stopping)
			master_go_back(master, gone);
		return;
	}
	if (master->replacing || master->stopping ||
	    !store_hold_again(&master->shared->hold, master->now->conf->store))
		return;
	log_error("store: %s: files were removed or exchanged, all workers are replaced",
		  master->now->conf->store);
	replace_all(master, gone);
}

/*
 * Only a worker that opens the store alone checks all of it, or begins it anew (cache/store/note.h).  So the second
 * crash and the fourth have all workers replaced.  Where that does not help, the store is not the cause, and it is
 * better that others go on while one dies.  Those of the program before go on as well, until it is known that
 * this one serves.
 */
void master_note_crash(struct master *master)
{
	static const char why[] = "workers crashed meanwhile: try again";

	if (master->replacing || master->stopping || (master->before != NULL && !master->greeted))
		return;
	if (master->now_ms - master->crashed_ms > CRASHES_MS)
		master->crashes = 0;
	master->crashed_ms = master->now_ms;
	master->crashes++;
	if (master->crashes % 2 != 0 || master->crashes > CRASHES_MAX || !any_left(master))
		return;
	log_error("workers crash: all are replaced, and the store is looked at");
	replace_all(master, why);
}

void master_hurry_replaced(struct master *master)
{
	if (!master->replacing || master->now_ms < master->kill_ms)
		return;
	master_signal_all(master, master->hurried ? SIGKILL : SIGQUIT);
	master->hurried = true;
	master->kill_ms = master->now_ms + MASTER_HURRY_MS;
}

/* All have ended: no process has the old store open. */
void master_start_all(struct master *master)
{
	if (!master->replacing || any_left(master))
		return;
	master->replacing = false;
	master->hurried = false;
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].generation == master->now->number)
			master->members[i].due_ms = master->now_ms;
}

/* A service that is up waits for processes, memory or descriptors, which may be lacking for a moment. */
static bool none_for_long(const struct master *master)
{
	return master->shared->service.alive == 0 &&
	       master->now_ms - master->none_since_ms >= NONE_MS;
}

bool master_is_last_start(const struct master *master, bool told)
{
	bool too_often = master->failed_starts + 1 >= STARTS_MAX * master->now->conf->workers;

	return master->greeted ? too_often && none_for_long(master) : too_often || told;
}

bool master_give_up(struct master *master, bool told)
{
	bool last = master_is_last_start(master, told);

	master->failed_starts++;
	if (!last)
		return false;
	if (master->before != NULL) {
		master_go_back(master, master_is_trial(master)
					       ? "a worker could not start"
					       : "a worker could not start: the log says why");
		return true;
	}
	log_error("workers cannot start, giving up: the lines before say why");
	master_stop(master, EXIT_FAILURE);
	return true;
}
