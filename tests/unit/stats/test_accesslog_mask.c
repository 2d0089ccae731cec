/* LINKS: proxy/stats */
/* What is shown of targets, in rooms of any size; codes and hosts of Squid's lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/stats/accesslog_entry.h"
#include "proxy/stats/accesslog_line.h"
#include "proxy/stats/accesslog_mask.h"

/* In room for it, and in less: what there is room for, and nothing behind it. */
static void assert_masked(const char *target, bool read, const char *shown)
{
	for (size_t size = strlen(shown) + 2; size > 0; size--) {
		char room[200];
		size_t n = strlen(shown) < size ? strlen(shown) : size;
		struct slice got;

		memset(room, '~', sizeof(room));
		got = accesslog_mask(slice_str(target), read, room, size);
		if (got.p != room) { /* nothing was masked: the target itself */
			assert_string_equal(target, shown);
			assert_int_equal(got.n, strlen(target));
			continue;
		}
		assert_int_equal(got.n, n);
		assert_memory_equal(got.p, shown, n);
		for (size_t i = n; i < sizeof(room); i++)
			assert_int_equal(room[i], '~');
	}
}

static void test_of_targets_that_were_not_understood(void **state)
{
	static const char *const cases[][2] = {
		{"a+b-c.d1:/x/y", "a+b-c.d1:/***/y"},
		{"a_b:/x/y", "***"},
		{":/x/y", "***"},
		{"a:", "***"},
		{"a:x", "***"},
		{"a", "***"},
		{"a:/", "a:/***"},
		{"a:/\\/x/y@", "a:/\\/***"},
		{"a:/\\/x/y", "a:/\\/***/y"},
		{"/", "/"},
		{"/x", "/x"},
		{"/x@y/z", "/***/z"},
		{"//x/y", "//***/y"},
		{"//@/y", "//***/y"},
		{"//x@", "//***"},
		{"\\x/y", "\\x/y"},
		{"a://x?y", "a://***?y"},
		{"a://x#y", "a://***#y"},
		{"a://x\\y", "a://***\\y"},
		{"a://x//b@c/d", "a://***/d"},
		{"a://b@x//c/d", "a://***//c/d"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_masked(cases[i][0], false, cases[i][1]);
}

static void test_of_targets_that_were_understood(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"http://h/x", "http://h/x"},
		{"http://h/@", "http://h/@"},
		{"/x//@", "/x//***@"},
		{"/x//a@/", "/x//***@/"},
		{"/x//a@b@c/", "/x//***@c/"},
		{"/x//a@b?c@d", "/x//***@b?c@d"},
		{"/x//a@b//c@d", "/x//***@b//***@d"},
		{"/x///a@b", "/x///a@b"},
		{"/x////a@b", "/x////***@b"},
		{"@//", "@//"},
		{"@/", "@/"},
		{"@", "@"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_masked(cases[i][0], true, cases[i][1]);
}

/* The line of an entry, in Squid's form, or in JSON. */
static const char *line_of(bool is_squid, struct accesslog_entry entry)
{
	static struct accesslog_format format;
	static char line[LOG_LINE_LENGTH + 1];

	format.form.kind = is_squid ? LOG_SQUID : LOG_JSON;
	*accesslog_line(&format, line, &entry) = '\0';
	return line;
}

static void test_codes_of_squid(void **state)
{
	static const struct {
		enum outcome outcome;
		enum failure failure;
		enum reason why;
		const char *code;
	} cases[] = {
		{OUTCOME_COLLAPSED, FAILURE_NONE, REASON_NONE, "TCP_CF_HIT/"},
		{OUTCOME_MISS, FAILURE_NONE, REASON_STALE_ERROR, "TCP_MISS/"},
		{OUTCOME_LOCAL, FAILURE_NONE, REASON_NONE, "NONE_NONE/"},
		{OUTCOME_BACKGROUND, FAILURE_NONE, REASON_NONE, "TCP_ASYNC_MISS/"},
		{OUTCOME_FAILED, FAILURE_CLIENT_TIMEOUT, REASON_NONE, "TCP_MISS_TIMEDOUT/"},
		{OUTCOME_FAILED, FAILURE_AUTH_REQUIRED, REASON_NONE, "TCP_DENIED/"},    /* 407 */
		{OUTCOME_FAILED, FAILURE_DENIED_CLIENT, REASON_NONE, "TCP_DENIED/"},    /* 403 */
		{OUTCOME_FAILED, FAILURE_DENIED_METHOD, REASON_NONE, "TCP_DENIED/"},    /* 405 */
		{OUTCOME_FAILED, FAILURE_HEAD_TIMEOUT, REASON_NONE, "NONE_NONE/"},      /* 408 */
		{OUTCOME_FAILED, FAILURE_UNSUPPORTED_CODING, REASON_NONE, "TCP_MISS/"}, /* 501 */
		{OUTCOME_FAILED, FAILURE_RESPONSE_CUT, REASON_NONE, "TCP_MISS/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *line =
			line_of(true, (struct accesslog_entry){.outcome = cases[i].outcome,
							       .failure = cases[i].failure,
							       .why = cases[i].why});

		assert_memory_equal(line, "0.000 0 - ", 10);
		assert_memory_equal(line + 10, cases[i].code, strlen(cases[i].code));
	}
}

static void test_hosts_of_origins(void **state)
{
	static const char *const cases[][2] = {
		{"192.0.2.1:80", "192.0.2.1"},
		{"192.0.2.1", "192.0.2.1"},
		{"[::1]:80", "::1"},
		{"[]:80", "-"},
		{"[:80", "["},
		{"]:80", "]"},
		{"[a:80", "[a"},
		{"a]:80", "a]"},
		{":80", "-"},
		{"a:", "a"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[64];
		const char *line = line_of(
			LOG_SQUID, (struct accesslog_entry){.outcome = OUTCOME_MISS,
							    .origin = slice_str(cases[i][0])});

		snprintf(expected, sizeof(expected), " HIER_DIRECT/%s -\n", cases[i][1]);
		assert_string_equal(strstr(line, " HIER"), expected);
	}
}

/* Bytes that a column may have stand for themselves, others as in a URI. */
static void test_bytes_of_squid(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[] = {'<', (char)byte, '>'}, expected[32];
		bool plain = byte > ' ' && byte < 0x7f && byte != '"' && byte != '\\';
		const char *line = line_of(
			true, (struct accesslog_entry){.outcome = OUTCOME_MISS,
						       .method = slice_of(text, sizeof(text))});

		snprintf(expected, sizeof(expected), plain ? " <%c> - -" : " <%%%02x> - -", byte);
		assert_memory_equal(strstr(line, " <"), expected, strlen(expected));
	}
}

/* Thousandths of the time, whole; nothing is below 0. */
static void test_times_of_squid(void **state)
{
	static const struct {
		int64_t us;
		const char *begin;
	} cases[] = {{-5, "1.000 0 "}, {999, "1.000 0 "}, {1000, "1.000 1 "}, {1999, "1.000 1 "}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_memory_equal(
			line_of(true, (struct accesslog_entry){.outcome = OUTCOME_MISS,
							       .wall_ms = 1000,
							       .elapsed_us = cases[i].us}),
			cases[i].begin, strlen(cases[i].begin));
}

static char sized[6000];

static struct accesslog_entry entry_of_length(size_t n)
{
	memset(sized, 'x', sizeof(sized));
	return (struct accesslog_entry){.outcome = OUTCOME_MISS,
					.target_read = true,
					.client = slice_of(sized, n),
					.method = slice_of(sized, n),
					.target = slice_of(sized, n),
					.user = slice_of(sized, n),
					.origin = slice_of(sized, n),
					.user_agent = slice_of(sized, n)};
}

/* The length of the text of a JSON member, with whether it was cut. */
static size_t shown_of(const char *line, const char *name, bool *ret_cut)
{
	char key[32];
	const char *at;
	size_t n;

	snprintf(key, sizeof(key), "\"%s\":\"", name);
	at = strstr(line, key);
	assert_non_null(at);
	n = strspn(at + strlen(key), "x");
	*ret_cut = strncmp(at + strlen(key) + n, "\\u2026\"", 7) == 0;
	assert_true(*ret_cut || at[strlen(key) + n] == '"');
	return n;
}

/* Each text is whole up to its length, and is cut behind it, with a mark. */
static void test_lengths_of_texts(void **state)
{
	static const struct {
		const char *name;
		size_t length;
	} cases[] = {{"client", CLIENT_LENGTH}, {"method", METHOD_LENGTH},
		     {"target", TARGET_LENGTH}, {"user", USER_LENGTH},
		     {"origin", ORIGIN_LENGTH}, {"user_agent", AGENT_LENGTH}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t n = cases[i].length - 1; n <= cases[i].length + 2; n++) {
			bool is_cut;
			size_t shown = shown_of(line_of(false, entry_of_length(n)), cases[i].name,
						&is_cut);

			assert_int_equal(shown, n < cases[i].length ? n : cases[i].length);
			assert_int_equal(is_cut, n > cases[i].length);
		}
}

/* The room for a masked target is as large as what is shown of it, and one byte. */
static void test_a_masked_target_is_cut_as_any(void **state)
{
	struct accesslog_entry entry;
	bool is_cut;

	(void)state;
	for (size_t n = TARGET_LENGTH - 1; n <= TARGET_LENGTH + 2; n++) {
		const char *line, *at;

		/* This becomes two bytes longer when it is masked. */
		entry = entry_of_length(n - 2);
		memcpy(sized, "//y@", 4);
		line = line_of(false, entry);
		at = strstr(line, "\"target\":\"//***@");
		assert_non_null(at);
		at += strlen("\"target\":\"");
		is_cut = strncmp(at + (n < TARGET_LENGTH ? n : TARGET_LENGTH), "\\u2026", 6) == 0;
		assert_int_equal(is_cut, n > TARGET_LENGTH);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_targets_that_were_not_understood),
		cmocka_unit_test(test_of_targets_that_were_understood),
		cmocka_unit_test(test_codes_of_squid),
		cmocka_unit_test(test_hosts_of_origins),
		cmocka_unit_test(test_bytes_of_squid),
		cmocka_unit_test(test_times_of_squid),
		cmocka_unit_test(test_lengths_of_texts),
		cmocka_unit_test(test_a_masked_target_is_cut_as_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
