/* LINKS: proxy/exchange */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/exchange/exchange.h"
#include "proxy/base/log.h"

/* ---- log.h: lines into a string ------------------------------------------------------------- */

static char written[4096];
static enum log_level least;

static void add_line(const char *level, const char *format, va_list arguments)
{
	size_t n = strlen(written);

	n += (size_t)snprintf(written + n, sizeof(written) - n, "%s: ", level);
	n += (size_t)vsnprintf(written + n, sizeof(written) - n, format, arguments);
	assert_true(n + 1 < sizeof(written));
	strcat(written, "\n");
}

void log_info(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_line("info", format, arguments);
	va_end(arguments);
}

void log_debug(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (least >= LOG_LEVEL_DEBUG)
		add_line("debug", format, arguments);
	va_end(arguments);
}

bool log_has(enum log_level level)
{
	return level <= least;
}

const char *log_quote(const char *bytes, size_t n, char *to, size_t size)
{
	snprintf(to, size, "\"%.*s\"", (int)n, bytes);
	return to;
}

/* ---- exchanges that fail -------------------------------------------------------------------- */

static struct turn turn;
static struct exchanges exchanges = {.turn = &turn};

static struct exchange failed(enum failure failure)
{
	struct exchange x = {.use = &exchanges, .failure = failure};

	assert_true(address_parse(SLICE("192.0.2.7"), &x.peer));
	x.req.uri.host = SLICE("a.example");
	x.req.uri.port = 80;
	x.req.uri.path = SLICE("/secret");
	return x;
}

static void log_failure(const struct exchange *x)
{
	struct failure_subject subject = exchange_subject(x);

	failure_log(&subject, x->failure);
}

/* The lines of this one. */
static const char *lines_of(enum failure failure)
{
	struct exchange x = failed(failure);

	written[0] = '\0';
	log_failure(&x);
	return written;
}

/* Each test in a time of its own: kinds are counted since the program began. */
static int begin(void **state)
{
	(void)state;
	least = LOG_LEVEL_INFO;
	turn.now_ms += 1000000;
	lines_of(FAILURE_ORIGIN_REFUSED); /* with what an earlier test left out */
	turn.now_ms += 1000000;
	return 0;
}

#define REFUSED \
	"origin_refused: a.example:80 for client 192.0.2.7: The origin refused the connection."

static void test_line(void **state)
{
	(void)state;
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "info: " REFUSED "\n");
	assert_string_equal(lines_of(FAILURE_BAD_REQUEST), ""); /* of the client's own */
}

static void test_cause(void **state)
{
	(void)state;
	cause_set("connect to %s: %s", "192.0.2.1:80", "Connection refused");
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED),
			    "info: " REFUSED " (connect to 192.0.2.1:80: Connection refused)\n");
	cause_clear();
	turn.now_ms += 10000;
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "info: " REFUSED "\n");
}

/* One line a kind in ten seconds; the next one has the number of those that had none. */
static void test_limit_per_kind(void **state)
{
	(void)state;
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "info: " REFUSED "\n");
	for (int i = 0; i < 25; i++)
		assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "");
	assert_true(strlen(lines_of(FAILURE_DNS_ERROR)) > 0); /* of another kind */
	turn.now_ms += 9999;
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "");
	turn.now_ms += 1;
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED),
			    "info: " REFUSED " (and 26 more since the last such line)\n");
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "");
}

static void test_debug_has_each(void **state)
{
	(void)state;
	least = LOG_LEVEL_DEBUG;
	assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "info: " REFUSED "\n");
	for (int i = 0; i < 25; i++)
		assert_string_equal(lines_of(FAILURE_ORIGIN_REFUSED), "debug: " REFUSED "\n");
	assert_non_null(strstr(lines_of(FAILURE_BAD_REQUEST), "debug: bad_request: "));
}

static void test_answered_in_spite_of_it(void **state)
{
	struct exchange x = failed(FAILURE_NONE);
	struct failure_subject subject = exchange_subject(&x);

	(void)state;
	written[0] = '\0';
	failure_log_hidden(&subject, FAILURE_ORIGIN_REFUSED);
	assert_string_equal(written, "info: " REFUSED " Answered from the store.\n");
}

/* Programs count them. */
static void test_each_failed_login(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		assert_string_equal(lines_of(FAILURE_AUTH_FAILED),
				    "info: auth_failed: client 192.0.2.7, user \"\": The user name "
				    "or the password is wrong: see the option password_file.\n");
}

static void test_wrong_header(void **state)
{
	union address sender;

	(void)state;
	assert_true(address_parse(SLICE("192.0.2.1"), &sender));
	for (int i = 0; i < 5; i++) {
		written[0] = '\0';
		failure_log_header(&sender, turn.now_ms);
		assert_int_equal(written[0] != '\0', i == 0);
	}
	failure_log_header(&sender, turn.now_ms + 10000);
	assert_string_equal(written,
			    "info: proxy_header_bad: 192.0.2.1: closed, as it did not begin with a "
			    "right PROXY header: let it send one, or take it out of "
			    "proxy_protocol_from (and 4 more since the last such line)\n");
}

