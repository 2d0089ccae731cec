/* One process, one loop: the order of a turn, the clocks, signals, and the drain. */
#include "proxy/http1/parse_memo.h"
#include "proxy/process/worker.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "proxy/front/admin_purge.h"
#include "proxy/client/client.h"
#include "proxy/process/crash.h"
#include "proxy/loop/deadline.h"
#include "proxy/exchange/fetch.h"
#include "proxy/front/forward.h"
#include "proxy/loop/listener.h"
#include "proxy/base/log.h"
#include "proxy/front/logins.h"
#include "proxy/origin/origin.h"
#include "proxy/exchange/shareable.h"
#include "proxy/process/terminal.h"
#include "proxy/loop/tls.h"
#include "proxy/base/trouble.h"
#include "proxy/exchange/tunnel.h"

enum {
	TICK_MS = 250,    /* housekeeping: late waiters, the log's buffer */
	SECOND_TICKS = 4, /* the log is written, the store looked after */
	ERROR_MAX = 512,
};

struct loop {
	struct ev_loop *ev;
	struct acceptors *acceptors;
	struct worker *worker;
	ev_prepare prepare;
	ev_check check;
	struct deadline flush; /* of the store's queue */
	struct deadline purge; /* the next part of the removal */
	struct deadline tick;
	struct deadline logins; /* the next password to be verified */
	struct deadline drain;
	ev_idle busy; /* active while tasks are left: the loop does not wait for events */
	ev_signal terminate, interrupt, quit, hangup, reopen;
	unsigned ticks;
	uint64_t failures; /* of the store, at the last tick */
	struct trouble store_trouble, log_trouble;
	struct stats_store before; /* counted by those who had the block before */
};

void worker_note_counts(struct worker *worker)
{
	struct stats_store own = {.cache = *cache_counts(worker->cache)};
	struct stats_store sum = worker->loop->before;
	struct store_usage usage;

	store_usage(cache_store_of(worker->cache), &usage);
	own.evictions = usage.evictions;
	own.failures = usage.failures;
	stats_store_add(&sum, &own);
	stats_store_set(stats, &sum);
}

void worker_keep_counts(struct worker *worker)
{
	worker_note_counts(worker);
	stats_store_get(stats, &worker->loop->before);
	worker->loop->failures = 0;
}

/* ---- the turn ------------------------------------------------------------------------------- */

/* Some of the writes; the rest after the events that are at hand then. */
static void flush_some(struct loop *loop)
{
	if (cache_flush_some(loop->worker->cache))
		deadline_set(&loop->flush, 0);
}

static void arm_flush(struct loop *loop)
{
	struct worker *worker = loop->worker;

	if (!cache_flush_is_due(worker->cache) || deadline_is_set(&loop->flush))
		return;
	if (worker->conf->store_interval_ms == 0)
		flush_some(loop);
	else
		deadline_set(&loop->flush, worker->conf->store_interval_ms);
}

static void logins_due(void *owner)
{
	struct loop *loop = owner;
	int64_t due_ms = logins_turn(loop->worker->logins);

	/* not at once: others come first, as verifying takes a while */
	if (due_ms >= 0)
		deadline_set(&loop->logins, due_ms > 0 ? due_ms : 1);
}

static const struct deadline_kind login_turns = {.passed = logins_due};

static void arm_logins(struct loop *loop)
{
	if (!deadline_is_set(&loop->logins) && logins_wait(loop->worker->logins))
		deadline_set(&loop->logins, 1);
}

