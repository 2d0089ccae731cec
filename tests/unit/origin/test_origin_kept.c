/* LINKS: proxy/origin tests/doubles/origin_world.c tests/doubles/fake_conn.c tests/doubles/fake_resolver.c tests/doubles/counted_memory.c */
/* Connections that are kept, askers that take their time, and memory that runs out: what the next request finds. */
#include "tests/support/origin_asker.h"

#include <errno.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/stats/stats.h"
#include "proxy/base/log.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/captured.h"

/* ---- kept connections ----------------------------------------------------------------------- */

static void the_next_request_finds_nothing_of_the_one_before(void **state)
{
	uint64_t reused = stats->origin_reused, requests = stats->origin_requests;
	uint64_t connections = stats->origin_connections;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	world_pass(100);
	asker_say(peer, "HTTP/1.1 200 OK\r\nServer: a longer head than the next one\r\n");
	asker_say(peer, "Content-Length: 5\r\n\r\nhel");
	asker_say(peer, "lo");
	asker_expect_end(&asked, 200, "hello");
	world_pass(IDLE_MS - 1);
	peer = asker_ask(&asked);
	assert_int_equal(stats->origins_idle, 0);
	assert_int_equal(budget_used(&world.budgets, BUDGET_IDLE, 0), 0);
	assert_int_equal(asker_left_ms(), FIRST_BYTE_MS);
	assert_int_equal(asked.origin->times.connect_us, 0);
	assert_int_equal(asked.origin->times.first_byte_us, 0);
	world_pass(250);
	asker_say(peer, "HTTP/1.1 200 O");
	asker_say(peer, "K\r\nContent-Length: 5\r\n\r\nwo");
	assert_int_equal(asked.origin->times.first_byte_us, 250000);
	asker_say(peer, "rld");
	asker_expect_end(&asked, 200, "world");
	assert_int_equal(fake_peer_got(peer).n, 2 * HEAD_N);
	assert_int_equal(stats->origin_reused - reused, 1);
	assert_int_equal(stats->origin_requests - requests, 2);
	assert_int_equal(stats->origin_connections - connections, 1);
	asker_expect_kept(1);
	/* idle for too long */
	world_pass(IDLE_MS - 1);
	asker_expect_kept(1);
	world_pass(1);
	asker_expect_kept(0);
}

/* Where the peer has ended it, or spoken, nothing is asked. */
static void an_idle_connection_that_says_something_is_closed(void **state)
{
	uint64_t unasked = stats->origin_unasked;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	asker_say(asker_ask(&asked), EMPTY);
	asker_say(asker_peer(), "HTTP/1.1 408 Late\r\n\r\n");
	asker_expect_kept(0);
	assert_int_equal(stats->origin_unasked - unasked, 1);
	asker_say(asker_ask(&asked), EMPTY);
	fake_peer_end(asker_peer());
	world_settle();
	asker_expect_kept(0);
	assert_int_equal(stats->origin_unasked - unasked, 1);
	asker_say(asker_ask(&asked), EMPTY);
	fake_peer_reset(asker_peer());
	world_settle();
	asker_expect_kept(0);
	/* it was not seen yet when the next one asks */
	peer = asker_ask(&asked);
	asker_say(peer, EMPTY);
	asker_expect_kept(1);
	fake_peer_end(peer);
	peer = asker_ask(&asked);
	assert_int_equal(asker_connects(), 5);
	asker_say(peer, EMPTY);
	asker_expect_end(&asked, 200, "");
	/* what comes behind an answer was not asked for, either */
	asker_say(asker_ask(&asked), EMPTY "HTTP/1.1 200 OK\r\n\r\n");
	asker_expect_end(&asked, 200, "");
	asker_expect_kept(0);
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
		asker_say(asker_ask(&asked), cases[i].answer);
		assert_int_equal(asked.ends, 1);
		assert_int_equal(asked.mended, cases[i].mended);
		assert_int_equal(asked.framing_trouble, cases[i].trouble);
		asker_expect_kept(cases[i].kept);
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
	struct captured captured;
	struct asked asked;

	(void)state;
	asker_say(asker_ask(&asked), EMPTY);
	peer = asker_ask(&asked);
	assert_int_equal(asker_connects(), 1);
	world_pass(1000);
	fake_peer_reset(peer);
	captured_begin(&captured, false);
	log_set_level(LOG_LEVEL_DEBUG);
	world_settle();
	log_set_level(LOG_LEVEL_INFO);
	captured_end(&captured);
	assert_non_null(strstr(captured.err, "origin 10.0.0.1:80: a kept connection was closed, "
					     "asked again on a new one\n"));
	captured_free(&captured);
	assert_int_equal(asker_connects(), 2);
	assert_int_equal(asked.failures, 0);
	assert_string_equal(cause_text(), "");
	assert_int_equal(stats->origin_retries - retries, 1);
	assert_int_equal(stats->origins, 1);
	assert_int_equal(asker_left_ms(), FIRST_BYTE_MS);
	peer = asker_peer();
	assert_int_equal(fake_peer_got(peer).n, HEAD_N);
	assert_int_equal(stats->origin_requests - requests, 3);
	fake_peer_end(peer);
	world_settle();
	asker_expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	assert_int_equal(stats->origin_retries - retries, 1);
	/* not after the first byte of an answer, and not what may not be repeated */
	asker_say(asker_ask(&asked), EMPTY);
	asker_say(asker_ask(&asked), "HTTP");
	fake_peer_end(asker_peer());
	world_settle();
	asker_expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	asker_say(asker_ask(&asked), EMPTY);
	fake_peer_end(asker_ask_for(&asked, &asker_post));
	world_settle();
	asker_expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	/* a request after one that had an answer in parts may be repeated nevertheless */
	asker_say(asker_ask(&asked), EMPTY);
	asker_say(asker_ask(&asked), EMPTY);
	fake_peer_end(asker_ask(&asked));
	world_settle();
	assert_int_equal(stats->origin_retries - retries, 2);
	asker_say(asker_peer(), EMPTY);
	asker_expect_end(&asked, 200, "");
	asker_expect_kept(1);
	assert_int_equal(stats->origin_unasked, unasked);
}

