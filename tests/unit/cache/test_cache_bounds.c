/* LINKS: cache tests/doubles/store_memory.c */
/* Targets that are too long for a key, records too large for an entry, purges that are being written. */
#include <stdio.h>
#include <stdlib.h>

#include "cache/impl.h"
#include "cache/policy/rule.h"
#include "tests/support/cache_fixture.h"

/* In force from the next request on. */
static void begin(struct fixture *f, struct purge *purge)
{
	struct http_clock now = {.wall_s = NOW_S, .steady_ms = at_ms(0)};

	assert_int_equal(cache_purge_begin(f->cache, &now, purge), CACHE_PURGE_GOES_ON);
}

static struct purge_table *purges_of(struct fixture *f)
{
	return &store_invalidations(f->cache->store)->purges;
}

static enum entry_select peek(struct fixture *f, const char *req)
{
	struct http_clock now = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct cache_found found;

	cache_peek(f->cache, request_of(&f->req, req), &now, &found);
	assert_int_equal(found.entry.n > 0, found.selected != ENTRY_NONE);
	assert_int_equal(found.lookup.has_record, found.selected == ENTRY_SELECTED);
	return found.selected;
}

/* The parser lets none so long pass: a key of a part of it would be one of another URI. */
static void a_uri_without_a_key_is_no_key_of_another(void **state)
{
	static char uri[CACHE_URI_SIZE + 8], req[CACHE_URI_SIZE + 64];
	struct exchange_times times = {.request_steady_ms = at_ms(0)};
	struct fixture *f = *state;

	for (unsigned more = 0; more < 2; more++) {
		struct http_uri parsed;
		size_t n = sizeof(uri) - 1;

		memset(uri, 'x', n);
		memcpy(uri, "http://a/", 9);
		/* as long as fits, and longer */
		do
			assert_int_equal(http_uri_parse_absolute(slice_of(uri, n--), &parsed),
					 URI_OK);
		while (http_uri_normal_max(&parsed) > CACHE_URI_SIZE + more);
		sprintf(req, "GET %.*s\n", (int)n + 1, uri);
		assert_int_equal(store(f, req, FRESH "X: 1\n", 0),
				 more ? REASON_TOO_LARGE : REASON_NONE);
		look_up(f, req, 0);
		assert_int_equal(f->lookup.has_record, !more);
		assert_int_equal(peek(f, req), more ? ENTRY_NONE : ENTRY_SELECTED);
		memcpy(req, "PUT", 3);
		assert_int_equal(cache_invalidate(f->cache, request_of(&f->req, req),
						  response_of(&f->res, "204\n"), &times),
				 !more);
		assert_int_equal(times.asked_at != 0, !more);
		times.asked_at = 0;
	}
}

static void a_method_that_is_never_stored_has_no_record(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	assert_int_equal(peek(f, "GET http://a/\n"), ENTRY_SELECTED);
	assert_int_equal(peek(f, "GET http://a/other\n"), ENTRY_NONE);
	assert_int_equal(peek(f, "PUT http://a/\n"), ENTRY_NONE);
}

