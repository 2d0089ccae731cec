/*
 * Accepting from listening sockets: within limits, and pausing when descriptors run out.
 */
#ifndef PROXY_CLIENT_ACCEPTOR_H
#define PROXY_CLIENT_ACCEPTOR_H

#include "proxy/client/client.h"
#include "proxy/loop/listener.h"

struct acceptors;

/* Accept from all sockets of the set in this process's loop, a struct ev_loop.  NULL when out of
   memory. */
struct acceptors *acceptors_start(void *loop, struct clients *clients,
				  const struct listener *listener);

/* Close the listening sockets. */
void acceptors_stop(struct acceptors *acceptors);
void acceptors_free(struct acceptors *acceptors);

#endif
