/* LINKS: cache/record */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/http/fields.h"
#include "cache/base/key.h"
#include "cache/record/vary.h"
#include "tests/support/messages.h"

#define URI "GET http://example.com/\n"

enum { BLOCK_SIZE = 8192 };

/* The block of a response with these lines to a request with those; SIZE_MAX when there is none. */
static size_t block_of(const char *vary, const char *request, char *to, size_t size)
{
	static struct message req, res;
	char text[4096];

	snprintf(text, sizeof(text), "204\n%s", vary);
	response_of(&res, text);
	snprintf(text, sizeof(text), URI "%s", request);
	request_of(&req, text);
	return vary_write(&res.res.fields, &req.req, to, size);
}

/* Whether a request has the block that was written for another. */
static bool matches(struct slice block, const struct http_request *req)
{
	static struct vary_request asked;
	char room[BLOCK_SIZE];
	struct slice selected;

	vary_request_begin(&asked, req);
	return vary_select(block, &asked, room, sizeof(room), &selected) &&
	       slice_eq(selected, block);
}

/* Whether a request selects what was stored for another. */
static bool selects(const char *vary, const char *stored, const char *asked)
{
	static struct message req;
	char block[BLOCK_SIZE], text[4096];
	size_t n = block_of(vary, stored, block, sizeof(block));

	assert_true(n != SIZE_MAX);
	snprintf(text, sizeof(text), URI "%s", asked);
	return matches(slice_of(block, n), request_of(&req, text));
}

static void primary_keys_differ_by_any_byte(void **state)
{
	struct cache_key key = cache_key_of_uri(SLICE("http://a/x"));
	struct cache_key same = cache_key_of_uri(slice_str("http://a/x"));
	struct cache_key other = cache_key_of_uri(SLICE("http://a/X"));

	(void)state;
	assert_true(cache_key_eq(&key, &same));
	assert_false(cache_key_eq(&key, &other));
}

static void group_keys_depend_on_origin_and_name(void **state)
{
	struct cache_key key = cache_key_of_group(SLICE("http://a"), SLICE("g"));
	struct cache_key same = cache_key_of_group(slice_str("http://a"), slice_str("g"));
	struct cache_key origin = cache_key_of_group(SLICE("http://b"), SLICE("g"));
	struct cache_key name = cache_key_of_group(SLICE("http://a"), SLICE("G"));
	struct cache_key moved = cache_key_of_group(SLICE("http://ag"), SLICE(""));

	(void)state;
	assert_true(cache_key_eq(&key, &same));
	assert_false(cache_key_eq(&key, &origin));
	assert_false(cache_key_eq(&key, &name));
	assert_false(cache_key_eq(&key, &moved));
}

static void no_vary_is_an_empty_block_and_matches_all(void **state)
{
	char block[16];

	(void)state;
	assert_int_equal(block_of("", "Accept: a\n", block, sizeof(block)), 0);
	assert_int_equal(block_of("Vary:\n", "Accept: a\n", block, sizeof(block)), 0);
	assert_int_equal(block_of("Vary: , ,\n", "Accept: a\n", block, sizeof(block)), 0);
	assert_true(selects("", "", "Accept: b\n"));
}

static void values_are_compared_byte_for_byte(void **state)
{
	(void)state;
	assert_true(selects("Vary: Accept\n", "Accept: a\n", "Accept: a\n"));
	assert_false(selects("Vary: Accept\n", "Accept: a\n", "Accept: b\n"));
	assert_false(selects("Vary: Accept\n", "Accept: a\n", "Accept: A\n"));
	assert_false(selects("Vary: Accept\n", "Accept: a\n", "Accept: ab\n"));
	assert_false(selects("Vary: Accept\n", "Accept: ab\n", "Accept: a\n"));
	assert_false(selects("Vary: Accept\n", "Accept: a b\n", "Accept: a  b\n"));
	assert_true(selects("Vary: X-Unknown\n", "X-Unknown: a\n", "x-uNKNOWN: a\n"));
	assert_false(selects("Vary: X-Unknown\n", "X-Unknown: a\n", "X-Unknowm: a\n"));
}