/* A slot is written word by word, its number last: until then it says nothing. */
static void a_purge_that_is_being_written_is_none(void **state)
{
	struct fixture *f = *state;
	struct purge listed[PURGE_SLOTS];

	for (unsigned i = 0; i < 4; i++) {
		char uri[32], req[64];
		struct purge purge = {.soft = i == 3};
		struct http_uri parsed;
		struct purge_slot *slot;
		uint64_t id;

		sprintf(uri, "http://%u.example/", i);
		sprintf(req, "GET %s\n", uri);
		assert_int_equal(http_uri_parse_absolute(slice_str(uri), &parsed), URI_OK);
		assert_true(i == 0   ? purge_of_host(parsed.host, &purge)
			    : i == 1 ? purge_of_prefix(&parsed, &purge)
				     : purge_of_group(&parsed, SLICE("g"), &purge));
		f->asked_long_ago = false;
		assert_stored(f, req, FRESH "X: 1\nCache-Groups: \"g\"\n", 0);
		cache_flush(f->cache);
		begin(f, &purge);
		slot = &purges_of(f)->slots[__builtin_ctzll(purge_table_pending(purges_of(f)))];
		id = atomic_exchange(&slot->id, 0);
		assert_hit(f, req, 0, "1");
		assert_int_equal(cache_purges(f->cache, listed, PURGE_SLOTS), i);
		f->asked_long_ago = true;
		assert_stored(f, req, FRESH "X: 1\nCache-Groups: \"g\"\n", 0);
		cache_flush(f->cache);
		atomic_store(&slot->id, id);
		look_up(f, req, 0);
		assert_int_equal(f->lookup.has_record, purge.soft);
		assert_int_not_equal(f->lookup.verdict, REUSE_FRESH);
		assert_int_equal(cache_purges(f->cache, listed, PURGE_SLOTS), i + 1);
		assert_int_equal(store(f, req, FRESH "Cache-Groups: \"g\"\n", 0), REASON_OVERTAKEN);
		while (cache_purge_some(f->cache) != CACHE_PURGED_ALL)
			;
	}
}

/* Another process has ended it, and the place may be that of a later one. */
static void a_purge_ends_once(void **state)
{
	struct purge first = {0}, second = {0}, listed[PURGE_SLOTS];
	struct fixture *f = *state;

	assert_true(purge_of_host(SLICE("a"), &first));
	assert_true(purge_of_host(SLICE("b"), &second));
	begin(f, &first);
	begin(f, &second);
	purge_end(&f->cache->writes, &first);
	assert_int_equal(cache_purges(f->cache, listed, PURGE_SLOTS), 2);
	assert_true(listed[0].pending && listed[0].id == second.id);
	assert_false(listed[1].pending);
	purge_end(&f->cache->writes, &first);
	assert_int_equal(cache_purges(f->cache, listed, PURGE_SLOTS), 2);
	assert_true(listed[0].pending && listed[0].id == second.id);
	purge_end(&f->cache->writes, &second);
	purge_end(&f->cache->writes, &second);
	assert_false(cache_purge_is_due(f->cache));
	/* the latest come first, and only as many as there is room for */
	assert_int_equal(cache_purges(f->cache, listed, 1), 1);
	assert_int_equal(listed[0].id, second.id);
	assert_int_equal(cache_purges(f->cache, listed, 0), 0);
}

/* What the store would never take is dropped, and what it replaces does not answer any more. */
static void a_record_larger_than_the_store_takes(void **state)
{
	static char res[72 << 10];
	struct fixture *f = *state;
	size_t n = (size_t)sprintf(res, "%sX: ", FRESH);

	memset(res + n, 'x', sizeof(res) - n - 2);
	res[sizeof(res) - 2] = '\n';
	cache_fixture_close(f);
	f->conf->store_size = 1 << 20;
	f->conf->record_size = f->conf->entry_size = 128 << 10;
	cache_fixture_open(f);
	assert_stored(f, "GET http://a/\n", FRESH "X: 1\n", 0);
	cache_flush(f->cache);
	assert_hit(f, "GET http://a/\n", 0, "1");
	assert_stored(f, "GET http://a/\n", res, 1);
	cache_flush(f->cache);
	assert_int_equal(cache_counts(f->cache)->stored, 1);
	assert_int_equal(cache_counts(f->cache)->dropped, 1);
	assert_miss(f, "GET http://a/\n", 1);
	/* with room for it alone it is taken, although not beside others */
	cache_fixture_close(f);
	f->conf->store_size = 64 << 20;
	f->conf->entry_size = 64 << 10;
	cache_fixture_open(f);
	assert_stored(f, "GET http://b/\nA: 1\n", FRESH "Vary: A\nX: 1\n", 0);
	assert_stored(f, "GET http://b/\nA: 2\n", res, 1);
	cache_flush(f->cache);
	assert_int_equal(cache_counts(f->cache)->dropped, 0);
	look_up(f, "GET http://b/\nA: 2\n", 1);
	assert_true(f->lookup.has_record);
}

