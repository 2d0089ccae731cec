/* LINKS: proxy/base */
/* Socket addresses, networks and host names as text: what is read, what is refused, what is
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "proxy/base/address.h"
#include "proxy/base/hostname.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static union address address_of(const char *text)
{
	union address address;

	if (!address_parse(slice_str(text), &address))
		fail_msg("%s is no address", text);
	return address;
}

static void numeric_addresses_are_read(void **state)
{
	static const struct {
		const char *text;
		const char *normal;
	} cases[] = {
		{"0.0.0.0", "0.0.0.0"},
		{"127.0.0.1", "127.0.0.1"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"[::1]", "::1"},
		{"2001:DB8:0:0::1", "2001:db8::1"},
		{"[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2:3:4:5:6"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"1111:2222:3333:4444:5555:6666:255.255.255.255",
		 "1111:2222:3333:4444:5555:6666:ffff:ffff"},
	};
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address address = address_of(cases[i].text);

		assert_int_equal(address_format(&address, text), strlen(cases[i].normal));
		assert_string_equal(text, cases[i].normal);
		assert_int_equal(address_port(&address), 0);
	}
}

static void each_byte_is_written(void **state)
{
	char text[ADDRESS_TEXT_SIZE], expected[ADDRESS_TEXT_SIZE];

	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t bytes[4] = {(uint8_t)byte, (uint8_t)(byte + 1), (uint8_t)(byte + 2),
				    (uint8_t)(byte + 3)};
		union address address = address_from_bytes(AF_INET, bytes);

		snprintf(expected, sizeof(expected), "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2],
			 bytes[3]);
		assert_int_equal(address_format(&address, text), strlen(expected));
		assert_string_equal(text, expected);
	}
}

static void odd_spellings_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"1",
		"127.1",
		"127.0.1",
		"2130706433",
		"0x7f.0.0.1",
		"0x7f000001",
		"0177.0.0.1",
		"017700000001",
		"127.0.0.01",
		"127.0.0.1.",
		"127.0.0.1 ",
		" 127.0.0.1",
		"127.0.0.256",
		"127.0.0.1/32",
		"1.2.3.4.5",
		"+1.2.3.4",
		"1..2.3",
		"1.2.3",
		"a.b.c.d",
		"[127.0.0.1]",
		"[]",
		"[",
		"]",
		"[::1",
		"::1]",
		"[::1]:80",
		"::1%lo",
		"[fe80::1%25eth0]",
		"fe80::1%1",
		":::",
		"1::2::3",
		"12345::",
		"::ffff:1.2.3",
		"::ffff:127.0.0.01",
		"[[::1]]",
		"::ffff:0x7f.1",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"\xef\xbc\x91.1.1.1",
		"11111:2222:3333:4444:5555:6666:255.255.255.255",
	};
	union address address;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (address_parse(slice_str(cases[i]), &address))
			fail_msg("%s was taken", cases[i]);
	assert_false(address_parse(slice_of("127.0.0.1\0x", 11), &address));
	assert_false(address_parse(slice_of(NULL, 0), &address));
}

static void ports_are_written_and_kept(void **state)
{
	union address v4 = address_of("192.0.2.1");
	union address v6 = address_of("1111:2222:3333:4444:5555:6666:7777:8888");
	union address mapped = address_of("::ffff:192.0.2.1");
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	address_set_port(&v4, 80);
	address_set_port(&v6, 65535);
	address_set_port(&mapped, 3128);
	assert_int_equal(address_format_port(&v4, text), 12);
	assert_string_equal(text, "192.0.2.1:80");
	address_format_port(&v6, text);
	assert_string_equal(text, "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
	mapped = address_unmapped(&mapped);
	address_format_port(&mapped, text);
	assert_string_equal(text, "192.0.2.1:3128");
	assert_true(address_equal(&v4, &mapped));
}

static void loopback_and_wildcard_are_recognised_in_each_form(void **state)
{
	static const struct {
		const char *text;
		bool loopback;
		bool wildcard;
	} cases[] = {
		{"127.0.0.1", true, false},
		{"127.255.255.255", true, false},
		{"126.255.255.255", false, false},
		{"128.0.0.0", false, false},
		{"::1", true, false},
		{"::2", false, false},
		{"::ffff:127.0.0.1", true, false},
		{"::127.0.0.1", false, false},
		{"0.0.0.0", false, true},
		{"0.0.0.1", false, false},
		{"::", false, true},
		{"::ffff:0.0.0.0", false, true},
		{"1::", false, false},
		{"0:0:1::", false, false},
		{"::1:0:0", false, false},
		{"1::1", false, false},
		{"0:0:1::1", false, false},
		{"::1:0:1", false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address address = address_of(cases[i].text);

		assert_int_equal(address_is_loopback(&address), cases[i].loopback);
		assert_int_equal(address_is_wildcard(&address), cases[i].wildcard);
	}
}

static void networks_have_what_is_in_them(void **state)
{
	static const struct {
		const char *network;
		const char *in;
		const char *out;
	} cases[] = {
		{"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
		{"10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"},
		{"10.1.2.3/8", "10.0.0.0", "9.255.255.255"},
		{"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
		{"192.0.2.7", "192.0.2.7", "192.0.2.6"},
		{"192.0.2.0/31", "192.0.2.1", "192.0.2.2"},
		{"0.0.0.0/0", "203.0.113.1", "2001:db8::1"},
		{"0.0.0.0/1", "127.255.255.255", "128.0.0.0"},
		{"::/0", "ffff::", "1.2.3.4"},
		{"::1", "::1", "::"},
		{"[2001:db8::]/33", "2001:db8:7fff::", "2001:db8:8000::"},
		{"fe80::/10", "febf:ffff::1", "fec0::"},
		{"::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"},
		{"::ffff:0:0/96", "8.8.8.8", "::1"},
		{"::ffff:10.0.0.0/95", "::fffe:1.2.3.4", "10.0.0.0"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address in = address_of(cases[i].in);
		union address out = address_of(cases[i].out);
		struct network network;

		assert_true(network_parse(slice_str(cases[i].network), &network));
		if (!network_has(&network, &in) || network_has(&network, &out))
			fail_msg("%s", cases[i].network);
	}
}

static void bad_networks_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/08",
		"10.0.0.0/ 8",
		"10.0.0.0/8 ",
		"10.0.0.0/8/8",
		"10.0.0/8",
		"10/8",
		"::/129",
		"::/1111",
		"10.0.0.0/255.0.0.0",
		"example.com",
		"example.com/8",
		"10.0.0.0/x",
		"fe80::%lo/10",
		"10.0.0.0/00",
	};
	struct network network;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (network_parse(slice_str(cases[i]), &network))
			fail_msg("%s was taken", cases[i]);
}

static void families_take_turns(void **state)
{
	union address v6[3] = {address_of("::1"), address_of("::2"), address_of("::1")};
	union address v4[2] = {address_of("1.0.0.1"), address_of("1.0.0.2")};
	static const char *const order[] = {"::1", "1.0.0.1", "::2", "1.0.0.2"};
	struct addresses all = {.count = 0};

	(void)state;
	addresses_interleave(&all, v6, 3, v4, 2);
	assert_int_equal(all.count, COUNT(order));
	for (unsigned i = 0; i < all.count; i++) {
		union address expected = address_of(order[i]);

		assert_true(address_equal(&all.at[i], &expected));
	}
}

static void no_more_addresses_than_there_is_room_for(void **state)
{
	union address many[ADDRESSES_MAX + 1];
	struct addresses all = {.count = 0};

	(void)state;
	for (uint8_t i = 0; i < COUNT(many); i++)
		many[i] = address_from_bytes(AF_INET, (uint8_t[]){192, 0, 2, i});
	addresses_interleave(&all, NULL, 0, many, ADDRESSES_MAX - 1);
	assert_int_equal(all.count, ADDRESSES_MAX - 1);
	all.count = 0;
	addresses_interleave(&all, NULL, 0, many, ADDRESSES_MAX);
	assert_int_equal(all.count, ADDRESSES_MAX);
	all.count = 0;
	addresses_interleave(&all, NULL, 0, many, ADDRESSES_MAX + 1);
	assert_int_equal(all.count, ADDRESSES_MAX);
}

/* The one that is there for the last room has it. */
static void the_last_room_is_for_the_first_family(void **state)
{
	union address v6 = address_of("::1"), v4 = address_of("1.0.0.1");
	struct addresses all = {.count = ADDRESSES_MAX - 1};

	(void)state;
	memset(all.at, 0xff, sizeof(all.at));
	addresses_interleave(&all, &v6, 1, &v4, 1);
	assert_int_equal(all.count, ADDRESSES_MAX);
	assert_true(address_equal(&all.at[ADDRESSES_MAX - 1], &v6));
}

