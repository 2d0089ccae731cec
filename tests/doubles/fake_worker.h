/*
 * A worker without a loop, for tests of whole exchanges: made of the real parts, clients, front
 * ends, exchanges, fetches, origins, cache and rules, over fake_conn.h, fake_resolver.h and
 * store_memory.h.
 *
 * A turn has the order of worker.c: clocks, events, tasks, flush, memory.  There is one
 * service at a time, of one worker or of two; those have a lane each (lanes.h), and a turn may stop
 * in the midst.
 */
#ifndef TESTS_DOUBLES_FAKE_WORKER_H
#define TESTS_DOUBLES_FAKE_WORKER_H

#include "proxy/access/access.h"
#include "proxy/client/client.h"
#include "proxy/exchange/fetch.h"
#include "proxy/loop/env.h"
#include "proxy/origin/origin.h"
#include "tests/doubles/fake_conn.h"
#include "tests/doubles/fake_resolver.h"

/* Wall clock at fake_conn_now_ms() 0. */
enum { FAKE_START_S = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

/* The proxy's own address. */
#define FAKE_LISTEN "127.0.0.1"
enum { FAKE_PORT = 3128 };

struct fake_worker {
	const struct conf *conf;
	unsigned index;
	struct turn turn;
	struct budgets budgets;
	struct cache *cache;
	struct access *access;
	struct routes *routes;
	struct admission admission;
	struct resolver *resolver;
	struct dialers dialers;
	struct origins *origins;
	struct tunnels *tunnels;
	struct fetches *fetches;
	struct exchanges exchanges;
	struct clients clients;
	struct env env;
	int64_t flush_ms; /* when the store's queue is to be flushed; 0 for not */
	int64_t tick_ms;
	int64_t missed_ms; /* passed for others while it was stopped */
	bool backwards;    /* the turn under way */
	bool any;          /* something was done in it */
	bool alive;        /* it has neither ended nor been killed */
};

/* What a test adds to the world; NULL for nothing of it. */
struct fake_world {
	void (*be)(int worker);                   /* whose code runs, or FAKE_NOBODY */
	void (*died)(unsigned worker);            /* it was killed: take its part of the rest */
	void (*tick)(struct fake_worker *worker); /* it looks after what it does by itself */
	void (*end)(struct fake_worker *worker);  /* it is about to end */
};
enum { FAKE_NOBODY = -1 };

/* Before the first worker; NULL when all have gone. */
void fake_worker_world(const struct fake_world *world);

/*
 * The wall clock is set.  Of a step back, the cache's clock cannot know the time since it was last
 * read, nor a short one: so much of what has passed may count as nothing.
 */
void fake_wall_jump(int64_t ms);
int64_t fake_wall_lost_ms(void);

/* `conf` outlives it.  Aborts when out of memory. */
struct fake_worker *fake_worker_new(const struct conf *conf);

/* It has so few descriptors from now on; nothing may be held yet. */
void fake_worker_share_out(struct fake_worker *worker, unsigned descriptors);

/* Another one of its service. */
struct fake_worker *fake_worker_join(const struct fake_worker *first);

/* Others have taken over: who is connected is served to the end. */
void fake_worker_retire(struct fake_worker *worker);
bool fake_worker_is_unused(const struct fake_worker *worker);

/*
 * It ends, by itself or by SIGKILL wherever it is; what it shared is as it was then.  It stays in its
 * place, until there is another.
 */
void fake_worker_end(struct fake_worker *worker);
void fake_worker_kill(struct fake_worker *worker);
void fake_worker_again(struct fake_worker *worker, const struct conf *conf);

/*
 * Clients that are still there are closed, then the worker goes, the last before the first; with
 * the last of them all goes, fake_conn_forget() included.
 */
void fake_worker_free(struct fake_worker *worker);

/* A client connects, to be refused unless FAILURE_NONE; its far end. */
struct fake_peer *fake_worker_accept(struct fake_worker *worker, const struct frontend *frontend,
				     const char *address, enum failure refusal);

/* One behind a load balancer, which must begin with a PROXY header. */
struct fake_peer *fake_worker_accept_behind(struct fake_worker *worker,
					    const struct frontend *frontend, const char *sender,
					    enum failure refusal);

/* One turn; false when there was nothing to do in it. */
bool fake_worker_turn(struct fake_worker *worker, bool backwards);

/* Turns of all workers until there is nothing more to do.  False when turn after turn gets nothing
 * done. */
bool fake_worker_settle(struct fake_worker *worker);

/*
 * Let time pass, stopping and settling at each deadline on the way, and now and then for what the
 * worker does by itself.  False when it did not settle at one of them.
 */
bool fake_worker_pass(struct fake_worker *worker, int64_t ms);

/* What failure_log.h was told of clients that sent no request, in place of a line on stderr. */
struct fake_told {
	unsigned headers, handshakes, left;
	size_t left_bytes;
	char why[64]; /* the cause of the last handshake's failure */
};
extern struct fake_told fake_worker_told; /* since the service began */

/* What SIGTERM does, and the end of the time it gives. */
void fake_worker_terminate(struct fake_worker *worker);
void fake_worker_drained(struct fake_worker *worker);

/*
 * What must hold between two turns: no loan of a scratch block, no task.  NULL, or what does not.
 */
const char *fake_worker_fault(const struct fake_worker *worker);

/* What must hold when all has been closed: nothing is there that is counted.  NULL, or what. */
const char *fake_worker_leftover(const struct fake_worker *worker);

#endif
