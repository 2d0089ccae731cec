/* LINKS: proxy/origin tests/doubles/origin_world.c tests/doubles/fake_conn.c tests/doubles/fake_resolver.c tests/doubles/counted_memory.c */
/* A request and its answer: what is counted, how long each step may take, and what is told when it fails. */
#include "tests/support/origin_asker.h"

#include <errno.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/stats/stats.h"

/* ---- one request ---------------------------------------------------------------------------- */

static void a_request_and_its_answer_are_counted(void **state)
{
	uint64_t out = stats->origin_bytes_out, in = stats->origin_bytes_in;
	uint64_t requests = stats->origin_requests, reused = stats->origin_reused;
	uint64_t first_bytes = stats->origin_first_byte.count;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	assert_int_equal(stats->origins, 1);
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	assert_memory_equal(fake_peer_got(peer).p, HEAD, HEAD_N);
	assert_int_equal(
		budget_used(&world.budgets, BUDGET_ORIGIN, budget_thing(SLICE("h10.0.0.1:80"))), 1);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	assert_int_equal(asker_left_ms(), FIRST_BYTE_MS);
	world_pass(40);
	assert_false(origin_has_event(asked.origin));
	fake_conn_wake(peer); /* nothing is behind it */
	world_settle();
	assert_null(world.turn.in.borrower);
	assert_int_equal(asker_left_ms(), FIRST_BYTE_MS - 40);
	fake_peer_say(peer, SLICE(HELLO));
	assert_true(origin_has_event(asked.origin));
	assert_int_equal(asked.origin->times.first_byte_us, 0);
	world_settle();
	asker_expect_end(&asked, 200, "hello");
	assert_int_equal(asked.idle, 1);
	asker_expect_kept(1);
	assert_int_equal(asker_left_ms(), IDLE_MS);
	assert_int_equal(stats->origin_bytes_out - out, HEAD_N);
	assert_int_equal(stats->origin_bytes_in - in, sizeof(HELLO) - 1);
	assert_int_equal(stats->origin_requests - requests, 1);
	assert_int_equal(stats->origin_reused - reused, 0);
	assert_int_equal(stats->origin_first_byte.count - first_bytes, 1);
}

/* Each step of it is timed from its own beginning. */
static void the_first_byte_is_that_of_the_final_head(void **state)
{
	uint64_t sum_us = stats->origin_first_byte.sum_us;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	peer->read_max = 8;
	world_pass(100);
	asker_say(peer, INTERIM);
	world_pass(200);
	asker_say(peer, "HTTP/1.1 200 OK\r\nContent-");
	world_pass(50);
	asker_say(peer, "Length: 5\r\n\r\n");
	assert_int_equal(asked.origin->times.first_byte_us, 300000);
	assert_int_equal(stats->origin_first_byte.sum_us - sum_us, 300000);
	asker_say(peer, "hello");
	asker_expect_end(&asked, 200, "hello");
	/* one that came with the final head is not in the way of it */
	peer = asker_ask(&asked);
	world_pass(70);
	fake_peer_say(peer, SLICE(INTERIM));
	asker_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(asked.origin->times.first_byte_us, 70000);
	origin_cancel(asked.origin);
}

