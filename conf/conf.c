/* What the members of struct conf mean: words of choices, and addresses taken apart. */
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/units.h"

bool conf_split_address(const char *text, char *ret_host, uint16_t *ret_port)
{
	return units_parse_address(text, ret_host, ret_port);
}

const char *conf_behind_tls(const char *text)
{
	return strncmp(text, "tls:", 4) == 0 ? text + 4 : text;
}

bool conf_is_tls(const char *text)
{
	return conf_behind_tls(text) != text;
}

bool conf_has_tls(const struct conf *conf)
{
	for (size_t i = 0; i < conf->listen.count; i++)
		if (conf_is_tls(conf->listen.at[i]))
			return true;
	for (size_t i = 0; i < conf->gateway.count; i++)
		if (conf_is_tls(conf->gateway.at[i]))
			return true;
	return false;
}

const char *conf_unix_path(const char *text)
{
	return strncmp(text, "unix:", 5) == 0 ? text + 5 : NULL;
}

/* A path may have an equals sign of its own. */
static const char *find_origin(const char *text)
{
	const char *equals = conf_unix_path(text) != NULL ? strcasestr(text, "=http") : NULL;

	return equals != NULL ? equals : strchr(text, '=');
}

static bool copy_part(const char *from, size_t length, char *to, size_t size)
{
	return length > 0 && snprintf(to, size, "%.*s", (int)length, from) < (int)size;
}

bool conf_split_gateway(const char *text, struct conf_gateway *ret_gateway)
{
	static const char by[] = "@unix:";
	const char *equals = find_origin(text), *socket;
	size_t length;

	*ret_gateway = (struct conf_gateway){.socket = ""};
	if (equals == NULL)
		return false;
	socket = strstr(equals, by);
	length = socket != NULL ? (size_t)(socket - equals) - 1 : strlen(equals + 1);
	if (length > 1 && equals[length] == '/' && equals[length - 1] != '/')
		length--;
	if (socket != NULL && !copy_part(socket + strlen(by), strlen(socket + strlen(by)),
					 ret_gateway->socket, sizeof(ret_gateway->socket)))
		return false;
	return copy_part(text, (size_t)(equals - text), ret_gateway->listen,
			 sizeof(ret_gateway->listen)) &&
	       copy_part(equals + 1, length, ret_gateway->origin, sizeof(ret_gateway->origin));
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
