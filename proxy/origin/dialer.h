/*
 * From a route to an established connection: connected, through the parent's tunnel where the route
 * has one, and with TLS where required.
 *
 * Directly, all of it takes conf->connect_timeout at most.  Each further step of a way through the
 * parent has a deadline of its own: its answer to CONNECT conf->first_byte_timeout, TLS behind it
 * conf->connect_timeout.
 */
#ifndef PROXY_ORIGIN_DIALER_H
#define PROXY_ORIGIN_DIALER_H

#include "proxy/http1/parse.h"
#include "proxy/origin/connector.h"
#include "proxy/origin/route.h"

struct dialer;

/* What dialers use; all of it outlives them. */
struct dialers {
	struct connectors connectors;
	const struct routes *routes;
	struct tls_context *tls;
	struct http_field lines[PARSE_FIELDS_MAX]; /* of the parent's answer at hand */
};

/*
 * Called once, never before dialer_start() returns.  On success `conn` is the caller's, to be owned
 * by conn_own() in this call; `to` is whom it connects to, the parent when there is one; `early` is
 * what the far end of a tunnel has said already, valid during the call.  The dialer is gone.
 */
typedef void (*dialer_done)(void *context, enum failure failure, struct conn *conn,
			    const struct destination *to, struct slice early);

/* A connection as it is wanted. */
struct dial {
	const struct route *route;
	budget_id holder;           /* for whom (budgets.h) */
	struct slice connect;       /* head for the parent when the route has a tunnel: copied */
	struct origin_times *times; /* how long each step took goes there; outlives the dialer */
};

/* NULL when out of memory.  Does not keep `dial`. */
struct dialer *dialer_start(struct dialers *use, const struct dial *dial, dialer_done done,
			    void *context);

/* Forget it; `done` is not called. */
void dialer_cancel(struct dialer *dialer);

#endif
