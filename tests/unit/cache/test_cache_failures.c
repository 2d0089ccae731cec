/* LINKS: cache tests/doubles/store_memory.c tests/doubles/counted_memory.c */
/*
 * The cache over a store that fails.  cache.c and writes.c are compiled here, against a store whose
 * calls go through failing_*() below.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cache/base/diagnostic.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/cache_fixture.h"

/* The calls of the store from here on: those numbered [fail_from, fail_to) fail. */
static unsigned calls, fail_from, fail_to;
static enum store_result failure;
static bool in_transaction;

static void fail_calls(unsigned from, unsigned count, enum store_result how)
{
	calls = 0;
	fail_from = from;
	fail_to = from + count;
	failure = how;
}

static void fail_nothing(void)
{
	fail_calls(0, 0, STORE_FAILED);
}

static unsigned commits_to_fail, renewals, read_to_fail; /* the last: 1 for the next */
static bool no_room_to_drop; /* as while a copy is made of a store that is full */

/* What another process does at that call. */
static unsigned other_at;
static void (*other)(void);

static bool fails(void)
{
	unsigned call = calls++;

	if (other && call == other_at)
		other();
	return call >= fail_from && call < fail_to;
}

/* What only a disk can do to a call. */
static bool fails_hard(void)
{
	return (other || failure == STORE_FAILED) && fails();
}

static enum store_result failing_get(struct store *s, const struct cache_key *key,
				     struct slice *ret_value)
{
	return fails_hard() ? STORE_FAILED : store_get(s, key, ret_value);
}

static enum store_result failing_begin(struct store *s)
{
	assert_false(in_transaction);
	if (fails_hard())
		return STORE_FAILED;
	in_transaction = true;
	return store_begin(s);
}

static enum store_result failing_read(struct store *s, const struct cache_key *key,
				      struct slice *ret_value)
{
	assert_true(in_transaction);
	if (read_to_fail > 0 && --read_to_fail == 0)
		return STORE_FAILED;
	return fails_hard() ? STORE_FAILED : store_read(s, key, ret_value);
}

static enum store_result failing_put(struct store *s, const struct cache_key *key,
				     struct slice value, const struct cache_key *groups,
				     size_t group_count)
{
	assert_true(in_transaction);
	return fails() ? failure : store_put(s, key, value, groups, group_count);
}

static enum store_result failing_drop(struct store *s, const struct cache_key *key)
{
	assert_true(in_transaction);
	if (no_room_to_drop)
		return STORE_FULL;
	return fails_hard() ? STORE_FAILED : store_drop(s, key);
}

static enum store_result failing_group_next(struct store *s, const struct cache_key *group,
					    struct cache_key *cursor, struct cache_key *ret_key)
{
	assert_true(in_transaction);
	return fails_hard() ? STORE_FAILED : store_group_next(s, group, cursor, ret_key);
}

static enum store_result failing_renew(struct store *s)
{
	assert_true(in_transaction);
	renewals++;
	if (!fails_hard())
		return store_renew(s);
	store_abort(s);
	return STORE_FAILED;
}

static enum store_result failing_commit(struct store *s)
{
	assert_true(in_transaction);
	in_transaction = false;
	if (commits_to_fail > 0)
		commits_to_fail--;
	else if (!fails_hard())
		return store_commit(s);
	store_abort(s);
	return STORE_FAILED;
}

static void failing_abort(struct store *s)
{
	assert_true(in_transaction);
	in_transaction = false;
	store_abort(s);
}

static enum store_result failing_walk(struct store *s, struct cache_key *cursor, size_t limit,
				      store_visit visit, void *context, bool *ret_more)
{
	return fails_hard() ? STORE_FAILED : store_walk(s, cursor, limit, visit, context, ret_more);
}

#define store_get failing_get
#define store_begin failing_begin
#define store_read failing_read
#define store_put failing_put
#define store_drop failing_drop
#define store_group_next failing_group_next
#define store_renew failing_renew
#define store_commit failing_commit
#define store_abort failing_abort
#define store_walk failing_walk
#include "cache/cache.c"
#include "cache/purge.c"
#include "cache/removal.c"
#include "cache/writes.c"
#include "cache/writes_tidy.c"

