/* LINKS: proxy/process tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=mmap */
/*
 * A worker, and what workers share, without enough memory: there is none, and a line says why.  With it: how it
 * leaves when it is asked to, in a process of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/monotonic.h"
#include "proxy/process/generation.h"
#include "proxy/process/worker.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/store_fixture.h"

enum { TRIES_MAX = 2000, PATIENCE_S = 60 };

/* What became of a try, in a process of its own: an exit status. */
enum { NO_FAILURE, IN_SPITE_OF_IT, FAILED, FAILED_WITHOUT_A_WORD };

static char directory[64];
static struct generation *generation;
static struct worker_shared *shared;
static unsigned maps_left; /* that do not fail */
static int origin;         /* the gateway's */

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	errno = ENOMEM;
	return maps_left-- == 0 ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

static int listen_here(union address *ret_address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(*ret_address);

	assert_true(address_parse(slice_str("127.0.0.1"), ret_address));
	assert_int_equal(bind(fd, &ret_address->any, address_length(ret_address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, &ret_address->any, &length), 0);
	return fd;
}

/* With all that takes memory. */
static int open_all(void **state)
{
	static char settings[6][128];
	char *pointers[6];
	struct diagnostic error;
	union address address;

	(void)state;
	maps_left = UINT32_MAX;
	origin = listen_here(&address);
	directory_make(directory, sizeof(directory));
	directory_write(directory, "users",
			"ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n");
	snprintf(settings[0], sizeof(settings[0]), "store=%s/store", directory);
	snprintf(settings[1], sizeof(settings[1]), "access_log=%s/log", directory);
	snprintf(settings[2], sizeof(settings[2]), "password_file=%s/users", directory);
	strcpy(settings[3], "listen=127.0.0.1:0");
	strcpy(settings[4], "admin=127.0.0.1:0");
	snprintf(settings[5], sizeof(settings[5]), "gateway=unix:%s/socket=http://127.0.0.1:%u",
		 directory, address_port(&address));
	for (size_t i = 0; i < 6; i++)
		pointers[i] = settings[i];
	generation = generation_first(conf_load(NULL, pointers, 6, stderr), &error);
	assert_non_null(generation);
	assert_int_equal(mkdir(generation->conf->store, 0700), 0);
	shared = worker_shared_map(generation->conf, NULL);
	assert_non_null(shared);
	assert_true(store_hold_take(&shared->hold, generation->conf->store, &error));
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	generation_free(generation, NULL);
	directory_remove(directory);
	return 0;
}

/* With the n-th allocation failing. */
static int try_worker(unsigned n)
{
	struct diagnostic error = {""};
	struct listener listener;
	struct worker *worker;
	bool failed;

	if (!generation_sockets(generation, 0, &listener))
		return FAILED_WITHOUT_A_WORD;
	fail_memory(n, false);
	worker = worker_new(generation, shared, 0, &listener, &error);
	failed = fail_memory_never();
	free(listener.at);
	if (worker == NULL)
		return error.text[0] != '\0' ? FAILED : FAILED_WITHOUT_A_WORD;
	worker_free(worker);
	return failed ? IN_SPITE_OF_IT : NO_FAILURE;
}

/* With the n-th map failing. */
static int try_map(unsigned n)
{
	struct worker_shared *mapped;
	bool failed;

	maps_left = n;
	mapped = worker_shared_map(generation->conf, NULL);
	failed = maps_left > n; /* it went below 0 */
	maps_left = UINT32_MAX;
	if (mapped == NULL)
		return FAILED;
	return failed ? IN_SPITE_OF_IT : NO_FAILURE;
}

/* Until it does not fail any more: how often it did. */
static unsigned fail_each(int (*try)(unsigned n), bool may_be_spite)
{
	unsigned failures = 0;

	for (unsigned n = 0; n < TRIES_MAX; n++) {
		int status = -1;
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			if (freopen("/dev/null", "w", stderr) == NULL)
				_exit(99);
			exit(try(n));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == NO_FAILURE)
			return failures;
		if (WEXITSTATUS(status) != FAILED &&
		    (WEXITSTATUS(status) != IN_SPITE_OF_IT || !may_be_spite))
			fail_msg("failure %u: %d", n, WEXITSTATUS(status));
		failures += WEXITSTATUS(status) == FAILED;
	}
	fail_msg("it fails without end");
	return 0;
}

