/* One process, one loop: what it is made of, the order of a turn, signals, and the drain. */
#include "proxy/process/worker.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/wall_clock.h"
#include "proxy/client/acceptor.h"
#include "proxy/exchange/fetch.h"
#include "proxy/exchange/leases.h"
#include "proxy/exchange/shareable.h"
#include "proxy/exchange/tunnel.h"
#include "proxy/front/forward.h"
#include "proxy/front/logins.h"
#include "proxy/http1/parse_memo.h"
#include "proxy/loop/deadline.h"
#include "proxy/loop/env.h"
#include "proxy/loop/loop_memory.h"
#include "proxy/loop/tls.h"
#include "proxy/origin/origin.h"
#include "proxy/process/crash.h"
#include "proxy/process/generation.h"
#include "proxy/process/handover.h"
#include "proxy/process/housekeeping.h"
#include "proxy/process/interfaces.h"
#include "proxy/stats/accesslog.h"
#include "proxy/stats/last_uris.h"
#include "proxy/stats/notices.h"
#include "proxy/stats/reload.h"
#include "proxy/stats/service.h"

struct worker {
	const struct conf *conf;
	const struct worker_shared *shared;
	struct turn turn;
	struct budgets budgets; /* what may be held, and what this worker holds */
	struct cache *cache;
	struct access *access;
	struct routes *routes;
	struct admission admission; /* of clients to what is stored, by access and routes */
	struct resolver *resolver;
	struct tls_context *tls;
	struct accesslog *accesslog; /* NULL for none */
	struct parse_memo *memo;
	struct dialers dialers;
	struct origins *origins;
	struct tunnels *tunnels;
	struct fetches *fetches;
	struct exchanges exchanges;
	struct clients clients;
	struct credentials *credentials; /* NULL without a password file */
	const struct admin_token *token;
	struct tls_server *tls_server; /* of clients; NULL when no address has TLS */
	struct logins *logins;         /* NULL without a password file */
	struct env env;
	struct acceptors *acceptors;
	struct store_counts counts;
	struct store_watch store;
	struct housekeeping keeping;

	struct ev_loop *ev;
	ev_prepare prepare;
	ev_check check;
	ev_idle busy; /* active while tasks are left: the loop does not wait for events */
	ev_signal terminate, retire, quit, reopen;
	struct deadline delay; /* before the drain */
	struct deadline drain;
};

/* ---- the turn ------------------------------------------------------------------------------- */

/* No client is connected. */
static bool is_unused(const struct worker *worker)
{
	return worker->clients.first == NULL && STATS_GET(tunnels_open) == 0;
}

/* The end of a turn, before the loop waits again. */
static void prepare_cb(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
	struct worker *worker = prepare->data;

	(void)revents;
	STATS_ADD(turns, 1);
	if (turn_end(&worker->turn))
		ev_idle_start(ev, &worker->busy);
	else if (ev_is_active(&worker->busy))
		ev_idle_stop(ev, &worker->busy);
	housekeeping_end_turn(&worker->keeping);
	turn_free_all();
	if (worker->turn.draining && is_unused(worker) && !ev_is_active(&worker->busy))
		ev_break(ev, EVBREAK_ALL);
}

/* The beginning of a turn: events are at hand, none was handed out. */
static void check_cb(struct ev_loop *ev, ev_check *check, int revents)
{
	struct worker *worker = check->data;

	(void)ev;
	(void)revents;
	turn_read_clocks(&worker->turn);
	turn_begin(&worker->turn);
}

static void busy_cb(struct ev_loop *ev, ev_idle *idle, int revents)
{
	(void)ev;
	(void)idle;
	(void)revents; /* the tasks are run at the end of each turn, idle or not */
}

/* ---- signals -------------------------------------------------------------------------------- */

static void end_at_once(struct worker *worker)
{
	clients_close(&worker->clients);
	tunnels_close(worker->tunnels);
	ev_break(worker->ev, EVBREAK_ALL);
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

/* Accept no more, and answer what is asked, each as the last of its connection. */
static void drain(struct worker *worker)
{
	worker->turn.leaving = worker->turn.draining = true;
	acceptors_stop(worker->acceptors);
}

/* Within the deadline. */
static void delay_passed(void *owner)
{
	struct worker *worker = owner;

	if (!deadline_is_set(&worker->drain))
		deadline_set(&worker->drain, worker->conf->drain_timeout_ms);
	drain(worker);
	clients_drain(&worker->clients);
}

static void terminate_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	struct worker *worker = signal_watcher->data;

	(void)ev;
	(void)revents;
	if (worker->conf->drain_delay_ms == 0 || worker->turn.draining)
		delay_passed(worker);
	else if (!deadline_is_set(&worker->delay))
		deadline_set(&worker->delay, worker->conf->drain_delay_ms);
	worker->turn.leaving = true;
}