static int setup(void **state)
{
	fail_nothing();
	in_transaction = false;
	commits_to_fail = renewals = read_to_fail = 0;
	return cache_fixture_setup(state);
}

static void a_failed_transaction_costs_its_writes(void **state)
{
	struct fixture *f = *state;

	/* begin, read, put, commit */
	for (unsigned call = 0; call < 4; call++) {
		uint64_t dropped = cache_counts(f->cache)->dropped;
		uint64_t failures = cache_counts(f->cache)->failures;

		assert_stored(f, "GET http://a/\n", FRESH, 0);
		fail_calls(call, 1, STORE_FAILED);
		cache_flush(f->cache);
		fail_nothing();
		assert_int_equal(cache_pending(f->cache), 0);
		assert_int_equal(cache_counts(f->cache)->dropped, dropped + 1);
		assert_int_equal(cache_counts(f->cache)->failures, failures + 1);
		assert_int_equal(cache_counts(f->cache)->stored, 0);
		assert_miss(f, "GET http://a/\n", 0);
	}
	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	assert_hit(f, "GET http://a/\n", 0, "1");
}

static void a_store_that_always_fails_ends_no_loop(void **state)
{
	struct http_clock at_0 = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct fixture *f = *state;
	char req[64];

	fail_calls(0, 1000000, STORE_FAILED);
	for (int i = 0; i < 1000; i++) {
		sprintf(req, "GET http://a/%d\n", i);
		store(f, req, FRESH "Cache-Groups: \"g\"\n", 0);
		if (i % 10 == 0)
			assert_miss(f, req, 0);
	}
	cache_flush(f->cache);
	assert_int_equal(cache_pending(f->cache), 0);
	assert_int_equal(cache_counts(f->cache)->dropped, 1000);
	assert_int_equal(cache_invalidate(f->cache, request_of(&f->req, "POST http://a/1\n"),
					  response_of(&f->res, "200\n"
							       "Cache-Group-Invalidation: \"g\"\n"),
					  &(struct exchange_times){0}),
			 0);
	assert_int_equal(cache_purge(f->cache, SLICE("http://a/1")), CACHE_PURGED_NOTHING);
	cache_purge_all(f->cache, &at_0);
	assert_int_equal(cache_purge_some(f->cache), CACHE_PURGE_FAILED);
	fail_nothing();
	assert_int_equal(cache_purge_some(f->cache), CACHE_PURGED_ALL);
	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 1);
	assert_hit(f, "GET http://a/\n", 1, "1");
}

static void a_purge_without_room_waits_and_is_no_failure(void **state)
{
	struct fixture *f = *state;
	struct http_clock at_0 = {.wall_s = NOW_S, .steady_ms = at_ms(0)};

	assert_stored(f, "GET http://a/1\n", FRESH, 0);
	cache_flush(f->cache);
	no_room_to_drop = true;
	cache_purge_all(f->cache, &at_0);
	assert_int_equal(cache_purge_some(f->cache), CACHE_PURGE_FAILED);
	assert_int_equal(cache_counts(f->cache)->failures, 0);
	assert_miss(f, "GET http://a/1\n", 1);
	no_room_to_drop = false;
	assert_int_equal(cache_purge_some(f->cache), CACHE_PURGED_ALL);
	assert_int_equal(cache_counts(f->cache)->purged, 1);
}

static void a_full_store_drops_the_record(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/1\n", FRESH, 0);
	assert_stored(f, "GET http://a/2\n", FRESH "X: 2\n", 0);
	fail_calls(0, 1, STORE_FULL);
	cache_flush(f->cache);
	fail_nothing();
	assert_int_equal(cache_counts(f->cache)->dropped, 1);
	assert_int_equal(cache_counts(f->cache)->stored, 1);
	assert_int_equal(cache_counts(f->cache)->failures, 0);
	assert_miss(f, "GET http://a/1\n", 0);
	assert_hit(f, "GET http://a/2\n", 0, "2");
}

static void what_is_superseded_goes_even_when_the_store_is_full(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH "X: old\n", 0);
	assert_hit(f, "GET http://a/\n", 0, "old");
	assert_stored(f, "GET http://a/\n", FRESH "X: new\n", 1);
	fail_calls(0, 1, STORE_FULL);
	cache_flush(f->cache);
	fail_nothing();
	assert_miss(f, "GET http://a/\n", 1);
}

