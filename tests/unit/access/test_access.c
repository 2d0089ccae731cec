/* LINKS: proxy/access */
/* Who may ask for what: destinations by address and name, ports, loops, clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "cache/base/diagnostic.h"
#include "cache/http/fields.h"
#include "conf/units.h"
#include "proxy/access/access.h"
#include "proxy/access/compiled.h"
#include "proxy/access/ranges.h"
#include "tests/support/guarded.h"
#include "tests/support/test_conf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define OK FAILURE_NONE
#define DENIED FAILURE_DENIED_DESTINATION
#define LOOP FAILURE_LOOP
#define OWN FAILURE_OWN_ADDRESS

static union address address_of(const char *text)
{
	union address address;

	if (!address_parse(slice_str(text), &address))
		fail_msg("%s is no address", text);
	return address;
}

/* "ADDRESS:PORT" */
static union address endpoint_of(const char *text)
{
	char host[UNITS_HOST];
	union address address;
	uint16_t port;

	if (!units_parse_address(text, host, &port))
		fail_msg("%s is no address with a port", text);
	address = address_of(host);
	address_set_port(&address, port);
	return address;
}

/* The addresses of a machine. */
static const struct {
	const char *address;
	unsigned bits;
} machine[] = {
	{"192.0.2.7", 24}, {"127.0.0.1", 8}, {"10.1.2.3", 16}, {"::1", 128}, {"2001:db8:7::3", 64},
};

/* The rules of a proxy on that machine. */
static struct access *compile(const struct conf *conf, const union address *own, size_t count,
			      bool has_unix, struct diagnostic *error)
{
	struct interface_address interfaces[COUNT(machine)];

	for (size_t i = 0; i < COUNT(machine); i++)
		interfaces[i] = (struct interface_address){
			.address = address_of(machine[i].address),
			.bits = machine[i].bits,
		};
	return access_new(conf,
			  &(struct access_place){own, count, interfaces, COUNT(machine), has_unix},
			  error);
}

/* A proxy with options, "name=value;name=value", that listens on "ADDRESS:PORT unix". */
struct setup {
	struct conf *conf;
	struct access *access;
	struct diagnostic error;
};

static struct setup setup_of(const char *options, const char *listeners)
{
	struct setup setup = {.conf = test_conf_new()};
	union address own[8];
	unsigned count = 0;
	bool has_unix = false;
	char text[512];
	char *rest = text;
	char *one;

	snprintf(text, sizeof(text), "%s", options);
	while ((one = strsep(&rest, ";"))) {
		char *value = strchr(one, '=');

		if (*one == '\0')
			continue;
		*value++ = '\0';
		assert_true(test_conf_set(setup.conf, one, value));
	}
	snprintf(text, sizeof(text), "%s", listeners);
	rest = text;
	while ((one = strsep(&rest, " "))) {
		if (strcmp(one, "unix") == 0)
			has_unix = true;
		else if (*one != '\0')
			own[count++] = endpoint_of(one);
	}
	setup.access = compile(setup.conf, own, count, has_unix, &setup.error);
	return setup;
}

static void setup_end(struct setup *setup)
{
	access_free(setup->access);
	test_conf_free(setup->conf);
}

/* The default refusals and those by rule are all refusals; which one it is has a test of its own.
 */
static enum failure refused_or(enum failure failure)
{
	return failure == FAILURE_DENIED_PRIVATE || failure == FAILURE_DENIED_RESERVED ? DENIED
										       : failure;
}

/* A name is one that was looked up. */
static enum failure judge(const struct setup *setup, const char *host, const char *address)
{
	enum address_source source = *host == '\0' ? FROM_HERE : FROM_NAME_SERVERS;
	union address endpoint = *address == '[' || strchr(address, '.') ? endpoint_of(address)
									 : address_of(address);

	return refused_or(access_address(setup->access, slice_str(host), source, &endpoint));
}

#define LOCAL "127.0.0.1:3128 127.0.0.1:3129"
#define OPEN "198.51.100.1:3128 127.0.0.1:3129"

/* The edges of ranges.def from within and without, and IPv4 in each of its IPv6 disguises:
   64:ff9b:1::/48 with it behind 48, 56, 64 and 96 bits, 6to4, Teredo with server and client
   (inverted). */
static const char *const public_places[] = {
	"1.0.0.0",
	"9.255.255.255",
	"11.0.0.0",
	"100.63.255.255",
	"100.128.0.0",
	"126.255.255.255",
	"128.0.0.0",
	"168.63.129.15",
	"168.63.129.17",
	"169.253.255.255",
	"169.255.0.0",
	"172.15.255.255",
	"172.32.0.0",
	"191.255.255.255",
	"192.0.1.0",
	"192.0.3.0",
	"192.88.98.255",
	"192.88.100.0",
	"192.167.255.255",
	"192.169.0.0",
	"198.17.255.255",
	"198.20.0.0",
	"198.51.99.255",
	"198.51.101.0",
	"203.0.112.255",
	"203.0.114.0",
	"223.255.255.255",
	"8.8.8.8",
	"93.184.215.14",
	"::ffff:8.8.8.8",
	"2000::1",
	"2600::1",
	"2606:2800:21f:cb07:6820:80da:af6b:8b2c",
	"2001:200::1",
	"2001:db7:ffff::1",
	"2001:db9::1",
	"3ffe:ffff::1",
	"3fff:1000::1",
	"64:ff9b::8.8.8.8",
	"64:ff9b:1::8.8.8.8",
	"64:ff9b:1:ab:8:808:800:0",
	"64:ff9b:1:8:8:808:0:0",
	"64:ff9b:1:808:8:800:0:0",
	"2002:808:808::1",
	"2001:0:808:808::f7f7:f7f7",
};

static const char *const private_places[] = {
	"10.0.0.0",         "10.255.255.255",
	"100.64.0.0",       "100.127.255.255",
	"100.100.100.199",  "100.100.100.201",
	"127.0.0.0",        "127.0.0.1",
	"127.255.255.255",  "172.16.0.0",
	"172.31.255.255",   "192.168.0.0",
	"192.168.255.255",  "::1",
	"::ffff:127.0.0.1", "::ffff:10.0.0.1",
	"fc00::1",          "fd00::1",
	"fdff::1",          "fd00:ec3::254",
	"fec0::1",          "feff::1",
};