static void names_are_of_any_case(void **state)
{
	char a[BLOCK_SIZE], b[BLOCK_SIZE];
	size_t n = block_of("Vary: ACCEPT, Foo\n", "accept: x\nFOO: 1\n", a, sizeof(a));

	(void)state;
	assert_int_equal(n, block_of("Vary: accept, fOO\n", "Accept: x\nfoo: 1\n", b, sizeof(b)));
	assert_memory_equal(a, b, n);
	assert_true(selects("vary: accept\n", "ACCEPT: x\n", "Accept: x\n"));
}

static void lines_are_joined(void **state)
{
	const char *one = "Foo: a, b\n";

	(void)state;
	assert_true(selects("Vary: Foo\n", "Foo: a\nFoo: b\n", one));
	assert_true(selects("Vary: Foo\n", one, "Foo: a\nBar: x\nFoo: b\n"));
	assert_false(selects("Vary: Foo\n", one, "Foo: b\nFoo: a\n"));
	assert_false(selects("Vary: Foo\n", one, "Foo: a\n"));
	assert_false(selects("Vary: Foo\n", "Foo: a\n", "Foo: a\nFoo:\n"));
	assert_true(selects("Vary: Foo\n", "Foo: a,\n", "Foo: a\nFoo:\n"));
	assert_true(selects("Vary: Accept-Language\n", "Accept-Language: a\nAccept-Language: b\n",
			    "Accept-Language: a,b\n"));
}

static void white_space_around_commas_does_not_count(void **state)
{
	(void)state;
	assert_true(selects("Vary: Foo\n", "Foo: a,b\n", "Foo: a , \t b\n"));
	assert_true(selects("Vary: Foo\n", "Foo:   a,b \n", "Foo: a,b\n"));
	assert_false(selects("Vary: Foo\n", "Foo: a,b\n", "Foo: a,,b\n"));
	assert_false(selects("Vary: Foo\n", "Foo: \"a,b\"\n", "Foo: \"a, b\"\n"));
	assert_false(selects("Vary: Foo\n", "Foo: \"\\\"a,b\"\n", "Foo: \"\\\"a, b\"\n"));
	assert_true(selects("Vary: Foo\n", "Foo: \"a,b\",c\n", "Foo: \"a,b\" , c\n"));
	assert_false(selects("Vary: Foo\n", "Foo: \"a,b\n", "Foo: \"a, b\n"));
	assert_false(selects("Vary: Foo\n", "Foo: \"a\\\n", "Foo: \"a\n"));
}

static void what_is_spelled_otherwise_may_stand_between_what_is_not(void **state)
{
	const char *vary = "Vary: Bar, Baz, Foo\n", *one = "Bar: 1\nBaz: a,b\nFoo: 2\n";

	(void)state;
	assert_true(selects(vary, one, "Bar: 1\nBaz: a , b\nFoo: 2\n"));
	assert_true(selects(vary, one, "Foo: 2\nBaz: a\nBar: 1\nBaz: b\n"));
	assert_false(selects(vary, one, "Bar: 1\nBaz: a , b\nFoo: 3\n"));
	assert_false(selects(vary, one, "Bar: 0\nBaz: a , b\nFoo: 2\n"));
	assert_false(selects(vary, one, "Bar: 1\nBaz: a , c\nFoo: 2\n"));
}

static void spellings_of_accept_language_are_one(void **state)
{
	const char *vary = "Vary: Accept-Language\n";

	(void)state;
	assert_true(selects(vary, "Accept-Language: en, de\n", "Accept-Language: DE;q=1.0,en\n"));
	assert_true(selects(vary, "Accept-Language: en, de\n",
			    "Accept-Language: de\nAccept-Language: EN\n"));
	assert_false(selects(vary, "Accept-Language: en, de\n", "Accept-Language: en\n"));
	assert_false(selects(vary, "Accept-Language: en, de\n", ""));
	assert_false(selects(vary, "", "Accept-Language:\n"));
	/* what cannot be read means only itself */
	assert_true(selects(vary, "Accept-Language: e n , de\n", "Accept-Language: e n,de\n"));
	assert_false(selects(vary, "Accept-Language: e n, de\n", "Accept-Language: de, e n\n"));
	/* the order of others counts */
	assert_false(selects("Vary: Accept\n", "Accept: a, b\n", "Accept: b, a\n"));
}

