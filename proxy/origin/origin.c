/* Origin connections: a request out, its answer in, then kept or closed. */
#include "proxy/origin/origin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "proxy/base/cause.h"
#include "proxy/base/log.h"
#include "proxy/http1/compose.h"
#include "proxy/http1/parse_fault.h"
#include "proxy/stats/stats.h"

enum { ORIGIN_MAGIC = 0x4f726967 };

struct origins {
	const struct conf *conf;
	struct turn *turn;
	const struct budgets *budgets;
	const struct access *access;
	struct dialers *dialers;
	const struct admission *admission;
	struct pool *pool;
	/* of the head that is being handled */
	struct http_field response_lines[PARSE_FIELDS_MAX];
	char response_mended[PARSE_MENDED_MAX];
};

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

static void give_places(struct origin *origin)
{
	budget_give(&origin->at_work);
	budget_give(&origin->spare);
}

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

/* The one way out. */
static void origin_release(struct origin *origin)
{
	if (origin->closed)
		return;
	origin->closed = true;
	origin->events = NULL;
	if (origin->idle.link != NULL)
		pool_remove(origin->host, &origin->idle);
	if (origin->dialer != NULL)
		dialer_cancel(origin->dialer);
	origin->dialer = NULL;
	if (origin->conn != NULL)
		STATS_ADD(origins, -1);
	conn_close(origin->conn);
	give_places(origin);
	pool_leave(origin->use->pool, origin->host);
	scratch_free(&origin->use->turn->in, &origin->in);
	buf_free(&origin->out);
	buf_free(&origin->request);
	buf_free(&origin->connect);
	/* a queued one is freed when its task is run */
	if (!origin->resume.queued)
		turn_free(origin);
}

static void origin_fail(struct origin *origin, enum failure failure)
{
	const struct origin_events *events = origin->events;
	void *context = origin->context;

	origin_release(origin);
	if (events != NULL)
		events->failure(context, failure);
	cause_clear();
}

static void refuse_head(struct origin *origin, enum failure failure)
{
	char fault[PARSE_FAULT_SIZE];

	if (parse_fault_response(buf_waiting(&origin->in), fault)[0] != '\0')
		cause_set("%s", fault);
	origin_fail(origin, failure);
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
	};
	if (origins->pool != NULL)
		return origins;
	free(origins);
	return NULL;
}

void origins_free(struct origins *origins)
{
	if (origins == NULL)
		return;
	pool_free(origins->pool, close_idle);
	free(origins);
}

/* A head has a time that its bytes do not push out. */
static int64_t head_left_ms(struct origin *origin)
{
	const struct origins *use = origin->use;
	int64_t left_ms;

	if (origin->head_until_ms == 0)
		origin->head_until_ms = use->turn->now_ms + use->conf->first_byte_timeout_ms;
	left_ms = origin->head_until_ms - use->turn->now_ms;
	return left_ms > 0 ? left_ms : 1;
}

static void set_deadline(struct origin *origin, bool sending)
{
	const struct conf *conf = origin->use->conf;
	int64_t now_ms = origin->use->turn->now_ms;
	bool giving =
		origin->events != NULL && origin->head_done && !origin->paused && !origin->put_off;

	pace_wait(&origin->taking, sending, conf, now_ms);
	pace_wait(&origin->giving, giving, conf, now_ms);
	if (origin->events == NULL)
		conn_deadline(origin->conn, conf->origin_idle_timeout_ms);
	else if (sending)
		conn_deadline(origin->conn, pace_left_ms(&origin->taking, now_ms));
	else if (giving)
		conn_deadline(origin->conn, pace_left_ms(&origin->giving, now_ms));
	else if (origin->paused || origin->put_off || !origin->request_done)
		conn_deadline(origin->conn, 0); /* the client's deadlines stand */
	else
		conn_deadline(origin->conn, head_left_ms(origin));
}

