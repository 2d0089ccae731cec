/*
 * GET /explain?uri=URI&method=METHOD&header=Name: value: what would become of such a request now, as
 * JSON (cache204(8)).  Changes nothing, and asks no origin.
 *
 * POST with fetch=1 asks the origin as well, once, by the rules for clients, and says what is wrong
 * with its answer, which is not stored.
 */
#ifndef PROXY_FRONT_ADMIN_EXPLAIN_H
#define PROXY_FRONT_ADMIN_EXPLAIN_H

#include "proxy/exchange/exchange.h"

/* Ends the exchange.  400 for parameters that are not understood. */
void admin_explain(struct exchange *x);

/* Ends the exchange when the origin has answered or failed, or at once. */
void admin_explain_fetch(struct exchange *x);

/* Its operator left. */
void admin_explain_leave(struct exchange *x);

#endif
