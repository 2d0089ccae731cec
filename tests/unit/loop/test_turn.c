/* LINKS: proxy/loop -Wl,--wrap=wall_clock_ms,--wrap=log_info */
/* Tasks of a turn, and what one connection may have of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "cache/store/steady_clock.h"
#include "proxy/base/monotonic.h"
#include "proxy/loop/deadline.h"
#include "proxy/loop/turn.h"
#include "proxy/stats/stats.h"

static struct turn loop_turn;
static int64_t clock_us;
static unsigned clock_reads;

int64_t monotonic_us(void)
{
	clock_reads++;
	return clock_us;
}

/* A task that notes when it ran, takes its time, and may queue itself again. */
struct job {
	struct task task;
	unsigned runs, again_soon, again_later;
	uint64_t last_turn;
	int64_t takes_us;
};

static void run(void *owner)
{
	struct job *job = owner;

	job->runs++;
	job->last_turn = loop_turn.number;
	clock_us += job->takes_us;
	if (job->again_soon > 0) {
		job->again_soon--;
		turn_soon(&loop_turn, &job->task);
	} else if (job->again_later > 0) {
		job->again_later--;
		turn_later(&loop_turn, &job->task);
	}
}

static void job_init(struct job *job)
{
	*job = (struct job){.task = {.run = run, .owner = job}};
}

static int begin(void **state)
{
	(void)state;
	turn_init(&loop_turn);
	clock_us = 1000000;
	clock_reads = 0;
	return 0;
}

/* A turn in which no event comes. */
static bool turn(void)
{
	loop_turn.now_us = clock_us;
	turn_begin(&loop_turn);
	return turn_end(&loop_turn);
}

static void a_task_runs_before_the_turn_ends(void **state)
{
	struct job job;

	(void)state;
	job_init(&job);
	turn_begin(&loop_turn);
	turn_soon(&loop_turn, &job.task);
	turn_soon(&loop_turn, &job.task);
	assert_int_equal(job.runs, 0);
	assert_false(turn_end(&loop_turn));
	assert_int_equal(job.runs, 1);
	job.again_soon = 3;
	turn_soon(&loop_turn, &job.task);
	assert_false(turn());
	assert_int_equal(job.runs, 5);
}

static void tasks_without_end_let_the_loop_go_round(void **state)
{
	struct job job;
	unsigned turns = 1;

	(void)state;
	job_init(&job);
	job.again_soon = 1000;
	turn_soon(&loop_turn, &job.task);
	while (turn())
		turns++;
	assert_int_equal(job.runs, 1001);
	assert_int_equal(turns, 32); /* 16 rounds before what was put off, and 16 behind it */
}

static void what_is_put_off_runs_in_the_next_turn(void **state)
{
	struct job job;

	(void)state;
	job_init(&job);
	turn_begin(&loop_turn);
	turn_later(&loop_turn, &job.task);
	turn_soon(&loop_turn, &job.task); /* it is queued already */
	assert_true(turn_end(&loop_turn));
	assert_int_equal(job.runs, 0);
	job.again_later = 2;
	assert_true(turn());
	assert_int_equal(job.runs, 1);
	assert_true(turn());
	assert_false(turn());
	assert_int_equal(job.runs, 3);
}

enum { CROWD = 100 };

/* In their order, a few at a time, and each again before any has a third time. */
static void a_crowd_goes_on_in_turns(void **state)
{
	static struct job jobs[CROWD];
	unsigned turns = 1;

	(void)state;
	for (unsigned i = 0; i < CROWD; i++) {
		job_init(&jobs[i]);
		jobs[i].again_later = 1;
		turn_later(&loop_turn, &jobs[i].task);
	}
	while (turn()) {
		turns++;
		assert_true(jobs[0].runs <= jobs[CROWD - 1].runs + 1);
	}
	for (unsigned i = 1; i < CROWD; i++) {
		assert_int_equal(jobs[i].runs, 2);
		assert_true(jobs[i].last_turn >= jobs[i - 1].last_turn);
	}
	assert_in_range(turns, 2 * CROWD / 16, 2 * CROWD / 16 + 2);
}

/* However long the turn has taken by then, one that was put off runs in it. */
static void a_slow_turn_runs_one_all_the_same(void **state)
{
	struct job slow, late;

	(void)state;
	job_init(&slow);
	job_init(&late);
	slow.takes_us = 5000;
	turn_later(&loop_turn, &late.task);
	loop_turn.now_us = clock_us;
	turn_begin(&loop_turn);
	turn_soon(&loop_turn, &slow.task);
	assert_false(turn_end(&loop_turn));
	assert_int_equal(slow.runs, 1);
	assert_int_equal(late.runs, 1);
}

static void slow_ones_go_on_one_a_turn(void **state)
{
	struct job jobs[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		job_init(&jobs[i]);
		jobs[i].takes_us = 5000;
		turn_later(&loop_turn, &jobs[i].task);
	}
	assert_true(turn());
	assert_int_equal(jobs[0].runs + jobs[1].runs, 1);
	assert_true(turn());
	assert_false(turn());
	assert_int_equal(jobs[2].runs, 1);
}

