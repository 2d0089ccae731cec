/* LINKS: proxy/dns */
/* What becomes of a name: numeric, known, asked of name servers that are good or bad. */
#include "tests/support/resolver_fixture.h"
#include "proxy/base/hostname.h"
#include "proxy/stats/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Well over any dns_timeout here, and under the watchdog. */
enum { SOON_S = 5 };

/* Rows for both families of a name. */
#define BOTH(host, a, aaaa, seconds)                                               \
	{.name = host, .type = NAME_A, .addresses = a, .ttl = seconds},            \
	{                                                                          \
		.name = host, .type = NAME_AAAA, .addresses = aaaa, .ttl = seconds \
	}

static void numeric_hosts_are_answered_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct asked asked;

	resolver_fixture_open(fixture, NULL);
	resolver_fixture_start(fixture, "192.0.2.1", &asked);
	assert_string_equal(asked.addresses, "192.0.2.1");
	resolver_fixture_start(fixture, "[2001:DB8::1]", &asked);
	assert_string_equal(asked.addresses, "2001:db8::1");
	resolver_fixture_start(fixture, "::1", &asked);
	assert_string_equal(asked.addresses, "::1");
	resolver_fixture_run(fixture, 0.02);
	assert_int_equal(resolver_fixture_questions(fixture), 0);
}

static void what_is_no_name_does_not_exist(void **state)
{
	static const char *const hosts[] = {
		"",           ".",          "a..b",       "127.1",        "2130706433",
		"0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "127.0.0.0x1",  "[127.0.0.1]",
		"[::1",       "::1%lo",     "a b",        "a%41.example", "[fe80::1%25lo]",
		"host:80",
	};
	struct fixture *fixture = *state;
	struct asked asked;

	resolver_fixture_open(fixture, NULL);
	for (size_t i = 0; i < COUNT(hosts); i++) {
		resolver_fixture_start(fixture, hosts[i], &asked);
		assert_int_equal(asked.calls, 1);
		assert_int_equal(asked.failure, FAILURE_DNS_ERROR);
	}
	resolver_fixture_run(fixture, 0.02);
	assert_int_equal(resolver_fixture_questions(fixture), 0);
}

static void special_names_are_never_asked_for(void **state)
{
	struct fixture *fixture = *state;

	resolver_fixture_open(fixture, NULL);
	assert_string_equal(resolver_fixture_ask(fixture, "localhost"), "::1 127.0.0.1");
	assert_string_equal(resolver_fixture_ask(fixture, "LocalHost."), "::1 127.0.0.1");
	assert_string_equal(resolver_fixture_ask(fixture, "a.localhost"), "::1 127.0.0.1");
	assert_string_equal(resolver_fixture_ask(fixture, "a.invalid"), "dns_error");
	assert_string_equal(resolver_fixture_ask(fixture, "a.onion"), "dns_error");
	assert_int_equal(resolver_fixture_questions(fixture), 0);
	assert_string_equal(resolver_fixture_ask(fixture, "notlocalhost"), "dns_error");
	assert_int_equal(resolver_fixture_questions(fixture), 2);
}

static void the_hosts_file_comes_first(void **state)
{
	static const struct name_row rows[] = {
		BOTH("web.example", "203.0.113.1", "2001:db8::1", 60),
		{.name = NULL},
	};
	struct fixture *fixture = *state;
	char path[] = "/tmp/test_resolver.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "192.0.2.1 web.example\n192.0.2.2 localhost\n") > 0);
	close(fd);
	resolver_fixture_set(fixture, "hosts_file", path);
	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, "WEB.example."), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "localhost"), "192.0.2.2");
	assert_int_equal(resolver_fixture_questions(fixture), 0);
	unlink(path);
}

static void both_families_are_asked_for(void **state)
{
	static const struct name_row rows[] = {
		BOTH("both.example", "192.0.2.1 192.0.2.2", "2001:db8::1", 60),
		BOTH("four.example", "192.0.2.1", NULL, 60),
		BOTH("six.example", NULL, "2001:db8::1 2001:db8::2", 60),
		BOTH("none.example", NULL, NULL, 60),
		{.name = NULL},
	};
	struct fixture *fixture = *state;
	uint64_t before = stats->dns_lookups;

	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, "both.example"),
			    "2001:db8::1 192.0.2.1 192.0.2.2");
	assert_string_equal(resolver_fixture_ask(fixture, "four.example"), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "six.example"),
			    "2001:db8::1 2001:db8::2");
	assert_string_equal(resolver_fixture_ask(fixture, "none.example"), "dns_error");
	assert_string_equal(resolver_fixture_ask(fixture, "other.example"), "dns_error");
	assert_int_equal(resolver_fixture_questions(fixture), 10);
	assert_int_equal(stats->dns_lookups - before, 5);
}

