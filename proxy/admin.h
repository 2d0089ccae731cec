/*
 * The operators' front end: /stats, /metrics and /healthz on listeners of their own.
 *
 * Loopback unless told otherwise, and never reachable through the proxy.  A request must name a
 * loopback or listening address as its Host, so that a page elsewhere cannot read it by rebinding a
 * name (HAZARDS M4).
 */
#ifndef PROXY_ADMIN_H
#define PROXY_ADMIN_H

#include "proxy/exchange.h"

extern const struct frontend admin_frontend;

#endif