/* What comes before anything was sent answers something else. */
static void an_answer_to_no_request(void **state)
{
	uint64_t unasked = stats->origin_unasked, retries = stats->origin_retries;
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	asker_say(asker_ask(&asked), EMPTY);
	peer = asker_peer();
	peer->room = 0;
	asker_ask(&asked);
	asker_say(peer, HELLO);
	assert_int_equal(asker_connects(), 2);
	assert_int_equal(stats->origin_unasked - unasked, 1);
	assert_int_equal(stats->origin_retries - retries, 1);
	asker_say(asker_peer(), EMPTY);
	asker_expect_end(&asked, 200, "");
	/* on a new one it cannot be mended */
	world_pass(IDLE_MS);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	peer = asker_ask(&asked);
	peer->room = 0;
	fake_peer_say(peer, SLICE(HELLO));
	fake_peer_decide(peer, 0);
	world_settle();
	assert_int_equal(stats->origin_unasked - unasked, 2);
	asker_expect_failure(&asked, FAILURE_BAD_RESPONSE, "");
	fake_conn_connects(0);
}

static void idle_ones_have_limits(void **state)
{
	struct asked asked[3];

	(void)state;
	world_set("origin_idle=2");
	for (unsigned i = 0; i < 3; i++)
		asker_ask(&asked[i]);
	assert_int_equal(asker_connects(), 3);
	for (unsigned i = 0; i < 3; i++)
		asker_say(fake_peer_connected(i), EMPTY);
	asker_expect_kept(2);
	world_pass(IDLE_MS);
	/* of descriptors, too */
	world.descriptors.origins_idle = 1;
	world_share_out();
	for (unsigned i = 0; i < 2; i++)
		asker_ask(&asked[i]);
	for (unsigned i = 0; i < 2; i++)
		asker_say(fake_peer_connected(3 + i), EMPTY);
	asker_expect_kept(1);
	/* a worker that ends keeps none */
	world.turn.draining = true;
	asker_ask(&asked[0]);
	asker_say(fake_peer_connected(3), EMPTY);
	asker_expect_end(&asked[0], 200, "");
	asker_expect_kept(0);
}

/* ---- places --------------------------------------------------------------------------------- */