static void a_block_covers_one_of_fewer_names(void **state)
{
	char few[BLOCK_SIZE], many[BLOCK_SIZE];
	struct slice a = slice_of(few, block_of("Vary: Foo\n", "Foo: 1\n", few, sizeof(few)));
	struct slice b = slice_of(many, block_of("Vary: Bar, FOO\n", "", many, sizeof(many)));

	(void)state;
	assert_true(vary_covers(b, a));
	assert_false(vary_covers(a, b));
	assert_true(vary_covers(a, a));
	assert_true(vary_covers(a, slice_of(NULL, 0)));
	assert_false(vary_covers(slice_of(NULL, 0), a));
}

static void absent_is_not_empty(void **state)
{
	(void)state;
	assert_true(selects("Vary: Foo\n", "", ""));
	assert_true(selects("Vary: Foo\n", "", "Bar: x\n"));
	assert_false(selects("Vary: Foo\n", "", "Foo:\n"));
	assert_false(selects("Vary: Foo\n", "Foo:\n", ""));
	assert_true(selects("Vary: Foo\n", "Foo:\n", "Foo: \n"));
	assert_false(selects("Vary: Accept-Encoding\n", "", "Accept-Encoding: gzip\n"));
	assert_false(selects("Vary: Cookie\n", "Cookie:\n", ""));
}

static void each_name_counts_once(void **state)
{
	char once[BLOCK_SIZE], thrice[BLOCK_SIZE];
	size_t n = block_of("Vary: A, B\n", "A: 1\nB: 2\n", once, sizeof(once));

	(void)state;
	assert_int_equal(
		n, block_of("Vary: A, a\nVary: b, A, B\n", "A: 1\nB: 2\n", thrice, sizeof(thrice)));
	assert_memory_equal(once, thrice, n);
	assert_true(selects("Vary: A\nVary: B\n", "A: 1\nB: 2\n", "B: 2\nA: 1\n"));
	assert_false(selects("Vary: A\nVary: B\n", "A: 1\nB: 2\n", "A: 1\nB: 3\n"));
	assert_false(selects("Vary: A\nVary: B\n", "A: 1\nB: 2\n", "A: 2\nB: 1\n"));
	assert_false(selects("Vary: A, B\n", "A: 1\n", "B: 1\n"));
	/* Bytes do not move from one name to the next. */
	assert_false(selects("Vary: A, B\n", "A: 12\nB: 3\n", "A: 1\nB: 23\n"));
}

static void fields_of_one_connection_are_absent(void **state)
{
	(void)state;
	assert_true(selects("Vary: Foo\n", "", "Connection: foo\nFoo: 1\n"));
	assert_true(selects("Vary: Foo\n", "Connection: close, Foo\nFoo: 1\n", ""));
	assert_true(selects("Vary: TE\n", "TE: trailers\n", ""));
	assert_false(selects("Vary: Cookie\n", "", "Connection: cookie\nCookie: 1\n"));
}

static void what_no_request_matches_has_no_block(void **state)
{
	char block[BLOCK_SIZE];

	(void)state;
	assert_true(block_of("Vary: *\n", "", block, sizeof(block)) == SIZE_MAX);
	assert_true(block_of("Vary: Foo\nVary: a, *\n", "", block, sizeof(block)) == SIZE_MAX);
	assert_true(block_of("Vary: a b\n", "", block, sizeof(block)) == SIZE_MAX);
	assert_true(block_of("Vary: \"Foo\"\n", "", block, sizeof(block)) == SIZE_MAX);
	assert_true(block_of("Vary: Foo, \"\n", "", block, sizeof(block)) == SIZE_MAX);
}

