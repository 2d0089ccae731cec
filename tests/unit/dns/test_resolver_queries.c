/* LINKS: proxy/dns */
/* Queries of the resolver: shared, cancelled, at their bounds, and left over when it is freed. */
#include "cache/base/diagnostic.h"
#include "tests/support/resolver_fixture.h"
#include "proxy/stats/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct name_row rows[] = {
	{.name = "web.example", .type = NAME_A, .addresses = "192.0.2.1", .ttl = 60},
	{.name = "web.example", .type = NAME_AAAA, .ttl = 60},
	{.name = "other.example", .type = NAME_A, .addresses = "192.0.2.2", .ttl = 60},
	{.name = "other.example", .type = NAME_AAAA, .ttl = 60},
	{.name = "late.example", .type = NAME_A, .addresses = "192.0.2.3", .ttl = 60},
	{.name = "late.example", .type = NAME_AAAA, .trick = TRICK_SILENCE},
	{.name = "large.example", .type = NAME_A, .trick = TRICK_TCP_SILENCE},
	{.name = "large.example", .type = NAME_AAAA, .trick = TRICK_TCP_SILENCE},
	{.name = "mute.example", .type = NAME_A, .trick = TRICK_SILENCE},
	{.name = "mute.example", .type = NAME_AAAA, .trick = TRICK_SILENCE},
	{.name = NULL},
};

static void one_look_up_serves_all_who_ask(void **state)
{
	static const char *const hosts[] = {"web.example", "WEB.example", "web.example."};
	struct fixture *fixture = *state;
	struct asked asked[COUNT(hosts)];
	uint64_t before = stats->dns_lookups;

	resolver_fixture_open(fixture, rows);
	for (size_t i = 0; i < COUNT(hosts); i++)
		resolver_fixture_start(fixture, hosts[i], &asked[i]);
	for (size_t i = 0; i < COUNT(hosts); i++) {
		resolver_fixture_wait(&asked[i]);
		assert_int_equal(asked[i].calls, 1);
		assert_string_equal(asked[i].addresses, "192.0.2.1");
	}
	assert_int_equal(resolver_fixture_questions(fixture), 2);
	assert_int_equal(stats->dns_lookups - before, 1);
}

static void a_cancelled_query_is_not_called(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked[3];

	resolver_fixture_open(fixture, rows);
	for (size_t i = 0; i < COUNT(asked); i++)
		resolver_fixture_start(fixture, "web.example", &asked[i]);
	resolver_cancel(asked[1].query);
	resolver_fixture_wait(&asked[2]);
	assert_int_equal(asked[0].calls, 1);
	assert_int_equal(asked[1].calls, 0);
	assert_int_equal(asked[2].calls, 1);
}

static void a_look_up_goes_on_when_all_are_cancelled(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked[2];

	resolver_fixture_open(fixture, rows);
	for (size_t i = 0; i < COUNT(asked); i++) {
		resolver_fixture_start(fixture, "web.example", &asked[i]);
		resolver_cancel(asked[i].query);
	}
	resolver_fixture_run(fixture, 0.05);
	assert_int_equal(resolver_fixture_questions(fixture), 2);
	assert_int_equal(asked[0].calls + asked[1].calls, 0);
	resolver_fixture_start(fixture, "web.example", &asked[0]);
	assert_int_equal(asked[0].calls, 1);
	assert_string_equal(asked[0].addresses, "192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 0);
}

/* A query whose callback does more. */
struct busy {
	struct asked asked; /* first: resolver_fixture_done() gets a pointer to it */
	struct asked *cancel;
	const char *host;
	struct asked next;
};

static void busy_done(void *context, enum failure failure, const struct addresses *found)
{
	struct busy *busy = context;

	resolver_fixture_done(&busy->asked, failure, found);
	if (busy->cancel != NULL && busy->cancel->query) {
		resolver_cancel(busy->cancel->query);
		busy->cancel->query = NULL;
	}
	if (busy->host)
		resolver_fixture_start(busy->asked.fixture, busy->host, &busy->next);
}

static void start_busy(struct fixture *fixture, const char *host, struct busy *busy)
{
	busy->asked = (struct asked){.fixture = fixture};
	busy->asked.query =
		resolver_start(fixture->resolver, slice_str(host), 0, busy_done, &busy->asked);
}

static void a_callback_may_cancel_others(void **state)
{
	struct fixture *fixture = *state;
	struct asked before, after, elsewhere;
	struct busy busy = {.cancel = &after};
	struct busy too = {.cancel = &elsewhere};

	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "mute.example", &elsewhere);
	resolver_fixture_start(fixture, "web.example", &before);
	start_busy(fixture, "web.example", &busy);
	start_busy(fixture, "web.example", &too);
	resolver_fixture_start(fixture, "web.example", &after);
	resolver_fixture_run(fixture, 0.05);
	assert_int_equal(before.calls, 1);
	assert_int_equal(busy.asked.calls, 1);
	assert_int_equal(too.asked.calls, 1);
	assert_int_equal(after.calls, 0);
	resolver_fixture_run(fixture, 1.1); /* mute.example ends without anybody */
	assert_int_equal(elsewhere.calls, 0);
}

