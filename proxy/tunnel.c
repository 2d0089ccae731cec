/* CONNECT tunnels. */
#include "proxy/tunnel.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/client.h"
#include "proxy/connector.h"

enum { TUNNEL_MAGIC = 0x54756e6e, TUNNEL_SIDES = 2 };

/* One direction's source and what waits to be sent to it. */
struct side {
	struct tunnel *tunnel;
	struct side *other;
	struct conn *conn;
	struct buf out; /* to be sent on conn */
	bool ended;     /* its peer sent FIN */
	bool told;      /* we sent FIN */
};

struct tunnel {
	uint32_t magic;
	bool closed;
	struct worker *worker;
	struct exchange *x;
	struct connector *connector;
	struct side client, target;
	struct tunnel *next, **link;
};

static struct tunnel *tunnels;

static void side_readable(void *owner);
static void side_writable(void *owner);
static void side_expired(void *owner);

static const struct conn_events side_events = {
	.readable = side_readable,
	.writable = side_writable,
	.expired = side_expired,
};

static void side_free(struct side *side)
{
	conn_close(side->conn);
	side->conn = NULL;
	buf_free(&side->out);
}

/* Both connections and everything else go together. */
static void tunnel_close(struct tunnel *tunnel)
{
	struct exchange *x = tunnel->x;

	if (tunnel->closed)
		return;
	tunnel->closed = true;
	side_free(&tunnel->client);
	side_free(&tunnel->target);
	*tunnel->link = tunnel->next;
	if (tunnel->next != NULL)
		tunnel->next->link = tunnel->link;
	STATS_ADD(tunnels_open, -1);
	turn_free(tunnel);
	x->tunnel = NULL;
	exchange_end(x);
}

static void settle(struct side *side)
{
	size_t waiting = buf_length(&side->out);

	conn_watch(side->conn, !side->ended && buf_length(&side->other->out) < HIGH_WATER,
		   waiting > 0);
	conn_deadline(side->conn, side->tunnel->worker->conf->tunnel_timeout_ms);
}

/* Send what waits for this side, then the other's FIN.  False when the tunnel was closed. */
static bool flush(struct side *side)
{
	while (buf_length(&side->out) > 0) {
		struct slice waiting = buf_waiting(&side->out);
		struct iovec part = iovec_of(waiting);
		size_t n;
		enum io io = conn_send(side->conn, &part, 1, &n);

		if (io == IO_AGAIN)
			return true;
		if (io != IO_OK) {
			tunnel_close(side->tunnel);
			return false;
		}
		buf_consume(&side->out, n);
	}
	if (side->other->ended && !side->told) {
		side->told = true;
		conn_end(side->conn);
	}
	if (side->told && side->other->told) {
		tunnel_close(side->tunnel);
		return false;
	}
	return true;
}

static void settle_both(struct tunnel *tunnel)
{
	if (flush(&tunnel->client) && flush(&tunnel->target)) {
		settle(&tunnel->client);
		settle(&tunnel->target);
	}
}

static struct side *side_of(void *owner)
{
	struct side *side = owner;

	assert(side->tunnel->magic == TUNNEL_MAGIC && !side->tunnel->closed);
	return side;
}

/* What this side said goes to the other: at once as far as it goes, the rest waits. */
static bool pass(struct side *from, struct slice bytes)
{
	struct side *to = from->other;
	struct exchange *x = from->tunnel->x;
	struct iovec part = iovec_of(bytes);
	size_t sent = 0;

	if (from == &from->tunnel->client)
		x->bytes_in += bytes.n;
	else
		x->bytes_out += bytes.n;
	if (buf_length(&to->out) == 0 && conn_send(to->conn, &part, 1, &sent) == IO_ERROR)
		return false;
	return buf_append(&to->out, slice_of(bytes.p + sent, bytes.n - sent));
}

static void side_readable(void *owner)
{
	struct side *side = side_of(owner);
	struct tunnel *tunnel = side->tunnel;
	struct scratch *in = &tunnel->worker->in;
	size_t n;

	switch (conn_recv(side->conn, in->block, in->size, &n)) {
	case IO_OK:
		if (!pass(side, slice_of(in->block, n))) {
			tunnel_close(tunnel);
			return;
		}
		break;
	case IO_AGAIN:
		break;
	case IO_END:
		side->ended = true;
		break;
	case IO_ERROR:
		tunnel_close(tunnel);
		return;
	}
	settle_both(tunnel);
}

static void side_writable(void *owner)
{
	settle_both(side_of(owner)->tunnel);
}

static void side_expired(void *owner)
{
	tunnel_close(side_of(owner)->tunnel);
}

/* The target stands: 200, and the client's connection becomes a side of the tunnel. */
static void tunnel_open(struct tunnel *tunnel, struct conn *conn)
{
	struct exchange *x = tunnel->x;
	struct client *client = x->client;

	tunnel->client.tunnel = tunnel->target.tunnel = tunnel;
	tunnel->client.other = &tunnel->target;
	tunnel->target.other = &tunnel->client;
	tunnel->target.conn = conn;
	conn_own(conn, &side_events, &tunnel->target);
	buf_append(&tunnel->client.out, buf_waiting(client_out(client)));
	buf_append(&tunnel->client.out, SLICE("HTTP/1.1 200 OK\r\n\r\n"));
	tunnel->client.ended = client->ended;
	tunnel->client.conn = client_detach(client, &tunnel->target.out);
	conn_own(tunnel->client.conn, &side_events, &tunnel->client);
	x->client = NULL;
	x->status = 200;
	x->outcome = OUTCOME_TUNNEL;
	tunnel->next = tunnels;
	tunnel->link = &tunnels;
	if (tunnels != NULL)
		tunnels->link = &tunnel->next;
	tunnels = tunnel;
	STATS_ADD(tunnels, 1);
	STATS_ADD(tunnels_open, 1);
	settle_both(tunnel);
}

static void connected(void *context, enum failure failure, struct conn *conn,
		      const union address *address)
{
	struct tunnel *tunnel = context;
	struct exchange *x = tunnel->x;

	tunnel->connector = NULL;
	if (failure != FAILURE_NONE) {
		x->tunnel = NULL;
		turn_free(tunnel);
		exchange_fail(x, failure);
		return;
	}
	x->origin = *address;
	tunnel_open(tunnel, conn);
}

void tunnel_start(struct exchange *x)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));

	if (tunnel == NULL) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	tunnel->magic = TUNNEL_MAGIC;
	tunnel->worker = x->worker;
	tunnel->x = x;
	tunnel->connector =
		connector_start(x->worker, x->req.uri.host, x->req.uri.port, connected, tunnel);
	if (tunnel->connector == NULL) {
		free(tunnel);
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	x->tunnel = tunnel;
	x->client->last = true; /* what follows is the tunnel's */
}

void tunnel_cancel(struct exchange *x)
{
	struct tunnel *tunnel = x->tunnel;

	assert(tunnel->magic == TUNNEL_MAGIC && tunnel->connector != NULL);
	connector_cancel(tunnel->connector);
	x->tunnel = NULL;
	turn_free(tunnel);
}

void tunnels_close(struct worker *worker)
{
	(void)worker;
	while (tunnels != NULL)
		tunnel_close(tunnels);
}
