/* LINKS: proxy/process tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=memfd_create,--wrap=fdopen,--wrap=pread */
/* What one program hands over, as the next one reads it: this one, executed by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/handover.h"
#include "tests/doubles/failing_memory.h"

enum {
	LOCK = 40,
	SOCKET,
	PIPE_IN,
	PIPE_OUT,
	SECURE,
	FILE_SOCKET,
	SEALED = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
};

static struct handover_worker workers[] = {{1234, 1, true, true}, {4321, 7, false, false}};
static struct listener_address addresses[3];
static int spare; /* the socket again, which is closed with each handover */
static struct listener sets[] = {{.at = &addresses[2], .count = 1}, {.at = addresses, .count = 2}};

/* What the system says and does, when a test says so. */
static bool fails_file, fails_stream, fails_read;

int __wrap_memfd_create(const char *name, unsigned flags);
int __real_memfd_create(const char *name, unsigned flags);
FILE *__wrap_fdopen(int fd, const char *mode);
FILE *__real_fdopen(int fd, const char *mode);
ssize_t __wrap_pread(int fd, void *to, size_t size, off_t at);
ssize_t __real_pread(int fd, void *to, size_t size, off_t at);

int __wrap_memfd_create(const char *name, unsigned flags)
{
	errno = EMFILE;
	return fails_file ? -1 : __real_memfd_create(name, flags);
}

FILE *__wrap_fdopen(int fd, const char *mode)
{
	errno = ENOMEM;
	return fails_stream ? NULL : __real_fdopen(fd, mode);
}

ssize_t __wrap_pread(int fd, void *to, size_t size, off_t at)
{
	return __real_pread(fd, to, fails_read ? size - 1 : size, at);
}

/* All that there can be. */
static struct handover make(void)
{
	struct handover one;

	handover_init(&one);
	one.kind = HANDOVER_BACK;
	one.path = "/a path/with\tblanks\\and\\not\\\nlines";
	one.version = "1.2.3";
	one.why = "one thing:\ta tab\nand: another\n";
	one.store = "/store";
	one.user = "";
	one.store_size = INT64_C(1) << 40;
	one.slots = 48;
	one.generation = 8;
	one.had_terminal = 1;
	one.lock = LOCK;
	one.words_in = PIPE_IN;
	one.words_out = PIPE_OUT;
	one.reload_asked = 3;
	one.copier = 99;
	one.copied_s = 1700000000;
	one.finish_ms = 77000;
	one.failed_for = 6;
	one.upgrade_asked = 5;
	one.tickets = "keys";
	one.workers = workers;
	one.worker_count = 2;
	one.sets = sets;
	one.set_count = 2;
	return one;
}

static void open_all(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    null = open("/dev/null", O_CLOEXEC);
	socklen_t length = sizeof(addresses[0].address);

	dup3(null, LOCK, O_CLOEXEC);
	dup3(null, PIPE_IN, O_CLOEXEC);
	dup3(null, PIPE_OUT, O_CLOEXEC);
	dup3(fd, SOCKET, O_CLOEXEC);
	spare = fd;
	addresses[0].asked.v4 = (struct sockaddr_in){.sin_family = AF_INET,
						     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(SOCKET, &addresses[0].asked.any, sizeof(addresses[0].asked.v4)), 0);
	assert_int_equal(getsockname(SOCKET, &addresses[0].address.any, &length), 0);
	addresses[0].fd = SOCKET;
	addresses[0].option = "gateway";
	addresses[0].is_passed = true;
	/* as file systems number files that hash names, or are of several */
	addresses[0].file = (struct listener_file){.device = UINT64_MAX, .number = UINT64_MAX - 1};
	addresses[1] = addresses[0];
	addresses[1].fd = SECURE;
	addresses[1].option = "listen";
	addresses[1].is_tls = true;
	addresses[1].is_passed = false;
	addresses[2] = (struct listener_address){
		.fd = FILE_SOCKET, .option = "admin", .path = "/a path/with blanks"};
	dup3(fd, SECURE, O_CLOEXEC);
	dup3(fd, FILE_SOCKET, O_CLOEXEC);
}

