/* LINKS: */
/* The table of purges: processes are killed at each point between two accesses to it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/store/purge_table.h"

static void step(void);

#undef atomic_load
#undef atomic_store
#undef atomic_fetch_add
#undef atomic_fetch_or
#undef atomic_fetch_and
#define atomic_load(at) (step(), atomic_load_explicit(at, memory_order_seq_cst))
#define atomic_store(at, to) (step(), atomic_store_explicit(at, to, memory_order_seq_cst))
#define atomic_fetch_add(at, n) (step(), atomic_fetch_add_explicit(at, n, memory_order_seq_cst))
#define atomic_fetch_or(at, n) (step(), atomic_fetch_or_explicit(at, n, memory_order_seq_cst))
#define atomic_fetch_and(at, n) (step(), atomic_fetch_and_explicit(at, n, memory_order_seq_cst))
#include "cache/store/purge_table.c"

enum { NEVER = 1 << 20 };

static struct purge_table *table;
static _Atomic uint64_t epochs, retired;
static unsigned steps, killed_at;
static jmp_buf death;

static void step(void)
{
	if (steps++ == killed_at)
		longjmp(death, 1);
}

static int begin(void **state)
{
	(void)state;
	table = calloc(1, sizeof(*table));
	epochs = retired = 0;
	killed_at = NEVER;
	return table != NULL ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	free(table);
	return 0;
}

static struct purge host(const char *name)
{
	struct purge purge = {.kind = PURGE_HOST, .text_n = (uint32_t)strlen(name)};

	memcpy(purge.text, name, purge.text_n);
	return purge;
}

static struct purge add(const char *name)
{
	struct purge purge = host(name);

	assert_true(purge_table_add(table, &epochs, &purge));
	return purge;
}

/* The slot of a purge that is in force and whole; PURGE_SLOTS for none. */
static unsigned slot_of(const char *name)
{
	struct purge wanted = host(name), purge;
	unsigned found = PURGE_SLOTS;

	for (uint64_t bits = purge_table_pending(table); bits != 0;) {
		unsigned slot = purge_slot_next(&bits);

		assert_true(purge_table_at(table, slot, &purge));
		assert_true(purge_table_known(table) >> slot & 1);
		assert_true(purge.epoch != 0 && purge.epoch <= epochs);
		assert_int_equal(purge.ended_s, PURGE_NOT_ENDED);
		if (is_same(&purge, &wanted)) {
			assert_int_equal(found, PURGE_SLOTS);
			found = slot;
		}
	}
	return found;
}

static void finish(const char *name)
{
	unsigned slot = slot_of(name);
	struct purge purge;

	assert_true(slot < PURGE_SLOTS && purge_table_at(table, slot, &purge));
	assert_true(purge_table_end(table, &retired, slot, &purge, 1));
	assert_int_equal(slot_of(name), PURGE_SLOTS);
}

/* Run it to its n-th access; true when it was killed there. */
static bool kill_at(unsigned n, void (*job)(void))
{
	steps = 0;
	killed_at = n;
	if (setjmp(death) == 0) {
		job();
		killed_at = NEVER;
		return false;
	}
	killed_at = NEVER;
	return true;
}

static void add_victim(void)
{
	struct purge purge = host("victim");

	purge_table_add(table, &epochs, &purge);
}

static void end_kept(void)
{
	unsigned slot = slot_of("kept");
	struct purge purge;

	purge_table_at(table, slot, &purge);
	purge_table_end(table, &retired, slot, &purge, 1);
}

/* Others stay in force, the slot is not lost, and a whole one is there or none. */
static void who_dies_while_he_begins_one_leaves_the_others(void **state)
{
	bool killed = true;

	for (unsigned n = 0; killed; n++) {
		struct purge again;

		end(state);
		begin(state);
		add("kept");
		for (unsigned i = 0; i < PURGE_SLOTS; i++) {
			add("ended");
			finish("ended");
		}
		killed = kill_at(n, add_victim);
		assert_true(slot_of("kept") < PURGE_SLOTS);
		slot_of("victim");
		again = add("victim");
		assert_int_equal(again.epoch, epochs);
		assert_true(slot_of("victim") < PURGE_SLOTS);
		assert_true(slot_of("kept") < PURGE_SLOTS);
		for (unsigned i = 2; i < PURGE_PENDING_MAX; i++) {
			char name[8];

			snprintf(name, sizeof(name), "h%u", i);
			add(name);
		}
		again = host("one too many");
		assert_false(purge_table_add(table, &epochs, &again));
		assert_true(n < 1000);
	}
}

