/*
 * Connections to origins by host, port and way: how many there are, and which are idle and may be
 * used again.
 */
#ifndef PROXY_ORIGIN_POOL_H
#define PROXY_ORIGIN_POOL_H

#include "proxy/process/worker.h"

struct origin;
struct pool;
struct pool_host; /* one key; lives while it has connections */

struct pool *pool_new(const struct conf *conf);
void pool_free(struct pool *pool);

/*
 * Count one more connection of a key (origin.h).  NULL when memory is short.  Given back by
 * pool_leave().
 */
struct pool_host *pool_join(struct pool *pool, struct slice key);
void pool_leave(struct pool *pool, struct pool_host *host);

/* The idle connection used last, taken out of the pool; NULL for none.  Its count stays. */
struct origin *pool_take(struct pool *pool, struct slice key);

/* Keep an idle connection.  False when there are enough: close it. */
bool pool_keep(struct pool_host *host, struct origin *origin);

/* An idle connection is going away. */
void pool_remove(struct pool_host *host, struct origin *origin);

#endif
