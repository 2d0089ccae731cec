/* LINKS: proxy/process tests/doubles/cleared_memory.c -Wl,--wrap=clock_gettime,--wrap=getrandom,--wrap=credentials_new */
/* Which password files are read, and what verifying is given with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "proxy/process/password_file.h"
#include "tests/doubles/cleared_memory.h"

static char path[] = "/tmp/test_password_file.XXXXXX";
static struct diagnostic error;

/* What the system says, when a test says so, and what credentials are given. */
static bool is_random_short, is_clock_set;
static struct credentials_use given;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags);
struct credentials *__wrap_credentials_new(const char *file, struct slice text,
					   const struct credentials_use *use,
					   struct diagnostic *to);
struct credentials *__real_credentials_new(const char *file, struct slice text,
					   const struct credentials_use *use,
					   struct diagnostic *to);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	if (!is_clock_set || clock != CLOCK_THREAD_CPUTIME_ID)
		return __real_clock_gettime(clock, ret_time);
	*ret_time = (struct timespec){.tv_sec = 70000, .tv_nsec = 123456789};
	return 0;
}

ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags)
{
	assert_int_equal(flags, 0); /* it waits until there are some */
	memset(to, 'R', size);
	errno = EIO;
	return (ssize_t)(is_random_short ? size - 1 : size);
}

struct credentials *__wrap_credentials_new(const char *file, struct slice text,
					   const struct credentials_use *use, struct diagnostic *to)
{
	given = *use;
	return __real_credentials_new(file, text, use, to);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_who_may_read_it(void **state)
{
	struct credentials *credentials;

	(void)state;
	write_file("ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n");
	chmod(path, 0644);
	assert_null(password_file_load(path, &error));
	assert_non_null(strstr(error.text, "everybody"));
	chmod(path, 0640);
	credentials = password_file_load(path, &error);
	assert_non_null(credentials);
	credentials_free(credentials);
	chmod(path, 0600);
	assert_null(password_file_load("/dev/null/users", &error));
	assert_string_equal(error.text, "password_file: /dev/null/users: Not a directory");
	assert_null(password_file_load("/tmp", &error));
}

static void test_a_fault_has_its_line(void **state)
{
	char expected[128];

	(void)state;
	chmod(path, 0600);
	write_file("# users\nali\n");
	assert_null(password_file_load(path, &error));
	snprintf(expected, sizeof(expected), "password_file: %s:2: not name:hash", path);
	assert_string_equal(error.text, expected);
	write_file("");
	assert_null(password_file_load(path, &error));
	snprintf(expected, sizeof(expected), "password_file: %s: no user in it", path);
	assert_string_equal(error.text, expected);
}

/* Verifying has the time of this thread, and random bytes, which are not left behind. */
static void test_what_verifying_is_given(void **state)
{
	char secret[sizeof(given.secret) + 1] = "";
	struct credentials *credentials;

	(void)state;
	chmod(path, 0600);
	write_file("ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n");
	memset(secret, 'R', sizeof(given.secret));
	cleared_count(secret);
	credentials = password_file_load(path, &error);
	assert_int_equal(cleared_so_far(), 1);
	credentials_free(credentials);
	assert_memory_equal(given.secret, secret, sizeof(given.secret));
	is_clock_set = true;
	assert_int_equal(given.processor_us(), INT64_C(70000123456));
	is_clock_set = false;
	is_random_short = true;
	assert_null(password_file_load(path, &error));
	is_random_short = false;
	assert_non_null(strstr(error.text, ": Input/output error"));
	cleared_count(NULL);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may_read_it),
		cmocka_unit_test(test_a_fault_has_its_line),
		cmocka_unit_test(test_what_verifying_is_given),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
