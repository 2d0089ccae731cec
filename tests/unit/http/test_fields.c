/* LINKS: cache/http */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cache/http/message.h"
#include "tests/support/guarded.h"

enum { LINES_MAX = 128 };

struct head {
	struct http_field lines[LINES_MAX];
	struct http_fields fields;
};

static void head_init(struct head *head)
{
	memset(head, 0, sizeof(*head));
	head->fields.at = head->lines;
	head->fields.capacity = LINES_MAX;
}

static void add(struct head *head, const char *name, const char *value)
{
	assert_true(http_fields_add(&head->fields, guarded_str(name), guarded_str(value)));
}

/* The table once more, written out by the test. */
static const struct {
	enum http_field_id id;
	const char *name;
	unsigned flags;
} known[] = {
#define FIELD(id, name, flags) {FIELD_##id, name, flags},
#include "cache/http/fields.def"
#undef FIELD
};

enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]) };

static void test_lookup_knows_every_row(void **state)
{
	(void)state;
	assert_int_equal(KNOWN_COUNT, FIELD_ID_COUNT - 1);
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		size_t n = strlen(known[i].name);
		char *name = malloc(n);

		for (int style = 0; style < 3; style++) {
			for (size_t k = 0; k < n; k++) {
				char c = known[i].name[k];
				bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

				if (letter && style != 2)
					c = (char)(style ? c | 0x20 : c & ~0x20);
				name[k] = c;
			}
			assert_int_equal(http_field_lookup(slice_of(name, n)), known[i].id);
		}
		free(name);
		assert_true(slice_eq(http_field_name(known[i].id), slice_str(known[i].name)));
		assert_int_equal(http_field_flags(known[i].id), known[i].flags);
	}
	assert_int_equal(http_field_name(FIELD_OTHER).n, 0);
	assert_int_equal(http_field_flags(FIELD_OTHER), 0);
}

/* Any change of a byte but for its case, and any byte more or less, is another name. */
static void test_lookup_takes_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		size_t n = strlen(known[i].name);
		char name[64];

		for (size_t k = 0; k < n; k++) {
			for (int c = 0; c < 256; c++) {
				enum http_field_id wanted = FIELD_OTHER;

				memcpy(name, known[i].name, n);
				name[k] = (char)c;
				for (size_t j = 0; j < KNOWN_COUNT; j++) {
					if (slice_ieq(slice_of(name, n), slice_str(known[j].name)))
						wanted = known[j].id;
				}
				assert_int_equal(http_field_lookup(slice_of(name, n)), wanted);
			}
		}
		memcpy(name, known[i].name, n);
		name[n] = 's';
		assert_int_equal(http_field_lookup(slice_of(name, n + 1)), FIELD_OTHER);
	}
	assert_int_equal(http_field_lookup(SLICE("")), FIELD_OTHER);
	assert_int_equal(http_field_lookup(slice_of(NULL, 0)), FIELD_OTHER);
	assert_int_equal(http_field_lookup(SLICE("Cache-Contro")), FIELD_OTHER);
	assert_int_equal(http_field_lookup(SLICE("X-Forwarded-For")), FIELD_OTHER);
	assert_int_equal(http_field_lookup(SLICE("a-very-long-name-that-nobody-has-ever-heard-of"
						 "-and-nobody-ever-will")),
			 FIELD_OTHER);
}

static void test_tokens(void **state)
{
	static const char extra[] = "!#$%&'*+-.^_`|~";

	(void)state;
	for (int c = 0; c < 256; c++) {
		bool wanted = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			      (c >= 'A' && c <= 'Z') || (c && strchr(extra, c));

		assert_int_equal(http_is_tchar((unsigned char)c), wanted);
	}
	assert_true(http_is_token(SLICE("Cache-Control")));
	assert_true(http_is_token(SLICE("a")));
	assert_false(http_is_token(SLICE("")));
	assert_false(http_is_token(SLICE("a b")));
	assert_false(http_is_token(SLICE("a:")));
	assert_false(http_is_token(slice_of("a\0", 2)));
	assert_false(http_is_token(SLICE("\xc3\xa9")));
}

