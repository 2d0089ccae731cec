/* LINKS: proxy/process */
/* When copies of the store are made, and what becomes of those that fail or get stuck. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/record/record.h"
#include "cache/store/files.h"
#include "proxy/process/copier.h"
#include "tests/support/store_fixture.h"
#include "tests/support/test_conf.h"

enum {
	SYNC_MS = 60000,
	START_MS = 1000000,
};

struct fixture {
	struct store_fixture *store;
	struct conf *conf;
	struct stats_copies counts;
	struct copier copier;
	int64_t now_ms;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	store_setup((void **)&f->store);
	f->store->options.format = RECORD_VERSION;
	f->store->options.copied = true;
	f->conf = test_conf_new();
	assert_true(test_conf_set(f->conf, "sync", "1m"));
	assert_true(test_conf_set(f->conf, "store", f->store->directory));
	store_fixture_open(f->store);
	f->now_ms = START_MS;
	copier_init(&f->copier, f->conf, &f->counts, f->now_ms);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_teardown((void **)&f->store);
	test_conf_free(f->conf);
	free(f);
	return 0;
}

static void turn_after(struct fixture *f, int64_t ms)
{
	f->now_ms += ms;
	copier_turn(&f->copier, f->now_ms);
}

/* Until the child has ended; it was running. */
static void wait_for_end(struct fixture *f, bool killed)
{
	pid_t pid = f->copier.pid;
	int status;

	assert_true(copier_is_busy(&f->copier));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WIFSIGNALED(status), killed);
	copier_ended(&f->copier, pid, status, f->now_ms);
	assert_false(copier_is_busy(&f->copier));
}

static void store_something(struct fixture *f, uint64_t n)
{
	assert_int_equal(put_one(f->store->store, n, bytes_of(n, 0, 500)), STORE_OK);
}

static void assert_counts(const struct fixture *f, uint64_t made, uint64_t failed)
{
	assert_int_equal(f->counts.made, made);
	assert_int_equal(f->counts.failed, failed);
}

/* So that a copy cannot begin: as if somebody opened the store for ever. */
static struct store_files hold_opening(struct fixture *f)
{
	struct store_files files;

	assert_true(store_files_open(&files, f->store->directory, false, &f->store->notice));
	return files;
}

static void test_one_each_time(void **state)
{
	struct fixture *f = *state;
	time_t before = time(NULL);

	store_something(f, 1);
	assert_int_equal(copier_due_ms(&f->copier), START_MS + SYNC_MS);
	turn_after(f, SYNC_MS - 1);
	assert_false(copier_is_busy(&f->copier));
	turn_after(f, 1);
	wait_for_end(f, false);
	assert_counts(f, 1, 0);
	assert_in_range(f->counts.last_s, before, time(NULL));
	assert_true(file_exists(f->store, "data.mdb.copy"));
	assert_int_equal(copier_due_ms(&f->copier), f->now_ms + SYNC_MS);
	turn_after(f, SYNC_MS); /* nothing was stored: neither made nor failed */
	wait_for_end(f, false);
	assert_counts(f, 1, 0);
	store_something(f, 2);
	turn_after(f, SYNC_MS);
	wait_for_end(f, false);
	assert_counts(f, 2, 0);
}

static void test_never_without_the_option(void **state)
{
	struct fixture *f = *state;

	assert_true(test_conf_set(f->conf, "sync", "0"));
	copier_init(&f->copier, f->conf, &f->counts, f->now_ms);
	assert_int_equal(copier_due_ms(&f->copier), INT64_MAX);
	turn_after(f, 1000 * (int64_t)SYNC_MS);
	assert_false(copier_is_busy(&f->copier));
}

static void test_not_more_often_than_it_should(void **state)
{
	struct fixture *f = *state;

	assert_true(test_conf_set(f->conf, "sync", "1ms"));
	copier_init(&f->copier, f->conf, &f->counts, f->now_ms);
	assert_int_equal(copier_due_ms(&f->copier), START_MS + COPIER_PAUSE_MIN_MS);
}

