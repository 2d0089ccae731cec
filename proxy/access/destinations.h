/*
 * Lists of destinations, as the options deny, allow and no_proxy have them.  Pure.
 *
 * A member is a network ("10.0.0.0/8", "::1"), a name ("example.com": that host alone) or a domain
 * (".example.com": that host and all below it).  Names are matched as clients write them: any
 * case, with or without a last dot.  No look-up.
 */
#ifndef PROXY_ACCESS_DESTINATIONS_H
#define PROXY_ACCESS_DESTINATIONS_H

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/base/address.h"

struct rules;

/*
 * `option` is its name, for the message in `error`: NULL is returned when a member is none of the
 * above, or out of memory.  Does not keep `list`.
 */
struct rules *rules_new(const struct conf_list *list, const char *option, struct diagnostic *error);
void rules_free(struct rules *rules);

/* Time grows with the labels of the name and the logarithm of the list. */
bool rules_have_name(const struct rules *rules, struct slice host);

/* Linear in the networks of the list. */
bool rules_have_address(const struct rules *rules, const union address *address);

#endif
