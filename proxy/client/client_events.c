/* Events on a client's connection. */
#include "proxy/client/client_events.h"

#include "proxy/client/client_requests.h"
#include "proxy/client/client_sink.h"

static void linger(struct client *client)
{
	size_t n;

	switch (conn_recv(client->conn, client->all->turn->in.block, SCRATCH_SIZE, &n)) {
	case IO_OK:
		COUNT_TRAFFIC(client, client_bytes_in, n);
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
	size_t n = 0, size;

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
	size = client->in.size - client->in.tail;
	switch (conn_recv(client->conn, to, size, &n)) {
	case IO_OK:
		client->all_read = n < size;
		COUNT_TRAFFIC(client, client_bytes_in, n);
		buf_added(&client->in, n);
		break;
	case IO_AGAIN:
		/* A part of a TLS record, say: no bytes of a request, so no deadline begins anew. */
		if (!scratch_settle(&client->all->turn->in, &client->in))
			client_close(client);
		return;
	case IO_END:
		client->fin_received = true;
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
	if (client->conn != NULL && buf_length(&client->out) == 0 && x == NULL)
		client_end_if_idle(client);
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
	} else if (client->looking) {
		client_look_expired(client);
	} else if (client->sink.reading_body && x != NULL) {
		client_fail_body(client, FAILURE_REQUEST_BODY_TIMEOUT);
	} else if (x == NULL && client->in_head) {
		client_head_expired(client);
	} else if (x == NULL) {
		client_close(client);
	}
}

const struct conn_events client_events = {
	.readable = client_readable,
	.writable = client_writable,
	.expired = client_expired,
};
