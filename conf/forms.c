/* The forms of texts and list members: what each takes, and what is said to one that is not. */
#include "conf/forms.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "conf/units.h"

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_any(const char *text)
{
	while (*text && !is_control(*text))
		text++;
	return *text == '\0';
}

static bool is_token(const char *text)
{
	const char *at = text;

	while (*at && (is_alnum(*at) || strchr("!#$%&'*+-.^_`|~", *at)))
		at++;
	return at > text && *at == '\0';
}

static bool is_address(const char *text)
{
	char host[UNITS_HOST];
	uint16_t port;

	return units_parse_address(text, host, &port);
}

static bool is_network(const char *text)
{
	struct units_network network;

	return units_parse_network(text, &network);
}

static bool is_port(const char *text)
{
	int64_t port;

	return strcmp(text, "*") == 0 ||
	       (units_parse_count(text, &port) && port >= 1 && port <= UINT16_MAX);
}

/* Labels of letters, digits, - and _ (seen in practice).  A last label of digits is a broken
 * address. */
static bool is_name(const char *text, size_t length)
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
		digits += c >= '0' && c <= '9';
		if (++label > 63)
			return false;
	}
	return label > digits;
}

static bool is_destination(const char *text)
{
	const char *name = *text == '.' ? text + 1 : text;

	return is_network(text) || is_name(name, strlen(name));
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
	return colon && is_name(text, (size_t)(colon - text)) && strlen(colon + 1) <= 5 &&
	       units_parse_count(colon + 1, &port) && port >= 1 && port <= UINT16_MAX;
}

static unsigned hex_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* user:password; each % begins the escape of a byte that is no control character. */
static bool is_userinfo(const char *text, size_t length)
{
	if (*text == ':' || !memchr(text, ':', length))
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned byte;

		if (text[i] != '%')
			continue;
		if (i + 2 >= length || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))
			return false;
		byte = hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]);
		if (byte < 0x20 || byte == 0x7f)
			return false;
	}
	return true;
}

static bool is_parent(const char *text)
{
	const char *at;

	if (*text == '\0')
		return true;
	if (!is_any(text) || strncmp(text, "http://", 7) != 0)
		return false;
	text += 7;
	at = strrchr(text, '@');
	if (at && !is_userinfo(text, (size_t)(at - text)))
		return false;
	return is_authority(at ? at + 1 : text);
}

/* http://host or https://host, with or without a port. */
static bool is_origin(const char *text)
{
	char with_port[300];

	if (strncmp(text, "http://", 7) == 0)
		text += 7;
	else if (strncmp(text, "https://", 8) == 0)
		text += 8;
	else
		return false;
	if (is_authority(text))
		return true;
	return snprintf(with_port, sizeof(with_port), "%s:80", text) < (int)sizeof(with_port) &&
	       is_authority(with_port);
}

static bool is_gateway(const char *text)
{
	const char *equals = strchr(text, '=');
	char address[UNITS_HOST + 9];

	if (!equals || (size_t)(equals - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(equals - text));
	address[equals - text] = '\0';
	return is_address(address) && is_origin(equals + 1);
}

static const struct {
	bool (*is)(const char *text);
	const char *name, *article, *wanted;
} forms[] = {
	[FORM_ANY] = {is_any, "text", "a text", "letters, digits and signs, no control characters"},
	[FORM_TOKEN] = {is_token, "token", "a token", "letters, digits and !#$%&'*+-.^_`|~"},
	[FORM_ADDRESS] = {is_address, "ADDRESS:PORT", "an address with a port",
			  "127.0.0.1:3128 or [::1]:3128"},
	[FORM_NETWORK] = {is_network, "network", "a network", "10.0.0.0/8, fd00::/8 or 192.0.2.1"},
	[FORM_PORT] = {is_port, "port", "a port", "1 to 65535, or * for all"},
	[FORM_DESTINATION] = {is_destination, "name, .domain or network", "a destination",
			      "example.com, .example.com or 10.0.0.0/8"},
	[FORM_PARENT] = {is_parent, "URL", "a parent proxy",
			 "http://host:port or http://user:password@host:port"},
	[FORM_GATEWAY] = {is_gateway, "ADDRESS:PORT=URL", "a gateway",
			  "127.0.0.1:3130=http://host:port"},
};

/* A network with bits beyond its length is likely a slip: say which network it lies in. */
static bool check_host_bits(const char *value, char *why, size_t why_size)
{
	struct units_network network;
	char address[UNITS_HOST];

	if (!units_parse_network(value, &network) || !units_network_mask(&network))
		return true;
	inet_ntop(network.family, network.address, address, sizeof(address));
	snprintf(why, why_size, "%s has bits beyond its length; use %s/%u", value, address,
		 network.bits);
	return false;
}

/* What may be shown of a value: of a URL with a password only what follows it. */
static const char *without_password(enum form form, const char *value)
{
	const char *at = form == FORM_PARENT ? strrchr(value, '@') : NULL;

	return at ? at : value;
}

bool form_check(enum form form, const char *value, char *why, size_t why_size)
{
	char shown[FORM_SHOWN];

	if (!forms[form].is(value)) {
		snprintf(why, why_size, "%s%s is not %s; use %s",
			 without_password(form, value) == value ? "" : "...",
			 form_show(without_password(form, value), shown), forms[form].article,
			 forms[form].wanted);
		return false;
	}
	if (form == FORM_NETWORK || form == FORM_DESTINATION)
		return check_host_bits(value, why, why_size);
	return true;
}

const char *form_name(enum form form)
{
	return forms[form].name;
}

const char *form_show(const char *value, char to[FORM_SHOWN])
{
	size_t length = strlen(value);

	if (length == 0)
		return "\"\"";
	snprintf(to, FORM_SHOWN, "%.64s%s", value, length > 64 ? "..." : "");
	for (char *c = to; *c; c++)
		if (is_control(*c))
			*c = '?';
	return to;
}
