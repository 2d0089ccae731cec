/* LINKS: proxy/process tests/support/store_fixture.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=getrandom,--wrap=log_info,--wrap=log_error */
/* The name of an installation: chosen, read, or made once and kept. */
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
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/base/log.h"
#include "proxy/process/instance.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/store_fixture.h"

static char directory[64], path[96];
static struct conf conf;
static char log_text[512];
static bool random_fails;

ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags);
void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bytes 0xf8 and up: of each the lower half is a digit. */
ssize_t __wrap_getrandom(void *to, size_t n, unsigned flags)
{
	unsigned char *bytes = to;

	assert_int_equal(flags, GRND_NONBLOCK);
	errno = EAGAIN;
	if (random_fails)
		return -1;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)(0xf8 + i);
	return (ssize_t)n;
}

static void note(const char *level, const char *format, va_list args)
{
	size_t n = strlen(log_text);

	n += (size_t)snprintf(log_text + n, sizeof(log_text) - n, "%s: ", level);
	vsnprintf(log_text + n, sizeof(log_text) - n, format, args);
}

void __wrap_log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note("info", format, args);
	va_end(args);
}

void __wrap_log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note("error", format, args);
	va_end(args);
}

static int setup(void **state)
{
	(void)state;
	directory_make(directory, sizeof(directory));
	snprintf(path, sizeof(path), "%s/instance", directory);
	conf.pseudonym = "cache204";
	conf.store = directory;
	log_text[0] = '\0';
	random_fails = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(directory);
	return 0;
}

static void name_is(const char *expected)
{
	char *name = instance_name(&conf);

	assert_string_equal(name, expected);
	free(name);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void file_is(const char *expected)
{
	char text[64] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(text, expected);
}

static void a_chosen_one_is_used_as_it_is(void **state)
{
	(void)state;
	conf.pseudonym = "edge-7";
	name_is("edge-7");
	assert_int_equal(access(path, F_OK), -1);
	conf.pseudonym = "cache2040";
	name_is("cache2040");
}

static void it_is_made_once_and_kept(void **state)
{
	struct stat status;

	(void)state;
	name_is("cache204-89abcdef0123");
	file_is("89abcdef0123\n");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	write_file("0123456789ab\n");
	name_is("cache204-0123456789ab");
	file_is("0123456789ab\n");
	assert_string_equal(log_text, "");
}

static void what_is_no_such_file_is_written_anew(void **state)
{
	static const char *const texts[] = {
		"",
		"0123456789ab",
		"0123456789a\n",
		"0123456789abc",
		"0123456789ab\n\n",
		"0123456789abc\n",
		"0123456789aB\n",
		"0123456789ag\n",
		"0123456789a \n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_file(texts[i]);
		name_is("cache204-89abcdef0123");
		file_is("89abcdef0123\n");
	}
	assert_string_equal(log_text, "");
}

/* A link may lead to a file of another: it is neither read nor written. */
static void a_link_is_not_followed(void **state)
{
	char other[96], expected[256];

	(void)state;
	snprintf(other, sizeof(other), "%s/other", directory);
	write_file("0123456789ab\n");
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	name_is("cache204-89abcdef0123");
	file_is("0123456789ab\n");
	snprintf(expected, sizeof(expected),
		 "info: %s: cannot be written, so the name in Via changes with each start: Too "
		 "many levels of symbolic links",
		 path);
	assert_string_equal(log_text, expected);
}

static void it_goes_on_without_a_directory_or_random_bytes(void **state)
{
	(void)state;
	conf.store = "/nowhere/at/all";
	name_is("cache204-89abcdef0123");
	assert_string_equal(log_text,
			    "info: /nowhere/at/all/instance: cannot be written, so the name in Via "
			    "changes with each start: No such file or directory");
	conf.store = directory;
	log_text[0] = '\0';
	random_fails = true;
	name_is("cache204-000000000000");
	assert_string_equal(log_text,
			    "error: no random bytes for the name in Via, loops may be seen where "
			    "there are none: Resource temporarily unavailable");
}

static void memory_fails(void **state)
{
	(void)state;
	fail_memory(0, true);
	assert_null(instance_name(&conf));
	assert_true(fail_memory_never());
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DIRECTORY(a_chosen_one_is_used_as_it_is),
		WITH_DIRECTORY(it_is_made_once_and_kept),
		WITH_DIRECTORY(what_is_no_such_file_is_written_anew),
		WITH_DIRECTORY(a_link_is_not_followed),
		WITH_DIRECTORY(it_goes_on_without_a_directory_or_random_bytes),
		WITH_DIRECTORY(memory_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
