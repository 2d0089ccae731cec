/* LINKS: cache */
/* Purges of many URIs, hard and soft: lookups, answers on their way, writes that wait, the walk. */
#include "tests/support/cache_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAGGED FRESH "ETag: \"e\"\n"

static struct http_clock clock_at(int64_t s)
{
	return (struct http_clock){.wall_s = NOW_S + s, .steady_ms = at_ms(s)};
}

/* What begins with these words: "prefix http://a/", "soft host a", "group g http://a", "all". */
static enum cache_purging begin(struct fixture *f, const char *words, int64_t s,
				struct purge *ret_purge)
{
	char kind[16] = "", first[64] = "", second[64] = "";
	struct http_clock now = clock_at(s);
	struct http_uri uri;
	bool ok = true;

	*ret_purge = (struct purge){.soft = strncmp(words, "soft ", 5) == 0};
	sscanf(words + (ret_purge->soft ? 5 : 0), "%15s %63s %63s", kind, first, second);
	if (strcmp(kind, "host") == 0)
		ok = purge_of_host(slice_str(first), ret_purge);
	else if (strcmp(kind, "group") == 0)
		ok = http_uri_parse_absolute(slice_str(second), &uri) == URI_OK &&
		     purge_of_group(&uri, slice_str(first), ret_purge);
	else if (strcmp(kind, "all") == 0)
		ret_purge->kind = PURGE_ALL;
	else
		ok = http_uri_parse_absolute(slice_str(first), &uri) == URI_OK &&
		     (strcmp(kind, "uri") == 0 ? purge_of_uri(&(struct conf){0}, &uri, ret_purge)
					       : purge_of_prefix(&uri, ret_purge));
	assert_true(ok);
	return cache_purge_begin(f->cache, &now, ret_purge);
}

static uint64_t purge(struct fixture *f, const char *words, int64_t s)
{
	struct purge purge;

	assert_int_equal(begin(f, words, s, &purge), CACHE_PURGE_GOES_ON);
	return purge.id;
}

static void walk_all(struct fixture *f)
{
	for (unsigned i = 0; cache_purge_some(f->cache) != CACHE_PURGED_ALL; i++)
		assert_true(i < 1000);
	assert_false(cache_purge_is_due(f->cache));
}

/* How many URIs a purge that has ended, or is pending, has found. */
static uint64_t found_by(struct fixture *f, uint64_t id, bool ended)
{
	struct purge purges[PURGE_SLOTS];
	unsigned count = cache_purges(f->cache, purges, PURGE_SLOTS);

	for (unsigned i = 0; i < count; i++) {
		if (purges[i].id != id)
			continue;
		assert_int_equal(!purges[i].pending, ended);
		assert_int_equal(purges[i].ended_s != PURGE_NOT_ENDED, ended);
		return purges[i].found;
	}
	fail_msg("no purge %d", (int)id);
	return 0;
}

static void assert_stale(struct fixture *f, const char *req, int64_t s)
{
	look_up(f, req, s);
	assert_true(f->lookup.has_record);
	assert_int_equal(f->lookup.verdict, REUSE_VALIDATE);
	assert_int_equal(f->lookup.why, REASON_PURGED);
}

static void fill(struct fixture *f, const char *host, int count, int64_t s)
{
	char req[64];

	for (int i = 0; i < count; i++) {
		sprintf(req, "GET http://%s/%d\n", host, i);
		assert_stored(f, req, TAGGED "X: x\n", s);
		if (cache_pending(f->cache) == PENDING_MAX)
			cache_flush(f->cache);
	}
	cache_flush(f->cache);
}

/* Fill with large entries: /0 and on, of several variants each. */
static void fill_large(struct fixture *f, int count)
{
	char req[64], res[4096] = "", line[3000];

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (int i = 0; i < count; i++) {
		for (int k = 0; k < 8; k++) {
			sprintf(req, "GET http://a/%d\nK: %d\n", i, k);
			sprintf(res, TAGGED "Vary: K\nX: %s\n", line);
			assert_stored(f, req, res, 0);
			cache_flush(f->cache);
		}
	}
}

static unsigned batches_of(struct fixture *f)
{
	unsigned batches = 1;

	while (cache_purge_some(f->cache) != CACHE_PURGED_ALL)
		batches++;
	return batches;
}

