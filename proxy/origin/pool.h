/*
 * Connections to origins by host, port and way: how many there are, and which are idle and may be
 * used again.
 */
#ifndef PROXY_ORIGIN_POOL_H
#define PROXY_ORIGIN_POOL_H

#include <stdbool.h>

#include "cache/base/slice.h"
#include "conf/conf.h"

struct pool;
struct pool_host; /* one key; lives while it has connections */

/* An idle connection, embedded in its owner; zero while it is not in the pool. */
struct pool_idle {
	struct pool_idle *next, **link;
};

/* NULL when out of memory. */
struct pool *pool_new(const struct conf *conf);

/* Each idle connection is given to `close`, which takes it out and leaves its host. */
void pool_free(struct pool *pool, void (*close)(struct pool_idle *idle));

/*
 * Count one more connection of a key (origin.h).  NULL when memory is short.  Given back by
 * pool_leave().
 */
struct pool_host *pool_join(struct pool *pool, struct slice key);
void pool_leave(struct pool *pool, struct pool_host *host);

/* The idle connection used last, taken out of the pool; NULL for none.  Its count stays. */
struct pool_idle *pool_take(struct pool *pool, struct slice key);

/* Keep an idle connection.  False when there are enough: close it. */
bool pool_keep(struct pool_host *host, struct pool_idle *idle);

/* An idle connection is going away. */
void pool_remove(struct pool_host *host, struct pool_idle *idle);

#endif
