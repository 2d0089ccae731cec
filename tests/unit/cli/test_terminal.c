/* LINKS: proxy/cli -Wl,--wrap=monotonic_us,--wrap=kill */
/*
 * `cache204 top` in a terminal: what its keys ask for and show, lines that are typed, and that the terminal is
 * afterwards what it was.  A process types: each text once that before it was seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "proxy/base/monotonic.h"
#include "proxy/cli/arguments.h"
#include "proxy/cli/canvas.h"
#include "proxy/cli/screen.h"
#include "tests/support/scripted_admin.h"

static const struct winsize usual = {.ws_row = 18, .ws_col = 80};

/* A program that waits for what is never typed is ended. */
enum { SHOWN_MAX = 512 * 1024, ROWS = 18, HANGS_S = 20 };

/* What is waited for, and typed then. */
struct typed {
	const char *seen, *keys;
};

/* In place of keys: another size is told, the key that stops the program, and a key of two bytes, one of them 0. */
static const char resize[] = "SIGWINCH", suspend[] = "SIGTSTP", escape_null[] = "\033";

static char directory[] = "/tmp/terminal.XXXXXX", admin_path[64], admin_option[80];
static char *shown; /* by the program, shared with the process that types */

/* Time passes when the process that types says so: without that, only keys have something asked. */
static _Atomic int64_t *now_us; /* shared with it */
static const int64_t *passing;  /* what passes before each that is typed; NULL for none */

int64_t __wrap_monotonic_us(void);

int64_t __wrap_monotonic_us(void)
{
	return *now_us;
}

/* The program does not stop: what its terminal is then, is kept. */
int __real_kill(pid_t process, int number);
int __wrap_kill(pid_t process, int number);

static unsigned stops;
static struct termios when_stopped;

int __wrap_kill(pid_t process, int number)
{
	if (process != 0)
		return __real_kill(process, number);
	assert_int_equal(number, SIGSTOP);
	stops++;
	return tcgetattr(STDIN_FILENO, &when_stopped);
}

/* ---- the terminal --------------------------------------------------------------------------- */

static void act(int terminal, const struct typed *typed)
{
	if (typed->keys == resize)
		kill(getppid(), SIGWINCH);
	else if (typed->keys == suspend)
		kill(getppid(), SIGTSTP);
	else if (write(terminal, typed->keys, strlen(typed->keys) + (typed->keys == escape_null)) <
		 0)
		abort();
}

static _Noreturn void type(int terminal, const struct typed *typed)
{
	size_t n = 0;
	ssize_t got;
	char *from = shown;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((got = read(terminal, shown + n, SHOWN_MAX - 1 - n)) > 0) {
		char *seen;

		n += (size_t)got;
		while (typed->seen != NULL && (seen = strstr(from, typed->seen)) != NULL) {
			from = seen + strlen(typed->seen);
			*now_us += passing != NULL ? *passing++ : 0;
			act(terminal, typed++);
		}
	}
	_exit(0);
}

/* Standard input and output are the terminal meanwhile. */
struct stage {
	struct scripted_admin *admin;
	struct termios before;
	int terminal, saved[2];
	pid_t typist;
};

static struct winsize size;

static void begin(struct stage *stage, const struct typed *typed, struct slice script)
{
	int ours;

	*stage = (struct stage){0};
	memset(shown, 0, SHOWN_MAX);
	*now_us = 10000000;
	alarm(HANGS_S);
	fflush(stdout);
	assert_int_equal(openpty(&ours, &stage->terminal, NULL, NULL, &size), 0);
	tcgetattr(stage->terminal, &stage->before);
	stage->admin = scripted_admin_begin(admin_path, script);
	stage->typist = fork();
	if (stage->typist == 0) {
		close(stage->terminal);
		type(ours, typed);
	}
	close(ours);
	for (int i = 0; i < 2; i++) {
		stage->saved[i] = dup(i);
		dup2(stage->terminal, i);
	}
}

/* What was asked, for the caller to free. */
static char *end(struct stage *stage)
{
	struct termios now = {0};
	char *asked = scripted_admin_end(stage->admin); /* it has the terminal, too */

	alarm(0);
	fflush(stdout);
	tcgetattr(stage->terminal, &now);
	for (int i = 0; i < 2; i++) {
		dup2(stage->saved[i], i);
		close(stage->saved[i]);
	}
	clearerr(stdin);
	close(stage->terminal); /* its other end has no more to read */
	waitpid(stage->typist, NULL, 0);
	assert_memory_equal(&now, &stage->before, sizeof(now));
	return asked;
}

