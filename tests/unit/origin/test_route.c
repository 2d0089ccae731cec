/* LINKS: proxy/origin tests/doubles/counted_memory.c */
/* Routes: which requests go by way of the parent, how, and what is refused on the way there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/diagnostic.h"
#include "conf/rules.h"
#include "proxy/origin/route.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/test_conf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* In place of the C library's, also of its own when it checks lengths: what was overwritten, in all. */
static size_t overwritten;

#undef explicit_bzero
void explicit_bzero(void *p, size_t n)
{
	overwritten += n;
	for (char *at = p; n > 0; n--)
		*at++ = '\0';
}

void __explicit_bzero_chk(void *p, size_t n, size_t room);
void __explicit_bzero_chk(void *p, size_t n, size_t room)
{
	assert_true(n <= room);
	explicit_bzero(p, n);
}

struct setup {
	struct conf *conf;
	struct routes *routes;
};

static struct setup setup_of(const char *parent, const char *no_proxy)
{
	struct setup setup = {.conf = test_conf_new()};
	struct diagnostic error = {""};

	assert_true(test_conf_set(setup.conf, "parent", parent));
	assert_true(test_conf_set(setup.conf, "no_proxy", no_proxy));
	setup.routes = routes_new(setup.conf, &error);
	assert_string_equal(error.text, "");
	assert_non_null(setup.routes);
	return setup;
}

static void setup_end(struct setup *setup)
{
	routes_free(setup->routes);
	test_conf_free(setup->conf);
}

/* "CONNECT host:port" or a URL. */
static enum failure find(const struct setup *setup, const char *target, bool chosen,
			 struct route *ret_route)
{
	static struct http_request req;

	req = (struct http_request){.method = METHOD_GET};
	if (strncmp(target, "CONNECT ", 8) == 0) {
		req.method = METHOD_CONNECT;
		assert_int_equal(http_uri_parse_authority(slice_str(target + 8), &req.uri), URI_OK);
	} else if (strncmp(target, "HOST ", 5) == 0) { /* what the parser would refuse */
		req.uri = (struct http_uri){.host = slice_str(target + 5), .port = 80};
	} else {
		assert_int_equal(http_uri_parse_absolute(slice_str(target), &req.uri), URI_OK);
	}
	return route_find(setup->routes, &req, chosen, ret_route);
}

