/* LINKS: proxy/limits -Wl,--wrap=getrandom,--wrap=getrlimit */
/* The limits themselves, by value: shares of descriptors, and what each budget makes of them and of the options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "proxy/limits/budgets.h"
#include "tests/support/test_conf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what the kernel says: sanitizers ask the C library's ----------------------------------- */

static int no_random, no_limit;

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);
int __wrap_getrlimit(__rlimit_resource_t resource, struct rlimit *ret_limit);

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
	assert_int_equal(flags, 0); /* it waits until the kernel has some */
	memset(to, 7, n);
	return no_random ? -1 : (ssize_t)n;
}

int __wrap_getrlimit(__rlimit_resource_t resource, struct rlimit *ret_limit)
{
	assert_int_equal(resource, RLIMIT_NOFILE);
	*ret_limit = (struct rlimit){.rlim_cur = 4096, .rlim_max = 1 << 20};
	return no_limit ? -1 : 0;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static const struct {
	uint64_t limit;
	unsigned listeners;
	struct descriptors share;
} shares[] = {
	{0, 0, {6, 4, 3, 3, 4, 1, 4}},
	{51, 0, {6, 4, 3, 3, 4, 1, 4}},
	{52, 0, {6, 4, 3, 3, 4, 1, 4}}, /* the least that is shared out: 32 */
	{53, 0, {6, 4, 3, 3, 4, 1, 4}},
	{54, 0, {7, 4, 3, 3, 4, 1, 4}},
	{54, 1, {6, 4, 3, 3, 4, 1, 4}},
	{116, 0, {27, 6, 9, 9, 6, 3, 6}},
	{1024, 4, {291, 32, 100, 100, 62, 31, 62}},
	{4096, 2, {1308, 32, 256, 407, 254, 127, 254}},
	{16777216, 0, {6500508, 32, 256, 1677719, 1048574, 512, 1048574}},
	{16777217, 0, {6500515, 32, 256, 1677721, 1048576, 512, 1048576}},
	{UINT64_MAX, 64, {6500515, 32, 256, 1677721, 1048576, 512, 1048576}},
};

static void assert_share(const struct descriptors *found, const struct descriptors *expected)
{
	assert_int_equal(found->clients, expected->clients);
	assert_int_equal(found->operators, expected->operators);
	assert_int_equal(found->refusals, expected->refusals);
	assert_int_equal(found->origins_idle, expected->origins_idle);
	assert_int_equal(found->extras, expected->extras);
	assert_int_equal(found->pipes, expected->pipes);
	assert_int_equal(found->sockets, expected->sockets);
}

static void descriptors_are_shared_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shares); i++) {
		struct descriptors share = descriptors_share(shares[i].limit, shares[i].listeners);

		assert_share(&share, &shares[i].share);
	}
}

static void those_of_this_process_are(void **state)
{
	struct descriptors here = descriptors_here(2), expected = descriptors_share(4096, 2);

	(void)state;
	assert_share(&here, &expected);
	no_limit = 1;
	here = descriptors_here(4);
	no_limit = 0;
	expected = descriptors_share(1024, 4);
	assert_share(&here, &expected);
}

/* ---- budgets -------------------------------------------------------------------------------- */

#define NO_LIMIT UINT32_MAX
#define ONE_OF_NO_LIMIT UINT32_C(3221225472) /* three quarters, rounded up */

static const struct descriptors plenty = {1308, 32, 256, 407, 254, 127, 254};

static void assert_limit(const struct budgets *budgets, enum budget budget,
			 const struct budget_limit *expected)
{
	const struct budget_limit *found = &budgets->limit[budget];

	if (found->all != expected->all || found->here != expected->here ||
	    found->one_all != expected->one_all || found->one_here != expected->one_here ||
	    found->times != expected->times || (found->times > 0 && found->rest != expected->rest))
		fail_msg("budget %d: %u %u, %u %u, %u of %d", budget, found->all, found->here,
			 found->one_all, found->one_here, found->times, found->rest);
}

static struct conf *conf_of(uint32_t lookups, uint32_t per_address)
{
	struct conf *conf = test_conf_new();

	conf->clients_max = 1000;
	conf->clients_per_address = per_address;
	conf->tunnels_max = 500;
	conf->origin_connections = 100;
	conf->dns_lookups = lookups;
	return conf;
}

