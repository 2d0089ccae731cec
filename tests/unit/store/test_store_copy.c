/* LINKS: cache/store */
/*
 * Copies of the store: made while it is in use, taken when the file is lost, and only when whole.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/store/note.h"
#include "tests/support/store_fixture.h"

enum {
	KEYS = 1000,
	BATCH = 50, /* keys of one transaction */
	VALUE_MAX = 900,
	PAGE = 4096,
	LATEST_MS = 5000000,
	SLACK_MS = 1000,
	COPIES = 20,
	EPOCHS = 1000,
	KILLS = 30,
};

/* ---- in place of the C library's ------------------------------------------------------------ */

/* What waits for the disk is counted, and room may be short. */

static unsigned syncs;
static bool no_room;
static bool stop_in_write; /* the first */

ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
	if (stop_in_write)
		raise(SIGSTOP);
	stop_in_write = false;
	return syscall(SYS_pwrite64, fd, from, size, at);
}

int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

int msync(void *from, size_t size, int flags)
{
	syncs++;
	return (int)syscall(SYS_msync, from, size, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (no_room) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

/* ---- files ---------------------------------------------------------------------------------- */

static int file_open(const struct store_fixture *f, const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	if (flags & (O_WRONLY | O_RDWR))
		file_settle(path);
	fd = open(path, flags | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void file_put(const struct store_fixture *f, const char *name, uint64_t at,
		     const void *bytes, size_t size)
{
	int fd = file_open(f, name, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, size, (off_t)at), size);
	close(fd);
}

static void file_truncate(const struct store_fixture *f, const char *name, uint64_t size)
{
	int fd = file_open(f, name, O_WRONLY);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static void file_fill(const struct store_fixture *f, const char *name, int byte)
{
	uint64_t size = file_size(f, name);
	char *bytes = malloc(size);

	memset(bytes, byte, size);
	file_put(f, name, 0, bytes, size);
	free(bytes);
}

/* As the power failure leaves it: another boot, and a file of which nothing is right. */
static void power_fails(const struct store_fixture *f)
{
	char state[256];
	int fd = file_open(f, "state", O_RDWR);
	ssize_t n = read(fd, state, sizeof(state) - 1);
	char *at;

	assert_true(n > 0);
	state[n] = '\0';
	at = strstr(state, "boot ");
	assert_non_null(at);
	at[5] = at[5] == '0' ? '1' : '0';
	assert_int_equal(pwrite(fd, state, (size_t)n, 0), n);
	close(fd);
	file_fill(f, "data.mdb", 0xa5);
}

/* ---- processes: a copy is made by one that has no store open, a death is one's own ---------- */

static enum store_result copy_in_child(struct store_fixture *f, unsigned *ret_syncs)
{
	struct diagnostic *notice = &f->notice;
	int ends[2], status;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		unsigned before = syncs;
		enum store_result result = store_copy(&f->options, 1764000000, notice);

		before = syncs - before;
		if (write(ends[1], &before, sizeof(before)) != sizeof(before) ||
		    write(ends[1], notice, sizeof(f->notice)) != sizeof(f->notice))
			_exit(99);
		_exit((int)result);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], ret_syncs, sizeof(*ret_syncs)), sizeof(*ret_syncs));
	assert_int_equal(read(ends[0], notice, sizeof(f->notice)), sizeof(f->notice));
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return (enum store_result)WEXITSTATUS(status);
}

static void assert_copied(struct store_fixture *f)
{
	unsigned count;

	if (copy_in_child(f, &count) != STORE_OK)
		fail_msg("no copy: %s", f->notice.text);
	assert_in_range(count, 2, 3); /* the file and its name */
	assert_string_equal(f->notice.text, "");
	assert_false(file_exists(f, "data.mdb.copy.new"));
}

static void assert_not_needed(struct store_fixture *f)
{
	unsigned count;

	assert_int_equal(copy_in_child(f, &count), STORE_NOT_FOUND);
	assert_int_equal(count, 0);
}

static void fill(struct store *store, uint64_t turn)
{
	for (uint64_t n = 0; n < KEYS; n++) {
		struct cache_key key = key_of(n), group = group_of(n % 7);

		if (n % BATCH == 0 && store_begin(store) != STORE_OK)
			_exit(2);
		if (put_in_parts(store, &key, bytes_of(n, turn, VALUE_MAX), &group, 1) != STORE_OK)
			_exit(3);
		if (n % BATCH == BATCH - 1 && store_commit(store) != STORE_OK)
			_exit(4);
	}
}

/* The latest that was given out, by whichever process. */
static uint64_t *epochs;

/* Filled, copied, filled anew, and dead: the copy is of turn 1. */
static void live_and_die(struct store_fixture *f)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		f->store = store_open(&f->options, &f->notice);
		if (!f->store)
			_exit(1);
		store_clock(f->store)->latest_ms = LATEST_MS;
		store_clock(f->store)->lead_ms = 70;
		atomic_fetch_add(&store_invalidations(f->store)->last, EPOCHS);
		epochs[0] = invalidation_now(store_invalidations(f->store));
		fill(f->store, 1);
		assert_copied(f);
		store_clock(f->store)->latest_ms = LATEST_MS + 60000;
		fill(f->store, 2);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void assert_all_stored(struct store_fixture *f, uint64_t turn)
{
	for (uint64_t n = 0; n < KEYS; n++)
		assert_in_store(f->store, n, turn);
}

/* The copy is the store now: all of turn 1 is in it, and goes on being. */
static void assert_taken(struct store_fixture *f, const char *why)
{
	const struct store_clock *clock;

	store_fixture_open(f);
	assert_notice(f, why);
	assert_notice(f, "its copy of 2025-11-24 16:00:00 UTC takes its place");
	assert_all_stored(f, 1);
	assert_true(epochs[0] < invalidation_now(store_invalidations(f->store)));
	clock = store_clock(f->store);
	assert_int_equal(clock->restored_ms, LATEST_MS + SLACK_MS);
	assert_true(clock->latest_ms > clock->restored_ms);
	assert_int_equal(file_size(f, "data.mdb"), f->options.size);
	assert_false(file_exists(f, "data.mdb.copy"));
	fill(f->store, 3);
	assert_all_stored(f, 3);
	store_fixture_reopen(f);
	assert_string_equal(f->notice.text, "");
	assert_all_stored(f, 3);
	assert_int_equal(store_clock(f->store)->restored_ms, LATEST_MS + SLACK_MS);
}

static void assert_begun_anew(struct store_fixture *f, const char *why)
{
	store_fixture_open(f);
	assert_notice(f, why);
	assert_notice(f, "begun anew");
	assert_absent(f->store, 1);
	assert_int_equal(store_clock(f->store)->restored_ms, 0);
	fill(f->store, 3);
	assert_all_stored(f, 3);
}

static int setup(void **state)
{
	struct store_fixture *f;

	store_setup(state);
	f = *state;
	f->options.copied = true;
	if (!epochs)
		epochs = mmap(NULL, sizeof(*epochs), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return epochs == MAP_FAILED ? -1 : 0;
}

/* ---- making --------------------------------------------------------------------------------- */

static void test_made_when_something_changed(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	fill(f->store, 1);
	assert_copied(f);
	assert_not_needed(f);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 1, VALUE_MAX)), STORE_OK);
	assert_copied(f);
	assert_not_needed(f);
	store_fixture_close(f);
	assert_not_needed(f); /* nobody has it open */
	store_fixture_open(f);
	assert_not_needed(f);
}

