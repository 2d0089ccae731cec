/* The operator's page, for browsers (proxy/page/page.h). */
#ifndef PROXY_FRONT_ADMIN_DASHBOARD_H
#define PROXY_FRONT_ADMIN_DASHBOARD_H

#include "proxy/exchange/exchange.h"

/* Whether the client asks for HTML: Accept names text/html (RFC 9110 12.5.1), as that of browsers does. */
bool admin_wants_dashboard(const struct http_request *req);

void admin_dashboard(struct exchange *x);

#endif
