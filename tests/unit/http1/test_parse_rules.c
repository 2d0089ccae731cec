/* LINKS: proxy/http1 */
/* Which rule a request that was parsed has, with and without the memory of the origin that was asked for last. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "conf/rules.h"
#include "proxy/http1/parse.h"
#include "tests/support/guarded.h"
#include "tests/support/test_conf.h"

static struct conf *conf;
static struct parse_memo *memo;

/* The name of the rule of a request line; "" for none. */
static const char *rule_of(const char *line, struct parse_memo *with)
{
	static struct http_field lines[PARSE_FIELDS_MAX];
	struct http_request req = {.fields = {.at = lines, .capacity = PARSE_FIELDS_MAX}};
	struct parse_progress progress = {0};
	struct parsed parsed;
	char head[300];

	snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: h\r\n\r\n", line);
	if (parse_request(guarded_str(head), conf, with, &progress, &req, &parsed) != PARSE_DONE)
		fail_msg("failure %d: %s", parsed.failure, line);
	guarded_end();
	return req.rule != NULL ? req.rule->name : "";
}

static void test_the_rule_of_a_request(void **state)
{
	static const struct {
		const char *line, *rule;
	} rows[] = {
		{"GET http://hosta/", "a"},
		{"GET http://hostb/", "b"},
		{"GET http://hosta/x", "a"},
		{"GET http://hostb/x", "b"},
		{"GET http://hosta:81/", ""},
		{"GET http://hostc/", ""},
		{"GET https://hosta/", ""},
		{"GET http://hosta/y", "a"},
		{"GET http://path/x/1", "path"},
		{"GET http://path/y/1", ""},
		{"GET http://path/x/1", "path"},
		{"GET http://hosta./", "a"},
		{"GET http://HOSTA/", "a"},
		{"CONNECT hostt:443", "tunnel"},
		{"GET http://hosta/z", "a"},
		{"CONNECT hosta:80", "a"},
		{"GET /", ""},
		{"GET http://hosta/z", "a"},
	};

	(void)state;
	assert_true(test_conf_rules(conf,
				    "rule \"a\" { match = \"http://hosta/*\" ttl = 1m }\n"
				    "rule \"b\" { match = \"http://hostb/*\" ttl = 1m }\n"
				    "rule \"path\" { match = \"path/x/*\" ttl = 1m }\n"
				    "rule \"tunnel\" { match = \"hostt:443/*\" ttl = 1m }\n"));
	for (size_t i = 0; i < 3 * sizeof(rows) / sizeof(*rows); i++) {
		size_t row = i % (sizeof(rows) / sizeof(*rows));

		assert_string_equal(rule_of(rows[row].line, NULL), rows[row].rule);
		assert_string_equal(rule_of(rows[row].line, memo), rows[row].rule);
	}
}

/* What stood in the request before is not what a refused one said. */
static void test_nothing_is_left_of_another(void **state)
{
	static const char *const refused[] = {"\x16\x03", "\r\r", "GET\r\n\r\n", "(\r\n"};
	static const struct conf_rule rule;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct http_request req = {.method_name = SLICE("OLD"),
					   .target = SLICE("http://old/"),
					   .target_read = true,
					   .rule = &rule};
		struct parse_progress progress = {0};
		struct parsed parsed;

		assert_int_equal(parse_request(guarded_str(refused[i]), conf, NULL, &progress, &req,
					       &parsed),
				 PARSE_FAILED);
		assert_int_equal(req.method_name.n + req.target.n, 0);
		assert_false(req.target_read);
		assert_null(req.rule);
		guarded_end();
	}
}

/* Each target has its own form, whatever that of the one before. */
static void test_the_form_is_of_this_target(void **state)
{
	static const struct {
		const char *head;
		enum http_target form;
	} rows[] = {
		{"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_ABSOLUTE},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_ORIGIN},
		{"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_AUTHORITY},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", TARGET_ASTERISK},
	};
	enum { COUNT = sizeof(rows) / sizeof(*rows) };
	static struct http_field lines[8];
	struct http_request req = {.fields = {.at = lines, .capacity = 8}};

	(void)state;
	for (size_t i = 0; i < COUNT * COUNT * 2; i++) {
		const size_t row = i % 2 == 0 ? i / 2 / COUNT : i / 2 % COUNT;
		struct parse_progress progress = {0};
		struct parsed parsed;

		assert_int_equal(parse_request(guarded_str(rows[row].head), conf, NULL, &progress,
					       &req, &parsed),
				 PARSE_DONE);
		assert_int_equal(req.form, rows[row].form);
		guarded_end();
	}
}

static struct http_uri uri_of(const char *host, uint16_t port, enum http_scheme scheme)
{
	return (struct http_uri){.host = guarded_str(host), .port = port, .scheme = scheme};
}

/* What is remembered is of one host, port and scheme, and of a host that there is room for. */
static void test_the_rule_remembered(void **state)
{
	static const struct conf_rule rule, other;
	const struct conf_rule *found = &other;
	char host[106];

	struct http_uri nothing = {.host = SLICE("")};

	(void)state;
	assert_false(parse_memo_rule(memo, &nothing, &found));
	for (size_t n = 1; n < sizeof(host); n++) {
		struct http_uri uri, next;

		memset(host, 'b', n);
		host[n] = '\0';
		uri = uri_of(host, 80, SCHEME_HTTP);
		assert_false(parse_memo_rule(memo, &uri, &found));
		assert_ptr_equal(found, &other);
		parse_memo_note_rule(memo, &uri, &rule);
		assert_int_equal(parse_memo_rule(memo, &uri, &found), n <= 104);
		assert_ptr_equal(found, n <= 104 ? &rule : &other);
		found = &other;
		next = uri_of(host, 81, SCHEME_HTTP);
		assert_false(parse_memo_rule(memo, &next, &found));
		next = uri_of(host, 80, SCHEME_HTTPS);
		assert_false(parse_memo_rule(memo, &next, &found));
		parse_memo_note_rule(memo, &next, &rule);
		assert_int_equal(parse_memo_rule(memo, &next, &found), n <= 104);
		found = &other;
		assert_false(parse_memo_rule(memo, &uri, &found));
		parse_memo_note_rule(memo, &uri, &rule);
		next = uri_of("", 80, SCHEME_HTTP);
		assert_false(parse_memo_rule(memo, &next, &found));
		host[n - 1] = 'a';
		next = uri_of(host, 80, SCHEME_HTTP);
		assert_false(parse_memo_rule(memo, &next, &found));
		host[n - 1] = 'c';
		next = uri_of(host, 80, SCHEME_HTTP);
		assert_false(parse_memo_rule(memo, &next, &found));
		guarded_end();
	}
}

static int setup(void **state)
{
	(void)state;
	memo = parse_memo_new();
	conf = test_conf_new();
	return memo == NULL;
}

static int teardown(void **state)
{
	(void)state;
	parse_memo_free(memo);
	test_conf_free(conf);
	return 0;
}

#define RULE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE_TEST(test_the_rule_of_a_request),
		RULE_TEST(test_nothing_is_left_of_another),
		RULE_TEST(test_the_form_is_of_this_target),
		RULE_TEST(test_the_rule_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