static void test_parent_of_the_option(void **state)
{
	static const struct {
		const char *option, *host, *authorization;
		uint16_t port;
	} cases[] = {
		{"", "", "", 0},
		{"http://proxy.example:3128", "proxy.example", "", 3128},
		{"http://[2001:db8::1]:8080", "[2001:db8::1]", "", 8080},
		{"http://Aladdin:open sesame@proxy:1", "proxy",
		 "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 1},
		{"http://a:@proxy:1", "proxy", "Basic YTo=", 1},
		{"http://a:b@proxy:1", "proxy", "Basic YTpi", 1},
		{"http://a:bc@proxy:1", "proxy", "Basic YTpiYw==", 1},
		{"http://a:b@c:d@proxy:1", "proxy", "Basic YTpiQGM6ZA==", 1},
		{"http://a:b%40c%3Ad@proxy:1", "proxy", "Basic YTpiQGM6ZA==", 1},
		{"http://test:123\xc2\xa3@proxy:1", "proxy", "Basic dGVzdDoxMjPCow==", 1},
		{"http://a:%41%42@proxy:1", "proxy", "Basic YTpBQg==", 1},
		{"http://%41:b@proxy:65535", "proxy", "Basic QTpi", 65535},
		{"http://test:123%C2%a3@proxy:1", "proxy", "Basic dGVzdDoxMjPCow==", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct setup setup = setup_of(cases[i].option, "");
		const struct parent *parent = routes_parent(setup.routes);

		if (!slice_eq(parent->host, slice_str(cases[i].host)) ||
		    parent->port != cases[i].port ||
		    !slice_eq(parent->authorization, slice_str(cases[i].authorization)))
			fail_msg("%s: %.*s", cases[i].option, SLICE_ARG(parent->authorization));
		setup_end(&setup);
	}
}

static void test_without_parent(void **state)
{
	struct setup setup = setup_of("", "");
	struct route route;

	(void)state;
	assert_int_equal(find(&setup, "http://a.example/x", false, &route), FAILURE_NONE);
	assert_true(slice_eq(route.host, SLICE("a.example")));
	assert_int_equal(route.port, 80);
	assert_false(route.tls || route.chosen || route.parent || route.tunnel);
	assert_int_equal(find(&setup, "https://a.example:8443/", true, &route), FAILURE_NONE);
	assert_int_equal(route.port, 8443);
	assert_true(route.tls && route.chosen && !route.parent && !route.tunnel);
	assert_int_equal(find(&setup, "CONNECT a.example:443", false, &route), FAILURE_NONE);
	assert_false(route.tls || route.parent || route.tunnel);
	/* the look-up will refuse it */
	assert_int_equal(find(&setup, "HOST 0x7f.1", false, &route), FAILURE_NONE);
	setup_end(&setup);
}

/* A gateway's origin at a Unix socket: for its clients alone, and never by way of the parent. */
static void test_sockets_of_gateways(void **state)
{
	struct setup setup = {.conf = test_conf_new()};
	struct diagnostic error = {""};
	char key[ROUTE_KEY_MAX];
	struct route route;

	(void)state;
	assert_true(test_conf_set(setup.conf, "parent", "http://proxy:1"));
	assert_true(test_conf_set(setup.conf, "gateway",
				  "127.0.0.1:2=http://app.example@unix:/run/app,"
				  "127.0.0.1:1=http://plain.example,"
				  "unix:/run/g=https://app.example@unix:/run/tls"));
	setup.routes = routes_new(setup.conf, &error);
	assert_non_null(setup.routes);
	assert_int_equal(find(&setup, "http://APP.example/x", true, &route), FAILURE_NONE);
	assert_string_equal(route.socket, "/run/app");
	assert_false(route.parent || route.tunnel || route.tls);
	assert_true(slice_eq(route_key(&route, key), SLICE("uapp.example:80")));
	assert_true(slice_eq(route_key_host(SLICE("uapp.example:80")), SLICE("app.example")));
	assert_int_equal(find(&setup, "https://app.example/", true, &route), FAILURE_NONE);
	assert_string_equal(route.socket, "/run/tls");
	assert_true(route.tls);
	assert_int_equal(route_key(&route, key).p[0], 'U');
	assert_int_equal(find(&setup, "http://app.example:81/", true, &route), FAILURE_NONE);
	assert_null(route.socket);
	assert_int_equal(find(&setup, "http://plain.example/", true, &route), FAILURE_NONE);
	assert_null(route.socket);
	assert_int_equal(find(&setup, "http://app.example/x", false, &route), FAILURE_NONE);
	assert_null(route.socket);
	assert_true(route.parent);
	setup_end(&setup);
}

static void test_with_parent(void **state)
{
	struct setup setup = setup_of("http://proxy:1", "");
	struct route route;

	(void)state;
	assert_int_equal(find(&setup, "http://a.example/x", false, &route), FAILURE_NONE);
	assert_true(route.parent && !route.tunnel && !route.tls);
	assert_int_equal(find(&setup, "https://a.example/", false, &route), FAILURE_NONE);
	assert_true(route.parent && route.tunnel && route.tls);
	assert_int_equal(find(&setup, "CONNECT a.example:443", false, &route), FAILURE_NONE);
	assert_true(route.parent && route.tunnel && !route.tls);
	assert_int_equal(find(&setup, "http://192.0.2.1/", false, &route), FAILURE_NONE);
	assert_true(route.parent);
	setup_end(&setup);
}

static void test_no_proxy(void **state)
{
	static const struct {
		const char *target;
		bool parent;
	} cases[] = {
		{"http://host.example/", false},      {"http://HOST.example./", false},
		{"http://a.host.example/", true},     {"http://domain.example/", false},
		{"https://a.domain.example/", false}, {"http://notdomain.example/", true},
		{"http://10.1.2.3/", false},          {"http://11.1.2.3/", true},
		{"http://[2001:db8::7]/", false},     {"http://[2001:db9::7]/", true},
		{"CONNECT host.example:443", false},  {"CONNECT 10.1.2.3:443", false},
		{"CONNECT other.example:443", true},
	};
	struct setup setup =
		setup_of("http://proxy:1", "host.example,.domain.example,10.0.0.0/8,2001:db8::/32");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct route route;

		assert_int_equal(find(&setup, cases[i].target, false, &route), FAILURE_NONE);
		if ((route.parent != NULL) != cases[i].parent)
			fail_msg("%s", cases[i].target);
	}
	setup_end(&setup);
}

/* What the look-up would refuse is refused in its stead: the parent might read it otherwise. */
static void test_names_that_the_parent_must_not_see(void **state)
{
	static const char *const no_names[] = {
		"HOST 0x7f.1",
		"HOST 127.1",
		"HOST 2130706433",
		"HOST 0177.0.0.1",
	};
	struct setup setup = setup_of("http://proxy:1", "");
	struct route route;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(no_names); i++)
		if (find(&setup, no_names[i], false, &route) != FAILURE_DNS_ERROR)
			fail_msg("%s", no_names[i]);
	setup_end(&setup);
}

