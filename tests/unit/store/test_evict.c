/* LINKS: cache/store */
/* SIEVE against sequences worked out by hand, and its hit ratio on a skewed trace against FIFO. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cache/store/evict.h"

enum {
	SEQUENCES = 200000,
	SLOTS = 4096,
};

/* An order as an array: the slot of each sequence, or GONE. */
#define GONE UINT32_MAX
struct order {
	uint32_t slots[SEQUENCES];
	uint64_t newest;
};

struct fixture {
	struct evict_state state;
	struct evict_bits bits;
	_Atomic uint64_t words[SLOTS / 64];
	struct order order;
	struct evict_order given;
	unsigned steps; /* left for evict() */
};

static bool order_next(void *context, uint64_t from, struct evict_item *ret_item)
{
	struct order *order = context;

	for (uint64_t i = from; i <= order->newest; i++)
		if (order->slots[i] != GONE) {
			*ret_item = (struct evict_item){i, order->slots[i]};
			return true;
		}
	return false;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(f->order.slots, 0xff, sizeof(f->order.slots));
	f->bits = (struct evict_bits){f->words, SLOTS};
	f->given = (struct evict_order){order_next, &f->order};
	f->steps = UINT32_MAX;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static uint64_t add(struct fixture *f)
{
	uint64_t sequence = ++f->order.newest;

	f->order.slots[sequence] = evict_slot_take(&f->state, &f->bits);
	return sequence;
}

static void hit(struct fixture *f, uint64_t sequence)
{
	evict_visit(&f->bits, f->order.slots[sequence]);
}

/* The victim's sequence; 0 when there is none. */
static uint64_t evict(struct fixture *f)
{
	struct evict_item victim;

	if (!evict_choose(&f->state, &f->bits, &f->given, &f->steps, &victim))
		return 0;
	assert_int_equal(victim.slot, f->order.slots[victim.sequence]);
	f->order.slots[victim.sequence] = GONE;
	evict_slot_give(&f->state, &f->bits, victim.slot);
	return victim.sequence;
}

static void test_nothing_visited_is_fifo(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(evict(f), 0);
	for (int i = 0; i < 5; i++)
		add(f);
	for (uint64_t i = 1; i <= 5; i++)
		assert_int_equal(evict(f), i);
	assert_int_equal(evict(f), 0);
}

/* The hand passes 1 and 3, which were visited, clears them, and comes back for them in the next
 * lap. */
static void test_visited_stay_for_a_lap(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		add(f);
	hit(f, 1);
	hit(f, 3);
	hit(f, 3);
	assert_int_equal(evict(f), 2);
	assert_int_equal(evict(f), 4);
	assert_int_equal(evict(f), 5);
	assert_int_equal(evict(f), 1);
	assert_int_equal(evict(f), 3);
}

/* What came after the hand passed is met before the survivors are met again. */
static void test_new_before_survivors(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		add(f);
	hit(f, 1);
	hit(f, 2);
	assert_int_equal(evict(f), 3);
	add(f);
	add(f);
	hit(f, 4);
	assert_int_equal(evict(f), 5);
	hit(f, 2);
	assert_int_equal(evict(f), 1);
	assert_int_equal(evict(f), 4);
	assert_int_equal(evict(f), 2);
}

static void test_all_visited(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++)
		hit(f, add(f));
	assert_int_equal(evict(f), 1);
	assert_int_equal(evict(f), 2);
}

/* When the steps are used up the one under the hand goes, and its bit does not help it. */
static void test_steps_are_bounded(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++)
		hit(f, add(f));
	f->steps = 3;
	assert_int_equal(evict(f), 4);
	assert_int_equal(f->steps, 0);
	assert_int_equal(evict(f), 5);
	f->steps = 100;
	hit(f, 1);
	assert_int_equal(evict(f), 2);
	assert_int_equal(f->steps, 100 - 5 - 1);
}

