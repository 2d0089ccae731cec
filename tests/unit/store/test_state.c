/* LINKS: cache/store */
/* The line that says how the store was left: written and read back, and no other line is one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/store/files.h"
#include "tests/support/store_fixture.h"

static char directory[64];
static struct store_files files = STORE_FILES_NONE;

static void write_file(const char *name, const char *text)
{
	int fd = openat(files.directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *read_state(void)
{
	static char text[300];
	int fd = openat(files.directory, "state", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	assert_true(n > 0);
	text[n] = '\0';
	return text;
}

static const char *boot(void)
{
	static char id[64];
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%39s", id), 1);
	fclose(file);
	return id;
}

/* "cache204-store 1 boot B clean C data I S T .", of the data file as it is. */
static void line_of(char *to, size_t size, const char *id, int clean)
{
	struct stat st;

	assert_int_equal(fstatat(files.directory, "data.mdb", &st, 0), 0);
	snprintf(to, size, "cache204-store 1 boot %s clean %d data %lu %lu %lld .\n", id, clean,
		 (unsigned long)st.st_ino, (unsigned long)st.st_size,
		 (long long)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec);
}

static enum store_left left_with(const char *line)
{
	write_file("state", line);
	return store_files_left(&files);
}

static void test_written(void **state)
{
	char line[300], expected[300];
	int data;

	(void)state;
	assert_int_equal(store_files_left(&files), STORE_LEFT_NOTHING);
	write_file("data.mdb", "data");
	assert_int_equal(store_files_left(&files), STORE_LEFT_UNKNOWN);
	assert_true(store_files_mark(&files, -1));
	snprintf(expected, sizeof(expected), "cache204-store 1 boot %s clean 0 data 0 0 0 .\n",
		 boot());
	assert_string_equal(read_state(), expected);
	assert_int_equal(store_files_left(&files), STORE_LEFT_RUNNING);
	data = openat(files.directory, "data.mdb", O_RDONLY | O_CLOEXEC);
	assert_true(store_files_mark(&files, data));
	close(data);
	line_of(line, sizeof(line), boot(), 1);
	assert_string_equal(read_state(), line);
	assert_int_equal(store_files_left(&files), STORE_LEFT_CLEAN);
	/* a shorter line leaves nothing of a longer one */
	assert_true(store_files_mark(&files, -1));
	assert_string_equal(read_state(), expected);
}

static void test_how_it_was_left(void **state)
{
	char line[300];

	(void)state;
	write_file("data.mdb", "data");
	line_of(line, sizeof(line), boot(), 1);
	assert_int_equal(left_with(line), STORE_LEFT_CLEAN);
	line_of(line, sizeof(line), "another", 1);
	assert_int_equal(left_with(line), STORE_LEFT_CLEAN);
	line_of(line, sizeof(line), boot(), 0);
	assert_int_equal(left_with(line), STORE_LEFT_RUNNING);
	line_of(line, sizeof(line), "another", 0);
	assert_int_equal(left_with(line), STORE_LEFT_REBOOTED);
	line_of(line, sizeof(line), "-", 0);
	assert_int_equal(left_with(line), STORE_LEFT_REBOOTED);
}

/* Each of the three things that are known of the data file counts. */
static void test_touched(void **state)
{
	char line[300], *number;

	(void)state;
	write_file("data.mdb", "data");
	for (unsigned which = 0; which < 3; which++) {
		line_of(line, sizeof(line), boot(), 1);
		number = strstr(line, "data ") + 5;
		for (unsigned i = 0; i < which; i++)
			number = strchr(number, ' ') + 1;
		*number = *number == '9' ? '8' : (char)(*number + 1);
		assert_int_equal(left_with(line), STORE_LEFT_TOUCHED);
	}
}

static void test_lines_that_are_none(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		"cache204-store",
		"cache205-store 1 boot b clean 1 data 1 2 3 .\n",
		"cache204-store 2 boot b clean 1 data 1 2 3 .\n",
		"cache204-store x boot b clean 1 data 1 2 3 .\n",
		"cache204-store 1 boot b clean 2 data 1 2 3 .\n",
		"cache204-store 1 boot b clean x data 1 2 3 .\n",
		"cache204-store 1 boot b clean 1 data x 2 3 .\n",
		"cache204-store 1 boot b clean 1 data 1 x 3 .\n",
		"cache204-store 1 boot b clean 1 data 1 2 x .\n",
		"cache204-store 1 boot b clean 1 data 1 2 3\n",
		"cache204-store 1 boot b clean 1 data 1 2 3 ,\n",
		"cache204-store 1 boot b clean 1 data 1 2 3 . .\n",
		"cache204-store 1 boot b clean 1 data 1 2 .\n",
		"\ncache204-store 1 boot b clean 1 data 1 2 3 .\n",
		/* a name of a boot that is too long by one */
		"cache204-store 1 boot 0123456789012345678901234567890123456789 clean 1 data 1 2 3 "
		".\n",
	};

	(void)state;
	write_file("data.mdb", "data");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		errno = EIO; /* of an earlier call: no failure to read this */
		if (left_with(lines[i]) != STORE_LEFT_UNKNOWN)
			fail_msg("taken: %s", lines[i]);
	}
	assert_int_equal(left_with("cache204-store 1 boot 012345678901234567890123456789012345678 "
				   "clean 1 data 1 2 3 .\n"),
			 STORE_LEFT_TOUCHED);
	/* the line's end may be missing, what follows it does not matter */
	assert_int_equal(left_with("cache204-store 1 boot b clean 1 data 1 2 3 ."),
			 STORE_LEFT_TOUCHED);
	assert_int_equal(left_with("cache204-store 1 boot b clean 1 data 1 2 3 .\nmore"),
			 STORE_LEFT_TOUCHED);
}

