/* LINKS: proxy/loop tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* Which sockets of a service manager are taken, and for which addresses. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "cache/base/diagnostic.h"
#include "proxy/loop/activation.h"
#include "tests/doubles/failing_calls.h"

enum { FIRST_FD = 3, KEPT_FDS = 8 };

static struct diagnostic error;

static union address address_of(const char *text, uint16_t port)
{
	union address address;

	assert_true(address_parse(slice_str(text), &address));
	address_set_port(&address, port);
	return address;
}

/* Bind descriptor `fd` to a free port of the address; returns what it is bound to. */
static union address bind_at(int fd, const char *text, int type, bool listens, bool v6_only)
{
	union address address = address_of(text, 0);
	socklen_t length = sizeof(address);
	int on = v6_only, made = socket(address.any.sa_family, type, 0);

	assert_true(made >= 0);
	if (address.any.sa_family == AF_INET6)
		setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	assert_int_equal(
		bind(made, &address.any,
		     address.any.sa_family == AF_INET ? sizeof(address.v4) : sizeof(address.v6)),
		0);
	if (listens)
		assert_int_equal(listen(made, 1), 0);
	getsockname(made, &address.any, &length);
	if (made != fd) {
		assert_int_equal(dup2(made, fd), fd);
		close(made);
	}
	return address;
}

static union address listen_at(int fd, const char *text)
{
	return bind_at(fd, text, SOCK_STREAM, true, true);
}

static bool init(int count, const char *names)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", count);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	error.text[0] = '\0';
	return activation_init(&error);
}

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	for (int fd = FIRST_FD; fd < KEPT_FDS; fd++)
		close(fd);
	return 0;
}

