/* LINKS: proxy/origin tests/doubles/origin_world.c tests/doubles/fake_conn.c tests/doubles/fake_resolver.c tests/doubles/counted_memory.c */
/* From a route to a connection: each step by itself, how long it may take, and what is told and left when it fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/stats/stats.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/fake_conn.h"
#include "tests/doubles/fake_resolver.h"
#include "tests/doubles/origin_world.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HEAD "CONNECT www.test:443 HTTP/1.1\r\nHost: www.test:443\r\n\r\n"
#define OPENED "HTTP/1.1 200 OK\r\n\r\n"

enum { FIRST_BYTE_MS = 3000 };

/* What came of it. */
struct dialed {
	struct dialer *dialer;
	unsigned calls;
	enum failure failure;
	struct conn *conn;
	char to[ADDRESS_TEXT_SIZE], cause[256], early[64];
	struct origin_times times;
};

static const struct parent parent = {.host = {"10.0.0.8", 8}, .port = 8080};

/* Ways to an origin. */
static const struct route plain = {.host = {"10.0.0.1", 8}, .port = 80};
static const struct route by_tls = {.host = {"10.0.0.1", 8}, .port = 443, .tls = true};
static const struct route by_parent = {.host = {"www.test", 8}, .port = 80, .parent = &parent};
static const struct route by_tunnel = {
	.host = {"www.test", 8}, .port = 443, .tunnel = true, .parent = &parent};
static const struct route by_tunnel_and_tls = {
	.host = {"www.test", 8}, .port = 443, .tls = true, .tunnel = true, .parent = &parent};

static int open_world(void **state)
{
	world_open(state);
	world_set("first_byte_timeout=3s;interim_responses=2");
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	fake_conn_secures(FAILURE_NONE);
	return 0;
}

static void nothing(void *owner)
{
	(void)owner;
}

static const struct conn_events owned = {
	.readable = nothing,
	.writable = nothing,
	.expired = nothing,
};

static void done(void *context, enum failure failure, struct conn *conn,
		 const struct destination *to, struct slice early)
{
	struct dialed *dialed = context;

	dialed->calls++;
	dialed->dialer = NULL;
	dialed->failure = failure;
	dialed->conn = conn;
	assert_int_equal(failure == FAILURE_NONE, conn != NULL);
	assert_int_equal(failure == FAILURE_NONE, to != NULL);
	if (conn != NULL) {
		conn_own(conn, &owned, NULL);
		conn_watch(conn, false, false);
		address_format_port(&to->address, dialed->to);
	}
	snprintf(dialed->early, sizeof(dialed->early), "%.*s", (int)early.n, early.p);
	snprintf(dialed->cause, sizeof(dialed->cause), "%s", cause_text());
}

static struct dialer *begin(struct dialed *dialed, const struct route *route)
{
	const struct dial dial = {.route = route,
				  .holder = WORLD_HOLDER,
				  .connect = route->tunnel ? SLICE(HEAD) : slice_of("", 0),
				  .times = &dialed->times};

	*dialed = (struct dialed){.calls = 0};
	world.turn.now_ms = fake_conn_now_ms();
	dialed->dialer = dialer_start(&world.dialers, &dial, done, dialed);
	assert_int_equal(dialed->calls, 0);
	return dialed->dialer;
}

/* The far end of the connection made last, which is under way. */
static struct fake_peer *peer_now(void)
{
	struct fake_peer *peer = NULL;

	for (unsigned i = 0; fake_peer_connected(i) != NULL; i++)
		peer = fake_peer_connected(i);
	assert_non_null(peer);
	assert_non_null(peer->conn);
	return peer;
}

static struct fake_peer *start(struct dialed *dialed, const struct route *route)
{
	assert_non_null(begin(dialed, route));
	world_settle();
	return peer_now();
}

/* As far as connected, after 30 ms; at once nothing else has happened. */
static struct fake_peer *start_connected(struct dialed *dialed, const struct route *route)
{
	struct fake_peer *peer = start(dialed, route);

	world_pass(30);
	fake_peer_decide(peer, 0);
	world_settle();
	return peer;
}

static void say(struct fake_peer *peer, const char *text)
{
	fake_peer_say(peer, slice_str(text));
	world_settle();
}

