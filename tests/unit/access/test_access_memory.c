/* LINKS: proxy/access -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free */
/* Rules, and users, where memory runs out at each of the places: none that are half made, and a line that says so. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cache/base/diagnostic.h"
#include "proxy/access/access.h"
#include "proxy/access/credentials.h"
#include "tests/support/test_conf.h"

/* ---- memory that is counted, and runs out --------------------------------------------------- */

static size_t until_failure = SIZE_MAX - 1; /* pieces that may still be had */
static bool failed;
static long pieces; /* that were not given back */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

static bool may_have(void)
{
	failed |= until_failure == 0;
	until_failure--; /* after one that fails there are as many as can be */
	return until_failure != SIZE_MAX;
}

static void *counted(void *memory)
{
	pieces += memory != NULL;
	return memory;
}

void *__wrap_malloc(size_t size)
{
	return may_have() ? counted(__real_malloc(size)) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return may_have() ? counted(__real_calloc(count, size)) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
	if (!may_have())
		return NULL;
	pieces -= memory != NULL;
	return counted(__real_realloc(memory, size));
}

void __wrap_free(void *memory)
{
	pieces -= memory != NULL;
	__real_free(memory);
}

/* These stand before the C library's, which has its own way to its memory. */
void *reallocarray(void *memory, size_t count, size_t size)
{
	return realloc(memory, count * size);
}

char *strdup(const char *text)
{
	size_t n = strlen(text) + 1;
	char *copy = malloc(n);

	return copy != NULL ? memcpy(copy, text, n) : NULL;
}

/* ---- what is made of it --------------------------------------------------------------------- */

/* Makes and frees it; false when it could not be made. */
typedef bool (*maker)(struct diagnostic *error);

/* Fails where the n-th piece of memory is asked for, until there is no n-th. */
static void expect_told_at_each(maker make, unsigned at_least)
{
	long before = pieces;
	size_t n = 0;

	do {
		struct diagnostic error = {""};
		bool made;

		failed = false;
		until_failure = n++;
		made = make(&error);
		until_failure = SIZE_MAX - 1;
		assert_int_equal(pieces, before);
		assert_int_equal(made, !failed);
		if (failed && strstr(error.text, "out of memory") == NULL)
			fail_msg("without piece %zu: \"%s\"", n, error.text);
	} while (failed);
	assert_true(n > at_least);
}

static struct conf *conf;
static union address listener;

static bool make_access(struct diagnostic *error)
{
	struct interface_address interfaces[2] = {{.bits = 24}, {.bits = 64}};
	struct access_place place = {&listener, 1, interfaces, 2, false};
	struct access *access;

	assert_true(address_parse(SLICE("192.0.2.7"), &interfaces[0].address));
	assert_true(address_parse(SLICE("2001:db8::7"), &interfaces[1].address));
	access = access_new(conf, &place, error);
	if (access == NULL)
		return false;
	assert_true(access_client(access, &interfaces[1].address) == (conf->clients.count == 0));
	access_free(access);
	return true;
}

static void test_access(void **state)
{
	(void)state;
	conf = test_conf_new();
	assert_true(address_parse(SLICE("::"), &listener));
	address_set_port(&listener, 3128);
	expect_told_at_each(make_access, 15);
	assert_true(test_conf_set(conf, "clients", "10.0.0.0/8,192.0.2.0/24"));
	assert_true(test_conf_set(conf, "proxy_protocol_from", "10.0.0.1"));
	assert_true(test_conf_set(conf, "deny", "a.example,10.0.0.0/8"));
	expect_told_at_each(make_access, 17);
	test_conf_free(conf);
}

/* Wrong lists free what there is of them. */
static void make_wrong_access(struct diagnostic *error)
{
	struct access_place place = {&listener, 1, NULL, 0, false};

	assert_null(access_new(conf, &place, error));
	assert_non_null(strchr(error->text, ':'));
}

static void test_wrong_options_leave_nothing(void **state)
{
	static const char *const options[] = {
		"deny",        "allow",         "clients",    "proxy_protocol_from",
		"allow_ports", "connect_ports", "tunnel_http"};

	(void)state;
	assert_true(address_parse(SLICE("127.0.0.1"), &listener));
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		struct diagnostic error = {""};
		long before;

		conf = test_conf_new();
		assert_true(test_conf_set(conf, options[i], "10.0.0.0/8,a..b/c"));
		before = pieces;
		make_wrong_access(&error);
		assert_int_equal(pieces, before);
		test_conf_free(conf);
	}
}

static int64_t processor_us(void)
{
	return 0;
}

static bool make_credentials(struct diagnostic *error)
{
	static const char text[] = "ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n"
				   "bob:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n";
	const struct credentials_use use = {.secret = "secret", .processor_us = processor_us};
	struct credentials *credentials = credentials_new("users", SLICE(text), &use, error);

	credentials_free(credentials);
	return credentials != NULL;
}

static void test_credentials(void **state)
{
	(void)state;
	expect_told_at_each(make_credentials, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_wrong_options_leave_nothing),
		cmocka_unit_test(test_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
