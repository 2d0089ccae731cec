/* The master's reloads: generations of workers before and after the one in effect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cache/base/diagnostic.h"
#include "proxy/base/log.h"
#include "proxy/base/wall_clock.h"
#include "proxy/process/greeting.h"
#include "proxy/process/listener_rows.h"
#include "proxy/process/master_impl.h"
#include "proxy/process/notify.h"
#include "proxy/stats/events.h"
#include "proxy/stats/reload.h"

enum {
	NEXT_MS = 60000,  /* for the workers of a new configuration to serve */
	RETIRE_MS = 5000, /* to accept no more: a worker that is stopped is not waited for */
};

void master_free_place(struct member *member)
{
	*member = (struct member){.due_ms = NEVER, .kill_ms = NEVER};
}

bool master_take_places(struct master *master, const struct generation *generation, int64_t due_ms)
{
	unsigned found = 0;

	for (unsigned i = 0; i < master->slots; i++)
		found += master->members[i].generation == 0;
	if (found < generation->conf->workers)
		return false;
	for (unsigned i = 0, index = 0; index < generation->conf->workers; i++) {
		if (master->members[i].generation != 0)
			continue;
		master->members[i] = (struct member){
			.generation = generation->number,
			.index = index,
			.due_ms = index == 0 ? master->now_ms : due_ms,
			.kill_ms = NEVER,
		};
		index++;
		if (i + 1 >
		    atomic_load_explicit(&master->shared->service.used, memory_order_relaxed))
			atomic_store_explicit(&master->shared->service.used, i + 1,
					      memory_order_relaxed);
	}
	return true;
}

/* Generations before the one in effect that have workers. */
static unsigned count_older(const struct master *master)
{
	unsigned count = 0;

	for (unsigned i = 0; i < master->count; i++) {
		uint64_t number = master->members[i].generation;
		bool counted = number == 0 || number >= master->now->number;

		for (unsigned j = 0; j < i && !counted; j++)
			counted = master->members[j].generation == number;
		count += !counted;
	}
	return count;
}

void master_notify_serving(const struct master *master, const char *before)
{
	char status[128];

	if (master->stopping)
		return;
	snprintf(status, sizeof(status), "%sserving, generation %llu, workers: %u", before,
		 (unsigned long long)master->now->number, master->now->conf->workers);
	notify_ready(status);
}

void master_answer(const struct master *master, struct reload *to, uint64_t ticket, bool ok,
		   const char *text)
{
	struct reload_result result = {
		.answered = ticket,
		.generation = master->now->number,
		.older = count_older(master),
		.at_s = wall_clock_ms() / 1000,
		.ok = ok,
	};

	snprintf(result.text, sizeof(result.text), "%s", text);
	reload_answer(to, &result);
}

static void answer_reload(struct master *master, bool ok, const char *text)
{
	if (ok)
		events_add(master->shared->service.events, EVENT_RELOAD,
			   "reload: generation %llu serves",
			   (unsigned long long)master->now->number);
	else
		events_add(master->shared->service.events, EVENT_RELOAD, "reload refused: %.*s",
			   (int)strcspn(text, "\n"), text);
	master_answer(master, master->shared->service.reload, master->ticket, ok, text);
	master_notify_serving(master, ok ? "" : "reload refused, the log says why; ");
}

/* The same as last time, but for what is in effect now, and how many are left. */
static void note_generations(const struct master *master)
{
	struct reload *const both[] = {master->shared->service.reload,
				       master->shared->service.upgrade};
	struct reload_result result;

	if (master->before != NULL && !master->greeted)
		return; /* it is the program before that serves */
	for (unsigned i = 0; i < 2; i++) {
		if (!reload_read(both[i], &result))
			continue;
		result.generation = master->now->number;
		result.older = count_older(master);
		reload_answer(both[i], &result);
	}
}

/* A line for each thing that is wrong. */
static void refuse_reload(struct master *master, const char *text)
{
	log_error_lines("reload", text);
	log_error("reload: refused, generation %llu stays in effect",
		  (unsigned long long)master->now->number);
	answer_reload(master, false, text);
}

/* One that is being started has no handler of that signal yet, and would die of it: it retires when it serves. */
void master_retire_older(struct master *master)
{
	for (unsigned i = 0; i < master->count; i++) {
		struct member *member = &master->members[i];

		if (member->ready && member->generation < master->now->number && !member->retired)
			kill(member->pid, WORKER_RETIRE);
	}
	master->retire_ms = master->now_ms + RETIRE_MS;
}

/* Its signals are blocked until it serves, so one that is being started may have to be killed. */
static void end_at_once(const struct master *master, struct member *member)
{
	member->due_ms = NEVER;
	member->kill_ms = master->now_ms + MASTER_HURRY_MS;
	member->hurried = true;
	kill(member->pid, SIGQUIT);
}

void master_give_up_next(struct master *master, const char *why)
{
	if (master->next == NULL)
		return;
	for (unsigned i = 0; i < master->count; i++) {
		struct member *member = &master->members[i];

		if (member->generation != master->next->number)
			continue;
		if (member->pid == 0) {
			master_free_place(member);
			continue;
		}
		end_at_once(master, member);
	}
	generation_free(master->next, &master->now->sets[0]);
	master->next = NULL;
	refuse_reload(master, why);
}

