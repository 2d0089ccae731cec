/* What a worker does by itself, at the ends of turns and by the clock. */
#include "proxy/process/housekeeping.h"

#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/exchange/fetch.h"
#include "proxy/front/logins.h"
#include "proxy/stats/accesslog.h"
#include "proxy/stats/history.h"
#include "proxy/stats/sketch.h"

enum {
	TICK_MS = 250,
	SECOND_TICKS = 4, /* the log is written, the store looked after */
};

/* Some of the writes; the rest after the events that are at hand then. */
static void flush_some(struct housekeeping *keeping)
{
	if (cache_flush_some(keeping->cache))
		deadline_set(&keeping->flush, 0);
}

static void arm_flush(struct housekeeping *keeping)
{
	if (!cache_flush_is_due(keeping->cache) || deadline_is_set(&keeping->flush))
		return;
	if (keeping->conf->store_interval_ms == 0)
		flush_some(keeping);
	else
		deadline_set(&keeping->flush, keeping->conf->store_interval_ms);
}

static void flush_passed(void *owner)
{
	flush_some(owner);
}

static void verify_passed(void *owner)
{
	struct housekeeping *keeping = owner;
	int64_t due_ms = logins_turn(keeping->logins);

	/* Not at once: others come first, as verifying takes a while. */
	if (due_ms >= 0)
		deadline_set(&keeping->verify, due_ms > 0 ? due_ms : 1);
}

static void arm_verify(struct housekeeping *keeping)
{
	if (!deadline_is_set(&keeping->verify) && logins_wait(keeping->logins))
		deadline_set(&keeping->verify, 1);
}

static void purge_passed(void *owner)
{
	struct housekeeping *keeping = owner;
	int64_t pause_ms = purger_step(&keeping->purger);

	if (pause_ms > 0)
		deadline_set(&keeping->purge, pause_ms);
}

/* A full disk fails at each write. */
static void note_failures(struct housekeeping *keeping)
{
	uint64_t failures = cache_counts(keeping->cache)->failures, count;

	if (trouble_note(&keeping->store_trouble, store_error(cache_store_of(keeping->cache)),
			 failures - keeping->failures, keeping->turn->now_ms, &count))
		log_error("the store fails: %s: %s (%llu times); nothing new is stored meanwhile, "
			  "what was invalidated stays invalid",
			  keeping->conf->store, store_error(cache_store_of(keeping->cache)),
			  (unsigned long long)count);
	else if (trouble_is_over(&keeping->store_trouble, keeping->turn->now_ms, &count))
		log_info("the store has not failed for a minute: %s", keeping->conf->store);
	keeping->failures = failures;
}

static void note_lost_lines(struct housekeeping *keeping)
{
	const char *path = keeping->conf->access_log, *why;
	uint64_t lost = accesslog_lost(keeping->accesslog, &why), count;

	if (trouble_note(&keeping->log_trouble, why, lost, keeping->turn->now_ms, &count))
		log_error("access_log: %s: lines lost: %llu: %s", path, (unsigned long long)count,
			  why);
	else if (trouble_is_over(&keeping->log_trouble, keeping->turn->now_ms, &count))
		log_info("access_log: %s: no line lost for a minute, %llu before", path,
			 (unsigned long long)count);
}

static void second_passed(struct housekeeping *keeping)
{
	cache_tick(keeping->cache);
	if (keeping->accesslog != NULL) {
		accesslog_flush(keeping->accesslog);
		note_lost_lines(keeping);
	}
	store_watch_look(keeping->store);
}

static void tick_passed(void *owner)
{
	struct housekeeping *keeping = owner;

	deadline_set(&keeping->tick, TICK_MS);
	note_failures(keeping);
	if (++keeping->ticks % SECOND_TICKS == 0)
		second_passed(keeping);
	store_counts_note(keeping->counts);
	process_watch_look(&keeping->process, keeping->turn->now_ms);
	sketch_tick(keeping->turn->now_us / 1000);
	fetches_note_old(keeping->fetches);
	if (cache_purge_is_due(keeping->cache) && !deadline_is_set(&keeping->purge))
		deadline_set(&keeping->purge, 0);
}

/* Whose turn it is, among the workers, takes it. */
static void sample_passed(void *owner)
{
	struct housekeeping *keeping = owner;
	const struct stats_service *service = keeping->service;
	int64_t now_ms = keeping->turn->now_us / 1000;
	struct stats sum;
	bool is_mine;

	deadline_set(&keeping->sample, history_due(service->history, getpid(), now_ms, &is_mine));
	if (!is_mine)
		return;
	stats_sum_numbers(service->blocks,
			  atomic_load_explicit(&service->used, memory_order_relaxed), &sum);
	history_sample(service->history, &sum, now_ms);
}

static const struct deadline_kind samples = {.passed = sample_passed};
static const struct deadline_kind flushes = {.passed = flush_passed};
static const struct deadline_kind purges = {.passed = purge_passed};
static const struct deadline_kind verifications = {.passed = verify_passed};
static const struct deadline_kind ticks = {.passed = tick_passed};

void housekeeping_begin(struct housekeeping *keeping)
{
	process_watch_begin(&keeping->process, &stats->process);
	deadline_init(&keeping->flush, &flushes, keeping);
	deadline_init(&keeping->purge, &purges, keeping);
	deadline_init(&keeping->verify, &verifications, keeping);
	deadline_init(&keeping->tick, &ticks, keeping);
	deadline_set(&keeping->tick, TICK_MS);
	sketch_tick(monotonic_us() / 1000);
	deadline_init(&keeping->sample, &samples, keeping);
	deadline_set(&keeping->sample, 0);
}

void housekeeping_end_turn(struct housekeeping *keeping)
{
	if (keeping->logins != NULL)
		arm_verify(keeping);
	arm_flush(keeping);
	STATS_SET(writes_waiting, (int64_t)cache_pending(keeping->cache));
	cache_turn_end(keeping->cache);
}

void housekeeping_end(struct housekeeping *keeping)
{
	cache_flush(keeping->cache);
	purger_stop(&keeping->purger);
	store_counts_note(keeping->counts);
	process_watch_end(&keeping->process);
	history_leave(keeping->service->history, getpid());
	if (keeping->accesslog != NULL) {
		accesslog_finish(keeping->accesslog);
		note_lost_lines(keeping);
	}
}
