/*
 * The command line as tables: its flags (flags.def), the subcommands (commands.def) and what they
 * are run with.
 */
#ifndef PROXY_CLI_COMMANDS_H
#define PROXY_CLI_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum flag_id {
#define FLAG(id, letter, name, value, help) FLAG_##id,
#include "proxy/cli/flags.def"
#undef FLAG
	FLAG_COUNT
};

struct flag {
	char letter;       /* 0 for none */
	const char *name;  /* of the long form, "" for none */
	const char *value; /* what it is followed by, "" for nothing */
	const char *help;
};

extern const struct flag flags[FLAG_COUNT];

struct arguments;

struct command {
	const char *name;
	uint32_t takes; /* bits of flag_id */
	const char *operands, *help, *about;
	int (*run)(const struct arguments *arguments); /* returns the exit status */
};

extern const struct command commands[];
extern const size_t command_total;

/* Without a subcommand: has no name, and no run(). */
extern const struct command the_proxy;

/*
 * Exit statuses beside 0: the proxy refused; or it could not be asked, as arguments are wrong, or
 * there is no configuration or no running proxy.
 */
enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

enum { SETTINGS_MAX = 256, HEADERS_MAX = 128, NODES_MAX = 64 };

/* Texts are those of argv. */
struct arguments {
	const char *file;             /* -c; NULL for none */
	char *settings[SETTINGS_MAX]; /* -o */
	size_t setting_count;
	char *headers[HEADERS_MAX]; /* -H */
	size_t header_count;
	char *nodes[NODES_MAX]; /* --node */
	size_t node_count;
	const char *host, *prefix, *group, *limit; /* NULL where not given */
	const char *since, *until, *last;          /* of statistics; NULL likewise */
	const char *method;                        /* -X; NULL for none */
	const struct command *command;             /* NULL: run the proxy, or what -t and -T say */
	char **operands;                           /* of the command, `operand_count` of them */
	size_t operand_count;
	uint32_t given; /* bits of flag_id */
};

static inline bool arguments_have(const struct arguments *arguments, enum flag_id flag)
{
	return arguments->given >> flag & 1;
}

/*
 * A function for each row.  It runs to its end, prints to standard output what was asked for and to
 * standard error what went wrong, and returns the exit status.
 */
#define COMMAND(name, flags, operands, help, about) \
	int run_##name(const struct arguments *arguments);
#include "proxy/cli/commands.def"
#undef COMMAND

/* How to call it, and what it does; `command` may be the_proxy. */
void commands_write_usage(FILE *to);
void commands_write_help(const struct command *command);

#endif
