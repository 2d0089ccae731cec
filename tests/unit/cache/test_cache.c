/* LINKS: cache tests/doubles/store_memory.c tests/doubles/counted_memory.c */
#include "tests/doubles/counted_memory.h"
#include "tests/support/cache_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static void an_empty_cache_knows_nothing(void **state)
{
	const struct cache_lookup *found = look_up(*state, "GET http://a/\n", 0);

	assert_int_equal(found->verdict, REUSE_MISS);
	assert_int_equal(found->why, REASON_NO_RECORD);
	assert_false(found->uri_known);
	assert_false(found->has_record);
	assert_int_equal(found->normal_uri.n, 9);
	assert_memory_equal(found->normal_uri.p, "http://a/", 9);
}

static void what_is_stored_is_found_at_once(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://A:80\n", FRESH "X: 1\n", 0);
	assert_int_equal(cache_pending(f->cache), 1);
	assert_hit(f, "GET http://a/\n", 10, "1");
	assert_int_equal(f->lookup.why, REASON_NONE);
	assert_int_equal(
		policy_age_s(f->lookup.record.meta, &(struct http_clock){.steady_ms = at_ms(10)}),
		10);
	assert_int_equal(cache_pending(f->cache), 0);
	assert_int_equal(cache_counts(f->cache)->stored, 1);
	assert_int_equal(cache_counts(f->cache)->flushes, 1);
	assert_hit(f, "HEAD http://a/\n", 10, "1");
	assert_miss(f, "GET http://a/A\n", 10);
}

static void a_stale_record_is_shown_for_validation(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"e\"\n", 0);
	look_up(f, "GET http://a/\n", 61);
	assert_int_equal(f->lookup.verdict, REUSE_VALIDATE);
	assert_int_equal(f->lookup.why, REASON_EXPIRED);
	assert_true(f->lookup.has_record);
	assert_int_equal(f->lookup.record.etag.n, 3);
}

static void a_variant_not_stored_is_a_vary_miss(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: 1\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: 2\n", 0);
	assert_hit(f, "GET http://a/\nFoo: 1\n", 0, "1");
	assert_hit(f, "GET http://a/\nFoo: 2\n", 0, "2");
	look_up(f, "GET http://a/\nFoo: 3\n", 0);
	assert_int_equal(f->lookup.verdict, REUSE_MISS);
	assert_int_equal(f->lookup.why, REASON_VARY);
	assert_true(f->lookup.uri_known);
	assert_false(f->lookup.has_record);
}

static void requests_that_are_not_looked_up_pass_by(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	look_up(f, "POST http://a/\n", 0);
	assert_int_equal(f->lookup.verdict, REUSE_BYPASS);
	assert_int_equal(f->lookup.why, REASON_METHOD);
	look_up(f, "GET http://a/b\nCache-Control: only-if-cached\n", 0);
	assert_int_equal(f->lookup.verdict, REUSE_REFUSED);
	look_up(f, "GET http://a/\nCache-Control: no-store\n", 0);
	assert_int_equal(f->lookup.verdict, REUSE_BYPASS);
}

static void what_may_not_be_stored_is_not(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "GET http://a/\n", FRESH "Cache-Control: no-store\n", 0),
			 REASON_RESPONSE_NO_STORE);
	assert_int_equal(store(f, "GET http://a/\n", "200\nCache-Control: max-age=60\n", 0),
			 REASON_STATUS);
	assert_int_equal(cache_pending(f->cache), 0);
	assert_miss(f, "GET http://a/\n", 0);
}

static void a_record_over_its_size_is_too_large(void **state)
{
	struct fixture *f = *state;
	char text[2048] = FRESH "X: ";

	test_conf_set(f->conf, "record_size", "1024B");
	memset(text + strlen(text), 'x', 1024);
	assert_int_equal(store(f, "GET http://a/\n", text, 0), REASON_TOO_LARGE);
	text[400] = '\0';
	assert_stored(f, "GET http://a/\n", text, 0);
	assert_int_equal(cache_counts(f->cache)->dropped, 0);
}

/* No put is to rewrite a megabyte; a response that is larger than that by itself is kept alone. */
static void variants_share_the_size_of_an_entry(void **state)
{
	struct fixture *f = *state;
	char req[64], res[8192];
	struct slice entry;

	test_conf_set(f->conf, "entry_size", "4KiB");
	for (int i = 0; i < 8; i++) {
		sprintf(req, "GET http://a/\nFoo: %d\n", i);
		sprintf(res, FRESH "Vary: Foo\nX: %01000d\n", i);
		assert_stored(f, req, res, i);
	}
	assert_miss(f, "GET http://a/\nFoo: 0\n", 8);
	assert_int_equal(look_up(f, "GET http://a/\nFoo: 7\n", 8)->verdict, REUSE_FRESH);
	assert_int_equal(store_get(cache_store_of(f->cache), &f->lookup.key, &entry), STORE_OK);
	assert_true(entry.n > 3000 && entry.n <= 4096);
	sprintf(res, FRESH "Vary: Foo\nX: %05000d\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 9\n", res, 9);
	assert_int_equal(look_up(f, "GET http://a/\nFoo: 9\n", 9)->verdict, REUSE_FRESH);
	assert_miss(f, "GET http://a/\nFoo: 7\n", 9);
	assert_int_equal(cache_counts(f->cache)->dropped, 0);
}

