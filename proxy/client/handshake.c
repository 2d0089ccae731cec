/* The handshake of a client that speaks TLS, and what comes in place of one (HAZARDS L9). */
#include "proxy/client/handshake.h"

#include "cache/base/ascii.h"
#include "proxy/base/cause.h"
#include "proxy/client/client_events.h"
#include "proxy/exchange/failure_log.h"

enum { RECORD_HANDSHAKE = 22 }; /* the first byte of TLS (RFC 8446 5.1) */

/* Count and tell that there is no TLS with it. */
static void note_failure(const struct client *client, enum failure failure, const char *why)
{
	COUNT_TRAFFIC(client, failure[failure], 1);
	STATS_ADD(listeners[client->listener].handshakes_failed, 1);
	cause_set("%s", why);
	failure_log_handshake(&client->peer, failure, client->all->turn->now_ms);
	cause_clear();
}

/* Read on for a while, so that an alert is not lost to an RST. */
static void linger(struct client *client)
{
	conn_end(client->conn);
	client->lingering = true;
	conn_own(client->conn, &client_events, client);
	conn_watch(client->conn, true, false);
	conn_deadline(client->conn, CLIENT_LINGER_MS);
}

static void handshake_decided(void *owner)
{
	struct client *client = client_of(owner);
	const char *why;
	enum failure failure = conn_secured(client->conn, &why);

	if (failure == FAILURE_CLIENT_TLS_CLOSED) {
		note_failure(client, failure, why);
		client_close(client);
		return;
	}
	if (failure != FAILURE_NONE) {
		note_failure(client, failure, why);
		conn_leave_tls(client->conn);
		linger(client);
		return;
	}
	STATS_ADD(client_tls_handshakes, 1);
	STATS_ADD(listeners[client->listener].handshakes, 1);
	if (conn_was_resumed(client->conn)) {
		STATS_ADD(client_tls_resumed, 1);
		STATS_ADD(listeners[client->listener].resumed, 1);
	}
	conn_own(client->conn, &client_events, client);
	conn_watch(client->conn, true, false);
	if (client->refusal == FAILURE_NONE)
		conn_deadline(client->conn, client->all->ending
						    ? CLIENT_REFUSAL_MS
						    : client->all->conf->head_timeout_ms);
}

static void hello_expired(void *owner)
{
	struct client *client = client_of(owner);

	note_failure(client, FAILURE_CLIENT_TLS_TIMEOUT, "the handshake was not finished");
	client_close(client);
}

static void not_watched_for(void *owner)
{
	(void)owner;
}

static const struct conn_events handshake_events = {
	.readable = not_watched_for,
	.writable = handshake_decided,
	.expired = hello_expired,
};

static void begin_handshake(struct client *client)
{
	conn_own(client->conn, &handshake_events, client);
	if (!conn_accept(client->conn, client->all->tls))
		client_close(client);
}

/* HTTP without TLS: it is answered what is wrong, as it came. */
static void answer_in_clear(struct client *client)
{
	STATS_ADD(listeners[client->listener].handshakes_failed, 1);
	conn_own(client->conn, &client_events, client);
	client_refuse(client, FAILURE_CLIENT_TLS_PLAIN);
	if (client->conn != NULL)
		conn_read_now(client->conn);
}

static void hello_readable(void *owner)
{
	struct client *client = client_of(owner);
	char first;
	size_t n;

	switch (conn_peek(client->conn, &first, 1, &n)) {
	case IO_OK:
		break;
	case IO_AGAIN:
		return;
	case IO_END: /* without a byte it is a health check */
	case IO_ERROR:
		client_close(client);
		return;
	}
	if (first == RECORD_HANDSHAKE) {
		begin_handshake(client);
	} else if (ascii_is_alpha(first)) {
		answer_in_clear(client);
	} else {
		note_failure(client, FAILURE_CLIENT_TLS_PROTOCOL, "it does not begin as TLS does");
		linger(client);
	}
}

const struct conn_events client_hello_events = {
	.readable = hello_readable,
	.writable = not_watched_for,
	.expired = hello_expired,
};

void client_expect_hello(struct client *client)
{
	conn_own(client->conn, &client_hello_events, client);
	if (client->refusal == FAILURE_NONE)
		conn_deadline(client->conn, client->all->conf->tls_handshake_timeout_ms);
}
