/*
 * How a process shares its descriptors out, so that clients do not take those that serving them
 * needs (HAZARDS L5): each client at work has an origin, and store, logs and name look-ups have
 * theirs in any case.
 */
#ifndef PROXY_DESCRIPTORS_H
#define PROXY_DESCRIPTORS_H

#include <stdint.h>

struct descriptors {
	uint32_t clients;      /* client connections */
	uint32_t refusals;     /* those of them that are open to be told that they are refused */
	uint32_t origins_idle; /* origin connections kept */
};

/* Of a process that may have `limit` descriptors.  However few, there is room for some clients. */
struct descriptors descriptors_share(uint64_t limit);

/* Of this process, by its limit now. */
struct descriptors descriptors_here(void);

#endif
