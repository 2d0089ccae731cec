/*
 * Purges by operators: POST /purge begins one, GET /purge tells what became of them.  What is left
 * in the store is removed by process/purger.
 */
#ifndef PROXY_FRONT_ADMIN_PURGE_H
#define PROXY_FRONT_ADMIN_PURGE_H

#include "proxy/exchange/exchange.h"

/*
 * POST /purge of the admin front end; ends the exchange.  In force for all workers when it is
 * answered.
 *
 *	/purge                       all
 *	/purge?uri=URI               that URI in all variants.  It is as it is, and may have a query of
 *	                             its own, or encoded as in a form
 *	/purge?prefix=URI            all URIs that begin so
 *	/purge?host=HOST[:PORT]      all of a host, or of one port
 *	/purge?group=NAME&uri=URI    a cache group (RFC 9875) of the origin of that URI
 *	/purge?group=NAME&host=HOST[:PORT]   of these origins, http and https
 *	/purge?all=1                 all, too
 *
 * With soft=1 it makes stale instead.  200 for a URI, which is done, else 202 with an id; 400 when
 * it is none of these, 503 when too many are pending, or the store failed.
 */
void admin_purge(struct exchange *x);

/* GET /purge, of all, or /purge?id=ID of one: 404 when there never was one of that id. */
void admin_purges(struct exchange *x);

#endif
