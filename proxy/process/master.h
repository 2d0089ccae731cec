/*
 * The process that starts the workers, replaces those that die, exchanges them for those of a new
 * configuration, and ends with them.
 *
 * The master serves nothing and runs no loop but poll(): it holds what must outlive a worker, which
 * is the listening sockets (a set for each, so that what is queued for a dead worker waits for the
 * next), the store's lock, the statistics and the leases.  A worker opens the store itself, after
 * the fork.
 *
 * A worker that dies is replaced at once; one that does so again right away a little later each
 * time, but never later than a second.  When workers cannot start at all the master gives up.
 * SIGTERM and SIGINT drain the workers and then end the master, a second one ends all at once.  All
 * workers are replaced when the store's files are not what its path names any more (store_hold.h).
 * SIGUSR1 has logs opened anew.
 *
 * SIGHUP, or an operator, asks for a reload: a new generation is read, checked, bound and started
 * beside the one in effect.  When all of its workers serve, those before it retire: they accept no
 * more, and end with their last connection.  When anything is wrong with the new one nothing
 * changes.  Sockets are shared by the generations that have their address, so that no connection is
 * refused or lost.  At most CONF_GENERATIONS_MAX are at work: the oldest is ended by drain_timeout
 * for the next.
 *
 * SIGUSR2, or an operator, asks for an upgrade: the program that is at our path is tried, and then
 * executed in this process (upgrade.c).  The kernel kills the workers of a master that is killed.
 */
#ifndef PROXY_PROCESS_MASTER_H
#define PROXY_PROCESS_MASTER_H

#include <signal.h>

#include "proxy/process/generation.h"
#include "proxy/process/worker.h"

struct handover;
struct master;
struct worker_shared;

/*
 * For the workers of `first`, which it takes over; `source` is where reloads read, and outlives it.
 * `before` is what another program handed over, NULL for none: it outlives the master too, and its
 * workers serve until ours do.  NULL when out of memory.
 */
struct master *master_new(struct generation *first, const struct generation_source *source,
			  struct worker_shared *shared, struct handover *before);

/* What it needs of the system; before master_run().  When it fails nothing has changed for the program before. */
bool master_begin(struct master *master, struct diagnostic *error);

/* `ready` is called once, when all workers serve.  Returns the exit status, in the master only. */
int master_run(struct master *master,
	       void (*ready)(const struct conf *conf, const struct listener *first));

/* Those that it waits for: blocked, and kept so for a program that takes over. */
sigset_t master_signals(void);

/* At the end of the process, which closes what it holds. */
void master_free(struct master *master);

#endif