static void expect_failure(const struct dialed *dialed, enum failure failure, const char *cause)
{
	assert_int_equal(dialed->calls, 1);
	assert_string_equal(failure_name(dialed->failure), failure_name(failure));
	assert_string_equal(dialed->cause, cause);
	assert_string_equal(dialed->early, "");
	assert_string_equal(cause_text(), "");
	assert_int_equal(fake_conn_open(), 0);
}

static void expect_connection(const struct dialed *dialed, const char *to, const char *early)
{
	assert_int_equal(dialed->calls, 1);
	assert_string_equal(failure_name(dialed->failure), "none");
	assert_string_equal(dialed->to, to);
	assert_string_equal(dialed->early, early);
	assert_string_equal(dialed->cause, "");
	assert_int_equal(fake_conn_open(), 1);
	conn_close(dialed->conn);
}

/* ---- directly ------------------------------------------------------------------------------- */

static void a_plain_one_is_ready_when_connected(void **state)
{
	struct dialed dialed;

	(void)state;
	assert_false(start_connected(&dialed, &plain)->secured);
	assert_int_equal(dialed.times.connect_us, 30000);
	assert_int_equal(dialed.times.tls_us, 0);
	expect_connection(&dialed, "10.0.0.1:80", "");
	/* in absolute-form the parent is whom it goes to, and no tunnel is asked for */
	assert_int_equal(fake_peer_got(start_connected(&dialed, &by_parent)).n, 0);
	expect_connection(&dialed, "10.0.0.8:8080", "");
}

static void tls_follows_within_the_same_time(void **state)
{
	uint64_t handshakes = stats->origin_tls.count;
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	peer = start(&dialed, &by_tls);
	world_pass(30);
	peer->room = 0;
	fake_peer_decide(peer, 0);
	world_settle();
	assert_true(peer->secured);
	assert_int_equal(dialed.calls, 0);
	world_pass(20);
	peer->room = SIZE_MAX;
	world_settle();
	assert_int_equal(dialed.times.connect_us, 30000);
	assert_int_equal(dialed.times.tls_us, 20000);
	assert_int_equal(stats->origin_tls.count - handshakes, 1);
	assert_int_equal(fake_conn_next_ms() - fake_conn_now_ms(), WORLD_CONNECT_MS - 50);
	expect_connection(&dialed, "10.0.0.1:443", "");
	/* time is up */
	peer = start(&dialed, &by_tls);
	peer->room = 0;
	world_pass(30);
	fake_peer_decide(peer, 0);
	world_pass(WORLD_CONNECT_MS - 31);
	assert_int_equal(dialed.calls, 0);
	world_pass(1);
	expect_failure(&dialed, FAILURE_TLS_TIMEOUT, "");
	assert_int_equal(stats->origin_tls.count - handshakes, 1);
}

static void tls_may_fail(void **state)
{
	uint64_t handshakes = stats->origin_tls.count;
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	fake_conn_secures(FAILURE_TLS_CERTIFICATE);
	peer = start(&dialed, &by_tls);
	peer->room = 0;
	fake_peer_decide(peer, 0);
	world_settle();
	world_pass(20);
	peer->room = SIZE_MAX;
	world_settle();
	expect_failure(&dialed, FAILURE_TLS_CERTIFICATE, "TLS with 10.0.0.1:443: ");
	assert_int_equal(dialed.times.tls_us, 20000);
	assert_int_equal(stats->origin_tls.count - handshakes, 0);
	/* it cannot begin */
	peer = start(&dialed, &by_tls);
	fake_peer_decide(peer, 0);
	fake_conn_fail(0, ENOMEM);
	world_settle();
	assert_true(fake_conn_fail_never());
	expect_failure(&dialed, FAILURE_TLS_CERTIFICATE, "");
}

/* ---- the parent's tunnel -------------------------------------------------------------------- */

