/* LINKS: cache/policy */
/*
 * Which rule decides: by the table and by a plain search of the file, for many rules and URIs; and
 * the form that paths are compared in, and keys of long queries.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/policy/rule.h"
#include "tests/support/test_conf.h"

enum { ROUNDS = 300, RULE_COUNT = 40, URIS = 60 };

static uint32_t seed = 1;

static unsigned pick(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % below;
}

static const char *const hosts[] = {"a.test",    "b.a.test", "c.b.a.test", "xa.test",
				    "192.0.2.1", "[::1]",    "test",       "b.test"};
static const char *const ports[] = {"", ":80", ":443", ":8080"};
static const char *const paths[] = {"", "/", "/x", "/x/y", "/x?y", "/%78", "/x/../y", "//x", "?y"};
static const char *const path_patterns[] = {"",   "/",    "/x",   "/x*", "/*y",
					    "/*", "/x?*", "/*x*", "/?y"};

enum { PATHS = sizeof(paths) / sizeof(*paths) };

static void write_pattern(char *to, size_t size)
{
	static const char *const schemes[] = {"", "http://", "https://"};
	const char *host = hosts[pick(8)];
	bool below = pick(3) == 0 && *host >= 'a';

	snprintf(to, size, "%s%s%s%s%s", schemes[pick(3)], below ? "." : "",
		 pick(5) == 0 && !below ? "*" : host, ports[pick(4)], path_patterns[pick(PATHS)]);
}

/* Rules that are wrong together are left out one by one: those of shadowed patterns. */
static struct conf *make_rules(void)
{
	char text[RULE_COUNT * 100] = "", tried[RULE_COUNT * 100];
	int own = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	struct conf *conf = NULL;

	assert_true(own >= 0 && null >= 0);
	dup2(null, STDERR_FILENO);

	for (unsigned i = 0; i < RULE_COUNT; i++) {
		char pattern[80];
		struct conf *more = test_conf_new();
		bool keeps_out = pick(2);

		write_pattern(pattern, sizeof(pattern));
		snprintf(tried, sizeof(tried), "%srule \"%u\" { match = \"%s\" %s }\n", text, i,
			 pattern, keeps_out ? "store = off" : "");
		if (!test_conf_rules(more, tried)) {
			test_conf_free(more);
			continue;
		}
		memcpy(text, tried, sizeof(text));
		if (conf != NULL)
			test_conf_free(conf);
		conf = more;
	}
	dup2(own, STDERR_FILENO);
	close(own);
	close(null);
	return conf;
}

static bool host_fits(const struct pattern *pattern, struct slice host)
{
	struct slice name;

	if (pattern->host == NULL)
		return true;
	name = slice_str(pattern->host);
	if (slice_eq(name, host))
		return true;
	return pattern->below && host.n > name.n && host.p[host.n - name.n - 1] == '.' &&
	       slice_eq(name, slice_of(host.p + host.n - name.n, name.n));
}

static bool fits(const struct conf_rule *rule, const struct pattern *pattern,
		 const struct http_uri *uri)
{
	char plain[64], slashed[64];
	struct slice path;
	bool written, other;

	snprintf(slashed, sizeof(slashed), "%s%.*s",
		 uri->path.n > 0 && *uri->path.p == '/' ? "" : "/", SLICE_ARG(uri->path));
	path = slice_str(slashed);

	if ((pattern->port != 0 && pattern->port != uri->port) ||
	    (pattern->scheme == PATTERN_HTTP && uri->scheme != SCHEME_HTTP) ||
	    (pattern->scheme == PATTERN_HTTPS && uri->scheme != SCHEME_HTTPS) ||
	    !host_fits(pattern, uri->host))
		return false;
	if (pattern->path == NULL)
		return true;
	written = pattern_path_fits(pattern->path, path);
	other = pattern_path_fits(pattern->plain, slice_of(plain, pattern_plain_path(path, plain)));
	if (rule->store)
		return written && other;
	for (unsigned form = PATTERN_DECODED; form <= (PATTERN_PLAIN | PATTERN_LATE_SLASH);
	     form++) {
		size_t n = pattern_path_in(form, path, plain);

		if ((form & PATTERN_PLAIN) != PATTERN_MERGED && form != PATTERN_LATE_SLASH)
			other |= pattern_path_fits(pattern->plain, slice_of(plain, n));
	}
	return written || other;
}

