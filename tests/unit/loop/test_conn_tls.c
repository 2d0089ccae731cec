/* LINKS: proxy/loop -Wl,--wrap=close,--wrap=shutdown */
/*
 * Connections with TLS, which this file plays: what is asked of it, in which order, what the socket is
 * watched for meanwhile, and handshakes that wait for their turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/loop/conn.h"
#include "proxy/loop/tls.h"
#include "proxy/loop/tls_server.h"
#include "proxy/loop/turn.h"
#include "tests/support/conn_sides.h"

enum {
	A_TURN = 4,     /* handshakes that take a step in one */
	RECORD = 16384, /* bytes of a record */
};

/* ---- TLS as a test wants it ----------------------------------------------------------------- */

struct tls {
	struct task task;
	int fd;
	enum io step;       /* what the next handshakes come to */
	bool reads, writes; /* what it waits for in place of what the owner does */
	bool keeps;         /* as it is, what the owner waits for */
	bool more, quiet, resumed;
	char sent[RECORD + 64];
	size_t n;
	char calls[32];
	bool freed;
};

static struct tls made[SIDES_MAX];
static unsigned made_count;
static bool no_memory;
static struct tls_context *const context = (struct tls_context *)&made[0];
static struct tls_server *const server = (struct tls_server *)&made[1];

static void called(struct tls *tls, char what)
{
	size_t n = strlen(tls->calls);

	assert_false(tls->freed);
	assert_true(n < sizeof(tls->calls) - 1);
	tls->calls[n] = what;
}

static void expect_calls(struct tls *tls, const char *what)
{
	assert_string_equal(tls->calls, what);
	memset(tls->calls, 0, sizeof(tls->calls));
}

static struct tls *make(int fd)
{
	struct tls *tls = no_memory || made_count == SIDES_MAX ? NULL : &made[made_count++];

	if (tls != NULL)
		*tls = (struct tls){.fd = fd, .step = IO_AGAIN, .keeps = true};
	return tls;
}

struct tls *tls_new(struct tls_context *of, int fd, struct slice host, uint16_t port)
{
	assert_ptr_equal(of, context);
	assert_int_equal(host.n, 6);
	assert_int_equal(port, 443);
	return make(fd);
}

struct tls *tls_server_accept(struct tls_server *of, int fd)
{
	assert_ptr_equal(of, server);
	return make(fd);
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	called(tls, 'f');
	tls->freed = true;
}

enum io tls_handshake(struct tls *tls)
{
	called(tls, 'h');
	return tls->step;
}

struct task *tls_task(struct tls *tls)
{
	assert_false(tls->freed);
	return &tls->task;
}

const char *tls_peer(const struct tls *tls)
{
	return tls->resumed ? "CN=resumed" : NULL;
}

bool tls_was_resumed(const struct tls *tls)
{
	return tls->resumed;
}

enum failure tls_failure(const struct tls *tls, const char **ret_why)
{
	*ret_why = "so it is";
	return tls->step == IO_OK ? FAILURE_NONE : FAILURE_TLS_PROTOCOL;
}

enum io tls_recv(struct tls *tls, char *to, size_t size, size_t *ret_n)
{
	called(tls, 'r');
	assert_true(size >= 4);
	memcpy(to, "what", 4);
	*ret_n = 4;
	return tls->more ? IO_OK : IO_END;
}

enum io tls_send(struct tls *tls, const char *from, size_t n, size_t *ret_n)
{
	called(tls, 's');
	tls->n = n;
	memcpy(tls->sent, from, n < sizeof(tls->sent) ? n : sizeof(tls->sent));
	*ret_n = n;
	return IO_OK;
}

bool tls_is_quiet(struct tls *tls)
{
	return tls->quiet;
}

bool tls_has_more(const struct tls *tls)
{
	return tls->more;
}

void tls_watch(const struct tls *tls, bool *read, bool *write)
{
	assert_false(tls->freed);
	if (tls->keeps)
		return;
	*read = tls->reads;
	*write = tls->writes;
}

void tls_mute(struct tls *tls)
{
	called(tls, 'm');
}

void tls_end(struct tls *tls)
{
	called(tls, 'e');
}

