/* LINKS: proxy/origin tests/doubles/origin_world.c tests/doubles/fake_conn.c tests/doubles/fake_resolver.c tests/doubles/counted_memory.c */
/* From a host to a connection: which address wins and when, what is told of one that fails, and what is given back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/cause.h"
#include "proxy/base/log.h"
#include "proxy/stats/stats.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/fake_conn.h"
#include "tests/doubles/fake_resolver.h"
#include "tests/doubles/origin_world.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What came of it. */
struct asked {
	struct connector *connector;
	unsigned calls;
	enum failure failure;
	struct conn *conn;
	char to[ADDRESS_TEXT_SIZE], cause[256];
	enum address_source source;
	struct origin_times times;
};

static void nothing(void *owner)
{
	(void)owner;
}

static const struct conn_events owned = {
	.readable = nothing,
	.writable = nothing,
	.expired = nothing,
};

static void done(void *context, enum failure failure, struct conn *conn,
		 const struct destination *to)
{
	struct asked *asked = context;

	asked->calls++;
	asked->connector = NULL;
	asked->failure = failure;
	asked->conn = conn;
	assert_int_equal(failure == FAILURE_NONE, conn != NULL);
	assert_int_equal(failure == FAILURE_NONE, to != NULL);
	if (conn != NULL) {
		conn_own(conn, &owned, NULL);
		conn_watch(conn, false, false);
	}
	if (to != NULL) {
		address_format_port(&to->address, asked->to);
		asked->source = to->source;
	}
	snprintf(asked->cause, sizeof(asked->cause), "%s", cause_text());
}

static void start(struct asked *asked, const char *host, const char *socket)
{
	struct connector_target target = {.host = slice_str(host), .port = 80, .socket = socket};

	*asked = (struct asked){.calls = 0};
	world.turn.now_ms = fake_conn_now_ms();
	asked->connector = connector_start(&world.dialers.connectors, &target, WORLD_HOLDER,
					   &asked->times, done, asked);
	assert_non_null(asked->connector);
	assert_int_equal(asked->calls, 0);
	world_settle();
}

static void expect_failure(struct asked *asked, enum failure failure, const char *cause)
{
	assert_int_equal(asked->calls, 1);
	assert_string_equal(failure_name(asked->failure), failure_name(failure));
	assert_string_equal(asked->cause, cause);
	assert_string_equal(cause_text(), "");
}

/* It has won: its connection is the only one, and closed then. */
static void expect_connection(struct asked *asked, const char *to)
{
	assert_int_equal(asked->calls, 1);
	assert_int_equal(asked->failure, FAILURE_NONE);
	assert_string_equal(asked->to, to);
	assert_int_equal(fake_conn_open(), 1);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	conn_close(asked->conn);
}

static bool is_begun(unsigned n)
{
	return fake_peer_connected(n) != NULL;
}

static bool is_under_way(unsigned n)
{
	return is_begun(n) && fake_peer_connected(n)->conn != NULL;
}

