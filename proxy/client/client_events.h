/* What becomes of events on a client's connection. */
#ifndef PROXY_CLIENT_CLIENT_EVENTS_H
#define PROXY_CLIENT_CLIENT_EVENTS_H

#include "proxy/client/client_state.h"

extern const struct conn_events client_events;

#endif
