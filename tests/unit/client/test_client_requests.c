/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* Requests in: what a front end is told of them, bodies that wait, tunnels that may be HTTP, and who has a place. */
#include "tests/support/worker_fixture.h"

#include <errno.h>
#include <stdio.h>

#include "proxy/base/cause.h"
#include "proxy/client/client_state.h"
#include "proxy/front/admin.h"
#include "proxy/front/forward.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SELF "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" /* the proxy answers that itself */
#define POST "POST http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"

static struct worker_fixture f;

static void say(struct fake_peer *peer, const char *text)
{
	worker_fixture_say(&f, peer, text);
}

static const char *got(struct fake_peer *peer)
{
	return worker_fixture_got(&f, peer);
}

static void expect(struct fake_peer *peer, const char *part)
{
	const char *text = got(peer);

	if (strstr(text, part) == NULL)
		fail_msg("no '%s' in: %s", part, text);
}

/* ---- a front end that keeps what it is given ------------------------------------------------ */

static struct {
	struct exchange *x; /* under way */
	char body[64];
	size_t body_n;
	unsigned requests, ends, cancels;
	bool holds, takes_no_more;
} seen;

static void keep(struct exchange *x)
{
	assert_true(exchange_park(x));
	seen.x = x;
	seen.requests++;
	if (seen.holds)
		x->sink->kind->hold(x->sink);
}

static bool keep_body(struct exchange *x, struct slice content)
{
	assert_ptr_equal(x, seen.x);
	assert_true(content.n > 0 && seen.body_n + content.n < sizeof(seen.body));
	memcpy(seen.body + seen.body_n, content.p, content.n);
	seen.body_n += content.n;
	return !seen.takes_no_more;
}

static void keep_end(struct exchange *x)
{
	assert_ptr_equal(x, seen.x);
	seen.ends++;
}

static void keep_nothing(struct exchange *x)
{
	(void)x;
}

static bool keep_cancel(struct exchange *x)
{
	assert_ptr_equal(x, seen.x);
	seen.cancels++;
	return false;
}

static const struct frontend keeper = {
	.name = "keeper",
	.is_origin = true,
	.handle = keep,
	.body = keep_body,
	.body_end = keep_end,
	.again = keep_nothing,
	.drained = keep_nothing,
	.cancel = keep_cancel,
};

static void answer(void)
{
	exchange_answer_local(seen.x, 204, "", slice_of("", 0), slice_of("", 0));
	worker_fixture_settle(&f);
}

static void open_with(const struct frontend *frontend, const char *options)
{
	memset(&seen, 0, sizeof(seen));
	worker_fixture_open(&f, frontend, options);
}

static int setup(void **state)
{
	(void)state;
	open_with(&keeper, "head_timeout=20s;keepalive_timeout=30s;body_timeout=7s");
	return 0;
}

/* What it has of the body so far. */
static void expect_body(const char *text)
{
	assert_int_equal(seen.body_n, strlen(text));
	assert_memory_equal(seen.body, text, seen.body_n);
}

/* ---- what it is told ------------------------------------------------------------------------ */

static struct fake_peer *tls_client(const char *from)
{
	struct fake_peer *peer = fake_peer_new();
	struct accepted accepted = {
		.fd = peer->fd, .listener = 3, .is_tls = true, .frontend = &keeper};

	assert_true(address_parse(slice_str(from), &accepted.peer));
	client_new(&f.worker->clients, &accepted, FAILURE_NONE);
	return peer;
}

/* It says hello, which TLS takes, and what follows happens. */
static void say_hello(struct fake_peer *peer)
{
	fake_peer_say(peer, SLICE("\x16\x03\x01"));
	for (unsigned i = 0; i < 9 && !peer->secured; i++)
		fake_worker_turn(f.worker, false);
	peer->said.n = 0;
	worker_fixture_settle(&f);
}

