/* Tunnels: CONNECT, and what is left of HTTP after a 101. */
#include "proxy/exchange/tunnel.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/exchange/inside.h"
#include "proxy/stats/notices.h"

enum {
	TUNNEL_MAGIC = 0x54756e6e,
	/*
	 * A direction that has moved this much gets a pipe, and the kernel moves the rest: a third
	 * of the CPU of copying for a large transfer, while a short one is spared the pipe.
	 */
	SPLICE_AFTER = 512 * 1024,
	PIPE_SIZE = 512 * 1024,
};

/* One end of the tunnel, and what waits to be sent to it. */
struct side {
	struct tunnel *tunnel;
	struct side *other;
	struct conn *conn;
	struct buf out;    /* to be sent on conn */
	bool fin_received; /* its peer sent FIN */
	bool fin_sent;     /* we sent FIN */
	bool spliced;      /* what comes for it goes through the pipe */
	bool no_pipe;      /* no pipe was available: copy */
	bool full;         /* the pipe takes no more, however few bytes it holds */
	bool silent;       /* its deadline has passed */
	int pipe[2];       /* valid when spliced */
	struct holding pipe_place;
	size_t piped;    /* bytes in the pipe, to be sent after `out` */
	uint64_t copied; /* bytes that came for it by copying */
};

struct tunnel {
	uint32_t magic;
	bool closed;
	bool is_offered; /* 200 was said before there was a target */
	struct tunnels *all;
	struct exchange *x;
	struct dialer *dialer;
	struct side client, target;
	struct holding place;        /* among the tunnels, while it is being made, too */
	struct holding client_place; /* that of its client's connection, once that is its own */
	struct tunnel *next, **link;
};

struct tunnels {
	const struct conf *conf;
	struct turn *turn;
	const struct budgets *budgets;
	struct dialers *dialers;
	struct tunnel *first;
};

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
	if (side->spliced) {
		close(side->pipe[0]);
		close(side->pipe[1]);
		budget_give(&side->pipe_place);
	}
	side->spliced = false;
}

/* The memory, at the end of the turn, and its places. */
static void tunnel_free(struct tunnel *tunnel)
{
	budget_give(&tunnel->place);
	budget_give(&tunnel->client_place);
	turn_free(tunnel);
}

/*
 * Close both connections together: with an RST to both, unless both have sent FIN.  An RST from one
 * side, a deadline or the end of the proxy must not look like a complete transfer to the other.
 */
static void tunnel_close(struct tunnel *tunnel)
{
	struct exchange *x = tunnel->x;

	assert(!tunnel->closed);
	tunnel->closed = true;
	side_free(&tunnel->client);
	side_free(&tunnel->target);
	*tunnel->link = tunnel->next;
	if (tunnel->next != NULL)
		tunnel->next->link = tunnel->link;
	STATS_ADD(tunnels_open, -1);
	tunnel_free(tunnel);
	x->tunnel = NULL;
	exchange_end(x);
}

/* Room for what the other side says? */
static bool takes_more(const struct side *side)
{
	return side->spliced ? !side->full : buf_length(&side->out) < HIGH_WATER;
}

static void settle(struct side *side)
{
	conn_watch(side->conn, !side->fin_received && takes_more(side->other),
		   buf_length(&side->out) > 0 || side->piped > 0);
	conn_deadline(side->conn, side->tunnel->all->conf->tunnel_timeout_ms);
	side->silent = false;
}

/* Send what waits in memory, then what waits in the pipe. */
static enum io send_waiting(struct side *side)
{
	enum io io = IO_OK;
	size_t n;

	while (io == IO_OK && buf_length(&side->out) > 0) {
		struct iovec part = iovec_of(buf_waiting(&side->out));

		io = conn_send(side->conn, &part, 1, &n);
		if (io == IO_OK)
			buf_consume(&side->out, n);
	}
	while (io == IO_OK && side->piped > 0) {
		io = conn_splice_send(side->conn, side->pipe[0], side->piped, &n);
		if (io == IO_OK) {
			side->piped -= n;
			side->full = false;
		}
	}
	return io;
}

