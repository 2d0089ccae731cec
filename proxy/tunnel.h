/*
 * CONNECT: two connections, bytes both ways, nothing looked at (RFC 9110 9.3.6).
 *
 * 200 only after the connection to the target stands, else a failure with its status.  Bytes that
 * the client sent early go first.  A FIN on one side is passed on to the other; the tunnel ends
 * when both have come, when a side fails, or when nothing moved for conf->tunnel_timeout.  A side
 * that does not take its bytes stops the other from being read.
 */
#ifndef PROXY_TUNNEL_H
#define PROXY_TUNNEL_H

#include "proxy/exchange.h"

/* Begin for a parked exchange; it ends when the tunnel does. */
void tunnel_start(struct exchange *x);

/* The client left before the tunnel stood. */
void tunnel_cancel(struct exchange *x);

/* Close all that stand (at the end of a drain). */
void tunnels_close(struct worker *worker);

#endif
