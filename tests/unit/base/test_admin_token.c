/* LINKS: proxy/base tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* The file of the token of the admin pages, and what a request has to show. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/admin_token.h"
#include "tests/doubles/failing_calls.h"

#define SIXTEEN "0123456789abcdef"
#define NOT_ONE "not a token: letters, digits and -._~+/, and = at its end"
#define LINES "more than one line, or a NUL"
#define LONG "the token is longer than 512 characters"

static char path[] = "/tmp/cache204-token-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const char *bytes, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Read with that result: NULL for a token. */
static void assert_read(const char *wrong, struct admin_token *ret_token)
{
	struct diagnostic error = {""};
	char wanted[DIAGNOSTIC_MAX] = "";

	if (wrong != NULL)
		snprintf(wanted, sizeof(wanted), "admin_token_file: %s: %s", path, wrong);
	assert_int_equal(admin_token_read(path, ret_token, &error), wrong == NULL);
	assert_string_equal(error.text, wanted);
	if (wrong != NULL)
		assert_int_equal(ret_token->length, 0);
}

static void test_texts(void **state)
{
	static const struct {
		const char *text;
		size_t n, length;
		const char *wrong;
	} rows[] = {
		{SIXTEEN, 16, 16, NULL},
		{SIXTEEN "\n", 17, 16, NULL},
		{SIXTEEN "\r\n", 18, 16, NULL},
		{SIXTEEN "\n\n", 18, 16, NULL},
		{"-._~+/ABCxyz09==", 16, 16, NULL},
		{"a===============", 16, 16, NULL},
		{"0123456789abcde", 15, 0,
		 "shorter than 16 characters: openssl rand -hex 32 makes a good one"},
		{"", 0, 0, NOT_ONE},
		{"\n" SIXTEEN, 17, 0, LINES},
		{SIXTEEN "\n" SIXTEEN, 33, 0, LINES},
		{SIXTEEN "\n ", 18, 0, LINES},
		{SIXTEEN "\0", 17, 0, LINES},
		{"================", 16, 0, NOT_ONE},
		{"0123456789abcd=f", 16, 0, NOT_ONE},
		{"0123456789abcd f", 16, 0, NOT_ONE},
		{" " SIXTEEN, 17, 0, NOT_ONE},
		{"0123456789abcd\xc3\xa9", 16, 0, NOT_ONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct admin_token token;

		write_file(rows[i].text, rows[i].n, 0600);
		assert_read(rows[i].wrong, &token);
		assert_int_equal(token.length, rows[i].length);
		assert_memory_equal(token.text, rows[i].text, token.length);
		assert_int_equal(token.text[token.length], '\0');
	}
}

static void test_lengths(void **state)
{
	char text[ADMIN_TOKEN_MAX + 10];
	struct admin_token token;

	(void)state;
	memset(text, 'a', sizeof(text));
	write_file(text, ADMIN_TOKEN_MAX, 0600);
	assert_read(NULL, &token);
	assert_int_equal(token.length, ADMIN_TOKEN_MAX);
	for (size_t n = ADMIN_TOKEN_MAX + 1; n <= sizeof(text); n++) {
		write_file(text, n, 0600);
		assert_read(LONG, &token);
	}
	text[ADMIN_TOKEN_MAX] = '\r';
	text[ADMIN_TOKEN_MAX + 1] = '\n';
	write_file(text, ADMIN_TOKEN_MAX + 2, 0600);
	assert_read(NULL, &token);
	assert_int_equal(token.length, ADMIN_TOKEN_MAX);
}

static void test_modes(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = {{0600, true},  {0400, true},  {0640, true},  {0440, true},  {0700, true},
		    {0660, false}, {0620, false}, {0604, false}, {0602, false}, {0601, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct admin_token token;

		write_file(SIXTEEN, 16, 0600);
		assert_int_equal(chmod(path, rows[i].mode), 0);
		assert_read(rows[i].good
				    ? NULL
				    : "other users may read or write it: chmod 600, or 640 for a "
				      "group",
			    &token);
		assert_int_equal(chmod(path, 0600), 0);
	}
}

static void test_no_file(void **state)
{
	struct diagnostic error = {""};
	struct admin_token token;

	(void)state;
	assert_true(admin_token_read("", &token, &error));
	assert_int_equal(token.length, 0);
	assert_false(admin_token_read("/", &token, &error));
	assert_string_equal(error.text, "admin_token_file: /: not a regular file");
	assert_false(admin_token_read("/nowhere/token", &token, &error));
	assert_string_equal(error.text,
			    "admin_token_file: /nowhere/token: No such file or directory");
	assert_false(admin_token_read("/dev/null", &token, &error));
	assert_string_equal(error.text, "admin_token_file: /dev/null: not a regular file");
}

static void test_calls_that_fail(void **state)
{
	struct diagnostic error = {""};
	struct admin_token token;

	(void)state;
	write_file(SIXTEEN, 16, 0600);
	fail_calls("fstat", 0, 1, EIO);
	assert_read("Input/output error", &token);
	assert_true(fail_calls_never());
	/* a file that can be opened, and not be read */
	assert_false(admin_token_read("/proc/self/mem", &token, &error));
	assert_string_equal(error.text, "admin_token_file: /proc/self/mem: Input/output error");
	assert_int_equal(token.length, 0);
}

static void test_what_is_shown(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"Bearer " SIXTEEN, true},
		{"bEARER " SIXTEEN, true},
		{"Bearer   " SIXTEEN " \t", true},
		{"Bearer " SIXTEEN "0", false},
		{"Bearer 0123456789abcde", false},
		{"Bearer 1123456789abcdef", false},
		{"Bearer 0123456789abcdeg", false},
		{"Bearer 0123456789ABCDEF", false},
		{"Bearer " SIXTEEN SIXTEEN, false},
		{"Bearer ", false},
		{"Bearer", false},
		{"Basic " SIXTEEN, false},
		{"Bearer\t" SIXTEEN, false},
		{SIXTEEN, false},
		{"", false},
	};
	struct admin_token token, none = {.length = 0};

	(void)state;
	write_file(SIXTEEN, 16, 0600);
	assert_read(NULL, &token);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (admin_token_is(&token, slice_str(rows[i].text)) != rows[i].good)
			fail_msg("\"%s\"", rows[i].text);
		assert_false(admin_token_is(&none, slice_str(rows[i].text)));
	}
	admin_token_forget(&token);
	assert_int_equal(token.length, 0);
	for (size_t i = 0; i < sizeof(token.text); i++)
		assert_int_equal(token.text[i], 0);
	assert_false(admin_token_is(&token, slice_str("Bearer ")));
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_texts),   TEST(test_lengths),         TEST(test_modes),
		TEST(test_no_file), TEST(test_calls_that_fail), TEST(test_what_is_shown),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
