/* LINKS: proxy/origin tests/doubles/origin_world.c tests/doubles/fake_conn.c tests/doubles/fake_resolver.c tests/doubles/counted_memory.c */
/* A request and its answer on a connection new or kept: what is counted, how long each step may take, and what the next request finds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/origin/origin.h"
#include "proxy/stats/stats.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/fake_conn.h"
#include "tests/doubles/fake_resolver.h"
#include "tests/doubles/origin_world.h"

#define HEAD "GET /a HTTP/1.1\r\nHost: o.test\r\n\r\n"
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define INTERIM "HTTP/1.1 103 Early\r\n\r\n"

enum {
	HEAD_N = sizeof(HEAD) - 1,
	FIRST_BYTE_MS = 3000,
	BODY_MS = 2000,
	IDLE_MS = 5000,
};

/* What came of it. */
struct asked {
	struct origin *origin;
	unsigned interims, heads, ends, failures, drained, switches;
	enum failure failure;
	unsigned status;
	bool mended, framing_trouble;
	char content[4096], cause[256], early[64];
	unsigned takes; /* pieces of content until it takes no more */
	struct conn *conn;
};

static struct origins *origins;

/* ---- an asker ------------------------------------------------------------------------------- */

static void interim(void *context, const struct http_response *res)
{
	struct asked *asked = context;

	asked->interims++;
	asked->status = res->status;
}

static void head(void *context, const struct http_response *res)
{
	struct asked *asked = context;

	asked->heads++;
	asked->status = res->status;
	asked->mended = res->mended;
	asked->framing_trouble = res->framing_trouble;
}

static bool content(void *context, struct slice content)
{
	struct asked *asked = context;
	size_t used = strlen(asked->content);

	assert_true(content.n > 0 && content.n < sizeof(asked->content) - used);
	assert_true(asked->takes > 0);
	memcpy(asked->content + used, content.p, content.n);
	return --asked->takes > 0;
}

static void end(void *context)
{
	struct asked *asked = context;

	asked->ends++;
	asked->origin = NULL;
}

static void failure(void *context, enum failure failure)
{
	struct asked *asked = context;

	asked->failures++;
	asked->failure = failure;
	asked->origin = NULL;
	snprintf(asked->cause, sizeof(asked->cause), "%s", cause_text());
}

