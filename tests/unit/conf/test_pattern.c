/* LINKS: conf */
/* Paths in the spellings that origins may make of them, and whether they fit one with stars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/pattern.h"

static void test_forms(void **state)
{
	static const struct {
		const char *path, *decoded, *folded, *merged, *plain, *late;
	} rows[] = {
		{"/", "/", "/", "/", "/", "/"},
		{"/a/b?c", "/a/b?c", "/a/b?c", "/a/b?c", "/a/b?c", "/a/b?c"},
		{"/a%2fb", "/a/b", "/a/b", "/a/b", "/a/b", "/a/b"},
		{"/%61%2E?%62%2f", "/a.?b/", "/a.?b/", "/a.?b/", "/a.?b/", "/a.?b/"},
		{"/%6", "/%6", "/%6", "/%6", "/%6", "/%6"},
		{"/%6g%g6%", "/%6g%g6%", "/%6g%g6%", "/%6g%g6%", "/%6g%g6%", "/%6g%g6%"},
		{"/a/./b", "/a/./b", "/a/b", "/a/./b", "/a/b", "/a/b"},
		{"/a/../b", "/a/../b", "/b", "/a/../b", "/b", "/b"},
		{"/a/..", "/a/..", "/", "/a/..", "/", "/"},
		{"/a/b/..", "/a/b/..", "/a/", "/a/b/..", "/a/", "/a/"},
		{"/a/.", "/a/.", "/a/", "/a/.", "/a/", "/a/"},
		{"/..", "/..", "/", "/..", "/", "/"},
		{"/../../a", "/../../a", "/a", "/../../a", "/a", "/a"},
		{"/a/...", "/a/...", "/a/...", "/a/...", "/a/...", "/a/..."},
		{"/a/.b/..c", "/a/.b/..c", "/a/.b/..c", "/a/.b/..c", "/a/.b/..c", "/a/.b/..c"},
		{"/a//b", "/a//b", "/a//b", "/a/b", "/a/b", "/a//b"},
		{"//a///", "//a///", "//a///", "/a/", "/a/", "//a///"},
		{"/a/%2e%2e/b", "/a/../b", "/b", "/a/../b", "/b", "/b"},
		{"/a/..%2fb", "/a/../b", "/b", "/a/../b", "/b", "/a/../b"},
		{"/a/b?/../c", "/a/b?/../c", "/a/b?/../c", "/a/b?/../c", "/a/b?/../c",
		 "/a/b?/../c"},
		{"/a/..?b", "/a/..?b", "/?b", "/a/..?b", "/?b", "/?b"},
		{"/a%01b", "/a\1b", "/a\1b", "/a\1b", "/a\1b", "/a\1b"},
		{"/a%01/../b%01%2fc", "/a\1/../b\1/c", "/b\1/c", "/a\1/../b\1/c", "/b\1/c",
		 "/b\1/c"},
		{"/a/%2E./b", "/a/../b", "/b", "/a/../b", "/b", "/b"},
		{"/a/b%2f/%2e", "/a/b//.", "/a/b//", "/a/b/.", "/a/b/", "/a/b//"},
		{"/a/%252e%252e/b", "/a/%2e%2e/b", "/a/%2e%2e/b", "/a/%2e%2e/b", "/a/%2e%2e/b",
		 "/a/%2e%2e/b"},
		{"/a%252fb", "/a%2fb", "/a%2fb", "/a%2fb", "/a%2fb", "/a%2fb"},
		{"/%%32f%2", "/%2f%2", "/%2f%2", "/%2f%2", "/%2f%2", "/%2f%2"},
		{"*", "*", "*", "*", "*", "*"},
	};
	static const enum pattern_form forms[] = {PATTERN_DECODED, PATTERN_FOLDED, PATTERN_MERGED,
						  PATTERN_PLAIN,
						  PATTERN_FOLDED | PATTERN_LATE_SLASH};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *expected[] = {rows[i].decoded, rows[i].folded, rows[i].merged,
					  rows[i].plain, rows[i].late};
		struct slice path = slice_str(rows[i].path);
		char to[64];

		for (size_t j = 0; j < sizeof(forms) / sizeof(forms[0]); j++) {
			size_t n = pattern_path_in(forms[j], path, to);

			if (!slice_eq(slice_of(to, n), slice_str(expected[j])))
				fail_msg("%s in form %zu is %.*s", rows[i].path, j, (int)n, to);
		}
		assert_true(slice_eq(slice_of(to, pattern_plain_path(path, to)),
				     slice_str(rows[i].plain)));
	}
}

/* Those that need no look at their forms; others may be the same in each, too. */
static void test_plain(void **state)
{
	static const char *const plain[] = {"/", "/a/b", "/a.b/c.", "/a?b//c/../.", "/a?/./", "*"};
	static const char *const other[] = {"//",    "/.",     "/a/./b", "/a//b",
					    "/a%41", "/a?%41", "/.?"};

	(void)state;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		char to[64];

		assert_true(pattern_path_is_plain(slice_str(plain[i])));
		assert_int_equal(pattern_plain_path(slice_str(plain[i]), to), strlen(plain[i]));
		assert_memory_equal(to, plain[i], strlen(plain[i]));
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_false(pattern_path_is_plain(slice_str(other[i])));
}

static void test_fits(void **state)
{
	static const struct {
		const char *path, *text;
		bool fits;
	} rows[] = {
		{"/a", "/a", true},        {"/a", "/ab", false},      {"/ab", "/a", false},
		{"/a*", "/a", true},       {"/a*", "/a/b?c", true},   {"/a*", "/", false},
		{"/a*", "/b", false},      {"*", "", true},           {"*c", "abc", true},
		{"*c", "cab", false},      {"/a*c", "/abc", true},    {"/a*c", "/ac", true},
		{"/a*c", "/a", false},     {"/ab*ba", "/aba", false}, {"/ab*ba", "/abba", true},
		{"/*b*d", "/abcd", true},  {"/*b*d", "/acbd", true},  {"/*b*d", "/acd", false},
		{"/*b*b", "/b", false},    {"/*b*b", "/bb", true},    {"/**x", "/x", true},
		{"/*ab*", "/aab", true},   {"/*ab*ab", "/ab", false}, {"/*?x=1*", "/a?x=12", true},
		{"/*a*a*a", "/aa", false}, {"/*a*a*a", "/aaa", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (pattern_path_fits(rows[i].path, slice_str(rows[i].text)) != rows[i].fits)
			fail_msg("%s and %s", rows[i].path, rows[i].text);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *host, *normal;
	} rows[] = {
		{"[::1]", "[::1]"},
		{"[2001:DB8:0::0001]", "[2001:db8::1]"},
		{"[::ffff:192.0.2.1]", "192.0.2.1"},
		{"[0:0:0:0:0:ffff:c000:0201]", "192.0.2.1"},
		{"[]", NULL},
		{"[::1", NULL},
		{"::1]", NULL},
		{"[192.0.2.1]", NULL},
		{"[1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8]", NULL},
		{"a", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char to[PATTERN_HOST];
		size_t n = 0;

		if (pattern_host_normal(slice_str(rows[i].host), to, &n) !=
		    (rows[i].normal != NULL))
			fail_msg("%s", rows[i].host);
		if (rows[i].normal != NULL)
			assert_true(slice_eq(slice_of(to, n), slice_str(rows[i].normal)));
	}
	assert_false(
		pattern_host_normal(slice_of("[::1\0]", 6), (char[PATTERN_HOST]){0}, &(size_t){0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