static void a_callback_may_ask(void **state)
{
	static const char *const hosts[] = {"web.example", "other.example", "late.example",
					    "192.0.2.9", "no.example"};
	struct fixture *fixture = *state;
	struct busy busy[COUNT(hosts)];

	resolver_fixture_open(fixture, rows);
	for (size_t i = 0; i < COUNT(hosts); i++) {
		busy[i] = (struct busy){.host = hosts[i]};
		start_busy(fixture, i % 2 ? "late.example" : "web.example", &busy[i]);
	}
	for (size_t i = 0; i < COUNT(hosts); i++) {
		resolver_fixture_wait(&busy[i].asked);
		resolver_fixture_wait(&busy[i].next);
		assert_int_equal(busy[i].asked.calls, 1);
		assert_int_equal(busy[i].next.calls, 1);
	}
	assert_string_equal(busy[1].next.addresses, "192.0.2.2");
	assert_string_equal(busy[2].next.addresses, "192.0.2.3");
	assert_int_equal(busy[4].next.failure, FAILURE_DNS_ERROR);
}

/* With nothing kept, the same name asked in its own callback is another look-up. */
static void a_callback_may_ask_for_the_same_name_anew(void **state)
{
	struct fixture *fixture = *state;
	struct busy busy = {.host = "web.example"};

	resolver_fixture_set(fixture, "dns_cache", "0");
	resolver_fixture_open(fixture, rows);
	start_busy(fixture, "web.example", &busy);
	resolver_fixture_wait(&busy.asked);
	assert_int_equal(busy.next.calls, 0);
	resolver_fixture_wait(&busy.next);
	assert_string_equal(busy.next.addresses, "192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 4);
}

static void freeing_ends_what_is_under_way(void **state)
{
	static const char *const hosts[] = {"mute.example", "web.example", "late.example",
					    "large.example"};
	struct fixture *fixture = *state;
	struct asked asked[2 * COUNT(hosts)];
	struct asked late;

	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "late.example", &late);
	resolver_fixture_wait(&late); /* answered, and still waiting for AAAA */
	resolver_fixture_start(fixture, "large.example", &asked[0]);
	while (name_server_questions(fixture->server, true) == 0)
		ev_run(fixture->loop, EVRUN_ONCE);
	for (size_t i = 0; i < COUNT(asked); i++) {
		bool is_late = strcmp(hosts[i % COUNT(hosts)], "late.example") == 0;

		resolver_fixture_start(fixture, hosts[i % COUNT(hosts)], &asked[i]);
		assert_int_equal(asked[i].calls, is_late);
	}
	resolver_free(fixture->resolver);
	fixture->resolver = NULL;
	resolver_fixture_run(fixture, 0.02);
	for (size_t i = 0; i < COUNT(asked); i++)
		assert_int_equal(asked[i].calls, asked[i].query == NULL); /* none but those */
}

