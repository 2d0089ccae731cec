/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/*
 * A record that was looked up is not answered from once its bytes were taken back: it counts as a
 * miss, by the rules of one.  The views of this program's forward proxy end right after the lookup.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/doubles/fake_worker.h"
#include "tests/support/test_conf.h"

static bool ending;

static void lookup_and_end(struct cache *cache, const struct http_request *req,
			   const struct http_clock *now, struct cache_lookup *ret_lookup)
{
	cache_lookup(cache, req, now, ret_lookup);
	if (ending)
		cache_turn_end(cache);
}

#define cache_lookup(...) lookup_and_end(__VA_ARGS__)
#include "proxy/front/forward.c"
#undef cache_lookup

#define ASK "GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n"

struct world {
	struct conf *conf;
	struct fake_worker *worker;
	struct fake_peer *client;
	unsigned origins; /* met so far */
};

static int world_setup(void **state)
{
	static struct world world;

	world = (struct world){.conf = test_conf_new()};
	ending = false;
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

/* What the client got since it was last looked at begins with this, and has that in it. */
static void assert_answered(struct world *world, const char *start, const char *part)
{
	struct fake_bytes *got = &world->client->got;
	char text[4096];

	assert_true(got->n > got->done && got->n - got->done < sizeof(text));
	memcpy(text, got->p + got->done, got->n - got->done);
	text[got->n - got->done] = '\0';
	got->done = got->n;
	assert_memory_equal(text, start, strlen(start));
	assert_non_null(strstr(text, part));
}

/* The origin answers what it was asked. */
static void origin_says(struct world *world, const char *text)
{
	struct fake_peer *origin = fake_peer_connected(world->origins);

	if (origin == NULL)
		origin = fake_peer_connected(world->origins - 1);
	else
		world->origins++;
	assert_non_null(origin);
	say(world, origin, text);
}

static void store_one(struct world *world, const char *cache_control)
{
	char head[256];

	say(world, world->client, ASK "\r\n");
	snprintf(head, sizeof(head), "HTTP/1.1 204 No Content\r\nCache-Control: %s\r\nX: 1\r\n\r\n",
		 cache_control);
	origin_says(world, head);
	assert_answered(world, "HTTP/1.1 204", "; stored\r\n");
	say(world, world->client, ASK "\r\n");
	assert_answered(world, "HTTP/1.1 204", "; hit; ");
}

static void what_was_taken_back_is_a_miss(void **state)
{
	struct world *world = *state;

	store_one(world, "max-age=60");
	assert_int_equal(stats->views_ended, 0);
	ending = true;
	say(world, world->client, ASK "\r\n");
	origin_says(world, "HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\nX: 2\r\n\r\n");
	assert_answered(world, "HTTP/1.1 204", "X: 2\r\n");
	assert_int_equal(stats->views_ended, 1);
	ending = false;
	say(world, world->client, ASK "\r\n");
	assert_answered(world, "HTTP/1.1 204", "; hit; ");
}

static void it_is_refused_to_who_wants_no_miss(void **state)
{
	struct world *world = *state;

	store_one(world, "max-age=60");
	ending = true;
	say(world, world->client, ASK "Cache-Control: only-if-cached\r\n\r\n");
	assert_answered(world, "HTTP/1.1 504", "only-if-cached");
	assert_int_equal(stats->views_ended, 1);
}

static void ask_when_stale(struct world *world, const char *cache_control)
{
	store_one(world, cache_control);
	assert_true(fake_worker_pass(world->worker, 3000));
	ending = true;
	say(world, world->client, ASK "\r\n");
	origin_says(world, "HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n\r\n");
	assert_answered(world, "HTTP/1.1 204", "; fwd=uri-miss; ");
	assert_int_equal(stats->views_ended, 1);
	assert_int_equal(stats->validations, 0);
}

static void a_stale_one_is_not_copied_for_a_validation(void **state)
{
	ask_when_stale(*state, "max-age=1");
}

static void nor_answered_from_while_it_is_revalidated(void **state)
{
	ask_when_stale(*state, "max-age=1, stale-while-revalidate=60");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_taken_back_is_a_miss, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(it_is_refused_to_who_wants_no_miss, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(a_stale_one_is_not_copied_for_a_validation,
						world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(nor_answered_from_while_it_is_revalidated,
						world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
