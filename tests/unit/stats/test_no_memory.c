/* LINKS: proxy/stats tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -Wl,--wrap=mmap,--wrap=memfd_create,--wrap=ftruncate,--wrap=open_memstream */
/* Statistics without memory: what cannot be had is said to be so, and what was there stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/stats/accesslog.h"
#include "proxy/stats/history.h"
#include "proxy/stats/in_flight.h"
#include "proxy/stats/last_uris.h"
#include "proxy/stats/marks.h"
#include "proxy/stats/notices.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/report.h"
#include "proxy/stats/service.h"
#include "proxy/stats/sketch.h"
#include "tests/doubles/failing_memory.h"

static bool no_files, no_size, no_stream;

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
FILE *__real_open_memstream(char **text, size_t *length);
FILE *__wrap_open_memstream(char **text, size_t *length);

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	return fail_memory_now() ? MAP_FAILED
				 : __real_mmap(at, size, protection, flags, fd, offset);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	errno = ENOSYS;
	return no_files ? -1 : __real_memfd_create(name, flags);
}

int __wrap_ftruncate(int fd, off_t size)
{
	errno = EFBIG;
	return no_size ? -1 : __real_ftruncate(fd, size);
}

static ssize_t take_nothing(void *cookie, const char *bytes, size_t n)
{
	(void)cookie, (void)bytes, (void)n;
	errno = ENOMEM;
	return -1;
}

/* One that cannot be had, or that has no room. */
FILE *__wrap_open_memstream(char **text, size_t *length)
{
	if (fail_memory_now())
		return NULL;
	if (no_stream)
		return fopencookie(NULL, "w", (cookie_io_functions_t){.write = take_nothing});
	return __real_open_memstream(text, length);
}

static int end(void **state)
{
	(void)state;
	fail_memory_never();
	no_files = no_size = no_stream = false;
	return 0;
}

/* Each of its parts, in turn; then all of them are of use. */
static void test_a_service(void **state)
{
	static const struct recent_error_names names = {{"", 0}, {"", 0}, {"", 0}};
	static struct recent_error errors[RECENT_ERRORS_MAX];
	static struct in_flight_row rows[IN_FLIGHT_MAX];
	static struct sketch_view view;
	struct stats_service service = {0};
	unsigned parts = 0;
	bool is_mine;

	(void)state;
	for (;; parts++) {
		bool made;

		fail_memory(parts, false);
		made = stats_service_map(&service, 2);
		assert_int_equal(made, !fail_memory_never());
		if (made)
			break;
	}
	assert_int_equal(parts, 7);
	stats_service_attach(&service, 1);
	STATS_ADD(clients, 3);
	sketch_count(&(struct sketch_event){.is_request = true}, NULL, SLICE("a"), SLICE(""));
	recent_errors_add(FAILURE_DNS_ERROR, 502, &names, 5);
	in_flight_note(rows, 1);
	history_due(service.history, getpid(), 5000, &is_mine);
	assert_true(is_mine);
	assert_int_equal(service.blocks[1].clients, 3);
	assert_true(
		sketch_read(service.sketch, 2, SKETCH_OF_HOSTS, &(struct sketch_query){0}, &view));
	assert_int_equal(view.total[SKETCH_REQUESTS], 1);
	assert_true(
		sketch_read(service.sketch, 1, SKETCH_OF_HOSTS, &(struct sketch_query){0}, &view));
	assert_int_equal(view.total[SKETCH_REQUESTS], 0); /* it is of the second block */
	assert_int_equal(recent_errors_list(service.errors, 2, errors), 1);
	assert_int_equal(recent_errors_list(service.errors, 1, errors), 0);
	assert_int_equal(in_flight_list(service.in_flight, 2, rows), 1);
	assert_int_equal(in_flight_list(service.in_flight, 1, rows), 0);
	/* What it had open is closed when it has died, what it counted stays. */
	stats_service_clear(&service, 1, getpid());
	assert_int_equal(service.blocks[1].clients, 0);
	assert_int_equal(in_flight_list(service.in_flight, 2, rows), 0);
	assert_int_equal(recent_errors_list(service.errors, 2, errors), 1);
	history_due(service.history, getpid() + 1, 5001, &is_mine);
	assert_true(is_mine);
	stats_attach(calloc(1, sizeof(struct stats)));
}

static void test_what_is_shared_already_stays(void **state)
{
	struct last_uris *all = last_uris_all();

	(void)state;
	assert_true(notices_share());
	notices_set_store(7, 8);
	fail_memory(0, true);
	assert_false(last_uris_share());
	assert_ptr_equal(last_uris_all(), all);
	assert_false(notices_share());
	assert_true(notices_first_request());
	assert_false(notices_first_request());
}

/* A file that cannot be had, or has no room, is no file: the memory is this program's alone. */
static void test_a_reload(void **state)
{
	struct reload_result result;
	struct reload *reload;
	int file = 99;

	(void)state;
	fail_memory(0, false);
	assert_null(reload_map(&file));
	close(file);
	for (unsigned way = 0; way < 2; way++) {
		no_files = way == 0;
		no_size = way == 1;
		reload = reload_map(&file);
		assert_int_equal(file, -1);
		assert_non_null(reload);
		assert_int_equal(reload_ask(reload), 1);
		assert_true(reload_read(reload, &result));
		assert_int_equal(result.generation, 1);
	}
}

