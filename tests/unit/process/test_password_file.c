/* LINKS: proxy/process */
/* Which password files are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "proxy/process/password_file.h"

static char path[] = "/tmp/test_password_file.XXXXXX";
static struct diagnostic error;

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
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