static void drained(void *context)
{
	((struct asked *)context)->drained++;
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

static void switched(void *context, const struct http_response *res, struct conn *conn,
		     struct slice early)
{
	struct asked *asked = context;

	asked->switches++;
	asked->status = res->status;
	asked->conn = conn;
	asked->origin = NULL;
	snprintf(asked->early, sizeof(asked->early), "%.*s", SLICE_ARG(early));
	conn_own(conn, &owned, NULL);
	conn_watch(conn, false, false);
}

static const struct origin_events events = {
	.interim = interim,
	.switched = switched,
	.head = head,
	.content = content,
	.end = end,
	.failure = failure,
	.drained = drained,
};

/* ---- a world -------------------------------------------------------------------------------- */

static const struct http_request get = {.method = METHOD_GET};
static const struct http_request post = {.method = METHOD_POST, .body = BODY_LENGTH};
static const struct http_request post_chunks = {.method = METHOD_POST, .body = BODY_CHUNKED};
static const struct http_request upgrade = {.method = METHOD_GET, .upgrade = true};
static const struct route route = {.host = {"10.0.0.1", 8}, .port = 80};

static int open_world(void **state)
{
	world_open(state);
	world_set("first_byte_timeout=3s;body_timeout=2s;body_rate=0;origin_idle_timeout=5s;"
		  "interim_responses=2");
	origins = origins_new(&world.dialers, &world.admission);
	assert_non_null(origins);
	return 0;
}

/* What is kept is closed, and nobody is told of it. */
static int close_world(void **state)
{
	origins_free(origins);
	assert_int_equal(stats->origins, 0);
	assert_int_equal(stats->origins_idle, 0);
	return world_close(state);
}

static enum failure begin_as(struct asked *asked, const struct http_request *req,
			     const struct origin_asker *asker)
{
	enum failure failure = FAILURE_NONE;
	struct buf head = {0};

	*asked = (struct asked){.takes = UINT32_MAX};
	assert_true(buf_append(&head, SLICE(HEAD)));
	world.turn.now_ms = fake_conn_now_ms();
	asked->origin = origin_start(origins, req, &route, &head, asker, &failure);
	assert_int_equal(asked->failures + asked->heads + asked->ends, 0);
	assert_null(head.block);
	return failure;
}

static enum failure begin(struct asked *asked, const struct http_request *req)
{
	const struct origin_asker asker = {
		.holder = WORLD_HOLDER, .events = &events, .context = asked};

	return begin_as(asked, req, &asker);
}

static unsigned connects(void)
{
	unsigned count = 0;

	while (fake_peer_connected(count) != NULL)
		count++;
	return count;
}

/* The far end of the connection that was made last. */
static struct fake_peer *peer_now(void)
{
	assert_true(connects() > 0);
	return fake_peer_connected(connects() - 1);
}

/* Ask; the request is sent whole to whom is returned. */
static struct fake_peer *ask_for(struct asked *asked, const struct http_request *req)
{
	begin(asked, req);
	assert_non_null(asked->origin);
	world_settle();
	return peer_now();
}

static struct fake_peer *ask(struct asked *asked)
{
	return ask_for(asked, &get);
}

static void say(struct fake_peer *peer, const char *text)
{
	fake_peer_say(peer, slice_str(text));
	world_settle();
}

static void expect_end(const struct asked *asked, unsigned status, const char *content)
{
	assert_int_equal(asked->failures, 0);
	assert_int_equal(asked->heads, 1);
	assert_int_equal(asked->ends, 1);
	assert_int_equal(asked->status, status);
	assert_string_equal(asked->content, content);
}

static void expect_failure(const struct asked *asked, enum failure failure, const char *cause)
{
	assert_int_equal(asked->ends, 0);
	assert_int_equal(asked->failures, 1);
	assert_string_equal(failure_name(asked->failure), failure_name(failure));
	assert_string_equal(asked->cause, cause);
	assert_string_equal(cause_text(), "");
	assert_int_equal(
		budget_used(&world.budgets, BUDGET_ORIGIN, budget_thing(SLICE("h10.0.0.1:80"))), 0);
	assert_int_equal(fake_conn_open(), 0);
}

/* The connection is kept, and in a place for idle ones; or gone. */
static void expect_kept(unsigned kept)
{
	assert_int_equal(fake_conn_open(), kept);
	assert_int_equal(stats->origins, kept);
	assert_int_equal(stats->origins_idle, kept);
	assert_int_equal(budget_used(&world.budgets, BUDGET_IDLE, 0), kept);
	assert_int_equal(
		budget_used(&world.budgets, BUDGET_ORIGIN, budget_thing(SLICE("h10.0.0.1:80"))), 0);
}

/* ms from now until something of it is over. */
static int64_t left_ms(void)
{
	return fake_conn_next_ms() == INT64_MAX ? -1 : fake_conn_next_ms() - fake_conn_now_ms();
}

/* ---- one request ---------------------------------------------------------------------------- */

static void a_request_and_its_answer_are_counted(void **state)
{
	uint64_t out = stats->origin_bytes_out, in = stats->origin_bytes_in;
	uint64_t requests = stats->origin_requests, reused = stats->origin_reused;
	uint64_t first_bytes = stats->origin_first_byte.count;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask(&asked);
	assert_int_equal(stats->origins, 1);
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	assert_memory_equal(fake_peer_got(peer).p, HEAD, HEAD_N);
	assert_int_equal(
		budget_used(&world.budgets, BUDGET_ORIGIN, budget_thing(SLICE("h10.0.0.1:80"))), 1);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	assert_int_equal(left_ms(), FIRST_BYTE_MS);
	world_pass(40);
	assert_false(origin_has_event(asked.origin));
	fake_conn_wake(peer); /* nothing is behind it */
	world_settle();
	assert_null(world.turn.in.borrower);
	assert_int_equal(left_ms(), FIRST_BYTE_MS - 40);
	fake_peer_say(peer, SLICE(HELLO));
	assert_true(origin_has_event(asked.origin));
	assert_int_equal(asked.origin->times.first_byte_us, 0);
	world_settle();
	expect_end(&asked, 200, "hello");
	expect_kept(1);
	assert_int_equal(left_ms(), IDLE_MS);
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
	peer = ask(&asked);
	peer->read_max = 8;
	world_pass(100);
	say(peer, INTERIM);
	world_pass(200);
	say(peer, "HTTP/1.1 200 OK\r\nContent-");
	world_pass(50);
	say(peer, "Length: 5\r\n\r\n");
	assert_int_equal(asked.origin->times.first_byte_us, 300000);
	assert_int_equal(stats->origin_first_byte.sum_us - sum_us, 300000);
	say(peer, "hello");
	expect_end(&asked, 200, "hello");
	/* one that came with the final head is not in the way of it */
	peer = ask(&asked);
	world_pass(70);
	fake_peer_say(peer, SLICE(INTERIM));
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(asked.origin->times.first_byte_us, 70000);
	origin_cancel(asked.origin);
}

static void a_head_in_parts_has_one_time(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask(&asked);
	world_pass(1000);
	say(peer, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(left_ms(), FIRST_BYTE_MS - 1000);
	world_pass(FIRST_BYTE_MS - 1001);
	assert_int_equal(asked.failures, 0);
	world_pass(1);
	expect_failure(&asked, FAILURE_ORIGIN_TIMEOUT, "");
	/* after an interim one the next has a time of its own */
	peer = ask(&asked);
	world_pass(FIRST_BYTE_MS - 1);
	say(peer, INTERIM);
	assert_int_equal(asked.interims, 1);
	assert_int_equal(left_ms(), FIRST_BYTE_MS);
	world_pass(FIRST_BYTE_MS);
	expect_failure(&asked, FAILURE_ORIGIN_TIMEOUT, "");
}

static void content_that_stops(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(left_ms(), BODY_MS);
	world_pass(BODY_MS - 1);
	say(peer, "h"); /* each byte begins the time anew */
	assert_int_equal(left_ms(), BODY_MS);
	world_pass(BODY_MS);
	expect_failure(&asked, FAILURE_RESPONSE_BODY_TIMEOUT, "");
	assert_string_equal(asked.content, "h");
	peer = ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
	fake_peer_end(peer);
	world_settle();
	expect_failure(&asked, FAILURE_RESPONSE_CUT, "");
	peer = ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
	expect_failure(&asked, FAILURE_RESPONSE_CUT, "a chunk is malformed");
}

/* Content to the end of the connection ends with it, and not with a reset. */
static void content_until_the_end(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\n\r\nhello");
	fake_peer_end(peer);
	world_settle();
	expect_end(&asked, 200, "hello");
	expect_kept(0);
	peer = ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\n\r\nhello");
	fake_peer_reset(peer);
	world_settle();
	expect_failure(&asked, FAILURE_RESPONSE_CUT, "Connection reset by peer");
}

static void interim_answers_are_bounded(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask(&asked);
	say(peer, INTERIM INTERIM);
	assert_int_equal(asked.interims, 2);
	say(peer, INTERIM);
	expect_failure(&asked, FAILURE_TOO_MANY_INTERIM, "");
	peer = ask(&asked);
	say(peer, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n");
	expect_failure(&asked, FAILURE_UNASKED_UPGRADE, "");
	/* the next request on the same connection has as many */
	for (unsigned i = 0; i < 2; i++) {
		peer = ask(&asked);
		say(peer, INTERIM INTERIM EMPTY);
		expect_end(&asked, 200, "");
		assert_int_equal(asked.interims, 2);
		expect_kept(1);
	}
	assert_int_equal(connects(), 3);
}

static void what_is_no_answer(void **state)
{
	struct asked asked;

	(void)state;
	say(ask(&asked), "SSH-2.0\r\n\r\n");
	assert_string_equal(failure_name(asked.failure), "bad_response");
	assert_true(asked.cause[0] != '\0');
	expect_failure(&asked, FAILURE_BAD_RESPONSE, asked.cause);
	say(ask(&asked), "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
	expect_failure(&asked, FAILURE_BAD_RESPONSE, "a 407 asks the proxy for credentials");
	fake_peer_end(ask(&asked));
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	fake_peer_reset(ask(&asked));
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "Connection reset by peer");
}

static void another_protocol(void **state)
{
	static const char answer[] =
		"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\nearly";
	uint64_t first_bytes = stats->origin_first_byte.count;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask_for(&asked, &upgrade);
	say(peer, answer);
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
	peer = ask_for(&asked, &upgrade);
	peer->room = 10;
	fake_peer_decide(peer, 0);
	world_settle();
	fake_conn_connects(0);
	say(peer, answer);
	assert_int_equal(asked.switches, 0);
	expect_failure(&asked, FAILURE_UNASKED_UPGRADE, "");
	/* and the request after it on a kept connection asks for none */
	peer = ask_for(&asked, &upgrade);
	say(peer, EMPTY);
	expect_end(&asked, 200, "");
	peer = ask(&asked);
	say(peer, answer);
	expect_failure(&asked, FAILURE_UNASKED_UPGRADE, "");
	assert_int_equal(connects(), 3);
}

/* ---- content of the request ----------------------------------------------------------------- */

static void content_is_sent_and_drained(void **state)
{
	uint64_t out = stats->origin_bytes_out;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask_for(&asked, &post);
	assert_int_equal(left_ms(), -1); /* the client's deadlines stand */
	assert_true(origin_send(asked.origin, SLICE("one ")));
	peer->room = 2;
	assert_false(origin_send(asked.origin, SLICE("two ")));
	assert_int_equal(left_ms(), BODY_MS);
	world_settle();
	assert_int_equal(asked.drained, 0);
	world_pass(BODY_MS - 1);
	peer->room = 1; /* with a rate of 0 each byte begins it anew */
	world_settle();
	assert_int_equal(left_ms(), BODY_MS);
	assert_int_equal(asked.drained, 0);
	peer->room = SIZE_MAX;
	world_settle();
	assert_int_equal(asked.drained, 1);
	assert_int_equal(left_ms(), -1);
	origin_send_end(asked.origin);
	assert_int_equal(left_ms(), FIRST_BYTE_MS);
	assert_true(origin_send(asked.origin, SLICE("late")));
	origin_send_end(asked.origin);
	assert_int_equal(fake_peer_got(peer).n, HEAD_N + 8);
	assert_memory_equal(fake_peer_got(peer).p + HEAD_N, "one two ", 8);
	assert_int_equal(stats->origin_bytes_out - out, HEAD_N + 8);
	say(peer, EMPTY);
	expect_end(&asked, 200, "");
	assert_int_equal(asked.drained, 1);
	expect_kept(1);
}

static void chunks_have_their_ends(void **state)
{
	static const char sent[] = "a\r\n0123456789\r\n3\r\nabc\r\n0\r\n\r\n";
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		size_t before = i == 0 ? 0 : fake_peer_got(peer_now()).n;

		begin(&asked, &post_chunks);
		if (i == 0) /* not connected yet: it waits */
			assert_false(origin_send(asked.origin, SLICE("0123456789")));
		else
			assert_true(origin_send(asked.origin, SLICE("0123456789")));
		world_settle();
		peer = peer_now();
		assert_int_equal(asked.drained, i == 0);
		assert_true(origin_send(asked.origin, SLICE("abc")));
		origin_send_end(asked.origin);
		assert_int_equal(fake_peer_got(peer).n - before, HEAD_N + sizeof(sent) - 1);
		assert_memory_equal(fake_peer_got(peer).p + before + HEAD_N, sent,
				    sizeof(sent) - 1);
		say(peer, EMPTY);
		expect_end(&asked, 200, "");
		expect_kept(1);
	}
	assert_int_equal(connects(), 1);
}

static void an_origin_that_does_not_take_it(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask_for(&asked, &post);
	peer->room = 0;
	assert_false(origin_send(asked.origin, SLICE("content")));
	world_pass(BODY_MS - 1);
	assert_int_equal(asked.failures, 0);
	world_pass(1);
	expect_failure(&asked, FAILURE_ORIGIN_WRITE_TIMEOUT, "");
	/* nor the head */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	peer = ask(&asked);
	peer->room = 10;
	fake_peer_decide(peer, 0);
	world_settle();
	assert_int_equal(left_ms(), BODY_MS);
	peer->room = 10;
	world_settle();
	assert_int_equal(fake_peer_got(peer).n, 20);
	assert_memory_equal(fake_peer_got(peer).p, HEAD, 20);
	world_pass(BODY_MS);
	expect_failure(&asked, FAILURE_ORIGIN_WRITE_TIMEOUT, "");
	fake_conn_connects(0);
	/* an answer that comes before all was sent is read, and the connection is not kept */
	peer = ask_for(&asked, &post);
	say(peer, HELLO);
	expect_end(&asked, 200, "hello");
	expect_kept(0);
	peer = ask_for(&asked, &post);
	peer->room = 3;
	origin_send(asked.origin, SLICE("content"));
	origin_send_end(asked.origin);
	say(peer, HELLO);
	expect_end(&asked, 200, "hello");
	expect_kept(0);
}

/* Sending breaks: what was said before is read, and no more is sent. */
static void a_connection_that_breaks_while_sending(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask_for(&asked, &post);
	fake_peer_say(peer, SLICE("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"));
	fake_conn_fail(0, EPIPE);
	assert_true(origin_send(asked.origin, SLICE("one")));
	assert_true(fake_conn_fail_never());
	assert_true(origin_send(asked.origin, SLICE("two")));
	origin_send_end(asked.origin);
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	world_settle();
	expect_end(&asked, 413, "");
	expect_kept(0);
	/* before anything was sent, too */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	for (unsigned sent = 0; sent <= 10; sent += 10) {
		peer = ask(&asked);
		peer->room = sent;
		fake_peer_decide(peer, 0);
		if (sent > 0)
			world_settle();
		fake_peer_say(peer, SLICE("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"));
		fake_conn_fail(0, EPIPE);
		peer->room = SIZE_MAX;
		world_settle();
		assert_int_equal(fake_peer_got(peer).n, sent);
		expect_end(&asked, 413, "");
		expect_kept(0);
	}
	fake_conn_connects(0);
	/* without an answer */
	peer = ask_for(&asked, &post);
	fake_conn_fail(0, ECONNRESET);
	assert_true(origin_send(asked.origin, SLICE("one")));
	assert_true(origin_send(asked.origin, SLICE("two")));
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "Connection reset by peer");
}

/* ---- by way of a parent --------------------------------------------------------------------- */

static struct fake_peer *ask_along(struct asked *asked, const struct route *way)
{
	const struct http_request req = {.method = METHOD_GET,
					 .uri = {.host = way->host, .port = way->port}};
	const struct origin_asker asker = {
		.holder = WORLD_HOLDER, .events = &events, .context = asked};
	enum failure failure;
	struct buf head = {0};

	*asked = (struct asked){.takes = UINT32_MAX};
	assert_true(buf_append(&head, SLICE(HEAD)));
	asked->origin = origin_start(origins, &req, way, &head, &asker, &failure);
	assert_non_null(asked->origin);
	world_settle();
	return peer_now();
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
	say(peer, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
	expect_failure(&asked, FAILURE_PARENT_AUTHENTICATION,
		       "a 407 asks the proxy for credentials");
	way.tunnel = true;
	peer = ask_along(&asked, &way);
	assert_memory_equal(fake_peer_got(peer).p, "CONNECT www.test:80 HTTP/1.1\r\n", 30);
	assert_non_null(memmem(fake_peer_got(peer).p, fake_peer_got(peer).n,
			       "Proxy-Authorization: Basic YQ==\r\n", 33));
	say(peer, "HTTP/1.1 200 OK\r\n\r\n");
	assert_memory_equal(fake_peer_got(peer).p + fake_peer_got(peer).n - HEAD_N, HEAD, HEAD_N);
	say(peer, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
	expect_failure(&asked, FAILURE_BAD_RESPONSE, "a 407 asks the proxy for credentials");
	peer = ask_along(&asked, &way);
	say(peer, "HTTP/1.1 403 No\r\n\r\n");
	expect_failure(&asked, FAILURE_PARENT_REFUSED, "the parent answered CONNECT with 403");
}

static void a_connection_that_does_not_come(void **state)
{
	struct asked asked;

	(void)state;
	fake_conn_connects(ECONNREFUSED);
	begin(&asked, &get);
	assert_false(origin_has_event(asked.origin));
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_REFUSED,
		       "connect to 10.0.0.1:80: Connection refused");
	assert_int_equal(stats->origins, 0);
	/* nor is it waited for any more */
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	ask(&asked);
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
	peer = ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\n");
	assert_int_equal(peer->acknowledged, 1);
	say(peer, "Content-Length: 5\r\n\r\n");
	assert_int_equal(peer->acknowledged, 2);
	say(peer, "hello");
	assert_int_equal(peer->acknowledged, 2);
	ask(&asked);
	say(peer, HELLO);
	ask(&asked);
	say(peer, EMPTY);
	ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	assert_int_equal(peer->acknowledged, 2);
	say(peer, "llo");
	expect_end(&asked, 200, "hello");
	assert_int_equal(connects(), 1);
}

/* ---- kept connections ----------------------------------------------------------------------- */

static void the_next_request_finds_nothing_of_the_one_before(void **state)
{
	uint64_t reused = stats->origin_reused, requests = stats->origin_requests;
	uint64_t connections = stats->origin_connections;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask(&asked);
	world_pass(100);
	say(peer, HELLO);
	expect_end(&asked, 200, "hello");
	world_pass(IDLE_MS - 1);
	peer = ask(&asked);
	assert_int_equal(stats->origins_idle, 0);
	assert_int_equal(budget_used(&world.budgets, BUDGET_IDLE, 0), 0);
	assert_int_equal(left_ms(), FIRST_BYTE_MS);
	assert_int_equal(asked.origin->times.connect_us, 0);
	assert_int_equal(asked.origin->times.first_byte_us, 0);
	world_pass(250);
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwo");
	assert_int_equal(asked.origin->times.first_byte_us, 250000);
	say(peer, "rld");
	expect_end(&asked, 200, "world");
	assert_int_equal(fake_peer_got(peer).n, 2 * HEAD_N);
	assert_int_equal(stats->origin_reused - reused, 1);
	assert_int_equal(stats->origin_requests - requests, 2);
	assert_int_equal(stats->origin_connections - connections, 1);
	expect_kept(1);
	/* idle for too long */
	world_pass(IDLE_MS - 1);
	expect_kept(1);
	world_pass(1);
	expect_kept(0);
}

/* Where the peer has ended it, or spoken, nothing is asked. */
static void an_idle_connection_that_says_something_is_closed(void **state)
{
	uint64_t unasked = stats->origin_unasked;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	say(ask(&asked), EMPTY);
	say(peer_now(), "HTTP/1.1 408 Late\r\n\r\n");
	expect_kept(0);
	assert_int_equal(stats->origin_unasked - unasked, 1);
	say(ask(&asked), EMPTY);
	fake_peer_end(peer_now());
	world_settle();
	expect_kept(0);
	assert_int_equal(stats->origin_unasked - unasked, 1);
	say(ask(&asked), EMPTY);
	fake_peer_reset(peer_now());
	world_settle();
	expect_kept(0);
	/* it was not seen yet when the next one asks */
	peer = ask(&asked);
	say(peer, EMPTY);
	expect_kept(1);
	fake_peer_end(peer);
	peer = ask(&asked);
	assert_int_equal(connects(), 5);
	say(peer, EMPTY);
	expect_end(&asked, 200, "");
	/* what comes behind an answer was not asked for, either */
	say(ask(&asked), EMPTY "HTTP/1.1 200 OK\r\n\r\n");
	expect_end(&asked, 200, "");
	expect_kept(0);
	assert_int_equal(stats->origin_unasked - unasked, 2);
}

static void which_answers_end_the_connection(void **state)
{
	static const struct {
		const char *answer;
		bool mended, trouble;
		unsigned kept;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, false, 1},
		{"HTTP/1.1 204 No\r\n\r\n", false, false, 1},
		{"HTTP/1.1 204 No\r\n\r\na", false, true, 0},
		{"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false, false,
		 0},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, false, 0},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, false, 1},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", false,
		 false, 0},
		{"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", true, false, 0},
		{"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", true, false, 0},
		/* an interim one that was mended: the final one is not trusted */
		{"HTTP/1.1 103 a\r\nA: b\r\n c\r\n\r\n" EMPTY, true, false, 0},
	};
	struct asked asked;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say(ask(&asked), cases[i].answer);
		assert_int_equal(asked.ends, 1);
		assert_int_equal(asked.mended, cases[i].mended);
		assert_int_equal(asked.framing_trouble, cases[i].trouble);
		expect_kept(cases[i].kept);
		if (cases[i].kept)
			world_pass(IDLE_MS);
	}
}

