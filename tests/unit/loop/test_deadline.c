/* LINKS: proxy/loop */
/* Deadlines: late timers, and what came meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proxy/loop/deadline.h"

/* A pipe that is waited for, and the order of what happens: r read, l looked, x passed. */
struct wait {
	struct ev_loop *loop;
	struct ev_io io;
	struct deadline deadline;
	int pipe[2];
	char order[64];
	int64_t moved_ms;  /* the deadline is set anew when there was something */
	bool endless;      /* what is there is not taken */
	bool gone_by_look; /* it is stopped in the look */
	bool at_once;      /* it is set for at once in the look */
};

static struct wait w;
static int64_t clock_ms;
static unsigned interruptions; /* of the waits to come */

/* libev's: as after SIGCONT when the process was stopped in it. */
int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	return (int)syscall(SYS_epoll_pwait, fd, events, max, timeout, NULL, 8);
}

static void note(char what)
{
	size_t n = strlen(w.order);

	assert_true(n < sizeof(w.order) - 1);
	w.order[n] = what;
}

static void take(void)
{
	char byte;

	note('r');
	if (!w.endless)
		assert_int_equal(read(w.pipe[0], &byte, 1), 1);
	if (w.moved_ms > 0)
		deadline_set(&w.deadline, w.moved_ms);
}

static void io_cb(struct ev_loop *loop, struct ev_io *io, int events)
{
	(void)loop;
	(void)io;
	(void)events;
	take();
}

static bool look(void *owner)
{
	struct pollfd fd = {.fd = w.pipe[0], .events = POLLIN};

	assert_ptr_equal(owner, &w);
	note('l');
	if (poll(&fd, 1, 0) != 1)
		return false;
	take();
	if (w.gone_by_look)
		deadline_stop(&w.deadline);
	if (w.at_once)
		deadline_set(&w.deadline, 0);
	return true;
}

static void passed(void *owner)
{
	assert_ptr_equal(owner, &w);
	assert_false(deadline_is_set(&w.deadline));
	note('x');
}

static const struct deadline_kind kind = {.look = look, .passed = passed};

static int setup(void **state)
{
	(void)state;
	w = (struct wait){.loop = ev_loop_new(EVBACKEND_EPOLL)};
	clock_ms = 1000;
	interruptions = 0;
	if (w.loop == NULL || pipe(w.pipe) != 0)
		return -1;
	deadlines_setup(w.loop);
	deadlines_advance(clock_ms);
	ev_io_init(&w.io, io_cb, w.pipe[0], EV_READ);
	ev_io_start(w.loop, &w.io);
	deadline_init(&w.deadline, &kind, &w);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(w.pipe[0]);
	close(w.pipe[1]);
	ev_loop_destroy(w.loop);
	return 0;
}

static void say(const char *bytes)
{
	assert_int_equal(write(w.pipe[1], bytes, strlen(bytes)), strlen(bytes));
}

/* Time that has passed for libev as well. */
static void stand_still(int64_t ms)
{
	struct timespec pause = {.tv_nsec = 3000000};

	nanosleep(&pause, NULL);
	clock_ms += ms;
	deadlines_advance(clock_ms);
}

static void turns(unsigned n)
{
	while (n-- > 0)
		ev_run(w.loop, EVRUN_NOWAIT);
}

static void test_it_passes_when_nothing_came(void **state)
{
	(void)state;
	deadline_set(&w.deadline, 2);
	stand_still(10);
	turns(2);
	assert_string_equal(w.order, "lx");
	turns(2);
	assert_string_equal(w.order, "lx");
}

static void test_events_at_hand_come_first(void **state)
{
	(void)state;
	w.moved_ms = 100;
	deadline_set(&w.deadline, 2);
	say("a");
	stand_still(10);
	turns(2);
	assert_string_equal(w.order, "r");
	assert_true(deadline_is_set(&w.deadline));
}

static void test_what_an_interrupted_wait_missed_comes_first(void **state)
{
	(void)state;
	w.moved_ms = 100;
	deadline_set(&w.deadline, 2);
	say("a");
	stand_still(10);
	interruptions = 1;
	turns(2);
	assert_string_equal(w.order, "lr");
	assert_true(deadline_is_set(&w.deadline));
}

static void test_it_passes_after_what_did_not_move_it(void **state)
{
	(void)state;
	deadline_set(&w.deadline, 2);
	say("a");
	stand_still(10);
	interruptions = 1;
	turns(1);
	assert_string_equal(w.order, "lr");
	turns(1);
	assert_string_equal(w.order, "lrlx");
}

static void test_drops_do_not_hold_it_up_for_ever(void **state)
{
	unsigned looks = 0;

	(void)state;
	w.endless = true;
	ev_io_stop(w.loop, &w.io);
	deadline_set(&w.deadline, 2);
	say("a");
	stand_still(10);
	turns(DEADLINE_LOOKS + 5);
	for (const char *at = w.order; *at != '\0'; at++)
		looks += *at == 'l';
	assert_int_equal(looks, DEADLINE_LOOKS);
	assert_int_equal(w.order[strlen(w.order) - 1], 'x');
}

