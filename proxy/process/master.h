/*
 * Several workers, or one and copies of its store: a process that starts them, replaces those that
 * die, and ends with them.
 *
 * The master serves nothing and runs no loop but poll(): it holds what must outlive a worker, which
 * is the listening sockets (a set for each, so that what is queued for a dead worker waits for the
 * next), the store's lock, the statistics and the leases.  A worker opens the store itself, after
 * the fork.
 *
 * A worker that dies is replaced at once; one that does so again right away a little later each
 * time, but never later than a second.  When workers cannot start at all the master gives up.
 * SIGTERM and SIGINT drain the workers and then end the master, a second one ends all at once;
 * SIGHUP is passed on.  All workers are replaced when the store's files are not what its path names
 * any more (store_hold.h).  The kernel kills the workers of a master that is killed.
 */
#ifndef PROXY_PROCESS_MASTER_H
#define PROXY_PROCESS_MASTER_H

#include "proxy/loop/listener.h"

struct master;
struct worker_shared;

/*
 * For conf->workers workers on the addresses of `first`, bound with reuse_port if there are
 * several; takes the sockets over, and binds as many sets more, so privileges are dropped after
 * this.  NULL with a line in `error`.
 */
struct master *master_new(const struct conf *conf, struct worker_shared *shared,
			  const struct listener *first, char *error, size_t error_size);

/* `ready` is called once, when all workers serve.  Returns the exit status, in the master only. */
int master_run(struct master *master,
	       void (*ready)(const struct conf *conf, const struct listener *first));

/* At the end of the process, which closes what it holds. */
void master_free(struct master *master);

#endif
