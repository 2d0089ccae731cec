/* LINKS: cache */
/* When keys were invalidated: what was asked for before and after, and the marks in force. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/tidy.h"

static const struct cache_key a = {{1, 2}}, b = {{2, 2}}, c = {{3, 2}};

/* In memory that children of a test share. */
static int setup(void **state)
{
	void *all = mmap(NULL, sizeof(struct invalidations), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*state = all;
	return all == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	return munmap(*state, sizeof(struct invalidations));
}

static uint32_t mark(struct invalidations *all, const struct cache_key *key)
{
	return invalidation_add(all, INVALIDATION_URI, key, key,
				invalidation_overtake(all, key, 1, NULL));
}

static struct invalidation_mark mark_at(struct invalidations *all, uint32_t place)
{
	struct invalidation_mark found;

	assert_true(invalidation_at(all, place, &found));
	return found;
}

static void nothing_is_overtaken_at_first(void **state)
{
	assert_int_equal(invalidation_now(*state), 0);
	assert_false(invalidation_overtakes(*state, &a, 0));
	assert_false(invalidation_any(*state));
	assert_int_equal(invalidation_of(*state, &a), 0);
}

static void what_was_asked_for_before_is_overtaken(void **state)
{
	uint64_t before = invalidation_now(*state);

	mark(*state, &a);
	mark(*state, &b);
	assert_true(invalidation_overtakes(*state, &a, before));
	assert_true(invalidation_overtakes(*state, &b, before));
	assert_false(invalidation_overtakes(*state, &c, before));
	assert_false(invalidation_overtakes(*state, &a, invalidation_now(*state)));
	assert_true(before < invalidation_of(*state, &a));
	assert_true(invalidation_of(*state, &a) <= invalidation_now(*state));
	assert_int_equal(invalidation_of(*state, &c), 0);
}

/* Two processes take their epochs in one order, and mark in the other. */
static void a_mark_never_goes_back(void **state)
{
	uint64_t first = invalidation_overtake(*state, &a, 1, NULL);
	uint64_t second = invalidation_overtake(*state, &a, 1, NULL);

	invalidation_add(*state, INVALIDATION_URI, &a, &a, second);
	invalidation_add(*state, INVALIDATION_URI, &a, &a, first);
	assert_true(invalidation_overtakes(*state, &a, first));
	assert_int_equal(invalidation_of(*state, &a), second);
}

/* For late answers a mark stands for ever, for lookups until what it removes is removed. */
static void a_retired_mark_is_not_in_force(void **state)
{
	uint64_t before = invalidation_now(*state), retired = invalidation_retired(*state);
	struct invalidation_mark found = mark_at(*state, mark(*state, &a));

	assert_true(cache_key_eq(&found.key, &a));
	assert_true(cache_key_eq(&found.entry, &a));
	assert_true(invalidation_any(*state));
	invalidation_retire(*state, &found);
	assert_false(invalidation_any(*state));
	assert_int_equal(invalidation_of(*state, &a), 0);
	assert_true(invalidation_overtakes(*state, &a, before));
	assert_int_not_equal(invalidation_retired(*state), retired);
}

static void a_mark_set_anew_is_not_retired(void **state)
{
	struct invalidation_mark found = mark_at(*state, mark(*state, &a));

	assert_int_equal(mark(*state, &a), found.place);
	invalidation_retire(*state, &found);
	assert_true(found.epoch < invalidation_of(*state, &a));
	invalidation_retire(*state, &(struct invalidation_mark){.place = found.place,
								.epoch = found.epoch + 1});
	assert_int_equal(invalidation_of(*state, &a), 0);
}

/* Beyond the places of a set a mark stands by hash: in force, for ever, and for some others. */
static void a_set_that_is_full_loses_no_mark(void **state)
{
	const struct cache_key more = {{100, 5}};
	struct invalidation_mark found;

	for (uint64_t i = 0; i < INVALIDATION_WAYS; i++) {
		assert_true(invalidation_has_place(*state, &more));
		assert_int_not_equal(mark(*state, &(struct cache_key){{10 + i, 5}}),
				     INVALIDATION_NO_PLACE);
	}
	assert_false(invalidation_has_place(*state, &more));
	for (uint64_t i = 0; i < INVALIDATION_WAYS; i++)
		assert_true(invalidation_has_place(*state, &(struct cache_key){{10 + i, 5}}));
	assert_int_equal(mark(*state, &(struct cache_key){{100, 5}}), INVALIDATION_NO_PLACE);
	assert_int_equal(invalidation_of(*state, &(struct cache_key){{100, 5}}),
			 invalidation_now(*state));
	assert_int_equal(invalidation_of(*state, &(struct cache_key){{101, 5}}), 0);
	for (uint32_t i = 0; i < INVALIDATION_MARKS; i++)
		if (invalidation_at(*state, i, &found))
			invalidation_retire(*state, &found);
	assert_true(invalidation_any(*state));
	assert_int_equal(invalidation_of(*state, &(struct cache_key){{10, 5}}), 0);
	assert_int_not_equal(invalidation_of(*state, &(struct cache_key){{100, 5}}), 0);
	invalidation_recover(*state);
	assert_true(invalidation_any(*state));
}

/* What is in force after a crash is counted anew: places and marks by hash. */
static void all_in_force_are_counted(void **state)
{
	struct invalidations *all = *state;

	for (uint64_t i = 0; i < INVALIDATION_WAYS + 1; i++)
		mark(all, &(struct cache_key){{10 + i, 5}});
	mark(all, &a);
	assert_int_equal(atomic_load(&all->live), INVALIDATION_WAYS + 2);
	atomic_store(&all->live, 0);
	invalidation_recover(all);
	assert_int_equal(atomic_load(&all->live), INVALIDATION_WAYS + 2);
}

/* The first word of a key tells its place and the mark from others, and may be of any value. */
static void keys_begin_with_any_word(void **state)
{
	for (uint64_t word = 0; word < 3; word++) {
		struct cache_key key = {{word, 5}}, other = {{word, 6}};

		mark(*state, &key);
		assert_int_not_equal(invalidation_of(*state, &key), 0);
		assert_int_equal(invalidation_of(*state, &other), 0);
	}
}

static void a_life_is_later_than_all_before(void **state)
{
	uint64_t asked_at;

	mark(*state, &a);
	asked_at = invalidation_now(*state) + 1000;
	invalidation_begin_life(*state);
	assert_false(invalidation_any(*state));
	assert_false(invalidation_overtakes(*state, &a, asked_at));
	mark(*state, &a);
	assert_true(asked_at < invalidation_of(*state, &a));
	assert_true(invalidation_overtakes(*state, &a, asked_at));
}

/* A process that died when it had a place and no epoch in it yet. */
static void what_is_half_done_is_freed(void **state)
{
	struct invalidations *all = *state;
	uint32_t place = mark(all, &a), kept = mark(all, &b);
	struct invalidation_mark found = mark_at(all, place);

	atomic_store(&all->sets[place / INVALIDATION_WAYS].places[place % INVALIDATION_WAYS].epoch,
		     0);
	assert_false(invalidation_at(all, place, &found));
	assert_int_equal(invalidation_of(all, &a), 0);
	atomic_store(&all->purges.known, UINT64_MAX);
	atomic_store(&all->purges.latest, UINT64_MAX);
	invalidation_recover(all);
	assert_int_equal(purge_table_known(&all->purges), 0);
	assert_int_equal(all->purges.latest, invalidation_now(all));
	assert_int_equal(mark(all, &a), place);
	assert_int_not_equal(invalidation_of(all, &b), 0);
	found = mark_at(all, place);
	invalidation_retire(all, &found);
	found = mark_at(all, kept);
	invalidation_retire(all, &found);
	assert_false(invalidation_any(all));
}

/* In the order they came; what is retired by another is passed over. */
static void the_list_is_in_order(void **state)
{
	static struct tidy tidy;
	struct invalidation_mark first, found;

	tidy = (struct tidy){0};
	assert_false(tidy_first(&tidy, *state, &found));
	tidy_add(&tidy, mark(*state, &a));
	tidy_add(&tidy, mark(*state, &b));
	tidy_add(&tidy, INVALIDATION_NO_PLACE);
	assert_true(tidy_first(&tidy, *state, &first));
	assert_true(cache_key_eq(&first.key, &a));
	invalidation_retire(*state, &first);
	assert_true(tidy_first(&tidy, *state, &found));
	assert_true(cache_key_eq(&found.key, &b));
	tidy_take(&tidy);
	assert_false(tidy_first(&tidy, *state, &found));
}

/* Of a process that died, or had too many for its list. */
static void a_mark_that_is_left_is_found(void **state)
{
	static struct tidy tidy;
	struct invalidation_mark found;
	unsigned ticks = 0;

	tidy = (struct tidy){0};
	mark(*state, &a);
	tidy_find(&tidy, *state);
	assert_false(tidy_first(&tidy, *state, &found));
	while (!tidy_first(&tidy, *state, &found)) {
		tidy_find(&tidy, *state);
		assert_in_range(++ticks, 0, INVALIDATION_MARKS / TIDY_SEARCH);
	}
	assert_true(cache_key_eq(&found.key, &a));
}

/* A purge takes an epoch of the same count, and when it ends lookups look again. */
static void a_purge_is_counted_with_the_marks(void **state)
{
	struct invalidations *all = *state;
	struct purge purge = {.kind = PURGE_HOST, .text_n = 1, .text = "a"}, found;
	uint64_t before = invalidation_now(all), retired = invalidation_retired(all), bits;
	unsigned slot;

	assert_true(invalidation_purge(all, &purge));
	assert_true(purge.epoch > before);
	assert_int_equal(invalidation_now(all), purge.epoch);
	bits = purge_table_pending(&all->purges);
	assert_true(bits != 0);
	slot = purge_slot_next(&bits);
	assert_true(bits == 0);
	assert_true(purge_table_at(&all->purges, slot, &found));
	assert_int_equal(found.epoch, purge.epoch);
	assert_int_equal(found.text_n, 1);
	assert_memory_equal(found.text, "a", 1);
	assert_true(found.ended_s == PURGE_NOT_ENDED);
	assert_true(invalidation_purge_end(all, slot, &found, 7));
	assert_int_equal(invalidation_retired(all), retired + 1);
	assert_true(purge_table_pending(&all->purges) == 0);
	assert_true(purge_table_at(&all->purges, slot, &found));
	assert_int_equal(found.ended_s, 7);
}

/* Marks and retires keys of few sets, until it is killed; each mark must hold while it is its own.
 */
static void mark_and_retire(struct invalidations *all, uint64_t mine)
{
	for (uint64_t i = 0;; i++) {
		struct cache_key own = {{mine, i % 3}}, shared = {{1000 + i % 7, i % 3}};
		uint64_t epoch =
			invalidation_overtake(all, (struct cache_key[]){own, shared}, 2, NULL);
		struct invalidation_mark found;
		uint32_t place;

		invalidation_add(all, INVALIDATION_URI, &shared, &shared, epoch - 1);
		place = invalidation_add(all, INVALIDATION_URI, &own, &own, epoch);
		if (invalidation_of(all, &own) < epoch || invalidation_of(all, &shared) < epoch - 1)
			_exit(1);
		if (place != INVALIDATION_NO_PLACE && invalidation_at(all, place, &found))
			invalidation_retire(all, &found);
	}
}

/* The marks of keys that several set are never retired here: they only rise, whoever is killed. */
static void marks_survive_their_processes(void **state)
{
	struct invalidations *all = *state;
	uint64_t latest[7] = {0};

	for (unsigned round = 0; round < 20; round++) {
		pid_t children[3];
		int status;

		for (unsigned i = 0; i < 3; i++) {
			children[i] = fork();
			if (children[i] == 0)
				mark_and_retire(all, 2000 + i + 3 * round);
			assert_true(children[i] > 0);
		}
		for (uint64_t begun = invalidation_now(all); invalidation_now(all) < begun + 3000;)
			;
		for (unsigned i = 0; i < 3; i++) {
			kill(children[i], SIGKILL);
			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		}
		for (uint64_t i = 0; i < 7; i++) {
			uint64_t now = invalidation_of(all, &(struct cache_key){{1000 + i, i % 3}});

			assert_true(now >= latest[i]);
			latest[i] = now;
		}
	}
	invalidation_recover(all);
	assert_true(invalidation_any(all));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_overtaken_at_first),
		TEST(what_was_asked_for_before_is_overtaken),
		TEST(a_mark_never_goes_back),
		TEST(a_retired_mark_is_not_in_force),
		TEST(a_mark_set_anew_is_not_retired),
		TEST(a_set_that_is_full_loses_no_mark),
		TEST(all_in_force_are_counted),
		TEST(keys_begin_with_any_word),
		TEST(a_life_is_later_than_all_before),
		TEST(what_is_half_done_is_freed),
		TEST(the_list_is_in_order),
		TEST(a_mark_that_is_left_is_found),
		TEST(a_purge_is_counted_with_the_marks),
		TEST(marks_survive_their_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
