/* LINKS: proxy/stats */
/* What a worker takes of the machine: what is read, how often, and what stays when it cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/wall_clock.h"
#include "proxy/stats/process.h"

static struct process_stats process;
static struct process_watch watch;

static int begin(void **state)
{
	(void)state;
	memset(&process, 0, sizeof(process));
	process_watch_begin(&watch, &process);
	return 0;
}

static int end(void **state)
{
	(void)state;
	process_watch_end(&watch);
	return 0;
}

/* A file in the place of one of /proc. */
static void put_in_place(int *fd, const char *text, off_t size)
{
	int file = memfd_create("proc", 0);

	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	if (size > 0)
		assert_int_equal(ftruncate(file, size), 0);
	close(*fd);
	*fd = file;
}

static void test_it_begins_now(void **state)
{
	int64_t before_ms = wall_clock_ms();

	(void)state;
	process_watch_end(&watch);
	process_watch_begin(&watch, &process);
	assert_in_range(process.started_ms, before_ms, wall_clock_ms());
	assert_int_equal(process.pid, getpid());
}

/* Programs that are started do not get what it reads, and neither does who is there when it has ended. */
static void test_what_it_opens_is_its_own(void **state)
{
	int files[] = {watch.statm, watch.fd_directory};

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fcntl(files[i], F_GETFD), FD_CLOEXEC);
	process_watch_end(&watch);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fcntl(files[i], F_GETFD), -1);
	process_watch_begin(&watch, &process);
}

/* A program that was started without standard input may have any of them as descriptor 0. */
static void test_descriptor_0_is_one_of_them(void **state)
{
	int input = dup(STDIN_FILENO);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int *file = i == 0 ? &watch.statm : &watch.fd_directory;

		assert_int_equal(dup2(*file, 0), 0);
		close(*file);
		*file = 0;
		process = (struct process_stats){0};
		watch.look_ms = 0;
		process_watch_look(&watch, 1000);
		assert_true(process.rss > 0 && process.fds > 0);
		process_watch_end(&watch);
		assert_int_equal(fcntl(0, F_GETFD), -1);
		dup2(input, STDIN_FILENO);
		process_watch_begin(&watch, &process);
	}
	close(input);
}

static void test_pages_become_bytes(void **state)
{
	int64_t page = sysconf(_SC_PAGESIZE);

	(void)state;
	put_in_place(&watch.statm, "300 200 100 1 0 0 0\n", 0);
	process_watch_look(&watch, 0);
	assert_int_equal(process.virtual, 300 * page);
	assert_int_equal(process.rss, 200 * page);
	/* What is no number changes nothing, nor does what is not there. */
	put_in_place(&watch.statm, "400 x", 0);
	process_watch_look(&watch, 0);
	put_in_place(&watch.statm, "", 0);
	process_watch_look(&watch, 0);
	close(watch.statm);
	watch.statm = -1;
	process_watch_look(&watch, 0);
	assert_int_equal(process.virtual, 300 * page);
	assert_int_equal(process.rss, 200 * page);
}

/* Each second, and with thousands of them once in as many milliseconds. */
static void test_descriptors_are_counted_once_in_a_while(void **state)
{
	(void)state;
	put_in_place(&watch.fd_directory, "", 1000);
	process_watch_look(&watch, 999);
	assert_int_not_equal(process.fds, 1000);
	process_watch_look(&watch, 1000);
	assert_int_equal(process.fds, 1000);
	assert_int_equal(ftruncate(watch.fd_directory, 1001), 0);
	process_watch_look(&watch, 1999);
	assert_int_equal(process.fds, 1000);
	process_watch_look(&watch, 2000);
	assert_int_equal(process.fds, 1001);
	assert_int_equal(ftruncate(watch.fd_directory, 5), 0);
	process_watch_look(&watch, 3000);
	assert_int_equal(process.fds, 1001);
	process_watch_look(&watch, 3001);
	assert_int_equal(process.fds, 5);
	close(watch.fd_directory);
	watch.fd_directory = -1;
	process_watch_look(&watch, 100000);
	assert_int_equal(process.fds, 5);
}

/* Kernels before 6.2 do not tell their number: this directory has the same entries, and no size on any. */
static void test_descriptors_are_counted_one_by_one(void **state)
{
	int more[300]; /* their entries come in several pieces */
	int64_t here;

	(void)state;
	close(watch.fd_directory);
	watch.fd_directory = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(watch.fd_directory >= 0);
	process_watch_look(&watch, 1000);
	here = process.fds;
	assert_in_range(here, 5, 1000);
	for (unsigned i = 0; i < 300; i++)
		more[i] = dup(0);
	assert_true(more[299] >= 0);
	process_watch_look(&watch, 2000);
	assert_int_equal(process.fds, here + 300);
	for (unsigned i = 0; i < 300; i++)
		close(more[i]);
	process_watch_look(&watch, 3000);
	assert_int_equal(process.fds, here);
	/* What is no directory has none. */
	put_in_place(&watch.fd_directory, "", 0);
	process_watch_look(&watch, 4000);
	assert_int_equal(process.fds, 0);
}

static void test_the_limit_of_descriptors(void **state)
{
	struct rlimit limit, lower;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(process.fds_max, limit.rlim_cur);
	lower = (struct rlimit){limit.rlim_cur - 1, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lower), 0);
	process_watch_look(&watch, 1000);
	assert_int_equal(process.fds_max, limit.rlim_cur - 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* The block has what those before took, and the last of this one comes at its end. */
static void test_the_time_of_all_in_a_block(void **state)
{
	struct rusage usage;
	uint64_t own_us;

	(void)state;
	process_watch_end(&watch);
	process.cpu_us = UINT64_C(1) << 50;
	process_watch_begin(&watch, &process);
	while (process.cpu_us == UINT64_C(1) << 50)
		process_watch_look(&watch, 0);
	process.cpu_us = 0;
	process_watch_end(&watch);
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	own_us = process.cpu_us - (UINT64_C(1) << 50);
	assert_in_range(own_us, 1,
			(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
				usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	process_watch_begin(&watch, &process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_begins_now, begin, end),
		cmocka_unit_test_setup_teardown(test_what_it_opens_is_its_own, begin, end),
		cmocka_unit_test_setup_teardown(test_descriptor_0_is_one_of_them, begin, end),
		cmocka_unit_test_setup_teardown(test_pages_become_bytes, begin, end),
		cmocka_unit_test_setup_teardown(test_descriptors_are_counted_once_in_a_while, begin,
						end),
		cmocka_unit_test_setup_teardown(test_descriptors_are_counted_one_by_one, begin,
						end),
		cmocka_unit_test_setup_teardown(test_the_limit_of_descriptors, begin, end),
		cmocka_unit_test_setup_teardown(test_the_time_of_all_in_a_block, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
