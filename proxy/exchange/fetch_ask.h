/*
 * The request of a fetch: made from that of the exchange, and sent to the origin along its route;
 * and that of an operator (probe.h), sent by the same rules.
 */
#ifndef PROXY_EXCHANGE_FETCH_ASK_H
#define PROXY_EXCHANGE_FETCH_ASK_H

#include "proxy/exchange/fetch_state.h"
#include "proxy/http1/compose.h"

/*
 * Ask the origin along the route of `x`, which leads the fetch or is going to; `again`: the answer
 * fitted no condition, so without any.  False with *ret_failure when that cannot be.
 */
bool fetch_ask(struct fetch *fetch, struct exchange *x, bool again,
	       const struct origin_events *events, enum failure *ret_failure);

/*
 * Compose a request for its route, and ask: `form` gets what the route wants of it.  `chosen` as in
 * struct frontend.  NULL with *ret_failure when that cannot be.
 */
struct origin *fetch_send_question(const struct fetches_use *use, const struct http_request *req,
				   bool chosen, struct request_form *form,
				   const struct origin_asker *asker, enum failure *ret_failure);

#endif