static void each_budget_has_its_limits(void **state)
{
	static const struct budget_limit expected[BUDGET_COUNT] = {
		[BUDGET_CLIENTS] = {1000, 1308, 750, 981, 0, 0},
		[BUDGET_OPERATORS] = {NO_LIMIT, 32, ONE_OF_NO_LIMIT, 24, 0, 0},
		[BUDGET_REFUSALS] = {NO_LIMIT, 256, ONE_OF_NO_LIMIT, 192, 0, 0},
		[BUDGET_TUNNELS] = {500, 981, 375, 736, 0, 0},
		[BUDGET_PIPES] = {NO_LIMIT, 127, ONE_OF_NO_LIMIT, 96, 0, 0},
		[BUDGET_ORIGIN] = {100, 100, 75, 75, 0, 0},
		[BUDGET_EXTRAS] = {NO_LIMIT, 254, ONE_OF_NO_LIMIT, 191, 6, BUDGET_EXTRAS},
		[BUDGET_IDLE] = {NO_LIMIT, 407, ONE_OF_NO_LIMIT, 306, 0, 0},
		[BUDGET_LOOKUPS] = {50, 127, 38, 96, 6, BUDGET_LOOKUPS},
		[BUDGET_ZONE] = {25, 63, 19, 48, 6, BUDGET_LOOKUPS},
		[BUDGET_HOST] = {12, 31, 9, 24, 0, 0},
		[BUDGET_SOCKETS] = {NO_LIMIT, 254, NO_LIMIT, 254, 0, 0},
		[BUDGET_LOGINS] = {NO_LIMIT, 1024, ONE_OF_NO_LIMIT, 768, 6, BUDGET_LOGINS},
	};
	struct conf *conf = conf_of(50, 0);
	struct budgets budgets;

	(void)state;
	budgets_init(&budgets, NULL, 2, conf, &plenty);
	assert_int_equal(budgets.block, 2);
	for (unsigned i = 0; i < BUDGET_COUNT; i++)
		assert_limit(&budgets, i, &expected[i]);
	test_conf_free(conf);
}

static void one_address_may_have_all(void **state)
{
	static const struct budget_limit expected[BUDGET_COUNT] = {
		[BUDGET_CLIENTS] = {1000, 1308, 1000, 1308, 0, 0},
		[BUDGET_OPERATORS] = {NO_LIMIT, 32, NO_LIMIT, 32, 0, 0},
		[BUDGET_REFUSALS] = {NO_LIMIT, 256, NO_LIMIT, 256, 0, 0},
		[BUDGET_TUNNELS] = {500, 981, 500, 981, 0, 0},
		[BUDGET_PIPES] = {NO_LIMIT, 127, NO_LIMIT, 127, 0, 0},
		[BUDGET_ORIGIN] = {100, 100, 100, 100, 0, 0},
		[BUDGET_EXTRAS] = {NO_LIMIT, 254, NO_LIMIT, 254, 0, 0},
		[BUDGET_IDLE] = {NO_LIMIT, 407, NO_LIMIT, 407, 0, 0},
		[BUDGET_LOOKUPS] = {50, 127, 50, 127, 0, 0},
		[BUDGET_ZONE] = {25, 63, 25, 63, 6, BUDGET_LOOKUPS},
		[BUDGET_HOST] = {12, 31, 12, 31, 0, 0},
		[BUDGET_SOCKETS] = {NO_LIMIT, 254, NO_LIMIT, 254, 0, 0},
		[BUDGET_LOGINS] = {NO_LIMIT, 1024, NO_LIMIT, 1024, 0, 0},
	};
	const struct budget_limit not_all = {1000, 1308, 999, 981, 0, 0};
	struct conf *conf = conf_of(50, 1000);
	struct budgets budgets;

	(void)state;
	budgets_init(&budgets, NULL, 0, conf, &plenty);
	for (unsigned i = 0; i < BUDGET_COUNT; i++)
		assert_limit(&budgets, i, &expected[i]);
	conf->clients_per_address = 999;
	budgets_init(&budgets, NULL, 0, conf, &plenty);
	assert_limit(&budgets, BUDGET_CLIENTS, &not_all);
	test_conf_free(conf);
}

