/*
 * GET /dash.json: what the operators' page and `cache204 top` show, of one moment.
 *
 *	window=60|3600|0         the last minute (the default), hour, or since the start
 *	since=MARK               instead of a window
 *	sort=requests|asked|bytes|failures|first_byte    order of hosts and URLs
 *	step=1|10, after=N       rows of the chart: of so many seconds (10), from that number on
 */
#ifndef PROXY_FRONT_ADMIN_DASH_H
#define PROXY_FRONT_ADMIN_DASH_H

#include "proxy/exchange/exchange.h"

/* Ends the exchange.  400 for parameters that are not understood, 404 for a mark that is not set. */
void admin_dash(struct exchange *x);

#endif
