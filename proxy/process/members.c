/*
 * The master's workers: how they are started, what they say, and how those that die are replaced.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "cache/store/store.h"
#include "proxy/base/log.h"
#include "proxy/limits/holdings.h"
#include "proxy/loop/env.h"
#include "proxy/process/crash.h"
#include "proxy/process/master_impl.h"
#include "proxy/stats/events.h"
#include "proxy/stats/service.h"

enum {
	STEADY_MS = 5000,   /* who lived so long did not die at once */
	DELAY_MIN_MS = 50,  /* before a third start in a row; doubled for each one more */
	DELAY_MAX_MS = 800, /* with the start itself: within a second */
};

/* ---- the worker's side ---------------------------------------------------------------------- */

/* Only what is its own stays open: a socket that is not accepted from would hold connections. */
static bool close_others(struct master *master, const struct generation *own,
			 struct listener *ret_listener, unsigned index)
{
	const struct generation *both[] = {master->now, master->next};
	const struct handover *before = master->before;

	close(master->signals);
	close(master->started[0]);
	if (!generation_sockets(own, index, ret_listener))
		return false;
	for (unsigned i = 0; i < 2; i++)
		if (both[i] != NULL)
			generation_close_others(both[i], both[i] == own, ret_listener);
	for (unsigned i = 0; before != NULL && i < before->set_count; i++)
		for (unsigned j = 0; j < before->sets[i].count; j++)
			close(before->sets[i].at[j].fd);
	return true;
}

/* In a trial it is for the one who tries. */
static void tell_failure(const struct master *master, const char *error)
{
	if (master_is_trial(master))
		dprintf(master->before->report, "%s\n", error);
	else
		log_error("%s", error);
}

/* One of which the master does not know that it serves would be waited for in vain. */
static bool tell_start(const struct master *master)
{
	pid_t pid = getpid();
	ssize_t n;

	do
		n = write(master->started[1], &pid, sizeof(pid));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(pid))
		return true;
	tell_failure(master, "worker: cannot tell the first process that it serves");
	return false;
}

static int run_worker(struct master *master, struct member *own, pid_t parent)
{
	const struct generation *generation =
		own->generation == master->now->number ? master->now : master->next;
	struct listener listener = {0};
	struct diagnostic error = {"worker: out of memory"};
	struct worker *worker = NULL;
	int status = EXIT_FAILURE;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return EXIT_FAILURE; /* killed before that took effect */
	if (!master_is_trial(master))
		generation_set_log_level(generation->conf);
	if (close_others(master, generation, &listener, own->index))
		worker = worker_new(generation, master->shared, (unsigned)(own - master->members),
				    &listener, &error);
	if (worker == NULL) {
		tell_failure(master, error.text);
	} else if (tell_start(master)) {
		/* What came meanwhile is handled now, and not by the default action. */
		sigprocmask(SIG_SETMASK, &master->mask_before, NULL);
		status = worker_run(worker);
	}
	worker_free(worker);
	free(listener.at);
	return status;
}

/* ---- starting ------------------------------------------------------------------------------- */

/* Starting it failed, or it died: when is the next? */
static void schedule(const struct master *master, struct member *member)
{
	int64_t delay = 0;

	if (master->now_ms - member->started_ms >= STEADY_MS)
		member->at_once = 0;
	else
		member->at_once++;
	for (unsigned i = 1; i < member->at_once && delay < DELAY_MAX_MS; i++)
		delay = delay == 0 ? DELAY_MIN_MS : delay * 2;
	member->due_ms = master->now_ms + (delay < DELAY_MAX_MS ? delay : DELAY_MAX_MS);
}

static void start(struct master *master, struct member *member)
{
	pid_t parent = getpid(), pid;

	assert(member < master->members + master->slots);
	pid = fork();

	if (pid == 0)
		exit(run_worker(master, member, parent));
	member->started_ms = master->now_ms;
	member->due_ms = NEVER;
	if (pid > 0) {
		member->pid = pid;
		return;
	}
	log_error("cannot start a worker: %s%s", strerror(errno),
		  errno == EAGAIN ? ": raise the limit of processes (TasksMax, ulimit -u)" : "");
	if (master->next != NULL && member->generation == master->next->number)
		master_give_up_next(master, "a worker cannot be started: the log says why");
	else if (!master_give_up(master, false))
		schedule(master, member);
}

void master_start_due(struct master *master)
{
	master_start_all(master);
	for (unsigned i = 0; i < master->count && !master->stopping; i++) {
		if (master->members[i].due_ms > master->now_ms || master->replacing)
			continue;
		if (!store_lock_in_place(master->now->conf->store, master->shared->hold.lock))
			master_replace_all(master);
		if (!master->replacing)
			start(master, &master->members[i]);
	}
}

