/* LINKS: proxy/http1 -Wl,--wrap=free */
/* Field lines that were read before: when they are recalled, and what for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/http1/parse.h"
#include "tests/support/test_conf.h"

#define FIELDS \
	"Host: a.example\r\nCache-Control: max-age=5\r\nConnection: x-one\r\nX-One: 1\r\n\r\n"

static struct conf *conf;

static const void *last_freed;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	last_freed = memory;
	__real_free(memory);
}

static int setup(void **state)
{
	*state = parse_memo_new();
	conf = test_conf_new();
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	parse_memo_free(*state);
	assert_ptr_equal(last_freed, *state);
	test_conf_free(conf);
	return 0;
}

/* Parse a copy that is gone after: what is left was kept by the memo, or came from it. */
static enum parse_result parse(struct parse_memo *memo, const char *line, const char *fields,
			       struct http_request *req, enum failure *failure)
{
	static struct http_field lines[PARSE_FIELDS_MAX];
	static char bytes[64 * 1024];
	struct parse_progress progress = {0};
	int n = snprintf(bytes, sizeof(bytes), "%s\r\n%s", line, fields);
	struct parsed parsed;
	enum parse_result result;

	*req = (struct http_request){.fields = {.at = lines, .capacity = PARSE_FIELDS_MAX}};
	result = parse_request(slice_of(bytes, (size_t)n), conf, memo, &progress, req, &parsed);
	*failure = parsed.failure;
	return result;
}

/* Whether the fields of a request are the memo's: told by where they are. */
static bool recalls(struct parse_memo *memo, const char *line, const char *fields)
{
	struct http_request first, req;
	enum failure failure;

	assert_int_equal(parse(NULL, line, fields, &first, &failure), PARSE_DONE);
	assert_int_equal(parse(memo, line, fields, &req, &failure), PARSE_DONE);
	assert_int_equal(req.fields.count, first.fields.count);
	assert_int_equal(req.fields.present, first.fields.present);
	assert_int_equal(req.fields.repeated, first.fields.repeated);
	assert_int_equal(req.keep_alive, first.keep_alive);
	assert_int_equal(req.asks_keep_alive, first.asks_keep_alive);
	assert_int_equal(req.expect_continue, first.expect_continue);
	assert_int_equal(req.upgrade, first.upgrade);
	assert_int_equal(req.body, first.body);
	assert_int_equal(req.content_length, first.content_length);
	for (uint32_t i = 0; i < req.fields.count; i++) {
		/* `first` has views of what was parsed last: the same bytes */
		assert_true(slice_eq(req.fields.at[i].name, first.fields.at[i].name));
		assert_true(slice_eq(req.fields.at[i].value, first.fields.at[i].value));
		assert_int_equal(req.fields.at[i].id, first.fields.at[i].id);
		assert_int_equal(req.fields.at[i].nominated, first.fields.at[i].nominated);
	}
	return req.fields.at != first.fields.at;
}

static void test_recalled_from_the_third_time_on(void **state)
{
	assert_false(recalls(*state, "GET http://a.example/1 HTTP/1.1", FIELDS));
	assert_false(recalls(*state, "GET http://a.example/2 HTTP/1.1", FIELDS));
	assert_true(recalls(*state, "GET http://a.example/3 HTTP/1.1", FIELDS));
	assert_true(recalls(*state, "GET http://a.example/4 HTTP/1.1", FIELDS));
}

static void learn(struct parse_memo *memo, const char *line, const char *fields)
{
	recalls(memo, line, fields);
	recalls(memo, line, fields);
	assert_true(recalls(memo, line, fields));
}

static void test_method_and_version_count(void **state)
{
	learn(*state, "GET http://a.example/ HTTP/1.1", FIELDS);
	assert_false(recalls(*state, "GET http://a.example/ HTTP/1.0", FIELDS));
	assert_false(recalls(*state, "HEAD http://a.example/ HTTP/1.1", FIELDS));
	assert_false(recalls(*state, "BREW http://a.example/ HTTP/1.1", FIELDS));
	assert_true(recalls(*state, "GET http://a.example/ HTTP/1.1", FIELDS));
}

static void test_the_wish_of_http_1_0_is_kept(void **state)
{
	learn(*state, "GET http://a.example/ HTTP/1.0", "Connection: keep-alive\r\n\r\n");
}

