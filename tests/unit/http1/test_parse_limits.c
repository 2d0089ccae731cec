/* LINKS: proxy/http1 -Wl,--wrap=memchr */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/test_conf.h"
#include "tests/oracle/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HOST "Host: h\r\n"
#define GET "GET http://h/ HTTP/1.1\r\n" HOST
#define END "\r\n"
#define OK "HTTP/1.1 200 OK\r\n"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n"

static struct conf *conf;
static struct wire wire;
static char large[128 << 10];

/* `n` bytes: `start`, then `fill`, then `end`. */
static struct slice filled(size_t n, const char *start, char fill, const char *end)
{
	size_t start_n = strlen(start), end_n = strlen(end);

	assert_true(n >= start_n + end_n && n <= sizeof(large));
	memcpy(large, start, start_n);
	memset(large + start_n, fill, n - start_n - end_n);
	memcpy(large + n - end_n, end, end_n);
	return slice_of(large, n);
}

static void parse_large(struct slice bytes, bool response)
{
	const char *difference;

	wire.conf = conf;
	wire.response = response;
	wire.method = METHOD_GET;
	difference = wire_parse_every_way(&wire, bytes);
	if (difference != NULL)
		fail_msg("%zu bytes in pieces: %s differs", bytes.n, difference);
}

static void test_head_size(void **state)
{
	static const size_t limits[] = {1 << 10, 4 << 10, 64 << 10};

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		conf->head_size = limits[i];
		for (size_t n = limits[i] - 1; n <= limits[i] + 1; n++) {
			bool fits = n <= limits[i];

			parse_large(filled(n, GET "X: ", 'x', "\r\n\r\n"), false);
			assert_int_equal(wire.result, fits ? PARSE_DONE : PARSE_FAILED);
			assert_int_equal(wire.failure,
					 fits ? FAILURE_NONE : FAILURE_HEAD_TOO_LARGE);
			assert_true(slice_eq(wire.req.method_name, SLICE("GET")));
			parse_large(filled(n, GET "X: ", 'x', "x"), false);
			assert_int_equal(wire.result, fits ? PARSE_MORE : PARSE_FAILED);
			parse_large(filled(n, OK "X: ", 'x', "\r\n\r\n"), true);
			assert_int_equal(wire.result, fits ? PARSE_DONE : PARSE_FAILED);
			assert_int_equal(wire.failure,
					 fits ? FAILURE_NONE : FAILURE_RESPONSE_HEAD_TOO_LARGE);
			parse_large(filled(n, OK "X: ", 'x', "x"), true);
			assert_int_equal(wire.result, fits ? PARSE_MORE : PARSE_FAILED);
			assert_int_equal(wire.failure, FAILURE_RESPONSE_HEAD_TOO_LARGE);
		}
	}
	/* empty lines before a request are none of its head, and what follows neither */
	conf->head_size = 1 << 10;
	parse_large(filled((1 << 10) + 4, "\r\n\r\n" GET "X: ", 'x', "\r\n\r\n"), false);
	assert_int_equal(wire.result, PARSE_DONE);
	parse_large(filled(2 << 10, GET END, 'x', "\r\n"), false);
	assert_int_equal(wire.result, PARSE_DONE);
	parse_large(filled(2 << 10, OK END, 'x', "\r\n"), true);
	assert_int_equal(wire.result, PARSE_DONE);
}

static void with_lines(const char *start, unsigned lines, bool response)
{
	size_t n = (size_t)sprintf(large, "%s", start);

	for (unsigned i = 0; i < lines; i++)
		n += (size_t)sprintf(large + n, "X-%u: y\r\n", i);
	n += (size_t)sprintf(large + n, "\r\n");
	parse_large(slice_of(large, n), response);
}