/* The end of a turn, before the loop waits again. */
static void prepare_cb(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
	struct loop *loop = prepare->data;
	struct worker *worker = loop->worker;

	(void)revents;
	STATS_ADD(turns, 1);
	if (turn_end(&worker->turn))
		ev_idle_start(ev, &loop->busy);
	else if (ev_is_active(&loop->busy))
		ev_idle_stop(ev, &loop->busy);
	if (worker->logins != NULL)
		arm_logins(loop);
	arm_flush(loop);
	STATS_SET(writes_waiting, (int64_t)cache_pending(worker->cache));
	cache_turn_end(worker->cache);
	turn_free_all();
	if (worker->turn.draining && worker->clients == NULL && STATS_GET(tunnels_open) == 0 &&
	    !ev_is_active(&loop->busy))
		ev_break(ev, EVBREAK_ALL);
}

/* The beginning of a turn: events are at hand, none was handed out. */
static void check_cb(struct ev_loop *ev, ev_check *check, int revents)
{
	struct loop *loop = check->data;

	(void)ev;
	(void)revents;
	turn_read_clocks(&loop->worker->turn);
	turn_begin(&loop->worker->turn);
}

static void busy_cb(struct ev_loop *ev, ev_idle *idle, int revents)
{
	(void)ev;
	(void)idle;
	(void)revents; /* the tasks are run at the end of each turn, idle or not */
}

static void flush_passed(void *owner)
{
	flush_some(owner);
}

static void purge_step(struct loop *loop)
{
	int64_t pause_ms = admin_purge_step(loop->worker);

	if (pause_ms == 0)
		return;
	deadline_set(&loop->purge, pause_ms);
}

static void purge_passed(void *owner)
{
	purge_step(owner);
}

/* Not in this turn: whoever asked for it is to be answered first. */
void worker_purge(struct worker *worker)
{
	struct loop *loop = worker->loop;

	if (!deadline_is_set(&loop->purge))
		deadline_set(&loop->purge, 0);
}

/* A full disk fails at each write. */
static void note_failures(struct loop *loop)
{
	const struct worker *worker = loop->worker;
	uint64_t failures = cache_counts(worker->cache)->failures, count;

	if (trouble_note(&loop->store_trouble, store_error(cache_store_of(worker->cache)),
			 failures - loop->failures, worker->turn.now_ms, &count))
		log_error("the store fails: %s: %s (%llu times); nothing new is stored meanwhile, "
			  "what was invalidated stays invalid",
			  worker->conf->store, store_error(cache_store_of(worker->cache)),
			  (unsigned long long)count);
	else if (trouble_is_over(&loop->store_trouble, worker->turn.now_ms, &count))
		log_info("the store has not failed for a minute: %s", worker->conf->store);
	loop->failures = failures;
}

static void note_lost_lines(struct loop *loop)
{
	const struct worker *worker = loop->worker;
	const char *path = worker->conf->access_log, *why;
	uint64_t lost = accesslog_lost(worker->accesslog, &why), count;

	if (trouble_note(&loop->log_trouble, why, lost, worker->turn.now_ms, &count))
		log_error("access_log: %s: lines lost: %llu: %s", path, (unsigned long long)count,
			  why);
	else if (trouble_is_over(&loop->log_trouble, worker->turn.now_ms, &count))
		log_info("access_log: %s: no line lost for a minute, %llu before", path,
			 (unsigned long long)count);
}

static void second_passed(struct loop *loop)
{
	struct worker *worker = loop->worker;

	cache_tick(worker->cache);
	if (worker->accesslog != NULL) {
		accesslog_flush(worker->accesslog);
		note_lost_lines(loop);
	}
	store_hold_check(worker);
}

static void tick_passed(void *owner)
{
	struct loop *loop = owner;
	struct worker *worker = loop->worker;

	deadline_set(&loop->tick, TICK_MS);
	note_failures(loop);
	if (++loop->ticks % SECOND_TICKS == 0)
		second_passed(loop);
	worker_note_counts(worker);
	if (cache_purge_is_due(worker->cache))
		worker_purge(worker);
}

static void tell_log_failure(const struct conf *conf, const char *what)
{
	char text[ERROR_MAX];

	accesslog_describe(conf->access_log, what, text, sizeof(text));
	log_error("%s", text);
}

