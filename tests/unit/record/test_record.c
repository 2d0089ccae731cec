/* LINKS: cache/record */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/http/date.h"
#include "cache/http/fields.h"
#include "cache/record/record.h"
#include "cache/record/vary.h"
#include "tests/support/messages.h"

#define GET "GET http://example.com/a\n"
#define NOW_DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\n"
#define FRESH "204\n" NOW_DATE "Cache-Control: max-age=60\n"

enum { NOW_S = 784111777, ROOM = 64 << 10 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

static const struct slice uri = {"http://example.com/a", 20};
static const struct conf conf = {.record_size = 16 << 10, .variants = 16, .store_set_cookie = true};

static _Alignas(8) char memory[ROOM];
static _Alignas(8) char memory_freshened[ROOM];
static struct message request, response;

static struct exchange_times times_at(int64_t s)
{
	return (struct exchange_times){s * 1000, {.wall_s = s, .steady_ms = s * 1000}, 0, 0, 0};
}

/* Write the record of an exchange that the policy must allow. */
static size_t write_sized(const char *req, const char *res, char *to, size_t size)
{
	struct exchange_times times = times_at(NOW_S);
	struct record_meta meta;
	enum reason why;

	request_of(&request, req);
	response_of(&response, res);
	assert_true(policy_may_store(&request.req, &response.res, &times, &conf, &meta, &why));
	return record_write(&request.req, &response.res, &meta, uri, to, size);
}

static struct record_view written(const char *req, const char *res)
{
	struct record_view view;
	size_t n = write_sized(req, res, memory, sizeof(memory));

	assert_int_not_equal(n, 0);
	assert_true(record_view(slice_of(memory, n), uri, &view));
	return view;
}

static void assert_slice(struct slice s, const char *expected)
{
	assert_int_equal(s.n, strlen(expected));
	assert_memory_equal(s.p, expected, s.n);
}

/* The stored head, 304's lines and the others with a bar between. */
static void assert_heads(struct record_view view, const char *head_304, const char *head_rest)
{
	assert_slice(view.head_304, head_304);
	assert_slice(view.head_rest, head_rest);
	assert_ptr_equal(view.head_304.p + view.head_304.n, view.head_rest.p);
}

static void fields_are_kept_as_sent(void **state)
{
	struct record_view view =
		written(GET, FRESH "X-One: 1\n"
				   "ETag: \"e\"\n"
				   "x-two:  a , b\n"
				   "Vary: Foo\n"
				   "X-One: 2\n"
				   "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\n"
				   "X-Empty:\n");

	(void)state;
	assert_heads(view,
		     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		     "Cache-Control: max-age=60\r\n"
		     "ETag: \"e\"\r\n"
		     "Vary: Foo\r\n",
		     "X-One: 1\r\n"
		     "x-two: a , b\r\n"
		     "X-One: 2\r\n"
		     "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n"
		     "X-Empty: \r\n");
	assert_slice(view.etag, "\"e\"");
	assert_slice(view.last_modified, "Sun, 06 Nov 1994 08:00:00 GMT");
	assert_true(view.vary.n > 0);
	assert_int_equal(view.meta->lifetime_s, 60);
	assert_int_equal(view.meta->date_s, NOW_S);
	assert_int_equal(view.meta->kind, RECORD_GET);
	assert_int_equal(view.bytes.n % RECORD_ALIGN, 0);
}

static void some_fields_are_not_stored(void **state)
{
	struct record_view view =
		written(GET, "204\n" NOW_DATE "Cache-Control: max-age=60, private=\"x-mine, X-B\"\n"
			     "Connection: close, X-Hop\n"
			     "X-Hop: 1\n"
			     "Keep-Alive: 5\n"
			     "Age: 3\n"
			     "Content-Length: 0\n"
			     "Proxy-Authenticate: Basic\n"
			     "X-Mine: 1\n"
			     "x-b: 2\n"
			     "X-Rest: 3\n");

	(void)state;
	assert_heads(view,
		     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		     "Cache-Control: max-age=60, private=\"x-mine, X-B\"\r\n",
		     "X-Rest: 3\r\n");
	assert_int_equal(view.meta->initial_age_s, 3);
}

static void date_is_that_of_receipt_when_there_is_none(void **state)
{
	const char *rest[] = {"", "Date: yesterday\n", "Date:\n",
			      "Date: Sun, 06 Nov 1994 08:00:00 GMT\n"
			      "Date: Sun, 06 Nov 1994 09:00:00 GMT\n"};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rest) / sizeof(*rest); i++) {
		snprintf(text, sizeof(text), "204\nCache-Control: max-age=60\n%s", rest[i]);
		assert_heads(written(GET, text),
			     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
			     "Cache-Control: max-age=60\r\n",
			     "");
	}
}

