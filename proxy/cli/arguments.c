/* Flags and operands by the tables. */
#include "proxy/cli/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/nearest.h"
#include "proxy/base/version.h"

enum { LONG_ONLY = 256 }; /* what getopt says for the long form of a flag: this and its id */

/* Which flags are read: behind the first operand, a command, are those of the command. */
enum extent { TO_FIRST_OPERAND, ALL_FLAGS };

/* What getopt wants to know of all flags; a command that does not take one says so later. */
struct getopt_tables {
	char letters[3 * FLAG_COUNT + 2];
	struct option names[FLAG_COUNT + 1];
};

static void fill_tables(struct getopt_tables *tables, enum extent extent)
{
	char *letters = tables->letters;
	struct option *option = tables->names;

	if (extent == TO_FIRST_OPERAND)
		*letters++ = '+';
	for (unsigned id = 0; id < FLAG_COUNT; id++) {
		const struct flag *flag = &flags[id];
		bool has_value = flag->value[0] != '\0';

		if (flag->letter != 0) {
			*letters++ = flag->letter;
			if (has_value)
				*letters++ = ':';
		}
		if (flag->name[0] != '\0')
			*option++ = (struct option){
				.name = flag->name,
				.has_arg = has_value ? required_argument : no_argument,
				.val = LONG_ONLY + (int)id,
			};
	}
	*letters = '\0';
	*option = (struct option){0};
}

static enum flag_id flag_of(int option)
{
	unsigned id = 0;

	if (option >= LONG_ONLY)
		return (enum flag_id)(option - LONG_ONLY);
	while (id < FLAG_COUNT && flags[id].letter != option)
		id++;
	return (enum flag_id)id;
}

static bool set_file(struct arguments *arguments, const char *value)
{
	if (arguments->file != NULL) {
		fprintf(stderr, "cache204: -c %s: one file is read, and -c %s names it already\n",
			value, arguments->file);
		return false;
	}
	arguments->file = value;
	return true;
}

/* One more of a flag that may be given any number of times, within bounds. */
static bool add_to(char **list, size_t *count, size_t most, char *value, const char *what)
{
	if (*count == most) {
		fprintf(stderr, "cache204: more than %zu %s\n", most, what);
		return false;
	}
	list[(*count)++] = value;
	return true;
}

static bool add_value(struct arguments *arguments, enum flag_id id, char *value)
{
	switch (id) {
	case FLAG_FILE:
		return set_file(arguments, value);
	case FLAG_SET:
		return add_to(arguments->settings, &arguments->setting_count, SETTINGS_MAX, value,
			      "options by -o");
	case FLAG_HEADER:
		return add_to(arguments->headers, &arguments->header_count, HEADERS_MAX, value,
			      "fields by -H");
	case FLAG_NODE:
		return add_to(arguments->nodes, &arguments->node_count, NODES_MAX, value,
			      "nodes by --node");
	case FLAG_METHOD:
		arguments->method = value;
		break;
	case FLAG_HOST:
		arguments->host = value;
		break;
	case FLAG_PREFIX:
		arguments->prefix = value;
		break;
	case FLAG_GROUP:
		arguments->group = value;
		break;
	case FLAG_LIMIT:
		arguments->limit = value;
		break;
	case FLAG_SINCE:
		arguments->since = value;
		break;
	case FLAG_UNTIL:
		arguments->until = value;
		break;
	case FLAG_LAST:
		arguments->last = value;
		break;
	default:
		break;
	}
	return true;
}

/* *ret_next is the index in argv of the first operand. */
static bool parse_flags(int argc, char **argv, enum extent extent, struct arguments *arguments,
			int *ret_next)
{
	struct getopt_tables tables;
	int option;

	fill_tables(&tables, extent);
	optind = 0; /* begin anew */
	while ((option = getopt_long(argc, argv, tables.letters, tables.names, NULL)) != -1) {
		enum flag_id id;

		if (option == '?')
			return false;
		id = flag_of(option);
		arguments->given |= UINT32_C(1) << id;
		if (!add_value(arguments, id, optarg))
			return false;
	}
	*ret_next = optind;
	return true;
}

static const struct command *find_command(const char *name)
{
	struct nearest nearest = nearest_to(name);
	const char *near = NULL;

	for (size_t i = 0; i < command_total; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		if (nearest_is(&nearest, commands[i].name))
			near = commands[i].name;
	}
	if (near != NULL)
		fprintf(stderr, "cache204: %s: no such command; did you mean %s?\n", name, near);
	else
		fprintf(stderr, "cache204: %s: no such command; --help lists them\n", name);
	return NULL;
}

/* The rest of the line: flags and operands in any order; behind "--" are operands alone. */
static bool parse_command(int argc, char **argv, struct arguments *arguments)
{
	int next = argc;

	/* getopt's messages begin with argv[0], the command's name */
	if (!parse_flags(argc, argv, ALL_FLAGS, arguments, &next))
		return false;
	arguments->operands = argv + next; /* getopt has moved them to the end */
	arguments->operand_count = (size_t)(argc - next);
	return true;
}

static bool takes_all(const struct command *command, uint32_t given)
{
	uint32_t wrong = given & ~command->takes;
	unsigned id = 0;

	if (wrong == 0)
		return true;
	while ((wrong >> id & 1) == 0)
		id++;
	if (command == &the_proxy)
		fprintf(stderr, "cache204: --%s is a flag of commands\n", flags[id].name);
	else if (flags[id].letter != 0)
		fprintf(stderr, "cache204: %s: takes no -%c\n", command->name, flags[id].letter);
	else
		fprintf(stderr, "cache204: %s: takes no --%s\n", command->name, flags[id].name);
	return false;
}

/* What can be done without more: true when it is done. */
static bool answer_at_once(const struct command *command, const struct arguments *arguments)
{
	if (arguments_have(arguments, FLAG_HELP))
		commands_write_help(command);
	else if (arguments_have(arguments, FLAG_VERSION))
		puts("cache204 " CACHE204_VERSION);
	else
		return false;
	return true;
}

bool arguments_parse(int argc, char **argv, struct arguments *ret_arguments, int *ret_status)
{
	const struct command *command = &the_proxy;
	int next = argc;

	*ret_arguments = (struct arguments){0};
	*ret_status = EXIT_USAGE;
	if (!parse_flags(argc, argv, TO_FIRST_OPERAND, ret_arguments, &next)) {
		commands_write_usage(stderr);
		return false;
	}
	if (next < argc) {
		command = find_command(argv[next]);
		if (command == NULL)
			return false;
		ret_arguments->command = command;
		if (!parse_command(argc - next, argv + next, ret_arguments)) {
			fprintf(stderr, "cache204 %s --help shows its flags\n", command->name);
			return false;
		}
	}
	if (!takes_all(command, ret_arguments->given))
		return false;
	if (command->operands != NULL && command->operands[0] == '\0' &&
	    ret_arguments->operand_count > 0) {
		fprintf(stderr, "cache204: %s: unexpected argument: %s\n", command->name,
			ret_arguments->operands[0]);
		return false;
	}
	*ret_status = EXIT_SUCCESS;
	if (!answer_at_once(command, ret_arguments))
		return true;
	if (fflush(stdout) != 0)
		*ret_status = EXIT_FAILURE;
	return false;
}