/* Operators see how often connections had to wait for the next turn: each time once. */
static uint64_t used_up(void)
{
	return STATS_GET(shares_used_up);
}

static unsigned steps_of(struct share *share, unsigned most)
{
	unsigned steps = 0;

	while (share_take(share, &loop_turn, most))
		steps++;
	return steps;
}

static void a_share_is_of_so_many_steps_a_turn(void **state)
{
	struct share share = {0};
	uint64_t before;

	(void)state;
	loop_turn.now_us = clock_us;
	before = used_up();
	assert_int_equal(steps_of(&share, SHARE_REQUESTS), SHARE_REQUESTS);
	assert_int_equal(used_up() - before, 1);
	assert_false(share_take(&share, &loop_turn, SHARE_PIECES));
	assert_int_equal(used_up() - before, 1);
	turn_begin(&loop_turn);
	assert_int_equal(steps_of(&share, SHARE_PIECES), SHARE_PIECES);
	assert_int_equal(used_up() - before, 2);
	turn_begin(&loop_turn);
	loop_turn.steps_max = 3;
	assert_int_equal(steps_of(&share, SHARE_PIECES), 3);
}

static void a_share_is_of_so_many_bytes_a_turn(void **state)
{
	struct share share = {0};

	(void)state;
	loop_turn.now_us = clock_us;
	assert_true(share_take(&share, &loop_turn, SHARE_REQUESTS));
	share.bytes += SHARE_BYTES - 1;
	assert_true(share_take(&share, &loop_turn, SHARE_REQUESTS));
	share.bytes++;
	assert_false(share_take(&share, &loop_turn, SHARE_REQUESTS));
	turn_begin(&loop_turn);
	assert_true(share_take(&share, &loop_turn, SHARE_REQUESTS));
}

/* Sixteen at a time are not worth a look at the clock. */
static void the_clock_is_read_now_and_then(void **state)
{
	struct share share = {0};

	(void)state;
	loop_turn.now_us = clock_us;
	for (unsigned i = 0; i < 16; i++)
		assert_true(share_take(&share, &loop_turn, SHARE_REQUESTS));
	assert_int_equal(clock_reads, 0);
	assert_true(share_take(&share, &loop_turn, SHARE_REQUESTS));
	assert_int_equal(clock_reads, 1);
	clock_us += 100000;
	assert_int_equal(steps_of(&share, SHARE_REQUESTS), 15);
	assert_int_equal(clock_reads, 2);
	/* and in a turn that was long before, sixteen are what there is */
	turn_begin(&loop_turn);
	assert_int_equal(steps_of(&share, SHARE_REQUESTS), 16);
}

/* ---- clocks --------------------------------------------------------------------------------- */

static int64_t wall_ms = 1939639200123;
static char said[128];

int64_t __wrap_wall_clock_ms(void);
void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t __wrap_wall_clock_ms(void)
{
	return wall_ms;
}

void __wrap_log_info(const char *format, ...)
{
	va_list parts;

	va_start(parts, format);
	vsnprintf(said, sizeof(said), format, parts);
	va_end(parts);
}

static void clocks_are_read_together(void **state)
{
	struct store_clock steady = {0};
	int64_t begun_ms = wall_ms;

	(void)state;
	deadlines_setup(NULL);
	loop_turn.steady = &steady;
	clock_us = 5000000;
	turn_read_clocks(&loop_turn);
	assert_int_equal(loop_turn.now_us, 5000000);
	assert_int_equal(loop_turn.now_ms, 5000);
	assert_int_equal(loop_turn.now_ms, deadlines_now_ms());
	assert_int_equal(loop_turn.now.wall_s, begun_ms / 1000);
	assert_int_equal(loop_turn.now.steady_ms, begun_ms);
	clock_us += 7999;
	wall_ms += 7;
	turn_read_clocks(&loop_turn);
	assert_int_equal(loop_turn.now_us, 5007999);
	assert_int_equal(loop_turn.now_ms, 5007);
	assert_int_equal(loop_turn.now.steady_ms, begun_ms + 7);
	assert_string_equal(said, "");
	wall_ms -= 3600000;
	turn_read_clocks(&loop_turn);
	assert_string_equal(said, "the clock was set back by 3600 s");
	assert_int_equal(loop_turn.now.steady_ms, begun_ms + 7);
	said[0] = '\0';
	turn_read_clocks(&loop_turn); /* once */
	assert_string_equal(said, "");
	assert_int_equal(loop_turn.now.wall_s, wall_ms / 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(a_task_runs_before_the_turn_ends),
		TEST(tasks_without_end_let_the_loop_go_round),
		TEST(what_is_put_off_runs_in_the_next_turn),
		TEST(a_crowd_goes_on_in_turns),
		TEST(a_slow_turn_runs_one_all_the_same),
		TEST(slow_ones_go_on_one_a_turn),
		TEST(a_share_is_of_so_many_steps_a_turn),
		TEST(a_share_is_of_so_many_bytes_a_turn),
		TEST(the_clock_is_read_now_and_then),
		TEST(clocks_are_read_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