static void test_add_and_find(void **state)
{
	struct head head;
	const struct http_field *line;

	(void)state;
	head_init(&head);
	assert_null(http_fields_first(&head.fields, FIELD_VARY));
	add(&head, "X-One", "1");
	add(&head, "vary", "a");
	add(&head, "ETag", "\"x\"");
	add(&head, "VARY", "b");
	add(&head, "x-one", "2");

	assert_int_equal(head.fields.count, 5);
	assert_true(head.fields.present == ((uint64_t)1 << FIELD_VARY | (uint64_t)1 << FIELD_ETAG));
	assert_true(http_may_be_repeated(&head.fields, FIELD_VARY));
	assert_false(http_may_be_repeated(&head.fields, FIELD_ETAG));
	assert_false(http_may_be_repeated(&head.fields, FIELD_DATE));
	assert_true(http_may_be_repeated(&head.fields, FIELD_OTHER));
	assert_true(http_has_field(&head.fields, FIELD_VARY));
	assert_false(http_has_field(&head.fields, FIELD_DATE));
	assert_int_equal(head.lines[0].id, FIELD_OTHER);
	assert_false(head.lines[1].nominated);

	line = http_fields_first(&head.fields, FIELD_VARY);
	assert_ptr_equal(line, &head.lines[1]);
	line = http_fields_next(&head.fields, line);
	assert_ptr_equal(line, &head.lines[3]);
	assert_null(http_fields_next(&head.fields, line));
	assert_int_equal(http_fields_lines(&head.fields, FIELD_VARY), 2);
	assert_int_equal(http_fields_lines(&head.fields, FIELD_ETAG), 1);
	assert_int_equal(http_fields_lines(&head.fields, FIELD_DATE), 0);

	assert_ptr_equal(http_fields_named(&head.fields, SLICE("X-ONE")), &head.lines[0]);
	assert_ptr_equal(http_fields_named(&head.fields, SLICE("Vary")), &head.lines[1]);
	assert_null(http_fields_named(&head.fields, SLICE("X-Two")));
	assert_null(http_fields_named(&head.fields, SLICE("Date")));
	assert_null(http_fields_named(&head.fields, SLICE("")));

	/* what is behind the last line is none */
	head.fields.count = 3;
	assert_null(http_fields_next(&head.fields, &head.lines[1]));
	assert_int_equal(http_fields_lines(&head.fields, FIELD_VARY), 1);
	head.fields.count = 0;
	assert_null(http_fields_named(&head.fields, SLICE("X-One")));
}

/* Several fields of several lines, one after the other. */
/* Lines of bytes that are somewhere else now: views of the copy, and nothing of the rest is changed. */
static void test_move(void **state)
{
	static const char bytes[] = "X-One: 1\r\nVary: abc\r\n";
	char copy[sizeof(bytes)];
	struct http_field moved[3] = {
		{.name = SLICE("left")}, {.name = SLICE("left")}, {.name = SLICE("left")}};
	struct head head;

	(void)state;
	memcpy(copy, bytes, sizeof(bytes));
	head_init(&head);
	assert_true(http_fields_add(&head.fields, slice_of(bytes, 5), slice_of(bytes + 7, 1)));
	assert_true(
		http_fields_add(&head.fields, slice_of(bytes + 10, 4), slice_of(bytes + 16, 3)));
	head.lines[0].nominated = true;
	http_fields_move(moved, &head.fields, bytes, copy);
	for (size_t i = 0; i < 2; i++) {
		const struct http_field *line = &head.lines[i];

		assert_ptr_equal(moved[i].name.p, copy + (line->name.p - bytes));
		assert_ptr_equal(moved[i].value.p, copy + (line->value.p - bytes));
		assert_int_equal(moved[i].name.n, line->name.n);
		assert_int_equal(moved[i].value.n, line->value.n);
		assert_int_equal(moved[i].id, line->id);
		assert_int_equal(moved[i].nominated, line->nominated);
	}
	assert_true(slice_eq(moved[2].name, SLICE("left")));
}

