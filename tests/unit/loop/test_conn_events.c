/* LINKS: proxy/loop tests/doubles/failing_calls.c tests/doubles/failing_memory.c -Wl,@tests/doubles/failing_calls.wraps -Wl,--wrap=malloc,--wrap=realloc,--wrap=free */
/* Events, deadlines and ends of connections in the clear: what their owners see, whatever they do meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* ---- memory that is given back -------------------------------------------------------------- */

static unsigned frees;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	frees += memory != NULL;
	__real_free(memory);
}

/* ---- what is waited for --------------------------------------------------------------------- */

static void take_four(struct side *side, char what)
{
	char got[4];
	size_t n;

	if (what == 'r')
		conn_recv(side->conn, got, sizeof(got), &n);
}

static void an_event_comes_as_long_as_there_is_something(void **state)
{
	(void)state;
	one->act = take_four;
	side_say(one, "12345678x");
	sides_go_round(2);
	side_expect_seen(one, ""); /* it is not watched yet */
	conn_watch(one->conn, true, false);
	sides_go_round(5);
	side_expect_seen(one, "rrr");
	conn_watch(one->conn, true, true);
	sides_go_round(2);
	side_expect_seen(one, "ww");
	side_say(one, "1234");
	sides_go_round(1);
	side_expect_seen(one, "wr");
	conn_watch(one->conn, false, false);
	side_say(one, "1234");
	sides_go_round(2);
	side_expect_seen(one, "");
	conn_watch(one->conn, true, false);
	sides_go_round(2);
	side_expect_seen(one, "r");
	conn_watch(one->conn, false, true);
	side_say(one, "1234");
	sides_go_round(2);
	side_expect_seen(one, "ww");
	side_expect_recv(one, 8, IO_OK, "1234");
}

static void a_byte_at_a_time(void **state)
{
	static const char text[] = "one byte after the other";
	char got[sizeof(text)] = "";
	size_t n;

	(void)state;
	conn_watch(one->conn, true, false);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(write(one->peer, text + i, 1), 1);
		sides_go_round(1);
		side_expect_seen(one, "r");
		assert_int_equal(conn_recv(one->conn, got + i, sizeof(got) - i, &n), IO_OK);
		assert_int_equal(n, 1);
		sides_go_round(1);
		side_expect_seen(one, "");
	}
	assert_string_equal(got, text);
}

static void one_that_stops_reading_while_it_writes(struct side *side, char what)
{
	if (what == 'w')
		conn_watch(side->conn, false, true);
}

/* Both were at hand, and the owner wants one of them no more. */
static void what_is_no_longer_waited_for_is_not_told(void **state)
{
	(void)state;
	one->act = one_that_stops_reading_while_it_writes;
	side_say(one, "1234");
	conn_watch(one->conn, true, true);
	sides_go_round(1);
	side_expect_seen(one, "w");
	assert_false(conn_has_event(other->conn));
}

static void what_is_at_hand_is_read_now(void **state)
{
	(void)state;
	conn_read_now(one->conn);
	side_expect_seen(one, "");
	conn_watch(one->conn, false, true);
	conn_read_now(one->conn);
	side_expect_seen(one, "");
	conn_watch(one->conn, true, false);
	conn_read_now(one->conn);
	side_expect_seen(one, "r");
	conn_close(one->conn);
	conn_read_now(one->conn);
	side_expect_seen(one, "");
	one->conn = NULL;
}

static char much[1 << 20];

/* The peer takes no more. */
static void fill(const struct side *side)
{
	while (send(conn_fd(side->conn), much, sizeof(much), 0) > 0)
		;
}

