/* Origin connections: a request out, its answer in, then kept or closed. */
#include "proxy/origin/origin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proxy/base/cause.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/http1/compose.h"
#include "proxy/http1/parse_fault.h"
#include "proxy/origin/origin_answer.h"
#include "proxy/stats/stats.h"

enum { ORIGIN_MAGIC = 0x4f726967 };

static void origin_readable(void *owner);
static void origin_writable(void *owner);
static void origin_expired(void *owner);
static void origin_go_on(void *owner);

static const struct conn_events origin_events = {
	.readable = origin_readable,
	.writable = origin_writable,
	.expired = origin_expired,
};

static struct origin *origin_of(void *owner)
{
	struct origin *origin = owner;

	assert(origin->magic == ORIGIN_MAGIC);
	return origin;
}

/* ---- life ----------------------------------------------------------------------------------- */

/*
 * One more request at work at this origin, which has a limit of them over all workers; and a place
 * for its connection, where no client's can be used.
 */
static enum failure take_places(const struct budgets *budgets, struct slice key,
				const struct origin_asker *asker, struct holding *ret_at_work,
				struct holding *ret_spare)
{
	*ret_spare = (struct holding){.all = NULL};
	switch (budget_take(budgets, BUDGET_ORIGIN, budget_thing(key), asker->holder,
			    ret_at_work)) {
	case BUDGET_OK:
		break;
	case BUDGET_ONE_FULL:
		return FAILURE_TOO_MANY_FROM_CLIENT;
	case BUDGET_FULL:
		return FAILURE_TOO_MANY_ORIGIN;
	}
	if (!asker->is_extra ||
	    budget_take(budgets, BUDGET_EXTRAS, 0, asker->holder, ret_spare) == BUDGET_OK)
		return FAILURE_NONE;
	budget_give(ret_at_work);
	STATS_ADD(extras_refused, 1);
	return FAILURE_TOO_MANY_ORIGIN;
}

void origin_cancel(struct origin *origin)
{
	origin_release(origin_of(origin));
}

static struct origin *origin_of_idle(struct pool_idle *idle)
{
	return origin_of((char *)idle - offsetof(struct origin, idle));
}

static void close_idle(struct pool_idle *idle)
{
	origin_release(origin_of_idle(idle));
}

void origins_free(struct origins *origins)
{
	if (origins == NULL)
		return;
	pool_free(origins->pool, close_idle);
	response_memo_free(origins->memo);
	free(origins);
}

struct origins *origins_new(struct dialers *dialers, const struct admission *admission)
{
	struct origins *origins = malloc(sizeof(*origins));