/* ---- signals -------------------------------------------------------------------------------- */

static void end_at_once(struct loop *loop)
{
	struct worker *worker = loop->worker;
	struct client *client, *next;

	for (client = worker->clients; client != NULL; client = next) {
		next = client->next;
		client_close(client);
	}
	tunnels_close(worker->tunnels);
	ev_break(loop->ev, EVBREAK_ALL);
}

/* Anything may be waited for: the loop goes round DEADLINE_LOOKS times without waiting. */
static bool drain_look(void *owner)
{
	(void)owner;
	return true;
}

static void drain_passed(void *owner)
{
	log_info("drain_timeout is over: what was still in flight is cut off");
	end_at_once(owner);
}

/* Take no more, finish what is in flight, within the deadline. */
static void terminate_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	struct loop *loop = signal_watcher->data;
	struct worker *worker = loop->worker;
	struct client *client, *next;

	(void)ev;
	(void)revents;
	if (worker->turn.draining) {
		if (!worker->shared->has_master)
			end_at_once(loop); /* asked twice */
		return;
	}
	if (!worker->shared->has_master)
		log_info("%s: going down, what is in flight has %lld ms to finish",
			 log_signal_name(signal_watcher->signum),
			 (long long)worker->conf->drain_timeout_ms);
	worker->turn.draining = true;
	acceptors_stop(loop->acceptors);
	for (client = worker->clients; client != NULL; client = next) {
		next = client->next;
		client_drain(client);
	}
	tunnels_close(worker->tunnels);
	deadline_set(&loop->drain, worker->conf->drain_timeout_ms);
}

static void quit_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	(void)ev;
	(void)revents;
	end_at_once(signal_watcher->data);
}

static void reopen_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	struct worker *worker = ((struct loop *)signal_watcher->data)->worker;

	(void)ev;
	(void)revents;
	if (worker->accesslog == NULL)
		return;
	if (!accesslog_reopen(worker->accesslog))
		tell_log_failure(worker->conf, "cannot be opened anew, the old file is written on");
	else if (!worker->shared->has_master)
		log_info("access_log: %s: opened anew", worker->conf->access_log);
}

/* A master hears of the terminal's end itself, and decides for all. */
static void hangup_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	struct loop *loop = signal_watcher->data;

	if (!loop->worker->shared->has_master && terminal_is_gone())
		terminate_cb(ev, signal_watcher, revents);
	else
		reopen_cb(ev, signal_watcher, revents);
}

static void watch_signal(struct loop *loop, ev_signal *watcher, int number,
			 void (*callback)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, callback, number);
	watcher->data = loop;
	ev_signal_start(loop->ev, watcher);
}

static void watch_signals(struct loop *loop)
{
	bool alone = !loop->worker->shared->has_master;

	watch_signal(loop, &loop->terminate, SIGTERM, terminate_cb);
	watch_signal(loop, &loop->quit, SIGQUIT, alone ? terminate_cb : quit_cb);
	watch_signal(loop, &loop->hangup, SIGHUP, hangup_cb);
	watch_signal(loop, &loop->reopen, SIGUSR1, reopen_cb);
	if (alone)
		watch_signal(loop, &loop->interrupt, SIGINT, terminate_cb);
	else
		signal(SIGINT, SIG_IGN);
}

/* ---- life ----------------------------------------------------------------------------------- */

static const struct deadline_kind flushes = {.passed = flush_passed};
static const struct deadline_kind purges = {.passed = purge_passed};
static const struct deadline_kind ticks = {.passed = tick_passed};
static const struct deadline_kind drains = {.look = drain_look, .passed = drain_passed};

