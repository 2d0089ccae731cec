/* LINKS: proxy/process tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=fstat */
/* How much of which files is read, and why not: sizes to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/process/secret_file.h"
#include "tests/doubles/failing_memory.h"

enum { MOST = 2 << 20, SLACK = 64 << 10 };

static char path[] = "/tmp/test_secret_file.XXXXXX";
static struct diagnostic why;
static unsigned fstats, fstat_fails; /* the how manieth; 0 for none */
static bool size_is_unknown;

int __wrap_fstat(int fd, struct stat *ret_status);
int __real_fstat(int fd, struct stat *ret_status);

int __wrap_fstat(int fd, struct stat *ret_status)
{
	int result = __real_fstat(fd, ret_status);

	if (size_is_unknown)
		ret_status->st_size = 0;
	errno = EIO;
	return ++fstats == fstat_fails ? -1 : result;
}

static void make(size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < size; i++)
		fputc('a' + (int)(i % 26), file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
}

static void is_read(size_t size, bool is_secret)
{
	size_t got = SIZE_MAX;
	char *text = secret_file_read(path, MOST, is_secret, &got, &why);

	assert_non_null(text);
	assert_int_equal(got, size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(text[i], 'a' + (int)(i % 26));
	secret_file_free(text, got);
}

static void is_refused(const char *name, bool is_secret, const char *text)
{
	size_t got;

	diagnostic_set(&why, "%s", "");
	assert_null(secret_file_read(name, MOST, is_secret, &got, &why));
	assert_string_equal(why.text, text);
}

static void all_of_it_is_read_up_to_the_most(void **state)
{
	(void)state;
	make(0);
	is_read(0, true);
	make(100);
	is_read(100, true);
	make(MOST);
	is_read(MOST, true);
	make(MOST + 1);
	is_refused(path, true, "larger than 2MiB");
}

/* Its size is unknown, or it was written to since: so much more than there was. */
static void what_grows_is_read_up_to_a_slack(void **state)
{
	(void)state;
	size_is_unknown = true;
	make(SLACK - 1);
	is_read(SLACK - 1, true);
	make(SLACK);
	is_refused(path, true, "grows while it is read");
	size_is_unknown = false;
}

static void a_secret_is_not_everybody_s(void **state)
{
	static const struct {
		mode_t mode;
		bool refused;
	} rows[] = {{0640, false}, {0660, false}, {0601, false}, {0604, true}, {0602, true}};

	(void)state;
	make(10);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(chmod(path, rows[i].mode), 0);
		if (rows[i].refused)
			is_refused(path, true, "everybody may read or write it: chmod o-rw");
		else
			is_read(10, true);
		is_read(10, false);
	}
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	is_refused("/nowhere/at/all", false, "No such file or directory");
	is_refused("/dev/null", false, "not a regular file");
	is_refused("/tmp", false, "not a regular file");
}

static void calls_fail(void **state)
{
	(void)state;
	make(10);
	fstats = 0;
	is_read(10, true);
	for (unsigned i = fstats; i > 0; i--) {
		fstats = 0;
		fstat_fails = i;
		is_refused(path, true, "Input/output error");
	}
	fstat_fails = 0;
	is_refused("/proc/self/mem", true, "Input/output error"); /* nothing lies at 0 */
	is_read(10, true);
}

static void memory_fails(void **state)
{
	(void)state;
	make(10);
	fail_memory(0, false);
	is_refused(path, true, "Cannot allocate memory");
	assert_true(fail_memory_never());
	is_read(10, true);
	secret_file_free(NULL, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_read_up_to_the_most),
		cmocka_unit_test(what_grows_is_read_up_to_a_slack),
		cmocka_unit_test(a_secret_is_not_everybody_s),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(calls_fail),
		cmocka_unit_test(memory_fails),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