static void writes_that_wait_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct slice old;
	char req[64];

	assert_stored(f, "GET http://a/old\n", FRESH, 0);
	cache_flush(f->cache);
	old = copy_of_record(f, "GET http://a/old\n", 0);
	for (int i = 0; i < PENDING_MAX; i++) {
		sprintf(req, "GET http://a/%d\n", i);
		assert_stored(f, req, FRESH, 0);
	}
	assert_int_equal(cache_pending(f->cache), PENDING_MAX);
	assert_int_equal(store(f, "GET http://a/more\n", FRESH, 0), REASON_STORE_BUSY);
	assert_int_equal(cache_counts(f->cache)->dropped, 1);
	/* A removal is not dropped. */
	remove_record(f, "GET http://a/old\n", old);
	assert_int_equal(cache_counts(f->cache)->dropped, 1);
	cache_flush(f->cache);
	assert_miss(f, "GET http://a/old\n", 0);
	assert_int_equal(cache_pending(f->cache), 0);
	assert_int_equal(cache_counts(f->cache)->stored, PENDING_MAX + 1);
	assert_stored(f, "GET http://a/more\n", FRESH, 0);
}

static void a_flush_with_nothing_to_do_does_nothing(void **state)
{
	struct fixture *f = *state;

	cache_flush(f->cache);
	assert_int_equal(cache_counts(f->cache)->flushes, 0);
}

static void many_writes_of_one_uri_do_not_pile_up(void **state)
{
	struct fixture *f = *state;
	char req[64];

	for (int i = 0; i < 200; i++) {
		sprintf(req, "GET http://a/\nFoo: %d\n", i);
		assert_stored(f, req, FRESH "Vary: Foo\nX: 1\n", i);
		assert_true(cache_pending(f->cache) < 64);
	}
	assert_hit(f, "GET http://a/\nFoo: 199\n", 199, "1");
	look_up(f, "GET http://a/\nFoo: 183\n", 199);
	assert_int_equal(f->lookup.why, REASON_VARY);
}

static void a_304_freshens(void **state)
{
	struct fixture *f = *state;
	struct record_view view;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"e\"\nX: 1\nY: kept\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 61);
	assert_true(freshen(f, "GET http://a/\n", old, "304\nX: 2\nETag: \"e\"\n", 61, &view));
	assert_int_equal(view.etag.n, 3);
	assert_int_equal(policy_age_s(view.meta, &(struct http_clock){.steady_ms = at_ms(61)}), 0);
	assert_hit(f, "GET http://a/\n", 100, "2");
	assert_int_equal(f->lookup.record.meta->response_steady_ms, at_ms(61));
	assert_true(memmem(f->lookup.record.head_rest.p, f->lookup.record.head_rest.n, "Y: kept",
			   7) != NULL);
}

static void a_304_with_another_vary_leaves_no_old_variant(void **state)
{
	struct fixture *f = *state;
	struct record_view view;
	struct slice old;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "X: 1\n", 0);
	old = copy_of_record(f, "GET http://a/\nFoo: 1\n", 1);
	assert_true(freshen(f, "GET http://a/\nFoo: 1\n", old, "304\nVary: Foo\n", 1, &view));
	assert_hit(f, "GET http://a/\nFoo: 1\n", 1, "1");
	assert_miss(f, "GET http://a/\nFoo: 2\n", 1);
}

static void a_304_that_forbids_storing_answers_and_removes(void **state)
{
	struct fixture *f = *state;
	struct record_view view;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 1);
	assert_true(freshen(f, "GET http://a/\n", old, "304\nCache-Control: no-store\n", 1, &view));
	assert_int_equal(view.head_rest.n, 6);
	assert_memory_equal(view.head_rest.p, "X: 1\r\n", 6);
	assert_miss(f, "GET http://a/\n", 1);
}

static void a_record_that_gathers_fields_without_end_is_removed(void **state)
{
	static char text[MESSAGE_TEXT];
	struct fixture *f = *state;
	struct record_view view;
	unsigned added = 0;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	do {
		strcpy(text, "304\n");
		for (unsigned i = 0; i < 100; i++)
			sprintf(text + strlen(text), "X-%u: 1\n", added++);
		assert_true(added < 1000);
	} while (freshen(f, "GET http://a/\n", copy_of_record(f, "GET http://a/\n", 1), text, 1,
			 &view));
	assert_miss(f, "GET http://a/\n", 1);
}

