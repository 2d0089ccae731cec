/* LINKS: proxy/loop tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* Files of Unix sockets: what is replaced, what stays, and of many that start at once only one has it. */
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/loop/listener_file.h"
#include "tests/doubles/failing_calls.h"

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
	char below[80];

	(void)state;
	assert_non_null(other);
	fclose(other);
	assert_int_equal(listener_file_bind(path, &ours, 16, &file, &error), -1);
	assert_string_equal(error.text,
			    "there is a file that is not a socket: remove it, or use another "
			    "path");
	snprintf(below, sizeof(below), "%s/socket", path);
	assert_int_equal(listener_file_bind(below, &ours, 16, &file, &error), -1);
	assert_string_equal(error.text, "its directory: Not a directory");
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

/* ---- what cannot be had --------------------------------------------------------------------- */

static int lowest_free(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

/* Nothing is left open, and why is said. */
static void expect_refusal(const char *at, const char *why)
{
	struct listener_file file;
	struct diagnostic error = {.text = ""};
	int before = lowest_free();

	assert_int_equal(listener_file_bind(at, &ours, 16, &file, &error), -1);
	assert_string_equal(error.text, why);
	assert_int_equal(lowest_free(), before);
}

static void what_a_call_fails_with_is_said(void **state)
{
	static const struct {
		const char *call;
		unsigned skip;
		int error;
		bool was_left; /* there is one that was left behind */
		bool stays;    /* there is a file afterwards */
		const char *why;
	} rows[] = {
		{"open", 0, EACCES, false, false, "its directory: Permission denied"},
		{"flock", 0, ENOLCK, false, false, "its directory: No locks available"},
		{"socket", 0, EMFILE, false, false, "Too many open files"},
		{"bind", 0, EROFS, false, false, "Read-only file system"},
		{"lstat", 0, EIO, false, true, "Input/output error"},
		{"lchown", 0, EPERM, false, false, "Operation not permitted"},
		{"listen", 0, ENOBUFS, false, false, "No buffer space available"},
		{"lstat", 0, EIO, true, true, "Input/output error"},
		{"socket", 1, EMFILE, true, true, "Too many open files"},
		{"connect", 0, EACCES, true, true, "Permission denied"},
		{"connect", 0, EAGAIN, true, true,
		 "another process listens on it, ss -lxp shows which"},
		{"unlink", 0, EPERM, true, true, "Operation not permitted"},
		/* somebody else has removed it, and there is another by the time that we bind */
		{"unlink", 0, ENOENT, true, true, "Address already in use"},
		{"bind", 1, ENOSPC, true, false, "No space left on device"},
		{"lchown", 0, EPERM, true, false, "Operation not permitted"},
	};
	struct listener_file file;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].was_left)
			close(make(&file));
		fail_calls(rows[i].call, rows[i].skip, 1, rows[i].error);
		expect_refusal(path, rows[i].why);
		assert_true(fail_calls_never());
		assert_int_equal(access(path, F_OK) == 0, rows[i].stays);
		unlink(path);
	}
}

/* It was in the way, and is gone by the time that it is looked at. */
static void one_that_goes_meanwhile_is_not_in_the_way(void **state)
{
	struct listener_file file;
	int fd;

	(void)state;
	fail_calls("bind", 0, 1, EADDRINUSE);
	fd = make(&file);
	assert_true(fd >= 0);
	assert_true(fail_calls_never());
	assert_true(listener_file_is_there(path, &file));
	listener_file_remove(path, &file);
	close(fd);
}

/* For as long as another process that starts may take, and no longer; each try is a wait of the double. */
static void it_waits_for_another_that_starts(void **state)
{
	static const int errors[] = {EWOULDBLOCK, EINTR};
	enum { TRIES = 100 };
	struct listener_file file;
	int fd;

	(void)state;
	for (int i = 0; i < 2; i++) {
		fail_calls("flock|poll", 0, 2 * TRIES, errors[i]);
		fd = make(&file);
		assert_true(fd >= 0);
		assert_true(fail_calls_never());
		listener_file_remove(path, &file);
		close(fd);
		fail_calls("flock|poll", 0, 2 * TRIES + 1, errors[i]);
		expect_refusal(path, i == 0 ? "its directory: Resource temporarily unavailable"
					    : "its directory: Interrupted system call");
		fail_calls_never();
	}
}

/* ---- names, modes and owners ---------------------------------------------------------------- */

