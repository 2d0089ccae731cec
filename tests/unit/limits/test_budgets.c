/* LINKS: proxy/limits */
/* What one client may hold, what all may, and how descriptors are shared out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "proxy/limits/budgets.h"
#include "tests/support/test_conf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A service of several workers, with options "name=value;name=value". */
struct setup {
	struct conf *conf;
	struct holdings *holdings;
	struct budgets workers[3];
};

static struct setup setup_of(const char *options, uint64_t descriptors)
{
	struct setup setup = {.conf = test_conf_new(), .holdings = holdings_map(3, 20000)};
	struct descriptors share = descriptors_share(descriptors, 2);

	assert_non_null(setup.holdings);
	assert_true(test_conf_set_all(setup.conf, options));
	for (unsigned i = 0; i < COUNT(setup.workers); i++)
		budgets_init(&setup.workers[i], setup.holdings, i, setup.conf, &share);
	return setup;
}

/* All was given back before. */
static void setup_end(struct setup *setup)
{
	for (unsigned i = 0; i < COUNT(setup->workers); i++)
		assert_int_equal(holdings_count(setup->holdings, i), 0);
	holdings_unmap(setup->holdings);
	test_conf_free(setup->conf);
}

static budget_id holder_of(const char *text)
{
	union address address;

	assert_true(address_parse(slice_str(text), &address));
	return budget_holder(&address);
}

struct wanted {
	enum budget budget;
	budget_id thing, holder;
};

/* As many as there are for a holder, up to `most`, in turn by each worker. */
static unsigned take_all(struct setup *setup, unsigned workers, struct wanted wanted,
			 struct holding *held, unsigned most)
{
	unsigned count = 0;

	while (count < most && budget_take(&setup->workers[count % workers], wanted.budget,
					   wanted.thing, wanted.holder, &held[count]) == BUDGET_OK)
		count++;
	return count;
}

static void give_all(struct holding *held, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		budget_give(&held[i]);
		assert_null(held[i].all);
		budget_give(&held[i]); /* empty: nothing */
	}
}

static struct holding held[20000], others[20000];

static void one_address_leaves_a_quarter_to_others(void **state)
{
	static const struct {
		const char *options;
		unsigned one, all;
	} cases[] = {
		{"", 7500, 10000},
		{"clients_max=1", 1, 1},
		{"clients_max=2", 1, 2},
		{"clients_max=10", 7, 10},
		{"clients_max=100", 75, 100},
		{"clients_max=100;clients_per_address=2", 2, 100},
		{"clients_max=100;clients_per_address=90", 90, 100},
		{"clients_max=100;clients_per_address=100", 100, 100},
		{"clients_max=100;clients_per_address=1000", 100, 100},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (unsigned workers = 1; workers <= 3; workers++) {
			struct setup setup = setup_of(cases[i].options, 1 << 20);
			struct holding more;
			unsigned one =
				take_all(&setup, workers,
					 (struct wanted){BUDGET_CLIENTS, 0, holder_of("127.0.0.1")},
					 held, 20000);
			unsigned rest = cases[i].all - one, count = 0;

			assert_int_equal(one, cases[i].one);
			assert_int_equal(budget_take(&setup.workers[0], BUDGET_CLIENTS, 0,
						     holder_of("127.0.0.1"), &more),
					 rest > 0 ? BUDGET_ONE_FULL : BUDGET_FULL);
			assert_null(more.all);
			while (count < rest &&
			       budget_take(&setup.workers[0], BUDGET_CLIENTS, 0,
					   1 + 2 * (uint64_t)count, &others[count]) == BUDGET_OK)
				count++;
			assert_int_equal(count, rest);
			assert_int_equal(budget_take(&setup.workers[0], BUDGET_CLIENTS, 0,
						     holder_of("192.0.2.9"), &more),
					 BUDGET_FULL);
			/* operators have places of their own */
			assert_int_equal(budget_take(&setup.workers[0], BUDGET_OPERATORS, 0,
						     holder_of("127.0.0.1"), &more),
					 BUDGET_OK);
			budget_give(&more);
			give_all(held, one);
			give_all(others, count);
			setup_end(&setup);
		}
	}
}

/* Of what takes as long as somebody wants it to, several who want all leave some. */
static void several_leave_some_to_others(void **state)
{
	static const enum budget budgets[] = {BUDGET_LOOKUPS, BUDGET_LOGINS, BUDGET_EXTRAS};

	(void)state;
	for (size_t i = 0; i < COUNT(budgets); i++) {
		for (unsigned workers = 1; workers <= 3; workers++) {
			struct setup setup = setup_of("", 4096);
			unsigned count = 0, first = 0;
			struct holding more;

			for (uint64_t holder = 1; holder < 17; holder += 2) {
				count += take_all(&setup, workers,
						  (struct wanted){budgets[i], 0, holder},
						  held + count, 20000 - count);
				first = first == 0 ? count : first;
			}
			assert_in_range(first, count / 2, count - 1);
			assert_int_equal(budget_take(&setup.workers[0], budgets[i], 0, 101, &more),
					 BUDGET_OK);
			budget_give(&more);
			give_all(held, count);
			setup_end(&setup);
		}
	}
}

/* Whoever has one address of an IPv6 /64 has all of them. */
static void an_ipv6_network_is_one_holder(void **state)
{
	(void)state;
	assert_true(holder_of("192.0.2.1") == holder_of("::ffff:192.0.2.1"));
	assert_true(holder_of("192.0.2.1") != holder_of("192.0.2.2"));
	assert_true(holder_of("2001:db8::1") == holder_of("2001:db8::ffff:ffff:ffff:ffff"));
	assert_true(holder_of("2001:db8::1") != holder_of("2001:db8:0:1::1"));
	assert_true(holder_of("c000:201::1") != holder_of("192.0.2.1"));
	assert_true(holder_of("::1") != holder_of("127.0.0.1"));
	assert_true(holder_of("::1") != 0);
}