/*
 * Others have taken over: those who are connected are served to their end, and the master hears
 * that there are some, and that no more are accepted here.  Without any, this worker's end says so.
 */
static void retire_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	struct worker *worker = signal_watcher->data;
	pid_t pid = getpid();

	(void)ev;
	(void)revents;
	acceptors_take_rest(worker->acceptors);
	drain(worker);
	if (is_unused(worker))
		return;
	if (write(worker->shared->to_master, &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
		log_debug("cannot tell the first process that this worker has retired: %s",
			  strerror(errno));
}

static void quit_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	(void)ev;
	(void)revents;
	end_at_once(signal_watcher->data);
}

static void tell_log_failure(const struct conf *conf, const char *what)
{
	struct diagnostic text;

	accesslog_describe(conf->access_log, what, &text);
	log_error("%s", text.text);
}

static void reopen_cb(struct ev_loop *ev, ev_signal *signal_watcher, int revents)
{
	struct worker *worker = signal_watcher->data;

	(void)ev;
	(void)revents;
	if (worker->accesslog == NULL)
		return;
	if (!accesslog_reopen(worker->accesslog))
		tell_log_failure(worker->conf, "cannot be reopened, the old file stays in use");
}

static void watch_signal(struct worker *worker, ev_signal *watcher, int number,
			 void (*callback)(struct ev_loop *, ev_signal *, int))
{
	ev_signal_init(watcher, callback, number);
	watcher->data = worker;
	ev_signal_start(worker->ev, watcher);
}

