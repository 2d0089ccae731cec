/* LINKS: cache/http */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cache/http/uri.h"
#include "tests/support/guarded.h"

#define L10 "abcdefghij"
#define L50 L10 L10 L10 L10 L10
#define L63 L50 L10 "abc"

static bool is_bad(enum http_uri_result result)
{
	return result != URI_OK && result != URI_BAD_SCHEME;
}

/* As http_uri_parse_absolute(), of a copy that is not to be read beyond its end. */
static enum http_uri_result parse(const char *target, struct http_uri *ret_uri)
{
	return http_uri_parse_absolute(guarded_str(target), ret_uri);
}

static char *normal_of(const struct http_uri *uri)
{
	static const char room[1024];
	size_t max = http_uri_normal_max(uri);
	char *to = (char *)(uintptr_t)guarded(slice_of(room, max)).p;
	size_t n = http_uri_normal(uri, to);

	assert_true(n <= max);
	return strndup(to, n);
}

/* The parser says that a target is its own normal form exactly when it is, in http with a name. */
static void check_normal(const char *target, const struct http_uri *uri, const char *normal)
{
	bool is_normal = strncmp(target, "http:", 5) == 0 && strcmp(target, normal) == 0 &&
			 uri->host.p[0] != '[';

	assert_int_equal(uri->normal.n > 0, is_normal);
	if (is_normal)
		assert_true(slice_eq(uri->normal, slice_str(normal)));
}

/* What is a number at its end and no dotted quad: an address to some readers (HAZARDS T6). */
static void test_numbers_that_are_no_addresses(void **state)
{
	static const char *const hosts[] = {
		"2852039166",
		"0xA9FEA9FE",
		"0251.0376.0251.0376",
		"169.254.43518",
		"1.2.3",
		"127.1",
		"0",
		"0x",
		"0X",
		"0xg.0x",
		"a.1",
		"a.0x1f",
		"example.com.80",
		"1.2.3.4.5",
		"1.2.3.256",
		"1-2.3.4",
		"1.2x3.4",
		"01.2.3.4",
		"1.2.3.04",
		"1.2.3.00",
		"1.2.3.0x4",
		"0x1.2.3.4",
		"1.2.3.4.",
		"5.",
		"a.5.",
		"_.7",
		"99999999999999999999",
		"1.2.3.1000",
	};
	struct http_uri uri;
	char text[64];

	(void)state;
	assert_false(http_label_is_number(guarded_str("")));
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		snprintf(text, sizeof(text), "http://%s/", hosts[i]);
		if (!is_bad(parse(text, &uri)))
			fail_msg("taken: %s", text);
		snprintf(text, sizeof(text), "http://%s", hosts[i]);
		if (!is_bad(parse(text, &uri)))
			fail_msg("taken: %s", text);
		snprintf(text, sizeof(text), "https://%s:8443", hosts[i]);
		if (!is_bad(parse(text, &uri)))
			fail_msg("taken: %s", text);
		snprintf(text, sizeof(text), "%s:443", hosts[i]);
		if (http_uri_parse_authority(slice_str(text), &uri) != URI_BAD)
			fail_msg("taken: %s", text);
		/* Host is not where a request goes: its grammar counts */
		assert_true(http_host_is_valid(guarded_str(hosts[i])));
	}
}