static void test_each_may_be_repeated(void **state)
{
	struct head head;

	(void)state;
	head_init(&head);
	add(&head, "Vary", "a");
	add(&head, "Vary", "b");
	add(&head, "ETag", "\"a\"");
	add(&head, "Date", "x");
	add(&head, "Date", "y");
	add(&head, "Vary", "c");
	assert_int_equal(http_fields_lines(&head.fields, FIELD_VARY), 3);
	assert_int_equal(http_fields_lines(&head.fields, FIELD_DATE), 2);
	assert_int_equal(http_fields_lines(&head.fields, FIELD_ETAG), 1);
	assert_true(head.fields.repeated ==
		    ((uint64_t)1 << FIELD_VARY | (uint64_t)1 << FIELD_DATE));
	guarded_end();
}

static void test_add_has_a_limit(void **state)
{
	struct head head;

	(void)state;
	head_init(&head);
	head.fields.capacity = 2;
	add(&head, "A", "1");
	add(&head, "B", "2");
	assert_false(http_fields_add(&head.fields, SLICE("Vary"), SLICE("x")));
	assert_int_equal(head.fields.count, 2);
	assert_false(http_has_field(&head.fields, FIELD_VARY));
}

/* Lists with their members, as "value": members joined by '|'; '\n' between lines. */
static void test_lists(void **state)
{
	static const struct {
		const char *value;
		const char *members;
		bool broken;
	} rows[] = {
		{"", "", false},
		{"a", "a", false},
		{"a,b", "a|b", false},
		{" a , b ", "a|b", false},
		{"a\t,\tb", "a|b", false},
		{",, a,, ,b,", "a|b", false},
		{",", "", false},
		{" , , ", "", false},
		{"a b", "a b", false},
		{"a\nb", "a|b", false},
		{"a,\n,b\n\nc", "a|b|c", false},
		{"x=\"a,b\", c", "x=\"a,b\"|c", false},
		{"\"a\\\",b\",c", "\"a\\\",b\"|c", false},
		{"\"a\\\\\",b", "\"a\\\\\"|b", false},
		{"\"\",b", "\"\"|b", false},
		{"a\"b,c\"d,e", "a\"b,c\"d|e", false},
		{"W/\"1\", \"2\"", "W/\"1\"|\"2\"", false},
		{"a, \"b, c", "a|\"b, c", true},
		{"\"", "\"", true},
		{"\"a\\\"", "\"a\\\"", true},
		{"\"a\\", "\"a\\", true},
		{"\"a\nb\"", "\"a|b\"", true}, /* a string does not go on in the next line */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char found[128] = "", values[128];
		struct head head;
		struct http_list list;
		struct slice member;
		char *value = values, *next;

		head_init(&head);
		strcpy(values, rows[i].value);
		for (; value; value = next) {
			next = strchr(value, '\n');
			if (next != NULL)
				*next++ = 0;
			add(&head, "Vary", value);
			add(&head, "X-Else", "no");
		}
		list = http_list_of(&head.fields, FIELD_VARY);
		while (http_list_next(&list, &member)) {
			if (found[0])
				strcat(found, "|");
			strncat(found, member.p, member.n);
		}
		assert_string_equal(found, rows[i].members);
		assert_int_equal(list.broken, rows[i].broken);
		assert_false(http_list_next(&list, &member));
	}
}