static void a_head_in_parts_has_one_time(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	world_pass(1000);
	asker_say(peer, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(asker_left_ms(), FIRST_BYTE_MS - 1000);
	world_pass(FIRST_BYTE_MS - 1001);
	assert_int_equal(asked.failures, 0);
	world_pass(1);
	asker_expect_failure(&asked, FAILURE_ORIGIN_TIMEOUT, "");
	/* after an interim one the next has a time of its own */
	peer = asker_ask(&asked);
	world_pass(FIRST_BYTE_MS - 1);
	asker_say(peer, INTERIM);
	assert_int_equal(asked.interims, 1);
	assert_int_equal(asker_left_ms(), FIRST_BYTE_MS);
	world_pass(FIRST_BYTE_MS);
	asker_expect_failure(&asked, FAILURE_ORIGIN_TIMEOUT, "");
}

static void content_that_stops(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(asker_left_ms(), BODY_MS);
	world_pass(BODY_MS - 1);
	asker_say(peer, "h"); /* each byte begins the time anew */
	assert_int_equal(asker_left_ms(), BODY_MS);
	world_pass(BODY_MS);
	asker_expect_failure(&asked, FAILURE_RESPONSE_BODY_TIMEOUT, "");
	assert_string_equal(asked.content, "h");
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
	fake_peer_end(peer);
	world_settle();
	asker_expect_failure(&asked, FAILURE_RESPONSE_CUT, "");
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
	asker_expect_failure(&asked, FAILURE_RESPONSE_CUT, "a chunk is malformed");
}

/* Content to the end of the connection ends with it, and not with a reset. */
static void content_until_the_end(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\n\r\nhello");
	fake_peer_end(peer);
	world_settle();
	asker_expect_end(&asked, 200, "hello");
	asker_expect_kept(0);
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\n\r\nhello");
	fake_peer_reset(peer);
	world_settle();
	asker_expect_failure(&asked, FAILURE_RESPONSE_CUT, "Connection reset by peer");
}

static void interim_answers_are_bounded(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	asker_say(peer, INTERIM INTERIM);
	assert_int_equal(asked.interims, 2);
	asker_say(peer, INTERIM);
	asker_expect_failure(&asked, FAILURE_TOO_MANY_INTERIM, "");
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n");
	asker_expect_failure(&asked, FAILURE_UNASKED_UPGRADE, "");
	/* the next request on the same connection has as many */
	for (unsigned i = 0; i < 2; i++) {
		peer = asker_ask(&asked);
		asker_say(peer, INTERIM INTERIM EMPTY);
		asker_expect_end(&asked, 200, "");
		assert_int_equal(asked.interims, 2);
		asker_expect_kept(1);
	}
	assert_int_equal(asker_connects(), 3);
}

static void what_is_no_answer(void **state)
{
	struct asked asked;

	(void)state;
	asker_say(asker_ask(&asked), "SSH-2.0\r\n\r\n");
	assert_string_equal(failure_name(asked.failure), "bad_response");
	assert_true(asked.cause[0] != '\0');
	asker_expect_failure(&asked, FAILURE_BAD_RESPONSE, asked.cause);
	asker_say(asker_ask(&asked), "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
	asker_expect_failure(&asked, FAILURE_BAD_RESPONSE, "a 407 asks the proxy for credentials");
	fake_peer_end(asker_ask(&asked));
	world_settle();
	asker_expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	fake_peer_reset(asker_ask(&asked));
	world_settle();
	asker_expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "Connection reset by peer");
}

static void another_protocol(void **state)
{
	static const char answer[] =
		"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\nearly";
	uint64_t first_bytes = stats->origin_first_byte.count;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask_for(&asked, &asker_upgrade);
	asker_say(peer, answer);
	assert_int_equal(asked.switches, 1);
	assert_int_equal(asked.status, 101);
	assert_string_equal(asked.early, "early");
	assert_int_equal(asked.failures + asked.heads + asked.ends + asked.interims, 0);
	assert_int_equal(stats->origins, 0);
	assert_int_equal(stats->origin_first_byte.count - first_bytes, 1);
	assert_int_equal(fake_conn_open(), 1);
	conn_close(asked.conn);
	/* before the request was sent it is none */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	peer = asker_ask_for(&asked, &asker_upgrade);
	peer->room = 10;
	fake_peer_decide(peer, 0);
	world_settle();
	fake_conn_connects(0);
	asker_say(peer, answer);
	assert_int_equal(asked.switches, 0);
	asker_expect_failure(&asked, FAILURE_UNASKED_UPGRADE, "");
	/* and the request after it on a kept connection asks for none */
	peer = asker_ask_for(&asked, &asker_upgrade);
	asker_say(peer, EMPTY);
	asker_expect_end(&asked, 200, "");
	peer = asker_ask(&asked);
	asker_say(peer, answer);
	asker_expect_failure(&asked, FAILURE_UNASKED_UPGRADE, "");
	assert_int_equal(asker_connects(), 3);
}

/* ---- content of the request ----------------------------------------------------------------- */

static void content_is_sent_and_drained(void **state)
{
	uint64_t out = stats->origin_bytes_out;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask_for(&asked, &asker_post);
	assert_int_equal(asker_left_ms(), -1); /* the client's deadlines stand */
	assert_true(origin_send(asked.origin, SLICE("one ")));
	peer->room = 2;
	assert_false(origin_send(asked.origin, SLICE("two ")));
	assert_int_equal(asker_left_ms(), BODY_MS);
	world_settle();
	assert_int_equal(asked.drained, 0);
	world_pass(BODY_MS - 1);
	peer->room = 1; /* with a rate of 0 each byte begins it anew */
	world_settle();
	assert_int_equal(asker_left_ms(), BODY_MS);
	assert_int_equal(asked.drained, 0);
	peer->room = SIZE_MAX;
	world_settle();
	assert_int_equal(asked.drained, 1);
	assert_int_equal(asker_left_ms(), -1);
	origin_send_end(asked.origin);
	assert_int_equal(asker_left_ms(), FIRST_BYTE_MS);
	assert_true(origin_send(asked.origin, SLICE("late")));
	origin_send_end(asked.origin);
	assert_int_equal(fake_peer_got(peer).n, HEAD_N + 8);
	assert_memory_equal(fake_peer_got(peer).p + HEAD_N, "one two ", 8);
	assert_int_equal(stats->origin_bytes_out - out, HEAD_N + 8);
	asker_say(peer, EMPTY);
	asker_expect_end(&asked, 200, "");
	assert_int_equal(asked.drained, 1);
	asker_expect_kept(1);
}

static void chunks_have_their_ends(void **state)
{
	static const char sent[] = "a\r\n0123456789\r\n3\r\nabc\r\n0\r\n\r\n";
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		size_t before = i == 0 ? 0 : fake_peer_got(asker_peer()).n;

		asker_begin(&asked, &asker_post_chunks);
		if (i == 0) /* not connected yet: it waits */
			assert_false(origin_send(asked.origin, SLICE("0123456789")));
		else
			assert_true(origin_send(asked.origin, SLICE("0123456789")));
		world_settle();
		peer = asker_peer();
		assert_int_equal(asked.drained, i == 0);
		assert_true(origin_send(asked.origin, SLICE("abc")));
		origin_send_end(asked.origin);
		assert_int_equal(fake_peer_got(peer).n - before, HEAD_N + sizeof(sent) - 1);
		assert_memory_equal(fake_peer_got(peer).p + before + HEAD_N, sent,
				    sizeof(sent) - 1);
		asker_say(peer, EMPTY);
		asker_expect_end(&asked, 200, "");
		asker_expect_kept(1);
	}
	assert_int_equal(asker_connects(), 1);
}

