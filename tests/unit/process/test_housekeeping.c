/* LINKS: proxy/process -Wl,--wrap=deadline_init,--wrap=deadline_set,--wrap=deadline_is_set,--wrap=monotonic_us,--wrap=log_error,--wrap=log_info,--wrap=cache_flush,--wrap=cache_flush_some,--wrap=cache_flush_is_due,--wrap=cache_tick,--wrap=cache_pending,--wrap=cache_turn_end,--wrap=cache_purge_is_due,--wrap=cache_counts,--wrap=cache_store_of,--wrap=store_error,--wrap=logins_turn,--wrap=logins_wait,--wrap=purger_step,--wrap=purger_stop,--wrap=accesslog_flush,--wrap=accesslog_lost,--wrap=accesslog_finish,--wrap=store_watch_look,--wrap=store_counts_note,--wrap=process_watch_begin,--wrap=process_watch_look,--wrap=process_watch_end,--wrap=sketch_tick,--wrap=fetches_note_old,--wrap=history_due,--wrap=history_sample,--wrap=history_leave,--wrap=stats_sum_numbers */
/* What a worker does by itself, and when: a transcript, "MS WORDS" for each call, by a clock of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/cache.h"
#include "proxy/base/monotonic.h"
#include "proxy/exchange/fetch.h"
#include "proxy/front/logins.h"
#include "proxy/process/housekeeping.h"
#include "proxy/stats/accesslog.h"
#include "proxy/stats/history.h"
#include "proxy/stats/sketch.h"
#include "tests/support/test_conf.h"

enum {
	DEADLINES = 5,
	PASSED_MAX = 10000, /* deadlines, in a test */
	BOOTED_MS = 5000,   /* on the monotonic clock, when that of deadlines is at 0 */
	OFTEN = UINT32_MAX, /* true, however often it is asked */
	NEVER_DUE_MS = 1 << 30,
};

/* What its collaborators say, and what was heard of it. */
static struct {
	char text[8192];
	bool tells_all; /* what each tick has, too */
	struct deadline *deadlines[DEADLINES];
	unsigned deadline_count;

	unsigned writes, purges, logins; /* how often there is more; OFTEN */
	int64_t logins_ms, purge_ms;     /* until the next */
	struct cache_counts counts;
	const char *error, *why;
	uint64_t lost;
	bool is_mine;
} world;

static struct conf *conf;
static struct turn turn;
static struct stats blocks[3];
static struct stats_service service;
static struct housekeeping keeping;
static char cache, store, logins, accesslog, history, fetches; /* what stands for them */
static struct store_counts counts;
static struct store_watch watch;

static void note_args(const char *what, const char *format, va_list args)
{
	size_t n = strlen(world.text), room = sizeof(world.text);

	n += (size_t)snprintf(world.text + n, room - n, "%" PRId64 " %s", turn.now_ms, what);
	n += (size_t)vsnprintf(world.text + n, room - n, format, args);
	assert_true(n + 2 < room);
	strcpy(world.text + n, "\n");
}

static void __attribute__((format(printf, 1, 2))) note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note_args("", format, args);
	va_end(args);
}

/* What each tick has. */
static void __attribute__((format(printf, 1, 2))) note_tick(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (world.tells_all)
		note_args("", format, args);
	va_end(args);
}

/* One of so many. */
static bool take(unsigned *left)
{
	if (*left == 0 || *left == OFTEN)
		return *left == OFTEN;
	(*left)--;
	return true;
}

/* ---- deadlines, by the test's clock --------------------------------------------------------- */

void __wrap_deadline_init(struct deadline *deadline, const struct deadline_kind *kind, void *owner);
void __wrap_deadline_set(struct deadline *deadline, int64_t ms);
bool __wrap_deadline_is_set(const struct deadline *deadline);
int64_t __wrap_monotonic_us(void);

void __wrap_deadline_init(struct deadline *deadline, const struct deadline_kind *kind, void *owner)
{
	assert_true(world.deadline_count < DEADLINES);
	world.deadlines[world.deadline_count++] = deadline;
	deadline->kind = kind;
	deadline->at_ms = INT64_MAX;
	deadline->timer.data = owner;
}

