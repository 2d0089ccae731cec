/* Sends answers, and decides what to wait for from a client. */
#include "proxy/client/client_sink.h"

/* Bytes kept ahead of the request under way: more than the largest head. */
enum { AHEAD_MAX = HIGH_WATER + 16 * 1024 };

/* What waits is followed by the connection's end alone. */
static bool ends_with_this(const struct client *client)
{
	return client->sink.last && client->exchange == NULL;
}

bool client_flush(struct client *client)
{
	const struct clients *all = client->all;
	struct turn *turn = all->turn;
	bool waited = buf_length(&client->out) > 0;

	while (buf_length(&client->out) > 0) {
		struct slice waiting = buf_waiting(&client->out);
		struct iovec part = iovec_of(waiting);
		size_t n;

		switch (ends_with_this(client) ? conn_send_last(client->conn, &part, 1, &n)
					       : conn_send(client->conn, &part, 1, &n)) {
		case IO_OK:
			COUNT_TRAFFIC(client, client_bytes_out, n);
			buf_consume(&client->out, n);
			pace_moved(&client->send_pace, n, all->conf, turn->now_ms);
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
	/* In whichever event it was: an origin that waits for this is not told otherwise. */
	if (waited && client->exchange != NULL)
		exchange_drained(client->exchange);
	return scratch_settle(&turn->out, &client->out);
}

/*
 * A client that said that it sends no more (RFC 9112 9.6), and of which all was read: closing at once
 * is a FIN.  Bytes that come later, against its word, are answered with an RST.
 */
static bool sends_no_more(const struct client *client)
{
	return client->fin_received ||
	       (client->said_last && client->all_read && buf_length(&client->in) == 0 &&
		conn_can_splice(client->conn));
}

/* After the last answer: FIN, then read on for a while so that the answer is not lost to an RST. */
static void client_finish(struct client *client)
{
	conn_unfinished(client->conn, false);
	if (sends_no_more(client)) {
		/*
		 * Bytes against its word make an RST of it, before which what waits for the FIN
		 * (conn_send_last()) would never be sent.
		 */
		if (!client->fin_received)
			conn_end(client->conn);
		client_close(client);
		return;
	}
	conn_end(client->conn);
	client->lingering = true;
	client->lingered = 0;
	scratch_free(&client->all->turn->in, &client->in);
	conn_watch(client->conn, true, false);
	conn_deadline(client->conn, CLIENT_LINGER_MS);
}

/* Bytes are waited for on either side of the connection: the first deadline of the two. */
static int64_t bytes_left_ms(const struct client *client, int64_t now_ms)
{
	const struct pace *pace = &client->send_pace;

	if (pace->until_us == 0 ||
	    (client->recv_pace.until_us != 0 && client->recv_pace.until_us < pace->until_us))
		pace = &client->recv_pace;
	return pace_left_ms(pace, now_ms);
}

static void wait_for_bytes(struct client *client, int64_t now_ms)
{
	conn_deadline(client->conn, bytes_left_ms(client, now_ms));
	client->look_held = client->looking;
}

/* A client that has to take the 200 first has no less time to say what it wants, and no more. */
static void look_on(struct client *client)
{
	if (!client->look_held)
		return;
	client->look_held = false;
	conn_deadline(client->conn, client->progress.line_checked
					    ? client->all->conf->head_timeout_ms
					    : CLIENT_LOOK_MS);
}

static void set_deadline(struct client *client, bool sending)
{
	const struct conf *conf = client->all->conf;
	int64_t now_ms = client->all->turn->now_ms;
	bool receiving = client->sink.reading_body && !client->body_paused && !client->put_off;

	pace_wait(&client->send_pace, sending, conf, now_ms);
	pace_wait(&client->recv_pace, receiving, conf, now_ms);
	if (client->refusal != FAILURE_NONE)
		; /* it has one of its own, whatever it does */
	else if (sending || receiving)
		wait_for_bytes(client, now_ms);
	else if (client->exchange != NULL && client->looking)
		look_on(client); /* likewise */
	else if (client->exchange != NULL || client->put_off)
		conn_deadline(client->conn, 0); /* it is not the client that is waited for */
	else if (buf_length(&client->in) == 0 && client->requests > 0)
		conn_deadline(client->conn, conf->keepalive_timeout_ms);
	else if (!client->in_head)
		conn_deadline(client->conn, conf->head_timeout_ms);
	client->in_head =
		client->exchange == NULL && buf_length(&client->in) > 0 && !client->put_off;
}

void client_settle(struct client *client)
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
	if (ends_with_this(client) && !sending) {
		client_finish(client);
		return;
	}
	if (!scratch_settle(&turn->in, &client->in)) {
		client_close(client);
		return;
	}
	/*
	 * Also behind the last request: an RST must not wait to be seen until the answer is there.
	 */
	reading = !client->fin_received && (!client->sink.last || client->exchange != NULL) &&
		  buf_length(&client->in) < AHEAD_MAX;
	if (client->sink.reading_body)
		reading = !client->fin_received && !client->body_paused;
	/* What was read already waits for the next turn. */
	reading = reading && !client->put_off;
	conn_watch(client->conn, reading, sending);
	set_deadline(client, sending);
}

void client_end_if_idle(struct client *client)
{
	if (!client->all->ending || client->conn == NULL || client->lingering ||
	    !client_is_idle(client))
		return;
	client->sink.last = true;
	client_settle(client);
}

void client_send_out(void *owner)
{
	struct client *client = client_of(owner);

	if (client->conn == NULL)
		client_free_later(client);
	else
		client_settle(client);
}

/* ---- what exchanges ask for ----------------------------------------------------------------- */

/* The sink is the client's first member. */
static struct client *client_of_sink(struct answer_sink *sink)
{
	return (struct client *)sink;
}

static struct buf *sink_out(struct answer_sink *sink)
{
	struct client *client = client_of_sink(sink);

	scratch_lend(&client->all->turn->out, &client->out);
	return &client->out;
}

static void sink_push(struct answer_sink *sink)
{
	struct client *client = client_of_sink(sink);

	turn_soon(client->all->turn, &client->push);
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
	pace_moved(&client->send_pace, sent, client->all->conf, client->all->turn->now_ms);
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

static void sink_unfinished(struct answer_sink *sink)
{
	conn_unfinished(client_of_sink(sink)->conn, true);
}

static void sink_abort(struct answer_sink *sink)
{
	client_abort(client_of_sink(sink));
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

static void sink_resume(struct answer_sink *sink)
{
	struct client *client = client_of_sink(sink);

	turn_soon(client->all->turn, &client->resume);
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

static void sink_look(struct answer_sink *sink, struct inside *inside)
{
	struct client *client = client_of_sink(sink);

	sink->inside = inside;
	client->looking = true;
	client->look_held = false;
	conn_deadline(client->conn, CLIENT_LOOK_MS);
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
		.fin_received = client->fin_received,
		.whole = whole,
	};
	COUNT_TRAFFIC(client, client_bytes_out,
		      buf_length(&unsent)); /* the tunnel sends it first */
	client->place = (struct holding){.all = NULL};
	client->exchange = NULL;
	client_release(client);
}

const struct answer_sink_kind client_sink = {
	.out = sink_out,
	.ended = sink_ended,
	.push = sink_push,
	.send = sink_send,
	.unfinished = sink_unfinished,
	.abort = sink_abort,
	.resume = sink_resume,
	.hold = sink_hold,
	.let_go = sink_let_go,
	.look = sink_look,
	.detach = sink_detach,
};
