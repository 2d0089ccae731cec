/* LINKS: conf */
/* Values as operators write them: good and bad ones, and what is said to the bad. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "cache/base/diagnostic.h"
#include "conf/forms.h"
#include "conf/units.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define BAD (-1)

struct number_case {
	const char *text;
	int64_t number; /* BAD: refused */
};

static void check_numbers(bool (*parse)(const char *, int64_t *), const struct number_case *cases,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t number = BAD;
		bool parsed = parse(cases[i].text, &number);

		if (number != cases[i].number || parsed != (cases[i].number != BAD))
			fail_msg("\"%s\": %s, %lld", cases[i].text, parsed ? "taken" : "refused",
				 (long long)number);
	}
}

static void test_count(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0},
		{"007", 7},
		{"4294967296", 4294967296},
		{"9223372036854775807", UNITS_MAX},
		{"9223372036854775808", UNITS_MAX},
		{"99999999999999999999999999999999", UNITS_MAX},
		{"", BAD},
		{" 1", BAD},
		{"1 ", BAD},
		{"-1", BAD},
		{"+1", BAD},
		{"1.5", BAD},
		{"0x10", BAD},
		{"1k", BAD},
	};

	(void)state;
	check_numbers(units_parse_count, cases, COUNT_OF(cases));
}

static void test_size(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0},
		{"512", 512},
		{"1B", 1},
		{"1KiB", 1024},
		{"16 MiB", 16 << 20},
		{"1024GiB", (int64_t)1 << 40},
		{"9999999999999GiB", UNITS_MAX},
		{"99999999999999999999B", UNITS_MAX},
		{"12 XB", BAD},
		{"1kib", BAD},
		{"1MB", BAD},
		{"1M", BAD},
		{"1  MiB", BAD},
		{"1MiB ", BAD},
		{"1.5GiB", BAD},
		{"MiB", BAD},
		{"-1MiB", BAD},
		{"", BAD},
	};

	(void)state;
	check_numbers(units_parse_size, cases, COUNT_OF(cases));
}

static void test_duration(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0},
		{"0s", 0},
		{"1ms", 1},
		{"10s", 10000},
		{"2 m", 120000},
		{"1h", 3600000},
		{"365d", 31536000000},
		{"99999999999999999d", UNITS_MAX},
		{"10", BAD},
		{"10S", BAD},
		{"10sec", BAD},
		{"1h30m", BAD},
		{"s", BAD},
		{"", BAD},
	};

	(void)state;
	check_numbers(units_parse_duration, cases, COUNT_OF(cases));
}

static void test_switch(void **state)
{
	static const char *const on[] = {"on", "yes", "true", "On", "TRUE"};
	static const char *const off[] = {"off", "no", "false", "OFF"};
	static const char *const bad[] = {"", "1", "0", "o", "onn", "on ", "enable"};
	bool value;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(on); i++) {
		value = false;
		assert_true(units_parse_switch(on[i], &value) && value);
	}
	for (size_t i = 0; i < COUNT_OF(off); i++) {
		value = true;
		assert_true(units_parse_switch(off[i], &value) && !value);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(units_parse_switch(bad[i], &value));
}

/* What is written is read as the same, in the largest unit without a fraction. */
static void test_write(void **state)
{
	static const struct {
		int64_t number;
		const char *size, *duration;
	} cases[] = {
		{0, "0", "0"},
		{1, "1B", "1ms"},
		{1000, "1000B", "1s"},
		{1024, "1KiB", "1024ms"},
		{1536, "1536B", "1536ms"},
		{60000, "60000B", "1m"},
		{90000, "90000B", "90s"},
		{86400000, "84375KiB", "1d"},
		{(int64_t)1 << 40, "1024GiB", "1099511627776ms"},
		{UNITS_MAX, "9223372036854775807B", "9223372036854775807ms"},
	};
	char text[UNITS_TEXT];
	int64_t number;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		units_write_size(cases[i].number, text);
		assert_string_equal(text, cases[i].size);
		assert_true(units_parse_size(text, &number));
		assert_int_equal(number, cases[i].number);
		units_write_duration(cases[i].number, text);
		assert_string_equal(text, cases[i].duration);
		assert_true(units_parse_duration(text, &number));
		assert_int_equal(number, cases[i].number);
	}
}

