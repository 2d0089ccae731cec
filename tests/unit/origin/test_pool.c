/* LINKS: proxy/origin tests/doubles/counted_memory.c */
/* Idle connections: which is used next, how many are kept, and what is left of a host without any. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "proxy/origin/pool.h"
#include "proxy/stats/stats.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/test_conf.h"

enum { MANY = 400 }; /* hosts, for which a table must grow */

struct one {
	struct pool_idle idle;
	struct pool_host *host;
	bool closed;
};

static struct conf *conf;
static struct pool *pool;
static size_t alive;

static int setup(void **state)
{
	(void)state;
	conf = test_conf_new();
	alive = allocations_alive();
	pool = pool_new(conf);
	return pool == NULL;
}

static void close_one(struct pool_idle *idle)
{
	struct one *one = (struct one *)idle;

	assert_false(one->closed);
	one->closed = true;
	pool_remove(one->host, idle);
	pool_leave(pool, one->host);
}

/* With all connections gone nothing is left. */
static int teardown(void **state)
{
	(void)state;
	pool_free(pool, close_one);
	assert_int_equal(stats->origins_idle, 0);
	assert_int_equal(allocations_alive(), alive);
	test_conf_free(conf);
	return 0;
}

static void join(struct one *one, const char *key)
{
	*one = (struct one){.host = pool_join(pool, slice_str(key))};
	assert_non_null(one->host);
}

static struct one *take(const char *key)
{
	return (struct one *)pool_take(pool, slice_str(key));
}

static void the_one_used_last_is_next(void **state)
{
	static struct one ones[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		join(&ones[i], "ha:80");
		assert_true(pool_keep(ones[i].host, &ones[i].idle));
		assert_int_equal(stats->origins_idle, i + 1);
	}
	assert_null(take("ha:8"));
	assert_null(take("sa:80"));
	pool_remove(ones[1].host, &ones[1].idle); /* from between */
	pool_leave(pool, ones[1].host);
	assert_ptr_equal(take("ha:80"), &ones[2]);
	assert_int_equal(stats->origins_idle, 1);
	assert_null(ones[2].idle.link);
	assert_true(pool_keep(ones[2].host, &ones[2].idle));
	assert_ptr_equal(take("ha:80"), &ones[2]);
	assert_ptr_equal(take("ha:80"), &ones[0]);
	assert_null(take("ha:80"));
	pool_leave(pool, ones[0].host);
	assert_true(pool_keep(ones[2].host, &ones[2].idle)); /* the host is still there */
	assert_ptr_equal(take("ha:80"), &ones[2]);
	pool_leave(pool, ones[2].host);
	assert_null(take("ha:80"));
}

static void so_many_are_kept_of_a_host(void **state)
{
	static struct one ones[3], other;

	(void)state;
	assert_true(test_conf_set(conf, "origin_idle", "2"));
	for (unsigned i = 0; i < 3; i++) {
		join(&ones[i], "ha:80");
		assert_int_equal(pool_keep(ones[i].host, &ones[i].idle), i < 2);
	}
	join(&other, "hb:80");
	assert_true(pool_keep(other.host, &other.idle));
	pool_leave(pool, ones[2].host);
	assert_ptr_equal(take("ha:80"), &ones[1]);
	assert_true(pool_keep(ones[1].host, &ones[1].idle));
}

/* The last of a host takes it along; what is at work ends before. */
static void all_are_closed_in_the_end(void **state)
{
	static struct one ones[MANY];
	char key[16];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "h%u:80", i / 4 * 4 % 300);
		join(&ones[i], key);
		assert_true(pool_keep(ones[i].host, &ones[i].idle));
	}
	pool_free(pool, close_one);
	for (unsigned i = 0; i < MANY; i++)
		assert_true(ones[i].closed);
	assert_int_equal(allocations_alive(), alive);
	pool = pool_new(conf);
}

/* Each in its own host, in a table that has grown, and whichever of them leaves first. */
static void each_of_many_hosts_has_its_own(void **state)
{
	static struct one ones[MANY];
	char key[24];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "hhost%u.test:%u", i, i % 10);
		join(&ones[i], key);
		assert_true(pool_keep(ones[i].host, &ones[i].idle));
	}
	assert_int_equal(stats->origins_idle, MANY);
	for (unsigned n = 0, i = 0; n < MANY; n++, i = (i + 7) % MANY) {
		snprintf(key, sizeof(key), "hhost%u.test:%u", i, i % 10);
		assert_ptr_equal(take(key), &ones[i]);
		pool_leave(pool, ones[i].host);
		assert_null(take(key));
	}
}

/* For one host more, one allocation after the other, also when the table grows. */
static void without_memory_none_is_joined(void **state)
{
	static struct one ones[MANY];
	struct pool_host *host = NULL;
	char key[16];
	unsigned refused = 0;

	(void)state;
	for (size_t n = 0; host == NULL && fail_allocation(n); n++) {
		host = pool_join(pool, SLICE("hfirst:80"));
		fail_no_allocation();
	}
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "h%u:80", i);
		fail_allocation(1);
		ones[i].host = pool_join(pool, slice_str(key));
		fail_no_allocation();
		refused += ones[i].host == NULL;
		assert_null(take(key));
	}
	assert_true(host == NULL || (refused > 0 && refused < MANY)); /* NULL under a sanitizer */
	for (unsigned i = 0; i < MANY; i++)
		if (ones[i].host != NULL)
			pool_leave(pool, ones[i].host);
	if (host != NULL)
		pool_leave(pool, host);
	if (fail_allocation(0))
		pool_free(pool_new(conf), close_one); /* there is none, then */
	fail_no_allocation();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_one_used_last_is_next),     TEST(so_many_are_kept_of_a_host),
		TEST(all_are_closed_in_the_end),     TEST(each_of_many_hosts_has_its_own),
		TEST(without_memory_none_is_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
