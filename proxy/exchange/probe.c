/* One question to an origin for an operator. */
#include "proxy/exchange/probe.h"

#include <stdlib.h>

#include "proxy/base/monotonic.h"
#include "proxy/base/wall_clock.h"
#include "proxy/exchange/fetch_ask.h"

struct probe {
	const struct fetches_use *use;
	struct origin *origin;
	probe_done done; /* NULL once it was called: the rest is of no use */
	void *context;
	struct exchange_times times;
	int64_t asked_ms; /* on the boot clock */
	int64_t asked_us; /* monotonic */
};

static void tell(struct probe *probe, struct probe_answer *answer)
{
	probe_done done = probe->done;

	answer->times = &probe->times;
	answer->elapsed_us = monotonic_us() - probe->asked_us;
	probe->done = NULL;
	if (done != NULL) /* what is put off behind a head may fail for want of memory */
		done(probe->context, answer);
}

/* A head that came whole, with its empty line, at the start of `bytes`. */
static struct slice head_of(struct slice bytes)
{
	size_t at = 0;

	for (;;) {
		const char *line = bytes.p + at, *lf = memchr(line, '\n', bytes.n - at);

		assert(lf != NULL);
		at = (size_t)(lf - bytes.p) + 1;
		if (lf == line || (lf == line + 1 && *line == '\r'))
			return slice_of(bytes.p, at);
	}
}

static void on_interim(void *context, const struct http_response *res)
{
	(void)context;
	(void)res;
}

static void on_failure(void *context, enum failure failure)
{
	struct probe *probe = context;
	union address origin = probe->origin->address;
	struct probe_answer answer = {.failure = failure, .origin = &origin};

	tell(probe, &answer);
	free(probe);
}

static void on_head(void *context, const struct http_response *res)
{
	struct probe *probe = context;
	struct origin *origin = probe->origin;
	union address address = origin->address;
	struct probe_answer answer = {.res = res, .origin = &address};

	probe->times.response = probe->use->turn->now;
	probe->times.delay_ms = boot_clock_ms() - probe->asked_ms;
	probe->times.admission = origin->admission;
	answer.raw = head_of(buf_waiting(&origin->in));
	tell(probe, &answer);
	if (res->body == BODY_NONE)
		return;
	origin_cancel(origin);
	free(probe);
}

static void on_end(void *context)
{
	free(context);
}

/* No others come: the request has no body and asks for no protocol, and no content is read. */
static const struct origin_events events = {
	.interim = on_interim,
	.head = on_head,
	.end = on_end,
	.failure = on_failure,
};

struct probe *probe_start(struct fetches *fetches, const struct probe_question *question,
			  enum failure *ret_failure)
{
	struct probe *probe = malloc(sizeof(*probe));
	struct origin_asker asker = {
		.holder = question->holder, .is_extra = true, .events = &events, .context = probe};
	struct request_form form = {0};

	assert(question->req->body == BODY_NONE && !question->req->upgrade);
	*ret_failure = FAILURE_INTERNAL;
	if (probe == NULL)
		return NULL;
	*probe = (struct probe){
		.use = &fetches->use,
		.done = question->done,
		.context = question->context,
		.times = {.request_steady_ms = fetches->use.turn->now.steady_ms,
			  .asked_at = cache_epoch(fetches->use.cache)},
		.asked_ms = boot_clock_ms(),
		.asked_us = monotonic_us(),
	};
	probe->origin = fetch_send_question(probe->use, question->req, question->chosen, &form,
					    &asker, ret_failure);
	if (probe->origin != NULL)
		return probe;
	free(probe);
	return NULL;
}

void probe_cancel(struct probe *probe)
{
	origin_cancel(probe->origin);
	free(probe);
}
