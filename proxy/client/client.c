/* Client connections: requests in, answers out, in order, within limits. */
#include "proxy/client/client.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/access/access.h"
#include "proxy/base/cause.h"
#include "proxy/base/monotonic.h"
#include "proxy/exchange/failure_log.h"
#include "proxy/http1/parse_fault.h"
#include "proxy/client/proxy_protocol.h"

enum {
	CLIENT_MAGIC = 0x436c6e74,
	/* bytes kept ahead of the request under way: more than the largest head */
	AHEAD_MAX = HIGH_WATER + 16 * 1024,
};

/* Of what clients do: an operator's look at the pages is no traffic. */
#define COUNT_TRAFFIC(client, name, n)                \
	do {                                          \
		if (!(client)->frontend->is_reserved) \
			STATS_ADD(name, n);           \
	} while (0)

static void client_close(struct client *client);
static void client_readable(void *owner);
static void client_writable(void *owner);
static void client_expired(void *owner);
static void header_readable(void *owner);
static void header_writable(void *owner);
static void header_expired(void *owner);
static void client_advance(struct client *client);
static void client_go_on(void *owner);
static void client_send_out(void *owner);

static struct buf *sink_out(struct answer_sink *sink);
static void sink_ended(struct answer_sink *sink, bool keep_alive);
static void sink_push(struct answer_sink *sink);
static bool sink_send(struct answer_sink *sink, const struct iovec *parts, int count);
static void sink_unfinished(struct answer_sink *sink);
static void sink_abort(struct answer_sink *sink);
static void sink_resume(struct answer_sink *sink);
static void sink_hold(struct answer_sink *sink);
static void sink_let_go(struct answer_sink *sink, const struct exchange *x);
static void sink_detach(struct answer_sink *sink, struct sink_detached *ret_detached);

static const struct answer_sink_kind client_sink = {
	.out = sink_out,
	.ended = sink_ended,
	.push = sink_push,
	.send = sink_send,
	.unfinished = sink_unfinished,
	.abort = sink_abort,
	.resume = sink_resume,
	.hold = sink_hold,
	.let_go = sink_let_go,
	.detach = sink_detach,
};

static const struct conn_events client_events = {
	.readable = client_readable,
	.writable = client_writable,
	.expired = client_expired,
};

/* Until the PROXY header has come. */
static const struct conn_events header_events = {
	.readable = header_readable,
	.writable = header_writable,
	.expired = header_expired,
};

static struct client *client_of(void *owner)
{
	struct client *client = owner;

	assert(client->magic == CLIENT_MAGIC);
	return client;
}

/* Its first member; whoever calls by client_sink has one. */
static struct client *client_of_sink(struct answer_sink *sink)
{
	return (struct client *)sink;
}

/* ---- birth and death ------------------------------------------------------------------------ */

static struct client *client_begin(struct clients *clients, const struct frontend *frontend, int fd,
				   const union address *peer, const struct conn_events *events)
{
	struct client *client = malloc(sizeof(*client));
	struct conn *conn = conn_new(fd, events, client);

	if (client == NULL || conn == NULL) {
		STATS_ADD(client_refused, 1);
		conn_close(conn);
		free(client);
		return NULL;
	}
	*client = (struct client){
		.sink = {.kind = &client_sink},
		.magic = CLIENT_MAGIC,
		.all = clients,
		.frontend = frontend,
		.conn = conn,
		.peer = *peer,
		.next = clients->first,
		.link = &clients->first,
		.resume = {.run = client_go_on, .owner = client},
		.push = {.run = client_send_out, .owner = client},
	};
	if (clients->first != NULL)
		clients->first->link = &client->next;
	clients->first = client;
	COUNT_TRAFFIC(client, clients, 1);
	conn_watch(conn, true, false);
	conn_deadline(conn, clients->conf->head_timeout_ms);
	return client;
}

/*
 * It may say what it wants, and is told no: an answer can be understood, a closed connection
 * cannot.  Many at a time are just closed.
 */
static void client_refuse(struct client *client, enum failure refusal)
{
	const struct budgets *budgets = client->all->budgets;

	if (client->refusal != FAILURE_NONE)
		return;
	COUNT_TRAFFIC(client, client_refused, 1);
	budget_give(&client->place);
	if (budget_take(budgets, BUDGET_REFUSALS, 0, budget_holder(&client->peer),
			&client->place) != BUDGET_OK) {
		COUNT_TRAFFIC(client, failure[refusal], 1);
		client_close(client);
		return;
	}
	client->refusal = refusal;
	COUNT_TRAFFIC(client, clients, -1);
	COUNT_TRAFFIC(client, refusals, 1);
	conn_deadline(client->conn, CLIENT_REFUSAL_MS);
}

