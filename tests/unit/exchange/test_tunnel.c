/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* Large transfers through tunnels: with a pipe, without one, and what is given back; and the end of all tunnels. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/exchange/tunnel.h"
#include "proxy/front/forward.h"
#include "tests/doubles/fake_worker.h"
#include "tests/support/captured.h"
#include "tests/support/test_conf.h"

enum { PIECE = 256 * 1024, PIECES = 8, SPLICED_AFTER = 512 * 1024 };

static struct world {
	struct conf *conf;
	struct fake_worker *worker;
	struct fake_peer *client, *target;
	char *piece;
	int free_fd; /* the lowest: pipes are real */
} world;

static int free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void settle(void)
{
	assert_true(fake_worker_settle(world.worker));
}

static struct fake_peer *new_client(void)
{
	return fake_worker_accept(world.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
}

static int setup(void **state)
{
	(void)state;
	world = (struct world){.conf = test_conf_new(), .piece = malloc(PIECE)};
	memset(world.piece, 'x', PIECE);
	assert_true(test_conf_set(world.conf, "connect_ports", "80,443,8443"));
	world.worker = fake_worker_new(world.conf);
	world.client = new_client();
	world.free_fd = free_fd();
	return world.piece == NULL;
}

static int teardown(void **state)
{
	(void)state;
	settle();
	assert_null(fake_worker_leftover(world.worker));
	assert_int_equal(stats->tunnels_open, 0);
	assert_int_equal(free_fd(), world.free_fd);
	fake_worker_free(world.worker);
	test_conf_free(world.conf);
	free(world.piece);
	return 0;
}

static void ask_for_tunnel(struct fake_peer *client, const char *authority)
{
	char text[200];

	snprintf(text, sizeof(text), "CONNECT %s HTTP/1.1\r\nHost: a\r\n\r\n", authority);
	fake_peer_say(client, slice_str(text));
	settle();
}

static void open_tunnel(void)
{
	ask_for_tunnel(world.client, "10.0.0.1:443");
	world.target = fake_peer_connected(0);
	assert_non_null(world.target);
	assert_int_equal(stats->tunnels_open, 1);
	world.client->got.done = world.client->got.n;
}

/* It says so many pieces, and the other gets them all. */
static void transfer(struct fake_peer *from, struct fake_peer *to, unsigned pieces)
{
	for (unsigned i = 0; i < pieces; i++) {
		fake_peer_say(from, slice_of(world.piece, PIECE));
		settle();
	}
	assert_int_equal(to->got.n - to->got.done, (size_t)pieces * PIECE);
	to->got.done = to->got.n;
}

static unsigned pipes(void)
{
	return budget_used(&world.worker->budgets, BUDGET_PIPES, 0);
}

static void end_tunnel(void)
{
	fake_peer_end(world.client);
	fake_peer_end(world.target);
	settle();
	assert_null(world.client->conn);
	assert_null(world.target->conn);
	assert_int_equal(pipes(), 0);
}

/* "tunnelled, not seen by the cache: " and this, in which "*" is the advice; or no such line. */
static void assert_told(const char *log, const char *what)
{
	const char *line = strstr(log, "tunnelled, not seen by the cache: ");
	const char *star = strchr(what, '*');

	assert_int_equal(line != NULL, what[0] != '\0');
	if (line == NULL)
		return;
	line += strlen("tunnelled, not seen by the cache: ");
	assert_memory_equal(line, what, (size_t)(star - what));
	line = strstr(line, " use ");
	assert_non_null(line);
	assert_string_equal(line + strlen(" use "), star + 1);
}

/* Each direction has its own, when it has moved enough. */
static void a_large_transfer_has_a_pipe(void **state)
{
	uint64_t in = stats->tunnel_bytes_in, out = stats->tunnel_bytes_out;

	(void)state;
	open_tunnel();
	transfer(world.client, world.target, SPLICED_AFTER / PIECE - 1);
	fake_peer_say(world.client, slice_of(world.piece, PIECE - 1));
	settle();
	assert_int_equal(pipes(), 0);
	fake_peer_say(world.client, slice_of(world.piece, 1));
	settle();
	assert_int_equal(pipes(), 1);
	world.target->got.done = world.target->got.n;
	transfer(world.client, world.target, PIECES);
	assert_int_equal(pipes(), 1);
	transfer(world.target, world.client, PIECES);
	assert_int_equal(pipes(), 2);
	fake_conn_wake(world.client); /* with nothing to read */
	settle();
	transfer(world.client, world.target, 1);
	transfer(world.target, world.client, 1);
	assert_int_equal(stats->tunnel_bytes_in - in,
			 (uint64_t)(PIECES + 1) * PIECE + SPLICED_AFTER);
	assert_int_equal(stats->tunnel_bytes_out - out, (uint64_t)(PIECES + 1) * PIECE);
	end_tunnel();
}

/* Without one it is copied, and none is asked for again. */
static void without_a_pipe_it_is_copied(void **state)
{
	struct budget_limit limit = world.worker->budgets.limit[BUDGET_PIPES];
	uint64_t unpiped = stats->tunnels_unpiped;

	(void)state;
	world.worker->budgets.limit[BUDGET_PIPES] = (struct budget_limit){.all = 0};
	open_tunnel();
	transfer(world.client, world.target, PIECES);
	assert_int_equal(stats->tunnels_unpiped - unpiped, 1);
	world.worker->budgets.limit[BUDGET_PIPES] = limit;
	transfer(world.client, world.target, PIECES);
	assert_int_equal(pipes(), 0);
	transfer(world.target, world.client, PIECES); /* the other way has one */
	assert_int_equal(pipes(), 1);
	assert_int_equal(stats->tunnels_unpiped - unpiped, 1);
	end_tunnel();
}

/* What the kernel cannot move, as it is encrypted, is not counted as a want of pipes. */
static void encrypted_bytes_are_copied(void **state)
{
	uint64_t unpiped = stats->tunnels_unpiped;

	(void)state;
	open_tunnel();
	world.client->secured = true;
	transfer(world.client, world.target, PIECES);
	world.client->secured = false; /* it was decided for good */
	transfer(world.client, world.target, PIECES);
	assert_int_equal(pipes(), 0);
	assert_int_equal(stats->tunnels_unpiped, unpiped);
	world.target->secured = true;
	transfer(world.target, world.client, PIECES);
	assert_int_equal(pipes(), 0);
	world.target->secured = false;
	end_tunnel();
}

/* Whichever end it is. */
static void bytes_that_are_to_be_encrypted_are_copied(void **state)
{
	uint64_t unpiped = stats->tunnels_unpiped;

	(void)state;
	open_tunnel();
	world.client->secured = true;
	transfer(world.target, world.client, PIECES);
	world.client->secured = false;
	assert_int_equal(pipes(), 0);
	assert_int_equal(stats->tunnels_unpiped, unpiped);
	transfer(world.client, world.target, PIECES);
	assert_int_equal(pipes(), 1);
	end_tunnel();
}

/* As the first, which leaves the other way open; the second needs none of its own, unless TLS has one. */
static void the_second_end_is_that_of_closing(void **state)
{
	static const struct {
		bool client_secured, target_secured, client_first, client_told, target_told;
	} cases[] = {
		{false, false, true, false, true}, {false, false, false, true, false},
		{true, false, true, true, true},   {true, false, false, true, false},
		{false, true, true, false, true},  {false, true, false, true, true},
	};

	(void)state;
	fake_peer_reset(world.client);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fake_peer *first, *second;

		world.client = new_client();
		ask_for_tunnel(world.client, "10.0.0.1:443");
		world.target = fake_peer_connected((unsigned)i);
		world.client->secured = cases[i].client_secured;
		world.target->secured = cases[i].target_secured;
		first = cases[i].client_first ? world.client : world.target;
		second = cases[i].client_first ? world.target : world.client;
		fake_peer_end(first);
		settle();
		assert_true(second->told_end);
		assert_false(first->got_end);
		assert_non_null(first->conn);
		fake_peer_end(second);
		settle();
		assert_null(first->conn);
		assert_null(second->conn);
		assert_false(first->got_reset || second->got_reset);
		assert_int_equal(world.client->told_end, cases[i].client_told);
		assert_int_equal(world.target->told_end, cases[i].target_told);
	}
}

