/* LINKS: cache/store/purge_table.c */
/*
 * Marks of several processes: while one is at work another does its own, at each point between two
 * accesses to what they share, to its end or until it is killed at each point of its own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/store/invalidation.h"
#include "tests/support/two_processes.h"

#undef atomic_load
#undef atomic_store
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_strong
#define atomic_load(at) (two_processes_step(), atomic_load_explicit(at, memory_order_seq_cst))
#define atomic_store(at, to) \
	(two_processes_step(), atomic_store_explicit(at, to, memory_order_seq_cst))
#define atomic_fetch_add(at, n) \
	(two_processes_step(), atomic_fetch_add_explicit(at, n, memory_order_seq_cst))
#define atomic_fetch_sub(at, n) \
	(two_processes_step(), atomic_fetch_sub_explicit(at, n, memory_order_seq_cst))
#define exchange(at, old, to)                                           \
	(two_processes_step(), atomic_compare_exchange_strong_explicit( \
				       at, old, to, memory_order_seq_cst, memory_order_seq_cst))
#define atomic_compare_exchange_weak exchange
#define atomic_compare_exchange_strong exchange
#include "cache/store/invalidation.c"

static const struct cache_key a = {{1, 2}}, b = {{2, 2}};
static struct invalidations *all;

static void forget_all(void)
{
	memset(all, 0, sizeof(*all));
}

static void at_each_point(void (*check)(void), void (*what)(void))
{
	two_processes_at_each_point(forget_all, check, what);
}

/* ---- a mark stands when it was made --------------------------------------------------------- */

static uint64_t removed_of_a; /* what was asked for before it was removed from the store */

static uint64_t mark(const struct cache_key *key)
{
	uint64_t epoch = invalidation_overtake(all, key, 1, NULL);

	invalidation_add(all, INVALIDATION_URI, key, key, epoch);
	return epoch;
}

/* In any order, all that stand. */
static void retire_all(void)
{
	struct invalidation_mark found;

	for (uint32_t place = invalidation_first_place(&a);
	     place < invalidation_first_place(&a) + INVALIDATION_WAYS; place++) {
		if (!invalidation_at(all, place, &found))
			continue;
		if (cache_key_eq(&found.key, &a) && found.epoch > removed_of_a)
			removed_of_a = found.epoch;
		invalidation_retire(all, &found);
	}
}

static void retire_and_mark(void)
{
	retire_all();
	mark(&a);
}

static void mark_both(void)
{
	mark(&b);
	mark(&a);
}

static void assert_in_force(uint64_t epoch)
{
	two_processes_end();
	assert_true(invalidation_of(all, &a) >= epoch || removed_of_a >= epoch);
	invalidation_recover(all);
	assert_true(invalidation_of(all, &a) >= epoch || removed_of_a >= epoch);
	retire_all();
	assert_false(invalidation_any(all));
	assert_int_equal(invalidation_of(all, &a), 0);
}

static void add_alone(void)
{
	removed_of_a = 0;
	two_processes_begin();
	assert_in_force(mark(&a));
}

/* Another key has the first place, with a later epoch. */
static void add_beside_another(void)
{
	uint64_t epoch = invalidation_overtake(all, &a, 1, NULL);

	removed_of_a = 0;
	mark(&b);
	two_processes_begin();
	invalidation_add(all, INVALIDATION_URI, &a, &a, epoch);
	assert_in_force(epoch);
}

static void add_anew(void)
{
	removed_of_a = 0;
	mark(&a);
	two_processes_begin();
	assert_in_force(mark(&a));
}

static void a_mark_is_in_force_on_return(void **state)
{
	void (*checks[])(void) = {add_alone, add_beside_another, add_anew};
	void (*others[])(void) = {retire_all, retire_and_mark, mark_both};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		for (size_t j = 0; j < 3; j++)
			at_each_point(checks[i], others[j]);
	}
}

/* ---- a lookup misses no mark ---------------------------------------------------------------- */

static bool store_has_it; /* the record that the mark is to remove */

/* Commits the removal, then retires the mark; its place may be taken at once. */
static void tidy(void)
{
	struct invalidation_mark found;

	for (uint32_t place = invalidation_first_place(&a);
	     place < invalidation_first_place(&a) + INVALIDATION_WAYS; place++) {
		if (!invalidation_at(all, place, &found))
			continue;
		two_processes_step();
		store_has_it = false;
		invalidation_retire(all, &found);
	}
	mark(&b);
}

/* Its record is absent: gone from the snapshot, under the mark, or looked for once more. */
static void look_up(uint64_t epoch)
{
	uint64_t retired, of = 0;
	bool found;

	two_processes_step();
	retired = invalidation_retired(all);
	two_processes_step();
	found = store_has_it;
	two_processes_step();
	if (invalidation_any(all))
		of = invalidation_of(all, &a);
	two_processes_step();
	assert_true(!found || of >= epoch || invalidation_retired(all) != retired);
}