void __wrap_deadline_set(struct deadline *deadline, int64_t ms)
{
	deadline->at_ms = turn.now_ms + ms;
}

bool __wrap_deadline_is_set(const struct deadline *deadline)
{
	return deadline->at_ms != INT64_MAX;
}

int64_t __wrap_monotonic_us(void)
{
	return (BOOTED_MS + turn.now_ms) * 1000 + 999;
}

static void set_clock(int64_t now_ms)
{
	turn.now_ms = now_ms;
	turn.now_us = __wrap_monotonic_us();
}

/* The loop turns until then. */
static void run(int64_t until_ms)
{
	for (unsigned passed = 0; passed < PASSED_MAX; passed++) {
		struct deadline *first = world.deadlines[0];

		for (unsigned i = 1; i < world.deadline_count; i++)
			if (world.deadlines[i]->at_ms < first->at_ms)
				first = world.deadlines[i];
		if (first->at_ms > until_ms) {
			set_clock(until_ms);
			return;
		}
		set_clock(first->at_ms);
		first->at_ms = INT64_MAX;
		first->kind->passed(first->timer.data);
	}
	fail_msg("deadlines pass without end");
}

/* ---- collaborators -------------------------------------------------------------------------- */

void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_cache_flush(struct cache *of);
bool __wrap_cache_flush_some(struct cache *of);
bool __wrap_cache_flush_is_due(const struct cache *of);
void __wrap_cache_tick(struct cache *of);
size_t __wrap_cache_pending(const struct cache *of);
void __wrap_cache_turn_end(struct cache *of);
bool __wrap_cache_purge_is_due(const struct cache *of);
const struct cache_counts *__wrap_cache_counts(const struct cache *of);
struct store *__wrap_cache_store_of(struct cache *of);
const char *__wrap_store_error(const struct store *of);
int64_t __wrap_logins_turn(struct logins *of);
bool __wrap_logins_wait(const struct logins *of);
int64_t __wrap_purger_step(struct purger *purger);
void __wrap_purger_stop(struct purger *purger);
void __wrap_accesslog_flush(struct accesslog *log);
uint64_t __wrap_accesslog_lost(struct accesslog *log, const char **ret_why);
void __wrap_accesslog_finish(struct accesslog *log);
void __wrap_store_watch_look(struct store_watch *of);
void __wrap_store_counts_note(const struct store_counts *of);
void __wrap_process_watch_begin(struct process_watch *of, struct process_stats *to);
void __wrap_process_watch_look(struct process_watch *of, int64_t now_ms);
void __wrap_process_watch_end(struct process_watch *of);
void __wrap_sketch_tick(int64_t now_ms);
void __wrap_fetches_note_old(const struct fetches *of);
int64_t __wrap_history_due(struct history *of, pid_t self, int64_t now_ms, bool *ret_sample);
void __wrap_history_sample(struct history *of, const struct stats *sum, int64_t now_ms);
void __wrap_history_leave(struct history *of, pid_t self);
void __wrap_stats_sum_numbers(const struct stats *of, unsigned count, struct stats *ret_sum);

void __wrap_log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note_args("error: ", format, args);
	va_end(args);
}

void __wrap_log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note_args("info: ", format, args);
	va_end(args);
}

void __wrap_cache_flush(struct cache *of)
{
	assert_ptr_equal(of, &cache);
	note("writes all");
}

bool __wrap_cache_flush_some(struct cache *of)
{
	assert_ptr_equal(of, &cache);
	assert_true(take(&world.writes));
	note("writes some");
	return world.writes > 0;
}

bool __wrap_cache_flush_is_due(const struct cache *of)
{
	assert_ptr_equal(of, &cache);
	return world.writes > 0;
}

void __wrap_cache_tick(struct cache *of)
{
	assert_ptr_equal(of, &cache);
	note_tick("looks after the cache");
}

size_t __wrap_cache_pending(const struct cache *of)
{
	assert_ptr_equal(of, &cache);
	return world.writes;
}