static void test_list_has(void **state)
{
	struct head head;

	(void)state;
	head_init(&head);
	add(&head, "Vary", "Accept, \"x, Quoted\"");
	add(&head, "Vary", "foo,*");
	assert_true(http_list_has(&head.fields, FIELD_VARY, SLICE("*")));
	assert_true(http_list_has(&head.fields, FIELD_VARY, SLICE("ACCEPT")));
	assert_false(http_list_has(&head.fields, FIELD_VARY, SLICE("quoted\"")));
	assert_false(http_list_has(&head.fields, FIELD_VARY, SLICE("fo")));
	assert_false(http_list_has(&head.fields, FIELD_CONNECTION, SLICE("close")));
}

/* Names of Vary in the order of keys; "-" where they cannot be compared. */
static void test_vary_names(void **state)
{
	static const struct {
		const char *first, *second, *names;
	} rows[] = {
		{"", "", ""},
		{"a", "", "a"},
		{"b, a", "", "a|b"},
		{"bb, a, c, aa", "", "a|c|aa|bb"},
		{"ccc, bb, a", "Aa", "a|Aa|bb|ccc"},
		{"a, A, a", "b, B, a", "a|b"},
		{"accept-b, Accept-A", "ACCEPT-C, accept-a", "Accept-A|accept-b|ACCEPT-C"},
		{"b, a, b, c, a, c", "", "a|b|c"},
		{"*", "", "-"},
		{"a, *", "", "-"},
		{"a", "*", "-"},
		{"a b", "", "-"},
		{"\"a", "", "-"},
		{"p,o,n,m,l,k,j,i,h,g,f,e,d,c,b,a", "", "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p"},
		{"p,o,n,m,l,k,j,i,h,g,f,e,d,c,b,a", "A, p", "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p"},
		{"p,o,n,m,l,k,j,i,h,g,f,e,d,c,b,a", "q", "-"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice names[HTTP_VARY_NAMES_MAX];
		unsigned count = 99;
		char found[256] = "";
		struct head head;

		head_init(&head);
		add(&head, "Vary", rows[i].first);
		add(&head, "Vary", rows[i].second);
		if (http_vary_names(&head.fields, names, &count)) {
			for (unsigned k = 0; k < count; k++) {
				strcat(found, k > 0 ? "|" : "");
				strncat(found, names[k].p, names[k].n);
			}
		} else {
			strcpy(found, "-");
		}
		assert_string_equal(found, rows[i].names);
		guarded_end();
	}
}

/* So many members that sorting them would be work, though they are few names. */
static void test_vary_has_a_limit(void **state)
{
	struct slice names[HTTP_VARY_NAMES_MAX];
	char value[512];
	unsigned count;

	(void)state;
	for (size_t members = 63; members <= 65; members++) {
		struct head head;

		for (size_t i = 0; i < members; i++)
			memcpy(value + 2 * i, i % 2 ? "a," : "b,", 2);
		value[2 * members - 1] = '\0';
		head_init(&head);
		add(&head, "Vary", value);
		assert_int_equal(http_vary_names(&head.fields, names, &count), members <= 64);
		guarded_end();
	}
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static void test_order_of_names(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} rows[] = {
		{"", "", 0},   {"", "a", -1},   {"a", "A", 0},    {"a", "b", -1},
		{"Z", "a", 1}, {"b", "aa", -1}, {"ab", "AC", -1}, {"abc", "abC", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice a = guarded_str(rows[i].a), b = guarded_str(rows[i].b);

		assert_int_equal(sign(http_name_compare(a, b)), rows[i].order);
		assert_int_equal(sign(http_name_compare(b, a)), -rows[i].order);
	}
	guarded_end();
}

/* One hash for all cases, another for a change of any byte or length, from one byte to several words. */
static void test_hash_of_names(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 33; n++) {
		char text[40];
		uint32_t hash;

		for (size_t i = 0; i < n; i++)
			text[i] = (char)('a' + i % 26);
		hash = http_name_hash(guarded(slice_of(text, n)));
		assert_int_not_equal(hash, 0);
		for (size_t i = 0; i < n; i++) {
			text[i] ^= 0x20;
			assert_int_equal(http_name_hash(guarded(slice_of(text, n))), hash);
			for (int bit = 0; bit < 8; bit++) {
				text[i] ^= (char)(1 << bit);
				if (bit != 5)
					assert_int_not_equal(
						http_name_hash(guarded(slice_of(text, n))), hash);
				text[i] ^= (char)(1 << bit);
			}
		}
		text[n] = 'x';
		assert_int_not_equal(http_name_hash(guarded(slice_of(text, n + 1))), hash);
		guarded_end();
	}
}

/* The first line, and the only option. */
static void test_nominate_the_first(void **state)
{
	struct head head;

	(void)state;
	head_init(&head);
	add(&head, "X-First", "1");
	add(&head, "Connection", "x-first");
	add(&head, "X-Last", "1");
	http_fields_nominate(&head.fields);
	assert_true(head.lines[0].nominated);
	assert_false(head.lines[2].nominated);
	head_init(&head);
	add(&head, "User-Agent", "1");
	add(&head, "Connection", "user-agent");
	http_fields_nominate(&head.fields);
	assert_true(head.lines[0].nominated);
	assert_int_equal(head.lines[0].id, FIELD_OTHER);
	assert_false(http_has_field(&head.fields, FIELD_USER_AGENT));
	guarded_end();
}

static void test_nominate(void **state)
{
	static const struct {
		const char *name;
		bool nominated;
		bool hop;
	} rows[] = {
		{"Connection", false, true},
		{"X-Secret", true, true},
		{"x-other", true, true},
		{"X-Free", false, false},
		{"User-Agent", true, true}, /* known, not needed */
		{"Set-Cookie", true, true},
		{"Authorization", false, false}, /* needed: the option is ignored */
		{"Cache-Control", false, false},
		{"Via", false, false},
		{"Host", false, true},
		{"Content-Length", false, true},
		{"Transfer-Encoding", false, true},
		{"Keep-Alive", true, true},
		{"Proxy-Authorization", false, true},
		{"Upgrade", false, true},
		{"Date", false, false},
		{"X-SECRET", true, true},
	};
	struct head head;

	(void)state;
	head_init(&head);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		add(&head, rows[i].name, "x");
	head.lines[0].value = SLICE("close, x-secret,, Keep-Alive ,User-Agent, set-cookie");
	add(&head, "connection", "X-Other, Authorization, Cache-Control, Via, Host");
	add(&head, "Connection", "Content-Length, Transfer-Encoding, X-Absent, X-Fre, X-Freee");
	http_fields_nominate(&head.fields);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (head.lines[i].nominated != rows[i].nominated)
			fail_msg("%s nominated", rows[i].name);
		if (http_field_is_hop(&head.lines[i]) != rows[i].hop)
			fail_msg("%s hop", rows[i].name);
	}
	/* What does not travel on is not there for the rules, by id or by name; but what is of the
	   connection is. */
	assert_false(http_has_field(&head.fields, FIELD_USER_AGENT));
	assert_null(http_fields_first(&head.fields, FIELD_SET_COOKIE));
	assert_null(http_fields_named(&head.fields, SLICE("User-Agent")));
	assert_null(http_fields_named(&head.fields, SLICE("X-Secret")));
	assert_non_null(http_fields_named(&head.fields, SLICE("X-Free")));
	assert_true(http_has_field(&head.fields, FIELD_KEEP_ALIVE));
	assert_true(http_has_field(&head.fields, FIELD_AUTHORIZATION));
	assert_int_equal(http_fields_lines(&head.fields, FIELD_CONNECTION), 3);
}

