/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/* What an operator is told of one question to an origin: its head as it came, times, address or failure, once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "proxy/exchange/probe.h"
#include "tests/doubles/failing_memory.h"
#include "tests/doubles/fake_worker.h"
#include "tests/doubles/store_memory.h"
#include "tests/support/messages.h"
#include "tests/support/test_conf.h"

enum { ORIGIN = 80 };

struct world {
	struct conf *conf;
	struct fake_worker *worker;
	struct message message;
	struct probe *probe;
	budget_id holder;
	enum failure refused; /* of probe_start() */
	unsigned calls;
	/* of the call */
	enum failure failure;
	unsigned status;
	char raw[256], origin[ADDRESS_TEXT_SIZE];
	int64_t elapsed_us, delay_ms, requested_ms, answered_ms;
	uint64_t admission;
};

static int world_setup(void **state)
{
	static struct world world;

	world = (struct world){.conf = test_conf_new()};
	world.worker = fake_worker_new(world.conf);
	*state = &world;
	return 0;
}

/* All connections are closed by then, but for one that is kept. */
static int world_teardown(void **state)
{
	struct world *world = *state;

	fail_memory_never();
	if (!fake_worker_pass(world->worker, 3600 * 1000) || fake_conn_open() != 0 ||
	    fake_worker_leftover(world->worker) != NULL)
		return -1;
	fake_worker_free(world->worker);
	test_conf_free(world->conf);
	return 0;
}

static void done(void *context, const struct probe_answer *answer)
{
	struct world *world = context;

	world->calls++;
	world->failure = answer->failure;
	assert_int_equal(answer->failure == FAILURE_NONE, answer->res != NULL);
	world->status = answer->res == NULL ? 0 : answer->res->status;
	assert_true(answer->raw.n < sizeof(world->raw));
	if (answer->raw.n > 0)
		memcpy(world->raw, answer->raw.p, answer->raw.n);
	world->raw[answer->raw.n] = '\0';
	world->origin[0] = '\0';
	if (answer->origin->any.sa_family != AF_UNSPEC)
		address_format_port(answer->origin, world->origin);
	world->elapsed_us = answer->elapsed_us;
	world->delay_ms = answer->times->delay_ms;
	world->requested_ms = answer->times->request_steady_ms;
	world->answered_ms = answer->times->response.steady_ms;
	world->admission = answer->times->admission;
}

static void ask(struct world *world, const char *request)
{
	struct probe_question question = {
		.req = request_of(&world->message, request),
		.holder = world->holder,
		.done = done,
		.context = world,
	};

	world->calls = 0;
	world->probe = probe_start(world->worker->fetches, &question, &world->refused);
	assert_int_equal(world->calls, 0);
	assert_true(fake_worker_settle(world->worker));
}

/* The n-th connection to an origin says this. */
static void origin_says(struct world *world, unsigned n, const char *text)
{
	struct fake_peer *origin = fake_peer_connected(n);

	assert_non_null(origin);
	fake_peer_say(origin, slice_str(text));
	assert_true(fake_worker_settle(world->worker));
}

static bool is_open(unsigned n)
{
	return fake_peer_connected(n)->conn != NULL;
}

static void pass(struct world *world, int64_t ms)
{
	assert_true(fake_worker_pass(world->worker, ms));
}