static void test_good_absolute(void **state)
{
	static const struct {
		const char *target;
		const char *normal;
		const char *authority;
	} rows[] = {
		{"http://example.com/", "http://example.com/", "example.com"},
		{"http://example.com", "http://example.com/", "example.com"},
		{"http://example.com?q=1", "http://example.com/?q=1", "example.com"},
		{"http://example.com/?", "http://example.com/?", "example.com"},
		{"HTTP://EXAMPLE.com:80/Path?Q=A", "http://example.com/Path?Q=A", "example.com"},
		{"hTtP://Example.Com:8080/a", "http://example.com:8080/a", "example.com:8080"},
		{"http://example.com:00080/", "http://example.com/", "example.com"},
		{"http://example.com:443/", "http://example.com:443/", "example.com:443"},
		{"https://example.com:443/", "https://example.com/", "example.com"},
		{"https://example.com:80/", "https://example.com:80/", "example.com:80"},
		{"http://example.com:1/", "http://example.com:1/", "example.com:1"},
		{"http://example.com:65535/", "http://example.com:65535/", "example.com:65535"},
		{"http://example.com./", "http://example.com./", "example.com."},
		/* in its normal form it is as much longer as an address can be */
		{"https://[::ffff:ffff]:65535/", "https://[::255.255.255.255]:65535/",
		 "[::255.255.255.255]:65535"},
		{"http://a_b.example-1.com/", "http://a_b.example-1.com/", "a_b.example-1.com"},
		{"http://127.0.0.1:81/", "http://127.0.0.1:81/", "127.0.0.1:81"},
		{"http://255.0.10.255/", "http://255.0.10.255/", "255.0.10.255"},
		{"http://1.2.3.4.example/", "http://1.2.3.4.example/", "1.2.3.4.example"},
		{"http://1.2.3.4a/", "http://1.2.3.4a/", "1.2.3.4a"},
		{"http://0x7g/", "http://0x7g/", "0x7g"},
		{"http://0xg7/", "http://0xg7/", "0xg7"},
		{"http://[2001:DB8::A]/x", "http://[2001:db8::a]/x", "[2001:db8::a]"},
		{"http://x0/", "http://x0/", "x0"},
		{"http://1-2/", "http://1-2/", "1-2"},
		{"http://" L63 "/", "http://" L63 "/", L63},
		{"http://[::1]/", "http://[::1]/", "[::1]"},
		{"http://[2001:DB8::A]:80/x", "http://[2001:db8::a]/x", "[2001:db8::a]"},
		{"http://[::ffff:1.2.3.4]:8080", "http://[::ffff:1.2.3.4]:8080/",
		 "[::ffff:1.2.3.4]:8080"},
		/* one address in all its spellings (RFC 5952), and no other one */
		{"http://[0:0:0:0:0:0:0:1]/", "http://[::1]/", "[::1]"},
		{"http://[0000:0000:0000:0000:0000:0000:0000:0001]:81/", "http://[::1]:81/",
		 "[::1]:81"},
		{"http://[0::0:1]?q", "http://[::1]/?q", "[::1]"},
		{"https://[0:0::0:0]:443/", "https://[::]/", "[::]"},
		{"http://[2001:DB8:0:0:1:0:0:1]/", "http://[2001:db8::1:0:0:1]/",
		 "[2001:db8::1:0:0:1]"},
		{"http://[2001:db8:0:0:1::1]/", "http://[2001:db8::1:0:0:1]/",
		 "[2001:db8::1:0:0:1]"},
		{"http://[1::3:4:5:6:7:8]/", "http://[1:0:3:4:5:6:7:8]/", "[1:0:3:4:5:6:7:8]"},
		{"http://[1:0:0:2:0:0:0:3]/", "http://[1:0:0:2::3]/", "[1:0:0:2::3]"},
		{"http://[2001:0db8::000A]/", "http://[2001:db8::a]/", "[2001:db8::a]"},
		{"http://[::FFFF:102:304]/", "http://[::ffff:1.2.3.4]/", "[::ffff:1.2.3.4]"},
		{"http://[::1:1]/", "http://[::0.1.0.1]/", "[::0.1.0.1]"},
		{"http://[64:ff9b::1.2.3.4]/", "http://[64:ff9b::102:304]/", "[64:ff9b::102:304]"},
		/* the path is not touched: no decoding, no dot segments, no slashes merged */
		{"http://h/a/../b/./c//d", "http://h/a/../b/./c//d", "h"},
		{"http://h/%7Euser%2f%zz?a=%41&b=[1]", "http://h/%7Euser%2f%zz?a=%41&b=[1]", "h"},
		{"http://h//x@y:z?u=http://i/", "http://h//x@y:z?u=http://i/", "h"},
		{"http://h/!$&'()*+,;=:@-._~", "http://h/!$&'()*+,;=:@-._~", "h"},
		{"http://" L63 "." L63 "." L63 "." L50 L10 "a/",
		 "http://" L63 "." L63 "." L63 "." L50 L10 "a/",
		 L63 "." L63 "." L63 "." L50 L10 "a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_uri uri;
		char authority[URI_HOST_MAX + 6];
		size_t n;
		char *normal;

		if (parse(rows[i].target, &uri) != URI_OK)
			fail_msg("refused: %s", rows[i].target);
		normal = normal_of(&uri);
		assert_string_equal(normal, rows[i].normal);
		check_normal(rows[i].target, &uri, normal);
		n = http_uri_authority(&uri, authority);
		assert_int_equal(n, strlen(rows[i].authority));
		assert_memory_equal(authority, rows[i].authority, n);
		free(normal);
		guarded_end();
	}
}

static void test_parts(void **state)
{
	struct slice target = SLICE("https://Example.com:8443?x");
	struct http_uri uri;

	(void)state;
	assert_int_equal(http_uri_parse_absolute(target, &uri), URI_OK);
	assert_int_equal(uri.scheme, SCHEME_HTTPS);
	assert_true(slice_eq(uri.host, SLICE("Example.com")));
	assert_ptr_equal(uri.host.p, target.p + 8);
	assert_int_equal(uri.port, 8443);
	assert_true(slice_eq(uri.path, SLICE("?x")));
	/* no byte more than the longest form of such a URI */
	assert_int_equal(parse("https://h:65535", &uri), URI_OK);
	assert_int_equal(http_uri_normal_max(&uri), strlen("https://h:65535/"));
	assert_int_equal(parse("http://h", &uri), URI_OK);
	assert_int_equal(uri.port, 80);
	assert_int_equal(uri.path.n, 0);
}

/* Authorities that no form may take; HAZARDS T3. */
static const char *const bad_authorities[] = {
	"",
	":80",
	".",
	"..",
	".a",
	"a..b",
	"a..",
	"user@h",
	"user:pw@h",
	"@h",
	"h@",
	"a@b@c",
	"h:",
	"h:0",
	"h:00000",
	"h:65536",
	"h:99999",
	"h:000080",
	"h:100000",
	"h:8o",
	"h:+80",
	"h:-1",
	"h: 80",
	"h:80:80",
	"h:80x",
	"h:0x50",
	"a b",
	" h",
	"h ",
	"h\t",
	"a\\b",
	"a%41",
	"a%",
	"h,i",
	"h;i",
	"h!",
	"h'",
	"h(",
	"h*",
	"h~",
	"h=",
	"h&i",
	"h$",
	"h\x7f",
	"h\xc3\xa9",
	"\xe2\x84\xaa",
	"h\x01",
	"[",
	"]",
	"[]",
	"[]:80",
	"[::1",
	"::1]",
	"::1",
	"[::1]]",
	"[[::1]]",
	"[::1]x",
	"[::1]80",
	"[::1]:",
	"[::1]:0",
	"[::1].h",
	"h[::1]",
	"[::1%25eth0]",
	"[::1%eth0]",
	"[fe80::1%251]",
	"[v1.a]",
	"[1.2.3.4]",
	"[h]",
	"[:::1]",
	"[1:2:3:4:5:6:7]",
	"[1:2:3:4:5:6:7:8:9]",
	"[::12345]",
	"[::1::2]",
	"[::g]",
	"[ ::1]",
	"[::1 ]",
	"[::ffff:1.2.3.400]",
	"[::ffff:1.2.3]",
	"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
	L63 "x",
	"a." L63 "x.b",
	L63 "." L63 "." L63 "." L50 L10 "ab", /* 254 */
	L63 "." L63 "." L63 "." L63 "." L63,
};

/* What is wrong is said where that helps. */
static void test_faults(void **state)
{
	struct http_uri uri;

	(void)state;
	assert_int_equal(parse("http://h/#f", &uri), URI_FRAGMENT);
	assert_int_equal(parse("https://h#", &uri), URI_FRAGMENT);
	assert_int_equal(parse("http://u@h/", &uri), URI_USERINFO);
	assert_int_equal(parse("HTTPS://u:p@h:1/", &uri), URI_USERINFO);
	assert_int_equal(parse("http://h:x/@", &uri), URI_BAD);
	assert_int_equal(parse("http:u@h", &uri), URI_BAD);
	assert_int_equal(parse("http://@h/", &uri), URI_USERINFO);
	assert_int_equal(parse("http://h@", &uri), URI_USERINFO);
	assert_int_equal(parse("http://", &uri), URI_BAD);
	assert_int_equal(parse("http:/", &uri), URI_BAD);
	assert_int_equal(parse("http:///@", &uri), URI_BAD);
	assert_int_equal(http_uri_parse_authority(SLICE("h"), &uri), URI_NO_PORT);
	assert_int_equal(http_uri_parse_authority(SLICE("[::1]"), &uri), URI_NO_PORT);
}

static void test_bad_absolute(void **state)
{
	static const char *const rows[] = {
		"",
		"/",
		"/path",
		"*",
		"h",
		"//h/",
		"://h/",
		"http",
		"http:",
		"http:/",
		"http:h",
		"http:/h",
		"http:x/h/",
		"http:/xh/",
		"http:///",
		"http:///path",
		"http://?q",
		"http:\\\\h\\",
		"http://h\\x/",
		"http//h/",
		" http://h/",
		"http ://h/",
		"1http://h/",
		"-http://h/",
		"http://h/ ",
		"http://h/#f",
		"http://h#f",
		"http://h/?#",
		"http://h/##",
		"http://h/a b",
		"http://h/\t",
		"http://h/\x7f",
		"http://h/\x01",
		"http://h/\r",
		"http://h/\n",
		"h_t://h/",
		"ftp://h/a b",
	};
	struct http_uri uri;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!is_bad(parse(rows[i], &uri)))
			fail_msg("not bad: %s", rows[i]);
	}
	for (size_t i = 0; i < sizeof(bad_authorities) / sizeof(bad_authorities[0]); i++) {
		char target[512];

		snprintf(target, sizeof(target), "http://%s/", bad_authorities[i]);
		if (!is_bad(parse(target, &uri)))
			fail_msg("not bad: %s", target);
	}
	assert_int_equal(http_uri_parse_absolute(slice_of("http://h\0/", 10), &uri), URI_BAD);
	assert_int_equal(http_uri_parse_absolute(slice_of("http://h/\0", 10), &uri), URI_BAD);
	assert_int_equal(http_uri_parse_absolute(slice_of("http://[::1\0]/", 14), &uri), URI_BAD);
	assert_int_equal(http_uri_parse_absolute(slice_of(NULL, 0), &uri), URI_BAD);
}

