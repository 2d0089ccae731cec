/* LINKS: proxy/origin */
/* Whom a stored response may be shown: under the rules it came by, and under others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/origin/admission.h"
#include "tests/support/test_conf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

struct setup {
	struct conf *conf;
	struct access *access;
	struct routes *routes;
	struct admission admission;
};

/* "name=value;name=value" */
static struct setup setup_with(const char *options, const char *rules, const char *listener)
{
	struct setup setup = {.conf = test_conf_new()};
	char text[256];
	struct diagnostic error = {""};
	char *rest = text, *one;
	union address own;

	snprintf(text, sizeof(text), "%s", options);
	while ((one = strsep(&rest, ";"))) {
		char *value = strchr(one, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		assert_true(test_conf_set(setup.conf, one, value));
	}
	assert_true(test_conf_rules(setup.conf, rules));
	assert_true(address_parse(slice_str(listener), &own));
	address_set_port(&own, 3128);
	setup.access = access_new(
		setup.conf, &(struct access_place){.listeners = &own, .listener_count = 1}, &error);
	setup.routes = routes_new(setup.conf, &error);
	assert_string_equal(error.text, "");
	setup.admission = admission_new(setup.conf, setup.access, setup.routes);
	return setup;
}

static struct setup setup_of(const char *options, const char *listener)
{
	return setup_with(options, "", listener);
}

static void setup_end(struct setup *setup)
{
	routes_free(setup->routes);
	access_free(setup->access);
	test_conf_free(setup->conf);
}

#define HERE "127.0.0.1"
#define OPEN "8.8.8.8"

enum { DIRECT, CHOSEN, PARENT, CHOSEN_BY_HOSTS_FILE, SOCKET };

static uint32_t number_of(const struct setup *setup, int how, const char *from)
{
	static const struct parent parent;
	struct route route = {
		.host = SLICE("a.example"),
		.chosen = how == CHOSEN || how == CHOSEN_BY_HOSTS_FILE || how == SOCKET,
		.socket = how == SOCKET ? "/run/app" : NULL,
		.parent = how == PARENT ? &parent : NULL,
	};
	struct destination to = {
		.source = how == CHOSEN_BY_HOSTS_FILE ? FROM_HERE : FROM_NAME_SERVERS,
	};

	assert_true(address_parse(slice_str(from), &to.address));
	address_set_port(&to.address, 80);
	return admission_of(&setup->admission, setup->access, &route, &to);
}

static void under_the_same_rules(void **state)
{
	static const struct {
		const char *options, *listener, *from;
		int how;
		bool allowed;
	} cases[] = {
		{"", HERE, "1.2.3.4", DIRECT, true},
		{"", HERE, "10.0.0.1", DIRECT, true},
		{"", OPEN, "1.2.3.4", DIRECT, true},
		{"allow=10.0.0.0/8", OPEN, "10.0.0.1", DIRECT, true},
		{"parent=http://p:1", OPEN, "10.0.0.1", PARENT, true},
		/* by way of a gateway */
		{"", HERE, "127.0.0.1", CHOSEN, false}, /* name servers say so */
		{"", HERE, "127.0.0.1", CHOSEN_BY_HOSTS_FILE, true},
		{"", OPEN, "127.0.0.1", CHOSEN_BY_HOSTS_FILE, false},
		{"dns_private=refuse", HERE, "10.0.0.1", CHOSEN, false},
		{"dns_private=refuse", HERE, "10.0.0.1", CHOSEN_BY_HOSTS_FILE, true},
		{"allow=a.example", HERE, "127.0.0.1", CHOSEN, true},
		{"", HERE, "10.0.0.1", CHOSEN, true},
		{"", HERE, "1.2.3.4", SOCKET, false},
		{"", HERE, "169.254.169.254", CHOSEN, false},
		{"", OPEN, "1.2.3.4", CHOSEN, true},
		{"", OPEN, "127.0.0.1", CHOSEN, false},
		{"", OPEN, "10.0.0.1", CHOSEN, false},
		{"", OPEN, "169.254.169.254", CHOSEN, false},
		{"allow=10.0.0.0/8", OPEN, "10.0.0.1", CHOSEN, true},
		{"allow=a.example", OPEN, "10.0.0.1", CHOSEN, true},
		{"deny=1.2.3.0/24", OPEN, "1.2.3.4", CHOSEN, false},
		{"deny=1.2.3.0/24", OPEN, "1.2.4.4", CHOSEN, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct setup setup = setup_of(cases[i].options, cases[i].listener);
		uint32_t number = number_of(&setup, cases[i].how, cases[i].from);

		if (admission_allows(&setup.admission, number) != cases[i].allowed)
			fail_msg("%s, %s, %s", cases[i].options, cases[i].listener, cases[i].from);
		setup_end(&setup);
	}
}

static void under_other_rules(void **state)
{
	static const struct {
		const char *then, *listener_then, *now, *listener_now, *from;
		int how;
		bool allowed;
	} cases[] = {
		/* what is public stays so, whatever else changes */
		{"", HERE, "", OPEN, "1.2.3.4", DIRECT, true},
		{"deny=9.0.0.0/8", OPEN, "", OPEN, "1.2.3.4", DIRECT, true},
		{"", OPEN, "parent=http://p:1", OPEN, "1.2.3.4", DIRECT, true},
		{"", OPEN, "deny=evil.example", OPEN, "1.2.3.4", DIRECT, true},
		/* names have no part in it */
		{"", HERE, "deny=evil.example", HERE, "10.0.0.1", DIRECT, true},
		/* more is denied */
		{"", OPEN, "deny=1.2.3.0/24", OPEN, "1.2.3.4", DIRECT, false},
		{"deny=9.0.0.0/8", OPEN, "deny=1.2.3.0/24", OPEN, "1.2.3.4", DIRECT, false},
		{"", OPEN, "deny=evil.example,1.2.3.0/24", OPEN, "1.2.3.4", DIRECT, false},
		{"deny=evil.example,1.2.3.0/24", OPEN, "deny=1.2.3.0/24", OPEN, "1.2.3.4", DIRECT,
		 true},
		{"deny=a.example,9.0.0.0/8", OPEN, "deny=a.example,1.2.3.0/24", OPEN, "1.2.3.4",
		 DIRECT, false},
		{"", HERE, "", OPEN, "10.0.0.1", DIRECT, false},
		{"", HERE, "", OPEN, "::1", DIRECT, false},
		{"", HERE, "deny=10.0.0.0/8", HERE, "10.0.0.1", DIRECT, false},
		/* less is allowed */
		{"allow=10.0.0.0/8", OPEN, "", OPEN, "10.0.0.1", DIRECT, false},
		{"allow=169.254.0.0/16", HERE, "", HERE, "169.254.169.254", DIRECT, false},
		{"allow=a.example", OPEN, "", OPEN, "10.0.0.1", DIRECT, false},
		{"allow=aa.example", OPEN, "allow=ab.example", OPEN, "10.0.0.1", DIRECT, false},
		/* what name servers say of this network is believed no more */
		{"", HERE, "dns_private=refuse", HERE, "10.0.0.1", DIRECT, false},
		/* what a parent found cannot be judged without it, or by another */
		{"parent=http://p:1", OPEN, "", OPEN, "1.2.3.4", PARENT, false},
		{"parent=http://p:1", OPEN, "parent=http://q:1", OPEN, "1.2.3.4", PARENT, false},
		{"parent=http://p:1", OPEN, "parent=http://p:2", OPEN, "1.2.3.4", PARENT, false},
		{"parent=http://p:1", OPEN, "parent=http://p:257", OPEN, "1.2.3.4", PARENT, false},
		{"parent=http://p:1", OPEN, "parent=http://u:v@p:1", OPEN, "1.2.3.4", PARENT, true},
		{"parent=http://p:1", OPEN, "parent=http://p:1;no_proxy=a.example", OPEN, "1.2.3.4",
		 PARENT, false},
		{"no_proxy=a,bc", OPEN, "no_proxy=ab,c", OPEN, "10.0.0.1", DIRECT, false},
		{"no_proxy=a,b", OPEN, "no_proxy=ab", OPEN, "10.0.0.1", DIRECT, false},
		/* lists that read the same with the commas elsewhere */
		{"deny=10.0.0.0/8", OPEN, "allow=10.0.0.0/8", OPEN, "10.0.0.1", CHOSEN, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct setup then = setup_of(cases[i].then, cases[i].listener_then);
		struct setup now = setup_of(cases[i].now, cases[i].listener_now);
		uint32_t number = number_of(&then, cases[i].how, cases[i].from);

		if (admission_allows(&now.admission, number) != cases[i].allowed)
			fail_msg("%s then, %s now, %s", cases[i].then, cases[i].now, cases[i].from);
		setup_end(&then);
		setup_end(&now);
	}
}

/* Rules that lead elsewhere; those without a parent lead nowhere. */
static void under_other_ways_of_rules(void **state)
{
	static const struct {
		const char *then, *now;
		bool allowed;
	} cases[] = {
		{"", "", true},
		{"rule \"ra\" { match = \"a.example\" ttl = 1s }", "", true},
		{"", "rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" }", false},
		/* also before others */
		{"rule \"rb\" { match = \"b.example\" ttl = 1s }",
		 "rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" } "
		 "rule \"rb\" { match = \"b.example\" ttl = 1s }",
		 false},
		{"rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" }",
		 "rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" }", true},
		{"rule \"ra\" { match = \"a.example\" parent = \"http://x:y@p:1\" }",
		 "rule \"ra\" { match = \"a.example\" parent = \"http://u:v@p:1\" }", true},
		{"rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" }",
		 "rule \"ra\" { match = \"a.example\" parent = \"http://q:1\" }", false},
		{"rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" }",
		 "rule \"rb\" { match = \"b.example\" parent = \"http://p:1\" }", false},
		/* one before it takes requests from it */
		{"rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" }",
		 "rule \"rb\" { match = \"b.example\" ttl = 1s }"
		 "rule \"ra\" { match = \"a.example\" parent = \"http://p:1\" }",
		 false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct setup then = setup_with("", cases[i].then, HERE);
		struct setup now = setup_with("", cases[i].now, HERE);
		uint32_t number = number_of(&then, DIRECT, "10.0.0.1");

		if (admission_allows(&now.admission, number) != cases[i].allowed)
			fail_msg("%s then, %s now", cases[i].then, cases[i].now);
		setup_end(&then);
		setup_end(&now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(under_the_same_rules),
		cmocka_unit_test(under_other_rules),
		cmocka_unit_test(under_other_ways_of_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