static void test_nothing_is_synced_but_the_copy(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key group = group_of(3);
	size_t count;

	store_fixture_open(f);
	syncs = 0;
	for (uint64_t turn = 0; turn < 5; turn++)
		fill(f->store, turn);
	assert_copied(f);
	assert_all_stored(f, 4);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(drop_members(f->store, &group, KEYS, &count), STORE_OK);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(syncs, 0);
	store_fixture_close(f);
	assert_in_range(syncs, 1, 20);
}

static void test_no_room_for_it(void **state)
{
	struct store_fixture *f = *state;
	unsigned count;

	store_fixture_open(f);
	fill(f->store, 1);
	no_room = true;
	assert_int_equal(copy_in_child(f, &count), STORE_FAILED);
	no_room = false;
	assert_notice(f, "no room on disk");
	assert_false(file_exists(f, "data.mdb.copy"));
	assert_false(file_exists(f, "data.mdb.copy.new"));
	assert_copied(f);
}

/* Writes whole turns of a batch for ever, a byte into the pipe after each. */
static pid_t writer_start(struct store_fixture *f, int *ret_pipe)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		f->store = store_open(&f->options, &f->notice);
		for (uint64_t turn = 1; f->store; turn++) {
			fill(f->store, turn);
			if (write(ends[1], "", 1) != 1)
				break;
		}
		_exit(1);
	}
	close(ends[1]);
	*ret_pipe = ends[0];
	return pid;
}

