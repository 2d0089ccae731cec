/* A program in the place of another. */
#include "proxy/process/takeover.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/version.h"
#include "proxy/process/greeting.h"
#include "proxy/process/master.h"
#include "proxy/process/notify.h"
#include "proxy/process/privileges.h"
#include "proxy/process/terminal.h"
#include "proxy/process/worker.h"

enum {
	AGAIN_S = 1,
	KILLED_MS = 4000, /* for who was killed to be gone */
};

void takeover_report(const struct handover *before, const char *text)
{
	size_t n = strlen(text);

	if (before->report < 0 || write(before->report, text, n) != (ssize_t)n)
		log_error("upgrade: cannot tell what came of the trial: %s", text);
}

/* ---- when it cannot ------------------------------------------------------------------------- */

/* One of these signals, or 0 after a second.  They are blocked since the first program. */
static int wait_for_signal(bool children)
{
	struct timespec most = {.tv_sec = AGAIN_S};
	sigset_t mask;
	int number;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGQUIT);
	if (children)
		sigaddset(&mask, SIGCHLD);
	number = sigtimedwait(&mask, NULL, &most);
	return number > 0 ? number : 0;
}

/* It is no process of ours any more: no signal is for it. */
static void forget(struct handover *before, pid_t pid)
{
	for (unsigned i = 0; i < before->worker_count; i++)
		if (before->workers[i].pid == pid)
			before->workers[i] = before->workers[--before->worker_count];
}

/* Asked to end while there is no program that serves: the workers drain, in the time that they have. */
static _Noreturn void end_all(struct handover *before)
{
	int64_t end_ms = monotonic_us() / 1000 + before->finish_ms;
	bool killed = false, late = false;
	int number = SIGTERM;
	pid_t ended;

	handover_remove_files(before, NULL);
	handover_close_sockets(before);
	do {
		for (unsigned i = 0; i < before->worker_count && number != 0; i++)
			kill(before->workers[i].pid, number);
		number = wait_for_signal(true);
		late = monotonic_us() / 1000 >= end_ms;
		if (late && !killed)
			log_error("killing workers that have not ended in time");
		/* a second wish to end is meant at once */
		number = late || (number != 0 && number != SIGCHLD) ? SIGKILL : 0;
		if (number == SIGKILL && !killed) {
			killed = true;
			late = false;
			end_ms = monotonic_us() / 1000 + KILLED_MS;
		}
		while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
			forget(before, ended);
	} while (!late && ended == 0 && before->worker_count > 0);
	exit(EXIT_FAILURE);
}

/* A number that another text hardly has; not 0. */
static int64_t sum_of(const char *text)
{
	uint32_t sum = 1;

	for (; *text != '\0'; text++)
		sum = sum * 31 + (unsigned char)*text;
	return (int64_t)sum + 1;
}

static void note_why(struct handover *before, const char *why)
{
	char *copy = strdup(why);

	if (copy == NULL)
		return;
	free(before->why);
	before->why = copy;
}

_Noreturn void takeover_fail(struct handover *before, const char *why)
{
	bool again = before->kind == HANDOVER_BACK;
	int told = 0, error;

	/* Each second they would be the same lines. */
	if (before->failed_for != sum_of(why)) {
		log_error_lines("upgrade", why);
		log_error(
			again ? "upgrade: workers go on as they are, it is tried again each second"
			      : "upgrade: version " CACHE204_VERSION
				" cannot take over, the one before is run again");
	}
	if (again)
		before->failed_for = sum_of(why);
	else
		note_why(before, why);
	before->kind = HANDOVER_BACK;
	for (;;) {
		if (again && wait_for_signal(false) != 0)
			end_all(before);
		notify_hand_over();
		handover_execute(before, NULL);
		error = errno;
		notify_take_back();
		if (error != told)
			log_error("upgrade: the program before cannot be run: %s", strerror(error));
		told = error;
		again = true;
	}
}

/* ---- the start ------------------------------------------------------------------------------ */

static struct generation_former former_of(const struct handover *before)
{
	return (struct generation_former){
		.number = (uint64_t)before->generation,
		.store = before->store,
		.user = before->user,
		.store_size = (uint64_t)before->store_size,
		.slots = (unsigned)before->slots,
		.sets = before->sets,
		.set_count = before->set_count,
	};
}

static struct master *new_master(struct handover *before, const struct generation_source *source,
				 struct generation *next, struct worker_shared *shared)
{
	if (before->kind == HANDOVER_TRIAL)
		log_set_level(LOG_LEVEL_ERROR); /* the rest is said by the one that takes over */
	else
		generation_set_log_level(next->conf);
	privileges_harden(next->conf->log_level == CONF_LOG_LEVEL_DEBUG);
	shared->hold.lock = before->lock;
	return master_new(next, source, shared, before);
}

/* All that is made before workers are; NULL with lines on `errors`. */
static struct master *prepare(struct handover *before, const struct generation_source *source,
			      FILE *errors)
{
	struct generation_former former = former_of(before);
	struct generation *next = generation_next(&former, source, errors);
	struct worker_shared *shared;
	struct master *master = NULL;
	struct diagnostic error;

	if (next == NULL)
		return NULL;
	shared = worker_shared_map(next->conf, before);
	if (shared == NULL)
		fprintf(errors, "cannot map memory for %u workers: %s\n", next->conf->workers,
			strerror(errno));
	else if (!privileges_drop(next->conf->user, &error))
		fprintf(errors, "%s\n", error.text);
	else
		master = new_master(before, source, next, shared);
	if (master == NULL)
		generation_free(next, handover_first_set(before));
	return master;
}

int takeover_run(struct handover *before, const struct generation_source *source)
{
	struct diagnostic error = {""};
	char *errors = NULL;
	const char *why;
	size_t length = 0;
	FILE *to = open_memstream(&errors, &length);
	struct master *master;
	sigset_t signals = master_signals();
	int status = EXIT_FAILURE;

	sigprocmask(SIG_BLOCK, &signals, NULL); /* a shell that came between lets them through */
	terminal_set(before->had_terminal != 0);
	master = to == NULL ? NULL : prepare(before, source, to);
	if (to == NULL || fclose(to) != 0)
		master = NULL;
	why = length > 0 && errors != NULL ? errors : "out of memory\n";
	if (master != NULL && !master_begin(master, &error)) {
		why = error.text;
		master = NULL; /* not freed: what it has is the other program's, too */
	}
	if (master == NULL && before->kind != HANDOVER_TRIAL)
		takeover_fail(before, why);
	if (master == NULL) {
		takeover_report(before, why);
		free(errors);
		handover_free(before);
		return status;
	}
	free(errors);
	status = master_run(master, greeting_print);
	master_free(master);
	handover_free(before);
	return status;
}
