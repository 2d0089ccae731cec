/* LINKS: proxy/process tests/support/store_fixture.c -Wl,--wrap=getpwnam,--wrap=getpwuid,--wrap=geteuid,--wrap=open,--wrap=fstat,--wrap=fchown,--wrap=mkdir,--wrap=eaccess,--wrap=fdopendir,--wrap=strdup,--wrap=strndup,--wrap=malloc,--wrap=file_system_check */
/* Root makes and checks the store's directory for another user: by owner and mode, whoever runs this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/store/file_system.h"
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
static char made[256];   /* modes and names below the directory */
static char asked[512];  /* what this user may write: names, without the directory */
static char looked[256]; /* whose file system was looked at, likewise */
static enum file_system_fit system_is;
static const int *mkdir_errors; /* of the next calls, 0 for none; NULL for ENOSPC, if it fails */

struct passwd *__wrap_getpwnam(const char *name);
struct passwd *__wrap_getpwuid(uid_t user);
uid_t __wrap_geteuid(void);
int __wrap_open(const char *path, int flags, ...);
int __wrap_fstat(int fd, struct stat *ret_status);
int __wrap_fchown(int fd, uid_t owner, gid_t group);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_eaccess(const char *path, int mode);
DIR *__wrap_fdopendir(int fd);
char *__wrap_strdup(const char *text);
int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *ret_status);
int __real_mkdir(const char *path, mode_t mode);
DIR *__real_fdopendir(int fd);
char *__real_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
char *__real_strndup(const char *text, size_t most);
void *__wrap_malloc(size_t size);
void *__real_malloc(size_t size);
enum file_system_fit __wrap_file_system_check(int fd, const char *path, struct diagnostic *why);

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

/* Of directories alone: no file is made. */
int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, ".") == 0 && fails_now("open", EACCES))
		return -1;
	return __real_open(path, flags);
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
	if (mkdir_errors != NULL) {
		errno = *mkdir_errors++;
		return errno != 0 ? -1 : __real_mkdir(path, mode);
	}
	return fails_now("mkdir", ENOSPC) ? -1 : __real_mkdir(path, mode);
}

/* Each with a blank behind it; "-" is the directory. */
static void note(char *to, size_t size, const char *path)
{
	size_t n = strlen(to), skipped = strlen(directory);
	bool below = strncmp(path, directory, skipped) == 0;

	snprintf(to + n, size - n, "%s%s ", below ? "-" : "", path + (below ? skipped : 0));
}

int __wrap_eaccess(const char *path, int mode)
{
	assert_int_equal(mode, W_OK | X_OK);
	note(asked, sizeof(asked), path);
	if (fails_now("eaccess", EACCES))
		return -1;
	return access(path, F_OK);
}

enum file_system_fit __wrap_file_system_check(int fd, const char *path, struct diagnostic *why)
{
	char name[64], target[256];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	note(looked, sizeof(looked), target);
	if (system_is == FILE_SYSTEM_NETWORK)
		diagnostic_set(why, "store: %s: far away", path);
	return system_is;
}

void *__wrap_malloc(size_t size)
{
	return fails != NULL && strcmp(fails, "malloc") == 0 ? NULL : __real_malloc(size);
}

char *__wrap_strndup(const char *text, size_t most)
{
	return fails != NULL && strcmp(fails, "malloc") == 0 ? NULL : __real_strndup(text, most);
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
	made[0] = asked[0] = looked[0] = '\0';
	system_is = FILE_SYSTEM_LOCAL;
	mkdir_errors = NULL;
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

/* Of the parents that are missing, each is asked for, down to the first that is there. */
static void what_can_be_made_is_asked_of_its_parents(void **state)
{
	char here[512], path[128];

	(void)state;
	uid = 1000;
	assert_true(store_dir_check(inner, "", &error));
	assert_string_equal(asked, "-/a/b -/a/ -/a -/ ");
	asked[0] = '\0';
	snprintf(path, sizeof(path), "%s//abc/de//", directory);
	assert_true(store_dir_check(path, "", &error));
	assert_string_equal(asked, "-//abc/de// -//abc/de/ -//abc/de -//abc/ -//abc -// ");
	asked[0] = '\0';
	assert_true(store_dir_check("/nowhere-at-all", "", &error));
	assert_string_equal(asked, "/nowhere-at-all / ");
	asked[0] = '\0';
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(directory), 0);
	assert_true(store_dir_check("a/b", "", &error));
	assert_string_equal(asked, "a/b a/ a . ");
	fails = "eaccess";
	asked[0] = '\0';
	assert_false(store_dir_check("a/b", "", &error));
	assert_string_equal(asked, "a/b ");
	fails = "strdup";
	assert_false(store_dir_check("a/b", "", &error));
	is_error("store: ", "a/b", ": cannot be made or written: Cannot allocate memory");
	assert_int_equal(chdir(here), 0);
}