static void an_unreadable_store_is_a_miss(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	cache_flush(f->cache);
	fail_calls(0, 1, STORE_FAILED);
	assert_miss(f, "GET http://a/\n", 0);
	assert_int_equal(cache_counts(f->cache)->failures, 1);
	fail_nothing();
	assert_hit(f, "GET http://a/\n", 0, "1");
}

static void a_write_without_memory_is_dropped(void **state)
{
	struct fixture *f = *state;
	enum reason why = REASON_STORE_BUSY;
	unsigned failed = 0;

	while (why != REASON_NONE) {
		if (!fail_allocation(failed))
			skip();
		why = store(f, "GET http://a/\n", FRESH "X: 1\n", 0);
		fail_no_allocation();
		if (why != REASON_NONE)
			assert_int_equal(why, REASON_STORE_BUSY);
		failed += why != REASON_NONE;
		assert_int_equal(cache_pending(f->cache), why == REASON_NONE);
	}
	/* The operation, and the table with its buckets. */
	assert_int_equal(failed, 3);
	assert_int_equal(cache_counts(f->cache)->dropped, 3);
	assert_hit(f, "GET http://a/\n", 0, "1");
}

/* The first two allocations and the last two of cache_open() are its own, the others the store's.
 */
static void a_cache_without_memory_does_not_open(void **state)
{
	struct fixture *f = *state;
	size_t total, before = allocations_so_far(), alive;
	struct diagnostic notice;

	cache_fixture_close(f);
	cache_fixture_open(f);
	total = allocations_so_far() - before;
	cache_fixture_close(f);
	for (size_t n = 0; n < total; n = n == 1 ? total - 2 : n + 1) {
		fail_allocation(n);
		notice.text[0] = '\0';
		alive = allocations_alive();
		assert_null(cache_open(f->conf, CACHE_LOCK_NONE, &notice));
		assert_string_not_equal(notice.text, "");
		assert_int_equal(allocations_alive(), alive);
	}
	fail_no_allocation();
	cache_fixture_open(f);
}

/* All that the cache does, once and within a second; what it stores is purged at the end. */
static void use_everything(struct fixture *f, int64_t s)
{
	struct http_clock now = {.wall_s = NOW_S + s, .steady_ms = at_ms(s)};
	struct record_view view;
	struct slice old;
	char req[64];

	for (int i = 0; i < 5; i++) {
		sprintf(req, "GET http://a/%d\nFoo: %d\n", i / 2, i);
		store(f, req, FRESH "Vary: Foo\nCache-Groups: \"g\"\nETag: \"e\"\n", s);
	}
	look_up(f, "GET http://a/1\nFoo: 3\n", s);
	if (f->lookup.has_record) {
		old = copy_of_found(f);
		freshen(f, "GET http://a/1\nFoo: 3\n", old, "304\nETag: \"e\"\n", s, &view);
		cache_flush(f->cache);
		remove_record(f, "GET http://a/1\nFoo: 3\n", old);
	}
	cache_invalidate(f->cache, request_of(&f->req, "POST http://a/0\n"),
			 response_of(&f->res, "200\nCache-Group-Invalidation: \"g\"\n"),
			 &(struct exchange_times){0});
	store(f, "GET http://a/5\n", FRESH, s);
	cache_purge(f->cache, SLICE("http://a/5"));
	store(f, "GET http://a/6\n", FRESH, s);
	cache_flush(f->cache);
	cache_purge_all(f->cache, &now);
	cache_purge_some(f->cache);
	cache_turn_end(f->cache);
}

static void use_purges_of_groups(void)
{
	struct purge purge = {0};

	assert_true(purge_of_group_at(SLICE("a"), SLICE("g"), &purge));
	assert_false(purge_of_group_at(SLICE("a/b"), SLICE("g"), &purge));
	assert_false(purge_of_group_at(SLICE("a"), SLICE("\n"), &purge));
}