static void a_valid_date_is_never_changed(void **state)
{
	(void)state;
	assert_slice(written(GET, "204\nCache-Control: max-age=60\n"
				  "date: Sunday, 06-Nov-94 08:49:07 GMT\n")
			     .head_304,
		     "Cache-Control: max-age=60\r\n"
		     "date: Sunday, 06-Nov-94 08:49:07 GMT\r\n");
}

static void validators_that_cannot_be_used_are_not_shown(void **state)
{
	struct record_view view = written(GET, FRESH "ETag: none\nLast-Modified: today\n");

	(void)state;
	assert_int_equal(view.etag.n, 0);
	assert_int_equal(view.last_modified.n, 0);
	view = written(GET, FRESH "ETag: \"a\"\nETag: \"b\"\n");
	assert_int_equal(view.etag.n, 0);
	assert_slice(view.head_304, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				    "Cache-Control: max-age=60\r\n"
				    "ETag: \"a\"\r\n"
				    "ETag: \"b\"\r\n");
}

static void head_comes_back_as_a_response(void **state)
{
	struct record_view view = written(GET, FRESH "X-One: a: b\nETag: \"e\"\nX-Two:\n");
	struct http_field lines[8];
	struct http_response res = {.fields = {.at = lines, .capacity = 8}};

	(void)state;
	assert_true(record_to_response(&view, &res));
	assert_int_equal(res.status, 204);
	assert_int_equal(res.fields.count, 5);
	assert_slice(value_of(&res, "X-One"), "a: b");
	assert_slice(value_of(&res, "X-Two"), "");
	assert_slice(value_of(&res, "etag"), "\"e\"");
	res.fields.capacity = 4;
	assert_false(record_to_response(&view, &res));
}

static void groups_are_noticed(void **state)
{
	struct record_view view =
		written(GET, FRESH "Cache-Groups: \"a\", \"b\"\nCache-Groups: \"a\"\n");

	(void)state;
	assert_int_equal(view.group_count, 2 + 1); /* and that of all */
	assert_false(cache_key_eq(&view.groups[0], &view.groups[1]));
	view = written(GET, FRESH);
	assert_int_equal(view.group_count, 0);
}

static void room_is_exact(void **state)
{
	const char *res = FRESH "X: 1\nVary: Accept\n";
	size_t n = write_sized(GET "Accept: a\n", res, memory, sizeof(memory));

	(void)state;
	assert_int_not_equal(n, 0);
	for (size_t size = 0; size < n; size++) {
		char *exact = test_malloc(size + 1);

		assert_int_equal(write_sized(GET "Accept: a\n", res, exact, size), 0);
		test_free(exact);
	}
	assert_int_equal(write_sized(GET "Accept: a\n", res, memory_freshened, n), n);
	assert_memory_equal(memory, memory_freshened, n);
}

/* The parser lets none of these pass; the record would be an answer of two lines. */
static void lines_that_would_break_are_refused(void **state)
{
	static const char bytes[] = {'\r', '\n', '\0'};
	struct exchange_times times = times_at(NOW_S);
	struct record_meta meta;
	enum reason why;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		char value[] = "a?b";

		value[1] = bytes[i];
		request_of(&request, GET);
		response_of(&response, FRESH "X: y\n");
		assert_true(
			policy_may_store(&request.req, &response.res, &times, &conf, &meta, &why));
		response.res.fields.at[2].value = slice_of(value, 3);
		assert_int_equal(record_write(&request.req, &response.res, &meta, uri, memory,
					      sizeof(memory)),
				 0);
		response.res.fields.at[2].value = SLICE("y");
		response.res.fields.at[2].name = slice_of(value, 3);
		assert_int_equal(record_write(&request.req, &response.res, &meta, uri, memory,
					      sizeof(memory)),
				 0);
	}
}

static void a_record_is_of_its_uri_only(void **state)
{
	struct record_view view = written(GET, FRESH);

	(void)state;
	assert_false(record_view(view.bytes, SLICE("http://example.com/b"), &view));
	assert_false(record_view(view.bytes, SLICE(""), &view));
}

