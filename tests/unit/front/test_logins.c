/* LINKS: proxy/front */
/* In which order logins are verified, and how many wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "proxy/access/credentials.h"
#include "proxy/front/logins.h"
#include "tests/support/test_conf.h"

enum { MANY = 2000 };

/* Requests by number. */
static struct exchange exchanges[MANY];
static struct turn turn;
static struct budgets budgets;
static struct logins *logins;
static bool busy;           /* no time to verify */
static char verified[4096]; /* what was, in turn */
static unsigned refused;

/* ---- what logins.c calls -------------------------------------------------------------------- */

enum failure credentials_check(struct credentials *credentials, const struct http_request *req,
			       int64_t now_ms, bool may_work, struct slice *ret_user)
{
	(void)credentials;
	(void)now_ms;
	*ret_user = req->target;
	return may_work && !busy ? FAILURE_NONE : FAILURE_TOO_MANY_LOGINS;
}

int64_t credentials_busy_ms(const struct credentials *credentials, int64_t now_ms)
{
	(void)credentials;
	(void)now_ms;
	return busy ? 100 : 0;
}

uint64_t credentials_claimed(const struct http_request *req)
{
	return (uint64_t)(unsigned char)req->target.p[req->target.n - 1];
}

bool exchange_park(struct exchange *x)
{
	(void)x;
	return true;
}

budget_id exchange_holder(const struct exchange *x)
{
	return budget_holder(&x->peer);
}