static void writer_wait(int pipe)
{
	struct pollfd poll_for = {.fd = pipe, .events = POLLIN};
	char byte;

	assert_int_equal(poll(&poll_for, 1, 20000), 1);
	assert_int_equal(read(pipe, &byte, 1), 1);
}

/* Of one moment: keys are written in turn, so some are of this one and those behind of the last. */
static void assert_of_one_moment(struct store *store)
{
	uint64_t first = 0, before = 0, turn = 0;

	for (uint64_t n = 0; n < KEYS; n++, before = turn) {
		struct cache_key key = key_of(n);
		struct slice value;

		assert_int_equal(store_get(store, &key, &value), STORE_OK);
		assert_true(value_is_of(value, n, &turn));
		if (n == 0)
			first = before = turn;
		assert_in_range(turn, first - 1, before);
		store_turn_end(store);
	}
}

static void test_made_while_others_write(void **state)
{
	struct store_fixture *f = *state;

	for (unsigned i = 0; i < COPIES; i++) {
		int pipe;
		pid_t writer = writer_start(f, &pipe);

		writer_wait(pipe);
		assert_copied(f);
		assert_int_equal(kill(writer, SIGKILL), 0);
		assert_int_equal(waitpid(writer, NULL, 0), writer);
		close(pipe);
		power_fails(f);
		store_fixture_open(f);
		assert_notice(f, "takes its place");
		assert_of_one_moment(f->store);
		store_fixture_close(f);
	}
}

/* A copy that is held up: its process has begun to read, and is stopped. */
static pid_t copy_stopped(struct store_fixture *f)
{
	char path[256];
	enum store_result result;
	struct stat st;
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stop_in_write = true;
		result = store_copy(&f->options, 0, &f->notice);
		/* what follows from giving it up is not said */
		_exit(strstr(f->notice.text, "; ") == NULL ? (int)result : 100);
	}
	assert_int_equal(waitpid(child, NULL, WUNTRACED), child);
	snprintf(path, sizeof(path), "%s/data.mdb.copy.new", f->directory);
	assert_int_equal(stat(path, &st), 0);
	return child;
}

/*
 * A store that is full, and pages kept by a copy: puts and drops are refused in time, nothing
 * fails, and the copy is made.  Nothing is evicted for puts that are refused.
 */
static void full_store_and_copy(void **state, bool given_up)
{
	struct store_fixture *f = *state;
	uint64_t refused = 0, kept = 0, from = 40000;
	struct store_usage usage;
	pid_t child;
	int status;

	f->options.size = 32 * MIB;
	store_fixture_open(f);
	for (uint64_t n = 0; n < 2 * from; n++)
		assert_int_equal(put_one(f->store, n, bytes_of(n, 0, VALUE_MAX)), STORE_OK);
	child = copy_stopped(f);
	for (uint64_t n = 2 * from; n < 2 * from + 3000; n++)
		refused += put_one(f->store, n, bytes_of(n, 0, VALUE_MAX)) == STORE_FULL;
	assert_in_range(refused, 1500, 3000);
	for (uint64_t n = 2 * from - 1; n > 2 * from - 3000; n--) {
		struct cache_key key = key_of(n);
		enum store_result result;

		assert_int_equal(store_begin(f->store), STORE_OK);
		result = drop_in_parts(f->store, &key);
		assert_true(result == STORE_FULL || result == STORE_OK ||
			    result == STORE_NOT_FOUND);
		kept += result == STORE_FULL;
		assert_int_equal(store_commit(f->store), STORE_OK);
	}
	assert_in_range(kept, 1000, 3000);
	if (given_up)
		store_give_up_copy(f->store);
	kill(child, SIGCONT);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, (given_up ? STORE_FAILED : STORE_OK) << 8);
	assert_int_equal(file_exists(f, "data.mdb.copy"), !given_up);
	store_usage(f->store, &usage);
	assert_int_equal(usage.failures, 0);
	for (uint64_t n = 3 * from; n < 3 * from + 3000; n++)
		assert_int_equal(put_one(f->store, n, bytes_of(n, 0, VALUE_MAX)), STORE_OK);
	assert_copied(f);
}