/* A kept connection was dead: once more on a new one, as if nothing had been. */
static void a_dead_one_is_replaced_once(void **state)
{
	uint64_t retries = stats->origin_retries, requests = stats->origin_requests;
	uint64_t unasked = stats->origin_unasked;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	say(ask(&asked), EMPTY);
	peer = ask(&asked);
	assert_int_equal(connects(), 1);
	world_pass(1000);
	fake_peer_reset(peer);
	world_settle();
	assert_int_equal(connects(), 2);
	assert_int_equal(asked.failures, 0);
	assert_string_equal(cause_text(), "");
	assert_int_equal(stats->origin_retries - retries, 1);
	assert_int_equal(stats->origins, 1);
	assert_int_equal(left_ms(), FIRST_BYTE_MS);
	peer = peer_now();
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	assert_int_equal(stats->origin_requests - requests, 3);
	fake_peer_end(peer);
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	assert_int_equal(stats->origin_retries - retries, 1);
	/* not after the first byte of an answer, and not what may not be repeated */
	say(ask(&asked), EMPTY);
	say(ask(&asked), "HTTP");
	fake_peer_end(peer_now());
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	say(ask(&asked), EMPTY);
	fake_peer_end(ask_for(&asked, &post));
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	/* a request after one that had an answer in parts may be repeated nevertheless */
	say(ask(&asked), EMPTY);
	say(ask(&asked), EMPTY);
	fake_peer_end(ask(&asked));
	world_settle();
	assert_int_equal(stats->origin_retries - retries, 2);
	say(peer_now(), EMPTY);
	expect_end(&asked, 200, "");
	expect_kept(1);
	assert_int_equal(stats->origin_unasked, unasked);
}

