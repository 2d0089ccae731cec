/*
 * What name servers said, kept for as long as they said; pure but for allocation, time is given to
 * it.
 *
 * When it is full, the answer not asked for the longest goes first, so a flood of names costs the
 * names in use no more than a look-up each.
 */
#ifndef PROXY_DNS_DNS_CACHE_H
#define PROXY_DNS_DNS_CACHE_H

#include "proxy/base/address.h"
#include "proxy/base/failure.h"

struct dns_cache;

/* At most `max` names; with 0 nothing is kept.  NULL when out of memory. */
struct dns_cache *dns_cache_new(uint32_t max);
void dns_cache_free(struct dns_cache *cache);

/*
 * The answer kept for a name in normal form, its addresses or the failure.  False when there is
 * none or its time is over.  `now_ms` is monotonic.
 */
bool dns_cache_find(struct dns_cache *cache, struct slice name, int64_t now_ms,
		    enum failure *ret_failure, struct addresses *ret_found);

/*
 * Keep an answer until `until_ms`, in place of what was kept for the name.  `found` has addresses
 * when `failure` is FAILURE_NONE.  Out of memory, nothing is kept for it.
 */
void dns_cache_put(struct dns_cache *cache, struct slice name, int64_t until_ms,
		   enum failure failure, const struct addresses *found);

#endif
