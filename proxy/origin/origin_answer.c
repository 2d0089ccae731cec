/* An origin's answer: its heads, its content, and what becomes of the connection then. */
#include "proxy/origin/origin_answer.h"

#include "proxy/base/cause.h"
#include "proxy/http1/parse_fault.h"
#include "proxy/stats/stats.h"

static void refuse_head(struct origin *origin, enum failure failure)
{
	char fault[PARSE_FAULT_SIZE];

	if (parse_fault_response(buf_waiting(&origin->in), fault)[0] != '\0')
		cause_set_fault(fault);
	origin_fail(origin, failure);
}

/* The answer is whole: keep the connection if nothing speaks against it, then tell. */
void origin_finish(struct origin *origin)
{
	const struct origin_events *events = origin->events;
	void *context = origin->context;

	origin->events = NULL;
	if (buf_length(&origin->in) > 0) {
		STATS_ADD(origin_unasked, 1);
		origin->keep = false;
	}
	origin_give_places(origin);
	if (origin->keep && origin->request_done && buf_length(&origin->out) == 0 &&
	    !origin->use->turn->draining &&
	    budget_take(origin->use->budgets, BUDGET_IDLE, 0, origin->holder, &origin->spare) ==
		    BUDGET_OK &&
	    pool_keep(origin->host, &origin->idle)) {
		buf_free(&origin->request);
		origin_settle(origin);
	} else {
		origin_release(origin);
	}
	if (events != NULL)
		events->end(context);
}

/* An interim response: bounded in number, and none that changes the protocol. */
static void interim(struct origin *origin, const struct http_response *res)
{
	if (res->status == 101)
		origin_fail(origin, FAILURE_UNASKED_UPGRADE);
	else if (++origin->interims > origin->use->conf->interim_responses)
		origin_fail(origin, FAILURE_TOO_MANY_INTERIM);
	else {
		origin->head_until_ms = 0; /* the next head has a time of its own */
		origin->events->interim(origin->context, res);
	}
}

/* The connection is no longer one of ours. */
static void switched(struct origin *origin, const struct http_response *res, size_t head_length)
{
	const struct origin_events *events = origin->events;
	struct conn *conn = origin->conn;
	struct slice early = buf_waiting(&origin->in);

	origin->events = NULL;
	origin->conn = NULL;
	STATS_ADD(origins, -1);
	events->switched(origin->context, res, conn,
			 slice_of(early.p + head_length, early.n - head_length));
	origin_release(origin);
}

static void note_first_byte(struct origin *origin)
{
	origin->times.first_byte_us = origin_time_us(origin->sent_us, origin->first_us);
	histogram_add_since(&stats->origin_first_byte, origin->sent_us, origin->first_us);
}

/*
 * A head from what was read.  False when it is not whole yet, or failed.  A part of an answer is
 * acknowledged at once: an origin that writes in parts, and has not set TCP_NODELAY, sends the next
 * one after that, and on a kept connection the kernel would wait for 40 ms.
 */
static bool read_head(struct origin *origin)
{
	struct http_response res = {
		.fields = {.at = origin->use->response_lines, .capacity = PARSE_FIELDS_MAX}};
	const struct response_rules rules = {origin->use->conf, origin->method,
					     origin->use->response_mended, origin->use->memo};
	struct parsed parsed = {.failure = FAILURE_BAD_RESPONSE};

	switch (parse_response(buf_waiting(&origin->in), &rules, &origin->progress, &res,
			       &parsed)) {
	case PARSE_MORE:
		conn_acknowledge(origin->conn);
		return false;
	case PARSE_FAILED:
		refuse_head(origin, parsed.failure);
		return false;
	case PARSE_DONE:
		break;
	}
	if (res.status == 101 && origin->upgrade &&
	    origin->request_sent == buf_length(&origin->request)) {
		note_first_byte(origin);
		switched(origin, &res, parsed.consumed);
		return false;
	}
	/*
	 * After one that was mended none is trusted, be that of an interim response (HAZARDS A7).
	 */
	origin->mended = res.mended = origin->mended || res.mended;
	if (res.status < 200) {
		interim(origin, &res);
	} else if (res.status == 407) {
		/* It asks us, not our client (RFC 9110 11.7.1, HAZARDS H3). */
		cause_set("a 407 asks the proxy for credentials");
		origin_fail(origin, origin->route.parent != NULL && !origin->route.tunnel
					    ? FAILURE_PARENT_AUTHENTICATION
					    : FAILURE_BAD_RESPONSE);
	} else {
		origin->head_done = true;
		note_first_byte(origin);
		/* Bytes that follow a 204 at once are a body it must not have (HAZARDS A3). */
		if (res.status == 204 && parsed.consumed < buf_length(&origin->in))
			res.framing_trouble = true;
		origin->keep =
			origin->keep && res.keep_alive && !res.framing_trouble && !res.mended;
		body_begin(&origin->body, res.body, res.content_length);
		origin->body.may_pad = true;
		buf_free(&origin->request);
		origin->events->head(origin->context, &res);
	}
	if (origin->closed)
		return false;
	buf_consume(&origin->in, parsed.consumed);
	if (!origin->head_done && buf_length(&origin->in) == 0)
		origin->first_us = 0; /* the next head is still to come */
	if (origin->head_done && !origin->body.done && buf_length(&origin->in) == 0)
		conn_acknowledge(origin->conn);
	return true;
}

/* Content from what was read.  False when there is no more, or it may not be given now. */
static bool read_content(struct origin *origin)
{
	struct slice content;
	size_t consumed;

	switch (body_decode(&origin->body, buf_waiting(&origin->in), &consumed, &content)) {
	case BODY_BAD:
		cause_set("a chunk is malformed");
		origin_fail(origin, FAILURE_RESPONSE_CUT);
		return false;
	case BODY_DONE:
	case BODY_MORE:
		break;
	}
	if (origin->body.padded)
		origin->keep = false;
	if (content.n > 0 && !origin->events->content(origin->context, content))
		origin->paused = true;
	if (origin->closed)
		return false;
	if (consumed > 0)
		buf_consume(&origin->in, consumed);
	if (origin->body.done) {
		origin_finish(origin);
		return false;
	}
	return consumed > 0 && !origin->paused;
}

/* Is there a share of the turn left for another piece?  If not, it is taken up in the next one. */
static bool may_go_on(struct origin *origin)
{
	if (buf_length(&origin->in) == 0 ||
	    share_take(&origin->share, origin->use->turn, SHARE_PIECES))
		return true;
	origin->put_off = true;
	turn_later(origin->use->turn, &origin->resume);
	return false;
}

void origin_advance(struct origin *origin)
{
	origin->put_off = false;
	while (!origin->closed && origin->events != NULL && !origin->paused && may_go_on(origin)) {
		if (origin->head_done ? !read_content(origin) : !read_head(origin))
			break;
	}
	if (!origin->closed && origin->events != NULL)
		origin_settle(origin);
}