/* Each label and the whole as long as they may be, or a byte; a byte more is none. */
static void the_longest_and_the_shortest_name_are_asked_for(void **state)
{
	char name[HOSTNAME_MAX + 2];
	const struct name_row rows[] = {BOTH(name, "192.0.2.1", "2001:db8::1", 60),
					BOTH("x", "192.0.2.2", NULL, 60),
					{.name = NULL}};
	struct fixture *fixture = *state;

	memset(name, 'a', sizeof(name));
	name[63] = name[127] = name[191] = '.';
	name[HOSTNAME_MAX] = '\0';
	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, name), "2001:db8::1 192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "x"), "192.0.2.2");
	assert_int_equal(resolver_fixture_questions(fixture), 4);
	name[HOSTNAME_MAX] = 'a';
	name[HOSTNAME_MAX + 1] = '\0';
	assert_string_equal(resolver_fixture_ask(fixture, name), "dns_error");
	assert_int_equal(resolver_fixture_questions(fixture), 0);
}

static void no_more_addresses_than_there_is_room_for(void **state)
{
	char four[512] = "";
	char six[512] = "";
	const struct name_row rows[] = {BOTH("many.example", four, six, 60), {.name = NULL}};
	struct fixture *fixture = *state;
	struct asked asked;

	for (int i = 1; i <= ADDRESSES_MAX + 1; i++) {
		sprintf(four + strlen(four), "192.0.2.%d ", i);
		sprintf(six + strlen(six), "2001:db8::%d ", i);
	}
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "many.example", &asked);
	resolver_fixture_wait(&asked);
	assert_int_equal(asked.count, ADDRESSES_MAX);
	assert_ptr_equal(strstr(asked.addresses, "2001:db8::1 192.0.2.1 2001:db8::2 "),
			 asked.addresses);
}

static void name_servers_that_fail_are_errors(void **state)
{
	static const struct {
		unsigned rcode;
		enum name_trick trick;
	} cases[] = {
		{1, TRICK_NONE},       {2, TRICK_NONE},         {3, TRICK_NONE},
		{4, TRICK_NONE},       {5, TRICK_NONE},         {0, TRICK_NONE},
		{0, TRICK_CUT_RECORD}, {0, TRICK_POINTER_LOOP}, {0, TRICK_CNAME_ONLY},
		{0, TRICK_TCP_CUT},
	};
	struct name_row rows[] = {BOTH("bad.example", NULL, NULL, 60), {.name = NULL}};
	struct fixture *fixture = *state;

	resolver_fixture_set(fixture, "dns_negative_ttl", "0");
	resolver_fixture_open(fixture, rows);
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned turns = ev_iteration(fixture->loop);
		struct asked asked;

		for (int j = 0; j < 2; j++) {
			rows[j].rcode = cases[i].rcode;
			rows[j].trick = cases[i].trick;
			if (cases[i].trick == TRICK_CUT_RECORD || cases[i].trick == TRICK_TCP_CUT)
				rows[j].addresses = j ? "2001:db8::1" : "192.0.2.1";
			else
				rows[j].addresses = NULL;
		}
		resolver_fixture_start(fixture, "bad.example", &asked);
		resolver_fixture_wait(&asked);
		if (asked.failure != FAILURE_DNS_ERROR && asked.failure != FAILURE_DNS_TIMEOUT)
			fail_msg("case %zu: %s", i, failure_name(asked.failure));
		if (cases[i].trick == TRICK_NONE)
			assert_int_equal(asked.failure, FAILURE_DNS_ERROR);
		assert_true(asked.seconds < SOON_S);
		assert_true(ev_iteration(fixture->loop) - turns < 1000); /* with pauses */
	}
}