/* What it has used is given back: the cache, the store, what was kept for an exchange, and purges. */
static void no_memory_is_left(void **state)
{
	struct fixture *f = *state;
	size_t before = 0;
	struct http_uri uri;

	for (unsigned round = 0; round < 3; round++) {
		struct purge purge = {0};

		use_everything(f, round);
		assert_null(cache_keep(slice_of("rubbish!", 8), SLICE("http://a/")));
		uri = request_of(&f->req, "GET http://a/\n")->uri;
		assert_true(purge_of_uri(f->conf, &uri, &purge));
		assert_true(purge_of_group(&uri, SLICE("g"), &purge));
		assert_false(purge_of_group(&uri, SLICE("\n"), &purge));
		use_purges_of_groups();
		cache_fixture_close(f);
		if (round > 0)
			assert_int_equal(allocations_alive(), before);
		before = allocations_alive();
		cache_fixture_open(f);
	}
}

/* Each call of the store in turn fails, alone or with all that follow. */
static void any_call_may_fail(void **state)
{
	struct fixture *f = *state;
	int64_t s = 0;
	unsigned total;

	fail_nothing();
	use_everything(f, s);
	total = calls;
	assert_true(total > 20);
	for (unsigned call = 0; call < total; call++) {
		for (unsigned count = 1; count <= 1000000; count += 999999) {
			fail_calls(call, count, STORE_FAILED);
			use_everything(f, ++s);
			assert_int_equal(cache_pending(f->cache), 0);
			assert_false(in_transaction);
			fail_nothing();
			assert_miss(f, "GET http://a/6\n", s++);
			assert_stored(f, "GET http://b/\n", FRESH "X: 1\n", s);
			assert_hit(f, "GET http://b/\n", s, "1");
			while (cache_purge_some(f->cache) != CACHE_PURGED_ALL)
				;
			assert_hit(f, "GET http://b/\n", s, "1");
		}
	}
}

/* What X of a hit may be at least, by URI: what was invalidated or superseded is not used again. */
struct floors {
	int at[4];
};

static void assert_no_older_hit(struct fixture *f, const struct floors *floors, int64_t s)
{
	struct http_field lines[RECORD_FIELDS_MAX];
	struct http_response res = {.fields = {.at = lines, .capacity = RECORD_FIELDS_MAX}};
	char req[64];

	for (int i = 0; i < 4; i++) {
		sprintf(req, "GET http://a/%d\n", i);
		look_up(f, req, s);
		if (!f->lookup.has_record)
			continue;
		assert_true(record_to_response(&f->lookup.record, &res));
		assert_true(atoi(value_of(&res, "X").p) >= floors->at[i]);
	}
}

static void store_version(struct fixture *f, int uri, int version, int64_t s)
{
	char req[64], res[128];

	sprintf(req, "GET http://a/%d\n", uri);
	sprintf(res, FRESH "Cache-Groups: \"%s\"\nX: %d\n", uri < 3 ? "g" : "h", version);
	store(f, req, res, s);
}

/* Each of the four goes out of use in another way: by itself, its group, a purge, a newer one. */
static void put_out_of_use(struct fixture *f, struct floors *floors, int version, int64_t s)
{
	struct exchange_times times = {0};
	struct slice old;

	for (int i = 0; i < 4; i++)
		store_version(f, i, version, s);
	cache_flush(f->cache);
	cache_invalidate(f->cache, request_of(&f->req, "POST http://a/0\n"),
			 response_of(&f->res, "204\n"), &times);
	floors->at[0] = version + 1;
	cache_purge(f->cache, SLICE("http://a/2"));
	floors->at[2] = version + 1;
	cache_invalidate(f->cache, request_of(&f->req, "POST http://a/x\n"),
			 response_of(&f->res, "204\nCache-Group-Invalidation: \"g\"\n"), &times);
	floors->at[1] = version + 1;
	look_up(f, "GET http://a/3\n", s);
	if (version % 2 == 0 && f->lookup.has_record) {
		old = copy_of_found(f);
		remove_record(f, "GET http://a/3\n", old);
	} else {
		store_version(f, 3, version + 1, s);
		cache_flush(f->cache);
	}
	floors->at[3] = version + 1;
}

/* Each call fails once, or for long: nothing that went out of use is a hit again, neither meanwhile
   nor when the store is well. */
