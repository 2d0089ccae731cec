/* LINKS: cache */
/* Purges: what they make of lookups and of answers on their way, and the removal in batches. */
#include <stdlib.h>

#include "tests/support/cache_fixture.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/purge.h"

static void purge_all(struct fixture *f, int64_t s)
{
	cache_purge_all(f->cache, &(struct http_clock){.wall_s = NOW_S + s, .steady_ms = at_ms(s)});
}

/* Batches until nothing is left. */
static unsigned remove_all(struct fixture *f)
{
	enum cache_purging result;
	unsigned batches = 0;

	do {
		uint64_t before = cache_counts(f->cache)->purged;

		result = cache_purge_some(f->cache);
		assert_int_not_equal(result, CACHE_PURGE_FAILED);
		assert_int_equal(cache_purge_is_due(f->cache), result == CACHE_PURGE_GOES_ON);
		assert_in_range(cache_counts(f->cache)->purged - before, 0, PURGE_REMOVE);
		assert_in_range(++batches, 1, 1000);
	} while (result == CACHE_PURGE_GOES_ON);
	return batches;
}

static uint64_t entries(struct fixture *f)
{
	struct store_usage usage;

	cache_flush(f->cache);
	cache_turn_end(f->cache);
	store_usage(cache_store_of(f->cache), &usage);
	return usage.entries;
}

static void fill(struct fixture *f, const char *host, int from, int to, int64_t s)
{
	char req[64];

	for (int i = from; i < to; i++) {
		sprintf(req, "GET http://%s/%d\n", host, i);
		assert_stored(f, req, FRESH "X: x\n", s);
		if (cache_pending(f->cache) == PENDING_MAX)
			cache_flush(f->cache);
	}
	cache_flush(f->cache);
}

/* What is asked for at `asked` and answered at `answered`. */
static enum reason store_late(struct fixture *f, const char *req, const char *res, int64_t asked,
			      int64_t answered)
{
	struct exchange_times times = {at_ms(asked),
				       {.wall_s = NOW_S + answered, .steady_ms = at_ms(answered)},
				       cache_epoch(f->cache),
				       (answered - asked) * 1000,
				       0};
	enum reason why;

	cache_store(f->cache, request_of(&f->req, req), response_of(&f->res, res), &times, &why);
	return why;
}

static void nothing_is_due_at_first(void **state)
{
	struct fixture *f = *state;

	assert_false(cache_purge_is_due(f->cache));
	assert_int_equal(cache_purge_some(f->cache), CACHE_PURGED_ALL);
	purge_all(f, 0);
	assert_true(cache_purge_is_due(f->cache));
	assert_int_equal(remove_all(f), 1);
}

static void what_was_stored_counts_as_absent(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: 1\n", 0);
	assert_stored(f, "HEAD http://b/\n", FRESH "X: b\n", 1);
	cache_flush(f->cache);
	purge_all(f, 1);
	assert_int_equal(entries(f), 2);
	assert_miss(f, "GET http://a/\nFoo: 1\n", 1);
	assert_int_equal(f->lookup.why, REASON_NO_RECORD);
	assert_false(f->lookup.uri_known);
	assert_miss(f, "GET http://a/\nFoo: 2\n", 1);
	assert_false(f->lookup.uri_known);
	assert_miss(f, "HEAD http://b/\n", 1);
	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: new\n", 2);
	assert_hit(f, "GET http://a/\nFoo: 1\n", 2, "new");
}

static void writes_that_wait_are_purged(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH, 1);
	assert_stored(f, "GET http://b/\nFoo: 1\n", FRESH "Vary: Foo\nX: old\n", 1);
	purge_all(f, 1);
	assert_stored(f, "GET http://b/\nFoo: 2\n", FRESH "Vary: Foo\nX: new\n", 2);
	assert_int_equal(entries(f), 1);
	assert_int_equal(cache_counts(f->cache)->stored, 1);
	assert_int_equal(cache_counts(f->cache)->dropped, 0);
	assert_miss(f, "GET http://a/\n", 2);
	assert_miss(f, "GET http://b/\nFoo: 1\n", 2);
	assert_hit(f, "GET http://b/\nFoo: 2\n", 2, "new");
}