/* What a service that is bound to all addresses of the machine is asked by, from the machine. */
static void all_addresses_are_reached_by_the_loopback(void **state)
{
	static const struct {
		const char *bound, *reached;
	} cases[] = {
		{"0.0.0.0", "127.0.0.1"},       {"::", "::1"},
		{"::ffff:0.0.0.0", "::1"},      {"192.0.2.1", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::1"}, {"127.0.0.2", "127.0.0.2"},
	};
	union address path = address_unix();

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		union address bound = address_of(cases[i].bound), here;
		union address expected = address_of(cases[i].reached);

		address_set_port(&bound, 3128);
		here = address_reached_here(&bound);
		assert_true(address_equal(&here, &expected));
		assert_int_equal(address_port(&here), 3128);
	}
	path = address_reached_here(&path);
	assert_int_equal(path.any.sa_family, AF_UNIX);
}

/* The kernel and comparisons see all of it. */
static void what_is_not_said_is_zero(void **state)
{
	static const uint8_t bytes[16] = {192, 0, 2, 1};
	union address v4, v6, expected;

	(void)state;
	memset(&v4, 0xff, sizeof(v4));
	memset(&v6, 0xff, sizeof(v6));
	v4 = address_from_bytes(AF_INET, bytes);
	memset(&expected, 0, sizeof(expected));
	expected.v4.sin_family = AF_INET;
	memcpy(&expected.v4.sin_addr, bytes, 4);
	assert_memory_equal(&v4, &expected, sizeof(v4));
	v6 = address_from_bytes(AF_INET6, bytes);
	memset(&expected, 0, sizeof(expected));
	expected.v6.sin6_family = AF_INET6;
	memcpy(&expected.v6.sin6_addr, bytes, 16);
	assert_memory_equal(&v6, &expected, sizeof(v6));
}