/* An empty Host is one beside a target with an authority alone. */
static void test_the_form_of_the_target_counts(void **state)
{
	static const char fields[] = "Host: \r\nX-One: 1\r\n\r\n";
	struct http_request req;
	enum failure failure;

	learn(*state, "GET http://a.example/ HTTP/1.1", fields);
	assert_int_equal(parse(*state, "GET / HTTP/1.1", fields, &req, &failure), PARSE_FAILED);
	assert_int_equal(failure, FAILURE_BAD_HOST);
	assert_true(recalls(*state, "GET http://a.example/2 HTTP/1.1", fields));
}

static void test_each_byte_counts(void **state)
{
	char fields[] = FIELDS;

	learn(*state, "GET http://a.example/ HTTP/1.1", FIELDS);
	fields[strlen("Host: a.example\r\nCache-Control: max-age=")] = '6';
	assert_false(recalls(*state, "GET http://a.example/ HTTP/1.1", fields));
}

static void test_the_target_is_judged_anew(void **state)
{
	struct http_request req;
	enum failure failure;

	learn(*state, "GET http://a.example/ HTTP/1.1", FIELDS);
	assert_int_equal(parse(*state, "GET http://a\"b/ HTTP/1.1", FIELDS, &req, &failure),
			 PARSE_FAILED);
	assert_int_equal(failure, FAILURE_BAD_TARGET);
}

static void test_refusals_are_not_kept(void **state)
{
	static const char fields[] = "Host: a.example\r\nBad Name: 1\r\n\r\n";
	struct http_request req;
	enum failure failure;

	for (int i = 0; i < 4; i++)
		assert_int_equal(
			parse(*state, "GET http://a.example/ HTTP/1.1", fields, &req, &failure),
			PARSE_FAILED);
}

/* Field lines of `count` in all, and of `size` bytes in all when that is not 0. */
static const char *fields_of(unsigned count, size_t size)
{
	static char fields[8192];
	size_t n = (size_t)snprintf(fields, sizeof(fields), "Host: a.example\r\n");

	for (unsigned i = 1; i < count; i++)
		n += (size_t)snprintf(fields + n, sizeof(fields) - n, "X-%u: y\r\n", i);
	if (size > 0) {
		n -= 2;
		memset(fields + n, 'z', size - 4 - n);
		n = size - 4;
		n += (size_t)snprintf(fields + n, sizeof(fields) - n, "\r\n");
	}
	snprintf(fields + n, sizeof(fields) - n, "\r\n");
	return fields;
}

static void test_limits(void **state)
{
	const char *line = "GET http://a.example/ HTTP/1.1";
	static const struct {
		unsigned count;
		size_t size;
		bool kept;
	} rows[] = {{23, 0, true},   {24, 0, true},   {25, 0, false},
		    {3, 1023, true}, {3, 1024, true}, {3, 1025, false}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *fields = fields_of(rows[i].count, rows[i].size);

		if (rows[i].size > 0)
			assert_int_equal(strlen(fields), rows[i].size);
		recalls(*state, line, fields);
		recalls(*state, line, fields);
		assert_int_equal(recalls(*state, line, fields), rows[i].kept);
	}
}

/* What is too large takes the place of nothing: not even in a slot that has something. */
static void test_what_is_too_large_leaves_the_rest(void **state)
{
	const char *line = "GET http://a.example/ HTTP/1.1";
	char fields[8192];

	learn(*state, line, FIELDS);
	for (unsigned i = 0; i < 2000; i++) { /* some are of its slot */
		snprintf(fields, sizeof(fields), "X: %u\r\n%.1000s", i, fields_of(25, 0));
		assert_false(recalls(*state, line, fields));
		assert_true(recalls(*state, line, FIELDS));
	}
}

static void test_another_protocol_is_recalled(void **state)
{
	static const char *const fields[] = {
		"Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"Host: a\r\nConnection: x\r\n\r\n"};
	struct http_request req;
	enum failure failure;

	conf->upgrade = true;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(
			parse(*state, "GET http://a/ HTTP/1.1", fields[i % 2], &req, &failure),
			PARSE_DONE);
		assert_int_equal(req.upgrade, i % 2 == 0);
	}
	learn(*state, "GET http://b/ HTTP/1.1", fields[0]);
}

static void test_framing_of_a_body_is_recalled(void **state)
{
	learn(*state, "POST http://a.example/ HTTP/1.1",
	      "Host: a.example\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n");
	learn(*state, "PUT http://a.example/ HTTP/1.1",
	      "Host: a.example\r\nTransfer-Encoding: chunked\r\n\r\n");
	learn(*state, "GET http://a.example/ HTTP/1.1",
	      "Host: a.example\r\nConnection: close\r\n\r\n");
}

