/* A worker without a loop; see fake_worker.h. */
#include "tests/doubles/fake_worker.h"

#include <stdio.h>

#include "cache/base/diagnostic.h"
#include "cache/store/steady_clock.h"
#include "proxy/exchange/leases.c" /* to see what is left of them */
#include "proxy/client/client.h"
#include "proxy/exchange/failure_log.h"
#include "proxy/exchange/fetch.h"
#include "proxy/http1/parse_memo.h"
#include "proxy/origin/origin.h"
#include "proxy/exchange/shareable.h"
#include "proxy/exchange/tunnel.h"
#include "proxy/base/cause.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/wall_clock.h"
#include "tests/oracle/lanes.h"
#include "tests/doubles/store_memory.h"
#include "tests/doubles/sure_memory.h"

enum {
	STEPS_MAX = 3, /* so few that work is put off now and then */
	TICK_MS = 250,
	STOPS_MAX = 200, /* on the way of one fake_worker_pass(), but for deadlines */
	MS_PER_S = 1000,
	CLIENT_PORT = 40000,
	VAIN_TURNS_MAX = 20,
	DESCRIPTORS = 4096,
	KEYS_HELD = 4096,
};

/* What the workers share. */
static struct {
	struct fake_worker *workers[FAKE_WORKERS];
	unsigned count;
	struct stats_service shared; /* what they tell of themselves */
	struct holdings *holdings;
	struct stats stats[FAKE_WORKERS];
	struct leases leases;
	struct shareable_keys shareable;
	uint64_t lost[FAKE_WORKERS]; /* requests that died with such a worker */
	bool killed, miscounted;
} service;

/* What else there is in the world. */
static const struct fake_world no_world;
static const struct fake_world *world = &no_world;
static int64_t wall_off_ms, wall_read_ms, wall_lost_ms;

static char scratch_in[FAKE_WORKERS][SCRATCH_SIZE], scratch_out[FAKE_WORKERS][SCRATCH_SIZE];
static struct stats no_stats; /* of this process between two services */

/* ---- failure_log.h -------------------------------------------------------------------------- */

struct fake_told fake_worker_told;

void failure_log(const struct failure_subject *of, enum failure failure)
{
	(void)of; /* it writes to stderr */
	(void)failure;
}

void failure_log_hidden(const struct failure_subject *of, enum failure failure)
{
	(void)of;
	(void)failure;
}

void failure_log_header(const union address *sender, int64_t now_ms)
{
	(void)sender;
	(void)now_ms;
	fake_worker_told.headers++;
}

void failure_log_handshake(const union address *client, enum failure failure, int64_t now_ms)
{
	(void)client;
	(void)failure;
	(void)now_ms;
	fake_worker_told.handshakes++;
	snprintf(fake_worker_told.why, sizeof(fake_worker_told.why), "%s", cause_text());
}

void failure_log_mended(const struct failure_subject *of)
{
	(void)of;
}

void failure_log_left(const union address *client, size_t n)
{
	(void)client;
	fake_worker_told.left++;
	fake_worker_told.left_bytes += n;
}

/* ---- clocks --------------------------------------------------------------------------------- */

int64_t monotonic_us(void)
{
	/* never 0, as on a machine that is up; a worker that stopped has been away for a while */
	return (fake_conn_now_ms() + 1 + (int64_t)lanes_stops()) * 1000;
}

int64_t wall_clock_ms(void)
{
	wall_read_ms = fake_conn_now_ms();
	return (int64_t)FAKE_START_S * MS_PER_S + fake_conn_now_ms() + wall_off_ms;
}

void fake_wall_jump(int64_t ms)
{
	if (ms < 0)
		wall_lost_ms += fake_conn_now_ms() - wall_read_ms +
				(-ms < CLOCK_STEP_BACK_MS ? -ms : CLOCK_STEP_BACK_MS);
	wall_off_ms += ms;
}

int64_t fake_wall_lost_ms(void)
{
	return wall_lost_ms;
}

int64_t boot_clock_ms(void)
{
	return monotonic_us() / 1000;
}

/* ---- the turn ------------------------------------------------------------------------------- */

static void flush_all(struct cache *cache)
{
	while (cache_flush_some(cache))
		;
}