/* ---- the socket's end, among those calls ---------------------------------------------------- */

int __real_close(int fd);
int __wrap_close(int fd);
int __real_shutdown(int fd, int how);
int __wrap_shutdown(int fd, int how);

static struct tls *tls_of(int fd)
{
	for (unsigned i = 0; i < made_count; i++)
		if (made[i].fd == fd)
			return &made[i];
	return NULL;
}

static void ended(int fd, char what)
{
	struct tls *tls = tls_of(fd);
	size_t n = tls != NULL ? strlen(tls->calls) : 0;

	if (tls != NULL)
		tls->calls[n] = what;
}

int __wrap_close(int fd)
{
	ended(fd, 'c');
	return __real_close(fd);
}

int __wrap_shutdown(int fd, int how)
{
	ended(fd, how == SHUT_WR ? 'd' : 'b');
	return __real_shutdown(fd, how);
}

/* ---- connections ---------------------------------------------------------------------------- */

static struct side *const one = &sides[0];
static struct tls *const first = &made[0]; /* of it */
static unsigned reads_left;                /* of what is decrypted already */
static bool refused;                       /* by the kernel: nothing is watched */

/* libev's */
int epoll_ctl(int fd, int operation, int of, struct epoll_event *event)
{
	if (refused) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, fd, operation, of, event);
}

static void close_it(struct side *side, char what)
{
	(void)what;
	conn_close(side->conn);
}

/* One more, whose handshake waits for the peer. */
static void add(struct side *side)
{
	side_open(side);
	assert_true(conn_accept(side->conn, server));
	conn_watch(side->conn, true, false);
}

/* The first one, of which the handshake has succeeded. */
static void begin(void)
{
	first->step = IO_OK;
	side_say(one, "hello");
	sides_go_round(1);
	side_expect_seen(one, "w");
	expect_calls(first, "h");
	recv(conn_fd(one->conn), (char[8]){0}, 8, 0);
	conn_watch(one->conn, false, false);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	made_count = 0;
	refused = no_memory = false;
	sides_open(0);
	sides_turn.now_us = INT64_MAX / 2; /* a share never ends by its time */
	add(one);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sides_close();
	return 0;
}

/* ---- handshakes ----------------------------------------------------------------------------- */

static void a_step_for_each_event(void **state)
{
	(void)state;
	sides_go_round(2);
	expect_calls(first, "");
	side_say(one, "hello");
	sides_go_round(2);
	expect_calls(first, "hh"); /* nothing took what is there */
	first->keeps = false;      /* it has something to send, and nothing to read */
	first->writes = true;
	sides_go_round(2);
	expect_calls(first, "hh");
	first->writes = false;
	sides_go_round(1);
	expect_calls(first, "h");
	sides_go_round(2);
	expect_calls(first, "");
	side_expect_seen(one, "");
}

static void its_decision_is_told_once(void **state)
{
	const char *why = NULL;

	(void)state;
	side_say(one, "hello");
	first->step = IO_ERROR;
	sides_go_round(1);
	expect_calls(first, "h");
	side_expect_seen(one, "w");
	assert_int_equal(conn_secured(one->conn, &why), FAILURE_TLS_PROTOCOL);
	assert_string_equal(why, "so it is");
	first->step = IO_OK;
	assert_int_equal(conn_secured(one->conn, &why), FAILURE_NONE);
	conn_watch(one->conn, true, false);
	sides_go_round(1);
	expect_calls(first, "");
	side_expect_seen(one, "r");
}

static void one_may_be_closed_by_the_decision(void **state)
{
	(void)state;
	side_say(one, "hello");
	first->step = IO_OK;
	one->act = close_it;
	sides_go_round(2);
	expect_calls(first, "hfc");
	side_expect_seen(one, "w");
	one->conn = NULL;
}

static void without_memory_there_is_no_handshake(void **state)
{
	int fd = dup(one->peer);
	struct conn *conn = conn_new(fd, &side_events, one);

	(void)state;
	no_memory = true;
	assert_false(conn_accept(conn, server));
	assert_false(conn_secure(conn, context, slice_str("a.test"), 443));
	assert_true(conn_can_splice(conn));
	no_memory = false;
	assert_true(conn_secure(conn, context, slice_str("a.test"), 443));
	assert_int_equal(made[1].fd, fd);
	assert_false(conn_can_splice(conn));
	conn_close(conn);
}