/* What nobody but who looks for something wants to read. */
static void test_at_debug_alone(void **state)
{
	struct exchange x = failed(FAILURE_NONE);
	struct failure_subject subject = exchange_subject(&x);
	union address client;
	char host[200];

	(void)state;
	assert_true(address_parse(SLICE("192.0.2.1"), &client));
	for (unsigned i = 0; i < 2; i++) {
		least = i == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
		written[0] = '\0';
		failure_log_mended(&subject);
		failure_log_left(&client, 17);
		assert_string_equal(written,
				    i == 0 ? ""
					   : "debug: mended: a.example:80 for client 192.0.2.7: a "
					     "response broke the grammar of HTTP\n"
					     "debug: client 192.0.2.1 left after 17 bytes of a "
					     "request head\n");
	}
	memset(host, 'h', sizeof(host));
	host[128] = '!'; /* is left out */
	x.req.uri.host = slice_of(host, 129);
	x.peer.any.sa_family = AF_UNSPEC;
	written[0] = '\0';
	failure_log_mended(&subject);
	assert_non_null(strstr(written, "hhh:80 for client none: "));
	assert_null(strchr(written, '!'));
}

/* Each header at debug, with none left out. */
static void test_each_wrong_header_at_debug(void **state)
{
	union address sender;

	(void)state;
	least = LOG_LEVEL_DEBUG;
	assert_true(address_parse(SLICE("192.0.2.1"), &sender));
	for (unsigned i = 0; i < 3; i++) {
		written[0] = '\0';
		failure_log_header(&sender, turn.now_ms + 100000);
		assert_memory_equal(written, "info: proxy_header_bad: ", 24);
		assert_null(strstr(written, "more since"));
	}
}

/* Where the line ends, so does what is known of it: the longest host, addresses and cause. */
static void test_no_more_than_fits(void **state)
{
	struct exchange x = failed(FAILURE_ORIGIN_REFUSED);
	char host[400], cause[1200];

	(void)state;
	memset(host, 'h', sizeof(host));
	host[128] = '!'; /* is left out */
	memset(cause, 'c', sizeof(cause));
	cause[sizeof(cause) - 1] = '\0';
	x.req.uri.host = slice_of(host, 129);
	assert_true(address_parse(SLICE("2001:db8:1111:2222:3333:4444:5555:6666"), &x.origin));
	address_set_port(&x.origin, 65535);
	cause_set("%s", cause);
	written[0] = '\0';
	log_failure(&x);
	cause_clear();
	assert_null(strchr(written, '!'));
	assert_non_null(strstr(written, "hhh:80 at [2001:db8:1111:2222:3333:4444:5555:6666]:65535 "
					"for client 192.0.2.7: The origin refused"));
	assert_non_null(strstr(written, " (ccc"));
}

/* Those that have no exchange. */
static void test_handshake(void **state)
{
	union address client;

	(void)state;
	assert_true(address_parse(SLICE("192.0.2.1"), &client));
	written[0] = '\0';
	failure_log_handshake(&client, FAILURE_CLIENT_TLS_PLAIN, turn.now_ms);
	assert_memory_equal(written, "info: client_tls_plain: for client 192.0.2.1: ", 46);
	written[0] = '\0';
	failure_log_handshake(&client, FAILURE_CLIENT_TLS_CLOSED, turn.now_ms);
	assert_string_equal(written, "");
}

/* Of all kinds: no path, and no more than fits; some are cut at the end of what a line has room for. */
static void test_all_kinds(void **state)
{
	enum { LINE_MAX = sizeof("debug: \n") - 1 + 639 };
	char host[400];
	size_t longest = 0;

	(void)state;
	least = LOG_LEVEL_DEBUG;
	memset(host, 'h', sizeof(host));
	for (int i = FAILURE_NONE + 1; i < FAILURE_COUNT; i++) {
		struct exchange x = failed((enum failure)i);

		x.req.uri.host = slice_of(host, sizeof(host));
		assert_true(
			address_parse(SLICE("2001:db8:1111:2222:3333:4444:5555:6666"), &x.origin));
		x.peer = x.origin;
		address_set_port(&x.origin, 65535);
		cause_set("%0200d", 0);
		written[0] = '\0';
		log_failure(&x);
		cause_clear();
		longest = strlen(written) > longest ? strlen(written) : longest;
		assert_true(longest <= LINE_MAX);
		assert_non_null(strstr(written, failure_name((enum failure)i)));
		assert_non_null(strstr(written, failure_sentence((enum failure)i)));
		assert_null(strstr(written, "secret"));
	}
	assert_true(longest >= LINE_MAX - 1); /* at info or at debug */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(test_line),
		TEST(test_cause),
		TEST(test_limit_per_kind),
		TEST(test_debug_has_each),
		TEST(test_answered_in_spite_of_it),
		TEST(test_each_failed_login),
		TEST(test_wrong_header),
		TEST(test_at_debug_alone),
		TEST(test_each_wrong_header_at_debug),
		TEST(test_no_more_than_fits),
		TEST(test_handshake),
		TEST(test_all_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
