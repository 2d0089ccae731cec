/*
 * Purges by operators: POST /purge, of everything or of one URI.  What a purge of everything leaves
 * in the store is removed by process/purger.
 */
#ifndef PROXY_FRONT_ADMIN_PURGE_H
#define PROXY_FRONT_ADMIN_PURGE_H

#include "proxy/exchange/exchange.h"

/*
 * POST /purge of the admin front end; ends the exchange.
 *
 *	/purge             all: 202, it counts as absent from now on and is removed by and by
 *	/purge?uri=URI     that URI in all variants: 200, it is removed.  All behind "uri=" is the
 *	                   URI, as it is: nothing is decoded, and it may have a query of its own
 *
 * 400 when it is neither, 403 when a page of another site has sent it (HAZARDS M4), 503 when the
 * store failed.
 */
void admin_purge(struct exchange *x);

/* The page that sends a request which changes something, if a page does, is from here. */
bool admin_is_from_own_page(const struct http_request *req);

#endif