/* Refused unless its connection has got a place. */
static void client_enter(struct client *client, enum budget_verdict verdict)
{
	if (verdict == BUDGET_FULL)
		client_refuse(client, FAILURE_TOO_MANY_CLIENTS);
	else if (verdict == BUDGET_ONE_FULL)
		client_refuse(client, FAILURE_TOO_MANY_FROM_CLIENT);
}

/* Operators have places of their own, that clients cannot take. */
static enum budget budget_of(const struct frontend *frontend)
{
	return frontend->is_reserved ? BUDGET_OPERATORS : BUDGET_CLIENTS;
}

void client_new(struct clients *clients, const struct frontend *frontend, int fd,
		const union address *peer, enum failure refusal)
{
	struct client *client = client_begin(clients, frontend, fd, peer, &client_events);

	if (client != NULL && refusal != FAILURE_NONE)
		client_refuse(client, refusal);
	else if (client != NULL)
		client_enter(client, budget_take(clients->budgets, budget_of(frontend), 0,
						 budget_holder(peer), &client->place));
}

void client_new_behind(struct clients *clients, const struct frontend *frontend, int fd,
		       const union address *sender, enum failure refusal)
{
	struct client *client = client_begin(clients, frontend, fd, sender, &header_events);

	if (client != NULL && refusal != FAILURE_NONE)
		client_refuse(client, refusal);
	else if (client != NULL) /* whose place it is will be told */
		client_enter(client,
			     budget_take(clients->budgets, BUDGET_CLIENTS, 0, 0, &client->place));
}

/* One that is queued is freed when its last task is run. */
static void client_free_later(struct client *client)
{
	if (!client->resume.queued && !client->push.queued)
		turn_free(client);
}

/* Everything but the socket goes; memory at the end of the turn. */
static void client_release(struct client *client)
{
	*client->link = client->next;
	if (client->next != NULL)
		client->next->link = client->link;
	scratch_free(&client->all->turn->in, &client->in);
	scratch_free(&client->all->turn->out, &client->out);
	client->conn = NULL;
	budget_give(&client->place);
	if (client->refusal == FAILURE_NONE)
		COUNT_TRAFFIC(client, clients, -1);
	else
		COUNT_TRAFFIC(client, refusals, -1);
	client_free_later(client);
}

static void client_close(struct client *client)
{
	struct exchange *x = client->exchange;

	if (client->conn == NULL)
		return;
	/* an answer whose end is told by closing must not look whole (HAZARDS A5) */
	if (buf_length(&client->out) > 0 || (x != NULL && x->status != 0))
		conn_abort(client->conn);
	conn_close(client->conn);
	client->exchange = NULL;
	client_release(client);
	if (x != NULL)
		exchange_abandon(x);
}

static void client_abort(struct client *client)
{
	if (client->conn == NULL)
		return;
	conn_abort(client->conn);
	client_close(client);
}

static void sink_abort(struct answer_sink *sink)
{
	client_abort(client_of_sink(sink));
}

static void sink_unfinished(struct answer_sink *sink)
{
	conn_unfinished(client_of_sink(sink)->conn, true);
}

static void sink_detach(struct answer_sink *sink, struct sink_detached *ret_detached)
{
	struct client *client = client_of_sink(sink);
	struct buf early = {0}, unsent = {0};
	bool whole = buf_append(&early, buf_waiting(&client->in)) &&
		     buf_append(&unsent, buf_waiting(&client->out));

	*ret_detached = (struct sink_detached){
		.conn = client->conn,
		.place = client->place,
		.early = early,
		.unsent = unsent,
		.ended = client->ended,
		.whole = whole,
	};
	client->place = (struct holding){.all = NULL};
	client->exchange = NULL;
	client_release(client);
}

/* ---- sending -------------------------------------------------------------------------------- */

static struct buf *sink_out(struct answer_sink *sink)
{
	struct client *client = client_of_sink(sink);

	scratch_lend(&client->all->turn->out, &client->out);
	return &client->out;
}