static void a_damaged_copy_is_not_freshened(void **state)
{
	struct fixture *f = *state;
	struct record_view view;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 1);
	assert_false(freshen(f, "GET http://b/\n", old, "304\n", 1, &view));
	f->old[old.n / 2] ^= 1;
	assert_false(freshen(f, "GET http://a/\n", old, "304\n", 1, &view));
	assert_hit(f, "GET http://a/\n", 1, "1");
}

static void one_record_is_removed(void **state)
{
	struct fixture *f = *state;
	struct slice old;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: 1\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: 2\n", 0);
	old = copy_of_record(f, "GET http://a/\nFoo: 1\n", 0);
	remove_record(f, "GET http://a/\nFoo: 1\n", old);
	assert_miss(f, "GET http://a/\nFoo: 1\n", 0);
	assert_hit(f, "GET http://a/\nFoo: 2\n", 0, "2");
	old = copy_of_record(f, "GET http://a/\nFoo: 2\n", 0);
	remove_record(f, "GET http://a/\nFoo: 2\n", old);
	look_up(f, "GET http://a/\n", 0);
	assert_false(f->lookup.uri_known);
	remove_record(f, "GET http://a/\nFoo: 2\n", old);
	cache_flush(f->cache);
	assert_int_equal(cache_counts(f->cache)->failures, 0);
}

static unsigned invalidate(struct fixture *f, const char *req, const char *res)
{
	struct exchange_times times = {.asked_at = cache_epoch(f->cache)};

	return cache_invalidate(f->cache, request_of(&f->req, req), response_of(&f->res, res),
				&times);
}

/* What was asked for before an invalidation and comes after it may be of the state before. */
static void overtaken_answers_are_not_stored(void **state)
{
	struct fixture *f = *state;
	struct record_view record;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"1\"\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 0);
	assert_int_equal(invalidate(f, "PUT http://a/\n", "204\n"), 1);
	f->asked_long_ago = true;
	assert_int_equal(store(f, "GET http://a/\n", FRESH, 0), REASON_OVERTAKEN);
	freshen(f, "GET http://a/\n", old, "304\nETag: \"1\"\n", 0, &record);
	assert_miss(f, "GET http://a/\n", 0);
	assert_stored(f, "GET http://a/other\n", FRESH, 0);
	f->asked_long_ago = false;
	assert_stored(f, "GET http://a/\n", FRESH, 0);
	look_up(f, "GET http://a/\n", 0);
	assert_true(f->lookup.has_record);
}

static void overtaken_groups_are_not_stored(void **state)
{
	struct fixture *f = *state;
	struct record_view record;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"1\"\nCache-Groups: \"g\"\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 0);
	invalidate(f, "PUT http://a/other\n", "204\nCache-Group-Invalidation: \"g\"\n");
	assert_miss(f, "GET http://a/\n", 0);
	f->asked_long_ago = true;
	assert_int_equal(store(f, "GET http://a/2\n", FRESH "Cache-Groups: \"x\", \"g\"\n", 0),
			 REASON_OVERTAKEN);
	freshen(f, "GET http://a/\n", old, "304\nETag: \"1\"\n", 0, &record);
	assert_miss(f, "GET http://a/\n", 0);
	assert_stored(f, "GET http://a/2\n", FRESH "Cache-Groups: \"x\"\n", 0);
	assert_stored(f, "GET http://b/\n", FRESH "Cache-Groups: \"g\"\n", 0);
	f->asked_long_ago = false;
	assert_stored(f, "GET http://a/\n", FRESH "Cache-Groups: \"g\"\n", 0);
}

/* The mark of another key that shares the slot: it costs what was to be stored, and no more. */
static void a_shared_slot_costs_no_stored_record(void **state)
{
	struct fixture *f = *state;
	struct invalidations *all = store_invalidations(cache_store_of(f->cache));
	struct cache_key other = cache_key_of_uri(SLICE("http://a/"));
	struct record_view record;
	struct cache_kept *kept;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"1\"\nX: 1\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 0);
	other.word[1]++;
	invalidation_add(all, INVALIDATION_URI, &other, &other,
			 invalidation_overtake(all, &other, 1, NULL));
	kept = kept_of(f, "GET http://a/\n", old);
	assert_non_null(kept);
	assert_false(cache_is_absent(f->cache, kept));
	free(kept);
	f->asked_long_ago = true;
	freshen(f, "GET http://a/\n", old, "304\nETag: \"1\"\nX: 2\n", 0, &record);
	assert_hit(f, "GET http://a/\n", 0, "1");
}

/* What comes too late for a record that is gone leaves the one that has its place. */
static void a_late_304_costs_no_successor(void **state)
{
	struct fixture *f = *state;
	struct record_view record;
	struct cache_kept *kept;
	struct slice old;

	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"1\"\nX: 1\n", 0);
	old = copy_of_record(f, "GET http://a/\n", 0);
	invalidate(f, "PUT http://a/\n", "204\n");
	assert_stored(f, "GET http://a/\n", FRESH "ETag: \"2\"\nX: 2\n", 0);
	kept = kept_of(f, "GET http://a/\n", old);
	assert_non_null(kept);
	assert_true(cache_is_absent(f->cache, kept));
	free(kept);
	f->asked_long_ago = true;
	freshen(f, "GET http://a/\n", old, "304\nETag: \"1\"\n", 0, &record);
	assert_hit(f, "GET http://a/\n", 0, "2");
}