static void an_origin_has_so_many_at_once(void **state)
{
	struct origin_asker asker = {.holder = WORLD_HOLDER, .events = &asker_events};
	uint64_t refused = stats->extras_refused;
	struct asked asked[4];

	(void)state;
	world_set("origin_connections=4");
	for (unsigned i = 0; i < 3; i++)
		asker_ask(&asked[i]);
	assert_int_equal(asker_begin(&asked[3], &asker_get), FAILURE_TOO_MANY_FROM_CLIENT);
	asker.holder = WORLD_HOLDER + 1;
	asker.context = &asked[3];
	asker_begin_as(&asked[3], &asker_get, &asker);
	assert_non_null(asked[3].origin);
	{
		struct asked more;

		asker.holder = WORLD_HOLDER + 2;
		asker.context = &more;
		assert_int_equal(asker_begin_as(&more, &asker_get, &asker),
				 FAILURE_TOO_MANY_ORIGIN);
		assert_null(more.origin);
	}
	assert_int_equal(stats->extras_refused, refused);
	for (unsigned i = 0; i < 4; i++)
		origin_cancel(asked[i].origin);
	world_settle();
	/* without a client's place for its connection it takes one */
	asker.is_extra = true;
	asker.context = &asked[0];
	asker_begin_as(&asked[0], &asker_get, &asker);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 1);
	world_settle();
	asker_say(asker_peer(), EMPTY);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	asker_expect_kept(1);
	world.descriptors.extras = 0;
	world_share_out();
	assert_int_equal(asker_begin_as(&asked[0], &asker_get, &asker), FAILURE_TOO_MANY_ORIGIN);
	assert_int_equal(stats->extras_refused - refused, 1);
	asker_expect_kept(1);
}

/* ---- an asker that does not take it --------------------------------------------------------- */

static void content_is_held_back(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	peer = asker_ask(&asked);
	asker_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
	asked.takes = 1;
	asker_say(peer, "hello");
	assert_int_equal(asker_left_ms(), -1); /* the client's deadlines stand */
	asker_say(peer, "world");
	world_pass(10 * BODY_MS);
	assert_string_equal(asked.content, "hello");
	asked.takes = 5;
	origin_resume(asked.origin);
	origin_resume(asked.origin);
	assert_string_equal(asked.content, "hello");
	world_settle();
	asker_expect_end(&asked, 200, "helloworld");
	asker_expect_kept(1);
	/* cancelled with its task on the way, it is not told */
	peer = asker_ask(&asked);
	asked.takes = 1;
	asker_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	origin_resume(asked.origin);
	origin_cancel(asked.origin);
	world_settle();
	assert_int_equal(asked.ends + asked.failures, 0);
	assert_string_equal(asked.content, "hello");
	asker_expect_kept(0);
}

/* In a call of its own: that was the last one, whatever has come behind it. */
static void an_asker_may_cancel_in_its_calls(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	for (enum asked_call call = IN_INTERIM; call <= IN_DRAINED; call++) {
		peer = asker_ask_for(&asked, &asker_post);
		asked.cancels = call;
		peer->room = 0;
		origin_send(asked.origin, SLICE("content"));
		if (call == IN_DRAINED)
			peer->room = SIZE_MAX;
		asker_say(peer, INTERIM HELLO);
		assert_int_equal(asked.drained, call == IN_DRAINED);
		assert_int_equal(asked.interims, call != IN_DRAINED);
		assert_int_equal(asked.heads, call == IN_HEAD || call == IN_CONTENT);
		assert_string_equal(asked.content, call == IN_CONTENT ? "hello" : "");
		assert_int_equal(asked.ends + asked.failures, 0);
		asker_expect_kept(0);
	}
}

