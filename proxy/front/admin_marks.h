/*
 * Marks by operators, and statistics between two moments.
 *
 *	POST /marks/NAME[?note=TEXT]   201: the statistics of this moment are kept under the name
 *	GET /marks                     those that are kept, the oldest first
 */
#ifndef PROXY_FRONT_ADMIN_MARKS_H
#define PROXY_FRONT_ADMIN_MARKS_H

#include "proxy/exchange/exchange.h"
#include "proxy/stats/report.h"

void admin_marks_show(struct exchange *x);
void admin_marks_set(struct exchange *x);

/*
 * The parameters of /stats: since=MARK, until=MARK, last=60s.  What was counted meanwhile goes into
 * *ret_between, with the moments in *ret_span, and true; as is without parameters, with
 * ret_span->is_all.  False: the exchange was answered with an error.
 */
bool admin_marks_span(struct exchange *x, const struct stats *now, struct report_span *ret_span,
		      struct stats *ret_between);

/*
 * The same since a mark alone, and for how long that is.  False: the exchange was answered with 404.
 */
bool admin_marks_since(struct exchange *x, struct slice name, const struct stats *now,
		       struct stats *ret_between, double *ret_length_s);

#endif