static void what_was_asked_for_before_is_not_stored(void **state)
{
	struct fixture *f = *state;
	const char *post = "204\nCache-Control: max-age=60\nContent-Location: /\n";

	purge_all(f, 1);
	assert_int_equal(store_late(f, "GET http://a/\n", FRESH, 0, 2), REASON_OVERTAKEN);
	assert_int_equal(store_late(f, "GET http://a/\n", FRESH, 1, 2), REASON_OVERTAKEN);
	assert_int_equal(store_late(f, "POST http://a/\n", post, 0, 2), REASON_OVERTAKEN);
	assert_miss(f, "GET http://a/\n", 2);
	assert_int_equal(store_late(f, "GET http://a/\n", FRESH "X: 1\n", 2, 3), REASON_NONE);
	assert_hit(f, "GET http://a/\n", 3, "1");
}

static enum reason freshen_late(struct fixture *f, struct slice old, int64_t asked,
				int64_t answered)
{
	struct exchange_times times = {at_ms(asked),
				       {.wall_s = NOW_S + answered, .steady_ms = at_ms(answered)},
				       cache_epoch(f->cache),
				       (answered - asked) * 1000,
				       0};
	struct cache_kept *kept = kept_of(f, "GET http://a/\n", old);
	struct cache_freshened fresh;

	assert_true(cache_freshen(f->cache, &f->req.req, kept,
				  response_of(&f->res, "304\nETag: \"e\"\nX: fresh\n"), &times,
				  &fresh));
	free(kept);
	return fresh.why;
}

static void what_was_purged_is_not_freshened(void **state)
{
	struct fixture *f = *state;
	struct cache_kept *kept;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"e\"\nX: old\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 0);
	kept = kept_of(f, "GET http://a/\n", old);
	assert_non_null(kept);
	assert_false(cache_is_absent(f->cache, kept));
	purge_all(f, 1);
	assert_true(cache_is_absent(f->cache, kept));
	free(kept);
	assert_int_equal(freshen_late(f, old, 0, 2), REASON_OVERTAKEN);
	assert_int_equal(freshen_late(f, old, 2, 3), REASON_OVERTAKEN);
	assert_miss(f, "GET http://a/\n", 3);
	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"e\"\nX: new\n", 4);
	assert_int_equal(freshen_late(f, old, 2, 5), REASON_OVERTAKEN);
	assert_hit(f, "GET http://a/\n", 5, "new");
}

/* Others read their clocks until the mark stands, and later than the one who sets it. */
static void the_mark_is_behind_every_reading_so_far(void **state)
{
	struct fixture *f = *state;
	struct store_clock *clock = store_clock(cache_store_of(f->cache));

	clock->latest_ms = at_ms(5);
	assert_stored(f, "GET http://a/\n", FRESH, 5);
	purge_all(f, 3);
	assert_miss(f, "GET http://a/\n", 5);
	assert_int_equal(store_late(f, "GET http://a/\n", FRESH, 4, 6), REASON_OVERTAKEN);
	assert_true(clock->latest_ms > at_ms(5));
	assert_true(clock->latest_ms <= at_ms(5) + 1);
	purge_all(f, 2);
	assert_int_equal(clock->purged_ms, at_ms(5) + 1);
}

static void new_records_survive_the_removal(void **state)
{
	struct fixture *f = *state;

	fill(f, "old", 0, 100, 0);
	fill(f, "both", 0, 100, 0);
	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: old\n", 0);
	cache_flush(f->cache);
	purge_all(f, 1);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: new\n", 2);
	fill(f, "both", 0, 50, 2);
	fill(f, "new", 0, 100, 2);
	assert_int_equal(entries(f), 301);
	remove_all(f);
	assert_int_equal(entries(f), 151);
	assert_int_equal(cache_counts(f->cache)->purged, 150);
	assert_hit(f, "GET http://new/99\n", 2, "x");
	assert_hit(f, "GET http://both/49\n", 2, "x");
	assert_miss(f, "GET http://both/50\n", 2);
	assert_hit(f, "GET http://a/\nFoo: 2\n", 2, "new");
	assert_miss(f, "GET http://a/\nFoo: 1\n", 2);
}

/* Old and new variants of one URI, as the mark comes between two writes of another process. */
static void an_entry_of_both_keeps_the_new(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: old\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: new\n", 2);
	cache_flush(f->cache);
	purge_all(f, 1);
	remove_all(f);
	assert_int_equal(cache_counts(f->cache)->purged, 1);
	assert_hit(f, "GET http://a/\nFoo: 2\n", 2, "new");
	assert_miss(f, "GET http://a/\nFoo: 1\n", 2);
}

