/* LINKS: */
/*
 * The store's clock, and the mark of a purge on it, as two processes read and raise them at once: no time goes back,
 * and what was asked for before a purge is never taken for later.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

/* Those that have atomic accesses of other kinds. */
#include "cache/store/invalidation.h"
#include "cache/store/purge_table.h"
#include "tests/support/two_processes.h"

static int64_t load(const _Atomic int64_t *at)
{
	two_processes_step();
	return atomic_load(at);
}

static void store_at(_Atomic int64_t *at, int64_t to)
{
	two_processes_step();
	atomic_store(at, to);
}

static bool exchange(_Atomic int64_t *at, int64_t *old, int64_t to)
{
	two_processes_step();
	return atomic_compare_exchange_strong(at, old, to);
}

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_compare_exchange_strong_explicit
#define atomic_load_explicit(at, order) load(at)
#define atomic_store_explicit(at, to, order) store_at(at, to)
#define atomic_compare_exchange_strong_explicit(at, old, to, order, other) exchange(at, old, to)
#include "cache/store/store.h"

#include "cache/store/purge_mark.c"
#undef LOAD
#include "cache/store/steady_clock.c"

enum { NOW_MS = 1000 * 1000 };

static struct store_clock the_clock;

struct store_clock *store_clock(struct store *store)
{
	(void)store;
	return &the_clock;
}

static void reset(void)
{
	the_clock = (struct store_clock){.latest_ms = NOW_MS - 10, .purged_ms = NOW_MS - 500};
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- times are raised ----------------------------------------------------------------------- */

static int64_t raised_by_other_ms;

static void raise_by_other(void)
{
	store_clock_raise(&the_clock.latest_ms, NOW_MS + 7);
	raised_by_other_ms = NOW_MS + 7;
}

static void raise_below(void)
{
	raised_by_other_ms = 0;
	two_processes_begin();
	for (unsigned i = 0; i < 6; i++) /* more than one chance for the other */
		store_clock_raise(&the_clock.latest_ms, NOW_MS + i);
	two_processes_end();
	assert_true(load(&the_clock.latest_ms) >= larger(NOW_MS + 5, raised_by_other_ms));
}

static void a_time_never_goes_back(void **state)
{
	(void)state;
	two_processes_at_each_point(reset, raise_below, raise_by_other);
}

/* Two read the clock at once, of which one sees it stepped back: neither is told an earlier time than before. */
static void read_by_other(void)
{
	struct http_clock now;

	clock_read(&the_clock, NOW_MS + 5, &now);
	raised_by_other_ms = now.steady_ms;
}

static void read_beside(void)
{
	struct http_clock now, next;

	raised_by_other_ms = 0;
	two_processes_begin();
	clock_read(&the_clock, NOW_MS, &now);
	clock_read(&the_clock, NOW_MS + 1, &next);
	two_processes_end();
	assert_true(now.steady_ms >= NOW_MS && next.steady_ms >= now.steady_ms);
	clock_read(&the_clock, NOW_MS + 1, &now);
	assert_true(now.steady_ms >= larger(next.steady_ms, raised_by_other_ms));
}

static void readings_only_grow(void **state)
{
	(void)state;
	two_processes_at_each_point(reset, read_beside, read_by_other);
}

/* ---- a purge -------------------------------------------------------------------------------- */

/* What the other asked for, and whether it saw the purge when it had its answer. */
static int64_t asked_ms, mark_seen_ms;
static bool was_overtaken;

static void ask_and_store(void)
{
	struct http_clock now;
	int64_t ms;

	clock_read(&the_clock, NOW_MS + 5, &now);
	ms = now.steady_ms;
	was_overtaken = purge_mark_overtakes(NULL, ms);
	mark_seen_ms = purge_mark(NULL);
	asked_ms = ms;
}

static void purge_beside(void)
{
	struct http_clock later;

	asked_ms = 0;
	two_processes_begin();
	purge_mark_set(NULL, NOW_MS);
	two_processes_end();
	assert_true(purge_mark(NULL) >= NOW_MS);
	assert_true(purge_mark_is_due(NULL));
	/* stored by who did not see the purge yet: so it counts as asked for before */
	if (asked_ms != 0 && !was_overtaken && mark_seen_ms < NOW_MS)
		assert_true(purge_mark_overtakes(NULL, asked_ms));
	/* what is asked for from now on is later, whatever the wall clock says */
	clock_read(&the_clock, NOW_MS, &later);
	assert_false(purge_mark_overtakes(NULL, later.steady_ms));
}

static void nothing_falls_between(void **state)
{
	(void)state;
	two_processes_at_each_point(reset, purge_beside, ask_and_store);
}

static bool other_has_begun;

/* Two purges at once: all that was asked for before either is over counts as purged. */
static void purge_by_other(void)
{
	other_has_begun = true;
	purge_mark_set(NULL, NOW_MS + 3);
	raised_by_other_ms = NOW_MS + 3;
}

static void purge_twice(void)
{
	struct http_clock later;

	other_has_begun = false;
	raised_by_other_ms = 0;
	two_processes_begin();
	purge_mark_set(NULL, NOW_MS);
	two_processes_end();
	assert_true(purge_mark_overtakes(NULL, larger(NOW_MS, raised_by_other_ms)));
	clock_read(&the_clock, NOW_MS, &later);
	/* one that was killed has set its mark, and not put the clock past it: that costs hits alone */
	if (!other_has_begun || raised_by_other_ms != 0)
		assert_false(purge_mark_overtakes(NULL, later.steady_ms));
	/* the removal of the first is not that of the second */
	purge_mark_removed(NULL, NOW_MS - 1);
	assert_true(purge_mark_is_due(NULL));
	purge_mark_removed(NULL, purge_mark(NULL));
	assert_false(purge_mark_is_due(NULL));
	purge_mark_removed(NULL, NOW_MS - 1);
	assert_false(purge_mark_is_due(NULL));
}

static void two_purges_are_both_in_force(void **state)
{
	(void)state;
	two_processes_at_each_point(reset, purge_twice, purge_by_other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_never_goes_back),
		cmocka_unit_test(readings_only_grow),
		cmocka_unit_test(nothing_falls_between),
		cmocka_unit_test(two_purges_are_both_in_force),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