/* Options are tokens: no quote hides one from us that others may see (HAZARDS H1). */
static void test_quotes_hide_no_option(void **state)
{
	static const char *const values[] = {
		"\"x, X-Secret, close",
		"X-Secret, \"x\\\", close",
		"\"x\" y, close, X-Secret,\"",
		",\", ,close ,x-secret",
	};
	struct head head;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		head_init(&head);
		add(&head, "Connection", values[i]);
		add(&head, "X-Secret", "1");
		add(&head, "X", "1");
		http_fields_nominate(&head.fields);
		assert_true(head.lines[1].nominated);
		assert_false(head.lines[2].nominated);
		assert_true(http_connection_has(&head.fields, SLICE("Close")));
		assert_false(http_connection_has(&head.fields, SLICE("x")));
	}
	head_init(&head);
	assert_false(http_connection_has(&head.fields, SLICE("close")));
	add(&head, "Connection", "");
	add(&head, "Connection", ", ,");
	add(&head, "Connection", "closed");
	assert_false(http_connection_has(&head.fields, SLICE("close")));
	assert_false(http_connection_has(&head.fields, SLICE("")));
	add(&head, "connection", "a,close");
	assert_true(http_connection_has(&head.fields, SLICE("close")));
}

static void test_nominate_without_connection(void **state)
{
	struct head head;

	(void)state;
	head_init(&head);
	add(&head, "Keep-Alive", "x");
	add(&head, "X-A", "x");
	http_fields_nominate(&head.fields);
	assert_true(http_field_is_hop(&head.lines[0]));
	assert_false(http_field_is_hop(&head.lines[1]));
}

