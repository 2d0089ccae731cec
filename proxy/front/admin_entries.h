/*
 * GET /entries: what is stored, page by page.
 *
 * Entries are in the order of their keys, which are hashes: so those of a host or with a prefix are
 * anywhere, and a page is a walk over a bounded number of entries of which few may be shown, or none.
 * The cursor says where to go on; what is stored or removed meanwhile may be missed or shown.
 */
#ifndef PROXY_FRONT_ADMIN_ENTRIES_H
#define PROXY_FRONT_ADMIN_ENTRIES_H

#include "proxy/exchange/exchange.h"

/* ?host=HOST[:PORT] or ?prefix=URI as in a purge (admin_purge.h), &limit=N, &after=CURSOR. */
void admin_entries(struct exchange *x);

#endif