/* No descriptor is left for one: it is copied, and no place among the pipes is held. */
static void without_descriptors_it_is_copied(void **state)
{
	uint64_t unpiped = stats->tunnels_unpiped;
	struct rlimit limit, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){(rlim_t)world.free_fd, limit.rlim_max};
	open_tunnel();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	transfer(world.client, world.target, PIECES);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(stats->tunnels_unpiped - unpiped, 1);
	assert_int_equal(pipes(), 0);
	transfer(world.client, world.target, PIECES);
	assert_int_equal(pipes(), 0);
	end_tunnel();
}

/* The first time for each host and port, with what an operator could do instead: by TLS, unless it is port 80. */
static void the_first_to_each_host_is_told(void **state)
{
	static const struct {
		const char *authority, *told;
	} cases[] = {
		{"10.0.7.1:443", "CONNECT 10.0.7.1:443; *gateway=ADDRESS:PORT=https://10.0.7.1\n"},
		{"10.0.7.1:443", ""},
		{"10.0.7.1:80", "CONNECT 10.0.7.1:80; *gateway=ADDRESS:PORT=http://10.0.7.1\n"},
		{"10.0.7.2:8443",
		 "CONNECT 10.0.7.2:8443; *gateway=ADDRESS:PORT=https://10.0.7.2:8443\n"},
		{"10.0.7.2:8443", ""},
	};

	(void)state;
	fake_peer_reset(world.client);
	settle();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct captured captured;

		world.client = new_client();
		captured_begin(&captured, false);
		ask_for_tunnel(world.client, cases[i].authority);
		captured_end(&captured);
		world.target = fake_peer_connected((unsigned)i);
		assert_non_null(world.target);
		assert_told(captured.err, cases[i].told);
		captured_free(&captured);
		end_tunnel();
	}
}

