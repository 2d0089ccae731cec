/* LINKS: proxy/loop tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* Bytes of connections in the clear: in pieces, up to an end, through a pipe, and what moving them fails with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/doubles/failing_calls.h"
#include "tests/support/conn_sides.h"

static struct side *const one = &sides[0], *const other = &sides[1];

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	sides_close();
	return 0;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void bytes_come_before_the_end(void **state)
{
	(void)state;
	side_expect_recv(one, 8, IO_AGAIN, "");
	side_say(one, "first, last");
	assert_int_equal(shutdown(one->peer, SHUT_WR), 0);
	side_expect_recv(one, 7, IO_OK, "first, ");
	fail_calls("recv", 0, 3, EINTR);
	side_expect_recv(one, 7, IO_OK, "last");
	assert_true(fail_calls_never());
	errno = EINTR; /* of an earlier call */
	side_expect_recv(one, 7, IO_END, "");
	/* the other half goes on */
	assert_int_equal(conn_send(one->conn, &(struct iovec){"answer", 6}, 1, &(size_t){0}),
			 IO_OK);
	side_hear(one, "answer");
}

static void what_receiving_fails_with(void **state)
{
	(void)state;
	side_say(one, "there");
	fail_calls("recv", 0, 1, EAGAIN);
	side_expect_recv(one, 8, IO_AGAIN, "");
	fail_calls("recv", 0, 1, ECONNRESET);
	side_expect_recv(one, 8, IO_ERROR, "");
	assert_int_equal(errno, ECONNRESET);
	side_expect_recv(one, 8, IO_OK, "there");
}

static void a_look_takes_nothing(void **state)
{
	char got[8] = "";
	size_t n = 0;

	(void)state;
	assert_int_equal(conn_peek(one->conn, got, 4, &n), IO_AGAIN);
	side_say(one, "again");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(conn_peek(one->conn, got, 4, &n), IO_OK);
		assert_int_equal(n, 4);
		assert_string_equal(got, "agai");
	}
	side_expect_recv(one, 8, IO_OK, "again");
	close(one->peer);
	one->peer = -1;
	assert_int_equal(conn_peek(one->conn, got, 4, &n), IO_END);
}

static void a_quiet_one_has_neither_bytes_nor_an_end(void **state)
{
	(void)state;
	assert_true(conn_is_quiet(one->conn));
	fail_calls("recv", 0, 1, ECONNRESET);
	assert_false(conn_is_quiet(one->conn));
	side_say(one, "ab");
	assert_false(conn_is_quiet(one->conn));
	assert_false(conn_is_quiet(one->conn));
	side_expect_recv(one, 8, IO_OK, "ab");
	assert_true(conn_is_quiet(one->conn));
	assert_int_equal(shutdown(one->peer, SHUT_WR), 0);
	assert_false(conn_is_quiet(one->conn));
}

/* ---- sending -------------------------------------------------------------------------------- */

enum { LONG = 4 << 20 };

static char long_text[LONG];

static char byte_at(size_t at)
{
	return (char)(at * 7 + at / 251);
}

/* Takes what there is; how much that was.  Each byte is the next of long_text. */
static size_t take_some(int fd, size_t at)
{
	char some[4096];
	ssize_t n, total = 0;

	while ((n = recv(fd, some, sizeof(some), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (some[i] != byte_at(at + (size_t)(total + i)))
				fail_msg("byte %zu", at + (size_t)(total + i));
		total += n;
	}
	return (size_t)total;
}

/* All that is not sent yet, in two parts or in one. */
static enum io send_rest(struct side *side, size_t at, bool parts, size_t *ret_n)
{
	size_t half = parts ? (LONG - at) / 2 : LONG - at;
	struct iovec from[2] = {{long_text + at, half}, {long_text + at + half, LONG - at - half}};

	return conn_send(side->conn, from, parts ? 2 : 1, ret_n);
}

static void send_long(bool parts)
{
	size_t sent = 0, taken = 0, n;
	unsigned full = 0;

	while (sent < LONG) {
		enum io io = send_rest(one, sent, parts, &n);

		if (io == IO_OK) {
			assert_true(n > 0 && n <= LONG - sent);
			sent += n;
			continue;
		}
		assert_int_equal(io, IO_AGAIN);
		full++;
		conn_watch(one->conn, false, true);
		sides_go_round(1);
		side_expect_seen(one, ""); /* as long as nothing is taken */
		taken += take_some(one->peer, taken);
		sides_go_round(1);
		side_expect_seen(one, "w");
	}
	taken += take_some(one->peer, taken);
	assert_int_equal(taken, LONG);
	assert_true(full > 1);
}

static void more_than_the_peer_takes_goes_in_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < LONG; i++)
		long_text[i] = byte_at(i);
	send_long(false);
	send_long(true);
}