static void test_other_schemes(void **state)
{
	static const char *const rows[] = {
		"ftp://h/",   "ws://h/",     "urn:x", "file:///etc/passwd", "javascript:x",
		"httpx://h/", "http+a://h/", "h:80",  "example.com:443",    "gopher://u@h/",
	};
	struct http_uri uri;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (parse(rows[i], &uri) != URI_BAD_SCHEME)
			fail_msg("taken: %s", rows[i]);
	}
}

static void test_authority(void **state)
{
	static const char *const bad[] = {
		"h",      "h:",     "[::1]",   "http://h:80", "h:443/", "/h:443",
		"h:443?", "h:443#", "u@h:443", ":443",        "*",
	};
	struct slice target = SLICE("Example.com:443");
	struct http_uri uri;

	(void)state;
	assert_int_equal(http_uri_parse_authority(target, &uri), URI_OK);
	assert_int_equal(uri.scheme, SCHEME_HTTPS);
	assert_true(slice_eq(uri.host, SLICE("Example.com")));
	assert_int_equal(uri.port, 443);
	assert_int_equal(uri.path.n, 0);
	assert_ptr_equal(uri.path.p, target.p + target.n);
	assert_int_equal(http_uri_parse_authority(SLICE("[2001:db8::1]:8443"), &uri), URI_OK);
	assert_true(slice_eq(uri.host, SLICE("[2001:db8::1]")));
	assert_int_equal(uri.port, 8443);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!is_bad(http_uri_parse_authority(guarded_str(bad[i]), &uri)))
			fail_msg("taken: %s", bad[i]);
	}
	for (size_t i = 0; i < sizeof(bad_authorities) / sizeof(bad_authorities[0]); i++) {
		if (!is_bad(http_uri_parse_authority(guarded_str(bad_authorities[i]), &uri)))
			fail_msg("taken: %s", bad_authorities[i]);
	}
}