static void test_field_count(void **state)
{
	static const unsigned limits[] = {8, PARSE_REQUEST_FIELDS_MAX, PARSE_FIELDS_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		conf->field_count = limits[i];
		for (unsigned n = limits[i] - 1; n <= limits[i] + 1; n++) {
			bool fits = n <= limits[i] && n <= PARSE_REQUEST_FIELDS_MAX;

			with_lines(GET, n - 1, false);
			assert_int_equal(wire.result, fits ? PARSE_DONE : PARSE_FAILED);
			assert_int_equal(wire.failure,
					 fits ? FAILURE_NONE : FAILURE_HEAD_TOO_LARGE);
			fits = n <= limits[i];
			with_lines(NO_CONTENT, n, true);
			assert_int_equal(wire.result, fits ? PARSE_DONE : PARSE_FAILED);
			if (!fits)
				assert_int_equal(wire.failure, FAILURE_RESPONSE_TOO_MANY_FIELDS);
			/* the same of a head that is mended */
			with_lines("HTTP/1.1 204\n", n, true);
			assert_int_equal(wire.result, fits ? PARSE_DONE : PARSE_FAILED);
			if (!fits)
				assert_int_equal(wire.failure, FAILURE_RESPONSE_TOO_MANY_FIELDS);
		}
	}
	/* fewer places than the option allows are no overrun */
	conf->field_count = PARSE_FIELDS_MAX + 1;
	with_lines(NO_CONTENT, PARSE_FIELDS_MAX + 1, true);
	assert_int_equal(wire.failure, FAILURE_RESPONSE_TOO_MANY_FIELDS);
}

/* A mended head grows by a CR a line. */
static void test_mended_heads_of_any_size(void **state)
{
	const unsigned all = (64 << 10) / 3 - 20;
	size_t n = (size_t)sprintf(large, "HTTP/1.1 204\n");

	(void)state;
	conf->head_size = 64 << 10;
	conf->field_count = PARSE_FIELDS_MAX;
	for (unsigned i = 0; i < all; i++)
		n += (size_t)sprintf(large + n, "a:\n");
	large[n++] = '\n';
	parse_large(slice_of(large, n), true);
	assert_int_equal(wire.failure, FAILURE_RESPONSE_TOO_MANY_FIELDS);
	n = (size_t)sprintf(large, "HTTP/1.1 204\n");
	for (unsigned i = 0; i < PARSE_FIELDS_MAX - 1; i++)
		n += (size_t)sprintf(large + n, "a:\n");
	memset(large + n, 'b', (64 << 10) - n);
	large[n + 1] = ':';
	n = 64 << 10;
	memcpy(large + n - 2, "\n\n", 2);
	parse_large(slice_of(large, n), true);
	assert_int_equal(wire.result, PARSE_DONE);
	assert_int_equal(wire.res.fields.count, PARSE_FIELDS_MAX);
}

static void test_uri_length(void **state)
{
	static const size_t limits[] = {64, 8 << 10, 32 << 10};
	static const char rest[] = " HTTP/1.1\r\n" HOST "\r\n";

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		conf->uri_length = limits[i];
		for (size_t n = limits[i] - 1; n <= limits[i] + 1; n++) {
			bool fits = n <= limits[i];

			parse_large(filled(4 + n + strlen(rest), "GET http://h/", 'x', rest),
				    false);
			assert_int_equal(wire.result, fits ? PARSE_DONE : PARSE_FAILED);
			assert_int_equal(wire.failure, fits ? FAILURE_NONE : FAILURE_URI_TOO_LONG);
			assert_int_equal(wire.req.target.n, n);
		}
		/* far too long: told without its end, and the same when its end is there, right or
		   wrong */
		parse_large(filled(limits[i] + 60, "GET http://h/", 'x', "x"), false);
		assert_int_equal(wire.failure, FAILURE_URI_TOO_LONG);
		parse_large(filled(limits[i] + 2000, "GET http://h/", 'x', rest), false);
		assert_int_equal(wire.failure, FAILURE_URI_TOO_LONG);
		parse_large(filled(limits[i] + 2000, "GET http://h/", 'x', "\n"), false);
		assert_int_equal(wire.failure, FAILURE_URI_TOO_LONG);
	}
}