/* Many marks of one set at once: some are tidied up at once, and none stands by its hash. */
static void a_crowd_of_marks_costs_no_other_record(void **state)
{
	struct fixture *f = *state;
	struct invalidations *all = store_invalidations(cache_store_of(f->cache));
	unsigned marked = 0;

	for (unsigned n = 0; marked < 5 * INVALIDATION_WAYS; n++) {
		char head[64];
		int length = snprintf(head, sizeof(head), "POST http://a/%u\n", n);
		struct cache_key key = cache_key_of_uri(slice_of(head + 5, (size_t)(length - 6)));

		if (key.word[1] % INVALIDATION_SETS != 7)
			continue;
		invalidate(f, head, "200\n");
		assert_true(invalidation_overtakes(all, &key, 0));
		marked++;
	}
	for (size_t i = 0; i < INVALIDATION_OVERFLOW; i++)
		assert_int_equal(atomic_load(&all->overflow[i]), 0);
}

/* Marks are tidied up while large groups are, and these in turn. */
static void large_groups_hold_up_no_other_mark(void **state)
{
	enum { MEMBERS = 90 };
	struct fixture *f = *state;
	struct invalidations *all = store_invalidations(cache_store_of(f->cache));
	struct cache_key x = cache_key_of_uri(SLICE("http://a/x"));
	char head[64];
	unsigned turns = 0;

	for (unsigned n = 0; n < 2 * MEMBERS; n++) {
		snprintf(head, sizeof(head), "GET http://a/%u\n", n);
		assert_stored(f, head,
			      n < MEMBERS ? FRESH "Cache-Groups: \"g\"\n"
					  : FRESH "Cache-Groups: \"h\"\n",
			      0);
		cache_flush(f->cache);
	}
	invalidate(f, "PUT http://a/other\n", "204\nCache-Group-Invalidation: \"g\"\n");
	invalidate(f, "PUT http://a/other\n", "204\nCache-Group-Invalidation: \"h\"\n");
	invalidate(f, "PUT http://a/x\n", "204\n");
	cache_flush_some(f->cache);
	cache_flush_some(f->cache);
	assert_int_equal(invalidation_of(all, &x), 0);
	assert_true(invalidation_any(all));
	while (cache_flush_some(f->cache))
		assert_in_range(++turns, 0, 2 * MEMBERS);
	assert_false(invalidation_any(all));
	assert_int_equal(cache_counts(f->cache)->invalidated, 2 * MEMBERS);
}

/* A POST that is stored has invalidated its own URI; that is not what overtakes it. */
static void post_is_overtaken_by_others_only(void **state)
{
	struct fixture *f = *state;
	struct exchange_times times = {.request_steady_ms = at_ms(0),
				       .response = {.wall_s = NOW_S, .steady_ms = at_ms(0)}};
	const char *answer = FRESH "Content-Location: /\n";
	enum reason why;

	cache_invalidate(f->cache, request_of(&f->req, "POST http://a/\n"),
			 response_of(&f->res, answer), &times);
	assert_true(cache_store(f->cache, &f->req.req, &f->res.res, &times, &why));
	times.asked_at = cache_epoch(f->cache);
	invalidate(f, "PUT http://a/\n", "204\n");
	cache_invalidate(f->cache, request_of(&f->req, "POST http://a/\n"),
			 response_of(&f->res, answer), &times);
	assert_false(cache_store(f->cache, &f->req.req, &f->res.res, &times, &why));
	assert_int_equal(why, REASON_OVERTAKEN);
}

static void unsafe_requests_remove_all_variants(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\n", 0);
	assert_stored(f, "GET http://a/other\n", FRESH "X: 1\n", 0);
	assert_int_equal(invalidate(f, "DELETE http://a/\n", "204\n"), 1);
	look_up(f, "GET http://a/\nFoo: 1\n", 0);
	assert_false(f->lookup.uri_known);
	assert_hit(f, "GET http://a/other\n", 0, "1");
	assert_int_equal(cache_counts(f->cache)->invalidated, 1);
}

static void only_unsafe_requests_that_succeed_invalidate(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	assert_int_equal(invalidate(f, "POST http://a/\n", "404\n"), 0);
	assert_int_equal(invalidate(f, "POST http://a/\n", "500\n"), 0);
	assert_int_equal(invalidate(f, "GET http://a/\n", "200\n"), 0);
	assert_int_equal(invalidate(f, "OPTIONS http://a/\n", "200\nLocation: /\n"), 0);
	assert_hit(f, "GET http://a/\n", 0, "1");
	assert_int_equal(invalidate(f, "FROBNICATE http://a/\n", "302\n"), 1);
	assert_miss(f, "GET http://a/\n", 0);
}