static void no_failure_brings_back_what_went(void **state)
{
	struct floors floors = {{0}};
	struct fixture *f = *state;
	unsigned total;
	int version = 0;

	fail_nothing();
	put_out_of_use(f, &floors, version += 2, 0);
	total = calls;
	assert_true(total > 20);
	for (unsigned call = 0; call < total; call++) {
		for (unsigned count = 1; count <= 4; count += 3) {
			fail_calls(call, count, STORE_FAILED);
			put_out_of_use(f, &floors, version += call % 2 + 2, 0);
			fail_nothing();
			assert_no_older_hit(f, &floors, 0);
			for (unsigned tick = 0; tick < 3; tick++) {
				cache_tick(f->cache);
				while (cache_flush_some(f->cache))
					;
				assert_no_older_hit(f, &floors, 0);
			}
			cache_fixture_close(f);
			cache_fixture_open(f);
			assert_no_older_hit(f, &floors, 0);
		}
	}
}

/* As when a process is killed between the mark and the removal. */
static void a_removal_is_taken_up_by_another(void **state)
{
	struct fixture *f = *state;
	struct invalidations *all = store_invalidations(cache_store_of(f->cache));

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	cache_flush(f->cache);
	fail_calls(1, 1000000, STORE_FAILED);
	assert_int_equal(cache_purge(f->cache, SLICE("http://a/")), CACHE_PURGED_ALL);
	f->cache->writes.tidy.count = 0;
	fail_nothing();
	assert_true(invalidation_any(all));
	assert_miss(f, "GET http://a/\n", 0);
	for (unsigned tick = 0; tick < 2 + INVALIDATION_MARKS / TIDY_SEARCH; tick++) {
		cache_tick(f->cache);
		cache_flush_some(f->cache);
	}
	assert_false(invalidation_any(all));
	assert_miss(f, "GET http://a/\n", 0);
	assert_false(f->lookup.uri_known);
}

static struct invalidations *shared;

static void other_marks(void)
{
	struct cache_key key = cache_key_of_uri(SLICE("http://a/"));

	invalidation_add(shared, INVALIDATION_URI, &key, &key,
			 invalidation_overtake(shared, &key, 1, NULL));
	other = NULL;
}

/* The answer to a POST that is stored is as old as its request to whoever invalidates meanwhile. */
static void a_post_is_overtaken_at_any_time(void **state)
{
	struct fixture *f = *state;

	shared = store_invalidations(cache_store_of(f->cache));
	for (other_at = 0; !other; other_at++) {
		struct exchange_times times = {
			.request_steady_ms = at_ms(0),
			.response = {.wall_s = NOW_S, .steady_ms = at_ms(0)}};
		enum reason why;

		assert_stored(f, "GET http://a/\n", FRESH, 0);
		times.asked_at = cache_epoch(f->cache);
		fail_nothing();
		other = other_marks;
		cache_invalidate(f->cache, request_of(&f->req, "POST http://a/\n"),
				 response_of(&f->res, FRESH "Content-Location: /\n"), &times);
		if (cache_store(f->cache, &f->req.req, &f->res.res, &times, &why))
			cache_flush(f->cache);
		if (!other)
			assert_miss(f, "GET http://a/\n", 0);
	}
	assert_in_range(other_at, 4, 100);
	other = NULL;
}

/* There is no room, and what is there cannot be read: the transaction is lost, and what is there, too. */
static void a_full_store_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;

	for (unsigned lost = 0; lost < 2; lost++) {
		assert_stored(f, "GET http://a/\n", FRESH "X: old\n", 0);
		assert_stored(f, "GET http://b/\n", FRESH "X: b\n", 0);
		assert_hit(f, "GET http://a/\n", 0, "old");
		assert_hit(f, "GET http://b/\n", 0, "b");
		assert_stored(f, "GET http://a/\n", FRESH "X: new\n", 1);
		fail_calls(0, 1, STORE_FULL);
		read_to_fail = 2 * lost;
		cache_flush(f->cache);
		fail_nothing();
		assert_int_equal(read_to_fail, 0);
		assert_int_equal(cache_counts(f->cache)->failures, lost);
		assert_int_equal(cache_counts(f->cache)->dropped, lost + 1);
		assert_miss(f, "GET http://a/\n", 1);
		assert_hit(f, "GET http://b/\n", 1, "b");
	}
}

/* ---- a put in parts ------------------------------------------------------------------------- */

