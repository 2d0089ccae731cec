/* LINKS: proxy/cli tests/doubles/cleared_memory.c tests/doubles/counted_memory.c -Wl,--wrap=connect,--wrap=poll */
/* Questions that are not answered in time, or not read to their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/cli/arguments.h"
#include "proxy/cli/ask.h"
#include "tests/doubles/cleared_memory.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/scripted_admin.h"

static char directory[] = "/tmp/ask.XXXXXX";

/* Connections that stay in progress, and how waiting for them ends: 0 for the time, or an errno. */
static bool in_progress;
static int poll_error;

int __real_connect(int fd, const struct sockaddr *to, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t length);
int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t length)
{
	if (!in_progress)
		return __real_connect(fd, to, length);
	errno = EINPROGRESS;
	return -1;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	if (!in_progress)
		return __real_poll(fds, n, ms);
	assert_int_equal(n, 1);
	assert_int_equal(fds[0].events, POLLOUT);
	errno = poll_error;
	return poll_error == 0 ? 0 : -1;
}

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

/* What was the matter with waiting is said, not that the connection is in progress. */
static void test_not_connected(void **state)
{
	static const struct {
		int poll_error;
		const char *said;
	} rows[] = {{0, ": Connection timed out"}, {ENOMEM, ": Cannot allocate memory"}};
	struct diagnostic error;
	struct answer answer;
	char option[64];

	(void)state;
	snprintf(option, sizeof(option), "unix:%s/admin", directory);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked asked = {.timeout_ms = 10000};

		assert_true(place_reached_here("admin", option, &asked.place, &error));
		in_progress = true;
		poll_error = rows[i].poll_error;
		assert_false(ask(&asked, "GET", "/", &answer, &error));
		in_progress = false;
		assert_string_equal(strrchr(error.text, ':'), rows[i].said);
		ask_free(&answer);
	}
}

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

/* Both times that a command runs; what it writes goes nowhere. */
static void run_twice(char **argv, size_t ret_alive[2], int ret_fds[2])
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), saved[] = {dup(1), dup(2)};

	fflush(stdout);
	dup2(nowhere, 1);
	dup2(nowhere, 2);
	for (unsigned n = 0; n < 2; n++) {
		struct arguments arguments;
		int status, argc = 0;

		while (argv[argc] != NULL)
			argc++;
		if (arguments_parse(argc, argv, &arguments, &status))
			arguments.command->run(&arguments);
		fflush(stdout);
		ret_alive[n] = allocations_alive();
		ret_fds[n] = lowest_free_fd();
	}
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	close(saved[0]);
	close(saved[1]);
	close(nowhere);
}

#define RESULT(answered)                 \
	"< 200 {\"answered\": " answered \
	", \"generation\": 3, \"older_generations\": 0, \"ok\": true}\n"
#define CHANGE "< 202 {\"asked\": 7}\n" RESULT("6") RESULT("7")

static void test_commands_leave_nothing(void **state)
{
	static const struct {
		const char *words[2], *script;
	} rows[] = {
		{{"reload"}, CHANGE CHANGE},
		{{"upgrade"}, CHANGE CHANGE},
		{{"reload"}, "<* 200 {}\n"},
		{{"explain", "http://a/"}, "<* 200 {}\n"},
		{{"explain", "http://a/"}, "<* 404 no\n"},
		{{"get", "http://a/"}, "<* 200 {}\n"},
		{{"stats"}, "<* 200 {}\n"},
		{{"list"}, "<* 200 {}\n"},
		{{"purge", "http://a/"}, "<* 200 {}\n"},
		{{"mark", "a"}, "<* 200 {}\n"},
		{{"top", "-1"}, "<* 200 {}\n"},
	};
	char path[64], option[80];

	(void)state;
	snprintf(path, sizeof(path), "%s/admin", directory);
	snprintf(option, sizeof(option), "admin=unix:%s", path);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *argv[] = {"cache204", (char *)(uintptr_t)rows[i].words[0], "-o",
				option,     (char *)(uintptr_t)rows[i].words[1], NULL};
		struct scripted_admin *admin =
			scripted_admin_begin(path, slice_str(rows[i].script));
		size_t alive[2];
		int fds[2];

		run_twice(argv, alive, fds);
		free(scripted_admin_end(admin));
		unlink(path);
		if (alive[0] != alive[1] || fds[0] != fds[1])
			fail_msg("%s leaves %zu allocations, and descriptor %d is %d",
				 rows[i].words[0], alive[1] - alive[0], fds[0], fds[1]);
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
		cmocka_unit_test(test_not_connected),
		cmocka_unit_test(test_nothing_is_left),
		cmocka_unit_test(test_commands_leave_nothing),
		cmocka_unit_test(test_the_token_is_cleared),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		abort();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
