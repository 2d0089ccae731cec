/* LINKS: proxy/cli */
/* The script for bash has each command with its flags, the options with their words, and the programs of env. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "conf/option.h"
#include "proxy/cli/arguments.h"
#include "tests/support/captured.h"

static char *script(void)
{
	char *argv[] = {"cache204", "completion", "bash", NULL};
	struct arguments arguments;
	struct captured captured;
	char *text;
	int status;

	captured_begin(&captured, false);
	if (arguments_parse(3, argv, &arguments, &status))
		status = arguments.command->run(&arguments);
	captured_end(&captured);
	assert_int_equal(status, EXIT_SUCCESS);
	assert_string_equal(captured.err, "");
	text = strdup(captured.out);
	captured_free(&captured);
	return text;
}

/* A line of it, without its end. */
static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
		if (at > text && at[-1] == '\n' && at[n] == '\n')
			return true;
	return false;
}

static void test_lines(void **state)
{
	static const char *const lines[] = {
		"\tmark) flags='-c -o -h --help ' ;;",
		"\tpurge) flags='-c -o --host --prefix --group --all --soft --wait --node -h "
		"--help ' ;;",
		"\tcompletion) flags='-h --help ' ;;",
		"\t*) flags='-c -o -t -T -h --help -V --version ' ;;",
		"\tenv) words='sh curl wget git apt npm pip go java node docker chromium systemd ' "
		";;",
		"\tlog_level=*) words='error info debug' ;;",
		"\tpreflight_cache=*) words='on off' ;;",
		"complete -o default -F _cache204 cache204",
	};
	char *text = script();

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!has_line(text, lines[i]))
			fail_msg("without the line %s:\n%s", lines[i], text);
	free(text);
}

/* "\tcommands='a b '" */
static void check_list(const char *text, const char *begin, const char *(*name)(size_t),
		       const char *sign)
{
	char line[8192];

	strcpy(line, begin);
	for (size_t i = 0; name(i) != NULL; i++)
		strcat(strcat(strcat(line, name(i)), sign), " ");
	strcat(line, "'");
	assert_non_null(strstr(text, line));
}

static const char *command_name(size_t i)
{
	return i < command_total ? commands[i].name : NULL;
}

static const char *option_name(size_t i)
{
	return i < option_total ? options[i].name : NULL;
}

static void test_lists(void **state)
{
	char *text = script();

	(void)state;
	check_list(text, "\tcommands='", command_name, "");
	check_list(text, "\toptions='", option_name, "=");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