static void arm_flush(struct fake_worker *worker)
{
	if (!cache_flush_is_due(worker->cache) || worker->flush_ms != 0)
		return;
	if (worker->conf->store_interval_ms == 0)
		flush_all(worker->cache);
	else
		worker->flush_ms = fake_conn_now_ms() + worker->conf->store_interval_ms;
}

static void run_timers(struct fake_worker *worker)
{
	if (worker->flush_ms != 0 && worker->flush_ms <= fake_conn_now_ms()) {
		worker->flush_ms = 0;
		flush_all(worker->cache);
	}
	if (worker->tick_ms <= fake_conn_now_ms()) {
		worker->tick_ms = fake_conn_now_ms() + TICK_MS;
		cache_tick(worker->cache);
		if (world->tick != NULL)
			world->tick(worker);
	}
}

/* Another worker is the process from now on. */
static void become(unsigned index)
{
	stats_attach(&service.stats[index]);
	fake_conn_be(index);
	if (world->be != NULL)
		world->be((int)index);
}

/* None is. */
static void leave(void)
{
	if (world->be != NULL)
		world->be(FAKE_NOBODY);
}

/* It is to do something outside of a turn: one that it stopped in is over first. */
static void call_on(const struct fake_worker *worker)
{
	lane_finish(worker->index);
	lane_be(worker->index);
}

static void turn(void *context)
{
	struct fake_worker *worker = context;

	turn_read_clocks(&worker->turn);
	turn_begin(&worker->turn);
	if (worker->missed_ms > 0)
		fake_resolver_advance(worker->resolver, worker->missed_ms);
	worker->missed_ms = 0;
	run_timers(worker);
	worker->any =
		fake_conn_turn(worker->backwards) || worker->turn.soon.count + worker->turn.due > 0;
	worker->any |= turn_end(&worker->turn);
	arm_flush(worker);
	stats->writes_waiting = (int64_t)cache_pending(worker->cache);
	cache_turn_end(worker->cache);
	turn_free_all();
}

/* One that stopped in the midst of its turn does nothing, however long that is. */
bool fake_worker_turn(struct fake_worker *worker, bool backwards)
{
	if (worker->alive && lane_waits(worker->index))
		return !lane_go_on(worker->index) || worker->any;
	if (!worker->alive || lane_is_stopped(worker->index))
		return false;
	worker->backwards = backwards;
	return !lane_run(worker->index, turn, worker) || worker->any;
}

static bool all_turn(void)
{
	bool any = false;

	for (unsigned i = 0; i < service.count; i++)
		any |= fake_worker_turn(service.workers[i], false);
	return any;
}

bool fake_worker_settle(struct fake_worker *worker)
{
	uint64_t progress = fake_conn_progress();
	unsigned vain = 0;

	(void)worker;
	while (all_turn()) {
		vain = fake_conn_progress() == progress ? vain + 1 : 0;
		progress = fake_conn_progress();
		if (vain > VAIN_TURNS_MAX)
			return false;
	}
	return true;
}

static int64_t next_stop(int64_t step_ms)
{
	int64_t next_ms = fake_conn_now_ms() + step_ms;

	if (fake_conn_next_ms() < next_ms)
		next_ms = fake_conn_next_ms();
	for (unsigned i = 0; i < service.count; i++) {
		int64_t flush_ms = service.workers[i]->flush_ms;

		if (service.workers[i]->alive && flush_ms != 0 && flush_ms < next_ms)
			next_ms = flush_ms;
	}
	return next_ms > fake_conn_now_ms() ? next_ms : fake_conn_now_ms() + 1;
}

bool fake_worker_pass(struct fake_worker *worker, int64_t ms)
{
	int64_t end_ms = fake_conn_now_ms() + ms;
	int64_t step_ms = ms / STOPS_MAX > TICK_MS ? ms / STOPS_MAX : TICK_MS;

	while (fake_conn_now_ms() < end_ms) {
		int64_t next_ms = next_stop(step_ms);
		int64_t passed_ms = (next_ms < end_ms ? next_ms : end_ms) - fake_conn_now_ms();

		fake_conn_pass(passed_ms);
		for (unsigned i = 0; i < service.count; i++)
			service.workers[i]->missed_ms += passed_ms;
		if (!fake_worker_settle(worker))
			return false;
	}
	return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fake_worker: %s\n", what);
	abort();
}

