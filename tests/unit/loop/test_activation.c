/* LINKS: proxy/loop */
/* Which sockets of a service manager are taken, and for which addresses. */
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
		cmocka_unit_test_teardown(test_ipv6, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
