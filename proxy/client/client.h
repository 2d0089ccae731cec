/*
 * A client's connection: reads requests, one at a time, and sends answers in their order.
 *
 * While an exchange is under way, what the client sends ahead is kept up to HIGH_WATER bytes, then
 * not read.  It owns the connection and the buffers; the exchange under way is its own until it
 * ends.
 */
#ifndef PROXY_CLIENT_CLIENT_H
#define PROXY_CLIENT_CLIENT_H

#include "proxy/client/client_state.h"

/* A connection as it was accepted. */
struct accepted {
	int fd;
	uint8_t listener; /* by which: its row of the statistics */
	bool is_tls;      /* the client speaks TLS */
	const struct frontend *frontend;
	union address peer;
};

/*
 * Takes over an accepted socket; counts and closes it when that is not possible.  A `refusal` other
 * than FAILURE_NONE is what the client's first request is answered with, if it makes one soon.
 */
void client_new(struct clients *clients, const struct accepted *accepted, enum failure refusal);

/*
 * The same behind a load balancer: the connection must begin with a header of the PROXY protocol,
 * and is the client's that this tells, if that one may use the proxy.
 */
void client_new_behind(struct clients *clients, const struct accepted *accepted,
		       enum failure refusal);

/*
 * The proxy goes down: idle ones close.  What is answered from here on says that it is the last, as
 * the turn's `draining` does by itself: one that was promised that its connection lives on may be
 * sending its next request just now, which is answered as well.
 */
void clients_drain(struct clients *clients);

/*
 * Close all now, without another byte, and with an RST where an answer is not all sent.  Exchanges
 * under way are abandoned.
 */
void clients_close(struct clients *clients);

#endif
