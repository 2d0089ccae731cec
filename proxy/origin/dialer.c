/* From a route to a connection: connect, CONNECT, TLS. */
#include "proxy/origin/dialer.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/cause.h"
#include "proxy/base/monotonic.h"
#include "proxy/http1/parse.h"
#include "proxy/stats/stats.h"

enum { DIALER_MAGIC = 0x4469616c };

struct dialer {
	uint32_t magic;
	bool over; /* done was called, or it was cancelled */
	uint8_t interims;
	struct dialers *use;
	dialer_done done;
	void *context;
	struct connector *connector; /* the first step */
	struct conn *conn;           /* the others */
	struct route route;
	struct destination to;
	struct origin_times *times;
	int64_t secure_us; /* the handshake began */
	struct buf out;    /* CONNECT */
	struct buf in;     /* its answer, and what came after */
	struct parse_progress progress;
	char host[]; /* of the route */
};

static void tunnel_readable(void *owner);
static void tunnel_writable(void *owner);
static void tunnel_expired(void *owner);
static void tls_readable(void *owner);
static void tls_decided(void *owner);
static void tls_expired(void *owner);

static const struct conn_events tunnel_events = {
	.readable = tunnel_readable,
	.writable = tunnel_writable,
	.expired = tunnel_expired,
};

static const struct conn_events tls_events = {
	.readable = tls_readable,
	.writable = tls_decided,
	.expired = tls_expired,
};

static struct dialer *dialer_of(void *owner)
{
	struct dialer *dialer = owner;

	assert(dialer->magic == DIALER_MAGIC && !dialer->over);
	return dialer;
}

/* ---- ending --------------------------------------------------------------------------------- */

static void release(struct dialer *dialer)
{
	dialer->over = true;
	buf_free(&dialer->out);
	buf_free(&dialer->in);
	turn_free(dialer);
}

static void fail(struct dialer *dialer, enum failure failure)
{
	conn_close(dialer->conn);
	release(dialer);
	dialer->done(dialer->context, failure, NULL, NULL, slice_of("", 0));
	cause_clear();
}

static void succeed(struct dialer *dialer)
{
	struct buf early = dialer->in;

	dialer->in = (struct buf){0};
	release(dialer);
	dialer->done(dialer->context, FAILURE_NONE, dialer->conn, &dialer->to, buf_waiting(&early));
	buf_free(&early);
}

