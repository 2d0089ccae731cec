/* The master: starts, watches, replaces and drains workers. */
#include "proxy/process/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "cache/store/store.h"
#include "proxy/loop/deadline.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/limits/holdings.h"
#include "proxy/process/listener_rows.h"
#include "proxy/process/master_impl.h"
#include "proxy/process/notify.h"
#include "proxy/process/terminal.h"
#include "proxy/process/worker.h"

enum {
	STEADY_MS = 5000,   /* who lived so long did not die at once */
	DELAY_MIN_MS = 50,  /* before a third start in a row; doubled for each one more */
	DELAY_MAX_MS = 800, /* with the start itself: within a second */
	STARTS_MAX = 5,     /* failed starts in a row, for each worker */
	LOOK_MS = 1000,     /* between two looks for workers that hang */
	FINISH_MS = 1000,   /* to end when all are replaced: nobody is served meanwhile */
};

/* ---- the worker's side ---------------------------------------------------------------------- */

/* Only what is its own stays open: a socket that nobody accepts from would hold connections. */
static bool close_others(struct master *master, const struct generation *own,
			 struct listener *ret_listener, unsigned index)
{
	const struct generation *both[] = {master->now, master->next};

	close(master->signals);
	close(master->started[0]);
	if (!generation_sockets(own, index, ret_listener))
		return false;
	for (unsigned i = 0; i < 2; i++)
		if (both[i] != NULL)
			generation_close_others(both[i], both[i] == own, ret_listener);
	return true;
}

static int run_worker(struct master *master, struct member *own, pid_t parent)
{
	const struct generation *generation =
		own->generation == master->now->number ? master->now : master->next;
	struct listener listener = {0};
	pid_t pid = getpid();
	struct diagnostic error = {"worker: out of memory"};
	struct worker *worker = NULL;
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return EXIT_FAILURE; /* killed before that took effect */
	generation_set_log_level(generation->conf);
	if (close_others(master, generation, &listener, own->index))
		worker = worker_new(generation, master->shared, (unsigned)(own - master->members),
				    &listener, &error);
	if (worker == NULL) {
		log_error("%s", error.text);
		return EXIT_FAILURE;
	}
	if (write(master->started[1], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
		log_error("cannot tell the first process that this worker serves: %s",
			  strerror(errno));
	/* What came meanwhile is handled now, and not by the default action. */
	sigprocmask(SIG_SETMASK, &master->mask_before, NULL);
	status = worker_run(worker);
	worker_free(worker);
	free(listener.at);
	return status;
}

/* ---- stopping ------------------------------------------------------------------------------- */

void master_signal_all(const struct master *master, int number)
{
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].pid != 0)
			kill(master->members[i].pid, number);
}

/* Connections are refused from here on: workers close their copies of the sockets, too. */
static void stop(struct master *master, int status)
{
	master->stopping = true;
	master->replacing = master->hurried = false;
	master->status = status;
	master->kill_ms = master->now_ms + master->now->conf->drain_delay_ms +
			  master->now->conf->drain_timeout_ms + MASTER_GRACE_MS;
	notify_stopping("going down", master->kill_ms + MASTER_HURRY_MS - master->now_ms);
	generation_free(master->next, master->now);
	master->next = NULL;
	generation_close(master->now, NULL);
	master_signal_all(master, SIGTERM);
	copier_stop(&master->copier);
}

static void hurry(struct master *master)
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
static bool is_done(const struct master *master)
{
	return master->stopping && !any_left(master) &&
	       (!copier_is_busy(&master->copier) || master->now_ms >= master->kill_ms);
}

static void kill_late(struct master *master)
{
	if (!master->stopping || master->now_ms < master->kill_ms || !any_left(master))
		return;
	log_error("killing workers that have not ended in time");
	master->status = EXIT_FAILURE;
	master->kill_ms = master->now_ms + MASTER_HURRY_MS;
	master_signal_all(master, SIGKILL);
}

/* ---- replacing all -------------------------------------------------------------------------- */

/*
 * The store's files are not what its path names (store_hold.h).  Requests in flight have a moment
 * to end; connections that come wait in the sockets.
 */
static void replace_all(struct master *master)
{
	if (master->replacing || master->stopping ||
	    !store_hold_again(&master->shared->hold, master->now->conf->store))
		return;
	log_error("store: %s: files were removed or exchanged, all workers are replaced",
		  master->now->conf->store);
	master_give_up_next(master,
			    "the store's files were removed or exchanged meanwhile: try again");
	master->replacing = true;
	master->hurried = false;
	master->kill_ms = master->now_ms + FINISH_MS;
	master_signal_all(master, SIGTERM);
	copier_cancel(&master->copier);
}

static void hurry_replaced(struct master *master)
{
	if (!master->replacing || master->now_ms < master->kill_ms)
		return;
	master_signal_all(master, master->hurried ? SIGKILL : SIGQUIT);
	master->hurried = true;
	master->kill_ms = master->now_ms + MASTER_HURRY_MS;
}