static void test_one_at_a_time_and_killed_when_late(void **state)
{
	struct fixture *f = *state;
	struct store_files files = hold_opening(f);
	pid_t pid;

	store_something(f, 1);
	turn_after(f, SYNC_MS);
	pid = f->copier.pid;
	turn_after(f, SYNC_MS);
	turn_after(f, COPIER_TIME_MAX_MS - SYNC_MS - 1);
	assert_int_equal(f->copier.pid, pid);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it is still there */
	turn_after(f, 1);
	wait_for_end(f, true);
	assert_counts(f, 0, 1);
	assert_int_equal(f->counts.last_s, 0);
	store_files_close(&files);
	turn_after(f, SYNC_MS);
	wait_for_end(f, false);
	assert_counts(f, 1, 1);
}

static void test_killed_when_it_is_stopped(void **state)
{
	struct fixture *f = *state;
	struct store_files files = hold_opening(f);

	store_something(f, 1);
	turn_after(f, SYNC_MS);
	copier_stop(&f->copier);
	wait_for_end(f, true);
	store_files_close(&files);
	assert_counts(f, 0, 0);
	assert_int_equal(copier_due_ms(&f->copier), INT64_MAX);
	turn_after(f, 10 * SYNC_MS);
	assert_false(copier_is_busy(&f->copier));
}

static void test_what_was_not_finished_is_removed(void **state)
{
	struct fixture *f = *state;
	struct store_files files = hold_opening(f);
	char path[256];

	snprintf(path, sizeof(path), "%s/data.mdb.copy.new", f->store->directory);
	store_something(f, 1);
	turn_after(f, SYNC_MS);
	fclose(fopen(path, "w"));
	copier_stop(&f->copier);
	wait_for_end(f, true);
	store_files_close(&files);
	assert_false(file_exists(f->store, "data.mdb.copy.new"));
}

static void test_other_children_are_not_its(void **state)
{
	struct fixture *f = *state;

	copier_ended(&f->copier, getppid(), 1 << 8, f->now_ms);
	assert_counts(f, 0, 0);
	assert_int_equal(copier_due_ms(&f->copier), START_MS + SYNC_MS);
}

#define COPIER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Another configuration: never, and again, and what is being made is finished in either. */
static void test_the_option_changes(void **state)
{
	struct fixture *f = *state;
	struct conf *never = test_conf_new();

	assert_true(test_conf_set(never, "sync", "0s"));
	assert_true(test_conf_set(never, "store", f->store->directory));
	turn_after(f, SYNC_MS);
	copier_set_conf(&f->copier, never, f->now_ms);
	wait_for_end(f, false);
	assert_int_equal(copier_due_ms(&f->copier), INT64_MAX);
	copier_set_conf(&f->copier, f->conf, f->now_ms);
	assert_int_equal(copier_due_ms(&f->copier), f->now_ms + SYNC_MS);
	f->now_ms += 1000;
	copier_set_conf(&f->copier, f->conf, f->now_ms);
	assert_int_equal(copier_due_ms(&f->copier), f->now_ms - 1000 + SYNC_MS);
	copier_set_conf(&f->copier, never, f->now_ms);
	assert_int_equal(copier_due_ms(&f->copier), INT64_MAX);
	copier_set_conf(&f->copier, f->conf, f->now_ms);
	test_conf_free(never);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPIER_TEST(test_one_each_time),
		COPIER_TEST(test_never_without_the_option),
		COPIER_TEST(test_not_more_often_than_it_should),
		COPIER_TEST(test_one_at_a_time_and_killed_when_late),
		COPIER_TEST(test_killed_when_it_is_stopped),
		COPIER_TEST(test_what_was_not_finished_is_removed),
		COPIER_TEST(test_other_children_are_not_its),
		COPIER_TEST(test_the_option_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