/* Whose it is, by which address it came, and how many bytes of it there are. */
static void a_request_is_described(void **state)
{
	struct fake_peer *peer = tls_client("127.0.0.7");
	static const char head[] = POST "Content-Length: 3\r\n\r\n";
	char from[ADDRESS_TEXT_SIZE];

	(void)state;
	peer->name = "ann";
	peer->resumed = true;
	say_hello(peer);
	assert_int_equal(stats->client_tls_resumed, 1);
	assert_int_equal(stats->listeners[3].resumed, 1);
	say(peer, head);
	assert_non_null(seen.x);
	address_format(&seen.x->peer, from);
	assert_string_equal(from, "127.0.0.7");
	assert_int_equal(seen.x->listener, 3);
	assert_true(slice_eq(seen.x->user, SLICE("ann")));
	assert_int_equal(seen.x->bytes_in, sizeof(head) - 1);
	say(peer, "ab");
	assert_int_equal(seen.x->bytes_in, sizeof(head) - 1 + 2);
	say(peer, "c");
	assert_int_equal(seen.x->bytes_in, sizeof(head) - 1 + 3);
	expect_body("abc");
	assert_int_equal(seen.ends, 1);
	answer();
	expect(peer, "HTTP/1.1 204 ");
	/* without TLS it has no such name */
	f.client->name = "bob";
	say(f.client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(seen.x->user.n, 0);
	assert_int_equal(seen.x->listener, 0);
	answer();
}

/* HTTP/1.0 may persist with an origin, and not with a proxy, which it asks in absolute form. */
static void older_clients_of_an_origin(void **state)
{
	(void)state;
	say(f.client, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	answer();
	expect(f.client, "Connection: keep-alive");
	say(f.client, "GET http://x/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	answer();
	assert_null(strstr(got(f.client), "keep-alive"));
	assert_true(f.client->got_end);
	assert_int_equal(seen.requests, 2);
}

/* Where a head is wrong is told of that head alone. */
static void the_fault_of_a_head(void **state)
{
	struct fake_peer *second;

	(void)state;
	second = fake_worker_accept(f.worker, &keeper, FAKE_LISTEN, FAILURE_NONE);
	say(f.client, "GET / HTTP/1.1\r\nHost: x\r\n bad\r\n\r\n");
	expect(f.client, "line 3");
	assert_string_equal(cause_fault(), "");
	say(second, "GET ");
	worker_fixture_pass(&f, 20000);
	assert_null(strstr(got(second), "line"));
	assert_int_equal(seen.requests, 0);
}

/* A client that is refused is answered whatever it says, with a body or as no head at all. */
static void what_a_refused_one_says(void **state)
{
	static const struct {
		const char *says, *status;
	} cases[] = {
		{POST "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 403 "},
		{POST "Content-Length: 3\r\n\r\nabc" SELF, "HTTP/1.1 403 "},
		{"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n" SELF, "HTTP/1.1 403 "},
		{"nonsense\r\n\r\n", "HTTP/1.1 400 "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake_peer *peer =
			fake_worker_accept(f.worker, &keeper, "192.0.2.7", FAILURE_DENIED_CLIENT);
		const char *text;

		say(peer, cases[i].says);
		text = got(peer);
		assert_memory_equal(text, cases[i].status, strlen(cases[i].status));
		assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
		assert_null(strstr(text + 1, "HTTP/1.1 "));
		assert_true(peer->got_end && !peer->got_reset);
	}
	assert_int_equal(seen.requests, 0);
	assert_int_equal(stats->requests, COUNT(cases));
}

/* ---- bodies --------------------------------------------------------------------------------- */

/* In two pieces, cut anywhere; and the next request behind it. */
static void a_body_in_pieces(void **state)
{
	static const char *const bodies[] = {
		"Content-Length: 3\r\n\r\nabc",
		"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
		"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nHost: x\r\n%s", bodies[i]);
		for (size_t cut = 0; cut <= strlen(text); cut++) {
			seen.body_n = seen.ends = seen.requests = 0;
			fake_peer_say(f.client, slice_of(text, cut));
			worker_fixture_settle(&f);
			assert_int_equal(seen.ends, cut == strlen(text));
			fake_peer_say(f.client, slice_str(text + cut));
			worker_fixture_settle(&f);
			expect_body("abc");
			assert_int_equal(seen.ends, 1);
			answer();
			expect(f.client, "HTTP/1.1 204 ");
		}
	}
	assert_int_equal(stats->client_bytes_in, f.client->said.n);
	assert_non_null(f.client->conn);
}

/* The front end has enough for now: no more is read, and the client is not waited for. */
static void a_body_that_waits(void **state)
{
	(void)state;
	seen.takes_no_more = true;
	say(f.client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nab");
	expect_body("ab");
	say(f.client, "cd");
	assert_int_equal(f.client->said.n - f.client->said.done, 2);
	worker_fixture_pass(&f, 60000);
	expect_body("ab");
	exchange_resume(seen.x);
	worker_fixture_settle(&f);
	expect_body("abcd");
	seen.takes_no_more = false;
	exchange_resume(seen.x);
	worker_fixture_pass(&f, 6999);
	assert_int_equal(seen.cancels, 0);
	say(f.client, "ef");
	expect_body("abcdef");
	assert_int_equal(seen.ends, 1);
	answer();
	expect(f.client, "HTTP/1.1 204 ");
	assert_false(f.client->got_end);
}

/* No byte of it is taken before it is let go; what is let go of another exchange is none of it. */
static void a_body_that_is_held(void **state)
{
	struct exchange other = {.sink = NULL};
	struct answer_sink *sink;

	(void)state;
	seen.holds = true;
	say(f.client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
	sink = seen.x->sink;
	exchange_resume(seen.x);
	sink->kind->let_go(sink, &other);
	worker_fixture_pass(&f, 60000);
	expect_body("");
	sink->kind->let_go(sink, seen.x);
	worker_fixture_settle(&f);
	expect_body("ab");
	answer();
	/* one that was answered while it was held leaves nothing of it to the next */
	say(f.client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	answer();
	seen.holds = false;
	seen.body_n = 0;
	say(f.client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\ncd");
	expect_body("cd");
	answer();
	assert_false(f.client->got_end);
}

/* An answer before the end of the body is the last, and says so; the rest is read and not taken. */
static void it_is_answered_before_its_end(void **state)
{
	(void)state;
	say(f.client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nab");
	answer();
	expect(f.client, "\r\nConnection: close\r\n");
	assert_true(f.client->got_end);
	say(f.client, "cdef" SELF);
	expect_body("ab");
	assert_int_equal(seen.requests, 1);
	assert_string_equal(got(f.client), "");
}

/* It fails: the front end hears of it first, and the client is told that this was the last. */
static void a_body_that_fails(void **state)
{
	static const struct {
		const char *text, *status;
		enum failure failure;
	} cases[] = {
		{"Transfer-Encoding: chunked\r\n\r\n2\r\nabX" SELF, "HTTP/1.1 400 ",
		 FAILURE_BAD_BODY},
		{"Content-Length: 3\r\n\r\nab", "HTTP/1.1 408 ", FAILURE_REQUEST_BODY_TIMEOUT},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *text;

		worker_fixture_close(state);
		setup(state);
		fake_peer_say(f.client, SLICE("POST / HTTP/1.1\r\nHost: x\r\n"));
		say(f.client, cases[i].text);
		worker_fixture_pass(&f, i == 0 ? 0 : 7000);
		text = got(f.client);
		assert_memory_equal(text, cases[i].status, strlen(cases[i].status));
		assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
		assert_int_equal(stats->failure[cases[i].failure], 1);
		assert_int_equal(seen.cancels, 1);
		assert_int_equal(seen.requests, 1);
		assert_int_equal(seen.ends, 0);
		assert_true(f.client->got_end);
	}
}

/* Content comes in a share of the turn as well, and all of it before its end is seen. */
static void a_body_of_many_chunks(void **state)
{
	(void)state;
	fake_peer_say(f.client,
		      SLICE("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (unsigned i = 0; i < 12; i++)
		fake_peer_say(f.client, SLICE("1\r\nx\r\n"));
	fake_peer_say(f.client, SLICE("0\r\n\r\n"));
	fake_peer_end(f.client);
	fake_worker_turn(f.worker, false);
	assert_in_range(seen.body_n, 1, 11);
	worker_fixture_settle(&f);
	expect_body("xxxxxxxxxxxx");
	assert_int_equal(seen.ends, 1);
	assert_int_equal(seen.cancels, 0);
	answer();
	expect(f.client, "HTTP/1.1 204 ");
	assert_null(f.client->conn);
}

/* ---- tunnels that may be HTTP --------------------------------------------------------------- */

static int setup_tunnel(void **state)
{
	(void)state;
	open_with(&forward_frontend,
		  "connect_ports=80;tunnel_http=80;head_timeout=20s;keepalive_timeout=30s");
	say(f.client, "CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n");
	expect(f.client, "HTTP/1.1 200 ");
	assert_null(fake_peer_connected(0));
	return 0;
}

/* As if it had been asked in absolute form, one after the other. */
static void a_tunnel_of_requests(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		say(f.client, "GET /x HTTP/1.1\r\n");
		assert_true(i > 0 || fake_peer_connected(0) == NULL);
		say(f.client, "Host: 10.0.0.1\r\n\r\n");
		assert_non_null(fake_peer_connected(0));
		expect(fake_peer_connected(0), "GET /x HTTP/1.1\r\nHost: 10.0.0.1\r\nVia: ");
		worker_fixture_pass(&f, 1000); /* the origin is what is waited for */
		say(fake_peer_connected(0), NO_CONTENT);
		expect(f.client, "HTTP/1.1 204 ");
	}
	assert_int_equal(stats->tunnel_requests, 3);
	assert_int_equal(stats->requests, 4);
	assert_null(fake_peer_connected(1));
	worker_fixture_pass(&f, 29999);
	assert_non_null(f.client->conn);
	worker_fixture_pass(&f, 1);
	assert_null(f.client->conn);
}

/* What is no request, or not for that origin, goes there as it came. */
static void a_tunnel_of_something_else(void **state)
{
	static const char *const texts[] = {"EHLO me\r\nmore", "\x16\x03\x01",
					    "GET / HTTP/1.1\r\n bad\r\n\r\n",
					    "GET / HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n", "X"};

	for (size_t i = 0; i < COUNT(texts); i++) {
		worker_fixture_close(state);
		setup_tunnel(state);
		say(f.client, texts[i]);
		if (i == 4) { /* one byte says nothing by itself, but with the end behind it */
			assert_null(fake_peer_connected(0));
			fake_peer_end(f.client);
			worker_fixture_settle(&f);
		}
		assert_non_null(fake_peer_connected(0));
		assert_string_equal(got(fake_peer_connected(0)), texts[i]);
		say(fake_peer_connected(0), "250 you");
		assert_string_equal(got(f.client), "250 you");
		assert_int_equal(stats->tunnel_requests, 0);
	}
}

/* It says nothing, and goes to the origin after a while: of when the 200 has gone out. */
static void a_tunnel_of_nothing(void **state)
{
	static const struct {
		size_t room;
		const char *says; /* before it takes the 200 */
		int64_t look_ms;
	} cases[] = {{SIZE_MAX, "", CLIENT_LOOK_MS},
		     {5, "", CLIENT_LOOK_MS},
		     {5, "GE", CLIENT_LOOK_MS},
		     {5, "GET / HTTP/1.1\r\nHost: ", 20000}};
	char said[64];

	for (size_t i = 0; i < COUNT(cases); i++) {
		worker_fixture_close(state);
		open_with(&forward_frontend, "connect_ports=80;tunnel_http=80;head_timeout=20s");
		f.client->room = cases[i].room;
		say(f.client, "CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n");
		if (cases[i].room != SIZE_MAX) {
			say(f.client, cases[i].says);
			worker_fixture_pass(&f, 2000);
			worker_fixture_take_all(&f);
		}
		worker_fixture_pass(&f, cases[i].look_ms / 2);
		f.client->room = SIZE_MAX;
		fake_conn_wake(f.client); /* for nothing: its time does not begin anew */
		worker_fixture_settle(&f);
		say(f.client, "G"); /* nor for a byte */
		worker_fixture_pass(&f, cases[i].look_ms - cases[i].look_ms / 2 - 1);
		assert_null(fake_peer_connected(0));
		worker_fixture_pass(&f, 1);
		assert_non_null(fake_peer_connected(0));
		snprintf(said, sizeof(said), "%sG", cases[i].says);
		assert_string_equal(got(fake_peer_connected(0)), said);
	}
}

/* The first line has its own time, and the head that of heads from when that line is there. */
static void a_tunnel_of_a_slow_head(void **state)
{
	(void)state;
	worker_fixture_pass(&f, 100);
	say(f.client, "GET / HTTP/1.1\r\nHo");
	worker_fixture_pass(&f, 15000);
	say(f.client, "st: ");
	worker_fixture_pass(&f, 4999);
	assert_null(fake_peer_connected(0));
	worker_fixture_pass(&f, 1);
	assert_non_null(fake_peer_connected(0));
	assert_string_equal(got(fake_peer_connected(0)), "GET / HTTP/1.1\r\nHost: ");
}

static void a_tunnel_whose_client_ends(void **state)
{
	(void)state;
	fake_peer_end(f.client);
	worker_fixture_settle(&f);
	assert_non_null(fake_peer_connected(0));
	assert_true(fake_peer_connected(0)->got_end);
	say(fake_peer_connected(0), "bye");
	assert_string_equal(got(f.client), "bye");
}

/* Both ways at once, when the 200 and what came with the CONNECT wait for room. */
static void a_tunnel_with_bytes_ahead(void **state)
{
	struct fake_peer *origin;

	(void)state;
	open_with(&forward_frontend, "connect_ports=81");
	f.client->room = 5;
	say(f.client, "CONNECT 10.0.0.1:81 HTTP/1.1\r\nHost: 10.0.0.1:81\r\n\r\nahead");
	origin = fake_peer_connected(0);
	assert_non_null(origin);
	say(origin, "first");
	say(f.client, ", behind");
	worker_fixture_take_all(&f);
	expect(f.client, "HTTP/1.1 200 OK\r\n");
	assert_memory_equal(f.client->got.p + f.client->got.n - 9, "\r\n\r\nfirst", 9);
	assert_string_equal(got(origin), "ahead, behind");
	assert_int_equal(stats->clients, 0); /* it is a tunnel's now */
	fake_peer_end(f.client);
	fake_peer_end(origin);
	worker_fixture_settle(&f);
	assert_null(f.client->conn);
}

/* ---- places --------------------------------------------------------------------------------- */

static const char *answered(struct fake_peer *peer)
{
	say(peer, SELF);
	return got(peer);
}

/* So many of one address, and so many in all; operators have places of their own. */
static void there_are_places_for_so_many(void **state)
{
	struct fake_peer *peers[6];

	(void)state;
	open_with(&forward_frontend, "clients_max=5;clients_per_address=3"); /* one is there */
	for (unsigned i = 0; i < 6; i++)
		peers[i] = fake_worker_accept(f.worker, &forward_frontend,
					      i < 3 ? FAKE_LISTEN : "127.0.0.2", FAILURE_NONE);
	assert_non_null(strstr(answered(peers[1]), "HTTP/1.1 204 "));
	assert_non_null(strstr(answered(peers[2]), "too_many_from_client"));
	assert_non_null(strstr(answered(peers[4]), "HTTP/1.1 204 "));
	assert_non_null(strstr(answered(peers[5]), "too_many_clients"));
	assert_int_equal(stats->client_refused, 2);
	assert_int_equal(stats->clients, 5);
	peers[0] = fake_worker_accept(f.worker, &admin_frontend, FAKE_LISTEN, FAILURE_NONE);
	say(peers[0], "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	expect(peers[0], "HTTP/1.1 204 ");
	assert_int_equal(stats->clients, 5);
}

/* Behind a load balancer it is the client's address that counts, once the header has named it. */
static void places_behind_a_load_balancer(void **state)
{
	struct fake_peer *peers[4];
	char header[64];

	(void)state;
	open_with(&forward_frontend, "clients_max=7;clients_per_address=2");
	for (unsigned i = 0; i < 4; i++) {
		peers[i] = fake_worker_accept_behind(f.worker, &forward_frontend, "10.9.9.9",
						     FAILURE_NONE);
		snprintf(header, sizeof(header), "PROXY TCP4 127.0.0.%u 192.0.2.1 1 2\r\n",
			 i < 3 ? 8 : 9);
		say(peers[i], header);
	}
	assert_non_null(strstr(answered(peers[1]), "HTTP/1.1 204 "));
	assert_non_null(strstr(answered(peers[2]), "too_many_from_client"));
	assert_non_null(strstr(answered(peers[3]), "HTTP/1.1 204 "));
	/* one that was refused before it said whose it is stays so */
	peers[0] = fake_worker_accept_behind(f.worker, &forward_frontend, "10.9.9.9",
					     FAILURE_TOO_MANY_CLIENTS);
	say(peers[0], "PROXY TCP4 127.0.0.10 192.0.2.1 1 2\r\n");
	assert_non_null(strstr(answered(peers[0]), "too_many_clients"));
	assert_int_equal(stats->client_refused, 2);
	assert_int_equal(fake_worker_told.headers, 0);
	/* and so many in all, before any header */
	for (unsigned i = 0; i < 4; i++)
		peers[i] = fake_worker_accept_behind(f.worker, &forward_frontend, "10.9.9.9",
						     FAILURE_NONE);
	assert_int_equal(stats->client_refused, 3);
	say(peers[0], "X"); /* one byte is no header */
	assert_null(peers[0]->conn);
	assert_int_equal(fake_worker_told.headers, 1);
	assert_int_equal(stats->proxy_header_bad, 1);
}

/* What it said before it was accepted is read at once. */
static void what_is_there_is_read_at_once(void **state)
{
	struct fake_peer *peer, *behind;
	struct accepted accepted = {.frontend = &forward_frontend};

	(void)state;
	open_with(&forward_frontend, "");
	assert_true(address_parse(SLICE("127.0.0.1"), &accepted.peer));
	peer = fake_peer_new();
	behind = fake_peer_new();
	fake_bytes_add(&peer->said, SLICE(SELF));
	fake_bytes_add(&behind->said, SLICE("PROXY UNKNOWN\r\n" SELF));
	accepted.fd = peer->fd;
	client_new(&f.worker->clients, &accepted, FAILURE_NONE);
	assert_int_equal(stats->requests, 1);
	accepted.fd = behind->fd;
	client_new_behind(&f.worker->clients, &accepted, FAILURE_NONE);
	assert_int_equal(stats->requests, 2);
	worker_fixture_settle(&f);
	expect(peer, "HTTP/1.1 204 ");
	expect(behind, "HTTP/1.1 204 ");
}

/* There is no memory for a connection: it is as if it had not come, but counted. */
static void a_connection_that_cannot_be_had(void **state)
{
	struct fake_peer *peer;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		fake_conn_fail(0, ENOMEM);
		peer = (i == 0 ? fake_worker_accept : fake_worker_accept_behind)(
			f.worker, &keeper, FAKE_LISTEN, FAILURE_NONE);
		assert_true(fake_conn_fail_never());
		assert_null(peer->conn);
		assert_int_equal(stats->client_refused, i + 1);
	}
	assert_int_equal(stats->clients, 1);
}

/* ---- handshakes ----------------------------------------------------------------------------- */

/* Why it failed is told once. */
static void handshakes_that_fail_are_told(void **state)
{
	struct fake_peer *peer = tls_client("127.0.0.7");

	(void)state;
	say(peer, "\x80\x2e");
	assert_int_equal(fake_worker_told.handshakes, 1);
	assert_string_equal(fake_worker_told.why, "it does not begin as TLS does");
	assert_string_equal(cause_text(), "");
	/* what follows is read, so that it brings no RST */
	say(peer, "more");
	assert_int_equal(peer->said.done, peer->said.n);
	peer = tls_client("127.0.0.7");
	worker_fixture_pass(&f, 60000);
	assert_int_equal(fake_worker_told.handshakes, 2);
	assert_string_equal(fake_worker_told.why, "the handshake was not finished");
}

/* HTTP without TLS, when no more can be told no. */
static void one_without_tls_too_many(void **state)
{
	struct fake_peer *peer;

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		fake_worker_accept(f.worker, &keeper, "127.0.0.7", FAILURE_DENIED_CLIENT);
	peer = tls_client("127.0.0.7");
	say(peer, SELF);
	assert_null(peer->conn);
	assert_int_equal(stats->failure[FAILURE_CLIENT_TLS_PLAIN], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, worker_fixture_close)
#define TUNNEL(name) cmocka_unit_test_setup_teardown(name, setup_tunnel, worker_fixture_close)
#define PLAIN(name) cmocka_unit_test_teardown(name, worker_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_is_described),
		TEST(older_clients_of_an_origin),
		TEST(the_fault_of_a_head),
		TEST(what_a_refused_one_says),
		TEST(a_body_in_pieces),
		TEST(a_body_that_waits),
		TEST(a_body_that_is_held),
		TEST(it_is_answered_before_its_end),
		TEST(a_body_that_fails),
		TEST(a_body_of_many_chunks),
		TUNNEL(a_tunnel_of_requests),
		TUNNEL(a_tunnel_of_something_else),
		TUNNEL(a_tunnel_of_nothing),
		TUNNEL(a_tunnel_of_a_slow_head),
		TUNNEL(a_tunnel_whose_client_ends),
		PLAIN(a_tunnel_with_bytes_ahead),
		PLAIN(there_are_places_for_so_many),
		PLAIN(places_behind_a_load_balancer),
		PLAIN(what_is_there_is_read_at_once),
		TEST(a_connection_that_cannot_be_had),
		TEST(handshakes_that_fail_are_told),
		TEST(one_without_tls_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
