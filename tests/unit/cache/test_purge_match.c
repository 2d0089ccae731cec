/* LINKS: cache */
/* Which URIs a purge by prefix, host, group or URI concerns. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "cache/purge_match.h"

static struct http_uri parsed(const char *text)
{
	struct http_uri uri;

	assert_int_equal(http_uri_parse_absolute(slice_str(text), &uri), URI_OK);
	return uri;
}

static bool concerns(const struct purge *purge, const char *text)
{
	char normal[2048];
	struct http_uri uri = parsed(text);
	struct slice n = slice_of(normal, http_uri_normal(&uri, normal));
	struct cache_key key = cache_key_of_uri(n);

	return purge_concerns_uri(purge, &key, n);
}

static struct purge prefix(const char *text)
{
	struct purge purge = {0};
	struct http_uri uri = parsed(text);

	assert_true(purge_of_prefix(&uri, &purge));
	return purge;
}

static struct purge host(const char *text)
{
	struct purge purge = {0};

	assert_true(purge_of_host(slice_str(text), &purge));
	return purge;
}

static void a_prefix_is_compared_in_normal_form(void **state)
{
	struct purge purge = prefix("HTTP://A.Example:80/x");

	(void)state;
	assert_true(concerns(&purge, "http://a.example/x"));
	assert_true(concerns(&purge, "http://A.example:80/xy?z"));
	assert_false(concerns(&purge, "http://a.example/X"));
	assert_false(concerns(&purge, "http://a.example:8080/x"));
	assert_false(concerns(&purge, "https://a.example/x"));
	assert_false(concerns(&purge, "http://a.example/"));
}

/* An address in any spelling, and not the IPv4 one within it. */
static void an_ipv6_address_is_compared_in_normal_form(void **state)
{
	struct purge begins = prefix("http://[0:0::0:1]:80/x"), of_host = host("[0:0:0:0::1]");
	struct purge mapped = host("[::ffff:102:304]");

	(void)state;
	assert_true(concerns(&begins, "http://[::1]/x"));
	assert_true(concerns(&begins, "http://[0000::1]/xy"));
	assert_false(concerns(&begins, "http://[::2]/x"));
	assert_true(concerns(&of_host, "http://[::1]:8080/"));
	assert_true(concerns(&mapped, "http://[::ffff:1.2.3.4]/"));
	assert_false(concerns(&mapped, "http://1.2.3.4/"));
}

/* http://a is not http://ab, nor http://a:8080. */
static void a_prefix_without_path_is_of_one_origin(void **state)
{
	struct purge purge = prefix("http://a");

	(void)state;
	assert_true(concerns(&purge, "http://a/"));
	assert_true(concerns(&purge, "http://a?b"));
	assert_false(concerns(&purge, "http://ab/"));
	assert_false(concerns(&purge, "http://a:8080/"));
	assert_false(concerns(&purge, "http://a.b/"));
}

static void a_prefix_may_end_anywhere_in_the_path(void **state)
{
	struct purge purge = prefix("http://a/b%2");

	(void)state;
	assert_true(concerns(&purge, "http://a/b%2Fc"));
	assert_true(concerns(&purge, "http://a/b%2fc"));
	assert_true(concerns(&purge, "http://a/b%2"));
	assert_false(concerns(&purge, "http://a/b%3F"));
	purge = prefix("http://a/?q=");
	assert_true(concerns(&purge, "http://a/?q=1"));
	assert_true(concerns(&purge, "http://a?q=1"));
	assert_false(concerns(&purge, "http://a/?r=1"));
}

/* No parser lets such a host pass; a group of it would be one of no origin. */
static void a_group_has_an_origin(void **state)
{
	char name[URI_HOST_MAX + 40];
	struct http_uri uri = parsed("http://a/");
	struct purge purge = {0};

	(void)state;
	memset(name, 'a', sizeof(name));
	assert_true(purge_of_group(&uri, SLICE("g"), &purge));
	uri.host = slice_of(name, URI_HOST_MAX);
	assert_true(purge_of_group(&uri, SLICE("g"), &purge));
	uri.host = slice_of(name, sizeof(name));
	assert_false(purge_of_group(&uri, SLICE("g"), &purge));
}

static void a_prefix_has_a_bound(void **state)
{
	char text[PURGE_TEXT_MAX + 16] = "http://a/";
	struct purge purge = {0};
	struct http_uri uri;

	(void)state;
	memset(text + 9, 'x', sizeof(text) - 10);
	uri = parsed(text);
	assert_false(purge_of_prefix(&uri, &purge));
	text[1000] = '\0';
	purge = prefix(text);
	assert_int_equal(purge.text_n, 1000);
	strcat(text, "y");
	assert_true(concerns(&purge, text));
	text[999] = 'z';
	assert_false(concerns(&purge, text));
}