	if (origins == NULL)
		return NULL;
	*origins = (struct origins){
		.conf = dialers->connectors.conf,
		.turn = dialers->connectors.turn,
		.budgets = dialers->connectors.budgets,
		.access = dialers->connectors.access,
		.dialers = dialers,
		.admission = admission,
		.pool = pool_new(dialers->connectors.conf),
		.memo = response_memo_new(),
	};
	if (origins->pool != NULL && origins->memo != NULL)
		return origins;
	origins_free(origins);
	return NULL;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* Send some of `waiting`.  False when the connection failed; *ret_sent is 0 when it is full. */
static bool send_some(struct origin *origin, struct slice waiting, size_t *ret_sent)
{
	struct iovec part = iovec_of(waiting);

	*ret_sent = 0;
	switch (conn_send(origin->conn, &part, 1, ret_sent)) {
	case IO_OK:
		STATS_ADD(origin_bytes_out, *ret_sent);
		origin->sent_us = monotonic_us();
		pace_moved(&origin->send_pace, *ret_sent, origin->use->conf,
			   origin->use->turn->now_ms);
		return true;
	case IO_AGAIN:
		return true;
	case IO_END:
	case IO_ERROR:
		break;
	}
	return false;
}

/*
 * Send the head, then content.  A failure to send is not yet the end: an answer may have come
 * before the connection broke, and reading tells.  It ends here, too: not each failure to send is
 * the peer's.
 */
static void origin_flush(struct origin *origin)
{
	size_t sent;

	while (origin->request_sent < buf_length(&origin->request)) {
		struct slice head = buf_waiting(&origin->request);

		head.p += origin->request_sent;
		head.n -= origin->request_sent;
		if (!send_some(origin, head, &sent))
			goto broken;
		if (sent == 0)
			return;
		if (origin->request_sent == 0)
			STATS_ADD(origin_requests, 1);
		origin->request_sent += sent;
	}
	while (buf_length(&origin->out) > 0) {
		if (!send_some(origin, buf_waiting(&origin->out), &sent))
			goto broken;
		if (sent == 0)
			return;
		buf_consume(&origin->out, sent);
	}
	return;
broken:
	conn_broken(origin->conn);
	buf_free(&origin->out);
	origin->request_sent = buf_length(&origin->request);
	origin->keep = false;
	origin->request_done = true;
}

static bool append_content(struct origin *origin, struct slice content)
{
	char head[CHUNK_HEAD_MAX];

	if (!origin->chunked)
		return buf_append(&origin->out, content);
	return buf_append(&origin->out, slice_of(head, compose_chunk_head(head, content.n))) &&
	       buf_append(&origin->out, content) && buf_append(&origin->out, SLICE("\r\n"));
}

bool origin_send(struct origin *origin, struct slice content)
{
	if (origin->closed || origin->request_done)
		return true;
	if (!append_content(origin, content)) {
		/* Cut the request: its promised end never comes (HAZARDS F6). */
		origin_fail(origin, FAILURE_INTERNAL);
		return true;
	}
	if (origin->conn != NULL) {
		origin_flush(origin);
		origin_settle(origin);
	}
	origin->wants_drained = buf_length(&origin->out) > 0;
	return !origin->wants_drained;
}

void origin_send_end(struct origin *origin)
{
	if (origin->closed || origin->request_done)
		return;
	if (origin->chunked && !buf_append(&origin->out, SLICE("0\r\n\r\n"))) {
		origin_fail(origin, FAILURE_INTERNAL);
		return;
	}
	origin->request_done = true;
	if (origin->conn != NULL) {
		origin_flush(origin);
		origin_settle(origin);
	}
}

/* ---- connecting ----------------------------------------------------------------------------- */

static void connected(void *context, enum failure failure, struct conn *conn,
		      const struct destination *to, struct slice early)
{
	struct origin *origin = context;

	(void)early; /* none: TLS goes through tunnels only, and does not speak first */
	origin->dialer = NULL;
	if (failure != FAILURE_NONE) {
		origin_fail(origin, failure);
		return;
	}
	origin->conn = conn;
	origin->address = to->address;
	origin->admission =
		admission_of(origin->use->admission, origin->use->access, &origin->route, to);
	STATS_ADD(origins, 1);
	conn_own(conn, &origin_events, origin);
	origin_writable(origin);
}

static bool origin_connect(struct origin *origin)
{
	struct dial dial = {&origin->route, origin->holder, buf_waiting(&origin->connect),
			    &origin->times};

	origin->dialer = dialer_start(origin->use->dialers, &dial, connected, origin);
	return origin->dialer != NULL;
}

/*
 * A kept connection was dead when it was used: the request goes out again on a new one, once (RFC
 * 9110 9.2.2, RFC 9112 9.3.1).
 */
static bool origin_retry(struct origin *origin)
{
	if (!origin->reused || origin->got_bytes || !origin->repeatable)
		return false;
	assert(origin->request_done); /* what may be repeated has no content */
	conn_close(origin->conn);
	origin->conn = NULL;
	STATS_ADD(origins, -1);
	STATS_ADD(origin_retries, 1);
	log_debug("origin %s: a kept connection was closed, asked again on a new one",
		  origin->key + 1);
	scratch_free(&origin->use->turn->in, &origin->in);
	origin->reused = false;
	origin->head_until_ms = 0;
	origin->request_sent = 0;
	return origin_connect(origin);
}

/* State of a new question, on a connection new or kept. */
static void begin(struct origin *origin, const struct http_request *req, struct buf *head,
		  const struct origin_asker *asker)
{
	origin->events = asker->events;
	origin->context = asker->context;
	origin->holder = asker->holder;
	origin->method = req->method;
	origin->chunked = req->body == BODY_CHUNKED;
	origin->request_done = req->body == BODY_NONE;
	origin->upgrade = req->upgrade;
	origin->repeatable = policy_is_repeatable(req);
	origin->request = *head;
	*head = (struct buf){0};
	origin->request_sent = 0;
	origin->got_bytes = origin->head_done = origin->paused = origin->mended = false;
	origin->interims = 0;
	origin->head_until_ms = 0;
	origin->times = (struct origin_times){0};
	origin->sent_us = origin->first_us = 0;
	origin->keep = true;
}

static struct origin *origin_new(struct origins *use, const struct route *route, struct slice key)
{
	struct pool_host *host = pool_join(use->pool, key);
	struct origin *origin = host == NULL ? NULL : calloc(1, sizeof(*origin));

	if (origin == NULL) {
		if (host != NULL)
			pool_leave(use->pool, host);
		return NULL;
	}
	origin->magic = ORIGIN_MAGIC;
	origin->use = use;
	origin->host = host;
	origin->resume = (struct task){.run = origin_go_on, .owner = origin};
	memcpy(origin->key, key.p, key.n);
	origin->route = *route;
	origin->route.host = route_key_host(slice_of(origin->key, key.n));
	return origin;
}

/* An idle connection that the peer has neither closed nor written to. */
static struct origin *take_idle(struct origins *use, struct slice key)
{
	struct pool_idle *idle;