static void what_sending_fails_with(void **state)
{
	struct iovec parts[] = {{"one, ", 5}, {"two", 3}};
	size_t n = 0;

	(void)state;
	fail_calls("send|sendmsg", 0, 4, EINTR);
	assert_int_equal(conn_send(one->conn, parts, 1, &n), IO_OK);
	assert_true(fail_calls_never());
	assert_int_equal(n, 5);
	side_hear(one, "one, ");
	fail_calls("send|sendmsg", 0, 4, EINTR);
	assert_int_equal(conn_send(one->conn, parts, 2, &n), IO_OK);
	assert_true(fail_calls_never());
	assert_int_equal(n, 8);
	side_hear(one, "one, two");
	errno = EINTR; /* of an earlier call: sending nothing is none that failed */
	assert_int_equal(conn_send(one->conn, &(struct iovec){"", 0}, 1, &n), IO_OK);
	assert_int_equal(n, 0);
	for (int count = 1; count <= 2; count++) {
		n = 77;
		fail_calls("send|sendmsg", 0, 1, EAGAIN);
		assert_int_equal(conn_send(one->conn, parts, count, &n), IO_AGAIN);
		fail_calls("send|sendmsg", 0, 1, ECONNRESET);
		assert_int_equal(conn_send(one->conn, parts, count, &n), IO_ERROR);
		assert_int_equal(errno, ECONNRESET);
		assert_int_equal(n, 77);
	}
	close(one->peer);
	one->peer = -1;
	for (int count = 1; count <= 2; count++) { /* and no signal, which would end us */
		assert_int_equal(conn_send(one->conn, parts, count, &n), IO_ERROR);
		assert_int_equal(errno, EPIPE);
		assert_int_equal(conn_send_last(one->conn, parts, count, &n), IO_ERROR);
		assert_int_equal(errno, EPIPE);
	}
}

static int unsent(const struct side *side)
{
	int n = -1;

	assert_int_equal(ioctl(conn_fd(side->conn), SIOCOUTQNSD, &n), 0);
	return n;
}

/* The kernel keeps them for the packet of the FIN, and does not keep others. */
static void the_last_bytes_wait_for_the_end(void **state)
{
	struct iovec parts[] = {{"one, ", 5}, {"two", 3}};
	size_t n = 0;

	(void)state;
	side_open_tcp(one);
	assert_int_equal(side_option(one, IPPROTO_TCP, TCP_NODELAY), 0);
	setsockopt(conn_fd(one->conn), IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	assert_int_equal(conn_send(one->conn, parts, 1, &n), IO_OK);
	assert_int_equal(conn_send(one->conn, parts, 2, &n), IO_OK);
	assert_int_equal(unsent(one), 0);
	assert_int_equal(conn_send_last(one->conn, parts, 2, &n), IO_OK);
	assert_int_equal(n, 8);
	assert_int_equal(unsent(one), 8);
	conn_end(one->conn);
	assert_int_equal(unsent(one), 0);
	sides_await(one->peer, POLLRDHUP);
	side_hear(one, "one, one, twoone, two");
}

/* ---- by way of a pipe ----------------------------------------------------------------------- */

static void bytes_pass_through_a_pipe(void **state)
{
	int ends[2];
	size_t n = 0;

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_true(conn_can_splice(one->conn));
	assert_int_equal(conn_splice_recv(one->conn, ends[1], 100, &n), IO_AGAIN);
	assert_int_equal(conn_splice_send(one->conn, ends[0], 100, &n), IO_AGAIN);
	side_say(one, "through the pipe");
	fail_calls("splice", 0, 2, EINTR);
	assert_int_equal(conn_splice_recv(one->conn, ends[1], 7, &n), IO_OK);
	assert_true(fail_calls_never());
	assert_int_equal(n, 7);
	assert_int_equal(conn_splice_recv(one->conn, ends[1], 100, &n), IO_OK);
	assert_int_equal(n, 9);
	fail_calls("splice", 0, 1, ECONNRESET);
	assert_int_equal(conn_splice_recv(one->conn, ends[1], 100, &n), IO_ERROR);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(conn_splice_send(other->conn, ends[0], 10, &n), IO_OK);
	assert_int_equal(n, 10);
	fail_calls("splice", 0, 1, EPIPE);
	assert_int_equal(conn_splice_send(other->conn, ends[0], 10, &n), IO_ERROR);
	assert_int_equal(errno, EPIPE);
	fail_calls("splice", 0, 2, EINTR);
	assert_int_equal(conn_splice_send(other->conn, ends[0], 100, &n), IO_OK);
	assert_int_equal(n, 6);
	side_hear(other, "through the pipe");
	assert_int_equal(shutdown(one->peer, SHUT_WR), 0);
	errno = EINTR;
	assert_int_equal(conn_splice_recv(one->conn, ends[1], 100, &n), IO_END);
	close(ends[1]);
	assert_int_equal(conn_splice_send(other->conn, ends[0], 100, &n), IO_END);
	close(ends[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sides_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_come_before_the_end),
		TEST(what_receiving_fails_with),
		TEST(a_look_takes_nothing),
		TEST(a_quiet_one_has_neither_bytes_nor_an_end),
		TEST(more_than_the_peer_takes_goes_in_pieces),
		TEST(what_sending_fails_with),
		TEST(the_last_bytes_wait_for_the_end),
		TEST(bytes_pass_through_a_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
