/* `cache204 env`: what to paste so that programs use the proxy, and the trap of each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "conf/nearest.h"
#include "proxy/base/address.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/place.h"
#include "proxy/cli/programs.h"

/* Strings that @NAMES@ in the texts stand for. */
struct proxy_names {
	char url[128], host[ADDRESS_TEXT_SIZE], port[8], address[ADDRESS_TEXT_SIZE];
	const char *scheme; /* of the proxy's URL */
};

static const struct program {
	const char *name, *title, *where, *text, *trap;
} programs[] = {
#define PROGRAM(name, title, where, text, trap) {#name, title, where, text, trap},
#include "proxy/cli/programs.def"
#undef PROGRAM
};

enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

const char *program_name(size_t index)
{
	return index < PROGRAMS ? programs[index].name : NULL;
}

/* ---- names ---------------------------------------------------------------------------------- */

/* The first that a program can be given: http_proxy takes no Unix socket.  NULL for none. */
static const char *find_listen(const struct conf *conf)
{
	for (size_t i = 0; i < conf->listen.count; i++)
		if (conf_unix_path(conf->listen.at[i]) == NULL)
			return conf->listen.at[i];
	return NULL;
}

static bool find_names(const struct conf *conf, struct proxy_names *ret_names)
{
	/* placeholders that a shell, JSON and a URI take as they are */
	const char *login = conf->password_file[0] != '\0' ? "USER:PASSWORD@" : "";
	const char *listen = find_listen(conf);
	struct place place;
	struct diagnostic error;

	if (listen == NULL) {
		fputs("cache204: listen: Unix sockets alone in this configuration, which "
		      "http_proxy cannot name; see EXAMPLES in cache204(8) for what can\n",
		      stderr);
		return false;
	}
	if (!place_reached_here("listen", conf_behind_tls(listen), &place, &error)) {
		fprintf(stderr, "cache204: %s\n", error.text);
		return false;
	}
	address_format(&place.address, ret_names->host);
	address_format_port(&place.address, ret_names->address);
	snprintf(ret_names->port, sizeof(ret_names->port), "%u", address_port(&place.address));
	ret_names->scheme = conf_is_tls(listen) ? "https" : "http";
	snprintf(ret_names->url, sizeof(ret_names->url), "%s://%s%s", ret_names->scheme, login,
		 ret_names->address);
	return true;
}

/* The text of a name that `text` begins with, its "@" included; NULL when it is none. */
static const char *name_at(const char *text, const struct proxy_names *names, size_t *ret_length)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{"@URL@", names->url},         {"@HOST@", names->host},     {"@PORT@", names->port},
		{"@ADDRESS@", names->address}, {"@SCHEME@", names->scheme},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		*ret_length = strlen(rows[i].name);
		if (strncmp(text, rows[i].name, *ret_length) == 0)
			return rows[i].value;
	}
	return NULL;
}

/* ---- writing -------------------------------------------------------------------------------- */

typedef void write_char(char c);

static void write_plain(char c)
{
	putchar(c);
}

static void write_json_char(char c)
{
	if (c == '"' || c == '\\')
		printf("\\%c", c);
	else if (c == '\n')
		fputs("\\n", stdout);
	else
		putchar(c);
}

/* With names for what stands for them. */
static void write_text(const char *text, const struct proxy_names *names, write_char *write)
{
	size_t length;

	while (*text != '\0') {
		const char *value = name_at(text, names, &length);

		if (value == NULL) {
			write(*text++);
			continue;
		}
		text += length;
		while (*value != '\0')
			write(*value++);
	}
}

static void write_json(const char *key, const char *text, const struct proxy_names *names,
		       const char *end)
{
	printf("    \"%s\": \"", key);
	write_text(text, names, write_json_char);
	printf("\"%s\n", end);
}

static void write_program_json(const struct program *program, const struct proxy_names *names,
			       bool is_first)
{
	fputs(is_first ? "  {\n" : ",\n  {\n", stdout);
	write_json("program", program->name, names, ",");
	write_json("title", program->title, names, ",");
	write_json("where", program->where, names, ",");
	write_json("text", program->text, names, ",");
	write_json("trap", program->trap, names, "");
	fputs("  }", stdout);
}

/* Comments but for what is to be pasted. */
static void write_program(const struct program *program, const struct proxy_names *names,
			  bool is_first)
{
	printf("%s# %s: %s, ", is_first ? "" : "\n", program->name, program->title);
	write_text(program->where, names, write_plain);
	putchar('\n');
	write_text(program->text, names, write_plain);
	fputs("#   ", stdout);
	for (const char *c = program->trap; *c != '\0'; c++) {
		if (*c == '\n')
			fputs("\n#   ", stdout);
		else
			putchar(*c);
	}
	putchar('\n');
}

/* ---- the command ---------------------------------------------------------------------------- */

static const struct program *find_program(const char *name)
{
	struct nearest nearest = nearest_to(name);
	const char *near = NULL;

	for (size_t i = 0; i < PROGRAMS; i++) {
		if (strcmp(programs[i].name, name) == 0)
			return &programs[i];
		if (nearest_is(&nearest, programs[i].name))
			near = programs[i].name;
	}
	fprintf(stderr, "cache204: env: %s: not among the programs", name);
	if (near != NULL)
		fprintf(stderr, "; did you mean %s?\n", near);
	else
		for (size_t i = 0; i < PROGRAMS; i++)
			fprintf(stderr, "%s%s%s", i == 0 ? ": " : ", ", programs[i].name,
				i + 1 == PROGRAMS ? "\n" : "");
	return NULL;
}

static bool are_known(const struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->operand_count; i++)
		if (find_program(arguments->operands[i]) == NULL)
			return false;
	return true;
}

static bool is_wanted(const struct arguments *arguments, const struct program *program)
{
	for (size_t i = 0; i < arguments->operand_count; i++)
		if (strcmp(arguments->operands[i], program->name) == 0)
			return true;
	return arguments->operand_count == 0;
}

static void write_all(const struct arguments *arguments, const struct proxy_names *names)
{
	bool json = arguments_have(arguments, FLAG_JSON), is_first = true;

	if (json)
		fputs("[\n", stdout);
	for (const struct program *program = programs; program < programs + PROGRAMS; program++) {
		if (!is_wanted(arguments, program))
			continue;
		if (json)
			write_program_json(program, names, is_first);
		else
			write_program(program, names, is_first);
		is_first = false;
	}
	if (json)
		fputs("\n]\n", stdout);
}

int run_env(const struct arguments *arguments)
{
	bool shell = arguments_have(arguments, FLAG_SHELL);
	struct proxy_names names;
	struct conf *conf;
	bool found;

	if (shell && (arguments->operand_count > 0 || arguments_have(arguments, FLAG_JSON))) {
		fputs("cache204: env: --shell is for a shell alone: without programs and --json\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (!are_known(arguments))
		return EXIT_USAGE;
	conf = conf_load(arguments->file, arguments->settings, arguments->setting_count, stderr);
	if (conf == NULL)
		return EXIT_USAGE;
	found = find_names(conf, &names);
	conf_free(conf);
	if (!found)
		return EXIT_USAGE;
	if (shell)
		write_text(programs[0].text, &names, write_plain);
	else
		write_all(arguments, &names);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
