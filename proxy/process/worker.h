/*
 * One process, one loop: what its modules share, and the order of a loop turn.
 */
#ifndef PROXY_PROCESS_WORKER_H
#define PROXY_PROCESS_WORKER_H

#include "cache/cache.h"
#include "cache/base/clock.h"
#include "conf/conf.h"
#include "proxy/access/access.h"
#include "proxy/http1/parse.h"
#include "proxy/stats/accesslog.h"
#include "proxy/origin/admission.h"
#include "proxy/origin/dialer.h"
#include "proxy/limits/budgets.h"
#include "proxy/base/buf.h"
#include "proxy/base/monotonic.h"
#include "proxy/exchange/leases.h"
#include "proxy/dns/resolver.h"
#include "proxy/origin/route.h"
#include "proxy/stats/stats.h"
#include "proxy/process/store_hold.h"
#include "proxy/loop/turn.h"

struct client;
struct exchange;
struct fetches;
struct logins;
struct parse_memo;
struct origins;
struct tunnels;
struct shareable_keys;
struct tls_context;

/* The removal of what was purged, while this worker is at it. */
struct removal {
	struct lease lease;
	int64_t leased_ms;
};

/* What the workers of a service share, in memory mapped before the fork. */
struct worker_shared {
	int64_t started_us; /* monotonic, of the service */
	unsigned workers;
	bool has_master; /* also of one worker, when copies of the store are to be made */
	_Atomic unsigned
		alive; /* that serve now; written by the master, a number by itself: relaxed */
	struct store_hold
		hold;  /* of the service, written before a worker is made, as is the next */
	int to_master; /* a pipe of process ids: one that serves, or negative, see store_hold.h */
	struct stats_copies copies; /* written by the master */
	struct stats *stats;        /* a block each */
	struct leases *leases;
	struct shareable_keys *shareable;
	struct holdings *holdings;       /* what each worker holds; a dead one's is cleared */
	struct credentials *credentials; /* NULL when nobody needs to log in; each worker's own */
};

/*
 * Made by worker_new(), lives as long as the process.
 */
struct worker {
	const struct conf *conf;
	struct cache *cache;
	struct access *access;
	struct resolver *resolver;
	struct accesslog *accesslog; /* NULL for none */
	struct fetches *fetches;
	struct logins *logins; /* NULL when nobody needs to log in */
	struct dialers dialers;
	struct tunnels *tunnels;
	struct origins *origins;
	struct routes *routes;
	struct admission admission; /* of clients to what is stored, by access and routes */
	struct parse_memo *memo;    /* of requests' fields */
	struct tls_context *tls;
	struct budgets budgets; /* what may be held, and what this worker holds */
	uint64_t answered;      /* at once, in the event under way */
	struct client *clients; /* all, for the drain */
	struct turn turn;
	struct exchange *spare_exchanges;
	const struct worker_shared *shared;
	struct removal removal;
	struct store_hold hold; /* the service's, as a lone worker goes on with it */
	struct loop *loop;      /* worker.c's own */
	/* of the head that is being handled */
	struct http_field request_lines[PARSE_REQUEST_FIELDS_MAX];
};

struct listener;

/* NULL when out of memory.  Lives as long as the process, and those forked from it. */
struct worker_shared *worker_shared_map(const struct conf *conf);

/* `listeners` are bound already; `index` is below conf->workers.  NULL with a line in `error`. */
struct worker *worker_new(const struct conf *conf, const struct worker_shared *shared,
			  unsigned index, struct listener *listeners, char *error,
			  size_t error_size);

/*
 * Until it was asked to end and has drained.  Returns the exit status.  A lone worker takes SIGTERM
 * and SIGINT; asked twice it ends at once.  One with a master leaves asking to it, and expects
 * others (a terminal, a service manager) to signal the whole group as well: SIGTERM asks, however
 * often, SIGQUIT ends at once, SIGINT is not for it.
 */
int worker_run(struct worker *worker);

void worker_free(struct worker *worker);

/* Begin or go on to remove what was purged. */
void worker_purge(struct worker *worker);

/* Bring what cache and store count into this worker's block. */
void worker_note_counts(struct worker *worker);

/* The same, before they are closed and others are opened that begin at 0. */
void worker_keep_counts(struct worker *worker);

#endif
