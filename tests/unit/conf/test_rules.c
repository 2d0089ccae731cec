/* LINKS: conf */
/* Rules as an operator writes them: what is taken, what is said to what is not, and limits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/rules.h"
#include "tests/support/test_conf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* Loads a text as a file; what was said, without the name of the file, replaces *ret_errors. */
static struct conf *load(const char *text, char **ret_errors)
{
	char path[64];
	size_t size;
	FILE *errors;
	struct conf *conf;
	int fd = memfd_create("conf", MFD_CLOEXEC);

	free(*ret_errors);
	errors = open_memstream(ret_errors, &size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	conf = conf_load(path, NULL, 0, errors);
	fclose(errors);
	close(fd);
	for (char *at = *ret_errors; (at = strstr(at, path)) != NULL;)
		memmove(at, at + strlen(path) + 1, strlen(at + strlen(path)));
	return conf;
}

/* A rule that collapses does so for as long as all do, or for the usual time where they do not. */
static void collapsing(void **state)
{
	static const struct {
		const char *text;
		int64_t timeout_ms;
	} rows[] = {
		{"collapse_timeout = 7s rule a { match = a.example collapse = on }", 7000},
		{"collapse_timeout = 0 rule a { match = a.example collapse = on }", 10000},
		{"collapse_timeout = 7s rule a { match = a.example collapse = off }", 0},
	};
	char *errors = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *conf = load(rows[i].text, &errors);

		assert_string_equal(errors, "");
		assert_int_equal(conf->rules->at[0].options.collapse_timeout_ms,
				 rows[i].timeout_ms);
		assert_int_equal(conf->rules->at[0].options.collapse_cold_timeout_ms,
				 rows[i].timeout_ms);
		conf_free(conf);
	}
	free(errors);
}

static uint32_t tag_of(const char *text)
{
	char *errors = NULL;
	struct conf *conf = load(text, &errors);
	uint32_t tag;

	assert_string_equal(errors, "");
	tag = conf->rules->at[0].query_tag;
	conf_free(conf);
	free(errors);
	return tag;
}

/* What is stored by a rule is found by the same one after a reload, and by no other. */
static void query_tags(void **state)
{
	static const char *const texts[] = {
		"rule a { match = a.example ignore_query = x }",
		"rule b { match = a.example ignore_query = x }",
		"rule a { match = b.example ignore_query = x }",
		"rule a { match = a.example ignore_query = y }",
		"rule a { match = a.example ignore_query = {x, y} }",
		"rule a { match = {a.example, x} ignore_query = y }",
		"rule a { match = a.example sort_query = on }",
		"rule a { match = a.example ignore_query = x sort_query = on }",
	};

	(void)state;
	assert_int_equal(tag_of("rule a { match = a.example ttl = 1h }"), 0);
	assert_int_equal(tag_of("rule a { match = a.example sort_query = off }"), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint32_t tag = tag_of(texts[i]);

		assert_true(tag != 0);
		assert_int_equal(tag, tag_of(texts[i]));
		for (size_t j = 0; j < i; j++)
			if (tag == tag_of(texts[j]))
				fail_msg("%s and %s", texts[i], texts[j]);
	}
}

static void taken(void **state)
{
	static const char text[] =
		"rule \"a\" { match = \"a.example\" ttl = 1h  store=on }\n"
		"rule b {match={\"b.example\", # comment\n 'http://c.example/*?x=1,2{}'\n,};\n"
		"  stale_while_revalidate\t=\n10m;max_ttl = 5s ;collapse = off; }\n"
		"workers = 2 rule \"c d\" /* { */ {\n match = d.example\n parent = DIRECT\n}\n"
		"rule 'e' { match = e.example parent = 'http://u:p%7D@parent:1/' }\n"
		"max_ttl = 7s\n";
	char *errors = NULL, *first, *second;
	struct conf *conf = load(text, &errors), *again;
	const struct conf_rule *rules;

	(void)state;
	assert_string_equal(errors, "");
	assert_non_null(conf);
	assert_int_equal(conf->workers, 2);
	assert_int_equal(conf->rules->count, 4);
	rules = conf->rules->at;
	assert_string_equal(rules[0].name, "a");
	assert_int_equal(rules[0].line, 1);
	assert_int_equal(rules[0].options.default_ttl_ms, 3600000);
	assert_int_equal(rules[0].options.heuristic_percent, 0);
	assert_int_equal(rules[0].options.max_ttl_ms, 7000);
	assert_int_equal(rules[1].match.count, 2);
	assert_string_equal(rules[1].match.at[1], "http://c.example/*?x=1,2{}");
	assert_int_equal(rules[1].stale_while_revalidate_ms, 600000);
	assert_int_equal(rules[1].options.max_ttl_ms, 5000);
	assert_int_equal(rules[1].options.collapse_timeout_ms, 0);
	assert_string_equal(rules[2].name, "c d");
	assert_true(rule_goes_direct(&rules[2]));
	assert_int_equal(rules[2].line, 7);
	assert_string_equal(rules[3].parent, "http://u:p%7D@parent:1");
	first = test_conf_dump(conf);
	assert_non_null(strstr(first, "password of the parent proxy"));
	again = load(first, &errors);
	assert_string_equal(errors, "");
	second = test_conf_dump(again);
	assert_string_equal(first, second);
	free(first);
	free(second);
	free(errors);
	conf_free(conf);
	conf_free(again);
}

