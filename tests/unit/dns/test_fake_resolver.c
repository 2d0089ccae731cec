/* LINKS: proxy/base tests/doubles/fake_resolver.c */
/* The resolver that other tests use in place of the real one: it keeps the contract of resolver.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cache/base/diagnostic.h"
#include "tests/doubles/fake_resolver.h"

struct asked {
	unsigned calls;
	unsigned order; /* of its call among all */
	enum failure failure;
	struct addresses found;
};

static unsigned calls;

static void done(void *context, enum failure failure, const struct addresses *found)
{
	struct asked *asked = context;

	asked->calls++;
	asked->order = ++calls;
	asked->failure = failure;
	asked->found = *found;
	assert_int_equal(failure == FAILURE_NONE, found->count > 0);
}

static int setup(void **state)
{
	struct diagnostic error;

	calls = 0;
	*state = resolver_new(NULL, NULL, NULL, &error);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	resolver_free(*state);
	return 0;
}

static struct resolver_query *ask(struct resolver *resolver, const char *host, struct asked *asked)
{
	memset(asked, 0, sizeof(*asked));
	return resolver_start(resolver, slice_str(host), 0, done, asked);
}

static void answers_at_once(void **state)
{
	struct resolver *resolver = *state;
	struct asked asked;

	fake_resolver_tell(resolver, "web.example", "2001:db8::1 192.0.2.1", 0);
	fake_resolver_fail(resolver, "bad.example", FAILURE_DNS_TIMEOUT, 0);
	assert_null(ask(resolver, "WEB.example", &asked));
	assert_int_equal(asked.found.count, 2);
	assert_int_equal(asked.found.at[0].any.sa_family, AF_INET6);
	assert_null(ask(resolver, "bad.example", &asked));
	assert_int_equal(asked.failure, FAILURE_DNS_TIMEOUT);
	assert_null(ask(resolver, "192.0.2.9", &asked));
	assert_int_equal(asked.failure, FAILURE_NONE);
	assert_null(ask(resolver, "unknown.example", &asked));
	assert_int_equal(asked.failure, FAILURE_DNS_ERROR);
	assert_int_equal(fake_resolver_asked(resolver), 4);
	assert_int_equal(fake_resolver_waiting(resolver), 0);
}

static void answers_in_the_order_of_their_time(void **state)
{
	struct resolver *resolver = *state;
	struct asked slow, quick, second, never;

	fake_resolver_tell(resolver, "slow.example", "192.0.2.1", 100);
	fake_resolver_tell(resolver, "quick.example", "192.0.2.2", 10);
	fake_resolver_tell(resolver, "never.example", "192.0.2.3", FAKE_RESOLVER_NEVER);
	assert_non_null(ask(resolver, "never.example", &never));
	assert_non_null(ask(resolver, "slow.example", &slow));
	assert_non_null(ask(resolver, "quick.example", &quick));
	assert_non_null(ask(resolver, "quick.example", &second));
	fake_resolver_advance(resolver, 9);
	assert_int_equal(calls, 0);
	fake_resolver_advance(resolver, 1);
	assert_int_equal(quick.order, 1);
	assert_int_equal(second.order, 2);
	fake_resolver_advance(resolver, 1000000);
	assert_int_equal(slow.order, 3);
	assert_int_equal(never.calls, 0);
	assert_int_equal(fake_resolver_waiting(resolver), 1);
}

static void a_cancelled_query_is_not_called(void **state)
{
	struct resolver *resolver = *state;
	struct resolver_query *query;
	struct asked asked[2];

	fake_resolver_fail(resolver, "a.example", FAILURE_DNS_ERROR, 5);
	query = ask(resolver, "a.example", &asked[0]);
	ask(resolver, "a.example", &asked[1]);
	resolver_cancel(query);
	fake_resolver_advance(resolver, 5);
	assert_int_equal(asked[0].calls, 0);
	assert_int_equal(asked[1].calls, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(answers_at_once),
		TEST(answers_in_the_order_of_their_time),
		TEST(a_cancelled_query_is_not_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
