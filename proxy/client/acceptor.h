/* Accepting from listening sockets: within limits, and pausing when descriptors run out. */
#ifndef PROXY_CLIENT_ACCEPTOR_H
#define PROXY_CLIENT_ACCEPTOR_H

#include "proxy/client/client.h"
#include "proxy/loop/listener.h"

struct acceptors;

/*
 * Accept from all sockets of the set in this process's loop, a struct ev_loop: at once, or when the
 * descriptor `go`, which it takes over, is readable or at its end (-1 for none).  NULL when out of
 * memory.
 */
struct acceptors *acceptors_start(void *loop, struct clients *clients,
				  const struct listener *listener, int go);

/* Accept what is waiting now, before they are stopped for good. */
void acceptors_take_rest(struct acceptors *acceptors);

/* Close the listening sockets. */
void acceptors_stop(struct acceptors *acceptors);
void acceptors_free(struct acceptors *acceptors);

#endif