static void each_kind_has_its_length_for_the_kernel(void **state)
{
	union address v4 = address_of("192.0.2.1"), v6 = address_of("::1"), path = address_unix();
	union address none;
	char text[ADDRESS_TEXT_SIZE] = "x";

	(void)state;
	assert_int_equal(address_length(&v4), sizeof(struct sockaddr_in));
	assert_int_equal(address_length(&v6), sizeof(struct sockaddr_in6));
	assert_int_equal(address_length(&path), sizeof(sa_family_t));
	memset(&none, 0, sizeof(none)); /* which is of no family */
	assert_int_equal(address_format(&none, text), 0);
	assert_string_equal(text, "");
	assert_true(address_equal(&none, &none));
}

static void host_names_have_one_form(void **state)
{
	static const struct {
		const char *text;
		const char *normal; /* NULL when it is none */
	} cases[] = {
		{"example.com", "example.com"},
		{"EXAMPLE.Com.", "example.com"},
		{"localhost", "localhost"},
		{"a_b.c-d", "a_b.c-d"},
		{"1.2.3.4x", "1.2.3.4x"},
		{"1e100.net", "1e100.net"},
		{"0xg", "0xg"},
		{"x.0x1.com", "x.0x1.com"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"", NULL},
		{".", NULL},
		{"a..b", NULL},
		{".a", NULL},
		{"a..", NULL},
		{"a b", NULL},
		{"a%41", NULL},
		{"b\xc3\xbc.de", NULL},
		{"a,b", NULL},
		{"[::1]", NULL},
		{"1", NULL},
		{"127.1", NULL},
		{"127.0.0.1.", NULL},
		{"0x7f.1", NULL},
		{"127.0.0.0x1", NULL},
		{"127.0.0.0X1", NULL},
		{"0x", NULL},
		{"2130706433", NULL},
		{"017700000001", NULL},
		{"1.2.3.4.5", NULL},
		{"example.com:80", NULL},
		{"example.com/", NULL},
	};
	char name[HOSTNAME_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = hostname_normal(slice_str(cases[i].text), name);

		if (!slice_eq(slice_of(name, n),
			      cases[i].normal ? slice_str(cases[i].normal) : slice_of(NULL, 0)))
			fail_msg("%s", cases[i].text);
	}
	assert_int_equal(hostname_normal(slice_of("a\0b", 3), name), 0);
}