static void an_origin_that_does_not_take_it(void **state)
{
	uint64_t requests = stats->origin_requests;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask_for(&asked, &asker_post);
	peer->room = 0;
	assert_false(origin_send(asked.origin, SLICE("content")));
	world_pass(BODY_MS - 1);
	assert_int_equal(asked.failures, 0);
	world_pass(1);
	asker_expect_failure(&asked, FAILURE_ORIGIN_WRITE_TIMEOUT, "");
	/* nor the head */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	peer = asker_ask(&asked);
	peer->room = 10;
	fake_peer_decide(peer, 0);
	world_settle();
	assert_int_equal(asker_left_ms(), BODY_MS);
	peer->room = 10;
	world_settle();
	assert_int_equal(fake_peer_got(peer).n, 20);
	assert_memory_equal(fake_peer_got(peer).p, HEAD, 20);
	world_pass(BODY_MS);
	asker_expect_failure(&asked, FAILURE_ORIGIN_WRITE_TIMEOUT, "");
	fake_conn_connects(0);
	/* it takes it in two pieces */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	peer = asker_ask(&asked);
	peer->room = 10;
	fake_peer_decide(peer, 0);
	world_settle();
	peer->room = SIZE_MAX;
	world_settle();
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	assert_memory_equal(fake_peer_got(peer).p, HEAD, HEAD_N);
	assert_int_equal(stats->origin_requests - requests, 3);
	origin_cancel(asked.origin);
	fake_conn_connects(0);
	/* an answer that comes before all was sent is read, and the connection is not kept */
	peer = asker_ask_for(&asked, &asker_post);
	asker_say(peer, HELLO);
	asker_expect_end(&asked, 200, "hello");
	asker_expect_kept(0);
	peer = asker_ask_for(&asked, &asker_post);
	peer->room = 3;
	origin_send(asked.origin, SLICE("content"));
	origin_send_end(asked.origin);
	asker_say(peer, HELLO);
	asker_expect_end(&asked, 200, "hello");
	asker_expect_kept(0);
}

/* Sending breaks: what was said before is read, and no more is sent. */
static void a_connection_that_breaks_while_sending(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask_for(&asked, &asker_post);
	fake_peer_say(peer, SLICE("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"));
	fake_conn_fail(0, EPIPE);
	assert_true(origin_send(asked.origin, SLICE("one")));
	assert_true(fake_conn_fail_never());
	assert_true(origin_send(asked.origin, SLICE("two")));
	origin_send_end(asked.origin);
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	world_settle();
	asker_expect_end(&asked, 413, "");
	assert_int_equal(asked.idle, 0); /* not even for a moment */
	asker_expect_kept(0);
	/* before anything was sent, too */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	for (unsigned sent = 0; sent <= 10; sent += 10) {
		peer = asker_ask(&asked);
		peer->room = sent;
		fake_peer_decide(peer, 0);
		if (sent > 0)
			world_settle();
		fake_peer_say(peer, SLICE("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"));
		fake_conn_fail(0, EPIPE);
		peer->room = SIZE_MAX;
		world_settle();
		assert_int_equal(fake_peer_got(peer).n, sent);
		asker_expect_end(&asked, 413, "");
		assert_int_equal(asked.idle, 0); /* not even for a moment */
		asker_expect_kept(0);
	}
	fake_conn_connects(0);
	/* without an answer */
	peer = asker_ask_for(&asked, &asker_post);
	fake_conn_fail(0, ECONNRESET);
	assert_true(origin_send(asked.origin, SLICE("one")));
	assert_true(origin_send(asked.origin, SLICE("two")));
	world_settle();
	asker_expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "Connection reset by peer");
}