static void test_host(void **state)
{
	static const char *const good[] = {
		"h", "H:80", "example.com", "example.com.", "1.2.3.4:65535", "[::1]", "[::1]:1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!http_host_is_valid(guarded_str(good[i])))
			fail_msg("refused: %s", good[i]);
	}
	for (size_t i = 0; i < sizeof(bad_authorities) / sizeof(bad_authorities[0]); i++) {
		if (http_host_is_valid(guarded_str(bad_authorities[i])))
			fail_msg("taken: %s", bad_authorities[i]);
	}
	assert_false(http_host_is_valid(SLICE("h/x")));
	assert_false(http_host_is_valid(SLICE("http://h")));
	assert_false(http_host_is_valid(SLICE("h, i")));
	assert_false(http_host_is_valid(slice_of("h\0", 2)));
}

/* All 256 bytes, one at a time. */
static void test_path_bytes(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char path[3] = {'/', (char)c, 'x'};
		bool wanted = c > 0x20 && c != 0x7f && c != '#';

		if (http_uri_path_is_valid(slice_of(path, sizeof(path))) != wanted)
			fail_msg("byte %02x", (unsigned)c);
	}
	assert_true(http_uri_path_is_valid(SLICE("/")));
	assert_false(http_uri_path_is_valid(SLICE("")));
	assert_false(http_uri_path_is_valid(SLICE("x")));
	assert_false(http_uri_path_is_valid(SLICE("?x")));
	assert_false(http_uri_path_is_valid(SLICE("*")));
}

