/* Copies of the store: children of the master that make them, and how they end. */
#include "proxy/process/copier.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "cache/cache.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/wall_clock.h"

enum {
	NOT_NEEDED = 2, /* exit status */
	NICE_MOST = 19, /* of the disk's time as well (ioprio_set(2)) */
};

#define NEVER INT64_MAX

static int64_t pause_ms(const struct copier *copier)
{
	int64_t sync_ms = copier->conf->sync_ms;

	return sync_ms > COPIER_PAUSE_MIN_MS ? sync_ms : COPIER_PAUSE_MIN_MS;
}

/* ---- the child ------------------------------------------------------------------------------ */

/* Signals stay blocked, as they are in the master: it ends this process when it ends itself. */
static int make_copy(const struct copier *copier, pid_t parent)
{
	struct diagnostic error = {""};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return EXIT_FAILURE; /* killed before that took effect */
	/* Listening sockets, and the lock of the service, which must not outlive it here. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	setpriority(PRIO_PROCESS, 0, NICE_MOST);
	switch (cache_copy(copier->conf, wall_clock_ms() / 1000, &error)) {
	case STORE_OK:
		return EXIT_SUCCESS;
	case STORE_NOT_FOUND:
		return NOT_NEEDED;
	default:
		if (!copier->failing)
			log_error("no copy of the store, the next try is in %lld s: %s",
				  (long long)pause_ms(copier) / 1000, error.text);
		return EXIT_FAILURE;
	}
}

/* ---- the master ----------------------------------------------------------------------------- */

/* When the next is due, with none being made. */
static int64_t next_ms(const struct copier *copier, int64_t now_ms)
{
	return copier->conf->sync_ms > 0 && !copier->stopped ? now_ms + pause_ms(copier) : NEVER;
}

void copier_init(struct copier *copier, const struct conf *conf, struct stats_copies *counts,
		 int64_t now_ms)
{
	*copier = (struct copier){.conf = conf, .counts = counts};
	copier->due_ms = next_ms(copier, now_ms);
}

void copier_set_conf(struct copier *copier, const struct conf *conf, int64_t now_ms)
{
	bool same = conf->sync_ms == copier->conf->sync_ms;

	copier->conf = conf;
	if (copier->pid == 0 && !same)
		copier->due_ms = next_ms(copier, now_ms);
}

void copier_adopt(struct copier *copier, pid_t pid, int64_t last_s)
{
	atomic_store_explicit(&copier->counts->last_s, last_s, memory_order_relaxed);
	if (pid == 0)
		return;
	copier->pid = pid;
	copier->due_ms = monotonic_us() / 1000 + COPIER_TIME_MAX_MS;
}

int64_t copier_due_ms(const struct copier *copier)
{
	return copier->due_ms;
}

static void note_failure(struct copier *copier)
{
	STATS_BUMP(copier->counts->failed, 1);
	copier->failing = true;
}

static void start(struct copier *copier, int64_t now_ms)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		exit(make_copy(copier, parent));
	if (pid > 0) {
		copier->pid = pid;
		copier->due_ms = now_ms + COPIER_TIME_MAX_MS;
		copier->late = copier->cancelled = false;
		return;
	}
	if (!copier->failing)
		log_error("no copy of the store, the next try is in %lld s: %s: %s",
			  (long long)pause_ms(copier) / 1000, copier->conf->store, strerror(errno));
	note_failure(copier);
	copier->due_ms = now_ms + pause_ms(copier);
}

void copier_turn(struct copier *copier, int64_t now_ms)
{
	if (now_ms < copier->due_ms)
		return;
	if (copier->pid == 0) {
		start(copier, now_ms);
		return;
	}
	kill(copier->pid, SIGKILL);
	copier->late = true;
	copier->due_ms = NEVER; /* until it has ended */
}

static void log_killed(const struct copier *copier, int number)
{
	char why[128];

	if (copier->late)
		snprintf(why, sizeof(why), "it took longer than %d s", COPIER_TIME_MAX_MS / 1000);
	else
		snprintf(why, sizeof(why), "the process that made it died of signal %d (%s)",
			 number, strsignal(number));
	log_error("no copy of the store, the next try is in %lld s: %s: %s",
		  (long long)pause_ms(copier) / 1000, copier->conf->store, why);
}

void copier_ended(struct copier *copier, pid_t pid, int status, int64_t now_ms)
{
	if (pid != copier->pid)
		return;
	copier->pid = 0;
	if (WIFSIGNALED(status))
		store_copy_clean(copier->conf->store);
	if (copier->stopped)
		return;
	copier->due_ms = next_ms(copier, now_ms);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) {
		STATS_BUMP(copier->counts->made, 1);
		atomic_store_explicit(&copier->counts->last_s, wall_clock_ms() / 1000,
				      memory_order_relaxed);
		if (copier->failing)
			log_info("a copy of the store was made again: %s", copier->conf->store);
		copier->failing = false;
	} else if (!copier->cancelled &&
		   (!WIFEXITED(status) || WEXITSTATUS(status) != NOT_NEEDED)) {
		if (WIFSIGNALED(status) && !copier->failing)
			log_killed(copier, WTERMSIG(status));
		note_failure(copier);
	}
}

void copier_cancel(struct copier *copier)
{
	if (copier->pid == 0)
		return;
	copier->due_ms = NEVER; /* until it has ended */
	copier->cancelled = true;
	kill(copier->pid, SIGKILL);
}

void copier_stop(struct copier *copier)
{
	copier->stopped = true;
	copier->due_ms = NEVER;
	copier_cancel(copier);
}

bool copier_is_busy(const struct copier *copier)
{
	return copier->pid != 0;
}
