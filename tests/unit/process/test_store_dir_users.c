/* LINKS: proxy/process tests/support/store_fixture.c -Wl,--wrap=getpwnam,--wrap=getpwuid,--wrap=geteuid,--wrap=fstat,--wrap=fchown,--wrap=mkdir,--wrap=eaccess,--wrap=fdopendir,--wrap=strdup */
/* Root makes and checks the store's directory for another user: by owner and mode, whoever runs this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/process/store_dir.h"
#include "tests/support/store_fixture.h"

enum { USER = 33, GROUP = 44 };

static char directory[64], inner[96];
static struct diagnostic error;
static struct stat seen; /* owner and mode, as the next look has them */
static unsigned uid;     /* of this process */
static uid_t given_to;   /* the directory, 0 for not */
static gid_t given_group;
static const char *fails;
static char made[256]; /* modes and names below the directory */

struct passwd *__wrap_getpwnam(const char *name);
struct passwd *__wrap_getpwuid(uid_t user);
uid_t __wrap_geteuid(void);
int __wrap_fstat(int fd, struct stat *ret_status);
int __wrap_fchown(int fd, uid_t owner, gid_t group);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_eaccess(const char *path, int mode);
DIR *__wrap_fdopendir(int fd);
char *__wrap_strdup(const char *text);
int __real_fstat(int fd, struct stat *ret_status);
int __real_mkdir(const char *path, mode_t mode);
DIR *__real_fdopendir(int fd);
char *__real_strdup(const char *text);

static bool fails_now(const char *name, int number)
{
	errno = number;
	return fails != NULL && strcmp(fails, name) == 0;
}

struct passwd *__wrap_getpwnam(const char *name)
{
	static struct passwd someone = {.pw_uid = USER, .pw_gid = GROUP}, root;

	return strcmp(name, "someone") == 0 ? &someone : strcmp(name, "root") == 0 ? &root : NULL;
}

struct passwd *__wrap_getpwuid(uid_t user)
{
	static struct passwd relative = {.pw_dir = "home"};

	(void)user;
	return fails_now("getpwuid", 0) ? NULL : &relative;
}

uid_t __wrap_geteuid(void)
{
	return uid;
}

int __wrap_fstat(int fd, struct stat *ret_status)
{
	int result = __real_fstat(fd, ret_status);

	ret_status->st_uid = seen.st_uid;
	ret_status->st_gid = seen.st_gid;
	ret_status->st_mode = S_IFDIR | seen.st_mode;
	return fails_now("fstat", EIO) ? -1 : result;
}

int __wrap_fchown(int fd, uid_t owner, gid_t group)
{
	(void)fd;
	if (fails_now("fchown", EPERM))
		return -1;
	given_to = owner;
	given_group = group;
	return 0;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	size_t n = strlen(made);

	if (strncmp(path, directory, strlen(directory)) == 0 && path[strlen(directory)] == '/')
		snprintf(made + n, sizeof(made) - n, "%o %s\n", mode, path + strlen(directory) + 1);
	return fails_now("mkdir", ENOSPC) ? -1 : __real_mkdir(path, mode);
}

int __wrap_eaccess(const char *path, int mode)
{
	(void)path;
	assert_int_equal(mode, W_OK | X_OK);
	return fails_now("eaccess", EACCES) ? -1 : 0;
}

DIR *__wrap_fdopendir(int fd)
{
	return fails_now("fdopendir", ENOMEM) ? NULL : __real_fdopendir(fd);
}

char *__wrap_strdup(const char *text)
{
	return fails_now("strdup", ENOMEM) ? NULL : __real_strdup(text);
}

static int setup(void **state)
{
	(void)state;
	directory_make(directory, sizeof(directory));
	snprintf(inner, sizeof(inner), "%s/a/b", directory);
	seen = (struct stat){.st_mode = 0755};
	uid = 0;
	given_to = given_group = 0;
	fails = NULL;
	made[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(directory);
	return 0;
}

static void is_error(const char *before, const char *path, const char *after)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "%s%s%s", before, path, after);
	assert_string_equal(error.text, expected);
}

static void what_is_missing_is_made_and_given(void **state)
{
	(void)state;
	assert_true(store_dir_give(inner, "someone", &error));
	assert_string_equal(made, "755 a\n700 a/b\n");
	assert_int_equal(given_to, USER);
	assert_int_equal(given_group, GROUP);
	assert_false(store_dir_give(inner, "nemo", &error));
	assert_string_equal(error.text, "user: nemo: no such user on this system");
}

