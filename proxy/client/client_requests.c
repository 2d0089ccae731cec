/* Requests in: heads and bodies, as far as bytes, answers and the turn allow. */
#include "proxy/client/client_requests.h"

#include "proxy/base/cause.h"
#include "proxy/base/monotonic.h"
#include "proxy/client/client_sink.h"
#include "proxy/exchange/failure_log.h"
#include "proxy/exchange/inside.h"
#include "proxy/exchange/tunnel.h"
#include "proxy/http1/parse_fault.h"

/* A head that cannot be read: answered, and nothing after it is (HAZARDS F9). */
static void refuse_request(struct client *client, struct exchange *x, enum failure failure)
{
	client->sink.last = true;
	x->bytes_in = buf_length(&client->in); /* where its head ends is not known */
	x->req.body = BODY_NONE;
	x->req.keep_alive = false;
	exchange_fail(x, failure);
}

void client_fail_body(struct client *client, enum failure failure)
{
	struct exchange *x = client->exchange;

	client->sink.last = true;
	if (x->frontend->cancel(x))
		client_abort(client); /* never: what has a body is not shared */
	else
		exchange_fail(x, failure);
}

static void begin_body(struct client *client, struct exchange *x)
{
	client->sink.reading_body = false;
	if (x->req.body != BODY_NONE) {
		body_begin(&x->body, x->req.body, x->req.content_length);
		client->sink.reading_body = !x->body.done;
	}
	client->body_paused = client->held = false;
}

/*
 * RFC 9112 9.3: no connection between an HTTP/1.0 client and a proxy persists, as a proxy between
 * them may pass the wish on without knowing it.  Who asks in absolute form takes us for a proxy.
 */
static bool may_persist(const struct client *client, const struct http_request *req)
{
	return req->keep_alive || (req->asks_keep_alive && client->frontend->is_origin &&
				   req->form != TARGET_ABSOLUTE);
}

/* One begins, of what may be no request: it is counted here and, with its outcome, when it ends. */
static void begin_exchange(struct client *client, struct exchange *x)
{
	client->exchange = x;
	if (client->frontend->is_reserved)
		STATS_ADD(operator_requests, 1);
	else
		STATS_ADD(requests, 1);
	COUNT_TRAFFIC(client, exchanges, 1);
}

/* Read the next request head and have it handled.  False when it is not whole yet. */
static bool next_request(struct client *client)
{
	struct clients *all = client->all;
	struct exchange *x = exchange_new(all->exchanges, &client->sink, client->frontend);
	struct parsed parsed = {.failure = FAILURE_INTERNAL};
	enum parse_result result;
	char fault[PARSE_FAULT_SIZE];
	bool persists;

	if (x == NULL) {
		client_close(client);
		return false;
	}
	x->peer = client->peer;
	x->listener = client->listener;
	if (client->is_tls && conn_peer_name(client->conn) != NULL)
		x->user = slice_str(conn_peer_name(client->conn));
	x->req.fields =
		(struct http_fields){.at = all->lines, .capacity = PARSE_REQUEST_FIELDS_MAX};
	result = parse_request(buf_waiting(&client->in), all->conf, all->memo, &client->progress,
			       &x->req, &parsed);
	if (result == PARSE_MORE) {
		exchange_discard(x);
		return false;
	}
	begin_exchange(client, x);
	client->in_head = false;
	client->requests++;
	if (result == PARSE_FAILED)
		cause_set_fault(
			parse_fault_request(buf_waiting(&client->in), parsed.failure, fault));
	if (result == PARSE_FAILED || client->refusal != FAILURE_NONE) {
		refuse_request(client, x,
			       result == PARSE_FAILED ? parsed.failure : client->refusal);
		cause_clear();
		return true;
	}
	x->bytes_in = parsed.consumed;
	persists = may_persist(client, &x->req);
	client->said_last = !persists && x->req.body == BODY_NONE;
	client->sink.last =
		!persists || all->turn->draining || client->requests >= all->conf->client_requests;
	begin_body(client, x);
	client->frontend->handle(x);
	if (client->conn != NULL)
		buf_consume(&client->in,
			    parsed.consumed); /* the request was a view of it until here */
	return true;
}

/*
 * Decode what is there of the body and give it to the exchange.  False when more bytes are needed.
 */
static bool feed_body(struct client *client)
{
	struct exchange *x = client->exchange;
	struct slice content;
	size_t consumed;
	enum body_result result;

	result = body_decode(&x->body, buf_waiting(&client->in), &consumed, &content);
	if (result == BODY_BAD) {
		client_fail_body(client, FAILURE_BAD_BODY);
		return true;
	}
	x->bytes_in += consumed;
	pace_moved(&client->recv_pace, consumed, client->all->conf, client->all->turn->now_ms);
	if (content.n > 0 && !client->frontend->body(x, content))
		client->body_paused = true;
	if (client->conn == NULL)
		return false;
	if (consumed > 0)
		buf_consume(&client->in, consumed);
	/* The exchange may have ended with an early answer: then the connection ends, too. */
	if (client->exchange != x)
		return true;
	if (result == BODY_DONE) {
		client->sink.reading_body = false;
		client->frontend->body_end(x);
	}
	return consumed > 0 || result == BODY_DONE;
}