/* ---- by way of a parent --------------------------------------------------------------------- */

static struct fake_peer *ask_along(struct asked *asked, const struct route *way)
{
	const struct http_request req = {.method = METHOD_GET,
					 .uri = {.host = way->host, .port = way->port}};
	const struct origin_asker asker = {
		.holder = WORLD_HOLDER, .events = &asker_events, .context = asked};
	enum failure failure;
	struct buf head = {0};

	*asked = (struct asked){.takes = UINT32_MAX};
	assert_true(buf_append(&head, SLICE(HEAD)));
	asked->origin = origin_start(asker_origins, &req, way, &head, &asker, &failure);
	assert_non_null(asked->origin);
	world_settle();
	return asker_peer();
}

/* Who asks for credentials in whose place, and what goes through a tunnel. */
static void by_way_of_a_parent(void **state)
{
	static const struct parent parent = {
		.host = {"10.0.0.8", 8}, .port = 8080, .authorization = {"Basic YQ==", 10}};
	struct route way = {.host = {"www.test", 8}, .port = 80, .parent = &parent};
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask_along(&asked, &way);
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	asker_say(peer, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
	asker_expect_failure(&asked, FAILURE_PARENT_AUTHENTICATION,
			     "a 407 asks the proxy for credentials");
	way.tunnel = true;
	peer = ask_along(&asked, &way);
	assert_memory_equal(fake_peer_got(peer).p, "CONNECT www.test:80 HTTP/1.1\r\n", 30);
	assert_non_null(memmem(fake_peer_got(peer).p, fake_peer_got(peer).n,
			       "Proxy-Authorization: Basic YQ==\r\n", 33));
	asker_say(peer, "HTTP/1.1 200 OK\r\n\r\n");
	assert_memory_equal(fake_peer_got(peer).p + fake_peer_got(peer).n - HEAD_N, HEAD, HEAD_N);
	asker_say(peer, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
	asker_expect_failure(&asked, FAILURE_BAD_RESPONSE, "a 407 asks the proxy for credentials");
	peer = ask_along(&asked, &way);
	asker_say(peer, "HTTP/1.1 403 No\r\n\r\n");
	asker_expect_failure(&asked, FAILURE_PARENT_REFUSED,
			     "the parent answered CONNECT with 403");
}

static void a_connection_that_does_not_come(void **state)
{
	struct asked asked;

	(void)state;
	fake_conn_connects(ECONNREFUSED);
	asker_begin(&asked, &asker_get);
	assert_false(origin_has_event(asked.origin));
	world_settle();
	asker_expect_failure(&asked, FAILURE_ORIGIN_REFUSED,
			     "connect to 10.0.0.1:80: Connection refused");
	assert_int_equal(stats->origins, 0);
	/* nor is it waited for any more */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	asker_ask(&asked);
	origin_cancel(asked.origin);
	world_settle();
	assert_int_equal(fake_conn_open(), 0);
	assert_int_equal(asked.failures, 0);
	fake_conn_connects(0);
}

/* A part of an answer is, so that the next one comes; a whole one need not be. */
static void what_is_acknowledged_at_once(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(peer->acknowledged, 1);
	asker_say(peer, "Content-Length: 5\r\n\r\n");
	assert_int_equal(peer->acknowledged, 2);
	asker_say(peer, "hello");
	assert_int_equal(peer->acknowledged, 2);
	asker_ask(&asked);
	asker_say(peer, HELLO);
	asker_ask(&asked);
	asker_say(peer, EMPTY);
	asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	assert_int_equal(peer->acknowledged, 2);
	asker_say(peer, "llo");
	asker_expect_end(&asked, 200, "hello");
	assert_int_equal(asker_connects(), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, asker_open, asker_close)
	const struct CMUnitTest tests[] = {
		TEST(a_request_and_its_answer_are_counted),
		TEST(the_first_byte_is_that_of_the_final_head),
		TEST(a_head_in_parts_has_one_time),
		TEST(content_that_stops),
		TEST(content_until_the_end),
		TEST(interim_answers_are_bounded),
		TEST(what_is_no_answer),
		TEST(another_protocol),
		TEST(content_is_sent_and_drained),
		TEST(chunks_have_their_ends),
		TEST(an_origin_that_does_not_take_it),
		TEST(a_connection_that_breaks_while_sending),
		TEST(by_way_of_a_parent),
		TEST(a_connection_that_does_not_come),
		TEST(what_is_acknowledged_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