static void an_invalidation_that_concerns_nothing_writes_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(invalidate(f, "POST http://a/\n", "200\nLocation: /b\n"), 0);
	assert_int_equal(cache_counts(f->cache)->flushes, 0);
}

static void locations_of_the_same_origin_are_removed(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/x\n", FRESH, 0);
	assert_stored(f, "GET http://a/d/y\n", FRESH, 0);
	assert_stored(f, "GET http://a/z\n", FRESH "X: 1\n", 0);
	assert_stored(f, "GET http://b/x\n", FRESH "X: 1\n", 0);
	assert_stored(f, "GET http://a:81/x\n", FRESH "X: 1\n", 0);
	assert_int_equal(invalidate(f, "POST http://a/d/\n",
				    "201\nLocation: http://A:80/x\nContent-Location: y\n"),
			 2);
	assert_miss(f, "GET http://a/x\n", 0);
	assert_miss(f, "GET http://a/d/y\n", 0);
	assert_int_equal(invalidate(f, "POST http://a/d/\n",
				    "201\nLocation: http://b/x\nContent-Location: //a:81/x\n"),
			 0);
	assert_hit(f, "GET http://a/z\n", 0, "1");
	assert_hit(f, "GET http://b/x\n", 0, "1");
	assert_hit(f, "GET http://a:81/x\n", 0, "1");
}

static void groups_are_invalidated_within_the_origin(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/1\n", FRESH "Cache-Groups: \"g\", \"h\"\n", 0);
	assert_stored(f, "GET http://a/2\n", FRESH "Cache-Groups: \"x\"\nCache-Groups: \"h\"\n", 0);
	assert_stored(f, "GET http://a/3\n", FRESH "Cache-Groups: \"G\"\nX: 1\n", 0);
	assert_stored(f, "GET http://a/4\n", FRESH "Cache-Groups: g\nX: 1\n", 0);
	assert_stored(f, "GET http://b/1\n", FRESH "Cache-Groups: \"g\", \"h\"\nX: 1\n", 0);
	cache_flush(f->cache);
	assert_int_equal(
		invalidate(f, "POST http://b/\n", "404\nCache-Group-Invalidation: \"g\", \"h\"\n"),
		0);
	assert_int_equal(invalidate(f, "POST http://a/\n",
				    "200\nCache-Group-Invalidation: \"h\", \"g\", \"none\"\n"),
			 2);
	assert_miss(f, "GET http://a/1\n", 0);
	assert_miss(f, "GET http://a/2\n", 0);
	assert_hit(f, "GET http://a/3\n", 0, "1");
	assert_hit(f, "GET http://a/4\n", 0, "1");
	assert_hit(f, "GET http://b/1\n", 0, "1");
}

/* More groups than are marked one by one: then all of the origin are invalidated. */
static void too_many_groups_are_all_groups(void **state)
{
	struct fixture *f = *state;
	char res[8192] = "200\nCache-Group-Invalidation: \"first\"";

	for (int i = 0; i < 200; i++)
		sprintf(res + strlen(res), ", \"g%d\"", i);
	strcat(res, "\n");
	assert_stored(f, "GET http://a/1\n", FRESH "Cache-Groups: \"first\"\n", 0);
	assert_stored(f, "GET http://a/2\n", FRESH "Cache-Groups: \"g199\"\n", 0);
	assert_stored(f, "GET http://a/3\n", FRESH "X: 1\n", 0);
	assert_stored(f, "GET http://b/1\n", FRESH "Cache-Groups: \"first\"\nX: 1\n", 0);
	cache_flush(f->cache);
	assert_int_equal(invalidate(f, "POST http://a/\n", res), 2);
	assert_miss(f, "GET http://a/1\n", 0);
	assert_miss(f, "GET http://a/2\n", 0);
	assert_hit(f, "GET http://a/3\n", 0, "1");
	assert_hit(f, "GET http://b/1\n", 0, "1");
	/* and when it is one group, many times: no other key is marked than that */
	strcpy(res, "200\nCache-Group-Invalidation: \"g\"");
	for (int i = 0; i < 200; i++)
		strcat(res, ", \"g\"");
	strcat(res, "\n");
	assert_stored(f, "GET http://a/4\n", FRESH "Cache-Groups: \"g\"\n", 0);
	invalidate(f, "POST http://a/\n", res);
	assert_miss(f, "GET http://a/4\n", 0);
	assert_hit(f, "GET http://b/1\n", 0, "1");
}

/* It need not be put into the store before, which may take long. */
static void what_waits_in_a_group_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/1\n", FRESH "Cache-Groups: \"g\"\n", 0);
	assert_stored(f, "GET http://a/2\n", FRESH "Cache-Groups: \"h\"\nX: 1\n", 0);
	invalidate(f, "POST http://a/\n", "200\nCache-Group-Invalidation: \"g\"\n");
	assert_int_equal(cache_pending(f->cache), 2);
	assert_miss(f, "GET http://a/1\n", 0);
	assert_hit(f, "GET http://a/2\n", 0, "1");
}

