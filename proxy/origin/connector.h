/*
 * From a host and port to a connected socket: the name is looked up, each address checked by
 * access.c (on the very address that is then connected to, HAZARDS T6), and connecting is raced as
 * RFC 8305 says: the next address is tried when one fails, or has not answered within
 * CONNECTOR_STAGGER_MS.  Each connect that races another one is an extra, and left out when there
 * is no room for it.
 */
#ifndef PROXY_ORIGIN_CONNECTOR_H
#define PROXY_ORIGIN_CONNECTOR_H

#include "proxy/access/access.h"
#include "proxy/dns/resolver.h"
#include "proxy/limits/budgets.h"
#include "proxy/loop/conn.h"
#include "proxy/loop/turn.h"
#include "proxy/stats/origin_times.h"

enum { CONNECTOR_STAGGER_MS = 250 };

struct connector;

/* What connectors use; all of it outlives them. */
struct connectors {
	const struct conf *conf;
	struct turn *turn;
	const struct budgets *budgets;
	const struct access *access;
	struct resolver *resolver;
	struct share resolved; /* of those who waited for names */
};

/*
 * Called once, never before connector_start() returns.  On success `conn` is the caller's, to be
 * owned by conn_own() in this call, and `to` is where it leads; its deadline is the end of
 * conf->connect_timeout.  The connector is gone.
 */
typedef void (*connector_done)(void *context, enum failure failure, struct conn *conn,
			       const struct destination *to);

/* Where to connect to. */
struct connector_target {
	struct slice host;
	uint16_t port;
	bool chosen;        /* named by the operator: refused only when it is the proxy itself */
	const char *socket; /* path of the Unix socket to connect to instead, kept; NULL for none */
};

/*
 * For `holder` (budgets.h).  NULL when out of memory.  Does not keep `target`.  How long it took is
 * written to `times`, which outlives it.
 */
struct connector *connector_start(struct connectors *use, const struct connector_target *target,
				  budget_id holder, struct origin_times *times, connector_done done,
				  void *context);

/* Forget it; `done` is not called. */
void connector_cancel(struct connector *connector);

#endif
