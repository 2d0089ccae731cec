/* Failures of exchanges as lines for the operator, limited by kind. */
#include "proxy/exchange/failure_log.h"

#include <stdio.h>

#include "proxy/base/cause.h"
#include "proxy/access/credentials.h"
#include "cache/http/message.h"
#include "proxy/base/log.h"

enum { INTERVAL_MS = 10000, WHAT_SIZE = 640, NAME_SIZE = 160 };

#define MORE " (and %u more since the last such line)"

/* Of each failure: when the next line may be written, and how many were not. */
static struct {
	int64_t next_ms;
	unsigned left_out;
} kinds[FAILURE_COUNT];

/*
 * Malformed requests and clients that leave are not logged at info; refused destinations, loops and
 * failing origins are.
 */
static bool is_told(enum failure failure)
{
	switch (failure) {
	case FAILURE_DENIED_CLIENT:
	case FAILURE_DENIED_DESTINATION:
	case FAILURE_DENIED_PRIVATE:
	case FAILURE_DENIED_RESERVED:
	case FAILURE_DENIED_PORT:
	case FAILURE_DENIED_TUNNEL:
	case FAILURE_TOO_MANY_FROM_CLIENT:
	case FAILURE_TOO_MANY_LOGINS:
	case FAILURE_LOOP:
	case FAILURE_OWN_ADDRESS:
	case FAILURE_CLIENT_TLS_PLAIN:
	case FAILURE_CLIENT_TLS_TIMEOUT:
	case FAILURE_CLIENT_TLS_ALERT:
	case FAILURE_CLIENT_TLS_CERTIFICATE:
	case FAILURE_CLIENT_TLS_MISMATCH:
	case FAILURE_CLIENT_TLS_PROTOCOL:
		return true;
	case FAILURE_CLIENT_TLS_CLOSED:
	case FAILURE_DRAIN:
		return false;
	default:
		return failure_is_error(failure);
	}
}

static bool tells_all(void)
{
	return log_has(LOG_LEVEL_DEBUG);
}

/* "denied_private: 10.0.0.1:80 for client 192.0.2.7"; what is not known is left out. */
static void describe(const struct failure_subject *of, enum failure failure, char what[WHAT_SIZE])
{
	char client[ADDRESS_TEXT_SIZE], origin[ADDRESS_TEXT_SIZE];
	bool has_host = of->req->uri.host.n > 0,
	     has_origin = of->origin->any.sa_family != AF_UNSPEC;
	int host_length = of->req->uri.host.n > 128 ? 128 : (int)of->req->uri.host.n;
	int n = snprintf(what, WHAT_SIZE, "%s:", failure_name(failure));

	if (has_host)
		n += snprintf(what + n, WHAT_SIZE - (size_t)n, " %.*s:%u", host_length,
			      of->req->uri.host.p, of->req->uri.port);
	if (has_origin) {
		address_format_port(of->origin, origin);
		n += snprintf(what + n, WHAT_SIZE - (size_t)n, " at %s", origin);
	}
	if (of->peer->any.sa_family != AF_UNSPEC) {
		address_format(of->peer, client);
		n += snprintf(what + n, WHAT_SIZE - (size_t)n, " for client %s", client);
	}
	n += snprintf(what + n, WHAT_SIZE - (size_t)n, ": %s", failure_sentence(failure));
	if (cause_text()[0] != '\0')
		snprintf(what + n, WHAT_SIZE - (size_t)n, " (%s)", cause_text());
}

/* `end` is behind the text: what was done about it. */
static void tell(const struct failure_subject *of, enum failure failure, const char *end)
{
	unsigned left_out = kinds[failure].left_out;
	bool due = is_told(failure) && of->now_ms >= kinds[failure].next_ms;
	char what[WHAT_SIZE], more[64] = "";

	if (!due && !tells_all()) {
		kinds[failure].left_out += is_told(failure);
		return;
	}
	describe(of, failure, what);
	if (!due) {
		log_debug("%s%s", what, end);
		return;
	}
	if (left_out > 0)
		snprintf(more, sizeof(more), MORE, left_out);
	kinds[failure].next_ms = of->now_ms + INTERVAL_MS;
	kinds[failure].left_out = 0;
	log_info("%s%s%s", what, end, more);
}

/* The same for senders without a PROXY header, which have no exchange. */
static int64_t next_header_ms;
static unsigned headers_left_out;

void failure_log_header(const union address *sender, int64_t now_ms)
{
	char address[ADDRESS_TEXT_SIZE], more[64] = "";

	if (now_ms < next_header_ms && !tells_all()) {
		headers_left_out++;
		return;
	}
	address_format(sender, address);
	if (headers_left_out > 0)
		snprintf(more, sizeof(more), MORE, headers_left_out);
	log_info("proxy_header_bad: %s: closed, as it did not begin with a right PROXY header: let "
		 "it send one, or take it out of proxy_protocol_from%s",
		 address, more);
	next_header_ms = now_ms + INTERVAL_MS;
	headers_left_out = 0;
}

void failure_log_handshake(const union address *client, enum failure failure, int64_t now_ms)
{
	static const struct http_request none;
	static const union address nowhere;

	tell(&(struct failure_subject){&none, client, &nowhere, now_ms}, failure, "");
}

void failure_log_mended(const struct failure_subject *of)
{
	char client[ADDRESS_TEXT_SIZE] = "none";

	if (!tells_all())
		return;
	if (of->peer->any.sa_family != AF_UNSPEC)
		address_format(of->peer, client);
	log_debug("mended: %.*s:%u for client %s: a response broke the grammar of HTTP",
		  of->req->uri.host.n > 128 ? 128 : (int)of->req->uri.host.n, of->req->uri.host.p,
		  of->req->uri.port, client);
}

void failure_log_left(const union address *client, size_t n)
{
	char text[ADDRESS_TEXT_SIZE];

	if (!tells_all())
		return;
	address_format(client, text);
	log_debug("client %s left after %zu bytes of a request head", text, n);
}

/*
 * The address comes first, and what the client chose behind it, in quotes: programs that look for
 * guessers read this line (cache204(8)).  Each is logged, because they count them.
 */
static void tell_failed_login(const struct failure_subject *of)
{
	char client[ADDRESS_TEXT_SIZE], name[CREDENTIALS_TEXT_MAX], user[NAME_SIZE];

	address_format(of->peer, client);
	log_info("%s: client %s, user %s: %s", failure_name(FAILURE_AUTH_FAILED), client,
		 log_quote(name, credentials_name(of->req, name), user, sizeof(user)),
		 failure_sentence(FAILURE_AUTH_FAILED));
}

void failure_log(const struct failure_subject *of, enum failure failure)
{
	if (failure == FAILURE_AUTH_FAILED)
		tell_failed_login(of);
	else
		tell(of, failure, "");
}

void failure_log_hidden(const struct failure_subject *of, enum failure failure)
{
	tell(of, failure, " Answered from the store.");
}