static void refused(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"rule \"a\" { }", "1: rule \"a\": no match; say which URIs it is for"},
		{"rule { match = a.example }", "1: rule: no name; use rule \"name\""},
		{"rule \"\" { match = a.example }", "1: rule: its name has 1 to 64 bytes"},
		{"rule \"a$\" { match = a.example }", "1: rule: its name has a control character"},
		{"rule \"a\"\nmatch = a.example", "1: rule: no { behind its name"},
		{"rule \"a\" { match = a.example\nworkers = 1\n", "2: workers: no option of rules"},
		{"rule \"a\" { match = a.example\n", "1: rule: a { without its }"},
		{"rule \"a\" { match = {a.example\nttl = 1s }", "1: match: a { without its }"},
		{"rule \"a\" { match = {a.example b.example} }", "1: match: no comma between two"},
		{"rule \"a\" { match = {{a.example}} }", "1: match: braces within braces"},
		{"rule \"a\" { match = {} }", "1: rule \"a\": no match"},
		{"rule \"a\" { match = a.example ttl = {1s} }", "1: ttl: no list"},
		{"rule \"a\" { match = a.example ttl }", "1: ttl: no = between name and value"},
		{"rule \"a\" { match = a.example ttl = }", "1: ttl: no value"},
		{"rule \"a\" { match = a.example ttl = 5 }", "1: ttl: 5 is not a duration"},
		{"rule \"a\" { match = a.example ttl = 1500ms }", "ttl has a fraction of a second"},
		{"rule \"a\" { match = a.example force_ttl = 0 }", "force_ttl: 0 is out of bounds"},
		{"rule \"a\" { match = a.example ttl += 5s }", "1: ttl: += is for lists outside"},
		{"rule \"a\" { match = a.example ttl = 1s ttl = 2s }",
		 "1: ttl: set in this rule already"},
		{"rule \"a\" { match = a.example tll = 1s }",
		 "1: tll: no such option of rules; did you"},
		{"rule \"a\" { match = a.example nonsense = 1s }",
		 "1: nonsense: no such option of rules;"},
		{"rule \"a\" { match = a.example = 1s }", "1: rule: name = value belongs there"},
		{"rule \"a\" { match = http://a.example/?a=b }",
		 "1: match: a value with = in it needs"},
		{"rule \"a\" { match = a.example/* }", "1: match: a.example/* needs quotes"},
		{"rule \"a\" { match = \"a\\x41.example\" }", "in double quotes a backslash"},
		{"rule \"a\" { match = a.example } }", "1: }: a } without its {"},
		{"rule \"a\" { match = a.example }\nrule \"a\" { match = b.example }",
		 "2: rule \"a\": a rule of this name is in line 1"},
		{"rule \"a\" { match = A.example }\nrule \"b\" { match = http://a.example./ }",
		 "2: rule \"b\": http://a.example./ never fits, for rule \"a\" in line 1"},
		{"rule \"a\" { match = {a.example, \"a.example:80\"} }", "for this rule \"a\""},
		{"rule \"a\" { match = .a.example }\nrule \"b\" { match = b.a.example }",
		 "2: rule \"b\": b.a.example never fits, for rule \"a\" in line 1"},
		{"rule \"a\" { match = .a.example }\nrule \"b\" { match = {b.example, "
		 ".x.a.example} }",
		 "2: rule \"b\": .x.a.example never fits"},
		{"rule \"a\" { match = \"*/x\" }\nrule \"b\" { match = http://a.example/x }",
		 "2: rule \"b\": http://a.example/x never fits"},
		{"rule \"a\" { match = a.example deny = on ttl = 1s }",
		 "1: rule \"a\": ttl has no effect beside deny = on"},
		{"rule \"a\" { match = a.example store = off max_ttl = 1s }",
		 "max_ttl has no effect beside store = off"},
		{"rule \"a\" { match = a.example ttl = 1s force_ttl = 1s }",
		 "ttl has no effect beside force_ttl"},
		{"rule \"a\" { match = a.example parent = \"\" }",
		 "use none to ask origins directly"},
		{"rule \"a\" { match = a.example parent = parent:1 }",
		 "parent: parent:1 has no scheme"},
		{"rule \"a\" { match = a.example ignore_query = 'a=b' }", "has a = in it"},
		{"rule \"a\" { match = a.example ignore_query = 'a*b' }",
		 "is not the name of a query"},
		{"rule = a", "1: rule: a rule stands in a file, as rule \"name\""},
		{"ttl = 5s", "1: ttl: no such option but in a rule"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *errors = NULL;
		struct conf *conf = load(cases[i].text, &errors);

		if (conf != NULL || strstr(errors, cases[i].said) == NULL)
			fail_msg("%s: %s", cases[i].text, errors);
		free(errors);
	}
}

