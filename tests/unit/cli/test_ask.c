/* LINKS: proxy/cli tests/doubles/cleared_memory.c tests/doubles/counted_memory.c */
/* Questions that are not answered in time, or not read to their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/cli/ask.h"
#include "tests/doubles/cleared_memory.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/scripted_admin.h"

static char directory[] = "/tmp/ask.XXXXXX";

/* What went wrong, behind the place. */
static const char *failure(struct slice script, const char *target, int64_t timeout_ms)
{
	static struct diagnostic error;
	struct asked asked = {.timeout_ms = timeout_ms};
	struct scripted_admin *admin;
	struct answer answer;
	char option[64], place[PLACE_NAME];

	snprintf(option, sizeof(option), "unix:%s/admin", directory);
	assert_true(place_reached_here("admin", option, &asked.place, &error));
	admin = scripted_admin_begin(asked.place.path, script);
	assert_false(ask(&asked, "GET", target, &answer, &error));
	ask_free(&answer);
	free(scripted_admin_end(admin));
	unlink(asked.place.path);
	place_name(&asked.place, place);
	assert_memory_equal(error.text, place, strlen(place));
	return error.text + strlen(place);
}

static void test_no_answer_in_time(void **state)
{
	(void)state;
	assert_string_equal(failure(SLICE("< never\n"), "/", 1), ": Connection timed out");
	assert_string_equal(failure(SLICE("< never\n"), "/", 0), ": Connection timed out");
}

/* The other side closes before all was sent: more than sockets hold, and than it reads. */
static void test_closed_while_sending(void **state)
{
	size_t size = 4 << 20;
	char *target = malloc(size + 1);
	const char *text;

	(void)state;
	memset(target, 'x', size);
	target[0] = '/';
	target[size] = '\0';
	text = failure(SLICE("< 200 {}\n"), target, 10000);
	assert_true(strcmp(text, ": Broken pipe") == 0 ||
		    strcmp(text, ": Connection reset by peer") == 0);
	free(target);
}

/* ---- nothing is left behind ----------------------------------------------------------------- */

static int lowest_free_fd(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

/* However it ends: no memory, and no descriptor.  The first of two has what the C library keeps. */
static void test_nothing_is_left(void **state)
{
	static const struct {
		const char *script; /* NULL: there is nothing that listens */
		bool answered;
		int64_t timeout_ms;
	} rows[] = {
		{"< 200 {}\n< 200 {}\n", true, 10000},
		{"< close\n< close\n", false, 10000},
		{"< raw x\n< raw x\n", false, 10000},
		{"< never\n< never\n", false, 0},
		{NULL, false, 10000},
	};
	struct diagnostic error;
	struct answer answer;
	char option[64];

	(void)state;
	snprintf(option, sizeof(option), "unix:%s/admin", directory);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked asked = {.timeout_ms = rows[i].timeout_ms};
		struct scripted_admin *admin = NULL;
		size_t alive = 0;
		int fd = 0;

		assert_true(place_reached_here("admin", option, &asked.place, &error));
		if (rows[i].script != NULL)
			admin = scripted_admin_begin(asked.place.path, slice_str(rows[i].script));
		for (unsigned n = 0; n < 2; n++) {
			alive = allocations_alive();
			fd = lowest_free_fd();
			assert_int_equal(ask(&asked, "GET", "/", &answer, &error),
					 rows[i].answered);
			ask_free(&answer);
		}
		assert_int_equal(allocations_alive(), alive);
		assert_int_equal(lowest_free_fd(), fd);
		if (admin != NULL)
			free(scripted_admin_end(admin));
		unlink(asked.place.path);
	}
}

static const char token[] = "the-token-of-an-admin";

/* The request that has the token is cleared once it was sent, to its last byte. */
static void test_the_token_is_cleared(void **state)
{
	struct asked asked = {.timeout_ms = 10000};
	struct scripted_admin *admin;
	struct diagnostic error;
	struct answer answer;
	char option[64], *said;

	(void)state;
	snprintf(option, sizeof(option), "unix:%s/admin", directory);
	assert_true(place_reached_here("admin", option, &asked.place, &error));
	strcpy(asked.token.text, token);
	asked.token.length = strlen(token);
	admin = scripted_admin_begin(asked.place.path, SLICE("< 200 {}\n"));
	cleared_count(token);
	assert_true(ask(&asked, "GET", "/", &answer, &error));
	assert_int_equal(cleared_so_far(), 1);
	ask_free(&answer);
	said = scripted_admin_end(admin);
	free(said);
	unlink(asked.place.path);
	ask_end(&asked);
	assert_int_equal(cleared_so_far(), 1);
	cleared_count(NULL);
	assert_int_equal(asked.token.text[0], '\0');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_answer_in_time),
		cmocka_unit_test(test_closed_while_sending),
		cmocka_unit_test(test_nothing_is_left),
		cmocka_unit_test(test_the_token_is_cleared),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		abort();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