static void names_are_bounded(void **state)
{
	char block[BLOCK_SIZE], text[2048] = "Vary: n";

	(void)state;
	for (unsigned i = 1; i < HTTP_VARY_NAMES_MAX; i++)
		sprintf(text + strlen(text), ",n%u", i);
	assert_true(block_of(text, "", block, sizeof(block)) != SIZE_MAX);
	/* once more is no other name; so often that it must be meant badly, it is */
	for (unsigned i = HTTP_VARY_NAMES_MAX; i < 4 * HTTP_VARY_NAMES_MAX; i++) {
		strcat(text, ",N1");
		assert_true(block_of(text, "", block, sizeof(block)) != SIZE_MAX);
	}
	assert_true(block_of(strcat(text, ",N1"), "", block, sizeof(block)) == SIZE_MAX);
	text[strlen("Vary: n")] = '\0';
	for (unsigned i = 1; i <= HTTP_VARY_NAMES_MAX; i++)
		sprintf(text + strlen(text), ",n%u", i);
	assert_true(block_of(text, "", block, sizeof(block)) == SIZE_MAX);
}

static uint64_t set_of(const char *vary, const char *request)
{
	char block[BLOCK_SIZE];

	return vary_names_hash(slice_of(block, block_of(vary, request, block, sizeof(block))));
}

static void the_names_of_a_vary_are_a_set(void **state)
{
	uint64_t set = set_of("Vary: Foo, Accept, Bar\n", "Foo: 1\n");

	(void)state;
	assert_true(set == set_of("Vary: bar\nVary: FOO, bar, accept\n", "Bar: 2\n"));
	assert_true(set != set_of("Vary: Foo, Accept\n", "Foo: 1\n"));
	assert_true(set != set_of("Vary: Foo, Accept, Bart\n", "Foo: 1\n"));
	assert_true(set_of("Vary: ab, c\n", "") != set_of("Vary: a, bc\n", ""));
	assert_true(set_of("", "Foo: 1\n") == 0);
}

/* In so many lines names are searched by their hashes. */
static void names_are_found_among_many_lines(void **state)
{
	const char *vary = "Vary: X-A, X-B, X-Long-Name-A, X-Long-Name-B, Accept, X-None, X-C\n";
	char one[4096] = "Accept: a\n", other[4096] = "", *end = one;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		sprintf(end = end + strlen(end), "X-%u: %u\n", i, i);
	strcat(one, "X-LONG-NAME-B: b\nX-B: 1\nX-Long-Name-A: a\nx-a: 0\nX-B: 2\n");
	strcpy(other, one);
	assert_true(selects(vary, one, other));
	*strstr(other, "b\nX-B") = 'c';
	assert_false(selects(vary, one, other));
	strcpy(other, one);
	strcat(other, "X-C: c\n");
	assert_false(selects(vary, one, other));
	strcpy(other, one);
	*strrchr(other, '2') = '3';
	assert_false(selects(vary, one, other));
	assert_true(selects(vary, one,
			    "X-A: 0\nX-B: 1, 2\nX-Long-Name-A: a\nX-Long-Name-B: b\n"
			    "Accept: a\n"));
	strcpy(other, one);
	strcat(other, "Connection: x-a\n");
	assert_false(selects(vary, one, other));
}

/* So many lines, and one more, that are searched name by name. */
static void names_are_found_among_any_number_of_lines(void **state)
{
	static struct http_field lines[VARY_LINES_MAX + 1];
	static struct message res;
	char few[BLOCK_SIZE], many[BLOCK_SIZE];
	size_t n = block_of("Vary: A, B, C, D, E, F\n", "A: 1\nC: 2, 3\nE: 4\nF: 5, 6, 7\n", few,
			    sizeof(few));

	(void)state;
	response_of(&res, "204\nVary: A, B, C, D, E, F\n");
	for (uint32_t count = VARY_LINES_MAX - 1; count <= VARY_LINES_MAX + 1; count++) {
		struct http_request req = {.method = METHOD_GET,
					   .fields = {.at = lines, .capacity = count}};

		assert_true(http_fields_add(&req.fields, SLICE("c"), SLICE("2")));
		assert_true(http_fields_add(&req.fields, SLICE("F"), SLICE("5")));
		while (req.fields.count < count - 5)
			assert_true(http_fields_add(&req.fields, SLICE("X"), SLICE("1")));
		assert_true(http_fields_add(&req.fields, SLICE("E"), SLICE("4")));
		assert_true(http_fields_add(&req.fields, SLICE("C"), SLICE("3")));
		assert_true(http_fields_add(&req.fields, SLICE("F"), SLICE("6")));
		assert_true(http_fields_add(&req.fields, SLICE("f"), SLICE("7")));
		assert_true(http_fields_add(&req.fields, SLICE("a"), SLICE("1")));
		assert_int_equal(vary_write(&res.res.fields, &req, many, sizeof(many)), n);
		assert_memory_equal(many, few, n);
	}
}