/* The file of the program before cannot be mapped: one is begun anew, if that can be had. */
static void test_a_reload_of_another_program(void **state)
{
	struct reload *reload;
	int file;

	(void)state;
	reload = reload_map(&file);
	assert_int_equal(reload_ask(reload), 1);
	fail_memory(0, false);
	reload = reload_map_again(&file, 7);
	assert_non_null(reload);
	assert_int_equal(reload_asked(reload), 7);
	fail_memory(0, true);
	assert_null(reload_map_again(&file, 7));
	close(file);
}

/* The one before had no standard input, either. */
static void test_a_reload_as_descriptor_0(void **state)
{
	int input = dup(STDIN_FILENO), file, again = STDIN_FILENO;
	struct reload *reload = reload_map(&file);

	(void)state;
	assert_int_equal(reload_ask(reload), 1);
	dup2(file, STDIN_FILENO);
	assert_int_equal(reload_asked(reload_map_again(&again, 7)), 1);
	assert_int_equal(again, STDIN_FILENO);
	dup2(input, STDIN_FILENO);
	close(input);
	close(file);
}

/* It is closed then, also where a program without standard input has it as descriptor 0. */
static void test_a_reload_that_is_given_up_is_closed(void **state)
{
	int input = dup(STDIN_FILENO), file = STDIN_FILENO;

	(void)state;
	close(STDIN_FILENO);
	no_size = true;
	assert_non_null(reload_map(&file));
	assert_int_equal(file, -1);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	file = STDIN_FILENO;
	dup2(STDERR_FILENO, STDIN_FILENO);
	no_files = true;
	assert_non_null(reload_map_again(&file, 7));
	assert_int_equal(file, -1);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	dup2(input, STDIN_FILENO);
	close(input);
}

/* Its writer was stopped in the middle: nobody waits for it. */
static void test_a_reload_that_is_being_written(void **state)
{
	struct reload_result result = {.generation = 7};
	struct reload *reload;
	int file;

	(void)state;
	reload = reload_map(&file);
	((uint64_t *)reload)[2]++; /* the sequence */
	assert_false(reload_read(reload, &result));
	assert_int_equal(result.generation, 7);
	((uint64_t *)reload)[2]++;
	assert_true(reload_read(reload, &result));
	assert_int_equal(result.generation, 1);
	close(file);
}

/* They need none. */
static void test_marks(void **state)
{
	static struct stats sum, found;
	struct marks *marks = marks_map();
	struct mark mark = {.name = "a", .at_us = 5}, listed[MARKS_MAX];
	char gone[MARK_NAME_MAX + 1];

	(void)state;
	fail_memory(0, true);
	assert_true(marks_set(marks, &mark, &sum, gone));
	assert_true(marks_find(marks, SLICE("a"), &mark, &found));
	assert_int_equal(marks_list(marks, listed), 1);
	assert_false(fail_memory_never());
}

static void test_the_sketch(void **state)
{
	struct sketch *blocks = sketch_map(1);
	struct sketch_query query = {.rows = 1};
	static struct sketch_view view;

	(void)state;
	memset(&view, 0xff, sizeof(view));
	fail_memory(0, true);
	assert_false(sketch_read(blocks, 1, SKETCH_OF_HOSTS, &query, &view));
	assert_int_equal(view.count, 0);
}

static void test_reports(void **state)
{
	static struct stats sum;
	static struct listener_names names;
	struct report_input input = {.stats = &sum, .listeners = &names, .version = "1"};
	struct reload_result result = {.ok = true};
	size_t length;

	(void)state;
	fail_memory(0, true);
	assert_null(report_json(&input, &length));
	assert_null(report_reload(&result, 1, &length));
	assert_null(report_prometheus(&input, &length));
	fail_memory(1, true); /* it has to grow */
	assert_null(report_json(&input, &length));
	fail_memory_never();
	no_stream = true;
	assert_null(report_prometheus(&input, &length));
}

static void test_the_log(void **state)
{
	(void)state;
	fail_memory(0, true);
	assert_null(accesslog_open("/dev/null", "json", 1));
	fail_memory_never();
	accesslog_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_a_service, end),
		cmocka_unit_test_teardown(test_what_is_shared_already_stays, end),
		cmocka_unit_test_teardown(test_a_reload, end),
		cmocka_unit_test_teardown(test_a_reload_of_another_program, end),
		cmocka_unit_test_teardown(test_a_reload_as_descriptor_0, end),
		cmocka_unit_test_teardown(test_a_reload_that_is_given_up_is_closed, end),
		cmocka_unit_test_teardown(test_a_reload_that_is_being_written, end),
		cmocka_unit_test_teardown(test_marks, end),
		cmocka_unit_test_teardown(test_the_sketch, end),
		cmocka_unit_test_teardown(test_reports, end),
		cmocka_unit_test_teardown(test_the_log, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
