/*
 * `cache204 completion`: a script for a shell, made of the tables of flags, commands and options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/option.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/programs.h"

/* Names of the tables are letters, digits, "_" and "-": a shell takes them as they are. */
static void write_flags(const char *name, uint32_t takes)
{
	printf("\t%s) flags='", name);
	for (unsigned id = 0; id < FLAG_COUNT; id++) {
		if ((takes >> id & 1) == 0)
			continue;
		if (flags[id].letter != 0)
			printf("-%c ", flags[id].letter);
		if (flags[id].name[0] != '\0')
			printf("--%s ", flags[id].name);
	}
	fputs("' ;;\n", stdout);
}

static void write_commands(void)
{
	fputs("\tcommands='", stdout);
	for (size_t i = 0; i < command_total; i++)
		printf("%s ", commands[i].name);
	fputs("'\n\tcase $command in\n", stdout);
	for (size_t i = 0; i < command_total; i++)
		write_flags(commands[i].name, commands[i].takes);
	write_flags("*", the_proxy.takes);
	fputs("\tesac\n", stdout);
}

static void write_options(void)
{
	fputs("\toptions='", stdout);
	for (size_t i = 0; i < option_total; i++)
		printf("%s= ", options[i].name);
	fputs("'\n", stdout);
}

/* What may be behind NAME=, where that is one of a few. */
static void write_values(void)
{
	fputs("\tcase $word in\n", stdout);
	for (size_t i = 0; i < option_total; i++) {
		if (options[i].type == OPTION_IS_BOOL) {
			printf("\t%s=*) words='on off' ;;\n", options[i].name);
		} else if (options[i].type == OPTION_IS_CHOICE) {
			char choices[OPTION_CHOICES];

			option_write_choices(&options[i], choices);
			for (char *c = choices; *c != '\0'; c++)
				*c = *c == '|' ? ' ' : *c;
			printf("\t%s=*) words='%s' ;;\n", options[i].name, choices);
		}
	}
	fputs("\t*=*) words= ;;\n"
	      "\t*) words=$options; compopt -o nospace 2>/dev/null ;;\n"
	      "\tesac\n",
	      stdout);
}

static void write_programs(void)
{
	const char *name;

	fputs("\tenv) words='", stdout);
	for (size_t i = 0; (name = program_name(i)) != NULL; i++)
		printf("%s ", name);
	fputs("' ;;\n", stdout);
}

/*
 * Words are taken from the line, as bash cuts them at "=", which is within those of -o; and of what
 * is completed, bash wants what is behind its own last cut alone.
 */
static void write_bash(void)
{
	fputs("# Completion of cache204 for bash, made by: cache204 completion bash\n"
	      "_cache204()\n{\n"
	      "\tlocal line=${COMP_LINE:0:COMP_POINT} word last= command= cut=\n"
	      "\tlocal words flags commands options at=()\n"
	      "\tread -ra at <<<\"$line\"\n"
	      "\tword=${line##*[[:space:]]}\n"
	      "\t[ -z \"$word\" ] && at+=('')\n"
	      "\tlocal i n=$((${#at[@]} - 1))\n"
	      "\tfor ((i = 1; i < n; i++)); do\n"
	      "\t\tcase $last:${at[i]} in\n"
	      "\t\t-[co]:* | *:-*) ;;\n"
	      "\t\t*) command=${command:-${at[i]}} ;;\n"
	      "\t\tesac\n"
	      "\t\tlast=${at[i]}\n"
	      "\tdone\n"
	      "\tCOMPREPLY=()\n",
	      stdout);
	write_commands();
	write_options();
	fputs("\tcase $last in\n"
	      "\t-c) return ;; # names of files, by -o default below\n"
	      "\t-o)\n",
	      stdout);
	write_values();
	fputs("\tcase $word in *=*) cut=${word%%=*}=; word=${word#*=} ;; esac\n"
	      "\t;;\n"
	      "\t*)\n"
	      "\tcase $word in\n"
	      "\t-*) words=$flags ;;\n"
	      "\t*)\n"
	      "\tcase $command in\n"
	      "\t'') words=\"$commands\" ;;\n",
	      stdout);
	write_programs();
	fputs("\tcompletion) words=bash ;;\n"
	      "\t*) words= ;;\n"
	      "\tesac\n"
	      "\t;;\n\tesac\n"
	      "\t;;\n\tesac\n"
	      "\tcase $COMP_WORDBREAKS in *=*) cut= ;; esac\n"
	      "\tread -ra at <<<\"$words\"\n"
	      "\tfor i in \"${at[@]}\"; do\n"
	      "\t\tcase $i in \"$word\"*) COMPREPLY+=(\"$cut$i\") ;; esac\n"
	      "\tdone\n"
	      "}\n"
	      "complete -o default -F _cache204 cache204\n",
	      stdout);
}

int run_completion(const struct arguments *arguments)
{
	if (arguments->operand_count != 1 || strcmp(arguments->operands[0], "bash") != 0) {
		fputs("cache204: completion: for which shell? it is known for bash: cache204 "
		      "completion bash\n",
		      stderr);
		return EXIT_USAGE;
	}
	write_bash();
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