static void long_names_are_refused(void **state)
{
	char text[HOSTNAME_MAX + 2];
	char name[HOSTNAME_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(hostname_normal(slice_of(text, 62), name), 62);
	assert_int_equal(hostname_normal(slice_of(text, 63), name), 63);
	assert_int_equal(hostname_normal(slice_of(text, 64), name), 0);
	for (size_t i = 50; i < sizeof(text); i += 50)
		text[i] = '.';
	assert_int_equal(hostname_normal(slice_of(text, 252), name), 252);
	assert_int_equal(hostname_normal(slice_of(text, 253), name), 253);
	assert_int_equal(hostname_normal(slice_of(text, 254), name), 0);
	text[253] = '.'; /* the last dot does not count */
	assert_int_equal(hostname_normal(slice_of(text, 254), name), 253);
}

static void domains_end_at_dots(void **state)
{
	(void)state;
	assert_true(hostname_is_within(SLICE("example.com"), SLICE("example.com")));
	assert_true(hostname_is_within(SLICE("a.example.com"), SLICE("example.com")));
	assert_false(hostname_is_within(SLICE("badexample.com"), SLICE("example.com")));
	assert_false(hostname_is_within(SLICE("com"), SLICE("example.com")));
	assert_false(hostname_is_within(SLICE("example.com.evil"), SLICE("example.com")));
}

static void peers_of_unix_sockets_are_one_address(void **state)
{
	union address peer = address_unix(), other = address_unix(), v4 = address_of("0.0.0.0");
	char text[ADDRESS_TEXT_SIZE];
	struct network all;

	(void)state;
	assert_int_equal(address_format(&peer, text), 5);
	assert_string_equal(text, "unix:");
	assert_int_equal(address_format_port(&peer, text), 5);
	assert_string_equal(text, "unix:");
	assert_int_equal(address_port(&peer), 0);
	assert_true(address_equal(&peer, &other));
	assert_false(address_equal(&peer, &v4));
	assert_true(address_is_loopback(&peer));
	assert_false(address_is_wildcard(&peer));
	assert_true(network_parse(SLICE("0.0.0.0/0"), &all));
	assert_false(network_has(&all, &peer));
	assert_true(network_parse(SLICE("::/0"), &all));
	assert_false(network_has(&all, &peer));
	assert_false(address_parse(SLICE("unix:"), &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numeric_addresses_are_read),
		cmocka_unit_test(each_byte_is_written),
		cmocka_unit_test(odd_spellings_are_refused),
		cmocka_unit_test(ports_are_written_and_kept),
		cmocka_unit_test(loopback_and_wildcard_are_recognised_in_each_form),
		cmocka_unit_test(networks_have_what_is_in_them),
		cmocka_unit_test(bad_networks_are_refused),
		cmocka_unit_test(families_take_turns),
		cmocka_unit_test(no_more_addresses_than_there_is_room_for),
		cmocka_unit_test(the_last_room_is_for_the_first_family),
		cmocka_unit_test(all_addresses_are_reached_by_the_loopback),
		cmocka_unit_test(what_is_not_said_is_zero),
		cmocka_unit_test(each_kind_has_its_length_for_the_kernel),
		cmocka_unit_test(host_names_have_one_form),
		cmocka_unit_test(long_names_are_refused),
		cmocka_unit_test(domains_end_at_dots),
		cmocka_unit_test(peers_of_unix_sockets_are_one_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