/* A lookup puts what waits for it into the store, and not the whole queue. */
static void a_lookup_waits_for_few_writes(void **state)
{
	struct fixture *f = *state;
	char req[64];

	for (int i = 0; i < PENDING_MAX; i++) {
		sprintf(req, "GET http://a/%d\n", i);
		assert_stored(f, req, FRESH "X: 1\n", 0);
	}
	assert_hit(f, "GET http://a/99\n", 0, "1");
	assert_int_equal(cache_counts(f->cache)->flushes, 1);
	assert_in_range(cache_pending(f->cache), PENDING_MAX / 2, PENDING_MAX - 1);
	invalidate(f, "POST http://a/98\n", "200\n");
	assert_in_range(cache_pending(f->cache), 1, PENDING_MAX - 1);
	assert_miss(f, "GET http://a/98\n", 0);
	assert_hit(f, "GET http://a/97\n", 0, "1");
}

static void groups_are_those_of_all_variants_as_they_are(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nCache-Groups: \"g\"\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nCache-Groups: \"h\"\nX: 2\n",
		      0);
	assert_stored(f, "GET http://a/2\n", FRESH "Cache-Groups: \"old\"\n", 0);
	cache_flush(f->cache);
	assert_stored(f, "GET http://a/2\n", FRESH "Cache-Groups: \"new\"\nX: 1\n", 1);
	cache_flush(f->cache);
	assert_int_equal(
		invalidate(f, "POST http://a/3\n", "200\nCache-Group-Invalidation: \"old\"\n"), 0);
	assert_hit(f, "GET http://a/2\n", 1, "1");
	assert_int_equal(
		invalidate(f, "POST http://a/3\n", "200\nCache-Group-Invalidation: \"g\"\n"), 1);
	assert_miss(f, "GET http://a/\nFoo: 1\n", 0);
	assert_hit(f, "GET http://a/\nFoo: 2\n", 0, "2");
}

static void a_large_group_goes_in_parts(void **state)
{
	struct fixture *f = *state;
	struct store_usage usage;
	char req[64];

	for (int i = 0; i < 600; i++) {
		sprintf(req, "GET http://a/%d\n", i);
		assert_stored(f, req, FRESH "Cache-Groups: \"g\"\n", 0);
		if (cache_pending(f->cache) == PENDING_MAX)
			cache_flush(f->cache);
	}
	assert_in_range(invalidate(f, "POST http://a/\n", "200\nCache-Group-Invalidation: \"g\"\n"),
			1, 599);
	for (int i = 0; i < 600; i++) {
		sprintf(req, "GET http://a/%d\n", i);
		assert_miss(f, req, 0);
	}
	while (cache_flush_some(f->cache))
		;
	assert_false(cache_flush_is_due(f->cache));
	assert_int_equal(cache_counts(f->cache)->invalidated, 600);
	cache_turn_end(f->cache);
	store_usage(cache_store_of(f->cache), &usage);
	assert_int_equal(usage.entries, 0);
}

/* A response in groups `from` to `to`, each a name. */
static const char *in_groups(int from, int to)
{
	static char text[8192];

	strcpy(text, FRESH "Vary: Foo\nX: 1\nCache-Groups: \"first\"");
	for (int i = from; i < to; i++)
		sprintf(text + strlen(text), ", \"g%d\"", i);
	return strcat(text, "\n");
}

static void what_is_in_too_many_groups_is_not_kept(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\nFoo: 1\n", in_groups(0, 127), 0);
	assert_hit(f, "GET http://a/\nFoo: 1\n", 0, "1");
	/* Together they are in too many: the older goes. */
	assert_stored(f, "GET http://a/\nFoo: 2\n", in_groups(200, 210), 0);
	assert_hit(f, "GET http://a/\nFoo: 2\n", 0, "1");
	assert_miss(f, "GET http://a/\nFoo: 1\n", 0);
	assert_int_equal(store(f, "GET http://a/\nFoo: 3\n", in_groups(0, 128), 0),
			 REASON_TOO_LARGE);
	assert_miss(f, "GET http://a/\nFoo: 3\n", 0);
	assert_int_equal(cache_counts(f->cache)->stored, 2);
	assert_int_equal(cache_counts(f->cache)->dropped, 0);
}

static void operators_remove_one(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\n", 0);
	assert_stored(f, "GET http://a/b\n", FRESH "X: b\n", 0);
	assert_int_equal(cache_purge(f->cache, SLICE("http://a/")), CACHE_PURGED_ALL);
	assert_int_equal(cache_purge(f->cache, SLICE("http://a/")), CACHE_PURGED_NOTHING);
	assert_miss(f, "GET http://a/\nFoo: 1\n", 0);
	assert_miss(f, "GET http://a/\nFoo: 2\n", 0);
	assert_false(f->lookup.uri_known);
	assert_hit(f, "GET http://a/b\n", 0, "b");
	assert_int_equal(cache_counts(f->cache)->purged, 1);
}