/* Of another, open to others, with something in it, or not to be looked at: it stays as it is. */
static void what_may_be_another_s_is_not_given(void **state)
{
	static const struct {
		uid_t owner;
		mode_t mode;
		const char *fails;
	} rows[] = {{1, 0755, NULL},
		    {0, 0775, NULL},
		    {0, 0757, NULL},
		    {0, 0755, "fstat"},
		    {0, 0755, "fdopendir"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		seen.st_uid = rows[i].owner;
		seen.st_mode = rows[i].mode;
		fails = rows[i].fails;
		assert_true(store_dir_give(inner, "someone", &error));
		assert_int_equal(given_to, 0);
	}
	seen = (struct stat){.st_mode = 0755};
	fails = NULL;
	snprintf(inner, sizeof(inner), "%s/a", directory); /* has b in it */
	assert_true(store_dir_give(inner, "someone", &error));
	assert_int_equal(given_to, 0);
}

static void each_call_may_fail(void **state)
{
	(void)state;
	fails = "mkdir";
	assert_false(store_dir_give(inner, "someone", &error));
	is_error("store: ", inner, ": cannot be made for user someone: No space left on device");
	fails = "strdup";
	snprintf(inner, sizeof(inner), "%s/a/b", directory);
	assert_false(store_dir_give(inner, "someone", &error));
	is_error("store: ", inner, ": cannot be made for user someone: Cannot allocate memory");
	fails = "fchown";
	assert_false(store_dir_give(inner, "someone", &error));
	is_error("store: ", inner, ": cannot be made for user someone: Operation not permitted");
	fails = NULL;
	assert_false(store_dir_give("/dev/null", "someone", &error));
	is_error("store: ", "/dev/null", ": cannot be made for user someone: Not a directory");
}

static void whether_the_user_may_write(void **state)
{
	static const struct {
		const char *user;
		uid_t owner;
		gid_t group;
		mode_t mode;
		bool usable;
	} rows[] = {
		{"someone", USER, 1, 0700, true},
		{"someone", 1, GROUP, 0770, true},
		{"someone", 1, GROUP, 0757, false},
		{"someone", 1, 1, 0757, true},
		{"someone", 1, 1, 0775, false},
		{"someone", 0, 0, 0755, true}, /* would be given */
		{"someone", 0, 0, 0775, false},
		{"root", 1, 1, 0700, true},
		{"nemo", 1, 1, 0700, true}, /* is reported elsewhere */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		seen.st_uid = rows[i].owner;
		seen.st_gid = rows[i].group;
		seen.st_mode = rows[i].mode;
		assert_int_equal(store_dir_check(directory, rows[i].user, &error), rows[i].usable);
		if (!rows[i].usable)
			is_error("store: ", directory,
				 ": cannot be made or written by user someone: Permission denied");
	}
	assert_int_equal(given_to, 0);
	assert_string_equal(made, "");
}

/* Who is not root, or stays who it is, is asked itself. */
static void others_are_asked_themselves(void **state)
{
	(void)state;
	seen = (struct stat){.st_uid = 1, .st_gid = 1, .st_mode = 0700};
	assert_true(store_dir_check(directory, "", &error));
	uid = 1000;
	assert_true(store_dir_check(directory, "someone", &error));
	fails = "eaccess";
	assert_false(store_dir_check(directory, "someone", &error));
	is_error("store: ", directory, ": cannot be made or written: Permission denied");
	assert_false(store_dir_check(inner, "", &error));
	is_error("store: ", inner, ": cannot be made or written: Permission denied");
	assert_false(store_dir_check("/dev/null", "", &error));
	is_error("store: ", "/dev/null", ": cannot be made or written: Not a directory");
}

static void no_home(void **state)
{
	static const char *const calls[] = {NULL, "getpwuid"};

	(void)state;
	unsetenv("CACHE_DIRECTORY");
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	for (size_t i = 0; i < 2; i++) {
		fails = calls[i];
		assert_null(store_dir_default(false, &error));
		assert_string_equal(error.text,
				    "no home directory for the store; give the store option");
	}
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(what_is_missing_is_made_and_given),
		WITH_DIRECTORY(what_may_be_another_s_is_not_given),
		WITH_DIRECTORY(each_call_may_fail),
		WITH_DIRECTORY(whether_the_user_may_write),
		WITH_DIRECTORY(others_are_asked_themselves),
		WITH_DIRECTORY(no_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