/* Send what waits for this side, then the other's FIN.  False when the tunnel was closed. */
static bool flush(struct side *side)
{
	switch (send_waiting(side)) {
	case IO_OK:
		break;
	case IO_AGAIN:
		return true;
	case IO_END:
	case IO_ERROR:
		tunnel_close(side->tunnel);
		return false;
	}
	if (side->other->fin_received && !side->fin_sent) {
		side->fin_sent = true;
		/* the second FIN is that of closing, where it needs no TLS */
		if (!side->other->fin_sent || !conn_can_splice(side->conn))
			conn_end(side->conn);
	}
	if (side->fin_sent && side->other->fin_sent) {
		conn_unfinished(side->conn, false);
		conn_unfinished(side->other->conn, false);
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

static void count_passed(struct side *from, size_t n)
{
	struct exchange *x = from->tunnel->x;

	if (from == &from->tunnel->client) {
		x->bytes_in += n;
		STATS_ADD(tunnel_bytes_in, n);
	} else {
		x->bytes_out += n;
		STATS_ADD(tunnel_bytes_out, n);
	}
}

/* A large transfer is under way: let the kernel move it, if there are descriptors for a pipe. */
static void begin_splicing(struct side *to)
{
	const struct budgets *budgets = to->tunnel->all->budgets;

	if (to->spliced || to->no_pipe || to->copied < SPLICE_AFTER)
		return;
	if (!conn_can_splice(to->conn) || !conn_can_splice(to->other->conn)) {
		to->no_pipe = true;
		return;
	}
	if (budget_take(budgets, BUDGET_PIPES, 0, exchange_holder(to->tunnel->x),
			&to->pipe_place) != BUDGET_OK ||
	    pipe2(to->pipe, O_NONBLOCK | O_CLOEXEC) != 0) {
		budget_give(&to->pipe_place);
		STATS_ADD(tunnels_unpiped, 1);
		to->no_pipe = true;
		return;
	}
	fcntl(to->pipe[1], F_SETPIPE_SZ, PIPE_SIZE); /* a smaller one does as well */
	to->spliced = true;
}

/* Send what this side sent to the other: as much as possible at once, the rest waits. */
static enum io copy_across(struct side *from)
{
	struct side *to = from->other;
	struct scratch *in = &from->tunnel->all->turn->in;
	size_t n = 0, sent = 0;
	enum io io = conn_recv(from->conn, in->block, in->size, &n);
	struct iovec part = {in->block, n};

	if (io != IO_OK)
		return io;
	count_passed(from, n);
	to->copied += n;
	if (buf_length(&to->out) == 0 && conn_send(to->conn, &part, 1, &sent) == IO_ERROR)
		return IO_ERROR;
	if (!buf_append(&to->out, slice_of(in->block + sent, n - sent)))
		return IO_ERROR;
	begin_splicing(to);
	return IO_OK;
}

static enum io splice_across(struct side *from)
{
	struct side *to = from->other;
	size_t n = 0;
	enum io io = conn_splice_recv(from->conn, to->pipe[1], PIPE_SIZE, &n);

	if (io == IO_OK) {
		count_passed(from, n);
		to->piped += n;
	}
	/* Nothing to read, or no room: if something waits to be sent, wait for that first. */
	to->full = to->piped >= PIPE_SIZE || (io == IO_AGAIN && to->piped > 0);
	return io;
}

static void side_readable(void *owner)
{
	struct side *side = side_of(owner);
	struct tunnel *tunnel = side->tunnel;

	switch (side->other->spliced ? splice_across(side) : copy_across(side)) {
	case IO_OK:
	case IO_AGAIN:
		break;
	case IO_END:
		side->fin_received = true;
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
	struct side *side = side_of(owner);

	/* Bytes from either side keep a tunnel open. */
	side->silent = true;
	if (side->other->silent)
		tunnel_close(side->tunnel);
}

/*
 * The target stands: 200, and the client's connection becomes a side of the tunnel.  `early` is
 * what the target has said before.
 */
static void tunnel_open(struct tunnel *tunnel, struct conn *conn, unsigned status,
			struct slice early)
{
	struct exchange *x = tunnel->x;
	struct sink_detached detached;
	bool whole; /* nothing was lost for want of memory */

	x->sink->kind->detach(x->sink, &detached);
	x->sink = NULL;
	tunnel->client = (struct side){
		.tunnel = tunnel,
		.other = &tunnel->target,
		.conn = detached.conn,
		.out = detached.unsent,
		.fin_received = detached.fin_received,
	};
	tunnel->target = (struct side){
		.tunnel = tunnel,
		.other = &tunnel->client,
		.conn = conn,
		.out = detached.early,
	};
	tunnel->client_place = detached.place;
	/* They were counted when they were received, before there was a tunnel. */
	x->bytes_in += buf_length(&tunnel->target.out);
	x->bytes_out += early.n;
	whole = buf_append(&tunnel->client.out, early) && detached.whole;
	conn_own(tunnel->client.conn, &side_events, &tunnel->client);
	conn_own(tunnel->target.conn, &side_events, &tunnel->target);
	conn_unfinished(tunnel->client.conn, true);
	conn_unfinished(tunnel->target.conn, true);
	x->status = (uint16_t)status;
	x->outcome = OUTCOME_TUNNEL;
	tunnel->next = tunnel->all->first;
	tunnel->link = &tunnel->all->first;
	if (tunnel->next != NULL)
		tunnel->next->link = &tunnel->next;
	tunnel->all->first = tunnel;
	STATS_ADD(tunnels, 1);
	STATS_ADD(tunnels_open, 1);
	if (whole)
		settle_both(tunnel);
	else
		tunnel_close(tunnel);
}

/*
 * Nothing in it is seen by the cache: the first time that a host is asked for so, the operator is
 * told what else could be done.
 */
static void note_unseen(const struct exchange *x)
{
	struct http_uri uri = x->req.uri;
	char host[URI_HOST_MAX + sizeof(":65535")], origin[URI_HOST_MAX + sizeof(":65535")];
	int n = snprintf(host, sizeof(host), "%.*s:%u", (int)uri.host.n, uri.host.p, uri.port);

	offenders_add(&stats->tunnelled, slice_of(host, (size_t)n), 1);
	if (!notices_first_tunnel(uri.host, uri.port))
		return;
	uri.scheme = uri.port == 80 ? SCHEME_HTTP : SCHEME_HTTPS;
	log_info("tunnelled, not seen by the cache: CONNECT %s; for an origin that answers 204 use "
		 "gateway=ADDRESS:PORT=%s://%.*s",
		 host, uri.scheme == SCHEME_HTTP ? "http" : "https",
		 (int)http_uri_authority(&uri, origin), origin);
}

/* No target: told by the answer, or, after 200, by an RST, as an end could be the target's. */
static void give_up(struct tunnel *tunnel, enum failure failure)
{
	struct exchange *x = tunnel->x;

	if (tunnel->is_offered) {
		x->failure = failure;
		x->sink->kind->abort(x->sink);
		return;
	}
	x->tunnel = NULL;
	tunnel_free(tunnel);
	exchange_fail(x, failure);
}

static bool say_open(struct exchange *x)
{
	const struct slice head = SLICE("HTTP/1.1 200 OK\r\n\r\n");

	x->bytes_out += head.n;
	return buf_append(exchange_out(x), head);
}

static void connected(void *context, enum failure failure, struct conn *conn,
		      const struct destination *to, struct slice early)
{
	struct tunnel *tunnel = context;
	struct exchange *x = tunnel->x;

	tunnel->dialer = NULL;
	if (failure != FAILURE_NONE) {
		give_up(tunnel, failure);
		return;
	}
	x->origin = to->address;
	note_unseen(x);
	if (tunnel->is_offered || say_open(x)) {
		tunnel_open(tunnel, conn, 200, early);
		return;
	}
	conn_close(conn);
	give_up(tunnel, FAILURE_INTERNAL);
}

/* NULL with *ret_failure when that cannot be. */
static struct dialer *dial(struct tunnel *tunnel, enum failure *ret_failure)
{
	const struct tunnels *all = tunnel->all;
	const struct http_request *req = &tunnel->x->req;
	struct dialer *dialer = NULL;
	struct buf connect = {0};
	struct route route;

	*ret_failure = route_find(all->dialers->routes, req, false, &route);
	if (*ret_failure != FAILURE_NONE)
		return NULL;
	if (!route.tunnel || compose_connect(&connect, all->conf, req, route.parent->authorization))
		dialer = dialer_start(all->dialers,
				      &(struct dial){&route, exchange_holder(tunnel->x),
						     buf_waiting(&connect), &tunnel->x->times},
				      connected, tunnel);
	buf_free(&connect);
	*ret_failure = FAILURE_INTERNAL;
	return dialer;
}

struct tunnels *tunnels_new(struct turn *turn, struct dialers *dialers)
{
	struct tunnels *tunnels = malloc(sizeof(*tunnels));

	if (tunnels == NULL)
		return NULL;
	*tunnels = (struct tunnels){
		.conf = dialers->connectors.conf,
		.turn = turn,
		.budgets = dialers->connectors.budgets,
		.dialers = dialers,
	};
	return tunnels;
}

void tunnels_free(struct tunnels *tunnels)
{
	free(tunnels);
}

bool tunnel_may_open(const struct tunnels *tunnels)
{
	return budget_used(tunnels->budgets, BUDGET_TUNNELS, 0) < tunnels->conf->tunnels_max;
}

static enum failure take_place(struct tunnel *tunnel)
{
	switch (budget_take(tunnel->all->budgets, BUDGET_TUNNELS, 0, exchange_holder(tunnel->x),
			    &tunnel->place)) {
	case BUDGET_OK:
		return FAILURE_NONE;
	case BUDGET_ONE_FULL:
		return FAILURE_TOO_MANY_FROM_CLIENT;
	case BUDGET_FULL:
		break;
	}
	return FAILURE_TOO_MANY_TUNNELS;
}

/* NULL with the reason when there is no place for it, or no memory. */
static struct tunnel *tunnel_new(struct tunnels *tunnels, struct exchange *x,
				 enum failure *ret_failure)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));

	*ret_failure = FAILURE_INTERNAL;
	if (tunnel == NULL)
		return NULL;
	tunnel->magic = TUNNEL_MAGIC;
	tunnel->all = tunnels;
	tunnel->x = x;
	*ret_failure = take_place(tunnel);
	if (*ret_failure == FAILURE_NONE)
		return tunnel;
	free(tunnel);
	return NULL;
}