static struct loop *loop_new(struct worker *worker)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return NULL;
	/* libev's io_uring backend costs 1.6 times the CPU of epoll for this work */
	loop->ev = ev_loop_new(EVBACKEND_EPOLL);
	if (loop->ev == NULL) {
		free(loop);
		return NULL;
	}
	loop->worker = worker;
	ev_prepare_init(&loop->prepare, prepare_cb);
	ev_check_init(&loop->check, check_cb);
	ev_set_priority(&loop->check, EV_MAXPRI); /* the clocks before whoever uses them */
	deadlines_setup(loop->ev);
	deadlines_advance(monotonic_us() / 1000);
	deadline_init(&loop->flush, &flushes, loop);
	deadline_init(&loop->purge, &purges, loop);
	deadline_init(&loop->tick, &ticks, loop);
	deadline_init(&loop->logins, &login_turns, loop);
	deadline_init(&loop->drain, &drains, loop);
	deadline_set(&loop->tick, TICK_MS);
	ev_idle_init(&loop->busy, busy_cb);
	loop->prepare.data = loop->check.data = loop;
	ev_prepare_start(loop->ev, &loop->prepare);
	ev_check_start(loop->ev, &loop->check);
	watch_signals(loop);
	return loop;
}

static struct access *compile_access(const struct conf *conf, const struct listener *listener,
				     char *error, size_t error_size)
{
	union address own[LISTENERS_MAX];

	for (unsigned i = 0; i < listener->count; i++)
		own[i] = listener->at[i].address;
	return access_new(conf, own, listener->count, error, error_size);
}

static bool open_parts(struct worker *worker, const struct listener *listener, char *error,
		       size_t error_size)
{
	const struct conf *conf = worker->conf;

	worker->cache = cache_open(conf, worker->hold.lock, error, error_size);
	if (worker->cache == NULL)
		return false;
	worker->turn.steady = store_clock(cache_store_of(worker->cache));
	store_check_readers(cache_store_of(worker->cache));
	crash_watch(cache_store_of(worker->cache));
	if (error[0] != '\0')
		log_info("%s", error);
	if (conf->access_log[0] != '\0') {
		worker->accesslog =
			accesslog_open(conf->access_log, conf_choice_word(conf->access_log_format));
		if (worker->accesslog == NULL) {
			accesslog_describe(conf->access_log, "cannot be opened", error, error_size);
			return false;
		}
	}
	worker->access = compile_access(conf, listener, error, error_size);
	if (worker->access == NULL)
		return false;
	worker->routes = routes_new(conf, error, error_size);
	worker->tls = tls_context_new(conf->tls_ca_file, error, error_size);
	if (worker->routes == NULL || worker->tls == NULL)
		return false;
	worker->admission = admission_new(conf, worker->access, worker->routes);
	worker->resolver =
		resolver_new(worker->loop->ev, conf, &worker->budgets, error, error_size);
	if (worker->resolver == NULL)
		return false;
	worker->dialers = (struct dialers){
		.connectors = {.conf = conf,
			       .turn = &worker->turn,
			       .budgets = &worker->budgets,
			       .access = worker->access,
			       .resolver = worker->resolver},
		.routes = worker->routes,
		.tls = worker->tls,
	};
	worker->tunnels = tunnels_new(&worker->turn, &worker->dialers);
	worker->origins = origins_new(&worker->dialers, &worker->admission);
	snprintf(error, error_size, "out of memory");
	return worker->tunnels != NULL && worker->origins != NULL;
}

struct worker_shared *worker_shared_map(const struct conf *conf)
{
	struct worker_shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return NULL;
	shared->started_us = monotonic_us();
	shared->workers = conf->workers;
	shared->has_master = conf->workers > 1 || conf->sync_ms > 0;
	atomic_store_explicit(&shared->alive, 1, memory_order_relaxed);
	shared->stats = stats_map(conf->workers);
	shared->leases = leases_map();
	shared->holdings = budgets_map(conf);
	shared->shareable = shareable_map();
	if (shared->stats == NULL || shared->leases == NULL || shared->shareable == NULL ||
	    shared->holdings == NULL)
		return NULL;
	return shared;
}

