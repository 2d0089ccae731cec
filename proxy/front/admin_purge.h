/*
 * Purges by operators: POST /purge, of everything or of one URI, and the removal in the background
 * of what a purge of everything leaves in the store (cache/purge.h).
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

/*
 * Part of the removal, if one is due and no other worker is at it: a fraction of a millisecond.
 * Milliseconds until it is to be called again, 0 when there is nothing to do for this worker.  To
 * be called a few times a second besides, since another worker may have died over it.
 */
int64_t admin_purge_step(struct worker *worker);

/* Leave the rest to another worker. */
void admin_purge_stop(struct worker *worker);

#endif