static void a_name_has_as_many_bytes_as_the_system_takes(void **state)
{
	enum { LONGEST = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };
	struct listener_file file;
	struct diagnostic error;
	char name[LONGEST + 2];
	size_t n = (size_t)snprintf(name, sizeof(name), "%s/", directory);
	int fd;

	(void)state;
	memset(name + n, 'n', sizeof(name) - 1 - n);
	name[LONGEST + 1] = '\0';
	expect_refusal(name, "File name too long");
	name[LONGEST] = '\0';
	fd = listener_file_bind(name, &ours, 16, &file, &error);
	assert_true(fd >= 0);
	assert_true(listener_file_is_there(name, &file));
	listener_file_remove(name, &file);
	close(fd);
}

static void a_name_may_have_no_directory_or_the_first_one(void **state)
{
	struct listener_file file;
	struct diagnostic error;
	int before = open(".", O_RDONLY | O_DIRECTORY), fd;

	(void)state;
	assert_int_equal(chdir(directory), 0);
	fd = listener_file_bind("socket", &ours, 16, &file, &error);
	assert_true(fd >= 0);
	assert_true(listener_file_is_there(path, &file));
	listener_file_remove("socket", &file);
	assert_int_not_equal(access(path, F_OK), 0);
	close(fd);
	assert_int_equal(fchdir(before), 0);
	close(before);
	fail_calls("bind", 0, 1, EROFS);
	expect_refusal("/cache204-unit-socket", "Read-only file system");
	assert_true(fail_calls_never());
}

/* As where standard input was closed: 0 is a descriptor as any other. */
static void the_first_descriptor_is_one(void **state)
{
	struct listener_file file;
	int input = dup(STDIN_FILENO), fd;

	(void)state;
	close(STDIN_FILENO);
	fd = make(&file);
	assert_true(fd > 0); /* 0 was the lock's */
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	listener_file_remove(path, &file);
	close(fd);
	assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
	close(input);
}

static void the_mask_of_the_process_is_as_before(void **state)
{
	mode_t before = umask(0077);
	struct listener_owner all = ours;
	struct listener_file file;
	struct diagnostic error;
	struct stat status;
	int fd;

	(void)state;
	all.mode = 0666;
	fd = listener_file_bind(path, &all, 16, &file, &error);
	assert_int_equal(umask(before), 0077);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0666);
	listener_file_remove(path, &file);
	close(fd);
}

static void it_is_given_to_its_owner(void **state)
{
	struct listener_owner other = {0600, geteuid() == 0 ? 12345 : geteuid(),
				       geteuid() == 0 ? 23456 : getegid()};
	struct listener_file file;
	struct diagnostic error;
	struct stat status;
	int fd = listener_file_bind(path, &other, 16, &file, &error);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_uid, other.uid);
	assert_int_equal(status.st_gid, other.gid);
	listener_file_remove(path, &file);
	close(fd);
}

/* One of another number or device, or what is no socket, is not ours. */
static void one_is_known_by_what_it_is(void **state)
{
	struct listener_file file, other;
	struct stat status;
	int fd = make(&file);

	(void)state;
	other = file;
	other.device++;
	assert_false(listener_file_is_there(path, &other));
	other = file;
	other.number++;
	assert_false(listener_file_is_there(path, &other));
	assert_true(listener_file_set_mode(path, &other, 0600));
	listener_file_remove(path, &other);
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	fail_calls("chmod", 0, 1, EPERM);
	assert_true(listener_file_set_mode(path, &file, 0640)); /* which it has */
	assert_false(fail_calls_never());
	fail_calls("chmod", 0, 1, EPERM);
	assert_false(listener_file_set_mode(path, &file, 0600));
	assert_int_equal(errno, EPERM);
	listener_file_remove(path, &file);
	assert_false(listener_file_is_there(path, &file));
	close(fd);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(fstat(fd, &status), 0);
	file = (struct listener_file){status.st_dev, status.st_ino};
	assert_false(listener_file_is_there(path, &file));
	close(fd);
	assert_int_equal(unlink(path), 0);
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
		cmocka_unit_test(what_a_call_fails_with_is_said),
		cmocka_unit_test(one_that_goes_meanwhile_is_not_in_the_way),
		cmocka_unit_test(it_waits_for_another_that_starts),
		cmocka_unit_test(a_name_has_as_many_bytes_as_the_system_takes),
		cmocka_unit_test(a_name_may_have_no_directory_or_the_first_one),
		cmocka_unit_test(the_first_descriptor_is_one),
		cmocka_unit_test(the_mask_of_the_process_is_as_before),
		cmocka_unit_test(it_is_given_to_its_owner),
		cmocka_unit_test(one_is_known_by_what_it_is),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