/* By what is gone through, not by entries alone: a few large ones are as much as many small ones. */
static void a_batch_of_large_entries_is_bounded(void **state)
{
	enum { ENTRIES = 24, BYTES = ENTRIES * 8 * 3000 };
	struct fixture *f = *state;
	char words[64];

	fill_large(f, ENTRIES);
	purge(f, "host b", 1);
	assert_in_range(batches_of(f), 1 + BYTES / PURGE_COST, 4 * (1 + BYTES / PURGE_COST));
	for (int i = 0; i < 8; i++) {
		sprintf(words, "group g%d http://b", i);
		purge(f, words, 1);
	}
	assert_in_range(batches_of(f), ENTRIES / 2, ENTRIES);
	purge(f, "soft host a", 2);
	assert_in_range(batches_of(f), ENTRIES / 3, ENTRIES);
	assert_stale(f, "GET http://a/7\nK: 3\n", 2);
}

static void each_kind_purges_its_own(void **state)
{
	static const char *const kinds[] = {"prefix http://a/x", "host a", "group g http://a"};
	struct fixture *f = *state;
	uint64_t id;

	for (unsigned i = 0; i < 3; i++) {
		assert_stored(f, "GET http://a/x1\n", FRESH "X: a\nCache-Groups: \"g\"\n", 0);
		assert_stored(f, "GET http://b/x1\n", FRESH "X: b\nCache-Groups: \"g\"\n", 0);
		cache_flush(f->cache);
		id = purge(f, kinds[i], 1);
		assert_miss(f, "GET http://a/x1\n", 1);
		assert_false(f->lookup.uri_known);
		assert_hit(f, "GET http://b/x1\n", 1, "b");
		assert_int_equal(found_by(f, id, false), 0);
		walk_all(f);
		assert_int_equal(found_by(f, id, true), 1);
		assert_miss(f, "GET http://a/x1\n", 1);
		assert_hit(f, "GET http://b/x1\n", 1, "b");
	}
}

static void what_is_asked_for_later_stays(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	assert_stored(f, "GET http://a/1\nFoo: 1\n", FRESH "Vary: Foo\nX: old\n", 0);
	assert_stored(f, "GET http://a/2\n", FRESH "X: old\n", 0);
	cache_flush(f->cache);
	id = purge(f, "host a", 1);
	/* in the same millisecond, and second */
	assert_stored(f, "GET http://a/1\nFoo: 2\n", FRESH "Vary: Foo\nX: new\n", 1);
	assert_miss(f, "GET http://a/1\nFoo: 1\n", 1);
	assert_hit(f, "GET http://a/1\nFoo: 2\n", 1, "new");
	walk_all(f);
	assert_hit(f, "GET http://a/1\nFoo: 2\n", 1, "new");
	assert_miss(f, "GET http://a/1\nFoo: 1\n", 1);
	/* one of them by the write, one by the walk */
	assert_int_equal(found_by(f, id, true), 2);
}

static enum reason store_asked_at(struct fixture *f, const char *req, const char *res,
				  uint64_t epoch)
{
	struct exchange_times times = {at_ms(1), clock_at(2), epoch, 0, 0};
	enum reason why;

	cache_store(f->cache, request_of(&f->req, req), response_of(&f->res, res), &times, &why);
	return why;
}

/* Before, during and after the walk, and when the purge itself is forgotten. */
static void what_was_asked_for_before_is_not_stored(void **state)
{
	static const char *const kinds[] = {"prefix http://a/",      "host a",
					    "group g http://a",      "soft host a",
					    "soft group g http://a", "soft all"};
	struct fixture *f = *state;
	uint64_t epoch;
	char words[64];

	for (unsigned i = 0; i < 6; i++) {
		const char *res = FRESH "Cache-Groups: \"g\"\n";

		epoch = cache_epoch(f->cache);
		purge(f, kinds[i], 1);
		assert_int_equal(store_asked_at(f, "GET http://a/\n", res, epoch),
				 REASON_OVERTAKEN);
		walk_all(f);
		assert_int_equal(store_asked_at(f, "GET http://a/\n", res, epoch),
				 REASON_OVERTAKEN);
		if (i < 5)
			assert_int_equal(store_asked_at(f, "GET http://b/\n", res, epoch),
					 REASON_NONE);
		for (int n = 0; n < PURGE_SLOTS; n++) {
			sprintf(words, "host h%d", n);
			purge(f, words, 1);
			walk_all(f);
		}
		assert_int_equal(store_asked_at(f, "GET http://a/\n", res, epoch),
				 REASON_OVERTAKEN);
		assert_int_equal(store_asked_at(f, "GET http://a/\n", res, cache_epoch(f->cache)),
				 REASON_NONE);
		purge(f, "host a", 3);
		walk_all(f);
	}
}

