/* LINKS: cache tests/doubles/counted_memory.c */
/* Views of records know when their bytes were taken back (cache/base/view.h). */
#define CACHE204_CHECKS 1
#include "tests/doubles/counted_memory.h"
#include "tests/support/cache_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/pending.h"

static const struct record_view *found(struct fixture *f)
{
	look_up(f, "GET http://a/\n", 0);
	assert_true(f->lookup.has_record);
	assert_true(record_is_current(&f->lookup.record));
	return &f->lookup.record;
}

static void turn_end(struct fixture *f)
{
	cache_turn_end(f->cache);
}

static void flush(struct fixture *f)
{
	assert_stored(f, "GET http://b/\n", FRESH, 0);
	cache_flush(f->cache);
}

static void flush_some(struct fixture *f)
{
	assert_stored(f, "GET http://b/\n", FRESH, 0);
	cache_flush_some(f->cache);
}

static void look_up_what_waits(struct fixture *f)
{
	struct cache_lookup other;
	struct message req;

	assert_stored(f, "GET http://b/\n", FRESH, 0);
	cache_lookup(f->cache, request_of(&req, "GET http://b/\n"),
		     &(struct http_clock){.wall_s = NOW_S, .steady_ms = at_ms(0)}, &other);
	assert_true(other.has_record);
}

static void invalidate(struct fixture *f)
{
	struct exchange_times times = {.request_steady_ms = at_ms(0)};
	struct message req;

	cache_invalidate(f->cache, request_of(&req, "POST http://c/\n"),
			 response_of(&f->res, "204\n"), &times);
}

static void purge(struct fixture *f)
{
	cache_purge(f->cache, SLICE("http://c/"));
}

static void purge_some(struct fixture *f)
{
	struct http_clock now = {.wall_s = NOW_S, .steady_ms = at_ms(1)};

	cache_purge_all(f->cache, &now);
	while (cache_purge_some(f->cache) == CACHE_PURGE_GOES_ON)
		;
}

static void fill_the_queue(struct fixture *f)
{
	char request[32];

	for (int i = 0; i < PENDING_MAX; i++) {
		snprintf(request, sizeof(request), "GET http://b%d/\n", i);
		assert_stored(f, request, FRESH, 0);
	}
	remove_record(f, "GET http://a/\n", f->lookup.record.bytes);
	assert_int_equal(cache_pending(f->cache), PENDING_MAX);
	cache_flush(f->cache);
}

static void a_view_ends_with_whatever_may_write(void **state)
{
	/* the last one leaves time behind after which nothing here is asked for */
	static void (*const ends[])(struct fixture *) = {
		turn_end,   flush, flush_some,     look_up_what_waits,
		invalidate, purge, fill_the_queue, purge_some,
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct record_view view;

		assert_stored(f, "GET http://a/\n", FRESH "ETag: \"e\"\n", 0);
		view = *found(f);
		ends[i](f);
		assert_false(record_is_current(&view));
	}
}

/* A removal needs no place in the queue. */
static void a_removal_by_a_view_is_done_at_a_full_queue(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	found(f);
	fill_the_queue(f);
	assert_miss(f, "GET http://a/\n", 0);
	assert_int_equal(cache_counts(f->cache)->dropped, 0);
}

/* And no memory. */
static void a_removal_by_a_view_is_done_without_memory(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	found(f);
	request_of(&f->req, "GET http://a/\n");
	if (!fail_allocation(0))
		skip();
	cache_remove(f->cache, &f->lookup.key, &f->lookup.record);
	fail_no_allocation();
	assert_miss(f, "GET http://a/\n", 0);
}

static void a_full_queue_takes_a_removal(void **state)
{
	struct cache_key key = {{1, 2}};
	struct pending pending;

	(void)state;
	pending_init(&pending, 1);
	assert_true(pending_add(&pending, PENDING_PUT, &key, SLICE("u"), SLICE("r")));
	assert_false(pending.urgent);
	assert_false(pending_add(&pending, PENDING_PUT, &key, SLICE("u"), SLICE("r")));
	assert_true(pending_add(&pending, PENDING_CLEAN, &key, SLICE("u"), SLICE("r")));
	assert_true(pending.urgent);
	pending_fini(&pending);
}

static void a_view_of_scratch_memory_ends_when_it_is_used_again(void **state)
{
	struct fixture *f = *state;
	struct record_view view;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"e\"\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 0);
	assert_true(freshen(f, "GET http://a/\n", old, "304\nETag: \"e\"\n", 1, &view));
	assert_true(record_is_current(&view));
	assert_stored(f, "GET http://b/\n", FRESH, 0);
	assert_false(record_is_current(&view));
}

static void a_copy_stays(void **state)
{
	struct fixture *f = *state;
	struct record_view view;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	old = copy_of_record(f, "GET http://a/\n", 0);
	assert_true(record_view(old, SLICE("http://a/"), &view));
	cache_flush(f->cache);
	cache_turn_end(f->cache);
	assert_true(record_is_current(&view));
	assert_non_null(record_meta(&view));
}

static void use(const struct record_view *view, unsigned how)
{
	switch (how) {
	case 0:
		(void)record_meta(view);
		break;
	case 1:
		(void)record_etag(view);
		break;
	case 2:
		(void)record_last_modified(view);
		break;
	case 3:
		(void)record_bytes(view);
		break;
	default:
		(void)record_head(view, false);
		break;
	}
}

/* In builds that check. */
static void reading_what_ended_aborts(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	found(f);
	cache_turn_end(f->cache);
	for (unsigned how = 0; how < 5; how++) {
		pid_t child = fork();
		int status;

		assert_true(child >= 0);
		if (child == 0) {
			signal(SIGABRT, SIG_DFL);
			close(STDERR_FILENO);
			use(&f->lookup.record, how);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, cache_fixture_setup, cache_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_view_ends_with_whatever_may_write),
		TEST(a_removal_by_a_view_is_done_at_a_full_queue),
		TEST(a_removal_by_a_view_is_done_without_memory),
		TEST(a_full_queue_takes_a_removal),
		TEST(a_view_of_scratch_memory_ends_when_it_is_used_again),
		TEST(a_copy_stays),
		TEST(reading_what_ended_aborts),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
