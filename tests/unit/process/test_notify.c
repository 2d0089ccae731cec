/* LINKS: proxy/process */
/* What a service manager reads: each state one datagram, by path and by abstract name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "proxy/base/monotonic.h"
#include "proxy/process/notify.h"
#include "tests/support/captured.h"

#define STOPPING "STOPPING=1\nEXTEND_TIMEOUT_USEC=0\nSTATUS="

static int manager = -1;
static char directory[] = "/tmp/test_notify.XXXXXX";
static char path[64];

static void listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t n = strlen(name);

	memcpy(address.sun_path, name, n);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

/* The next datagram, or "" when there is none: what was sent is there. */
static const char *received(void)
{
	static char text[1024];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static int setup(void **state)
{
	(void)state;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	listen_at(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(manager);
	unlink(path);
	return 0;
}

static void test_states(void **state)
{
	char expected[128];
	long long began_us, said_us;

	(void)state;
	notify_init();
	snprintf(expected, sizeof(expected), "READY=1\nMAINPID=%d\nSTATUS=serving", (int)getpid());
	notify_ready("serving");
	assert_string_equal(received(), expected);
	began_us = monotonic_us();
	notify_reloading("reloading");
	assert_int_equal(
		sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading", &said_us),
		1);
	assert_true(said_us >= began_us && said_us <= monotonic_us());
	notify_stopping("going down", 12000);
	assert_string_equal(received(),
			    "STOPPING=1\nEXTEND_TIMEOUT_USEC=12000000\nSTATUS=going down");
	assert_string_equal(received(), "");
}

static void test_abstract_name(void **state)
{
	char name[64];

	(void)state;
	close(manager);
	snprintf(name, sizeof(name), "@cache204-test-notify-%d", (int)getpid());
	listen_at(name);
	notify_init();
	notify_stopping("here", 0);
	assert_string_equal(received(), STOPPING "here");
}

/* The longest name that an address holds; one byte more is refused, not cut. */
static void test_length_of_name(void **state)
{
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

	(void)state;
	close(manager);
	memset(name, 'n', sizeof(name));
	snprintf(name, sizeof(name), "@cache204-%d", (int)getpid());
	name[strlen(name)] = 'n';
	name[sizeof(name) - 2] = '\0';
	listen_at(name);
	notify_init();
	notify_stopping("long", 0);
	assert_string_equal(received(), STOPPING "long");
	name[sizeof(name) - 2] = 'n';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	notify_init();
	notify_stopping("too long", 0);
	assert_string_equal(received(), "");
}

static void test_status_is_one_line(void **state)
{
	char line[2048];

	(void)state;
	notify_init();
	notify_stopping("a\nMAINPID=1\tb", 0);
	assert_string_equal(received(), STOPPING "a MAINPID=1 b");
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	notify_stopping(line, 0);
	assert_int_equal(strncmp(received(), STOPPING "xxxx", strlen(STOPPING "xxxx")), 0);
}

static void test_environment(void **state)
{
	(void)state;
	setenv("WATCHDOG_USEC", "1000000", 1);
	notify_init();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

/* None, one that is gone, one of a kind that there is not: nothing is sent, nobody dies. */
static void test_no_manager(void **state)
{
	static const char *const names[] = {NULL, "", "/", "@", "vsock:2:1", "/nowhere/at/all"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unsetenv("NOTIFY_SOCKET");
		if (names[i] != NULL)
			setenv("NOTIFY_SOCKET", names[i], 1);
		notify_init();
		notify_ready("");
		notify_stopping("", 0);
		assert_string_equal(received(), "");
	}
}

/* A manager that reads nothing holds a datagram up for its time at most. */
static void test_full_queue(void **state)
{
	int64_t began_us;

	(void)state;
	notify_init();
	for (int i = 0; i < 4096; i++) {
		began_us = monotonic_us();
		notify_stopping("more", 0);
		if (monotonic_us() - began_us >= NOTIFY_WAIT_MS * 1000 / 2)
			return;
	}
	fail_msg("the queue has no end");
}

static void set_watchdog(const char *usec, const char *pid)
{
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", usec, 1);
	if (pid != NULL)
		setenv("WATCHDOG_PID", pid, 1);
	notify_init();
}

static void test_watchdog(void **state)
{
	char own[16];
	int left_ms;

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	set_watchdog("20000000", NULL);
	left_ms = notify_watchdog();
	assert_true(left_ms > 0 && left_ms <= 10000);
	assert_string_equal(received(), ""); /* not due yet */
	set_watchdog("20000", own);
	while ((left_ms = notify_watchdog()) > 0 && received()[0] == '\0')
		usleep((unsigned)left_ms * 1000);
	assert_true(left_ms > 0 && left_ms <= 10);
	set_watchdog("2", own);
	usleep(10);
	assert_int_equal(notify_watchdog(), 1);
	assert_string_equal(received(), "WATCHDOG=1");
	set_watchdog("9000000000000000", own);
	assert_true(notify_watchdog() > 60000);
}

static void test_no_watchdog(void **state)
{
	static const struct {
		const char *usec, *pid;
	} rows[] = {
		{"1000", "1"}, {"1000", "x"},   {"1000", "99999999999999999999"},
		{"0", NULL},   {"-1000", NULL}, {"1000s", NULL},
		{"x", NULL},   {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsetenv("WATCHDOG_PID");
		set_watchdog(rows[i].usec, rows[i].pid);
		usleep(1000);
		assert_int_equal(notify_watchdog(), -1);
		assert_string_equal(received(), "");
	}
}

/* The program that is executed in our place finds what we found; we have it back when it cannot be run. */
static void test_hand_over(void **state)
{
	static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};
	char own[16];

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	set_watchdog("20000000", NULL);
	notify_hand_over();
	assert_string_equal(getenv("NOTIFY_SOCKET"), path);
	assert_string_equal(getenv("WATCHDOG_USEC"), "20000000");
	assert_string_equal(getenv("WATCHDOG_PID"), own);
	assert_string_equal(received(), "WATCHDOG=1");
	notify_take_back();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_null(getenv(names[i]));
	notify_stopping("still here", 0);
	assert_string_equal(received(), STOPPING "still here");

	notify_hand_over(); /* and the program that found it is there now */
	notify_init();
	assert_string_equal(received(), "WATCHDOG=1");
	assert_in_range(notify_watchdog(), 1, 10000);
}

static void test_hand_over_of_less(void **state)
{
	(void)state;
	notify_init(); /* no watchdog */
	notify_hand_over();
	assert_string_equal(getenv("NOTIFY_SOCKET"), path);
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	assert_string_equal(received(), "");
	notify_take_back();
	notify_init(); /* no manager */
	notify_hand_over();
	assert_null(getenv("NOTIFY_SOCKET"));
}

/* Each message that does not arrive is a line that says where to, and why; one that does is none. */
static void what_is_not_sent_is_logged(void **state)
{
	static const struct {
		const char *name, *why;
	} rows[] = {
		{"/nowhere/notify", "No such file or directory"},
		{"relative", "Address family not supported by protocol"},
		{"/", "Address family not supported by protocol"},
	};
	struct captured captured;
	char expected[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setenv("NOTIFY_SOCKET", rows[i].name, 1);
		notify_init();
		captured_begin(&captured, false);
		notify_ready("serving");
		captured_end(&captured);
		snprintf(expected, sizeof(expected),
			 "error: service manager: cannot send to NOTIFY_SOCKET %s: %s\n",
			 rows[i].name, rows[i].why);
		assert_non_null(strstr(captured.err, expected));
		captured_free(&captured);
	}
	setenv("NOTIFY_SOCKET", path, 1);
	notify_init();
	captured_begin(&captured, false);
	notify_ready("serving");
	captured_end(&captured);
	assert_string_equal(captured.err, "");
	captured_free(&captured);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_states, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abstract_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_length_of_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status_is_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_manager, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_watchdog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hand_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hand_over_of_less, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_sent_is_logged, setup, teardown),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/notify", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