static void look_ups_under_way_are_limited(void **state)
{
	enum { LIMIT = 5 };
	struct fixture *fixture = *state;
	struct asked asked[LIMIT + 1], again, known;
	char host[32];

	resolver_fixture_set(fixture, "dns_lookups", "5");
	resolver_fixture_set(fixture, "dns_timeout", "300ms");
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "web.example", &known);
	resolver_fixture_wait(&known);
	/* Names without a row do not exist; nothing is answered before the loop runs. */
	for (int i = 0; i <= LIMIT; i++) {
		snprintf(host, sizeof(host), "h%d.example", i);
		resolver_fixture_start(fixture, host, &asked[i]);
		assert_int_equal(asked[i].calls, i == LIMIT);
	}
	assert_int_equal(asked[LIMIT].failure, FAILURE_TOO_MANY_LOOKUPS);
	/* What needs no further look-up is answered all the same. */
	resolver_fixture_start(fixture, "h0.example", &again);
	resolver_fixture_start(fixture, "web.example", &known);
	assert_string_equal(known.addresses, "192.0.2.1");
	resolver_fixture_start(fixture, "192.0.2.7", &known);
	assert_string_equal(known.addresses, "192.0.2.7");
	resolver_fixture_wait(&again);
	assert_int_equal(again.failure, FAILURE_DNS_ERROR);
	/* One is over, there is room for one. */
	resolver_fixture_wait(&asked[1]);
	assert_string_equal(resolver_fixture_ask(fixture, "other.example"), "192.0.2.2");
	for (int i = 0; i < LIMIT; i++)
		resolver_fixture_wait(&asked[i]);
}

static void queries_for_one_name_are_limited(void **state)
{
	struct fixture *fixture = *state;
	enum { LIMIT = 100 };
	struct asked asked[LIMIT + 1];
	unsigned calls = 0;

	resolver_fixture_set(fixture, "clients_max", "100");
	resolver_fixture_open(fixture, rows);
	for (unsigned i = 0; i < LIMIT; i++) {
		resolver_fixture_start(fixture, "web.example", &asked[i]);
		assert_int_equal(asked[i].calls, 0);
	}
	resolver_fixture_start(fixture, "web.example", &asked[LIMIT]);
	assert_int_equal(asked[LIMIT].failure, FAILURE_TOO_MANY_LOOKUPS);
	resolver_cancel(asked[0].query);
	resolver_fixture_start(fixture, "web.example", &asked[0]);
	assert_int_equal(asked[0].calls, 0);
	resolver_fixture_wait(&asked[0]);
	for (unsigned i = 0; i < LIMIT; i++)
		calls += asked[i].calls;
	assert_int_equal(calls, LIMIT);
}

/* Ask for a name of a silent zone: whether that was refused at once. */
static bool is_refused(struct fixture *fixture, const char *host, struct asked *ret_asked)
{
	resolver_fixture_start(fixture, host, ret_asked);
	if (ret_asked->calls == 0)
		return false;
	assert_int_equal(ret_asked->failure, FAILURE_TOO_MANY_LOOKUPS);
	return true;
}

/* Names without a row do not exist, but nothing is answered before the loop runs. */
static void a_zone_has_a_part_of_the_look_ups(void **state)
{
	enum { LIMIT = 16 };
	struct fixture *fixture = *state;
	struct asked asked[4 * LIMIT];
	unsigned count = 0;
	char host[64];

	resolver_fixture_set(fixture, "dns_lookups", "16");
	resolver_fixture_set(fixture, "dns_timeout", "300ms");
	resolver_fixture_open(fixture, rows);
	for (unsigned i = 0; i < LIMIT; i++) { /* half of all */
		snprintf(host, sizeof(host), "n%u.evil.example", i);
		assert_int_equal(is_refused(fixture, host, &asked[count++]), i >= LIMIT / 2);
	}
	for (unsigned i = 0; i < LIMIT; i++) { /* a quarter */
		snprintf(host, sizeof(host), "n%u.evil.co.uk", i);
		assert_int_equal(is_refused(fixture, host, &asked[count++]), i >= LIMIT / 4);
	}
	assert_false(is_refused(fixture, "a.good.co.uk", &asked[count++]));
	assert_false(is_refused(fixture, "www.good.example", &asked[count++]));
	assert_false(is_refused(fixture, "www.xvil.example", &asked[count++])); /* another */
	for (unsigned i = 0; i < count; i++)
		resolver_fixture_wait(&asked[i]);
}