/* Is there a share of the turn left for another step?  If not, it is taken up in the next one. */
static bool may_go_on(struct client *client, unsigned most)
{
	if (share_take(&client->share, client->all->turn, most))
		return true;
	client->put_off = true;
	turn_later(client->all->turn, &client->resume);
	return false;
}

/* Bytes that were read, compared and written for a request count as well. */
static bool serve_next(struct client *client)
{
	const struct cache_counts *counts = client->all->counts;
	size_t in = buf_length(&client->in), out = buf_length(&client->out);
	uint64_t compared = counts->compared;
	bool served = next_request(client);

	if (client->conn == NULL)
		return false;
	client->share.bytes +=
		(uint32_t)(in - buf_length(&client->in) + (counts->compared - compared));
	if (buf_length(&client->out) > out)
		client->share.bytes += (uint32_t)(buf_length(&client->out) - out);
	return served;
}

/* ---- tunnels that may be HTTP --------------------------------------------------------------- */

/* The origin gets all that came, as it came. */
static void leave_to_origin(struct client *client)
{
	client->looking = false;
	tunnel_pass(client->exchange);
}

/*
 * The first request is read as every other is, and again as one when it is for this origin: what
 * the parser refuses, or does not know, is the origin's to judge.  True when the tunnel is read.
 */
static bool look(struct client *client)
{
	struct clients *all = client->all;
	struct http_request req = {
		.fields = {.at = all->lines, .capacity = PARSE_REQUEST_FIELDS_MAX}};
	bool had_line = client->progress.line_checked;
	enum parse_result result = PARSE_MORE;
	struct parsed parsed;

	if (buf_length(&client->in) > 0)
		result = parse_request(buf_waiting(&client->in), all->conf, NULL, &client->progress,
				       &req, &parsed);
	if (result == PARSE_MORE && !client->fin_received) {
		if (!had_line && client->progress.line_checked)
			conn_deadline(client->conn, all->conf->head_timeout_ms);
		return false;
	}
	client->progress = (struct parse_progress){0};
	if (result != PARSE_DONE || !inside_begins(client->sink.inside, &req)) {
		leave_to_origin(client);
		return false;
	}
	client->looking = false;
	client->frontend = client->sink.inside->frontend;
	tunnel_read(client->exchange);
	return true;
}

void client_look_expired(struct client *client)
{
	leave_to_origin(client);
	client_settle(client);
}

/* ---- in order ------------------------------------------------------------------------------- */

static bool advance_once(struct client *client)
{
	if (client->exchange != NULL && client->looking)
		return look(client);
	if (client->exchange != NULL)
		return client->sink.reading_body && !client->body_paused &&
		       buf_length(&client->in) > 0 && may_go_on(client, SHARE_PIECES) &&
		       feed_body(client);
	if (client->sink.last)
		return false;
	/* A client that does not read its answers gets no more made. */
	client->stalled = buf_length(&client->out) > HIGH_WATER;
	return !client->stalled && buf_length(&client->in) > 0 &&
	       may_go_on(client, SHARE_REQUESTS) && serve_next(client);
}

/*
 * Requests that were answered at once have waited from the start of the turn until here, or of the
 * one that read them.
 */
static void measure(struct exchanges *exchanges, int64_t since_us)
{
	if (exchanges->answered == 0)
		return;
	histogram_add(&stats->hit_latency, (uint64_t)(monotonic_us() - since_us),
		      exchanges->answered);
	exchanges->answered = 0;
}

/* Go as far as the bytes at hand allow. */
static void advance(struct client *client)
{
	client->advancing = true;
	while (client->conn != NULL && advance_once(client))
		if (buf_length(&client->out) > HIGH_WATER)
			client_flush(client);
	client->advancing = false;
	if (client->conn == NULL)
		return;
	/* The peer will send no more: what is incomplete, and not held back here, stays so. */
	if (client->fin_received && client->exchange == NULL && !client->stalled &&
	    !client->put_off) {
		if (!client->sink.last && buf_length(&client->in) > 0)
			failure_log_left(&client->peer, buf_length(&client->in));
		client->sink.last = true;
	}
	if (client->fin_received && client->sink.reading_body && !client->body_paused &&
	    !client->put_off) {
		client_close(client);
		return;
	}
	client_settle(client);
}

/* As far as it goes; the answers made on the way have gone out together in the end. */
void client_advance(struct client *client)
{
	struct clients *all = client->all;
	int64_t since_us = client->waits_since_us != 0 ? client->waits_since_us : all->turn->now_us;

	client->put_off = false;
	advance(client);
	client->waits_since_us = client->put_off ? since_us : 0;
	measure(all->exchanges, since_us);
}

void client_go_on(void *owner)
{
	struct client *client = client_of(owner);

	if (client->conn == NULL) {
		client_free_later(client);
		return;
	}
	client->body_paused = client->held;
	if (!client->lingering)
		client_advance(client);
	client_end_if_idle(client);
}

void client_head_expired(struct client *client)
{
	struct exchange *x = exchange_new(client->all->exchanges, &client->sink, client->frontend);
	enum failure failure = FAILURE_HEAD_TIMEOUT;

	if (x == NULL) {
		client_close(client);
		return;
	}
	x->peer = client->peer;
	x->listener = client->listener;
	begin_exchange(client, x);
	if (client->refusal != FAILURE_NONE) {
		failure = client->refusal;
		/* The deadline that has passed was its only one. */
		conn_deadline(client->conn, CLIENT_REFUSAL_MS);
	}
	refuse_request(client, x, failure);
}