static void a_tunnel_is_asked_for_and_opened(void **state)
{
	uint64_t out = stats->origin_bytes_out, in = stats->origin_bytes_in;
	static char filler[6000];
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	peer = start(&dialed, &by_tunnel);
	assert_int_equal(fake_peer_got(peer).n, 0);
	peer->room = 10;
	fake_peer_decide(peer, 0);
	world_settle();
	assert_int_equal(fake_peer_got(peer).n, 10);
	peer->room = SIZE_MAX;
	world_settle();
	assert_memory_equal(fake_peer_got(peer).p, HEAD, sizeof(HEAD) - 1);
	assert_int_equal(fake_peer_got(peer).n, sizeof(HEAD) - 1);
	assert_int_equal(stats->origin_bytes_out - out, sizeof(HEAD) - 1);
	say(peer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Pro");
	assert_int_equal(dialed.calls, 0);
	say(peer, "cessing\r\n\r\nHTTP/1.1 299 Fine\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(stats->origin_bytes_in - in, peer->said.n);
	expect_connection(&dialed, "10.0.0.8:8080", "");
	/* in parts, one of them longer than what is read at once */
	peer = start_connected(&dialed, &by_tunnel);
	say(peer, "HTTP/1.1 200 OK\r\nA: b\r\nC: ");
	memset(filler, 'a', sizeof(filler) - 1);
	fake_peer_say(peer, slice_str(filler));
	say(peer, "\r\n\r\n");
	expect_connection(&dialed, "10.0.0.8:8080", "");
	in = stats->origin_bytes_in;
	/* the far end may speak first */
	peer = start_connected(&dialed, &by_tunnel);
	say(peer, OPENED "SSH-2.0\r\n");
	expect_connection(&dialed, "10.0.0.8:8080", "SSH-2.0\r\n");
	assert_int_equal(stats->origin_bytes_in - in, peer->said.n);
	assert_int_equal(stats->origin_bytes_out - out, 3 * (sizeof(HEAD) - 1));
}

static void what_a_parent_may_answer(void **state)
{
	static const struct {
		const char *answer;
		enum failure failure;
		const char *cause;
	} cases[] = {
		{"HTTP/1.1 407 Who\r\n\r\n", FAILURE_PARENT_AUTHENTICATION,
		 "the parent answered CONNECT with 407"},
		{"HTTP/1.1 403 No\r\n\r\n", FAILURE_PARENT_REFUSED,
		 "the parent answered CONNECT with 403"},
		{"HTTP/1.1 300 Many\r\n\r\n", FAILURE_PARENT_REFUSED,
		 "the parent answered CONNECT with 300"},
		{"HTTP/1.1 101 Switching\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
		 FAILURE_PARENT_REFUSED, ""},
		{"HTTP/1.1 100 a\r\n\r\nHTTP/1.1 100 b\r\n\r\nHTTP/1.1 100 c\r\n\r\n",
		 FAILURE_TOO_MANY_INTERIM, ""},
		{"SSH-2.0-OpenSSH\r\n\r\n", FAILURE_BAD_RESPONSE, ""},
	};
	struct dialed dialed;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct fake_peer *peer = start_connected(&dialed, &by_tunnel);

		say(peer, cases[i].answer);
		expect_failure(&dialed, cases[i].failure, cases[i].cause);
	}
}

/* As many interim answers as the option says, be it none. */
static void interim_answers_are_bounded(void **state)
{
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	peer = start_connected(&dialed, &by_tunnel);
	say(peer, "HTTP/1.1 100 a\r\n\r\n");
	say(peer, "HTTP/1.1 100 a\r\n\r\n");
	assert_int_equal(dialed.calls, 0);
	say(peer, "HTTP/1.1 100 a\r\n\r\n");
	expect_failure(&dialed, FAILURE_TOO_MANY_INTERIM, "");
	world_set("interim_responses=0");
	peer = start_connected(&dialed, &by_tunnel);
	say(peer, "HTTP/1.1 100 a\r\n\r\n");
	expect_failure(&dialed, FAILURE_TOO_MANY_INTERIM, "");
	peer = start_connected(&dialed, &by_tunnel);
	say(peer, OPENED);
	expect_connection(&dialed, "10.0.0.8:8080", "");
}

static void a_parent_that_goes_away(void **state)
{
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	peer = start_connected(&dialed, &by_tunnel);
	fake_peer_end(peer);
	world_settle();
	expect_failure(&dialed, FAILURE_PARENT_REFUSED, "");
	peer = start_connected(&dialed, &by_tunnel);
	fake_peer_reset(peer);
	world_settle();
	expect_failure(&dialed, FAILURE_PARENT_REFUSED, "");
	/* with what it has said before it is reported, although the head was not sent whole */
	peer = start(&dialed, &by_tunnel);
	peer->room = 10;
	fake_peer_say(peer, SLICE("HTTP/1.1 407 Who\r\n\r\n"));
	fake_peer_end(peer);
	fake_peer_decide(peer, 0);
	world_settle();
	expect_failure(&dialed, FAILURE_PARENT_AUTHENTICATION,
		       "the parent answered CONNECT with 407");
	/* it cannot be sent at all */
	peer = start(&dialed, &by_tunnel);
	fake_peer_decide(peer, 0);
	fake_conn_fail(0, EPIPE);
	world_settle();
	expect_failure(&dialed, FAILURE_PARENT_REFUSED, "");
}

static void its_answer_has_a_time_of_its_own(void **state)
{
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	peer = start_connected(&dialed, &by_tunnel);
	world_pass(1000);
	say(peer, "HTTP/1.1 100 a\r\n\r\n"); /* puts nothing off */
	fake_conn_wake(peer);
	world_pass(FIRST_BYTE_MS - 1001);
	assert_int_equal(dialed.calls, 0);
	world_pass(1);
	expect_failure(&dialed, FAILURE_PARENT_TIMEOUT, "");
}

static void tls_within_a_tunnel(void **state)
{
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	peer = start_connected(&dialed, &by_tunnel_and_tls);
	assert_false(peer->secured);
	world_pass(2000);
	peer->room = 0;
	say(peer, OPENED);
	assert_true(peer->secured);
	world_pass(WORLD_CONNECT_MS - 1); /* its own time, not what was left */
	assert_int_equal(dialed.calls, 0);
	peer->room = SIZE_MAX;
	world_settle();
	assert_int_equal(dialed.times.tls_us, (WORLD_CONNECT_MS - 1) * 1000);
	expect_connection(&dialed, "10.0.0.8:8080", "");
	peer = start_connected(&dialed, &by_tunnel_and_tls);
	peer->room = 0;
	say(peer, OPENED);
	world_pass(WORLD_CONNECT_MS);
	expect_failure(&dialed, FAILURE_TLS_TIMEOUT, "");
	/* no server of TLS speaks first */
	peer = start_connected(&dialed, &by_tunnel_and_tls);
	say(peer, OPENED "a");
	expect_failure(&dialed, FAILURE_TLS_PROTOCOL, "");
}

/* ---- the next hop --------------------------------------------------------------------------- */

/* Of a parent it is the parent's failure; what is not about whom we connect to stays what it is. */
static void whose_failure_it_is(void **state)
{
	static const struct {
		int error;
		enum failure directly, parents;
	} cases[] = {
		{ECONNREFUSED, FAILURE_ORIGIN_REFUSED, FAILURE_PARENT_DOWN},
		{EHOSTUNREACH, FAILURE_ORIGIN_UNREACHABLE, FAILURE_PARENT_DOWN},
		{ETIMEDOUT, FAILURE_CONNECT_TIMEOUT, FAILURE_PARENT_TIMEOUT},
		{EMFILE, FAILURE_TOO_MANY_ORIGIN, FAILURE_TOO_MANY_ORIGIN},
	};
	struct dialed dialed;
	char cause[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fake_peer_decide(start(&dialed, &plain), cases[i].error);
		world_settle();
		snprintf(cause, sizeof(cause), "connect to 10.0.0.1:80: %s",
			 strerror(cases[i].error));
		expect_failure(&dialed, cases[i].directly, cause);
		fake_peer_decide(start(&dialed, &by_tunnel), cases[i].error);
		world_settle();
		snprintf(cause, sizeof(cause), "connect to 10.0.0.8:8080: %s",
			 strerror(cases[i].error));
		expect_failure(&dialed, cases[i].parents, cause);
	}
}

static void whose_name_it_is(void **state)
{
	static const struct {
		enum failure failure, parents;
	} cases[] = {
		{FAILURE_DNS_ERROR, FAILURE_PARENT_DOWN},
		{FAILURE_DNS_TIMEOUT, FAILURE_PARENT_TIMEOUT},
		{FAILURE_TOO_MANY_LOOKUPS, FAILURE_TOO_MANY_LOOKUPS},
	};
	const struct parent named = {.host = SLICE("parent.test"), .port = 8080};
	struct route route = by_tunnel;
	struct dialed dialed;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fake_resolver_fail(world.resolver, "parent.test", cases[i].failure, 0);
		fake_resolver_fail(world.resolver, "www.test", cases[i].failure, 0);
		route.parent = &named;
		assert_non_null(begin(&dialed, &route));
		world_settle();
		expect_failure(&dialed, cases[i].parents, "");
		route = (struct route){.host = SLICE("www.test"), .port = 80};
		assert_non_null(begin(&dialed, &route));
		world_settle();
		expect_failure(&dialed, cases[i].failure, "");
		route = by_tunnel;
	}
}

