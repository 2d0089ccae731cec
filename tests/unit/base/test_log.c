/* LINKS: proxy/base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/log.h"

/* The clock that log.c sees: the program's own symbol is taken before that of the library. */
static time_t second = 1000;

int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	(void)clock;
	*ret_now = (struct timespec){.tv_sec = second};
	return 0;
}

static int pipe_ends[2];
static int old_stderr;

/* Stderr is a pipe during a test, each in a second of its own. */
static int capture(void **state)
{
	(void)state;
	second += 10;
	log_set_level(LOG_LEVEL_INFO);
	unsetenv("JOURNAL_STREAM");
	if (pipe2(pipe_ends, O_CLOEXEC) != 0 || fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK) != 0)
		return -1;
	old_stderr = dup(STDERR_FILENO);
	return dup2(pipe_ends[1], STDERR_FILENO) < 0;
}

static int release(void **state)
{
	(void)state;
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	return 0;
}

/* Each line begins with the time, which is taken away. */
static void without_times(char *text)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ ";
	char *to = text;

	while (*text) {
		size_t length = strcspn(text, "\n") + 1;

		for (size_t i = 0; shape[i]; i++)
			assert_true(shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9'
						    : text[i] == shape[i]);
		memmove(to, text + sizeof(shape) - 1, length - (sizeof(shape) - 1));
		to += length - (sizeof(shape) - 1);
		text += length;
	}
	*to = '\0';
}