void __wrap_cache_turn_end(struct cache *of)
{
	assert_ptr_equal(of, &cache);
	note("ends the turn");
}

bool __wrap_cache_purge_is_due(const struct cache *of)
{
	assert_ptr_equal(of, &cache);
	return world.purges > 0;
}

const struct cache_counts *__wrap_cache_counts(const struct cache *of)
{
	assert_ptr_equal(of, &cache);
	return &world.counts;
}

struct store *__wrap_cache_store_of(struct cache *of)
{
	assert_ptr_equal(of, &cache);
	return (struct store *)&store;
}

const char *__wrap_store_error(const struct store *of)
{
	assert_ptr_equal(of, &store);
	return world.error;
}

int64_t __wrap_logins_turn(struct logins *of)
{
	assert_ptr_equal(of, &logins);
	note("verifies");
	take(&world.logins);
	return world.logins > 0 ? world.logins_ms : -1;
}

bool __wrap_logins_wait(const struct logins *of)
{
	assert_ptr_equal(of, &logins);
	return world.logins > 0;
}

int64_t __wrap_purger_step(struct purger *purger)
{
	assert_ptr_equal(purger, &keeping.purger);
	note("removes some");
	take(&world.purges);
	return world.purges > 0 ? world.purge_ms : 0;
}

void __wrap_purger_stop(struct purger *purger)
{
	assert_ptr_equal(purger, &keeping.purger);
	note("removes no more");
}

void __wrap_accesslog_flush(struct accesslog *log)
{
	assert_ptr_equal(log, &accesslog);
	note_tick("writes the log");
}

uint64_t __wrap_accesslog_lost(struct accesslog *log, const char **ret_why)
{
	uint64_t lost = world.lost;

	assert_ptr_equal(log, &accesslog);
	world.lost = 0;
	*ret_why = world.why;
	return lost;
}

void __wrap_accesslog_finish(struct accesslog *log)
{
	assert_ptr_equal(log, &accesslog);
	note("finishes the log");
}

void __wrap_store_watch_look(struct store_watch *of)
{
	assert_ptr_equal(of, &watch);
	note_tick("looks at the store's files");
}

void __wrap_store_counts_note(const struct store_counts *of)
{
	assert_ptr_equal(of, &counts);
	note_tick("counts");
}

void __wrap_process_watch_begin(struct process_watch *of, struct process_stats *to)
{
	assert_ptr_equal(of, &keeping.process);
	assert_ptr_equal(to, &stats->process);
	note_tick("begins");
}

void __wrap_process_watch_look(struct process_watch *of, int64_t now_ms)
{
	assert_ptr_equal(of, &keeping.process);
	note_tick("looks at itself at %" PRId64, now_ms);
}

void __wrap_process_watch_end(struct process_watch *of)
{
	assert_ptr_equal(of, &keeping.process);
	note("looks at itself no more");
}

void __wrap_sketch_tick(int64_t now_ms)
{
	note_tick("names at %" PRId64, now_ms);
}

void __wrap_fetches_note_old(const struct fetches *of)
{
	assert_ptr_equal(of, &fetches);
	note_tick("notes old fetches");
}

int64_t __wrap_history_due(struct history *of, pid_t self, int64_t now_ms, bool *ret_sample)
{
	assert_ptr_equal(of, &history);
	assert_int_equal(self, getpid());
	assert_int_equal(now_ms, BOOTED_MS + turn.now_ms);
	*ret_sample = world.is_mine;
	note_tick("is it to sample?");
	return world.tells_all ? 600 : NEVER_DUE_MS;
}

void __wrap_history_sample(struct history *of, const struct stats *sum, int64_t now_ms)
{
	assert_ptr_equal(of, &history);
	note("samples %" PRIu64 " requests at %" PRId64, STATS_READ(sum->requests), now_ms);
}

void __wrap_history_leave(struct history *of, pid_t self)
{
	assert_ptr_equal(of, &history);
	assert_int_equal(self, getpid());
	note("samples no more");
}

