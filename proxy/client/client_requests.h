/* Reading requests of a client, one at a time, and handing them to its front end. */
#ifndef PROXY_CLIENT_CLIENT_REQUESTS_H
#define PROXY_CLIENT_CLIENT_REQUESTS_H

#include "proxy/client/client_state.h"

/* Go as far as what was read allows; answers made on the way go out together in the end. */
void client_advance(struct client *client);

/* A task: the same, with a body that was paused or requests that were put off. */
void client_go_on(void *owner);

/*
 * The request's body cannot be had: its origin must not take what came for the whole (HAZARDS F6).
 */
void client_fail_body(struct client *client, enum failure failure);

/* What came in a tunnel until now does not tell what it is: the origin may know (sink.h). */
void client_look_expired(struct client *client);

/* The request did not come in time: answer that, or the refusal if the client is refused anyway. */
void client_head_expired(struct client *client);

#endif
