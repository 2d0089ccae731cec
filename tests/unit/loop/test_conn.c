/* LINKS: proxy/loop -Wl,--wrap=log_error */
/* Connections that the kernel refuses to watch: each ends, whatever its owner waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/loop/conn.h"
#include "proxy/loop/deadline.h"
#include "proxy/loop/turn.h"

enum { TURNS = 8 };

/* What the owner of the one connection saw. */
struct owner {
	struct conn *conn;
	char got[64];
	size_t size;
	enum io end;      /* of reading */
	enum io sent;     /* of sending */
	bool only_writes; /* it waits for nothing to read */
	bool only_looks;  /* it takes nothing before more has come */
	bool pauses;      /* after each event */
	unsigned events;
};

static struct ev_loop *loop;
static struct turn turn;
static struct owner owner;
static int peer;
static int refusal; /* errno of epoll_ctl(), 0 when it works */

/* libev's */
int epoll_ctl(int fd, int operation, int of, struct epoll_event *event)
{
	if (refusal != 0) {
		errno = refusal;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, fd, operation, of, event);
}

static char said[256];
static unsigned lines;

void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

void __wrap_log_error(const char *format, ...)
{
	va_list parts;

	va_start(parts, format);
	vsnprintf(said, sizeof(said), format, parts);
	va_end(parts);
	lines++;
}

static void leave(void)
{
	conn_close(owner.conn);
	owner.conn = NULL;
}

static void readable(void *of)
{
	size_t n = 0;

	assert_ptr_equal(of, &owner);
	owner.events++;
	if (owner.only_looks) {
		owner.end = conn_peek(owner.conn, owner.got, sizeof(owner.got) - 1, &n);
	} else {
		owner.end = conn_recv(owner.conn, owner.got + owner.size, 4, &n);
		owner.size += n;
	}
	if (owner.end == IO_END || owner.end == IO_ERROR)
		leave();
	else if (owner.pauses)
		conn_watch(owner.conn, false, false);
}

static void writable(void *of)
{
	struct iovec part = {"answer", 6};
	size_t n = 0;

	assert_ptr_equal(of, &owner);
	owner.events++;
	owner.sent = conn_send(owner.conn, &part, 1, &n);
	if (owner.sent == IO_ERROR)
		leave();
	else if (!owner.only_writes)
		conn_watch(owner.conn, true, false);
}

static void expired(void *of)
{
	(void)of;
	fail_msg("it has no deadline");
}

static const struct conn_events events = {readable, writable, expired};

static int setup(void **state)
{
	int fds[2];

	(void)state;
	refusal = 0;
	owner = (struct owner){.end = IO_OK, .sent = IO_OK};
	loop = ev_loop_new(EVBACKEND_EPOLL);
	if (loop == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		return -1;
	deadlines_setup(loop);
	turn_init(&turn);
	conn_setup(loop, &turn);
	peer = fds[1];
	owner.conn = conn_new(fds[0], &events, &owner);
	return owner.conn == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	conn_close(owner.conn);
	turn_free_all();
	if (peer >= 0)
		close(peer);
	ev_loop_destroy(loop);
	return 0;
}

static void go_round(void)
{
	for (int i = 0; i < TURNS && owner.conn != NULL; i++)
		ev_run(loop, EVRUN_NOWAIT);
}

static void say(const char *text)
{
	assert_int_equal(write(peer, text, strlen(text)), strlen(text));
}

static void expect_end(const char *text, enum io end)
{
	assert_null(owner.conn);
	assert_string_equal(owner.got, text);
	assert_int_equal(owner.end, end);
}

/* The errors that the system has for it, and whether it works again afterwards. */
static const struct trouble_row {
	int error;
	bool lasts;
} rows[] = {{ENOMEM, false}, {ENOSPC, false}, {ENOMEM, true}, {ENOSPC, true}};

static void each(void (*test)(const struct trouble_row *))
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		test(&rows[i]);
		assert_int_equal(teardown(NULL), 0);
		assert_int_equal(setup(NULL), 0);
	}
}

/* One turn in which the kernel refuses, and more. */
static void refuse(const struct trouble_row *row)
{
	refusal = row->error;
	ev_run(loop, EVRUN_NOWAIT);
	if (!row->lasts)
		refusal = 0;
	go_round();
}

static void first_read(const struct trouble_row *row)
{
	say("what came ");
	conn_watch(owner.conn, true, false);
	refuse(row);
	expect_end("what came ", IO_ERROR);
}