static void test_address(void **state)
{
	static const struct {
		const char *text, *host; /* host NULL: refused */
		unsigned port;
	} cases[] = {
		{"127.0.0.1:3128", "127.0.0.1", 3128},
		{"0.0.0.0:0", "0.0.0.0", 0},
		{"255.255.255.255:65535", "255.255.255.255", 65535},
		{"[::1]:3128", "::1", 3128},
		{"[::]:80", "::", 80},
		{"[2001:DB8:0::1]:1", "2001:db8::1", 1},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1},
		{"", NULL, 0},
		{":", NULL, 0},
		{"[", NULL, 0},
		{"[]:80", NULL, 0},
		{"]:80", NULL, 0},
		{":80", NULL, 0},
		{"127.0.0.1", NULL, 0},
		{"127.0.0.1:", NULL, 0},
		{"127.0.0.1:65536", NULL, 0},
		{"127.0.0.1:000080", NULL, 0},
		{"127.0.0.1:-1", NULL, 0},
		{"127.0.0.1:80x", NULL, 0},
		{"127.0.0:80", NULL, 0},
		{"127.0.0.256:80", NULL, 0},
		{"[127.0.0.1]:80", NULL, 0},
		{"::1:80", NULL, 0},
		{"[::1]", NULL, 0},
		{"[::1]80", NULL, 0},
		{"[::1:80", NULL, 0},
		{"[fe80::1%eth0]:80", NULL, 0},
		{"localhost:80", NULL, 0},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255.255.255]:1", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char host[UNITS_HOST] = "";
		uint16_t port = 1;
		bool parsed = units_parse_address(cases[i].text, host, &port);

		if (parsed != (cases[i].host != NULL))
			fail_msg("\"%s\" %s", cases[i].text, parsed ? "taken" : "refused");
		if (parsed) {
			assert_string_equal(host, cases[i].host);
			assert_int_equal(port, cases[i].port);
		}
	}
}

