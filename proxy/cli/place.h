/*
 * Where the proxy of a configuration is reached from this machine.  Pure.
 */
#ifndef PROXY_CLI_PLACE_H
#define PROXY_CLI_PLACE_H

#include "cache/base/diagnostic.h"
#include "proxy/base/address.h"

/*
 * An address of the option `option`, "ADDRESS:PORT", as a program of this machine reaches it: the
 * loopback address for a wildcard.  False with a line in `error` when its port is 0, which only the
 * running proxy knows.
 */
bool place_reached_here(const char *option, const char *text, union address *ret_address,
			struct diagnostic *error);

#endif
