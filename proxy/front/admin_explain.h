/*
 * GET /explain?uri=URI&method=METHOD&header=Name: value: what would become of such a request now, as
 * JSON (cache204(8)).  Changes nothing, and asks no origin.
 */
#ifndef PROXY_FRONT_ADMIN_EXPLAIN_H
#define PROXY_FRONT_ADMIN_EXPLAIN_H

#include "proxy/exchange/exchange.h"

/* Ends the exchange.  400 for parameters that are not understood. */
void admin_explain(struct exchange *x);

#endif