static void assert_same_request(const struct http_request *a, const struct http_request *b)
{
	assert_int_equal(a->method, b->method);
	assert_int_equal(a->form, b->form);
	assert_true(slice_eq(a->method_name, b->method_name));
	assert_true(slice_eq(a->target, b->target));
	assert_int_equal(a->uri.scheme, b->uri.scheme);
	assert_int_equal(a->uri.port, b->uri.port);
	assert_true(slice_eq(a->uri.host, b->uri.host));
	assert_true(slice_eq(a->uri.path, b->uri.path));
	assert_true(slice_eq(a->uri.normal, b->uri.normal));
	assert_int_equal(a->version_minor, b->version_minor);
	assert_int_equal(a->keep_alive, b->keep_alive);
	assert_int_equal(a->asks_keep_alive, b->asks_keep_alive);
	assert_int_equal(a->upgrade, b->upgrade);
	assert_int_equal(a->body, b->body);
	assert_int_equal(a->fields.count, b->fields.count);
	for (uint32_t i = 0; i < a->fields.count; i++)
		assert_true(slice_eq(a->fields.at[i].value, b->fields.at[i].value));
}

/* A connection that asks for the same `times` times; returns how many were not parsed. */
static unsigned ask_again(struct parse_memo *memo, const char *head, unsigned times)
{
	static struct http_field lines[2][PARSE_FIELDS_MAX];
	struct parse_progress progress = {0}, alone = {0};
	struct http_request first = {.fields = {.at = lines[0], .capacity = PARSE_FIELDS_MAX}};
	struct parsed first_parsed, parsed;
	unsigned known = 0;

	assert_int_equal(parse_request(slice_str(head), conf, NULL, &alone, &first, &first_parsed),
			 PARSE_DONE);
	for (unsigned i = 0; i < times; i++) {
		struct http_request req = {
			.fields = {.at = lines[1], .capacity = PARSE_FIELDS_MAX}};
		char *copy = strdup(head);

		assert_int_equal(
			parse_request(slice_str(copy), conf, memo, &progress, &req, &parsed),
			PARSE_DONE);
		known += req.target.p != strchr(copy, ' ') + 1;
		assert_int_equal(parsed.consumed, first_parsed.consumed);
		assert_same_request(&req, &first);
		free(copy);
	}
	return known;
}

static void test_the_same_again(void **state)
{
	/* read, kept as fields, recalled, kept as a whole */
	assert_int_equal(ask_again(*state, "GET http://a.example/x?y HTTP/1.1\r\n" FIELDS, 9), 5);
	/* another connection learns what its request is called by asking */
	assert_int_equal(ask_again(*state, "GET http://a.example/x?y HTTP/1.1\r\n" FIELDS, 9), 8);
	assert_int_equal(ask_again(*state, "GET http://a.example/x?z HTTP/1.1\r\n" FIELDS, 9), 7);
	/* what follows is another request */
	assert_int_equal(ask_again(*state, "GET HTTP://A.example HTTP/1.0\r\n\r\nGET", 9), 5);
	assert_int_equal(ask_again(*state, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 9), 5);
	assert_int_equal(ask_again(*state, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 9), 5);
	/* an empty line before it is read each time */
	assert_int_equal(ask_again(*state, "\r\nGET http://a.example/w HTTP/1.1\r\n" FIELDS, 9), 0);
}

static void test_any_hint_is_safe(void **state)
{
	struct http_request req;
	size_t length;

	for (unsigned i = 0; i <= UINT8_MAX; i++) {
		struct parse_hints hints = {.head = (uint8_t)i, .block = (uint8_t)i};

		for (unsigned n = 0; n <= 3; n++) {
			struct slice bytes = slice_of(n == 0 ? NULL : "\r\n\r", n);

			assert_false(parse_memo_again(*state, hints, bytes, &req, &length));
			assert_false(parse_memo_block_again(*state, hints, bytes, &req, &length));
		}
	}
}