/* All have ended: no process has the old store open. */
static void start_all(struct master *master)
{
	if (!master->replacing || any_left(master))
		return;
	master->replacing = false;
	master->hurried = false;
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].generation == master->now->number)
			master->members[i].due_ms = master->now_ms;
}

/*
 * A start failed.  True when the service cannot go on: a worker that ended by itself before the
 * service was up has said why (`told`), and would say it again.
 */
static bool give_up(struct master *master, bool told)
{
	bool too_often = ++master->failed_starts >= STARTS_MAX * master->now->conf->workers;

	if (master->greeted ? !too_often || master->shared->service.alive > 0 : !too_often && !told)
		return false;
	log_error("workers cannot start, giving up: the lines before say why");
	stop(master, EXIT_FAILURE);
	return true;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
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
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0)
		exit(run_worker(master, member, parent));
	member->started_ms = master->now_ms;
	member->due_ms = NEVER;
	if (pid > 0) {
		member->pid = pid;
		return;
	}
	if (master->next != NULL && member->generation == master->next->number) {
		master_give_up_next(master, "a worker cannot be started: the log says why");
		return;
	}
	log_error("cannot start a worker: %s%s", strerror(errno),
		  errno == EAGAIN ? ": raise the limit of processes (TasksMax, ulimit -u)" : "");
	if (!give_up(master, false))
		schedule(master, member);
}

static void start_due(struct master *master)
{
	start_all(master);
	for (unsigned i = 0; i < master->count && !master->stopping; i++) {
		if (master->members[i].due_ms > master->now_ms || master->replacing)
			continue;
		if (!store_lock_in_place(master->now->conf->store, master->shared->hold.lock))
			replace_all(master);
		if (!master->replacing)
			start(master, &master->members[i]);
	}
}

void master_count_alive(struct master *master)
{
	unsigned alive = 0;

	for (unsigned i = 0; i < master->count; i++)
		alive += master->members[i].ready &&
			 master->members[i].generation == master->now->number;
	atomic_store_explicit(&master->shared->service.alive, alive, memory_order_relaxed);
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
		member->retired = true;
		return;
	}
	member->ready = true;
	member->turned_ms = master->now_ms;
	master->look_ms = sooner(master->look_ms, master->now_ms);
	master->failed_starts = 0;
	master_count_alive(master);
	if (master->next != NULL && member->generation == master->next->number)
		master_take_over(master);
	if (master->greeted || master->stopping)
		return;
	start_others(master);
	if (master->shared->service.alive == master->now->conf->workers) {
		master->greeted = true;
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

static void note_started(struct master *master)
{
	pid_t pid;

	while (read(master->started[0], &pid, sizeof(pid)) == (ssize_t)sizeof(pid)) {
		struct member *member = pid == 0 ? NULL : find_member(master, abs(pid));

		if (pid == 0)
			master->reload = true;
		else if (member != NULL && pid > 0)
			member_serves(master, member);
		else if (member != NULL)
			replace_all(master);
	}
}

/* ---- replacing ------------------------------------------------------------------------------ */

static void tell_end(const struct member *member, int status)
{
	if (WIFSIGNALED(status))
		log_error("worker %d died of signal %d (%s), and is replaced", (int)member->pid,
			  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error("worker %d ended with status %d, and is replaced", (int)member->pid,
			  WEXITSTATUS(status));
}

static void member_ended(struct master *master, struct member *member, int status)
{
	bool failed = !member->ready;
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
	unsigned block = (unsigned)(member - master->members);

	/* Its descriptors are closed: what it held is there for others. */
	holdings_clear(master->shared->holdings, block);
	stats_reset_gauges(&master->shared->service.blocks[block]);
	if (member->generation != master->now->number) {
		master_other_ended(master, member, status);
		return;
	}
	if (!master->stopping && !master->replacing && !(failed && WIFEXITED(status)))
		tell_end(member, status);
	member->pid = 0;
	member->ready = false;
	master_count_alive(master);
	if (master->stopping) {
		if (!well && !master->hurried)
			master->status = EXIT_FAILURE;
		return;
	}
	if (master->replacing)
		member->due_ms = master->now_ms;
	else if (!failed || !give_up(master, WIFEXITED(status)))
		schedule(master, member);
}

static void reap(struct master *master)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct member *member = find_member(master, pid);

		if (member != NULL)
			member_ended(master, member, status);
		else
			copier_ended(&master->copier, pid, status, master->now_ms);
	}
}

/* ---- those that hang ------------------------------------------------------------------------ */