static void a_client_has_a_part_of_the_look_ups(void **state)
{
	enum { LIMIT = 16 };
	struct fixture *fixture = *state;
	struct asked asked[2 * LIMIT];
	unsigned count = 0;
	char host[64];

	resolver_fixture_set(fixture, "dns_lookups", "16");
	resolver_fixture_set(fixture, "dns_timeout", "300ms");
	resolver_fixture_open(fixture, rows);
	fixture->holder = 1;
	for (unsigned i = 0; i < LIMIT; i++) {
		snprintf(host, sizeof(host), "n%u.example", i);
		assert_int_equal(is_refused(fixture, host, &asked[count++]), i >= LIMIT * 3 / 4);
	}
	fixture->holder = 2;
	for (unsigned i = 0; i < LIMIT; i++) {
		snprintf(host, sizeof(host), "m%u.example", i);
		assert_int_equal(is_refused(fixture, host, &asked[count++]), i >= LIMIT / 8);
	}
	for (unsigned i = 0; i < count; i++)
		resolver_fixture_wait(&asked[i]);
}

/* Two silent hosts of a zone may be one client's, who must not have the zone. */
static void a_client_has_a_part_of_a_zone(void **state)
{
	enum { LIMIT = 32 };
	struct fixture *fixture = *state;
	struct asked asked[2 * LIMIT + 1];
	unsigned count = 0;
	char host[64];

	resolver_fixture_set(fixture, "dns_lookups", "32");
	resolver_fixture_set(fixture, "dns_timeout", "300ms");
	resolver_fixture_open(fixture, rows);
	fixture->holder = 1;
	for (unsigned i = 0; i < 2 * LIMIT; i++) {
		snprintf(host, sizeof(host), "n%u.evil%u.co.uk", i, i % 4);
		is_refused(fixture, host, &asked[count++]);
	}
	fixture->holder = 2;
	assert_false(is_refused(fixture, "www.good.co.uk", &asked[count++]));
	for (unsigned i = 0; i < count; i++)
		resolver_fixture_wait(&asked[i]);
}

/* Silent zones, each asked for by a client of its own, and then more of either. */
static void many_zones_and_clients_leave_some_look_ups(void **state)
{
	enum { LIMIT = 64, CLIENTS = 8 };
	struct fixture *fixture = *state;
	struct asked asked[CLIENTS * LIMIT + 1];
	unsigned count = 0;
	char host[64];

	resolver_fixture_set(fixture, "dns_lookups", "64");
	resolver_fixture_set(fixture, "dns_timeout", "300ms");
	resolver_fixture_open(fixture, rows);
	for (unsigned client = 0; client < CLIENTS; client++) {
		fixture->holder = 1 + client;
		for (unsigned i = 0; i < LIMIT; i++) {
			snprintf(host, sizeof(host), "a.n%u.silent%u.example", i, client);
			is_refused(fixture, host, &asked[count++]);
		}
	}
	fixture->holder = 100;
	assert_false(is_refused(fixture, "www.good.example", &asked[count++]));
	for (unsigned i = 0; i < count; i++)
		resolver_fixture_wait(&asked[i]);
}

/* A look-up goes on when who asked has left, unless somebody else needs its place. */
static void an_unwanted_look_up_makes_way(void **state)
{
	struct fixture *fixture = *state;
	uint64_t before = stats->lookups_dropped;
	struct asked asked[6];
	char host[64];

	resolver_fixture_set(fixture, "dns_lookups", "4");
	resolver_fixture_open(fixture, rows);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(host, sizeof(host), "n%u.example", i);
		assert_false(is_refused(fixture, host, &asked[i]));
	}
	assert_true(is_refused(fixture, "n4.example", &asked[4]));
	resolver_cancel(asked[1].query);
	resolver_cancel(asked[2].query);
	assert_false(is_refused(fixture, "n4.example", &asked[4])); /* in the place of n1 */
	resolver_fixture_start(fixture, "n2.example", &asked[2]);   /* is wanted again */
	assert_int_equal(asked[2].calls, 0);
	assert_true(is_refused(fixture, "n5.example", &asked[5]));
	assert_int_equal(stats->lookups_dropped - before, 1);
	for (unsigned i = 0; i < 6; i++)
		if (i != 1)
			resolver_fixture_wait(&asked[i]);
}

