/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/*
 * Each number that operators are told has a test that compares its value: here, in a play of
 * tests/exchanges/numbers.txt, or in a file that is named here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/oracle/numbers.h"
#include "tests/oracle/script.h"

/* What whole exchanges over fake connections do not reach: where it is compared, and a text there. */
static const struct elsewhere {
	const char *name, *file, *text;
} elsewhere[] = {
	{"client_connections", "tests/functional/test_destinations.py",
	 "[\"client_connections\"] == 2 * len(OWN)"},
	{"client_refused", "tests/functional/test_limits.py", "[\"client_refused\"] == 1\n"},
	{"accept_pauses", "tests/functional/test_descriptors.py", "[\"accept_pauses\"] > 0"},
	{"operator_requests", "tests/functional/test_admin.py", "\"operator_requests\") >= 9"},
	{"tls_handshakes", "tests/functional/test_tls_origin.py", "\"tls_handshakes\"), "},
	{"tls_resumed", "tests/functional/test_tls_origin.py", "\"tls_resumed\")) == (3, 2)"},
	{"client_tls_handshakes", "tests/functional/test_tls_clients.py",
	 "\"client_tls_handshakes\": 13, \"client_tls_resumed\": 12"},
	{"client_tls_resumed", "tests/functional/test_tls_clients.py",
	 "\"client_tls_handshakes\": 13, \"client_tls_resumed\": 12"},
	{"purges", "tests/functional/test_purge.py", "[\"purges\"] == 1\n"},
	{"views_ended", "tests/unit/front/test_forward_views.c", "(stats->views_ended, 1)"},
	{"dns_lookups", "tests/unit/dns/test_resolver_queries.c",
	 "(stats->dns_lookups - before, 1)"},
	{"dns_cache_hits", "tests/unit/dns/test_resolver.c", "(stats->dns_cache_hits - before, 3)"},
	{"tunnels_unpiped", "tests/functional/test_budgets.py", "[\"tunnels_unpiped\"] > 0"},
	{"extras_refused", "tests/functional/test_budgets.py", "[\"extras_refused\"] >= 80"},
	{"lookups_dropped", "tests/unit/dns/test_resolver_queries.c",
	 "(stats->lookups_dropped - before, 1)"},
	{"log_dropped", "tests/unit/stats/test_accesslog.c", "(stats->log_dropped, 5)"},
	{"log_left_out", "tests/unit/stats/test_accesslog_socket.c",
	 "(taken + stats->log_left_out, HITS)"},
	{"turns", "tests/functional/test_watchdog.py", "[\"turns\"]"},
	{"refusals", "tests/functional/test_limits.py", "[\"refusals\"] == "},
	{"purging", "tests/functional/test_purge.py", "[\"purging\"] == 1"},
	{"user", "tests/functional/test_auth.py", "\"user\":\""},
	{"sample", "tests/functional/test_access_log_values.py", "e[\"sample\"] == 10"},
};

static bool has_text(const char *file, const char *text)
{
	static char bytes[256 << 10];
	FILE *in = fopen(file, "r");
	size_t n = in == NULL ? 0 : fread(bytes, 1, sizeof(bytes) - 1, in);

	if (in != NULL)
		fclose(in);
	bytes[n] = '\0';
	return strstr(bytes, text) != NULL;
}

static bool is_elsewhere(const char *name)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
		if (strcmp(elsewhere[i].name, name) == 0)
			return true;
	return false;
}

static void each_row_is_compared(void **state)
{
	static struct vector *vectors; /* as long as the program */
	size_t count = vectors_read("tests/exchanges/numbers.txt", &vectors);
	const char *unproved;

	(void)state;
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		unsigned lines;
		const char *fault = script_play(&vectors[i], &(struct script_way){0}, &lines);

		if (fault != NULL)
			fail_msg("%s: %s", vectors[i].place, fault);
	}
	unproved = numbers_unproved(is_elsewhere);
	if (unproved != NULL)
		fail_msg("no test compares %s: let a play of numbers.txt count or log it, or name "
			 "the test in `elsewhere`",
			 unproved);
}

static void what_is_compared_elsewhere_is_still_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
		if (!has_text(elsewhere[i].file, elsewhere[i].text))
			fail_msg("%s has no more \"%s\" that compares %s", elsewhere[i].file,
				 elsewhere[i].text, elsewhere[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_compared),
		cmocka_unit_test(what_is_compared_elsewhere_is_still_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