/* What to wait for, and how long: decided from the state alone. */
static void origin_settle(struct origin *origin)
{
	bool sending;

	if (origin->closed || origin->conn == NULL)
		return;
	if (!scratch_settle(&origin->use->turn->in, &origin->in)) {
		origin_fail(origin, FAILURE_INTERNAL);
		return;
	}
	sending =
		origin->request_sent < buf_length(&origin->request) || buf_length(&origin->out) > 0;
	conn_watch(origin->conn, !origin->paused && !origin->put_off, sending);
	set_deadline(origin, sending);
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
		pace_moved(&origin->taking, *ret_sent, origin->use->conf,
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
 * before the connection broke, and reading tells.
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
		/* cut the request: its promised end never comes (HAZARDS F6) */
		conn_close(origin->conn);
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
	origin->dialer = dialer_start(origin->use->dialers, &origin->route, origin->holder,
				      buf_waiting(&origin->connect), connected, origin);
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
	origin->request_done = true;
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
	origin->keep = true;
	STATS_ADD(origin_requests, 1);
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

	return (!origin->route.tunnel ||
		compose_connect(&origin->connect, use->conf, req,
				routes_parent(use->dialers->routes)->authorization)) &&
	       origin_connect(origin);
}

struct origin *origin_start(struct origins *origins, const struct http_request *req,
			    const struct route *route, struct buf *head,
			    const struct origin_asker *asker, enum failure *ret_failure)
{
	char text[ROUTE_KEY_MAX];
	struct slice key = route_key(origins->dialers->routes, route, text);
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
	give_places(origin);
	origin->at_work = at_work;
	origin->spare = spare;
	begin(origin, req, head, asker);
	if (origin->conn != NULL) {
		STATS_ADD(origin_reused, 1);
		origin->reused = true;
		/* what fails here is told later: see origin_flush() */
		origin_flush(origin);
		origin_settle(origin);
	} else if (!start_anew(origin, req)) {
		origin_release(origin);
		return NULL;
	}
	return origin;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The answer is whole: keep the connection if nothing speaks against it, then tell. */
static void origin_finish(struct origin *origin)
{
	const struct origin_events *events = origin->events;
	void *context = origin->context;

	origin->events = NULL;
	if (buf_length(&origin->in) > 0) {
		STATS_ADD(origin_unasked, 1);
		origin->keep = false;
	}
	give_places(origin);
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

/*
 * A head from what was read.  False when it is not whole yet, or failed.  A part of an answer is
 * acknowledged at once: an origin that writes in parts, and has not set TCP_NODELAY, sends the next
 * one after that, and on a kept connection the kernel would wait for 40 ms.
 */
static bool read_head(struct origin *origin)
{
	struct http_response res = {
		.fields = {.at = origin->use->response_lines, .capacity = PARSE_FIELDS_MAX}};
	enum failure failure = FAILURE_BAD_RESPONSE;
	size_t length;

	switch (parse_response(buf_waiting(&origin->in), origin->use->conf, origin->method,
			       &origin->progress, &res, origin->use->response_mended, &length,
			       &failure)) {
	case PARSE_MORE:
		conn_acknowledge(origin->conn);
		return false;
	case PARSE_FAILED:
		refuse_head(origin, failure);
		return false;
	case PARSE_DONE:
		break;
	}
	if (res.status == 101 && origin->upgrade &&
	    origin->request_sent == buf_length(&origin->request)) {
		switched(origin, &res, length);
		return false;
	}
	/* after one that was mended none is trusted, be that of an interim response (HAZARDS A7) */
	origin->mended = res.mended = origin->mended || res.mended;
	if (res.status < 200) {
		interim(origin, &res);
	} else if (res.status == 407) {
		/* it asks us, not our client (RFC 9110 11.7.1, HAZARDS H3) */
		cause_set("a 407 asks the proxy for credentials");
		origin_fail(origin, origin->route.parent && !origin->route.tunnel
					    ? FAILURE_PARENT_AUTHENTICATION
					    : FAILURE_BAD_RESPONSE);
	} else {
		origin->head_done = true;
		/* bytes that follow a 204 at once are a body it must not have (HAZARDS A3) */
		if (res.status == 204 && length < buf_length(&origin->in))
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
	buf_consume(&origin->in, length);
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

static void origin_advance(struct origin *origin)
{
	origin->put_off = false;
	while (!origin->closed && origin->events != NULL && !origin->paused && may_go_on(origin)) {
		if (origin->head_done ? !read_content(origin) : !read_head(origin))
			break;
	}
	if (!origin->closed && origin->events != NULL)
		origin_settle(origin);
}

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
		pace_anew(&origin->giving, origin->use->conf, origin->use->turn->now_ms);
		if (origin->events == NULL) { /* idle: nobody asked */
			STATS_ADD(origin_unasked, 1);
			origin_release(origin);
			return;
		}
		if (origin->request_sent == 0) { /* nobody asked yet: no answer to this request */
			STATS_ADD(origin_unasked, 1);
			if (!origin_retry(origin))
				origin_fail(origin, FAILURE_BAD_RESPONSE);
			return;
		}
		origin->got_bytes = true;
		origin_advance(origin);
		return;
	}
	if (io == IO_ERROR)
		cause_set("%s", strerror(error));
	/* an RST is no clean end, whatever the framing */
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
