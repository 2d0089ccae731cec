/*
 * One setting of the command line, name=value or name+=value, taken apart.
 *
 * It is read as a line of a file would be: space around the sign and the value does not count, a
 * value may stand in quotes and a list in braces.  But as the shell has words of its own, quotes
 * and braces may be left out, and text goes on to the end.  Pure.
 */
#ifndef CONF_SETTING_H
#define CONF_SETTING_H

#include "conf/option.h"

/* Returns where the name begins and its length, and where the value begins, NULL without a sign. */
const char *setting_split(const char *setting, size_t *ret_length, bool *ret_adds,
			  const char **ret_value);

/*
 * The values of a text: members of a list between commas, the whole text for any other option.
 * Returns false when memory is out.  *ret_why is NULL, or says what is wrong with quotes, braces or
 * commas.  Free with setting_values_free(), in any case.
 */
struct setting_values {
	char *text;
	size_t length;
	const char **at;
	size_t count;
};

bool setting_values(const struct option *option, const char *text, struct setting_values *ret,
		    const char **ret_why);
void setting_values_free(struct setting_values *values);

/* Sets all options to their presets, in a struct conf of zeros.  False when memory is out. */
bool setting_presets(struct conf *conf);

#endif