static void a_host_is_all_its_ports_and_schemes(void **state)
{
	struct purge purge = host("A.example");

	(void)state;
	assert_true(concerns(&purge, "http://a.example/"));
	assert_true(concerns(&purge, "https://a.example/x"));
	assert_true(concerns(&purge, "http://a.example:8080/x"));
	assert_true(concerns(&purge, "http://a.example./x"));
	assert_false(concerns(&purge, "http://b.a.example/"));
	assert_false(concerns(&purge, "http://a.example.org/"));
	assert_false(concerns(&purge, "http://b/?a.example/"));
	purge = host("a.example.");
	assert_true(concerns(&purge, "http://a.example/"));
	assert_true(concerns(&purge, "http://a.example.:81/"));
}

static void a_host_with_a_port_is_of_that_port(void **state)
{
	struct purge purge = host("a:80");

	(void)state;
	assert_true(concerns(&purge, "http://a/"));
	assert_true(concerns(&purge, "https://a:80/"));
	assert_false(concerns(&purge, "https://a/"));
	assert_false(concerns(&purge, "http://a:8080/"));
	purge = host("a:443");
	assert_true(concerns(&purge, "https://a/"));
	assert_true(concerns(&purge, "http://a:443/"));
	assert_false(concerns(&purge, "http://a/"));
}

static void addresses_are_hosts(void **state)
{
	struct purge purge = host("[::1]:8080");

	(void)state;
	assert_true(concerns(&purge, "http://[::1]:8080/"));
	assert_false(concerns(&purge, "http://[::1]/"));
	purge = host("[::1]");
	assert_true(concerns(&purge, "http://[::1]:8080/"));
	assert_true(concerns(&purge, "http://[::1]/"));
	assert_false(concerns(&purge, "http://[::11]/"));
	purge = host("127.0.0.1:81");
	assert_true(concerns(&purge, "http://127.0.0.1:81/"));
	assert_false(concerns(&purge, "http://127.0.0.1:811/"));
}

static void what_is_no_host_is_refused(void **state)
{
	static const char *const wrong[] = {"",         "a b", "a/",   "a:",  "a:0",     "a:65536",
					    "http://a", "a@b", "[::1", "::1", "a:80:80", "."};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct purge purge = {0};

		if (purge_of_host(slice_str(wrong[i]), &purge))
			fail_msg("taken for a host: %s", wrong[i]);
	}
}

static void a_uri_is_itself_alone(void **state)
{
	struct purge purge = {0};
	struct http_uri uri = parsed("HTTP://A:80");

	(void)state;
	assert_true(purge_of_uri(&(struct conf){0}, &uri, &purge));
	assert_true(concerns(&purge, "http://a/"));
	assert_false(concerns(&purge, "http://a/b"));
	assert_false(concerns(&purge, "http://a/?"));
}

/* A group is of an origin; of a host it is of both schemes. */
static void groups_have_origins(void **state)
{
	struct cache_key http = cache_key_of_group(SLICE("http://a"), SLICE("g 1"));
	struct cache_key https = cache_key_of_group(SLICE("https://a"), SLICE("g 1"));
	struct cache_key other = cache_key_of_group(SLICE("http://b"), SLICE("g 1"));
	struct cache_key at = cache_key_of_group(SLICE("https://a:80"), SLICE("g 1"));
	struct http_uri uri = parsed("http://A:80/x?y");
	struct purge purge = {0};

	(void)state;
	assert_true(purge_of_group(&uri, SLICE("g 1"), &purge));
	assert_true(purge_has_key(&purge, &http));
	assert_false(purge_has_key(&purge, &https));
	assert_false(purge_has_key(&purge, &other));
	assert_false(concerns(&purge, "http://a/x"));
	assert_true(slice_eq(purge_group_origin(&purge), SLICE("http://a")));
	assert_true(slice_eq(purge_group_name(&purge), SLICE("g 1")));
	purge = (struct purge){0};
	assert_true(purge_of_group_at(SLICE("A"), SLICE("g 1"), &purge));
	assert_true(purge_has_key(&purge, &http));
	assert_true(purge_has_key(&purge, &https));
	assert_false(purge_has_key(&purge, &at));
	purge = (struct purge){0};
	assert_true(purge_of_group_at(SLICE("A:80"), SLICE("g 1"), &purge));
	assert_true(purge_has_key(&purge, &http));
	assert_true(purge_has_key(&purge, &at));
	assert_false(purge_of_group_at(SLICE("a/b"), SLICE("g"), &purge));
	assert_false(purge_of_group_at(SLICE("a?b"), SLICE("g"), &purge));
	assert_false(purge_of_group_at(SLICE("a"), SLICE(""), &purge));
}

