/*
 * The last hour of the statistics, in memory of fixed size shared over fork(): rows for charts, a
 * row a second for five minutes and one each ten seconds for an hour, and samples of all counters
 * and histograms, each five seconds for a minute and each two minutes for an hour, from which any window
 * of time is the difference to now.
 *
 * One worker, which has the lease, takes a sample each second of the monotonic clock.  When it ends,
 * is killed or stopped, another takes over by the next second, or when the lease has lapsed.  What
 * was not sampled stays a gap.  Rows are shared_row's: readers in all processes see whole ones, and
 * no writer leaves harm.  A reload goes on with the same memory.
 */
#ifndef PROXY_STATS_HISTORY_H
#define PROXY_STATS_HISTORY_H

#include <sys/types.h>

#include "proxy/stats/stats.h"

enum {
	HISTORY_SECONDS = 300, /* rows of a second */
	HISTORY_TENS = 360,    /* rows of ten seconds */
	HISTORY_LEASE_MS = 1500,
	HISTORY_WINDOW_MAX_S = 3600,
};

/* The columns of a chart's row: counts of its time; microseconds; the last is as it was then. */
#define HISTORY_COLUMNS(COLUMN) \
	COLUMN(fresh)           \
	COLUMN(shared)          \
	COLUMN(stale)           \
	COLUMN(confirmed)       \
	COLUMN(fetched)         \
	COLUMN(other)           \
	COLUMN(errors)          \
	COLUMN(hit_p50)         \
	COLUMN(hit_p99)         \
	COLUMN(miss_p50)        \
	COLUMN(miss_p99)        \
	COLUMN(fb_p50)          \
	COLUMN(fb_p99)          \
	COLUMN(in_flight)

enum history_column {
#define COLUMN(name) HISTORY_##name,
	HISTORY_COLUMNS(COLUMN)
#undef COLUMN
		HISTORY_COLUMN_COUNT
};

#define HISTORY_UNKNOWN UINT32_MAX /* as in a time of which there was none */

struct history_row {
	uint32_t column[HISTORY_COLUMN_COUNT];
};

struct history;

/* NULL on failure.  Lives as long as the process, and those forked from it. */
struct history *history_map(void);

/*
 * For each worker, when it begins and then when it is due: returns in how many milliseconds that is
 * again.  *ret_sample: it is this worker's to sample now.  `now_ms` is the monotonic clock.
 */
int64_t history_due(struct history *history, pid_t self, int64_t now_ms, bool *ret_sample);

/* Keep a sum of all workers as it is now. */
void history_sample(struct history *history, const struct stats *sum, int64_t now_ms);

/* This process, or one that has died, samples no more: the next that looks takes over. */
void history_leave(struct history *history, pid_t self);

/* The last so many seconds, as nearly as samples and the start allow. */
struct history_span {
	unsigned window_s;
	int64_t now_ms, started_ms; /* monotonic */
	int64_t length_ms;          /* how long it is in truth, by history_window() */
};

/* What was counted in it.  `now` is the sum at its end. */
void history_window(const struct history *history, const struct stats *now,
		    struct history_span *span, struct stats *ret_between);

/*
 * The number of the newest row of `step_s` (1 or 10) at `now_ms`: it ended when the monotonic clock
 * was so many steps.
 */
uint64_t history_newest(const struct history *history, unsigned step_s, int64_t now_ms);

/* False for a gap, and for what is too old. */
bool history_row(const struct history *history, unsigned step_s, uint64_t number,
		 struct history_row *ret_row);

/* Clients that got an error of the proxy's for want of an origin's answer, or half an answer. */
uint64_t history_errors_of(const struct stats *sum);

#endif
