/* LINKS: cache/store */
/* The last of what there is: the last reader's slot, the largest entry, a disk with as little room as will do. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/store/files.h"
#include "tests/support/store_fixture.h"

enum { PAGE = 4096, SPARE_READERS = 16 };

/* ---- a disk: these stand before the C library's --------------------------------------------- */

static uint64_t disk_room = UINT64_MAX; /* bytes, for the file */
static int disk_error = ENOSPC;

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	if ((uint64_t)(offset + length) > disk_room) {
		errno = disk_error;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

/* What the file does not have yet of it. */
int fstatvfs(int fd, struct statvfs *ret_disk)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	*ret_disk = (struct statvfs){
		.f_frsize = PAGE,
		.f_bavail = (disk_room - (uint64_t)st.st_blocks * 512) / PAGE,
	};
	return 0;
}

/* ---- readers -------------------------------------------------------------------------------- */

/* Another process opens the store, says whether it could, and keeps it until `leave` closes. */
static bool opens_and_stays(struct store_fixture *f, int leave)
{
	int answer[2];
	char opened, end;

	assert_int_equal(pipe(answer), 0);
	if (fork() == 0) {
		f->store = store_open(&f->options, &f->notice);
		opened = f->store != NULL;
		close(answer[0]);
		if (write(answer[1], &opened, 1) != 1 || read(leave, &end, 1) != 0)
			_exit(1);
		_exit(0);
	}
	close(answer[1]);
	assert_int_equal(read(answer[0], &opened, 1), 1);
	close(answer[0]);
	return opened;
}

