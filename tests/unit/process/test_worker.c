/* LINKS: proxy/process tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=mmap */
/* A worker, and what workers share, without enough memory: there is none, and a line says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/generation.h"
#include "proxy/process/worker.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/store_fixture.h"

enum { TRIES_MAX = 2000 };

/* What became of a try, in a process of its own: an exit status. */
enum { NO_FAILURE, IN_SPITE_OF_IT, FAILED, FAILED_WITHOUT_A_WORD };

static char directory[64];
static struct generation *generation;
static struct worker_shared *shared;
static unsigned maps_left; /* that do not fail */

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	errno = ENOMEM;
	return maps_left-- == 0 ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	to = fopen(path, "w");
	assert_non_null(to);
	fputs(text, to);
	fclose(to);
	assert_int_equal(chmod(path, 0600), 0);
}

/* With all that takes memory. */
static int open_all(void **state)
{
	static char settings[6][128];
	char *pointers[6];
	struct diagnostic error;

	(void)state;
	maps_left = UINT32_MAX;
	directory_make(directory, sizeof(directory));
	write_file("users", "ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n");
	snprintf(settings[0], sizeof(settings[0]), "store=%s/store", directory);
	snprintf(settings[1], sizeof(settings[1]), "access_log=%s/log", directory);
	snprintf(settings[2], sizeof(settings[2]), "password_file=%s/users", directory);
	strcpy(settings[3], "listen=127.0.0.1:0");
	strcpy(settings[4], "admin=127.0.0.1:0");
	snprintf(settings[5], sizeof(settings[5]), "gateway=unix:%s/socket=http://127.0.0.1:9",
		 directory);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_none_without_memory),
		cmocka_unit_test(nothing_is_shared_without_maps),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
