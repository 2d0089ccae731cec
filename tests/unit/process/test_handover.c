/* LINKS: proxy/process */
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

enum {
	LOCK = 40,
	SOCKET,
	PIPE_IN,
	PIPE_OUT,
	SEALED = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
};

static struct handover_worker workers[] = {{1234, 1, true, true}, {4321, 7, false, false}};
static struct listener_address address;
static int spare; /* the socket again, which is closed with each handover */
static struct listener sets[] = {{.at = NULL, .count = 0}, {.at = &address, .count = 1}};

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
	socklen_t length = sizeof(address.address);

	dup3(null, LOCK, O_CLOEXEC);
	dup3(null, PIPE_IN, O_CLOEXEC);
	dup3(null, PIPE_OUT, O_CLOEXEC);
	dup3(fd, SOCKET, O_CLOEXEC);
	spare = fd;
	address.asked.v4 = (struct sockaddr_in){.sin_family = AF_INET,
						.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(SOCKET, &address.asked.any, sizeof(address.asked.v4)), 0);
	assert_int_equal(getsockname(SOCKET, &address.address.any, &length), 0);
	address.fd = SOCKET;
	address.option = "gateway";
	address.is_passed = true;
	/* as file systems number files that hash names, or are of several */
	address.file = (struct listener_file){.device = UINT64_MAX, .number = UINT64_MAX - 1};
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
	    got.had_terminal != 1 || got.reload_asked != 3 || got.upgrade_asked != 0 ||
	    got.copier != 99 || got.copied_s != sent.copied_s)
		return 3;
	if (got.lock != LOCK || got.words_in != PIPE_IN || got.words_out != PIPE_OUT ||
	    got.report != -1 || got.program != -1 || !is_closed_on_exec(LOCK) ||
	    !is_closed_on_exec(SOCKET))
		return 4;
	if (got.worker_count != 2 || got.workers[0].pid != 1234 || !got.workers[0].ready ||
	    !got.workers[0].retired || got.workers[1].ready || got.workers[1].pid != 4321 ||
	    got.workers[1].generation != 7 || got.workers[1].retired)
		return 5;
	if (got.set_count != 2 || got.sets[0].count != 0 || got.sets[1].count != 1)
		return 6;
	at = &got.sets[1].at[0];
	if (at->fd != SOCKET || !at->is_passed || strcmp(at->option, "gateway") != 0 ||
	    address_port(&at->asked) != 0 || address_port(&at->address) == 0 ||
	    !address_equal(&at->asked, &at->address) || at->file.device != UINT64_MAX ||
	    at->file.number != UINT64_MAX - 1)
		return 7;
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
	assert_true(is_closed_on_exec(SOCKET));
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
		cmocka_unit_test(only_a_whole_one_is_taken),
		cmocka_unit_test(what_is_no_handover_is_an_error),
	};

	(void)argc;
	if (getenv("CACHE204_HANDOVER") != NULL)
		return look();
	handover_note_program(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
