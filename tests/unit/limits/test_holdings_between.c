/* LINKS: */
/* What another process does between two steps of counting: each access to shared memory lets it have its turn first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

static void let_others(void);
static long page_size;

static uint64_t read_64(const _Atomic uint64_t *from)
{
	let_others();
	return atomic_load(from);
}

static uint32_t read_32(const _Atomic uint32_t *from)
{
	let_others();
	return atomic_load(from);
}

static bool swap_32(_Atomic uint32_t *at, uint32_t *expected, uint32_t wanted)
{
	let_others();
	return atomic_compare_exchange_strong(at, expected, wanted);
}

#undef atomic_load_explicit
#undef atomic_compare_exchange_weak_explicit
/* clang-format off */
#define atomic_load_explicit(from, order) \
	_Generic((from), \
		_Atomic uint64_t *: read_64, const _Atomic uint64_t *: read_64, \
		_Atomic uint32_t *: read_32, const _Atomic uint32_t *: read_32)(from)
/* clang-format on */
#define atomic_compare_exchange_weak_explicit(at, expected, wanted, order, other) \
	swap_32(at, expected, wanted)
#define sysconf(name) ((void)(name), page_size)

#include "proxy/limits/holdings.c"

enum { ANY = INT32_MAX, KEY = 7 };

static struct holdings *holdings;

/* The other one: what it does, and before which access. */
static struct {
	void (*act)(void);
	unsigned after;
	bool is_acting, has_acted;
} other;

static void let_others(void)
{
	if (other.act == NULL || other.is_acting || other.has_acted || other.after-- > 0)
		return;
	other.is_acting = true;
	other.act();
	other.is_acting = false;
	other.has_acted = true;
}

static void acts_before(unsigned access, void (*act)(void))
{
	other.act = act;
	other.after = access;
	other.has_acted = false;
}

static void alone(void)
{
	other.act = NULL;
	other.has_acted = false;
}

static int setup(void **state)
{
	(void)state;
	page_size = 4096;
	alone();
	holdings = holdings_map(3, 100);
	return holdings == NULL;
}

static int teardown(void **state)
{
	(void)state;
	holdings_unmap(holdings);
	return 0;
}

static struct holdings_row *taken_by_other;

static void take_in_another_block(void)
{
	taken_by_other = holdings_take(holdings, 2, KEY, ANY, 1);
}

static void give_if(struct holdings_row *row)
{
	if (row != NULL)
		holdings_give(row);
}

/* Of two who take the last one at once, at most one has it; then it is there for a third. */
static void the_last_one_is_taken_once(void **state)
{
	unsigned mine = 0, others = 0, access;
	struct holdings_row *row;

	(void)state;
	for (access = 0;; access++) {
		acts_before(access, take_in_another_block);
		taken_by_other = NULL;
		row = holdings_take(holdings, 0, KEY, ANY, 1);
		if (!other.has_acted)
			break;
		alone();
		assert_false(row != NULL && taken_by_other != NULL);
		assert_int_equal(holdings_all(holdings, KEY),
				 row != NULL || taken_by_other != NULL);
		mine += row != NULL;
		others += taken_by_other != NULL;
		give_if(row);
		give_if(taken_by_other);
		row = holdings_take(holdings, 1, KEY, ANY, 1);
		assert_non_null(row);
		holdings_give(row);
	}
	assert_true(access > 4 && mine > 0 && others > 0);
	alone();
	holdings_give(row);
}

static void use_the_last_block(void)
{
	holdings_give(holdings_take(holdings, 2, KEY + 1, ANY, ANY));
}

/* Blocks that others began to use meanwhile stay in use. */
static void a_block_that_is_used_is_looked_at(void **state)
{
	struct holdings_row *row, *late;

	(void)state;
	acts_before(
		1, use_the_last_block); /* between reading how many there are and saying one more */
	row = holdings_take(holdings, 0, KEY, ANY, ANY);
	assert_true(other.has_acted);
	alone();
	late = holdings_take(holdings, 2, KEY, ANY, ANY);
	assert_int_equal(holdings_all(holdings, KEY), 2);
	assert_int_equal(atomic_load(&holdings->used), 3);
	holdings_give(row);
	holdings_give(late);
}

static struct holdings_row *held, *given;

/* A row of ours becomes that of another key, which lies in the same place. */
static void give_the_row_to_another_key(void)
{
	holdings_give(held);
	given = holdings_take(holdings, 1, KEY + (uint64_t)holdings->rows, ANY, ANY);
	assert_ptr_equal(given, held);
	assert_non_null(holdings_take(holdings, 1, KEY + (uint64_t)holdings->rows, ANY, ANY));
}

/* What is counted for a key is never the count of another. */
static void a_row_that_changes_hands(void **state)
{
	unsigned access, ones = 0;

	(void)state;
	for (access = 0;; access++) {
		uint32_t count;

		held = holdings_take(holdings, 1, KEY, ANY, ANY);
		acts_before(access, give_the_row_to_another_key);
		count = holdings_all(holdings, KEY);
		if (!other.has_acted)
			break;
		alone();
		assert_in_range(count, 0, 1);
		ones += count;
		holdings_give(given);
		holdings_give(given);
		assert_int_equal(holdings_count(holdings, 1), 0);
		assert_int_equal(holdings_all(holdings, KEY), 0);
	}
	alone();
	holdings_give(held);
	assert_true(access > 3);
	assert_int_equal(ones, 0); /* it looks once more behind the count */
}

/* As the system's are, those of a block lie in whole pages of it. */
static void blocks_are_whole_pages(void **state)
{
	struct holdings *large;

	(void)state;
	assert_int_equal(holdings->rows, 256);
	page_size = 65536;
	large = holdings_map(2, 1);
	assert_non_null(large);
	assert_int_equal(large->rows * sizeof(struct holdings_row), 65536);
	assert_int_equal((char *)large->row - (char *)large, 65536);
	assert_int_equal(large->size, 3 * 65536);
	holdings_unmap(large);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_last_one_is_taken_once),
		TEST(a_block_that_is_used_is_looked_at),
		TEST(a_row_that_changes_hands),
		TEST(blocks_are_whole_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