static void silence_ends_in_time(void **state)
{
	struct name_row rows[] = {BOTH("mute.example", NULL, NULL, 60), {.name = NULL}};
	struct fixture *fixture = *state;
	struct asked asked;

	rows[0].trick = rows[1].trick = TRICK_SILENCE;
	resolver_fixture_set(fixture, "dns_timeout", "300ms");
	resolver_fixture_set(fixture, "dns_negative_ttl", "0");
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "mute.example", &asked);
	resolver_fixture_wait(&asked);
	assert_int_equal(asked.failure, FAILURE_DNS_TIMEOUT);
	assert_true(asked.seconds >= 0.299 && asked.seconds < SOON_S);
	assert_true(resolver_fixture_questions(fixture) >= 4); /* it was tried again */
}

/* Some versions of c-ares take what is no message for an answer that failed, others for none. */
static void rubbish_ends_in_time(void **state)
{
	struct name_row rows[] = {BOTH("odd.example", NULL, NULL, 60), {.name = NULL}};
	struct fixture *fixture = *state;
	struct asked asked;

	rows[0].trick = rows[1].trick = TRICK_GARBAGE;
	resolver_fixture_set(fixture, "dns_timeout", "300ms");
	resolver_fixture_set(fixture, "dns_negative_ttl", "0");
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "odd.example", &asked);
	resolver_fixture_wait(&asked);
	assert_true(asked.failure == FAILURE_DNS_TIMEOUT || asked.failure == FAILURE_DNS_ERROR);
	assert_true(asked.seconds < SOON_S);
	assert_true(resolver_fixture_questions(fixture) >= 4); /* it was tried again */
}

static void lies_are_not_believed(void **state)
{
	static const enum name_trick tricks[] = {
		TRICK_EMPTY_FIRST,
		TRICK_WRONG_ID_FIRST,
		TRICK_WRONG_NAME_FIRST,
		TRICK_FOREIGN_FIRST,
	};
	struct name_row rows[] = {BOTH("true.example", "192.0.2.1", "2001:db8::1", 60),
				  {.name = NULL}};
	struct fixture *fixture = *state;

	resolver_fixture_set(fixture, "dns_cache", "0");
	resolver_fixture_open(fixture, rows);
	for (size_t i = 0; i < COUNT(tricks); i++) {
		rows[0].trick = rows[1].trick = tricks[i];
		assert_string_equal(resolver_fixture_ask(fixture, "true.example"),
				    "2001:db8::1 192.0.2.1");
	}
}

static void truncated_answers_are_asked_for_over_tcp(void **state)
{
	struct name_row rows[] = {BOTH("large.example", "192.0.2.1", "2001:db8::1", 60),
				  {.name = NULL}};
	struct fixture *fixture = *state;

	rows[0].trick = rows[1].trick = TRICK_TRUNCATED;
	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, "large.example"),
			    "2001:db8::1 192.0.2.1");
	assert_int_equal(name_server_questions(fixture->server, true), 2);
}

static void the_next_name_server_is_asked_when_one_is_silent(void **state)
{
	static const struct name_row rows[] = {BOTH("web.example", "192.0.2.1", NULL, 60),
					       {.name = NULL}};
	static const struct name_row silent_rows[] = {
		{.name = "web.example", .type = NAME_A, .trick = TRICK_SILENCE},
		{.name = "web.example", .type = NAME_AAAA, .trick = TRICK_SILENCE},
		{.name = NULL},
	};
	struct fixture *fixture = *state;
	struct name_server *silent = name_server_new(fixture->loop, silent_rows);
	struct name_server *good = name_server_new(fixture->loop, rows);
	char both[128];

	snprintf(both, sizeof(both), "%s,%s", name_server_address(silent),
		 name_server_address(good));
	resolver_fixture_set(fixture, "resolvers", both);
	resolver_fixture_open(fixture, NULL);
	assert_string_equal(resolver_fixture_ask(fixture, "web.example"), "192.0.2.1");
	assert_true(name_server_questions(silent, false) >= 2);
	name_server_free(silent);
	name_server_free(good);
}

static void a_name_server_that_does_not_answer_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct name_server *gone = name_server_new(fixture->loop, NULL);
	struct asked asked;

	resolver_fixture_set(fixture, "resolvers", name_server_address(gone));
	name_server_free(gone);
	resolver_fixture_open(fixture, NULL);
	resolver_fixture_start(fixture, "web.example", &asked);
	resolver_fixture_wait(&asked);
	assert_int_equal(asked.failure, FAILURE_DNS_ERROR);
	assert_true(asked.seconds < SOON_S);
}

