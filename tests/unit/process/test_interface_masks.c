/* LINKS: proxy/process */
/* The network of each address of the machine: what getifaddrs() says, by value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>

#include "proxy/process/interfaces.h"

/* ---- a machine: these stand before the C library's ------------------------------------------ */

enum { MOST = 16 };

static struct ifaddrs interfaces[MOST];
static union address addresses[MOST], masks[MOST];
static size_t interface_count;
static int refused; /* errno */
static unsigned freed;

int getifaddrs(struct ifaddrs **ret_all)
{
	if (refused != 0) {
		errno = refused;
		return -1;
	}
	*ret_all = interface_count > 0 ? interfaces : NULL;
	return 0;
}

void freeifaddrs(struct ifaddrs *all)
{
	freed += all != NULL;
}

static void write_address(const char *text, union address *to)
{
	*to = (union address){0};
	to->any.sa_family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(to->any.sa_family, text,
				   to->any.sa_family == AF_INET ? (void *)&to->v4.sin_addr
								: (void *)&to->v6.sin6_addr),
			 1);
}

/* The interface's ifaddrs, for changes. */
static struct ifaddrs *interface_add(const char *address, const char *mask)
{
	size_t i = interface_count++;

	assert_true(i < MOST);
	write_address(address, &addresses[i]);
	write_address(mask, &masks[i]);
	interfaces[i] = (struct ifaddrs){
		.ifa_flags = IFF_UP, .ifa_addr = &addresses[i].any, .ifa_netmask = &masks[i].any};
	if (i > 0)
		interfaces[i - 1].ifa_next = &interfaces[i];
	return &interfaces[i];
}

/* ---- what is made of it --------------------------------------------------------------------- */

static struct interface_address *read_all(size_t expected)
{
	struct diagnostic error = {""};
	size_t count = 77;
	struct interface_address *all = interfaces_read(&count, &error);

	assert_non_null(all);
	assert_string_equal(error.text, "");
	assert_int_equal(count, expected);
	assert_int_equal(freed, interface_count > 0);
	return all;
}

static void test_bits_of_masks(void **state)
{
	static const struct {
		const char *address, *mask;
		unsigned bits;
	} rows[] = {
		{"127.0.0.1", "255.0.0.0", 8},
		{"192.0.2.1", "255.255.255.0", 24},
		{"10.1.2.3", "255.255.252.0", 22},
		{"192.0.2.9", "255.255.255.255", 32},
		{"192.0.2.10", "0.0.0.0", 0},
		{"198.51.100.1", "128.0.0.0", 1},
		{"::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128},
		{"2001:db8::1", "ffff:ffff:ffff:ffff::", 64},
		{"2001:db8:1::1", "ffff:ffff:ffff::", 48},
		{"fe80::1", "ffc0::", 10},
		{"2001:db8::2", "::", 0},
	};
	struct interface_address *all;
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		interface_add(rows[i].address, rows[i].mask);
	/* Linux leaves the family of a mask out for some. */
	masks[1].any.sa_family = 0;
	masks[7].any.sa_family = 0;
	all = read_all(sizeof(rows) / sizeof(*rows));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		address_format(&all[i].address, text);
		assert_string_equal(text, rows[i].address);
		assert_int_equal(all[i].bits, rows[i].bits);
		assert_true(all[i].is_up);
	}
	free(all);
}

/* Passed over, and what follows takes the place. */
static void test_what_has_no_address(void **state)
{
	struct interface_address *all;

	(void)state;
	interface_add("192.0.2.1", "255.255.255.0")->ifa_addr = NULL;
	interface_add("192.0.2.2", "255.255.255.0")->ifa_netmask = NULL;
	interface_add("192.0.2.3", "255.255.255.0");
	addresses[2].any.sa_family = AF_PACKET;
	interface_add("192.0.2.4", "255.255.255.240")->ifa_flags = IFF_LOOPBACK;
	interface_add("2001:db8::4", "ffff::");
	all = read_all(2);
	assert_int_equal(all[0].address.v4.sin_addr.s_addr, inet_addr("192.0.2.4"));
	assert_int_equal(all[0].bits, 28);
	assert_false(all[0].is_up);
	assert_int_equal(all[1].bits, 16);
	assert_true(all[1].is_up);
	free(all);
}

static void test_no_interface(void **state)
{
	(void)state;
	free(read_all(0));
}

static void test_refused(void **state)
{
	struct diagnostic error = {""};
	size_t count = 77;

	(void)state;
	refused = ENOBUFS;
	assert_null(interfaces_read(&count, &error));
	assert_int_equal(count, 0);
	assert_string_equal(error.text,
			    "cannot read the addresses of this machine: No buffer space available");
}

static int setup(void **state)
{
	(void)state;
	memset(interfaces, 0, sizeof(interfaces));
	interface_count = 0;
	refused = 0;
	freed = 0;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bits_of_masks),
		TEST(test_what_has_no_address),
		TEST(test_no_interface),
		TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