static void watch_signals(struct worker *worker)
{
	watch_signal(worker, &worker->terminate, SIGTERM, terminate_cb);
	watch_signal(worker, &worker->retire, WORKER_RETIRE, retire_cb);
	watch_signal(worker, &worker->quit, SIGQUIT, quit_cb);
	watch_signal(worker, &worker->reopen, SIGUSR1, reopen_cb);
	/* For the master, which decides for all, and hears of the terminal's end. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
}

/* ---- life ----------------------------------------------------------------------------------- */

static const struct deadline_kind delays = {.passed = delay_passed};
static const struct deadline_kind drains = {.look = drain_look, .passed = drain_passed};

static bool open_loop(struct worker *worker)
{
	if (!loop_memory_setup())
		return false;
	ev_set_allocator(loop_memory_resize);
	/* Libev's io_uring backend costs 1.6 times the CPU of epoll for this work. */
	worker->ev = ev_loop_new(EVBACKEND_EPOLL);
	if (worker->ev == NULL)
		return false;
	ev_prepare_init(&worker->prepare, prepare_cb);
	ev_check_init(&worker->check, check_cb);
	ev_set_priority(&worker->check, EV_MAXPRI); /* the clocks, before anything that uses them */
	deadlines_setup(worker->ev);
	deadlines_advance(monotonic_us() / 1000);
	deadline_init(&worker->delay, &delays, worker);
	deadline_init(&worker->drain, &drains, worker);
	ev_idle_init(&worker->busy, busy_cb);
	worker->prepare.data = worker->check.data = worker;
	ev_prepare_start(worker->ev, &worker->prepare);
	ev_check_start(worker->ev, &worker->check);
	watch_signals(worker);
	conn_setup(worker->ev, &worker->turn);
	return true;
}

static struct access *compile_access(const struct conf *conf, const struct listener *listener,
				     struct diagnostic *error)
{
	struct access_place place = {.listener_count = 0};
	struct interface_address *interfaces;
	union address *own = calloc(listener->count + 1, sizeof(*own));
	struct access *access = NULL;

	diagnostic_set(error, "worker: out of memory");
	if (own == NULL)
		return NULL;
	for (unsigned i = 0; i < listener->count; i++) {
		const union address *address = &listener->at[i].address;
		/* it has several sockets, or is of no network */
		bool known = address->any.sa_family == AF_UNIX;

		place.has_unix = place.has_unix || known;
		for (unsigned j = 0; j < place.listener_count && !known; j++)
			known = address_equal(&own[j], address) &&
				address_port(&own[j]) == address_port(address);
		if (!known)
			own[place.listener_count++] = *address;
	}
	interfaces = interfaces_read(&place.interface_count, error);
	place.listeners = own;
	place.interfaces = interfaces;
	if (interfaces != NULL)
		access = access_new(conf, &place, error);
	free(interfaces);
	free(own);
	return access;
}

/* For what is printed at the start. */
static void note_store(struct store *store)
{
	struct store_usage usage;

	store_usage(store, &usage);
	notices_set_store(usage.entries, usage.bytes_used);
}

static bool open_cache(struct worker *worker, struct diagnostic *error)
{
	struct store *store;

	worker->cache = cache_open(worker->conf, worker->shared->hold.lock, error);
	if (worker->cache == NULL)
		return false;
	if (error->text[0] != '\0')
		log_info("%s", error->text);
	store = cache_store_of(worker->cache);
	note_store(store);
	store_check_readers(store);
	crash_watch(store);
	worker->turn.steady = store_clock(store);
	turn_read_clocks(&worker->turn);
	store_counts_begin(&worker->counts, worker->cache);
	return true;
}

static bool open_log(struct worker *worker, struct diagnostic *error)
{
	const struct conf *conf = worker->conf;

	if (conf->access_log[0] == '\0')
		return true;
	worker->accesslog =
		accesslog_open(conf->access_log, conf->access_log_format, conf->access_log_hits);
	if (worker->accesslog == NULL)
		accesslog_describe(conf->access_log, "cannot be opened", error);
	return worker->accesslog != NULL;
}

/* What is compiled from the options alone. */
static bool open_rules(struct worker *worker, const struct listener *listener,
		       struct diagnostic *error)
{
	const struct conf *conf = worker->conf;

	worker->access = compile_access(conf, listener, error);
	if (worker->access == NULL)
		return false;
	worker->routes = routes_new(conf, error);
	worker->tls = tls_context_new(conf->tls_ca_file, error);
	if (worker->routes == NULL || worker->tls == NULL)
		return false;
	worker->admission = admission_new(conf, worker->access, worker->routes);
	worker->resolver = resolver_new(worker->ev, conf, &worker->budgets, error);
	return worker->resolver != NULL;
}

/* The way to origins, from the inside out: each gets what it uses. */
static bool open_origins(struct worker *worker)
{
	worker->dialers = (struct dialers){
		.connectors = {.conf = worker->conf,
			       .turn = &worker->turn,
			       .budgets = &worker->budgets,
			       .access = worker->access,
			       .resolver = worker->resolver},
		.routes = worker->routes,
		.tls = worker->tls,
	};
	worker->origins = origins_new(&worker->dialers, &worker->admission);
	worker->tunnels = tunnels_new(&worker->turn, &worker->dialers);
	if (worker->origins == NULL || worker->tunnels == NULL)
		return false;
	worker->fetches = fetches_new(&(struct fetches_use){
		.conf = worker->conf,
		.turn = &worker->turn,
		.cache = worker->cache,
		.routes = worker->routes,
		.origins = worker->origins,
		.tunnels = worker->tunnels,
		.shareable = worker->shared->shareable,
	});
	return worker->fetches != NULL;
}

/* Clients and front ends, and the exchanges between them. */
static bool open_clients(struct worker *worker)
{
	const struct worker_shared *shared = worker->shared;

	worker->exchanges = (struct exchanges){
		.conf = worker->conf,
		.turn = &worker->turn,
		.cache = worker->cache,
		.accesslog = worker->accesslog,
		.env = &worker->env,
	};
	worker->memo = parse_memo_new();
	worker->clients.conf = worker->conf;
	worker->clients.turn = &worker->turn;
	worker->clients.counts = cache_counts(worker->cache);
	worker->clients.access = worker->access;
	worker->clients.budgets = &worker->budgets;
	worker->clients.tls = worker->tls_server;
	worker->clients.exchanges = &worker->exchanges;
	worker->clients.memo = worker->memo;
	if (worker->credentials != NULL)
		worker->logins = logins_new(&worker->turn, &worker->budgets, worker->credentials,
					    forward_known);
	worker->env = (struct env){
		.conf = worker->conf,
		.turn = &worker->turn,
		.cache = worker->cache,
		.access = worker->access,
		.admission = &worker->admission,
		.exchanges = &worker->exchanges,
		.fetches = worker->fetches,
		.tunnels = worker->tunnels,
		.logins = worker->logins,
		.admin_token = worker->token,
		.leases = shared->leases,
		.counts = &worker->counts,
		.service = &shared->service,
		.to_master = shared->to_master,
	};
	return worker->memo != NULL && (worker->credentials == NULL || worker->logins != NULL);
}

static void open_housekeeping(struct worker *worker)
{
	const struct worker_shared *shared = worker->shared;

	worker->store = (struct store_watch){
		.turn = &worker->turn,
		.cache = worker->cache,
		.to_master = shared->to_master,
	};
	worker->keeping = (struct housekeeping){
		.conf = worker->conf,
		.turn = &worker->turn,
		.cache = worker->cache,
		.accesslog = worker->accesslog,
		.logins = worker->logins,
		.counts = &worker->counts,
		.store = &worker->store,
		.service = &shared->service,
		.fetches = worker->fetches,
		.purger = {.cache = worker->cache, .turn = &worker->turn, .leases = shared->leases},
	};
	housekeeping_begin(&worker->keeping);
}

/* Who asked the program before hears from us; the trial of a program has its own. */
static void map_results(struct worker_shared *shared, const struct handover *before)
{
	shared->reload_file = shared->upgrade_file = -1;
	if (before == NULL || before->kind == HANDOVER_TRIAL) {
		shared->service.reload = reload_map(&shared->reload_file);
		shared->service.upgrade = reload_map(&shared->upgrade_file);
		return;
	}
	shared->reload_file = before->reload_file;
	shared->upgrade_file = before->upgrade_file;
	notices_first_request(); /* that was before */
	shared->service.reload =
		reload_map_again(&shared->reload_file, (uint64_t)before->reload_asked);
	shared->service.upgrade =
		reload_map_again(&shared->upgrade_file, (uint64_t)before->upgrade_asked);
}

struct worker_shared *worker_shared_map(const struct conf *conf, const struct handover *before)
{
	struct worker_shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return NULL;
	shared->service.started_us = monotonic_us();
	shared->service.started_ms = wall_clock_ms();
	shared->leases = leases_map();
	shared->holdings = budgets_map(conf);
	shared->shareable = shareable_map();
	if (!notices_share() || !last_uris_share())
		return NULL;
	map_results(shared, before);
	if (!stats_service_map(&shared->service, conf_worker_slots(conf)) ||
	    shared->service.reload == NULL || shared->service.upgrade == NULL ||
	    shared->leases == NULL || shared->shareable == NULL || shared->holdings == NULL)
		return NULL;
	return shared;
}

/* What the service may hold, by its options and by this process's limit of descriptors. */
static void share_out(struct worker *worker, unsigned block, const struct listener *listener)
{
	const struct conf *conf = worker->conf;
	struct descriptors descriptors = descriptors_here(listener->count);

	budgets_init(&worker->budgets, worker->shared->holdings, block, conf, &descriptors);
	/* The others would say the same. */
	if (block == 0 && descriptors.clients < conf->clients_max)
		log_info("clients_max: the limit of descriptors leaves room for %u clients of %lld "
			 "in each worker: raise it (LimitNOFILE, ulimit -n), or lower clients_max",
			 descriptors.clients, (long long)conf->clients_max);
}

/* The rest, in an order in which each finds what it uses. */
static bool open_parts(struct worker *worker, const struct listener *listener, int go,
		       struct diagnostic *error)
{
	if (worker->turn.in.block == NULL || worker->turn.out.block == NULL || !open_loop(worker) ||
	    !open_cache(worker, error) || !open_log(worker, error) ||
	    !open_rules(worker, listener, error))
		return false;
	diagnostic_set(error, "worker: out of memory");
	if (!open_origins(worker) || !open_clients(worker))
		return false;
	open_housekeeping(worker);
	worker->acceptors = acceptors_start(worker->ev, &worker->clients, listener, go);
	return worker->acceptors != NULL;
}

struct worker *worker_new(const struct generation *generation, const struct worker_shared *shared,
			  unsigned block, struct listener *listener, struct diagnostic *error)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	diagnostic_set(error, "worker: out of memory");
	if (worker == NULL)
		return NULL;
	worker->conf = generation->conf;
	worker->shared = shared;
	worker->credentials = generation->credentials;
	worker->token = &generation->token;
	worker->tls_server = generation->tls;
	stats_service_attach(&shared->service, block);
	share_out(worker, block, listener);
	turn_init(&worker->turn);
	worker->turn.in = (struct scratch){.block = malloc(SCRATCH_SIZE), .size = SCRATCH_SIZE};
	worker->turn.out = (struct scratch){.block = malloc(SCRATCH_SIZE), .size = SCRATCH_SIZE};
	if (open_parts(worker, listener, generation->go[0], error))
		return worker;
	worker_free(worker);
	return NULL;
}

int worker_run(struct worker *worker)
{
	ev_run(worker->ev, 0);
	return 0;
}

static void close_cache(struct worker *worker)
{
	crash_watch(NULL);
	if (worker->cache != NULL)
		cache_close(worker->cache);
}

void worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->fetches != NULL)
		fetches_give_up(worker->fetches);
	origins_free(worker->origins);
	tunnels_free(worker->tunnels);
	logins_free(worker->logins);
	parse_memo_free(worker->memo);
	if (worker->resolver != NULL)
		resolver_free(worker->resolver);
	turn_free_all();
	exchanges_free(&worker->exchanges);
	access_free(worker->access);
	routes_free(worker->routes);
	tls_context_free(worker->tls);
	if (worker->acceptors != NULL) /* all parts were there */
		housekeeping_end(&worker->keeping);
	if (worker->accesslog != NULL)
		accesslog_close(worker->accesslog);
	close_cache(worker);
	fetches_free(worker->fetches);
	acceptors_free(worker->acceptors);
	if (worker->ev != NULL)
		ev_loop_destroy(worker->ev);
	free(worker->turn.in.block);
	free(worker->turn.out.block);
	free(worker);
}