static void look_up_one(void)
{
	uint64_t epoch = mark(&a);

	store_has_it = true;
	two_processes_begin();
	look_up(epoch);
	two_processes_end();
	look_up(epoch);
}

/* Two processes marked the key at once, and each took a place. */
static void look_up_double(void)
{
	uint64_t first = mark(&a), epoch = invalidation_overtake(all, &a, 1, NULL);
	uint32_t place = invalidation_first_place(&a) + 1;
	struct invalidation_mark second = {a, a, INVALIDATION_URI, epoch, place};

	assert_true(first < epoch);
	atomic_fetch_add(&all->live, 1);
	assert_true(take(all, place, &second));
	store_has_it = true;
	two_processes_begin();
	look_up(epoch);
	two_processes_end();
	look_up(epoch);
}

static void a_lookup_finds_a_mark_or_its_work(void **state)
{
	(void)state;
	at_each_point(look_up_one, tidy);
	at_each_point(look_up_double, tidy);
}

/* A place that changes hands shows its new epoch to nobody who looks for the old key. */
static void look_up_neighbour(void)
{
	uint64_t last = mark(&a);

	two_processes_begin();
	assert_true(invalidation_of(all, &a) <= last);
	two_processes_end();
}

static void retire_and_mark_another(void)
{
	retire_all();
	mark(&b);
}

static void a_mark_is_no_other_keys(void **state)
{
	(void)state;
	at_each_point(look_up_neighbour, retire_and_mark_another);
}

/* ---- what counts as asked for later --------------------------------------------------------- */

static uint64_t claimed; /* the epoch at which the answer to a POST of `b` counts as asked for */
static uint64_t marked;

/* It was asked for at 0, and is a member of group `a`. */
static void claim(void)
{
	uint64_t before, epoch = invalidation_overtake(all, &b, 1, &before);

	if (before == 0 && invalidation_latest(all, &a) == 0)
		claimed = epoch;
}

static void claim_own(void)
{
	uint64_t before, epoch = invalidation_overtake(all, &a, 1, &before);

	if (before == 0)
		claimed = epoch;
}

static void mark_a(void)
{
	marked = mark(&a);
}

/* The other answered its own, if it came to that. */
static void assert_claim_is_right(void)
{
	two_processes_end();
	assert_true(claimed == 0 || marked == 0 || claimed < marked);
}

static void claim_beside(void)
{
	claimed = marked = 0;
	two_processes_begin();
	claim();
	assert_claim_is_right();
}

static void claim_own_beside(void)
{
	claimed = marked = 0;
	two_processes_begin();
	claim_own();
	assert_claim_is_right();
}

static void mark_beside(void)
{
	claimed = marked = 0;
	two_processes_begin();
	mark_a();
	assert_claim_is_right();
}

static void an_answer_counts_as_later_than_no_mark(void **state)
{
	(void)state;
	at_each_point(claim_beside, mark_a);
	at_each_point(claim_own_beside, mark_a);
	at_each_point(mark_beside, claim);
	at_each_point(mark_beside, claim_own);
}

/* ---- the latest stays ----------------------------------------------------------------------- */

static uint64_t others;

static void mark_as_other(void)
{
	others = mark(&a);
}

/* Both raise one time at once: whoever is first, the later of the two is what stands. */
static void assert_latest_stands(uint64_t mine)
{
	uint64_t latest = mine > others ? mine : others;

	two_processes_end();
	assert_true(invalidation_latest(all, &a) >= latest);
	assert_true(invalidation_of(all, &a) >= latest);
	assert_true(invalidation_overtakes(all, &a, latest - 1));
}

static void raise_beside(void)
{
	others = 0;
	two_processes_begin();
	assert_latest_stands(mark(&a));
}

static void raise_anew_beside(void)
{
	others = 0;
	mark(&a);
	two_processes_begin();
	assert_latest_stands(mark(&a));
}

/* With all places of its set taken, a mark goes where those of other keys may be, too. */
static void raise_overflow_beside(void)
{
	others = 0;
	for (uint64_t i = 0; i < INVALIDATION_WAYS; i++)
		mark(&(struct cache_key){{100 + i, 2}});
	two_processes_begin();
	assert_latest_stands(mark(&a));
}

static void the_latest_of_two_stays(void **state)
{
	(void)state;
	at_each_point(raise_beside, mark_as_other);
	at_each_point(raise_anew_beside, mark_as_other);
	at_each_point(raise_overflow_beside, mark_as_other);
}

static int setup(void **state)
{
	(void)state;
	all = calloc(1, sizeof(*all));
	return all ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(all);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_is_in_force_on_return),
		cmocka_unit_test(a_lookup_finds_a_mark_or_its_work),
		cmocka_unit_test(a_mark_is_no_other_keys),
		cmocka_unit_test(an_answer_counts_as_later_than_no_mark),
		cmocka_unit_test(the_latest_of_two_stays),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
