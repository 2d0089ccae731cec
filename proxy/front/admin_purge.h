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
 *	/purge?uri=URI     that URI in all variants: 200, it is removed.  The URI is as it is
 *	                   and may have a query of its own, or encoded as in a form
 *
 * 400 when it is neither, 503 when the store failed.
 */
void admin_purge(struct exchange *x);

#endif
