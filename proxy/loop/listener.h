/*
 * Listening sockets: accepting within limits, and pausing when descriptors run out.
 */
#ifndef PROXY_LOOP_LISTENER_H
#define PROXY_LOOP_LISTENER_H

#include "proxy/process/worker.h"

struct frontend;

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

/* Accept from all of them in this process's loop (a struct ev_loop). */
struct acceptors;
struct acceptors *acceptors_start(void *loop, struct worker *worker,
				  const struct listener *listener);

/* Close the listening sockets. */
void acceptors_stop(struct acceptors *acceptors);
void acceptors_free(struct acceptors *acceptors);

#endif