static void any_changed_byte_is_found(void **state)
{
	struct record_view view, seen;
	struct slice bytes;

	(void)state;
	view = written(GET "Foo: a\n", FRESH "ETag: \"e\"\nX: 1\nVary: Foo\n");
	bytes = view.bytes;
	for (size_t i = 0; i < bytes.n; i++) {
		for (int change = 1; change < 256; change++) {
			memory[i] = (char)(memory[i] ^ change);
			assert_false(record_view(bytes, uri, &seen));
			memory[i] = (char)(memory[i] ^ change);
		}
	}
	assert_true(record_view(bytes, uri, &seen));
}

static void a_cut_or_longer_record_is_refused(void **state)
{
	struct record_view view = written(GET, FRESH "X: 1\n"), seen;
	size_t n = view.bytes.n;

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		char *exact = test_malloc(cut + 1);

		memcpy(exact, memory, cut);
		assert_false(record_view(slice_of(exact, cut), uri, &seen));
		test_free(exact);
	}
	assert_false(record_view(slice_of(memory, n + 1), uri, &seen));
	assert_false(record_view(slice_of(memory, n + 8), uri, &seen));
	memmove(memory + 1, memory, n);
	assert_false(record_view(slice_of(memory + 1, n), uri, &seen));
}

static bool says_language(const struct record_view *view, const char *language)
{
	struct slice value;

	return record_language(view, &value) && slice_eq(value, slice_str(language));
}

static void one_language_is_noticed(void **state)
{
	struct record_view view = written(GET, FRESH "Content-Language: de\nX: 1\n");
	struct record_header *header = (void *)memory;
	struct slice ignored;

	(void)state;
	assert_true(says_language(&view, "de"));
	/* also where it is not checked yet that nothing is damaged */
	header->language_at = (uint32_t)view.head_rest.n - 1;
	assert_false(record_language(&view, &ignored));
	header->language_at = (uint32_t)view.head_rest.n;
	assert_false(record_language(&view, &ignored));
	view = written(GET, FRESH "X: 1\ncontent-language: en, de\n");
	assert_true(says_language(&view, "en, de"));
	view = written(GET, FRESH "X: 1\n");
	assert_false(record_language(&view, &ignored));
	view = written(GET, FRESH "Content-Language: de\nContent-Language: de\n");
	assert_false(record_language(&view, &ignored));
	view = written(GET, FRESH
		       "Content-Language: de\nX: 1\nContent-Language: de\nContent-Language: de\n");
	assert_false(record_language(&view, &ignored));
}

static uint64_t epoch_of_none(const void *context, const struct cache_key *key)
{
	(void)context, (void)key;
	return 0;
}

/* Of one group: purged softly as of epoch 10, at 50 s. */
static uint64_t stale_of(const void *context, const struct cache_key *key, int64_t *ret_ms)
{
	if (!cache_key_eq(context, key))
		return 0;
	*ret_ms = 50000;
	return 10;
}

static struct record_view asked_at(uint64_t epoch, const char *res)
{
	struct exchange_times times = times_at(NOW_S);
	struct record_view view;
	struct record_meta meta;
	enum reason why;
	size_t n;

	times.asked_at = epoch;
	request_of(&request, GET);
	response_of(&response, res);
	assert_true(policy_may_store(&request.req, &response.res, &times, &conf, &meta, &why));
	n = record_write(&request.req, &response.res, &meta, uri, memory, sizeof(memory));
	assert_true(record_view(slice_of(memory, n), uri, &view));
	return view;
}

static void a_soft_purge_is_of_a_uri_or_of_a_group(void **state)
{
	struct cache_key marked = cache_key_of_group(SLICE("http://example.com"), SLICE("b"));
	struct record_cutoff cutoff = {.epoch_of = epoch_of_none,
				       .context = &marked,
				       .stale_before = 5,
				       .stale_ms = 40000};
	struct record_view view;
	int64_t ms = 0;

	(void)state;
	view = asked_at(4, FRESH);
	assert_true(record_is_made_stale(&view, &cutoff, &ms));
	assert_int_equal(ms, 40000);
	view = asked_at(5, FRESH);
	assert_false(record_is_made_stale(&view, &cutoff, &ms));
	view = asked_at(9, FRESH "Cache-Groups: \"a\", \"b\"\n");
	assert_false(record_is_made_stale(&view, &cutoff, &ms));
	cutoff.group_stale = stale_of;
	assert_true(record_is_made_stale(&view, &cutoff, &ms));
	assert_int_equal(ms, 50000);
	view = asked_at(10, FRESH "Cache-Groups: \"a\", \"b\"\n");
	assert_false(record_is_made_stale(&view, &cutoff, &ms));
	view = asked_at(9, FRESH "Cache-Groups: \"a\", \"c\"\n");
	assert_false(record_is_made_stale(&view, &cutoff, &ms));
	view = asked_at(9, FRESH);
	assert_false(record_is_made_stale(&view, &cutoff, &ms));
	/* without marks there are none, and once is enough */
	view = asked_at(4, FRESH);
	cutoff.epoch_of = NULL;
	assert_false(record_is_made_stale(&view, &cutoff, &ms));
	cutoff.epoch_of = epoch_of_none;
	record_make_stale(memory, NOW_S * 1000LL, record_seed(uri));
	assert_false(record_is_made_stale(&view, &cutoff, &ms));
}

