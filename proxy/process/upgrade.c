/* The master's upgrade: another program is tried as a child, and then executed in this process. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/version.h"
#include "proxy/loop/tls_tickets.h"
#include "proxy/process/greeting.h"
#include "proxy/process/handover.h"
#include "proxy/process/master_impl.h"
#include "proxy/process/notify.h"
#include "proxy/process/takeover.h"
#include "proxy/process/terminal.h"
#include "proxy/stats/reload.h"
#include "proxy/stats/events.h"

static char this_version[] = CACHE204_VERSION, in_the_log[] = "the log says why",
	    tickets[TICKETS_TEXT];

enum { TRIAL_MS = 30000 }; /* for the new program to get all ready */

/* ---- what became of it ---------------------------------------------------------------------- */

static void answer(struct master *master, bool ok, const char *text)
{
	master_answer(master, master->shared->service.upgrade, master->upgrade_ticket, ok, text);
}

static void refuse(struct master *master, const char *text)
{
	log_error_lines("upgrade", text);
	log_error("upgrade: refused, version " CACHE204_VERSION " goes on");
	answer(master, false, text);
	master_notify_serving(master, "upgrade refused, the log says why; ");
}

/* ---- handing over --------------------------------------------------------------------------- */

/* Those from a place on. */
static void note_workers(const struct master *master, unsigned first, struct handover *handover)
{
	handover->worker_count = 0;
	for (unsigned i = first; i < master->count; i++) {
		const struct member *member = &master->members[i];

		if (member->pid != 0)
			handover->workers[handover->worker_count++] = (struct handover_worker){
				member->pid, member->generation, member->ready, member->retired};
	}
}

static bool list_workers(const struct master *master, struct handover *handover)
{
	handover->workers = calloc(master->count, sizeof(*handover->workers));
	if (handover->workers == NULL)
		return false;
	note_workers(master, 0, handover);
	return true;
}

/* What a program is to know; texts and sockets stay the master's, the list of workers does not. */
static bool fill(const struct master *master, struct handover *handover, enum handover_kind kind)
{
	const struct generation *now = master->now;
	const struct worker_shared *shared = master->shared;

	handover_init(handover);
	handover->kind = kind;
	handover->path = (char *)(uintptr_t)handover_path();
	handover->version = this_version;
	handover->why = in_the_log; /* unless memory is there to say more */
	tls_tickets_write(tickets);
	handover->tickets = tickets;
	handover->store = now->conf->store;
	handover->user = now->conf->user;
	handover->store_size = (int64_t)now->conf->store_size;
	handover->slots = master->store_slots;
	handover->generation = (int64_t)master->last_number;
	handover->had_terminal = terminal_was_there();
	handover->lock = shared->hold.lock;
	handover->sets = now->sets;
	handover->set_count = now->set_count;
	handover->reload_file = shared->reload_file;
	handover->upgrade_file = shared->upgrade_file;
	handover->reload_asked = (int64_t)reload_asked(shared->service.reload);
	handover->upgrade_asked = (int64_t)master->upgrade_ticket;
	handover->copier = master->copier.pid;
	handover->copied_s =
		atomic_load_explicit(&shared->service.copies.last_s, memory_order_relaxed);
	handover->finish_ms = master_drain_ms(master);
	handover->words_in = master->started[0];
	handover->words_out = master->started[1];
	return kind == HANDOVER_TRIAL || list_workers(master, handover);
}

/* Those that were asked to end at once: when that is up, no program would know it any more. */
static void kill_hurried(const struct master *master)
{
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].pid != 0 && master->members[i].hurried)
			kill(master->members[i].pid, SIGKILL);
}

/* Returns when it cannot be run; `text` is why. */
static void execute(const struct master *master, struct handover *handover, char *text, size_t size)
{
	const char *path = handover_path();

	kill_hurried(master);
	log_info("upgrade: %s takes over", path);
	notify_hand_over();
	handover_execute(handover, path);
	snprintf(text, size, "%.1024s: cannot be run: %s", path, strerror(errno));
	notify_take_back();
	close(handover->program);
}