/* From the middle, the end and the beginning of those that nobody waited for. */
static void they_are_wanted_again_in_any_order(void **state)
{
	static const unsigned order[] = {2, 4, 0, 3, 1};
	struct fixture *fixture = *state;
	uint64_t before = stats->lookups_dropped;
	struct asked asked[COUNT(order)];
	char host[64];

	resolver_fixture_open(fixture, rows);
	for (unsigned i = 0; i < COUNT(order); i++) {
		snprintf(host, sizeof(host), "n%u.example", i);
		assert_false(is_refused(fixture, host, &asked[i]));
	}
	for (unsigned i = 0; i < COUNT(order); i++)
		resolver_cancel(asked[i].query);
	for (unsigned i = 0; i < COUNT(order); i++) {
		snprintf(host, sizeof(host), "n%u.example", order[i]);
		assert_false(is_refused(fixture, host, &asked[order[i]]));
	}
	for (unsigned i = 0; i < COUNT(order); i++) {
		resolver_fixture_wait(&asked[i]);
		assert_int_equal(asked[i].failure, FAILURE_DNS_ERROR);
	}
	assert_int_equal(resolver_fixture_questions(fixture), 2 * COUNT(order));
	assert_int_equal(stats->lookups_dropped - before, 0);
}

/* So does one that has answered, and waits for AAAA alone. */
static void an_answered_look_up_makes_way(void **state)
{
	struct fixture *fixture = *state;
	uint64_t before = stats->lookups_dropped;
	struct asked asked[5];
	char host[64];

	resolver_fixture_set(fixture, "dns_lookups", "4");
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "late.example", &asked[0]);
	resolver_fixture_wait(&asked[0]);
	assert_string_equal(asked[0].addresses, "192.0.2.3");
	for (unsigned i = 1; i < 5; i++) {
		snprintf(host, sizeof(host), "n%u.example", i);
		assert_false(is_refused(fixture, host, &asked[i]));
	}
	assert_int_equal(stats->lookups_dropped - before, 1);
	for (unsigned i = 1; i < 5; i++)
		resolver_fixture_wait(&asked[i]);
}

/* One look-up may need several: what it may not have any more is a server that it does not ask. */
static void sockets_of_a_look_up_are_limited(void **state)
{
	static const struct name_row mute[] = {
		{.name = "web.example", .type = NAME_A, .trick = TRICK_SILENCE},
		{.name = "web.example", .type = NAME_AAAA, .trick = TRICK_SILENCE},
		{.name = NULL},
	};
	struct fixture *fixture = *state;
	struct name_server *servers[3];
	char text[128] = "";

	for (unsigned i = 0; i < COUNT(servers); i++) {
		servers[i] = name_server_new(fixture->loop, i < 2 ? mute : rows);
		sprintf(text + strlen(text), "%s%s", i > 0 ? "," : "",
			name_server_address(servers[i]));
	}
	resolver_fixture_set(fixture, "resolvers", text);
	resolver_fixture_set(fixture, "dns_timeout", "200ms");
	fixture->descriptors.sockets = 2;
	resolver_fixture_open(fixture, rows);
	/* a timeout, or an error when the library has given up before */
	assert_memory_equal(resolver_fixture_ask(fixture, "web.example"), "dns_", 4);
	assert_true(name_server_questions(servers[1], false) > 0);
	assert_int_equal(name_server_questions(servers[2], false), 0);
	for (unsigned i = 0; i < COUNT(servers); i++)
		name_server_free(servers[i]);
}

static void sockets_to_name_servers_are_limited(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked[3];

	fixture->descriptors.sockets = 2;
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "web.example", &asked[0]);
	assert_true(is_refused(fixture, "other.example", &asked[1]));
	resolver_fixture_wait(&asked[0]);
	assert_string_equal(asked[0].addresses, "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "other.example"), "192.0.2.2");
}

