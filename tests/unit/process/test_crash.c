/* LINKS: proxy/process -Wl,--wrap=store_doubt */
/* A process that crashes marks its store once, and dies of what it would have died of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/crash.h"

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

static int marks[2];
static char first, second; /* in place of stores, whose address alone is handed on */

void __wrap_store_doubt(struct store *store);

void __wrap_store_doubt(struct store *store)
{
	char mark = (void *)store == &first ? '1' : (void *)store == &second ? '2' : '?';

	if (write(marks[1], &mark, 1) != 1)
		_exit(99);
}

static struct store *store_of(char *place)
{
	return (void *)place;
}

static void read_what_is_not_there(void)
{
	volatile char *page = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)*page;
}

/* The signal that a child dies of, 0 when it lives; `ret_marks` has room for three. */
static int crash(struct store *stores[2], int number, char *ret_marks)
{
	int status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(marks), 0);
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		/* a sanitizer has some, and cmocka */
		for (size_t i = 0; i < FAULTS; i++)
			signal(faults[i], SIG_DFL);
		crash_watch(stores[0]);
		crash_watch(stores[1]);
		if (number == 0)
			read_what_is_not_there();
		else
			raise(number);
		_exit(EXIT_SUCCESS);
	}
	close(marks[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(marks[0], ret_marks, 3);
	close(marks[0]);
	ret_marks[n > 0 ? n : 0] = '\0';
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void each_fault_marks_the_store_and_kills(void **state)
{
	struct store *stores[] = {store_of(&first), store_of(&first)};
	char text[4];

	(void)state;
	for (size_t i = 0; i < FAULTS; i++) {
		assert_int_equal(crash(stores, faults[i], text), faults[i]);
		assert_string_equal(text, "1");
		assert_true(crash_is(faults[i]));
	}
	assert_int_equal(crash(stores, 0, text), SIGSEGV); /* of its own instruction */
	assert_string_equal(text, "1");
}

static void the_last_store_counts(void **state)
{
	struct store *another[] = {store_of(&first), store_of(&second)};
	struct store *no_more[] = {store_of(&first), NULL}, *never[] = {NULL, NULL};
	char text[4];

	(void)state;
	assert_int_equal(crash(another, SIGSEGV, text), SIGSEGV);
	assert_string_equal(text, "2");
	assert_int_equal(crash(no_more, SIGSEGV, text), SIGSEGV);
	assert_string_equal(text, "");
	assert_int_equal(crash(never, SIGSEGV, text), SIGSEGV);
	assert_string_equal(text, "");
}

static void who_is_ended_from_outside_has_not_crashed(void **state)
{
	static const int others[] = {SIGKILL, SIGTERM, SIGQUIT, SIGHUP, SIGXCPU, SIGSYS, 0};
	struct store *stores[] = {store_of(&first), store_of(&first)};
	char text[4];

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(crash_is(others[i]));
	assert_int_equal(crash(stores, SIGTERM, text), SIGTERM);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_marks_the_store_and_kills),
		cmocka_unit_test(the_last_store_counts),
		cmocka_unit_test(who_is_ended_from_outside_has_not_crashed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
