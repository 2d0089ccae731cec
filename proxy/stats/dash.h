/*
 * What the operators' page and `cache204 top` show, as one JSON text: all of it of one moment
 * (cache204(8) has the members).  Gathering is front/admin_dash.c's; this is pure but for reading
 * shared memory and allocating the text.
 */
#ifndef PROXY_STATS_DASH_H
#define PROXY_STATS_DASH_H

#include "cache/store/store.h"
#include "proxy/stats/dash_history.h"
#include "proxy/stats/marks.h"
#include "proxy/stats/notes.h"
#include "proxy/stats/stats.h"

enum { DASH_HOSTS = 10, DASH_URLS = 8 };

struct dash {
	int64_t now_ms, wall_ms; /* monotonic, and the same moment since the epoch */
	const char *name;        /* of this proxy or machine */
	const char *version;
	struct slice admin; /* as the operator named it */
	const struct stats_service *service;
	const struct stats *sum;                /* since the start */
	const struct stats *minute, *hour;      /* of the last */
	const struct stats *between;            /* of the window asked for, */
	double window_s;                        /* which is so long */
	const struct sketch_view *hosts, *urls; /* of the same, or the nearest */
	const struct sketch_view *failing;      /* hosts of the last minute, by failures */
	struct store_usage store;
	bool restored; /* the store came from a copy */
	bool leaving;
	unsigned workers_wanted;
	const struct reload_result *reload; /* NULL when it is not known */
	const struct dash_rows *rows;       /* of the chart */
};

/* With *ret_length without the NUL; NULL when out of memory. */
char *dash_json(const struct dash *dash, size_t *ret_length);

#endif