static void test_resolve(void **state)
{
	static const struct {
		const char *base;
		const char *reference;
		const char *result; /* NULL: refused */
	} rows[] = {
		{"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
		{"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
		{"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
		{"http://a/b/c/d;p?q", "/g", "http://a/g"},
		{"http://a/b/c/d;p?q", "//a", "http://a/"},
		{"http://a/b/c/d;p?q", "//A:80/x", "http://a/x"},
		{"http://a/b/c/d;p?q", "//g", NULL},
		{"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
		{"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
		{"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
		{"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
		{"http://a/b/c/d;p?q", "g?y#s?t#u", "http://a/b/c/g?y"},
		{"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
		{"http://a/b/c/d;p?q", "g;x?y", "http://a/b/c/g;x?y"},
		{"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
		{"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
		{"http://a/b/c/d;p?q", "./", "http://a/b/c/"},
		{"http://a/b/c/d;p?q", "..", "http://a/b/"},
		{"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
		{"http://a/b/c/d;p?q", "../..", "http://a/"},
		{"http://a/b/c/d;p?q", "../../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "../../../../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "/./g", "http://a/g"},
		{"http://a/b/c/d;p?q", "/../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
		{"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
		{"http://a/b/c/d;p?q", "./../g", "http://a/b/g"},
		{"http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h"},
		{"http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h"},
		{"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"},
		{"http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"},
		{"http://a/b/c/d;p?q", "//a/x//../y", "http://a/x/y"},
		{"http://a/b/c/d;p?q", "http:g", NULL},
		{"http://a/b/c/d;p?q", "g:h", NULL},
		{"http://a", "g", "http://a/g"},
		{"http://a?q", "g", "http://a/g"},
		{"http://a?q", "", "http://a/?q"},
		{"http://a?q", "?", "http://a/?"},
		{"http://a/b/../c", "", "http://a/b/../c"},
		{"http://a/b/../c", "?x", "http://a/b/../c?x"},
		{"http://a/b/../c", "d", "http://a/d"},
		{"http://a/b?x/y", "d", "http://a/d"},
		/* same origin, whatever its spelling */
		{"http://Example.com:80/", "HTTP://EXAMPLE.COM/X", "http://example.com/X"},
		{"http://example.com/", "http://example.com:80", "http://example.com/"},
		{"http://example.com:8080/", "//example.com:8080/x?y",
		 "http://example.com:8080/x?y"},
		{"https://example.com/", "https://example.com:443/", "https://example.com/"},
		{"http://[::1]/", "//[::1]/x", "http://[::1]/x"},
		{"http://[::1]/", "//[0:0::1]:80/x", "http://[::1]/x"},
		{"http://[0:0::1]/", "x", "http://[::1]/x"},
		/* another origin */
		{"http://example.com/", "https://example.com/", NULL},
		{"http://example.com/", "http://example.com:8080/", NULL},
		{"http://example.com:8080/", "http://example.com/", NULL},
		{"http://example.com/", "http://www.example.com/", NULL},
		{"http://example.com/", "http://example.com./", NULL},
		{"http://example.com/", "//other/", NULL},
		{"http://[::ffff:1.2.3.4]/", "http://1.2.3.4/", NULL},
		{"http://[::1]/", "//[::2]/", NULL},
		{"http://[::1]/", "//a/", NULL},
		{"http://example.com/", "ftp://example.com/", NULL},
		/* malformed */
		{"http://a/", "http://u@a/", NULL},
		{"http://a/", "//a:0/", NULL},
		{"http://a/", "//", NULL},
		{"http://a/", "///x", NULL},
		{"http://a/", "/a b", NULL},
		{"http://a/", "/\x7f", NULL},
		{"http://a/", "\x7f", NULL},
		{"http://a/", " b", NULL},
		{"http://a/", "/\xc3\xa9", "http://a/\xc3\xa9"},
		{"http://a/", "\\x", "http://a/\\x"},
	};
	char to[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice reference = guarded_str(rows[i].reference);
		struct http_uri base;
		size_t n = 0;
		bool ok;

		assert_int_equal(parse(rows[i].base, &base), URI_OK);
		ok = http_uri_resolve_same_origin(&base, reference, to, sizeof(to), &n);
		if (ok != !!rows[i].result)
			fail_msg("%s + %s: %s", rows[i].base, rows[i].reference,
				 ok ? "taken" : "refused");
		if (ok && !slice_eq(slice_of(to, n), slice_str(rows[i].result)))
			fail_msg("%s + %s: %.*s", rows[i].base, rows[i].reference, (int)n, to);
		guarded_end();
	}
}

static void test_resolve_fits(void **state)
{
	struct http_uri base;
	size_t n;

	(void)state;
	assert_int_equal(parse("http://a/b/c", &base), URI_OK);
	for (size_t size = 0; size < 20; size++) {
		static const char room[20];
		char *to = (char *)(uintptr_t)guarded(slice_of(room, size)).p;
		bool ok = http_uri_resolve_same_origin(&base, SLICE("defg?h"), to, size, &n);

		assert_int_equal(ok, size >= strlen("http://a/b/defg?h"));
	}
}

static void a_reference_may_be_to_the_uri_itself(void **state)
{
	static const struct {
		const char *uri, *reference;
		bool same;
	} cases[] = {
		{"http://h/a/b?c", "http://h/a/b?c", true},
		{"http://H:80/a/b?c", "/a/b?c", true},
		{"http://h/a/b?c", "b?c", true},
		{"http://h/a/b?c", "?c", true},
		{"http://h/a/b?c", "../a/./b?c", true},
		{"http://h", "/", true},
		{"http://h", "//H", true},
		{"http://h/a/../b", "http://h/b", false},
		{"http://h/a/b?c", "b", false},
		{"http://h/a/b?c", "http://h:81/a/b?c", false},
		{"http://h/a/b?c", "https://h/a/b?c", false},
		{"http://h/a", "a b", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_uri uri;

		assert_int_equal(parse(cases[i].uri, &uri), URI_OK);
		assert_int_equal(http_uri_refers_to(&uri, slice_str(cases[i].reference)),
				 cases[i].same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_absolute),
		cmocka_unit_test(test_numbers_that_are_no_addresses),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_bad_absolute),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_other_schemes),
		cmocka_unit_test(test_authority),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_path_bytes),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_resolve_fits),
		cmocka_unit_test(a_reference_may_be_to_the_uri_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
