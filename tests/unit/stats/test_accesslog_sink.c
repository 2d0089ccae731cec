/* LINKS: proxy/stats -Wl,--wrap=open,--wrap=__open_2,--wrap=getrandom */
/* Where the access log goes: what is opened for which name, how much is offered at once, and what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proxy/stats/accesslog.h"
#include "proxy/stats/accesslog_line.h"
#include "proxy/stats/accesslog_sink.h"

static char directory[] = "/tmp/cache204-unit-XXXXXX";
static bool no_proc;       /* stdout cannot be opened anew */
static unsigned no_random; /* the so-many-th call from now on fails; 0 for none */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	if (no_proc && strncmp(path, "/proc/", 6) == 0) {
		errno = ENOENT;
		return -1;
	}
	return __real_open(path, flags, 0640);
}

/* open() of two arguments, where the compiler has flags checked */
int __wrap___open_2(const char *path, int flags);

int __wrap___open_2(const char *path, int flags)
{
	return __wrap_open(path, flags);
}

ssize_t __real_getrandom(void *to, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
	if (no_random > 0 && --no_random == 0) {
		errno = ENOSYS;
		return -1;
	}
	return __real_getrandom(to, n, flags);
}

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL || chdir(directory) != 0)
		return -1;
	return 0;
}

static int end(void **state)
{
	(void)state;
	no_proc = false;
	return chdir("/") == 0 ? rmdir(directory) : -1;
}

static unsigned descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What "-" is when this is standard output, which is closed afterwards; -1 closes it. */
static struct accesslog_sink sink_of_stdout(int fd, bool *ret_opened, bool *ret_may_open)
{
	int old = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	struct accesslog_sink sink = {0};

	fflush(stdout);
	if (fd >= 0)
		dup2(fd, STDOUT_FILENO);
	else
		close(STDOUT_FILENO);
	*ret_opened = accesslog_sink_open("-", &sink);
	*ret_may_open = accesslog_sink_may_open("-");
	dup2(old, STDOUT_FILENO);
	close(old);
	if (fd >= 0)
		close(fd);
	return sink;
}

