/* LINKS: proxy/cli */
/* The command line: what is read from it, and what is refused, with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proxy/cli/arguments.h"
#include "tests/support/captured.h"

enum { WORDS_MAX = 8 };

/* The line without "cache204", split at blanks; what was said on stderr goes to *ret_said. */
static bool parse(const char *line, struct arguments *ret_arguments, int *ret_status,
		  char **ret_said)
{
	static char copy[256];
	static char *argv[WORDS_MAX + 2]; /* operands are a part of it */
	char *rest = copy;
	struct captured captured;
	int argc = 1;
	bool ok;

	argv[0] = "cache204";
	strcpy(copy, line);
	while (argc <= WORDS_MAX && (argv[argc] = strsep(&rest, " ")) != NULL)
		argc += argv[argc][0] != '\0';
	argv[argc] = NULL;
	captured_begin(&captured, false);
	ok = arguments_parse(argc, argv, ret_arguments, ret_status);
	captured_end(&captured);
	*ret_said = strdup(captured.err);
	captured_free(&captured);
	return ok;
}

static void test_taken(void **state)
{
	static const struct {
		const char *line, *command, *file, *setting, *operand;
		unsigned settings, operands;
	} rows[] = {
		{"", NULL, NULL, NULL, NULL, 0, 0},
		{"-c f -o a=b -o c=d", NULL, "f", "a=b", NULL, 2, 0},
		{"-c f reload", "reload", "f", NULL, NULL, 0, 0},
		{"reload -c f -o a=b", "reload", "f", "a=b", NULL, 1, 0},
		{"-o a=b reload -o c=d --json", "reload", NULL, "a=b", NULL, 2, 0},
		{"env --json curl -o a=b go", "env", NULL, "a=b", "curl", 1, 2},
		{"env -- curl", "env", NULL, NULL, "curl", 0, 1},
		{"completion bash", "completion", NULL, NULL, "bash", 0, 1},
		{"-- env", "env", NULL, NULL, NULL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arguments arguments;
		char *said;
		int status = EXIT_USAGE;

		print_message("%s\n", rows[i].line);
		assert_true(parse(rows[i].line, &arguments, &status, &said));
		assert_int_equal(status, EXIT_SUCCESS);
		assert_string_equal(said, "");
		free(said);
		if (rows[i].command == NULL)
			assert_null(arguments.command);
		else
			assert_string_equal(arguments.command->name, rows[i].command);
		assert_int_equal(arguments.file != NULL, rows[i].file != NULL);
		assert_int_equal(arguments.setting_count, rows[i].settings);
		assert_int_equal(arguments.operand_count, rows[i].operands);
		if (rows[i].file != NULL)
			assert_string_equal(arguments.file, rows[i].file);
		if (rows[i].setting != NULL)
			assert_string_equal(arguments.settings[0], rows[i].setting);
		if (rows[i].operand != NULL)
			assert_string_equal(arguments.operands[0], rows[i].operand);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *said;
	} rows[] = {
		{"relod", "cache204: relod: no such command; did you mean reload?\n"},
		{"envv", "cache204: envv: no such command; did you mean env?\n"},
		{"Reload", "cache204: Reload: no such command; did you mean reload?\n"},
		{"xyzzy", "cache204: xyzzy: no such command; --help lists them\n"},
		{"-", "cache204: -: no such command; --help lists them\n"},
		{"-t reload", "cache204: reload: takes no -t\n"},
		{"reload -T", "cache204: reload: takes no -T\n"},
		{"reload --shell", "cache204: reload: takes no --shell\n"},
		{"--json", "cache204: --json is a flag of commands\n"},
		{"reload now", "cache204: reload: unexpected argument: now\n"},
		{"-c a -c b", "cache204: -c b: one file is read, and -c a names it already\n"},
		{"-c a reload -c b",
		 "cache204: -c b: one file is read, and -c a names it already\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arguments arguments;
		char *said;
		int status = 0;

		print_message("%s\n", rows[i].line);
		assert_false(parse(rows[i].line, &arguments, &status, &said));
		assert_int_equal(status, EXIT_USAGE);
		assert_memory_equal(said, rows[i].said, strlen(rows[i].said));
		free(said);
	}
}

/* However long it is. */
static void test_long_name(void **state)
{
	char line[128];
	struct arguments arguments;
	char *said;
	int status = 0;

	(void)state;
	memset(line, 'r', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_false(parse(line, &arguments, &status, &said));
	assert_int_equal(status, EXIT_USAGE);
	free(said);
}

static void test_too_many_settings(void **state)
{
	static char *argv[2 * SETTINGS_MAX + 4] = {"cache204"};
	struct arguments arguments;
	int status = 0, argc = 1;

	(void)state;
	for (unsigned i = 0; i < SETTINGS_MAX; i++) {
		argv[argc++] = "-o";
		argv[argc++] = "workers=1";
	}
	assert_true(arguments_parse(argc, argv, &arguments, &status));
	assert_int_equal(arguments.setting_count, SETTINGS_MAX);
	argv[argc++] = "-o";
	argv[argc++] = "workers=1";
	assert_false(arguments_parse(argc, argv, &arguments, &status));
	assert_int_equal(status, EXIT_USAGE);
}

static void test_version(void **state)
{
	static char *const lines[] = {"--version", "-V"};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *argv[] = {"cache204", lines[i], NULL};
		struct arguments arguments;
		struct captured captured;
		int status = EXIT_USAGE;

		captured_begin(&captured, false);
		assert_false(arguments_parse(2, argv, &arguments, &status));
		captured_end(&captured);
		assert_int_equal(status, EXIT_SUCCESS);
		assert_int_equal(strncmp(captured.out, "cache204 ", 9), 0);
		assert_string_equal(strchr(captured.out, '\n'), "\n");
		assert_string_equal(captured.err, "");
		captured_free(&captured);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_name), cmocka_unit_test(test_too_many_settings),
		cmocka_unit_test(test_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