/* Send what waits.  False when the connection failed and the client is closed. */
static bool client_flush(struct client *client)
{
	const struct clients *all = client->all;
	struct turn *turn = all->turn;

	while (buf_length(&client->out) > 0) {
		struct slice waiting = buf_waiting(&client->out);
		struct iovec part = iovec_of(waiting);
		size_t n;

		switch (conn_send(client->conn, &part, 1, &n)) {
		case IO_OK:
			COUNT_TRAFFIC(client, client_bytes_out, n);
			buf_consume(&client->out, n);
			pace_moved(&client->taking, n, all->conf, turn->now_ms);
			continue;
		case IO_AGAIN:
			if (scratch_settle(&turn->out, &client->out))
				return true;
			break;
		case IO_END:
		case IO_ERROR:
			break;
		}
		client_close(client);
		return false;
	}
	return scratch_settle(&turn->out, &client->out);
}

/* After the last answer: FIN, then read on for a while so that the answer is not lost to an RST. */
static void client_finish(struct client *client)
{
	conn_unfinished(client->conn, false);
	if (client->ended) {
		client_close(client);
		return;
	}
	conn_end(client->conn);
	client->lingering = true;
	scratch_free(&client->all->turn->in, &client->in);
	conn_watch(client->conn, true, false);
	conn_deadline(client->conn, CLIENT_LINGER_MS);
}

/* Bytes are waited for on either side of the connection: the first deadline of the two. */
static int64_t bytes_left_ms(const struct client *client, int64_t now_ms)
{
	const struct pace *pace = &client->taking;

	if (pace->until_us == 0 ||
	    (client->giving.until_us != 0 && client->giving.until_us < pace->until_us))
		pace = &client->giving;
	return pace_left_ms(pace, now_ms);
}

static void set_deadline(struct client *client, bool sending)
{
	const struct conf *conf = client->all->conf;
	int64_t now_ms = client->all->turn->now_ms;
	bool giving = client->sink.reading_body && !client->body_paused && !client->put_off;

	pace_wait(&client->taking, sending, conf, now_ms);
	pace_wait(&client->giving, giving, conf, now_ms);
	if (client->refusal != FAILURE_NONE)
		; /* it has one of its own, whatever it does */
	else if (sending || giving)
		conn_deadline(client->conn, bytes_left_ms(client, now_ms));
	else if (client->exchange != NULL || client->put_off)
		conn_deadline(client->conn, 0); /* it is not the client that is waited for */
	else if (buf_length(&client->in) == 0)
		conn_deadline(client->conn, conf->keepalive_timeout_ms);
	else if (!client->in_head)
		conn_deadline(client->conn, conf->head_timeout_ms);
	client->in_head =
		client->exchange == NULL && buf_length(&client->in) > 0 && !client->put_off;
}

/*
 * The one place that decides what to wait for, from the state alone, so that no connection can be
 * left waiting for nothing.
 */
static void client_settle(struct client *client)
{
	struct turn *turn = client->all->turn;
	bool sending, reading;

	if (client->conn == NULL || client->lingering)
		return;
	if (!client_flush(client))
		return;
	sending = buf_length(&client->out) > 0;
	if (client->stalled && !sending) {
		client->stalled = false;
		turn_soon(turn, &client->resume);
	}
	if (client->sink.last && client->exchange == NULL && !sending) {
		client_finish(client);
		return;
	}
	if (!scratch_settle(&turn->in, &client->in)) {
		client_close(client);
		return;
	}
	/* also behind the last request: an RST must not wait to be seen until the answer is there
	 */
	reading = !client->ended && (!client->sink.last || client->exchange != NULL) &&
		  buf_length(&client->in) < AHEAD_MAX;
	if (client->sink.reading_body)
		reading = !client->ended && !client->body_paused;
	/* it has enough to do */
	reading = reading && !client->put_off;
	conn_watch(client->conn, reading, sending);
	set_deadline(client, sending);
}

static void sink_push(struct answer_sink *sink)
{
	struct client *client = client_of_sink(sink);

	turn_soon(client->all->turn, &client->push);
}

static void client_send_out(void *owner)
{
	struct client *client = client_of(owner);

	if (client->conn == NULL)
		client_free_later(client);
	else
		client_settle(client);
}

/* Send what waits and the parts after it in one call; *ret_sent counts both. */
static enum io send_all(struct client *client, const struct iovec *parts, int count,
			size_t *ret_sent)
{
	struct iovec all[1 + SINK_PARTS_MAX];
	int waiting = buf_length(&client->out) > 0;

	assert(count <= SINK_PARTS_MAX);
	all[0] = iovec_of(buf_waiting(&client->out));
	memcpy(all + waiting, parts, (size_t)count * sizeof(*parts));
	*ret_sent = 0;
	return conn_send(client->conn, all, waiting + count, ret_sent);
}

