/* Connections behind a load balancer: until their PROXY header has come (proxy_protocol.h). */
#ifndef PROXY_CLIENT_BEHIND_H
#define PROXY_CLIENT_BEHIND_H

#include "proxy/client/client_state.h"

/* From the header on, client_events. */
extern const struct conn_events client_behind_events;

#endif