static void patterns_refused(void **state)
{
	static const struct {
		const char *pattern, *said;
	} cases[] = {
		{"", "has no host"},
		{"/a*", "has no host; use */a* for any"},
		{"*.a.example", "use .a.example for a name and all below it"},
		{"a.*.example", "has no host; begin with"},
		{"^http://a", "regular expression"},
		{"~ /a", "regular expression"},
		{"a.example/\\.png", "regular expression"},
		{"10.0.0.0/8", "is a network"},
		{"fd00::/8", "is a network"},
		{"::1", "has no host"},
		{"[::1", "has no host"},
		{"[fe80::1%25eth0]", "has a zone id"},
		{"ftp://a.example/", "neither of http nor of https"},
		{"http://u@a.example/", "has a user"},
		{"a.example:", "has no port behind the colon"},
		{"a.example:0", "has no port behind the colon"},
		{"a.example:80-90", "has no port behind the colon"},
		{"a.example:65536/", "has no port behind the colon"},
		{"a.example?x", "has a ? behind the host"},
		{"a.example#x", "has a #"},
		{"a.example/x#y", "has a #"},
		{"a.example/x y", "has a space"},
		{"a.example/./x", "has a . or .. segment"},
		{"a.example/x/%2e.", "has a . or .. segment"},
		{"a.example/%2a", "has %2A or %00"},
		{".", "has no host"},
		{"..a.example", "has no host"},
		{"a..example", "has no host"},
		{"1.2.3", "has no host"},
		{"", "\"\" has no host"},
	};
	char text[1200], *errors = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(text, sizeof(text), "rule \"a\" { match = '%s' }", cases[i].pattern);
		for (char *at = text; (at = strchr(at, '\\')) != NULL; at += 2)
			memmove(at + 1, at, strlen(at) + 1);
		if (load(text, &errors) != NULL || strstr(errors, cases[i].said) == NULL)
			fail_msg("%s: %s", cases[i].pattern, errors);
	}
	snprintf(text, sizeof(text), "rule \"a\" { match = \"a.example/%01030d\" }", 0);
	assert_null(load(text, &errors));
	assert_non_null(strstr(errors, "longer than 1024 bytes"));
	free(errors);
}

static void all_are_said(void **state)
{
	char *errors = NULL;

	(void)state;
	assert_null(
		load("rule \"a\" {\n  match = \"^a\"\n  ttl = x\n  store : off\n  max_ttl = 5s\n}\n"
		     "nonsense = 1\nrule \"b\" { match = b.example\nrule \"c\" { tll = 1s }\n",
		     &errors));
	assert_non_null(strstr(errors, "2: match: ^a is a regular"));
	assert_non_null(strstr(errors, "\n3: ttl: x is not a duration"));
	assert_non_null(strstr(errors, "\n4: store: no = between"));
	assert_non_null(strstr(errors, "\n7: nonsense: no such option"));
	assert_non_null(strstr(errors, "\n8: rule: a { without its }"));
	assert_non_null(strstr(errors, "\n9: tll: no such option of rules"));
	free(errors);
}

/* A file of `count` rules with such a pattern, %d the number of the rule. */
static char *many(unsigned count, const char *pattern)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	for (unsigned i = 0; i < count; i++) {
		fprintf(to, "rule \"%u\" { match = \"", i);
		for (const char *c = pattern; *c != '\0'; c++)
			if (*c == '#')
				fprintf(to, "%u", i);
			else
				fputc(*c, to);
		fputs("\" }\n", to);
	}
	fclose(to);
	return text;
}

