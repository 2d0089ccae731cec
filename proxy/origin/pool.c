/* Idle origin connections by host, port and way, with limits. */
#include "proxy/origin/pool.h"

#include <assert.h>
#include <stdlib.h>

/* Memory may run out: the element is not in the table then, and says so (uthash 2.3). */
#define HASH_NONFATAL_OOM 1
#include "cache/base/table.h"

#include "proxy/stats/stats.h"

struct pool_host {
	UT_hash_handle hh;
	const struct conf *conf;
	unsigned connections; /* idle ones and those at work */
	unsigned idle_count;
	struct pool_idle *idle; /* the one used last first */
	size_t length;
	char key[];
};

struct pool {
	const struct conf *conf;
	struct pool_host *hosts;
};

struct pool *pool_new(const struct conf *conf)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool != NULL)
		pool->conf = conf;
	return pool;
}

void pool_free(struct pool *pool, void (*close)(struct pool_idle *idle))
{
	struct pool_host *host, *next;

	if (pool == NULL)
		return;
	HASH_ITER(hh, pool->hosts, host, next)
	{
		while (host->idle != NULL && host->connections > 1)
			close(host->idle);
		if (host->idle != NULL)
			close(host->idle); /* the last one takes the host with it */
	}
	free(pool);
}

static struct pool_host *find(struct pool *pool, struct slice key)
{
	struct pool_host *host;

	HASH_FIND(hh, pool->hosts, key.p, key.n, host);
	return host;
}

struct pool_host *pool_join(struct pool *pool, struct slice key)
{
	struct pool_host *host = find(pool, key);

	if (host == NULL) {
		host = calloc(1, sizeof(*host) + key.n);
		if (host == NULL)
			return NULL;
		host->conf = pool->conf;
		host->length = key.n;
		memcpy(host->key, key.p, key.n);
		HASH_ADD_KEYPTR(hh, pool->hosts, host->key, host->length, host);
		if (host->hh.tbl == NULL) {
			free(host);
			return NULL;
		}
	}
	host->connections++;
	return host;
}

void pool_leave(struct pool *pool, struct pool_host *host)
{
	assert(host->connections > host->idle_count);
	if (--host->connections > 0)
		return;
	HASH_DEL(pool->hosts, host);
	free(host);
}

struct pool_idle *pool_take(struct pool *pool, struct slice key)
{
	struct pool_host *host = find(pool, key);
	struct pool_idle *idle;

	if (host == NULL || host->idle == NULL)
		return NULL;
	idle = host->idle;
	pool_remove(host, idle);
	return idle;
}

bool pool_keep(struct pool_host *host, struct pool_idle *idle)
{
	if (host->idle_count >= host->conf->origin_idle)
		return false;
	idle->next = host->idle;
	idle->link = &host->idle;
	if (host->idle != NULL)
		host->idle->link = &idle->next;
	host->idle = idle;
	host->idle_count++;
	STATS_ADD(origins_idle, 1);
	return true;
}

void pool_remove(struct pool_host *host, struct pool_idle *idle)
{
	assert(host->idle_count > 0);
	*idle->link = idle->next;
	if (idle->next != NULL)
		idle->next->link = idle->link;
	*idle = (struct pool_idle){.next = NULL};
	host->idle_count--;
	STATS_ADD(origins_idle, -1);
}
