/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* How long an answer took, by a clock of the test: as long as the origin, however slow the reader. */
#include "proxy/front/forward.h"
#include "tests/support/worker_fixture.h"

enum { SECOND_US = 1000000, BODY = 200000 };

static struct worker_fixture world;
static char body[BODY + 1];

static int setup(void **state)
{
	(void)state;
	memset(body, 'x', BODY);
	worker_fixture_open(&world, &forward_frontend, "");
	return 0;
}

static void say(struct fake_peer *peer, const char *text)
{
	worker_fixture_say(&world, peer, text);
}

static void pass(int64_t seconds)
{
	worker_fixture_pass(&world, seconds * 1000);
}

/* A body that does not fit into what the client takes, two seconds after it was asked for. */
static struct fake_peer *ask(size_t room)
{
	struct fake_peer *origin;
	char head[128];

	say(world.client, "GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
	pass(2);
	world.client->room = room;
	origin = fake_peer_connected(0);
	assert_non_null(origin);
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BODY);
	say(origin, head);
	return origin;
}

static uint64_t elapsed_us(void)
{
	assert_int_equal(stats->miss_latency.count, 1);
	return stats->miss_latency.sum_us;
}

static void a_fast_reader(void **state)
{
	(void)state;
	say(ask(SIZE_MAX), body);
	assert_int_equal(elapsed_us(), 2 * SECOND_US);
}

static void a_slow_reader(void **state)
{
	(void)state;
	say(ask(100), body);
	pass(20);
	assert_int_equal(stats->miss_latency.count, 0);
	worker_fixture_take_all(&world);
	assert_int_equal(elapsed_us(), 2 * SECOND_US);
}

/* The time in which there is nothing to take is the origin's. */
static void a_slow_reader_of_a_slow_origin(void **state)
{
	struct fake_peer *origin = ask(1000);

	(void)state;
	fake_peer_say(origin, slice_of(body, BODY / 2));
	worker_fixture_settle(&world);
	pass(7);
	worker_fixture_take_all(&world);
	pass(3);
	world.client->room = 1000;
	fake_peer_say(origin, slice_of(body, BODY - BODY / 2));
	worker_fixture_settle(&world);
	pass(9);
	worker_fixture_take_all(&world);
	assert_int_equal(elapsed_us(), 5 * SECOND_US);
}

static void a_reader_who_leaves(void **state)
{
	(void)state;
	say(ask(100), body);
	pass(20);
	fake_peer_reset(world.client);
	worker_fixture_settle(&world);
	assert_int_equal(elapsed_us(), 2 * SECOND_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fast_reader, setup, worker_fixture_close),
		cmocka_unit_test_setup_teardown(a_slow_reader, setup, worker_fixture_close),
		cmocka_unit_test_setup_teardown(a_slow_reader_of_a_slow_origin, setup,
						worker_fixture_close),
		cmocka_unit_test_setup_teardown(a_reader_who_leaves, setup, worker_fixture_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
