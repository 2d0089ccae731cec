/*
 * Gateways, front end 3: an address of its own for one origin, that takes origin-form requests (RFC
 * 9110 3.7).  The target URI is the origin's with the path asked for, whatever Host says, so the
 * records are those of the forward proxy.  From there on all is as in forward.c.
 */
#ifndef PROXY_FRONT_GATEWAY_H
#define PROXY_FRONT_GATEWAY_H

#include "cache/base/diagnostic.h"
#include "proxy/exchange/exchange.h"
#include "proxy/loop/listener.h"

/*
 * Make a front end for each member of conf->gateway, and bind its address.  They live until
 * gateways_free(), and `conf` as long.  False with a line in `error`.
 */
bool gateways_bind(const struct conf *conf, struct listener *listener, struct diagnostic *error);

/* Those of a set that this process does not accept from. */
void gateways_free(struct listener *listener);

/* "http://host:port" of a gateway, NULL for any other front end. */
const char *gateway_origin(const struct frontend *frontend);

#endif
