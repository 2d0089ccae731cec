/* Clients of addresses with TLS: until their handshake is over, they are not clients of HTTP. */
#ifndef PROXY_CLIENT_HANDSHAKE_H
#define PROXY_CLIENT_HANDSHAKE_H

#include "proxy/client/client_state.h"

extern const struct conn_events client_hello_events;

/*
 * TLS is to begin with the next byte that comes: within conf->tls_handshake_timeout the handshake
 * is over, or the connection.
 */
void client_expect_hello(struct client *client);

#endif
