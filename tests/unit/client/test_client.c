/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* How clients begin and end, and what is counted of them: TLS, load balancers, deadlines, limits, bytes. */
#include "tests/support/worker_fixture.h"

#include <errno.h>
#include <stdio.h>

#include "proxy/client/client_state.h"
#include "proxy/front/admin.h"
#include "proxy/front/forward.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ASK "GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n"
#define SELF "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" /* the proxy answers that itself */
#define HELLO "\x16\x03\x01"

static struct worker_fixture f;

static int setup(void **state)
{
	(void)state;
	worker_fixture_open(&f, &forward_frontend,
			    "head_timeout=20s;keepalive_timeout=30s;body_timeout=7s;"
			    "tls_handshake_timeout=4s");
	return 0;
}

static void say(struct fake_peer *peer, const char *text)
{
	worker_fixture_say(&f, peer, text);
}

static const char *got(struct fake_peer *peer)
{
	return worker_fixture_got(&f, peer);
}

static void pass(int64_t ms)
{
	worker_fixture_pass(&f, ms);
}

/* It is closed in so many milliseconds from now, and not before. */
static void expect_closed_in(struct fake_peer *peer, int64_t ms)
{
	pass(ms - 1);
	assert_non_null(peer->conn);
	pass(1);
	assert_null(peer->conn);
}