static void a_head_is_told_as_it_came(void **state)
{
	static const char head[] = "HTTP/1.1 204 No Content\r\nX: 1\r\nY:2\r\n\r\n";
	struct world *world = *state;
	uint64_t validations = stats->validations;

	ask(world, "GET http://10.0.0.1/x\n");
	assert_non_null(strstr(fake_peer_connected(0)->got.p, "GET /x HTTP/1.1\r\n"));
	pass(world, 30);
	origin_says(world, 0, head);
	assert_int_equal(world->calls, 1);
	assert_int_equal(world->status, 204);
	assert_string_equal(world->raw, head);
	assert_string_equal(world->origin, "10.0.0.1:80");
	assert_int_equal(world->elapsed_us, 30000);
	assert_int_equal(world->delay_ms, 30);
	assert_int_equal(world->answered_ms - world->requested_ms, 30);
	assert_int_not_equal(world->admission, 0);
	assert_int_equal(stats->validations, validations);
	assert_true(is_open(0)); /* kept, and used for the next */
	ask(world, "HEAD http://10.0.0.1/y\n");
	pass(world, 5);
	origin_says(world, 0, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(world->calls, 1);
	assert_int_equal(world->status, 200);
	assert_int_equal(world->elapsed_us, 5000);
	assert_null(fake_peer_connected(1));
}

/* Not those before it, nor what follows it. */
static void the_head_alone_is_told(void **state)
{
	struct world *world = *state;

	ask(world, "GET http://10.0.0.1/x\n");
	origin_says(world, 0, "HTTP/1.1 103 Early Hints\r\nA: 1\r\n\r\n");
	assert_int_equal(world->calls, 0);
	origin_says(world, 0, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\r\n\r\n");
	assert_int_equal(world->calls, 1);
	assert_int_equal(world->status, 200);
	assert_string_equal(world->raw, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
	assert_false(is_open(0)); /* its content is of no use */
}

/* A bare LF ends a line as well, an empty one the head. */
static void a_head_with_bare_ends_of_lines(void **state)
{
	struct world *world = *state;

	ask(world, "GET http://10.0.0.1/x\n");
	origin_says(world, 0, "HTTP/1.1 204 N\nA: 1\n\nx\n");
	assert_int_equal(world->calls, 1);
	assert_string_equal(world->raw, "HTTP/1.1 204 N\nA: 1\n\n");
	assert_false(is_open(0));
}

static void failures_are_told(void **state)
{
	static const struct {
		const char *says;
		enum failure failure;
	} cases[] = {
		{"rubbish\r\n\r\n", FAILURE_BAD_RESPONSE},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
		 FAILURE_UNASKED_UPGRADE},
		{"HTTP/1.1 407 P\r\n\r\n", FAILURE_BAD_RESPONSE},
	};
	struct world *world = *state;
	unsigned n = 0;

	for (; n < sizeof(cases) / sizeof(*cases); n++) {
		ask(world, "GET http://10.0.0.1/x\n");
		origin_says(world, n, cases[n].says);
		assert_int_equal(world->calls, 1);
		assert_int_equal(world->failure, cases[n].failure);
		assert_string_equal(world->origin, "10.0.0.1:80");
		assert_string_equal(world->raw, "");
		assert_false(is_open(n));
	}
	ask(world, "GET http://10.0.0.1/x\n");
	pass(world, world->conf->first_byte_timeout_ms);
	assert_int_equal(world->failure, FAILURE_ORIGIN_TIMEOUT);
	assert_int_equal(world->elapsed_us, world->conf->first_byte_timeout_ms * 1000);
	assert_false(is_open(n));
	fake_conn_connects(ECONNREFUSED);
	ask(world, "GET http://10.0.0.1/x\n");
	fake_conn_connects(0);
	assert_int_equal(world->failure, FAILURE_ORIGIN_REFUSED);
	assert_string_equal(world->origin, "");
}

/* Its connection is in no client's place: without one for it, it is refused, and holds none. */
static void without_room_it_is_refused(void **state)
{
	struct world *world = *state;
	uint64_t refused = stats->extras_refused;
	struct budget_limit limit = world->worker->budgets.limit[BUDGET_EXTRAS];

	world->worker->budgets.limit[BUDGET_EXTRAS] = (struct budget_limit){.all = 0};
	ask(world, "GET http://10.0.0.1/x\n");
	assert_null(world->probe);
	assert_int_equal(world->refused, FAILURE_TOO_MANY_ORIGIN);
	assert_int_equal(stats->extras_refused - refused, 1);
	assert_null(fake_peer_connected(0));
	assert_null(fake_worker_leftover(world->worker));
	world->worker->budgets.limit[BUDGET_EXTRAS] = limit;
	ask(world, "GET http://10.0.0.1/x\n");
	assert_int_equal(budget_used(&world->worker->budgets, BUDGET_EXTRAS, 0), 1);
	origin_says(world, 0, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
	assert_int_equal(budget_used(&world->worker->budgets, BUDGET_EXTRAS, 0), 0);
}

static void ask_and_keep(struct world *world, const char *request, unsigned n)
{
	ask(world, request);
	origin_says(world, n, "HTTP/1.1 204 N\r\n\r\n");
	assert_int_equal(world->calls, 1);
}

/* One that is kept is held by who used it last, of whom each has a part of all. */
static void kept_ones_are_held_by_who_used_them(void **state)
{
	struct world *world = *state;

	world->worker->budgets.limit[BUDGET_IDLE] =
		(struct budget_limit){.all = 9, .here = 9, .one_all = 1, .one_here = 1};
	world->holder = 7;
	ask_and_keep(world, "GET http://10.0.0.1/\n", 0);
	assert_true(is_open(0));
	ask_and_keep(world, "GET http://10.0.0.2/\n", 1);
	assert_false(is_open(1)); /* it has one */
	world->holder = 9;
	ask_and_keep(world, "GET http://10.0.0.1/\n", 0);
	assert_true(is_open(0));
	ask_and_keep(world, "GET http://10.0.0.2/\n", 2);
	assert_false(is_open(2));
	world->holder = 7;
	ask_and_keep(world, "GET http://10.0.0.2/\n", 3);
	assert_true(is_open(3) && is_open(0));
}

static void what_is_cancelled_is_not_told(void **state)
{
	struct world *world = *state;

	ask(world, "GET http://10.0.0.1/x\n");
	probe_cancel(world->probe);
	assert_false(is_open(0));
	assert_true(fake_worker_settle(world->worker));
	assert_int_equal(world->calls, 0);
}

/* Each time one allocation more is to be had, until the question goes out. */
static void without_memory_it_is_refused_or_fails(void **state)
{
	struct world *world = *state;
	unsigned refused = 0, failed = 0, peers = 0;

	for (size_t n = 0; n < 100; n++) {
		fail_memory(n, false);
		ask(world, "GET http://10.0.0.1/x\n");
		if (!fail_memory_never())
			break;
		while (fake_peer_connected(peers) != NULL)
			peers++;
		if (world->probe == NULL)
			assert_int_equal(world->refused, FAILURE_INTERNAL);
		else if (world->calls == 0)
			probe_cancel(world->probe);
		else
			assert_int_equal(world->failure, FAILURE_INTERNAL);
		refused += world->probe == NULL;
		failed += world->calls;
	}
	assert_true(refused >= 3);
	origin_says(world, peers, "HTTP/1.1 204 N\r\n\r\n");
	assert_int_equal(world->status, 204);
}

/* An answer that is put off behind its head ends there when what follows finds no room: it is told. */
static void without_memory_behind_the_head_it_is_told_once(void **state)
{
	struct world *world = *state;
	bool failed = true;
	unsigned peer = 0;

	world->worker->turn.steps_max = 1;
	for (size_t n = 0; n < 100 && failed; n++, peer++) {
		ask(world, "GET http://10.0.0.1/x\n");
		fake_peer_say(fake_peer_connected(peer), SLICE("HTTP/1.1 204 N\r\n\r\nx"));
		fail_memory(n, false);
		assert_true(fake_worker_settle(world->worker));
		failed = fail_memory_never();
		assert_int_equal(world->calls, 1);
		assert_false(is_open(peer));
	}
	assert_false(failed);
	assert_int_equal(world->status, 204);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_head_is_told_as_it_came),
		TEST(the_head_alone_is_told),
		TEST(a_head_with_bare_ends_of_lines),
		TEST(failures_are_told),
		TEST(without_room_it_is_refused),
		TEST(kept_ones_are_held_by_who_used_them),
		TEST(what_is_cancelled_is_not_told),
		TEST(without_memory_it_is_refused_or_fails),
		TEST(without_memory_behind_the_head_it_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
