/* LINKS: proxy/stats -Wl,--wrap=getrandom,--wrap=send */
/* The access log to syslog and journald, before a socket that stands for their daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/stats/accesslog.h"

static char directory[] = "/tmp/cache204-unit-XXXXXX";
static char path[64], syslog_name[80], journal_name[80];
static int daemon_fd = -1;

/* How many of the next datagrams are refused, and what is random: as it is, zeros, or what fails from a call on. */
static unsigned refusals;
static enum { RANDOM, ZEROS, FAILING } randomness;
static unsigned random_before;

ssize_t __real_send(int fd, const void *from, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t n, int flags);
ssize_t __real_getrandom(void *to, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);

ssize_t __wrap_send(int fd, const void *from, size_t n, int flags)
{
	if (refusals == 0)
		return __real_send(fd, from, n, flags);
	refusals--;
	errno = ECONNREFUSED;
	return -1;
}

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
	if (randomness == FAILING && random_before-- == 0) {
		errno = ENOSYS;
		return -1;
	}
	if (randomness != ZEROS)
		return __real_getrandom(to, n, flags);
	memset(to, 0, n);
	return (ssize_t)n;
}

static void begin_daemon(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	strcpy(name.sun_path, path);
	unlink(path);
	daemon_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(daemon_fd, (const struct sockaddr *)&name, sizeof(name)), 0);
}

static void end_daemon(void)
{
	close(daemon_fd);
	daemon_fd = -1;
}