/* By this process's descriptors, too, one address leaves a part of each budget to others. */
static void each_budget_has_something_left_for_others(void **state)
{
	(void)state;
	for (enum budget budget = 0; budget < BUDGET_COUNT; budget++) {
		struct setup setup = setup_of("", 256);
		budget_id thing = budget_thing(SLICE("a thing"));
		unsigned one =
			take_all(&setup, 1, (struct wanted){budget, thing, holder_of("127.0.0.1")},
				 held, 20000);
		struct holding other;
		enum budget_verdict verdict = budget_take(&setup.workers[0], budget, thing,
							  holder_of("192.0.2.1"), &other);

		assert_true(one > 0 && one < 20000);
		if (budget != BUDGET_SOCKETS && budget != BUDGET_ZONE && budget != BUDGET_HOST)
			assert_int_equal(verdict, BUDGET_OK);
		budget_give(&other);
		give_all(held, one);
		setup_end(&setup);
	}
}

/* Where all clients are behind one address, it may have all of everything. */
static void one_address_may_be_allowed_all(void **state)
{
	struct setup setup = setup_of("clients_max=100;clients_per_address=100;"
				      "tunnels_max=8;origin_connections=4;dns_lookups=8",
				      1 << 20);
	static const struct {
		enum budget budget;
		unsigned all;
	} cases[] = {{BUDGET_CLIENTS, 100},
		     {BUDGET_TUNNELS, 8},
		     {BUDGET_ORIGIN, 4},
		     {BUDGET_LOOKUPS, 8}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned count = take_all(
			&setup, 3, (struct wanted){cases[i].budget, 0, holder_of("127.0.0.1")},
			held, 20000);

		assert_int_equal(count, cases[i].all);
		give_all(held, count);
	}
	setup_end(&setup);
}

static void a_thing_has_its_own_limit(void **state)
{
	struct setup setup = setup_of("origin_connections=4", 1 << 20);
	budget_id a = budget_thing(SLICE("ha.example:80")),
		  b = budget_thing(SLICE("hb.example:80"));
	struct holding one, more;

	(void)state;
	assert_int_equal(take_all(&setup, 2,
				  (struct wanted){BUDGET_ORIGIN, a, holder_of("127.0.0.1")}, held,
				  9),
			 3);
	assert_int_equal(budget_take(&setup.workers[2], BUDGET_ORIGIN, a, holder_of("::1"), &one),
			 BUDGET_OK);
	assert_int_equal(budget_take(&setup.workers[2], BUDGET_ORIGIN, a, holder_of("::1"), &more),
			 BUDGET_FULL);
	assert_int_equal(
		budget_take(&setup.workers[2], BUDGET_ORIGIN, b, holder_of("127.0.0.1"), &more),
		BUDGET_OK);
	assert_int_equal(budget_used(&setup.workers[0], BUDGET_ORIGIN, a), 4);
	budget_give(&more);
	budget_give(&one);
	give_all(held, 3);
	setup_end(&setup);
}

static void a_place_is_assigned_when_its_holder_is_known(void **state)
{
	struct setup setup = setup_of("clients_max=4;clients_per_address=1", 1 << 20);
	budget_id holder = holder_of("192.0.2.1");
	struct holding first, second;

	(void)state;
	assert_int_equal(budget_take(&setup.workers[0], BUDGET_CLIENTS, 0, 0, &first), BUDGET_OK);
	assert_int_equal(budget_take(&setup.workers[0], BUDGET_CLIENTS, 0, 0, &second), BUDGET_OK);
	assert_int_equal(budget_assign(&setup.workers[0], BUDGET_CLIENTS, holder, &first),
			 BUDGET_OK);
	assert_int_equal(budget_assign(&setup.workers[0], BUDGET_CLIENTS, holder, &second),
			 BUDGET_ONE_FULL);
	assert_int_equal(budget_used(&setup.workers[0], BUDGET_CLIENTS, 0), 2);
	budget_give(&second);
	budget_give(&first);
	setup_end(&setup);
}

/* Each place that makes descriptors has its share, and all of them fit. */
static void descriptors_suffice(void **state)
{
	(void)state;
	for (unsigned listeners = 2; listeners <= 64; listeners += 31) {
		for (uint64_t limit = 128; limit < 2000000; limit += limit / 3) {
			struct descriptors share = descriptors_share(limit, listeners);

			assert_true(share.clients >= 10);
			assert_true(share.operators >= 4 && share.operators <= 32);
			assert_true(share.refusals >= 2 && share.refusals <= 256);
			assert_true(share.origins_idle >= 2 && share.extras >= 2);
			assert_true(share.pipes >= 1 && share.sockets >= 2);
			assert_true(2 * (uint64_t)share.clients + share.operators + share.refusals +
					    share.origins_idle + share.extras + 2 * share.pipes +
					    share.sockets + 20 + listeners <=
				    limit);
		}
	}
	assert_true(descriptors_share(0, 2).clients > 0);
	assert_true(descriptors_share(UINT64_MAX, 2).clients > 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_leaves_a_quarter_to_others),
		cmocka_unit_test(several_leave_some_to_others),
		cmocka_unit_test(an_ipv6_network_is_one_holder),
		cmocka_unit_test(each_budget_has_something_left_for_others),
		cmocka_unit_test(one_address_may_be_allowed_all),
		cmocka_unit_test(a_thing_has_its_own_limit),
		cmocka_unit_test(a_place_is_assigned_when_its_holder_is_known),
		cmocka_unit_test(descriptors_suffice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