static void the_kernel_is_asked_for_what_is_waited_for(void **state)
{
	(void)state;
	side_say(one, "1");
	assert_false(conn_has_event(one->conn)); /* nothing is waited for */
	conn_watch(one->conn, true, false);
	assert_true(conn_has_event(one->conn));
	fail_calls("poll", 0, 1, EINTR);
	assert_false(conn_has_event(one->conn));
	side_expect_recv(one, 8, IO_OK, "1");
	assert_false(conn_has_event(one->conn));
	conn_watch(one->conn, false, true);
	assert_true(conn_has_event(one->conn));
	fill(one);
	side_say(one, "1");
	assert_false(conn_has_event(one->conn)); /* there is something to read alone */
	conn_watch(one->conn, true, true);
	assert_true(conn_has_event(one->conn));
	side_expect_recv(one, 8, IO_OK, "1");
	assert_false(conn_has_event(one->conn));
	conn_watch(one->conn, false, true);
	close(one->peer);
	one->peer = -1;
	assert_true(conn_has_event(one->conn));
	conn_watch(one->conn, true, false);
	assert_true(conn_has_event(one->conn));
	conn_close(one->conn);
	assert_false(conn_has_event(one->conn));
	one->conn = NULL;
}

/* ---- deadlines ------------------------------------------------------------------------------ */

static void a_deadline_passes_once(void **state)
{
	(void)state;
	conn_watch(one->conn, true, false);
	conn_deadline(one->conn, 1);
	sides_pass(1);
	side_expect_seen(one, "x");
	sides_pass(1000);
	side_expect_seen(one, "");
	conn_deadline(one->conn, 1);
	conn_deadline(one->conn, 0);
	sides_pass(1000);
	side_expect_seen(one, "");
}

static void a_deadline_of_a_closed_one_never_passes(void **state)
{
	(void)state;
	conn_deadline(one->conn, 1);
	conn_close(one->conn);
	conn_deadline(one->conn, 1);
	sides_pass(1000);
	side_expect_seen(one, "");
	one->conn = NULL;
}

/* The event of the other is not among those that libev has fetched: as if the process had stood still. */
static void say_at_the_deadline_of_the_other(struct side *side, char what)
{
	(void)side;
	if (what == 'x')
		side_say(other, "late");
}

static void what_came_is_told_in_place_of_a_deadline(void **state)
{
	(void)state;
	one->act = say_at_the_deadline_of_the_other;
	other->act = take_four;
	conn_watch(other->conn, true, false);
	conn_deadline(one->conn, 1);
	sides_go_round(1);
	conn_deadline(other->conn, 2);
	sides_pass(2);
	side_expect_seen(one, "x");
	side_expect_seen(other, "r");
	sides_pass(1); /* it did not set another */
	side_expect_seen(other, "x");
}

/* Both directions are waited for: what came is told in that of the two where it is. */
static void what_came_late_is_told_as_what_it_is(void **state)
{
	(void)state;
	one->act = say_at_the_deadline_of_the_other;
	other->act = take_four;
	fill(other);
	conn_watch(other->conn, true, true);
	conn_deadline(one->conn, 1);
	sides_go_round(1);
	conn_deadline(other->conn, 2);
	sides_pass(2);
	side_expect_seen(one, "x");
	side_expect_seen(other, "r");
}

static void drain_at_the_deadline_of_the_other(struct side *side, char what)
{
	(void)side;
	if (what == 'x')
		assert_true(recv(other->peer, much, sizeof(much), 0) > 0);
}

static void room_that_came_late_is_told_as_what_it_is(void **state)
{
	(void)state;
	one->act = drain_at_the_deadline_of_the_other;
	fill(other);
	conn_watch(other->conn, true, true);
	conn_deadline(one->conn, 1);
	sides_go_round(1);
	conn_deadline(other->conn, 2);
	sides_pass(2);
	side_expect_seen(one, "x");
	side_expect_seen(other, "w");
}

/* In the middle of a write: nothing is taken, then the deadline passes; or space comes first. */
static void a_deadline_in_the_middle_of_a_write(void **state)
{
	(void)state;
	fill(one);
	conn_watch(one->conn, false, true);
	conn_deadline(one->conn, 1);
	sides_pass(1);
	side_expect_seen(one, "x");
	conn_deadline(one->conn, 1000);
	assert_true(recv(one->peer, much, sizeof(much), 0) > 0);
	sides_pass(999);
	side_expect_seen(one, "w");
}

/* ---- closing -------------------------------------------------------------------------------- */

