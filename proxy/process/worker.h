/* One process, one loop: makes what the proxy consists of, gives each what it uses, and runs it. */
#ifndef PROXY_PROCESS_WORKER_H
#define PROXY_PROCESS_WORKER_H

#include <signal.h>

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/process/store_hold.h"
#include "proxy/stats/stats.h"

struct generation;
struct holdings;
struct leases;
struct listener;
struct shareable_keys;
struct worker;

/* What the workers of a service share, in memory mapped before the fork. */
struct worker_shared {
	struct stats_service service;
	struct store_hold
		hold;  /* of the service, written before a worker is made, as is the next */
	int to_master; /* a pipe of process ids: one that serves or has retired, or negative, see
			  store_hold.h; or a wish of loop/env.h */
	int reload_file, upgrade_file; /* of the results in `service` */
	struct leases *leases;
	struct shareable_keys *shareable;
	struct holdings *holdings; /* what each worker holds; a dead one's is cleared */
};

/*
 * NULL when out of memory.  Lives as long as the process, and those forked from it.  `before` is
 * what another program hands over, NULL for none: results are shared with its workers, all else is
 * begun anew.
 */
struct handover;
struct worker_shared *worker_shared_map(const struct conf *conf, const struct handover *before);

/*
 * `block` is this worker's in what is shared, below conf_worker_slots() of the first configuration;
 * `listeners` are bound already, and accepted from when the generation's `go` is readable or ended;
 * all outlive it.  It lives as long as the process.  NULL with a line in
 * `error`.
 */
struct worker *worker_new(const struct generation *generation, const struct worker_shared *shared,
			  unsigned block, struct listener *listeners, struct diagnostic *error);

/*
 * Asks a worker to accept no more, and to end with its last connection.  Of no signal that
 * operators have a use for, as they may send theirs to all processes of the service.  The same in
 * all versions, since a master may take over workers of another.
 */
#define WORKER_RETIRE (SIGRTMIN + 4)

/*
 * Until it was asked to end and has drained.  Returns the exit status.  It is the master that is
 * asked, but others (a terminal, a service manager) signal the whole group as well.  So SIGTERM
 * asks, however often, to end within conf->drain_timeout; WORKER_RETIRE to end with the last
 * connection; SIGQUIT to end at once; SIGINT is not for it.
 */
int worker_run(struct worker *worker);

void worker_free(struct worker *worker);

#endif
