/*
 * Listening sockets: their addresses, bound.  client/acceptor accepts from them.
 */
#ifndef PROXY_LOOP_LISTENER_H
#define PROXY_LOOP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "proxy/base/address.h"

struct frontend; /* who handles what comes; carried along, and not looked at here */

enum { LISTENERS_MAX = 64 };

struct listener_address {
	union address address; /* as bound: port 0 was replaced by the one chosen */
	const struct frontend *frontend;
	int fd;
};

/* Addresses bound before privileges are dropped and workers forked; a set. */
struct listener {
	struct listener_address at[LISTENERS_MAX];
	unsigned count;
	bool reuse_port; /* sockets are of a group that others may join: one for each worker */
};

/* Bind and listen on each "ADDRESS:PORT" of `list`.  False with a line in `error`. */
bool listener_bind(struct listener *listener, const struct conf_list *list,
		   const struct frontend *frontend, char *error, size_t error_size);

/*
 * Another set of sockets, on the addresses of `first` (which has reuse_port): the kernel deals
 * connections out to the sets.  False with a line in `error`.
 */
bool listener_again(const struct listener *first, struct listener *ret_set, char *error,
		    size_t error_size);

/* Close the sockets of a set: for those who hold a copy after a fork. */
void listener_close(struct listener *listener);

#endif