/* Its lifetime ended then: windows of grace begin there. */
static void a_lifetime_ends_with_a_soft_purge(void **state)
{
	static const struct {
		int64_t after_ms;
		uint32_t lifetime_s;
	} rows[] = {{-1000, 0}, {0, 0}, {999, 0}, {1000, 1}, {59999, 59}, {60000, 60}, {90000, 60}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct record_view view = written(GET, FRESH "ETag: \"e\"\n");
		struct slice bytes = view.bytes;

		assert_int_equal(view.meta->flags & META_PURGED, 0);
		record_make_stale(memory, NOW_S * 1000LL + rows[i].after_ms, record_seed(uri));
		assert_true(record_view(bytes, uri, &view));
		assert_int_equal(view.meta->flags, META_PURGED | META_HAS_ETAG);
		assert_int_equal(view.meta->lifetime_s, rows[i].lifetime_s);
	}
}

/* Whichever line is first. */
static void the_first_line_is_kept(void **state)
{
	struct record_view view = written(GET, "204\nX: 1\nETag: \"e\"\n" NOW_DATE
					       "Cache-Control: max-age=60\nY: 2\n");

	(void)state;
	assert_heads(view,
		     "ETag: \"e\"\r\n"
		     "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		     "Cache-Control: max-age=60\r\n",
		     "X: 1\r\nY: 2\r\n");
}

/* What a later version may have written, though its bytes are as they were written. */
static void numbers_without_a_meaning_are_damage(void **state)
{
	struct record_view view = written(GET, FRESH);
	struct record_meta meta = *view.meta;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		size_t n;

		meta.kind = i == 1 ? RECORD_PREFLIGHT + 1 : i == 0 ? RECORD_PREFLIGHT : RECORD_GET;
		meta.lifetime_source = i == 3 ? LIFETIME_LAST + 1 : LIFETIME_LAST;
		n = record_write(&request.req, &response.res, &meta, uri, memory, sizeof(memory));
		assert_int_not_equal(n, 0);
		assert_int_equal(record_view(slice_of(memory, n), uri, &view), i % 2 == 0);
	}
}

/* Parts that reach beyond theirs, in a header that no checksum was asked for yet. */
static void parts_stay_within_theirs(void **state)
{
	struct record_view view = written(
				   GET, FRESH
				   "ETag: \"e\"\nLast-Modified: Sun, 06 Nov 1994 08:00:00 GMT\n"),
			   seen;
	struct record_header *header = (void *)memory;
	struct slice bytes = view.bytes;

	(void)state;
	header->etag_n = header->head_304_n - header->etag_at;
	assert_true(record_parse(bytes, &seen));
	header->etag_n++;
	assert_false(record_parse(bytes, &seen));
	header->etag_at = header->head_304_n + 1;
	header->etag_n = 0;
	assert_false(record_parse(bytes, &seen));
	header->etag_at--;
	assert_true(record_parse(bytes, &seen));
	header->last_modified_n = header->head_rest_n - header->last_modified_at;
	assert_true(record_parse(bytes, &seen));
	header->last_modified_n++;
	assert_false(record_parse(bytes, &seen));
}

/* Lines that are none, where damage was not seen. */
static void damaged_lines_are_no_response(void **state)
{
	struct record_view view = written(GET, FRESH "X: 1\n");
	struct http_field lines[8];
	struct http_response res = {.fields = {.at = lines, .capacity = 8}};
	char *line = memmem(memory, view.bytes.n, "X: 1\r\n", 6);

	(void)state;
	assert_non_null(line);
	for (unsigned i = 0; i < 6; i++) {
		static const char *const damaged[] = {"X: 1 \n",  "X: 1\r ",   "\n: 1\r\n",
						      "X  1\r\n", "X\t:1\r\n", ":: 1\r\n"};

		assert_true(record_to_response(&view, &res));
		memcpy(line, damaged[i], 6);
		assert_false(record_to_response(&view, &res));
		memcpy(line, "X: 1\r\n", 6);
	}
}