/* The oldest that has connections is to end now. */
static void end_oldest(struct master *master)
{
	uint64_t oldest = master->now->number;

	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].pid != 0 && master->members[i].generation < oldest)
			oldest = master->members[i].generation;
	for (unsigned i = 0; i < master->count; i++) {
		struct member *member = &master->members[i];

		if (oldest == master->now->number || member->generation != oldest ||
		    member->kill_ms != NEVER)
			continue;
		log_info("generation %llu still has connections: it has %lld ms to finish",
			 (unsigned long long)oldest,
			 (long long)master->now->conf->drain_timeout_ms);
		kill(member->pid, SIGTERM);
		member->kill_ms =
			master->now_ms + master->now->conf->drain_timeout_ms + MASTER_GRACE_MS;
	}
}

static bool all_ready(const struct master *master, uint64_t number)
{
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].generation == number && !master->members[i].ready)
			return false;
	return true;
}

void master_take_over(struct master *master)
{
	struct generation *before = master->now;
	struct diagnostic error;

	if (!all_ready(master, master->next->number))
		return;
	if (!generation_go(master->next, &error)) {
		master_give_up_next(master, error.text);
		return;
	}
	master->now = master->next;
	master->next = NULL;
	copier_set_conf(&master->copier, master->now->conf, master->now_ms);
	generation_set_log_level(master->now->conf);
	master_count_alive(master);
	/* Those that wait to be started again are of no use any more. */
	for (unsigned i = 0; i < master->count; i++)
		if (master->members[i].generation == before->number && master->members[i].pid == 0)
			master_free_place(&master->members[i]);
	master_retire_older(master);
	generation_free(before, &master->now->sets[0]);
	log_info("reload: generation %llu serves, workers: %u",
		 (unsigned long long)master->now->number, master->now->conf->workers);
	greeting_warn(master->now);
}

void master_other_ended(struct master *master, struct member *member, int status)
{
	bool starts = master->next != NULL && member->generation == master->next->number;

	if (WIFSIGNALED(status) && !member->hurried)
		log_error("worker %d of generation %llu died of signal %d (%s)", (int)member->pid,
			  (unsigned long long)member->generation, WTERMSIG(status),
			  strsignal(WTERMSIG(status)));
	master_free_place(member);
	if (starts)
		master_give_up_next(master, "a worker could not start: the log says why");
	else
		note_generations(master);
}

/* One that serves goes on with its connections; one that does not yet has none. */
static void give_up_late(const struct master *master, struct member *member)
{
	log_error("worker %d of generation %llu %s", (int)member->pid,
		  (unsigned long long)member->generation,
		  member->ready ? "does not say that it accepts no more: it is not waited for"
				: "is not ready yet, and of no use any more: it is ended");
	if (member->ready)
		member->retired = true; /* nor waited for at the next reload */
	else
		end_at_once(master, member);
}

/* A reload is over when those before accept no more. */
void master_finish_reload(struct master *master)
{
	bool late = master->now_ms >= master->retire_ms;

	if (master->retire_ms == NEVER)
		return;
	for (unsigned i = 0; i < master->count; i++) {
		struct member *member = &master->members[i];

		if (member->pid == 0 || member->retired || member->hurried ||
		    member->generation >= master->now->number)
			continue;
		if (!late)
			return;
		give_up_late(master, member);
	}
	master->retire_ms = NEVER;
	log_info("generations before %llu that still have connections: %u",
		 (unsigned long long)master->now->number, count_older(master));
	answer_reload(master, true, "");
	master_finish_upgrade(master);
	note_generations(master);
	if (count_older(master) >= CONF_GENERATIONS_MAX)
		end_oldest(master);
}

void master_end_late_others(struct master *master)
{
	if (master->next != NULL && master->now_ms >= master->next_ms)
		master_give_up_next(master, "its workers were not ready in time");
	for (unsigned i = 0; i < master->count; i++) {
		struct member *member = &master->members[i];

		if (member->kill_ms > master->now_ms)
			continue;
		kill(member->pid, member->hurried ? SIGKILL : SIGQUIT);
		member->hurried = true;
		member->kill_ms = master->now_ms + MASTER_HURRY_MS;
	}
}

static struct generation *read_next(struct master *master, char *text, size_t size)
{
	char *errors = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&errors, &length);
	struct generation_former former = generation_as_former(master->now, master->slots);
	struct generation *next = NULL;

	/* workers of one that was given up may still have the number after ours */
	former.number = master->last_number;
	snprintf(text, size, "out of memory");
	if (to == NULL)
		return NULL;
	next = generation_next(&former, master->source, to);
	if (fclose(to) == 0)
		snprintf(text, size, "%s", errors);
	free(errors);
	return next;
}

bool master_may_change(struct master *master)
{
	if (master->next != NULL || master->retire_ms != NEVER || master->trial.pid != 0 ||
	    !master->greeted || master->stopping || master->replacing)
		return false;
	if (count_older(master) < CONF_GENERATIONS_MAX)
		return true;
	end_oldest(master);
	return false;
}

/* When it was asked for; it waits for one that is under way, and for the oldest to end. */
void master_begin_reload(struct master *master)
{
	char text[RELOAD_TEXT_SIZE];

	if (!master->reload || !master_may_change(master))
		return;
	master->reload = false;
	notify_reloading("reloading");
	master->ticket = reload_asked(master->shared->service.reload);
	master->next = read_next(master, text, sizeof(text));
	if (master->next == NULL) {
		refuse_reload(master, text);
	} else if (!master_take_places(master, master->next, master->now_ms)) {
		generation_free(master->next, &master->now->sets[0]);
		master->next = NULL;
		refuse_reload(master, "workers: a reload has no room for so many: restart");
	} else {
		master->last_number = master->next->number;
		listener_rows_give(master->next, &master->shared->service.listeners);
		master->next_ms = master->now_ms + NEXT_MS;
		master_signal_all(master, SIGUSR1); /* files of logs may have been moved */
	}
}