static void writes_that_wait_are_purged(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", TAGGED "X: old\n", 0);
	assert_stored(f, "GET http://b/\n", TAGGED "X: b\n", 0);
	purge(f, "host a", 1);
	walk_all(f);
	assert_int_equal(cache_pending(f->cache), 2);
	cache_flush(f->cache);
	assert_int_equal(cache_counts(f->cache)->stored, 1);
	assert_miss(f, "GET http://a/\n", 1);
	assert_hit(f, "GET http://b/\n", 1, "b");
}

static void writes_that_wait_are_made_stale(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", TAGGED "X: old\n", 0);
	purge(f, "soft host a", 1);
	walk_all(f);
	assert_int_equal(cache_pending(f->cache), 1);
	assert_stale(f, "GET http://a/\n", 1);
	cache_flush(f->cache);
	assert_stale(f, "GET http://a/\n", 1);
	assert_int_equal(cache_counts(f->cache)->stored, 1);
}

/* The same before and after the walk: stale since the purge, with its validators. */
static void a_soft_purge_makes_stale(void **state)
{
	static const char *const kinds[] = {"soft prefix http://a/", "soft host a",
					    "soft group g http://a", "soft all"};
	struct fixture *f = *state;
	struct record_view fresh;

	for (unsigned i = 0; i < 4; i++) {
		struct http_clock now = clock_at(7);
		uint64_t id;

		assert_stored(f, "GET http://a/\n", TAGGED "Cache-Groups: \"g\"\nX: a\n", 0);
		cache_flush(f->cache);
		id = purge(f, kinds[i], 5);
		for (unsigned walked = 0; walked < 2; walked++) {
			assert_stale(f, "GET http://a/\n", 7);
			assert_true(slice_eq(f->lookup.record.etag, SLICE("\"e\"")));
			assert_int_equal(policy_age_s(f->lookup.record.meta, &now) -
						 policy_lifetime_s(f->lookup.record.meta, f->conf),
					 2);
			walk_all(f);
		}
		assert_int_equal(found_by(f, id, true), 1);
		/* validated, it is fresh again */
		assert_true(freshen(f, "GET http://a/\n", copy_of_record(f, "GET http://a/\n", 7),
				    "304\nETag: \"e\"\n", 7, &fresh));
		cache_flush(f->cache);
		assert_hit(f, "GET http://a/\n", 8, "a");
	}
}

static void a_validation_from_before_keeps_it_stale(void **state)
{
	struct fixture *f = *state;
	struct record_view fresh;
	struct slice old;

	assert_stored(f, "GET http://a/\n", TAGGED "X: a\n", 0);
	cache_flush(f->cache);
	old = copy_of_record(f, "GET http://a/\n", 0);
	f->asked_long_ago = true;
	purge(f, "soft host a", 1);
	assert_true(freshen(f, "GET http://a/\n", old, "304\nETag: \"e\"\n", 2, &fresh));
	assert_stale(f, "GET http://a/\n", 2);
	walk_all(f);
	assert_true(freshen(f, "GET http://a/\n", old, "304\nETag: \"e\"\n", 2, &fresh));
	assert_stale(f, "GET http://a/\n", 2);
}

/* No stale-while-revalidate, no max-stale; stale-if-error from the purge on. */
static void what_was_purged_softly_is_used_for_errors_alone(void **state)
{
	struct fixture *f = *state;
	const struct http_request *req;

	assert_stored(f, "GET http://a/\n",
		      "204\nCache-Control: max-age=60, stale-while-revalidate=600, "
		      "stale-if-error=10\nETag: \"e\"\n",
		      0);
	cache_flush(f->cache);
	purge(f, "soft host a", 5);
	assert_stale(f, "GET http://a/\nCache-Control: max-stale=100\n", 6);
	assert_stale(f, "GET http://a/\n", 6);
	req = request_of(&f->req, "GET http://a/\n");
	for (int64_t s = 5; s < 20; s++) {
		struct http_clock now = clock_at(s);

		assert_int_equal(policy_stale_if_error(req, f->lookup.record.meta, &now, f->conf),
				 s <= 15);
	}
	look_up(f, "GET http://a/\nCache-Control: only-if-cached\n", 6);
	assert_int_equal(f->lookup.verdict, REUSE_REFUSED);
}

