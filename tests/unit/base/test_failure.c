/* LINKS: proxy/base */
/* Rows of failures.def: what a client is told, and the options that decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "conf/option.h"
#include "proxy/base/failure.h"

/* Whether the sentence has the name as a word. */
static bool names(const char *sentence, const char *option)
{
	size_t n = strlen(option);

	for (const char *at = sentence; (at = strstr(at, option)) != NULL; at += n)
		if ((at == sentence || at[-1] == ' ') &&
		    strspn(at + n, "abcdefghijklmnopqrstuvwxyz_") == 0)
			return true;
	return false;
}

static void options_exist_and_are_named(void **state)
{
	(void)state;
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
		char left[64];

		assert_true(strlen(failure_options(f)) < sizeof(left));
		strcpy(left, failure_options(f));
		for (char *at = strtok(left, ", "); at != NULL; at = strtok(NULL, ", ")) {
			if (option_find(at) == NULL)
				fail_msg("%s: %s is no option", failure_name(f), at);
			if (!names(failure_sentence(f), at))
				fail_msg("%s: the sentence does not name %s", failure_name(f), at);
		}
	}
}

static void what_sentences_name_decides(void **state)
{
	(void)state;
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		assert_int_equal(strstr(failure_sentence(f), "option") != NULL,
				 failure_options(f)[0] != '\0');
}

/* What a client sees: one of each status, and what is none. */
static void what_is_told(void **state)
{
	static const struct {
		enum failure failure;
		const char *name, *token;
		unsigned status;
		bool is_error;
	} rows[] = {
		{FAILURE_NONE, "none", "", 0, false},
		{FAILURE_TLS_CERTIFICATE, "tls_certificate", "tls_certificate_error", 502, true},
		{FAILURE_TLS_TIMEOUT, "tls_timeout", "connection_timeout", 504, true},
		{FAILURE_RESPONSE_CUT, "response_cut", "http_response_incomplete", 0, true},
		{FAILURE_RESPONSE_BODY_TIMEOUT, "response_body_timeout", "http_response_timeout", 0,
		 true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_string_equal(failure_name(rows[i].failure), rows[i].name);
		assert_string_equal(failure_token(rows[i].failure), rows[i].token);
		assert_int_equal(failure_status(rows[i].failure), rows[i].status);
		assert_int_equal(failure_is_error(rows[i].failure), rows[i].is_error);
	}
	assert_string_equal(failure_options(FAILURE_TLS_CERTIFICATE), "tls_ca_file");
	assert_string_equal(failure_options(FAILURE_NONE), "");
	assert_string_equal(failure_sentence(FAILURE_NONE), "");
	assert_string_equal(failure_sentence(FAILURE_TLS_PROTOCOL),
			    "The TLS handshake with the origin failed.");
}

/* Errors are what the proxy or an origin is to blame for, whatever the status says. */
static void statuses_of_errors(void **state)
{
	static const enum failure others[] = {FAILURE_ONLY_IF_CACHED, FAILURE_UNSUPPORTED_CODING,
					      FAILURE_UNSUPPORTED_VERSION, FAILURE_LOOP,
					      FAILURE_OWN_ADDRESS};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		assert_true(failure_status(others[i]) >= 500);
		assert_false(failure_is_error(others[i]));
	}
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		if (failure_status(f) > 0 && failure_status(f) < 500)
			assert_false(failure_is_error(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_exist_and_are_named),
		cmocka_unit_test(what_sentences_name_decides),
		cmocka_unit_test(what_is_told),
		cmocka_unit_test(statuses_of_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
