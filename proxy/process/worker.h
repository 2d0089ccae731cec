/*
 * One process, one loop: makes what the proxy consists of, gives each what it uses, and runs it.
 */
#ifndef PROXY_PROCESS_WORKER_H
#define PROXY_PROCESS_WORKER_H

#include "conf/conf.h"
#include "proxy/process/store_hold.h"
#include "proxy/stats/stats.h"

struct credentials;
struct holdings;
struct leases;
struct listener;
struct shareable_keys;
struct worker;

/* What the workers of a service share, in memory mapped before the fork. */
struct worker_shared {
	struct stats_service service;
	bool has_master; /* also of one worker, when copies of the store are to be made */
	struct store_hold
		hold;  /* of the service, written before a worker is made, as is the next */
	int to_master; /* a pipe of process ids: one that serves, or negative, see store_hold.h */
	struct leases *leases;
	struct shareable_keys *shareable;
	struct holdings *holdings;       /* what each worker holds; a dead one's is cleared */
	struct credentials *credentials; /* NULL when nobody needs to log in; each worker's own */
};

/* NULL when out of memory.  Lives as long as the process, and those forked from it. */
struct worker_shared *worker_shared_map(const struct conf *conf);

/* It lives as long as the process.  `listeners` are bound already; `index` is below conf->workers.  NULL with a line in `error`. */
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

#endif