/* That of the directory, or of the first of its parents that is there. */
static void the_file_system_is_that_of_where_it_would_be(void **state)
{
	char here[512];

	(void)state;
	uid = 1000;
	assert_true(store_dir_check(directory, "", &error));
	assert_true(store_dir_check(inner, "", &error));
	assert_true(store_dir_check("/nowhere-at-all/a", "", &error));
	assert_true(store_dir_check("/nowhere-at-all", "", &error));
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir(directory), 0);
	assert_true(store_dir_check("a/b", "", &error));
	assert_true(store_dir_check("a", "", &error));
	fails = "open"; /* it may be written without being read */
	assert_true(store_dir_check("a", "", &error));
	fails = NULL;
	assert_int_equal(chdir(here), 0);
	assert_string_equal(looked, "- - / / - - ");
	system_is = FILE_SYSTEM_NETWORK;
	assert_false(store_dir_check(directory, "", &error));
	is_error("store: ", directory, ": far away");
	system_is = FILE_SYSTEM_UNKNOWN;
	assert_true(store_dir_check(directory, "", &error));
}

/* Why the first that was missing could not be made is what helps. */
static void the_first_failure_is_told(void **state)
{
	static const int first[] = {ENOSPC, EROFS, EROFS}, last[] = {0, EROFS, EACCES},
			 of_root[] = {EISDIR, 0, 0}, there[] = {EEXIST, EROFS, EROFS};

	(void)state;
	uid = 0;
	assert_int_equal(chdir(directory), 0);
	mkdir_errors = first;
	assert_false(store_dir_give("a/b/c", "someone", &error));
	is_error("store: ", "a/b/c", ": cannot be made for user someone: No space left on device");
	mkdir_errors = last;
	assert_false(store_dir_give("a/b/c", "someone", &error));
	is_error("store: ", "a/b/c", ": cannot be made for user someone: Read-only file system");
	mkdir_errors = there;
	assert_false(store_dir_give("a/b/c", "someone", &error));
	is_error("store: ", "a/b/c", ": cannot be made for user someone: Read-only file system");
	mkdir_errors = of_root;
	assert_true(store_dir_give("a/b/c", "someone", &error));
	assert_int_equal(chdir("/"), 0);
}

/* Root, for another user, but nothing can be said of the directory: then root's own word counts. */
static void what_cannot_be_looked_at_is_asked_for(void **state)
{
	(void)state;
	fails = "fstat";
	assert_true(store_dir_check(directory, "someone", &error));
	assert_string_equal(asked, "- ");
}

static void no_memory_for_the_default(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		unsetenv("XDG_CACHE_HOME");
		unsetenv("CACHE_DIRECTORY");
		setenv("HOME", "/home/a", 1);
		if (i >= 2)
			setenv(i == 2 ? "XDG_CACHE_HOME" : "CACHE_DIRECTORY", "/x", 1);
		fails = "malloc";
		assert_null(store_dir_default(i == 0, &error));
		fails = NULL;
		assert_string_equal(error.text, "out of memory");
	}
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
		WITH_DIRECTORY(what_can_be_made_is_asked_of_its_parents),
		WITH_DIRECTORY(the_file_system_is_that_of_where_it_would_be),
		WITH_DIRECTORY(the_first_failure_is_told),
		WITH_DIRECTORY(what_cannot_be_looked_at_is_asked_for),
		WITH_DIRECTORY(no_memory_for_the_default),
		WITH_DIRECTORY(no_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
