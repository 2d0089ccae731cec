/* Questions to origins: composed, noted when, and sent. */
#include "proxy/exchange/fetch_ask.h"

#include <inttypes.h>
#include <stdio.h>

#include "cache/base/decimal.h"
#include "cache/http/fields.h"
#include "proxy/base/wall_clock.h"
#include "proxy/stats/stats.h"

/* Max-Forwards of an OPTIONS, less one (RFC 9110 7.6.2); NULL to leave the field as it is. */
static const char *fewer_forwards(const struct http_request *req, char text[static 24])
{
	const struct http_field *line = http_fields_first(&req->fields, FIELD_MAX_FORWARDS);
	uint64_t forwards = 0;

	if (req->method != METHOD_OPTIONS || line == NULL || line->value.n > 9)
		return NULL;
	if (line->value.n > 0 && !decimal_read(line->value, UINT32_MAX, &forwards))
		return NULL;
	snprintf(text, 24, "%" PRIu64, forwards > 0 ? forwards - 1 : 0);
	return text;
}

static bool compose_question(const struct fetches_use *use, const struct http_request *req,
			     const struct route *route, struct request_form *form, struct buf *head)
{
	char forwards[24];

	form->absolute = route->parent != NULL && !route->tunnel;
	if (form->absolute)
		form->proxy_authorization = route->parent->authorization;
	form->max_forwards = fewer_forwards(req, forwards);
	if (form->validate != NULL)
		STATS_ADD(validations, 1);
	return compose_request(head, use->conf, req, form);
}

struct origin *fetch_send_question(const struct fetches_use *use, const struct http_request *req,
				   bool chosen, struct request_form *form,
				   const struct origin_asker *asker, enum failure *ret_failure)
{
	struct route route;
	struct buf head = {0};

	*ret_failure = route_find(use->routes, req, chosen, &route);
	if (*ret_failure != FAILURE_NONE)
		return NULL;
	if (!compose_question(use, req, &route, form, &head)) {
		buf_free(&head);
		*ret_failure = FAILURE_INTERNAL;
		return NULL;
	}
	return origin_start(use->origins, req, &route, &head, asker, ret_failure);
}

static void note_asked(struct fetch *fetch)
{
	const struct fetches_use *use = &fetch->all->use;

	fetch->times.request_steady_ms = use->turn->now.steady_ms;
	fetch->asked_ms = boot_clock_ms();
	fetch->times.asked_at = cache_epoch(use->cache);
}

bool fetch_ask(struct fetch *fetch, struct exchange *x, bool again,
	       const struct origin_events *events, enum failure *ret_failure)
{
	struct origin_asker asker = {
		.holder = exchange_holder(x),
		.is_extra = x->outcome == OUTCOME_BACKGROUND,
		.events = events,
		.context = fetch,
	};
	struct request_form form = {
		/* A fetch without a client or waiters is made only for the store. */
		.unconditional = again || x->sink == NULL,
	};
	const struct cache_kept *kept;

	note_asked(fetch);
	kept = response_policy_kept(x);
	form.validate = kept != NULL ? &kept->record : NULL;
	fetch->origin = fetch_send_question(&fetch->all->use, &x->req, x->frontend->chosen, &form,
					    &asker, ret_failure);
	return fetch->origin != NULL;
}
