/*
 * One question to an origin for an operator: along the route that a request takes, by the same rules,
 * budgets and deadlines; the answer's head is looked at, and nothing of it is stored or passed on.
 */
#ifndef PROXY_EXCHANGE_PROBE_H
#define PROXY_EXCHANGE_PROBE_H

#include "cache/policy/policy.h"
#include "proxy/base/address.h"
#include "proxy/base/failure.h"
#include "proxy/limits/budgets.h"

struct fetches;
struct probe;

/* What came of it; valid during the call. */
struct probe_answer {
	enum failure failure;            /* FAILURE_NONE when there is a head */
	const struct http_response *res; /* NULL with a failure */
	struct slice raw;                /* the bytes of the head as they came */
	const struct exchange_times *times;
	const union address *origin; /* family 0 when none was reached */
	int64_t elapsed_us;
};

/* Called once, not before probe_start() returns; the probe is gone then. */
typedef void (*probe_done)(void *context, const struct probe_answer *answer);

struct probe_question {
	const struct http_request *req; /* no body, no upgrade; outlives the probe */
	bool chosen;                    /* as in struct frontend */
	budget_id holder;               /* whose budgets it counts in */
	probe_done done;
	void *context;
};

/* NULL with *ret_failure when the question cannot be asked. */
struct probe *probe_start(struct fetches *fetches, const struct probe_question *question,
			  enum failure *ret_failure);

/* Forget it: nothing is called. */
void probe_cancel(struct probe *probe);

#endif