static union address address_of(const char *text, uint16_t port)
{
	union address address;

	require(address_parse(slice_str(text), &address), text);
	address_set_port(&address, port);
	return address;
}

static void open_clients(struct fake_worker *worker)
{
	worker->exchanges = (struct exchanges){
		.conf = worker->conf,
		.turn = &worker->turn,
		.cache = worker->cache,
		.env = &worker->env,
	};
	worker->clients = (struct clients){
		.conf = worker->conf,
		.turn = &worker->turn,
		.counts = cache_counts(worker->cache),
		.access = worker->access,
		.budgets = &worker->budgets,
		.exchanges = &worker->exchanges,
		.memo = parse_memo_new(),
	};
	require(worker->clients.memo != NULL, "out of memory");
	worker->env = (struct env){
		.conf = worker->conf,
		.turn = &worker->turn,
		.cache = worker->cache,
		.access = worker->access,
		.admission = &worker->admission,
		.exchanges = &worker->exchanges,
		.fetches = worker->fetches,
		.tunnels = worker->tunnels,
		.leases = &service.leases,
		.service = &service.shared,
	};
}

static void open_parts(struct fake_worker *worker)
{
	struct diagnostic error = {""};
	union address own;

	worker->cache = cache_open(worker->conf, CACHE_LOCK_NONE, &error);
	require(worker->cache != NULL, error.text);
	worker->turn.steady = store_clock(cache_store_of(worker->cache));
	own = address_of(FAKE_LISTEN, FAKE_PORT);
	worker->access =
		access_new(worker->conf,
			   &(struct access_place){.listeners = &own, .listener_count = 1}, &error);
	require(worker->access != NULL, error.text);
	worker->routes = routes_new(worker->conf, &error);
	require(worker->routes != NULL, error.text);
	worker->admission = admission_new(worker->conf, worker->access, worker->routes);
	worker->resolver = resolver_new(NULL, worker->conf, &worker->budgets, &error);
	require(worker->resolver != NULL, error.text);
	worker->dialers = (struct dialers){
		.connectors = {.conf = worker->conf,
			       .turn = &worker->turn,
			       .budgets = &worker->budgets,
			       .access = worker->access,
			       .resolver = worker->resolver},
		.routes = worker->routes,
	};
	worker->tunnels = tunnels_new(&worker->turn, &worker->dialers);
	worker->origins = origins_new(&worker->dialers, &worker->admission);
	require(worker->tunnels != NULL && worker->origins != NULL, "out of memory");
	worker->fetches = fetches_new(&(struct fetches_use){
		.conf = worker->conf,
		.turn = &worker->turn,
		.cache = worker->cache,
		.routes = worker->routes,
		.origins = worker->origins,
		.tunnels = worker->tunnels,
		.shareable = &service.shareable,
	});
	require(worker->fetches != NULL, "out of memory");
	open_clients(worker);
}

void fake_worker_share_out(struct fake_worker *worker, unsigned descriptors)
{
	struct descriptors share = descriptors_share(descriptors, 0);

	budgets_init(&worker->budgets, service.holdings, worker->index, worker->conf, &share);
}

/* In the place of whatever it was before. */
static void worker_start(struct fake_worker *worker, const struct conf *conf)
{
	unsigned index = worker->index;

	lane_be(index);
	*worker = (struct fake_worker){.index = index, .conf = conf, .alive = true};
	turn_init(&worker->turn);
	worker->turn.steps_max = STEPS_MAX;
	worker->turn.in.size = worker->turn.out.size = SCRATCH_SIZE;
	worker->turn.in.block = scratch_in[worker->index];
	worker->turn.out.block = scratch_out[worker->index];
	fake_worker_share_out(worker, DESCRIPTORS);
	open_parts(worker);
	turn_read_clocks(&worker->turn);
	leave();
}

static struct fake_worker *worker_make(const struct conf *conf)
{
	struct fake_worker *worker = sure_memory(NULL, 1, sizeof(*worker));

	worker->index = service.count;
	service.workers[service.count++] = worker;
	worker_start(worker, conf);
	return worker;
}

