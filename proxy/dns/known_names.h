/* Names whose answer is at hand: of the hosts file, fixed by RFCs, or kept from name servers. */
#ifndef PROXY_DNS_KNOWN_NAMES_H
#define PROXY_DNS_KNOWN_NAMES_H

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/base/address.h"
#include "proxy/base/failure.h"

struct known_names;

/* Reads conf->hosts_file, "" for none; keeps conf->dns_cache answers.  NULL with a message. */
struct known_names *known_names_new(const struct conf *conf, struct diagnostic *error);
void known_names_free(struct known_names *known);

/*
 * The answer for a name in normal form: the hosts file first, then "localhost" and names below it
 * as loopback, "invalid" and "onion" as not existing (RFC 6761 6.3, 6.4; RFC 7686 2), then what is
 * kept.  False when name servers must be asked.  `now_ms` is monotonic.
 */
bool known_names_find(struct known_names *known, struct slice name, int64_t now_ms,
		      enum failure *ret_failure, struct addresses *ret_found);

/* Keep what name servers said (dns_cache_put()). */
void known_names_keep(struct known_names *known, struct slice name, int64_t until_ms,
		      enum failure failure, const struct addresses *found);

#endif
