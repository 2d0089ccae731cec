/* LINKS: */
/* The hash of tables: keys that nobody can choose to collide, spread over the buckets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "cache/base/table.h"

enum { KEYS = 4096, BUCKETS = 256 };

static void spread_is_even(uint32_t (*hash_of)(unsigned n))
{
	unsigned buckets[BUCKETS] = {0}, most = 0;

	for (unsigned n = 0; n < KEYS; n++)
		buckets[hash_of(n) % BUCKETS]++;
	for (unsigned i = 0; i < BUCKETS; i++)
		if (buckets[i] > most)
			most = buckets[i];
	/* 16 on average; 48 would be eight standard deviations */
	assert_in_range(most, 16, 48);
}

static uint32_t hash_of_name(unsigned n)
{
	char name[32];

	return table_hash(name, (size_t)snprintf(name, sizeof(name), "host%u.example", n));
}

static uint32_t hash_of_top_bits(unsigned n)
{
	uint64_t key[2] = {(uint64_t)n << 52, 0};

	return table_hash(key, sizeof(key));
}

static uint32_t hash_of_last_byte(unsigned n)
{
	unsigned char key[13] = {0};

	key[11] = (unsigned char)(n >> 8);
	key[12] = (unsigned char)n;
	return table_hash(key, sizeof(key));
}

static void test_spread(void **state)
{
	(void)state;
	spread_is_even(hash_of_name);
	spread_is_even(hash_of_top_bits);
	spread_is_even(hash_of_last_byte);
}

static void test_length_counts(void **state)
{
	static const char zeros[32];

	(void)state;
	for (size_t n = 1; n < sizeof(zeros); n++)
		assert_int_not_equal(table_hash(zeros, n), table_hash(zeros, n - 1));
}

/* As when the next process starts. */
static void test_drawn_anew(void **state)
{
	uint32_t before = table_hash("a.example", 9);

	(void)state;
	table_draw_secret();
	assert_int_not_equal(table_hash("a.example", 9), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_length_counts),
		cmocka_unit_test(test_drawn_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