static unsigned steps_of_all(void)
{
	unsigned steps = 0;

	for (unsigned i = 0; i < made_count; i++)
		steps += (unsigned)strlen(made[i].calls);
	return steps;
}

static void crowd(void)
{
	for (int i = 1; i < SIDES_MAX; i++)
		add(&sides[i]);
	for (int i = 0; i < SIDES_MAX; i++)
		side_say(&sides[i], "hello");
}

/* So many in the events of a turn; the others in turns that follow, each once and not forgotten. */
static void of_a_crowd_a_few_take_a_step_in_a_turn(void **state)
{
	(void)state;
	crowd();
	for (unsigned i = 0; i < SIDES_MAX; i++)
		made[i].step = IO_OK;
	sides_hand_out();
	assert_int_equal(steps_of_all(), A_TURN);
	assert_true(turn_end(&sides_turn));
	assert_int_equal(steps_of_all(), A_TURN); /* none of those that were put off just now */
	sides_go_round(2);
	assert_int_equal(steps_of_all(), SIDES_MAX);
	for (unsigned i = 0; i < SIDES_MAX; i++) {
		expect_calls(&made[i], "h");
		assert_int_equal(sides[i].seen[0], 'w');
	}
}

/* The deadline of one that waits for us does not pass. */
static void one_that_is_put_off_has_time(void **state)
{
	unsigned waiting = 0;

	(void)state;
	crowd();
	for (unsigned i = 0; i < SIDES_MAX; i++)
		conn_deadline(sides[i].conn, 1);
	sides_hand_out();
	for (unsigned i = 0; i < SIDES_MAX; i++)
		if (!task_is_queued(&made[i].task))
			conn_deadline(sides[i].conn, 0);
	sides_pass(1);
	for (unsigned i = 0; i < SIDES_MAX; i++) {
		side_expect_seen(&sides[i], "");
		if (!task_is_queued(&made[i].task))
			continue;
		waiting++;
		expect_calls(&made[i], ""); /* nor is it an event of the socket */
	}
	assert_int_equal(waiting, SIDES_MAX - A_TURN);
}

static void a_handshake_that_waits_for_the_peer_has_no_more_time(void **state)
{
	(void)state;
	conn_deadline(one->conn, 1);
	sides_pass(1);
	side_expect_seen(one, "x");
	expect_calls(first, "");
	conn_deadline(one->conn, 1);
	first->step = IO_OK;
	side_say(one, "hello");
	sides_pass(1);
	side_expect_seen(one, "ww"); /* it came in time; the owner still waits to write */
}

static void one_that_is_put_off_may_be_closed(void **state)
{
	struct side *waiting = NULL;
	struct tls *tls = NULL;

	(void)state;
	crowd();
	sides_hand_out();
	for (unsigned i = 0; i < SIDES_MAX; i++)
		if (task_is_queued(&made[i].task)) {
			waiting = &sides[i];
			tls = &made[i];
		}
	assert_non_null(waiting);
	conn_close(waiting->conn);
	conn_close(waiting->conn);
	waiting->conn = NULL;
	expect_calls(tls, "c"); /* the socket at once */
	turn_end(&sides_turn);
	sides_go_round(2);
	assert_true(tls->freed);
	expect_calls(tls, "f");
	side_expect_seen(waiting, "");
}

/* The owner asks for something else meanwhile: there is no second step for that. */
static void one_that_is_put_off_takes_one_step(void **state)
{
	(void)state;
	crowd();
	sides_hand_out();
	for (unsigned i = 0; i < SIDES_MAX; i++)
		conn_watch(sides[i].conn, true, true);
	for (unsigned i = 0; i < SIDES_MAX; i++)
		memset(made[i].calls, 0, sizeof(made[i].calls));
	sides_hand_out();
	for (unsigned i = 0; i < SIDES_MAX; i++)
		if (task_is_queued(&made[i].task))
			expect_calls(&made[i], "");
}