void fake_worker_world(const struct fake_world *wanted)
{
	world = wanted != NULL ? wanted : &no_world;
}

struct fake_worker *fake_worker_new(const struct conf *conf)
{
	require(service.count == 0, "one service at a time");
	memset(&service, 0, sizeof(service));
	fake_worker_told = (struct fake_told){0};
	service.shared = (struct stats_service){
		.started_us = monotonic_us(),
		.alive = 1,
		.blocks = service.stats,
	};
	service.holdings = holdings_map(FAKE_WORKERS, KEYS_HELD);
	require(service.holdings != NULL, "out of memory");
	wall_off_ms = wall_read_ms = wall_lost_ms = 0;
	lanes_open(become, leave);
	return worker_make(conf);
}

struct fake_worker *fake_worker_join(const struct fake_worker *first)
{
	service.shared.alive = service.count + 1;
	return worker_make(first->conf);
}

void fake_worker_drained(struct fake_worker *worker)
{
	call_on(worker);
	clients_close(&worker->clients);
	tunnels_close(worker->tunnels);
	leave();
}

void fake_worker_terminate(struct fake_worker *worker)
{
	call_on(worker);
	worker->turn.draining = true;
	clients_drain(&worker->clients);
	tunnels_close(worker->tunnels);
	leave();
}

void fake_worker_retire(struct fake_worker *worker)
{
	call_on(worker);
	worker->turn.leaving = worker->turn.draining = true;
	leave();
}

bool fake_worker_is_unused(const struct fake_worker *worker)
{
	return worker->clients.first == NULL && service.stats[worker->index].tunnels_open == 0;
}

/* As worker_free(), and what a process that ends need not give back. */
void fake_worker_end(struct fake_worker *worker)
{
	fake_worker_drained(worker);
	call_on(worker);
	if (world->end != NULL)
		world->end(worker);
	fetches_give_up(worker->fetches);
	do
		turn_begin(&worker->turn);
	while (turn_end(&worker->turn));
	origins_free(worker->origins);
	tunnels_free(worker->tunnels);
	parse_memo_free(worker->clients.memo);
	resolver_free(worker->resolver);
	turn_free_all();
	exchanges_free(&worker->exchanges);
	access_free(worker->access);
	routes_free(worker->routes);
	cache_close(worker->cache);
	fetches_free(worker->fetches);
	service.stats[worker->index].writes_waiting = 0; /* they were put there */
	fake_conn_die(worker->index);                    /* the kernel's part */
	leave();
	worker->alive = false;
}

/* Requests of a block without an outcome, but for those that died before. */
static uint64_t unended(unsigned index)
{
	const struct stats *block = &service.stats[index];
	uint64_t ended = service.lost[index];

	for (unsigned row = 0; row < STATUS_ROWS; row++)
		for (unsigned outcome = 0; outcome < OUTCOME_COUNT; outcome++)
			if (outcome != OUTCOME_BACKGROUND)
				ended += block->answers.at[row][outcome];
	return block->requests - ended;
}

/* What the kernel and the master do then. */
void fake_worker_kill(struct fake_worker *worker)
{
	struct stats *block = &service.stats[worker->index];
	uint64_t lost;

	lane_kill(worker->index);
	worker->alive = false;
	lost = unended(worker->index);
	service.miscounted |= lost > (uint64_t)block->exchanges;
	service.lost[worker->index] += lost;
	service.killed = true;
	fake_conn_die(worker->index);
	resolver_free(worker->resolver);
	if (world->died != NULL)
		world->died(worker->index);
	holdings_clear(service.holdings, worker->index);
	stats_reset_gauges(block);
}

void fake_worker_again(struct fake_worker *worker, const struct conf *conf)
{
	worker_start(worker, conf);
}

void fake_worker_free(struct fake_worker *worker)
{
	if (worker->alive)
		fake_worker_end(worker);
	free(worker);
	if (--service.count > 0)
		return;
	lanes_close();
	store_memory_forget();
	fake_conn_forget();
	holdings_unmap(service.holdings);
	stats_attach(&no_stats);
}