static void test_the_last_reader(void **state)
{
	struct store_fixture *f = *state;
	unsigned readers = 1;
	int leave[2], status;

	assert_int_equal(pipe(leave), 0);
	f->options.size = MIB;
	f->options.readers = 3;
	store_fixture_open(f);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 0, 100)), STORE_OK);
	while (readers < 100) {
		pid_t child;

		/* children must not keep the pipe open */
		child = fork();
		if (child == 0) {
			close(leave[1]);
			_exit(opens_and_stays(f, leave[0]) ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		if (status != 0)
			break;
		readers++;
	}
	assert_int_equal(readers, 3 + SPARE_READERS);
	/* those that are there are none the worse for it */
	assert_in_store(f->store, 1, 0);
	assert_int_equal(put_one(f->store, 2, bytes_of(2, 0, 100)), STORE_OK);
	close(leave[0]);
	close(leave[1]);
}

/* ---- values --------------------------------------------------------------------------------- */

static void test_the_largest_value(void **state)
{
	static char bytes[200 * 1024];
	struct store_fixture *f = *state;
	struct cache_key key = key_of(1), groups[STORE_GROUPS_MAX + 1];
	struct slice found;

	f->options.size = MIB;
	store_fixture_open(f);
	for (size_t n = 65536 - 8; n <= 65536 + 8; n++) {
		enum store_result wanted = n <= 65536 ? STORE_OK : STORE_FULL;

		memset(bytes, (int)n, sizeof(bytes));
		assert_int_equal(store_begin(f->store), STORE_OK);
		assert_int_equal(put_in_parts(f->store, &key, slice_of(bytes, n), NULL, 0), wanted);
		assert_int_equal(store_commit(f->store), STORE_OK);
		assert_int_equal(store_get(f->store, &key, &found), STORE_OK);
		/* the one before is left */
		assert_int_equal(found.n, n <= 65536 ? n : 65536);
		assert_int_equal((unsigned char)found.p[found.n - 1], found.n & 0xff);
		store_turn_end(f->store);
	}
	for (uint64_t i = 0; i <= STORE_GROUPS_MAX; i++)
		groups[i] = group_of(i);
	assert_int_equal(store_begin(f->store), STORE_OK);
	assert_int_equal(put_in_parts(f->store, &key, SLICE("x"), groups, STORE_GROUPS_MAX),
			 STORE_OK);
	assert_int_equal(put_in_parts(f->store, &key, SLICE("y"), groups, STORE_GROUPS_MAX + 1),
			 STORE_FULL);
	assert_int_equal(store_commit(f->store), STORE_OK);
	assert_int_equal(store_get(f->store, &key, &found), STORE_OK);
	assert_memory_equal(found.p, "x", 1);
}

/* ---- the disk ------------------------------------------------------------------------------- */

/* Opens with that room; the size it took, 0 when it did not open. */
static uint64_t size_with_room(struct store_fixture *f, uint64_t bytes)
{
	struct store_usage usage = {0};

	disk_room = bytes;
	f->store = store_open(&f->options, &f->notice);
	if (f->store != NULL)
		store_usage(f->store, &usage);
	store_fixture_close(f);
	directory_remove(f->directory);
	assert_int_equal(mkdir(f->directory, 0700), 0);
	return usage.bytes_size;
}

/*
 * In whole MiB, less one for the files beside it; with less than two there is one all the same, and with less than
 * that none.
 */
static void test_as_little_room_as_will_do(void **state)
{
	static const struct {
		uint64_t room, size;
	} rows[] = {
		{8 * MIB, 8 * MIB},
		{8 * MIB - 1, 6 * MIB},
		{5 * MIB, 4 * MIB},
		{5 * MIB - PAGE, 3 * MIB},
		{3 * MIB, 2 * MIB},
		{3 * MIB - PAGE, MIB},
		{2 * MIB, MIB},
		{2 * MIB - PAGE, MIB},
		{MIB, MIB},
		{MIB - 1, 0},
		{0, 0},
	};
	struct store_fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (size_with_room(f, rows[i].room) != rows[i].size)
			fail_msg("row %zu: %s", i, f->notice.text);
	assert_non_null(strstr(f->notice.text, "no room on disk for 8192 KiB, using 1024 KiB"));
	assert_non_null(strstr(f->notice.text, "no room on disk: No space left on device"));
}

/* What the file has of the disk already is room, too. */
static void test_what_it_has_is_room(void **state)
{
	struct store_fixture *f = *state;

	disk_room = UINT64_MAX / 2;
	f->options.size = 4 * MIB;
	store_fixture_open(f);
	store_fixture_close(f);
	f->options.size = 8 * MIB;
	assert_int_equal(size_with_room(f, 6 * MIB - PAGE), 4 * MIB);
}

/* A quota is a full disk; what else goes wrong is told, and opens nothing. */
static void test_other_reasons(void **state)
{
	struct store_fixture *f = *state;

	disk_error = EDQUOT;
	assert_int_equal(size_with_room(f, 3 * MIB), 2 * MIB);
	disk_error = EIO;
	assert_int_equal(size_with_room(f, 3 * MIB), 0);
	assert_non_null(strstr(f->notice.text, "no room on disk: Input/output error"));
	disk_error = ENOSYS;
	assert_int_equal(size_with_room(f, 0), 8 * MIB);
	assert_non_null(strstr(f->notice.text, "cannot reserve room"));
}

/* A store is of whole pages, and of a MiB at least. */
static void test_the_smallest_size(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = MIB - 1;
	assert_null(store_open(&f->options, &f->notice));
	assert_non_null(strstr(f->notice.text, "a store needs 1 MiB: raise store_size"));
	f->options.size = MIB + PAGE - 1;
	assert_int_equal(size_with_room(f, UINT64_MAX / 2), MIB);
	f->options.size = MIB + PAGE;
	assert_int_equal(size_with_room(f, UINT64_MAX / 2), MIB + PAGE);
}

static int teardown(void **state)
{
	disk_room = UINT64_MAX / 2;
	disk_error = ENOSPC;
	return store_teardown(state);
}

#define BOUND_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOUND_TEST(test_the_last_reader),           BOUND_TEST(test_the_largest_value),
		BOUND_TEST(test_as_little_room_as_will_do), BOUND_TEST(test_other_reasons),
		BOUND_TEST(test_the_smallest_size),         BOUND_TEST(test_what_it_has_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
