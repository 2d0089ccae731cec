/*
 * How a process divides its descriptors between uses (HAZARDS L5): each place that opens
 * descriptors has a share.  Each client has one for its connection and one for the origin it asks,
 * and store, logs and listeners have theirs in any case. budgets.c keeps within the shares.
 */
#ifndef PROXY_LIMITS_DESCRIPTORS_H
#define PROXY_LIMITS_DESCRIPTORS_H

#include <stdint.h>

struct descriptors {
	uint32_t clients;      /* client connections, and as many to origins */
	uint32_t operators;    /* connections to the admin pages */
	uint32_t refusals;     /* connections kept open only to send a refusal */
	uint32_t origins_idle; /* origin connections kept */
	uint32_t extras;       /* further ones, that are no client's or race another */
	uint32_t pipes;        /* two descriptors each */
	uint32_t sockets;      /* to name servers */
};

/*
 * Of a process that may have `limit` descriptors and has `listeners` listening sockets.  However
 * few, there is room for some clients.
 */
struct descriptors descriptors_share(uint64_t limit, unsigned listeners);

/* Of this process, by its limit now. */
struct descriptors descriptors_here(unsigned listeners);

#endif
