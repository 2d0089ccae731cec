/* The answer on an origin's connection: heads and content, as far as bytes and the turn allow. */
#ifndef PROXY_ORIGIN_ORIGIN_ANSWER_H
#define PROXY_ORIGIN_ORIGIN_ANSWER_H

#include "proxy/origin/origin_state.h"

/* Read on in what has come, as far as that goes. */
void origin_advance(struct origin *origin);

/* The answer is whole: the connection is kept if possible, then `end` is called. */
void origin_finish(struct origin *origin);

#endif