/* ---- content -------------------------------------------------------------------------------- */

static void both_directions_are_told_of_an_event(void **state)
{
	(void)state;
	begin();
	conn_watch(one->conn, true, true);
	sides_go_round(1);
	side_expect_seen(one, "wr"); /* either may have waited for the other's event */
	conn_watch(one->conn, false, true);
	sides_go_round(1);
	side_expect_seen(one, "w");
	conn_watch(one->conn, true, false);
	sides_go_round(1);
	side_expect_seen(one, "");
	side_say(one, "hello");
	sides_go_round(1);
	side_expect_seen(one, "r");
	one->act = close_it;
	conn_watch(one->conn, true, true);
	sides_go_round(2);
	side_expect_seen(one, "w");
	one->conn = NULL;
}

/* What the owner waits for, and what the socket has to have for it. */
static void it_waits_for_what_tls_needs(void **state)
{
	(void)state;
	begin();
	first->keeps = false;
	first->writes = true;
	conn_watch(one->conn, true, false);
	sides_go_round(1);
	side_expect_seen(one, "r");
	first->writes = false;
	first->reads = true;
	conn_watch(one->conn, true, false); /* the same for the owner, another for the socket */
	sides_go_round(1);
	side_expect_seen(one, "");
	conn_watch(one->conn, false, true);
	side_say(one, "hello");
	sides_go_round(1);
	side_expect_seen(one, "w");
}

static void take_one(struct side *side, char what)
{
	(void)side;
	first->more = what != 'r' || --reads_left > 0;
}

static void what_is_decrypted_already_is_an_event(void **state)
{
	(void)state;
	begin();
	first->more = true;
	reads_left = 3;
	one->act = take_one;
	sides_go_round(1);
	side_expect_seen(one, ""); /* it is paused */
	conn_watch(one->conn, false, true);
	sides_go_round(1);
	side_expect_seen(one, "w");
	conn_watch(one->conn, true, false);
	sides_go_round(1);
	side_expect_seen(one, "rrr");
	sides_go_round(1);
	side_expect_seen(one, "");
	conn_read_now(one->conn);
	side_expect_seen(one, "");
}

static void what_is_received_and_asked_is_what_tls_says(void **state)
{
	char got[8] = "";
	size_t n = 0;

	(void)state;
	begin();
	assert_int_equal(conn_recv(one->conn, got, sizeof(got), &n), IO_END);
	assert_int_equal(n, 4);
	first->more = true;
	assert_int_equal(conn_recv(one->conn, got, sizeof(got), &n), IO_OK);
	assert_string_equal(got, "what");
	assert_false(conn_is_quiet(one->conn));
	assert_null(conn_peer_name(one->conn));
	assert_false(conn_was_resumed(one->conn));
	first->quiet = first->resumed = true;
	assert_true(conn_is_quiet(one->conn));
	assert_true(conn_was_resumed(one->conn));
	assert_string_equal(conn_peer_name(one->conn), "CN=resumed");
	assert_false(conn_can_splice(one->conn));
}

static char long_text[RECORD + 32];

static void expect_sent(const char *text, size_t n)
{
	assert_int_equal(first->n, n);
	assert_memory_equal(first->sent, text, n);
	expect_calls(first, "s");
}

static void send_parts(const struct iovec *from, int count, size_t sent)
{
	size_t n = 0;

	assert_int_equal(conn_send(one->conn, from, count, &n), IO_OK);
	assert_int_equal(n, sent);
}