void master_count_alive(struct master *master)
{
	unsigned alive = 0, before;

	for (unsigned i = 0; i < master->count; i++)
		alive += master->members[i].ready &&
			 master->members[i].generation == master->now->number;
	before = atomic_exchange_explicit(&master->shared->service.alive, alive,
					  memory_order_relaxed);
	if (alive == 0 && before > 0)
		master->none_since_ms = master->now_ms;
}

/* The first worker alone judges the store and the options, and says once what is wrong. */
static void start_others(struct master *master)
{
	for (unsigned i = 1; i < master->now->conf->workers; i++)
		if (master->members[i].pid == 0 && master->members[i].started_ms == 0)
			master->members[i].due_ms = master->now_ms;
}

static void member_serves(struct master *master, struct member *member)
{
	if (member->generation < master->now->number) {
		/* it was being started when others took over, or has retired since */
		if (member->ready)
			member->retired = true;
		else
			kill(member->pid, WORKER_RETIRE);
		member->ready = true;
		member->turned_ms = master->now_ms;
		return;
	}
	member->ready = true;
	member->turned_ms = master->now_ms;
	if (master->look_ms > master->now_ms)
		master->look_ms = master->now_ms;
	master->failed_starts = 0;
	master_count_alive(master);
	if (master->next != NULL && member->generation == master->next->number)
		master_take_over(master);
	if (master->greeted || master->stopping)
		return;
	start_others(master);
	if (master->shared->service.alive < master->now->conf->workers)
		return;
	if (master->before != NULL) {
		master_begin_service(master);
	} else {
		master->greeted = true;
		events_add(master->shared->service.events, EVENT_START, "started, workers: %u",
			   master->now->conf->workers);
		master_notify_serving(master, "");
		master->ready(master->now->conf, &master->now->sets[0]);
	}
}

static struct member *find_member(struct master *master, pid_t pid)
{
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].pid == pid)
			return &master->members[i];
	return NULL;
}

void master_note_words(struct master *master)
{
	pid_t pid;

	while (read(master->started[0], &pid, sizeof(pid)) == (ssize_t)sizeof(pid)) {
		bool wish = pid == ENV_ASKS_RELOAD || pid == ENV_ASKS_UPGRADE;
		struct member *member = wish ? NULL : find_member(master, abs(pid));

		if (pid == ENV_ASKS_RELOAD)
			master->reload = true;
		else if (pid == ENV_ASKS_UPGRADE)
			master->upgrade = true;
		else if (member != NULL && pid > 0)
			member_serves(master, member);
		else if (member != NULL)
			master_replace_all(master);
	}
}

/* ---- replacing ------------------------------------------------------------------------------ */

static void tell_end(const struct master *master, const struct member *member, int status,
		     bool last)
{
	const char *then = last ? "" : ", and is replaced";
	char text[128];

	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "worker %d died of signal %d (%s)%s", (int)member->pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)), then);
	else
		snprintf(text, sizeof(text), "worker %d ended with status %d%s", (int)member->pid,
			 WEXITSTATUS(status), then);
	log_error("%s", text);
	events_add(master->shared->service.events, EVENT_WORKER, "%s", text);
}

static void member_ended(struct master *master, struct member *member, int status)
{
	bool failed = !member->ready;
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
	unsigned block = (unsigned)(member - master->members);

	/* Its descriptors are closed: what it held is there for others. */
	if (block < master->slots) {
		holdings_clear(master->shared->holdings, block);
		stats_service_clear(&master->shared->service, block, member->pid);
	}
	if (block >= master->slots || member->generation != master->now->number) {
		master_other_ended(master, member, status);
		return;
	}
	if (!master->stopping && !master->replacing && !(failed && WIFEXITED(status)))
		tell_end(master, member, status, failed && master_is_last_start(master, false));
	member->pid = 0;
	member->ready = false;
	master_count_alive(master);
	if (WIFSIGNALED(status) && crash_is(WTERMSIG(status)))
		master_note_crash(master);
	if (master->stopping) {
		if (!well && !master->hurried)
			master->status = EXIT_FAILURE;
		return;
	}
	if (master->replacing)
		member->due_ms = master->now_ms;
	else if (!failed || !master_give_up(master, WIFEXITED(status)))
		schedule(master, member);
}

void master_reap(struct master *master)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct member *member = find_member(master, pid);

		if (member != NULL)
			member_ended(master, member, status);
		else if (!master_trial_ended(master, pid, status))
			copier_ended(&master->copier, pid, status, master->now_ms);
	}
}