/* An entry is put again in up to 64 parts; then it is given up, as after a failure. */
static void a_put_takes_so_many_parts(void **state)
{
	struct fixture *f = *state;

	for (unsigned parts = 0; parts <= 64; parts += parts == 1 ? 62 : 1) {
		const struct cache_counts *counts = cache_counts(f->cache);
		uint64_t stored = counts->stored, dropped = counts->dropped,
			 failures = counts->failures;

		assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
		fail_calls(0, parts, STORE_PART_FULL);
		renewals = 0;
		cache_flush(f->cache);
		fail_nothing();
		assert_int_equal(renewals, parts);
		assert_int_equal(counts->stored - stored, parts < 64);
		assert_int_equal(counts->dropped - dropped, parts == 64);
		assert_int_equal(counts->failures - failures, parts == 64);
		assert_false(in_transaction);
	}
	/* The one before is not used in the place of that which was lost. */
	assert_miss(f, "GET http://a/\n", 0);
}

/* ---- purges --------------------------------------------------------------------------------- */

static struct purge purge_of_a(void)
{
	struct purge purge = {0};

	assert_true(purge_of_host(SLICE("a"), &purge));
	return purge;
}

static uint64_t found_by(struct fixture *f, uint64_t id, bool *ret_pending)
{
	struct purge purges[PURGE_SLOTS];
	unsigned count = cache_purges(f->cache, purges, PURGE_SLOTS);

	for (unsigned i = 0; i < count; i++) {
		*ret_pending = purges[i].pending;
		if (purges[i].id == id)
			return purges[i].found;
	}
	fail_msg("the purge is not listed");
	return 0;
}

/* Each call of a purge fails: it says so, is counted, stays in force and comes to its end later. */
static void a_purge_of_a_store_that_fails(void **state)
{
	struct fixture *f = *state;
	struct http_clock at_0 = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct purge purge = purge_of_a();
	bool pending;
	unsigned call;

	for (unsigned i = 0; i < 3; i++) {
		char req[64];

		sprintf(req, "GET http://a/%u\n", i);
		assert_stored(f, req, FRESH, 0);
	}
	cache_flush(f->cache);
	fail_calls(0, 1, STORE_FAILED);
	assert_int_equal(cache_purge_begin(f->cache, &at_0, &purge), CACHE_PURGE_FAILED);
	fail_nothing();
	assert_int_equal(cache_counts(f->cache)->failures, 1);
	assert_false(purge.pending);
	assert_false(cache_purge_is_due(f->cache));
	assert_int_equal(cache_purge_begin(f->cache, &at_0, &purge), CACHE_PURGE_GOES_ON);
	assert_true(purge.pending);
	for (call = 0; call < 100; call++) {
		enum cache_purging result;

		fail_calls(call, 1, STORE_FAILED);
		result = cache_purge_some(f->cache);
		fail_nothing();
		if (result == CACHE_PURGED_ALL)
			break;
		assert_int_equal(result, CACHE_PURGE_FAILED);
		assert_int_equal(cache_counts(f->cache)->failures, 2 + call);
		assert_in_range(found_by(f, purge.id, &pending), 0, 3);
		assert_true(pending);
		assert_true(cache_purge_is_due(f->cache));
		assert_miss(f, "GET http://a/1\n", 0);
	}
	assert_in_range(call, 3, 20);
	assert_int_equal(found_by(f, purge.id, &pending), 3);
	assert_false(pending);
	assert_int_equal(cache_counts(f->cache)->purged, 3);
}

