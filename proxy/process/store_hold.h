/*
 * The service's hold on its store: the lock that keeps other services away, and what to do when the
 * directory, or a file in it, is removed or exchanged while the service runs.
 *
 * Locks are of files, and the store's processes have files open, not paths.  So a process that is
 * started after that would open another store than those before it: an invalidation by one would
 * not reach what the other answers from; and another service could lock the new directory.  Hence
 * all processes of a service use the one directory that its lock is in (a start in any other
 * fails), each looks once a second whether the path still names the files that it has open, and if
 * not, all leave them and begin with what is there now, under its lock.  Removing the files means
 * that their content should go.  No process opens the new store before all have closed the old one.
 * When the new directory cannot be had, as another service was quicker, the old store is used on:
 * it is one store to all of the service's processes; this is logged, and retried.
 */
#ifndef PROXY_PROCESS_STORE_HOLD_H
#define PROXY_PROCESS_STORE_HOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/diagnostic.h"

struct cache;
struct turn;

struct store_hold {
	int lock;  /* of store_lock(), -1 for none; its copies in workers outlive a killed master */
	bool told; /* logged that the path cannot be used now */
};

/* Lock the directory.  False with a line in `error`. */
bool store_hold_take(struct store_hold *hold, const char *directory, struct diagnostic *error);

/* Lock what the path names now, if that is not locked already; false, and logged once, if not. */
bool store_hold_again(struct store_hold *hold, const char *directory);

/* A worker's look at the store that it has open; all of it outlives it. */
struct store_watch {
	const struct turn *turn;
	struct cache *cache;
	int to_master; /* a pipe, see struct worker_shared */
};

/*
 * Once a second, outside the use of the store: the master learns of files that are gone, by the
 * negative process id.
 */
void store_watch_look(struct store_watch *watch);

#endif