static void limits(void **state)
{
	static const struct {
		unsigned most;
		const char *pattern, *said;
	} cases[] = {
		{RULE_HOSTLESS_MAX, "*/#", "65: rule \"64\": more than 64 patterns without a host"},
		{RULE_SAME_HOST_MAX, "a.example/#",
		 "257: rule \"256\": more than 256 patterns of the host"},
		{RULES_MAX, "h#.example", "4097: rule: more than 4096 rules"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *errors = NULL, *text = many(cases[i].most, cases[i].pattern);
		struct conf *conf = load(text, &errors);

		assert_string_equal(errors, "");
		assert_int_equal(conf->rules->count, cases[i].most);
		conf_free(conf);
		free(text);
		text = many(cases[i].most + 1, cases[i].pattern);
		assert_null(load(text, &errors));
		if (strstr(errors, cases[i].said) == NULL)
			fail_msg("%s: %s", cases[i].said, errors);
		free(text);
		free(errors);
	}
}

/* As much as a file may have of one sign, within a rule and for one: read in time. */
static void floods(void **state)
{
	static const struct {
		const char *before, *sign, *after;
		bool ok;
	} cases[] = {
		{"rule \"a\" { match = a.example ", ";", " }", true},
		{"rule \"a\" { match = a.example ", "; ", " }", true},
		{"rule \"a\" { match = a.example ", ";x", " }", false},
		{"rule \"a\" { match = a.example ttl = ", "5;", " }", false},
		{"rule \"a\" ", "{", "", false},
		{"rule \"a\" { match = ", "{", "", false},
		{"", "rule ", "", false},
		{"", "rule a {", "", false},
		{"", "rule a { ttl = {", "", false},
		{"rule \"a\" { ", "ttl = ", " }", false},
		{"rule \"a\" { match = a.example ", "ttl = 5s ", " }", false},
		{"rule \"a\" { match = {", "a.example,", "} }", false},
	};
	enum { FLOOD = 400000 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *text = NULL, *errors = NULL;
		size_t size;
		FILE *to = open_memstream(&text, &size);
		struct conf *conf;

		fputs(cases[i].before, to);
		while (fflush(to) == 0 && size < FLOOD)
			for (unsigned n = 0; n < 1000; n++)
				fputs(cases[i].sign, to);
		fputs(cases[i].after, to);
		fclose(to);
		conf = load(text, &errors);
		if ((conf != NULL) != cases[i].ok)
			fail_msg("%s%s: %.200s", cases[i].before, cases[i].sign, errors);
		if (conf != NULL)
			conf_free(conf);
		free(text);
		free(errors);
	}
}

/* One that fits more than those before it has something left to decide. */
static void not_shadowed(void **state)
{
	char *errors = NULL;
	struct conf *conf =
		load("rule \"a\" { match = {a.example, \"c.example:80\"} }\n"
		     "rule \"b\" { match = {.a.example, x.a.example, c.example} }\n"
		     "rule \"c\" { match = {\"*/x\", badc.example, http://a.b.example} }\n"
		     "rule \"d\" { match = {\"*/x*\", .b.example, \"*\"} }\n",
		     &errors);

	(void)state;
	assert_non_null(strstr(errors, "2: rule \"b\": x.a.example never fits, for this rule"));
	assert_null(strchr(strchr(errors, '\n') + 1, '\n'));
	assert_null(conf);
	free(errors);
}

static void described(void **state)
{
	char *errors = NULL, text[RULE_TEXT];
	struct conf *conf =
		load("rule \"a\" { match = a.example ttl = 1h "
		     "parent = \"http://user:secret@p:1\" ignore_query = {a, \"b*\"} }\n",
		     &errors);

	(void)state;
	assert_non_null(conf);
	conf_rule_describe(&conf->rules->at[0], text);
	assert_string_equal(
		text, "ttl = 1h, parent = \"http://...@p:1\", ignore_query = {\"a\", \"b*\"}");
	conf_free(conf);
	free(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collapsing),
		cmocka_unit_test(query_tags),
		cmocka_unit_test(taken),
		cmocka_unit_test(refused),
		cmocka_unit_test(patterns_refused),
		cmocka_unit_test(all_are_said),
		cmocka_unit_test(floods),
		cmocka_unit_test(limits),
		cmocka_unit_test(not_shadowed),
		cmocka_unit_test(described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