static bool sink_send(struct answer_sink *sink, const struct iovec *parts, int count)
{
	struct client *client = client_of_sink(sink);
	size_t sent, waiting = buf_length(&client->out);

	if (client->conn == NULL)
		return true;
	if (send_all(client, parts, count, &sent) == IO_ERROR) {
		client_close(client);
		return true;
	}
	COUNT_TRAFFIC(client, client_bytes_out, sent);
	pace_moved(&client->taking, sent, client->all->conf, client->all->turn->now_ms);
	if (waiting > 0)
		buf_consume(&client->out, sent < waiting ? sent : waiting);
	sent -= sent < waiting ? sent : waiting;
	for (int i = 0; i < count; i++) {
		size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;

		sent -= skip;
		if (!buf_append(&client->out, slice_of((char *)parts[i].iov_base + skip,
						       parts[i].iov_len - skip))) {
			client_close(client);
			return true;
		}
	}
	client_settle(client);
	return client->conn == NULL || buf_length(&client->out) == 0;
}

/* ---- requests ------------------------------------------------------------------------------- */

/* A head that cannot be read: answered, and nothing after it is (HAZARDS F9). */
static void refuse(struct client *client, struct exchange *x, enum failure failure)
{
	client->sink.last = true;
	x->req.body = BODY_NONE;
	x->req.keep_alive = false;
	exchange_fail(x, failure);
}

/* The request's body cannot be had: its origin must not take what came for the whole (HAZARDS F6).
 */
static void fail_body(struct client *client, enum failure failure)
{
	struct exchange *x = client->exchange;

	client->sink.last = true;
	if (x->frontend->cancel(x))
		client_abort(client); /* never: what has a body is not shared */
	else
		exchange_fail(x, failure);
}

