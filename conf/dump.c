/* Shows options: as a configuration file of the same effect, and as help. */
#include <inttypes.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/option.h"
#include "conf/units.h"

/* libconfuse takes all but the quote and the backslash of a single-quoted string as it is. */
static void write_string(FILE *to, const char *text)
{
	if (strpbrk(text, "\"\\$") == NULL) {
		fprintf(to, "\"%s\"", text);
		return;
	}
	fputc('\'', to);
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('\'', to);
}

static void write_list(FILE *to, const struct conf_list *list)
{
	fputc('{', to);
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			fputs(", ", to);
		write_string(to, list->at[i]);
	}
	fputc('}', to);
}

static void write_value(FILE *to, const struct option *option, const struct conf *conf)
{
	const void *value = option_value(option, conf);
	char number[UNITS_TEXT];

	switch (option->type) {
	case OPTION_IS_LIST:
		write_list(to, value);
		break;
	case OPTION_IS_STRING:
		write_string(to, *(char *const *)value);
		break;
	case OPTION_IS_CHOICE:
		option_write_number(option, option_number(option, conf), number);
		write_string(to, number);
		break;
	default:
		option_write_number(option, option_number(option, conf), number);
		fputs(number, to);
	}
}

void conf_dump(const struct conf *conf, FILE *to)
{
	fputs("# The options of cache204 in effect; as a file it has the same effect.\n", to);
	if (strchr(conf->parent, '@') != NULL)
		fputs("# It has the password of the parent proxy: let nobody else read it (mode "
		      "0600).\n",
		      to);
	for (size_t i = 0; i < option_total; i++) {
		fprintf(to, "\n# %s\n%s = ", options[i].help, options[i].name);
		write_value(to, &options[i], conf);
		fputc('\n', to);
	}
}

/* What may stand there: a form, choices, or a kind with its bounds. */
static void write_kind(FILE *to, const struct option *option)
{
	static const char *const kinds[] = {[OPTION_IS_COUNT] = "number",
					    [OPTION_IS_SIZE] = "size",
					    [OPTION_IS_DURATION] = "duration"};
	char min[UNITS_TEXT], max[UNITS_TEXT], choices[OPTION_CHOICES];

	switch (option->type) {
	case OPTION_IS_LIST:
		fprintf(to, "list of %s", form_name(option->form));
		break;
	case OPTION_IS_STRING:
		fputs(form_name(option->form), to);
		break;
	case OPTION_IS_CHOICE:
		option_write_choices(option, choices);
		fputs(choices, to);
		break;
	case OPTION_IS_BOOL:
		fputs("on|off", to);
		break;
	default:
		option_write_number(option, option->min, min);
		option_write_number(option, option->max, max);
		fprintf(to, "%s, %s to %s", kinds[option->type], min, max);
	}
}

void conf_help(FILE *to)
{
	for (size_t i = 0; i < option_total; i++) {
		const struct option *option = &options[i];
		char number[UNITS_TEXT];

		fprintf(to, "  %s (", option->name);
		write_kind(to, option);
		if (option->preset != NULL)
			fprintf(to, "; default %s", *option->preset ? option->preset : "empty");
		else {
			option_write_number(option, option->number, number);
			fprintf(to, "; default %s", number);
		}
		fprintf(to, ")\n      %s\n", option->help);
	}
}