static void decide(unsigned n, int error)
{
	assert_true(is_begun(n));
	fake_peer_decide(fake_peer_connected(n), error);
	world_settle();
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void the_first_address_that_is_reached(void **state)
{
	uint64_t connections = stats->origin_connections;
	uint64_t lookups = stats->origin_dns.count, lookups_us = stats->origin_dns.sum_us;
	uint64_t connects = stats->origin_connect.count, connects_us = stats->origin_connect.sum_us;
	struct asked asked;

	(void)state;
	for (unsigned i = 0; i < 2; i++) { /* connected at once, and in the next turn */
		start(&asked, "10.0.0.1", NULL);
		assert_int_equal(asked.source, FROM_HERE);
		expect_connection(&asked, "10.0.0.1:80");
	}
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2", 20);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	start(&asked, "a.test", NULL);
	world_pass(20);
	assert_true(is_begun(2) && !is_begun(3));
	world_pass(30);
	decide(2, 0);
	assert_int_equal(asked.source, FROM_NAME_SERVERS);
	assert_int_equal(asked.times.dns_us, 20000);
	assert_int_equal(asked.times.connect_us, 30000);
	assert_int_equal(fake_conn_next_ms() - fake_conn_now_ms(), WORLD_CONNECT_MS - 30);
	expect_connection(&asked, "10.0.0.1:80");
	assert_false(is_begun(3));
	assert_int_equal(stats->origin_connections - connections, 3);
	assert_int_equal(stats->origin_connect.count - connects, 3);
	assert_int_equal(stats->origin_connect.sum_us - connects_us, 30000);
	assert_int_equal(stats->origin_dns.count - lookups, 1); /* numbers are not looked up */
	assert_int_equal(stats->origin_dns.sum_us - lookups_us, 20000);
}

static void why_it_failed(void **state)
{
	static const struct {
		int error;
		enum failure failure;
	} cases[] = {
		{ECONNREFUSED, FAILURE_ORIGIN_REFUSED},
		{ECONNRESET, FAILURE_ORIGIN_REFUSED},
		{ENOENT, FAILURE_ORIGIN_REFUSED},
		{ETIMEDOUT, FAILURE_CONNECT_TIMEOUT},
		{EMFILE, FAILURE_TOO_MANY_ORIGIN},
		{ENFILE, FAILURE_TOO_MANY_ORIGIN},
		{ENOMEM, FAILURE_TOO_MANY_ORIGIN},
		{ENOBUFS, FAILURE_TOO_MANY_ORIGIN},
		{EADDRNOTAVAIL, FAILURE_TOO_MANY_ORIGIN},
		{EHOSTUNREACH, FAILURE_ORIGIN_UNREACHABLE},
		{ENETUNREACH, FAILURE_ORIGIN_UNREACHABLE},
		{EACCES, FAILURE_ORIGIN_UNREACHABLE},
	};
	struct asked asked;
	char cause[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(cause, sizeof(cause), "connect to 10.0.0.1:80: %s",
			 strerror(cases[i].error));
		fake_conn_connects(cases[i].error);
		start(&asked, "10.0.0.1", NULL);
		expect_failure(&asked, cases[i].failure, cause);
		fake_conn_fail(0, cases[i].error); /* it could not begin */
		start(&asked, "10.0.0.1", NULL);
		assert_true(fake_conn_fail_never());
		expect_failure(&asked, cases[i].failure, cause);
	}
}

/* Of several the last; and what no system has said. */
static void what_is_told_of_it(void **state)
{
	uint64_t lookups = stats->origin_dns.count, connects = stats->origin_connect.count;
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 169.254.169.254", 0);
	fake_conn_connects(ECONNREFUSED);
	start(&asked, "a.test", NULL);
	expect_failure(&asked, FAILURE_DENIED_RESERVED, "address 169.254.169.254:80");
	fake_resolver_tell(world.resolver, "b.test", "169.254.169.254 10.0.0.1", 0);
	start(&asked, "b.test", NULL);
	expect_failure(&asked, FAILURE_ORIGIN_REFUSED,
		       "connect to 10.0.0.1:80: Connection refused");
	fake_resolver_fail(world.resolver, "none.test", FAILURE_DNS_TIMEOUT, 10);
	start(&asked, "none.test", NULL);
	world_pass(10);
	expect_failure(&asked, FAILURE_DNS_TIMEOUT, "");
	assert_int_equal(asked.times.dns_us, 10000);
	assert_int_equal(asked.times.connect_us, 0);
	start(&asked, "unknown.test", NULL); /* at once */
	expect_failure(&asked, FAILURE_DNS_ERROR, "");
	assert_int_equal(stats->origin_dns.count,
			 lookups); /* those that succeed are timed for all */
	assert_int_equal(stats->origin_connect.count, connects);
}

/* To who looks for something, of each address but the last; to others of none. */
static void each_address_is_told_at_debug(void **state)
{
	const char *const line =
		"connect to 10.0.0.1:80: Connection refused; another address is tried\n";
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	char text[1024] = "";
	struct asked asked;

	(void)state;
	assert_true(file != NULL && saved >= 0);
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 169.254.169.254 10.0.0.3", 0);
	fake_conn_connects(ECONNREFUSED);
	dup2(fileno(file), STDERR_FILENO);
	start(&asked, "a.test", NULL);
	log_set_level(LOG_LEVEL_DEBUG);
	start(&asked, "a.test", NULL);
	log_set_level(LOG_LEVEL_INFO);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_non_null(strstr(text, line));
	assert_null(strstr(strstr(text, line) + 1, line)); /* once, at debug alone */
	assert_non_null(strstr(text, "connect to 169.254.169.254:80: "));
	assert_null(strstr(text, "10.0.0.3"));
}

/* As they are given, each to the port that is asked for. */
static void addresses_of_both_families(void **state)
{
	static const char *const to[] = {"[2001:4860:4860::8888]:80", "10.0.0.1:80",
					 "[2001:4860:4860::8844]:80"};
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "a.test",
			   "2001:4860:4860::8888 10.0.0.1 2001:4860:4860::8844", 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	start(&asked, "a.test", NULL);
	for (unsigned i = 0; i < COUNT(to); i++) {
		char text[ADDRESS_TEXT_SIZE];

		assert_true(is_under_way(i) && !is_begun(i + 1));
		address_format_port(&fake_peer_connected(i)->address, text);
		assert_string_equal(text, to[i]);
		decide(i, i + 1 < COUNT(to) ? EHOSTUNREACH : 0);
	}
	expect_connection(&asked, to[2]);
	fake_conn_connects(ECONNREFUSED);
	start(&asked, "2001:4860:4860::8888", NULL);
	expect_failure(&asked, FAILURE_ORIGIN_REFUSED,
		       "connect to [2001:4860:4860::8888]:80: Connection refused");
}

/* Another is tried at once, be it the first or one that races. */
static void one_that_cannot_begin(void **state)
{
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2 10.0.0.3", 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	fake_conn_fail(0, EHOSTUNREACH);
	start(&asked, "a.test", NULL);
	assert_true(is_under_way(0) && !is_begun(1));
	fake_conn_fail(0, EHOSTUNREACH);
	world_pass(CONNECTOR_STAGGER_MS);
	assert_false(is_begun(1)); /* it was the last one */
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	assert_int_equal(fake_conn_next_ms() - fake_conn_now_ms(),
			 WORLD_CONNECT_MS - CONNECTOR_STAGGER_MS);
	decide(0, 0);
	expect_connection(&asked, "10.0.0.2:80");
	start(&asked, "10.0.0.1", NULL); /* no other: it has all the time */
	assert_int_equal(fake_conn_next_ms() - fake_conn_now_ms(), WORLD_CONNECT_MS);
	decide(1, 0);
	expect_connection(&asked, "10.0.0.1:80");
}

/* The last millisecond is one, too. */
static void what_is_left_after_the_stagger(void **state)
{
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2", 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	for (int more = 0; more < 2; more++) {
		world_set(more ? "connect_timeout=251ms" : "connect_timeout=250ms");
		start(&asked, "a.test", NULL);
		world_pass(CONNECTOR_STAGGER_MS);
		assert_int_equal(asked.calls, !more);
		assert_int_equal(is_begun(2), more);
		world_pass(1);
		assert_int_equal(asked.failure, FAILURE_CONNECT_TIMEOUT);
	}
}