/* One connection that asks for this, whole or byte by byte: as without a memo, and after it. */
static void asks(struct parse_memo *memo, struct parse_progress *progress, const char *head,
		 bool in_bytes)
{
	static struct http_field lines[2][PARSE_FIELDS_MAX];
	struct parse_progress alone = {0};
	struct http_request expected = {.fields = {.at = lines[0], .capacity = PARSE_FIELDS_MAX}};
	struct http_request req = {.fields = {.at = lines[1], .capacity = PARSE_FIELDS_MAX}};
	enum parse_result expected_result, result = PARSE_MORE;
	struct parsed expected_parsed = {0}, parsed = {0};
	size_t n = strlen(head);

	expected_result =
		parse_request(slice_of(head, n), conf, NULL, &alone, &expected, &expected_parsed);
	for (size_t i = in_bytes ? 1 : n; i <= n && result == PARSE_MORE; i++)
		result = parse_request(slice_of(head, i), conf, memo, progress, &req, &parsed);
	assert_int_equal(result, expected_result);
	if (result == PARSE_DONE) {
		assert_int_equal(parsed.consumed, expected_parsed.consumed);
		assert_same_request(&req, &expected);
		return;
	}
	assert_int_equal(parsed.failure, expected_parsed.failure);
	*progress = (struct parse_progress){.hints = progress->hints};
}

/* A connection sends the same fields, and then nearly the same, in other requests. */
static void test_fields_of_the_last_request(void **state)
{
	static const char *const heads[] = {
		"GET http://a.example/1 HTTP/1.1\r\n" FIELDS "GET http://a.example/2",
		"\r\nGET http://a.example/2 HTTP/1.1\r\n" FIELDS,
		"HEAD http://a.example/2 HTTP/1.1\r\n" FIELDS,
		"GET http://a.example/2 HTTP/1.0\r\n" FIELDS,
		"CONNECT a.example:80 HTTP/1.1\r\n" FIELDS,
		"GET /2 HTTP/1.1\r\n" FIELDS,
		"GET http://a.example/3 HTTP/1.1\r\n\r\n" FIELDS,
		"GET http://a.example/3 HTTP/1.1\r\n\n" FIELDS,
		"GET http://a.example/3 HTTP/1.1\r\nX: 1\r\n" FIELDS,
		"GET http://a.example/4 HTTP/1.1\n" FIELDS,
		"GET http://a.example/4 HTTP/1.1\r\n " FIELDS,
		"GET http://a\"b/ HTTP/1.1\r\n" FIELDS,
	};
	struct parse_progress progress = {0};

	for (unsigned i = 0; i < 3 * sizeof(heads) / sizeof(heads[0]); i++) {
		for (unsigned again = 0; again < 3; again++)
			asks(*state, &progress, heads[0], false);
		asks(*state, &progress, heads[i / 3], i % 3 == 1);
	}
}

/* They need not be looked for: they are known where the bytes that follow begin with them. */
static void test_the_last_fields_are_known(void **state)
{
	struct parse_progress progress = {0};
	struct http_request req = {
		.method = METHOD_GET, .form = TARGET_ABSOLUTE, .version_minor = 1};
	size_t length = 0;

	for (unsigned again = 0; again < 3; again++)
		asks(*state, &progress, "GET http://a.example/1 HTTP/1.1\r\n" FIELDS, false);
	assert_true(
		parse_memo_block_again(*state, progress.hints, SLICE(FIELDS "GET"), &req, &length));
	assert_int_equal(length, strlen(FIELDS));
	assert_int_equal(req.fields.count, 4);
	assert_false(parse_memo_block_again(*state, progress.hints,
					    slice_of(FIELDS, strlen(FIELDS) - 1), &req, &length));
}

/* An empty Host is taken beside an absolute target alone. */
static void test_fields_of_the_last_request_beside_another_target(void **state)
{
	struct parse_progress progress = {0};

	for (unsigned again = 0; again < 4; again++)
		asks(*state, &progress, "GET http://a.example/ HTTP/1.1\r\nHost:\r\n\r\n", false);
	asks(*state, &progress, "GET / HTTP/1.1\r\nHost:\r\n\r\n", false);
}

static void test_fields_of_the_last_request_in_a_head_that_is_too_large(void **state)
{
	static char head[16 * 1024];
	struct parse_progress progress = {0};
	size_t spare;

	conf->head_size = 2048;
	spare = conf->head_size - strlen(fields_of(4, 1000));
	for (int more = -8; more <= 8; more++) {
		int path = (int)(spare - strlen("GET http://a.example/ HTTP/1.1\r\n")) + more;

		for (unsigned again = 0; again < 4; again++) {
			snprintf(head, sizeof(head), "GET http://a.example/%u HTTP/1.1\r\n%s",
				 again, fields_of(4, 1000));
			asks(*state, &progress, head, false);
		}
		snprintf(head, sizeof(head), "GET http://a.example/%0*u HTTP/1.1\r\n%s", path, 1,
			 fields_of(4, 1000));
		asks(*state, &progress, head, false);
		/* by its line alone */
		snprintf(head, sizeof(head), "GET http://a.example/%0*u HTTP/1.1\r\n%s",
			 (int)conf->head_size + more, 1, fields_of(4, 1000));
		asks(*state, &progress, head, false);
	}
}

