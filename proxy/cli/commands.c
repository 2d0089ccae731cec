/* The tables of flags and subcommands, and the texts of --help. */
#include "proxy/cli/commands.h"

#include <ctype.h>

#include "conf/conf.h"

#define TAKES(id) (UINT32_C(1) << FLAG_##id)

const struct flag flags[FLAG_COUNT] = {
#define FLAG(id, letter, name, value, help) {letter, name, value, help},
#include "proxy/cli/flags.def"
#undef FLAG
};

const struct command commands[] = {
#define COMMAND(name, flags, operands, help, about) \
	{#name, (flags) | TAKES(HELP), operands, help, about, run_##name},
#include "proxy/cli/commands.def"
#undef COMMAND
};

const size_t command_total = sizeof(commands) / sizeof(commands[0]);

const struct command the_proxy = {
	.takes = TAKES(FILE) | TAKES(SET) | TAKES(CHECK) | TAKES(DUMP) | TAKES(HELP) |
		 TAKES(VERSION),
};

/* A flag as it is written on the command line.  Returns its length. */
static int write_flag(const struct flag *flag, char text[64])
{
	char letter[] = {'-', flag->letter, '\0'};

	return snprintf(text, 64, "%s%s%s%s%s%s", flag->letter != 0 ? letter : "",
			flag->letter != 0 && flag->name[0] != '\0' ? ", " : "",
			flag->name[0] != '\0' ? "--" : "", flag->name,
			flag->value[0] != '\0' ? " " : "", flag->value);
}

/* Under one another, the column of the texts behind the longest flag. */
static void write_flags(FILE *to, uint32_t takes)
{
	char text[64];
	int width = 14;

	for (unsigned id = 0; id < FLAG_COUNT; id++)
		if ((takes >> id & 1) != 0 && write_flag(&flags[id], text) > width)
			width = write_flag(&flags[id], text);
	for (unsigned id = 0; id < FLAG_COUNT; id++)
		if ((takes >> id & 1) != 0) {
			write_flag(&flags[id], text);
			fprintf(to, "  %-*s %s\n", width, text, flags[id].help);
		}
}

void commands_write_usage(FILE *to)
{
	fputs("usage: cache204 [-c FILE] [-o NAME=VALUE]... [-t | -T]\n"
	      "       cache204 COMMAND [FLAG]... [OPERAND]...\n"
	      "A caching forward proxy for 204 responses.\n\n",
	      to);
	write_flags(to, the_proxy.takes);
	fputs("\nCommands, each with a --help of its own:\n", to);
	for (size_t i = 0; i < command_total; i++)
		fprintf(to, "  %-14s %s\n", commands[i].name, commands[i].help);
}

void commands_write_help(const struct command *command)
{
	if (command == &the_proxy) {
		commands_write_usage(stdout);
		fputs("\nOptions:\n", stdout);
		conf_help(stdout);
		return;
	}
	printf("usage: cache204 %s [FLAG]...%s%s\n%c%s.\n\n%s\n\n", command->name,
	       command->operands[0] != '\0' ? " " : "", command->operands,
	       toupper(command->help[0]), command->help + 1, command->about);
	write_flags(stdout, command->takes);
}