/* All have their time anew. */
static void turned_all(struct master *master, int64_t now_ms)
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
static void look_for_hung(struct master *master)
{
	int64_t timeout_ms = master->now->conf->watchdog_timeout_ms;
	struct member *first = NULL;

	if (master->now_ms < master->look_ms)
		return;
	master->look_ms = master->now_ms + LOOK_MS;
	for (unsigned i = 0; i < master->count; i++) {
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
	turned_all(master, master->now_ms);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void note_signal(struct master *master, int number)
{
	if (number == SIGCHLD)
		return; /* reap() looks each time */
	if (number == SIGHUP && !terminal_is_gone()) {
		master->reload = true;
		return;
	}
	if (number == SIGUSR1) {
		master_signal_all(master, SIGUSR1);
		log_info("workers reopen their logs (SIGUSR1)");
		return;
	}
	if (master->stopping) {
		hurry(master);
		return;
	}
	log_info("%s: going down, what is in flight has %lld ms to finish", log_signal_name(number),
		 (long long)master->now->conf->drain_timeout_ms);
	stop(master, EXIT_SUCCESS);
}

static void note_signals(struct master *master)
{
	struct signalfd_siginfo info;

	while (read(master->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		note_signal(master, (int)info.ssi_signo);
	}
}

static int wait_ms(const struct master *master)
{
	bool ending = master->stopping || master->replacing;
	int64_t next = ending ? master->kill_ms : copier_due_ms(&master->copier);

	if (master->next != NULL)
		next = sooner(next, master->next_ms);
	next = sooner(next, master->retire_ms);
	for (unsigned i = 0; i < master->count; i++) {
		if (!ending)
			next = sooner(next, master->members[i].due_ms);
		next = sooner(next, master->members[i].kill_ms);
	}
	next = sooner(next, master->look_ms);
	if (next == NEVER)
		return -1;
	return next > master->now_ms ? (int)(next - master->now_ms) : 0;
}

/*
 * The clock of this process's deadlines.  When it is back much later than it wanted, the process
 * was stopped or the machine frozen, and so were the workers: that is not their time (deadline.h).
 */
static void read_clock(struct master *master, int64_t due_ms)
{
	int64_t now_ms = monotonic_us() / 1000 - master->still_ms;

	if (now_ms - due_ms > DEADLINE_TURN_MAX_MS) {
		master->still_ms += now_ms - due_ms - DEADLINE_TURN_MAX_MS;
		now_ms = due_ms + DEADLINE_TURN_MAX_MS;
		turned_all(master, now_ms);
	}
	master->now_ms = now_ms;
}

/* Until a signal, a worker's word, or the next that is due. */
static void wait_for_any(struct master *master)
{
	struct pollfd fds[] = {
		{.fd = master->signals, .events = POLLIN},
		{.fd = master->started[0], .events = POLLIN},
	};
	int ms = wait_ms(master), watchdog_ms = notify_watchdog();

	if (watchdog_ms >= 0 && (ms < 0 || watchdog_ms < ms))
		ms = watchdog_ms;
	poll(fds, sizeof(fds) / sizeof(fds[0]), ms);
	read_clock(master, ms < 0 ? NEVER : master->now_ms + ms);
}

static void watch(struct master *master)
{
	master->now_ms = monotonic_us() / 1000;
	while (!is_done(master)) {
		master_begin_reload(master);
		start_due(master);
		if (!master->stopping)
			copier_turn(&master->copier, master->now_ms);
		wait_for_any(master);
		note_started(master);
		note_signals(master);
		reap(master);
		kill_late(master);
		hurry_replaced(master);
		master_end_late_others(master);
		master_finish_reload(master);
		look_for_hung(master);
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool take_signals(struct master *master)
{
	sigset_t mask;

	signal(SIGCHLD, SIG_DFL); /* who started us may have ignored it, and then none is told */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &mask, &master->mask_before) != 0)
		return false;
	master->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return master->signals >= 0;
}

struct master *master_new(struct generation *first, const struct generation_source *source,
			  struct worker_shared *shared)
{
	struct master *master = calloc(1, sizeof(*master));
	unsigned count = conf_worker_slots(first->conf);

	if (master == NULL)
		return NULL;
	*master = (struct master){
		.source = source,
		.now = first,
		.shared = shared,
		.count = count,
		.members = calloc(count, sizeof(*master->members)),
		.signals = -1,
		.started = {-1, -1},
		.retire_ms = NEVER,
		.look_ms = NEVER,
	};
	if (master->members == NULL) {
		free(master);
		return NULL;
	}
	listener_rows_give(first, &shared->service.listeners);
	for (unsigned i = 0; i < count; i++)
		master_free_place(&master->members[i]);
	master_take_places(master, first, NEVER); /* none is taken yet */
	return master;
}

static bool set_up(struct master *master, struct diagnostic *error)
{
	copier_init(&master->copier, master->now->conf, &master->shared->service.copies,
		    monotonic_us() / 1000);
	if (take_signals(master) && pipe2(master->started, O_NONBLOCK | O_CLOEXEC) == 0) {
		master->shared->to_master = master->started[1];
		return true;
	}
	diagnostic_set(error, "workers: cannot watch them: %s", strerror(errno));
	return false;
}

int master_run(struct master *master,
	       void (*ready)(const struct conf *conf, const struct listener *first))
{
	struct diagnostic error = {""};

	master->ready = ready;
	if (!set_up(master, &error)) {
		log_error("%s", error.text);
		return EXIT_FAILURE;
	}
	watch(master);
	return master->status;
}

void master_free(struct master *master)
{
	generation_free(master->now, NULL);
	free(master->members);
	free(master);
}
