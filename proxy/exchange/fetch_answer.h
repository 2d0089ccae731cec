/* The answer to a fetch: what it means for the store, for the leader, and for those who wait. */
#ifndef PROXY_EXCHANGE_FETCH_ANSWER_H
#define PROXY_EXCHANGE_FETCH_ANSWER_H

#include "proxy/origin/origin.h"

/* Of the connection to the origin; their context is the struct fetch. */
extern const struct origin_events fetch_answer_events;

#endif
