/*
 * The request of a fetch: made from that of the exchange, and sent to the origin along its route.
 */
#ifndef PROXY_EXCHANGE_FETCH_ASK_H
#define PROXY_EXCHANGE_FETCH_ASK_H

#include "proxy/exchange/fetch_state.h"

/*
 * Ask the origin along the route of `x`, which leads the fetch or is going to; `again`: the answer
 * fitted no condition, so without any.  False with *ret_failure when that cannot be.
 */
bool fetch_ask(struct fetch *fetch, struct exchange *x, bool again,
	       const struct origin_events *events, enum failure *ret_failure);

#endif