static void put_raw(struct fixture *f, const char *uri, struct slice value)
{
	struct store *s = cache_store_of(f->cache);
	struct cache_key key = cache_key_of_uri(slice_str(uri));

	assert_int_equal(store_begin(s), STORE_OK);
	assert_int_equal(store_put(s, &key, value, NULL, 0), STORE_OK);
	assert_int_equal(store_commit(s), STORE_OK);
}

static void a_damaged_entry_is_a_miss_and_goes(void **state)
{
	struct fixture *f = *state;
	struct cache_key key = cache_key_of_uri(SLICE("http://a/"));
	struct slice value;

	put_raw(f, "http://a/", SLICE("What is this?"));
	assert_miss(f, "GET http://a/\n", 0);
	assert_false(f->lookup.uri_known);
	assert_int_equal(cache_counts(f->cache)->damaged, 1);
	cache_flush(f->cache);
	assert_int_equal(store_get(cache_store_of(f->cache), &key, &value), STORE_NOT_FOUND);
	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	assert_hit(f, "GET http://a/\n", 0, "1");
}

/* What is found, and what is beside it; and all is as it was. */
static void a_look_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct http_clock now = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct cache_counts before;
	struct cache_found found;
	struct record_view other;
	struct slice uri;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: one\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: two\n", 0);
	put_raw(f, "http://b/", SLICE("What is this?"));
	look_up(f, "GET http://a/\nFoo: 2\n", 0);
	before = *cache_counts(f->cache);
	cache_peek(f->cache, request_of(&f->req, "GET http://a/\nFoo: 2\n"), &now, &found);
	assert_int_equal(found.selected, ENTRY_SELECTED);
	assert_int_equal(found.lookup.verdict, REUSE_FRESH);
	assert_true(entry_at(found.entry, 1, &uri, &other));
	assert_false(entry_at(found.entry, 2, &uri, &other));
	cache_peek(f->cache, request_of(&f->req, "GET http://b/\n"), &now, &found);
	assert_int_equal(found.selected, ENTRY_DAMAGED);
	assert_int_equal(found.lookup.why, REASON_NO_RECORD);
	assert_int_equal(cache_pending(f->cache), 0);
	assert_memory_equal(&before, cache_counts(f->cache), sizeof(before));
}

static void a_damaged_record_goes_alone(void **state)
{
	struct fixture *f = *state;
	struct cache_key key = cache_key_of_uri(SLICE("http://a/"));
	struct slice value;
	char *copy;

	assert_stored(f, "GET http://a/\nFoo: 1\n", FRESH "Vary: Foo\nX: one\n", 0);
	assert_stored(f, "GET http://a/\nFoo: 2\n", FRESH "Vary: Foo\nX: two\n", 0);
	cache_flush(f->cache);
	assert_int_equal(store_get(cache_store_of(f->cache), &key, &value), STORE_OK);
	copy = test_malloc(value.n);
	memcpy(copy, value.p, value.n);
	*(char *)memmem(copy, value.n, "one", 3) = 'O';
	put_raw(f, "http://a/", slice_of(copy, value.n));
	test_free(copy);
	assert_miss(f, "GET http://a/\nFoo: 1\n", 0);
	assert_hit(f, "GET http://a/\nFoo: 2\n", 0, "two");
	assert_miss(f, "GET http://a/\nFoo: 1\n", 0);
	assert_int_equal(f->lookup.why, REASON_VARY);
	assert_int_equal(cache_counts(f->cache)->damaged, 1);
}

static void the_entry_of_a_colliding_uri_is_a_miss(void **state)
{
	struct fixture *f = *state;
	struct cache_key key = cache_key_of_uri(SLICE("http://b/"));
	struct slice value;

	assert_stored(f, "GET http://b/\n", FRESH "X: b\n", 0);
	cache_flush(f->cache);
	assert_int_equal(store_get(cache_store_of(f->cache), &key, &value), STORE_OK);
	put_raw(f, "http://a/", value);
	assert_miss(f, "GET http://a/\n", 0);
	assert_false(f->lookup.uri_known);
	assert_stored(f, "GET http://a/\n", FRESH "X: a\n", 0);
	assert_hit(f, "GET http://a/\n", 0, "a");
	assert_hit(f, "GET http://b/\n", 0, "b");
	assert_int_equal(cache_counts(f->cache)->damaged, 0);
}

static void a_hit_allocates_nothing(void **state)
{
	struct http_clock now = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct fixture *f = *state;
	const char *req = "GET http://a/x?y=z\nAccept-Encoding: gzip, br\nFoo: 1\n";
	size_t allocations;

	assert_stored(f, req, FRESH "Vary: Foo, Accept-Encoding\nX: 1\n", 0);
	assert_hit(f, req, 0, "1");
	request_of(&f->req, req);
	allocations = allocations_so_far();
	for (int i = 0; i < 100; i++) {
		cache_lookup(f->cache, &f->req.req, &now, &f->lookup);
		cache_turn_end(f->cache);
	}
	assert_int_equal(allocations_so_far(), allocations);
	assert_int_equal(f->lookup.verdict, REUSE_FRESH);
}