static void there_is_none_without_memory(void **state)
{
	(void)state;
	assert_in_range(fail_each(try_worker, true), 20, TRIES_MAX);
}

static void nothing_is_shared_without_maps(void **state)
{
	(void)state;
	assert_in_range(fail_each(try_map, false), 8, 30);
}

/* ---- how it leaves -------------------------------------------------------------------------- */

static struct {
	pid_t pid;
	int words; /* the master's end of the pipe */
	FILE *log; /* what it says */
} life;

static _Noreturn void live(int to_master, const sigset_t *before)
{
	struct diagnostic error;
	struct listener listener;
	struct worker *worker = NULL;
	int status;

	dup2(fileno(life.log), STDERR_FILENO);
	shared->to_master = to_master;
	if (generation_sockets(generation, 0, &listener))
		worker = worker_new(generation, shared, 0, &listener, &error);
	if (worker == NULL)
		_exit(99);
	sigprocmask(SIG_SETMASK, before, NULL);
	status = worker_run(worker);
	worker_free(worker);
	free(listener.at);
	_exit(status);
}

/* As the master does: signals wait until it can take them. */
static void begin(int drain_timeout_ms, int drain_delay_ms)
{
	sigset_t all, before;
	int pipe[2];

	generation->conf->drain_timeout_ms = drain_timeout_ms;
	generation->conf->drain_delay_ms = drain_delay_ms;
	assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
	life.log = tmpfile();
	assert_non_null(life.log);
	fflush(NULL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	life.pid = fork();
	if (life.pid == 0)
		live(pipe[1], &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pipe[1]);
	life.words = pipe[0];
	alarm(PATIENCE_S);
}

/* It ends well, and says `last`, or nothing that operators should look at; the master hears no more of it. */
static void ends(const char *last)
{
	static char said[2048];
	int status = -1;
	pid_t pid;

	assert_int_equal(waitpid(life.pid, &status, 0), life.pid);
	alarm(0);
	assert_int_equal(status, 0);
	assert_int_equal(read(life.words, &pid, sizeof(pid)), 0);
	close(life.words);
	rewind(life.log);
	said[fread(said, 1, sizeof(said) - 1, life.log)] = '\0';
	fclose(life.log);
	if (last == NULL)
		assert_true(strstr(said, "error: ") == NULL && strstr(said, "drain") == NULL);
	else
		assert_non_null(strstr(said, last));
}

static void send_all(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int connect_client(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* A head, or what comes before the end, in static memory. */
static const char *receive(int fd)
{
	static char head[4096];
	size_t n = 0;

	for (ssize_t more = 1; more > 0 && n < sizeof(head) - 1;
	     n += (size_t)(more > 0 ? more : 0)) {
		head[n] = '\0';
		if (strstr(head, "\r\n\r\n") != NULL)
			break;
		more = read(fd, head + n, sizeof(head) - 1 - n);
	}
	head[n] = '\0';
	return head;
}

/* A request, as the origin has it then. */
static int ask(int client)
{
	int fd;

	send_all(client, "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
	fd = accept(origin, NULL, NULL);
	assert_true(fd >= 0);
	assert_memory_equal(receive(fd), "GET /a ", 7);
	return fd;
}

/* The origin's answer gets to the client. */
static void answer(int fd, int client)
{
	send_all(fd,
		 "HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
	close(fd);
	assert_memory_equal(receive(client), "HTTP/1.1 204 ", 13);
}

static void is_closed(int client)
{
	assert_string_equal(receive(client), "");
	close(client);
}

static int64_t now_ms(void)
{
	return monotonic_us() / 1000;
}

static void one_that_is_not_used_ends_at_once(void **state)
{
	const int signals[] = {SIGTERM, WORKER_RETIRE, SIGQUIT};

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		begin(PATIENCE_S * 2000, 0);
		kill(life.pid, signals[i]);
		ends(NULL);
	}
}

static void what_is_in_flight_is_answered_first(void **state)
{
	int client, fd;

	(void)state;
	begin(PATIENCE_S * 2000, 0);
	client = connect_client();
	fd = ask(client);
	kill(life.pid, SIGTERM);
	answer(fd, client);
	is_closed(client);
	ends(NULL);
}

static void but_no_longer_than_it_may_take(void **state)
{
	int64_t begun_ms;
	int client, fd;

	(void)state;
	begin(200, 0);
	client = connect_client();
	fd = ask(client);
	begun_ms = now_ms();
	kill(life.pid, SIGTERM);
	is_closed(client);
	assert_true(now_ms() - begun_ms >= 200);
	close(fd);
	ends("drain_timeout is over: what was still in flight is cut off");
}

static void and_not_at_all_when_it_is_hurried(void **state)
{
	int client, fd;

	(void)state;
	begin(PATIENCE_S * 2000, 0);
	client = connect_client();
	fd = ask(client);
	kill(life.pid, SIGTERM);
	kill(life.pid, SIGQUIT);
	is_closed(client);
	close(fd);
	ends(NULL);
}

/* Clients that are connected go on, until they have an answer that is their last. */
static void one_that_retires_tells_the_master_and_serves_who_is_there(void **state)
{
	pid_t pid = 0;
	int client;

	(void)state;
	begin(1, 0);
	client = connect_client();
	answer(ask(client), client);
	kill(life.pid, WORKER_RETIRE);
	assert_int_equal(read(life.words, &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(pid, life.pid);
	answer(ask(client), client);
	is_closed(client);
	ends(NULL);
}

static void it_goes_on_for_the_delay(void **state)
{
	int64_t begun_ms;

	(void)state;
	begin(PATIENCE_S * 2000, 150);
	begun_ms = now_ms();
	kill(life.pid, SIGTERM);
	ends(NULL);
	assert_true(now_ms() - begun_ms >= 150);
}

/* Signals that come together are handled in one turn. */
static void its_log_is_opened_again(void **state)
{
	char path[128], old[128];
	int client;

	(void)state;
	snprintf(path, sizeof(path), "%s/log", directory);
	snprintf(old, sizeof(old), "%s/log.1", directory);
	begin(PATIENCE_S * 2000, 0);
	client = connect_client();
	answer(ask(client), client); /* it runs, and has the log open */
	assert_int_equal(rename(path, old), 0);
	kill(life.pid, SIGUSR1);
	kill(life.pid, SIGTERM);
	is_closed(client);
	ends(NULL);
	assert_int_equal(access(path, F_OK), 0);
}

static void or_the_old_one_stays_in_use(void **state)
{
	char path[128];
	int client;

	(void)state;
	snprintf(path, sizeof(path), "%s/log", directory);
	begin(PATIENCE_S * 2000, 0);
	client = connect_client();
	answer(ask(client), client);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	kill(life.pid, SIGUSR1);
	kill(life.pid, SIGTERM);
	is_closed(client);
	ends("cannot be reopened, the old file stays in use");
	assert_int_equal(rmdir(path), 0);
}

static void others_are_for_the_master(void **state)
{
	int client;

	(void)state;
	begin(PATIENCE_S * 2000, 0);
	client = connect_client();
	kill(life.pid, SIGINT);
	kill(life.pid, SIGHUP);
	kill(life.pid, SIGUSR2);
	answer(ask(client), client);
	kill(life.pid, SIGTERM);
	is_closed(client);
	ends(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_none_without_memory),
		cmocka_unit_test(nothing_is_shared_without_maps),
		cmocka_unit_test(one_that_is_not_used_ends_at_once),
		cmocka_unit_test(what_is_in_flight_is_answered_first),
		cmocka_unit_test(but_no_longer_than_it_may_take),
		cmocka_unit_test(and_not_at_all_when_it_is_hurried),
		cmocka_unit_test(one_that_retires_tells_the_master_and_serves_who_is_there),
		cmocka_unit_test(it_goes_on_for_the_delay),
		cmocka_unit_test(its_log_is_opened_again),
		cmocka_unit_test(or_the_old_one_stays_in_use),
		cmocka_unit_test(others_are_for_the_master),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
