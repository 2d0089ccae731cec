/* Sending answers to a client, and what it is waited for: the sink of its exchanges. */
#ifndef PROXY_CLIENT_CLIENT_SINK_H
#define PROXY_CLIENT_CLIENT_SINK_H

#include "proxy/client/client_state.h"

/* Of struct client's first member. */
extern const struct answer_sink_kind client_sink;

/* Send what waits.  False when the connection failed and the client is closed. */
bool client_flush(struct client *client);

/*
 * The one place that decides what to wait for, from the state alone, so that no connection can be
 * left waiting for nothing.
 */
void client_settle(struct client *client);

/*
 * While all ends (struct clients): who was promised that the connection lives on, and asks no more,
 * is not waited for.  After all that may be the last of an answer which did not say so.
 */
void client_end_if_idle(struct client *client);

/* A task: what was composed goes out. */
void client_send_out(void *owner);

#endif