void __wrap_stats_sum_numbers(const struct stats *of, unsigned count, struct stats *ret_sum)
{
	assert_ptr_equal(of, blocks);
	memset(ret_sum, 0, sizeof(*ret_sum));
	STATS_BUMP(ret_sum->requests, count * 100);
}

/* ---- plays ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	conf = test_conf_new();
	assert_true(
		test_conf_set_all(conf, "store=/the/store;access_log=/the/log;store_interval=0"));
	world.error = "no space";
	world.why = "no room";
	set_clock(0);
	service = (struct stats_service){.blocks = blocks, .history = (struct history *)&history};
	atomic_store_explicit(&service.used, 2, memory_order_relaxed);
	keeping = (struct housekeeping){
		.conf = conf,
		.turn = &turn,
		.cache = (struct cache *)&cache,
		.accesslog = (struct accesslog *)&accesslog,
		.logins = (struct logins *)&logins,
		.counts = &counts,
		.store = &watch,
		.fetches = (const struct fetches *)&fetches,
		.service = &service,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_conf_free(conf);
	return 0;
}

/* What was heard since the last call. */
static void heard(const char *text)
{
	assert_string_equal(world.text, text);
	world.text[0] = '\0';
}

static void each_tick_has_its_work_and_each_fourth_more(void **state)
{
	(void)state;
	world.tells_all = true;
	housekeeping_begin(&keeping);
	run(600);
	heard("0 begins\n"
	      "0 names at 5000\n"
	      "0 is it to sample?\n"
	      "250 counts\n"
	      "250 looks at itself at 250\n"
	      "250 names at 5250\n"
	      "250 notes old fetches\n"
	      "500 counts\n"
	      "500 looks at itself at 500\n"
	      "500 names at 5500\n"
	      "500 notes old fetches\n"
	      "600 is it to sample?\n");
	run(750);
	world.text[0] = '\0';
	run(1000);
	heard("1000 looks after the cache\n"
	      "1000 writes the log\n"
	      "1000 looks at the store's files\n"
	      "1000 counts\n"
	      "1000 looks at itself at 1000\n"
	      "1000 names at 6000\n"
	      "1000 notes old fetches\n");
	run(1999);
	world.text[0] = '\0';
	keeping.accesslog = NULL;
	run(2000);
	heard("2000 looks after the cache\n"
	      "2000 looks at the store's files\n"
	      "2000 counts\n"
	      "2000 looks at itself at 2000\n"
	      "2000 names at 7000\n"
	      "2000 notes old fetches\n");
}

static void whose_turn_it_is_samples_the_workers_there_were(void **state)
{
	(void)state;
	world.is_mine = true;
	housekeeping_begin(&keeping);
	run(100);
	heard("0 samples 200 requests at 5000\n");
}

static void writes_go_into_the_store_at_the_end_of_a_turn(void **state)
{
	(void)state;
	housekeeping_begin(&keeping);
	housekeeping_end_turn(&keeping);
	heard("0 ends the turn\n");
	assert_int_equal(STATS_GET(writes_waiting), 0);
	world.writes = 3;
	housekeeping_end_turn(&keeping);
	heard("0 writes some\n0 ends the turn\n");
	assert_int_equal(STATS_GET(writes_waiting), 2);
	housekeeping_end_turn(&keeping); /* the rest comes after what is at hand */
	heard("0 ends the turn\n");
	run(0);
	heard("0 writes some\n0 writes some\n");
	run(100);
	heard("");
}

static void or_when_the_interval_has_passed(void **state)
{
	(void)state;
	assert_true(test_conf_set(conf, "store_interval", "100ms"));
	housekeeping_begin(&keeping);
	world.writes = 2;
	housekeeping_end_turn(&keeping);
	run(60);
	housekeeping_end_turn(&keeping); /* it counts from the first on */
	run(99);
	heard("0 ends the turn\n60 ends the turn\n");
	run(100);
	heard("100 writes some\n100 writes some\n");
}

