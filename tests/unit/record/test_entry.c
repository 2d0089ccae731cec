/* LINKS: cache/record */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/http/date.h"
#include "cache/record/entry.h"
#include "tests/support/entry_count.h"
#include "tests/support/guarded.h"
#include "tests/support/messages.h"

#define TARGET " http://example.com/a\n"
#define FRESH "204\nCache-Control: max-age=60\n"

enum { NOW_S = 784111777, RECORD_ROOM = 20 << 10, VARIANTS = 16 };

static const struct slice uri = {"http://example.com/a", 20};
static const struct conf conf = {
	.record_size = 16 << 10, .preflight_cache = true, .preflight_max_age_ms = 7200000};

static struct message request, response;

/* An entry that is added to: each put goes to the other half. */
static _Alignas(8) char halves[2][ENTRY_SIZE_MAX];
static unsigned half;
static struct slice entry;

static const struct record_cutoff none_absent;
static uint64_t asked_at; /* of records to come */

static int empty_entry(void **state)
{
	(void)state;
	entry = slice_of(NULL, 0);
	return 0;
}

/* The record of an exchange received `s` seconds after NOW_S, in memory of its own until the next
   four are made. */
static struct slice record_at(int64_t s, const char *req, const char *res)
{
	static _Alignas(8) char ring[4][RECORD_ROOM];
	static unsigned next;
	char *to = ring[next++ % 4];
	struct exchange_times times = {(NOW_S + s) * 1000,
				       {.wall_s = NOW_S + s, .steady_ms = (NOW_S + s) * 1000},
				       asked_at,
				       0,
				       0};
	struct record_meta meta;
	enum reason why;
	size_t n;

	request_of(&request, req);
	response_of(&response, res);
	assert_true(policy_may_store(&request.req, &response.res, &times, &conf, &meta, &why));
	n = record_write(&request.req, &response.res, &meta, uri, to, RECORD_ROOM);
	assert_int_not_equal(n, 0);
	return slice_of(to, n);
}

/* The same is written where there is room for no byte more. */
static void check_exact(struct slice record, uint32_t variants, size_t size, struct slice written)
{
	char *to = (char *)(uintptr_t)guarded(slice_of(halves[half], written.n)).p;

	assert_int_equal(entry_put(entry, uri, record, variants, to, size), written.n);
	assert_true(slice_eq(slice_of(to, written.n), written));
	guarded_end();
}

static size_t put_bounded(struct slice record, uint32_t variants, size_t size)
{
	size_t n;

	half ^= 1;
	n = entry_put(entry, uri, record, variants, halves[half], size);
	if (n > 0) {
		check_exact(record, variants, size, slice_of(halves[half], n));
		entry = slice_of(halves[half], n);
	}
	return n;
}

static void put(int64_t s, const char *req, const char *res)
{
	assert_int_not_equal(put_bounded(record_at(s, req, res), VARIANTS, ENTRY_SIZE_MAX), 0);
}

/* The value of X of the record that a request selects; "" for none. */
static const char *selected_of(const char *req, bool by_language,
			       const struct record_cutoff *cutoff)
{
	static char value[16];
	struct http_field lines[16];
	struct http_response res = {.fields = {.at = lines, .capacity = 16}};
	struct record_view view;
	enum entry_select result =
		entry_select(entry, uri, request_of(&request, req), by_language, cutoff, &view);

	if (result == ENTRY_NO_MATCH || result == ENTRY_NONE)
		return "";
	assert_int_equal(result, ENTRY_SELECTED);
	assert_true(record_to_response(&view, &res));
	snprintf(value, sizeof(value), "%.*s", SLICE_ARG(value_of(&res, "X")));
	return value;
}

static const char *selected_by(const char *req, bool by_language)
{
	return selected_of(req, by_language, &none_absent);
}

static int64_t ms_after(int64_t s)
{
	return (NOW_S + s) * 1000;
}

/* The same when what was received until then has been purged. */
static const char *selected_after(int64_t s, const char *req)
{
	return selected_of(req, false, &(struct record_cutoff){.purged_ms = ms_after(s)});
}

static const char *selected_within(const struct record_cutoff *cutoff, const char *req)
{
	return selected_of(req, false, cutoff);
}

static const char *selected(const char *req)
{
	return selected_by(req, false);
}

static void one_record_is_selected(void **state)
{
	struct record_view view;

	(void)state;
	put(0, "GET" TARGET, FRESH "X: 1\n");
	assert_string_equal(selected("GET" TARGET), "1");
	assert_int_equal(entry_count(entry), 1);
	assert_int_equal(entry.n % RECORD_ALIGN, 0);
	assert_memory_equal(entry.p + 16 + uri.n, "\0\0\0", 4); /* up to the record */
	assert_true(slice_eq(entry_uri(entry), uri));
	assert_int_equal(entry_select(entry, SLICE("http://example.com/b"), &request.req, false,
				      &none_absent, &view),
			 ENTRY_NONE);
}