static void standard_output_is_what_it_is(void **state)
{
	struct accesslog_sink sink;
	bool opened, may_open;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	sink = sink_of_stdout(dup(ends[1]), &opened, &may_open);
	assert_true(opened && may_open && sink.kind == SINK_NONBLOCKING);
	assert_true((fcntl(sink.fd, F_GETFL) & O_NONBLOCK) != 0);
	close(sink.fd);
	no_proc = true;
	sink = sink_of_stdout(dup(ends[1]), &opened, &may_open);
	assert_true(opened && may_open && sink.kind == SINK_POLLED);
	assert_true(sink.fd > STDERR_FILENO);
	assert_true((fcntl(sink.fd, F_GETFL) & O_NONBLOCK) == 0); /* it is another's, too */
	assert_true((fcntl(sink.fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(sink.fd);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	sink = sink_of_stdout(ends[1], &opened, &may_open);
	assert_true(opened && may_open && sink.kind == SINK_SOCKET);
	close(sink.fd);
	close(ends[0]);
	sink = sink_of_stdout(memfd_create("out", 0), &opened, &may_open);
	assert_true(opened && may_open && sink.kind == SINK_FILE);
	close(sink.fd);
	no_proc = false;
	sink = sink_of_stdout(__real_open("/dev/null", O_WRONLY), &opened, &may_open);
	assert_true(opened && may_open && sink.kind == SINK_NONBLOCKING);
	close(sink.fd);
	sink_of_stdout(-1, &opened, &may_open);
	assert_false(opened || may_open);
}

/* poll() tells whether a pipe that has no flag of its own takes anything. */
static void a_pipe_that_is_polled(void **state)
{
	static char text[PIPE_BUF];
	struct accesslog_sink sink = {.kind = SINK_POLLED};
	size_t sent = 0;
	int ends[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	sink.fd = ends[1];
	while ((n = accesslog_sink_write(&sink, text, sizeof(text))) > 0)
		sent += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	assert_true(sent >= PIPE_BUF && sent % PIPE_BUF == 0);
	for (size_t got = 0; got < sent; got += (size_t)n)
		n = read(ends[0], text, sizeof(text));
	assert_int_equal(accesslog_sink_write(&sink, text, 7), 7);
	close(ends[0]);
	close(ends[1]);
}

/* A socket is asked not to wait by the call, as its flags are another's, too. */
static void a_socket_is_not_waited_for(void **state)
{
	static char text[4096];
	struct accesslog_sink sink = {.kind = SINK_SOCKET};
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	sink.fd = ends[1];
	while (accesslog_sink_write(&sink, text, sizeof(text)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	close(ends[0]);
	assert_int_equal(accesslog_sink_write(&sink, text, 1), -1); /* and no signal */
	assert_int_equal(errno, EPIPE);
	close(ends[1]);
}

static size_t piece(enum accesslog_sink_kind kind, const char *text, size_t n)
{
	struct accesslog_sink sink = {.kind = kind};

	return accesslog_sink_piece(&sink, text, n);
}

static void pipes_are_offered_whole_lines(void **state)
{
	static char text[3 * PIPE_BUF];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(piece(SINK_NONBLOCKING, text, PIPE_BUF), PIPE_BUF);
	assert_int_equal(piece(SINK_NONBLOCKING, text, PIPE_BUF + 1), PIPE_BUF);
	text[PIPE_BUF] = '\n'; /* one too late */
	assert_int_equal(piece(SINK_POLLED, text, sizeof(text)), PIPE_BUF);
	text[0] = '\n';
	assert_int_equal(piece(SINK_SOCKET, text, sizeof(text)), 1);
	text[PIPE_BUF - 1] = '\n';
	assert_int_equal(piece(SINK_NONBLOCKING, text, sizeof(text)), PIPE_BUF);
	text[PIPE_BUF - 1] = 'x';
	text[100] = '\n';
	assert_int_equal(piece(SINK_NONBLOCKING, text, sizeof(text)), 101);
	assert_int_equal(piece(SINK_NONBLOCKING, text, PIPE_BUF), PIPE_BUF);
	assert_int_equal(piece(SINK_FILE, text, sizeof(text)), sizeof(text));
	assert_int_equal(piece(SINK_SYSLOG, text + 1, sizeof(text) - 1), 100);
	assert_int_equal(piece(SINK_JOURNAL, text, sizeof(text)), 1);
	assert_int_equal(piece(SINK_JOURNAL, text + 101, 50), 50);
}

/* What the daemon's end does, and what it does not. */
static void a_daemon_is_lost_by_these_errors(void **state)
{
	static const int lost[] = {ECONNREFUSED, ENOTCONN, ECONNRESET, EPIPE, EDESTADDRREQ};
	static const int others[] = {0, EAGAIN, ENOBUFS, EMSGSIZE, EINTR, ENOSPC};

	(void)state;
	for (enum accesslog_sink_kind kind = SINK_FILE; kind <= SINK_JOURNAL; kind++) {
		struct accesslog_sink sink = {.kind = kind};
		bool is_daemon = kind == SINK_SYSLOG || kind == SINK_JOURNAL;

		for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
			assert_int_equal(accesslog_sink_is_lost(&sink, lost[i]), is_daemon);
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			assert_false(accesslog_sink_is_lost(&sink, others[i]));
	}
}

/* As long as the name of a socket may be, and one byte more. */
static void names_of_sockets_have_an_end(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	char text[sizeof("journald:") + sizeof(name.sun_path)] = "journald:";
	char *path = text + strlen(text);
	struct accesslog_sink sink;
	int daemon = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	memset(path, 'x', sizeof(name.sun_path));
	memcpy(path, "./", 2);
	path[sizeof(name.sun_path) - 1] = '\0';
	strcpy(name.sun_path, path);
	assert_int_equal(bind(daemon, (const struct sockaddr *)&name, sizeof(name)), 0);
	assert_true(accesslog_sink_may_open(text));
	assert_true(accesslog_sink_open(text, &sink));
	assert_int_equal(sink.kind, SINK_JOURNAL);
	close(sink.fd);
	path[sizeof(name.sun_path) - 1] = 'x';
	path[sizeof(name.sun_path)] = '\0';
	assert_false(accesslog_sink_may_open(text));
	assert_int_equal(errno, ENAMETOOLONG);
	assert_false(accesslog_sink_open(text, &sink));
	unlink(name.sun_path);
	close(daemon);
}

/* Names that only begin like those of daemons are files. */
static void files_by_their_names(void **state)
{
	static const char *const names[] = {"syslogs", "journal", "journald_", "log", "-x"};
	struct accesslog_sink sink;
	unsigned before;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];

		assert_true(accesslog_sink_may_open(names[i])); /* in this directory */
		assert_int_equal(access(names[i], F_OK), -1);   /* and it makes none */
		assert_true(accesslog_sink_open(names[i], &sink));
		assert_int_equal(sink.kind, SINK_FILE);
		assert_true((fcntl(sink.fd, F_GETFL) & O_APPEND) != 0);
		assert_true((fcntl(sink.fd, F_GETFL) & O_NONBLOCK) != 0);
		assert_true((fcntl(sink.fd, F_GETFD) & FD_CLOEXEC) != 0);
		assert_true(accesslog_sink_may_open(names[i]));
		close(sink.fd);
		unlink(names[i]);
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		assert_true(accesslog_sink_may_open(path));
	}
	assert_true(accesslog_sink_may_open("/cache204-unit-that-is-not-there"));
	assert_false(accesslog_sink_may_open("/nowhere/log"));
	assert_false(accesslog_sink_may_open("./log/x"));
	assert_false(accesslog_sink_may_open("/"));
	before = descriptors();
	assert_false(accesslog_sink_may_open("syslog:log")); /* no daemon is made */
	assert_false(accesslog_sink_open("syslog:log", &sink));
	assert_int_equal(descriptors(), before);
	assert_true(accesslog_sink_open("/dev/null", &sink));
	assert_int_equal(sink.kind, SINK_NONBLOCKING);
	close(sink.fd);
}

/* A program that was started without standard input has it as descriptor 0. */
static void descriptor_0_is_as_any(void **state)
{
	int input = dup(STDIN_FILENO);
	struct accesslog_sink sink;
	bool may_open, opened;
	int out;

	(void)state;
	close(STDIN_FILENO);
	opened = accesslog_sink_open("/dev/null", &sink);
	close(STDIN_FILENO);
	may_open = accesslog_sink_may_open("/dev/null");
	dup2(input, STDIN_FILENO);
	assert_true(opened && may_open && sink.fd == 0);
	out = open("/dev/null", O_WRONLY);
	close(STDIN_FILENO);
	sink = sink_of_stdout(out, &opened, &may_open);
	dup2(input, STDIN_FILENO);
	close(input);
	assert_true(opened && sink.fd == 0 && sink.kind == SINK_NONBLOCKING);
}

/* The second is composed once; priorities are those of RFC 5424. */
static void heads_of_lines(void **state)
{
	struct accesslog_sink sink = {.kind = SINK_SYSLOG};
	struct accesslog_stamp stamp = {0};
	char text[ACCESSLOG_SINK_HEAD + 1], expected[ACCESSLOG_SINK_HEAD + 1];
	static const struct {
		enum accesslog_priority priority;
		int64_t ms;
		const char *begin;
	} cases[] = {
		{PRIORITY_INFO, 0, "<30>Jan  1 00:00:00"},
		{PRIORITY_WARNING, 999, "<28>Jan  1 00:00:00"},
		{PRIORITY_NOTICE, 1000, "<29>Jan  1 00:00:01"},
		{PRIORITY_INFO, 1700000000042, "<30>Nov 14 22:13:20"},
		{PRIORITY_INFO, 1000, "<30>Jan  1 00:00:01"},
		{PRIORITY_INFO, 0, "<30>Jan  1 00:00:00"},
	};

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*accesslog_sink_put_head(&sink, &stamp, text, cases[i].priority, cases[i].ms) =
			'\0';
		snprintf(expected, sizeof(expected), "%s cache204[%d]: ", cases[i].begin,
			 (int)getpid());
		assert_string_equal(text, expected);
	}
	sink.kind = SINK_JOURNAL;
	*accesslog_sink_put_head(&sink, &stamp, text, PRIORITY_NOTICE, 0) = '\0';
	assert_string_equal(text, "5");
	sink.kind = SINK_FILE;
	*accesslog_sink_put_head(&sink, &stamp, text, PRIORITY_NOTICE, 0) = '\0';
	assert_string_equal(text, "");
}

/* ---- the log that writes to them ------------------------------------------------------------ */

static struct accesslog *open_log(const char *format, uint32_t hits)
{
	return accesslog_open("log", format, hits);
}

static void what_a_log_opens_it_closes(void **state)
{
	struct accesslog_entry entry = {.outcome = OUTCOME_MISS};
	unsigned before = descriptors();
	struct accesslog *log = open_log("json", 1);

	(void)state;
	assert_int_equal(descriptors(), before + 1);
	accesslog_write(log, &entry);
	assert_true(accesslog_reopen(log));
	assert_int_equal(descriptors(), before + 1);
	accesslog_close(log);
	unlink("log");
	assert_null(open_log("$nothing", 1));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(descriptors(), before);
}

static int bind_daemon(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "daemon"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	unlink(name.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

/* A daemon that was started again is connected to instead of the one before. */
static void a_log_has_one_socket(void **state)
{
	struct accesslog_entry entry = {.outcome = OUTCOME_MISS};
	int daemon = bind_daemon();
	struct accesslog *log = accesslog_open("syslog:daemon", "$status", 1);
	unsigned before = descriptors();
	char text[64];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		close(daemon);
		daemon = bind_daemon();
		accesslog_write(log, &entry);
		accesslog_flush(log);
		assert_true(recv(daemon, text, sizeof(text), 0) > 0);
		assert_int_equal(descriptors(), before);
	}
	accesslog_close(log);
	close(daemon);
	unlink("daemon");
}

static void there_is_no_log_without_random_numbers(void **state)
{
	(void)state;
	for (unsigned call = 1; call <= 2; call++) {
		no_random = call;
		assert_null(open_log("json", 1));
		assert_int_equal(errno, ENOSYS);
	}
	assert_int_equal(access("log", F_OK), -1);
}

/* Told once, with why; and what waited goes on. */
static void what_a_slow_reader_loses_is_told_once(void **state)
{
	struct accesslog_entry entry = {.outcome = OUTCOME_MISS};
	unsigned written = 0, lines = 0;
	struct accesslog *log;
	const char *why;
	char text[4096];
	uint64_t lost;
	int reader;
	ssize_t n;

	(void)state;
	assert_int_equal(mkfifo("log", 0600), 0);
	reader = open("log", O_RDONLY | O_NONBLOCK);
	log = open_log("$outcome", 1);
	assert_int_equal(accesslog_lost(log, &why), 0);
	stats->log_dropped = 0;
	for (; stats->log_dropped < 3; written++)
		accesslog_write(log, &entry);
	lost = accesslog_lost(log, &why);
	assert_int_equal(lost, 3);
	assert_string_equal(why, "what reads it is too slow");
	assert_int_equal(accesslog_lost(log, &why), 0);
	do {
		accesslog_flush(log);
		n = read(reader, text, sizeof(text));
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	} while (n > 0);
	assert_int_equal(lines, written - 3);
	assert_int_equal(accesslog_lost(log, &why), 0);
	accesslog_close(log);
	close(reader);
	unlink("log");
}

/* A line that is half in the file before is lost, and the file begins with the next. */
static void a_file_begins_with_a_line(void **state)
{
	static char target[TARGET_LENGTH];
	struct accesslog_entry entry = {.outcome = OUTCOME_MISS, .target_read = true};
	struct accesslog *log;
	const char *why;
	char text[64] = "";
	int reader, file;

	(void)state;
	assert_int_equal(mkfifo("log", 0600), 0);
	reader = open("log", O_RDONLY | O_NONBLOCK);
	assert_int_equal(fcntl(reader, F_SETPIPE_SZ, PIPE_BUF), PIPE_BUF);
	log = open_log("$outcome $target", 1);
	memset(target, 1, sizeof(target)); /* four bytes each in the log */
	entry.target = slice_of(target, sizeof(target));
	accesslog_write(log, &entry);
	accesslog_flush(log);
	unlink("log");
	assert_true(accesslog_reopen(log));
	assert_int_equal(accesslog_lost(log, &why), 1);
	entry.target = SLICE("x");
	accesslog_write(log, &entry);
	accesslog_flush(log);
	accesslog_write(log, &entry);
	accesslog_close(log);
	file = open("log", O_RDONLY);
	assert_int_equal(read(file, text, sizeof(text)), 14);
	assert_string_equal(text, "miss x\nmiss x\n");
	close(file);
	close(reader);
	unlink("log");
}

/* Sixteen digits of the worker's own, and the number of the request. */
static void ids_count_on(void **state)
{
	struct accesslog *log = open_log("json", 1);
	char room[ACCESSLOG_NEW_ID], first[17];

	(void)state;
	for (unsigned i = 1; i < 300; i++) {
		struct slice id = accesslog_new_id(log, room);
		char number[16];
		int n = snprintf(number, sizeof(number), "-%x", i);

		if (i == 1)
			memcpy(first, room, 16);
		assert_int_equal(id.n, 16 + n);
		assert_memory_equal(id.p, first, 16);
		assert_memory_equal(id.p + 16, number, n);
	}
	first[16] = '\0';
	assert_int_equal(strspn(first, "0123456789abcdef"), 16);
	accesslog_close(log);
	unlink("log");
}

/* Workers do not leave out the same hits. */
static void each_log_samples_by_itself(void **state)
{
	struct accesslog *logs[] = {open_log("json", 10), open_log("json", 10)};
	unsigned same = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		bool one = accesslog_takes_hit(logs[0]), other = accesslog_takes_hit(logs[1]);

		same += one && other;
	}
	assert_in_range(same, 0, 500);
	accesslog_close(logs[0]);
	accesslog_close(logs[1]);
	unlink("log");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(standard_output_is_what_it_is),
		cmocka_unit_test(a_pipe_that_is_polled),
		cmocka_unit_test(a_socket_is_not_waited_for),
		cmocka_unit_test(pipes_are_offered_whole_lines),
		cmocka_unit_test(a_daemon_is_lost_by_these_errors),
		cmocka_unit_test(names_of_sockets_have_an_end),
		cmocka_unit_test(files_by_their_names),
		cmocka_unit_test(descriptor_0_is_as_any),
		cmocka_unit_test(heads_of_lines),
		cmocka_unit_test(what_a_log_opens_it_closes),
		cmocka_unit_test(a_log_has_one_socket),
		cmocka_unit_test(there_is_no_log_without_random_numbers),
		cmocka_unit_test(what_a_slow_reader_loses_is_told_once),
		cmocka_unit_test(a_file_begins_with_a_line),
		cmocka_unit_test(ids_count_on),
		cmocka_unit_test(each_log_samples_by_itself),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