/* What a transaction counted for a purge is taken back when that is lost, and no more than that. */
static void counts_of_a_lost_transaction(void **state)
{
	struct fixture *f = *state;
	struct http_clock at_0 = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct purge purge = purge_of_a();
	char req[64];
	bool pending;

	for (unsigned i = 0; i < 3 * PURGE_REMOVE; i++) {
		sprintf(req, "GET http://a/%u\n", i);
		assert_stored(f, req, FRESH, 0);
	}
	cache_flush(f->cache);
	assert_int_equal(cache_purge_begin(f->cache, &at_0, &purge), CACHE_PURGE_GOES_ON);
	for (unsigned i = 0; i < 3; i++) {
		unsigned before = i * PURGE_REMOVE;

		for (unsigned lost = 0; lost < 3; lost++) {
			commits_to_fail = 1;
			assert_int_equal(cache_purge_some(f->cache), CACHE_PURGE_FAILED);
			assert_int_equal(found_by(f, purge.id, &pending), before);
		}
		/* nor does a failure of something else take anything */
		sprintf(req, "GET http://b/%u\n", i);
		assert_stored(f, req, FRESH, 0);
		commits_to_fail = 1;
		cache_flush(f->cache);
		assert_int_equal(found_by(f, purge.id, &pending), before);
		assert_int_not_equal(cache_purge_some(f->cache), CACHE_PURGE_FAILED);
		assert_int_equal(found_by(f, purge.id, &pending), before + PURGE_REMOVE);
		assert_int_equal(cache_counts(f->cache)->purged, before + PURGE_REMOVE);
	}
}

/* Of several purges as well, whose entries are replaced in one transaction. */
static void counts_of_several_purges(void **state)
{
	struct fixture *f = *state;
	struct http_clock at_0 = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct purge purges[2] = {{0}};
	bool pending;

	assert_true(purge_of_host(SLICE("a"), &purges[0]));
	assert_true(purge_of_host(SLICE("b"), &purges[1]));
	for (unsigned lost = 0; lost < 2; lost++) {
		assert_stored(f, "GET http://a/\n", FRESH, 0);
		assert_stored(f, "GET http://b/\n", FRESH, 0);
		if (lost == 0) {
			cache_flush(f->cache);
			for (unsigned i = 0; i < 2; i++)
				assert_int_equal(cache_purge_begin(f->cache, &at_0, &purges[i]),
						 CACHE_PURGE_GOES_ON);
			assert_stored(f, "GET http://a/\n", FRESH, 0);
			assert_stored(f, "GET http://b/\n", FRESH, 0);
		}
		commits_to_fail = lost == 0;
		cache_flush(f->cache);
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(found_by(f, purges[i].id, &pending), lost);
	}
}

/* A removal that was lost stays on the list, so that nobody has to search for it. */
static void a_lost_removal_stays_on_the_list(void **state)
{
	struct fixture *f = *state;
	struct invalidations *all = store_invalidations(cache_store_of(f->cache));

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	assert_stored(f, "GET http://b/\n", FRESH, 0);
	cache_flush(f->cache);
	commits_to_fail = 2;
	cache_purge(f->cache, SLICE("http://a/"));
	cache_purge(f->cache, SLICE("http://b/"));
	assert_int_equal(f->cache->writes.tidy.count, 2);
	assert_true(invalidation_any(all));
	/* It waits for the next tick. */
	assert_false(writes_tidy_is_due(&f->cache->writes));
	assert_false(writes_tidy_some(&f->cache->writes));
	assert_int_equal(f->cache->writes.tidy.count, 2);
	commits_to_fail = 0;
	cache_tick(f->cache);
	assert_true(writes_tidy_is_due(&f->cache->writes));
	assert_false(writes_tidy_some(&f->cache->writes));
	assert_int_equal(f->cache->writes.tidy.count, 0);
	assert_false(invalidation_any(all));
	assert_int_equal(cache_counts(f->cache)->purged, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, cache_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_failed_transaction_costs_its_writes),
		TEST(a_store_that_always_fails_ends_no_loop),
		TEST(a_purge_without_room_waits_and_is_no_failure),
		TEST(a_full_store_drops_the_record),
		TEST(what_is_superseded_goes_even_when_the_store_is_full),
		TEST(an_unreadable_store_is_a_miss),
		TEST(a_write_without_memory_is_dropped),
		TEST(a_cache_without_memory_does_not_open),
		TEST(no_memory_is_left),
		TEST(any_call_may_fail),
		TEST(no_failure_brings_back_what_went),
		TEST(a_removal_is_taken_up_by_another),
		TEST(a_post_is_overtaken_at_any_time),
		TEST(a_full_store_that_cannot_be_read),
		TEST(a_put_takes_so_many_parts),
		TEST(a_purge_of_a_store_that_fails),
		TEST(counts_of_a_lost_transaction),
		TEST(counts_of_several_purges),
		TEST(a_lost_removal_stays_on_the_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