static bool is_closed_on_exec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/* The other side: the number of what is wrong, 0 for nothing. */
static int look(void)
{
	struct handover got, sent = make();
	struct diagnostic error;
	const struct listener_address *at;

	if (!handover_take(&got, &error))
		return 1;
	if (getenv("CACHE204_HANDOVER") != NULL || got.kind != sent.kind ||
	    strcmp(got.path, sent.path) != 0 || strcmp(handover_path(), sent.path) != 0 ||
	    strcmp(got.version, sent.version) != 0 || strcmp(got.why, sent.why) != 0 ||
	    strcmp(got.store, sent.store) != 0 || got.user[0] != '\0')
		return 2;
	if (got.store_size != sent.store_size || got.slots != 48 || got.generation != 8 ||
	    got.had_terminal != 1 || got.reload_asked != 3 || got.upgrade_asked != 5 ||
	    got.failed_for != 6 || got.copier != 99 || got.copied_s != sent.copied_s ||
	    got.finish_ms != 77000 || strcmp(got.tickets, "keys") != 0)
		return 3;
	if (got.lock != LOCK || got.words_in != PIPE_IN || got.words_out != PIPE_OUT ||
	    got.report != -1 || got.program != -1 || !is_closed_on_exec(LOCK) ||
	    !is_closed_on_exec(SOCKET))
		return 4;
	if (got.worker_count != 2 || got.workers[0].pid != 1234 || !got.workers[0].ready ||
	    !got.workers[0].retired || got.workers[1].ready || got.workers[1].pid != 4321 ||
	    got.workers[1].generation != 7 || got.workers[1].retired)
		return 5;
	if (got.set_count != 2 || got.sets[0].count != 1 || got.sets[1].count != 2)
		return 6;
	at = &got.sets[1].at[0];
	if (at->fd != SOCKET || !at->is_passed || strcmp(at->option, "gateway") != 0 ||
	    address_port(&at->asked) != 0 || address_port(&at->address) == 0 ||
	    !address_equal(&at->asked, &at->address) || at->file.device != UINT64_MAX ||
	    at->file.number != UINT64_MAX - 1 || at->is_tls || at->path[0] != '\0')
		return 7;
	if (at[1].fd != SECURE || at[1].is_passed || !at[1].is_tls ||
	    strcmp(at[1].option, "listen") != 0 || address_port(&at[1].address) == 0)
		return 9;
	at = &got.sets[0].at[0];
	if (at->fd != FILE_SOCKET || at->is_tls || strcmp(at->option, "admin") != 0 ||
	    strcmp(at->path, "/a path/with blanks") != 0 || at->address.any.sa_family != AF_UNIX)
		return 10;
	handover_free(&got);
	return fcntl(SOCKET, F_GETFD) == -1 ? 0 : 8;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void all_arrives(void **state)
{
	pid_t pid;

	(void)state;
	open_all();
	pid = fork();
	if (pid == 0) {
		struct handover one = make();

		handover_execute(&one, "/proc/self/exe");
		_exit(99);
	}
	assert_int_equal(status_of(pid), 0);
}

static void a_failure_leaves_all_as_it_was(void **state)
{
	struct handover one = make();

	(void)state;
	handover_execute(&one, "/nowhere/program");
	assert_int_equal(errno, ENOENT);
	assert_null(getenv("CACHE204_HANDOVER"));
	assert_true(is_closed_on_exec(LOCK));
	for (unsigned i = 0; i < 3; i++)
		assert_true(is_closed_on_exec(addresses[i].fd));
}

static unsigned count_open(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) != -1;
	return count;
}

/* It returns with the reason, and leaves no descriptor. */
static void there_may_be_no_file(void **state)
{
	unsigned open = count_open();
	struct handover one = make();

	(void)state;
	fails_file = true;
	handover_execute(&one, "/proc/self/exe");
	assert_int_equal(errno, EMFILE);
	fails_file = false;
	fails_stream = true;
	handover_execute(&one, "/proc/self/exe");
	assert_int_equal(errno, ENOMEM);
	fails_stream = false;
	assert_int_equal(count_open(), open);
}