static const struct conf_rule *search(const struct conf_rules *rules, const struct http_uri *uri)
{
	for (uint32_t i = 0; i < rules->count; i++)
		for (size_t j = 0; j < rules->at[i].match.count; j++)
			if (fits(&rules->at[i], &rules->at[i].patterns[j], uri))
				return &rules->at[i];
	return NULL;
}

/* What holds for one path of an origin is said to hold for each. */
static void check_paths(const struct conf *conf, struct http_uri uri, const struct conf_rule *rule)
{
	for (unsigned i = 0; i < PATHS; i++) {
		uri.path = slice_str(paths[i]);
		if (search(conf->rules, &uri) != rule)
			fail_msg("%s is another", paths[i]);
	}
}

static void as_by_a_plain_search(void **state)
{
	unsigned found = 0, for_all = 0;
	bool any_path;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct conf *conf = make_rules();

		for (unsigned i = 0; i < URIS; i++) {
			char text[100];
			struct http_uri uri;
			const struct conf_rule *rule;

			snprintf(text, sizeof(text), "%s://%s%s%s", pick(2) ? "http" : "https",
				 hosts[pick(8)], ports[pick(4)], paths[pick(PATHS)]);
			assert_int_equal(http_uri_parse_absolute(slice_str(text), &uri), URI_OK);
			rule = policy_find_rule(conf->rules, &uri, &any_path);
			if (rule != search(conf->rules, &uri))
				fail_msg("%s: %s", text, rule != NULL ? rule->name : "none");
			if (any_path)
				check_paths(conf, uri, rule);
			for_all += any_path;
			found += rule != NULL;
		}
		test_conf_free(conf);
	}
	assert_true(found > ROUNDS * URIS / 4);
	assert_true(for_all > ROUNDS * URIS / 50 && for_all < ROUNDS * URIS / 2);
}