/* What waits for a side that takes nothing is bounded: the other is not read from then on. */
static void what_waits_is_bounded(void **state)
{
	uint64_t in = stats->tunnel_bytes_in;

	(void)state;
	open_tunnel();
	world.target->room = 0;
	fake_peer_say(world.client, slice_of(world.piece, HIGH_WATER - 1));
	settle();
	fake_peer_say(world.client, slice_of(world.piece, 1));
	settle();
	assert_int_equal(stats->tunnel_bytes_in - in, HIGH_WATER);
	fake_peer_say(world.client, slice_of(world.piece, 1));
	settle();
	assert_int_equal(stats->tunnel_bytes_in - in, HIGH_WATER);
	world.target->room = 1;
	settle();
	assert_int_equal(stats->tunnel_bytes_in - in, HIGH_WATER + 1);
	world.target->room = SIZE_MAX;
	settle();
	assert_int_equal(world.target->got.n - world.target->got.done, HIGH_WATER + 1);
	end_tunnel();
}

/* One that is unlinked leaves the others where they are: the first, the last, one between. */
static void any_of_several_may_end(void **state)
{
	struct fake_peer *clients[3];

	(void)state;
	for (unsigned ends = 0; ends < 3; ends++) {
		for (unsigned i = 0; i < 3; i++) {
			clients[i] = new_client();
			ask_for_tunnel(clients[i], "10.0.0.1:443");
		}
		assert_int_equal(stats->tunnels_open, 3);
		fake_peer_reset(clients[ends]);
		settle();
		assert_int_equal(stats->tunnels_open, 2);
		tunnels_close(world.worker->tunnels);
		settle();
		for (unsigned i = 0; i < 3; i++)
			assert_null(clients[i]->conn);
		assert_int_equal(stats->tunnels_open, 0);
		assert_int_equal(budget_used(&world.worker->budgets, BUDGET_TUNNELS, 0), 0);
	}
	tunnels_close(world.worker->tunnels); /* of which there are none */
	fake_peer_reset(world.client);
}

/* A pipe that is full, or has what cannot be sent now, waits; the other way goes on. */
static void a_full_pipe_waits(void **state)
{
	(void)state;
	open_tunnel();
	transfer(world.client, world.target, PIECES);
	world.target->room = 1000;
	for (unsigned i = 0; i < 2 * PIECES; i++) {
		fake_peer_say(world.client, slice_of(world.piece, PIECE));
		settle();
	}
	assert_int_equal(world.target->got.n - world.target->got.done, 1000);
	assert_true(world.client->said.done < world.client->said.n); /* it is not read */
	transfer(world.target, world.client, 1);
	world.target->room = SIZE_MAX;
	settle();
	assert_int_equal(world.target->got.n - world.target->got.done, (size_t)2 * PIECES * PIECE);
	assert_int_equal(world.client->said.done, world.client->said.n);
	end_tunnel();
}

/* At the end of a drain: an RST to both, as neither has said all. */
static void all_are_closed_at_once(void **state)
{
	struct fake_peer *other = new_client();

	(void)state;
	open_tunnel();
	transfer(world.client, world.target, PIECES);
	ask_for_tunnel(other, "10.0.0.2:443");
	assert_int_equal(stats->tunnels_open, 2);
	assert_int_equal(budget_used(&world.worker->budgets, BUDGET_TUNNELS, 0), 2);
	tunnels_close(world.worker->tunnels);
	settle();
	assert_int_equal(pipes(), 0);
	assert_int_equal(budget_used(&world.worker->budgets, BUDGET_TUNNELS, 0), 0);
	assert_true(world.client->got_reset && world.target->got_reset && other->got_reset);
	assert_int_equal(fake_conn_open(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_large_transfer_has_a_pipe),
		TEST(without_a_pipe_it_is_copied),
		TEST(encrypted_bytes_are_copied),
		TEST(a_full_pipe_waits),
		TEST(bytes_that_are_to_be_encrypted_are_copied),
		TEST(the_first_to_each_host_is_told),
		TEST(the_second_end_is_that_of_closing),
		TEST(without_descriptors_it_is_copied),
		TEST(what_waits_is_bounded),
		TEST(any_of_several_may_end),
		TEST(all_are_closed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
