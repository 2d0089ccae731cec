/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/*
 * Memory that fails in one fetch: what becomes of those who are not to suffer from it.  Each
 * allocation fails in a world of its own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proxy/front/forward.h"
#include "tests/doubles/failing_memory.h"
#include "tests/doubles/fake_worker.h"
#include "tests/support/test_conf.h"

enum { CLIENTS = 6, ALLOCATIONS_MAX = 200 };

static struct world {
	struct conf *conf;
	struct fake_worker *worker;
	struct fake_peer *clients[CLIENTS];
} world;

static void begin(void)
{
	world.conf = test_conf_new();
	world.worker = fake_worker_new(world.conf);
	for (unsigned i = 0; i < CLIENTS; i++)
		world.clients[i] = fake_worker_accept(world.worker, &forward_frontend, FAKE_LISTEN,
						      FAILURE_NONE);
}

static void end(void)
{
	fake_worker_free(world.worker);
	test_conf_free(world.conf);
}

static void settle(void)
{
	assert_true(fake_worker_settle(world.worker));
}

static void ask(unsigned client)
{
	fake_peer_say(world.clients[client],
		      SLICE("GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"));
	settle();
}

/* Has the client got this since it was last looked at? */
static bool has_got(unsigned client, const char *text)
{
	const struct fake_bytes *got = &world.clients[client]->got;

	return got->n > got->done &&
	       memmem(got->p + got->done, got->n - got->done, text, strlen(text)) != NULL;
}

static unsigned connections(void)
{
	unsigned count = 0;

	while (fake_peer_connected(count) != NULL)
		count++;
	return count;
}

/*
 * One of those who waited asks when the first has failed, and the others wait for that one.  When it
 * cannot, the next does: not each for itself.
 */
static void the_next_one_asks_for_those_who_wait(void **state)
{
	unsigned failed = 0;
	bool happened = true;

	(void)state;
	for (unsigned n = 0; happened; n++) {
		assert_true(n < ALLOCATIONS_MAX);
		begin();
		for (unsigned i = 0; i < CLIENTS; i++)
			ask(i);
		assert_int_equal(connections(), 1);
		fail_memory(n, false);
		fake_peer_reset(fake_peer_connected(0));
		settle();
		happened = fail_memory_never();
		assert_true(has_got(0, "HTTP/1.1 50"));
		/* one that is not in the table asks alone, and another for the rest */
		assert_in_range(connections(), 2, 3);
		for (unsigned i = 1; i < CLIENTS; i++)
			failed += has_got(i, "HTTP/1.1 500");
		end();
	}
	assert_true(failed >= 2);
}

/* The proxy's own trouble is no reason to keep back what may be used in the place of an error. */
static void a_stale_answer_is_better_than_none(void **state)
{
	unsigned stale = 0;
	bool happened = true;

	(void)state;
	for (unsigned n = 0; happened; n++) {
		assert_true(n < ALLOCATIONS_MAX);
		begin();
		ask(0);
		fake_peer_say(fake_peer_connected(0),
			      SLICE("HTTP/1.1 204 N\r\n"
				    "Cache-Control: max-age=1, stale-if-error=60\r\n\r\n"));
		fake_peer_end(fake_peer_connected(0));
		assert_true(fake_worker_pass(world.worker, 5000));
		assert_true(has_got(0, "HTTP/1.1 204"));
		world.clients[0]->got.done = world.clients[0]->got.n;
		fail_memory(n, false);
		ask(0);
		happened = fail_memory_never();
		if (has_got(0, "HTTP/1.1 204")) {
			assert_true(has_got(0, "detail=stale-if-error"));
			stale++;
		}
		end();
	}
	assert_true(stale > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_one_asks_for_those_who_wait),
		cmocka_unit_test(a_stale_answer_is_better_than_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
