/*
 * Notices that are given once for the whole service, and what workers note for them: in memory
 * that all processes share from notices_share() on, and a process's own before.
 *
 * Each number is by itself, so all accesses are relaxed.
 */
#ifndef PROXY_STATS_NOTICES_H
#define PROXY_STATS_NOTICES_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/slice.h"

enum {
	NOTICES_HOSTS = 1024, /* hosts remembered; beyond them no more are logged */
	NOTICES_TRIES = 16,   /* places looked at for one */
};

/* Share them with the processes that are forked from now on.  False with errno. */
bool notices_share(void);

/* True for one caller, over all processes. */
bool notices_first_request(void);

/* True for one caller a host and port, while there is room to remember it; constant time. */
bool notices_first_tunnel(struct slice host, uint16_t port);

/* What the store held when it was opened. */
void notices_set_store(uint64_t uris, uint64_t bytes);
void notices_get_store(uint64_t *ret_uris, uint64_t *ret_bytes);

#endif