static const char *const never_places[] = {
	"0.0.0.0",
	"0.255.255.255",
	"100.100.100.200",
	"168.63.129.16",
	"169.254.0.0",
	"169.254.169.254",
	"169.254.170.2",
	"169.254.255.255",
	"192.0.0.0",
	"192.0.0.192",
	"192.0.0.255",
	"192.0.2.0",
	"192.0.2.255",
	"192.88.99.1",
	"198.18.0.0",
	"198.19.255.255",
	"198.51.100.1",
	"203.0.113.1",
	"224.0.0.0",
	"239.255.255.255",
	"240.0.0.0",
	"255.255.255.254",
	"255.255.255.255",
	"::",
	"::2",
	"::127.0.0.1",
	"::8.8.8.8",
	"::ffff:169.254.169.254",
	"::ffff:0.0.0.0",
	"::ffff:255.255.255.255",
	"::1:0:0:0",
	"::fffe:8.8.8.8",
	"::ffff:0:808:808",
	"100::1",
	"1fff::1",
	"2001:1::1",
	"2001:2::1",
	"2001:10::1",
	"2001:20::1",
	"2001:1ff:ffff::1",
	"2001:db8::1",
	"2001:db8:ffff::1",
	"3fff::1",
	"3fff:fff::1",
	"4000::1",
	"5f00::1",
	"e000::1",
	"fbff::1",
	"fe00::1",
	"fe7f::1",
	"fd00:ec2::254",
	"fd00:ec2::253",
	"fd00:42::42",
	"fd20:ce::254",
	"fd00:c1::a9fe:a9fe",
	"fe80::1",
	"fe80::a9fe:a9fe",
	"febf::1",
	"ff02::1",
	"ff0e::1",
	"ffff::ffff",
	"64:ff9b::127.0.0.1",
	"64:ff9b::10.0.0.1",
	"64:ff9b::169.254.169.254",
	"64:ff9b::0.0.0.0",
	"64:ff9b::1:808:808",
	"64:ff9b::a9fe:a9fe",
	"64:ff9b::100.100.100.200",
	"64:ff9c::8.8.8.8",
	"64:ff9b:1::169.254.169.254",
	"64:ff9b:1:fffe::127.0.0.1",
	"64:ff9b:1::",
	"64:ff9b:2::8.8.8.8",
	"64:ff9b:1:0:a9:fea9:fe00:0",
	"64:ff9b:1:a9:fe:a9fe:0:0",
	"64:ff9b:1:a9fe:a9:fe00:0:0",
	"64:ff9b:1:a9fe:a9:fe00:808:808",
	"64:ff9b:1:87f:0:1:808:808",
	"64:ff9b:1:808:7f:0:108:808",
	"64:ff9b:1:a00:0:100:808:808",
	"2002:7f00:1::1",
	"2002:a9fe:a9fe::1",
	"2002:a00:1::",
	"2002::1",
	"2002:c0a8:101:1::1",
	"2001:0:7f00:1::f7f7:f7f7",
	"2001:0:808:808::80ff:fffe",
	"2001:0:808:808::5601:5601",
	"2001:0:a9fe:a9fe::f7f7:f7f7",
	"2001:0:808:808::ffff:ffff",
};

static void assert_kind(const char *const *places, size_t count, enum range_kind kind)
{
	for (size_t i = 0; i < count; i++) {
		union address address = address_of(places[i]);

		if (range_kind(&address) != kind)
			fail_msg("%s is of kind %d", places[i], range_kind(&address));
	}
}

static void each_range_is_of_its_kind(void **state)
{
	(void)state;
	assert_kind(public_places, COUNT(public_places), RANGE_PUBLIC);
	assert_kind(private_places, COUNT(private_places), RANGE_PRIVATE);
	assert_kind(never_places, COUNT(never_places), RANGE_NEVER);
}

