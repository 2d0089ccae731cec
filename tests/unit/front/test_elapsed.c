/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* How long an answer took, by a clock of the test: as long as the origin, however slow the reader. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/front/forward.h"
#include "tests/doubles/fake_worker.h"
#include "tests/support/test_conf.h"

enum { SECOND_US = 1000000, BODY = 200000 };

struct world {
	struct conf *conf;
	struct fake_worker *worker;
	struct fake_peer *client;
	char body[BODY + 1];
};

static int world_setup(void **state)
{
	static struct world world;

	world = (struct world){.conf = test_conf_new()};
	memset(world.body, 'x', BODY);
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

static void say(struct world *world, struct fake_peer *peer, const char *text)
{
	fake_peer_say(peer, slice_str(text));
	assert_true(fake_worker_settle(world->worker));
}

static void pass(struct world *world, int64_t seconds)
{
	assert_true(fake_worker_pass(world->worker, seconds * 1000));
}

/* A body that does not fit into what the client takes, two seconds after it was asked for. */
static struct fake_peer *ask(struct world *world, size_t room)
{
	struct fake_peer *origin;
	char head[128];

	say(world, world->client, "GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
	pass(world, 2);
	world->client->room = room;
	origin = fake_peer_connected(0);
	assert_non_null(origin);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
	say(world, origin, head);
	return origin;
}

static uint64_t elapsed_us(void)
{
	assert_int_equal(stats->miss_latency.count, 1);
	return stats->miss_latency.sum_us;
}

static void take_all(struct world *world)
{
	world->client->room = SIZE_MAX;
	assert_true(fake_worker_settle(world->worker));
}

static void a_fast_reader(void **state)
{
	struct world *world = *state;

	say(world, ask(world, SIZE_MAX), world->body);
	assert_int_equal(elapsed_us(), 2 * SECOND_US);
}

static void a_slow_reader(void **state)
{
	struct world *world = *state;

	say(world, ask(world, 100), world->body);
	pass(world, 20);
	assert_int_equal(stats->miss_latency.count, 0);
	take_all(world);
	assert_int_equal(elapsed_us(), 2 * SECOND_US);
}

/* The time in which there is nothing to take is the origin's. */
static void a_slow_reader_of_a_slow_origin(void **state)
{
	struct world *world = *state;
	struct fake_peer *origin = ask(world, 1000);

	fake_peer_say(origin, slice_of(world->body, BODY / 2));
	assert_true(fake_worker_settle(world->worker));
	pass(world, 7);
	take_all(world);
	pass(world, 3);
	world->client->room = 1000;
	fake_peer_say(origin, slice_of(world->body, BODY - BODY / 2));
	assert_true(fake_worker_settle(world->worker));
	pass(world, 9);
	take_all(world);
	assert_int_equal(elapsed_us(), 5 * SECOND_US);
}

static void a_reader_who_leaves(void **state)
{
	struct world *world = *state;

	say(world, ask(world, 100), world->body);
	pass(world, 20);
	fake_peer_reset(world->client);
	assert_true(fake_worker_settle(world->worker));
	assert_int_equal(elapsed_us(), 2 * SECOND_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fast_reader, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_slow_reader, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(a_slow_reader_of_a_slow_origin, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(a_reader_who_leaves, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