/* What comes before anything was sent answers something else. */
static void an_answer_to_no_request(void **state)
{
	uint64_t unasked = stats->origin_unasked, retries = stats->origin_retries;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	say(ask(&asked), EMPTY);
	peer = peer_now();
	peer->room = 0;
	ask(&asked);
	say(peer, HELLO);
	assert_int_equal(connects(), 2);
	assert_int_equal(stats->origin_unasked - unasked, 1);
	assert_int_equal(stats->origin_retries - retries, 1);
	say(peer_now(), EMPTY);
	expect_end(&asked, 200, "");
	/* on a new one it cannot be mended */
	world_pass(IDLE_MS);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	peer = ask(&asked);
	peer->room = 0;
	fake_peer_say(peer, SLICE(HELLO));
	fake_peer_decide(peer, 0);
	world_settle();
	assert_int_equal(stats->origin_unasked - unasked, 2);
	expect_failure(&asked, FAILURE_BAD_RESPONSE, "");
	fake_conn_connects(0);
}

static void idle_ones_have_limits(void **state)
{
	struct asked asked[3];

	(void)state;
	world_set("origin_idle=2");
	for (unsigned i = 0; i < 3; i++)
		ask(&asked[i]);
	assert_int_equal(connects(), 3);
	for (unsigned i = 0; i < 3; i++)
		say(fake_peer_connected(i), EMPTY);
	expect_kept(2);
	world_pass(IDLE_MS);
	/* of descriptors, too */
	world.descriptors.origins_idle = 1;
	world_share_out();
	for (unsigned i = 0; i < 2; i++)
		ask(&asked[i]);
	for (unsigned i = 0; i < 2; i++)
		say(fake_peer_connected(3 + i), EMPTY);
	expect_kept(1);
	/* a worker that ends keeps none */
	world.turn.draining = true;
	ask(&asked[0]);
	say(fake_peer_connected(3), EMPTY);
	expect_end(&asked[0], 200, "");
	expect_kept(0);
}