static void passwords_are_verified_after_others_had_their_turn(void **state)
{
	(void)state;
	housekeeping_begin(&keeping);
	housekeeping_end_turn(&keeping);
	run(10);
	heard("0 ends the turn\n");
	world.logins = 3;
	world.logins_ms = 7;
	housekeeping_end_turn(&keeping);
	run(11);
	heard("10 ends the turn\n11 verifies\n");
	set_clock(15);
	housekeeping_end_turn(&keeping); /* the next has a time already */
	world.logins_ms = 0;
	run(18);
	heard("15 ends the turn\n18 verifies\n");
	run(30);
	heard("19 verifies\n");
	world.logins = 1;
	keeping.logins = NULL;
	housekeeping_end_turn(&keeping);
	run(40);
	heard("30 ends the turn\n");
}

static void a_removal_begins_with_a_tick_and_goes_on_at_its_own_pace(void **state)
{
	(void)state;
	housekeeping_begin(&keeping);
	world.purges = 2;
	world.purge_ms = 1;
	run(600);
	heard("250 removes some\n251 removes some\n");
	world.purges = 2;
	world.purge_ms = 700; /* longer than a tick */
	run(2000);
	heard("750 removes some\n1450 removes some\n");
}

static void a_store_that_fails_is_told_with_its_count_and_when_it_is_over(void **state)
{
	(void)state;
	housekeeping_begin(&keeping);
	world.counts.failures = 3;
	run(250);
	heard("250 error: the store fails: /the/store: no space (3 times); nothing new is stored "
	      "meanwhile, what was invalidated stays invalid\n");
	run(1000);
	world.counts.failures = 8;
	run(2000);
	heard("");
	run(40000);
	world.counts.failures = 10;
	run(40250);
	world.counts.failures = 11;
	run(70000);
	world.counts.failures = 12;
	run(100000);
	heard("70250 error: the store fails: /the/store: no space (9 times); nothing new is stored "
	      "meanwhile, what was invalidated stays invalid\n");
	run(130250);
	heard("130250 info: the store has not failed for a minute: /the/store\n");
	run(300000);
	heard("");
}

static void lines_that_are_lost_are_told_with_their_count_and_when_it_is_over(void **state)
{
	(void)state;
	housekeeping_begin(&keeping);
	world.lost = 2;
	run(1999);
	heard("1000 error: access_log: /the/log: lines lost: 2: no room\n");
	world.lost = 5;
	run(60000);
	world.lost = 4;
	run(61000);
	heard("61000 error: access_log: /the/log: lines lost: 9: no room\n");
	run(121000);
	heard("121000 info: access_log: /the/log: no line lost for a minute, 11 before\n");
	run(300000);
	heard("");
}

static void at_the_end_what_waits_is_written(void **state)
{
	(void)state;
	housekeeping_begin(&keeping);
	run(100);
	world.tells_all = true;
	world.lost = 6;
	housekeeping_end(&keeping);
	heard("100 writes all\n"
	      "100 removes no more\n"
	      "100 counts\n"
	      "100 looks at itself no more\n"
	      "100 samples no more\n"
	      "100 finishes the log\n"
	      "100 error: access_log: /the/log: lines lost: 6: no room\n");
	keeping.accesslog = NULL;
	housekeeping_end(&keeping);
	heard("100 writes all\n"
	      "100 removes no more\n"
	      "100 counts\n"
	      "100 looks at itself no more\n"
	      "100 samples no more\n");
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(each_tick_has_its_work_and_each_fourth_more),
		UNIT(whose_turn_it_is_samples_the_workers_there_were),
		UNIT(writes_go_into_the_store_at_the_end_of_a_turn),
		UNIT(or_when_the_interval_has_passed),
		UNIT(passwords_are_verified_after_others_had_their_turn),
		UNIT(a_removal_begins_with_a_tick_and_goes_on_at_its_own_pace),
		UNIT(a_store_that_fails_is_told_with_its_count_and_when_it_is_over),
		UNIT(lines_that_are_lost_are_told_with_their_count_and_when_it_is_over),
		UNIT(at_the_end_what_waits_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