/* Each 250 ms another; the second wins, and the others are closed. */
static void slow_addresses_race(void **state)
{
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2 10.0.0.3", 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	start(&asked, "a.test", NULL);
	world_pass(CONNECTOR_STAGGER_MS - 1);
	assert_false(is_begun(1));
	world_pass(1);
	assert_true(is_under_way(0) && is_under_way(1));
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 1);
	world_pass(CONNECTOR_STAGGER_MS - 1);
	assert_false(is_begun(2));
	world_pass(1);
	assert_true(is_under_way(2));
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 2);
	decide(1, 0);
	assert_false(is_under_way(0) || is_under_way(2));
	assert_int_equal(asked.times.connect_us, 2000 * CONNECTOR_STAGGER_MS);
	/* until the time for connecting is over, it is its owner's */
	assert_int_equal(fake_conn_next_ms() - fake_conn_now_ms(),
			 WORLD_CONNECT_MS - 2 * CONNECTOR_STAGGER_MS);
	expect_connection(&asked, "10.0.0.2:80");
}

static void one_that_fails_makes_way_at_once(void **state)
{
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2 10.0.0.3", 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	start(&asked, "a.test", NULL);
	decide(0, ECONNREFUSED);
	assert_true(is_under_way(1) && !is_begun(2));
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	world_pass(CONNECTOR_STAGGER_MS);
	assert_true(is_under_way(2));
	decide(2, EHOSTUNREACH);
	assert_int_equal(asked.calls, 0);
	assert_int_equal(budget_used(&world.budgets, BUDGET_EXTRAS, 0), 0);
	decide(1, ECONNREFUSED);
	expect_failure(&asked, FAILURE_ORIGIN_REFUSED,
		       "connect to 10.0.0.2:80: Connection refused");
}