/* The program that was tried takes this process over; this returns when that is not to be. */
static void hand_over(struct master *master)
{
	const char *path = handover_path();
	char text[RELOAD_TEXT_SIZE];
	struct handover handover;
	struct stat look;

	if (stat(path, &look) != 0 || look.st_ino != master->trial.look.st_ino ||
	    look.st_dev != master->trial.look.st_dev ||
	    look.st_mtim.tv_sec != master->trial.look.st_mtim.tv_sec ||
	    look.st_mtim.tv_nsec != master->trial.look.st_mtim.tv_nsec) {
		snprintf(text, sizeof(text), "%.1024s: was exchanged meanwhile: try again", path);
		refuse(master, text);
		return;
	}
	snprintf(text, sizeof(text), "out of memory");
	if (fill(master, &handover, HANDOVER_START)) {
		/* the file may have been removed, but not from this process */
		handover.program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
		if (handover.program < 0)
			snprintf(text, sizeof(text),
				 "there would be no way back: the running program cannot be "
				 "opened: %s",
				 strerror(errno));
		else
			execute(master, &handover, text, sizeof(text));
	}
	explicit_bzero(tickets, sizeof(tickets));
	free(handover.workers);
	refuse(master, text);
}

/* ---- the trial ------------------------------------------------------------------------------ */

static void run_trial(const struct master *master, int report, pid_t parent)
{
	struct handover handover;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE); /* killed before that took effect */
	fill(master, &handover, HANDOVER_TRIAL);
	handover.words_in = handover.words_out = -1;
	handover.reload_file = handover.upgrade_file = -1;
	handover.report = report;
	handover_execute(&handover, handover.path);
	dprintf(report, "%s: cannot be run: %s\n", handover.path, strerror(errno));
	_exit(EXIT_FAILURE);
}

static bool start_trial(struct master *master, char *text, size_t size)
{
	struct trial *trial = &master->trial;
	const char *path = handover_path();
	pid_t parent = getpid();
	int report[2];

	*trial = (struct trial){.report = -1};
	if (path == NULL || stat(path, &trial->look) != 0) {
		snprintf(text, size, "%.1024s: %s", path != NULL ? path : "the program's path",
			 strerror(path != NULL ? errno : ENOENT));
		return false;
	}
	if (pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0) {
		snprintf(text, size, "cannot make a pipe: %s", strerror(errno));
		return false;
	}
	trial->pid = fork();
	if (trial->pid == 0)
		run_trial(master, report[1], parent);
	close(report[1]);
	if (trial->pid < 0) {
		snprintf(text, size, "cannot start a process: %s", strerror(errno));
		close(report[0]);
		trial->pid = 0;
		return false;
	}
	trial->report = report[0];
	trial->due_ms = master->now_ms + TRIAL_MS;
	return true;
}

static void read_report(struct trial *trial)
{
	size_t room = sizeof(trial->text) - 1 - trial->length;
	ssize_t n;

	while (room > 0 && (n = read(trial->report, trial->text + trial->length, room)) > 0) {
		trial->length += (size_t)n;
		room -= (size_t)n;
	}
	trial->text[trial->length] = '\0';
}