static void begin_body(struct client *client, const struct exchange *x)
{
	body_begin(&client->body, x->req.body, x->req.content_length);
	client->sink.reading_body = !client->body.done;
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

/* Read the next request head and have it handled.  False when it is not whole yet. */
static bool next_request(struct client *client)
{
	struct clients *all = client->all;
	struct exchange *x = exchange_new(all->exchanges, &client->sink, client->frontend);
	enum failure failure = FAILURE_INTERNAL;
	enum parse_result result;
	char fault[PARSE_FAULT_SIZE];
	size_t length;

	if (x == NULL) {
		client_close(client);
		return false;
	}
	x->peer = client->peer;
	x->req.fields =
		(struct http_fields){.at = all->lines, .capacity = PARSE_REQUEST_FIELDS_MAX};
	result = parse_request(buf_waiting(&client->in), all->conf, all->memo, &client->progress,
			       &x->req, &length, &failure);
	if (result == PARSE_MORE) {
		exchange_discard(x);
		return false;
	}
	client->exchange = x;
	client->in_head = false;
	client->requests++;
	if (client->frontend->is_reserved)
		STATS_ADD(operator_requests, 1);
	else
		STATS_ADD(requests, 1);
	COUNT_TRAFFIC(client, exchanges, 1);
	if (result == PARSE_FAILED && failure_log_tells_all())
		cause_set("%s", parse_fault_request(buf_waiting(&client->in), failure, fault));
	if (result == PARSE_FAILED || client->refusal != FAILURE_NONE) {
		refuse(client, x, result == PARSE_FAILED ? failure : client->refusal);
		cause_clear();
		return true;
	}
	x->bytes_in = length;
	client->sink.last = !may_persist(client, &x->req) || all->turn->draining ||
			    client->requests >= all->conf->client_requests;
	begin_body(client, x);
	client->frontend->handle(x);
	if (client->conn != NULL)
		buf_consume(&client->in, length); /* the request was a view of it until here */
	return true;
}

/* Decode what is there of the body and give it to the exchange.  False when more bytes are needed.
 */
static bool feed_body(struct client *client)
{
	struct exchange *x = client->exchange;
	struct slice content;
	size_t consumed;
	enum body_result result;

	result = body_decode(&client->body, buf_waiting(&client->in), &consumed, &content);
	if (result == BODY_BAD) {
		fail_body(client, FAILURE_BAD_BODY);
		return true;
	}
	x->bytes_in += consumed;
	pace_moved(&client->giving, consumed, client->all->conf, client->all->turn->now_ms);
	if (content.n > 0 && !client->frontend->body(x, content))
		client->body_paused = true;
	if (client->conn == NULL)
		return false;
	if (consumed > 0)
		buf_consume(&client->in, consumed);
	/* the exchange may have ended with an early answer: then the connection ends, too */
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
	client->share.bytes += in - buf_length(&client->in) + (counts->compared - compared);
	if (buf_length(&client->out) > out)
		client->share.bytes += buf_length(&client->out) - out;
	return served;
}

static bool advance_once(struct client *client)
{
	if (client->exchange != NULL)
		return client->sink.reading_body && !client->body_paused &&
		       buf_length(&client->in) > 0 && may_go_on(client, SHARE_PIECES) &&
		       feed_body(client);
	if (client->sink.last)
		return false;
	/* a client that does not read its answers gets no more made */
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
	/* the peer will send no more: what is incomplete, and not held back here, stays so */
	if (client->ended && client->exchange == NULL && !client->stalled && !client->put_off) {
		if (!client->sink.last && buf_length(&client->in) > 0)
			failure_log_left(&client->peer, buf_length(&client->in));
		client->sink.last = true;
	}
	if (client->ended && client->sink.reading_body && !client->body_paused &&
	    !client->put_off) {
		client_close(client);
		return;
	}
	client_settle(client);
}

/* As far as it goes; the answers made on the way have gone out together in the end. */
static void client_advance(struct client *client)
{
	struct clients *all = client->all;
	int64_t since_us = client->waits_since_us != 0 ? client->waits_since_us : all->turn->now_us;

	client->put_off = false;
	advance(client);
	client->waits_since_us = client->put_off ? since_us : 0;
	measure(all->exchanges, since_us);
}

static void sink_ended(struct answer_sink *sink, bool keep_alive)
{
	struct client *client = client_of_sink(sink);

	client->exchange = NULL;
	if (client->conn == NULL)
		return;
	if (!keep_alive || client->sink.reading_body)
		client->sink.last = true;
	client->sink.reading_body = false;
	if (client->advancing)
		return;
	client_settle(client);
	if (client->conn != NULL && !client->lingering)
		turn_soon(client->all->turn, &client->resume);
}

static void client_go_on(void *owner)
{
	struct client *client = client_of(owner);

	if (client->conn == NULL) {
		client_free_later(client);
		return;
	}
	client->body_paused = client->held;
	if (!client->lingering)
		client_advance(client);
}

static void sink_hold(struct answer_sink *sink)
{
	struct client *client = client_of_sink(sink);

	client->held = client->body_paused = true;
}

static void sink_let_go(struct answer_sink *sink, const struct exchange *x)
{
	struct client *client = client_of_sink(sink);

	if (client->conn == NULL || client->exchange != x)
		return;
	client->held = false;
	sink_resume(sink);
}

static void sink_resume(struct answer_sink *sink)
{
	struct client *client = client_of_sink(sink);

	turn_soon(client->all->turn, &client->resume);
}

/* ---- events --------------------------------------------------------------------------------- */

static void linger(struct client *client)
{
	size_t n;

	switch (conn_recv(client->conn, client->all->turn->in.block, SCRATCH_SIZE, &n)) {
	case IO_OK:
		client->lingered += (uint32_t)n;
		if (client->lingered > CLIENT_LINGER_BYTES)
			client_close(client);
		return;
	case IO_AGAIN:
		return;
	case IO_END:
	case IO_ERROR:
		client_close(client);
	}
}

static void client_readable(void *owner)
{
	struct client *client = client_of(owner);
	char *to;
	size_t n = 0;

	if (client->lingering) {
		linger(client);
		return;
	}
	scratch_lend(&client->all->turn->in, &client->in);
	to = buf_reserve(&client->in, 4096);
	if (to == NULL) {
		client_close(client);
		return;
	}
	switch (conn_recv(client->conn, to, client->in.size - client->in.tail, &n)) {
	case IO_OK:
		COUNT_TRAFFIC(client, client_bytes_in, n);
		buf_added(&client->in, n);
		break;
	case IO_AGAIN:
		break;
	case IO_END:
		client->ended = true;
		break;
	case IO_ERROR:
		client_close(client);
		return;
	}
	client_advance(client);
}

static void client_writable(void *owner)
{
	struct client *client = client_of(owner);
	struct exchange *x = client->exchange;

	client_settle(client);
	if (client->conn == NULL || buf_length(&client->out) > 0 || client->exchange != x)
		return;
	if (x != NULL)
		exchange_drained(x);
}

/* The request did not come in time: the client is told so, or that it was refused in any case. */
static void head_expired(struct client *client)
{
	struct exchange *x = exchange_new(client->all->exchanges, &client->sink, client->frontend);
	enum failure failure = FAILURE_HEAD_TIMEOUT;

	if (x == NULL) {
		client_close(client);
		return;
	}
	x->peer = client->peer;
	client->exchange = x;
	COUNT_TRAFFIC(client, exchanges, 1);
	if (client->refusal != FAILURE_NONE) {
		failure = client->refusal;
		/* the deadline that has passed was its only one */
		conn_deadline(client->conn, CLIENT_REFUSAL_MS);
	}
	refuse(client, x, failure);
}

static void client_expired(void *owner)
{
	struct client *client = client_of(owner);
	struct exchange *x = client->exchange;

	if (client->lingering) {
		client_close(client);
	} else if (buf_length(&client->out) > 0) {
		if (x != NULL)
			x->failure = FAILURE_CLIENT_TIMEOUT;
		client_abort(client); /* what the kernel holds for it goes, too */
	} else if (client->sink.reading_body && x != NULL) {
		fail_body(client, FAILURE_REQUEST_BODY_TIMEOUT);
	} else if (x == NULL && client->in_head) {
		head_expired(client);
	} else if (x == NULL) {
		client_close(client);
	}
}

/* ---- behind a load balancer ----------------------------------------------------------------- */

static void header_writable(void *owner)
{
	(void)owner; /* not watched for */
}

static void header_expired(void *owner)
{
	client_close(client_of(owner));
}

/* The connection is as one of the client itself from here on. */
static void header_done(struct client *client, const struct proxy_header *header, size_t length)
{
	const struct clients *all = client->all;

	if (header->source.any.sa_family != AF_UNSPEC)
		client->peer = address_unmapped(&header->source);
	/* what the load balancer asks for itself it may, as who could pretend to be anybody */
	if (!header->local && !access_client(all->access, &client->peer))
		client_refuse(client, FAILURE_DENIED_CLIENT);
	else if (client->refusal == FAILURE_NONE)
		client_enter(client, budget_assign(all->budgets, BUDGET_CLIENTS,
						   budget_holder(&client->peer), &client->place));
	if (client->conn == NULL)
		return;
	buf_consume(&client->in, length);
	conn_own(client->conn, &client_events, client);
	client_advance(client);
	if (client->conn != NULL && client->refusal == FAILURE_NONE && client->requests == 0 &&
	    buf_length(&client->in) == 0)
		conn_deadline(client->conn, all->conf->head_timeout_ms);
}

static void header_readable(void *owner)
{
	struct client *client = client_of(owner);
	struct scratch *scratch = &client->all->turn->in;
	struct proxy_header header;
	enum proxy_header_result result = PROXY_HEADER_BAD;
	enum io io = IO_ERROR;
	size_t n = 0, length;
	char *to;

	scratch_lend(scratch, &client->in);
	to = buf_reserve(&client->in, PROXY_HEADER_MAX);
	if (to != NULL)
		io = conn_recv(client->conn, to, client->in.size - client->in.tail, &n);
	if (io == IO_OK) {
		COUNT_TRAFFIC(client, client_bytes_in, n);
		buf_added(&client->in, n);
	}
	if (io == IO_OK || io == IO_AGAIN)
		result = proxy_header_parse(buf_waiting(&client->in), &header, &length);
	if (result == PROXY_HEADER_DONE) {
		header_done(client, &header, length);
		return;
	}
	if (result == PROXY_HEADER_MORE && scratch_settle(scratch, &client->in))
		return;
	/* one that leaves without a word only looked whether we are here */
	if (result == PROXY_HEADER_BAD && buf_length(&client->in) > 0) {
		STATS_ADD(proxy_header_bad, 1);
		failure_log_header(&client->peer, client->all->turn->now_ms);
	}
	client_close(client);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void client_drain(struct client *client)
{
	if (client->exchange != NULL)
		client->sink.last = true;
	else if (buf_length(&client->out) == 0 && buf_length(&client->in) == 0)
		client_close(client);
	/* a head that has begun is still served, and told that it is the last */
}

void clients_drain(struct clients *clients)
{
	struct client *client, *next;

	for (client = clients->first; client != NULL; client = next) {
		next = client->next;
		client_drain(client);
	}
}

void clients_close(struct clients *clients)
{
	struct client *client, *next;

	for (client = clients->first; client != NULL; client = next) {
		next = client->next;
		client_close(client);
	}
}