void tunnel_adopt(struct tunnels *tunnels, struct exchange *x, const struct http_response *res,
		  struct conn *conn, struct slice early)
{
	enum failure failure;
	struct tunnel *tunnel = tunnel_new(tunnels, x, &failure);
	struct buf *out = exchange_out(x);
	size_t before = buf_length(out);

	if (tunnel != NULL && !compose_switch(out, x->use->conf, res)) {
		tunnel_free(tunnel);
		tunnel = NULL;
		failure = FAILURE_INTERNAL;
	}
	if (tunnel == NULL) {
		conn_close(conn);
		exchange_fail(x, failure);
		return;
	}
	x->bytes_out += buf_length(out) - before;
	x->tunnel = tunnel;
	tunnel_open(tunnel, conn, res->status, early);
}

static void find_target(struct tunnel *tunnel)
{
	struct exchange *x = tunnel->x;
	enum failure failure;

	x->tunnel = tunnel;
	tunnel->dialer = dial(tunnel, &failure);
	if (tunnel->dialer == NULL)
		give_up(tunnel, failure);
	else
		x->sink->last = true; /* what follows is not HTTP */
}

void tunnel_start(struct tunnels *tunnels, struct exchange *x)
{
	enum failure failure;
	struct tunnel *tunnel = tunnel_new(tunnels, x, &failure);

	if (tunnel == NULL)
		exchange_fail(x, failure);
	else
		find_target(tunnel);
}