/* The next datagram, or NULL when none waits. */
static const char *received(void)
{
	static char text[32768];
	ssize_t n = recv(daemon_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

static struct accesslog_entry sample(enum failure failure, unsigned status)
{
	return (struct accesslog_entry){
		.wall_ms = INT64_C(1700000000042),
		.client = SLICE("127.0.0.1"),
		.method = SLICE("GET"),
		.target = SLICE("http://a/"),
		.target_read = true,
		.status = (uint16_t)status,
		.outcome = failure == FAILURE_NONE ? OUTCOME_HIT : OUTCOME_FAILED,
		.failure = failure,
	};
}

static void write_one(struct accesslog *log, enum failure failure, unsigned status)
{
	struct accesslog_entry entry = sample(failure, status);

	accesslog_write(log, &entry);
}

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/socket", directory);
	snprintf(syslog_name, sizeof(syslog_name), "syslog:%s", path);
	snprintf(journal_name, sizeof(journal_name), "journald:%s", path);
	setenv("TZ", "UTC-2", 1); /* two hours east */
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static int begin_test(void **state)
{
	(void)state;
	begin_daemon();
	stats->log_dropped = 0;
	return 0;
}

static int end_test(void **state)
{
	(void)state;
	end_daemon();
	return 0;
}

static void a_line_is_a_datagram_with_its_priority(void **state)
{
	struct accesslog *log = accesslog_open(syslog_name, "$status $target", 1);
	char expected[128];

	(void)state;
	assert_non_null(log);
	write_one(log, FAILURE_NONE, 204);
	write_one(log, FAILURE_AUTH_FAILED, 407);
	write_one(log, FAILURE_ORIGIN_REFUSED, 502);
	write_one(log, FAILURE_CLIENT_GONE, 0);
	write_one(log, FAILURE_RESPONSE_CUT, 200);
	accesslog_flush(log);
	snprintf(expected, sizeof(expected), "<30>Nov 15 00:13:20 cache204[%d]: 204 http://a/",
		 (int)getpid());
	assert_string_equal(received(), expected);
	assert_memory_equal(received(), "<29>", 4);
	assert_memory_equal(received(), "<28>", 4);
	assert_memory_equal(received(), "<30>", 4);
	assert_memory_equal(received(), "<28>", 4);
	assert_null(received());
	accesslog_close(log);
	assert_int_equal(stats->log_dropped, 0);
}

static void the_journal_has_fields(void **state)
{
	struct accesslog *log = accesslog_open(journal_name, "$status $target", 1);

	(void)state;
	assert_non_null(log);
	write_one(log, FAILURE_NONE, 204);
	write_one(log, FAILURE_ORIGIN_REFUSED, 502);
	accesslog_close(log);
	assert_string_equal(received(), "SYSLOG_IDENTIFIER=cache204\nSYSLOG_FACILITY=3\n"
					"PRIORITY=6\nMESSAGE=204 http://a/\n");
	assert_string_equal(received(), "SYSLOG_IDENTIFIER=cache204\nSYSLOG_FACILITY=3\n"
					"PRIORITY=4\nMESSAGE=502 http://a/\n");
	assert_null(received());
}

/* Nothing waits, what does not fit is counted, and what was kept arrives. */
static void a_daemon_that_does_not_read(void **state)
{
	struct accesslog *log = accesslog_open(syslog_name, "json", 1);
	unsigned written = 0, got = 0;

	(void)state;
	for (; stats->log_dropped == 0 && written < 100000; written++)
		write_one(log, FAILURE_NONE, 204);
	assert_true(stats->log_dropped == 1 && written > 100);
	for (unsigned turns = 0; got < written - 1 && turns < 1000; turns++) {
		while (received() != NULL)
			got++;
		accesslog_flush(log);
	}
	assert_int_equal(got, written - 1);
	write_one(log, FAILURE_NONE, 204);
	accesslog_close(log);
	assert_non_null(received());
	assert_int_equal(stats->log_dropped, 1);
}

static void a_daemon_that_comes_back(void **state)
{
	struct accesslog *log = accesslog_open(syslog_name, "$status", 1);
	const char *why;

	(void)state;
	write_one(log, FAILURE_NONE, 204);
	accesslog_flush(log);
	assert_non_null(received());
	end_daemon();
	write_one(log, FAILURE_NONE, 205);
	accesslog_flush(log); /* it is kept */
	assert_int_equal(stats->log_dropped, 0);
	unlink(path);
	accesslog_flush(log);
	begin_daemon();
	write_one(log, FAILURE_NONE, 206);
	accesslog_flush(log);
	assert_non_null(strstr(received(), ": 205"));
	assert_non_null(strstr(received(), ": 206"));
	assert_int_equal(accesslog_lost(log, &why), 0);
	end_daemon();
	write_one(log, FAILURE_NONE, 207);
	accesslog_finish(log);
	assert_int_equal(accesslog_lost(log, &why), 1);
	assert_string_equal(why, strerror(ECONNREFUSED));
	accesslog_close(log);
	begin_daemon();
}

/* A daemon that is there and refuses is connected to once in a flush, each time anew. */
static void a_daemon_that_refuses(void **state)
{
	struct accesslog *log = accesslog_open(syslog_name, "$status", 1);

	(void)state;
	write_one(log, FAILURE_NONE, 204);
	for (unsigned flushes = 0; flushes < 2; flushes++) {
		refusals = 2;
		accesslog_flush(log);
		assert_int_equal(refusals, 0);
		assert_null(received());
	}
	refusals = 1;
	accesslog_flush(log);
	assert_non_null(strstr(received(), ": 204"));
	assert_null(received());
	accesslog_close(log);
	assert_int_equal(stats->log_dropped, 0);
}

static void reopening_keeps_what_waits(void **state)
{
	struct accesslog *log = accesslog_open(journal_name, "$status", 1);

	(void)state;
	end_daemon();
	write_one(log, FAILURE_NONE, 204);
	assert_false(accesslog_reopen(log));
	begin_daemon();
	assert_true(accesslog_reopen(log));
	accesslog_flush(log);
	assert_non_null(received());
	accesslog_close(log);
	assert_int_equal(stats->log_dropped, 0);
}

/* A line that the socket never takes is lost alone. */
static void a_line_that_is_too_long(void **state)
{
	static char target[4096];
	struct accesslog *log = accesslog_open(syslog_name, "$target", 1);
	struct accesslog_entry entry = sample(FAILURE_NONE, 204);
	int size = 1; /* the kernel makes it its least */

	(void)state;
	for (int fd = 3; fd < 20; fd++) /* the log's is one of them */
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	memset(target, 1, sizeof(target));
	entry.target = slice_of(target, sizeof(target));
	write_one(log, FAILURE_NONE, 204);
	accesslog_write(log, &entry);
	write_one(log, FAILURE_NONE, 204);
	accesslog_close(log);
	assert_non_null(strstr(received(), ": http://a/"));
	assert_non_null(strstr(received(), ": http://a/"));
	assert_null(received());
	assert_int_equal(stats->log_dropped, 1);
}

static void what_cannot_be_opened(void **state)
{
	struct diagnostic error;

	(void)state;
	assert_true(accesslog_check(syslog_name, &error));
	assert_null(accesslog_open("syslog:/nowhere/log", "json", 1));
	assert_int_equal(errno, ENOENT);
	assert_false(accesslog_check("journald:/nowhere/log", &error));
	assert_memory_equal(error.text, "access_log: journald:/nowhere/log: cannot be opened: No",
			    55);
	assert_true(accesslog_check("", &error));
	assert_false(accesslog_check("/", &error));
}

/* ---- which hits ----------------------------------------------------------------------------- */

static void one_hit_in_so_many_is_taken(void **state)
{
	static const uint32_t rates[] = {0, 1, 2, 10, 1000};
	enum { HITS = 200000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct accesslog *log = accesslog_open(syslog_name, "json", rates[i]);
		uint64_t taken = 0, rate = rates[i];

		assert_non_null(log);
		stats->log_left_out = 0;
		for (unsigned n = 0; n < HITS; n++)
			taken += accesslog_takes_hit(log);
		assert_int_equal(taken + stats->log_left_out, HITS);
		if (rate == 0)
			assert_int_equal(taken, 0);
		else if (rate == 1)
			assert_int_equal(taken, HITS);
		else /* six times the deviation of the rarest, which has 200 */
			assert_in_range(taken, HITS / rate * 6 / 10, HITS / rate * 14 / 10);
		assert_int_equal(accesslog_sample(log), rate);
		accesslog_close(log);
	}
}

/* Two workers do not leave out the same hits. */
static void each_log_takes_other_hits(void **state)
{
	enum { GAPS = 4 };
	struct accesslog *logs[2];
	unsigned gaps[2][GAPS] = {{0}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		logs[i] = accesslog_open(syslog_name, "json", 1000);
		assert_true(accesslog_takes_hit(logs[i]));
		for (unsigned n = 0; n < GAPS; n++)
			while (!accesslog_takes_hit(logs[i]))
				gaps[i][n]++;
		accesslog_close(logs[i]);
	}
	assert_memory_not_equal(gaps[0], gaps[1], sizeof(gaps[0]));
}

/* Zeros would be followed by zeros for ever. */
static void a_log_begun_with_zeros_leaves_hits_out(void **state)
{
	struct accesslog *log;
	unsigned taken = 0;

	(void)state;
	randomness = ZEROS;
	log = accesslog_open(syslog_name, "json", 1000);
	randomness = RANDOM;
	for (unsigned n = 0; n < 200000; n++)
		taken += accesslog_takes_hit(log);
	assert_in_range(taken, 120, 280);
	accesslog_close(log);
}

static void a_log_without_randomness_is_not_opened(void **state)
{
	(void)state;
	for (random_before = 0; random_before < 2;) {
		unsigned before = random_before;

		randomness = FAILING;
		assert_null(accesslog_open(syslog_name, "json", 1000));
		assert_int_equal(errno, ENOSYS);
		random_before = before + 1;
	}
	randomness = RANDOM;
}

static void ids_are_never_the_same(void **state)
{
	struct accesslog *one = accesslog_open(syslog_name, "json", 1);
	struct accesslog *two = accesslog_open(syslog_name, "json", 1);
	char a[ACCESSLOG_NEW_ID], b[ACCESSLOG_NEW_ID];
	struct slice first = accesslog_new_id(one, a), second = accesslog_new_id(one, b);

	(void)state;
	assert_int_equal(first.n, 18);
	assert_false(slice_eq(first, second));
	assert_memory_equal(a, b, 17);
	second = accesslog_new_id(two, b);
	assert_memory_not_equal(a, b, 17);
	assert_true(first.p[17] == '1' && second.p[17] == '1');
	accesslog_close(one);
	accesslog_close(two);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_is_a_datagram_with_its_priority),
		TEST(the_journal_has_fields),
		TEST(a_daemon_that_does_not_read),
		TEST(a_daemon_that_comes_back),
		TEST(a_daemon_that_refuses),
		TEST(reopening_keeps_what_waits),
		TEST(a_line_that_is_too_long),
		TEST(what_cannot_be_opened),
		TEST(one_hit_in_so_many_is_taken),
		TEST(each_log_takes_other_hits),
		TEST(a_log_begun_with_zeros_leaves_hits_out),
		TEST(a_log_without_randomness_is_not_opened),
		TEST(ids_are_never_the_same),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