/* The longest line that is looked at has both the longest method and target. */
static void test_method_length(void **state)
{
	char *method;

	(void)state;
	for (size_t n = PARSE_METHOD_MAX - 1; n <= PARSE_METHOD_MAX + 1; n++) {
		bool fits = n <= PARSE_METHOD_MAX;
		size_t room = n + 1 + conf->uri_length + strlen(" HTTP/1.1\r\n" HOST END);

		method = malloc(n + 20);
		assert_non_null(method);
		memcpy(method, "\r\n\r\n", 4);
		memset(method + 4, 'M', n);
		strcpy(method + 4 + n, " http://h/");
		for (size_t empty = 0; empty <= 4;
		     empty += 4) { /* without empty lines, and behind two */
			parse_large(filled(room + empty, method + 4 - empty, 'x',
					   " HTTP/1.1\r\n" HOST END),
				    false);
			assert_int_equal(wire.result, fits ? PARSE_DONE : PARSE_FAILED);
			assert_int_equal(wire.failure, fits ? FAILURE_NONE : FAILURE_BAD_REQUEST);
			assert_int_equal(wire.req.method_name.n, n);
		}
		free(method);
	}
}

/* ---- linear work ---------------------------------------------------------------------------- */

static size_t looked_at;

/* Each byte that is searched for the end of a line is counted. */
void *__real_memchr(const void *s, int c, size_t n);
void *__wrap_memchr(const void *s, int c, size_t n);

void *__wrap_memchr(const void *s, int c, size_t n)
{
	void *found = __real_memchr(s, c, n);

	looked_at += found != NULL ? (size_t)((char *)found - (const char *)s) + 1 : n;
	return found;
}

/* Fed byte by byte, no byte is looked at more than a few times. */
static void expect_linear(struct slice bytes, bool response, enum parse_result result)
{
	size_t n;

	wire.conf = conf;
	wire.response = response;
	wire.method = METHOD_GET;
	wire.progress = (struct parse_progress){0};
	wire.result = PARSE_MORE;
	looked_at = 0;
	for (n = 0; n < bytes.n && wire.result == PARSE_MORE; n++)
		wire_parse(&wire, slice_of(bytes.p, n + 1));
	assert_int_equal(wire.result, result);
	assert_in_range(looked_at, n, 6 * n);
}

static void test_slow_heads_cost_linear_work(void **state)
{
	enum { SIZE = 64 << 10 };
	size_t n;

	(void)state;
	expect_linear(filled(SIZE, GET "X: ", 'x', "\r\n\r\n"), false, PARSE_DONE);
	expect_linear(filled(SIZE, GET "X: ", ':', "x"), false, PARSE_MORE);
	expect_linear(filled(SIZE, OK "X: ", 'x', "\r\n\r\n"), true, PARSE_DONE);
	expect_linear(filled(SIZE, OK "X: ", '\r', "x"), true, PARSE_MORE);
	conf->uri_length = 32 << 10;
	n = 4 + conf->uri_length + strlen(" HTTP/1.1\r\n" HOST END);
	expect_linear(filled(n, "GET http://h/", 'x', " HTTP/1.1\r\n" HOST END), false, PARSE_DONE);
	expect_linear(filled(SIZE, "GET http://h/", 'x', " HTTP/1.1\r\n" HOST END), false,
		      PARSE_FAILED);
	n = (size_t)sprintf(large, "%s", GET);
	for (int i = 0; i < PARSE_REQUEST_FIELDS_MAX - 1; i++)
		n += (size_t)sprintf(large + n, "X-%u: %0200d\r\n", i, i);
	n += (size_t)sprintf(large + n, "\r\n");
	expect_linear(slice_of(large, n), false, PARSE_DONE);
}

/* --------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	conf = test_conf_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_conf_free(conf);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_head_size),
		TEST(test_field_count),
		TEST(test_mended_heads_of_any_size),
		TEST(test_uri_length),
		TEST(test_method_length),
		TEST(test_slow_heads_cost_linear_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