/* By the descriptor of the program before, which may have no name any more. */
static void the_way_back_needs_no_path(void **state)
{
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		struct handover one = make();

		one.program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
		handover_execute(&one, NULL);
		_exit(99);
	}
	assert_int_equal(status_of(pid), 4); /* `program` is there, all before it is well */
}

/* Whether a text is taken. */
static bool takes(const char *text, int seals)
{
	int fd = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct handover got;
	char number[16];
	struct diagnostic error;
	bool taken;

	dup3(spare, SOCKET, O_CLOEXEC);
	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	snprintf(number, sizeof(number), "%d", fd);
	setenv("CACHE204_HANDOVER", number, 1);
	taken = handover_take(&got, &error);
	assert_true(taken || error.text[0] != '\0');
	if (taken)
		handover_free(&got);
	close(fd);
	return taken;
}

#define LEAST                                                                                    \
	"cache204-handover 1\nkind 1\npath /p\nversion 1\nwhy \nstore /s\nuser \nstore_size 1\n" \
	"slots 48\ngeneration 1\nhad_terminal 0\nfailed_for 0\nlock 40\nreport -1\nprogram "     \
	"-1\nwords_in -1\n"                                                                      \
	"words_out -1\nreload_file -1\nupgrade_file -1\nreload_asked 0\nupgrade_asked 0\n"       \
	"copier 0\ncopied_s 0\n"

static void only_a_whole_one_is_taken(void **state)
{
	(void)state;
	assert_true(takes(LEAST "end\n", SEALED));
	assert_true(takes(LEAST "of a later version 7\nend\n", SEALED));
	assert_true(takes(LEAST "socket 1 41 0 0 0 other 127.0.0.1:80\nend\n", SEALED));
	assert_true(takes(LEAST "socket 0 41 0 7 8 admin unix:/a path\nend\n", SEALED));
	assert_false(takes(LEAST "end\n", 0));
	assert_false(takes(LEAST, SEALED));
	assert_false(takes("", SEALED));
	assert_false(takes("cache204-handover 2\n" LEAST "end\n", SEALED));
	assert_false(takes("cache204-handover 1\nkind 1\nend\n", SEALED));
	assert_false(takes(LEAST "kind 3\nend\n", SEALED));
	assert_false(takes(LEAST "lock -1\nend\n", SEALED));
	assert_false(takes(LEAST "lock 999\nend\n", SEALED));
	assert_false(takes(LEAST "generation x\nend\n", SEALED));
	assert_false(takes(LEAST "worker 0 1 0 0\nend\n", SEALED));
	assert_false(takes(LEAST "worker 1 1 0 0\nend\n", SEALED));
	assert_false(takes(LEAST "worker 10\nend\n", SEALED));
	assert_false(takes(LEAST "socket 0 40 0 0 0 listen 127.0.0.1:80\nend\n", SEALED));
	assert_false(takes(LEAST "socket -1 41 0 0 0 listen 127.0.0.1:80\nend\n", SEALED));
	assert_false(takes(LEAST "socket 0 41 0 0 0 listen nowhere\nend\n", SEALED));
	assert_false(takes(LEAST "socket 0 41 0 0 0 127.0.0.1:80\nend\n", SEALED));
}

/* The error that a text has. */
static void refuses_text(const char *text, const char *why)
{
	struct handover got;
	struct diagnostic error;
	char expected[256];
	int fd = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALED), 0);
	snprintf(expected, sizeof(expected), "%d", fd);
	setenv("CACHE204_HANDOVER", expected, 1);
	assert_false(handover_take(&got, &error));
	snprintf(expected, sizeof(expected), "handover: cannot be read: %s", why);
	assert_string_equal(error.text, expected);
	assert_int_equal(got.worker_count + got.set_count, 0);
	assert_null(got.path);
	close(fd);
}

/* The same of one that has more lines than it needs. */
static void refuses(const char *more, const char *why)
{
	static char text[5 << 20];

	snprintf(text, sizeof(text), LEAST "%send\n", more);
	refuses_text(text, why);
}