/* An owner who computes what is left, and sets 1 when nothing is: no more looks by that. */
static void test_set_again_for_at_once(void **state)
{
	unsigned looks = 0;

	(void)state;
	w.endless = true;
	w.moved_ms = 1;
	ev_io_stop(w.loop, &w.io);
	deadline_set(&w.deadline, 2);
	say("a");
	for (unsigned i = 0; i < DEADLINE_LOOKS + 5; i++) {
		stand_still(10);
		turns(1);
	}
	for (const char *at = w.order; *at != '\0'; at++)
		looks += *at == 'l';
	assert_int_equal(looks, DEADLINE_LOOKS);
	assert_int_equal(w.order[strlen(w.order) - 1], 'x');
}

static void test_an_owner_may_go_in_the_look(void **state)
{
	(void)state;
	w.gone_by_look = true;
	ev_io_stop(w.loop, &w.io);
	deadline_set(&w.deadline, 2);
	say("a");
	stand_still(10);
	turns(3);
	assert_string_equal(w.order, "lr");
	assert_false(deadline_is_set(&w.deadline));
}

static void test_cleared_moved_and_brought_forward(void **state)
{
	(void)state;
	deadline_set(&w.deadline, 2);
	deadline_clear(&w.deadline);
	stand_still(10);
	turns(2);
	assert_string_equal(w.order, "");
	deadline_set(&w.deadline, 2);
	deadline_set(&w.deadline, 400);
	stand_still(10);
	turns(2);
	assert_string_equal(w.order, "");
	deadline_set(&w.deadline, 1);
	stand_still(10);
	turns(2);
	assert_string_equal(w.order, "lx");
}

/* One that is set for more than at once has all its looks again; so has one after it passed. */
static void test_looks_begin_anew(void **state)
{
	(void)state;
	w.endless = true;
	ev_io_stop(w.loop, &w.io);
	say("a");
	deadline_set(&w.deadline, 2);
	for (unsigned i = 0; i < DEADLINE_LOOKS - 1; i++) {
		stand_still(10);
		turns(1);
	}
	deadline_set(&w.deadline, 2);
	for (unsigned time = 0; time < 2; time++) {
		memset(w.order, 0, sizeof(w.order));
		for (unsigned i = 0; i < DEADLINE_LOOKS; i++) {
			stand_still(10);
			turns(1);
			assert_int_equal(strlen(w.order), 2 * (i + 1));
		}
		turns(1);
		assert_int_equal(w.order[2 * DEADLINE_LOOKS], 'x');
		deadline_set(&w.deadline, 1);
	}
}

/* It is looked at before, all the same, and no more often than any other. */
static void test_set_for_at_once_in_the_look(void **state)
{
	(void)state;
	w.at_once = true;
	ev_io_stop(w.loop, &w.io);
	deadline_set(&w.deadline, 2);
	say("a");
	stand_still(10);
	turns(1);
	assert_string_equal(w.order, "lr");
	stand_still(1);
	turns(1);
	assert_string_equal(w.order, "lrlx");
}

/* Whatever the time was in another loop. */
static void test_a_new_loop_begins_with_its_own_time(void **state)
{
	(void)state;
	deadlines_setup(w.loop);
	assert_int_equal(deadlines_advance(50), 50);
	assert_int_equal(deadlines_now_ms(), 50);
	assert_int_equal(deadlines_advance(51), 51);
	assert_int_equal(deadlines_advance(51), 51);
	assert_int_equal(deadlines_advance(40), 51); /* a clock that goes back */
	assert_int_equal(deadlines_advance(42), 53);
	deadlines_setup(w.loop);
	assert_int_equal(deadlines_advance(7000), 7000);
}

/* However long the process was stopped: who had 600 ms left has 100. */
static void test_a_turn_counts_for_so_much_and_no_more(void **state)
{
	int64_t before_ms = deadlines_now_ms();

	(void)state;
	deadline_set(&w.deadline, DEADLINE_TURN_MAX_MS + 100);
	stand_still(86400000);
	assert_int_equal(deadlines_now_ms() - before_ms, DEADLINE_TURN_MAX_MS);
	turns(2);
	assert_string_equal(w.order, "");
	stand_still(101);
	assert_int_equal(deadlines_now_ms() - before_ms, DEADLINE_TURN_MAX_MS + 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_passes_when_nothing_came, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_at_hand_come_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_an_interrupted_wait_missed_comes_first,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_it_passes_after_what_did_not_move_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_drops_do_not_hold_it_up_for_ever, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_set_again_for_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_owner_may_go_in_the_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cleared_moved_and_brought_forward, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_set_for_at_once_in_the_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_looks_begin_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_new_loop_begins_with_its_own_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_turn_counts_for_so_much_and_no_more, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