static void close_by_read(struct side *side, char what)
{
	if (what == 'r')
		conn_close(side->conn);
}

static void close_by_write(struct side *side, char what)
{
	if (what == 'w')
		conn_close(side->conn);
}

static void close_by_deadline(struct side *side, char what)
{
	if (what == 'x')
		conn_close(side->conn);
}

static void close_both(struct side *side, char what)
{
	(void)side;
	(void)what;
	conn_close(one->conn);
	conn_close(other->conn);
}

static void expect_closed(struct side *side)
{
	char byte;

	assert_int_equal(recv(side->peer, &byte, 1, MSG_DONTWAIT), 0);
	side->conn = NULL;
}

/* Closed in one event, it gets no other, neither of this turn nor of later ones. */
static void one_may_be_closed_in_its_events(void **state)
{
	static const struct {
		void (*act)(struct side *side, char what);
		const char *seen;
	} cases[] = {{close_by_read, "wr"}, {close_by_write, "w"}, {close_by_deadline, "wrx"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		side_say(one, "1");
		conn_watch(one->conn, true, true);
		conn_deadline(one->conn, 1);
		one->act = cases[i].act;
		if (one->act == close_by_deadline) {
			sides_go_round(1);
			conn_watch(one->conn, false, false);
		}
		sides_pass(1);
		sides_pass(1);
		side_expect_seen(one, cases[i].seen);
		conn_watch(one->conn, true, true); /* which says nothing to a closed one */
		sides_go_round(2);
		side_expect_seen(one, "");
		assert_int_equal(recv(one->peer, &(char){0}, 1, MSG_DONTWAIT),
				 -1); /* a reset: it had not read */
		one->conn = NULL;
		side_open(one);
	}
}

static void one_may_be_closed_in_the_event_of_another(void **state)
{
	(void)state;
	one->act = other->act = close_both;
	side_say(one, "1");
	side_say(other, "1");
	conn_watch(one->conn, true, false);
	conn_watch(other->conn, true, false);
	sides_go_round(2);
	assert_int_equal(strlen(one->seen) + strlen(other->seen), 1);
	one->conn = other->conn = NULL;
}

static void memory_stays_until_the_turn_ends(void **state)
{
	(void)state;
	conn_close(NULL);
	turn_free_all();
	frees = 0;
	conn_close(one->conn);
	conn_close(one->conn);
	assert_int_equal(frees, 0);
	expect_closed(one);
	turn_free_all();
	assert_int_equal(frees, 1);
	turn_free_all();
	assert_int_equal(frees, 1);
}

static void a_turn_may_free_a_crowd(void **state)
{
	enum { CROWD = 600 };
	void *left = malloc(16);

	(void)state;
	turn_free_all();
	frees = 0;
	turn_free(NULL);
	for (int i = 0; i < 256; i++)
		turn_free(malloc(16));
	/* without room for one more it is left: that is better than a use after free */
	fail_memory(0, false);
	turn_free(left);
	assert_true(fail_memory_never());
	for (int i = 256; i < CROWD; i++)
		turn_free(malloc(16));
	assert_int_equal(frees, 0);
	turn_free_all();
	assert_int_equal(frees, CROWD);
	free(left);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void an_end_is_of_one_half(void **state)
{
	(void)state;
	conn_end(one->conn);
	side_hear(one, "");
	side_say(one, "still");
	side_expect_recv(one, 8, IO_OK, "still");
}

static void a_broken_one_ends_after_what_came(void **state)
{
	(void)state;
	side_say(one, "before");
	conn_watch(one->conn, true, false);
	conn_broken(one->conn);
	side_hear(one, "");
	assert_int_equal(send(one->peer, "x", 1, MSG_NOSIGNAL), -1);
	sides_go_round(1);
	side_expect_seen(one, "r");
	side_expect_recv(one, 8, IO_OK, "before");
	side_expect_recv(one, 8, IO_END, "");
}

/* The peer's error by the time that the connection has ended. */
static int end_of_peer(void)
{
	char byte;
	ssize_t n;

	sides_await(one->peer, POLLIN);
	n = recv(one->peer, &byte, 1, 0);
	assert_true(n <= 0);
	return n == 0 ? 0 : errno;
}

static void one_that_is_not_finished_ends_with_a_reset(void **state)
{
	(void)state;
	side_open_tcp(one);
	conn_close(one->conn);
	assert_int_equal(end_of_peer(), 0);
	one->conn = NULL;
	side_open_tcp(one);
	conn_unfinished(one->conn, true);
	conn_close(one->conn);
	assert_int_equal(end_of_peer(), ECONNRESET);
	one->conn = NULL;
	side_open_tcp(one);
	conn_unfinished(one->conn, true);
	conn_unfinished(one->conn, false);
	conn_close(one->conn);
	assert_int_equal(end_of_peer(), 0);
	one->conn = NULL;
	side_open_tcp(one);
	conn_abort(one->conn);
	assert_int_equal(end_of_peer(), ECONNRESET);
	conn_abort(one->conn);
	one->conn = NULL;
	conn_abort(NULL);
}

/* A call for each change alone. */
static void what_it_is_already_costs_no_call(void **state)
{
	(void)state;
	fail_calls("setsockopt", 0, 9, EIO);
	conn_unfinished(NULL, true);
	conn_unfinished(one->conn, false);
	assert_false(fail_calls_never());
	conn_unfinished(one->conn, true);
	fail_calls("setsockopt", 0, 9, EIO);
	conn_unfinished(one->conn, true);
	assert_false(fail_calls_never());
	fail_calls("setsockopt", 0, 9, EIO);
	conn_unfinished(one->conn, false);
	assert_true(fail_calls_never());
	conn_close(one->conn);
	fail_calls("setsockopt", 0, 9, EIO);
	conn_unfinished(one->conn, true);
	assert_false(fail_calls_never());
	one->conn = NULL;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void another_owner_gets_the_events(void **state)
{
	(void)state;
	conn_watch(one->conn, true, false);
	side_say(one, "1");
	conn_own(one->conn, &side_events, other);
	sides_go_round(1);
	side_expect_seen(one, "");
	side_expect_seen(other, "r");
}

static void acknowledgements_may_be_at_once(void **state)
{
	(void)state;
	side_open_tcp(one);
	setsockopt(conn_fd(one->conn), IPPROTO_TCP, TCP_QUICKACK, &(int){0}, sizeof(int));
	assert_int_equal(side_option(one, IPPROTO_TCP, TCP_QUICKACK), 0);
	conn_acknowledge(one->conn);
	assert_int_equal(side_option(one, IPPROTO_TCP, TCP_QUICKACK), 1);
}

static void in_the_clear_it_names_nobody(void **state)
{
	(void)state;
	assert_null(conn_peer_name(one->conn));
	assert_false(conn_was_resumed(one->conn));
	assert_false(conn_is_connected(one->conn));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sides_setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_event_comes_as_long_as_there_is_something),
		TEST(a_byte_at_a_time),
		TEST(what_is_no_longer_waited_for_is_not_told),
		TEST(what_is_at_hand_is_read_now),
		TEST(the_kernel_is_asked_for_what_is_waited_for),
		TEST(a_deadline_passes_once),
		TEST(a_deadline_of_a_closed_one_never_passes),
		TEST(what_came_is_told_in_place_of_a_deadline),
		TEST(what_came_late_is_told_as_what_it_is),
		TEST(room_that_came_late_is_told_as_what_it_is),
		TEST(a_deadline_in_the_middle_of_a_write),
		TEST(one_may_be_closed_in_its_events),
		TEST(one_may_be_closed_in_the_event_of_another),
		TEST(memory_stays_until_the_turn_ends),
		TEST(a_turn_may_free_a_crowd),
		TEST(an_end_is_of_one_half),
		TEST(a_broken_one_ends_after_what_came),
		TEST(one_that_is_not_finished_ends_with_a_reset),
		TEST(what_it_is_already_costs_no_call),
		TEST(another_owner_gets_the_events),
		TEST(acknowledgements_may_be_at_once),
		TEST(in_the_clear_it_names_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