static void a_soft_purge_of_one_uri_is_done_at_once(void **state)
{
	struct fixture *f = *state;
	struct purge done;

	assert_stored(f, "GET http://a/\n", TAGGED "X: a\n", 0);
	assert_stored(f, "GET http://a/b\n", TAGGED "X: b\n", 0);
	assert_int_equal(begin(f, "soft uri http://a/", 1, &done), CACHE_PURGED_ALL);
	assert_false(cache_purge_is_due(f->cache));
	assert_int_equal(found_by(f, done.id, true), 1);
	assert_stale(f, "GET http://a/\n", 1);
	assert_hit(f, "GET http://a/b\n", 1, "b");
	assert_int_equal(begin(f, "soft uri http://c/", 1, &done), CACHE_PURGED_NOTHING);
}

static void a_copy_in_hand_is_absent(void **state)
{
	struct fixture *f = *state;
	struct record_view fresh;
	struct cache_kept *kept;
	size_t n;

	assert_stored(f, "GET http://a/\n", TAGGED "X: a\n", 0);
	cache_flush(f->cache);
	kept = cache_keep(copy_of_record(f, "GET http://a/\n", 0), SLICE("http://a/"));
	assert_non_null(kept);
	n = kept->record.bytes.n;
	purge(f, "soft host a", 1);
	walk_all(f);
	assert_false(cache_is_absent(f->cache, kept));
	purge(f, "host a", 1);
	assert_true(cache_is_absent(f->cache, kept));
	walk_all(f);
	assert_true(cache_is_absent(f->cache, kept));
	free(kept);
	/* nor is it freshened, however late it was asked for */
	assert_true(freshen(f, "GET http://a/\n", slice_of(f->old, n), "304\nETag: \"e\"\n", 2,
			    &fresh));
	cache_flush(f->cache);
	assert_miss(f, "GET http://a/\n", 2);
}

/* An unsafe request's answer, asked for before the purge, does not count as later by its own mark. */
static void a_post_undoes_no_purge(void **state)
{
	const char *post = "204\nCache-Control: max-age=60\nContent-Location: /\n";
	struct fixture *f = *state;
	struct exchange_times times = {at_ms(1), clock_at(2), cache_epoch(f->cache), 0, 0};
	enum reason why;

	purge(f, "host a", 1);
	cache_invalidate(f->cache, request_of(&f->req, "POST http://a/\n"),
			 response_of(&f->res, post), &times);
	assert_false(cache_store(f->cache, request_of(&f->req, "POST http://a/\n"),
				 response_of(&f->res, post), &times, &why));
	assert_int_equal(why, REASON_OVERTAKEN);
}

static void there_is_an_end_to_those_pending(void **state)
{
	struct fixture *f = *state;
	struct purge refused;
	char words[32];
	uint64_t first;

	fill(f, "h3", 20, 0);
	first = purge(f, "host h0", 1);
	for (int i = 1; i < PURGE_PENDING_MAX; i++) {
		sprintf(words, "%shost h%d", i % 2 ? "soft " : "", i);
		purge(f, words, 1);
	}
	assert_int_equal(begin(f, "host h", 1, &refused), CACHE_PURGE_REFUSED);
	assert_int_equal(begin(f, "soft host h0", 1, &refused), CACHE_PURGE_REFUSED);
	/* one that is there already is joined, and everything can always be purged */
	assert_int_equal(purge(f, "host h0", 1), first);
	assert_stale(f, "GET http://h3/0\n", 1);
	assert_true(cache_purge_all(f->cache, &(struct http_clock){NOW_S, at_ms(1), 0}) > first);
	assert_miss(f, "GET http://h3/0\n", 1);
	walk_all(f);
	assert_int_equal(begin(f, "host h", 1, &refused), CACHE_PURGE_GOES_ON);
}