/* New records do not make it look at the same ones for ever. */
static void the_walk_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	unsigned batches;

	fill(f, "old", 0, 10 * PURGE_REMOVE, 0);
	purge_all(f, 1);
	fill(f, "new", 0, 4 * PURGE_LOOK, 2);
	batches = remove_all(f);
	assert_int_equal(entries(f), 4 * PURGE_LOOK);
	assert_in_range(batches, 10, 10 + 4 + 2);
}

static void a_second_purge_moves_the_mark(void **state)
{
	struct fixture *f = *state;

	fill(f, "old", 0, 200, 0);
	purge_all(f, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(cache_purge_some(f->cache), CACHE_PURGE_GOES_ON);
	fill(f, "new", 0, 200, 2);
	purge_all(f, 3);
	assert_miss(f, "GET http://new/0\n", 3);
	remove_all(f);
	assert_int_equal(entries(f), 0);
}

static void a_removal_that_was_broken_off_is_resumed(void **state)
{
	struct fixture *f = *state;

	fill(f, "old", 0, 200, 0);
	purge_all(f, 1);
	assert_int_equal(cache_purge_some(f->cache), CACHE_PURGE_GOES_ON);
	cache_fixture_close(f);
	cache_fixture_open(f);
	assert_true(cache_purge_is_due(f->cache));
	assert_true(entries(f) > 100);
	for (int i = 0; i < 200; i++) {
		char req[64];

		sprintf(req, "GET http://old/%d\n", i);
		assert_miss(f, req, 2);
	}
	remove_all(f);
	assert_int_equal(entries(f), 0);
	cache_fixture_close(f);
	cache_fixture_open(f);
	assert_false(cache_purge_is_due(f->cache));
}

/* The other process: purges all when it is told to. */
static void other_process(struct fixture *f, int told)
{
	char byte;

	if (read(told, &byte, 1) != 1)
		_exit(1);
	cache_fixture_open(f);
	purge_all(f, 1);
	_exit(0);
}

static void a_purge_holds_for_all_processes_at_once(void **state)
{
	struct fixture *f = *state;
	int told[2], status;
	pid_t child;

	cache_fixture_close(f);
	assert_int_equal(pipe(told), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		other_process(f, told[0]);
	cache_fixture_open(f);
	fill(f, "a", 0, 10, 0);
	assert_hit(f, "GET http://a/1\n", 0, "x");
	assert_int_equal(write(told[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(told[0]);
	close(told[1]);
	assert_miss(f, "GET http://a/1\n", 1);
	assert_true(cache_purge_is_due(f->cache));
	assert_int_equal(store_late(f, "GET http://a/1\n", FRESH, 1, 2), REASON_OVERTAKEN);
}

static void answers_on_their_way_to_a_purged_uri_are_not_stored(void **state)
{
	const char *post = "204\nCache-Control: max-age=60\nContent-Location: /\n";
	struct fixture *f = *state;

	assert_int_equal(cache_purge(f->cache, SLICE("http://a/")), CACHE_PURGED_NOTHING);
	f->asked_long_ago = true;
	assert_int_equal(store(f, "GET http://a/\n", FRESH, 2), REASON_OVERTAKEN);
	/* an unsafe request's own invalidation undoes no purge */
	cache_invalidate(f->cache, request_of(&f->req, "POST http://a/\n"),
			 response_of(&f->res, post), &(struct exchange_times){0});
	assert_int_equal(store(f, "POST http://a/\n", post, 2), REASON_OVERTAKEN);
	assert_int_equal(store(f, "GET http://b/\n", FRESH, 2), REASON_NONE);
	f->asked_long_ago = false;
	assert_int_equal(store(f, "POST http://a/\n", post, 2), REASON_NONE);
	assert_int_equal(store(f, "GET http://a/\n", FRESH, 3), REASON_NONE);
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, cache_fixture_setup, cache_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_due_at_first),
		TEST(what_was_stored_counts_as_absent),
		TEST(writes_that_wait_are_purged),
		TEST(what_was_asked_for_before_is_not_stored),
		TEST(what_was_purged_is_not_freshened),
		TEST(the_mark_is_behind_every_reading_so_far),
		TEST(new_records_survive_the_removal),
		TEST(an_entry_of_both_keeps_the_new),
		TEST(the_walk_goes_on_where_it_was),
		TEST(a_second_purge_moves_the_mark),
		TEST(a_removal_that_was_broken_off_is_resumed),
		TEST(a_purge_holds_for_all_processes_at_once),
		TEST(answers_on_their_way_to_a_purged_uri_are_not_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