/* What the service may hold, by its options and by this process's limit of descriptors. */
static void share_out(struct worker *worker, unsigned index, const struct listener *listener)
{
	const struct conf *conf = worker->conf;
	struct descriptors descriptors = descriptors_here(listener->count);

	budgets_init(&worker->budgets, worker->shared->holdings, index, conf, &descriptors);
	/* the others would say the same */
	if (index == 0 && descriptors.clients < conf->clients_max)
		log_info("clients_max: the limit of descriptors leaves room for %u clients of %lld "
			 "in each worker: raise it (LimitNOFILE, ulimit -n), or lower clients_max",
			 descriptors.clients, (long long)conf->clients_max);
}

struct worker *worker_new(const struct conf *conf, const struct worker_shared *shared,
			  unsigned index, struct listener *listener, char *error, size_t error_size)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	snprintf(error, error_size, "worker: out of memory");
	if (worker == NULL)
		return NULL;
	worker->conf = conf;
	worker->shared = shared;
	worker->hold = shared->hold;
	turn_init(&worker->turn);
	worker->turn.in = (struct scratch){.block = malloc(SCRATCH_SIZE), .size = SCRATCH_SIZE};
	worker->turn.out = (struct scratch){.block = malloc(SCRATCH_SIZE), .size = SCRATCH_SIZE};
	worker->fetches = fetches_new(worker);
	share_out(worker, index, listener);
	worker->memo = parse_memo_new();
	if (shared->credentials != NULL)
		worker->logins = logins_new(worker, forward_known);
	worker->loop = loop_new(worker);
	stats_attach(&shared->stats[index]);
	if (worker->turn.in.block == NULL || worker->turn.out.block == NULL ||
	    worker->fetches == NULL || worker->memo == NULL ||
	    (shared->credentials != NULL && worker->logins == NULL) || worker->loop == NULL ||
	    !open_parts(worker, listener, error, error_size)) {
		worker_free(worker);
		return NULL;
	}
	conn_setup(worker->loop->ev);
	turn_read_clocks(&worker->turn);
	stats_store_get(stats, &worker->loop->before);
	worker->loop->acceptors = acceptors_start(worker->loop->ev, worker, listener);
	if (worker->loop->acceptors == NULL) {
		snprintf(error, error_size, "worker: out of memory");
		worker_free(worker);
		return NULL;
	}
	return worker;
}

int worker_run(struct worker *worker)
{
	ev_run(worker->loop->ev, 0);
	cache_flush(worker->cache);
	admin_purge_stop(worker);
	worker_note_counts(worker);
	return 0;
}

static void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	acceptors_free(loop->acceptors);
	ev_loop_destroy(loop->ev);
	free(loop);
}

void worker_free(struct worker *worker)
{
	if (worker->fetches != NULL)
		fetches_give_up(worker->fetches);
	origins_free(worker->origins);
	tunnels_free(worker->tunnels);
	logins_free(worker->logins);
	parse_memo_free(worker->memo);
	if (worker->resolver != NULL)
		resolver_free(worker->resolver);
	turn_free_all();
	while (worker->spare_exchanges != NULL) {
		struct exchange *x = worker->spare_exchanges;

		worker->spare_exchanges = x->next_waiter;
		free(x);
	}
	access_free(worker->access);
	routes_free(worker->routes);
	tls_context_free(worker->tls);
	if (worker->accesslog != NULL) {
		accesslog_finish(worker->accesslog);
		if (worker->loop != NULL)
			note_lost_lines(worker->loop);
		accesslog_close(worker->accesslog);
	}
	crash_watch(NULL);
	if (worker->cache != NULL)
		cache_close(worker->cache);
	fetches_free(worker->fetches);
	loop_free(worker->loop);
	free(worker->turn.in.block);
	free(worker->turn.out.block);
	free(worker);
}
