/* What an origin answered to an operator's question, as JSON: its head, and all that is wrong with it. */
#ifndef PROXY_FRONT_EXPLAIN_FETCH_H
#define PROXY_FRONT_EXPLAIN_FETCH_H

#include "proxy/base/json_writer.h"
#include "proxy/exchange/probe.h"

/* The member "fetch" of an explanation for that request. */
void explain_put_fetch(struct json_writer *out, const struct http_request *req,
		       const struct probe_answer *answer, const struct conf *conf);

#endif