static void test_data_that_is_no_file(void **state)
{
	char line[300];

	(void)state;
	assert_int_equal(mkdirat(files.directory, "data.mdb", 0700), 0);
	line_of(line, sizeof(line), boot(), 1);
	assert_int_equal(left_with(line), STORE_LEFT_UNKNOWN);
	assert_int_equal(unlinkat(files.directory, "data.mdb", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("data.mdb", files.directory, "data.mdb"), 0);
	assert_int_equal(store_files_left(&files), STORE_LEFT_UNKNOWN);
}

/* ---- files that are moved ------------------------------------------------------------------- */

static bool is_there(const char *name)
{
	struct stat st;

	return fstatat(files.directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The data file, its lock of readers, and one that is neither. */
static void write_all(void)
{
	write_file("data.mdb", "data");
	write_file("lock.mdb", "lock");
	write_file("data.mdb.copy", "copy");
}

static void test_moved_away(void **state)
{
	(void)state;
	write_all();
	assert_true(store_files_drop(&files));
	assert_false(is_there("data.mdb"));
	assert_false(is_there("lock.mdb"));
	assert_true(is_there("data.mdb.copy"));
	assert_true(store_files_drop(&files)); /* nothing is there to be dropped */
	assert_false(store_files_set_aside(&files, "damaged"));
	write_all();
	assert_true(store_files_set_aside(&files, "damaged"));
	assert_false(is_there("data.mdb"));
	assert_false(is_there("lock.mdb"));
	assert_true(is_there("data.mdb.damaged"));
	write_all();
	assert_true(store_files_put(&files, "data.mdb.copy"));
	assert_true(is_there("data.mdb"));
	assert_false(is_there("lock.mdb"));
	assert_false(is_there("data.mdb.copy"));
	assert_false(store_files_put(&files, "data.mdb.copy"));
	/* what cannot be removed is told */
	unlinkat(files.directory, "lock.mdb", 0);
	assert_int_equal(mkdirat(files.directory, "lock.mdb", 0700), 0);
	assert_false(store_files_drop(&files));
}

/* Whoever has left is not the user of a number any more that others may have by then. */
static void test_left(void **state)
{
	struct diagnostic notice = {""};
	struct store_files left;

	(void)state;
	assert_true(store_files_open(&left, directory, false, &notice));
	assert_true(left.lock > STDERR_FILENO && left.first);
	store_files_leave(&left);
	assert_int_equal(left.lock, -1);
	assert_true(left.directory > STDERR_FILENO);
	store_files_close(&left);
	assert_int_equal(left.directory, -1);
	/* And its locks are free. */
	assert_true(store_files_open(&left, directory, true, &notice));
	assert_true(left.first);
	store_files_close(&left);
}

/* ---- files that are exchanged --------------------------------------------------------------- */

static unsigned open_files(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Each file that processes share counts, and no other does. */
static void test_in_place(void **state)
{
	static const char *const shared[] = {"lock",  "data.mdb", "lock.mdb",     "visited",
					     "clock", "noted",    "invalidations"};
	struct store_options options = {
		.directory = directory, .size = MIB, .readers = 4, .format = 1};
	struct diagnostic notice;
	unsigned before = open_files();
	struct store *store = store_open(&options, &notice);
	int lock = openat(files.directory, "lock", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_non_null(store);
	assert_true(store_in_place(store));
	assert_true(store_lock_in_place(directory, lock));
	write_file("other", "x");
	assert_true(store_in_place(store));
	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++) {
		assert_int_equal(renameat(files.directory, shared[i], files.directory, "aside"), 0);
		assert_false(store_in_place(store));
		assert_int_equal(store_lock_in_place(directory, lock), i > 0);
		write_file(shared[i], "x");
		assert_false(store_in_place(store));
		assert_int_equal(store_lock_in_place(directory, lock), i > 0);
		assert_int_equal(renameat(files.directory, "aside", files.directory, shared[i]), 0);
		assert_true(store_in_place(store));
	}
	close(lock);
	store_close(store);
	assert_int_equal(open_files(), before);
}

static int setup(void **state)
{
	(void)state;
	directory_make(directory, sizeof(directory));
	files.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return files.directory < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(files.directory);
	directory_remove(directory);
	return 0;
}

#define STATE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_written),
		STATE_TEST(test_how_it_was_left),
		STATE_TEST(test_touched),
		STATE_TEST(test_lines_that_are_none),
		STATE_TEST(test_data_that_is_no_file),
		STATE_TEST(test_moved_away),
		STATE_TEST(test_left),
		STATE_TEST(test_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
