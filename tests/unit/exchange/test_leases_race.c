/* LINKS: proxy/exchange */
/* Leases whose words others change between the look and the exchange: what this process would see of a race. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdbool.h>

static bool raced_exchange(_Atomic uint64_t *slot, uint64_t *expected, uint64_t word)
{
	return atomic_compare_exchange_strong(slot, expected, word);
}

static bool others_first(_Atomic uint64_t *slot, uint64_t *expected, uint64_t word);

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(slot, expected, word, success, failure) \
	others_first(slot, expected, word)
#include "proxy/exchange/leases.c"

enum { NOW = 1000000, BUCKET = 7, EVERY = -1 };

static struct leases leases;
static int
	others_slot; /* where another puts its word before the next exchange; EVERY: wherever one is tried */
static uint64_t others_word; /* 0 for no more */
static bool fickle;          /* and another one the next time */
static unsigned exchanges;

static bool others_first(_Atomic uint64_t *slot, uint64_t *expected, uint64_t word)
{
	exchanges++;
	if (others_word != 0)
		*(others_slot == EVERY ? slot : &leases.bucket[BUCKET][others_slot]) = others_word;
	if (others_slot != EVERY)
		others_word = 0;
	else if (fickle)
		others_word--; /* an earlier deadline */
	return raced_exchange(slot, expected, word);
}

static struct cache_key key_of(uint64_t b)
{
	return (struct cache_key){{BUCKET, b << DEADLINE_BITS}};
}

static uint64_t word_of(uint64_t b, int64_t until_ms)
{
	return b << DEADLINE_BITS | (uint64_t)until_ms;
}

static int setup(void **state)
{
	(void)state;
	leases = (struct leases){0};
	others_word = exchanges = 0;
	fickle = false;
	return 0;
}

static bool take(uint64_t b, struct lease *ret_lease)
{
	struct cache_key key = key_of(b);

	return leases_take(&leases, &key, NOW, ret_lease);
}

/* The slot that was free is another's by now: the next one is. */
static void one_that_was_quicker_keeps_its_slot(void **state)
{
	struct lease lease;

	(void)state;
	others_slot = 0;
	others_word = word_of(2, NOW + 5);
	assert_true(take(1, &lease));
	assert_ptr_equal(lease.slot, &leases.bucket[BUCKET][1]);
	assert_int_equal(leases.bucket[BUCKET][0], word_of(2, NOW + 5));
	assert_int_equal(leases.bucket[BUCKET][1], word_of(1, NOW + LEASE_MS));
	assert_int_equal(exchanges, 2);
	lease_release(&lease);
	assert_int_equal(leases.bucket[BUCKET][1], 0);
}

/* Of the same key: who sees the other's gives way, and leaves nothing. */
static void of_two_in_different_slots_one_gives_way(void **state)
{
	struct lease lease;

	(void)state;
	for (others_slot = 1; others_slot < BUCKET_SLOTS; others_slot++) {
		leases = (struct leases){0};
		others_word = word_of(1, NOW + 1);
		assert_false(take(1, &lease));
		assert_null(lease.slot);
		for (int slot = 0; slot < BUCKET_SLOTS; slot++)
			assert_int_equal(leases.bucket[BUCKET][slot],
					 slot == others_slot ? word_of(1, NOW + 1) : 0);
	}
	/* but not to one that lapses now, nor to another key's */
	leases = (struct leases){0};
	others_slot = 3;
	others_word = word_of(1, NOW);
	assert_true(take(1, &lease));
	others_word = word_of(2, NOW + LEASE_MS);
	assert_true(take(3, &lease));
}

/* Each slot goes to others just before: nobody can be told, which is no reason not to be at it. */
static void who_is_always_too_late_has_no_lease(void **state)
{
	struct lease lease;

	(void)state;
	others_slot = EVERY;
	others_word = word_of(2, NOW + 5);
	assert_true(take(1, &lease));
	assert_null(lease.slot);
	assert_int_equal(exchanges, 8);
}

/* Slots that lapse at once, but not before others have taken them: they are tried again, not for ever. */
static void it_is_tried_a_few_times(void **state)
{
	struct lease lease;

	(void)state;
	others_slot = EVERY;
	others_word = word_of(2, NOW);
	assert_true(take(1, &lease));
	assert_ptr_equal(lease.slot, &leases.bucket[BUCKET][0]);
	assert_int_equal(exchanges, 8 + 1);
	leases = (struct leases){0};
	exchanges = 0;
	fickle = true;
	assert_true(take(1, &lease));
	assert_null(lease.slot);
	assert_int_equal(exchanges, 8 * 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_that_was_quicker_keeps_its_slot, setup),
		cmocka_unit_test_setup(of_two_in_different_slots_one_gives_way, setup),
		cmocka_unit_test_setup(who_is_always_too_late_has_no_lease, setup),
		cmocka_unit_test_setup(it_is_tried_a_few_times, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
