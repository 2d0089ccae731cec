/* The memory that the workers of a service tell of themselves in. */
#ifndef PROXY_STATS_SERVICE_H
#define PROXY_STATS_SERVICE_H

#include <sys/types.h>

#include "proxy/stats/stats.h"

/* All but what outlives an upgrade, before the fork, for so many workers.  False when there is no memory. */
bool stats_service_map(struct stats_service *service, unsigned workers);

/* This process is the worker with the `index`-th block of everything. */
void stats_service_attach(const struct stats_service *service, unsigned index);

/* The worker with that block has died: what it had open is closed, what it counted stays. */
void stats_service_clear(const struct stats_service *service, unsigned index, pid_t pid);

#endif
