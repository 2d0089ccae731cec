/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* How long a tunnel that may be HTTP is looked at, by a clock of the test. */
#include "proxy/front/forward.h"
#include "tests/support/worker_fixture.h"

enum { LOOK_MS = 300, HEAD_MS = 20000 };

static struct worker_fixture world;

static int setup(void **state)
{
	(void)state;
	worker_fixture_open(&world, &forward_frontend,
			    "connect_ports=80;tunnel_http=80;head_timeout=20s");
	return 0;
}

static void say(const char *text)
{
	worker_fixture_say(&world, world.client, text);
}

static void open_tunnel(size_t room)
{
	world.client->room = room;
	say("CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n");
}

static void take_all(void)
{
	worker_fixture_take_all(&world);
	assert_true(fake_peer_got(world.client).n > 0);
}

/* It goes to the origin at this time from now, and not before. */
static void expect_passed_on_in(int64_t ms)
{
	worker_fixture_pass(&world, ms - 1);
	assert_null(fake_peer_connected(0));
	worker_fixture_pass(&world, 1);
	assert_non_null(fake_peer_connected(0));
}

static void one_that_says_nothing(void **state)
{
	(void)state;
	open_tunnel(SIZE_MAX);
	expect_passed_on_in(LOOK_MS);
}

/* The 200 waits for room at the client for longer than that. */
static void one_that_takes_the_200_later(void **state)
{
	(void)state;
	open_tunnel(5);
	worker_fixture_pass(&world, 2000);
	assert_null(fake_peer_connected(0));
	take_all();
	expect_passed_on_in(LOOK_MS);
}

static void what_it_says_meanwhile_pushes_nothing_out(void **state)
{
	(void)state;
	open_tunnel(5);
	worker_fixture_pass(&world, 2000);
	take_all();
	worker_fixture_pass(&world, 100);
	say("GE");
	expect_passed_on_in(LOOK_MS - 100);
}

/* A line that has come gives the head the time that heads have. */
static void one_that_begins_before_it_takes_the_200(void **state)
{
	(void)state;
	open_tunnel(5);
	say("GET / HTTP/1.1\r\nHost: ");
	worker_fixture_pass(&world, 2000);
	take_all();
	expect_passed_on_in(HEAD_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_that_says_nothing, setup, worker_fixture_close),
		cmocka_unit_test_setup_teardown(one_that_takes_the_200_later, setup,
						worker_fixture_close),
		cmocka_unit_test_setup_teardown(what_it_says_meanwhile_pushes_nothing_out, setup,
						worker_fixture_close),
		cmocka_unit_test_setup_teardown(one_that_begins_before_it_takes_the_200, setup,
						worker_fixture_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