/* Networks that clients may not reach, the operator's own servers may be in. */
static void what_the_operator_chose_is_not_judged(void **state)
{
	const struct parent near = {.host = SLICE("192.168.0.8"), .port = 8080};
	struct route route = {.host = SLICE("192.168.0.1"), .port = 80};
	struct dialed dialed;

	(void)state;
	assert_non_null(begin(&dialed, &route));
	world_settle();
	expect_failure(&dialed, FAILURE_DENIED_PRIVATE, "address 192.168.0.1:80");
	route.chosen = true;
	start_connected(&dialed, &route);
	expect_connection(&dialed, "192.168.0.1:80", "");
	route = by_parent;
	route.parent = &near;
	start_connected(&dialed, &route);
	expect_connection(&dialed, "192.168.0.8:8080", "");
	route = (struct route){.host = SLICE("app.test"), .socket = "/run/app"};
	assert_int_equal(start_connected(&dialed, &route)->address.any.sa_family, AF_UNIX);
	conn_close(dialed.conn);
}

/* ---- cancelled, and without memory ---------------------------------------------------------- */

static void what_is_cancelled_is_not_told(void **state)
{
	struct fake_peer *peer;
	struct dialed dialed;

	(void)state;
	for (unsigned step = 0; step < 3; step++) {
		peer = start(&dialed, &by_tunnel_and_tls);
		if (step > 0)
			fake_peer_decide(peer, 0);
		world_settle();
		peer->room = 0;
		if (step > 1)
			say(peer, OPENED);
		assert_true(peer->secured == (step > 1));
		dialer_cancel(dialed.dialer);
		world_settle();
		assert_int_equal(dialed.calls, 0);
		assert_int_equal(fake_conn_open(), 0);
	}
}