static void room_of_a_preflight_is_exact(void **state)
{
	struct record_view view = written(GET, FRESH);
	struct record_meta meta = *view.meta;
	size_t n;

	(void)state;
	request_of(&request, "OPTIONS http://example.com/a\nOrigin: "
			     "http://o\nAccess-Control-Request-Method: PUT\n");
	meta.kind = RECORD_PREFLIGHT;
	n = record_write(&request.req, &response.res, &meta, uri, memory, sizeof(memory));
	assert_int_not_equal(n, 0);
	for (size_t size = 0; size < n; size++)
		assert_int_equal(record_write(&request.req, &response.res, &meta, uri,
					      memory_freshened, size),
				 0);
	assert_int_equal(record_write(&request.req, &response.res, &meta, uri, memory_freshened, n),
			 n);
	assert_memory_equal(memory, memory_freshened, n);
}

/* Refused stays refused: a preflight with too many groups. */
static void a_preflight_of_too_many_groups(void **state)
{
	struct record_view view = written(GET, FRESH);
	struct record_meta meta = *view.meta;
	char text[2048] = FRESH "Cache-Groups: \"0\"";

	(void)state;
	for (unsigned i = 1; i < 129; i++)
		sprintf(text + strlen(text), ", \"%u\"", i);
	strcat(text, "\n");
	request_of(&request, "OPTIONS http://example.com/a\nOrigin: "
			     "http://o\nAccess-Control-Request-Method: PUT\n");
	response_of(&response, text);
	meta.kind = RECORD_PREFLIGHT;
	assert_int_equal(
		record_write(&request.req, &response.res, &meta, uri, memory, sizeof(memory)), 0);
}

/* As many groups as a response may name, and one more. */
static void a_record_of_many_groups(void **state)
{
	char text[2048] = FRESH "Cache-Groups: \"0\"";
	struct record_view view;

	(void)state;
	for (unsigned i = 1; i < 128; i++)
		sprintf(text + strlen(text), ", \"%u\"", i);
	strcat(text, "\n");
	view = written(GET, text);
	assert_int_equal(view.group_count, 129);
	strcpy(text + strlen(text) - 1, ", \"more\"\n");
	assert_int_equal(write_sized(GET, text, memory, sizeof(memory)), 0);
}

/* The record that a stored one becomes by a 304 a hundred seconds later. */
static struct record_view freshened(const char *stored, const char *req, const char *res_304,
				    enum reason expected)
{
	struct exchange_times times = times_at(NOW_S + 100);
	struct record_view old = written(GET, stored), view;
	enum reason why = REASON_COUNT;
	size_t n;

	request_of(&request, req);
	response_of(&response, res_304);
	n = record_freshen(
		&old,
		&(struct record_confirmation){&request.req, &response.res, &times, &conf, uri},
		memory_freshened, sizeof(memory_freshened), &why);
	assert_int_equal(why, expected);
	/* Nothing of the new record depends on the old one or on the message. */
	memset(memory, 'z', sizeof(memory));
	memset(response.text, 'z', sizeof(response.text));
	assert_true(record_view(slice_of(memory_freshened, n), uri, &view));
	return view;
}

#define LATER_304 "304\nDate: Sun, 06 Nov 1994 08:51:17 GMT\n"

static void a_304_replaces_its_fields_and_keeps_the_rest(void **state)
{
	struct record_view view = freshened(FRESH "ETag: \"e\"\n"
						  "X-Keep: 1\n"
						  "X-New: old\n"
						  "X-New: old2\n"
						  "x-many: a\n",
					    GET,
					    LATER_304 "ETag: \"e\"\n"
						      "Cache-Control: max-age=30\n"
						      "X-NEW: new\n"
						      "X-Many: b\n"
						      "X-Many: c\n"
						      "X-Added: 1\n",
					    REASON_NONE);

	(void)state;
	assert_heads(view,
		     "Date: Sun, 06 Nov 1994 08:51:17 GMT\r\n"
		     "ETag: \"e\"\r\n"
		     "Cache-Control: max-age=30\r\n",
		     "X-NEW: new\r\n"
		     "X-Many: b\r\n"
		     "X-Many: c\r\n"
		     "X-Added: 1\r\n"
		     "X-Keep: 1\r\n");
	assert_slice(view.etag, "\"e\"");
	assert_int_equal(view.meta->lifetime_s, 30);
	assert_int_equal(view.meta->date_s, NOW_S + 100);
	assert_int_equal(view.meta->initial_age_s, 0);
	assert_int_equal(view.meta->response_steady_ms, (NOW_S + 100) * 1000LL);
}