static int run_top_in(struct stage *stage, const struct typed *typed, struct slice script,
		      char **ret_asked)
{
	char *argv[] = {"cache204", "top", "-o", admin_option, NULL};
	struct arguments arguments;
	int status;

	begin(stage, typed, script);
	if (arguments_parse(4, argv, &arguments, &status))
		status = arguments.command->run(&arguments);
	*ret_asked = end(stage);
	return status;
}

/* ---- pages ---------------------------------------------------------------------------------- */

#define HOME "\033[H"

/* Without sequences, blanks at its end, and what is erased. */
static void plain(const char *row, size_t n, char *to)
{
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		if (row[i] == '\033')
			i += strcspn(row + i, "mKJhl");
		else if (row[i] != '\r') /* the terminal adds one of its own */
			to[length++] = row[i];
	}
	while (length > 0 && to[length - 1] == ' ')
		length--;
	to[length] = '\0';
}

/* A row of a page, counted from the end: 1 is the last one. */
static const char *row_of(const char *page, unsigned from_end)
{
	static char text[1024];
	const char *stop = strstr(page, HOME);
	unsigned row = ROWS - from_end;

	for (; row > 0; row--)
		page = strstr(page, "\r\n") + 2;
	if (stop == NULL)
		stop = page + strlen(page);
	plain(page,
	      strstr(page, "\r\n") != NULL && strstr(page, "\r\n") < stop
		      ? (size_t)(strstr(page, "\r\n") - page)
		      : (size_t)(stop - page),
	      text);
	return text;
}

/* The n-th page that was drawn. */
static const char *page_at(unsigned n)
{
	const char *page = strstr(shown, HOME);

	while (page != NULL && n-- > 0)
		page = strstr(page + 1, HOME);
	assert_non_null(page);
	return page + strlen(HOME);
}

#define DASH                                                                                      \
	"{\"now_ms\": 1795788731000, \"start_ms\": 1795255271000, \"version\": \"1\", "           \
	"\"workers\": 1, \"window_s\": 60, \"answers204\": {\"fresh\": 1, \"shared\": 0, "        \
	"\"stale\": 0, \"confirmed\": 0, \"fetched\": 0}, \"verdict\": \"hit\", \"from_store\": " \
	"true, \"line\": \"Explained.\"}"
#define ASKS "> GET /dash.json?window="
#define MINUTE ASKS "60&step=10&sort="
#define HOUR ASKS "3600&step=10&sort="
#define START ASKS "0&step=10&sort="

static void test_keys(void **state)
{
	static const struct typed typed[] = {
		{"q quit", "123huwessssspp!\033[1;2A\033OPq"},
		{NULL, NULL},
	};
	static const struct {
		const char *windows, *heading, *last;
	} pages[] = {
		{"[1 min]  1 h  start    14:12:11", " HOST", " h hosts"},
		{"[1 min]  1 h  start    14:12:11", " HOST", " h hosts"},
		{" 1 min  [1 h]  start    14:12:11", " HOST", " h hosts"},
		{" 1 min  1 h  [start]    14:12:11", " HOST", " h hosts"},
		{" 1 min  1 h  [start]    14:12:11", " HOST", " h hosts"},
		{" 1 min  1 h  [start]    14:12:11", " URL", " h hosts"},
		{" 1 min  1 h  [start]    14:12:11", " WHY ORIGINS", " h hosts"},
		{" 1 min  1 h  [start]    14:12:11", " LAST     ERROR", " h hosts"},
		{" 1 min  1 h  [start]    14:12:11", " LAST     ERROR", " ordered by asked"},
		{" 1 min  1 h  [start]    14:12:11", " LAST     ERROR", " ordered by bytes"},
		{" 1 min  1 h  [start]    14:12:11", " LAST     ERROR", " ordered by failures"},
		{" 1 min  1 h  [start]    14:12:11", " LAST     ERROR", " ordered by first_byte"},
		{" 1 min  1 h  [start]    14:12:11", " LAST     ERROR", " ordered by requests"},
		{" 1 min  1 h  [start]      paused", " LAST     ERROR", " ordered by requests"},
		{" 1 min  1 h  [start]    14:12:11", " LAST     ERROR", " ordered by requests"},
	};
	struct stage stage;
	char *asked;

	(void)state;
	assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
	assert_string_equal(asked,
			    MINUTE "requests (2 times)\n" HOUR "requests\n" START "requests\n" START
				   "asked\n" START "bytes\n" START "failures\n" START
				   "first_byte\n" START "requests (2 times)\n");
	free(asked);
	for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		const char *head = row_of(page_at(i), ROWS);

		print_message("page %u: %s\n", i, head);
		assert_string_equal(head + strlen(head) - strlen(pages[i].windows),
				    pages[i].windows);
		assert_memory_equal(row_of(page_at(i), ROWS - 12), pages[i].heading,
				    strlen(pages[i].heading));
		assert_memory_equal(row_of(page_at(i), 1), pages[i].last, strlen(pages[i].last));
	}
	assert_memory_equal(shown, "\033[?1049h\033[?25l\033[?7l\033[2J", 22);
	assert_non_null(strstr(shown, "\033[0m\033[?7h\033[?25h\033[?1049l"));
}

