/*
 * What has been asked of origins for long: the oldest questions of each worker, that have lasted
 * for IN_FLIGHT_MS.  A worker writes its own rows, a few times a second and not when it is asked,
 * so those of one that is stopped are seen as well.
 */
#ifndef PROXY_STATS_IN_FLIGHT_H
#define PROXY_STATS_IN_FLIGHT_H

#include <stdint.h>

#include "cache/base/slice.h"

enum { IN_FLIGHT_MAX = 10, IN_FLIGHT_MS = 1000, IN_FLIGHT_URI_MAX = 256 };

enum in_flight_phase { IN_FLIGHT_CONNECT, IN_FLIGHT_FIRST_BYTE, IN_FLIGHT_CONTENT };

struct in_flight_row {
	int64_t since_ms; /* monotonic */
	enum in_flight_phase phase;
	unsigned waiters; /* clients that wait for the same, besides the first */
	char uri[IN_FLIGHT_URI_MAX + 1];
};

struct in_flight;

/* Blocks for so many workers, shared over fork(); NULL on failure. */
struct in_flight *in_flight_map(unsigned workers);

/* This process's block is the `index`-th from here on, and empty. */
void in_flight_attach(struct in_flight *blocks, unsigned index);

/* All that there is now: the oldest first, IN_FLIGHT_MAX at most.  Nothing before attach. */
void in_flight_note(const struct in_flight_row *rows, unsigned count);

/* The owner of the `index`-th block has died. */
void in_flight_clear(struct in_flight *blocks, unsigned index);

/* The oldest of all workers first; how many. */
unsigned in_flight_list(const struct in_flight *blocks, unsigned count,
			struct in_flight_row ret_rows[IN_FLIGHT_MAX]);

const char *in_flight_phase_name(enum in_flight_phase phase);

#endif