static void test_a_full_store_waits_for_the_copy(void **state)
{
	full_store_and_copy(state, false);
}

static void test_a_copy_in_the_way_is_given_up(void **state)
{
	full_store_and_copy(state, true);
}

static void test_killed_while_it_is_made(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	for (unsigned i = 0; i < KILLS; i++) {
		pid_t child;

		fill(f->store, i);
		child = fork();
		if (child == 0) {
			store_copy(&f->options, 0, &f->notice);
			_exit(0);
		}
		for (volatile uint64_t spin = mix(i) & 0x1fffff; spin > 0; spin--)
			;
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		if (i % 2 == 0)
			store_copy_clean(f->directory);
		else
			store_fixture_reopen(f);
		assert_false(file_exists(f, "data.mdb.copy.new"));
		assert_all_stored(f, i);
	}
}

/* ---- taking --------------------------------------------------------------------------------- */

static void test_taken_after_a_power_failure(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f);
	power_fails(f);
	assert_taken(f, "the system went down");
}

static void test_taken_for_a_damaged_file(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f);
	file_fill(f, "data.mdb", 0);
	assert_taken(f, "not an LMDB file");
	assert_true(file_exists(f, "data.mdb.damaged"));
}

/* A copy is older than the file, so it is taken only when there is no other way. */
static void test_not_taken_without_need(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f);
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	assert_all_stored(f, 2);
	assert_int_equal(store_clock(f->store)->restored_ms, 0);
	store_fixture_reopen(f);
	assert_all_stored(f, 2);
	assert_true(file_exists(f, "data.mdb.copy"));
}

/* The maps are not synced, and may be as they were long ago, or gone. */
static void test_clock_is_not_behind_the_copy(void **state)
{
	struct store_fixture *f = *state;
	int64_t zero[3] = {0}, early[3] = {3, 4, 0};

	for (unsigned i = 0; i < 3; i++) {
		live_and_die(f);
		power_fails(f);
		if (i < 2)
			file_put(f, "clock", 64, i == 0 ? zero : early, sizeof(zero));
		else
			file_truncate(f, "clock", 10);
		assert_taken(f, "the system went down");
		assert_int_equal(store_clock(f->store)->lead_ms, 70);
		store_fixture_close(f);
		directory_remove(f->directory);
	}
}

/* Nor may it be ahead of what it was. */
static void test_a_clock_that_is_ahead_stays(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f);
	power_fails(f);
	store_fixture_open(f);
	assert_int_equal(store_clock(f->store)->latest_ms, LATEST_MS + 60000);
	assert_int_equal(store_clock(f->store)->restored_ms, LATEST_MS + SLACK_MS);
}

static void test_taken_again(void **state)
{
	struct store_fixture *f = *state;

	for (unsigned i = 0; i < 3; i++) {
		live_and_die(f);
		power_fails(f);
		store_fixture_open(f);
		assert_notice(f, "takes its place");
		assert_all_stored(f, 1);
		store_fixture_close(f);
	}
}

static void test_none_to_take(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	fill(f->store, 1);
	store_fixture_close(f);
	live_and_die(f);
	f->options.copied = false;
	power_fails(f);
	assert_begun_anew(f, "the system went down");
	assert_false(file_exists(f, "data.mdb.copy"));
}

static void not_taken(struct store_fixture *f, const char *why)
{
	power_fails(f);
	assert_begun_anew(f, why);
	assert_notice(f, "the system went down");
	store_fixture_close(f);
	directory_remove(f->directory);
}