void tunnel_offer(struct tunnels *tunnels, struct exchange *x, const struct frontend *frontend)
{
	enum failure failure;
	struct tunnel *tunnel = tunnel_new(tunnels, x, &failure);
	struct inside *inside = tunnel == NULL ? NULL : inside_new(&x->req, x->user, frontend);

	if (tunnel == NULL) {
		exchange_fail(x, failure);
		return;
	}
	if (inside == NULL || !say_open(x)) {
		free(inside);
		give_up(tunnel, FAILURE_INTERNAL);
		return;
	}
	tunnel->is_offered = true;
	x->tunnel = tunnel;
	x->status = 200;
	x->sink->kind->push(x->sink);
	x->sink->kind->look(x->sink, inside);
}

void tunnel_pass(struct exchange *x)
{
	find_target(x->tunnel);
}

void tunnel_read(struct exchange *x)
{
	struct tunnel *tunnel = x->tunnel;

	x->tunnel = NULL;
	tunnel_free(tunnel);
	STATS_ADD(tunnels_read, 1);
	x->outcome = OUTCOME_TUNNEL;
	x->keep_alive = true;
	x->sink->last = false;
	exchange_end(x);
}

void tunnel_cancel(struct exchange *x)
{
	struct tunnel *tunnel = x->tunnel;

	assert(tunnel->magic == TUNNEL_MAGIC && (tunnel->dialer != NULL || tunnel->is_offered));
	if (tunnel->dialer != NULL)
		dialer_cancel(tunnel->dialer);
	x->tunnel = NULL;
	tunnel_free(tunnel);
}

void tunnels_close(struct tunnels *tunnels)
{
	struct tunnel *tunnel, *next;

	for (tunnel = tunnels->first; tunnel != NULL; tunnel = next) {
		next = tunnel->next;
		tunnel_close(tunnel);
	}
}