static bool differ_in_language(const char *vary_a, const char *a, const char *vary_b, const char *b)
{
	char one[BLOCK_SIZE], other[BLOCK_SIZE];

	return vary_differs_in_language(slice_of(one, block_of(vary_a, a, one, sizeof(one))),
					slice_of(other, block_of(vary_b, b, other, sizeof(other))));
}

/* In nothing else, that is. */
static void blocks_that_differ_in_language(void **state)
{
	const char *both = "Vary: Accept-Language, Foo\n", *one = "Vary: Accept-Language\n",
		   *bar = "Vary: Accept-Language, Bar\n";
	const char *de = "Accept-Language: de\nFoo: 1\n";

	(void)state;
	assert_true(differ_in_language(both, de, both, "Accept-Language: en\nFoo: 1\n"));
	assert_true(differ_in_language(both, de, both, "Foo: 1\n"));
	assert_true(differ_in_language(both, de, both, de));
	assert_false(differ_in_language(both, de, both, "Accept-Language: en\nFoo: 2\n"));
	assert_false(differ_in_language(both, de, both, "Accept-Language: en\n"));
	assert_false(differ_in_language(both, "Accept-Language: de\nFoo:\n", both,
					"Accept-Language: de\n"));
	assert_false(differ_in_language(both, de, one, de));
	assert_false(differ_in_language(one, de, both, de));
	assert_false(
		differ_in_language(both, "Accept-Language: de\n", bar, "Accept-Language: de\n"));
	assert_false(differ_in_language("Vary: Foo\n", "", "Vary: Bar\n", ""));
	assert_false(differ_in_language("", "", one, de));
	assert_true(differ_in_language("", "", "", ""));
}

static void a_block_has_names(void **state)
{
	char memory[BLOCK_SIZE];
	struct slice block = slice_of(
		memory, block_of("Vary: Foo, Accept\n", "Foo: Bar\n", memory, sizeof(memory)));

	(void)state;
	assert_true(vary_has_name(block, SLICE("foo")));
	assert_true(vary_has_name(block, SLICE("ACCEPT")));
	assert_false(vary_has_name(block, SLICE("Bar")));
	assert_false(vary_has_name(block, SLICE("fo")));
	assert_false(vary_has_name(slice_of(NULL, 0), SLICE("foo")));
}

/* As most requests are that a record answers; what is damaged is not. */
static void a_request_is_as_sent(void **state)
{
	static struct message req;
	char memory[BLOCK_SIZE];
	size_t n = block_of("Vary: Foo, Bar\n", "Foo: 1\n", memory, sizeof(memory));

	(void)state;
	request_of(&req, URI "Foo: 1\n");
	assert_true(vary_is_as_sent(slice_of(memory, n), &req.req));
	assert_true(vary_is_as_sent(slice_of(memory, 0), &req.req));
	memory[n] = '\0';
	assert_false(vary_is_as_sent(slice_of(memory, n + 1), &req.req));
	assert_false(vary_is_as_sent(slice_of(memory, n - 1), &req.req));
	request_of(&req, URI "Foo: 1\nBar:\n");
	assert_false(vary_is_as_sent(slice_of(memory, n), &req.req));
	request_of(&req, URI "Foo: 1\nFoo: 1\n");
	assert_false(vary_is_as_sent(slice_of(memory, n), &req.req));
	request_of(&req, URI);
	assert_false(vary_is_as_sent(slice_of(memory, n), &req.req));
}

