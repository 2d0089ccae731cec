/* What an origin answered to an operator's question, as JSON: its head, and all that is wrong with it. */
#ifndef PROXY_FRONT_EXPLAIN_FETCH_H
#define PROXY_FRONT_EXPLAIN_FETCH_H

#include "cache/policy/lint.h"
#include "proxy/base/json_writer.h"
#include "proxy/exchange/probe.h"

/* What is found in an answer to the request, with whether its record is small enough. */
void explain_lint(const struct http_request *req, const struct probe_answer *answer,
		  const struct conf *conf, struct lint *ret_lint);

/* The member "fetch" of an explanation; `lint` is NULL when the origin did not answer. */
void explain_put_fetch(struct json_writer *out, const struct probe_answer *answer,
		       const struct lint *lint, const struct conf *conf, int64_t now_ms);

#endif