static void a_304_does_not_replace_what_is_not_stored(void **state)
{
	struct record_view view = freshened(FRESH "X-Hop: old\n", GET,
					    LATER_304 "Connection: close, X-Hop\n"
						      "X-Hop: new\n"
						      "Keep-Alive: 5\n"
						      "Transfer-Encoding: chunked\n"
						      "Content-Length: 10\n"
						      "Age: 7\n"
						      "X-Last: 1\n",
					    REASON_NONE);

	(void)state;
	assert_heads(view,
		     "Date: Sun, 06 Nov 1994 08:51:17 GMT\r\n"
		     "Cache-Control: max-age=60\r\n",
		     "X-Last: 1\r\n"
		     "X-Hop: old\r\n");
	assert_int_equal(view.meta->initial_age_s, 7);
}

/* Names that the tables do not know, in any order and case, and lengths that sort otherwise. */
static void a_304_replaces_many_unknown_fields(void **state)
{
	struct record_view view = freshened(FRESH "X-C: old\nX-Keep: 1\nx-aa: old\nX-B: old\n"
						  "X-D: old\nX-A: old\nX-BB: keep\n",
					    GET,
					    LATER_304 "X-D: 1\nX-B: 2\nX-AA: 3\nX-C: 4\n"
						      "x-b: 5\nX-A: 6\n",
					    REASON_NONE);

	(void)state;
	assert_slice(view.head_rest, "X-D: 1\r\nX-B: 2\r\nX-AA: 3\r\nX-C: 4\r\nx-b: 5\r\nX-A: 6\r\n"
				     "X-Keep: 1\r\nX-BB: keep\r\n");
}

/* Each name has a bit of its hash: with so many each bit is somebody's. */
static void a_304_replaces_hundreds_of_unknown_fields(void **state)
{
	static char stored[MESSAGE_TEXT], by[MESSAGE_TEXT];
	struct record_view view;

	(void)state;
	strcpy(stored, "204\nCache-Control: max-age=60\n");
	strcpy(by, LATER_304);
	for (unsigned i = 0; i < 240; i++) {
		sprintf(stored + strlen(stored), "X-%u: o\n", i);
		sprintf(by + strlen(by), "x-%u: n\n", i);
	}
	view = freshened(stored, GET, by, REASON_NONE);
	assert_null(memmem(view.head_rest.p, view.head_rest.n, ": o", 3));
	assert_int_equal(view.meta->lifetime_s, 60); /* the first line stored is kept */
}

/* As many lines as a record may have, and one more, of the 304 alone. */
static void a_304_of_too_many_lines_confirms_nothing(void **state)
{
	static struct http_field many[RECORD_FIELDS_MAX + 1];

	(void)state;
	for (unsigned lines = RECORD_FIELDS_MAX - 1; lines <= RECORD_FIELDS_MAX + 1; lines++) {
		struct exchange_times times = times_at(NOW_S);
		struct record_view old = written(GET, FRESH);
		enum reason why = REASON_COUNT;

		request_of(&request, GET);
		response_of(&response, "304\n");
		response.res.fields =
			(struct http_fields){.at = many, .capacity = RECORD_FIELDS_MAX + 1};
		for (unsigned i = 0; i < lines; i++)
			assert_true(http_fields_add(
				&response.res.fields, i == 0 ? SLICE("Date") : SLICE("X"),
				i == 0 ? SLICE("Sun, 06 Nov 1994 08:49:37 GMT") : SLICE("1")));
		/* that of Cache-Control, which was stored, is one more */
		assert_int_equal(
			record_freshen(&old,
				       &(struct record_confirmation){&request.req, &response.res,
								     &times, &conf, uri},
				       memory_freshened, sizeof(memory_freshened), &why) > 0,
			lines < RECORD_FIELDS_MAX);
		assert_int_equal(why, lines < RECORD_FIELDS_MAX ? REASON_NONE : REASON_TOO_LARGE);
	}
}

static void a_304_narrows_what_is_shared(void **state)
{
	struct record_view view =
		freshened(FRESH "X-Mine: 1\nX: 2\n", GET,
			  LATER_304 "Cache-Control: max-age=9, private=\"x-mine\"\n", REASON_NONE);

	(void)state;
	assert_slice(view.head_rest, "X: 2\r\n");
}

