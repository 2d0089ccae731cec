/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/*
 * A record that was looked up is not answered from once its bytes were taken back: it counts as a
 * miss, by the rules of one.  The views of this program's forward proxy end right after the lookup.
 */
#include "tests/support/worker_fixture.h"

static bool ending, ending_later;

static void lookup_and_end(struct cache *cache, const struct http_request *req,
			   const struct http_clock *now, struct cache_lookup *ret_lookup)
{
	cache_lookup(cache, req, now, ret_lookup);
	if (ending)
		cache_turn_end(cache);
}

/* Another process takes the bytes back between the look at them and the answer. */
static bool end_and_answer(struct exchange *x, const struct record_view *record)
{
	if (ending_later)
		cache_turn_end(x->use->cache);
	return exchange_answer_record(x, record);
}

#define cache_lookup(...) lookup_and_end(__VA_ARGS__)
#define exchange_answer_record(...) end_and_answer(__VA_ARGS__)
#include "proxy/front/forward.c"
#undef cache_lookup
#undef exchange_answer_record

#define ASK "GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\n"

static struct worker_fixture world;
static unsigned origins; /* met so far */

static int setup(void **state)
{
	(void)state;
	ending = ending_later = false;
	origins = 0;
	worker_fixture_open(&world, &forward_frontend, "");
	return 0;
}

static void say(struct fake_peer *peer, const char *text)
{
	worker_fixture_say(&world, peer, text);
}

/* What the client got since it was last looked at begins with this, and has that in it. */
static void assert_answered(const char *start, const char *part)
{
	const char *text = worker_fixture_got(&world, world.client);

	assert_memory_equal(text, start, strlen(start));
	assert_non_null(strstr(text, part));
}

/* The origin answers what it was asked. */
static void origin_says(const char *text)
{
	struct fake_peer *origin = fake_peer_connected(origins);

	if (origin == NULL)
		origin = fake_peer_connected(origins - 1);
	else
		origins++;
	assert_non_null(origin);
	say(origin, text);
}

static void store_one(const char *cache_control)
{
	char head[256];

	say(world.client, ASK "\r\n");
	snprintf(head, sizeof(head), "HTTP/1.1 204 No Content\r\nCache-Control: %s\r\nX: 1\r\n\r\n",
		 cache_control);
	origin_says(head);
	assert_answered("HTTP/1.1 204", "; stored\r\n");
	say(world.client, ASK "\r\n");
	assert_answered("HTTP/1.1 204", "; hit; ");
}

static void what_was_taken_back_is_a_miss(void **state)
{
	(void)state;
	store_one("max-age=60");
	assert_int_equal(stats->views_ended, 0);
	ending = true;
	say(world.client, ASK "\r\n");
	origin_says("HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\nX: 2\r\n\r\n");
	assert_answered("HTTP/1.1 204", "X: 2\r\n");
	assert_int_equal(stats->views_ended, 1);
	ending = false;
	say(world.client, ASK "\r\n");
	assert_answered("HTTP/1.1 204", "; hit; ");
}

static void also_when_it_is_taken_back_at_the_last_moment(void **state)
{
	(void)state;
	store_one("max-age=60");
	ending_later = true;
	say(world.client, ASK "\r\n");
	origin_says("HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\nX: 2\r\n\r\n");
	assert_answered("HTTP/1.1 204", "; fwd=uri-miss; fwd-status=204; stored\r\n");
	assert_int_equal(stats->views_ended, 1);
}

static void it_is_refused_to_who_wants_no_miss(void **state)
{
	(void)state;
	store_one("max-age=60");
	ending = true;
	say(world.client, ASK "Cache-Control: only-if-cached\r\n\r\n");
	assert_answered("HTTP/1.1 504", "only-if-cached");
	assert_int_equal(stats->views_ended, 1);
}

static void ask_when_stale(const char *cache_control)
{
	store_one(cache_control);
	worker_fixture_pass(&world, 3000);
	ending = true;
	say(world.client, ASK "\r\n");
	origin_says("HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n\r\n");
	assert_answered("HTTP/1.1 204", "; fwd=uri-miss; ");
	assert_int_equal(stats->views_ended, 1);
	assert_int_equal(stats->validations, 0);
}

static void a_stale_one_is_not_copied_for_a_validation(void **state)
{
	(void)state;
	ask_when_stale("max-age=1");
}

static void nor_answered_from_while_it_is_revalidated(void **state)
{
	(void)state;
	ask_when_stale("max-age=1, stale-while-revalidate=60");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_taken_back_is_a_miss, setup,
						worker_fixture_close),
		cmocka_unit_test_setup_teardown(also_when_it_is_taken_back_at_the_last_moment,
						setup, worker_fixture_close),
		cmocka_unit_test_setup_teardown(it_is_refused_to_who_wants_no_miss, setup,
						worker_fixture_close),
		cmocka_unit_test_setup_teardown(a_stale_one_is_not_copied_for_a_validation, setup,
						worker_fixture_close),
		cmocka_unit_test_setup_teardown(nor_answered_from_while_it_is_revalidated, setup,
						worker_fixture_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
