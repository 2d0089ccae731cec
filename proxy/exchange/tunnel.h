/*
 * CONNECT, and a change of protocol: two connections, bytes both ways, nothing looked at (RFC 9110
 * 9.3.6, 7.8).
 *
 * 200 only after the connection to the target stands, else a failure with its status.  Bytes that
 * the client sent early go first.  A FIN on one side is passed on to the other; the tunnel ends
 * when both have come.  Any other end of it is an RST to both sides, since only the end of the
 * connection tells whether a transfer is whole: when a side sends RST or fails, TLS with the origin
 * ends without close_notify, or nothing moved for conf->tunnel_timeout.  A side that does not take
 * its bytes stops the other from being read.
 */
#ifndef PROXY_EXCHANGE_TUNNEL_H
#define PROXY_EXCHANGE_TUNNEL_H

#include "proxy/loop/conn.h"
#include "proxy/exchange/exchange.h"
#include "proxy/origin/dialer.h"

struct tunnels; /* those that stand, and what they use */

/* It outlives them, and `dialers` and `turn` outlive it.  NULL when out of memory. */
struct tunnels *tunnels_new(struct turn *turn, struct dialers *dialers);

/* None stands any more. */
void tunnels_free(struct tunnels *tunnels);

/*
 * Whether there is room for one more under conf->tunnels_max, of all workers; it may be gone when
 * it is wanted.
 */
bool tunnel_may_open(const struct tunnels *tunnels);

/* Begin for a parked exchange; it ends when the tunnel does. */
void tunnel_start(struct tunnels *tunnels, struct exchange *x);

/*
 * The same of a tunnel that may turn out to be HTTP (inside.h): 200 at once, and the exchange's
 * sink looks at what comes.  Either it is left to the origin with all that came, unchanged, and an
 * origin that is not reached is an RST; or it is read, and the exchange ends here: its requests are
 * `frontend`'s, and no place among the tunnels is held for them.
 */
void tunnel_offer(struct tunnels *tunnels, struct exchange *x, const struct frontend *frontend);
void tunnel_pass(struct exchange *x);
void tunnel_read(struct exchange *x);

/*
 * Another protocol was asked for, and the origin changes to it by `res`, a 101: this is passed on,
 * and both connections become a tunnel.  `conn` is taken over; `early` is what came after the head.
 */
void tunnel_adopt(struct tunnels *tunnels, struct exchange *x, const struct http_response *res,
		  struct conn *conn, struct slice early);

/* The client left before the tunnel stood. */
void tunnel_cancel(struct exchange *x);

/* Close all that stand (at the end of a drain). */
void tunnels_close(struct tunnels *tunnels);

#endif