/* Lines are edited as shells do, and Escape or an empty one does nothing. */
static void test_lines(void **state)
{
	static const struct typed typed[] = {
		{"q quit", "mrun-x\177a\010b\r"},
		{"mark run-b is set", "m\r"},
		{"\033[?25l" HOME, "mabc\033"},
		{"name: abc\033[?25l", "mab"},
		{"name: ab", escape_null},
		{"name: ab", "\025x\033[A y\025ok\n"},
		{"mark ok is set", "m1st\r"},
		{"begins with a letter", "m0123456789012345678901234567890123456789\025a"
					 "bcdefghijklmnopqrstuvwxyz0123456789\r"},
		{"mark abcdefghijklmnopqrstuvwxyz012345 is set", "q"},
		{NULL, NULL},
	};
	struct stage stage;
	char *asked;

	(void)state;
	assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
	assert_string_equal(
		asked,
		MINUTE "requests\n> POST /marks/run-b\n" MINUTE
		       "requests (3 times)\n> POST /marks/ok\n" MINUTE
		       "requests (2 times)\n> POST /marks/abcdefghijklmnopqrstuvwxyz012345\n" MINUTE
		       "requests\n");
	free(asked);
}

/* Of a line that is longer than the terminal its end is shown. */
static void test_explain(void **state)
{
	static const struct typed typed[] = {
		{"q quit", "/\r"},
		{"\033[?25l" HOME, "/"},
		{"explain the URL: ",
		 "http://a/"
		 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbcde"
		 "\r"},
		{"Explained.", ""},
		{"Enter goes back to top. ", "x\n"},
		{"q quit", "q"},
		{NULL, NULL},
	};
	struct stage stage;
	char *asked;

	(void)state;
	assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
	assert_string_equal(asked, MINUTE "requests\n> GET /explain?fetch=0&uri=http%3a%2f%2fa%2f"
					  "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
					  "bbbbbbbbbbbbbbbbbbbbbbbbcde\n");
	free(asked);
	/* 80 columns, less the prompt and the cursor */
	assert_non_null(strstr(shown,
			       "\r\033[0m\033[K explain the URL: "
			       "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbcde"
			       "\033[?25l"));
}

/* The numbers stay, with what is wrong, and a new answer takes it away. */
static void test_no_answer(void **state)
{
	static const struct typed typed[] = {{"q quit", "11q"}, {NULL, NULL}};
	struct stage stage;
	char *asked;

	(void)state;
	assert_int_equal(run_top_in(&stage, typed,
				    SLICE("< 200 " DASH "\n< close\n< 200 " DASH "\n"), &asked),
			 0);
	free(asked);
	assert_string_equal(row_of(page_at(0), ROWS - 1),
			    "ok  Nothing needs you. No client got an error since the start.");
	assert_string_equal(row_of(page_at(1), ROWS - 1), "??  Not known since 14:12:11.");
	assert_non_null(strstr(row_of(page_at(1), ROWS - 2), "closed without an answer"));
	assert_string_equal(row_of(page_at(2), ROWS - 1),
			    "ok  Nothing needs you. No client got an error since the start.");
}

/* A terminal that wants none, and a user who wants none, get no colours. */
static void test_colours(void **state)
{
	static const struct {
		const char *no_color, *term;
		bool coloured;
	} rows[] = {
		{NULL, NULL, true},    {NULL, "xterm", true}, {"", "xterm", true},
		{"1", "xterm", false}, {NULL, "dumb", false},
	};
	static const struct typed typed[] = {{"q quit", "q"}, {NULL, NULL}};
	struct stage stage;
	char *asked;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsetenv("NO_COLOR");
		unsetenv("TERM");
		if (rows[i].no_color != NULL)
			setenv("NO_COLOR", rows[i].no_color, 1);
		if (rows[i].term != NULL)
			setenv("TERM", rows[i].term, 1);
		assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
		free(asked);
		assert_int_equal(strstr(shown, "\033[0;1m") != NULL, rows[i].coloured);
	}
}

