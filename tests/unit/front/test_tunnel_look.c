/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* How long a tunnel that may be HTTP is looked at, by a clock of the test. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/front/forward.h"
#include "tests/doubles/fake_worker.h"
#include "tests/support/test_conf.h"

enum { LOOK_MS = 300, HEAD_MS = 20000 };

struct world {
	struct conf *conf;
	struct fake_worker *worker;
	struct fake_peer *client;
};

static int world_setup(void **state)
{
	static struct world world;

	world = (struct world){.conf = test_conf_new()};
	assert_true(test_conf_set(world.conf, "connect_ports", "80"));
	assert_true(test_conf_set(world.conf, "tunnel_http", "80"));
	assert_true(test_conf_set(world.conf, "head_timeout", "20s"));
	world.worker = fake_worker_new(world.conf);
	world.client =
		fake_worker_accept(world.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	*state = &world;
	return world.client == NULL;
}

static int world_teardown(void **state)
{
	struct world *world = *state;

	fake_worker_free(world->worker);
	test_conf_free(world->conf);
	return 0;
}

static void say(struct world *world, const char *text)
{
	fake_peer_say(world->client, slice_str(text));
	assert_true(fake_worker_settle(world->worker));
}

static void open_tunnel(struct world *world, size_t room)
{
	world->client->room = room;
	say(world, "CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n");
}

static void take_all(struct world *world)
{
	world->client->room = SIZE_MAX;
	assert_true(fake_worker_settle(world->worker));
	assert_true(fake_peer_got(world->client).n > 0);
}

/* It goes to the origin at this time from now, and not before. */
static void expect_passed_on_in(struct world *world, int64_t ms)
{
	assert_true(fake_worker_pass(world->worker, ms - 1));
	assert_null(fake_peer_connected(0));
	assert_true(fake_worker_pass(world->worker, 1));
	assert_non_null(fake_peer_connected(0));
}

static void one_that_says_nothing(void **state)
{
	struct world *world = *state;

	open_tunnel(world, SIZE_MAX);
	expect_passed_on_in(world, LOOK_MS);
}

/* The 200 waits for room at the client for longer than that. */
static void one_that_takes_the_200_later(void **state)
{
	struct world *world = *state;

	open_tunnel(world, 5);
	assert_true(fake_worker_pass(world->worker, 2000));
	assert_null(fake_peer_connected(0));
	take_all(world);
	expect_passed_on_in(world, LOOK_MS);
}

static void what_it_says_meanwhile_pushes_nothing_out(void **state)
{
	struct world *world = *state;

	open_tunnel(world, 5);
	assert_true(fake_worker_pass(world->worker, 2000));
	take_all(world);
	assert_true(fake_worker_pass(world->worker, 100));
	say(world, "GE");
	expect_passed_on_in(world, LOOK_MS - 100);
}

/* A line that has come gives the head the time that heads have. */
static void one_that_begins_before_it_takes_the_200(void **state)
{
	struct world *world = *state;

	open_tunnel(world, 5);
	say(world, "GET / HTTP/1.1\r\nHost: ");
	assert_true(fake_worker_pass(world->worker, 2000));
	take_all(world);
	expect_passed_on_in(world, HEAD_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_that_says_nothing, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(one_that_takes_the_200_later, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(what_it_says_meanwhile_pushes_nothing_out,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(one_that_begins_before_it_takes_the_200,
						world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