/* Joined in the middle of a walk, it ends after another one. */
static void one_that_is_joined_purges_as_of_then(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	fill(f, "a", 300, 0);
	id = purge(f, "host a", 1);
	for (int i = 0; i < 20; i++)
		assert_int_equal(cache_purge_some(f->cache), CACHE_PURGE_GOES_ON);
	fill(f, "a", 300, 1);
	assert_hit(f, "GET http://a/0\n", 1, "x");
	assert_int_equal(purge(f, "host a", 1), id);
	assert_miss(f, "GET http://a/0\n", 1);
	walk_all(f);
	assert_int_equal(found_by(f, id, true), 600);
	cache_turn_end(f->cache);
	for (int i = 0; i < 300; i++) {
		char req[32];

		sprintf(req, "GET http://a/%d\n", i);
		assert_miss(f, req, 1);
	}
}

static void several_are_walked_for_together(void **state)
{
	struct fixture *f = *state;
	uint64_t a, b, soft;

	fill(f, "a", 100, 0);
	fill(f, "b", 50, 0);
	fill(f, "c", 50, 0);
	a = purge(f, "host a", 1);
	b = purge(f, "prefix http://b/1", 1);
	soft = purge(f, "soft host c", 1);
	walk_all(f);
	assert_int_equal(found_by(f, a, true), 100);
	assert_int_equal(found_by(f, b, true), 11);
	assert_int_equal(found_by(f, soft, true), 50);
	assert_int_equal(cache_counts(f->cache)->purged, 161);
}

/* All processes are killed, and one of an earlier time had the store open last. */
static void it_is_kept_beside_the_store(void **state)
{
	struct fixture *f = *state;
	uint64_t id, soft;
	pid_t child;
	int status;

	fill(f, "a", 200, 0);
	fill(f, "b", 10, 0);
	cache_fixture_close(f);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		cache_fixture_open(f);
		purge(f, "host a", 1);
		purge(f, "soft host b", 1);
		cache_purge_some(f->cache);
		kill(getpid(), 9);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	cache_fixture_open(f);
	assert_true(cache_purge_is_due(f->cache));
	assert_miss(f, "GET http://a/1\n", 2);
	assert_stale(f, "GET http://b/1\n", 2);
	id = purge(f, "host a", 2);
	soft = purge(f, "soft host b", 2);
	assert_int_equal(id, 1);
	assert_int_equal(soft, 2);
	walk_all(f);
	assert_int_equal(found_by(f, id, true), 200);
	assert_int_equal(found_by(f, soft, true), 10);
	cache_fixture_close(f);
	cache_fixture_open(f);
	assert_int_equal(found_by(f, id, true), 200);
	assert_miss(f, "GET http://a/1\n", 2);
	assert_stale(f, "GET http://b/1\n", 2);
}

/* A view from before the walk does not show what is no longer marked. */
static void a_view_from_before_shows_nothing(void **state)
{
	struct fixture *f = *state, other = {.conf = f->conf};
	pid_t child;
	int status;

	fill(f, "a", 10, 0);
	cache_turn_end(f->cache);
	assert_hit(f, "GET http://a/1\n", 0, "x");
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		cache_fixture_open(&other);
		purge(&other, "host a", 1);
		while (cache_purge_some(other.cache) != CACHE_PURGED_ALL)
			;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(cache_purge_is_due(f->cache));
	assert_miss(f, "GET http://a/1\n", 1);
}