/* Many small chunks are read in shares, each turn so many, and none is lost. */
static void many_pieces_go_on_in_the_next_turn(void **state)
{
	enum { PIECES = 10, EACH = 4 };
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	world.turn.steps_max = EACH;
	peer = asker_ask(&asked);
	fake_peer_say(peer, SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (unsigned i = 0; i < PIECES; i++)
		fake_peer_say(peer, SLICE("1\r\na\r\n"));
	world.turn.now_ms = fake_conn_now_ms();
	turn_begin(&world.turn);
	fake_conn_turn(false);
	assert_in_range(strlen(asked.content), 1, EACH);
	assert_int_equal(asker_left_ms(), -1);
	turn_end(&world.turn);
	assert_in_range(strlen(asked.content), 1, EACH);
	world_settle();
	assert_string_equal(asked.content, "aaaaaaaaaa");
	assert_int_equal(asker_left_ms(), BODY_MS);
	asker_say(peer, "0\r\n\r\n");
	asker_expect_end(&asked, 200, "aaaaaaaaaa");
}

/* Its task finds it gone. */
static void what_was_put_off_may_be_cancelled(void **state)
{
	struct fake_peer *peer;
	struct asked asked;

	(void)state;
	world.turn.steps_max = 2;
	peer = asker_ask(&asked);
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
	asker_expect_kept(0);
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
			const struct origin_asker asker = {.holder = WORLD_HOLDER,
							   .is_extra = true,
							   .events = &asker_events,
							   .context = &asked};
			enum failure failure = FAILURE_NONE;
			struct buf head = {0};

			asked = (struct asked){.takes = UINT32_MAX};
			assert_true(buf_append(&head, SLICE(HEAD)));
			before = allocations_so_far();
			fail_allocation(n);
			asked.origin = origin_start(asker_origins, &asker_post_chunks, &asker_route,
						    &head, &asker, &failure);
			if (asked.origin == NULL) {
				fail_no_allocation();
				assert_int_equal(failure, FAILURE_INTERNAL);
				none++;
				asker_expect_kept(0);
				continue;
			}
		}
		origin_send(asked.origin, SLICE("content"));
		if (asked.origin != NULL)
			origin_send_end(asked.origin);
		world_settle();
		if (asked.origin != NULL)
			asker_say(asker_peer(), "HTTP/1.1 200 OK\r\n");
		if (asked.origin != NULL)
			asker_say(asker_peer(), "Content-Length: 0\r\n\r\n");
		fail_no_allocation();
		world_settle();
		assert_int_equal(asked.failures + asked.ends, 1);
		told += asked.failures;
		if (asked.failures > 0) {
			assert_string_equal(failure_name(asked.failure), "internal");
			asker_expect_kept(0);
		}
		ended = allocations_so_far() - before <= n;
	}
	asker_expect_end(&asked, 200, "");
	assert_true(none >= 4);    /* the host, its table, the connection, what connects it */
	assert_int_equal(told, 3); /* content that waits, a part of a head, what comes behind it */
}

/* Whichever part of a chunk there is no room for, the request is cut there. */
static void content_that_there_is_no_room_for(void **state)
{
	static char bytes[4096];
	unsigned at_once = 0, at_the_end = 0;
	struct asked asked;
	bool is_full;

	(void)state;
	if (!fail_allocation(SIZE_MAX / 2))
		skip();
	memset(bytes, 'a', sizeof(bytes));
	for (size_t more = 1070; more < 1095; more++) {
		asker_begin(&asked, &asker_post_chunks);
		assert_false(origin_send(asked.origin, slice_of(bytes, 3000)));
		origin_send(asked.origin, slice_of(bytes, more));
		fail_allocation(0);
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
	if (!fail_allocation(SIZE_MAX / 2))
		skip();
	asker_say(asker_ask(&asked), EMPTY);
	fake_peer_end(asker_ask(&asked));
	fail_allocation(0);
	world_settle();
	fail_no_allocation();
	asker_expect_failure(&asked, FAILURE_ORIGIN_CLOSED, "");
	asker_expect_kept(0);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, asker_open, asker_close)
	const struct CMUnitTest tests[] = {
		TEST(the_next_request_finds_nothing_of_the_one_before),
		TEST(an_idle_connection_that_says_something_is_closed),
		TEST(which_answers_end_the_connection),
		TEST(a_dead_one_is_replaced_once),
		TEST(an_answer_to_no_request),
		TEST(idle_ones_have_limits),
		TEST(an_origin_has_so_many_at_once),
		TEST(content_is_held_back),
		TEST(an_asker_may_cancel_in_its_calls),
		TEST(many_pieces_go_on_in_the_next_turn),
		TEST(what_was_put_off_may_be_cancelled),
		TEST(memory_runs_out_at_each_step),
		TEST(content_that_there_is_no_room_for),
		TEST(a_dead_one_that_cannot_be_replaced),
		TEST(without_memory_there_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