/* What is said of it the first time: later ones are of the next line. */
static void test_what_came_is_read_and_then_it_ends(void **state)
{
	(void)state;
	each(first_read);
	assert_int_equal(lines, 1);
	assert_string_equal(said,
			    "cannot watch a connection, which ends (1 times): memory has run out, "
			    "or raise fs.epoll.max_user_watches");
}

static void nothing_came(const struct trouble_row *row)
{
	conn_watch(owner.conn, true, false);
	refuse(row);
	expect_end("", IO_ERROR);
}

static void test_one_of_which_nothing_came_ends(void **state)
{
	(void)state;
	each(nothing_came);
}

/* It was watched for reading; the change fails. */
static void change(const struct trouble_row *row)
{
	owner.only_writes = true;
	conn_watch(owner.conn, true, false);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(owner.events, 0);
	conn_watch(owner.conn, false, true);
	refuse(row);
	assert_null(owner.conn);
	assert_int_equal(owner.sent, IO_ERROR);
}

static void test_one_that_waits_to_send_ends(void **state)
{
	(void)state;
	each(change);
}

/* What is paused is not told, and ends as soon as it goes on. */
static void pause_it(const struct trouble_row *row)
{
	conn_watch(owner.conn, true, false);
	refusal = row->error;
	conn_watch(owner.conn, true, true);
	conn_watch(owner.conn, false, false);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(owner.events, 0);
	say("late");
	conn_watch(owner.conn, true, false);
	refuse(row);
	expect_end("late", IO_ERROR);
}

static void test_one_that_is_paused_ends_when_it_goes_on(void **state)
{
	(void)state;
	each(pause_it);
}

/* Between what it takes: it is told no more than it asks for, and ends none the less. */
static void pause_after(const struct trouble_row *row)
{
	owner.pauses = true;
	say("in parts");
	conn_watch(owner.conn, true, false);
	refuse(row);
	assert_non_null(owner.conn);
	assert_string_equal(owner.got, "in p");
	assert_int_equal(owner.events, 1);
	conn_watch(owner.conn, true, false);
	go_round();
	assert_int_equal(owner.events, 2);
	conn_watch(owner.conn, true, false);
	go_round();
	expect_end("in parts", IO_ERROR);
}

static void test_one_that_pauses_is_told_what_it_asks_for(void **state)
{
	(void)state;
	each(pause_after);
}

/* The peer's own end behind what it sent: no guess is made that it was all. */
static void peer_left(const struct trouble_row *row)
{
	say("all");
	close(peer);
	peer = -1;
	conn_watch(owner.conn, true, false);
	refuse(row);
	expect_end("all", IO_ERROR);
}

static void test_an_end_is_not_taken_for_the_peers(void **state)
{
	(void)state;
	each(peer_left);
}

/* Else what it looks at would be an event again and again. */
static void look_ahead(const struct trouble_row *row)
{
	owner.only_looks = true;
	say("beg");
	conn_watch(owner.conn, true, false);
	refuse(row);
	assert_null(owner.conn);
	assert_int_equal(owner.end, IO_ERROR);
	assert_int_equal(owner.events, 1);
}

static void test_a_look_ahead_does_not_wait_for_more(void **state)
{
	(void)state;
	each(look_ahead);
}

/* The rest of the worker is as before: the next connection with the same number is watched. */
static void test_the_next_one_is_watched(void **state)
{
	int fds[2], number = conn_fd(owner.conn);

	(void)state;
	conn_watch(owner.conn, true, false);
	refuse(&rows[0]);
	expect_end("", IO_ERROR);
	close(peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_true(fds[0] == number || fds[1] == number);
	peer = fds[0] == number ? fds[1] : fds[0];
	owner.conn = conn_new(number, &events, &owner);
	conn_watch(owner.conn, true, false);
	ev_run(loop, EVRUN_NOWAIT);
	say("next");
	ev_run(loop, EVRUN_NOWAIT);
	assert_string_equal(owner.got, "next");
	close(peer);
	peer = -1;
	go_round();
	expect_end("next", IO_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_came_is_read_and_then_it_ends, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_one_of_which_nothing_came_ends, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_one_that_waits_to_send_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_that_is_paused_ends_when_it_goes_on, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_one_that_pauses_is_told_what_it_asks_for,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_end_is_not_taken_for_the_peers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_look_ahead_does_not_wait_for_more, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_next_one_is_watched, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
