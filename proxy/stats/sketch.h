/*
 * Which hosts and URLs the traffic is of: the most requested ones with counts of their own, in
 * memory of fixed size, the rest together.
 *
 * Each worker has a block that it alone writes, and any process reads.  A block has two tables, of
 * SKETCH_HOSTS and SKETCH_URLS names.  A name that is in its table is counted exactly.  A name that
 * is not takes the place of the one with the lowest rank once the table is full, as in Space-Saving
 * (Metwally et al., ICDT 2005): it begins with that rank, so what is requested often stays.  Of hits
 * for URLs without a place one in SKETCH_SAMPLE on average asks for one, so that a crowd of
 * different URLs does not make hits slow; it stands for those that were passed over before it.
 *
 * Counts are kept in slices of time, for the last minute, the last hour, and since the start.  What
 * a name was requested while it had no place is in no row, but in the totals: sketch_read() tells
 * how much that can be at most for any one name.
 *
 * A worker that takes the block of one that has died goes on with what that has counted.
 */
#ifndef PROXY_STATS_SKETCH_H
#define PROXY_STATS_SKETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/base/key.h"
#include "proxy/stats/sketch_fields.h"

enum sketch_table { SKETCH_OF_HOSTS, SKETCH_OF_URLS };

struct sketch;

/* Blocks for so many workers, shared over fork(); NULL on failure.  What they take is in use only. */
struct sketch *sketch_map(unsigned workers);

/* This process's block is the `index`-th from here on. */
void sketch_attach(struct sketch *blocks, unsigned index);

/*
 * A few times a second, and before this process reads: hits that were gathered are brought into the
 * block, and the slice that is counted in is of this time (monotonic).
 */
void sketch_tick(int64_t now_ms);

/* What an exchange has come to. */
struct sketch_event {
	bool is_request; /* of a client */
	bool here, stale, asked, failed;
	uint64_t bytes;
	uint32_t first_byte_us; /* of the origin's answer; 0 when it is not known */
};

/*
 * A request of a client answered with so many bytes without the origin, of the URL with this key.
 * True when it was counted; false when it is to be counted by sketch_count(), which needs the names.
 */
bool sketch_hit(const struct cache_key *key, uint64_t bytes, bool stale);

/*
 * Any exchange.  `key` is the URL's, NULL when it has none; names are as they are to be shown, and
 * cut where too long.  An empty `url` counts for the host alone.
 */
void sketch_count(const struct sketch_event *event, const struct cache_key *key, struct slice host,
		  struct slice url);

/* ---- reading -------------------------------------------------------------------------------- */

enum { SKETCH_ROWS_MAX = 64 };

/* The order of rows, most first. */
enum sketch_sort {
	SKETCH_BY_REQUESTS,
	SKETCH_BY_ASKED,
	SKETCH_BY_BYTES,
	SKETCH_BY_FAILURES,
	SKETCH_BY_FIRST_BYTE, /* its p99 */
};

struct sketch_row {
	char name[SKETCH_NAME_MAX + 1];
	uint64_t field[SKETCH_FIELDS];
	/* Of hosts, within a fifth; 0 when the origin was not asked. */
	uint32_t first_byte_p50_us, first_byte_p99_us;
};

struct sketch_view {
	unsigned count; /* of rows */
	struct sketch_row row[SKETCH_ROWS_MAX];
	uint64_t total[SKETCH_FIELDS];
	uint64_t other[SKETCH_FIELDS]; /* of what has no row here */
	unsigned other_names;          /* that have a place, and no row here */
	/*
	 * What any name, with or without a row, may have been requested more often than it says.  0
	 * when all names have places: then all is exact.
	 */
	uint64_t error;
};

struct sketch_query {
	unsigned window_s; /* 60, 3600, or 0 for since the start */
	enum sketch_sort sort;
	unsigned rows;  /* SKETCH_ROWS_MAX at most */
	int64_t now_ms; /* monotonic */
};

/* Of `count` blocks.  False when out of memory. */
bool sketch_read(const struct sketch *blocks, unsigned count, enum sketch_table table,
		 const struct sketch_query *query, struct sketch_view *ret_view);

#endif
