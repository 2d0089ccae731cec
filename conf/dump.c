/* Shows options: as a configuration file of the same effect, and as help. */
#include <inttypes.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/option.h"
#include "conf/rules.h"
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

static void write_value(FILE *to, const struct option *option, const void *owner)
{
	const void *value = option_value(option, owner);
	char number[UNITS_TEXT];

	switch (option->type) {
	case OPTION_IS_LIST:
		write_list(to, value);
		break;
	case OPTION_IS_STRING:
		write_string(to, *(char *const *)value);
		break;
	case OPTION_IS_CHOICE:
		option_write_number(option, option_number(option, owner), number);
		write_string(to, number);
		break;
	default:
		option_write_number(option, option_number(option, owner), number);
		fputs(number, to);
	}
}

static void write_rules(FILE *to, const struct conf_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++) {
		const struct conf_rule *rule = &rules->at[i];

		fputs("\nrule ", to);
		write_string(to, rule->name);
		fputs(" {\n", to);
		for (uint32_t row = 0; row < rule_option_total; row++) {
			if (!rule_has(rule, row))
				continue;
			fprintf(to, "\t%s = ", rule_options[row].name);
			write_value(to, &rule_options[row], rule);
			fputc('\n', to);
		}
		fputs("}\n", to);
	}
}

void conf_rule_describe(const struct conf_rule *rule, char to[static RULE_TEXT])
{
	FILE *file = fmemopen(to, RULE_TEXT, "w");
	const char *separator = "";

	*to = '\0';
	if (file == NULL)
		return;
	for (uint32_t row = 0; row < rule_option_total; row++) {
		if (!rule_has(rule, row) || row == RULE_ROW_match)
			continue;
		fprintf(file, "%s%s = ", separator, rule_options[row].name);
		if (row == RULE_ROW_parent && strchr(rule->parent, '@') != NULL)
			fprintf(file, "\"http://...%s\"", strrchr(rule->parent, '@'));
		else
			write_value(file, &rule_options[row], rule);
		separator = ", ";
	}
	fclose(file);
	to[RULE_TEXT - 1] = '\0';
}

static bool has_password(const struct conf *conf)
{
	bool has = strchr(conf->parent, '@') != NULL;

	for (uint32_t i = 0; conf->rules != NULL && i < conf->rules->count; i++)
		has |= strchr(conf->rules->at[i].parent, '@') != NULL;
	return has;
}

void conf_dump(const struct conf *conf, FILE *to)
{
	fputs("# The options of cache204 in effect; as a file it has the same effect.\n", to);
	if (has_password(conf))
		fputs("# It has the password of the parent proxy: let nobody else read it (mode "
		      "0600).\n",
		      to);
	for (size_t i = 0; i < option_total; i++) {
		fprintf(to, "\n# %s\n%s = ", options[i].help, options[i].name);
		write_value(to, &options[i], conf);
		fputc('\n', to);
	}
	if (conf->rules != NULL)
		write_rules(to, conf->rules);
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