/* A part of something is something, of nothing is nothing. */
static void parts_of_the_smallest(void **state)
{
	const struct descriptors few = {.clients = 1, .sockets = 1};
	struct conf *conf = conf_of(1, 0);
	struct budgets budgets;

	(void)state;
	conf->clients_max = 1;
	budgets_init(&budgets, NULL, 0, conf, &few);
	assert_limit(&budgets, BUDGET_CLIENTS, &(struct budget_limit){1, 1, 1, 1, 0, 0});
	assert_limit(&budgets, BUDGET_HOST, &(struct budget_limit){1, 1, 1, 1, 0, 0});
	assert_int_equal(budgets.limit[BUDGET_ZONE].all, 1);
	assert_int_equal(budgets.limit[BUDGET_LOOKUPS].here, 1);
	conf->dns_lookups = 0;
	budgets_init(&budgets, NULL, 0, conf, &few);
	assert_int_equal(budgets.limit[BUDGET_HOST].all, 0);
	assert_int_equal(budgets.limit[BUDGET_ZONE].all, 0);
	test_conf_free(conf);
}

/* ---- holders -------------------------------------------------------------------------------- */

/* Budgets of one block, in which that one alone has limits. */
static struct budgets with_limit(enum budget budget, struct budget_limit limit)
{
	struct budgets budgets = {.holdings = holdings_map(1, 1000)};

	assert_non_null(budgets.holdings);
	budgets.limit[budget] = limit;
	return budgets;
}

/* One of the two bounds per holder is enough, whichever it is. */
static void either_bound_of_a_holder_counts(void **state)
{
	static const struct budget_limit limits[] = {{10, 3, 1, 3, 0, 0}, {10, 3, 10, 1, 0, 0}};

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		struct budgets budgets = with_limit(BUDGET_CLIENTS, limits[i]);
		struct holding first, second, other;

		assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 5, &first), BUDGET_OK);
		assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 5, &second),
				 BUDGET_ONE_FULL);
		assert_true(second.all == NULL && second.one == NULL);
		assert_int_equal(budget_used(&budgets, BUDGET_CLIENTS, 0), 1);
		assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 7, &other), BUDGET_OK);
		assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 0, &second), BUDGET_OK);
		assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 0, &second), BUDGET_FULL);
		holdings_unmap(budgets.holdings);
	}
}

/* What is not bounded per holder is not counted per holder. */
static void an_unbounded_holder_takes_no_row(void **state)
{
	struct budgets budgets =
		with_limit(BUDGET_SOCKETS, (struct budget_limit){10, 3, 10, 3, 0, 0});
	struct holding held;

	(void)state;
	assert_int_equal(budget_take(&budgets, BUDGET_SOCKETS, 0, 5, &held), BUDGET_OK);
	assert_non_null(held.all);
	assert_null(held.one);
	assert_int_equal(holdings_count(budgets.holdings, 0), 1);
	holdings_unmap(budgets.holdings);
}

/* A place assigned counts with those that were its holder's from the first. */
static void an_assigned_place_counts_with_the_others(void **state)
{
	struct budgets budgets =
		with_limit(BUDGET_CLIENTS, (struct budget_limit){10, 10, 2, 10, 0, 0});
	struct holding held[3];

	(void)state;
	assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 5, &held[0]), BUDGET_OK);
	assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 0, &held[1]), BUDGET_OK);
	assert_int_equal(budget_take(&budgets, BUDGET_CLIENTS, 0, 0, &held[2]), BUDGET_OK);
	assert_int_equal(budget_assign(&budgets, BUDGET_CLIENTS, 5, &held[1]), BUDGET_OK);
	assert_int_equal(budget_assign(&budgets, BUDGET_CLIENTS, 5, &held[2]), BUDGET_ONE_FULL);
	assert_null(held[2].one);
	assert_int_equal(budget_assign(&budgets, BUDGET_CLIENTS, 7, &held[2]), BUDGET_OK);
	holdings_unmap(budgets.holdings);
}