/* Each allocation fails once: of those before it has begun nothing comes, the others are told. */
static void memory_runs_out_at_each_step(void **state)
{
	struct dialed dialed;
	unsigned none = 0, told = 0;
	size_t n;

	(void)state;
	fake_conn_connects(0);
	for (n = 0; n < 100; n++) {
		size_t before = allocations_so_far();
		struct fake_peer *peer;

		if (!fail_allocation(n))
			skip();
		if (begin(&dialed, &by_tunnel) == NULL) {
			fail_no_allocation();
			none++;
			continue;
		}
		world_settle();
		peer = fake_peer_connected(0) != NULL && fake_conn_open() > 0 ? peer_now() : NULL;
		if (peer != NULL)
			say(peer, OPENED "a");
		fail_no_allocation();
		world_settle();
		assert_int_equal(dialed.calls, 1);
		if (dialed.failure == FAILURE_NONE)
			conn_close(dialed.conn);
		else
			told++;
		if (allocations_so_far() - before <= n)
			break;
		assert_string_equal(cause_text(), "");
	}
	assert_int_equal(none, 3); /* the dialer, the head for the parent, the connector */
	assert_true(told > 0);
	assert_int_equal(dialed.failure, FAILURE_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, world_close)
	const struct CMUnitTest tests[] = {
		TEST(a_plain_one_is_ready_when_connected),
		TEST(tls_follows_within_the_same_time),
		TEST(tls_may_fail),
		TEST(a_tunnel_is_asked_for_and_opened),
		TEST(what_a_parent_may_answer),
		TEST(interim_answers_are_bounded),
		TEST(a_parent_that_goes_away),
		TEST(its_answer_has_a_time_of_its_own),
		TEST(tls_within_a_tunnel),
		TEST(whose_failure_it_is),
		TEST(whose_name_it_is),
		TEST(what_the_operator_chose_is_not_judged),
		TEST(what_is_cancelled_is_not_told),
		TEST(memory_runs_out_at_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