static void time_is_up_for_all(void **state)
{
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2", 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	start(&asked, "a.test", NULL);
	world_pass(WORLD_CONNECT_MS - 1);
	assert_true(is_under_way(0) && is_under_way(1) && !is_begun(2));
	assert_int_equal(asked.calls, 0);
	world_pass(1);
	assert_int_equal(asked.calls, 1);
	assert_int_equal(asked.failure, FAILURE_CONNECT_TIMEOUT);
	expect_failure(&asked, FAILURE_CONNECT_TIMEOUT, "address 10.0.0.2:80");
	assert_int_equal(asked.times.connect_us, WORLD_CONNECT_MS * 1000);
	/* what became of the others before is not told */
	start(&asked, "a.test", NULL);
	decide(2, ECONNREFUSED);
	world_pass(WORLD_CONNECT_MS);
	expect_failure(&asked, FAILURE_CONNECT_TIMEOUT, "address 10.0.0.2:80");
}

/* What is left when the last one begins is all it has. */
static void none_begins_when_time_is_up(void **state)
{
	struct asked asked;
	char addresses[256] = "";

	(void)state;
	for (unsigned i = 1; i <= 6; i++)
		sprintf(addresses + strlen(addresses), "10.0.0.%u ", i);
	fake_resolver_tell(world.resolver, "a.test", addresses, 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	start(&asked, "a.test", NULL);
	world_pass(WORLD_CONNECT_MS - 1);
	assert_true(is_begun(3) && !is_begun(4));
	world_pass(1);
	assert_int_equal(asked.failure, FAILURE_CONNECT_TIMEOUT);
	assert_false(is_begun(4));
	/* nor when the last one fails in that moment */
	fake_resolver_tell(world.resolver, "b.test", "10.0.0.1 10.0.0.2", 0);
	world.descriptors.extras = 0;
	world_share_out();
	start(&asked, "b.test", NULL);
	fake_peer_decide(fake_peer_connected(4), ECONNREFUSED);
	fake_conn_pass(WORLD_CONNECT_MS);
	world_settle();
	expect_failure(&asked, FAILURE_ORIGIN_REFUSED,
		       "connect to 10.0.0.1:80: Connection refused");
	assert_false(is_begun(5));
}

static void as_many_addresses_as_there_is_room_for(void **state)
{
	char addresses[ADDRESSES_MAX * 16] = "";
	struct asked asked;

	(void)state;
	for (unsigned i = 1; i <= ADDRESSES_MAX; i++)
		sprintf(addresses + strlen(addresses), "10.0.0.%u ", i);
	fake_resolver_tell(world.resolver, "a.test", addresses, 0);
	fake_conn_connects(ECONNREFUSED);
	start(&asked, "a.test", NULL);
	snprintf(addresses, sizeof(addresses), "connect to 10.0.0.%d:80: Connection refused",
		 ADDRESSES_MAX);
	expect_failure(&asked, FAILURE_ORIGIN_REFUSED, addresses);
	assert_true(is_begun(ADDRESSES_MAX - 1) && !is_begun(ADDRESSES_MAX));
}

/* Without room for one that races, the first has the time of all. */
static void extras_are_left_out_without_room(void **state)
{
	uint64_t refused = stats->extras_refused;
	struct asked asked;

	(void)state;
	world.descriptors.extras = 0;
	world_share_out();
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2", 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	start(&asked, "a.test", NULL);
	world_pass(WORLD_CONNECT_MS - 1);
	assert_int_equal(stats->extras_refused - refused, 1);
	assert_true(is_under_way(0) && !is_begun(1));
	decide(0, ECONNREFUSED);
	assert_true(is_under_way(1));
	decide(1, 0);
	assert_int_equal(stats->extras_refused - refused, 1);
	expect_connection(&asked, "10.0.0.2:80");
}

/* An address of this machine that it did not have when it began to listen. */
static void the_proxy_itself_is_no_origin(void **state)
{
	struct connector_target target = {.host = SLICE("10.0.0.1"), .port = 3128};
	struct asked asked = {.calls = 0};

	(void)state;
	world.is_own = true;
	asked.connector = connector_start(&world.dialers.connectors, &target, WORLD_HOLDER,
					  &asked.times, done, &asked);
	world_settle();
	expect_failure(&asked, FAILURE_OWN_ADDRESS, "address 10.0.0.1:3128");
	start(&asked, "10.0.0.1", NULL); /* another port of it */
	expect_connection(&asked, "10.0.0.1:80");
	world.is_own = false;
	asked = (struct asked){.calls = 0};
	connector_start(&world.dialers.connectors, &target, WORLD_HOLDER, &asked.times, done,
			&asked);
	world_settle();
	expect_connection(&asked, "10.0.0.1:3128");
}

/* The kernel does not wait for room in the queue of a Unix socket: it is tried again. */
static void a_full_queue_is_tried_again(void **state)
{
	struct asked asked;

	(void)state;
	fake_conn_fail(0, EAGAIN);
	start(&asked, "app.test", "/run/app");
	world_pass(9);
	assert_false(is_begun(0));
	fake_conn_fail(0, EAGAIN);
	world_pass(1);
	assert_true(fake_conn_fail_never());
	assert_false(is_begun(0));
	world_pass(10);
	assert_int_equal(asked.calls, 1);
	assert_int_equal(asked.source, FROM_HERE);
	assert_string_equal(fake_peer_connected(0)->path, "/run/app");
	assert_string_equal(asked.to, "unix:");
	assert_int_equal(asked.times.connect_us, 20000);
	conn_close(asked.conn);
	/* not when time is up */
	fake_conn_fail(0, EAGAIN);
	start(&asked, "app.test", "/run/app");
	for (unsigned i = 1; i < WORLD_CONNECT_MS / 10; i++) {
		assert_int_equal(asked.calls, 0);
		fake_conn_fail(0, EAGAIN);
		world_pass(10);
	}
	expect_failure(&asked, FAILURE_ORIGIN_UNREACHABLE,
		       "connect to unix:/run/app: Resource temporarily unavailable");
	/* nor any other error, nor of another kind of address */
	fake_conn_fail(0, ENOENT);
	start(&asked, "app.test", "/run/app");
	expect_failure(&asked, FAILURE_ORIGIN_REFUSED,
		       "connect to unix:/run/app: No such file or directory");
	fake_conn_fail(0, EAGAIN);
	start(&asked, "10.0.0.1", NULL);
	expect_failure(&asked, FAILURE_ORIGIN_UNREACHABLE,
		       "connect to 10.0.0.1:80: Resource temporarily unavailable");
}

/* So many in each turn, and the others in the next ones. */
static void a_crowd_goes_on_in_shares(void **state)
{
	struct asked asked[5];

	(void)state;
	world.turn.steps_max = 2;
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1", 10);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	for (unsigned i = 0; i < COUNT(asked); i++)
		start(&asked[i], "a.test", NULL);
	fake_conn_pass(10);
	world.turn.now_ms = fake_conn_now_ms();
	turn_begin(&world.turn);
	fake_resolver_advance(world.resolver, 10);
	assert_true(is_begun(1) && !is_begun(2));
	world_settle();
	assert_true(is_begun(4) && !is_begun(5));
	for (unsigned i = 0; i < COUNT(asked); i++) {
		assert_int_equal(asked[i].times.dns_us, 10000);
		connector_cancel(asked[i].connector);
		assert_int_equal(asked[i].calls, 0);
	}
}

/* In each of its steps. */
static void what_is_cancelled_is_not_told(void **state)
{
	struct asked asked;

	(void)state;
	fake_resolver_tell(world.resolver, "slow.test", "10.0.0.1", FAKE_RESOLVER_NEVER);
	start(&asked, "slow.test", NULL);
	assert_int_equal(fake_resolver_waiting(world.resolver), 1);
	connector_cancel(asked.connector);
	assert_int_equal(fake_resolver_waiting(world.resolver), 0);
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	fake_resolver_tell(world.resolver, "a.test", "10.0.0.1 10.0.0.2", 0);
	start(&asked, "a.test", NULL);
	world_pass(CONNECTOR_STAGGER_MS);
	assert_true(is_under_way(1));
	connector_cancel(asked.connector);
	assert_int_equal(fake_conn_open(), 0);
	fake_conn_fail(0, EAGAIN);
	start(&asked, "app.test", "/run/app");
	connector_cancel(asked.connector);
	world_pass(100);
	assert_false(is_begun(2));
	/* with its failure on the way */
	asked.connector = connector_start(&world.dialers.connectors,
					  &(struct connector_target){.host = SLICE("none.test")},
					  WORLD_HOLDER, &asked.times, done, &asked);
	connector_cancel(asked.connector);
	world_settle();
	assert_int_equal(asked.calls, 0);
}

static void without_memory_it_does_not_begin(void **state)
{
	struct connector_target target = {.host = SLICE("10.0.0.1"), .port = 80};
	struct asked asked = {.calls = 0};

	(void)state;
	if (!fail_allocation(0))
		skip();
	assert_null(connector_start(&world.dialers.connectors, &target, WORLD_HOLDER, &asked.times,
				    done, &asked));
	fail_no_allocation();
	world_settle();
	assert_int_equal(asked.calls, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
	const struct CMUnitTest tests[] = {
		TEST(the_first_address_that_is_reached),
		TEST(why_it_failed),
		TEST(what_is_told_of_it),
		TEST(each_address_is_told_at_debug),
		TEST(addresses_of_both_families),
		TEST(one_that_cannot_begin),
		TEST(what_is_left_after_the_stagger),
		TEST(slow_addresses_race),
		TEST(one_that_fails_makes_way_at_once),
		TEST(time_is_up_for_all),
		TEST(none_begins_when_time_is_up),
		TEST(as_many_addresses_as_there_is_room_for),
		TEST(extras_are_left_out_without_room),
		TEST(the_proxy_itself_is_no_origin),
		TEST(a_full_queue_is_tried_again),
		TEST(a_crowd_goes_on_in_shares),
		TEST(what_is_cancelled_is_not_told),
		TEST(without_memory_it_does_not_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