	while ((idle = pool_take(use->pool, key)) != NULL) {
		struct origin *origin = origin_of_idle(idle);

		if (conn_is_quiet(origin->conn))
			return origin;
		origin_release(origin);
	}
	return NULL;
}

/* Connect, or connect by the parent, and ask then. */
static bool start_anew(struct origin *origin, const struct http_request *req)
{
	const struct origins *use = origin->use;

	return (!origin->route.tunnel || compose_connect(&origin->connect, use->conf, req,
							 origin->route.parent->authorization)) &&
	       origin_connect(origin);
}

struct origin *origin_start(struct origins *origins, const struct http_request *req,
			    const struct route *route, struct buf *head,
			    const struct origin_asker *asker, enum failure *ret_failure)
{
	char text[ROUTE_KEY_MAX];
	struct slice key = route_key(route, text);
	struct holding at_work, spare;
	struct origin *origin = NULL;

	*ret_failure = take_places(origins->budgets, key, asker, &at_work, &spare);
	if (*ret_failure == FAILURE_NONE) {
		*ret_failure = FAILURE_INTERNAL;
		origin = take_idle(origins, key);
		if (origin == NULL)
			origin = origin_new(origins, route, key);
		if (origin == NULL) {
			budget_give(&at_work);
			budget_give(&spare);
		}
	}
	if (origin == NULL) {
		buf_free(head);
		return NULL;
	}
	origin_give_places(origin);
	origin->at_work = at_work;
	origin->spare = spare;
	begin(origin, req, head, asker);
	if (origin->conn != NULL) {
		STATS_ADD(origin_reused, 1);
		origin->reused = true;
		/* A failure here is reported later: see origin_flush(). */
		origin_flush(origin);
		origin_settle(origin);
	} else if (!start_anew(origin, req)) {
		origin_release(origin);
		return NULL;
	}
	return origin;
}

/* ---- events --------------------------------------------------------------------------------- */

/* FIN or a failure of the connection. */
static void origin_ended(struct origin *origin)
{
	if (origin->events == NULL) {
		origin_release(origin);
	} else if (origin->head_done && origin->body.kind == BODY_UNTIL_CLOSE) {
		origin->keep = false;
		origin_finish(origin);
	} else if (origin->head_done) {
		origin_fail(origin, FAILURE_RESPONSE_CUT);
	} else if (!origin_retry(origin)) {
		origin_fail(origin, FAILURE_ORIGIN_CLOSED);
	}
}

static void origin_readable(void *owner)
{
	struct origin *origin = origin_of(owner);
	enum io io;
	char *to;
	size_t n;
	int error;

	scratch_lend(&origin->use->turn->in, &origin->in);
	to = buf_reserve(&origin->in, 16 * 1024);
	if (to == NULL) {
		origin_fail(origin, FAILURE_INTERNAL);
		return;
	}
	io = conn_recv(origin->conn, to, origin->in.size - origin->in.tail, &n);
	error = errno;
	if (io == IO_AGAIN) {
		origin_settle(origin);
		return;
	}
	if (io == IO_OK) {
		STATS_ADD(origin_bytes_in, n);
		buf_added(&origin->in, n);
		pace_anew(&origin->recv_pace, origin->use->conf, origin->use->turn->now_ms);
		if (origin->events == NULL) { /* idle */
			STATS_ADD(origin_unasked, 1);
			origin_release(origin);
			return;
		}
		if (origin->request_sent ==
		    0) { /* the request was not sent yet: this cannot answer it */
			STATS_ADD(origin_unasked, 1);
			if (!origin_retry(origin))
				origin_fail(origin, FAILURE_BAD_RESPONSE);
			return;
		}
		origin->got_bytes = true;
		if (origin->first_us == 0)
			origin->first_us = monotonic_us();
		origin_advance(origin);
		return;
	}
	if (io == IO_ERROR)
		cause_set("%s", strerror(error));
	/* An RST is no clean end, whatever the framing. */
	if (io == IO_ERROR && origin->head_done && origin->events != NULL)
		origin_fail(origin, FAILURE_RESPONSE_CUT);
	else
		origin_ended(origin);
	cause_clear(); /* it may have been asked anew */
}

static void origin_writable(void *owner)
{
	struct origin *origin = origin_of(owner);

	origin_flush(origin);
	if (origin->wants_drained && buf_length(&origin->out) == 0) {
		origin->wants_drained = false;
		if (origin->events != NULL)
			origin->events->drained(origin->context);
	}
	origin_settle(origin);
}

static void origin_expired(void *owner)
{
	struct origin *origin = origin_of(owner);

	if (origin->events == NULL)
		origin_release(origin);
	else if (buf_length(&origin->out) > 0 ||
		 origin->request_sent < buf_length(&origin->request))
		origin_fail(origin, FAILURE_ORIGIN_WRITE_TIMEOUT);
	else
		origin_fail(origin, origin->head_done ? FAILURE_RESPONSE_BODY_TIMEOUT
						      : FAILURE_ORIGIN_TIMEOUT);
}

static void origin_go_on(void *owner)
{
	struct origin *origin = origin_of(owner);

	if (origin->closed) {
		turn_free(origin);
		return;
	}
	origin_advance(origin);
}

void origin_resume(struct origin *origin)
{
	if (origin->closed || !origin->paused)
		return;
	origin->paused = false;
	turn_soon(origin->use->turn, &origin->resume);
}

bool origin_has_event(const struct origin *origin)
{
	return origin->conn != NULL && conn_has_event(origin->conn);
}