/* ---- places --------------------------------------------------------------------------------- */

static void an_origin_has_so_many_at_once(void **state)
{
	struct origin_asker asker = {.holder = WORLD_HOLDER, .events = &events};
	uint64_t refused = stats->extras_refused;
	struct asked asked[4];

	(void)state;
	world_set("origin_connections=4");
	for (unsigned i = 0; i < 3; i++)
		ask(&asked[i]);
	assert_int_equal(begin(&asked[3], &get), FAILURE_TOO_MANY_FROM_CLIENT);
	asker.holder = WORLD_HOLDER + 1;
	asker.context = &asked[3];
	begin_as(&asked[3], &get, &asker);
	assert_non_null(asked[3].origin);
	{
		struct asked more;

		asker.holder = WORLD_HOLDER + 2;
		asker.context = &more;
		assert_int_equal(begin_as(&more, &get, &asker), FAILURE_TOO_MANY_ORIGIN);
		assert_null(more.origin);
	}
	assert_int_equal(stats->extras_refused, refused);
	for (unsigned i = 0; i < 4; i++)
		origin_cancel(asked[i].origin);
	world_settle();
	/* without a client's place for its connection it takes one */
	asker.is_extra = true;
	asker.context = &asked[0];
	begin_as(&asked[0], &get, &asker);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 1);
	world_settle();
	say(peer_now(), EMPTY);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	expect_kept(1);
	world.descriptors.extras = 0;
	world_share_out();
	assert_int_equal(begin_as(&asked[0], &get, &asker), FAILURE_TOO_MANY_ORIGIN);
	assert_int_equal(stats->extras_refused - refused, 1);
	expect_kept(1);
}