/* Without any one of the lines that have to be there, it is not whole. */
static void each_line_is_needed(void **state)
{
	static const char least[] = LEAST;
	const char *line = strchr(least, '\n') + 1;
	unsigned count = 0;

	(void)state;
	for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, count++) {
		char text[sizeof(LEAST) + sizeof("end\n")], name[32];

		snprintf(text, sizeof(text), "%.*s%send\n", (int)(line - least), least, end + 1);
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, " "), line);
		refuses_text(text, name);
	}
	assert_int_equal(count, 22);
}

/* Each number of a line has bounds, and the line that is wrong is told; none is read past its end. */
static void each_value_has_bounds(void **state)
{
	(void)state;
	refuses("lock -2\n", "lock");
	refuses("lock 40x\n", "lock");
	refuses("lock 2147483648\n", "lock");
	refuses("kind -1\n", "kind or lock");
	refuses("kind 3\n", "kind or lock");
	refuses("lock\n", "lock");
	refuses("finish_ms x\n", "finish_ms");
	refuses("worker 2 1 2 0\n", "worker");
	refuses("worker 2 1 0 2\n", "worker");
	refuses("worker 2 x 0 0\n", "worker");
	refuses("worker x 1 0 0\n", "worker");
	refuses("worker 2147483648 1 0 0\n", "worker");
	refuses("worker 2 9223372036854775808 0 0\n", "worker");
	refuses("worker 5 1 1 1\nworker 1 1 1 1\n", "worker");
	refuses("socket x 41 0 0 0 listen 127.0.0.1:80\n", "socket");
	refuses("socket 4097 41 0 0 0 listen 127.0.0.1:80\n", "socket");
	refuses("socket 0 999 0 0 0 listen 127.0.0.1:80\n", "socket");
	refuses("socket 0 41 2 0 0 listen 127.0.0.1:80\n", "socket");
	refuses("socket 0 41 0 x 0 listen 127.0.0.1:80\n", "socket");
	refuses("socket 0 41 0 0 x listen 127.0.0.1:80\n", "socket");
	refuses("socket 0 41 0 0 0 listen 127.0.0.1\n", "socket");
	refuses("socket 0 41 0 0 0 listen a.example:80\n", "socket");
}

static void bounds_are_taken(void **state)
{
	static const char *const good[] = {
		"worker 2 9223372036854775807 0 1\n",
		"worker 2147483647 0 1 0\n",
		"socket 4096 41 1 18446744073709551615 18446744073709551615 listen 127.0.0.1:80\n",
		"lock 40\n",
		"kind 0\n",
		"kind 2\n",
		"copier -5\n",
		"report -1\n",
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(text, sizeof(text), LEAST "%send\n", good[i]);
		assert_true(takes(text, SEALED));
	}
}

/* A name that fills its member, and one that is longer by a byte. */
static void paths_of_sockets_have_a_limit(void **state)
{
	struct listener_address at;
	char text[4096], name[sizeof(at.path) + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), LEAST "socket 0 41 0 0 0 admin unix:%s\nend\n", name);
	assert_false(takes(text, SEALED));
	name[sizeof(name) - 2] = '\0';
	snprintf(text, sizeof(text), LEAST "socket 0 41 0 0 0 admin unix:%s\nend\n", name);
	assert_true(takes(text, SEALED));
}

/* One of so many bytes, with a line that is skipped. */
static bool takes_length(size_t length)
{
	static const char end[] = "\nend\n";
	char *text = malloc(length + 1);
	bool taken;

	memset(text, 'x', length);
	memcpy(text, LEAST, strlen(LEAST));
	memcpy(text + length - strlen(end), end, sizeof(end));
	taken = takes(text, SEALED);
	free(text);
	return taken;
}

/* 4 MiB are read, and no byte more. */
static void it_has_a_limit(void **state)
{
	(void)state;
	assert_true(takes_length(4 << 20));
	assert_false(takes_length((4 << 20) + 1));
}

