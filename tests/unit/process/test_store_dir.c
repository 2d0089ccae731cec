/* LINKS: proxy/process */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "proxy/process/store_dir.h"

static struct diagnostic error;
static char root_of_test[] = "/tmp/store_dir.XXXXXX";

struct environment {
	const char *cache_directory, *xdg_cache_home, *home;
};

static void set(const char *name, const char *value)
{
	if (value != NULL)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void check_default(bool root, struct environment environment, const char *expected)
{
	char *path;

	set("CACHE_DIRECTORY", environment.cache_directory);
	set("XDG_CACHE_HOME", environment.xdg_cache_home);
	set("HOME", environment.home);
	path = store_dir_default(root, &error);
	assert_non_null(path);
	assert_string_equal(path, expected);
	free(path);
}

static void test_of_the_service_manager_first(void **state)
{
	(void)state;
	for (int root = 0; root <= 1; root++) {
		check_default(root, (struct environment){"/var/cache/x", "/xdg", "/home/a"},
			      "/var/cache/x");
		check_default(root, (struct environment){"/var/cache/x:/var/cache/y", NULL, "/h"},
			      "/var/cache/x");
	}
}

static void test_of_root(void **state)
{
	(void)state;
	check_default(true, (struct environment){NULL, NULL, NULL}, "/var/cache/cache204");
	check_default(true, (struct environment){NULL, "/xdg", "/root"}, "/var/cache/cache204");
	check_default(true, (struct environment){"", "/xdg", "/root"}, "/var/cache/cache204");
}

static void test_of_a_user(void **state)
{
	(void)state;
	check_default(false, (struct environment){NULL, "/xdg", "/home/a"}, "/xdg/cache204");
	check_default(false, (struct environment){NULL, NULL, "/home/a"},
		      "/home/a/.cache/cache204");
	check_default(false, (struct environment){"", "", "/home/a"}, "/home/a/.cache/cache204");
}

static void test_relative_paths_are_ignored(void **state)
{
	const struct passwd *entry = getpwuid(getuid());
	char expected[4096];

	(void)state;
	check_default(false, (struct environment){"x", "y", "/home/a"}, "/home/a/.cache/cache204");
	if (entry == NULL)
		skip();
	snprintf(expected, sizeof(expected), "%s/.cache/cache204", entry->pw_dir);
	check_default(false, (struct environment){NULL, NULL, "a"}, expected);
	check_default(false, (struct environment){NULL, NULL, NULL}, expected);
}

/* ---- giving --------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	strcpy(root_of_test + strlen(root_of_test) - 6, "XXXXXX");
	return mkdtemp(root_of_test) == NULL || chmod(root_of_test, 0755) != 0;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root_of_test, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_test(const char *name)
{
	static char path[4][200];
	static unsigned next;
	char *to = path[next++ % 4];

	snprintf(to, sizeof(path[0]), "%s/%s", root_of_test, name);
	return to;
}

/* The user that every system has beside root. */
static const struct passwd *nobody(void)
{
	const struct passwd *entry = getpwnam("nobody");

	if (geteuid() != 0 || entry == NULL)
		skip();
	return entry;
}

static void assert_directory(const char *path, uid_t uid, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_mode & 0777, mode);
}

static void test_made_and_given(void **state)
{
	const struct passwd *entry = nobody();
	mode_t mask = umask(077);

	(void)state;
	assert_true(store_dir_give(in_test("a/b/c"), "nobody", &error));
	assert_int_equal(umask(mask), 077);
	assert_directory(in_test("a"), 0, 0755);
	assert_directory(in_test("a/b"), 0, 0755);
	assert_directory(in_test("a/b/c"), entry->pw_uid, 0700);
	assert_true(store_dir_give(in_test("a/b/c"), "nobody", &error));
	assert_true(store_dir_give(in_test("d//"), "nobody", &error));
	assert_directory(in_test("d"), entry->pw_uid, 0700);
}

static void test_empty_one_of_root_is_given(void **state)
{
	const struct passwd *entry = nobody();

	(void)state;
	assert_int_equal(mkdir(in_test("a"), 0755), 0);
	assert_true(store_dir_give(in_test("a"), "nobody", &error));
	assert_directory(in_test("a"), entry->pw_uid, 0755);
}

static void test_what_may_be_in_use_is_left(void **state)
{
	int fd;

	(void)state;
	nobody();
	assert_int_equal(mkdir(in_test("full"), 0755), 0);
	fd = open(in_test("full/file"), O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_true(store_dir_give(in_test("full"), "nobody", &error));
	assert_directory(in_test("full"), 0, 0755);

	assert_int_equal(mkdir(in_test("open"), 0777), 0);
	assert_int_equal(chmod(in_test("open"), 0777), 0);
	assert_true(store_dir_give(in_test("open"), "nobody", &error));
	assert_directory(in_test("open"), 0, 0777);

	assert_int_equal(mkdir(in_test("other"), 0755), 0);
	assert_int_equal(chown(in_test("other"), 12345, 12345), 0);
	assert_true(store_dir_give(in_test("other"), "nobody", &error));
	assert_directory(in_test("other"), 12345, 0755);
}

static void test_failures_are_reported(void **state)
{
	int fd = open(in_test("file"), O_WRONLY | O_CREAT, 0600);
	char expected[300];

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_false(store_dir_give(in_test("a"), "no-such-user", &error));
	assert_string_equal(error.text, "user: no-such-user: no such user on this system");
	nobody();
	assert_false(store_dir_give(in_test("file"), "nobody", &error));
	snprintf(expected, sizeof(expected),
		 "store: %s: cannot be made for user nobody: Not a directory", in_test("file"));
	assert_string_equal(error.text, expected);
	assert_false(store_dir_give(in_test("file/a"), "nobody", &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_the_service_manager_first),
		cmocka_unit_test(test_of_root),
		cmocka_unit_test(test_of_a_user),
		cmocka_unit_test(test_relative_paths_are_ignored),
		cmocka_unit_test_setup_teardown(test_made_and_given, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_one_of_root_is_given, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_may_be_in_use_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures_are_reported, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