/* Of 16 places, an eighth is for who has none; one has at most what is left of the others. */
static void the_last_place_goes_to_one_who_has_none(void **state)
{
	struct budgets budgets =
		with_limit(BUDGET_LOGINS, (struct budget_limit){16, 16, 15, 15, 1, BUDGET_LOGINS});
	struct holding held;
	unsigned count = 0;

	(void)state;
	while (budget_take(&budgets, BUDGET_LOGINS, 0, 5, &held) == BUDGET_OK)
		count++;
	/* the eighth would be of 16 + 1 - (8 + 2) = 7 */
	assert_int_equal(count, 7);
	count = 0;
	for (budget_id holder = 100; holder < 200; holder++)
		count += budget_take(&budgets, BUDGET_LOGINS, 0, holder, &held) == BUDGET_OK;
	assert_int_equal(count, 9); /* one each, to the last */
	assert_int_equal(budget_take(&budgets, BUDGET_LOGINS, 0, 0, &held), BUDGET_FULL);
	holdings_unmap(budgets.holdings);
}

/* What is left is the holder's as long as there is any: then one each. */
static void what_is_left_is_counted_to_the_last(void **state)
{
	struct budgets budgets =
		with_limit(BUDGET_LOGINS, (struct budget_limit){16, 16, 15, 15, 3, BUDGET_LOGINS});
	struct holding held;

	(void)state;
	for (budget_id holder = 100; holder < 111; holder++)
		assert_int_equal(budget_take(&budgets, BUDGET_LOGINS, 0, holder, &held), BUDGET_OK);
	for (unsigned i = 0; i < 3; i++) /* the third is of 3 * (16 + 1 - (14 + 2)) */
		assert_int_equal(budget_take(&budgets, BUDGET_LOGINS, 0, 5, &held), BUDGET_OK);
	assert_int_equal(budget_take(&budgets, BUDGET_LOGINS, 0, 100, &held), BUDGET_ONE_FULL);
	assert_int_equal(budget_take(&budgets, BUDGET_LOGINS, 0, 7, &held), BUDGET_OK);
	assert_int_equal(budget_used(&budgets, BUDGET_LOGINS, 0), 15);
	holdings_unmap(budgets.holdings);
}

/* Addresses of a /64 are one holder, others are others, and so is what has no address. */
static void holders(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1",
					    "2001:db8:0:1::1"};
	budget_id ids[COUNT(texts) + 1], same;
	union address address;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_true(address_parse(slice_str(texts[i]), &address));
		ids[i] = budget_holder(&address);
	}
	memset(&address, 0x55, sizeof(address)); /* whatever stands behind its family */
	address.any.sa_family = AF_UNIX;
	same = budget_holder(&address);
	address = (union address){.any.sa_family = AF_UNIX};
	ids[COUNT(texts)] = budget_holder(&address);
	assert_int_equal(same, ids[COUNT(texts)]);
	for (size_t i = 0; i < COUNT(ids); i++) {
		assert_int_not_equal(ids[i], 0);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(ids[i], ids[j]);
	}
	assert_true(address_parse(SLICE("::ffff:192.0.2.1"), &address));
	same = budget_holder(&address);
	assert_int_equal(same, ids[0]);
	assert_true(address_parse(SLICE("2001:db8::ffff:ffff:ffff:ffff"), &address));
	same = budget_holder(&address);
	assert_int_equal(same, ids[2]);
	assert_int_equal(budget_thing(SLICE("a")), budget_thing(SLICE("a")));
	assert_int_not_equal(budget_thing(SLICE("a")), budget_thing(SLICE("b")));
}

static void a_map_needs_random_bytes(void **state)
{
	struct conf *conf = conf_of(50, 0);
	struct holdings *map;

	(void)state;
	no_random = 1;
	assert_null(budgets_map(conf));
	no_random = 0;
	map = budgets_map(conf);
	assert_non_null(map);
	holdings_unmap(map);
	test_conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_are_shared_out),
		cmocka_unit_test(those_of_this_process_are),
		cmocka_unit_test(each_budget_has_its_limits),
		cmocka_unit_test(one_address_may_have_all),
		cmocka_unit_test(parts_of_the_smallest),
		cmocka_unit_test(either_bound_of_a_holder_counts),
		cmocka_unit_test(an_unbounded_holder_takes_no_row),
		cmocka_unit_test(an_assigned_place_counts_with_the_others),
		cmocka_unit_test(the_last_place_goes_to_one_who_has_none),
		cmocka_unit_test(what_is_left_is_counted_to_the_last),
		cmocka_unit_test(holders),
		cmocka_unit_test(a_map_needs_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