/* So many workers as there may be, and one more. */
static void workers_have_a_limit(void **state)
{
	char *text = malloc(4 << 20);
	size_t n = (size_t)sprintf(text, "%s", LEAST);

	(void)state;
	for (unsigned i = 0; i < 65536; i++)
		n += (size_t)sprintf(text + n, "worker %u 1 1 1\n", i + 2);
	strcpy(text + n, "end\n");
	assert_true(takes(text, SEALED));
	strcpy(text + n, "worker 70000 1 1 1\nend\n");
	assert_false(takes(text, SEALED));
	free(text);
}

/* Escapes: the end of a line, a backslash, and one that is cut off. */
static void texts_have_all_bytes(void **state)
{
	struct handover got;
	struct diagnostic error;
	int fd = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	static const char text[] = LEAST "why a\\nb\\\\c\\d\\\nuser \nend\n";
	char number[16];

	(void)state;
	assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALED), 0);
	snprintf(number, sizeof(number), "%d", fd);
	setenv("CACHE204_HANDOVER", number, 1);
	assert_true(handover_take(&got, &error));
	assert_string_equal(got.why, "a\nb\\cd\\");
	assert_string_equal(got.user, "");
	assert_null(got.tickets);
	assert_int_equal(got.finish_ms, HANDOVER_FINISH_MS);
	handover_free(&got);
}

/* Each allocation may fail: it is an error, and nothing is left. */
static void memory_may_run_out(void **state)
{
	unsigned failures = 0, n = 0;
	bool taken;

	(void)state;
	do {
		fail_memory(n++, false);
		taken = takes(LEAST "worker 5 1 1 1\nsocket 1 41 0 0 0 listen 127.0.0.1:80\nend\n",
			      SEALED);
		failures += fail_memory_never();
		assert_int_equal(taken, failures < n);
	} while (!taken && n < 100);
	assert_in_range(failures, 8, 30);
}

static void half_of_it_is_not_taken(void **state)
{
	(void)state;
	fails_read = true;
	assert_false(takes(LEAST "end\n", SEALED));
	fails_read = false;
	assert_true(takes(LEAST "end\n", SEALED));
}

/* Of no set there is no first, nor files. */
static void one_without_sockets(void **state)
{
	struct handover none, one = make();

	(void)state;
	handover_init(&none);
	assert_null(handover_first_set(&none));
	handover_remove_files(&none, NULL);
	assert_ptr_equal(handover_first_set(&one), &sets[0]);
	assert_int_equal(none.lock, -1);
	assert_int_equal(none.upgrade_file, -1);
}

static void what_is_no_handover_is_an_error(void **state)
{
	struct handover got;
	struct diagnostic error;

	(void)state;
	unsetenv("CACHE204_HANDOVER");
	assert_false(handover_take(&got, &error));
	assert_string_equal(error.text, "");
	setenv("CACHE204_HANDOVER", "0", 1);
	assert_false(handover_take(&got, &error));
	assert_true(error.text[0] != '\0');
	setenv("CACHE204_HANDOVER", "x", 1);
	assert_false(handover_take(&got, &error));
	assert_null(getenv("CACHE204_HANDOVER"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrives),
		cmocka_unit_test(a_failure_leaves_all_as_it_was),
		cmocka_unit_test(there_may_be_no_file),
		cmocka_unit_test(the_way_back_needs_no_path),
		cmocka_unit_test(only_a_whole_one_is_taken),
		cmocka_unit_test(each_line_is_needed),
		cmocka_unit_test(each_value_has_bounds),
		cmocka_unit_test(bounds_are_taken),
		cmocka_unit_test(paths_of_sockets_have_a_limit),
		cmocka_unit_test(it_has_a_limit),
		cmocka_unit_test(workers_have_a_limit),
		cmocka_unit_test(texts_have_all_bytes),
		cmocka_unit_test(memory_may_run_out),
		cmocka_unit_test(half_of_it_is_not_taken),
		cmocka_unit_test(one_without_sockets),
		cmocka_unit_test(what_is_no_handover_is_an_error),
	};

	(void)argc;
	if (getenv("CACHE204_HANDOVER") != NULL)
		_exit(look()); /* a sanitizer looks for no memory of a program that came by execution */
	handover_note_program(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
