/* The forward proxy, front end 1: what happens to a request, step by step. */
#ifndef PROXY_FRONT_FORWARD_H
#define PROXY_FRONT_FORWARD_H

#include "proxy/exchange/exchange.h"

/* Its handle() becomes another one with the first request. */
extern struct frontend forward_frontend;

/* With the first request that is passed on, by any of the workers: a line in the log. */
void forward_announce(const struct exchange *x);

/* Go on with a request that waited for its password to be verified. */
void forward_known(struct exchange *x, enum failure failure);

/* Go on with a request that may be asked for, its URI complete: answer it, or fetch. */
void forward_admitted(struct exchange *x);

#endif
