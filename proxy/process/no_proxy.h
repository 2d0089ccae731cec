/*
 * The environment variable no_proxy, which clients read beside http_proxy: with what many systems
 * preset there, requests for this machine do not come through the proxy.  Pure.
 */
#ifndef PROXY_PROCESS_NO_PROXY_H
#define PROXY_PROCESS_NO_PROXY_H

#include "cache/base/slice.h"

/*
 * The first member of `list`, a variable's value, that stands for localhost, 127.0.0.1 or ::1: a
 * view of it without its port, empty when there is none.  Members are separated by commas or blanks
 * and read as most clients do: "*", a name, a .domain, an address, a network, each but "*" with or
 * without a port.
 */
struct slice no_proxy_loopback(const char *list);

#endif