/* As many as there are, and nothing behind them. */
static void embedded_addresses_have_the_port(void **state)
{
	static const struct {
		const char *address;
		const char *embedded[RANGE_EMBEDDED_MAX];
	} cases[] = {
		{"[2600::1]:81", {NULL}},
		{"10.0.0.1:81", {NULL}},
		{"[64:ff9b::192.0.2.1]:81", {"192.0.2.1"}},
		{"[2002:c000:201::1]:81", {"192.0.2.1"}},
		{"[2001:0:c000:201::3fff:fdfd]:81", {"192.0.2.1", "192.0.2.2"}},
		{"[64:ff9b:1::192.0.2.1]:81", {"192.0.2.1"}},
		{"[64:ff9b:1:102:3:405:607:809]:81", {"1.2.3.4", "2.3.4.5", "3.4.5.6", "6.7.8.9"}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address found[RANGE_EMBEDDED_MAX + 1], address, untouched;
		unsigned count, expected = 0;

		memset(found, 0x55, sizeof(found));
		untouched = found[0];
		address = endpoint_of(cases[i].address);
		count = range_embedded(&address, found);
		while (expected < RANGE_EMBEDDED_MAX && cases[i].embedded[expected] != NULL) {
			char text[ADDRESS_TEXT_SIZE];

			address_format(&found[expected], text);
			assert_string_equal(text, cases[i].embedded[expected]);
			assert_int_equal(address_port(&found[expected]), 81);
			expected++;
		}
		assert_int_equal(count, expected);
		for (unsigned rest = count; rest <= RANGE_EMBEDDED_MAX; rest++)
			assert_memory_equal(&found[rest], &untouched, sizeof(untouched));
	}
}

static void a_kind_is_refused_or_not(void **state)
{
	struct setup local = setup_of("", LOCAL);
	struct setup open = setup_of("", OPEN);
	static const struct {
		const char *address;
		enum failure local; /* only this machine may be a client */
		enum failure open;
	} cases[] = {
		{"93.184.215.14:80", OK, OK},
		{"[2600::1]:80", OK, OK},
		{"127.0.0.1:80", OK, DENIED},
		{"[::1]:80", OK, DENIED},
		{"10.0.0.1:80", OK, DENIED},
		{"192.168.1.1:80", OK, DENIED},
		{"[fd00::1]:80", OK, DENIED},
		{"[::ffff:10.0.0.1]:80", OK, DENIED},
		{"169.254.169.254:80", DENIED, DENIED},
		{"[::ffff:169.254.169.254]:80", DENIED, DENIED},
		{"[64:ff9b::169.254.169.254]:80", DENIED, DENIED},
		{"[64:ff9b::10.0.0.1]:80", DENIED, DENIED},
		{"[fd00:ec2::254]:80", DENIED, DENIED},
		{"0.0.0.0:80", DENIED, DENIED},
		{"[::]:80", DENIED, DENIED},
		{"224.0.0.1:80", DENIED, DENIED},
		{"255.255.255.255:80", DENIED, DENIED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (judge(&local, "", cases[i].address) != cases[i].local ||
		    judge(&open, "", cases[i].address) != cases[i].open)
			fail_msg("%s", cases[i].address);
	}
	setup_end(&local);
	setup_end(&open);
}

static void a_refusal_names_its_rule(void **state)
{
	struct setup setup = setup_of("deny=10.9.0.0/16,example.org", OPEN);
	static const struct {
		const char *host, *address;
		enum failure failure;
	} cases[] = {
		{"", "10.0.0.1:80", FAILURE_DENIED_PRIVATE},
		{"", "127.0.0.1:80", FAILURE_DENIED_PRIVATE},
		{"", "[fd00::1]:80", FAILURE_DENIED_PRIVATE},
		{"", "169.254.169.254:80", FAILURE_DENIED_RESERVED},
		{"", "224.0.0.1:80", FAILURE_DENIED_RESERVED},
		{"", "10.9.0.1:80", FAILURE_DENIED_DESTINATION},
		{"", "[64:ff9b::10.9.0.1]:80", FAILURE_DENIED_DESTINATION},
		{"example.org", "93.184.215.14:80", FAILURE_DENIED_DESTINATION},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address address = endpoint_of(cases[i].address);

		assert_int_equal(
			access_address(setup.access, slice_str(cases[i].host),
				       *cases[i].host == '\0' ? FROM_HERE : FROM_NAME_SERVERS,
				       &address),
			cases[i].failure);
	}
	setup_end(&setup);
}

/* Who may be a client says whether private places are reached, and not what is listened on. */
static void private_places_are_for_this_machine_only(void **state)
{
	static const struct {
		const char *listeners;
		const char *options;
		enum failure failure;
	} cases[] = {
		{"127.0.0.1:3128", "clients=127.0.0.1", OK},
		{"127.0.0.1:3128", "clients=127.0.0.0/8,::1", OK},
		{"127.0.0.1:3128", "clients=::ffff:127.0.0.1", OK},
		{"0.0.0.0:3128", "clients=127.0.0.1,::1", OK},
		{"0.0.0.0:3128", "clients=::ffff:127.0.0.0/104", OK},
		{"127.0.0.1:3128", "clients=127.0.0.0/7", DENIED},
		{"127.0.0.1:3128", "clients=::/127", DENIED},
		{"127.0.0.1:3128", "clients=0.0.0.0/0", DENIED},
		{"127.0.0.1:3128", "clients=127.0.0.1,203.0.113.0/24", DENIED},
		{"127.0.0.1:3128", "clients=10.0.0.0/8", DENIED},
		{"127.0.0.1:3128", "proxy_protocol_from=127.0.0.1", DENIED},
		{"127.0.0.1:3128", "proxy_protocol_from=127.0.0.1;clients=127.0.0.0/8", DENIED},
		{"127.0.0.1:3128", "proxy_protocol_from=192.0.2.1", DENIED},
		{"127.0.0.1:3128", "proxy_protocol_from=127.0.0.1;allow=10.0.0.0/8", OK},
		{"127.0.0.1:3128", "", OK},
		{"127.0.0.1:3128 [::1]:3128", "", OK},
		{"[::ffff:127.0.0.1]:3128", "", OK},
		{"0.0.0.0:3128", "", DENIED},
		{"[::]:3128", "", DENIED},
		{"127.0.0.1:3128 198.51.100.1:3128", "", DENIED},
		{"198.51.100.1:3128 127.0.0.1:3128", "", DENIED},
		{"127.0.0.1:3128 10.9.9.9:3129", "", DENIED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct setup setup = setup_of(cases[i].options, cases[i].listeners);

		if (judge(&setup, "", "10.0.0.1:80") != cases[i].failure ||
		    judge(&setup, "", "127.0.0.1:80") !=
			    (strstr(cases[i].options, "allow") ? DENIED : cases[i].failure))
			fail_msg("%s %s", cases[i].listeners, cases[i].options);
		setup_end(&setup);
	}
}

/* What name servers say is not believed when it leads to this machine (DNS rebinding). */
static void names_that_lead_here_are_refused(void **state)
{
	static const struct {
		const char *options;
		const char *address;
		enum failure looked_up; /* name servers said so */
		enum failure known;     /* numeric, localhost, of the hosts file */
	} cases[] = {
		{"", "127.0.0.1:80", DENIED, OK},
		{"", "127.9.9.9:80", DENIED, OK},
		{"", "[::1]:80", DENIED, OK},
		{"", "[::ffff:127.0.0.1]:80", DENIED, OK},
		{"", "10.0.0.1:80", OK, OK},
		{"", "[fd00::1]:80", OK, OK},
		{"", "93.184.215.14:80", OK, OK},
		{"", "127.0.0.1:3128", OWN, OWN},
		{"", "169.254.169.254:80", DENIED, DENIED},
		{"dns_private=refuse", "127.0.0.1:80", DENIED, OK},
		{"dns_private=refuse", "10.0.0.1:80", DENIED, OK},
		{"dns_private=refuse", "[fd00::1]:80", DENIED, OK},
		{"dns_private=refuse", "[::ffff:192.168.0.1]:80", DENIED, OK},
		{"dns_private=refuse", "93.184.215.14:80", OK, OK},
		{"dns_private=refuse;allow=10.0.0.0/8", "10.0.0.1:80", OK, OK},
		{"dns_private=refuse;allow=.example", "10.0.0.1:80", OK, OK},
		{"dns_private=refuse;allow=other.example", "10.0.0.1:80", DENIED, OK},
		{"allow=a.example", "127.0.0.1:80", OK, OK},
		{"allow=127.0.0.1", "127.0.0.1:80", OK, OK},
		{"allow=127.0.0.2", "127.0.0.1:80", DENIED, OK},
		{"clients=127.0.0.0/8", "127.0.0.1:80", DENIED, OK},
		{"clients=0.0.0.0/0", "127.0.0.1:80", DENIED, DENIED},
		{"clients=0.0.0.0/0;dns_private=pass", "10.0.0.1:80", DENIED, DENIED},
		{"deny=127.0.0.0/8", "127.0.0.1:80", DENIED, DENIED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct setup setup = setup_of(cases[i].options, LOCAL);
		union address address = endpoint_of(cases[i].address);

		if (judge(&setup, "a.example", cases[i].address) != cases[i].looked_up ||
		    refused_or(access_address(setup.access, SLICE("a.example"), FROM_HERE,
					      &address)) != cases[i].known)
			fail_msg("%s %s", cases[i].options, cases[i].address);
		setup_end(&setup);
	}
}

static void own_listeners_are_never_reached(void **state)
{
	struct setup setup = setup_of("allow=0.0.0.0/0,::/0,own.example",
				      "127.0.0.1:3128 127.0.0.1:3129 [::1]:3130 10.0.0.1:3131");
	static const struct {
		const char *address;
		enum failure failure;
	} cases[] = {
		{"127.0.0.1:3128", OWN},
		{"127.0.0.1:3129", OWN},
		{"127.0.0.1:3130", OK},
		{"127.0.0.1:80", OK},
		{"127.0.0.2:3128", OK},
		{"[::ffff:127.0.0.1]:3128", OWN},
		{"0.0.0.0:3128", OWN},
		{"0.0.0.0:80", OK},
		{"[::]:3129", OWN},
		{"[::ffff:0.0.0.0]:3129", OWN},
		{"[::1]:3130", OWN},
		{"[::1]:3128", OK},
		{"10.0.0.1:3131", OWN},
		{"[64:ff9b::127.0.0.1]:3128", OWN},
		{"[2002:a00:1::]:3131", OWN},
		{"[2001:0:808:808::80ff:fffe]:3129", OWN},
		{"[64:ff9b:1:7f00:0:100::]:3128", OWN},
	};

	(void)state;
	assert_non_null(setup.access);
	for (size_t i = 0; i < COUNT(cases); i++)
		if (judge(&setup, "own.example", cases[i].address) != cases[i].failure)
			fail_msg("%s", cases[i].address);
	setup_end(&setup);
}

static void a_wildcard_listener_has_all_addresses_of_the_machine(void **state)
{
	struct setup v4 = setup_of("allow=0.0.0.0/0,::/0", "0.0.0.0:3128");
	struct setup v6 = setup_of("allow=0.0.0.0/0,::/0", "[::]:3128");

	(void)state;
	assert_int_equal(judge(&v4, "", "127.0.0.1:3128"), OWN);
	assert_int_equal(judge(&v4, "", "127.9.9.9:3128"), OWN);
	assert_int_equal(judge(&v4, "", "127.0.0.1:3129"), OK);
	assert_int_equal(judge(&v6, "", "[::1]:3128"), OWN);
	assert_int_equal(judge(&v6, "", "127.0.0.1:3128"), OWN);
	for (size_t i = 0; i < COUNT(machine); i++) {
		union address own = address_of(machine[i].address);

		address_set_port(&own, 3128);
		assert_int_equal(access_address(v6.access, SLICE(""), FROM_HERE, &own), OWN);
		if (own.any.sa_family == AF_INET)
			assert_int_equal(access_address(v4.access, SLICE(""), FROM_HERE, &own),
					 OWN);
	}
	setup_end(&v4);
	setup_end(&v6);
	v4 = setup_of("", "0.0.0.0:3128 [::]:3129 127.0.0.1:3131");
	assert_true(access_has_wildcard_port(v4.access, 3128));
	assert_true(access_has_wildcard_port(v4.access, 3129));
	assert_false(access_has_wildcard_port(v4.access, 3130));
	assert_false(access_has_wildcard_port(v4.access, 3131));
	setup_end(&v4);
}

/* Also those that it got later: they are told by both ends of a connection. */
static void a_connection_to_oneself_is_known_by_its_ends(void **state)
{
	static const struct {
		const char *local, *peer;
		bool own;
	} cases[] = {
		{"198.51.100.7:40000", "198.51.100.7:3128", true},
		{"[2001:db8::1]:40000", "[2001:db8::1]:3128", true},
		{"[::ffff:198.51.100.7]:40000", "198.51.100.7:3128", true},
		{"198.51.100.7:40000", "198.51.100.7:80", false},
		{"198.51.100.7:40000", "198.51.100.8:3128", false},
		{"198.51.100.7:40000", "198.51.100.7:3129", false}, /* of one address */
	};
	struct setup setup = setup_of("", "0.0.0.0:3128 127.0.0.1:3129");

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address local = endpoint_of(cases[i].local);
		union address peer = endpoint_of(cases[i].peer);

		if (access_is_wildcard_own(setup.access, &local, &peer) != cases[i].own)
			fail_msg("%s to %s", cases[i].local, cases[i].peer);
	}
	setup_end(&setup);
}

static void rules_decide_by_address(void **state)
{
	struct setup setup = setup_of("deny=93.184.0.0/16,2600::/16,10.1.0.0/16,1.2.3.4;"
				      "allow=93.184.215.14,10.0.0.0/8,169.254.169.254",
				      OPEN);
	static const struct {
		const char *address;
		enum failure failure;
	} cases[] = {
		{"93.184.215.13:80", DENIED},
		{"93.184.215.14:80", OK},
		{"[::ffff:93.184.215.13]:80", DENIED},
		{"[::ffff:93.184.215.14]:80", OK},
		{"93.185.0.1:80", OK},
		{"[2600::1]:80", DENIED},
		{"[2601::1]:80", OK},
		{"10.1.0.1:80", OK},
		{"10.2.0.1:80", OK},
		{"192.168.0.1:80", DENIED},
		{"169.254.169.254:80", OK},
		{"169.254.169.253:80", DENIED},
		{"127.0.0.1:80", DENIED},
		{"[64:ff9b::1.2.3.4]:80", DENIED},
		{"[64:ff9b::1.2.3.5]:80", OK},
		{"[2002:102:304::]:80", DENIED},
		/* the server, and the client */
		{"[2001:0:102:304::f7f7:f7f7]:80", DENIED},
		{"[2001:0:808:808::fefd:fcfb]:80", DENIED},
		{"[2001:0:808:808::f7f7:f7f7]:80", OK},
		/* allow has the address within, not the one that is connected to */
		{"[64:ff9b::10.0.0.1]:80", DENIED},
		{"[2002:a9fe:a9fe::]:80", DENIED},
	};

	(void)state;
	assert_non_null(setup.access);
	for (size_t i = 0; i < COUNT(cases); i++)
		if (judge(&setup, "", cases[i].address) != cases[i].failure)
			fail_msg("%s", cases[i].address);
	setup_end(&setup);
}

static void an_allowed_name_may_be_anywhere(void **state)
{
	struct setup setup = setup_of("deny=bad.example;allow=.intra.example,one.example", OPEN);

	(void)state;
	assert_int_equal(judge(&setup, "intra.example", "10.0.0.1:80"), OK);
	assert_int_equal(judge(&setup, "A.Intra.Example.", "10.0.0.1:80"), OK);
	assert_int_equal(judge(&setup, "one.example", "10.0.0.1:80"), OK);
	assert_int_equal(judge(&setup, "two.one.example", "10.0.0.1:80"), DENIED);
	assert_int_equal(judge(&setup, "xintra.example", "10.0.0.1:80"), DENIED);
	assert_int_equal(judge(&setup, "bad.example", "93.184.215.14:80"), DENIED);
	assert_int_equal(judge(&setup, "a.intra.example", "127.0.0.1:3129"), OWN);
	setup_end(&setup);
}

/* A request for a host and port; `via` are lines of Via, cut at "|". */
static enum failure ask(const struct setup *setup, enum http_method method, const char *host,
			uint16_t port, const char *via)
{
	struct http_field lines[8];
	struct http_request req = {
		.method = method,
		.uri = {.host = slice_str(host), .port = port},
		.fields = {.at = lines, .capacity = COUNT(lines)},
	};
	enum failure failure;
	char text[512];
	char *rest = text;
	char *one;

	snprintf(text, sizeof(text), "%s", via);
	while (*via && (one = strsep(&rest, "|")))
		assert_true(http_fields_add(&req.fields, SLICE("via"), slice_trim(slice_str(one))));
	req.uri.host = guarded(req.uri.host);
	guarded_fields(&req.fields);
	failure = refused_or(access_request(setup->access, &req));
	guarded_end();
	return failure;
}

static void rules_decide_by_name(void **state)
{
	struct setup setup =
		setup_of("deny=.bad.example,Host.example,10.0.0.0/8,deep.good.bad.example,"
			 "dup.example,.dup.example,.pud.example,pud.example,.z;"
			 "allow=good.bad.example,.fine.bad.example",
			 LOCAL);
	static const struct {
		const char *host;
		enum failure failure;
	} cases[] = {
		{"bad.example", DENIED},
		{"BAD.example", DENIED},
		{"bad.example.", DENIED},
		{"a.bad.example", DENIED},
		{"a.b.bad.example.", DENIED},
		{"notbad.example", OK},
		{"example", OK},
		{"bad.example.com", OK},
		{"host.example", DENIED},
		{"HOST.EXAMPLE.", DENIED},
		{"www.host.example", OK},
		{"good.bad.example", OK},
		{"x.good.bad.example", DENIED},
		{"deep.good.bad.example", DENIED},
		{"fine.bad.example", OK},
		{"x.fine.bad.example", OK},
		{"dup.example", DENIED},
		{"x.dup.example", DENIED},
		{"z", DENIED},
		{"y.z", DENIED},
		{"pud.example", DENIED},
		{"x.pud.example", DENIED},
		{"10.0.0.1", DENIED},
		{"[::ffff:10.0.0.1]", DENIED},
		{"11.0.0.1", OK},
		{"169.254.169.254", DENIED},
		{"[fe80::1]", DENIED},
		{"127.0.0.1", OK},
	};

	(void)state;
	assert_non_null(setup.access);
	for (size_t i = 0; i < COUNT(cases); i++)
		if (ask(&setup, METHOD_GET, cases[i].host, 80, "") != cases[i].failure)
			fail_msg("%s", cases[i].host);
	assert_int_equal(ask(&setup, METHOD_GET, "127.0.0.1", 3129, ""), OWN);
	assert_int_equal(ask(&setup, METHOD_CONNECT, "bad.example", 443, ""), DENIED);
	setup_end(&setup);
}

static void connect_reaches_the_ports_of_the_option(void **state)
{
	struct setup preset = setup_of("", LOCAL);
	struct setup some = setup_of("connect_ports=1,443,8443,65535", LOCAL);
	struct setup all = setup_of("connect_ports=*", LOCAL);
	struct setup none = setup_of("connect_ports=", LOCAL);
	static const uint16_t ports[] = {1,   22,  25,   53,   80,    442,
					 443, 444, 3306, 8443, 65534, 65535};

	(void)state;
	for (size_t i = 0; i < COUNT(ports); i++) {
		uint16_t port = ports[i];
		bool is_some = port == 1 || port == 443 || port == 8443 || port == 65535;

		assert_int_equal(ask(&preset, METHOD_CONNECT, "a.example", port, ""),
				 port == 443 ? FAILURE_NONE : FAILURE_DENIED_TUNNEL);
		assert_int_equal(ask(&some, METHOD_CONNECT, "a.example", port, ""),
				 is_some ? FAILURE_NONE : FAILURE_DENIED_TUNNEL);
		assert_int_equal(ask(&all, METHOD_CONNECT, "a.example", port, ""), FAILURE_NONE);
		assert_int_equal(ask(&none, METHOD_CONNECT, "a.example", port, ""),
				 FAILURE_DENIED_TUNNEL);
	}
	setup_end(&preset);
	setup_end(&some);
	setup_end(&all);
	setup_end(&none);
}

static void a_range_of_ports_has_both_its_ends(void **state)
{
	struct setup some = setup_of("connect_ports=1-2,8000-8999,65535-65535", LOCAL);
	static const struct {
		uint16_t port;
		bool allowed;
	} cases[] = {
		{1, true},     {2, true},      {3, false},    {443, false},
		{7999, false}, {8000, true},   {8500, true},  {8999, true},
		{9000, false}, {65534, false}, {65535, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if ((ask(&some, METHOD_CONNECT, "a.example", cases[i].port, "") == FAILURE_NONE) !=
		    cases[i].allowed)
			fail_msg("port %u", cases[i].port);
	setup_end(&some);
}

static void ports_of_other_protocols_are_refused(void **state)
{
	static const enum http_method methods[] = {METHOD_GET, METHOD_POST, METHOD_OPTIONS,
						   METHOD_OTHER};
	static const struct {
		uint16_t port;
		bool refused, allowed; /* by default, by allow_ports=25,6667 */
	} cases[] = {
		{1, true, false},     {22, true, false},    {25, true, true},
		{53, true, false},    {110, true, false},   {6665, true, false},
		{6667, true, true},   {10080, true, false}, {80, false, true},
		{443, false, true},   {8080, false, true},  {2, false, true},
		{24, false, true},    {26, false, true},    {3306, false, true},
		{10081, false, true}, {65535, false, true},
	};
	struct setup preset = setup_of("connect_ports=*", LOCAL);
	struct setup some = setup_of("allow_ports=25,6667", LOCAL);
	struct setup all = setup_of("allow_ports=*", LOCAL);

	(void)state;
	for (size_t i = 0; i < COUNT(cases) * COUNT(methods); i++) {
		enum http_method method = methods[i % COUNT(methods)];
		uint16_t port = cases[i / COUNT(methods)].port;
		bool refused = cases[i / COUNT(methods)].refused;
		bool allowed = cases[i / COUNT(methods)].allowed;

		/* a target without a host is refused elsewhere */
		assert_int_equal(ask(&preset, method, "", port, ""), OK);
		/* what is remembered of the one is not of the other */
		assert_int_equal(ask(&preset, METHOD_CONNECT, "a.example", port, ""), OK);
		assert_int_equal(ask(&preset, method, "a.example", port, ""),
				 refused ? FAILURE_DENIED_PORT : OK);
		assert_int_equal(ask(&some, method, "a.example", port, ""),
				 allowed ? OK : FAILURE_DENIED_PORT);
		assert_int_equal(ask(&some, method, "127.0.0.1", port, ""),
				 allowed ? OK : FAILURE_DENIED_PORT);
		assert_int_equal(ask(&all, method, "a.example", port, ""), OK);
		assert_int_equal(ask(&all, METHOD_CONNECT, "a.example", port, ""),
				 port == 443 ? OK : FAILURE_DENIED_TUNNEL);
	}
	setup_end(&preset);
	setup_end(&some);
	setup_end(&all);
}

static void methods_are_those_of_the_option(void **state)
{
	struct setup all = setup_of("", LOCAL), some = setup_of("methods=GET,HEAD,QUERY", LOCAL);
	static const char *const allowed[] = {"GET", "HEAD", "QUERY"};
	static const char *const refused[] = {"POST", "get", "GETS", "GE", "QUERYX", ""};

	(void)state;
	for (size_t i = 0; i < COUNT(allowed); i++)
		assert_true(access_method(some.access, guarded_str(allowed[i])));
	for (size_t i = 0; i < COUNT(refused); i++) {
		assert_false(access_method(some.access, guarded_str(refused[i])));
		assert_true(access_method(all.access, guarded_str(refused[i])));
	}
	guarded_end();
	assert_int_equal(ask(&all, METHOD_GET, "a.example", 80, ""), OK);
	assert_int_equal(ask(&some, METHOD_GET, "a.example", 80, ""), FAILURE_DENIED_METHOD);
	setup_end(&all);
	setup_end(&some);
}

static void who_may_ask_tells_whether_it_is_this_machine_only(void **state)
{
	static const struct {
		const char *options, *listeners;
		bool local;
	} cases[] = {
		{"", LOCAL, true},
		{"", "127.0.0.1:3128 [::1]:3128", true},
		{"", "unix", true},
		{"", "unix 127.0.0.1:3128", true},
		{"", "unix 0.0.0.0:3128", false},
		{"", "", false},
		{"", OPEN, false},
		{"", "0.0.0.0:3128", false},
		{"clients=127.0.0.0/8,::1", OPEN, true},
		{"clients=127.0.0.0/9", OPEN, true},
		{"clients=127.0.0.0/7", LOCAL, false},
		{"clients=::1/127", LOCAL, false},
		{"clients=127.0.0.1,10.0.0.1", LOCAL, false},
		{"proxy_protocol_from=192.0.2.1", LOCAL, false},
		{"proxy_protocol_from=unix:/run/x", LOCAL, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct setup setup = setup_of(cases[i].options, cases[i].listeners);

		assert_non_null(setup.access);
		if (access_is_local_only(setup.access) != cases[i].local)
			fail_msg("%s, %s", cases[i].options, cases[i].listeners);
		setup_end(&setup);
	}
}

/* An address is one, to its last bit. */
static void an_own_address_is_one(void **state)
{
	struct setup setup =
		setup_of("allow=0.0.0.0/0,::/0", "192.0.2.7:3128 [2001:db8:7::3]:3128");

	(void)state;
	assert_int_equal(judge(&setup, "", "192.0.2.7:3128"), OWN);
	assert_int_equal(judge(&setup, "", "192.0.2.6:3128"), OK);
	assert_int_equal(judge(&setup, "", "192.0.2.7:3129"), OK);
	assert_int_equal(judge(&setup, "", "[2001:db8:7::3]:3128"), OWN);
	assert_int_equal(judge(&setup, "", "[2001:db8:7::2]:3128"), OK);
	assert_int_equal(judge(&setup, "", "[2001:db8:8::3]:3128"), OK);
	/* those of the first listener alone: what is behind the end of a list is not of it */
	setup.access->own_count = 3;
	assert_int_equal(judge(&setup, "", "192.0.2.7:3128"), OWN);
	assert_int_equal(judge(&setup, "", "[2001:db8:7::3]:3128"), OK);
	setup_end(&setup);
}

static void a_socket_among_the_senders_hides_no_other(void **state)
{
	struct setup setup = setup_of("proxy_protocol_from=unix:/run/x,192.0.2.0/24", LOCAL);
	union address peer = address_of("192.0.2.9");

	(void)state;
	assert_true(access_sender(setup.access, &peer));
	peer = address_of("192.0.3.9");
	assert_false(access_sender(setup.access, &peer));
	peer = (union address){.any.sa_family = AF_UNIX};
	assert_true(access_sender(setup.access, &peer));
	setup_end(&setup);
	setup = setup_of("proxy_protocol_from=192.0.2.0/24", LOCAL);
	assert_false(access_sender(setup.access, &peer));
	setup_end(&setup);
}

static void tunnels_to_ports_of_the_option_are_read(void **state)
{
	struct setup some = setup_of("tunnel_http=80,8000-8001", LOCAL);
	static const struct {
		uint16_t port;
		bool read;
	} cases[] = {
		{79, false},   {80, true},   {81, false},  {443, false},
		{7999, false}, {8000, true}, {8001, true}, {8002, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_uri uri = {.host = SLICE("a.example"), .port = cases[i].port};

		assert_int_equal(access_reads_tunnel(some.access, &uri), cases[i].read);
	}
	setup_end(&some);
}

/* ---- verdicts that are remembered ----------------------------------------------------------- */

static void forbid_port(struct setup *setup, uint16_t port, bool forbid)
{
	uint8_t bit = (uint8_t)(1 << port % 8);
	uint8_t *bits = &setup->access->ports.bits[port / 8];

	*bits = (uint8_t)(forbid ? *bits & ~bit : *bits | bit);
}

/* A name, so many bytes long, is not judged again; one that is longer than there is room for is. */
static void a_verdict_is_remembered(void **state)
{
	struct setup setup = setup_of("", LOCAL);
	char host[MEMO_HOST_MAX + 2];

	(void)state;
	memset(host, 'a', sizeof(host));
	for (size_t n = 1; n < sizeof(host); n++) {
		host[n] = '\0';
		forbid_port(&setup, 80, false);
		assert_int_equal(ask(&setup, METHOD_GET, host, 80, ""), OK);
		forbid_port(&setup, 80, true);
		assert_int_equal(ask(&setup, METHOD_GET, host, 80, ""),
				 n <= MEMO_HOST_MAX ? OK : FAILURE_DENIED_PORT);
		host[n] = 'a';
	}
	setup_end(&setup);
}

/* Hosts of one place, of one length, of other ports: each has its own verdict. */
static void a_verdict_is_of_one_host_and_port(void **state)
{
	struct setup setup = setup_of("deny=.bad", LOCAL);
	char host[40];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 600; i++) {
			bool bad = i % 3 == 0;

			snprintf(host, sizeof(host), "h%u.%s", i / 2, bad ? "bad" : "far");
			assert_int_equal(ask(&setup, METHOD_GET, host, 80, ""), bad ? DENIED : OK);
			assert_int_equal(ask(&setup, METHOD_GET, host, 25, ""),
					 FAILURE_DENIED_PORT);
			/* the middle of a name, which does not choose the place */
			snprintf(host, sizeof(host), "same.one.%s.%03u.the.same.one",
				 bad ? "denied" : "passed", i);
			assert_int_equal(ask(&setup, METHOD_GET, host, 80, ""), OK);
		}
	}
	setup_end(&setup);
	setup = setup_of("deny=same.one.denied.the.same.one", LOCAL);
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(ask(&setup, METHOD_GET, "same.one.passed.the.same.one", 80, ""),
				 OK);
		assert_int_equal(ask(&setup, METHOD_GET, "same.one.denied.the.same.one", 80, ""),
				 DENIED);
	}
	setup_end(&setup);
}

static unsigned places_taken(const struct setup *setup)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < MEMO_SLOTS; i++)
		taken += setup->access->memo[i].length > 0;
	return taken;
}

/* Hosts that differ in their beginning, their end, or their port alone, and short ones. */
static void verdicts_have_places_of_their_own(void **state)
{
	static const struct {
		const char *before, *after;
		bool by_port;
	} hosts[] = {
		{"h", ".long.name.example", false},
		{"a.long.name.example", "", false},
		{"h", "", false},
		{"a.example", "", true},
	};
	char host[64];

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct setup setup = setup_of("", LOCAL);

		for (unsigned n = 0; n < MEMO_SLOTS; n++) {
			bool by_port = hosts[i].by_port;

			snprintf(host, sizeof(host), "%s%u%s", hosts[i].before, by_port ? 0 : n,
				 hosts[i].after);
			ask(&setup, METHOD_GET, host, by_port ? (uint16_t)(8000 + n) : 80, "");
		}
		/* by chance it would be two thirds of all; the last byte alone makes less of it */
		if (places_taken(&setup) < MEMO_SLOTS / 8)
			fail_msg("%u places for hosts of kind %zu", places_taken(&setup), i);
		setup_end(&setup);
	}
}

/* --------------------------------------------------------------------------------------------- */

static void our_own_via_is_a_loop(void **state)
{
	struct setup setup = setup_of("pseudonym=mine", LOCAL);
	static const struct {
		const char *via;
		enum failure failure;
	} cases[] = {
		{"", OK},
		{"1.1 mine", LOOP},
		{"1.1 MINE", LOOP},
		{"HTTP/1.1 mine", LOOP},
		{"1.0 other, 1.1 mine", LOOP},
		{"1.0 other,1.1 mine,1.1 third", LOOP},
		{"1.0 other|1.1 mine", LOOP},
		{"1.1 mine|1.0 other", LOOP},
		{"1.1 mine (a comment)", LOOP},
		{"1.1\tmine", LOOP},
		{"1.1 mine\t(a comment)", LOOP},
		{"1.1   mine  ", LOOP},
		{", ,1.1 mine", LOOP},
		{"1.1 other (\"), 1.1 mine", LOOP},
		{"1.1 other (it's \"odd, 1.1 mine", LOOP},
		{"1.1 other", OK},
		{"1.1 mine2", OK},
		{"1.1 mine:3128", OK},
		{"1.1 not-mine", OK},
		{"1.1 other (mine)", OK},
		{"mine", OK},
		{"1.1", OK},
		{",", OK},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (ask(&setup, METHOD_GET, "a.example", 80, cases[i].via) != cases[i].failure)
			fail_msg("%s", cases[i].via);
	assert_int_equal(ask(&setup, METHOD_CONNECT, "a.example", 443, "1.1 mine"), LOOP);
	setup_end(&setup);
	/* of another instance of the same name it is none */
	setup = setup_of("pseudonym=mine", LOCAL);
	access_free(setup.access);
	setup.conf->instance = strdup("mine-1");
	setup.access = compile(setup.conf, NULL, 0, false, &setup.error);
	assert_int_equal(ask(&setup, METHOD_GET, "a.example", 80, "1.1 mine-1"), LOOP);
	assert_int_equal(ask(&setup, METHOD_GET, "a.example", 80, "1.1 mine"), OK);
	setup_end(&setup);
	/* of one byte: nothing is read behind a member that has no name */
	setup = setup_of("pseudonym=m", LOCAL);
	assert_int_equal(ask(&setup, METHOD_GET, "a.example", 80, "1.1 m"), LOOP);
	assert_int_equal(ask(&setup, METHOD_GET, "a.example", 80, "1.1"), OK);
	assert_int_equal(ask(&setup, METHOD_GET, "a.example", 80, "m"), OK);
	assert_int_equal(ask(&setup, METHOD_GET, "a.example", 80, "m,1.1 x"), OK);
	setup_end(&setup);
}

static bool is_client(const struct setup *setup, const char *peer)
{
	union address address = address_of(peer);

	return access_client(setup->access, &address);
}

static void clients_are_of_the_networks_given(void **state)
{
	struct setup setup = setup_of("clients=10.0.0.0/8,2001:db8::/32", "0.0.0.0:3128");

	(void)state;
	assert_true(is_client(&setup, "10.1.2.3"));
	assert_true(is_client(&setup, "::ffff:10.1.2.3"));
	assert_true(is_client(&setup, "2001:db8::1"));
	assert_false(is_client(&setup, "11.0.0.1"));
	assert_false(is_client(&setup, "127.0.0.1"));
	assert_false(is_client(&setup, "::1"));
	/* what is behind the end of a list is not of it */
	setup.access->client_count--;
	assert_true(is_client(&setup, "10.1.2.3"));
	assert_false(is_client(&setup, "2001:db8::1"));
	setup_end(&setup);
}

static void senders_are_of_the_networks_given(void **state)
{
	struct setup setup = setup_of("proxy_protocol_from=192.0.2.0/24,2001:db8::5", OPEN);
	union address peer;

	(void)state;
	peer = address_of("192.0.2.7");
	assert_true(access_sender(setup.access, &peer));
	peer = address_of("::ffff:192.0.2.7");
	assert_true(access_sender(setup.access, &peer));
	peer = address_of("2001:db8::5");
	assert_true(access_sender(setup.access, &peer));
	peer = address_of("127.0.0.1");
	assert_false(access_sender(setup.access, &peer));
	peer = address_unix();
	assert_false(access_sender(setup.access, &peer));
	assert_true(access_client(setup.access, &peer));
	setup_end(&setup);
	setup = setup_of("", OPEN);
	peer = address_of("127.0.0.1");
	assert_false(access_sender(setup.access, &peer));
	setup_end(&setup);
	setup = setup_of("proxy_protocol_from=unix:,192.0.2.0/24", OPEN);
	assert_false(access_sender(setup.access, &peer));
	peer = address_unix();
	assert_true(access_sender(setup.access, &peer));
	assert_false(access_is_local_only(setup.access));
	setup_end(&setup);
}

/* Of a destination that the operator chose only the proxy itself is refused, however spelled. */
static void chosen_destinations_are_not_judged(void **state)
{
	static const struct {
		const char *address;
		enum failure failure;
	} cases[] = {
		{"10.0.0.1:80", OK},
		{"169.254.169.254:80", OK},
		{"127.0.0.1:80", OK},
		{"203.0.113.9:80", OK},
		{"127.0.0.1:3129", OWN},
		{"198.51.100.1:3128", OWN},
		{"[::ffff:198.51.100.1]:3128", OWN},
		{"[64:ff9b::198.51.100.1]:3128", OWN},
		{"0.0.0.0:3128", OWN},
	};
	struct setup setup = setup_of("deny=203.0.113.0/24", OPEN);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address address = endpoint_of(cases[i].address);

		if (access_chosen(setup.access, &address) != cases[i].failure)
			fail_msg("%s", cases[i].address);
	}
	setup_end(&setup);
}

static void clients_are_loopback_by_default(void **state)
{
	struct setup setup = setup_of("", LOCAL);

	(void)state;
	assert_true(is_client(&setup, "127.0.0.1"));
	assert_true(is_client(&setup, "127.8.8.8"));
	assert_true(is_client(&setup, "::1"));
	assert_true(is_client(&setup, "::ffff:127.0.0.1"));
	assert_false(is_client(&setup, "10.0.0.1"));
	assert_false(is_client(&setup, "8.8.8.8"));
	assert_false(is_client(&setup, "2001:db8::1"));
	setup_end(&setup);
}

static void clients_are_of_the_listening_network_too(void **state)
{
	struct setup setup = setup_of("", "192.0.2.7:3128");
	union address address = endpoint_of("192.0.2.7:3128");

	(void)state;
	assert_true(access_client(setup.access, &address));
	assert_true(is_client(&setup, "192.0.2.200"));
	assert_true(is_client(&setup, "127.0.0.1"));
	assert_false(is_client(&setup, "10.1.2.4"));
	assert_false(is_client(&setup, "8.8.8.8"));
	assert_int_equal(access_address(setup.access, SLICE(""), FROM_HERE, &address), OWN);
	setup_end(&setup);
	setup = setup_of("", "0.0.0.0:3128");
	assert_true(access_client(setup.access, &address));
	assert_true(is_client(&setup, "10.1.200.4"));
	assert_false(is_client(&setup, "2001:db8:7::4"));
	assert_false(is_client(&setup, "8.8.8.8"));
	setup_end(&setup);
	setup = setup_of("", "[::]:3128");
	assert_true(is_client(&setup, "10.1.200.4"));
	assert_true(is_client(&setup, "2001:db8:7::4"));
	assert_false(is_client(&setup, "2001:db8:8::4"));
	setup_end(&setup);
}

static void bad_rules_are_reported(void **state)
{
	static const struct {
		const char *options;
		const char *error;
	} cases[] = {
		{"deny=10.0.0.0/33", "deny: \"10.0.0.0/33\""},
		{"deny=ok.example,10.0.0", "deny: \"10.0.0\""},
		{"deny=0x7f.1", "deny: \"0x7f.1\""},
		{"deny=a..b", "deny: \"a..b\""},
		{"deny=..a", "deny: \"..a\""},
		{"deny=.", "deny: \".\""},
		{"allow=*.example.com", "allow: \"*.example.com\""},
		{"allow=a.example:80", "allow: \"a.example:80\""},
		{"clients=example.com", "clients: \"example.com\""},
		{"clients=127.1", "clients: \"127.1\""},
		{"connect_ports=0", "connect_ports: \"0\""},
		{"connect_ports=65536", "connect_ports: \"65536\""},
		{"connect_ports=4294967739", "connect_ports: \"4294967739\""},
		{"connect_ports=9-8", "connect_ports: \"9-8\""},
		{"connect_ports=0443", "connect_ports: \"0443\""},
		{"connect_ports=https", "connect_ports: \"https\""},
		{"connect_ports=-1", "connect_ports: \"-1\""},
		{"allow_ports=25,0", "allow_ports: \"0\""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct setup setup = setup_of(cases[i].options, LOCAL);

		assert_null(setup.access);
		if (strncmp(setup.error.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s: %s", cases[i].options, setup.error.text);
		setup_end(&setup);
	}
}

/* As one may come from a list that no form of the configuration has looked at. */
static void an_empty_rule_is_refused(void **state)
{
	char *texts[] = {(char[]){"a.example"}, (char[]){""}};
	struct conf_list list = {.at = texts, .count = COUNT(texts)};
	struct diagnostic error;

	(void)state;
	assert_null(rules_new(&list, "deny", &error));
	assert_non_null(strstr(error.text, "deny: \"\" is not"));
}

static void a_long_list_is_matched_whole(void **state)
{
	struct conf *conf = test_conf_new();
	union address own = endpoint_of("127.0.0.1:3128");
	struct setup setup = {.conf = conf};
	enum { MANY = 1000 };
	char name[64];

	(void)state;
	conf->deny.at = calloc(MANY, sizeof(char *));
	assert_non_null(conf->deny.at);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%sh%zu.example", i % 2 ? "." : "", i * 7919 % MANY);
		conf->deny.at[i] = strdup(name);
		assert_non_null(conf->deny.at[i]);
	}
	conf->deny.count = MANY;
	setup.access = compile(conf, &own, 1, false, &setup.error);
	assert_non_null(setup.access);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "h%zu.example", i * 7919 % MANY);
		assert_int_equal(ask(&setup, METHOD_GET, name, 80, ""), DENIED);
		snprintf(name, sizeof(name), "x.h%zu.example", i * 7919 % MANY);
		assert_int_equal(ask(&setup, METHOD_GET, name, 80, ""), i % 2 ? DENIED : OK);
	}
	assert_int_equal(ask(&setup, METHOD_GET, "h1000.example", 80, ""), OK);
	setup_end(&setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_range_is_of_its_kind),
		cmocka_unit_test(embedded_addresses_have_the_port),
		cmocka_unit_test(a_kind_is_refused_or_not),
		cmocka_unit_test(a_refusal_names_its_rule),
		cmocka_unit_test(private_places_are_for_this_machine_only),
		cmocka_unit_test(names_that_lead_here_are_refused),
		cmocka_unit_test(own_listeners_are_never_reached),
		cmocka_unit_test(a_wildcard_listener_has_all_addresses_of_the_machine),
		cmocka_unit_test(a_connection_to_oneself_is_known_by_its_ends),
		cmocka_unit_test(rules_decide_by_address),
		cmocka_unit_test(an_allowed_name_may_be_anywhere),
		cmocka_unit_test(rules_decide_by_name),
		cmocka_unit_test(connect_reaches_the_ports_of_the_option),
		cmocka_unit_test(a_range_of_ports_has_both_its_ends),
		cmocka_unit_test(ports_of_other_protocols_are_refused),
		cmocka_unit_test(tunnels_to_ports_of_the_option_are_read),
		cmocka_unit_test(a_verdict_is_remembered),
		cmocka_unit_test(a_verdict_is_of_one_host_and_port),
		cmocka_unit_test(verdicts_have_places_of_their_own),
		cmocka_unit_test(methods_are_those_of_the_option),
		cmocka_unit_test(who_may_ask_tells_whether_it_is_this_machine_only),
		cmocka_unit_test(an_own_address_is_one),
		cmocka_unit_test(a_socket_among_the_senders_hides_no_other),
		cmocka_unit_test(our_own_via_is_a_loop),
		cmocka_unit_test(clients_are_of_the_networks_given),
		cmocka_unit_test(senders_are_of_the_networks_given),
		cmocka_unit_test(chosen_destinations_are_not_judged),
		cmocka_unit_test(clients_are_loopback_by_default),
		cmocka_unit_test(clients_are_of_the_listening_network_too),
		cmocka_unit_test(bad_rules_are_reported),
		cmocka_unit_test(an_empty_rule_is_refused),
		cmocka_unit_test(a_long_list_is_matched_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
