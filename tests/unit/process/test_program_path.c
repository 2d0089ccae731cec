/* LINKS: proxy/process -Wl,--wrap=getauxval */
/* By which path a program is executed again, when it was called by any name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "proxy/process/handover.h"

static const char *started_as;
static bool has_name;

unsigned long __wrap_getauxval(unsigned long type);
unsigned long __real_getauxval(unsigned long type);

unsigned long __wrap_getauxval(unsigned long type)
{
	return has_name && type == AT_EXECFN ? (unsigned long)(uintptr_t)started_as
					     : __real_getauxval(type);
}

/* By which path it runs: as it was called when that is this program, else as the kernel knows it. */
static void the_path_is_that_of_this_program(void **state)
{
	static char *arguments[] = {"x", NULL};
	char real[PATH_MAX], here[PATH_MAX], copy[PATH_MAX], expected[2 * PATH_MAX];
	char link[] = "/tmp/test_handover.XXXXXX";
	char *name;
	ssize_t n = readlink("/proc/self/exe", real, sizeof(real) - 1);

	(void)state;
	assert_true(n > 0);
	real[n] = '\0';
	assert_non_null(getcwd(here, sizeof(here)));
	assert_non_null(mkdtemp(link));
	has_name = true;

	started_as = real;
	handover_note_program(arguments);
	assert_string_equal(handover_path(), real);

	/* a link: it may name a newer version later */
	snprintf(copy, sizeof(copy), "%s/link", link);
	assert_int_equal(symlink(real, copy), 0);
	started_as = copy;
	handover_note_program(arguments);
	assert_string_equal(handover_path(), copy);

	/* from where it was called */
	assert_int_equal(chdir(link), 0);
	started_as = "./link";
	handover_note_program(arguments);
	snprintf(expected, sizeof(expected), "%s/./link", link);
	assert_string_equal(handover_path(), expected);
	assert_int_equal(chdir(here), 0);

	/* another file of that name, none, and no name at all */
	started_as = "/bin/sh";
	handover_note_program(arguments);
	assert_string_equal(handover_path(), real);
	started_as = "/nowhere";
	handover_note_program(arguments);
	assert_string_equal(handover_path(), real);
	started_as = NULL;
	handover_note_program(arguments);
	assert_string_equal(handover_path(), real);

	/* longer than paths are */
	name = malloc(PATH_MAX + 1);
	memset(name, 'a', PATH_MAX);
	name[PATH_MAX] = '\0';
	started_as = name;
	handover_note_program(arguments);
	assert_string_equal(handover_path(), real);
	name[0] = '/';
	handover_note_program(arguments);
	assert_string_equal(handover_path(), real);
	free(name);

	has_name = false;
	unlink(copy);
	rmdir(link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_is_that_of_this_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