struct fake_peer *fake_worker_accept(struct fake_worker *worker, const struct frontend *frontend,
				     const char *address, enum failure refusal)
{
	struct fake_peer *peer = fake_peer_new();
	struct accepted accepted = {
		.fd = peer->fd, .frontend = frontend, .peer = address_of(address, CLIENT_PORT)};

	peer->uncounted = frontend->is_reserved;
	call_on(worker);
	client_new(&worker->clients, &accepted, refusal);
	leave();
	return peer;
}

struct fake_peer *fake_worker_accept_behind(struct fake_worker *worker,
					    const struct frontend *frontend, const char *sender,
					    enum failure refusal)
{
	struct fake_peer *peer = fake_peer_new();
	struct accepted accepted = {
		.fd = peer->fd, .frontend = frontend, .peer = address_of(sender, CLIENT_PORT)};

	call_on(worker);
	client_new_behind(&worker->clients, &accepted, refusal);
	leave();
	return peer;
}

/* ---- judging -------------------------------------------------------------------------------- */

const char *fake_worker_fault(const struct fake_worker *worker)
{
	if (!worker->alive || lane_is_stopped(worker->index))
		return NULL; /* it is between nothing */
	if (worker->turn.in.borrower != NULL)
		return "the scratch block for reading was not given back";
	if (worker->turn.out.borrower != NULL)
		return "the scratch block for composing was not given back";
	/* what was put off to another turn may wait for it */
	if (worker->turn.soon.count > 0)
		return "a task was left over";
	return NULL;
}

static bool all_zero(const void *memory, size_t size)
{
	const char *bytes = memory;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Those of workers that were killed have to lapse. */
static bool is_leased_any(void)
{
	if (!service.killed)
		return !all_zero(&service.leases, sizeof(service.leases));
	for (unsigned i = 0; i < BUCKETS; i++)
		for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++)
			if (is_live(service.leases.bucket[i][slot], monotonic_us() / 1000))
				return true;
	return false;
}

/*
 * Each byte is counted once where it was received, and once where it was sent; those in a tunnel
 * are counted where they are received alone, sent or not.
 */
static const char *bytes_fault(void)
{
	static char fault[120];
	int64_t received[2] = {0}, sent[2] = {0};
	bool any_tunnel = false;
	const struct fake_peer *peer;

	for (unsigned i = 0; (peer = fake_peer_at(i)) != NULL; i++) {
		bool is_origin = peer->address.any.sa_family != AF_UNSPEC;

		if (peer->uncounted)
			continue;
		received[is_origin] += (int64_t)peer->said.done;
		sent[is_origin] += (int64_t)peer->sent;
	}
	for (unsigned i = 0; i < FAKE_WORKERS; i++) {
		const struct stats *block = &service.stats[i];

		received[0] -= (int64_t)(block->client_bytes_in + block->tunnel_bytes_in);
		received[1] -= (int64_t)(block->origin_bytes_in + block->tunnel_bytes_out);
		sent[0] -= (int64_t)block->client_bytes_out;
		sent[1] -= (int64_t)block->origin_bytes_out;
		any_tunnel |= block->tunnels > 0;
	}
	if (received[0] == 0 && received[1] == 0 && (any_tunnel || (sent[0] == 0 && sent[1] == 0)))
		return NULL;
	snprintf(fault, sizeof(fault),
		 "bytes that are not counted once: of clients %+lld %+lld, of origins %+lld %+lld",
		 (long long)received[0], (long long)sent[0], (long long)received[1],
		 (long long)sent[1]);
	return fault;
}

const char *fake_worker_leftover(const struct fake_worker *worker)
{
	if (worker->alive && worker->clients.first != NULL)
		return "a client";
	if (worker->alive && worker->turn.later.count > 0)
		return "a task";
	if (fake_conn_open() > 0)
		return "a connection";
	if (worker->alive && fake_resolver_waiting(worker->resolver) > 0)
		return "a look-up";
	if (is_leased_any())
		return "a lease";
	if (service.miscounted || unended(worker->index) != 0)
		return "a request without an outcome, or the other way round";
	if (holdings_count(service.holdings, worker->index) > 0)
		return "what is held of a budget";
#define COUNTER(name, metric, help)
#define GAUGE(name, metric, help)                   \
	if (service.stats[worker->index].name != 0) \
		return "a count of " #name;
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	return bytes_fault();
}
