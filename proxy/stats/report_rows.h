/* What the reports have in common: numbers about the store as rows, and quantiles. */
#ifndef PROXY_STATS_REPORT_ROWS_H
#define PROXY_STATS_REPORT_ROWS_H

#include "proxy/stats/report.h"

/* They come from two structs, and are one group to the reader. */
struct report_row {
	const char *name;   /* in /stats */
	const char *metric; /* in /metrics, after cache204_ */
	const char *help;
	uint64_t value;
};

enum { REPORT_STORE_ROWS = 15 };

void report_store_rows(const struct report_input *in,
		       struct report_row ret_rows[REPORT_STORE_ROWS]);

#endif