static void test_this_machine(void **state)
{
	static const struct {
		const char *target;
		bool parent;
	} cases[] = {
		{"http://localhost/", false},
		{"https://localhost/", false},
		{"CONNECT localhost:443", false},
		{"http://A.LocalHost./", false},
		{"http://127.0.0.1/", false},
		{"http://127.255.255.254/", false},
		{"http://[::1]/", false},
		{"http://[::ffff:127.0.0.1]/", false},
		{"http://0.0.0.0/", false},
		{"http://[::]/", false},
		{"CONNECT [::1]:443", false},
		{"http://notlocalhost/", true},
		{"http://localhost.example/", true},
		{"http://128.0.0.1/", true},
		{"http://[::2]/", true},
	};
	struct setup setup = setup_of("http://proxy:1", "");

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
		struct route route;

		assert_int_equal(find(&setup, cases[i / 2].target, i % 2, &route), FAILURE_NONE);
		if ((route.parent != NULL) != cases[i / 2].parent)
			fail_msg("%s", cases[i / 2].target);
	}
	setup_end(&setup);
}

/* Each has a way of its own, which no_proxy does not change; tunnels of one are not another's. */
static void test_parents_of_rules(void **state)
{
	struct setup setup = {.conf = test_conf_new()};
	struct diagnostic error = {""};
	struct http_request req = {.method = METHOD_GET};
	char key[ROUTE_KEY_MAX];
	struct route route;
	static const struct {
		const char *uri;
		unsigned rule; /* 0 for none */
		const char *parent, *authorization, *key;
	} cases[] = {
		{"http://A.example/", 0, "p", "", "pp:1"},
		{"https://a.example/", 0, "p", "", "ta.example:443"},
		{"http://a.example/", 1, "q", "Basic YTpi", "pq:2"},
		{"https://A.example:8443/", 1, "q", "Basic YTpi", "ta.example:8443@1"},
		{"http://a.example/", 2, NULL, "", "ha.example:80"},
		{"https://a.example/", 2, NULL, "", "sa.example:443"},
		{"http://c.example/", 3, "p", "", "pp:1"}, /* it says nothing of a parent */
		{"http://near.example/", 3, NULL, "", "hnear.example:80"},
		{"http://near.example/", 1, "q", "Basic YTpi", "pq:2"},
		{"https://near.example/", 4, "r", "", "tnear.example:443@4"},
		{"http://127.0.0.1/", 1, NULL, "", "h127.0.0.1:80"},
	};

	(void)state;
	assert_true(test_conf_set(setup.conf, "parent", "http://p:1"));
	assert_true(test_conf_set(setup.conf, "no_proxy", "near.example"));
	assert_true(test_conf_rules(setup.conf,
				    "rule \"ra\" { match = \"a\" parent = \"http://a:b@q:2\" }\n"
				    "rule \"rb\" { match = \"b\" parent = \"direct\" }\n"
				    "rule \"rc\" { match = \"c\" ttl = 1s }\n"
				    "rule \"rd\" { match = \"d\" parent = \"http://r:3\" }\n"));
	setup.routes = routes_new(setup.conf, &error);
	assert_non_null(setup.routes);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *parent = cases[i].parent;

		assert_int_equal(http_uri_parse_absolute(slice_str(cases[i].uri), &req.uri),
				 URI_OK);
		req.rule = cases[i].rule == 0 ? NULL : &setup.conf->rules->at[cases[i].rule - 1];
		assert_int_equal(route_find(setup.routes, &req, false, &route), FAILURE_NONE);
		if ((route.parent != NULL) != (parent != NULL) ||
		    (parent != NULL &&
		     (!slice_eq(route.parent->host, slice_str(parent)) ||
		      !slice_eq(route.parent->authorization, slice_str(cases[i].authorization)))) ||
		    !slice_eq(route_key(&route, key), slice_str(cases[i].key)))
			fail_msg("%zu: %.*s", i, SLICE_ARG(route_key(&route, key)));
	}
	setup_end(&setup);
}

