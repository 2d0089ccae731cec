/* A snapshot of the statistics as text.  Pure but for allocating the text: the caller frees it. */
#ifndef PROXY_STATS_REPORT_H
#define PROXY_STATS_REPORT_H

#include "cache/cache.h"
#include "proxy/stats/last_uris.h"
#include "proxy/stats/reload.h"
#include "proxy/stats/stats.h"

/* What is reported is not all since the start, but what was counted between two moments. */
struct report_span {
	bool is_all;               /* no: it is */
	int64_t from_ms, to_ms;    /* wall clock */
	int64_t length_us;         /* monotonic */
	char since[33], until[33]; /* names of the marks; "" for none */
	char note[81];             /* of the first */
};

struct report_input {
	const struct stats *stats; /* the sum of all workers */
	const struct stats
		*blocks; /* of each, which may be counting: for what is reported of each */
	unsigned block_count;
	const struct listener_names *listeners;
	struct cache_counts cache;
	struct store_usage store;
	struct stats_copies copies;
	int64_t uptime_s;
	int64_t started_ms; /* since the epoch */
	const char *version;
	unsigned workers;
	const struct report_span *span;               /* NULL for all since the start */
	const struct reload_result *reload, *upgrade; /* NULL when it is being written */
	uint64_t map_used;                            /* bytes */
	const struct last_uris *last_uris;            /* NULL for none */
};

/* JSON object; *ret_length without the NUL.  NULL when out of memory. */
char *report_json(const struct report_input *input, size_t *ret_length);

/* What `cache204 reload` and `upgrade` wait for: the result, and the last ticket given out. */
char *report_reload(const struct reload_result *result, uint64_t asked, size_t *ret_length);

/* Prometheus text exposition format 0.0.4; names begin with cache204_ or process_. */
char *report_prometheus(const struct report_input *input, size_t *ret_length);

#endif
