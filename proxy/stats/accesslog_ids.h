/* What identifies a request in the access log: ids, of peers or made here, and traces.  Pure. */
#ifndef PROXY_STATS_ACCESSLOG_IDS_H
#define PROXY_STATS_ACCESSLOG_IDS_H

#include <stdbool.h>

#include "cache/base/slice.h"

/*
 * An id that a peer sent is taken when it has 1 to ACCESSLOG_ID_MAX letters, digits and -._~+/=:@ alone, as
 * UUIDs and the ids of load balancers do.
 */
enum { ACCESSLOG_ID_MAX = 128 };
bool accesslog_id_is_usable(struct slice id);

/*
 * The part of a traceparent that version 00 has, when it is one (W3C Trace Context 3.2): empty for a version
 * ff, ids of zeros only, other digits than lower case hexadecimal ones, or a wrong length.
 */
struct slice accesslog_traceparent(struct slice value);

#endif
