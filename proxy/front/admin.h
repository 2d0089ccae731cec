/*
 * The operators' front end: /stats, /metrics, /healthz and /purge on listeners of their own.
 *
 * On loopback by default, and never reachable through the proxy.  The Host of a request must be a
 * numeric address, localhost or a name of the option admin_hosts, so that a page elsewhere cannot
 * read it by rebinding a name (HAZARDS M4); /healthz tells nothing, and is for any Host.
 *
 * With the option admin_token_file all else asks for its token.  Without, only this machine may
 * change anything: who is on another is known by the address it comes from, not by the one that it
 * connected to, so that `cache204 reload` works with a listener on all addresses as well.
 */
#ifndef PROXY_FRONT_ADMIN_H
#define PROXY_FRONT_ADMIN_H

#include "proxy/exchange/exchange.h"

extern const struct frontend admin_frontend;

#endif