static void a_304_without_date_was_made_at_receipt(void **state)
{
	struct record_view view = freshened(FRESH, GET, "304\n", REASON_NONE);

	(void)state;
	assert_slice(view.head_304, "Date: Sun, 06 Nov 1994 08:51:17 GMT\r\n"
				    "Cache-Control: max-age=60\r\n");
}

/* Whether a request selects the record. */
static bool selects(const struct record_view *view, const char *req)
{
	char room[256];
	struct vary_request asked;
	struct slice selected;

	vary_request_begin(&asked, request_of(&request, req));
	return vary_select(view->vary, &asked, room, sizeof(room), &selected) &&
	       slice_eq(selected, view->vary);
}

#define SIXTEEN "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"

/* More names than that count as "*". */
static void a_304_may_bring_too_many_names(void **state)
{
	(void)state;
	freshened(FRESH, GET, LATER_304 "Vary: " SIXTEEN "\n", REASON_NONE);
	freshened(FRESH, GET, LATER_304 "Vary: " SIXTEEN ",q\n", REASON_VARY_STAR);
	freshened(FRESH "Vary: A\n", GET, LATER_304 "Vary: " SIXTEEN "\nVary: q\n",
		  REASON_VARY_STAR);
}

static void a_304_may_change_vary(void **state)
{
	struct record_view view =
		freshened(FRESH, GET "Foo: a\n", LATER_304 "Vary: Foo\n", REASON_NONE);

	(void)state;
	assert_true(selects(&view, GET "Foo: a\n"));
	assert_false(selects(&view, GET "Foo: b\n"));
}

static void a_head_freshens_a_record_of_get(void **state)
{
	struct record_view view =
		freshened(FRESH, "HEAD http://example.com/a\n", LATER_304, REASON_NONE);

	(void)state;
	assert_int_equal(view.meta->kind, RECORD_GET);
}

static void what_may_not_be_kept_still_answers_once(void **state)
{
	struct record_view view =
		freshened(FRESH "ETag: \"e\"\nVary: Foo\nX: 1\n", GET,
			  LATER_304 "Cache-Control: no-store\nAge: 5\n", REASON_RESPONSE_NO_STORE);

	(void)state;
	assert_heads(view,
		     "Date: Sun, 06 Nov 1994 08:51:17 GMT\r\n"
		     "Cache-Control: no-store\r\n"
		     "ETag: \"e\"\r\n"
		     "Vary: Foo\r\n",
		     "X: 1\r\n");
	assert_slice(view.etag, "\"e\"");
	assert_int_equal(view.meta->lifetime_s, 0);
	assert_int_equal(view.meta->initial_age_s, 5);
	assert_int_equal(view.meta->last_modified_s, HTTP_DATE_INVALID);
	view = freshened(FRESH "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\n", GET,
			 LATER_304 "Cache-Control: no-store\n", REASON_RESPONSE_NO_STORE);
	assert_slice(view.last_modified, "Sun, 06 Nov 1994 08:00:00 GMT");
	assert_int_equal(view.meta->flags & (META_HAS_ETAG | META_HAS_LAST_MODIFIED),
			 META_HAS_LAST_MODIFIED);
	/* the validator also when it is the first line, the kind that of a GET */
	view = freshened(
		FRESH, "HEAD http://example.com/a\n",
		"304\nETag: \"f\"\nDate: Sun, 06 Nov 1994 08:51:17 GMT\nCache-Control: no-store\n",
		REASON_RESPONSE_NO_STORE);
	assert_slice(view.etag, "\"f\"");
	assert_int_equal(view.meta->kind, RECORD_GET);
	freshened(FRESH, GET "Authorization: Basic YTpi\n", LATER_304, REASON_AUTHORIZATION);
	freshened(FRESH, GET, LATER_304 "Cache-Control: private\n", REASON_PRIVATE);
}

static void what_has_grown_too_large_still_answers_once(void **state)
{
	static char text[32 << 10];
	struct record_view view;

	(void)state;
	strcpy(text, LATER_304 "X-Long: ");
	memset(text + strlen(text), 'y', 17 << 10);
	strcat(text, "\n");
	view = freshened(FRESH, GET, text, REASON_TOO_LARGE);
	assert_true(view.bytes.n > 17 << 10);
}