/* `count` options that name no known field, then X-Last. */
static void nominate_many(struct head *head, char *value, unsigned count)
{
	size_t n = 0;

	head_init(head);
	for (unsigned i = 0; i < count; i++)
		n += (size_t)sprintf(value + n, "x%u,", i);
	strcpy(value + n, "X-Last");
	add(head, "Connection", value);
	add(head, "X-Last", "1");
	add(head, "X-Unnamed", "1");
	add(head, "User-Agent", "1");
	http_fields_nominate(&head->fields);
}

static void test_nominate_has_a_limit(void **state)
{
	char value[1024];
	struct head head;

	(void)state;
	nominate_many(&head, value, 62);
	assert_true(head.lines[1].nominated);
	assert_false(head.lines[2].nominated);
	nominate_many(&head, value, 63);
	assert_true(head.lines[1].nominated);
	assert_false(head.lines[2].nominated);
	nominate_many(&head, value, 64);
	assert_true(head.lines[1].nominated);
	assert_true(head.lines[2].nominated); /* too many to tell: all unknown ones stay here */
	assert_false(head.lines[3].nominated);
}

/* The copy is compared after what it was made from is gone. */
static void test_copy_request(void **state)
{
	char *target = strdup("http://Example.com:81/a?b");
	char *name = strdup("Vary"), *value = strdup("x, y"), *method = strdup("FROB");
	struct http_request req = {.method = METHOD_OTHER, .keep_alive = true, .content_length = 7};
	struct http_request copy;
	struct head head;
	size_t size;
	void *memory;

	(void)state;
	head_init(&head);
	req.method_name = slice_str(method);
	req.target = slice_str(target);
	assert_int_equal(http_uri_parse_absolute(req.target, &req.uri), URI_OK);
	add(&head, name, value);
	add(&head, "X-Empty", "");
	req.fields = head.fields;

	size = http_request_copy_size(&req);
	assert_int_equal(size, 2 * sizeof(struct http_field) + 4 + 4 + 7 + 0 + 4 + 25);
	memory = malloc(size);
	http_request_copy(&copy, &req, memory);
	memset(&head, 0xff, sizeof(head));
	free(target), free(name), free(value), free(method);

	assert_int_equal(copy.method, METHOD_OTHER);
	assert_true(copy.keep_alive);
	assert_int_equal(copy.content_length, 7);
	assert_true(slice_eq(copy.method_name, SLICE("FROB")));
	assert_true(slice_eq(copy.target, SLICE("http://Example.com:81/a?b")));
	assert_true(slice_eq(copy.uri.host, SLICE("Example.com")));
	assert_true(slice_eq(copy.uri.path, SLICE("/a?b")));
	assert_ptr_equal(copy.uri.host.p, copy.target.p + 7);
	assert_int_equal(copy.uri.port, 81);
	assert_int_equal(copy.uri.normal.n, 0);
	assert_int_equal(copy.fields.count, 2);
	assert_int_equal(copy.fields.capacity, 2);
	assert_true(slice_eq(http_fields_first(&copy.fields, FIELD_VARY)->value, SLICE("x, y")));
	assert_true(slice_eq(copy.fields.at[0].name, SLICE("Vary")));
	assert_true(slice_eq(copy.fields.at[1].name, SLICE("X-Empty")));
	for (unsigned i = 0; i < 2; i++) {
		assert_in_range((uintptr_t)copy.fields.at[i].name.p, (uintptr_t)memory,
				(uintptr_t)memory + size);
		assert_in_range((uintptr_t)copy.fields.at[i].value.p, (uintptr_t)memory,
				(uintptr_t)memory + size);
	}
	assert_in_range((uintptr_t)copy.method_name.p, (uintptr_t)memory, (uintptr_t)memory + size);
	assert_true(http_has_field(&copy.fields, FIELD_VARY));
	assert_int_equal(copy.fields.at[1].value.n, 0);
	free(memory);
}