/* Slots come back from those that go, and a new entry never begins as visited. */
static void test_slots(void **state)
{
	struct fixture *f = *state;
	uint32_t slot;

	hit(f, add(f));
	hit(f, add(f));
	slot = f->order.slots[1];
	assert_int_not_equal(slot, f->order.slots[2]);
	f->steps = 0;
	assert_int_equal(evict(f), 1);
	assert_true(evict_visited(&f->bits, slot));
	assert_int_equal(evict_slot_take(&f->state, &f->bits), slot);
	assert_false(evict_visited(&f->bits, slot));
	for (uint32_t i = 2; i < SLOTS; i++)
		assert_int_equal(evict_slot_take(&f->state, &f->bits), i);
	/* More entries than slots: they share. */
	assert_int_equal(evict_slot_take(&f->state, &f->bits), 0);
	evict_reset(&f->state, 5);
	assert_int_equal(evict_slot_take(&f->state, &f->bits), 5);
}

/* The state may be anything: another program, or nothing, wrote the file it is in. */
static void test_any_state(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++)
		add(f);
	memset(&f->state, 0xff, sizeof(f->state));
	assert_true(evict_slot_take(&f->state, &f->bits) < SLOTS);
	evict_slot_give(&f->state, &f->bits, UINT32_MAX);
	evict_visit(&f->bits, UINT32_MAX);
	assert_int_equal(evict(f), 1);
	f->state.free_count = 1;
	f->state.free[0] = UINT32_MAX;
	assert_true(evict_slot_take(&f->state, &f->bits) < SLOTS);
}

/* ---- a trace -------------------------------------------------------------------------------- */

enum {
	OBJECTS = 5000,
	ROOM = 500,
	REQUESTS = 100000,
};

static uint64_t seed = 1;

static double random_unit(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (double)(seed >> 11) / 9007199254740992.0;
}

/* Zipf with exponent 1: the sum of 1/i up to i is drawn. */
static unsigned zipf(const double *sums)
{
	double draw = random_unit() * sums[OBJECTS - 1];
	unsigned low = 0, high = OBJECTS - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (sums[middle] < draw)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Hits in a trace of which every fifth request is of a scan, asked for once. */
static unsigned trace_hits(struct fixture *f, bool sieve)
{
	static double sums[OBJECTS];
	static uint64_t where[OBJECTS + REQUESTS]; /* sequence of an object, 0 when not in */
	static unsigned what[SEQUENCES];
	unsigned hits = 0, in = 0, scan = OBJECTS;

	seed = 42;
	memset(where, 0, sizeof(where));
	for (unsigned i = 0; i < OBJECTS; i++)
		sums[i] = (i ? sums[i - 1] : 0) + 1.0 / (i + 1);
	for (unsigned i = 0; i < REQUESTS; i++) {
		unsigned object = i % 5 == 0 ? scan++ : zipf(sums);
		uint64_t sequence = where[object];

		if (sequence != 0) {
			hits++;
			if (sieve)
				hit(f, sequence);
			continue;
		}
		if (in == ROOM) {
			where[what[evict(f)]] = 0;
			in--;
		}
		sequence = where[object] = add(f);
		what[sequence] = object;
		in++;
	}
	return hits;
}

static void test_hit_ratio(void **state)
{
	struct fixture *f = *state;
	unsigned fifo, sieve;
	void *fresh;

	fifo = trace_hits(f, false);
	setup(&fresh);
	sieve = trace_hits(fresh, true);
	teardown(&fresh);
	print_message("hits of %d: FIFO %u, SIEVE %u\n", REQUESTS, fifo, sieve);
	/* ENGINE: at a tenth of the objects some ten points. */
	assert_in_range(fifo, REQUESTS * 40 / 100, REQUESTS * 60 / 100);
	assert_true(sieve > fifo + REQUESTS * 6 / 100);
}

#define EVICT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVICT_TEST(test_nothing_visited_is_fifo),
		EVICT_TEST(test_visited_stay_for_a_lap),
		EVICT_TEST(test_new_before_survivors),
		EVICT_TEST(test_all_visited),
		EVICT_TEST(test_steps_are_bounded),
		EVICT_TEST(test_slots),
		EVICT_TEST(test_any_state),
		EVICT_TEST(test_hit_ratio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