static void plain_paths(void **state)
{
	static const char *const cases[][2] = {
		{"/", "/"},
		{"/a", "/a"},
		{"//a///b/", "/a/b/"},
		{"/./a/.", "/a/"},
		{"/a/../b", "/b"},
		{"/a/b/..", "/a/"},
		{"/..", "/"},
		{"/../../a", "/a"},
		{"/a/..b/.c/...", "/a/..b/.c/..."},
		{"/%61%2fb", "/a/b"},
		{"/a/%2e%2E/b", "/b"},
		{"/a%2f..%2f..%2fb", "/b"},
		{"/%2561", "/%61"},
		{"/%6", "/%6"},
		{"/%zz%", "/%zz%"},
		{"/a?b//../%63", "/a?b//../c"},
		{"/a%3fb/../c", "/c"},
		{"/a//?x", "/a/?x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct slice path = slice_str(cases[i][0]);
		char plain[64];
		size_t n = pattern_plain_path(path, plain);

		if (!slice_eq(slice_of(plain, n), slice_str(cases[i][1])))
			fail_msg("%s: %.*s", cases[i][0], (int)n, plain);
		if (pattern_path_is_plain(path) && !slice_eq(slice_of(plain, n), path))
			fail_msg("%s is not plain", cases[i][0]);
	}
}

static void other_forms(void **state)
{
	static const struct {
		enum pattern_form form;
		const char *path, *made;
	} cases[] = {
		{PATTERN_DECODED, "/%73ecret/../pub//x/.", "/secret/../pub//x/."},
		{PATTERN_FOLDED, "/secret/x//../../pub", "/secret/pub"},
		{PATTERN_FOLDED, "/a//b/../c", "/a//c"},
		{PATTERN_FOLDED, "/a/./b/.", "/a/b/"},
		{PATTERN_FOLDED, "//..//..", "/"},
		{PATTERN_FOLDED | PATTERN_LATE_SLASH, "/a/b%2fc/../../secret", "/secret"},
		{PATTERN_PLAIN | PATTERN_LATE_SLASH, "/a%2fb//..//secret?%2f", "/secret?/"},
		{PATTERN_PLAIN, "/a%2fb/../secret", "/a/secret"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char made[64];
		size_t n = pattern_path_in(cases[i].form, slice_str(cases[i].path), made);

		if (!slice_eq(slice_of(made, n), slice_str(cases[i].made)))
			fail_msg("%s: %.*s", cases[i].path, (int)n, made);
	}
}

static void tunnels(void **state)
{
	static const struct {
		const char *authority, *rule;
	} cases[] = {
		{"a.test:443", "host"},   {"A.test.:443", "host"}, {"b.test:443", "https"},
		{"b.test:80", "http"},    {"b.test:81", NULL},     {"c.test:443", NULL},
		{"d.test:8443", "below"}, {"x.d.test:1", "below"},
	};
	struct conf *conf = test_conf_new();

	(void)state;
	assert_true(test_conf_rules(conf, "rule \"path\" { match = {\"a.test/x*\", \"c.test/\"} }\n"
					  "rule \"host\" { match = \"a.test/*\" }\n"
					  "rule \"https\" { match = \"https://b.test\" }\n"
					  "rule \"http\" { match = \"http://b.test/*\" }\n"
					  "rule \"below\" { match = \".d.test\" }\n"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct http_request req = {.form = TARGET_AUTHORITY};

		assert_int_equal(http_uri_parse_authority(slice_str(cases[i].authority), &req.uri),
				 URI_OK);
		policy_choose_rule(&req, conf);
		if (cases[i].rule == NULL)
			assert_null(req.rule);
		else
			assert_string_equal(req.rule->name, cases[i].rule);
	}
	test_conf_free(conf);
}

/* Without a host there is none to look for, and that holds for no other path. */
static void no_host(void **state)
{
	struct conf *conf = test_conf_new();
	struct http_uri uri = {0};
	bool any_path = true;

	(void)state;
	assert_true(test_conf_rules(conf, "rule \"a\" { match = \"*/*\" ttl = 1m }\n"));
	assert_null(policy_find_rule(conf->rules, &uri, &any_path));
	assert_false(any_path);
	/* an address that is none stays as it is written */
	uri = (struct http_uri){.host = SLICE("[::x]"), .port = 80, .path = SLICE("/")};
	assert_ptr_equal(policy_find_rule(conf->rules, &uri, &any_path), &conf->rules->at[0]);
	test_conf_free(conf);
}

/* Longer than any target that the parser lets in, and with another spelling: no rule. */
static void long_paths(void **state)
{
	enum { MOST = (32 << 10) + 7 };
	static char text[MOST + 32];
	struct conf *conf = test_conf_new();

	(void)state;
	assert_true(test_conf_rules(conf, "rule \"a\" { match = a.test ttl = 1m }\n"));
	for (size_t n = MOST - 1; n <= MOST + 1; n++) {
		struct http_uri uri;

		memset(text, 'x', sizeof(text));
		memcpy(text, "http://a.test?", 14);
		assert_int_equal(http_uri_parse_absolute(slice_of(text, 13 + n), &uri), URI_OK);
		assert_int_equal(uri.path.n, n);
		assert_int_equal(policy_find_rule(conf->rules, &uri, NULL) != NULL, n <= MOST);
	}
	test_conf_free(conf);
}

/* More parameters than are sorted: left in their order, and still without what is left out. */
static void long_queries(void **state)
{
	struct conf *conf = test_conf_new();
	char uri[4096], key[4096];
	struct slice normal;

	(void)state;
	assert_true(test_conf_rules(
		conf, "rule \"a\" { match = a.test sort_query = on ignore_query = \"u*\" }"));
	for (unsigned count = RULE_PARAMETERS_MAX; count <= RULE_PARAMETERS_MAX + 1; count++) {
		size_t n = (size_t)sprintf(uri, "http://a.test/?z&u1&");
		struct slice made;

		for (unsigned i = 0; i + 1 < count; i++)
			n += (size_t)sprintf(uri + n, "a&");
		uri[--n] = '\0';
		normal = slice_str(uri);
		made = slice_of(key, rule_key_uri(&conf->rules->at[0], normal, key));
		assert_int_equal(made.n, normal.n - 3);
		assert_int_equal(key[15], count <= RULE_PARAMETERS_MAX ? 'a' : 'z');
	}
	test_conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_paths),
		cmocka_unit_test(other_forms),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(no_host),
		cmocka_unit_test(long_paths),
		cmocka_unit_test(long_queries),
		cmocka_unit_test(as_by_a_plain_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