/* A block one byte short of room is refused, and nothing is written past the room. */
static void room_is_exact(void **state)
{
	char block[BLOCK_SIZE], small[BLOCK_SIZE];
	const char *vary = "Vary: Foo, Bar\n";
	const char *request = "Foo: abc, def\nFoo: g\n";
	size_t n = block_of(vary, request, block, sizeof(block));

	(void)state;
	assert_true(n != SIZE_MAX);
	for (size_t size = 0; size < n; size++) {
		memset(small, 'z', sizeof(small));
		assert_true(block_of(vary, request, small, size) == SIZE_MAX);
		assert_int_equal(small[size], 'z');
	}
	assert_int_equal(block_of(vary, request, small, n), n);
	assert_memory_equal(block, small, n);
}

/* Whatever a byte of a block becomes, looking at it stays within it. */
static void damaged_blocks_are_looked_at_safely(void **state)
{
	struct message *req = test_malloc(sizeof(*req));
	char block[BLOCK_SIZE];
	size_t n = block_of("Vary: Foo, Bar, Baz\n", "Foo: a\nBar: b,c\n", block, sizeof(block));

	(void)state;
	request_of(req, URI "Foo: a\nBar: b,c\n");
	assert_true(matches(slice_of(block, n), &req->req));
	for (size_t cut = 1; cut < n; cut++) {
		char *exact = test_malloc(cut);

		memcpy(exact, block, cut);
		matches(slice_of(exact, cut), &req->req);
		test_free(exact);
	}
	for (size_t i = 0; i < n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			char *exact = test_malloc(n);

			memcpy(exact, block, n);
			exact[i] = (char)(exact[i] ^ (1 << bit));
			matches(slice_of(exact, n), &req->req);
			test_free(exact);
		}
	}
	test_free(req);
}

static size_t preflight(const char *request, char *to, size_t size)
{
	static struct message req;
	char text[4096];

	snprintf(text, sizeof(text), "OPTIONS http://example.com/\n%s", request);
	return vary_write_preflight(request_of(&req, text), to, size);
}

static bool same_preflight(const char *a, const char *b)
{
	char block_a[BLOCK_SIZE], block_b[BLOCK_SIZE];
	size_t a_n = preflight(a, block_a, sizeof(block_a));
	size_t b_n = preflight(b, block_b, sizeof(block_b));

	assert_true(a_n != SIZE_MAX && b_n != SIZE_MAX);
	return slice_eq(slice_of(block_a, a_n), slice_of(block_b, b_n));
}

#define PREFLIGHT "Origin: http://a\nAccess-Control-Request-Method: PUT\n"
#define HEADERS "Access-Control-Request-Headers: "

static void preflights_are_distinguished(void **state)
{
	(void)state;
	assert_true(same_preflight(PREFLIGHT, PREFLIGHT "Accept: x\n"));
	assert_false(same_preflight(PREFLIGHT, "Origin: http://b\n"
					       "Access-Control-Request-Method: PUT\n"));
	assert_false(same_preflight(PREFLIGHT, "Origin: http://a\n"
					       "Access-Control-Request-Method: put\n"));
	assert_false(same_preflight(PREFLIGHT,
				    PREFLIGHT "Access-Control-Request-Private-Network: true\n"));
	assert_false(same_preflight(PREFLIGHT, PREFLIGHT HEADERS "x\n"));
	assert_false(same_preflight(PREFLIGHT HEADERS "xy\n", PREFLIGHT HEADERS "x,y\n"));
}

static void preflight_headers_are_sorted_in_lower_case(void **state)
{
	(void)state;
	assert_true(same_preflight(PREFLIGHT HEADERS "b,a,c\n", PREFLIGHT HEADERS "A , C,B\n"));
	assert_true(same_preflight(PREFLIGHT HEADERS "ab,a\n", PREFLIGHT HEADERS "a,AB,a\n"));
	assert_true(
		same_preflight(PREFLIGHT HEADERS "a\n" HEADERS "b\n", PREFLIGHT HEADERS "b,a\n"));
	assert_false(same_preflight(PREFLIGHT HEADERS "a,b\n", PREFLIGHT HEADERS "a,b,c\n"));
}

