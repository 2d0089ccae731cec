/* Exchanges begin: their memory, and what they keep for longer than an event. */
#include <stdlib.h>
#include <string.h>

#include "proxy/exchange/exchange.h"

struct exchange *exchange_new(struct exchanges *use, struct answer_sink *sink,
			      const struct frontend *frontend)
{
	struct exchange *x = use->spare;

	if (x != NULL)
		use->spare = x->next_waiter;
	else
		x = malloc(sizeof(*x));
	if (x == NULL)
		return NULL;
	*x = (struct exchange){
		.magic = EXCHANGE_MAGIC,
		.use = use,
		.sink = sink,
		.frontend = frontend,
		.outcome = OUTCOME_FAILED,
		.started_us = use->turn->now_us,
	};
	return x;
}

budget_id exchange_holder(const struct exchange *x)
{
	return x->peer.any.sa_family == AF_UNSPEC ? x->holder : budget_holder(&x->peer);
}

void exchange_discard(struct exchange *x)
{
	x->next_waiter = x->use->spare;
	x->use->spare = x;
}

void exchanges_free(struct exchanges *exchanges)
{
	while (exchanges->spare != NULL) {
		struct exchange *x = exchanges->spare;

		exchanges->spare = x->next_waiter;
		free(x);
	}
}

bool exchange_park(struct exchange *x)
{
	size_t size = http_request_copy_size(&x->req);
	struct http_request copy;

	if (x->memory != NULL)
		return true;
	x->memory = malloc(size + x->user.n);
	if (x->memory == NULL)
		return false;
	http_request_copy(&copy, &x->req, x->memory);
	x->req = copy;
	if (x->user.n > 0)
		x->user.p = memcpy((char *)x->memory + size, x->user.p, x->user.n);
	return true;
}

bool exchange_keep_record(struct exchange *x, const struct cache_lookup *found)
{
	struct cache_kept *kept = cache_keep(record_bytes(&found->record), found->normal_uri);

	if (kept == NULL)
		return false;
	free(x->kept);
	x->kept = kept;
	return true;
}
