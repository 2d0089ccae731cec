/* A setting of the command line: its name, and its values without quotes and braces. */
#include "conf/setting.h"

#include <stdlib.h>
#include <string.h>

#include "conf/tokens.h"

/* Line ends are of scripts that were saved elsewhere. */
static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

const char *setting_split(const char *setting, size_t *ret_length, bool *ret_adds,
			  const char **ret_value)
{
	const char *sign;
	size_t length;

	while (is_space(*setting))
		setting++;
	sign = strchr(setting, '=');
	length = sign != NULL ? (size_t)(sign - setting) : strlen(setting);
	*ret_adds = sign != NULL && length > 0 && sign[-1] == '+';
	length -= *ret_adds;
	while (length > 0 && is_space(setting[length - 1]))
		length--;
	*ret_length = length;
	*ret_value = sign != NULL ? sign + 1 : NULL;
	return setting;
}

/* Cuts space off both ends, in place. */
static char *trim(char *text)
{
	size_t length;

	while (is_space(*text))
		text++;
	length = strlen(text);
	while (length > 0 && is_space(text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

/* Behind the quote that ends what begins at `at`; NULL when none does. */
static char *quoted_end(char *at)
{
	char quote = *at;

	for (at++; *at && *at != quote; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : NULL;
}

/*
 * Takes the quotes off a trimmed text, if it has some, in place.  In double quotes a backslash
 * stands before a quote or a backslash; in single quotes it is one like any other before all else.
 */
static char *unquote(char *text, const char **ret_why)
{
	char quote = *text, *end, *to = text;

	if (quote != '"' && quote != '\'') {
		if (token_odd_character(text, strlen(text)) != NULL)
			*ret_why = "an invisible space or a curved quote is in it; if that is "
				   "meant, put quotes around the value";
		return text;
	}
	end = quoted_end(text);
	if (end == NULL || *end) {
		*ret_why = end != NULL ? "text behind the closing quote" : "a string does not end";
		return text;
	}
	for (char *from = text + 1; from < end - 1; from++) {
		if (*from == '\\' && (from[1] == quote || from[1] == '\\'))
			from++;
		else if (*from == '\\' && quote == '"')
			*ret_why = "in double quotes a backslash stands before \" or \\ only; use "
				   "single quotes";
		*to++ = *from;
	}
	*to = '\0';
	return text;
}

/* The inside of braces; the text itself when it has none. */
static char *without_braces(char *text, bool *ret_had, const char **ret_why)
{
	size_t length = strlen(text);

	*ret_had = *text == '{';
	if (!*ret_had)
		return text;
	if (text[length - 1] != '}') {
		*ret_why = "a { without its }";
		return text;
	}
	text[length - 1] = '\0';
	return text + 1;
}

/* The comma that ends a member, or the end of the text. */
static char *member_end(char *at)
{
	while (is_space(*at))
		at++;
	if (*at == '"' || *at == '\'') {
		char *end = quoted_end(at);

		at = end != NULL ? end : at;
	}
	return strchrnul(at, ',');
}

static void split_list(struct setting_values *ret, const char **ret_why)
{
	bool braces, last = false;
	char *at = without_braces(trim(ret->text), &braces, ret_why);

	while (!last && *ret_why == NULL) {
		char *end = member_end(at), *member;

		last = *end == '\0';
		*end = '\0';
		member = trim(at);
		at = end + 1;
		/* Nothing at all is an empty list; in braces the last comma may be one too many. */
		if (*member)
			ret->at[ret->count++] = unquote(member, ret_why);
		else if (!last || (ret->count > 0 && !braces))
			*ret_why = "an empty member; there is a comma too many";
	}
}

bool setting_values(const struct option *option, const char *text, struct setting_values *ret,
		    const char **ret_why)
{
	size_t most = 1;

	*ret_why = NULL;
	for (const char *c = text; *c; c++)
		most += *c == ',';
	*ret = (struct setting_values){
		.text = strdup(text), .length = strlen(text), .at = calloc(most, sizeof(*ret->at))};
	if (ret->text == NULL || ret->at == NULL)
		return false;
	if (option->type == OPTION_IS_LIST)
		split_list(ret, ret_why);
	else
		ret->at[ret->count++] = unquote(trim(ret->text), ret_why);
	if (option->type != OPTION_IS_LIST && option->type != OPTION_IS_STRING &&
	    *ret->at[0] == '{')
		*ret_why = "no list; braces are for lists";
	return true;
}

void setting_values_free(struct setting_values *values)
{
	if (values->text != NULL)
		explicit_bzero(values->text, values->length);
	free(values->text);
	free(values->at);
}

bool setting_presets(struct conf *conf)
{
	for (size_t i = 0; i < option_total; i++) {
		const struct option *option = &options[i];
		struct setting_values values;
		const char *why;
		bool set;

		if (option->preset == NULL) {
			option_set_number(option, conf, option->number);
			continue;
		}
		set = setting_values(option, option->preset, &values, &why) &&
		      option_set(option, conf, values.at, values.count);
		setting_values_free(&values);
		if (!set)
			return false;
	}
	return true;
}