/* record_size counts all bytes of a record; and what does not fit is too large. */
static void the_size_of_a_record_is_exact(void **state)
{
	struct exchange_times times = times_at(NOW_S + 100);
	struct record_view old = written(GET, FRESH "ETag: \"e\"\n");
	struct conf exact = conf;
	struct record_confirmation by = {&request.req, &response.res, &times, &exact, uri};
	enum reason why = REASON_COUNT;
	size_t n;

	(void)state;
	response_of(&response, LATER_304);
	n = record_freshen(&old, &by, memory_freshened, sizeof(memory_freshened), &why);
	assert_int_not_equal(n, 0);
	exact.record_size = n;
	assert_int_equal(record_freshen(&old, &by, memory_freshened, n, &why), n);
	assert_int_equal(why, REASON_NONE);
	exact.record_size = n - 1;
	assert_int_not_equal(
		record_freshen(&old, &by, memory_freshened, sizeof(memory_freshened), &why), 0);
	assert_int_equal(why, REASON_TOO_LARGE);
	exact.record_size = conf.record_size;
	assert_int_equal(record_freshen(&old, &by, memory_freshened, n - 1, &why), 0);
	assert_int_equal(why, REASON_TOO_LARGE);
}

/* Each of many 304s adds fields of its own. */
static void fields_do_not_gather_without_end(void **state)
{
	static char text[MESSAGE_TEXT];
	struct exchange_times times = times_at(NOW_S);
	struct record_view old = written(GET, FRESH);
	enum reason why = REASON_NONE;
	unsigned lines = 2, added = 0;
	size_t n = 0;

	(void)state;
	for (; lines <= 512 && why == REASON_NONE; lines += 100) {
		strcpy(text, "304\nDate: Sun, 06 Nov 1994 08:49:37 GMT\n");
		for (unsigned i = 0; i < 100; i++)
			sprintf(text + strlen(text), "X-%u: 1\n", added++);
		request_of(&request, GET);
		response_of(&response, text);
		n = record_freshen(&old,
				   &(struct record_confirmation){&request.req, &response.res,
								 &times, &conf, uri},
				   memory_freshened, sizeof(memory_freshened), &why);
		memcpy(memory, memory_freshened, n);
		record_view(slice_of(memory, n), uri, &old);
	}
	assert_int_equal(lines, 602);
	assert_int_equal(n, 0);
	assert_int_equal(why, REASON_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_kept_as_sent),
		cmocka_unit_test(some_fields_are_not_stored),
		cmocka_unit_test(date_is_that_of_receipt_when_there_is_none),
		cmocka_unit_test(a_valid_date_is_never_changed),
		cmocka_unit_test(validators_that_cannot_be_used_are_not_shown),
		cmocka_unit_test(head_comes_back_as_a_response),
		cmocka_unit_test(groups_are_noticed),
		cmocka_unit_test(room_is_exact),
		cmocka_unit_test(lines_that_would_break_are_refused),
		cmocka_unit_test(a_record_is_of_its_uri_only),
		cmocka_unit_test(any_changed_byte_is_found),
		cmocka_unit_test(a_cut_or_longer_record_is_refused),
		cmocka_unit_test(one_language_is_noticed),
		cmocka_unit_test(a_soft_purge_is_of_a_uri_or_of_a_group),
		cmocka_unit_test(a_lifetime_ends_with_a_soft_purge),
		cmocka_unit_test(the_first_line_is_kept),
		cmocka_unit_test(numbers_without_a_meaning_are_damage),
		cmocka_unit_test(parts_stay_within_theirs),
		cmocka_unit_test(damaged_lines_are_no_response),
		cmocka_unit_test(room_of_a_preflight_is_exact),
		cmocka_unit_test(a_preflight_of_too_many_groups),
		cmocka_unit_test(a_record_of_many_groups),
		cmocka_unit_test(a_304_replaces_its_fields_and_keeps_the_rest),
		cmocka_unit_test(a_304_does_not_replace_what_is_not_stored),
		cmocka_unit_test(a_304_replaces_many_unknown_fields),
		cmocka_unit_test(a_304_replaces_hundreds_of_unknown_fields),
		cmocka_unit_test(a_304_of_too_many_lines_confirms_nothing),
		cmocka_unit_test(a_304_narrows_what_is_shared),
		cmocka_unit_test(a_304_without_date_was_made_at_receipt),
		cmocka_unit_test(a_304_may_change_vary),
		cmocka_unit_test(a_304_may_bring_too_many_names),
		cmocka_unit_test(a_head_freshens_a_record_of_get),
		cmocka_unit_test(what_may_not_be_kept_still_answers_once),
		cmocka_unit_test(what_has_grown_too_large_still_answers_once),
		cmocka_unit_test(the_size_of_a_record_is_exact),
		cmocka_unit_test(fields_do_not_gather_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