/* The key by a rule is made anew for each request, beside the target as it was asked for. */
static void a_key_by_a_rule(void **state)
{
	static const char *const same[] = {"?b=2&a=1&utm=3", "?a=1&b=2", "?utm=1&a=1&utm=2&b=2"};
	struct exchange_times times = {.request_steady_ms = at_ms(0),
				       .response = {.wall_s = NOW_S, .steady_ms = at_ms(0)}};
	struct http_clock now = {.wall_s = NOW_S, .steady_ms = at_ms(0)};
	struct fixture *f = *state;
	char req[64], res[80];

	cache_fixture_close(f);
	assert_true(test_conf_rules(f->conf, "rule \"a\" { match = \"a/*\" ignore_query = utm "
					     "sort_query = on }"));
	cache_fixture_open(f);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		enum reason why;

		sprintf(req, "GET http://a/%s\n", same[i]);
		request_of(&f->req, req);
		f->req.req.rule = policy_uri_options(f->conf, SLICE("http://a/"))->rule;
		assert_non_null(f->req.req.rule);
		cache_lookup(f->cache, &f->req.req, &now, &f->lookup);
		assert_int_equal(f->lookup.has_record, i > 0);
		assert_true(slice_eq(f->lookup.normal_uri, SLICE("http://a/?a=1&b=2")));
		assert_int_equal(cache_store(f->cache, &f->req.req,
					     response_of(&f->res, FRESH "ETag: \"e\"\n"), &times,
					     &why),
				 true);
	}
	/* and of what an answer refers to */
	sprintf(res, "201\nLocation: /?b=2&utm=9&a=1\n");
	assert_int_equal(cache_invalidate(f->cache, request_of(&f->req, "POST http://a/new\n"),
					  response_of(&f->res, res), &times),
			 1);
}

/* A 304 puts the record into a group, which was invalidated after it was asked for. */
static void a_confirmation_is_overtaken_by_its_group(void **state)
{
	static const char req[] = "GET http://a/\n", tagged[] = FRESH "X: 1\nETag: \"e\"\n";
	struct exchange_times times = {.request_steady_ms = at_ms(1),
				       .response = {.wall_s = NOW_S + 1, .steady_ms = at_ms(1)}};
	struct fixture *f = *state;

	for (unsigned late = 0; late < 2; late++) {
		struct exchange_times own = times;
		struct cache_freshened fresh;
		struct cache_kept *kept;

		assert_stored(f, req, tagged, 0);
		own.asked_at = cache_epoch(f->cache);
		if (late)
			cache_invalidate(
				f->cache, request_of(&f->req, "POST http://a/b\n"),
				response_of(&f->res, "200\nCache-Group-Invalidation: \"h\"\n"),
				&times);
		kept = kept_of(f, req, copy_of_record(f, req, 0));
		assert_true(cache_freshen(
			f->cache, &f->req.req, kept,
			response_of(&f->res, "304\nETag: \"e\"\nCache-Groups: \"h\"\n"), &own,
			&fresh));
		assert_int_equal(fresh.why, late ? REASON_OVERTAKEN : REASON_NONE);
		free(kept);
		assert_hit(f, req, 2, "1");
	}
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, cache_fixture_setup, cache_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_uri_without_a_key_is_no_key_of_another),
		TEST(a_method_that_is_never_stored_has_no_record),
		TEST(a_purge_that_is_being_written_is_none),
		TEST(a_purge_ends_once),
		TEST(a_record_larger_than_the_store_takes),
		TEST(a_key_by_a_rule),
		TEST(a_confirmation_is_overtaken_by_its_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
