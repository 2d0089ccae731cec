/* What texts of options may be, one by one. */
#include "conf/form_texts.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/ascii.h"
#include "conf/conf.h"
#include "conf/log_format.h"

static bool is_alnum(char c)
{
	return ascii_is_digit(c) || ascii_is_alpha(c);
}

static bool text_is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

bool text_is_any(const char *text)
{
	while (*text && !text_is_control(*text))
		text++;
	return *text == '\0';
}

bool text_is_token(const char *text)
{
	const char *at = text;

	while (*at && (is_alnum(*at) || strchr("!#$%&'*+-.^_`|~", *at) != NULL))
		at++;
	return at > text && *at == '\0';
}

bool text_is_token_or_nothing(const char *text)
{
	return *text == '\0' || text_is_token(text);
}

bool text_is_log_format(const char *text)
{
	struct log_format format;
	struct diagnostic error;

	return text_is_any(text) && log_format_parse(text, &format, &error);
}

static bool text_is_address(const char *text)
{
	char host[UNITS_HOST];
	uint16_t port;

	return units_parse_address(text, host, &port);
}

bool text_is_path(const char *text)
{
	return *text == '/' && text[1] != '\0' && strlen(text) < CONF_UNIX_PATH &&
	       text_is_any(text);
}

bool text_is_listen(const char *text)
{
	const char *path = conf_unix_path(text);

	return path != NULL ? text_is_path(path) : text_is_address(text);
}

bool text_is_tls_listen(const char *text)
{
	return conf_is_tls(text) ? text_is_address(conf_behind_tls(text)) : text_is_listen(text);
}

bool text_is_mode(const char *text)
{
	size_t digits = strspn(text, "01234567");

	return text[digits] == '\0' && (digits == 3 || (digits == 4 && *text == '0'));
}

bool text_add_resolver_port(const char *text, char to[UNITS_HOST + 9])
{
	char host[UNITS_HOST];
	uint16_t port;
	bool bare = *text != '[' && strchr(text, ':') != NULL;

	return snprintf(to, UNITS_HOST + 9, "%s%s%s:53", bare ? "[" : "", text, bare ? "]" : "") <
		       UNITS_HOST + 9 &&
	       units_parse_address(to, host, &port);
}

bool text_is_resolver(const char *text)
{
	char host[UNITS_HOST], with_port[UNITS_HOST + 9];
	uint16_t port;

	return text_add_resolver_port(text, with_port) ||
	       (units_parse_address(text, host, &port) && port != 0);
}

bool text_is_network(const char *text)
{
	struct units_network network;

	return units_parse_network(text, &network);
}

bool text_is_sender(const char *text)
{
	return text_is_network(text) || strcmp(text, "unix:") == 0;
}

bool text_is_port(const char *text)
{
	uint16_t first, last;

	return units_parse_ports(text, &first, &last);
}

bool text_is_name(const char *text, size_t length)
{
	size_t label = 0, digits = 0;

	if (length == 0 || length > 253)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (c == '.' && label == 0)
			return false;
		if (c == '.') {
			label = digits = 0;
			continue;
		}
		if (!is_alnum(c) && c != '-' && c != '_')
			return false;
		digits += ascii_is_digit(c);
		if (++label > 63)
			return false;
	}
	return label > digits;
}

bool text_is_host(const char *text)
{
	return text_is_name(text, strlen(text));
}

bool text_is_destination(const char *text)
{
	const char *name = *text == '.' ? text + 1 : text;

	return text_is_network(text) || text_is_name(name, strlen(name));
}

/* host:port, the host a name or an address. */
static bool is_authority(const char *text)
{
	const char *colon = strrchr(text, ':');
	char host[UNITS_HOST];
	uint16_t port_16;
	int64_t port;

	if (units_parse_address(text, host, &port_16))
		return port_16 != 0;
	return colon != NULL && text_is_name(text, (size_t)(colon - text)) &&
	       strlen(colon + 1) <= 5 && units_parse_count(colon + 1, &port) && port >= 1 &&
	       port <= UINT16_MAX;
}

bool text_is_userinfo(const char *text, size_t length)
{
	if (*text == ':' || memchr(text, ':', length) == NULL)
		return false;
	for (size_t i = 0; i < length; i++) {
		int high, low;

		if (text[i] != '%')
			continue;
		if (i + 2 >= length)
			return false;
		high = ascii_hex(text[i + 1]);
		low = ascii_hex(text[i + 2]);
		if (high < 0 || low < 0 || text_is_control((char)(high << 4 | low)))
			return false;
	}
	return true;
}

/* A copy of a URL without a slash at its end; NULL when it does not fit. */
static const char *without_slash(const char *text, char *to, size_t size)
{
	size_t length = strlen(text);

	if (length > 0 && text[length - 1] == '/')
		length--;
	if (length >= size)
		return NULL;
	memcpy(to, text, length);
	to[length] = '\0';
	return to;
}

bool text_is_parent(const char *text)
{
	char authority[300];
	const char *at;

	if (*text == '\0')
		return true;
	if (!text_is_any(text) || strncasecmp(text, "http://", 7) != 0)
		return false;
	text += 7;
	at = strrchr(text, '@');
	if (at != NULL && !text_is_userinfo(text, (size_t)(at - text)))
		return false;
	text = without_slash(at != NULL ? at + 1 : text, authority, sizeof(authority));
	return text != NULL && is_authority(text);
}

/* http://host or https://host, with or without a port. */
static bool is_origin(const char *text)
{
	char with_port[300], authority[300];

	if (strncasecmp(text, "http://", 7) == 0)
		text += 7;
	else if (strncasecmp(text, "https://", 8) == 0)
		text += 8;
	else
		return false;
	text = without_slash(text, authority, sizeof(authority));
	if (text == NULL)
		return false;
	if (is_authority(text))
		return true;
	return snprintf(with_port, sizeof(with_port), "%s:80", text) < (int)sizeof(with_port) &&
	       is_authority(with_port);
}

bool text_is_gateway(const char *text)
{
	struct conf_gateway gateway;

	return conf_split_gateway(text, &gateway) && text_is_tls_listen(gateway.listen) &&
	       is_origin(gateway.origin) &&
	       (gateway.socket[0] == '\0' || text_is_path(gateway.socket));
}

bool text_is_rule_parent(const char *text)
{
	return strcasecmp(text, "none") == 0 || strcasecmp(text, "direct") == 0 ||
	       (*text != '\0' && text_is_parent(text));
}

bool text_is_query_name(const char *text)
{
	size_t length = strlen(text), star = strcspn(text, "*");

	if (length == 0 || length > 255 || star + 1 < length)
		return false;
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f || strchr("=&?#", *at) != NULL)
			return false;
	return true;
}

const char *form_show(const char *value, char to[FORM_SHOWN])
{
	size_t length = strlen(value);

	/* `to` has it whether its address or what is returned is used */
	snprintf(to, FORM_SHOWN, "%.64s%s", length > 0 ? value : "\"\"", length > 64 ? "..." : "");
	for (char *c = to; *c; c++)
		if (text_is_control(*c))
			*c = '?';
	return to;
}