/* Its length, then the items that make a preflight the same one, in this order. */
static void a_preflight_is_its_length_and_items(void **state)
{
	static const char *const items[][2] = {{"origin", "http://a"},
					       {"access-control-request-method", "PUT"},
					       {"access-control-request-private-network", NULL},
					       {"", "a,b,"}};
	char memory[BLOCK_SIZE];
	size_t n = preflight(PREFLIGHT HEADERS "b,a\n", memory, sizeof(memory));
	struct slice block = slice_of(memory + sizeof(uint64_t), n - sizeof(uint64_t));
	struct vary_item item;
	uint64_t length;

	(void)state;
	memcpy(&length, memory, sizeof(length));
	assert_int_equal(length, n);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(vary_take(&block, &item));
		assert_true(slice_eq(item.name, slice_str(items[i][0])));
		assert_int_equal(item.present, items[i][1] != NULL);
		assert_true(slice_eq(item.value, slice_str(item.present ? items[i][1] : "")));
	}
	assert_int_equal(block.n, 0);
}

/* However many, and in whatever order. */
static void many_preflight_headers_are_sorted(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= 128; count++) {
		char sorted[2048] = PREFLIGHT HEADERS, mixed[2048] = PREFLIGHT HEADERS;

		for (unsigned i = 0; i < count; i++) {
			/* 131 is a prime: each comes once */
			unsigned other = (i + 1) * 37 % 131;

			while (other == 0 || other > count)
				other = other * 37 % 131;
			sprintf(sorted + strlen(sorted), "%sn%03u", i > 0 ? "," : "", i + 1);
			sprintf(mixed + strlen(mixed), "%sN%03u", i > 0 ? "," : "",
				count < 2 ? 1 : other);
		}
		assert_int_equal(strlen(sorted), strlen(mixed));
		if (!same_preflight(strcat(sorted, "\n"), strcat(mixed, "\n")))
			fail_msg("%s is not %s", mixed, sorted);
	}
}

static void preflights_are_bounded(void **state)
{
	char block[BLOCK_SIZE], text[2048] = PREFLIGHT HEADERS "n";
	size_t n = preflight(PREFLIGHT HEADERS "b,a\n", block, sizeof(block));

	(void)state;
	for (size_t size = 0; size < n; size++)
		assert_true(preflight(PREFLIGHT HEADERS "b,a\n", block, size) == SIZE_MAX);
	for (unsigned i = 1; i < 128; i++)
		sprintf(text + strlen(text), ",n%u", i);
	assert_true(preflight(text, block, sizeof(block)) != SIZE_MAX);
	strcat(text, ",m");
	assert_true(preflight(text, block, sizeof(block)) == SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(primary_keys_differ_by_any_byte),
		cmocka_unit_test(group_keys_depend_on_origin_and_name),
		cmocka_unit_test(no_vary_is_an_empty_block_and_matches_all),
		cmocka_unit_test(values_are_compared_byte_for_byte),
		cmocka_unit_test(names_are_of_any_case),
		cmocka_unit_test(lines_are_joined),
		cmocka_unit_test(white_space_around_commas_does_not_count),
		cmocka_unit_test(what_is_spelled_otherwise_may_stand_between_what_is_not),
		cmocka_unit_test(spellings_of_accept_language_are_one),
		cmocka_unit_test(a_block_covers_one_of_fewer_names),
		cmocka_unit_test(absent_is_not_empty),
		cmocka_unit_test(each_name_counts_once),
		cmocka_unit_test(fields_of_one_connection_are_absent),
		cmocka_unit_test(what_no_request_matches_has_no_block),
		cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(the_names_of_a_vary_are_a_set),
		cmocka_unit_test(names_are_found_among_many_lines),
		cmocka_unit_test(names_are_found_among_any_number_of_lines),
		cmocka_unit_test(blocks_that_differ_in_language),
		cmocka_unit_test(a_block_has_names),
		cmocka_unit_test(a_request_is_as_sent),
		cmocka_unit_test(room_is_exact),
		cmocka_unit_test(damaged_blocks_are_looked_at_safely),
		cmocka_unit_test(preflights_are_distinguished),
		cmocka_unit_test(preflight_headers_are_sorted_in_lower_case),
		cmocka_unit_test(a_preflight_is_its_length_and_items),
		cmocka_unit_test(many_preflight_headers_are_sorted),
		cmocka_unit_test(preflights_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
