/*
 * The command line: flags before and after a subcommand.
 */
#ifndef PROXY_CLI_ARGUMENTS_H
#define PROXY_CLI_ARGUMENTS_H

#include "proxy/cli/commands.h"

/*
 * False when the program is to end with *ret_status: what was asked for, or is wrong, is printed.
 * Else that is 0.
 */
bool arguments_parse(int argc, char **argv, struct arguments *ret_arguments, int *ret_status);

#endif