/* In fields they are strings: with escapes, and of printable ASCII. */
static void groups_are_named_without_escapes(void **state)
{
	struct cache_key odd = cache_key_of_group(SLICE("http://a"), SLICE("g\\\"\\\\"));
	struct http_uri uri = parsed("http://a/b");
	struct purge purge = {0};

	(void)state;
	assert_true(purge_of_group(&uri, SLICE("g\"\\"), &purge));
	assert_true(purge_has_key(&purge, &odd));
	assert_true(slice_eq(purge_group_name(&purge), SLICE("g\"\\")));
	purge = (struct purge){0};
	assert_true(purge_of_group_at(SLICE("a"), SLICE("g\"\\"), &purge));
	assert_true(purge_has_key(&purge, &odd));
	/* The line feed is the name of all groups of an origin together (groups.h). */
	assert_false(purge_of_group(&uri, SLICE("\n"), &purge));
	assert_false(purge_of_group_at(SLICE("a"), SLICE("\n"), &purge));
	assert_false(purge_of_group(&uri, SLICE("\xc3\xa4"), &purge));
	assert_false(purge_of_group(&uri, SLICE("a\x7f"), &purge));
}

/* What comes of a file that somebody changed, or of a caller's mistake, concerns nothing and is read to its end only. */
static void what_is_no_uri_is_not_concerned(void **state)
{
	static const char *const wrong[] = {"", "http", "https", "http://", "https://", "http:/"};
	struct purge of_host = host("a"), empty = {.kind = PURGE_HOST};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct slice text = slice_str(wrong[i]);
		struct cache_key key = cache_key_of_uri(text);

		assert_false(purge_concerns_uri(&of_host, &key, text));
		assert_false(purge_concerns_uri(&empty, &key, text));
	}
	assert_true(purge_concerns_uri(&of_host, &(struct cache_key){0}, SLICE("http://a")));
	assert_true(purge_concerns_uri(&of_host, &(struct cache_key){0}, SLICE("https://a:1")));
	assert_false(purge_concerns_uri(&of_host, &(struct cache_key){0}, SLICE("http://ab")));
	assert_true(slice_eq(purge_group_origin(&empty), SLICE("")));
	assert_true(slice_eq(purge_group_name(&empty), SLICE("")));
	empty.text_n = (uint32_t)(sizeof("http://a ") - 1);
	memcpy(empty.text, "http://a ", empty.text_n);
	assert_true(slice_eq(purge_group_origin(&empty), SLICE("http://a")));
	assert_true(slice_eq(purge_group_name(&empty), SLICE("")));
	empty.text_n--;
	assert_true(slice_eq(purge_group_origin(&empty), SLICE("http://a")));
	assert_true(slice_eq(purge_group_name(&empty), SLICE("")));
}

/* The longest name with a port is taken, a longer one is not; what people are shown is cut. */
static void a_group_at_a_host_has_bounds(void **state)
{
	enum { LONGEST = 253, WITH_PORT = LONGEST + 6 };
	char at[URI_HOST_MAX + 16], name[PURGE_TEXT_MAX + 16];
	struct purge purge = {0};
	struct cache_key key;

	(void)state;
	memset(at, 'a', sizeof(at));
	for (size_t i = URI_LABEL_MAX; i < LONGEST; i += URI_LABEL_MAX + 1)
		at[i] = '.';
	for (size_t n = LONGEST + 1; n < sizeof(at); n++)
		assert_false(purge_of_group_at(slice_of(at, n), SLICE("g"), &purge));
	memcpy(at + LONGEST, ":65535", 6);
	assert_true(purge_of_group_at(slice_of(at, WITH_PORT), SLICE("g"), &purge));
	assert_int_equal(purge_group_origin(&purge).n, WITH_PORT);
	assert_true(slice_eq(purge_group_name(&purge), SLICE("g")));
	purge = (struct purge){0};
	assert_true(purge_of_host(slice_of(at, WITH_PORT), &purge));
	assert_int_equal(purge.text_n, LONGEST);
	assert_int_equal(purge.port, 65535);
	purge = (struct purge){0};
	memset(name, 'n', sizeof(name));
	key = cache_key_of_group(SLICE("http://a"), slice_of(name, sizeof(name)));
	assert_true(purge_of_group_at(SLICE("a"), slice_of(name, sizeof(name)), &purge));
	assert_true(purge_has_key(&purge, &key));
	assert_int_equal(purge_text(&purge).n, PURGE_TEXT_MAX);
	assert_true(slice_eq(purge_group_origin(&purge), SLICE("a")));
	assert_int_equal(purge_group_name(&purge).n, PURGE_TEXT_MAX - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_is_compared_in_normal_form),
		cmocka_unit_test(an_ipv6_address_is_compared_in_normal_form),
		cmocka_unit_test(a_prefix_without_path_is_of_one_origin),
		cmocka_unit_test(a_prefix_may_end_anywhere_in_the_path),
		cmocka_unit_test(a_prefix_has_a_bound),
		cmocka_unit_test(a_group_has_an_origin),
		cmocka_unit_test(a_host_is_all_its_ports_and_schemes),
		cmocka_unit_test(a_host_with_a_port_is_of_that_port),
		cmocka_unit_test(addresses_are_hosts),
		cmocka_unit_test(what_is_no_host_is_refused),
		cmocka_unit_test(a_uri_is_itself_alone),
		cmocka_unit_test(groups_have_origins),
		cmocka_unit_test(groups_are_named_without_escapes),
		cmocka_unit_test(what_is_no_uri_is_not_concerned),
		cmocka_unit_test(a_group_at_a_host_has_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