static void expect_status(const char *text, unsigned status)
{
	char start[32];

	snprintf(start, sizeof(start), "HTTP/1.1 %u ", status);
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("not %u: %s", status, text);
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static struct fake_peer *tls_client(enum failure refusal)
{
	struct fake_peer *peer = fake_peer_new();
	struct accepted accepted = {
		.fd = peer->fd, .listener = 3, .is_tls = true, .frontend = &forward_frontend};

	assert_true(address_parse(SLICE("192.0.2.7"), &accepted.peer));
	client_new(&f.worker->clients, &accepted, refusal);
	return peer;
}

/* It says hello, which TLS takes, and what follows happens. */
static void say_hello(struct fake_peer *peer)
{
	size_t before = peer->said.n;

	fake_peer_say(peer, slice_str(HELLO));
	for (unsigned i = 0; i < 9 && !peer->secured; i++)
		fake_worker_turn(f.worker, false);
	assert_int_equal(peer->said.done, before);
	peer->said.n = before; /* TLS took it: no bytes of traffic */
	worker_fixture_settle(&f);
}

static void a_handshake_and_a_request(void **state)
{
	struct fake_peer *peer = tls_client(FAILURE_NONE);

	(void)state;
	say_hello(peer);
	assert_true(peer->secured);
	assert_int_equal(stats->client_tls_handshakes, 1);
	assert_int_equal(stats->client_tls_resumed, 0);
	assert_int_equal(stats->listeners[3].handshakes, 1);
	assert_int_equal(stats->listeners[3].handshakes_failed, 0);
	say(peer, SELF);
	expect_status(got(peer), 204);
	assert_int_equal(stats->requests, 1);
	peer = tls_client(FAILURE_NONE);
	say_hello(peer);
	expect_closed_in(peer, 20000); /* it asks nothing */
	assert_int_equal(stats->failure[FAILURE_HEAD_TIMEOUT], 0);
}

static void a_handshake_that_fails(void **state)
{
	static const enum failure failures[] = {FAILURE_CLIENT_TLS_ALERT,
						FAILURE_CLIENT_TLS_CERTIFICATE,
						FAILURE_CLIENT_TLS_MISMATCH};

	(void)state;
	for (size_t i = 0; i < COUNT(failures); i++) {
		struct fake_peer *peer = tls_client(FAILURE_NONE);

		fake_conn_secures(failures[i]);
		say_hello(peer);
		fake_conn_secures(FAILURE_NONE);
		assert_int_equal(stats->failure[failures[i]], 1);
		assert_int_equal(stats->listeners[3].handshakes_failed, i + 1);
		/* an alert is not lost to an RST: what comes is read for a while */
		assert_false(peer->secured);
		assert_true(peer->got_end && !peer->got_reset);
		say(peer, "more");
		expect_closed_in(peer, CLIENT_LINGER_MS);
	}
	assert_int_equal(stats->client_tls_handshakes, 0);
}

static void one_that_closes_in_its_handshake(void **state)
{
	struct fake_peer *peer = tls_client(FAILURE_NONE);

	(void)state;
	fake_conn_secures(FAILURE_CLIENT_TLS_CLOSED);
	say_hello(peer);
	fake_conn_secures(FAILURE_NONE);
	assert_null(peer->conn);
	assert_int_equal(stats->failure[FAILURE_CLIENT_TLS_CLOSED], 1);
	assert_int_equal(stats->listeners[3].handshakes_failed, 1);
	assert_int_equal(stats->clients, 1); /* that of the fixture */
}

/* Without a byte it is a health check, which is no failure. */
static void one_that_says_nothing(void **state)
{
	struct fake_peer *peer = tls_client(FAILURE_NONE);

	(void)state;
	fake_peer_end(peer);
	worker_fixture_settle(&f);
	assert_null(peer->conn);
	peer = tls_client(FAILURE_NONE);
	fake_peer_reset(peer);
	worker_fixture_settle(&f);
	assert_null(peer->conn);
	assert_int_equal(stats->listeners[3].handshakes_failed, 0);
	peer = tls_client(FAILURE_NONE);
	fake_conn_wake(peer);
	worker_fixture_settle(&f);
	expect_closed_in(peer, 4000);
	assert_int_equal(stats->failure[FAILURE_CLIENT_TLS_TIMEOUT], 1);
	assert_int_equal(stats->listeners[3].handshakes_failed, 1);
}

static void what_is_no_tls(void **state)
{
	struct fake_peer *peer = tls_client(FAILURE_NONE);
	const char *text;

	(void)state;
	say(peer, SELF);
	text = got(peer);
	expect_status(text, 400);
	assert_non_null(strstr(text, "client_tls_plain"));
	assert_int_equal(stats->failure[FAILURE_CLIENT_TLS_PLAIN], 1);
	assert_int_equal(stats->listeners[3].handshakes_failed, 1);
	peer = tls_client(FAILURE_NONE);
	say(peer, "\x80\x2e");
	assert_int_equal(got(peer)[0], '\0');
	assert_true(peer->got_end);
	assert_int_equal(stats->failure[FAILURE_CLIENT_TLS_PROTOCOL], 1);
	assert_int_equal(stats->listeners[3].handshakes_failed, 2);
	expect_closed_in(peer, CLIENT_LINGER_MS);
}

/* One that is refused has no longer for its handshake, and none anew. */
static void one_that_is_refused(void **state)
{
	struct fake_peer *peer = tls_client(FAILURE_DENIED_CLIENT);

	(void)state;
	assert_int_equal(stats->client_refused, 1);
	assert_int_equal(stats->refusals, 1);
	expect_closed_in(peer, CLIENT_REFUSAL_MS);
	assert_int_equal(stats->refusals, 0);
	peer = tls_client(FAILURE_DENIED_CLIENT);
	pass(1500);
	say_hello(peer);
	assert_true(peer->secured);
	pass(499);
	assert_false(peer->got_end);
	pass(1);
	assert_true(peer->got_end);
}

/* There is no memory for it. */
static void a_handshake_that_cannot_begin(void **state)
{
	struct fake_peer *peer = tls_client(FAILURE_NONE);

	(void)state;
	fake_peer_say(peer, slice_str(HELLO));
	fake_conn_fail(1, ENOMEM); /* the first call looks at the byte */
	worker_fixture_settle(&f);
	assert_true(fake_conn_fail_never());
	assert_null(peer->conn);
	assert_int_equal(stats->clients, 1);
}

/* A worker that ends has no time for a first request. */
static void a_handshake_at_the_end(void **state)
{
	struct fake_peer *peer = tls_client(FAILURE_NONE);

	(void)state;
	f.worker->clients.ending = true;
	say_hello(peer);
	expect_closed_in(peer, CLIENT_REFUSAL_MS);
}

/* ---- behind a load balancer ----------------------------------------------------------------- */

static struct fake_peer *behind(enum failure refusal)
{
	return fake_worker_accept_behind(f.worker, &forward_frontend, "10.9.9.9", refusal);
}

static void a_header_says_whose_it_is(void **state)
{
	struct fake_peer *peer = behind(FAILURE_NONE);
	uint64_t before = stats->client_bytes_in;

	(void)state;
	say(peer, "PROXY TCP4 127.0.0.9 192.");
	assert_non_null(peer->conn);
	say(peer, "0.2.1 1000 3128\r\n" SELF);
	expect_status(got(peer), 204);
	assert_int_equal(stats->client_bytes_in - before,
			 sizeof("PROXY TCP4 127.0.0.9 192.0.2.1 1000 3128\r\n" SELF) - 1);
	assert_int_equal(stats->proxy_header_bad, 0);
	peer = behind(FAILURE_NONE);
	say(peer, "PROXY TCP4 127.0.0.9 192.0.2.1 1000 31");
	fake_peer_say(peer, SLICE("28\r\n"));
	for (unsigned i = 0; i < 2000; i++)
		fake_peer_say(peer, SLICE(SELF));
	for (unsigned i = 0; i < 9999 && fake_worker_turn(f.worker, false); i++)
		;
	assert_int_equal(stats->requests, 2001);
	got(peer);
	peer = behind(FAILURE_NONE);
	say(peer, "PROXY TCP4 192.0.2.9 192.0.2.1 1000 3128\r\n" SELF);
	expect_status(got(peer), 403);
	peer = behind(FAILURE_NONE);
	say(peer, "PROXY UNKNOWN\r\n" SELF); /* then it is the load balancer's own */
	expect_status(got(peer), 403);
	assert_int_equal(stats->failure[FAILURE_DENIED_CLIENT], 2);
}

static void a_header_that_is_none(void **state)
{
	struct fake_peer *peer = behind(FAILURE_NONE);

	(void)state;
	say(peer, SELF);
	assert_null(peer->conn);
	assert_int_equal(stats->proxy_header_bad, 1);
	peer = behind(FAILURE_NONE);
	fake_peer_end(peer); /* a health check */
	worker_fixture_settle(&f);
	assert_null(peer->conn);
	assert_int_equal(stats->proxy_header_bad, 1);
	peer = behind(FAILURE_NONE);
	fake_peer_say(peer, SLICE("PROXY TCP4 127"));
	fake_peer_end(peer);
	worker_fixture_settle(&f);
	assert_null(peer->conn);
	assert_int_equal(stats->proxy_header_bad, 2);
	peer = behind(FAILURE_NONE);
	say(peer, "PROXY");
	expect_closed_in(peer, 20000);
	assert_int_equal(stats->proxy_header_bad, 2);
}

/* With TLS behind the header: of what is looked at, the header alone is taken. */
static void a_header_before_tls(void **state)
{
	static const char header[] = "PROXY TCP4 127.0.0.9 192.0.2.1 1000 3128\r\n";
	struct fake_peer *peer = fake_peer_new();
	struct accepted accepted = {
		.fd = peer->fd, .listener = 3, .is_tls = true, .frontend = &forward_frontend};
	uint64_t before = stats->client_bytes_in;

	(void)state;
	assert_true(address_parse(SLICE("10.9.9.9"), &accepted.peer));
	client_new_behind(&f.worker->clients, &accepted, FAILURE_NONE);
	fake_peer_say(peer, slice_str(header)); /* all of it at once, and nothing else */
	worker_fixture_settle(&f);
	assert_int_equal(peer->said.done, sizeof(header) - 1);
	before = stats->client_bytes_in;
	peer = fake_peer_new();
	accepted.fd = peer->fd;
	client_new_behind(&f.worker->clients, &accepted, FAILURE_NONE);
	say(peer, "PROXY TCP4 127");
	assert_int_equal(peer->said.done, 14);
	fake_peer_say(peer, slice_str(header + 14));
	say_hello(peer);
	assert_int_equal(stats->client_bytes_in - before, sizeof(header) - 1);
	assert_true(peer->secured);
	assert_int_equal(stats->listeners[3].handshakes, 1);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* One after the other on a connection, in the order they came, and the bytes of both ways. */
static void requests_are_counted(void **state)
{
	const char *text;

	(void)state;
	say(f.client, SELF SELF SELF);
	text = got(f.client);
	for (unsigned i = 0; i < 3; i++) {
		text = strstr(text, "HTTP/1.1 204 ");
		assert_non_null(text);
		text++;
	}
	assert_int_equal(stats->requests, 3);
	assert_int_equal(stats->operator_requests, 0);
	assert_int_equal(stats->clients, 1);
	assert_int_equal(stats->exchanges, 0);
	assert_int_equal(stats->client_bytes_in, 3 * (sizeof(SELF) - 1));
	assert_int_equal(stats->client_bytes_out, f.client->got.n);
	expect_closed_in(f.client, 30000);
	assert_int_equal(stats->clients, 0);
}

/* Operators are no traffic. */
static void operators_are_counted_apart(void **state)
{
	struct fake_peer *peer =
		fake_worker_accept(f.worker, &admin_frontend, FAKE_LISTEN, FAILURE_NONE);

	(void)state;
	say(peer, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_status(got(peer), 204);
	assert_int_equal(stats->requests, 0);
	assert_int_equal(stats->operator_requests, 1);
	assert_int_equal(stats->clients, 1);
	assert_int_equal(stats->client_bytes_in + stats->client_bytes_out, 0);
	say(peer, "GET / HTTP/1.1\r\n bad\r\n\r\n");
	expect_status(got(peer), 400);
	assert_int_equal(stats->failure[FAILURE_BAD_REQUEST], 0);
}

static void the_last_of_a_connection(void **state)
{
	const char *text;

	worker_fixture_close(state);
	worker_fixture_open(&f, &forward_frontend, "client_requests=2");
	say(f.client, SELF);
	assert_null(strstr(got(f.client), "Connection: close"));
	say(f.client, SELF SELF);
	text = got(f.client);
	assert_non_null(strstr(text, "Connection: close"));
	assert_null(strstr(text + 1, "HTTP/1.1 204"));
	assert_true(f.client->got_end);
	assert_int_equal(stats->requests, 2);
	expect_closed_in(f.client, CLIENT_LINGER_MS);
}

/* HTTP/1.0 does not persist through a proxy, whatever it asks for. */
static void older_clients(void **state)
{
	(void)state;
	say(f.client, "OPTIONS * HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
	expect_status(got(f.client), 204);
	assert_true(f.client->got_end);
}

static void a_head_takes_too_long(void **state)
{
	const char *text;

	(void)state;
	say(f.client, "GET ");
	pass(19999);
	assert_int_equal(got(f.client)[0], '\0');
	pass(1);
	text = got(f.client);
	expect_status(text, 408);
	assert_int_equal(stats->requests, 1);
	assert_int_equal(stats->failure[FAILURE_HEAD_TIMEOUT], 1);
	assert_int_equal(stats->exchanges, 0);
	expect_closed_in(f.client, CLIENT_LINGER_MS);
}

/* The time for a head does not begin anew with each byte of it. */
static void a_head_that_drips(void **state)
{
	(void)state;
	say(f.client, SELF);
	got(f.client);
	say(f.client, "G");
	for (unsigned i = 0; i < 19; i++) {
		pass(1000);
		say(f.client, i == 0 ? "ET http://10.0.0.1/" : "x");
	}
	pass(999);
	assert_int_equal(got(f.client)[0], '\0');
	pass(1);
	expect_status(got(f.client), 408);
}

static void a_refused_client_may_say_what_it_wanted(void **state)
{
	struct fake_peer *peer =
		fake_worker_accept(f.worker, &forward_frontend, "192.0.2.7", FAILURE_DENIED_CLIENT);

	(void)state;
	assert_int_equal(stats->client_refused, 1);
	assert_int_equal(stats->refusals, 1);
	assert_int_equal(stats->clients, 1);
	say(peer, ASK);
	expect_status(got(peer), 403);
	assert_int_equal(stats->failure[FAILURE_DENIED_CLIENT], 1);
	assert_true(peer->got_end);
	assert_null(fake_peer_connected(0));
	pass(CLIENT_LINGER_MS);
	assert_null(peer->conn);
	assert_int_equal(stats->refusals, 0);
	peer = fake_worker_accept(f.worker, &forward_frontend, "192.0.2.7", FAILURE_DENIED_CLIENT);
	say(peer, "GET");
	pass(CLIENT_REFUSAL_MS);
	expect_status(got(peer), 403);
}

/* What is left of its places for refusals is counted, and closed without an answer. */
static void too_many_that_are_refused(void **state)
{
	unsigned closed = 0;

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		closed += fake_worker_accept(f.worker, &forward_frontend, "192.0.2.7",
					     FAILURE_DENIED_CLIENT)
				  ->conn == NULL;
	assert_in_range(closed, 1, 299);
	assert_int_equal(stats->client_refused, 300);
	assert_int_equal(stats->failure[FAILURE_DENIED_CLIENT], closed);
	assert_int_equal(stats->refusals, 300 - closed);
	assert_int_equal(stats->clients, 1);
}

/* ---- bodies --------------------------------------------------------------------------------- */

#define POST(length) \
	"POST http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nContent-Length: " #length "\r\n\r\n"

static void a_body_takes_too_long(void **state)
{
	const char *text;

	(void)state;
	say(f.client, POST(4) "ab");
	assert_non_null(fake_peer_connected(0));
	pass(6999);
	assert_int_equal(got(f.client)[0], '\0');
	pass(1);
	text = got(f.client);
	expect_status(text, 408);
	assert_non_null(strstr(text, "request_body_timeout"));
	assert_int_equal(stats->failure[FAILURE_REQUEST_BODY_TIMEOUT], 1);
	assert_true(f.client->got_end);
}

static void a_body_that_is_none(void **state)
{
	(void)state;
	say(f.client, "POST http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n"
		      "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
	expect_status(got(f.client), 400);
	assert_int_equal(stats->failure[FAILURE_BAD_BODY], 1);
	assert_true(f.client->got_end);
}

static void one_that_leaves_in_its_body(void **state)
{
	(void)state;
	say(f.client, POST(4) "ab");
	fake_peer_end(f.client);
	worker_fixture_settle(&f);
	assert_null(f.client->conn);
	assert_int_equal(stats->exchanges, 0);
	assert_true(fake_peer_connected(0)->got_end);
}

/* Each body goes to the origin, whatever became of the one before on that connection. */
static void bodies_follow_each_other(void **state)
{
	struct fake_peer *origin;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		say(f.client, POST(3) "ab");
		origin = fake_peer_connected(0);
		assert_non_null(origin);
		say(f.client, "c");
		assert_non_null(strstr(got(origin), "\r\n\r\nabc"));
		say(origin, "HTTP/1.1 204 No Content\r\n\r\n");
		expect_status(got(f.client), 204);
	}
	assert_int_equal(stats->requests, 3);
	assert_int_equal(stats->origin_connections, 1);
	assert_int_equal(stats->client_bytes_in, 3 * (sizeof(POST(3) "abc") - 1));
}

/* An answer before the whole body ends the connection: what follows is no request. */
static void an_early_answer(void **state)
{
	struct fake_peer *origin;

	(void)state;
	say(f.client, POST(100) "ab");
	origin = fake_peer_connected(0);
	say(origin, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	expect_status(got(f.client), 413);
	assert_true(f.client->got_end);
	say(f.client, SELF);
	assert_int_equal(got(f.client)[0], '\0');
	assert_int_equal(stats->requests, 1);
}

/* ---- readers -------------------------------------------------------------------------------- */

/* A client that does not read has no more answers made, and what it asked is answered later. */
static void one_that_does_not_read(void **state)
{
	unsigned answers = 0;

	(void)state;
	f.client->room = 10;
	for (unsigned i = 0; i < 1500; i++)
		fake_peer_say(f.client, slice_str(SELF));
	/* it gets nothing done that a peer would see */
	for (unsigned i = 0; i < 9999 && fake_worker_turn(f.worker, false); i++)
		;
	assert_in_range(stats->requests, 10, 1400);
	worker_fixture_take_all(&f);
	for (const char *at = got(f.client); (at = strstr(at, "HTTP/1.1 204")) != NULL; at++)
		answers++;
	assert_int_equal(answers, 1500);
	assert_int_equal(stats->requests, 1500);
	assert_int_equal(stats->client_bytes_out, f.client->got.n);
}

/* One that takes nothing of what waits is cut off, with an RST. */
static void one_that_never_reads(void **state)
{
	(void)state;
	f.client->room = 10;
	say(f.client, SELF);
	pass(3600 * 1000);
	assert_null(f.client->conn);
	assert_true(f.client->got_reset);
	assert_int_equal(stats->clients, 0);
}

/* What lingers is read for a while and up to a limit. */
static void one_that_says_more_behind_its_last(void **state)
{
	static char more[CLIENT_LINGER_BYTES / 2 + 1];

	(void)state;
	memset(more, 'x', sizeof(more) - 1);
	say(f.client, "nonsense\r\n\r\n");
	expect_status(got(f.client), 400);
	say(f.client, more);
	assert_non_null(f.client->conn);
	say(f.client, more);
	say(f.client, "x");
	assert_null(f.client->conn);
}

/* ---- the end of a worker -------------------------------------------------------------------- */

static struct fake_peer *another(void)
{
	return fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
}

/* Whoever asks nothing is closed; whoever has begun gets the answer, as the last. */
static void those_that_are_idle_end_with_it(void **state)
{
	struct fake_peer *gone = another(), *begun = another(), *waiting = another(), *origin;
	const char *text;

	(void)state;
	fake_peer_end(gone); /* of several, one in their midst leaves before */
	worker_fixture_settle(&f);
	say(begun, "OPTIONS * HTTP/1.1\r\n");
	say(waiting, ASK);
	origin = fake_peer_connected(0);
	fake_worker_terminate(f.worker);
	worker_fixture_settle(&f);
	assert_null(f.client->conn);
	assert_non_null(begun->conn);
	assert_int_equal(stats->clients, 2);
	say(begun, "Host: x\r\n\r\n");
	text = got(begun);
	expect_status(text, 204);
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_true(begun->got_end && !begun->got_reset);
	say(origin, "HTTP/1.1 204 No Content\r\n\r\n");
	text = got(waiting);
	expect_status(text, 204);
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_true(waiting->got_end);
	pass(CLIENT_LINGER_MS);
	assert_int_equal(stats->clients, 0);
}

/* Where others have taken over, a client that asks nothing may ask once more. */
static void those_of_one_that_was_replaced(void **state)
{
	struct fake_peer *waiting = another();
	const char *text;

	(void)state;
	say(waiting, ASK);
	fake_worker_retire(f.worker);
	worker_fixture_settle(&f);
	assert_non_null(f.client->conn);
	say(f.client, SELF SELF);
	text = got(f.client);
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_null(strstr(text + 1, "HTTP/1.1 204 "));
	assert_true(f.client->got_end);
	say(fake_peer_connected(0), "HTTP/1.1 204 No Content\r\n\r\n");
	assert_non_null(strstr(got(waiting), "\r\nConnection: close\r\n"));
}

/* ---- answers that stream -------------------------------------------------------------------- */

/* A large answer in pieces, and nothing is lost or counted twice on the way. */
static void a_large_answer(void **state)
{
	static char body[300001];
	static const size_t rooms[] = {SIZE_MAX, 1, 1000, 150000};
	struct fake_peer *origin;
	size_t before;

	(void)state;
	for (size_t i = 0; i < sizeof(body) - 1; i++)
		body[i] = (char)('a' + i % 23);
	for (size_t i = 0; i < COUNT(rooms); i++) {
		const char *text;

		before = f.client->got.n;
		say(f.client, ASK);
		f.client->room = rooms[i];
		origin = fake_peer_connected(0);
		say(origin, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n");
		say(origin, body);
		worker_fixture_take_all(&f);
		assert_int_equal(stats->client_bytes_out, f.client->got.n);
		text = strstr(got(f.client), "\r\n\r\n");
		assert_non_null(text);
		assert_string_equal(text + 4, body);
		assert_true(f.client->got.n > before + 300000);
	}
	assert_int_equal(stats->requests, COUNT(rooms));
	assert_false(f.client->got_end);
}

/* One that ends by closing, and is cut, must not look complete. */
static void an_answer_that_is_cut(void **state)
{
	struct fake_peer *older = another(), *origin;

	(void)state;
	say(f.client, ASK);
	origin = fake_peer_connected(0);
	say(origin, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	fake_peer_end(origin);
	worker_fixture_settle(&f);
	assert_true(f.client->got_end); /* its length tells */
	say(older, "GET http://10.0.0.1/ HTTP/1.0\r\n\r\n");
	origin = fake_peer_connected(1);
	say(origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	assert_false(older->got_reset);
	fake_peer_end(origin);
	worker_fixture_settle(&f);
	assert_true(older->got_reset);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, worker_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_handshake_and_a_request),
		TEST(a_handshake_that_fails),
		TEST(one_that_closes_in_its_handshake),
		TEST(one_that_says_nothing),
		TEST(what_is_no_tls),
		TEST(one_that_is_refused),
		TEST(a_handshake_that_cannot_begin),
		TEST(a_handshake_at_the_end),
		TEST(a_header_says_whose_it_is),
		TEST(a_header_that_is_none),
		TEST(a_header_before_tls),
		TEST(requests_are_counted),
		TEST(operators_are_counted_apart),
		TEST(the_last_of_a_connection),
		TEST(older_clients),
		TEST(a_head_takes_too_long),
		TEST(a_head_that_drips),
		TEST(a_refused_client_may_say_what_it_wanted),
		TEST(too_many_that_are_refused),
		TEST(a_body_takes_too_long),
		TEST(a_body_that_is_none),
		TEST(one_that_leaves_in_its_body),
		TEST(bodies_follow_each_other),
		TEST(an_early_answer),
		TEST(one_that_does_not_read),
		TEST(one_that_never_reads),
		TEST(one_that_says_more_behind_its_last),
		TEST(those_that_are_idle_end_with_it),
		TEST(those_of_one_that_was_replaced),
		TEST(a_large_answer),
		TEST(an_answer_that_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
