/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* Fetches under way: those that operators are shown, and those that are given up when the worker is to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "proxy/front/forward.h"
#include "proxy/stats/in_flight.h"
#include "tests/doubles/fake_worker.h"
#include "tests/support/test_conf.h"

enum { CLIENTS = IN_FLIGHT_MAX + 2 };

static struct world {
	struct conf *conf;
	struct fake_worker *worker;
	struct fake_peer *clients[CLIENTS];
	struct in_flight *blocks;
	struct in_flight_row rows[IN_FLIGHT_MAX];
} world;

static int setup(void **state)
{
	(void)state;
	world.conf = test_conf_new();
	assert_true(test_conf_set(world.conf, "collapse_cold_timeout", "5s"));
	world.worker = fake_worker_new(world.conf);
	world.blocks = in_flight_map(1);
	in_flight_attach(world.blocks, 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		world.clients[i] = fake_worker_accept(world.worker, &forward_frontend, FAKE_LISTEN,
						      FAILURE_NONE);
	fake_resolver_tell(world.worker->resolver, "slow.test", "10.0.0.9", 100000);
	return world.blocks == NULL;
}

static int teardown(void **state)
{
	(void)state;
	fake_worker_free(world.worker);
	test_conf_free(world.conf);
	return 0;
}

static void say(struct fake_peer *peer, const char *text)
{
	fake_peer_say(peer, slice_str(text));
	assert_true(fake_worker_settle(world.worker));
}

static void ask(unsigned client, const char *uri)
{
	char text[1024];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", uri);
	say(world.clients[client], text);
}

static void pass(int64_t ms)
{
	assert_true(fake_worker_pass(world.worker, ms));
}

static unsigned shown(void)
{
	fetches_note_old(world.worker->fetches);
	return in_flight_list(world.blocks, 1, world.rows);
}

static void assert_row(unsigned n, int64_t age_ms, enum in_flight_phase phase, unsigned waiters,
		       const char *uri)
{
	assert_int_equal(world.worker->turn.now_ms - world.rows[n].since_ms, age_ms);
	assert_int_equal(world.rows[n].phase, phase);
	assert_int_equal(world.rows[n].waiters, waiters);
	assert_string_equal(world.rows[n].uri, uri);
}

static void those_that_have_lasted_are_shown(void **state)
{
	(void)state;
	ask(0, "http://slow.test/a");
	pass(10);
	ask(1, "http://10.0.0.1/b?to=//u:p@x");
	ask(2, "http://10.0.0.1/b?to=//u:p@x");
	pass(10);
	ask(3, "http://10.0.0.1/c");
	say(fake_peer_connected(1), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
	pass(IN_FLIGHT_MS - 21);
	assert_int_equal(shown(), 0);
	pass(1);
	assert_int_equal(shown(), 1);
	assert_row(0, IN_FLIGHT_MS, IN_FLIGHT_CONNECT, 0, "http://slow.test/a");
	pass(20);
	assert_int_equal(shown(), 3);
	assert_row(0, IN_FLIGHT_MS + 20, IN_FLIGHT_CONNECT, 0, "http://slow.test/a");
	assert_row(1, IN_FLIGHT_MS + 10, IN_FLIGHT_FIRST_BYTE, 1, "http://10.0.0.1/b?to=//***@x");
	assert_row(2, IN_FLIGHT_MS, IN_FLIGHT_CONTENT, 0, "http://10.0.0.1/c");
	say(fake_peer_connected(1), "llo");
	say(fake_peer_connected(0), "HTTP/1.1 204 N\r\n\r\n");
	assert_int_equal(shown(), 1);
	assert_row(0, IN_FLIGHT_MS + 20, IN_FLIGHT_CONNECT, 0, "http://slow.test/a");
}

/* The oldest of many, and as much of a long URL as there is room for. */
static void no_more_than_there_is_room_for(void **state)
{
	char uri[600];

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++) {
		snprintf(uri, sizeof(uri), "http://10.0.0.1/%0*u", i == 0 ? 500 : 1, i);
		ask(i, uri);
		pass(1);
	}
	pass(IN_FLIGHT_MS);
	assert_int_equal(shown(), IN_FLIGHT_MAX);
	assert_int_equal(strlen(world.rows[0].uri), IN_FLIGHT_URI_MAX);
	assert_row(IN_FLIGHT_MAX - 1, IN_FLIGHT_MS + CLIENTS - IN_FLIGHT_MAX + 1,
		   IN_FLIGHT_FIRST_BYTE, 0, "http://10.0.0.1/9");
}

/* What nobody waits for any more, a validation in the background, is given up; no other. */
static void what_is_only_for_the_store_is_given_up(void **state)
{
	(void)state;
	ask(0, "http://10.0.0.1/a");
	say(fake_peer_connected(0), "HTTP/1.1 204 N\r\nETag: \"a\"\r\n"
				    "Cache-Control: max-age=1, stale-while-revalidate=60\r\n\r\n");
	ask(1, "http://10.0.0.2/b");
	assert_non_null(fake_peer_connected(1)->conn);
	pass(5000);
	ask(0, "http://10.0.0.1/a"); /* stale, and it is validated on the kept connection */
	assert_non_null(strstr(fake_peer_connected(0)->got.p, "If-None-Match"));
	assert_int_equal(stats->exchanges, 2);
	fetches_give_up(world.worker->fetches);
	assert_true(fake_worker_settle(world.worker));
	assert_null(fake_peer_connected(0)->conn);
	assert_non_null(fake_peer_connected(1)->conn);
	assert_int_equal(stats->exchanges, 1);
	say(fake_peer_connected(1), "HTTP/1.1 204 N\r\n\r\n");
	assert_int_equal(stats->exchanges, 0);
}

/* Nor is what others wait for given up, though its own client has left. */
static void what_is_waited_for_is_not_given_up(void **state)
{
	(void)state;
	ask(0, "http://10.0.0.1/a");
	ask(1, "http://10.0.0.1/a");
	fake_peer_reset(world.clients[0]);
	assert_true(fake_worker_settle(world.worker));
	fetches_give_up(world.worker->fetches);
	assert_true(fake_worker_settle(world.worker));
	assert_non_null(fake_peer_connected(0)->conn);
	say(fake_peer_connected(0), "HTTP/1.1 204 N\r\nCache-Control: max-age=9\r\n\r\n");
	assert_non_null(strstr(world.clients[1]->got.p, "collapsed"));
	assert_int_equal(stats->exchanges, 0);
}

/* One turn has time for a few of them, the rest go on in the next ones: nobody else waits for all. */
static void a_crowd_is_answered_in_several_turns(void **state)
{
	unsigned answered[CLIENTS] = {0}, turns = 0;

	(void)state;
	for (unsigned i = 0; i < CLIENTS; i++)
		ask(i, "http://10.0.0.1/a");
	fake_peer_say(fake_peer_connected(0),
		      SLICE("HTTP/1.1 204 N\r\nCache-Control: max-age=9\r\n\r\n"));
	do {
		assert_true(turns < CLIENTS);
		fake_worker_turn(world.worker, false);
		for (unsigned i = 0; i < CLIENTS; i++)
			answered[turns] += world.clients[i]->got.n > 0;
	} while (answered[turns++] < CLIENTS);
	assert_int_equal(answered[0], 1 + world.worker->turn.steps_max);
	for (unsigned i = 1; i + 1 < turns; i++)
		assert_int_equal(answered[i] - answered[i - 1], world.worker->turn.steps_max);
	assert_null(fake_peer_connected(1));
	assert_int_equal(stats->waiting, 0);
	assert_int_equal(stats->exchanges, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(those_that_have_lasted_are_shown),
		TEST(no_more_than_there_is_room_for),
		TEST(what_is_only_for_the_store_is_given_up),
		TEST(what_is_waited_for_is_not_given_up),
		TEST(a_crowd_is_answered_in_several_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
