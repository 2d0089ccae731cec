/*
 * The operators' front end: /stats, /metrics, /healthz and /purge on listeners of their own.
 *
 * Loopback unless told otherwise, and never reachable through the proxy.  A request must name a
 * loopback or listening address as its Host, so that a page elsewhere cannot read it by rebinding a
 * name (HAZARDS M4).
 */
#ifndef PROXY_FRONT_ADMIN_H
#define PROXY_FRONT_ADMIN_H

#include "proxy/exchange/exchange.h"

/* On every answer, besides no-store. */
#define ADMIN_FIELDS                          \
	"X-Content-Type-Options: nosniff\r\n" \
	"Content-Security-Policy: default-src 'none'\r\n"

/* An error with ADMIN_FIELDS, and more, in plain text.  The query of the request is not logged. */
void admin_refuse(struct exchange *x, unsigned status, const char *fields, const char *text);

extern const struct frontend admin_frontend;

#endif