static void done(struct exchange *x, enum failure failure)
{
	assert_null(x->login);
	if (failure == FAILURE_TOO_MANY_LOGINS) {
		refused++;
		return;
	}
	assert_int_equal(failure, FAILURE_NONE);
	snprintf(verified + strlen(verified), sizeof(verified) - strlen(verified), "%s%.*s",
		 verified[0] == '\0' ? "" : " ", (int)x->req.target.n, x->req.target.p);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static int setup(void **state)
{
	struct descriptors descriptors = descriptors_share(100000, 2);
	struct conf *conf = test_conf_new();

	*state = conf;
	memset(exchanges, 0, sizeof(exchanges));
	turn = (struct turn){.now_ms = 1000};
	budgets_init(&budgets, holdings_map(1, 4096), 0, conf, &descriptors);
	logins = logins_new(&turn, &budgets, NULL, done);
	assert_non_null(logins);
	busy = true;
	verified[0] = '\0';
	refused = 0;
	return 0;
}

static int teardown(void **state)
{
	logins_free(logins);
	assert_int_equal(holdings_count(budgets.holdings, 0), 0);
	holdings_unmap(budgets.holdings);
	test_conf_free(*state);
	return 0;
}

/* Request `n`, as "a1x": of address a, its first, as user x.  Whether it waits. */
static bool ask(unsigned n, const char *text)
{
	struct exchange *x = &exchanges[n];
	uint8_t bytes[4] = {192, 0, 2, (uint8_t)text[0]};
	enum failure failure;
	bool waits;

	x->peer = address_from_bytes(AF_INET, bytes);
	x->req.target = slice_str(text);
	failure = logins_check(logins, x, &waits);
	assert_int_equal(failure, busy || waits ? FAILURE_TOO_MANY_LOGINS : FAILURE_NONE);
	return waits;
}

/* All of them, in turn. */
static const char *order(void)
{
	busy = false;
	while (logins_turn(logins) >= 0)
		;
	return verified;
}

static void a_verdict_reached_at_once_is_given_at_once(void **state)
{
	(void)state;
	busy = false;
	assert_false(ask(0, "a1x"));
	assert_int_equal(logins_turn(logins), -1);
}

static void one_address_waits_in_the_order_it_came(void **state)
{
	(void)state;
	assert_false(logins_wait(logins));
	assert_true(ask(0, "a1x"));
	assert_true(logins_wait(logins));
	assert_true(ask(1, "a2x"));
	assert_true(ask(2, "a3x"));
	assert_int_equal(logins_turn(logins), 100);
	assert_string_equal(order(), "a1x a2x a3x");
}

static void addresses_take_turns(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_true(ask(i, (const char *[]){"a1x", "a2x", "a3x", "a4x"}[i]));
	assert_true(ask(4, "b1x"));
	assert_true(ask(5, "b2x"));
	assert_true(ask(6, "c1x"));
	assert_string_equal(order(), "a1x b1x c1x a2x b2x a3x a4x");
}

static void names_of_an_address_take_turns(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_true(ask(i, (const char *[]){"a1x", "a2x", "a3x", "a4x"}[i]));
	assert_true(ask(4, "a5y"));
	assert_true(ask(5, "b6x"));
	assert_string_equal(order(), "a1x b6x a5y a2x a3x a4x");
}

static void no_newcomer_overtakes_one_that_waits(void **state)
{
	(void)state;
	assert_true(ask(0, "a1x"));
	busy = false;
	assert_true(ask(1, "a2x"));
	assert_string_equal(order(), "a1x a2x");
	assert_false(ask(2, "a3x"));
}

/* One that comes back as soon as it was told leaves a turn to others each time. */
static void who_comes_again_and_again_waits_again(void **state)
{
	(void)state;
	assert_true(ask(0, "a1x"));
	assert_true(ask(1, "a2x"));
	assert_true(ask(2, "b1x"));
	assert_true(ask(3, "b2x"));
	busy = false;
	logins_turn(logins);
	assert_true(ask(0, "a3x"));
	logins_turn(logins);
	assert_true(ask(2, "b3x"));
	assert_true(ask(4, "c1x"));
	assert_string_equal(order(), "a1x b1x a2x b2x c1x a3x b3x");
}

static void who_leaves_is_forgotten(void **state)
{
	(void)state;
	assert_true(ask(0, "a1x"));
	assert_true(ask(1, "b1x"));
	logins_leave(exchanges[0].login);
	assert_null(exchanges[0].login);
	assert_string_equal(order(), "b1x");
}

/* A newcomer has the place of those of its name that wait, also when these have gone. */
static void who_leaves_leaves_its_place(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_true(ask(i, (const char *[]){"a1x", "a2y", "a3x", "b1x"}[i]));
	busy = false;
	logins_turn(logins);
	logins_turn(logins);
	assert_string_equal(verified, "a1x b1x");
	assert_true(ask(4, "a4y"));
	logins_leave(exchanges[1].login);
	assert_string_equal(order(), "a1x b1x a4y a3x");
}

/* The same of addresses. */
static void an_address_keeps_its_place(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_true(ask(i, (const char *[]){"a1x", "b1x", "c1x", "a2x"}[i]));
	busy = false;
	logins_turn(logins);
	assert_true(ask(4, "c2x"));
	logins_leave(exchanges[2].login);
	assert_string_equal(order(), "a1x b1x c2x a2x");
}

static void who_waits_too_long_is_refused(void **state)
{
	(void)state;
	assert_true(ask(0, "a1x"));
	turn.now_ms += LOGINS_WAIT_MS - 50;
	assert_true(ask(1, "b1x"));
	assert_int_equal(logins_turn(logins), 50);
	turn.now_ms += 50;
	assert_int_equal(logins_turn(logins), 100);
	assert_int_equal(refused, 1);
	turn.now_ms += LOGINS_WAIT_MS;
	assert_int_equal(logins_turn(logins), -1);
	assert_int_equal(refused, 2);
}

static void one_address_leaves_room_for_others(void **state)
{
	unsigned count = 0;

	(void)state;
	while (count < MANY - 1 && ask(count, "a1x"))
		count++;
	assert_int_equal(count, 768);
	assert_true(ask(count, "b1x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_verdict_reached_at_once_is_given_at_once),
		TEST(one_address_waits_in_the_order_it_came),
		TEST(addresses_take_turns),
		TEST(names_of_an_address_take_turns),
		TEST(no_newcomer_overtakes_one_that_waits),
		TEST(who_comes_again_and_again_waits_again),
		TEST(who_leaves_is_forgotten),
		TEST(who_leaves_leaves_its_place),
		TEST(an_address_keeps_its_place),
		TEST(who_waits_too_long_is_refused),
		TEST(one_address_leaves_room_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