#ifdef STORE_ON_DISK
#include <sys/wait.h>
#include <unistd.h>

/* So nobody knows which URIs' keys meet; and they are found again. */
static void keys_are_of_the_store(void **state)
{
	struct fixture *f = *state;
	struct cache_key key = cache_key_of_uri(SLICE("http://a/")), other;
	struct cache_key group = cache_key_of_group(SLICE("http://a"), SLICE("g"));
	void *another;

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	cache_fixture_close(f);
	assert_int_equal(cache_fixture_setup(&another), 0);
	other = cache_key_of_uri(SLICE("http://a/"));
	assert_false(cache_key_eq(&key, &other));
	other = cache_key_of_group(SLICE("http://a"), SLICE("g"));
	assert_false(cache_key_eq(&group, &other));
	cache_fixture_teardown(&another);
	cache_fixture_open(f);
	other = cache_key_of_uri(SLICE("http://a/"));
	assert_true(cache_key_eq(&key, &other));
	assert_hit(f, "GET http://a/\n", 0, "1");
}

static void records_survive_a_restart(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	cache_fixture_close(f);
	cache_fixture_open(f);
	assert_hit(f, "GET http://a/\n", 30, "1");
	assert_int_equal(f->lookup.record.meta->response_steady_ms, at_ms(0));
}

/* The other process: stores one variant when it is told to. */
static void other_process(struct fixture *f, int told)
{
	char byte;

	if (read(told, &byte, 1) != 1)
		_exit(1);
	cache_fixture_open(f);
	if (store(f, "GET http://a/\nFoo: other\n", FRESH "Vary: Foo\nX: other\n", 0) !=
	    REASON_NONE)
		_exit(2);
	cache_fixture_close(f);
	_exit(0);
}

static void what_another_process_stored_meanwhile_stays(void **state)
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
	assert_stored(f, "GET http://a/\nFoo: ours\n", FRESH "Vary: Foo\nX: ours\n", 0);
	assert_int_equal(write(told[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(told[0]);
	close(told[1]);
	cache_turn_end(f->cache);
	assert_hit(f, "GET http://a/\nFoo: ours\n", 0, "ours");
	assert_hit(f, "GET http://a/\nFoo: other\n", 0, "other");
}
#endif

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, cache_fixture_setup, cache_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(overtaken_answers_are_not_stored),
		TEST(overtaken_groups_are_not_stored),
		TEST(a_shared_slot_costs_no_stored_record),
		TEST(a_late_304_costs_no_successor),
		TEST(a_crowd_of_marks_costs_no_other_record),
		TEST(large_groups_hold_up_no_other_mark),
		TEST(post_is_overtaken_by_others_only),
		TEST(an_empty_cache_knows_nothing),
		TEST(what_is_stored_is_found_at_once),
		TEST(a_stale_record_is_shown_for_validation),
		TEST(a_variant_not_stored_is_a_vary_miss),
		TEST(requests_that_are_not_looked_up_pass_by),
		TEST(what_may_not_be_stored_is_not),
		TEST(a_record_over_its_size_is_too_large),
		TEST(variants_share_the_size_of_an_entry),
		TEST(variants_share_the_size_of_an_entry),
		TEST(writes_that_wait_are_bounded),
		TEST(a_flush_with_nothing_to_do_does_nothing),
		TEST(many_writes_of_one_uri_do_not_pile_up),
		TEST(a_304_freshens),
		TEST(a_304_with_another_vary_leaves_no_old_variant),
		TEST(a_304_that_forbids_storing_answers_and_removes),
		TEST(a_record_that_gathers_fields_without_end_is_removed),
		TEST(a_damaged_copy_is_not_freshened),
		TEST(one_record_is_removed),
		TEST(unsafe_requests_remove_all_variants),
		TEST(only_unsafe_requests_that_succeed_invalidate),
		TEST(an_invalidation_that_concerns_nothing_writes_nothing),
		TEST(locations_of_the_same_origin_are_removed),
		TEST(groups_are_invalidated_within_the_origin),
		TEST(what_waits_in_a_group_is_refused),
		TEST(a_lookup_waits_for_few_writes),
		TEST(too_many_groups_are_all_groups),
		TEST(groups_are_those_of_all_variants_as_they_are),
		TEST(a_large_group_goes_in_parts),
		TEST(what_is_in_too_many_groups_is_not_kept),
		TEST(operators_remove_one),
		TEST(a_damaged_entry_is_a_miss_and_goes),
		TEST(a_look_changes_nothing),
		TEST(a_damaged_record_goes_alone),
		TEST(the_entry_of_a_colliding_uri_is_a_miss),
		TEST(a_hit_allocates_nothing),
#ifdef STORE_ON_DISK
		TEST(records_survive_a_restart),
		TEST(keys_are_of_the_store),
		TEST(what_another_process_stored_meanwhile_stays),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