static void a_late_aaaa_answer_is_not_waited_for(void **state)
{
	struct name_row rows[] = {BOTH("slow.example", "192.0.2.1", "2001:db8::1", 60),
				  {.name = NULL}};
	struct fixture *fixture = *state;
	struct asked asked;

	rows[1].delay_ms = 400;
	resolver_fixture_set(fixture, "dns_timeout", "3s"); /* so that it is not asked for again */
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "slow.example", &asked);
	resolver_fixture_wait(&asked);
	assert_string_equal(asked.addresses, "192.0.2.1");
	assert_true(asked.seconds >= 0.049 && asked.seconds < 0.39);
	/* Who asks meanwhile gets the same, at once and without another question. */
	resolver_fixture_start(fixture, "slow.example", &asked);
	assert_int_equal(asked.calls, 1);
	assert_string_equal(asked.addresses, "192.0.2.1");
	/* Both are kept when it came. */
	resolver_fixture_run(fixture, 0.45);
	assert_string_equal(resolver_fixture_ask(fixture, "slow.example"), "2001:db8::1 192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 2);
}

static void a_late_a_answer_is_waited_for(void **state)
{
	struct name_row rows[] = {BOTH("slow.example", "192.0.2.1", "2001:db8::1", 60),
				  {.name = NULL}};
	struct fixture *fixture = *state;
	struct asked asked;

	rows[0].delay_ms = 120;
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "slow.example", &asked);
	resolver_fixture_wait(&asked);
	assert_string_equal(asked.addresses, "2001:db8::1 192.0.2.1");
	assert_true(asked.seconds >= 0.119);
}

static void an_aaaa_answer_alone_is_used_when_time_is_up(void **state)
{
	struct name_row rows[] = {BOTH("half.example", "192.0.2.1", "2001:db8::1", 60),
				  {.name = NULL}};
	struct fixture *fixture = *state;
	struct asked asked;

	rows[0].trick = TRICK_SILENCE;
	resolver_fixture_set(fixture, "dns_timeout", "200ms");
	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "half.example", &asked);
	resolver_fixture_wait(&asked);
	assert_string_equal(asked.addresses, "2001:db8::1");
	assert_true(asked.seconds >= 0.199 && asked.seconds < SOON_S);
}

static void a_denied_name_does_not_wait_for_aaaa(void **state)
{
	static const struct name_row rows[] = {
		{.name = "no.example", .type = NAME_A, .rcode = 3},
		{.name = "no.example", .type = NAME_AAAA, .trick = TRICK_SILENCE},
		{.name = "odd.example", .type = NAME_A, .addresses = "192.0.2.1", .delay_ms = 20},
		{.name = "odd.example", .type = NAME_AAAA, .rcode = 3},
		{.name = NULL},
	};
	struct fixture *fixture = *state;
	struct asked asked;

	resolver_fixture_open(fixture, rows);
	resolver_fixture_start(fixture, "no.example", &asked);
	resolver_fixture_wait(&asked);
	assert_int_equal(asked.failure, FAILURE_DNS_ERROR);
	assert_true(asked.seconds < 0.9);
	/* Some servers deny the name when asked for AAAA, though it has an A. */
	assert_string_equal(resolver_fixture_ask(fixture, "odd.example"), "192.0.2.1");
}