/* What the operator chose leads where others may not go: no connection of it is another's. */
static void test_keys_of_what_was_chosen(void **state)
{
	struct setup setup = setup_of("", "");
	char key[ROUTE_KEY_MAX];
	struct route route;

	(void)state;
	find(&setup, "http://A.example/", true, &route);
	assert_true(slice_eq(route_key(&route, key), SLICE("Ha.example:80")));
	find(&setup, "https://[2001:DB8::1]:8443/", true, &route);
	assert_true(slice_eq(route_key(&route, key), SLICE("S[2001:db8::1]:8443")));
	assert_true(slice_eq(route_key_host(route_key(&route, key)), SLICE("[2001:db8::1]")));
	setup_end(&setup);
}

/* All or nothing, whichever allocation fails. */
/* Of any length: there is room for it, and nothing of it stays in memory. */
static void test_passwords(void **state)
{
	char option[128] = "http://a:@p.test:1";
	size_t encoded;
	void *memory;

	(void)state;
	overwritten = 0;
	for (size_t n = 2; n < 66; n++) {
		struct setup setup = setup_of(option, "");
		struct slice value = routes_parent(setup.routes)->authorization;

		encoded = sizeof("Basic ") - 1 + (n + 2) / 3 * 4;
		assert_int_equal(value.n, encoded);
		memcpy(&memory, &value.p, sizeof(memory));
		assert_true(malloc_usable_size(memory) >= value.n);
		assert_int_equal(overwritten, n);
		setup_end(&setup);
		assert_int_equal(overwritten, n + encoded);
		overwritten = 0;
		snprintf(option, sizeof(option), "http://a:%.*s@p.test:1", (int)n - 1,
			 "bcdefghijklmnopqrstuvwxyzbcdefghijklmnopqrstuvwxyzbcdefghijklmnopqrstuvwx"
			 "yz");
	}
}

static void test_without_memory(void **state)
{
	struct conf *conf = test_conf_new();
	struct diagnostic error = {""};
	struct routes *routes = NULL;
	size_t alive, n = 0;

	(void)state;
	assert_true(test_conf_set(conf, "parent", "http://a:b@p:1"));
	assert_true(test_conf_set(conf, "no_proxy", "a,.b"));
	assert_true(test_conf_set(conf, "gateway", "127.0.0.1:2=http://a@unix:/run/app"));
	assert_true(
		test_conf_rules(conf, "rule \"ra\" { match = \"a\" parent = \"http://c:d@q:2\" }"));
	alive = allocations_alive();
	for (; routes == NULL && fail_allocation(n); n++) {
		error.text[0] = '\0';
		routes = routes_new(conf, &error);
		fail_no_allocation();
		assert_true(routes != NULL || strstr(error.text, ": out of memory") != NULL);
		assert_true(routes != NULL || allocations_alive() == alive);
	}
	assert_true(n == 0 || n > 8); /* 0 under a sanitizer */
	routes_free(routes);
	assert_int_equal(allocations_alive(), alive);
	test_conf_free(conf);
}

static void test_wrong_no_proxy(void **state)
{
	struct conf *conf = test_conf_new();
	struct diagnostic error = {""};

	(void)state;
	assert_true(test_conf_set(conf, "no_proxy", "a..b"));
	assert_null(routes_new(conf, &error));
	assert_non_null(strstr(error.text, "no_proxy: \"a..b\""));
	test_conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parent_of_the_option),
		cmocka_unit_test(test_without_parent),
		cmocka_unit_test(test_sockets_of_gateways),
		cmocka_unit_test(test_with_parent),
		cmocka_unit_test(test_no_proxy),
		cmocka_unit_test(test_names_that_the_parent_must_not_see),
		cmocka_unit_test(test_this_machine),
		cmocka_unit_test(test_parents_of_rules),
		cmocka_unit_test(test_keys_of_what_was_chosen),
		cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_wrong_no_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