/* More blocks than it has room for: newer ones take the place of older ones, none is mistaken. */
static void test_many(void **state)
{
	char fields[128];
	unsigned recalled = 0;

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < 2000; i++) {
			snprintf(fields, sizeof(fields), "Host: a%u.example\r\nX: %u\r\n\r\n", i,
				 i);
			recalled += recalls(*state, "GET http://a.example/ HTTP/1.1", fields);
		}
	}
	for (unsigned i = 0; i < 20; i++) {
		snprintf(fields, sizeof(fields), "Host: b%u.example\r\n\r\n", i);
		learn(*state, "GET http://a.example/ HTTP/1.1", fields);
	}
	assert_true(recalled < 8000);
}

/* The rule of the last origin is remembered: each request has the one it would have without that. */
static void test_the_rule_is_that_of_the_origin(void **state)
{
	static const char *const targets[] = {
		"http://a.example/1",
		"http://a.example/2",
		"http://b.example/1",
		"http://b.example/2",
		"http://a.example/3",
		"http://a.example:8080/",
		"http://a.example:8080/1",
		"http://aa.example/",
		"/path",
		"http://paths.example/x",
		"http://paths.example/y",
		"http://paths.example/x",
		/* names of 104 bytes, and of one more */
		"http://"
		"0123456789012345678901234567890123456789.0123456789012345678901234567890123456789."
		"0123456789012.example./",
		"http://"
		"0123456789012345678901234567890123456789.0123456789012345678901234567890123456789."
		"01234567890123.example./",
		"http://"
		"0123456789012345678901234567890123456789.0123456789012345678901234567890123456789."
		"01234567890123.example./2",
		"http://a.example/4",
		"http://a.example/5",
	};
	const struct conf_rule *rules[sizeof(targets) / sizeof(targets[0])];
	unsigned known = 0; /* after it was read */

	assert_true(test_conf_rules(conf, "rule \"a\" { match = \"a.example:80\" ttl = 1m }\n"
					  "rule \"port\" { match = \"a.example:8080\" ttl = 2m }\n"
					  "rule \"b\" { match = \"b.example\" ttl = 3m }\n"
					  "rule \"x\" { match = \"paths.example/x\" ttl = 4m }\n"));
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct http_request req;
		enum failure failure;
		char line[300], fields[80];

		snprintf(line, sizeof(line), "GET %s HTTP/1.1", targets[i]);
		snprintf(fields, sizeof(fields), "Host: a.example\r\nX: %zu\r\n\r\n", i);
		assert_int_equal(parse(NULL, line, fields, &req, &failure), PARSE_DONE);
		rules[i] = req.rule;
		assert_int_equal(parse(*state, line, fields, &req, &failure), PARSE_DONE);
		if (req.rule != rules[i])
			fail_msg("%s has another rule", targets[i]);
		known +=
			req.form == TARGET_ABSOLUTE && parse_memo_rule(*state, &req.uri, &req.rule);
	}
	assert_int_equal(known, 11);
	assert_non_null(rules[0]);
	assert_ptr_equal(rules[0], rules[1]);
	assert_ptr_not_equal(rules[0], rules[2]);
	assert_ptr_not_equal(rules[0], rules[5]);
	assert_null(rules[7]);
	assert_non_null(rules[9]);
	assert_null(rules[10]);
	assert_ptr_equal(rules[0], rules[15]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_recalled_from_the_third_time_on),
		TEST(test_method_and_version_count),
		TEST(test_the_wish_of_http_1_0_is_kept),
		TEST(test_the_form_of_the_target_counts),
		TEST(test_each_byte_counts),
		TEST(test_the_target_is_judged_anew),
		TEST(test_refusals_are_not_kept),
		TEST(test_limits),
		TEST(test_the_rule_is_that_of_the_origin),
		TEST(test_what_is_too_large_leaves_the_rest),
		TEST(test_another_protocol_is_recalled),
		TEST(test_framing_of_a_body_is_recalled),
		TEST(test_the_same_again),
		TEST(test_any_hint_is_safe),
		TEST(test_fields_of_the_last_request),
		TEST(test_the_last_fields_are_known),
		TEST(test_fields_of_the_last_request_beside_another_target),
		TEST(test_fields_of_the_last_request_in_a_head_that_is_too_large),
		TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