static void kept_names_are_limited(void **state)
{
	struct fixture *fixture = *state;

	resolver_fixture_set(fixture, "dns_cache", "1");
	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, "web.example"), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "web.example"), "192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 2);
	assert_string_equal(resolver_fixture_ask(fixture, "other.example"), "192.0.2.2");
	assert_string_equal(resolver_fixture_ask(fixture, "web.example"), "192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 4);
}

static void without_descriptors_it_fails_at_once_and_recovers(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit limit, low;
	struct asked asked;
	int free_fd;

	resolver_fixture_open(fixture, rows);
	resolver_fixture_run(fixture, 0.001); /* the loop opens what it needs */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	free_fd = dup(0);
	assert_true(free_fd >= 0);
	close(free_fd);
	low = (struct rlimit){(rlim_t)free_fd, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	resolver_fixture_start(fixture, "web.example", &asked);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(asked.calls, 1);
	assert_int_equal(asked.failure, FAILURE_DNS_ERROR);
	assert_string_equal(resolver_fixture_ask(fixture, "web.example"), "192.0.2.1");
}

static void bad_options_are_reported(void **state)
{
	static const struct {
		const char *option;
		const char *value;
		const char *error;
	} cases[] = {
		{"resolvers", "127.0.0.1:0", "resolvers: 127.0.0.1:0"},
		{"resolvers", "example.com:53", "resolvers: example.com:53"},
		{"resolvers", "127.0.0.1", "resolvers: 127.0.0.1"},
		{"resolvers",
		 "[::1]:1,[::1]:2,[::1]:3,[::1]:4,[::1]:5,[::1]:6,[::1]:7,[::1]:8,[::1]:9",
		 "resolvers: more than 8"},
		{"hosts_file", "/tmp", "hosts_file: /tmp"},
	};
	struct fixture *fixture = *state;
	struct resolver *resolver;
	struct diagnostic error;

	for (size_t i = 0; i < COUNT(cases); i++) {
		resolver_fixture_set(fixture, cases[i].option, cases[i].value);
		resolver = resolver_new(fixture->loop, fixture->conf, NULL, &error);
		assert_null(resolver);
		if (strncmp(error.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s", error.text);
		resolver_fixture_set(fixture, cases[i].option, "");
	}
	resolver_fixture_set(fixture, "resolvers",
			     "[::1]:1,[::1]:2,[::1]:3,[::1]:4,[::1]:5,[::1]:6,[::1]:7,[::1]:8");
	resolver = resolver_new(fixture->loop, fixture->conf, NULL, &error);
	assert_non_null(resolver);
	resolver_free(resolver);
}

static void the_loop_ends_with_nothing_left_in_it(void **state)
{
	struct fixture *fixture = *state;

	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, "web.example"), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "no.example"), "dns_error");
	name_server_free(fixture->server);
	fixture->server = NULL;
	assert_int_equal(ev_run(fixture->loop, 0), 0); /* returns: no watcher is active */
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, resolver_fixture_setup, resolver_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_look_up_serves_all_who_ask),
		TEST(a_cancelled_query_is_not_called),
		TEST(a_look_up_goes_on_when_all_are_cancelled),
		TEST(a_callback_may_cancel_others),
		TEST(a_callback_may_ask),
		TEST(a_callback_may_ask_for_the_same_name_anew),
		TEST(freeing_ends_what_is_under_way),
		TEST(look_ups_under_way_are_limited),
		TEST(queries_for_one_name_are_limited),
		TEST(a_zone_has_a_part_of_the_look_ups),
		TEST(a_client_has_a_part_of_a_zone),
		TEST(many_zones_and_clients_leave_some_look_ups),
		TEST(a_client_has_a_part_of_the_look_ups),
		TEST(an_unwanted_look_up_makes_way),
		TEST(they_are_wanted_again_in_any_order),
		TEST(an_answered_look_up_makes_way),
		TEST(sockets_of_a_look_up_are_limited),
		TEST(sockets_to_name_servers_are_limited),
		TEST(kept_names_are_limited),
		TEST(without_descriptors_it_fails_at_once_and_recovers),
		TEST(bad_options_are_reported),
		TEST(the_loop_ends_with_nothing_left_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