/* As much as one holds, never more, and none of the bytes twice or left out. */
static void parts_go_in_one_record(void **state)
{
	struct iovec small[] = {{"head, ", 6}, {NULL, 0}, {"body", 4}};
	struct iovec large[] = {{long_text, 100}, {long_text + 100, RECORD}, {"never", 5}};
	struct iovec whole[] = {{long_text, RECORD}, {"next", 4}};
	struct iovec almost[] = {{long_text, RECORD - 1}, {long_text + RECORD - 1, 8}};

	(void)state;
	for (size_t i = 0; i < sizeof(long_text); i++)
		long_text[i] = (char)(i * 7 + i / 251);
	begin();
	send_parts(small, 1, 6);
	expect_sent("head, ", 6);
	send_parts(small, 3, 10);
	expect_sent("head, body", 10);
	send_parts(large, 3, RECORD);
	expect_sent(long_text, RECORD);
	send_parts(whole, 2, RECORD);
	expect_sent(long_text, RECORD);
	send_parts(almost, 2, RECORD);
	expect_sent(long_text, RECORD);
	assert_int_equal(conn_send_last(one->conn, small, 3, &(size_t){0}), IO_OK);
	expect_sent("head, body", 10);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void an_end_says_so_before_the_socket_does(void **state)
{
	(void)state;
	begin();
	conn_end(one->conn);
	expect_calls(first, "ed");
	conn_close(one->conn);
	expect_calls(first, "fc");
	one->conn = NULL;
}

static void one_that_is_not_finished_says_nothing(void **state)
{
	(void)state;
	begin();
	conn_unfinished(one->conn, true);
	conn_unfinished(one->conn, false);
	conn_close(one->conn);
	expect_calls(first, "fc");
	side_close(one);
	made_count = 0;
	add(one);
	begin();
	conn_abort(one->conn);
	expect_calls(first, "mfc");
	one->conn = NULL;
}

/* The handshake failed, and its bytes were none of TLS. */
static void without_tls_the_bytes_are_those_of_the_socket(void **state)
{
	char got[8] = "";
	size_t n = 0;

	(void)state;
	side_say(one, "hello");
	first->step = IO_ERROR;
	sides_go_round(1);
	side_expect_seen(one, "w");
	conn_leave_tls(one->conn);
	expect_calls(first, "hf");
	sides_go_round(2);
	side_expect_seen(one, ""); /* nothing is waited for */
	conn_watch(one->conn, true, false);
	sides_go_round(1);
	side_expect_seen(one, "r");
	assert_true(conn_can_splice(one->conn));
	assert_int_equal(conn_recv(one->conn, got, sizeof(got), &n), IO_OK);
	assert_string_equal(got, "hello");
	sides_go_round(1);
	side_expect_seen(one, "");
	conn_watch(one->conn, true, true); /* of which each is told by itself */
	sides_go_round(1);
	side_expect_seen(one, "w");
}

static void leave_tls(struct side *side, char what)
{
	if (what == 'w')
		conn_leave_tls(side->conn);
}

static void it_may_be_left_in_an_event(void **state)
{
	(void)state;
	side_say(one, "hello");
	first->step = IO_ERROR;
	one->act = leave_tls;
	sides_go_round(2);
	side_expect_seen(one, "w");
	expect_calls(first, "hf");
	side_expect_recv(one, 8, IO_OK, "hello");
}

/* One that the kernel does not watch is shut down, and decided by the handshake's next step. */
static void one_that_is_not_watched_is_told_all_the_same(void **state)
{
	(void)state;
	refused = true;
	first->step = IO_ERROR;
	one->act = close_it;
	sides_go_round(1);
	expect_calls(first, "bhfc");
	side_expect_seen(one, "w");
	one->conn = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_step_for_each_event),
		TEST(its_decision_is_told_once),
		TEST(one_may_be_closed_by_the_decision),
		TEST(without_memory_there_is_no_handshake),
		TEST(of_a_crowd_a_few_take_a_step_in_a_turn),
		TEST(one_that_is_put_off_has_time),
		TEST(a_handshake_that_waits_for_the_peer_has_no_more_time),
		TEST(one_that_is_put_off_may_be_closed),
		TEST(one_that_is_put_off_takes_one_step),
		TEST(it_may_be_left_in_an_event),
		TEST(both_directions_are_told_of_an_event),
		TEST(it_waits_for_what_tls_needs),
		TEST(what_is_decrypted_already_is_an_event),
		TEST(what_is_received_and_asked_is_what_tls_says),
		TEST(parts_go_in_one_record),
		TEST(an_end_says_so_before_the_socket_does),
		TEST(one_that_is_not_finished_says_nothing),
		TEST(without_tls_the_bytes_are_those_of_the_socket),
		TEST(one_that_is_not_watched_is_told_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