static void test_each_is_taken_once_by_its_address(void **state)
{
	union address first = listen_at(3, "127.0.0.1"), second = listen_at(4, "127.0.0.1");
	union address other = address_of("127.0.0.2", address_port(&first));

	(void)state;
	assert_true(init(2, "a:b"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDNAMES"));
	assert_int_equal(activation_take(&other, ""), -1);
	assert_int_equal(activation_take(&second, ""), 4);
	assert_int_equal(activation_take(&second, ""), -1);
	assert_false(activation_all_taken(&error));
	assert_non_null(strstr(error.text, "(a)"));
	assert_int_equal(activation_take(&first, ""), 3);
	assert_true(activation_all_taken(&error));
	assert_true(fcntl(3, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(3, F_GETFD) & FD_CLOEXEC);
}

static void test_of_another_process(void **state)
{
	union address address = listen_at(3, "127.0.0.1");

	(void)state;
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", "1", 1);
	assert_true(activation_init(&error));
	assert_int_equal(activation_take(&address, ""), -1);
	assert_true(activation_all_taken(&error));
	assert_null(getenv("LISTEN_FDS"));
}

static void test_no_variables(void **state)
{
	(void)state;
	assert_true(activation_init(&error));
	assert_true(activation_all_taken(&error));
}

static void test_what_is_refused(void **state)
{
	(void)state;
	close(3);
	assert_false(init(1, "gone"));
	assert_non_null(strstr(error.text, "(gone)"));
	bind_at(3, "127.0.0.1", SOCK_DGRAM, false, false);
	assert_false(init(1, "datagrams"));
	bind_at(3, "127.0.0.1", SOCK_STREAM, false, false);
	assert_false(init(1, "does not listen"));
	assert_false(init(ACTIVATION_MAX + 1, ""));
	assert_non_null(strstr(error.text, "more than"));
}

static int listen_at_path(int fd, const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int made = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(made, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(made, 1), 0);
	assert_int_equal(dup2(made, fd), fd);
	return made == fd ? 0 : close(made);
}

static void test_unix_sockets_are_taken_by_their_paths(void **state)
{
	union address address = address_unix();
	char one[64], other[64];

	(void)state;
	snprintf(one, sizeof(one), "/tmp/activation.%d.1", (int)getpid());
	snprintf(other, sizeof(other), "/tmp/activation.%d.2", (int)getpid());
	listen_at_path(3, one);
	listen_at_path(4, other);
	assert_true(init(2, "a:b"));
	assert_int_equal(activation_take(&address, "/elsewhere"), -1);
	assert_int_equal(activation_take(&address, ""), -1);
	assert_int_equal(activation_take(&address, other), 4);
	assert_int_equal(activation_take(&address, other), -1);
	assert_false(activation_all_taken(&error));
	assert_non_null(strstr(error.text, one));
	assert_int_equal(activation_take(&address, one), 3);
	unlink(one);
	unlink(other);
}

/* The names may be fewer than the sockets, or odd. */
static void test_names(void **state)
{
	char names[300];

	(void)state;
	listen_at(3, "127.0.0.1");
	listen_at(4, "127.0.0.1");
	assert_true(init(2, ""));
	assert_true(init(2, ":"));
	assert_true(init(2, "a:b:c:d"));
	memset(names, 'n', sizeof(names) - 1);
	names[sizeof(names) - 1] = '\0';
	assert_true(init(2, names));
	assert_false(activation_all_taken(&error));
	assert_non_null(strstr(error.text, "(nnnn"));
}

static void expect_name(unsigned index, const union address *addresses, const char *name)
{
	char expected[256], at[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < index; i++)
		activation_take(&addresses[i], "");
	assert_false(activation_all_taken(&error));
	address_format_port(&addresses[index], at);
	snprintf(expected, sizeof(expected),
		 "socket activation: %s (%s): none of the options listen, gateway and admin has "
		 "that address, and one has to, or the socket unit not",
		 at, name);
	assert_string_equal(error.text, expected);
}

/* The longest that is kept; a longer one does not move those behind it. */
static void test_each_has_its_name(void **state)
{
	union address addresses[3] = {listen_at(3, "127.0.0.1"), listen_at(4, "127.0.0.1"),
				      listen_at(5, "127.0.0.1")};
	static const char *const texts[][4] = {
		{"one:two:three", "one", "two", "three"},
		{":two:", "", "two", ""},
		{"one", "one", "", ""},
	};
	char longest[64], names[300];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (unsigned at = 0; at < 3; at++) {
			assert_true(init(3, texts[i][0]));
			expect_name(at, addresses, texts[i][1 + at]);
		}
	memset(longest, 'n', 63);
	longest[63] = '\0';
	snprintf(names, sizeof(names), "%s:%snn:last", longest, longest);
	for (unsigned at = 0; at < 3; at++) {
		assert_true(init(3, names));
		expect_name(at, addresses, at < 2 ? longest : "last");
	}
}

/* What is no number is none, and what is of another process is not looked at. */
static void test_odd_variables(void **state)
{
	static const char *const odd[] = {"", "one", "-1", "0", "99999999999999999999"};
	union address address = listen_at(3, "127.0.0.1");
	char own[16];

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		setenv("LISTEN_PID", odd[i], 1);
		setenv("LISTEN_FDS", "1", 1);
		assert_true(activation_init(&error));
		assert_int_equal(activation_take(&address, ""), -1);
	}
	for (size_t i = 0; i < 4; i++) {
		setenv("LISTEN_PID", own, 1);
		setenv("LISTEN_FDS", odd[i], 1);
		assert_true(activation_init(&error));
		assert_int_equal(activation_take(&address, ""), -1);
	}
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1000000", 1);
	assert_true(activation_init(&error));
	assert_true(activation_all_taken(&error));
}

static void expect_refused(int count, const char *why)
{
	char expected[256];

	assert_false(init(count, "first:second"));
	snprintf(expected, sizeof(expected), "socket activation: %s", why);
	assert_string_equal(error.text, expected);
}

#define NOT_LISTENING                                                             \
	"not a listening TCP or Unix socket: it needs ListenStream=ADDRESS:PORT " \
	"or ListenStream=/path, and Accept=no"

static void test_the_first_that_is_wrong_is_named(void **state)
{
	char most[64];

	(void)state;
	listen_at(3, "127.0.0.1");
	close(4);
	expect_refused(2, "descriptor 4 (second): it is not open");
	bind_at(3, "127.0.0.1", SOCK_STREAM, false, false);
	expect_refused(2, "descriptor 3 (first): " NOT_LISTENING);
	snprintf(most, sizeof(most), "more than %d sockets", ACTIVATION_MAX);
	expect_refused(ACTIVATION_MAX + 1, most);
	expect_refused(ACTIVATION_MAX, "descriptor 3 (first): " NOT_LISTENING);
}

/* Each call that tells what a socket is, and those that set its flags. */
static void test_calls_that_fail(void **state)
{
	static const struct {
		const char *call;
		unsigned skip;
		const char *why;
	} rows[] = {
		{"F_GETFL", 0, "it is not open"},
		{"getsockopt", 0, NOT_LISTENING},
		{"getsockopt", 2, NOT_LISTENING},
		{"getsockname", 0, NOT_LISTENING},
		{"F_SETFL", 0, "its flags cannot be set"},
		{"fcntl", 0, "its flags cannot be set"}, /* F_SETFD */
	};
	char expected[256];

	(void)state;
	listen_at(3, "127.0.0.1");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(expected, sizeof(expected), "descriptor 3 (first): %s", rows[i].why);
		fail_calls(rows[i].call, rows[i].skip, 1, ENOTSOCK);
		expect_refused(1, expected);
		assert_true(fail_calls_never());
	}
	assert_true(init(1, ""));
}

/* Of a kind that we do not speak over, or without a path that others could find. */
static void test_unix_sockets_that_are_refused(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int made = socket(AF_UNIX, SOCK_STREAM, 0);
	char path[64];

	(void)state;
	snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "cache204.%d", (int)getpid());
	assert_int_equal(bind(made, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(made, 1), 0);
	assert_int_equal(dup2(made, 3), 3);
	expect_refused(1, "descriptor 3 (first): " NOT_LISTENING);
	if (made != 3)
		close(made);
	snprintf(path, sizeof(path), "/tmp/activation.%d.3", (int)getpid());
	listen_at_path(3, path);
	assert_true(init(1, ""));
	fail_calls("getsockname", 0, 1, ENOTSOCK);
	expect_refused(1, "descriptor 3 (first): " NOT_LISTENING);
	fail_calls("getsockopt", 2, 1, ENOTSOCK); /* its type */
	expect_refused(1, "descriptor 3 (first): " NOT_LISTENING);
	unlink(path);
	made = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	assert_int_equal(bind(made, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(made, 1), 0);
	assert_int_equal(dup2(made, 3), 3);
	if (made != 3)
		close(made);
	expect_refused(1, "descriptor 3 (first): " NOT_LISTENING);
	unlink(path);
}

/* Clients of IPv4 behind mapped addresses would pass by rules for IPv4. */
static void test_ipv6(void **state)
{
	int probe = socket(AF_INET6, SOCK_STREAM, 0);
	union address address;

	(void)state;
	if (probe < 0)
		skip();
	close(probe);
	bind_at(3, "::", SOCK_STREAM, true, false);
	assert_false(init(1, ""));
	assert_non_null(strstr(error.text, "BindIPv6Only"));
	address = listen_at(3, "::");
	assert_true(init(1, ""));
	assert_int_equal(activation_take(&address, ""), 3);
	bind_at(3, "::1", SOCK_STREAM, true, false);
	assert_true(init(1, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_each_is_taken_once_by_its_address, teardown),
		cmocka_unit_test_teardown(test_unix_sockets_are_taken_by_their_paths, teardown),
		cmocka_unit_test_teardown(test_of_another_process, teardown),
		cmocka_unit_test_teardown(test_no_variables, teardown),
		cmocka_unit_test_teardown(test_what_is_refused, teardown),
		cmocka_unit_test_teardown(test_names, teardown),
		cmocka_unit_test_teardown(test_each_has_its_name, teardown),
		cmocka_unit_test_teardown(test_odd_variables, teardown),
		cmocka_unit_test_teardown(test_the_first_that_is_wrong_is_named, teardown),
		cmocka_unit_test_teardown(test_calls_that_fail, teardown),
		cmocka_unit_test_teardown(test_unix_sockets_that_are_refused, teardown),
		cmocka_unit_test_teardown(test_ipv6, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