void dialer_cancel(struct dialer *dialer)
{
	dialer_of(dialer);
	if (dialer->connector != NULL)
		connector_cancel(dialer->connector);
	conn_close(dialer->conn);
	release(dialer);
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static void tls_readable(void *owner)
{
	(void)owner; /* not watched for */
}

static void tls_expired(void *owner)
{
	fail(dialer_of(owner), FAILURE_TLS_TIMEOUT);
}

static void note_handshake(const struct dialer *dialer, bool succeeded)
{
	int64_t now_us = monotonic_us();

	dialer->times->tls_us = origin_time_us(dialer->secure_us, now_us);
	if (succeeded)
		histogram_add_since(&stats->origin_tls, dialer->secure_us, now_us);
}

static void tls_decided(void *owner)
{
	struct dialer *dialer = dialer_of(owner);
	char address[ADDRESS_TEXT_SIZE];
	const char *why;
	enum failure failure = conn_secured(dialer->conn, &why);

	note_handshake(dialer, failure == FAILURE_NONE);
	if (failure == FAILURE_NONE) {
		succeed(dialer);
		return;
	}
	address_format_port(&dialer->to.address, address);
	cause_set("TLS with %s: %s", address, why);
	fail(dialer, failure);
}

static void secure(struct dialer *dialer)
{
	conn_own(dialer->conn, &tls_events, dialer);
	dialer->secure_us = monotonic_us();
	if (!conn_secure(dialer->conn, dialer->use->tls, dialer->route.host, dialer->route.port))
		fail(dialer, FAILURE_TLS_CERTIFICATE);
}

/* ---- the parent's tunnel -------------------------------------------------------------------- */

static void tunnel_expired(void *owner)
{
	fail(dialer_of(owner), FAILURE_PARENT_TIMEOUT);
}

static void tunnel_writable(void *owner)
{
	struct dialer *dialer = dialer_of(owner);

	while (buf_length(&dialer->out) > 0) {
		struct iovec part = iovec_of(buf_waiting(&dialer->out));
		size_t n;
		enum io io = conn_send(dialer->conn, &part, 1, &n);

		if (io == IO_AGAIN)
			return;
		if (io != IO_OK)
			break; /* an answer may have come before: reading tells */
		STATS_ADD(origin_bytes_out, n);
		buf_consume(&dialer->out, n);
	}
	conn_watch(dialer->conn, true, false);
}

/* A final answer: 2xx opens the tunnel, whatever fields it has (RFC 9110 9.3.6). */
static void tunnel_answered(struct dialer *dialer, unsigned status)
{
	if (status > 299)
		cause_set("the parent answered CONNECT with %u", status);
	if (status == 407)
		fail(dialer, FAILURE_PARENT_AUTHENTICATION);
	else if (status < 200 || status > 299)
		fail(dialer, FAILURE_PARENT_REFUSED);
	else if (!dialer->route.tls)
		succeed(dialer);
	else if (buf_length(&dialer->in) > 0)
		fail(dialer, FAILURE_TLS_PROTOCOL); /* no server of TLS speaks first */
	else {
		conn_deadline(dialer->conn, dialer->use->connectors.conf->connect_timeout_ms);
		secure(dialer);
	}
}

/* One head from what was read.  False when there is no more to be done. */
static bool read_answer(struct dialer *dialer)
{
	struct http_response res = {
		.fields = {.at = dialer->use->lines, .capacity = PARSE_FIELDS_MAX}};
	const struct response_rules rules = {.conf = dialer->use->connectors.conf,
					     .method = METHOD_CONNECT};
	struct parsed parsed;

	switch (parse_response(buf_waiting(&dialer->in), &rules, &dialer->progress, &res,
			       &parsed)) {
	case PARSE_MORE:
		return false;
	case PARSE_FAILED:
		fail(dialer, parsed.failure);
		return false;
	case PARSE_DONE:
		break;
	}
	buf_consume(&dialer->in, parsed.consumed);
	if (res.status >= 200 || res.status == 101) {
		tunnel_answered(dialer, res.status);
		return false;
	}
	if (++dialer->interims <= dialer->use->connectors.conf->interim_responses)
		return buf_length(&dialer->in) > 0;
	fail(dialer, FAILURE_TOO_MANY_INTERIM);
	return false;
}

static void tunnel_readable(void *owner)
{
	struct dialer *dialer = dialer_of(owner);
	char *to = buf_reserve(&dialer->in, 4096);
	size_t n;

	if (to == NULL) {
		fail(dialer, FAILURE_INTERNAL);
		return;
	}
	switch (conn_recv(dialer->conn, to, dialer->in.size - dialer->in.tail, &n)) {
	case IO_OK:
		STATS_ADD(origin_bytes_in, n);
		buf_added(&dialer->in, n);
		while (read_answer(dialer))
			;
		return;
	case IO_AGAIN:
		return;
	case IO_END:
	case IO_ERROR:
		fail(dialer, FAILURE_PARENT_REFUSED);
	}
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* What went wrong with the next hop, when that is the parent. */
static enum failure parent_failure(enum failure failure)
{
	switch (failure) {
	case FAILURE_DNS_TIMEOUT:
	case FAILURE_CONNECT_TIMEOUT:
		return FAILURE_PARENT_TIMEOUT;
	case FAILURE_DNS_ERROR:
	case FAILURE_ORIGIN_REFUSED:
	case FAILURE_ORIGIN_UNREACHABLE:
		return FAILURE_PARENT_DOWN;
	default:
		return failure;
	}
}

static void connected(void *context, enum failure failure, struct conn *conn,
		      const struct destination *to)
{
	struct dialer *dialer = dialer_of(context);

	dialer->connector = NULL;
	if (failure != FAILURE_NONE) {
		fail(dialer, dialer->route.parent != NULL ? parent_failure(failure) : failure);
		return;
	}
	dialer->conn = conn;
	dialer->to = *to;
	if (dialer->route.tunnel) {
		conn_own(conn, &tunnel_events, dialer);
		conn_deadline(conn, dialer->use->connectors.conf->first_byte_timeout_ms);
		conn_watch(conn, true, true);
	} else if (dialer->route.tls) {
		secure(dialer);
	} else {
		succeed(dialer);
	}
}

struct dialer *dialer_start(struct dialers *use, const struct dial *dial, dialer_done done,
			    void *context)
{
	const struct route *route = dial->route;
	const struct parent *parent = route->parent;
	const struct connector_target target = {
		.host = parent != NULL ? parent->host : route->host,
		.port = parent != NULL ? parent->port : route->port,
		.chosen = parent != NULL || route->chosen,
		.socket = route->socket,
	};
	struct dialer *dialer = calloc(1, sizeof(*dialer) + route->host.n);

	if (dialer == NULL)
		return NULL;
	dialer->magic = DIALER_MAGIC;
	dialer->use = use;
	dialer->done = done;
	dialer->context = context;
	dialer->times = dial->times;
	dialer->route = *route;
	memcpy(dialer->host, route->host.p, route->host.n);
	dialer->route.host.p = dialer->host;
	if (buf_append(&dialer->out, dial->connect))
		dialer->connector = connector_start(&use->connectors, &target, dial->holder,
						    dial->times, connected, dialer);
	if (dialer->connector == NULL) {
		buf_free(&dialer->out);
		free(dialer);
		return NULL;
	}
	return dialer;
}
