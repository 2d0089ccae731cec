/*
 * Where the proxy of a configuration is reached from this machine.  Pure.
 */
#ifndef PROXY_CLI_PLACE_H
#define PROXY_CLI_PLACE_H

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/base/address.h"

enum { PLACE_NAME = CONF_UNIX_PATH + 8 };

/* An address, or a Unix socket. */
struct place {
	union address address;     /* AF_UNIX for a path */
	char path[CONF_UNIX_PATH]; /* "" for an address */
};

/*
 * An address of the option `option`, "ADDRESS:PORT" or "unix:PATH", as a program of this machine
 * reaches it: the loopback address for a wildcard.  False with a line in `error` when its port is
 * 0, which only the running proxy knows.
 */
bool place_reached_here(const char *option, const char *text, struct place *ret_place,
			struct diagnostic *error);

/* As in a configuration: "127.0.0.1:3129" or "unix:/path". */
void place_name(const struct place *place, char to[static PLACE_NAME]);

#endif