/* ---- an asker that does not take it --------------------------------------------------------- */

static void content_is_held_back(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = ask(&asked);
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
	asked.takes = 1;
	say(peer, "hello");
	assert_int_equal(left_ms(), -1); /* the client's deadlines stand */
	say(peer, "world");
	world_pass(10 * BODY_MS);
	assert_string_equal(asked.content, "hello");
	asked.takes = 5;
	origin_resume(asked.origin);
	origin_resume(asked.origin);
	assert_string_equal(asked.content, "hello");
	world_settle();
	expect_end(&asked, 200, "helloworld");
	expect_kept(1);
	/* cancelled with its task on the way, it is not told */
	peer = ask(&asked);
	asked.takes = 1;
	say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	origin_resume(asked.origin);
	origin_cancel(asked.origin);
	world_settle();
	assert_int_equal(asked.ends + asked.failures, 0);
	assert_string_equal(asked.content, "hello");
	expect_kept(0);
}

/* Many small chunks are read in shares, each turn so many, and none is lost. */
static void many_pieces_go_on_in_the_next_turn(void **state)
{
	enum { PIECES = 10, EACH = 4 };
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	world.turn.steps_max = EACH;
	peer = ask(&asked);
	fake_peer_say(peer, SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (unsigned i = 0; i < PIECES; i++)
		fake_peer_say(peer, SLICE("1\r\na\r\n"));
	world.turn.now_ms = fake_conn_now_ms();
	turn_begin(&world.turn);
	fake_conn_turn(false);
	assert_in_range(strlen(asked.content), 1, EACH);
	assert_int_equal(left_ms(), -1);
	turn_end(&world.turn);
	assert_in_range(strlen(asked.content), 1, EACH);
	world_settle();
	assert_string_equal(asked.content, "aaaaaaaaaa");
	assert_int_equal(left_ms(), BODY_MS);
	say(peer, "0\r\n\r\n");
	expect_end(&asked, 200, "aaaaaaaaaa");
}

/* Its task finds it gone. */
static void what_was_put_off_may_be_cancelled(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	world.turn.steps_max = 2;
	peer = ask(&asked);
	fake_peer_say(peer, SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (unsigned i = 0; i < 10; i++)
		fake_peer_say(peer, SLICE("1\r\na\r\n"));
	world.turn.now_ms = fake_conn_now_ms();
	turn_begin(&world.turn);
	fake_conn_turn(false);
	origin_cancel(asked.origin);
	turn_free_all();
	world_settle();
	assert_true(strlen(asked.content) < 3);
	assert_int_equal(asked.ends + asked.failures, 0);
	expect_kept(0);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Each allocation fails once: the request fails, and nothing is left of it. */
static void memory_runs_out_at_each_step(void **state)
{
	struct asked asked;
	unsigned none = 0, told = 0, ended = 0;

	(void)state;
	for (size_t n = 0; ended == 0; n++) {
		size_t before;

		assert_true(n < 100);
		if (!fail_allocation(SIZE_MAX / 2))
			skip();
		world.turn.now_ms = fake_conn_now_ms();
		{
			const struct origin_asker asker = {
				.holder = WORLD_HOLDER, .events = &events, .context = &asked};
			enum failure failure = FAILURE_NONE;
			struct buf head = {0};

			asked = (struct asked){.takes = UINT32_MAX};
			assert_true(buf_append(&head, SLICE(HEAD)));
			before = allocations_so_far();
			fail_allocation(n);
			asked.origin = origin_start(origins, &post_chunks, &route, &head, &asker,
						    &failure);
			if (asked.origin == NULL) {
				fail_no_allocation();
				assert_int_equal(failure, FAILURE_INTERNAL);
				none++;
				expect_kept(0);
				continue;
			}
		}
		origin_send(asked.origin, SLICE("content"));
		if (asked.origin != NULL)
			origin_send_end(asked.origin);
		world_settle();
		if (asked.origin != NULL)
			say(peer_now(), "HTTP/1.1 200 OK\r\n");
		if (asked.origin != NULL)
			say(peer_now(), "Content-Length: 0\r\n\r\n");
		fail_no_allocation();
		world_settle();
		assert_int_equal(asked.failures + asked.ends, 1);
		told += asked.failures;
		if (asked.failures > 0) {
			assert_string_equal(failure_name(asked.failure), "internal");
			expect_kept(0);
		}
		ended = allocations_so_far() - before <= n;
	}
	expect_end(&asked, 200, "");
	assert_true(none >= 4); /* the host, its table, the connection, what connects it */
	assert_true(told >= 2); /* content that waits, a part of a head */
}

/* Whichever part of a chunk there is no room for, the request is cut there. */
static void content_that_there_is_no_room_for(void **state)
{
	static char bytes[4096];
	unsigned at_once = 0, at_the_end = 0;
	struct asked asked;
	bool is_full;

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	for (size_t more = 1070; more < 1095; more++) {
		begin(&asked, &post_chunks);
		assert_false(origin_send(asked.origin, slice_of(bytes, 3000)));
		origin_send(asked.origin, slice_of(bytes, more));
		if (!fail_allocation(0))
			skip();
		is_full = !origin_send(asked.origin, SLICE("x"));
		assert_int_equal(is_full, asked.origin != NULL);
		at_once += asked.failures;
		if (asked.origin != NULL)
			origin_send_end(asked.origin);
		else
			assert_string_equal(failure_name(asked.failure), "internal");
		at_the_end += asked.failures;
		fail_no_allocation();
		if (asked.origin != NULL)
			origin_cancel(asked.origin);
		world_settle();
	}
	assert_in_range(at_once, 1, at_the_end - 1);
	assert_int_equal(fake_conn_open(), 0);
}

/* A dead one cannot be replaced: that it was closed is what is told. */
static void a_dead_one_that_cannot_be_replaced(void **state)
{
	struct asked asked;

	(void)state;
	say(ask(&asked), EMPTY);
	fake_peer_end(ask(&asked));
	if (!fail_allocation(0))
		skip();
	world_settle();
	fail_no_allocation();
	expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	expect_kept(0);
}

static void without_memory_there_are_none(void **state)
{
	struct origins *none = NULL;
	size_t alive = allocations_alive(), n = 0;

	(void)state;
	while (none == NULL && n < 10) {
		if (!fail_allocation(n++))
			skip();
		none = origins_new(&world.dialers, &world.admission);
		fail_no_allocation();
		if (none == NULL)
			assert_int_equal(allocations_alive(), alive);
	}
	assert_int_equal(n, 4); /* themselves, the pool, the memo */
	origins_free(none);
	origins_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
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
		TEST(the_next_request_finds_nothing_of_the_one_before),
		TEST(an_idle_connection_that_says_something_is_closed),
		TEST(which_answers_end_the_connection),
		TEST(a_dead_one_is_replaced_once),
		TEST(an_answer_to_no_request),
		TEST(idle_ones_have_limits),
		TEST(an_origin_has_so_many_at_once),
		TEST(content_is_held_back),
		TEST(many_pieces_go_on_in_the_next_turn),
		TEST(what_was_put_off_may_be_cancelled),
		TEST(memory_runs_out_at_each_step),
		TEST(content_that_there_is_no_room_for),
		TEST(a_dead_one_that_cannot_be_replaced),
		TEST(without_memory_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
