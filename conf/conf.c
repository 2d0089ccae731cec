/* What the members of struct conf mean: words of choices, and addresses taken apart. */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf/units.h"

bool conf_split_address(const char *text, char *ret_host, uint16_t *ret_port)
{
	return units_parse_address(text, ret_host, ret_port);
}

bool conf_split_gateway(const char *text, char *ret_host, uint16_t *ret_port,
			const char **ret_origin)
{
	const char *equals = strchr(text, '=');
	char address[UNITS_HOST + 9];

	if (equals == NULL || (size_t)(equals - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(equals - text));
	address[equals - text] = '\0';
	*ret_origin = equals + 1;
	return units_parse_address(address, ret_host, ret_port);
}

const char *conf_unix_path(const char *text)
{
	return strncmp(text, "unix:", 5) == 0 ? text + 5 : NULL;
}

unsigned conf_mode(const char *text)
{
	return (unsigned)strtoul(text, NULL, 8);
}

static const struct {
	const char *option, *word;
} choices[] = {
#define CHOICE(id, option, word) [CONF_##id] = {#option, word},
#include "conf/choices.def"
#undef CHOICE
};

const char *conf_choice_word(enum conf_choice choice)
{
	return choices[choice].word;
}

bool conf_choice_at(const char *option, unsigned i, enum conf_choice *ret_choice)
{
	for (unsigned choice = 0; choice < CONF_CHOICE_COUNT; choice++) {
		if (strcmp(choices[choice].option, option) == 0 && i-- == 0) {
			*ret_choice = (enum conf_choice)choice;
			return true;
		}
	}
	return false;
}

bool conf_choice_find(const char *option, const char *word, enum conf_choice *ret_choice)
{
	for (unsigned i = 0; conf_choice_at(option, i, ret_choice); i++) {
		if (strcmp(conf_choice_word(*ret_choice), word) == 0)
			return true;
	}
	return false;
}
