/* Connections in a loop; see conn_sides.h. */
#include "tests/support/conn_sides.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ev.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/loop/deadline.h"

enum { WAIT_MS = 10000 };

struct side sides[SIDES_MAX];
struct turn sides_turn;

static struct ev_loop *loop;
static int64_t clock_ms;
static uint64_t first_turn;

static void note(struct side *side, char what)
{
	size_t n = strlen(side->seen);

	assert_true(n < sizeof(side->seen) - 1);
	side->seen[n] = what;
	if (side->act != NULL)
		side->act(side, what);
}

static void readable(void *side)
{
	note(side, 'r');
}

static void writable(void *side)
{
	note(side, 'w');
}

static void expired(void *side)
{
	note(side, 'x');
}

const struct conn_events side_events = {readable, writable, expired};

void side_close(struct side *side)
{
	conn_close(side->conn);
	if (side->peer >= 0)
		close(side->peer);
	*side = (struct side){.peer = -1};
}

void side_own(struct side *side, int fd, int peer)
{
	side_close(side);
	side->peer = peer;
	side->conn = conn_new(fd, &side_events, side);
	assert_non_null(side->conn);
}

void side_open(struct side *side)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	side_own(side, fds[0], fds[1]);
}

int sides_listen(union address *ret_at, int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(*ret_at);

	assert_true(address_parse(slice_str("127.0.0.1"), ret_at));
	assert_int_equal(bind(fd, &ret_at->any, address_length(ret_at)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, &ret_at->any, &size), 0);
	return fd;
}

void side_open_tcp(struct side *side)
{
	union address at;
	int listener = sides_listen(&at, 1), peer = socket(AF_INET, SOCK_STREAM, 0), fd;

	assert_int_equal(connect(peer, &at.any, address_length(&at)), 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	side_own(side, fd, peer);
	close(listener);
}

void sides_open(unsigned count)
{
	loop = ev_loop_new(EVBACKEND_EPOLL);
	assert_non_null(loop);
	clock_ms = 1000;
	deadlines_setup(loop);
	deadlines_advance(clock_ms);
	turn_init(&sides_turn);
	sides_turn.number = first_turn += 1000; /* no share of an earlier loop is of it */
	conn_setup(loop, &sides_turn);
	for (unsigned i = 0; i < SIDES_MAX; i++)
		sides[i] = (struct side){.peer = -1};
	for (unsigned i = 0; i < count; i++)
		side_open(&sides[i]);
}

int sides_setup(void **state)
{
	(void)state;
	sides_open(2);
	return 0;
}

void sides_close(void)
{
	for (unsigned i = 0; i < SIDES_MAX; i++)
		side_close(&sides[i]);
	sides_go_round(3); /* tasks of those that were closed */
	turn_free_all();
	ev_loop_destroy(loop);
}

void sides_hand_out(void)
{
	turn_begin(&sides_turn);
	ev_run(loop, EVRUN_NOWAIT);
}

void sides_go_round(unsigned turns)
{
	for (; turns > 0; turns--) {
		sides_hand_out();
		turn_end(&sides_turn);
	}
}

void sides_pass(int64_t ms)
{
	clock_ms += ms;
	deadlines_advance(clock_ms);
	poll(NULL, 0, 2); /* libev's own clock has to move, for a timer of 1 or 2 ms */
	sides_hand_out();
}

void side_expect_seen(struct side *side, const char *what)
{
	assert_string_equal(side->seen, what);
	memset(side->seen, 0, sizeof(side->seen));
}

void side_say(const struct side *side, const char *text)
{
	assert_int_equal(write(side->peer, text, strlen(text)), strlen(text));
}

void side_hear(const struct side *side, const char *text)
{
	char got[64] = "";

	assert_int_equal(read(side->peer, got, sizeof(got) - 1), strlen(text));
	assert_string_equal(got, text);
}

void side_expect_recv(struct side *side, size_t size, enum io io, const char *text)
{
	char got[64] = "";
	size_t n = 0;

	assert_true(size < sizeof(got));
	assert_int_equal(conn_recv(side->conn, got, size, &n), io);
	assert_int_equal(n, strlen(text));
	assert_string_equal(got, text);
}

int side_option(const struct side *side, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(conn_fd(side->conn), level, name, &value, &size), 0);
	return value;
}

void sides_await(int fd, short event)
{
	struct pollfd wait = {.fd = fd, .events = event};

	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
}
