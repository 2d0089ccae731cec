/* The addresses that this machine has. */
#ifndef PROXY_PROCESS_INTERFACES_H
#define PROXY_PROCESS_INTERFACES_H

#include "cache/base/diagnostic.h"
#include "proxy/access/access.h"

/*
 * All IPv4 and IPv6 addresses of the network interfaces at this moment, in the kernel's order; the
 * caller frees them.  NULL, with a line in `error`, when they cannot be read.
 */
struct interface_address *interfaces_read(size_t *ret_count, struct diagnostic *error);

#endif