/* Nor does the walk of a process with such a view miss what was stored before the purge. */
static void a_walk_looks_at_what_came_before_it(void **state)
{
	struct fixture *f = *state, other = {.conf = f->conf};
	pid_t child;
	int status;

	fill(f, "b", 1, 0);
	cache_turn_end(f->cache);
	assert_hit(f, "GET http://b/0\n", 0, "x");
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		cache_fixture_open(&other);
		fill(&other, "a", 1, 0);
		purge(&other, "host a", 1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	walk_all(f);
	cache_turn_end(f->cache);
	assert_miss(f, "GET http://a/0\n", 1);
}

/* Until the walk comes to it, the stale record is a copy: valid when the view ends, until the next. */
static void a_stale_record_is_a_copy(void **state)
{
	struct fixture *f = *state;

	assert_stored(f, "GET http://a/\n", TAGGED, 0);
	cache_flush(f->cache);
	look_up(f, "GET http://a/\n", 0);
	assert_true(view_is_current(&f->lookup.record.generation));
	cache_turn_end(f->cache);
	assert_false(view_is_current(&f->lookup.record.generation));
	purge(f, "soft host a", 1);
	assert_stale(f, "GET http://a/\n", 1);
	cache_turn_end(f->cache);
	assert_true(view_is_current(&f->lookup.record.generation));
	assert_stored(f, "GET http://b/\n", FRESH, 1);
	assert_false(view_is_current(&f->lookup.record.generation));
}

/* A purge of a URI has ended when it begins: that one, and no other that is pending. */
static void one_of_several_ends(void **state)
{
	struct fixture *f = *state;
	struct purge before, after, of_uri;

	assert_stored(f, "GET http://a/\n", FRESH, 0);
	assert_int_equal(begin(f, "host x", 1, &before), CACHE_PURGE_GOES_ON);
	assert_true(before.pending);
	assert_int_equal(begin(f, "prefix http://y/", 1, &after), CACHE_PURGE_GOES_ON);
	assert_int_equal(begin(f, "uri http://a/", 1, &of_uri), CACHE_PURGED_ALL);
	assert_int_equal(found_by(f, of_uri.id, true), 1);
	assert_int_equal(found_by(f, before.id, false), 0);
	assert_int_equal(found_by(f, after.id, false), 0);
	assert_true(cache_purge_is_due(f->cache));
	walk_all(f);
	assert_int_equal(found_by(f, before.id, true), 0);
	assert_int_equal(found_by(f, after.id, true), 0);
}

static void so_many_are_pending(void **state)
{
	struct fixture *f = *state;
	struct purge purge;
	char words[64];

	for (unsigned i = 0; i < PURGE_PENDING_MAX; i++) {
		sprintf(words, "host h%u", i);
		assert_int_equal(begin(f, words, 0, &purge), CACHE_PURGE_GOES_ON);
		assert_true(purge.pending);
	}
	assert_int_equal(begin(f, "host more", 0, &purge), CACHE_PURGE_REFUSED);
	assert_false(purge.pending);
	/* One that is pending already is joined. */
	assert_int_equal(begin(f, "host h0", 0, &purge), CACHE_PURGE_GOES_ON);
	assert_true(purge.pending);
	walk_all(f);
	assert_int_equal(begin(f, "host more", 0, &purge), CACHE_PURGE_GOES_ON);
}

/* What waits for the store in any process has come there after the interval, and a tenth of a second. */
static void its_count_is_settled(void **state)
{
	enum { INTERVAL_MS = 700 };
	struct fixture *f = *state;
	struct store_clock *clock;
	uint64_t id;

	assert_true(test_conf_set(f->conf, "store_interval", "700ms"));
	clock = store_clock(cache_store_of(f->cache));
	assert_stored(f, "GET http://a/\n", FRESH, 0);
	cache_flush(f->cache);
	id = purge(f, "host a", 0);
	atomic_store(&clock->latest_ms, at_ms(0) + INTERVAL_MS + 100);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(cache_purge_some(f->cache), CACHE_PURGE_GOES_ON);
		assert_int_equal(found_by(f, id, false), 1);
	}
	atomic_store(&clock->latest_ms, at_ms(0) + INTERVAL_MS + 101);
	assert_int_equal(cache_purge_some(f->cache), CACHE_PURGED_ALL);
	assert_int_equal(found_by(f, id, true), 1);
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, cache_fixture_setup, cache_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_kind_purges_its_own),
		TEST(a_batch_of_large_entries_is_bounded),
		TEST(what_is_asked_for_later_stays),
		TEST(what_was_asked_for_before_is_not_stored),
		TEST(writes_that_wait_are_purged),
		TEST(writes_that_wait_are_made_stale),
		TEST(a_soft_purge_makes_stale),
		TEST(a_validation_from_before_keeps_it_stale),
		TEST(what_was_purged_softly_is_used_for_errors_alone),
		TEST(a_soft_purge_of_one_uri_is_done_at_once),
		TEST(a_copy_in_hand_is_absent),
		TEST(a_post_undoes_no_purge),
		TEST(there_is_an_end_to_those_pending),
		TEST(one_that_is_joined_purges_as_of_then),
		TEST(several_are_walked_for_together),
		TEST(it_is_kept_beside_the_store),
		TEST(a_view_from_before_shows_nothing),
		TEST(a_stale_record_is_a_copy),
		TEST(one_of_several_ends),
		TEST(so_many_are_pending),
		TEST(its_count_is_settled),
		TEST(a_walk_looks_at_what_came_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