static void test_network(void **state)
{
	static const struct {
		const char *text,
			*masked; /* NULL: refused; else the address without the bits beyond */
		unsigned bits;
		bool beyond;
	} cases[] = {
		{"10.0.0.0/8", "10.0.0.0", 8, false},
		{"10.1.2.3/8", "10.0.0.0", 8, true},
		{"192.0.2.255/31", "192.0.2.254", 31, true},
		{"192.0.2.1", "192.0.2.1", 32, false},
		{"0.0.0.0/0", "0.0.0.0", 0, false},
		{"1.0.0.0/0", "0.0.0.0", 0, true},
		{"fd00::/8", "fd00::", 8, false},
		{"fd00::1/127", "fd00::", 127, true},
		{"::1", "::1", 128, false},
		{"10.0.0.0/33", NULL, 0, false},
		{"::/129", NULL, 0, false},
		{"10.0.0.0/", NULL, 0, false},
		{"10.0.0.0/-1", NULL, 0, false},
		{"10.0.0.0/8/8", NULL, 0, false},
		{"10.0.0/8", NULL, 0, false},
		{"/8", NULL, 0, false},
		{"", NULL, 0, false},
		{"[::1]/128", NULL, 0, false},
		{"all", NULL, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct units_network network;
		char address[UNITS_HOST];

		if (units_parse_network(cases[i].text, &network) != (cases[i].masked != NULL))
			fail_msg("\"%s\"", cases[i].text);
		if (!cases[i].masked)
			continue;
		assert_int_equal(network.bits, cases[i].bits);
		assert_int_equal(units_network_mask(&network), cases[i].beyond);
		assert_false(units_network_mask(&network));
		inet_ntop(network.family, network.address, address, sizeof(address));
		assert_string_equal(address, cases[i].masked);
	}
}

#define LABEL_63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static void test_forms(void **state)
{
	static const struct {
		enum form form;
		const char *value, *why; /* why NULL: taken; else a part of what is said */
	} cases[] = {
		{FORM_ANY, "", NULL},
		{FORM_ANY, "/var/cache/it's \"here\" \xc3\xa9", NULL},
		{FORM_ANY, "a\nb", "a?b is not a text"},
		{FORM_ANY, "\x7f", "control"},
		{FORM_TOKEN, "CDN-Cache-Control", NULL},
		{FORM_TOKEN, "", "\"\" is not a token"},
		{FORM_RESOLVER, "192.0.2.53", NULL},
		{FORM_RESOLVER, "192.0.2.53:5353", NULL},
		{FORM_RESOLVER, "2001:db8::53", NULL},
		{FORM_RESOLVER, "[2001:db8::53]", NULL},
		{FORM_RESOLVER, "[2001:db8::53]:5353", NULL},
		{FORM_RESOLVER, "[192.0.2.53]", "not the address of a name server"},
		{FORM_RESOLVER, "192.0.2.53:0", "not the address of a name server"},
		{FORM_RESOLVER, "", "not the address of a name server"},
		{FORM_HOST, "proxy.example.com", NULL},
		{FORM_HOST, "proxy", NULL},
		{FORM_HOST, "", "not a host name"},
		{FORM_HOST, "a/b", "not a host name"},
		{FORM_PORT, "8000-8000", NULL},
		{FORM_PORT, "8001-8000", "lower port first"},
		{FORM_TOKEN, "a b", "a b is not a token; use"},
		{FORM_TOKEN, "a:b", "not a token"},
		{FORM_LISTEN, "[::1]:0", NULL},
		{FORM_LISTEN, "tls:127.0.0.1:3130", "is not an address"},
		{FORM_TLS_LISTEN, "tls:127.0.0.1:3130", NULL},
		{FORM_TLS_LISTEN, "tls:3130", "3130 has no address"},
		{FORM_TLS_LISTEN, "unix:/run/p.sock", NULL},
		{FORM_GATEWAY, "tls:[::1]:0=http://origin", NULL},
		{FORM_GATEWAY, "tls:127.0.0.1=http://origin", "127.0.0.1 has no port"},
		{FORM_LISTEN, "3128", "3128 has no address"},
		{FORM_LISTEN, "unix:/run/p.sock", NULL},
		{FORM_LISTEN, "unix:@p", "is an abstract name"},
		{FORM_LISTEN, "unix:p", "has no absolute path"},
		{FORM_LISTEN, "/run/p.sock", "/run/p.sock is a path; use unix:PATH"},
		{FORM_LISTEN, "[fe80::1%eth0]:3128", "has a zone"},
		{FORM_SENDER, "unix:", NULL},
		{FORM_SENDER, "2001:db8::/32", NULL},
		{FORM_SENDER, "10.0.0.1/8", "use 10.0.0.0/8"},
		{FORM_SENDER, "unix:/p", "use unix: for all"},
		{FORM_SENDER, "fe80::1%eth0", "has a zone"},
		{FORM_GATEWAY, "unix:/a=http://b@unix:/c", NULL},
		{FORM_GATEWAY, "[::1]:1=https://b:1@unix:/c", NULL},
		{FORM_GATEWAY, "[::1]:1=http://[2001:db8::1]:8080", NULL},
		{FORM_GATEWAY, "[::1]:1=http://[fe80::1%25eth0]", "has a zone"},
		{FORM_GATEWAY, "unix:/a=http://b@unix:c", "has no absolute path"},
		{FORM_GATEWAY, "unix:/a=http://b/@unix:/c", NULL},
		{FORM_GATEWAY, "unix:/a=http://b/d@unix:/c", "has a path"},
		{FORM_NETWORK, "10.0.0.0/8", NULL},
		{FORM_NETWORK, "fe80::%eth0/64", "has a zone"},
		{FORM_NETWORK, "[2001:db8::]/32", "has brackets"},
		{FORM_DESTINATION, "[::1]", "[::1] has brackets"},
		{FORM_DESTINATION, "[::1]:80", "has a port; use ::1"},
		{FORM_NETWORK, "10.0.0.1/8",
		 "10.0.0.1/8 has bits beyond its length; use 10.0.0.0/8"},
		{FORM_NETWORK, "10.0.0.0/40", "10.0.0.0/40 is not a network; use"},
		{FORM_NETWORK, "example.com", "not a network"},
		{FORM_PORT, "443", NULL},
		{FORM_PORT, "*", NULL},
		{FORM_PORT, "0", "0 is not a port; use 1 to 65535"},
		{FORM_PORT, "65536", "not a port"},
		{FORM_PORT, "https", "not a port"},
		{FORM_PORT, "8000-9000", NULL},
		{FORM_DESTINATION, "example.com", NULL},
		{FORM_DESTINATION, ".example.com", NULL},
		{FORM_DESTINATION, "my_host", NULL},
		{FORM_DESTINATION, "169.254.0.0/16", NULL},
		{FORM_DESTINATION, LABEL_63 ".com", NULL},
		{FORM_DESTINATION, LABEL_63 "h.com", "not a destination"},
		{FORM_DESTINATION, "169.254.1.0/16", "use 169.254.0.0/16"},
		{FORM_DESTINATION, "300.1.1.1", "not a destination"},
		{FORM_DESTINATION, "example..com", "not a destination"},
		{FORM_DESTINATION, "example.com.", "example.com. has a dot at its end"},
		{FORM_DESTINATION, "*.example.com", "*.example.com has a *"},
		{FORM_DESTINATION, "http://example.com", "http://example.com is a URL"},
		{FORM_DESTINATION, ".", "not a destination"},
		{FORM_DESTINATION, "", "not a destination"},
		{FORM_PARENT, "", NULL},
		{FORM_PARENT, "http://proxy.example.com:3128", NULL},
		{FORM_PARENT, "http://192.0.2.1:3128", NULL},
		{FORM_PARENT, "http://[2001:db8::1]:3128", NULL},
		{FORM_PARENT, "http://user:p@ss:w/rd@proxy:3128", NULL},
		{FORM_PARENT, "http://proxy", "use http://host:port"},
		{FORM_PARENT, "http://proxy:0", "not a parent proxy"},
		{FORM_PARENT, "http://192.0.2.1:0", "not a parent proxy"},
		{FORM_PARENT, "http://proxy:3128/", NULL},
		{FORM_PARENT, "https://proxy:3128",
		 "https://proxy:3128 is not of http, which a parent is asked over"},
		{FORM_PARENT, "proxy:3128", "proxy:3128 has no scheme"},
		{FORM_PARENT, "http://user@proxy:3128",
		 "...@proxy:3128 has a user and password that cannot be read"},
		{FORM_PARENT, "http://:pw@proxy:3128",
		 "...@proxy:3128 has a user and password that cannot be read"},
		{FORM_PARENT, "http://u:p\r\n@proxy:3128", "not a parent proxy"},
		{FORM_PARENT, "http://@", "...@ has a user and password that cannot be read"},
		{FORM_PARENT, "http://u%3a:p%40%2F@proxy:1", NULL},
		{FORM_PARENT, "http://u:p%4@proxy:1",
		 "...@proxy:1 has a user and password that cannot be read"},
		{FORM_PARENT, "http://u:p%0a@proxy:1",
		 "...@proxy:1 has a user and password that cannot be read"},
		{FORM_PARENT, "http://u:secret@proxy", "...@proxy has no port"},
		{FORM_GATEWAY, "127.0.0.1:3130=http://origin:8080", NULL},
		{FORM_GATEWAY, "[::1]:0=https://origin.example.com", NULL},
		{FORM_GATEWAY, "127.0.0.1:3130=http://192.0.2.1", NULL},
		{FORM_GATEWAY, "127.0.0.1:3130=https://[2001:db8::1]:8443", NULL},
		{FORM_GATEWAY, "127.0.0.1:3130=https://[2001:db8::1]", NULL},
		{FORM_GATEWAY, "127.0.0.1:3130", "use 127.0.0.1:3130=http://host:port"},
		{FORM_GATEWAY, "", "not a gateway"},
		{FORM_GATEWAY, "127.0.0.1=http://origin", "127.0.0.1 has no port"},
		{FORM_GATEWAY, "here:80=http://origin", "here:80 has a name"},
		{FORM_GATEWAY, "127.0.0.1:65536=http://origin", "not a gateway"},
		{FORM_GATEWAY, "127.0.0.1:80=origin", "origin has no scheme"},
		{FORM_GATEWAY, "127.0.0.1:80=ftp://origin",
		 "ftp://origin is neither of http nor of https"},
		{FORM_GATEWAY, "127.0.0.1:80=http://", "not a gateway"},
		{FORM_GATEWAY, "127.0.0.1:80=http://origin/", NULL},
		{FORM_GATEWAY, "127.0.0.1:80=http://origin?x",
		 "http://origin?x has a path, but a gateway is for a whole origin"},
		{FORM_GATEWAY, "127.0.0.1:80=http://u:p@origin", "...@origin has a user"},
		{FORM_GATEWAY, "127.0.0.1:80=http://@origin", "...@origin has a user"},
		{FORM_GATEWAY, "127.0.0.1:80=http:///path", "http:///path has a path"},
		{FORM_GATEWAY, "127.0.0.1:80=http://origin:0", "not a gateway"},
		{FORM_GATEWAY, "127.0.0.1:80=http://origin:65536", "not a gateway"},
		{FORM_GATEWAY, "127.0.0.1:80=http://origin:000080", "not a gateway"},
		{FORM_GATEWAY, "127.0.0.1:80=http://origin:", "not a gateway"},
		{FORM_GATEWAY, "127.0.0.1:80=http://192.0.2.300", "not a gateway"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct diagnostic why = {""};
		bool good = form_check(cases[i].form, cases[i].value, &why);

		if (good != !cases[i].why || (!good && !strstr(why.text, cases[i].why)))
			fail_msg("\"%s\" %s: %s", cases[i].value, good ? "taken" : "refused",
				 why.text);
	}
}

/* A message stays on its line and within its buffer, whatever the value. */
static void test_show(void **state)
{
	char shown[FORM_SHOWN], value[1000];
	struct diagnostic why;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[10] = '\n';
	value[sizeof(value) - 1] = '\0';
	assert_int_equal(strlen(form_show(value, shown)), 67);
	assert_int_equal(shown[10], '?');
	assert_string_equal(shown + 64, "...");
	assert_false(form_check(FORM_TOKEN, value, &why));
	assert_in_range(strlen(why.text), 68, 200);
}

/* Spellings that are none here, and what they likely mean. */
static void test_guesses(void **state)
{
	static const struct {
		bool (*guess)(const char *text, char *to);
		const char *text, *meant;
	} cases[] = {
		{units_guess_size, "16MB", "16MiB"},
		{units_guess_size, "16 mb", "16MiB"},
		{units_guess_size, "1k", "1KiB"},
		{units_guess_size, "1Gib", "1GiB"},
		{units_guess_size, "5bytes", "5B"},
		{units_guess_size, "1TB", NULL},
		{units_guess_size, "1.5GB", NULL},
		{units_guess_size, "MB", NULL},
		{units_guess_size, "1", NULL},
		{units_guess_size, "", NULL},
		{units_guess_size, "-1MB", NULL},
		{units_guess_size, "1 MB x", NULL},
		{units_guess_duration, "5min", "5m"},
		{units_guess_duration, "5 Sec", "5s"},
		{units_guess_duration, "1hour", "1h"},
		{units_guess_duration, "2 DAYS", "2d"},
		{units_guess_duration, "10msec", "10ms"},
		{units_guess_duration, "5 s ", NULL},
		{units_guess_duration, "5", NULL},
		{units_guess_duration, "5us", NULL},
		{units_guess_duration, "99999999999999999999s", NULL},
	};
	char to[UNITS_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool known = cases[i].guess(cases[i].text, to);

		if (known != (cases[i].meant != NULL) || (known && strcmp(to, cases[i].meant) != 0))
			fail_msg("%s: %s", cases[i].text, known ? to : "not known");
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count),    cmocka_unit_test(test_size),
		cmocka_unit_test(test_duration), cmocka_unit_test(test_switch),
		cmocka_unit_test(test_write),    cmocka_unit_test(test_address),
		cmocka_unit_test(test_network),  cmocka_unit_test(test_forms),
		cmocka_unit_test(test_guesses),  cmocka_unit_test(test_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
