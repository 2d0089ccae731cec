/* LINKS: proxy/loop tests/doubles/failing_calls.c tests/doubles/failing_memory.c -Wl,@tests/doubles/failing_calls.wraps -Wl,--wrap=malloc,--wrap=realloc */
/* Connections that are begun: at once, later, not at all, and what is left of those that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/doubles/failing_calls.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/conn_sides.h"

static struct side *const one = &sides[0], *const other = &sides[1];

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	fail_memory_never();
	sides_close();
	return 0;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int lowest_free(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

static void to_this_machine_is_connected_at_once(void **state)
{
	union address at;
	int listener = sides_listen(&at, 1);
	char byte;

	(void)state;
	side_close(one);
	fail_calls("connect", 2, 1, EIO);
	one->conn = conn_connect(&at, &side_events, one);
	assert_false(fail_calls_never()); /* it was asked twice at most */
	assert_non_null(one->conn);
	assert_true(conn_is_connected(one->conn));
	fail_calls("getsockopt", 0, 1, EIO);
	assert_int_equal(conn_connected(one->conn), 0);
	assert_false(fail_calls_never());
	assert_int_equal(side_option(one, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_true(fcntl(conn_fd(one->conn), F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(conn_fd(one->conn), F_GETFD) & FD_CLOEXEC);
	sides_go_round(2);
	side_expect_seen(one, ""); /* nothing is watched */
	one->peer = accept(listener, NULL, NULL);
	assert_int_equal(send(conn_fd(one->conn), "a", 1, 0), 1);
	assert_int_equal(recv(one->peer, &byte, 1, MSG_WAITALL), 1);
	close(listener);
}

static void expect_no_connection(const union address *at, int error)
{
	int before = lowest_free();

	errno = 0;
	assert_null(conn_connect(at, &side_events, one));
	assert_int_equal(errno, error);
	assert_int_equal(lowest_free(), before);
}

/* As where standard input was closed: 0 is a descriptor as any other. */
static void the_first_descriptor_is_one(void **state)
{
	union address at;
	int listener = sides_listen(&at, 1), input = dup(STDIN_FILENO);

	(void)state;
	side_close(one);
	close(STDIN_FILENO);
	one->conn = conn_connect(&at, &side_events, one);
	assert_non_null(one->conn);
	assert_int_equal(conn_fd(one->conn), 0);
	side_close(one);
	assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
	close(input);
	close(listener);
}

static void what_cannot_connect_leaves_nothing_open(void **state)
{
	union address at;
	int listener = sides_listen(&at, 1);

	(void)state;
	fail_calls("socket", 0, 1, EMFILE);
	expect_no_connection(&at, EMFILE);
	fail_calls("connect", 0, 1, EADDRNOTAVAIL);
	expect_no_connection(&at, EADDRNOTAVAIL);
	fail_calls("connect", 0, 1, EAGAIN);
	expect_no_connection(&at, EAGAIN);
	fail_memory(0, false);
	expect_no_connection(&at, ENOMEM);
	assert_true(fail_memory_never());
	close(listener);
	expect_no_connection(&at, ECONNREFUSED);
}

static void without_memory_the_socket_is_closed(void **state)
{
	int fd = dup(one->peer);

	(void)state;
	fail_memory(0, false);
	assert_null(conn_new(fd, &side_events, one));
	assert_false(is_open(fd));
}

/* The queue of the listener is full: the kernel drops what comes. */
static void one_that_is_under_way_is_decided_later(void **state)
{
	union address at;
	int listener = sides_listen(&at, 0), filling[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(filling[i], &at.any, address_length(&at));
	}
	side_close(one);
	one->conn = conn_connect(&at, &side_events, one);
	assert_non_null(one->conn);
	assert_false(conn_is_connected(one->conn));
	sides_go_round(2);
	side_expect_seen(one, "");
	/* when another machine has answered by the time that the kernel is asked again */
	side_close(other);
	fail_calls("connect", 1, 1, EISCONN);
	other->conn = conn_connect(&at, &side_events, other);
	assert_true(fail_calls_never());
	assert_non_null(other->conn);
	assert_true(conn_is_connected(other->conn));
	close(listener);
	for (int i = 0; i < 2; i++)
		close(filling[i]);
}

/* A socket that is not connected has an end: its owner is told, and asks. */
static void a_decision_is_told_as_writable(void **state)
{
	union address at;
	int listener = sides_listen(&at, 1);

	(void)state;
	side_close(one);
	fail_calls("connect", 0, 2, EINPROGRESS);
	one->conn = conn_connect(&at, &side_events, one);
	assert_non_null(one->conn);
	assert_false(conn_is_connected(one->conn));
	sides_go_round(1);
	side_expect_seen(one, "w");
	fail_calls("getsockopt", 0, 1, ENOTSOCK);
	assert_int_equal(conn_connected(one->conn), ENOTSOCK);
	assert_int_equal(conn_connected(one->conn), 0);
	close(listener);
}

static void an_error_of_the_socket_is_that_of_the_connect(void **state)
{
	struct linger reset = {.l_onoff = 1};

	(void)state;
	side_open_tcp(one);
	assert_int_equal(conn_connected(one->conn), 0);
	setsockopt(one->peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(one->peer);
	one->peer = -1;
	sides_await(conn_fd(one->conn), POLLIN);
	assert_int_equal(conn_connected(one->conn), ECONNRESET);
}

/* A path of so many bytes below a new directory, and a socket that listens there. */
static int listening_path(char *path, size_t size)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t n;

	snprintf(path, size + 1, "/tmp/cache204-unit-XXXXXX");
	assert_non_null(mkdtemp(path));
	n = strlen(path);
	memset(path + n, 's', size - n);
	path[n] = '/';
	path[size] = '\0';
	memcpy(name.sun_path, path, size);
	assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(fd, 0), 0);
	return fd;
}

static void to_a_path(void **state)
{
	enum { LONGEST = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };
	char path[LONGEST + 2];
	int listener = listening_path(path, LONGEST);

	(void)state;
	side_close(one);
	fail_calls("setsockopt", 0, 1, EIO); /* those of TCP are not asked of it */
	one->conn = conn_connect_path(path, &side_events, one);
	assert_false(fail_calls_never());
	assert_non_null(one->conn);
	assert_true(conn_is_connected(one->conn));
	assert_null(conn_connect_path(path, &side_events, other));
	assert_int_equal(errno, EAGAIN); /* its queue is full */
	close(accept(listener, NULL, NULL));
	/* one that is under way is not asked again */
	side_close(other);
	fail_calls("connect", 0, 1, EINPROGRESS);
	other->conn = conn_connect_path(path, &side_events, other);
	assert_non_null(other->conn);
	assert_false(conn_is_connected(other->conn));
	unlink(path);
	assert_null(conn_connect_path(path, &side_events, one));
	assert_int_equal(errno, ENOENT);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
	memset(path, 'p', LONGEST + 1);
	path[LONGEST + 1] = '\0';
	assert_null(conn_connect_path(path, &side_events, one));
	assert_int_equal(errno, ENAMETOOLONG);
	close(listener);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sides_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(to_this_machine_is_connected_at_once),
		TEST(the_first_descriptor_is_one),
		TEST(what_cannot_connect_leaves_nothing_open),
		TEST(without_memory_the_socket_is_closed),
		TEST(one_that_is_under_way_is_decided_later),
		TEST(a_decision_is_told_as_writable),
		TEST(an_error_of_the_socket_is_that_of_the_connect),
		TEST(to_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
