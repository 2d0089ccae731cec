/* Behind a load balancer: whose connection it is. */
#include "proxy/client/behind.h"

#include "proxy/access/access.h"
#include "proxy/client/client_events.h"
#include "proxy/client/client_requests.h"
#include "proxy/client/handshake.h"
#include "proxy/client/proxy_protocol.h"
#include "proxy/exchange/failure_log.h"

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
	/*
	 * The load balancer's own requests are allowed, since it could claim any client address
	 * anyway.
	 */
	if (!header->local && !access_client(all->access, &client->peer))
		client_refuse(client, FAILURE_DENIED_CLIENT);
	else if (client->refusal == FAILURE_NONE)
		client_enter(client, budget_assign(all->budgets, BUDGET_CLIENTS,
						   budget_holder(&client->peer), &client->place));
	if (client->conn == NULL)
		return;
	if (client->is_tls) {
		scratch_free(&client->all->turn->in, &client->in);
		client_expect_hello(client);
		return;
	}
	buf_consume(&client->in, length);
	conn_own(client->conn, &client_events, client);
	client_advance(client);
}

/* Of what was looked at, the header alone is taken: what follows in the socket is TLS's. */
static void take_header(struct client *client, char *from, size_t n)
{
	if (conn_recv(client->conn, from, n, &n) == IO_OK)
		COUNT_TRAFFIC(client, client_bytes_in, n);
}

static void header_readable(void *owner)
{
	struct client *client = client_of(owner);
	struct scratch *scratch = &client->all->turn->in;
	struct proxy_header header;
	enum proxy_header_result result = PROXY_HEADER_BAD;
	enum io io = IO_ERROR;
	size_t n = 0, length, before = buf_length(&client->in);
	char *to;

	scratch_lend(scratch, &client->in);
	to = buf_reserve(&client->in, PROXY_HEADER_MAX);
	if (to != NULL)
		io = (client->is_tls ? conn_peek : conn_recv)(
			client->conn, to, client->in.size - client->in.tail, &n);
	if (io == IO_OK) {
		if (!client->is_tls)
			COUNT_TRAFFIC(client, client_bytes_in, n);
		buf_added(&client->in, n);
	}
	if (io == IO_OK || io == IO_AGAIN)
		result = proxy_header_parse(buf_waiting(&client->in), &header, &length);
	if (io == IO_OK && client->is_tls)
		take_header(client, to, result == PROXY_HEADER_DONE ? length - before : n);
	if (result == PROXY_HEADER_DONE) {
		header_done(client, &header, length);
		return;
	}
	if (result == PROXY_HEADER_MORE && scratch_settle(scratch, &client->in))
		return;
	/* A connection that closes without a byte is a health check. */
	if (result == PROXY_HEADER_BAD && buf_length(&client->in) > 0) {
		STATS_ADD(proxy_header_bad, 1);
		failure_log_header(&client->peer, client->all->turn->now_ms);
	}
	client_close(client);
}

const struct conn_events client_behind_events = {
	.readable = header_readable,
	.writable = header_writable,
	.expired = header_expired,
};
