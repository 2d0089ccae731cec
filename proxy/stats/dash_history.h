/* The chart's rows in the operators' JSON. */
#ifndef PROXY_STATS_DASH_HISTORY_H
#define PROXY_STATS_DASH_HISTORY_H

#include "proxy/stats/history.h"

struct json_writer;

/* Which rows: of so many seconds each, from that number on; 0 for all. */
struct dash_rows {
	const struct history *history;
	int64_t started_us;      /* the service, monotonic */
	int64_t now_ms, wall_ms; /* monotonic, and the same moment since the epoch */
	unsigned step_s;
	uint64_t after;
};

/* The member "history". */
void dash_put_history(struct json_writer *out, const struct dash_rows *asked);

#endif