/* What was logged since the last call. */
static const char *logged(void)
{
	static char text[65536];
	ssize_t n = read(pipe_ends[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	if (*text != '<')
		without_times(text);
	return text;
}

static unsigned lines_of(const char *text)
{
	unsigned lines = 0;
	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

static void test_a_line(void **state)
{
	(void)state;
	log_error("cannot open %s: %d", "x", 5);
	assert_string_equal(logged(), "cache204: error: cannot open x: 5\n");
	log_info("ready");
	assert_string_equal(logged(), "cache204: info: ready\n");
}

static void test_levels(void **state)
{
	(void)state;
	log_debug("one");
	assert_string_equal(logged(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("two");
	assert_string_equal(logged(), "cache204: debug: two\n");
	log_set_level(LOG_LEVEL_WARNING);
	log_info("three");
	log_warning("three and a half");
	assert_string_equal(logged(), "cache204: warning: three and a half\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("three");
	log_error("four");
	assert_string_equal(logged(), "cache204: error: four\n");
}

static void test_bytes_that_are_not_printable_are_escaped(void **state)
{
	(void)state;
	for (unsigned byte = 1; byte < 256; byte++) {
		char expected[64];
		bool plain = byte >= ' ' && byte < 0x7f;
		snprintf(expected, sizeof(expected),
			 plain ? "cache204: info: [%c]\n" : "cache204: info: [\\x%02x]\n", byte);
		second++;
		log_info("[%c]", (char)byte);
		assert_string_equal(logged(), expected);
	}
}

static void test_a_long_line_is_cut(void **state)
{
	(void)state;
	static char text[20000];
	memset(text, '\n', sizeof(text) - 1);
	log_info("%s", text);
	const char *line = logged();
	assert_int_equal(lines_of(line), 1);
	assert_in_range(strlen(line), 1000, 4096);
	assert_string_equal(line + strlen(line) - 4, "...\n");
	memset(text, 'a', sizeof(text) - 1);
	log_info("%s", text);
	line = logged();
	assert_in_range(strlen(line), 1000, 4096);
	assert_string_equal(line + strlen(line) - 5, "a...\n");
}

static void test_a_call_site_is_limited(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 25; i++)
		log_error("again %u", i);
	assert_int_equal(lines_of(logged()), 10);
	log_error("another");
	assert_string_equal(logged(), "cache204: error: another\n");

	second++;
	log_info("something else");
	assert_string_equal(logged(), "cache204: error: 15 more lines left out like: again %u\n"
				      "cache204: info: something else\n");
	log_error("again %u", 99);
	second++;
	log_error("again %u", 100);
	assert_string_equal(logged(), "cache204: error: again 99\ncache204: error: again 100\n");
}

#define EIGHT(base)                                                                         \
	log_info("site " base "0"), log_info("site " base "1"), log_info("site " base "2"), \
		log_info("site " base "3"), log_info("site " base "4"),                     \
		log_info("site " base "5"), log_info("site " base "6"), log_info("site " base "7")

/* Sites do not use up each other's limit, wherever their formats lie. */
static void test_many_sites(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		EIGHT("a"), EIGHT("b"), EIGHT("c"), EIGHT("d"), EIGHT("e"), EIGHT("f");
		assert_int_equal(lines_of(logged()), 48);
	}
}

/* More than there is room for: some share a limit, and no line is lost for that alone. */
static void test_more_sites_than_there_is_room_for(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++, second++) {
		EIGHT("a"), EIGHT("b"), EIGHT("c"), EIGHT("d"), EIGHT("e"), EIGHT("f");
		EIGHT("g"), EIGHT("h"), EIGHT("i");
		assert_int_equal(lines_of(logged()), 72);
	}
}

static void test_a_stderr_without_a_reader_does_not_stop_us(void **state)
{
	(void)state;
	assert_int_equal(fcntl(pipe_ends[1], F_SETPIPE_SZ, 8192), 8192);
	char full[8192] = {0};
	assert_int_equal(write(pipe_ends[1], full, sizeof(full)), sizeof(full));
	for (int i = 0; i < 2; i++) {
		log_info("lost"); /* nor can it be told in the next second that one was */
		second++;
	}
	logged();
	log_info("seen");
	assert_string_equal(logged(), "cache204: info: 1 more lines left out like: lost\n"
				      "cache204: info: 1 more lines left out like: lost\n"
				      "cache204: info: seen\n");
}

static void test_a_stderr_that_is_gone(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	close(pipe_ends[0]);
	log_error("nobody hears");
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
	dup2(pipe_ends[1], STDERR_FILENO);
	second++;
	log_error("somebody does");
	assert_non_null(strstr(logged(), "cache204: error: somebody does\n"));
}

static void test_errno_is_kept(void **state)
{
	(void)state;
	close(STDERR_FILENO);
	errno = ENOENT;
	log_error("x");
	assert_int_equal(errno, ENOENT);
	dup2(pipe_ends[1], STDERR_FILENO);
	second++;
	log_error("y");
	assert_non_null(strstr(logged(), "1 more lines left out like: x\n"));
}

static void test_priorities_for_the_journal(void **state)
{
	(void)state;
	struct stat status;
	char stream[64];
	assert_int_equal(fstat(STDERR_FILENO, &status), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("a");
	log_warning("w");
	log_info("b");
	log_debug("c");
	assert_string_equal(logged(), "<3>cache204: error: a\n<4>cache204: warning: w\n"
				      "<6>cache204: info: b\n"
				      "<7>cache204: debug: c\n");

	/* Inherited, but stderr is something else by now. */
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	log_error("d");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	log_error("e");
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev + 1,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_error("f");
	assert_string_equal(logged(), "cache204: error: d\ncache204: error: e\n"
				      "cache204: error: f\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, capture, release)

/* What a peer chose stays within its quotes, and within the room for it, of any size. */
static void test_quote(void **state)
{
	static const char bytes[] = "a\"b\\c\n\xff d";
	char to[64], plain[50], odd[50];

	(void)state;
	memset(plain, 'x', sizeof(plain));
	memset(odd, '"', sizeof(odd));
	assert_string_equal(log_quote(bytes, strlen(bytes), to, sizeof(to)),
			    "\"a\\x22b\\x5cc\\x0a\\xff d\"");
	assert_string_equal(log_quote("", 0, to, sizeof(to)), "\"\"");
	assert_string_equal(log_quote(plain, 11, to, 20), "\"xxxxxxxxxxx\"");
	assert_string_equal(log_quote(plain, 12, to, 20), "\"xxxxxxxxxxx...\"");
	assert_string_equal(log_quote(odd, 3, to, 20), "\"\\x22\\x22\\x22\"");
	assert_string_equal(log_quote(odd, 4, to, 20), "\"\\x22\\x22\\x22...\"");
	for (size_t size = LOG_QUOTE_MIN; size < 40; size++) {
		char *room = malloc(size);

		for (size_t n = 0; n < 50; n++) {
			const char *text = log_quote(plain, n, room, size);

			assert_true(strlen(text) < size && text[strlen(text) - 1] == '"');
			text = log_quote(odd, n, room, size);
			assert_true(strlen(text) < size && text[strlen(text) - 1] == '"');
			assert_null(memchr(text + 1, '"', strlen(text) - 2));
		}
		free(room);
	}
}

/* The longest that is whole, and one byte more. */
static void test_the_longest_line(void **state)
{
	char text[1001];
	const char *line;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[999] = '\0';
	log_info("%s", text);
	line = logged();
	assert_int_equal(strlen(line), strlen("cache204: info: \n") + 999);
	assert_string_equal(line + strlen(line) - 4, "aaa\n");
	text[999] = 'a';
	text[1000] = '\0';
	log_info("%s", text);
	line = logged();
	assert_int_equal(strlen(line), strlen("cache204: info: \n") + 999);
	assert_string_equal(line + strlen(line) - 5, "a...\n");
}

static void test_what_a_level_has(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_WARNING);
	assert_true(log_has(LOG_LEVEL_ERROR));
	assert_true(log_has(LOG_LEVEL_WARNING));
	assert_false(log_has(LOG_LEVEL_INFO));
	assert_false(log_has(LOG_LEVEL_DEBUG));
}

static void test_a_line_for_each_line(void **state)
{
	(void)state;
	log_error_lines("reload", "");
	log_error_lines("reload", "\n");
	assert_string_equal(logged(), "");
	log_error_lines("reload", "\none: 100%\n\ntwo");
	assert_string_equal(logged(), "cache204: error: reload: one: 100%\n"
				      "cache204: error: reload: two\n");
}

static void test_names_of_signals(void **state)
{
	(void)state;
	assert_string_equal(log_signal_name(SIGTERM), "SIGTERM");
	assert_string_equal(log_signal_name(SIGINT), "SIGINT");
	assert_string_equal(log_signal_name(SIGQUIT), "SIGQUIT");
	assert_string_equal(log_signal_name(SIGHUP), "SIGHUP, the terminal is closed");
	assert_string_equal(log_signal_name(SIGSEGV), "Segmentation fault");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_line),
		TEST(test_levels),
		TEST(test_bytes_that_are_not_printable_are_escaped),
		TEST(test_a_long_line_is_cut),
		TEST(test_a_call_site_is_limited),
		TEST(test_many_sites),
		TEST(test_more_sites_than_there_is_room_for),
		TEST(test_a_stderr_without_a_reader_does_not_stop_us),
		TEST(test_a_stderr_that_is_gone),
		TEST(test_errno_is_kept),
		TEST(test_priorities_for_the_journal),
		TEST(test_quote),
		TEST(test_the_longest_line),
		TEST(test_what_a_level_has),
		TEST(test_a_line_for_each_line),
		TEST(test_names_of_signals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