/* It is in force, or what is removed was counted before. */
static void who_dies_while_he_ends_one_hides_no_removal(void **state)
{
	bool killed = true;

	for (unsigned n = 0; killed; n++) {
		uint64_t bits;

		end(state);
		begin(state);
		add("kept");
		killed = kill_at(n, end_kept);
		bits = purge_table_pending(table);
		assert_true(bits != 0 || retired > 0);
		assert_true(purge_table_known(table) != 0);
		assert_true(n < 1000);
	}
}

static void a_joined_one_is_not_ended_by_the_walk_from_before(void **state)
{
	struct purge first = add("a"), second = add("a");

	(void)state;
	assert_int_equal(first.id, second.id);
	assert_true(second.epoch > first.epoch);
	assert_false(purge_table_end(table, &retired, slot_of("a"), &first, 1));
	assert_true(purge_table_end(table, &retired, slot_of("a"), &second, 1));
}

/* What is known of it is lost, but not that there was one. */
static void a_forgotten_one_leaves_its_epoch(void **state)
{
	struct purge first = add("a");

	(void)state;
	finish("a");
	for (unsigned i = 0; i < PURGE_SLOTS; i++) {
		add("b");
		finish("b");
	}
	assert_true(table->forgotten >= first.epoch);
	assert_true(table->forgotten < table->latest);
}

/* Each word that is read is the one that was written for it, also in a slot that another purge had. */
static void all_of_a_purge_is_read(void **state)
{
	struct purge purge = {.kind = PURGE_GROUP,
			      .soft = true,
			      .port = 81,
			      .keys = {{{1, 2}}, {{3, 4}}},
			      .steady_ms = 5,
			      .began_s = 6,
			      .text_n = 11,
			      .text = "0123456789a"};
	struct purge read;

	(void)state;
	for (unsigned i = 0; i < PURGE_SLOTS; i++) {
		add("b");
		finish("b");
	}
	assert_true(purge_table_add(table, &epochs, &purge));
	memset(&read, 0xff, sizeof(read));
	for (unsigned slot = 0; slot < PURGE_SLOTS; slot++) {
		if (!(purge_table_pending(table) >> slot & 1))
			continue;
		purge_table_count(table, slot, 7);
		assert_true(purge_table_at(table, slot, &read));
	}
	assert_int_equal(read.id, purge.id);
	assert_int_equal(read.epoch, purge.epoch);
	assert_true(is_same(&read, &purge));
	assert_int_equal(read.found, 7);
	assert_int_equal(read.steady_ms, 5);
	assert_int_equal(read.began_s, 6);
	assert_int_equal(read.ended_s, PURGE_NOT_ENDED);
	assert_true(read.pending);
}

static void garbage_is_no_purge(void **state)
{
	(void)state;
	memset((void *)table, 0xff, sizeof(*table));
	purge_table_recover(table, 7);
	assert_int_equal(table->forgotten, 7);
	assert_int_equal(purge_table_pending(table), 0);
	assert_int_equal(purge_table_known(table), 0);
	add("a");
	assert_true(slot_of("a") < PURGE_SLOTS);
}

/* The longest text fits, and nothing behind it is written. */
static void the_longest_text(void **state)
{
	struct {
		struct purge purge;
		uint64_t behind;
	} read = {.behind = 0};
	struct purge purge = {.kind = PURGE_PREFIX, .text_n = PURGE_TEXT_MAX};

	(void)state;
	memset(purge.text, 'x', sizeof(purge.text));
	memset(table->slots, 0xa5, sizeof(table->slots));
	assert_true(purge_table_add(table, &epochs, &purge));
	assert_true(purge_table_at(table, PURGE_SLOT_ALL + 1, &read.purge));
	assert_int_equal(read.purge.text_n, PURGE_TEXT_MAX);
	assert_memory_equal(read.purge.text, purge.text, PURGE_TEXT_MAX);
	assert_int_equal(read.behind, 0);
	/* The next slot is as it was. */
	assert_int_equal(atomic_load(&table->slots[PURGE_SLOT_ALL + 2].id),
			 UINT64_C(0xa5a5a5a5a5a5a5a5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_dies_while_he_begins_one_leaves_the_others,
						begin, end),
		cmocka_unit_test_setup_teardown(who_dies_while_he_ends_one_hides_no_removal, begin,
						end),
		cmocka_unit_test_setup_teardown(a_joined_one_is_not_ended_by_the_walk_from_before,
						begin, end),
		cmocka_unit_test_setup_teardown(a_forgotten_one_leaves_its_epoch, begin, end),
		cmocka_unit_test_setup_teardown(all_of_a_purge_is_read, begin, end),
		cmocka_unit_test_setup_teardown(garbage_is_no_purge, begin, end),
		cmocka_unit_test_setup_teardown(the_longest_text, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
