/*
 * The last errors: why clients went without an origin's answer, and what they got instead.
 *
 * Each worker has RECENT_ERRORS_MAX rows of its own in shared memory, that any process reads.  Equal
 * errors (failure, host, what the client got) are one row, with how many there were, until there was
 * none for RECENT_ERRORS_GAP_MS: then a new row begins, so its first time says since when.
 */
#ifndef PROXY_STATS_RECENT_ERRORS_H
#define PROXY_STATS_RECENT_ERRORS_H

#include <stdint.h>

#include "cache/base/slice.h"
#include "proxy/base/failure.h"

enum {
	RECENT_ERRORS_MAX = 32,
	RECENT_ERRORS_GAP_MS = 300000,
	RECENT_URI_MAX = 256,
	RECENT_HOST_MAX = 263,
	RECENT_DETAIL_MAX = 255,
};

struct recent_error {
	int64_t first_ms, last_ms; /* monotonic */
	uint64_t count;
	enum failure failure;
	unsigned status; /* that the client got; 0: half an answer, or none */
	char host[RECENT_HOST_MAX + 1];
	char uri[RECENT_URI_MAX + 1];       /* of the last; may be cut */
	char detail[RECENT_DETAIL_MAX + 1]; /* likewise: what the system or a peer said */
};

struct recent_errors;

/* Blocks for so many workers, shared over fork(); NULL on failure. */
struct recent_errors *recent_errors_map(unsigned workers);

/* This process's block is the `index`-th from here on.  What is there stays. */
void recent_errors_attach(struct recent_errors *blocks, unsigned index);

/* As they may be shown; cut where too long. */
struct recent_error_names {
	struct slice host, uri, detail;
};

/* One more.  Nothing before attach. */
void recent_errors_add(enum failure failure, unsigned status,
		       const struct recent_error_names *names, int64_t now_ms);

/* Of all workers, equal ones as one, the latest first; how many. */
unsigned recent_errors_list(const struct recent_errors *blocks, unsigned count,
			    struct recent_error ret_errors[RECENT_ERRORS_MAX]);

#endif
