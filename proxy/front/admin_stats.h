/* Statistics as pages of operators: GET /stats as JSON, of all or between two marks, GET /metrics for Prometheus. */
#ifndef PROXY_FRONT_ADMIN_STATS_H
#define PROXY_FRONT_ADMIN_STATS_H

#include "proxy/exchange/exchange.h"

void admin_stats(struct exchange *x);
void admin_metrics(struct exchange *x);

#endif