/* Why it will not do, when it has not said so itself. */
static void describe_end(const struct trial *trial, int status, char *text, size_t size)
{
	const char *path = handover_path();

	if (trial->why != NULL)
		snprintf(text, size, "%s", trial->why);
	else if (WIFSIGNALED(status))
		snprintf(text, size, "%.1024s: died of signal %d (%s) when it was tried", path,
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (strcmp(trial->text, HANDOVER_READY) == 0)
		snprintf(text, size, "%.1024s: was ready, and ended with status %d", path,
			 WEXITSTATUS(status));
	else if (trial->length > 0)
		snprintf(text, size, "%s", trial->text);
	else
		snprintf(text, size,
			 "%.1024s: ended with status %d without a word when it was tried: is it "
			 "cache204, of a version that can take over",
			 path, WEXITSTATUS(status));
}

bool master_trial_ended(struct master *master, pid_t pid, int status)
{
	struct trial *trial = &master->trial;
	char text[RELOAD_TEXT_SIZE];
	bool good;

	if (pid != trial->pid)
		return false;
	read_report(trial);
	close(trial->report);
	trial->report = -1;
	trial->pid = 0;
	good = trial->why == NULL && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS &&
	       strcmp(trial->text, HANDOVER_READY) == 0;
	if (master->stopping)
		return true;
	if (good) {
		hand_over(master);
		return true;
	}
	describe_end(trial, status, text, sizeof(text));
	refuse(master, text);
	return true;
}

void master_give_up_trial(struct master *master, const char *why)
{
	if (master->trial.pid == 0 || master->trial.why != NULL)
		return;
	master->trial.why = why;
	master->trial.due_ms = NEVER;
	kill(master->trial.pid, SIGKILL);
}

void master_turn_trial(struct master *master)
{
	if (master->before != NULL && !master->greeted && !master->stopping &&
	    master->now_ms >= master->next_ms)
		master_go_back(master, "its workers were not ready in time");
	if (master->trial.pid == 0)
		return;
	read_report(&master->trial);
	if (master->now_ms >= master->trial.due_ms)
		master_give_up_trial(master, "the new program was not ready in time");
}

/* When it was asked for; it waits for a reload that is under way, and for the oldest to end. */
void master_begin_upgrade(struct master *master)
{
	char text[RELOAD_TEXT_SIZE];

	if (!master->upgrade || !master_may_change(master))
		return;
	master->upgrade = false;
	master->upgrade_ticket = reload_asked(master->shared->service.upgrade);
	log_info("upgrade: %s is tried", handover_path() != NULL ? handover_path() : "the program");
	notify_reloading("upgrading");
	if (!start_trial(master, text, sizeof(text)))
		refuse(master, text);
}

/* ---- the other side: taking over ------------------------------------------------------------ */

bool master_adopt(struct master *master, struct handover *before)
{
	unsigned count = master->slots + before->worker_count;
	struct member *members = reallocarray(master->members, count, sizeof(*members));

	if (members == NULL)
		return false;
	master->members = members;
	master->count = count;
	for (unsigned i = 0; i < before->worker_count; i++) {
		struct member *member = &members[master->slots + i];

		master_free_place(member);
		member->pid = before->workers[i].pid;
		member->generation = before->workers[i].generation;
		member->ready = before->workers[i].ready;
		member->retired = before->workers[i].retired;
	}
	master->before = before;
	master->next_ms = monotonic_us() / 1000 + TRIAL_MS;
	master->store_slots = (unsigned)before->slots;
	master->ticket = reload_asked(master->shared->service.reload);
	master->upgrade_ticket = (uint64_t)before->upgrade_asked;
	return true;
}

void master_go_back(struct master *master, const char *why)
{
	if (master_is_trial(master)) {
		takeover_report(master->before, why);
		master_stop(master, EXIT_FAILURE);
		master_hurry(master);
		return;
	}
	for (unsigned i = 0; i < master->slots; i++)
		if (master->members[i].pid != 0)
			kill(master->members[i].pid, SIGKILL);
	generation_close(master->now, handover_first_set(master->before));
	/* who has ended is no process of ours any more */
	note_workers(master, master->slots, master->before);
	master->before->copier = master->copier.pid;
	takeover_fail(master->before, why);
}

/* All workers are ready, in a trial, and end as if they had never been. */
static void end_trial(struct master *master)
{
	takeover_report(master->before, HANDOVER_READY);
	master_stop(master, EXIT_SUCCESS);
	master_hurry(master);
}

void master_begin_service(struct master *master)
{
	struct diagnostic error;

	if (master_is_trial(master)) {
		end_trial(master);
		return;
	}
	if (!generation_go(master->now, &error)) {
		master_go_back(master, error.text);
		return;
	}
	master->greeted = true;
	master_retire_older(master);
	greeting_warn(master->now);
	events_add(master->shared->service.events, EVENT_START,
		   "version " CACHE204_VERSION " serves in place of %s", master->before->version);
	log_info("upgrade: version " CACHE204_VERSION " serves in place of %s, generation %llu, "
		 "workers: %u",
		 master->before->version, (unsigned long long)master->now->number,
		 master->now->conf->workers);
}

void master_finish_upgrade(struct master *master)
{
	struct handover *before = master->before;
	bool ok;

	if (before == NULL)
		return;
	ok = before->kind == HANDOVER_START;
	answer(master, ok, ok ? "" : before->why);
	if (!ok)
		master_notify_serving(master, "upgrade failed, the log says why; ");
	/* what was asked for meanwhile */
	master->upgrade |= reload_asked(master->shared->service.upgrade) > master->upgrade_ticket;
	master->reload |= reload_asked(master->shared->service.reload) > master->ticket;
	handover_remove_files(before, &master->now->sets[0]);
	if (before->program >= 0)
		close(before->program);
	handover_free(before);
	master->before = NULL;
}
