/* LINKS: proxy/loop */
/* Files of Unix sockets: what is replaced, what stays, and of many that start at once only one has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/loop/listener_file.h"

static const struct listener_owner ours = {0640, (uid_t)-1, (gid_t)-1};
static char directory[] = "/tmp/cache204-unit-XXXXXX";
static char path[64];

static int make(struct listener_file *ret_file)
{
	struct diagnostic error;

	return listener_file_bind(path, &ours, 16, ret_file, &error);
}

static void one_has_its_mode_and_is_removed(void **state)
{
	struct listener_file file, other;
	struct stat status;
	int fd = make(&file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	assert_true(listener_file_is_there(path, &file));
	assert_true(listener_file_set_mode(path, &file, 0600));
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(make(&other), -1); /* it is listened on */
	assert_true(listener_file_is_there(path, &file));
	close(fd);
	fd = make(&file); /* it was left behind */
	assert_true(fd >= 0);
	listener_file_remove(path, &file);
	assert_int_not_equal(access(path, F_OK), 0);
	close(fd);
}

static void one_that_another_process_has_made_there_stays(void **state)
{
	struct listener_file file, other;
	int fd = make(&file), other_fd;

	(void)state;
	assert_int_equal(unlink(path), 0);
	other_fd = make(&other);
	assert_true(fd >= 0 && other_fd >= 0);
	assert_false(listener_file_is_there(path, &file));
	listener_file_remove(path, &file);
	assert_true(listener_file_is_there(path, &other));
	assert_true(listener_file_set_mode(path, &file, 0666));
	listener_file_remove(path, &other);
	close(fd);
	close(other_fd);
}

static void one_with_a_full_backlog_is_not_left_behind(void **state)
{
	struct listener_file file, other;
	struct diagnostic error;
	int fd = listener_file_bind(path, &ours, 0, &file, &error);

	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(make(&other), -1);
	assert_true(listener_file_is_there(path, &file));
	listener_file_remove(path, &file);
	close(fd);
}

static void other_files_and_missing_directories_are_errors(void **state)
{
	struct listener_file file;
	struct diagnostic error;
	FILE *other = fopen(path, "w");

	(void)state;
	assert_non_null(other);
	fclose(other);
	assert_int_equal(make(&file), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_int_equal(make(&file), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(listener_file_bind("/nowhere/at/all", &ours, 16, &file, &error), -1);
	assert_string_equal(error.text, "its directory: No such file or directory");
}

/* A start of its own: whether it has the path, kept until `until` ends. */
static void start(int result, int until)
{
	struct listener_file file;
	char byte = make(&file) >= 0 ? '1' : '0';

	if (write(result, &byte, 1) == 1 && read(until, &byte, 1) == 0)
		_exit(0);
	_exit(1);
}

static void of_many_that_find_one_left_behind_one_has_it(void **state)
{
	enum { STARTS = 8, ROUNDS = 10 };

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct listener_file file;
		int result[2], until[2], have = 0, status;
		char byte;

		close(make(&file)); /* left behind */
		assert_int_equal(pipe(result), 0);
		assert_int_equal(pipe(until), 0);
		for (int i = 0; i < STARTS; i++)
			if (fork() == 0) {
				close(until[1]);
				start(result[1], until[0]);
			}
		for (int i = 0; i < STARTS; i++) {
			assert_int_equal(read(result[0], &byte, 1), 1);
			have += byte == '1';
		}
		assert_int_equal(have, 1);
		close(until[1]);
		for (int i = 0; i < STARTS; i++)
			assert_true(wait(&status) > 0 && status == 0);
		close(until[0]);
		close(result[0]);
		close(result[1]);
	}
	unlink(path);
}

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/socket", directory);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_has_its_mode_and_is_removed),
		cmocka_unit_test(one_that_another_process_has_made_there_stays),
		cmocka_unit_test(one_with_a_full_backlog_is_not_left_behind),
		cmocka_unit_test(other_files_and_missing_directories_are_errors),
		cmocka_unit_test(of_many_that_find_one_left_behind_one_has_it),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