/* What its records were asked for before is not known then: marks would not be later. */
static void test_not_taken_without_invalidations(void **state)
{
	struct store_fixture *f = *state;
	char path[256];

	for (unsigned damaged = 0; damaged < 2; damaged++) {
		live_and_die(f);
		snprintf(path, sizeof(path), "%s/invalidations", f->directory);
		assert_int_equal(unlink(path), 0);
		if (damaged)
			power_fails(f);
		assert_begun_anew(f, "the times of its invalidations are lost");
		assert_false(file_exists(f, "data.mdb.copy"));
		store_fixture_close(f);
		directory_remove(f->directory);
	}
}

/* Of a process that was killed. */
static void test_half_a_mark_is_freed(void **state)
{
	struct store_fixture *f = *state;
	struct invalidations *all;

	store_fixture_open(f);
	all = store_invalidations(f->store);
	atomic_store(&all->sets[3].tags[5], 7);
	atomic_fetch_add(&all->live, 1);
	store_fixture_reopen(f);
	all = store_invalidations(f->store);
	assert_int_equal(atomic_load(&all->sets[3].tags[5]), 0);
	assert_false(invalidation_any(all));
}

static void test_torn_is_not_taken(void **state)
{
	struct store_fixture *f = *state;
	const uint64_t kept[] = {0, 1, 100, PAGE, 5 * PAGE, 5 * PAGE + 7, 100 * PAGE};

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		live_and_die(f);
		file_truncate(f, "data.mdb.copy", kept[i]);
		not_taken(f, "data.mdb.copy: it is not whole");
	}
	for (unsigned short_by = 1; short_by < 200; short_by += 37) {
		live_and_die(f);
		file_truncate(f, "data.mdb.copy", file_size(f, "data.mdb.copy") - short_by);
		not_taken(f, "data.mdb.copy: it is not whole");
	}
}

static void test_damaged_is_not_taken(void **state)
{
	struct store_fixture *f = *state;
	char page[PAGE];

	memset(page, 0x5a, sizeof(page));
	live_and_die(f);
	for (uint64_t at = 2 * PAGE; at < 100 * PAGE; at += 10 * PAGE)
		file_put(f, "data.mdb.copy", at, page, sizeof(page));
	not_taken(f, "data.mdb.copy: it");
	live_and_die(f);
	file_fill(f, "data.mdb.copy", 0);
	not_taken(f, "data.mdb.copy: it is not whole");
}

static void test_other_version_is_not_taken(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f);
	f->options.format++;
	not_taken(f, "data.mdb.copy: it is of another version");
}

static void test_larger_than_it_may_be(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f);
	f->options.size = MIB;
	power_fails(f);
	store_fixture_open(f);
	assert_notice(f, "data.mdb.copy: it is larger than it may be");
	assert_notice(f, "begun anew");
	assert_absent(f->store, 1);
}

#define COPY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, store_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY_TEST(test_made_when_something_changed),
		COPY_TEST(test_nothing_is_synced_but_the_copy),
		COPY_TEST(test_no_room_for_it),
		COPY_TEST(test_made_while_others_write),
		COPY_TEST(test_a_full_store_waits_for_the_copy),
		COPY_TEST(test_a_copy_in_the_way_is_given_up),
		COPY_TEST(test_killed_while_it_is_made),
		COPY_TEST(test_taken_after_a_power_failure),
		COPY_TEST(test_taken_for_a_damaged_file),
		COPY_TEST(test_not_taken_without_need),
		COPY_TEST(test_clock_is_not_behind_the_copy),
		COPY_TEST(test_a_clock_that_is_ahead_stays),
		COPY_TEST(test_taken_again),
		COPY_TEST(test_none_to_take),
		COPY_TEST(test_not_taken_without_invalidations),
		COPY_TEST(test_half_a_mark_is_freed),
		COPY_TEST(test_torn_is_not_taken),
		COPY_TEST(test_damaged_is_not_taken),
		COPY_TEST(test_other_version_is_not_taken),
		COPY_TEST(test_larger_than_it_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