/* The normal form, which is the target, is that of the copy. */
static void test_copy_normal_request(void **state)
{
	struct http_request req = {.target = SLICE("http://example.com/a")};
	struct http_request copy;
	char memory[64];

	(void)state;
	assert_int_equal(http_uri_parse_absolute(req.target, &req.uri), URI_OK);
	assert_ptr_equal(req.uri.normal.p, req.target.p);
	assert_int_equal(http_request_copy_size(&req), req.target.n);
	http_request_copy(&copy, &req, memory);
	assert_ptr_equal(copy.uri.normal.p, copy.target.p);
	assert_int_equal(copy.uri.normal.n, req.target.n);
	assert_ptr_equal(copy.uri.host.p, copy.target.p + 7);
	assert_ptr_equal(copy.uri.path.p, copy.target.p + 18);
}

/* A host that is not part of the target, and nothing at all. */
static void test_copy_odd_requests(void **state)
{
	struct http_request req = {.target = SLICE("/x"), .uri = {.host = SLICE("h")}};
	struct http_request copy;
	char *memory;

	(void)state;
	req.uri.path = req.target;
	assert_int_equal(http_request_copy_size(&req), 3);
	memory = malloc(3);
	http_request_copy(&copy, &req, memory);
	assert_true(slice_eq(copy.uri.host, SLICE("h")));
	assert_true(copy.uri.host.p >= memory && copy.uri.host.p < memory + 3);
	assert_ptr_equal(copy.uri.path.p, copy.target.p);
	free(memory);

	memset(&req, 0, sizeof(req));
	assert_int_equal(http_request_copy_size(&req), 0);
	memory = malloc(1);
	http_request_copy(&copy, &req, memory);
	assert_int_equal(copy.fields.count, 0);
	assert_int_equal(copy.target.n, 0);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup_knows_every_row),
		cmocka_unit_test(test_lookup_takes_no_other),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_add_and_find),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_each_may_be_repeated),
		cmocka_unit_test(test_add_has_a_limit),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_list_has),
		cmocka_unit_test(test_vary_names),
		cmocka_unit_test(test_vary_has_a_limit),
		cmocka_unit_test(test_order_of_names),
		cmocka_unit_test(test_hash_of_names),
		cmocka_unit_test(test_nominate_the_first),
		cmocka_unit_test(test_nominate),
		cmocka_unit_test(test_nominate_without_connection),
		cmocka_unit_test(test_quotes_hide_no_option),
		cmocka_unit_test(test_nominate_has_a_limit),
		cmocka_unit_test(test_copy_request),
		cmocka_unit_test(test_copy_normal_request),
		cmocka_unit_test(test_copy_odd_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
