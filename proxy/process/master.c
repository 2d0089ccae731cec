/* The master: its loop, its signals, its clock. */
#include "proxy/process/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "proxy/loop/deadline.h"
#include "proxy/loop/tls_tickets.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/process/listener_rows.h"
#include "proxy/process/master_impl.h"
#include "proxy/process/notify.h"
#include "proxy/process/terminal.h"

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void note_signal(struct master *master, int number)
{
	if (number == SIGCHLD)
		return; /* master_reap() looks each time */
	if (number == SIGHUP && !terminal_is_gone()) {
		master->reload = true;
		return;
	}
	if (number == SIGUSR2) {
		master->upgrade = true;
		return;
	}
	if (number == SIGUSR1) {
		master_signal_all(master, SIGUSR1);
		log_info("workers reopen their logs (SIGUSR1)");
		return;
	}
	if (master->stopping) {
		master_hurry(master);
		return;
	}
	log_info("%s: going down, what is in flight has %lld ms to finish", log_signal_name(number),
		 (long long)master->now->conf->drain_timeout_ms);
	master_stop(master, EXIT_SUCCESS);
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

	if (master_is_done(master))
		return 0; /* no process could be started, so none is waited for */
	/* who is stopping does not go back, and would only turn until its workers have ended */
	if (master->next != NULL ||
	    (master->before != NULL && !master->greeted && !master->stopping))
		next = sooner(next, master->next_ms);
	next = sooner(next, master->retire_ms);
	if (master->trial.pid != 0)
		next = sooner(next, master->trial.due_ms);
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
		master_turned_all(master, now_ms);
	}
	master->now_ms = now_ms;
}

/* Until a signal, a worker's word, or the next that is due. */
static void wait_for_any(struct master *master)
{
	struct pollfd fds[] = {
		{.fd = master->signals, .events = POLLIN},
		{.fd = master->started[0], .events = POLLIN},
		{.fd = master->trial.pid != 0 ? master->trial.report : -1, .events = POLLIN},
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
	while (!master_is_done(master)) {
		tls_tickets_turn();
		master_begin_reload(master);
		master_begin_upgrade(master);
		master_start_due(master);
		if (!master->stopping)
			copier_turn(&master->copier, master->now_ms);
		wait_for_any(master);
		master_note_words(master);
		note_signals(master);
		master_reap(master);
		master_turn_trial(master);
		master_kill_late(master);
		master_hurry_replaced(master);
		master_end_late_others(master);
		master_finish_reload(master);
		master_look_for_hung(master);
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

sigset_t master_signals(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGQUIT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGUSR2);
	sigaddset(&mask, SIGCHLD);
	return mask;
}

static bool take_signals(struct master *master)
{
	sigset_t mask = master_signals();

	/* The program that started us may have ignored it: then none would come. */
	signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &mask, &master->mask_before) != 0)
		return false;
	/* Blocked by the program before, and not by the one that started that. */
	for (int number = 1; number < SIGRTMIN; number++)
		if (sigismember(&mask, number) == 1)
			sigdelset(&master->mask_before, number);
	master->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	return master->signals >= 0;
}

struct master *master_new(struct generation *first, const struct generation_source *source,
			  struct worker_shared *shared, struct handover *before)
{
	struct master *master = calloc(1, sizeof(*master));
	unsigned count = conf_worker_slots(first->conf);

	if (master == NULL)
		return NULL;
	*master = (struct master){
		.source = source,
		.now = first,
		.last_number = first->number,
		.shared = shared,
		.count = count,
		.slots = count,
		.store_slots = count,
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
	if (before == NULL || master_adopt(master, before))
		return master;
	free(master->members);
	free(master); /* `first` stays the caller's */
	return NULL;
}

/* What there is already: the copy that is made, the pipe of the workers before. */
static void take_over(struct master *master)
{
	const struct handover *before = master->before;

	if (before->kind == HANDOVER_TRIAL) {
		copier_stop(&master->copier);
		return;
	}
	copier_adopt(&master->copier, (pid_t)before->copier, before->copied_s);
	master->started[0] = before->words_in;
	master->started[1] = before->words_out;
}

/* Clients go on with their sessions of TLS when another program takes over. */
static bool begin_tickets(const struct handover *before)
{
	return before != NULL && before->tickets != NULL ? tls_tickets_read(before->tickets)
							 : tls_tickets_begin();
}

bool master_begin(struct master *master, struct diagnostic *error)
{
	copier_init(&master->copier, master->now->conf, &master->shared->service.copies,
		    monotonic_us() / 1000);
	if (!begin_tickets(master->before)) {
		diagnostic_set(error, "no random bytes: %s", strerror(errno));
		return false;
	}
	if (master->before != NULL)
		take_over(master);
	if (take_signals(master) &&
	    (master->started[0] >= 0 || pipe2(master->started, O_NONBLOCK | O_CLOEXEC) == 0)) {
		master->shared->to_master = master->started[1];
		return true;
	}
	diagnostic_set(error, "workers: cannot watch them: %s", strerror(errno));
	return false;
}

int master_run(struct master *master,
	       void (*ready)(const struct conf *conf, const struct listener *first))
{
	master->ready = ready;
	watch(master);
	return master->status;
}

void master_free(struct master *master)
{
	generation_free(master->now, NULL);
	free(master->members);
	free(master);
}