static void answers_are_kept_for_their_ttl(void **state)
{
	struct name_row rows[] = {BOTH("kept.example", "192.0.2.1", "2001:db8::1", 60),
				  BOTH("brief.example", "192.0.2.1", NULL, 0),
				  BOTH("alias.example", "192.0.2.1", NULL, 60),
				  BOTH("huge.example", "192.0.2.1", NULL, UINT32_MAX),
				  {.name = NULL}};
	struct fixture *fixture = *state;
	uint64_t before = stats->dns_cache_hits;

	rows[4].trick = TRICK_CNAME; /* the alias is kept no longer than a second */
	rows[4].cname_ttl = 1;
	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, "kept.example"), "2001:db8::1 192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "brief.example"), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "alias.example"), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "huge.example"), "192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 8);
	assert_string_equal(resolver_fixture_ask(fixture, "KEPT.example."),
			    "2001:db8::1 192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "brief.example"), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "alias.example"), "192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 0);
	assert_int_equal(stats->dns_cache_hits - before, 3);
	resolver_fixture_run(fixture, 1.05);
	assert_string_equal(resolver_fixture_ask(fixture, "kept.example"), "2001:db8::1 192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 0);
	assert_string_equal(resolver_fixture_ask(fixture, "brief.example"), "192.0.2.1");
	assert_string_equal(resolver_fixture_ask(fixture, "alias.example"), "192.0.2.1");
	/* a TTL that is no number of them counts as 0 (RFC 2181 8) */
	assert_string_equal(resolver_fixture_ask(fixture, "huge.example"), "192.0.2.1");
	assert_int_equal(resolver_fixture_questions(fixture), 6);
}

static void failures_are_kept_for_a_while(void **state)
{
	static const struct name_row rows[] = {
		{.name = "mute.example", .type = NAME_A, .trick = TRICK_SILENCE},
		{.name = "mute.example", .type = NAME_AAAA, .trick = TRICK_SILENCE},
		{.name = "ill.example", .type = NAME_A, .rcode = 2},
		{.name = "ill.example", .type = NAME_AAAA, .rcode = 2},
		{.name = NULL},
	};
	struct fixture *fixture = *state;

	resolver_fixture_set(fixture, "dns_timeout", "100ms");
	resolver_fixture_set(fixture, "dns_negative_ttl", "1s");
	resolver_fixture_open(fixture, rows);
	assert_string_equal(resolver_fixture_ask(fixture, "mute.example"), "dns_timeout");
	assert_string_equal(resolver_fixture_ask(fixture, "ill.example"), "dns_error");
	assert_string_equal(resolver_fixture_ask(fixture, "no.example"), "dns_error");
	assert_true(resolver_fixture_questions(fixture) >= 6);
	assert_string_equal(resolver_fixture_ask(fixture, "mute.example"), "dns_timeout");
	assert_string_equal(resolver_fixture_ask(fixture, "ill.example"), "dns_error");
	assert_string_equal(resolver_fixture_ask(fixture, "no.example"), "dns_error");
	assert_int_equal(resolver_fixture_questions(fixture), 0);
	resolver_fixture_run(fixture, 1.05);
	assert_string_equal(resolver_fixture_ask(fixture, "ill.example"), "dns_error");
	assert_string_equal(resolver_fixture_ask(fixture, "no.example"), "dns_error");
	assert_true(resolver_fixture_questions(fixture) >= 4);
}

static void failures_are_not_kept_when_the_option_says_so(void **state)
{
	struct fixture *fixture = *state;

	resolver_fixture_set(fixture, "dns_negative_ttl", "0");
	resolver_fixture_open(fixture, NULL);
	assert_string_equal(resolver_fixture_ask(fixture, "no.example"), "dns_error");
	assert_string_equal(resolver_fixture_ask(fixture, "no.example"), "dns_error");
	assert_int_equal(resolver_fixture_questions(fixture), 4);
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, resolver_fixture_setup, resolver_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(numeric_hosts_are_answered_at_once),
		TEST(what_is_no_name_does_not_exist),
		TEST(special_names_are_never_asked_for),
		TEST(the_hosts_file_comes_first),
		TEST(both_families_are_asked_for),
		TEST(the_longest_and_the_shortest_name_are_asked_for),
		TEST(no_more_addresses_than_there_is_room_for),
		TEST(name_servers_that_fail_are_errors),
		TEST(silence_ends_in_time),
		TEST(rubbish_ends_in_time),
		TEST(lies_are_not_believed),
		TEST(truncated_answers_are_asked_for_over_tcp),
		TEST(the_next_name_server_is_asked_when_one_is_silent),
		TEST(a_name_server_that_does_not_answer_is_an_error),
		TEST(a_late_aaaa_answer_is_not_waited_for),
		TEST(a_late_a_answer_is_waited_for),
		TEST(an_aaaa_answer_alone_is_used_when_time_is_up),
		TEST(a_denied_name_does_not_wait_for_aaaa),
		TEST(answers_are_kept_for_their_ttl),
		TEST(failures_are_kept_for_a_while),
		TEST(failures_are_not_kept_when_the_option_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