/* A terminal of no size is taken for an ordinary one; of a small one a part is seen, and a huge one is filled. */
static void test_sizes(void **state)
{
	static const struct {
		struct winsize size;
		unsigned rows;
		const char *head;
	} rows[] = {
		{{.ws_row = 0, .ws_col = 0}, 24, "[1 min]  1 h  start    14:12:11"},
		{{.ws_row = 10, .ws_col = 0}, 24, "[1 min]  1 h  start    14:12:11"},
		{{.ws_row = 0, .ws_col = 100}, 24, "[1 min]  1 h  start    14:12:11"},
		{{.ws_row = 1, .ws_col = 100}, 1, "q quit"},
		{{.ws_row = 2, .ws_col = 39}, 2, "1 min]  1 h  start    14:12:11"},
		{{.ws_row = CANVAS_ROWS + 1, .ws_col = 80}, CANVAS_ROWS, "start    14:12:11"},
	};
	static const struct typed typed[] = {{"\033[J", "!"}, {"\033[J", "q"}, {NULL, NULL}};
	struct stage stage;
	char *asked;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned breaks = 0;
		const char *at = NULL, *end;
		char head[1024];

		size = rows[i].size;
		assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
		free(asked);
		at = page_at(0);
		end = strstr(at, HOME);
		assert_non_null(end);
		plain(at,
		      strcspn(at, "\r\033") == 0 && rows[i].rows == 1 ? (size_t)(end - at)
								      : strcspn(at, "\r"),
		      head);
		assert_true(strlen(head) >= strlen(rows[i].head));
		assert_string_equal(head + strlen(head) - strlen(rows[i].head), rows[i].head);
		for (; (at = strstr(at, "\n")) != NULL && at < end; at++)
			breaks++;
		assert_int_equal(breaks + 1, rows[i].rows);
	}
	size = usual;
}

/* It is drawn anew, and nothing is asked for it. */
static void test_resized(void **state)
{
	static const struct typed typed[] = {
		{"q quit", resize}, {"q quit", resize}, {"q quit", "q"}, {NULL, NULL}};
	struct stage stage;
	char *asked;

	(void)state;
	assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
	assert_string_equal(asked, MINUTE "requests\n");
	free(asked);
	assert_null(strstr(page_at(2), HOME));
}

/* Every two seconds is asked, not while it is paused; what is said of a key stands for four. */
static void test_time(void **state)
{
	static const struct typed typed[] = {
		{"q quit", "!"},           {"q quit", "!"},
		{"q quit", "s"},           {"ordered by asked", "!"},
		{"ordered by asked", "!"}, {"q quit", "p"},
		{"q quit", "!"},           {"q quit", "p"},
		{"q quit", "q"},           {NULL, NULL},
	};
	static const int64_t passes[] = {1999999, 1, 0, 3999999, 1, 0, 60000000, 0, 0};
	struct stage stage;
	char *asked;

	(void)state;
	passing = passes;
	assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
	passing = NULL;
	assert_string_equal(asked, MINUTE "requests (2 times)\n" MINUTE "asked (3 times)\n");
	free(asked);
}

/* The shell has the terminal as it was, and the page is whole afterwards. */
static void test_stopped(void **state)
{
	static const struct typed typed[] = {{"q quit", suspend}, {"q quit", "q\n"}, {NULL, NULL}};
	static const char ended[] = "\033[?7h\033[?25h\033[?1049l";
	static const char begun[] = "\033[?1049h\033[?25l\033[?7l\033[2J" HOME;
	struct stage stage;
	char *asked, *at;

	(void)state;
	stops = 0;
	assert_int_equal(run_top_in(&stage, typed, SLICE("<* 200 " DASH "\n"), &asked), 0);
	assert_string_equal(asked, MINUTE "requests\n");
	free(asked);
	assert_int_equal(stops, 1);
	assert_memory_equal(&when_stopped, &stage.before, sizeof(when_stopped));
	at = strstr(shown, ended);
	assert_non_null(at);
	at += strlen(ended);
	assert_memory_equal(at, begun, strlen(begun));
	assert_non_null(strstr(at, "q quit"));
	assert_non_null(strstr(at, ended));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),    cmocka_unit_test(test_lines),
		cmocka_unit_test(test_explain), cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_colours), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_resized), cmocka_unit_test(test_time),
		cmocka_unit_test(test_stopped),
	};
	int failed;

	size = usual;
	shown = mmap(NULL, SHOWN_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	now_us = mmap(NULL, sizeof(*now_us), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shown == MAP_FAILED || now_us == MAP_FAILED || mkdtemp(directory) == NULL)
		abort();
	snprintf(admin_path, sizeof(admin_path), "%s/admin", directory);
	snprintf(admin_option, sizeof(admin_option), "admin=unix:%s", admin_path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(admin_path);
	rmdir(directory);
	return failed;
}