static void variants_are_selected_by_their_fields(void **state)
{
	(void)state;
	put(0, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: a\n");
	put(0, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: b\n");
	put(0, "GET" TARGET, FRESH "Vary: Foo\nX: none\n");
	assert_int_equal(entry_count(entry), 3);
	assert_string_equal(selected("GET" TARGET "Foo: a\n"), "a");
	assert_string_equal(selected("GET" TARGET "Foo: b\n"), "b");
	assert_string_equal(selected("GET" TARGET), "none");
	assert_string_equal(selected("GET" TARGET "Foo: c\n"), "");
}

static void a_record_replaces_that_of_its_variant(void **state)
{
	(void)state;
	put(0, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: a\n");
	put(0, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: b\n");
	put(1, "GET" TARGET "Foo: a\n", FRESH "Vary: foo\nX: new\n");
	assert_int_equal(entry_count(entry), 2);
	assert_string_equal(selected("GET" TARGET "Foo: a\n"), "new");
	assert_string_equal(selected("GET" TARGET "Foo: b\n"), "b");
}

static void latest_date_wins_then_latest_receipt(void **state)
{
	(void)state;
	put(0, "GET" TARGET "Foo: a\nBar: a\n", FRESH "Vary: Foo\nX: foo\n");
	put(5, "GET" TARGET "Foo: a\nBar: a\n",
	    FRESH "Date: Sun, 06 Nov 1994 08:49:30 GMT\nVary: Foo, Bar\nX: both\n");
	assert_string_equal(selected("GET" TARGET "Foo: a\nBar: a\n"), "foo");
	put(6, "GET" TARGET "Foo: a\nBar: a\n",
	    FRESH "Date: Sun, 06 Nov 1994 08:49:37 GMT\nVary: Bar, Foo\nX: later\n");
	assert_string_equal(selected("GET" TARGET "Foo: a\nBar: a\n"), "later");
}

/* A record made when nobody asked for a field is not for one who may differ in it. */
static void the_most_recent_vary_says_what_selects(void **state)
{
	(void)state;
	put(0, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: foo\n");
	put(1, "GET" TARGET, FRESH "X: plain\n");
	put(2, "GET" TARGET "Foo: b\nBar: b\n", FRESH "Vary: Bar, Foo\nX: both\n");
	assert_string_equal(selected("GET" TARGET "Foo: b\nBar: b\n"), "both");
	assert_string_equal(selected("GET" TARGET "Foo: a\nBar: a\n"), "");
	assert_string_equal(selected("GET" TARGET), "");
	put(3, "GET" TARGET "Foo: c\n", FRESH "Vary: Foo\nX: less\n");
	assert_string_equal(selected("GET" TARGET "Foo: a\nBar: a\n"), "foo");
	assert_string_equal(selected("GET" TARGET "Foo: b\nBar: b\n"), "both");
}

/* RFC 9111 4.1: Vary may have been left out by mistake. */
static void one_that_varies_goes_before_one_that_does_not(void **state)
{
	(void)state;
	put(0, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: foo\n");
	put(5, "GET" TARGET, FRESH "X: plain\n");
	assert_string_equal(selected("GET" TARGET "Foo: a\n"), "foo");
	assert_string_equal(selected("GET" TARGET "Foo: b\n"), "plain");
}

/* Also when it is another one for the variants in between. */
static void each_vary_selects_among_its_own(void **state)
{
	(void)state;
	put(0, "GET" TARGET "Foo: a\nBar: a\n", FRESH "Vary: Foo, Bar\nX: aa\n");
	put(1, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: b\n");
	put(2, "GET" TARGET "Foo: a\nBar: b\n", FRESH "Vary: bar, foo\nX: ab\n");
	put(3, "GET" TARGET "Foo: c\n", FRESH "Vary: Foo\nX: c\n");
	assert_string_equal(selected("GET" TARGET "Bar: a\nFoo: a\n"), "aa");
	assert_string_equal(selected("GET" TARGET "Bar: b\nFoo: a\n"), "ab");
	assert_string_equal(selected("GET" TARGET "Bar: b\nFoo: b\n"), "b");
	assert_string_equal(selected("GET" TARGET "Foo: c\n"), "c");
	assert_string_equal(selected("GET" TARGET "Foo: a\n"), "");
	assert_string_equal(selected("HEAD" TARGET "Foo: b\n"), "b");
}

/* Nor does one of another method among them. */
static void others_of_a_vary_hide_none(void **state)
{
	(void)state;
	put(0, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: a\n");
	put(1, "HEAD" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: head\n");
	put(2, "GET" TARGET "Foo: c\n", FRESH "Vary: Foo\nX: c\n");
	assert_string_equal(selected("GET" TARGET "Foo: a\n"), "a");
	assert_string_equal(selected("GET" TARGET "Foo: b\n"), "");
	assert_string_equal(selected("HEAD" TARGET "Foo: b\n"), "head");
	assert_string_equal(selected("GET" TARGET "Foo: c\n"), "c");
}

/* In whatever order they stand: each Vary is compared once, so none is beyond the bound of them. */
static void records_of_a_vary_need_not_stand_together(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		char req[64];

		snprintf(req, sizeof(req), "GET" TARGET "Foo: %u\n", i);
		put(2 * i, req, FRESH "Vary: Foo\nX: foo\n");
		snprintf(req, sizeof(req), "GET" TARGET "Bar: %u\n", i);
		put(2 * i + 1, req, FRESH "Vary: Bar\nX: bar\n");
	}
	put(20, "GET" TARGET "Baz: 1\n", FRESH "Vary: Baz\nX: baz\n");
	assert_string_equal(selected("GET" TARGET "Baz: 1\n"), "baz");
	entry = slice_of(NULL, 0);
	for (unsigned i = 0; i < 14; i++) {
		char req[64];

		snprintf(req, sizeof(req), "%s" TARGET "Foo: %u\n", i % 2 ? "HEAD" : "GET", i);
		put(i, req, FRESH "Vary: Foo\nX: foo\n");
	}
	assert_string_equal(selected("GET" TARGET "Foo: 12\n"), "foo");
	assert_string_equal(selected("GET" TARGET "Foo: 13\n"), "");
}

static void put_with_vary(int64_t s, const char *name)
{
	char req[64], res[128];

	snprintf(req, sizeof(req), "GET" TARGET "%s: %lld\n", name, (long long)s);
	snprintf(res, sizeof(res), FRESH "Vary: %s\nX: %lld\n", name, (long long)s);
	put(s, req, res);
}

static void varys_are_bounded_and_the_oldest_goes(void **state)
{
	(void)state;
	put_with_vary(1, "A");
	put_with_vary(2, "B");
	put_with_vary(3, "C");
	put_with_vary(4, "D");
	assert_string_equal(selected("GET" TARGET "D: 4\n"), "4");
	put_with_vary(5, "A");
	put(5, "GET" TARGET, FRESH "X: plain\n");
	assert_int_equal(entry_count(entry), 6);
	put_with_vary(6, "E");
	assert_int_equal(entry_count(entry), 6);
	put_with_vary(7, "F");
	put_with_vary(8, "G");
	assert_int_equal(entry_count(entry), 6);
	/* those of A went together, and not the newest, though it was received first */
	put_with_vary(0, "H");
	assert_int_equal(entry_count(entry), 5);
}

#define LANGUAGE(l) "Accept-Language: " l "\n"

static void a_language_is_selected_when_nothing_else_is(void **state)
{
	(void)state;
	put(0, "GET" TARGET LANGUAGE("en, de"),
	    FRESH "Vary: Accept-Language\nContent-Language: de\nX: de\n");
	assert_string_equal(selected("GET" TARGET LANGUAGE("de;q=0.9, fr;q=0.1")), "");
	assert_string_equal(selected_by("GET" TARGET LANGUAGE("de;q=0.9, fr;q=0.1"), true), "de");
	assert_string_equal(selected_by("GET" TARGET LANGUAGE("fr, de"), true), "");
	assert_string_equal(selected_by("GET" TARGET, true), "");
	put(1, "GET" TARGET LANGUAGE("de"), FRESH "Vary: Accept-Language\nX: asked\n");
	put(2, "GET" TARGET LANGUAGE("de, fr"),
	    FRESH "Vary: Accept-Language\nContent-Language: de\nX: newer\n");
	assert_string_equal(selected_by("GET" TARGET LANGUAGE("DE"), true), "asked");
	assert_string_equal(selected_by("GET" TARGET LANGUAGE("de, it;q=0"), true), "newer");
}

/* A record of another method is none for this URI, and no variant either. */
static void what_the_method_cannot_use_is_no_variant(void **state)
{
	struct record_view view;

	(void)state;
	put(0, "HEAD" TARGET, FRESH "X: head\n");
	assert_int_equal(entry_select(entry, uri, request_of(&request, "GET" TARGET), false,
				      &none_absent, &view),
			 ENTRY_NONE);
	put(1, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: a\n");
	assert_int_equal(entry_select(entry, uri, request_of(&request, "GET" TARGET), false,
				      &none_absent, &view),
			 ENTRY_NO_MATCH);
}

static void head_is_served_by_both_get_by_its_own(void **state)
{
	(void)state;
	put(0, "HEAD" TARGET, FRESH "X: head\n");
	assert_string_equal(selected("GET" TARGET), "");
	assert_string_equal(selected("HEAD" TARGET), "head");
	put(1, "GET" TARGET, FRESH "X: get\n");
	assert_int_equal(entry_count(entry), 1);
	assert_string_equal(selected("HEAD" TARGET), "get");
	put(1, "HEAD" TARGET, FRESH "X: head\n");
	assert_int_equal(entry_count(entry), 2);
	assert_string_equal(selected("HEAD" TARGET), "get");
	put(2, "HEAD" TARGET, FRESH "X: newer\n");
	assert_string_equal(selected("HEAD" TARGET), "newer");
	assert_string_equal(selected("GET" TARGET), "get");
}

static void a_get_leaves_the_heads_of_other_variants(void **state)
{
	(void)state;
	put(0, "HEAD" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: a\n");
	put(1, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: b\n");
	assert_string_equal(selected("HEAD" TARGET "Foo: a\n"), "a");
	put(2, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: get\n");
	assert_int_equal(entry_count(entry), 2);
}

/* Where two are of one age, whichever stands first in the entry. */
static void a_get_goes_before_a_head_of_the_same_time(void **state)
{
	static const char *const both[] = {"HEAD" TARGET "Foo: a\nBar: b\n",
					   "GET" TARGET "Foo: a\nBar: b\n"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		entry = slice_of(NULL, 0);
		put(1, both[i],
		    i == 0 ? FRESH "Vary: Foo\nX: head\n" : FRESH "Vary: Foo\nX: get\n");
		put(1, both[!i],
		    i == 0 ? FRESH "Vary: Foo, Bar\nX: get\n" : FRESH "Vary: Foo, Bar\nX: head\n");
		assert_int_equal(entry_count(entry), 2);
		assert_string_equal(selected(both[0]), "get");
	}
}

#define PREFLIGHT "OPTIONS" TARGET "Origin: http://o\nAccess-Control-Request-Method: PUT\n"

static void a_preflight_serves_the_same_preflight(void **state)
{
	(void)state;
	put(0, PREFLIGHT "Access-Control-Request-Headers: b, a\nFoo: 1\n",
	    "204\nAccess-Control-Max-Age: 60\nVary: Foo\nX: p\n");
	assert_string_equal(selected(PREFLIGHT "Access-Control-Request-Headers: A,B\nFoo: 1\n"),
			    "p");
	assert_string_equal(selected(PREFLIGHT "Access-Control-Request-Headers: A,B\nFoo: 2\n"),
			    "");
	assert_string_equal(selected(PREFLIGHT "Foo: 1\n"), "");
	assert_string_equal(selected("GET" TARGET "Foo: 1\n"), "");
	put(0, "GET" TARGET, FRESH "X: get\n");
	assert_string_equal(selected(PREFLIGHT), "");
	assert_string_equal(selected("GET" TARGET), "get");
	put(1, PREFLIGHT, "204\nAccess-Control-Max-Age: 60\nX: other\n");
	assert_int_equal(entry_count(entry), 3);
	assert_string_equal(selected(PREFLIGHT), "other");
}

static void put_variant(int64_t s, unsigned i)
{
	char req[64], res[128];

	snprintf(req, sizeof(req), "GET" TARGET "Foo: %u\n", i);
	snprintf(res, sizeof(res), FRESH "Vary: Foo\nX: %u\n", i);
	put(s, req, res);
}

static void variants_are_bounded_and_the_oldest_goes(void **state)
{
	(void)state;
	/* Received in another order than put. */
	put_variant(100, 100);
	put_variant(200, 101);
	for (unsigned i = 0; i < VARIANTS - 2; i++)
		put_variant(110 + i, i);
	assert_int_equal(entry_count(entry), VARIANTS);
	put_variant(300, 50);
	assert_int_equal(entry_count(entry), VARIANTS);
	assert_string_equal(selected("GET" TARGET "Foo: 100\n"), "");
	assert_string_equal(selected("GET" TARGET "Foo: 101\n"), "101");
	assert_string_equal(selected("GET" TARGET "Foo: 0\n"), "0");
	/* Not even when it was received first does the new one go. */
	put_variant(0, 51);
	assert_int_equal(entry_count(entry), VARIANTS);
	assert_string_equal(selected("GET" TARGET "Foo: 51\n"), "51");
	assert_string_equal(selected("GET" TARGET "Foo: 0\n"), "");
}

static void a_bound_of_one_is_kept(void **state)
{
	struct slice record;

	(void)state;
	put_variant(0, 1);
	put_variant(1, 2);
	record = record_at(2, "GET" TARGET "Foo: 3\n", FRESH "Vary: Foo\nX: 3\n");
	assert_int_not_equal(put_bounded(record, 1, ENTRY_SIZE_MAX), 0);
	assert_int_equal(entry_count(entry), 1);
	assert_string_equal(selected("GET" TARGET "Foo: 3\n"), "3");
}

/* The last one put before, too; of two received together that which was put first. */
static void the_oldest_is_any_but_the_new_one(void **state)
{
	struct slice record;

	(void)state;
	put_variant(100, 1);
	put_variant(50, 2);
	record = record_at(0, "GET" TARGET "Foo: 3\n", FRESH "Vary: Foo\nX: 3\n");
	assert_int_not_equal(put_bounded(record, 2, ENTRY_SIZE_MAX), 0);
	assert_string_equal(selected("GET" TARGET "Foo: 1\n"), "1");
	assert_string_equal(selected("GET" TARGET "Foo: 2\n"), "");
	put_variant(100, 4);
	record = record_at(200, "GET" TARGET "Foo: 5\n", FRESH "Vary: Foo\nX: 5\n");
	assert_int_not_equal(put_bounded(record, 3, ENTRY_SIZE_MAX), 0);
	assert_string_equal(selected("GET" TARGET "Foo: 3\n"), "");
	assert_int_not_equal(put_bounded(record, 2, ENTRY_SIZE_MAX), 0);
	assert_string_equal(selected("GET" TARGET "Foo: 1\n"), "");
	assert_string_equal(selected("GET" TARGET "Foo: 4\n"), "4");
}

/* Wherever it stands among many. */
static void the_oldest_is_found_at_any_place(void **state)
{
	(void)state;
	for (unsigned oldest = 0; oldest < 5; oldest++) {
		char gone[64];

		entry = slice_of(NULL, 0);
		for (unsigned i = 0; i < 5; i++)
			put_variant(i == oldest ? 1 : 100 + (i * 3) % 5, i);
		assert_int_not_equal(put_bounded(record_at(300, "GET" TARGET "Foo: 9\n",
							   FRESH "Vary: Foo\nX: 9\n"),
						 5, ENTRY_SIZE_MAX),
				     0);
		assert_int_equal(entry_count(entry), 5);
		snprintf(gone, sizeof(gone), "GET" TARGET "Foo: %u\n", oldest);
		assert_string_equal(selected(gone), "");
	}
}

/* Whatever the options say, an entry has no more than can be read. */
static void there_are_never_more_than_64(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 70; i++) {
		char req[64];

		snprintf(req, sizeof(req), "GET" TARGET "Foo: %u\n", i);
		assert_int_not_equal(put_bounded(record_at(i, req, FRESH "Vary: Foo\nX: 1\n"), 1000,
						 ENTRY_SIZE_MAX),
				     0);
		assert_int_equal(entry_count(entry), i < 64 ? i + 1 : 64);
	}
	assert_string_equal(selected("GET" TARGET "Foo: 5\n"), "");
	assert_string_equal(selected("GET" TARGET "Foo: 6\n"), "1");
}

static void records_make_way_for_room(void **state)
{
	struct slice record = record_at(3, "GET" TARGET "Foo: 3\n", FRESH "Vary: Foo\nX: 3\n");
	size_t n;

	(void)state;
	put_variant(1, 1);
	put_variant(2, 2);
	n = entry.n;
	assert_int_equal(put_bounded(record, VARIANTS, n), n);
	assert_int_equal(entry_count(entry), 2);
	assert_string_equal(selected("GET" TARGET "Foo: 1\n"), "");
	assert_string_equal(selected("GET" TARGET "Foo: 2\n"), "2");
	assert_int_equal(put_bounded(record, VARIANTS, 40 + record.n), 40 + record.n);
	assert_int_equal(entry_count(entry), 1);
	assert_int_equal(put_bounded(record, VARIANTS, 39 + record.n), 0);
}

static void an_entry_is_never_larger_than_its_bound(void **state)
{
	static char res[18 << 10];

	(void)state;
	strcpy(res, FRESH "Vary: Foo\nX: ");
	memset(res + strlen(res), 'x', 17 << 10);
	strcat(res, "\n");
	for (unsigned i = 0; i < 80; i++) {
		char req[64];

		snprintf(req, sizeof(req), "GET" TARGET "Foo: %u\n", i);
		assert_int_not_equal(put_bounded(record_at(i, req, res), 64, 2 * ENTRY_SIZE_MAX),
				     0);
		assert_true(entry.n <= ENTRY_SIZE_MAX);
	}
	assert_true(entry.n > ENTRY_SIZE_MAX - RECORD_ROOM);
	assert_in_range(entry_count(entry), 50, 63);
}

static unsigned looks; /* at marks */

/* One mark in force: of this key, as of epoch 10. */
static uint64_t epoch_of_marked(const void *context, const struct cache_key *key)
{
	looks++;
	return cache_key_eq(context, key) ? 10 : 0;
}

static bool is_absent(const struct record_view *view, const struct cache_key *marked)
{
	return record_is_absent(
		view, &(struct record_cutoff){.epoch_of = epoch_of_marked, .context = marked});
}

static struct record_view variant_asked_at(uint64_t epoch, const char *req, const char *res)
{
	struct record_view view;

	asked_at = epoch;
	assert_true(record_view(record_at(1, req, res), uri, &view));
	asked_at = 0;
	return view;
}

/* Another record of the variant, or the kind, has the same key, or another. */
static void a_variant_is_marked_by_its_key(void **state)
{
	struct cache_key entry_key = {{0, 0}}, other_entry = {{0, 1}};
	struct record_view view = variant_asked_at(9, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\n");
	struct cache_key marked = record_variant_key(&view, &entry_key);

	(void)state;
	assert_true(is_absent(&view, &marked));
	marked = record_variant_key(&view, &other_entry);
	assert_false(is_absent(&view, &marked));
	marked = record_variant_key(&view, &(struct cache_key){{1, 0}});
	assert_false(is_absent(&view, &marked));
	marked = record_variant_key(&view, &entry_key);
	view = variant_asked_at(10, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\nX: 1\n");
	assert_false(is_absent(&view, &marked));
	view = variant_asked_at(9, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\nX: 1\n");
	assert_true(is_absent(&view, &marked));
	view = variant_asked_at(9, "GET" TARGET "Foo: 2\n", FRESH "Vary: Foo\n");
	assert_false(is_absent(&view, &marked));
	view = variant_asked_at(9, "HEAD" TARGET "Foo: 1\n", FRESH "Vary: Foo\n");
	assert_false(is_absent(&view, &marked));
}

static void a_group_is_marked_by_its_key(void **state)
{
	struct record_view view =
		variant_asked_at(9, "GET" TARGET, FRESH "Cache-Groups: \"a\", \"b\"\n");
	struct cache_key marked = cache_key_of_group(SLICE("http://example.com"), SLICE("b"));

	(void)state;
	assert_int_equal(view.group_count, 2 + 1); /* and that of all */
	assert_true(is_absent(&view, &marked));
	view = variant_asked_at(10, "GET" TARGET, FRESH "Cache-Groups: \"a\", \"b\"\n");
	assert_false(is_absent(&view, &marked));
	view = variant_asked_at(9, "GET" TARGET, FRESH "Cache-Groups: \"a\", \"c\"\n");
	assert_false(is_absent(&view, &marked));
}

static void a_uri_is_marked_for_all_its_records(void **state)
{
	struct record_cutoff cutoff = {.epoch_of = epoch_of_marked, .asked_before = 10};
	struct cache_key none = {{7, 7}};
	struct record_view view = variant_asked_at(9, "GET" TARGET, FRESH);

	(void)state;
	cutoff.context = &none;
	assert_true(record_is_absent(&view, &cutoff));
	view = variant_asked_at(10, "GET" TARGET, FRESH);
	assert_false(record_is_absent(&view, &cutoff));
	/* the same where there are several */
	asked_at = 9;
	put(0, "GET" TARGET "Foo: 9\n", FRESH "Vary: Foo\nX: 9\n");
	asked_at = 10;
	put(1, "GET" TARGET "Foo: 10\n", FRESH "Vary: Foo\nX: 10\n");
	asked_at = 0;
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 9\n"), "");
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 10\n"), "10");
}

/* What is invalidated neither answers nor says what selects; what else there is, does. */
static void an_invalidated_record_has_no_say(void **state)
{
	struct record_view view = variant_asked_at(9, "GET" TARGET, FRESH "Cache-Groups: \"a\"\n");
	struct cache_key marked = view.groups[0];
	struct record_cutoff cutoff = {.epoch_of = epoch_of_marked, .context = &marked};

	(void)state;
	asked_at = 9;
	put(0, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\nX: old\n");
	put(1, "GET" TARGET "Foo: 1\nBar: 1\n",
	    FRESH "Vary: Foo, Bar\nCache-Groups: \"a\"\nX: new\n");
	asked_at = 0;
	assert_string_equal(selected("GET" TARGET "Foo: 1\nBar: 1\n"), "new");
	assert_string_equal(selected("GET" TARGET "Foo: 1\nBar: 2\n"), "");
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 1\nBar: 1\n"), "old");
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 1\nBar: 2\n"), "old");
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 2\nBar: 1\n"), "");
}

/* A record may be in many groups: a lookup looks for their marks once. */
static void marks_are_looked_for_once(void **state)
{
	const struct cache_key none = {{7, 7}};
	struct record_cutoff cutoff = {.epoch_of = epoch_of_marked, .context = &none};
	struct record_view view;

	(void)state;
	put(0, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\nCache-Groups: \"a\", \"b\"\nX: 1\n");
	looks = 0;
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 1\n"), "1");
	assert_true(entry_at(entry, 0, &(struct slice){0}, &view));
	assert_int_equal(view.group_count, 3);
	assert_int_equal(looks, 3 + 1); /* and that of the variant */
	/* of the one with the latest Vary, too, when that is the one that answers */
	put(1, "GET" TARGET "Foo: 2\n", FRESH "Vary: Foo\nCache-Groups: \"c\"\nX: 2\n");
	looks = 0;
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 2\n"), "2");
	assert_int_equal(looks, 2 + 1);
	looks = 0;
	assert_string_equal(selected_within(&cutoff, "GET" TARGET "Foo: 1\n"), "1");
	assert_int_equal(looks, 2 + 1 + 3 + 1);
}

/* An update of a record is written only where that record still is (RFC 9111 4.3.4). */
static void a_variant_is_there_or_not(void **state)
{
	struct record_cutoff purged = {.purged_ms = ms_after(1)};
	struct record_view same = variant_asked_at(9, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\n");
	struct record_view later =
		variant_asked_at(10, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\n");
	struct record_view other =
		variant_asked_at(9, "GET" TARGET "Foo: 2\n", FRESH "Vary: Foo\n");
	struct record_view head =
		variant_asked_at(9, "HEAD" TARGET "Foo: 1\n", FRESH "Vary: Foo\n");

	(void)state;
	assert_false(entry_has_variant(entry, uri, &same, &none_absent));
	asked_at = 9;
	half ^= 1;
	entry = slice_of(halves[half],
			 entry_put(entry, uri, same.bytes, VARIANTS, halves[half], ENTRY_SIZE_MAX));
	asked_at = 0;
	assert_true(entry_has_variant(entry, uri, &same, &none_absent));
	assert_false(entry_has_variant(entry, uri, &later, &none_absent));
	assert_false(entry_has_variant(entry, uri, &other, &none_absent));
	assert_false(entry_has_variant(entry, uri, &head, &none_absent));
	assert_false(entry_has_variant(entry, uri, &same, &purged));
	assert_false(entry_has_variant(entry, SLICE("http://example.com/b"), &same, &none_absent));
	assert_true(entry_has_present(entry, &none_absent));
	assert_false(entry_has_present(entry, &purged));
	put(2, "GET" TARGET "Foo: 2\n", FRESH "Vary: Foo\n");
	assert_true(entry_has_present(entry, &purged));
	assert_false(entry_has_present(slice_of(NULL, 0), &none_absent));
}

static bool count_visits(void *context, const struct record_view *view)
{
	unsigned *left = context;

	assert_true(view->bytes.n > 0);
	return --*left > 0;
}

static void a_visit_ends_when_it_is_told_to(void **state)
{
	unsigned left = 2;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		put_variant(i, i);
	entry_visit(entry, count_visits, &left);
	assert_int_equal(left, 0);
	left = 9;
	entry_visit(entry, count_visits, &left);
	assert_int_equal(left, 6);
	entry_visit(slice_of(NULL, 0), count_visits, &left);
	assert_int_equal(left, 6);
}

static bool is_among(const struct cache_key *keys, size_t count, struct cache_key key)
{
	for (size_t i = 0; i < count; i++)
		if (cache_key_eq(&keys[i], &key))
			return true;
	return false;
}

/* Those of all records, each once, and that of the whole origin. */
static void groups_of_all_records(void **state)
{
	struct slice origin = SLICE("http://example.com");
	struct cache_key keys[GROUPS_MAX];

	(void)state;
	assert_int_equal(entry_groups(entry, keys), 0);
	put(0, "GET" TARGET "Foo: 1\n", FRESH "Vary: Foo\n");
	assert_int_equal(entry_groups(entry, keys), 0);
	put(1, "GET" TARGET "Foo: 2\n", FRESH "Vary: Foo\nCache-Groups: \"a\", \"b\"\n");
	put(2, "GET" TARGET "Foo: 3\n", FRESH "Vary: Foo\nCache-Groups: \"c\", \"a\"\n");
	assert_int_equal(entry_groups(entry, keys), 4);
	assert_true(is_among(keys, 4, cache_key_of_group(origin, SLICE("a"))));
	assert_true(is_among(keys, 4, cache_key_of_group(origin, SLICE("b"))));
	assert_true(is_among(keys, 4, cache_key_of_group(origin, SLICE("c"))));
	assert_true(is_among(keys, 4, cache_key_of_group(origin, SLICE("\n"))));
	for (size_t i = 1; i < 4; i++)
		assert_true(keys[i - 1].word[0] < keys[i].word[0]);
}

static void where_all_are_invalidated_nothing_is(void **state)
{
	struct record_view view = variant_asked_at(9, "GET" TARGET, FRESH "Cache-Groups: \"a\"\n");
	struct cache_key marked = view.groups[0];
	struct record_cutoff cutoff = {.epoch_of = epoch_of_marked, .context = &marked};

	(void)state;
	asked_at = 9;
	for (unsigned i = 0; i < 3; i++) {
		static const char *const asked[] = {
			"GET" TARGET "Foo: 0\n", "GET" TARGET "Foo: 1\n", "GET" TARGET "Foo: 2\n"};

		put(i, asked[i], FRESH "Vary: Foo\nCache-Groups: \"a\"\n");
		assert_int_equal(entry_select(entry, uri, request_of(&request, asked[i]), false,
					      &cutoff, &view),
				 ENTRY_NONE);
	}
	asked_at = 0;
}

static void the_entry_of_another_uri_is_replaced(void **state)
{
	struct slice record = record_at(0, "GET" TARGET, FRESH "X: 1\n");
	size_t n;

	(void)state;
	put_variant(0, 1);
	memcpy(strstr(halves[half] + 16, "/a"), "/b", 2);
	half ^= 1;
	n = entry_put(entry, uri, record, VARIANTS, halves[half], ENTRY_SIZE_MAX);
	entry = slice_of(halves[half], n);
	assert_int_equal(entry_count(entry), 1);
	assert_string_equal(selected("GET" TARGET), "1");
}

static void a_damaged_record_is_not_put(void **state)
{
	struct slice record = record_at(0, "GET" TARGET, FRESH);

	(void)state;
	((char *)(uintptr_t)record.p)[record.n / 2] ^= 1;
	assert_int_equal(put_bounded(record, VARIANTS, ENTRY_SIZE_MAX), 0);
	assert_int_equal(put_bounded(slice_of(NULL, 0), VARIANTS, ENTRY_SIZE_MAX), 0);
}

static void assert_within(struct slice part, struct slice whole)
{
	assert_true(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

/* Every record of `seen` is one of those of the entry that was written. */
static void assert_records_are_ours(struct slice seen, struct slice original)
{
	struct record_view view, ours;
	struct slice of;

	for (unsigned i = 0; i < entry_count(seen); i++) {
		bool known = false;

		if (!entry_at(seen, i, &of, &view))
			continue;
		assert_within(view.bytes, seen);
		assert_within(view.etag, view.head_304);
		assert_within(view.last_modified, view.head_rest);
		assert_within(view.vary, view.bytes);
		assert_within(view.head_rest, view.bytes);
		for (unsigned j = 0; entry_at(original, j, &of, &ours); j++)
			known |= slice_eq(view.bytes, ours.bytes);
		assert_true(known);
	}
}

/* All that can be asked of an entry that may be damaged; it stands in memory of just its size. */
static void examine(struct slice damaged, struct slice original, struct slice record)
{
	static _Alignas(8) char again[4096], fresh[4096];
	struct slice ours =
		slice_of(fresh, entry_put(original, uri, record, VARIANTS, fresh, sizeof(fresh)));
	struct record_view view, expected;
	size_t n;

	if (entry_select(damaged, uri, &request.req, false, &none_absent, &view) ==
	    ENTRY_SELECTED) {
		assert_within(view.bytes, damaged);
		assert_int_equal(
			entry_select(original, uri, &request.req, false, &none_absent, &expected),
			ENTRY_SELECTED);
		/* Damage may hide a record or its rank, but never make another of it. */
		assert_records_are_ours(damaged, original);
	}
	assert_records_are_ours(damaged, original);
	n = entry_put(damaged, uri, record, VARIANTS, again, sizeof(again));
	assert_int_not_equal(n, 0);
	assert_records_are_ours(slice_of(again, n), ours);
	assert_true(
		entry_at(slice_of(again, n), entry_count(slice_of(again, n)) - 1, &ours, &view));
	assert_true(slice_eq(view.bytes, record));
	n = entry_tidy(damaged, &none_absent, again, sizeof(again));
	assert_records_are_ours(slice_of(again, n), original);
}

static struct slice three_variants(void)
{
	put(0, "GET" TARGET "Foo: a\n",
	    FRESH "Vary: Foo\nETag: \"e\"\nLast-Modified: Sun, 06 Nov 1994 08:00:00 GMT\n");
	put(1, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: b\n");
	put(2, "HEAD" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: h\n");
	return record_at(3, "GET" TARGET "Foo: c\n", FRESH "Vary: Foo\nX: c\n");
}

static void any_changed_byte_is_found_or_harmless(void **state)
{
	struct slice record = three_variants();
	char *exact = test_malloc(entry.n);

	(void)state;
	request_of(&request, "GET" TARGET "Foo: a\n");
	for (size_t i = 0; i < entry.n; i++) {
		for (int bit = 0; bit < 10; bit++) {
			memcpy(exact, entry.p, entry.n);
			exact[i] = bit < 8 ? (char)(exact[i] ^ (1 << bit)) : (char)(8 - bit);
			examine(slice_of(exact, entry.n), entry, record);
		}
	}
	test_free(exact);
}

static void a_cut_entry_is_damaged(void **state)
{
	struct slice record = three_variants();
	struct record_view view;

	(void)state;
	request_of(&request, "GET" TARGET "Foo: a\n");
	for (size_t n = 0; n < entry.n; n++) {
		char *exact = test_malloc(n + 1);

		memcpy(exact, entry.p, n);
		assert_int_equal(entry_select(slice_of(exact, n), uri, &request.req, false,
					      &none_absent, &view),
				 ENTRY_DAMAGED);
		assert_int_equal(entry_count(slice_of(exact, n)), 0);
		examine(slice_of(exact, n), entry, record);
		test_free(exact);
	}
}

static void an_entry_out_of_line_is_damaged(void **state)
{
	struct record_view view;

	(void)state;
	put(0, "GET" TARGET, FRESH);
	memmove(halves[half] + 4, halves[half], entry.n);
	request_of(&request, "GET" TARGET);
	assert_int_equal(entry_select(slice_of(halves[half] + 4, entry.n), uri, &request.req, false,
				      &none_absent, &view),
			 ENTRY_DAMAGED);
}

/* Bytes behind the records that it counts, or records that are not there. */
static void an_entry_that_counts_wrongly_is_damaged(void **state)
{
	struct entry_header *header;
	struct record_view view;

	(void)state;
	for (unsigned records = 1; records <= 2; records++) {
		put_variant(records, records);
		header = (void *)halves[half];
		request_of(&request, "GET" TARGET "Foo: 1\n");
		header->count++;
		assert_int_equal(entry_select(entry, uri, &request.req, false, &none_absent, &view),
				 ENTRY_DAMAGED);
		header->count -= 2;
		assert_int_equal(entry_select(entry, uri, &request.req, false, &none_absent, &view),
				 ENTRY_DAMAGED);
		header->count++;
		memset(halves[half] + entry.n, 0, RECORD_ALIGN);
		header->length += RECORD_ALIGN;
		assert_int_equal(entry_select(slice_of(entry.p, entry.n + RECORD_ALIGN), uri,
					      &request.req, false, &none_absent, &view),
				 ENTRY_DAMAGED);
		header->length -= RECORD_ALIGN;
		assert_int_equal(entry_select(entry, uri, &request.req, false, &none_absent, &view),
				 ENTRY_SELECTED);
	}
}

static void damage_to_the_record_selected_is_reported(void **state)
{
	struct record_view view;
	char *x;

	(void)state;
	put(0, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: first\n");
	put(0, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: second\n");
	x = memmem(halves[half], entry.n, "first", 5);
	assert_non_null(x);
	*x = 'F';
	assert_int_equal(entry_select(entry, uri, request_of(&request, "GET" TARGET "Foo: a\n"),
				      false, &none_absent, &view),
			 ENTRY_DAMAGED);
	assert_string_equal(selected("GET" TARGET "Foo: b\n"), "second");
	half ^= 1;
	entry = slice_of(halves[half],
			 entry_tidy(entry, &none_absent, halves[half], ENTRY_SIZE_MAX));
	assert_int_equal(entry_count(entry), 1);
	assert_string_equal(selected("GET" TARGET "Foo: a\n"), "");
	assert_string_equal(selected("GET" TARGET "Foo: b\n"), "second");
}

static bool has_absent(int64_t purged_ms)
{
	return entry_is_untidy(entry, &(struct record_cutoff){.purged_ms = purged_ms});
}

static void purged_records_count_as_absent(void **state)
{
	(void)state;
	put(1, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: first\n");
	put(2, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: second\n");
	assert_string_equal(selected_after(0, "GET" TARGET "Foo: a\n"), "first");
	assert_string_equal(selected_after(1, "GET" TARGET "Foo: a\n"), "");
	assert_string_equal(selected_after(1, "GET" TARGET "Foo: b\n"), "second");
	assert_string_equal(selected_after(2, "GET" TARGET "Foo: b\n"), "");
	assert_true(has_absent(ms_after(1)));
	assert_false(has_absent(ms_after(1) - 1));
}

/* RFC 9111 4.1 has the most recent Vary decide: not when it is that of a purged record. */
static void a_purged_vary_selects_nothing(void **state)
{
	(void)state;
	put(1, "GET" TARGET "Foo: a\n",
	    FRESH "Date: Sun, 06 Nov 2044 08:49:37 GMT\nVary: Foo\nX: old\n");
	put(2, "GET" TARGET "Bar: a\n", FRESH "Vary: Bar\nX: new\n");
	assert_string_equal(selected_after(0, "GET" TARGET "Bar: a\n"), "");
	assert_string_equal(selected_after(1, "GET" TARGET "Bar: a\n"), "new");
}

static void drop_until(int64_t s)
{
	half ^= 1;
	entry = slice_of(halves[half],
			 entry_tidy(entry, &(struct record_cutoff){.purged_ms = ms_after(s)},
				    halves[half], ENTRY_SIZE_MAX));
}

static void purged_records_are_dropped_and_others_stay(void **state)
{
	struct slice before;

	(void)state;
	put(1, "GET" TARGET "Foo: a\n", FRESH "Vary: Foo\nX: first\n");
	put(2, "GET" TARGET "Foo: b\n", FRESH "Vary: Foo\nX: second\n");
	put(3, "GET" TARGET "Foo: c\n", FRESH "Vary: Foo\nX: third\n");
	before = entry;
	drop_until(0);
	assert_true(slice_eq(entry, before));
	drop_until(2);
	assert_int_equal(entry_count(entry), 1);
	assert_string_equal(selected("GET" TARGET "Foo: c\n"), "third");
	drop_until(3);
	assert_int_equal(entry.n, 0);
}

/* A soft purge keeps the record, to be validated. */
static void what_is_purged_softly_stays_and_is_marked(void **state)
{
	const struct cache_key none = {{7, 7}};
	struct record_cutoff cutoff = {.epoch_of = epoch_of_marked,
				       .context = &none,
				       .stale_before = 1,
				       .stale_ms = ms_after(10)};
	struct record_view view;
	struct slice of;

	(void)state;
	put(0, "GET" TARGET, FRESH "X: 1\n");
	assert_true(entry_is_untidy(entry, &cutoff));
	half ^= 1;
	entry = slice_of(halves[half], entry_tidy(entry, &cutoff, halves[half], ENTRY_SIZE_MAX));
	assert_true(entry_at(entry, 0, &of, &view));
	assert_int_equal(view.meta->flags & META_PURGED, META_PURGED);
	assert_int_equal(view.meta->lifetime_s, 10);
	assert_false(entry_is_untidy(entry, &cutoff));
}

static void a_damaged_entry_is_to_be_purged(void **state)
{
	(void)state;
	put(1, "GET" TARGET, FRESH);
	assert_false(has_absent(0));
	halves[half][0] ^= 1;
	assert_true(has_absent(0));
	drop_until(0);
	assert_int_equal(entry.n, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, empty_entry)
	const struct CMUnitTest tests[] = {
		TEST(one_record_is_selected),
		TEST(variants_are_selected_by_their_fields),
		TEST(a_record_replaces_that_of_its_variant),
		TEST(latest_date_wins_then_latest_receipt),
		TEST(the_most_recent_vary_says_what_selects),
		TEST(one_that_varies_goes_before_one_that_does_not),
		TEST(each_vary_selects_among_its_own),
		TEST(others_of_a_vary_hide_none),
		TEST(records_of_a_vary_need_not_stand_together),
		TEST(varys_are_bounded_and_the_oldest_goes),
		TEST(a_language_is_selected_when_nothing_else_is),
		TEST(what_the_method_cannot_use_is_no_variant),
		TEST(head_is_served_by_both_get_by_its_own),
		TEST(a_get_leaves_the_heads_of_other_variants),
		TEST(a_get_goes_before_a_head_of_the_same_time),
		TEST(a_preflight_serves_the_same_preflight),
		TEST(variants_are_bounded_and_the_oldest_goes),
		TEST(a_bound_of_one_is_kept),
		TEST(the_oldest_is_any_but_the_new_one),
		TEST(the_oldest_is_found_at_any_place),
		TEST(there_are_never_more_than_64),
		TEST(records_make_way_for_room),
		TEST(an_entry_is_never_larger_than_its_bound),
		TEST(a_variant_is_marked_by_its_key),
		TEST(a_group_is_marked_by_its_key),
		TEST(a_uri_is_marked_for_all_its_records),
		TEST(an_invalidated_record_has_no_say),
		TEST(marks_are_looked_for_once),
		TEST(a_variant_is_there_or_not),
		TEST(a_visit_ends_when_it_is_told_to),
		TEST(groups_of_all_records),
		TEST(where_all_are_invalidated_nothing_is),
		TEST(the_entry_of_another_uri_is_replaced),
		TEST(a_damaged_record_is_not_put),
		TEST(any_changed_byte_is_found_or_harmless),
		TEST(a_cut_entry_is_damaged),
		TEST(an_entry_out_of_line_is_damaged),
		TEST(an_entry_that_counts_wrongly_is_damaged),
		TEST(damage_to_the_record_selected_is_reported),
		TEST(purged_records_count_as_absent),
		TEST(a_purged_vary_selects_nothing),
		TEST(purged_records_are_dropped_and_others_stay),
		TEST(what_is_purged_softly_stays_and_is_marked),
		TEST(a_damaged_entry_is_to_be_purged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
