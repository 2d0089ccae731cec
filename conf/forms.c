/* The forms of texts and list members, and the message for what is of none. */
#include "conf/forms.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "conf/log_format.h"
#include "conf/pattern.h"
#include "conf/units.h"

/* As form_show(), and what stands before an @ may be a password. */
static const char *show(const char *value, char to[FORM_SHOWN])
{
	const char *at = strrchr(value, '@');
	char rest[FORM_SHOWN];

	if (at == NULL)
		return form_show(value, to);
	snprintf(to, FORM_SHOWN, "...%.68s", form_show(at, rest));
	return to;
}

/* "3128", ":3128" and "*:3128", as other servers take them; NULL for anything else. */
static const char *lone_port(const char *value)
{
	int64_t port;

	if (*value == '*' && value[1] == ':')
		value++;
	if (*value == ':')
		value++;
	return units_parse_count(value, &port) && port <= UINT16_MAX ? value : NULL;
}

/* [ADDRESS] of IPv6. */
static bool is_bracketed(const char *value)
{
	char with_port[UNITS_HOST + 9];

	return *value == '[' && text_add_resolver_port(value, with_port);
}

static bool explain_address(const char *value, struct diagnostic *why)
{
	struct units_network host;
	const char *port = lone_port(value), *colon = strrchr(value, ':');
	char text[FORM_SHOWN];
	uint16_t first, last;

	if (port != NULL)
		diagnostic_set(
			why,
			"%s has no address; use 127.0.0.1:%s for this machine alone, 0.0.0.0:%s "
			"and [::]:%s for all",
			value, port, port, port);
	else if (strstr(value, "://") != NULL)
		diagnostic_set(why, "%s is a URL; use an address with a port, as 127.0.0.1:3128",
			       show(value, text));
	else if (strchr(value, '/') == NULL && units_parse_network(value, &host))
		diagnostic_set(
			why,
			host.family == AF_INET
				? "%s has no port; use %s:PORT"
				: "%s is IPv6 without brackets; use [ADDRESS]:PORT, as [::1]:3128",
			value, value);
	else if (is_bracketed(value))
		diagnostic_set(why, "%s has no port; use %s:PORT", value, value);
	else if (*value == '[' && strchr(value, ']') == NULL)
		diagnostic_set(why, "%s is not an address; a list stands in braces: {a, b}",
			       show(value, text));
	else if (colon != NULL && units_parse_ports(colon + 1, &first, &last) && first != last)
		diagnostic_set(why, "%s has a range of ports; use one address for each",
			       show(value, text));
	else if (colon != NULL && text_is_name(value, (size_t)(colon - value)))
		diagnostic_set(why, "%s has a name; use the address in digits, as 127.0.0.1%s",
			       show(value, text), strlen(colon) <= 6 ? colon : ":3128");
	else
		return false;
	return true;
}

/* What is wrong with the path of a Unix socket; NULL for nothing. */
static const char *path_fault(const char *path)
{
	if (text_is_path(path))
		return NULL;
	if (strlen(path) >= CONF_UNIX_PATH)
		return "is longer than the 107 bytes of a Unix socket's path";
	if (*path == '@')
		return "is an abstract name, which every process of the machine may use; use a "
		       "path, whose file has permissions";
	return "has no absolute path; use unix:/path";
}

_Static_assert(CONF_UNIX_PATH == 108, "said above");

static bool explain_listen(const char *value, struct diagnostic *why)
{
	const char *path = conf_unix_path(value);
	char text[FORM_SHOWN];

	if (path == NULL && *value == '/')
		diagnostic_set(why, "%s is a path; use unix:PATH for a Unix socket",
			       show(value, text));
	else if (path == NULL)
		return explain_address(value, why);
	else
		diagnostic_set(why, "%s %s", form_show(value, text), path_fault(path));
	return true;
}

static bool explain_tls_listen(const char *value, struct diagnostic *why)
{
	return conf_is_tls(value) ? explain_address(conf_behind_tls(value), why)
				  : explain_listen(value, why);
}

static bool explain_log_format(const char *value, struct diagnostic *why)
{
	struct log_format format;

	return !log_format_parse(value, &format, why);
}

static bool explain_resolver(const char *value, struct diagnostic *why)
{
	const char *colon = strchrnul(value, ':');
	char shown[FORM_SHOWN];

	if (!text_is_name(value, (size_t)(colon - value)))
		return false;
	diagnostic_set(why, "%s is a name; use the address of the name server, as 192.0.2.53",
		       show(value, shown));
	return true;
}

static bool explain_port(const char *value, struct diagnostic *why)
{
	char shown[FORM_SHOWN];
	size_t digits = strspn(value, "0123456789");

	if (strchr(value, ',') != NULL)
		diagnostic_set(why, "%s is several; use one text for each", show(value, shown));
	else if (digits > 0 && value[digits] == '-' && lone_port(value + digits + 1) != NULL)
		diagnostic_set(why, "%s is not a range within 1-65535, lower port first",
			       show(value, shown));
	else if (digits > 0 && value[digits])
		diagnostic_set(why,
			       "%s is not a port; use 1 to 65535, a range as 8000-8999, or * "
			       "for all",
			       show(value, shown));
	else
		return false;
	return true;
}

/* Bits of a dotted netmask; -1 when it is not one. */
static int bits_of_mask(const char *text)
{
	struct in_addr mask;
	uint32_t number;

	if (inet_pton(AF_INET, text, &mask) != 1)
		return -1;
	number = ntohl(mask.s_addr);
	return (~number & (~number + 1)) == 0 ? __builtin_popcount(number) : -1;
}

static bool is_everything(const char *value)
{
	return strcmp(value, "*") == 0 || strcasecmp(value, "all") == 0 ||
	       strcasecmp(value, "any") == 0;
}

static bool explain_network(const char *value, struct diagnostic *why)
{
	const char *slash = strchr(value, '/');
	char shown[FORM_SHOWN], host[UNITS_HOST];
	uint16_t port;

	show(value, shown);
	if (is_everything(value))
		diagnostic_set(why, "%s is not a network; use 0.0.0.0/0 and ::/0 for all", value);
	else if (slash != NULL && bits_of_mask(slash + 1) >= 0)
		diagnostic_set(why, "%s has a netmask; use %.*s/%d", shown, (int)(slash - value),
			       value, bits_of_mask(slash + 1));
	else if (units_parse_address(value, host, &port))
		diagnostic_set(why, "%s has a port; use %s", shown, host);
	else if (*value == '[' && strchr(value, ']') != NULL)
		diagnostic_set(why, "%s has brackets; use the address without them, as 2001:db8::1",
			       shown);
	else if (text_is_name(value, strlen(value)) || strchr(value, '-') != NULL)
		diagnostic_set(why, "%s is not a network; use addresses in digits, as 10.0.0.0/8",
			       shown);
	else
		return false;
	return true;
}

static bool explain_sender(const char *value, struct diagnostic *why)
{
	char shown[FORM_SHOWN];

	if (conf_unix_path(value) == NULL)
		return explain_network(value, why);
	diagnostic_set(why, "%s has a path; use unix: for all Unix sockets of listen and gateway",
		       form_show(value, shown));
	return true;
}

static bool explain_destination(const char *value, struct diagnostic *why)
{
	const char *scheme = strstr(value, "://"), *host = scheme != NULL ? scheme + 3 : value;
	size_t length = strcspn(host, ":/?");
	char shown[FORM_SHOWN];

	show(value, shown);
	if (strcmp(value, "*") == 0)
		diagnostic_set(why, "* is not a destination; use 0.0.0.0/0 and ::/0 for all");
	else if (strncmp(value, "*.", 2) == 0 && text_is_host(value + 2))
		diagnostic_set(why, "%s has a *; use %s for a name and all below it", shown,
			       value + 1);
	else if (scheme != NULL && strchr(host, '@') == NULL && text_is_name(host, length))
		diagnostic_set(why, "%s is a URL; use the host alone: %.*s", shown, (int)length,
			       host);
	else if (scheme == NULL && host[length] == ':' && text_is_name(host, length))
		diagnostic_set(why, "%s has a port; use the host alone: %.*s", shown, (int)length,
			       host);
	else if (length > 1 && host[length] == '\0' && host[length - 1] == '.' &&
		 text_is_name(host, length - 1))
		diagnostic_set(why, "%s has a dot at its end; use %.*s", shown, (int)length - 1,
			       host);
	else
		return explain_network(value, why);
	return true;
}

static bool explain_host(const char *value, struct diagnostic *why)
{
	const char *name = value + (*value == '.' || *value == '*');
	char shown[FORM_SHOWN];

	if (!text_is_network(value) && (name == value || !text_is_host(name + (*name == '.'))))
		return explain_destination(value, why);
	diagnostic_set(why, "%s is %s", show(value, shown),
		       text_is_network(value) ? "an address, which needs no entry; use a name"
					      : "a domain; use the names themselves");
	return true;
}

static const char *path_of(const char *authority)
{
	const char *path = authority + strcspn(authority, "/?#");

	return *path && path[1] ? path : NULL;
}

/* The mistake in a URL, such as "has a path"; NULL when it is another one. */
static const char *origin_fault(const char *url)
{
	const char *scheme = strstr(url, "://"), *authority = scheme != NULL ? scheme + 3 : url;

	if (scheme == NULL)
		return "has no scheme; begin it with http://";
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return "is neither of http nor of https";
	if (memchr(authority, '@', strcspn(authority, "/?#")) != NULL)
		return "has a user; leave that out, as clients send their own";
	if (path_of(authority) != NULL)
		return "has a path, but a gateway is for a whole origin; leave out what follows "
		       "the host and port";
	return NULL;
}

static const char *parent_fault(const char *url)
{
	const char *scheme = strstr(url, "://"), *user = scheme != NULL ? scheme + 3 : url;
	const char *at = strrchr(user, '@'), *authority = at != NULL ? at + 1 : user;

	if (scheme == NULL)
		return "has no scheme; begin it with http://";
	if (strncasecmp(url, "http://", 7) != 0)
		return "is not of http, which a parent is asked over; use http://host:port";
	if (at != NULL && !text_is_userinfo(user, (size_t)(at - user)))
		return "has a user and password that cannot be read; use user:password, with %40 "
		       "for @ and %25 for %";
	if (path_of(authority) != NULL)
		return "has a path; leave out what follows the port";
	if (strchr(authority, ':') == NULL)
		return "has no port; use http://host:port";
	return NULL;
}

static bool explain_gateway(const char *value, struct diagnostic *why)
{
	const char *socket = strstr(value, "@unix:"), *fault;
	struct conf_gateway gateway;
	char shown[FORM_SHOWN];

	if (!conf_split_gateway(value, &gateway)) {
		if (socket == NULL || strchr(value, '=') == NULL)
			return false;
		diagnostic_set(why, "%s %s", form_show(socket + 1, shown), path_fault(socket + 6));
		return path_fault(socket + 6) != NULL;
	}
	if (!text_is_tls_listen(gateway.listen))
		return explain_tls_listen(gateway.listen, why);
	if (socket != NULL && path_fault(gateway.socket) != NULL) {
		diagnostic_set(why, "%s %s", form_show(socket + 1, shown),
			       path_fault(gateway.socket));
		return true;
	}
	fault = conf_unix_path(gateway.origin) != NULL ? "is a socket alone; name its origin as "
							 "well, as http://app.example@unix:/path"
						       : origin_fault(gateway.origin);
	if (fault != NULL)
		diagnostic_set(why, "%s %s", show(gateway.origin, shown), fault);
	return fault != NULL;
}

static bool explain_parent(const char *value, struct diagnostic *why)
{
	const char *fault = parent_fault(value);
	char shown[FORM_SHOWN];

	if (fault != NULL)
		diagnostic_set(why, "%s %s", show(value, shown), fault);
	return fault != NULL;
}

static bool explain_rule_parent(const char *value, struct diagnostic *why)
{
	char shown[FORM_SHOWN];

	if (*value != '\0')
		return explain_parent(value, why);
	diagnostic_set(why, "%s is not a parent proxy; use none to ask origins directly",
		       show(value, shown));
	return true;
}

static bool explain_query_name(const char *value, struct diagnostic *why)
{
	const char *sign = value + strcspn(value, "=&?#");
	char shown[FORM_SHOWN];

	if (*sign == '\0')
		return false;
	diagnostic_set(why, "%s has a %c in it; use the name alone, without value",
		       show(value, shown), *sign);
	return true;
}

static const struct {
	bool (*is)(const char *text);
	const char *name, *article, *wanted;
	/* A suggestion for a value that is not of the form; may be NULL. */
	bool (*explain)(const char *value, struct diagnostic *why);
} forms[] = {
	[FORM_ANY] = {text_is_any, "text", "a text",
		      "letters, digits and signs, no control characters"},
	[FORM_TOKEN] = {text_is_token, "token", "a token", "letters, digits and !#$%&'*+-.^_`|~"},
	[FORM_TOKEN_OR_NOTHING] = {text_is_token_or_nothing, "token", "the name of a field",
				   "X-Request-Id, or nothing"},
	[FORM_LOG_FORMAT] = {text_is_log_format, "json, squid, combined or $fields", "a format",
			     "json, squid, combined or fields, as $client $status",
			     explain_log_format},
	[FORM_LISTEN] = {text_is_listen, "ADDRESS:PORT or unix:/path", "an address with a port",
			 "127.0.0.1:3128, [::1]:3128 or unix:/run/cache204/proxy.sock",
			 explain_listen},
	[FORM_TLS_LISTEN] = {text_is_tls_listen, "[tls:]ADDRESS:PORT or unix:/path",
			     "an address with a port",
			     "127.0.0.1:3128, [::1]:3128 or unix:/run/cache204/proxy.sock",
			     explain_tls_listen},
	[FORM_MODE] = {text_is_mode, "octal mode", "a file's mode in octal", "0600 or 0660"},
	[FORM_RESOLVER] = {text_is_resolver, "ADDRESS[:PORT]", "the address of a name server",
			   "192.0.2.53, 192.0.2.53:53 or [2001:db8::53]:53", explain_resolver},
	[FORM_HOST] = {text_is_host, "name", "a host name", "proxy.example.com, without a port",
		       explain_host},
	[FORM_NETWORK] = {text_is_network, "network", "a network",
			  "10.0.0.0/8, fd00::/8 or 192.0.2.1", explain_network},
	[FORM_SENDER] = {text_is_sender, "network or unix:", "a network",
			 "10.0.0.0/8, fd00::/8 or 192.0.2.1, or unix: for Unix sockets",
			 explain_sender},
	[FORM_PORT] = {text_is_port, "port", "a port",
		       "1 to 65535, a range as 8000-8999, or * for all", explain_port},
	[FORM_DESTINATION] = {text_is_destination, "name, .domain or network", "a destination",
			      "example.com, .example.com or 10.0.0.0/8", explain_destination},
	[FORM_PARENT] = {text_is_parent, "URL", "a parent proxy",
			 "http://host:port or http://user:password@host:port", explain_parent},
	[FORM_GATEWAY] = {text_is_gateway, "[tls:]LISTEN=URL[@unix:/path]", "a gateway",
			  "127.0.0.1:3130=http://host:port", explain_gateway},
	[FORM_PATTERN] = {text_is_pattern, "pattern", "a pattern",
			  "example.com, .example.com, http://example.com/path* or */path*",
			  pattern_explain},
	[FORM_RULE_PARENT] = {text_is_rule_parent, "URL or none", "a parent proxy",
			      "http://host:port, http://user:password@host:port or none",
			      explain_rule_parent},
	[FORM_QUERY_NAME] = {text_is_query_name, "name", "the name of a query parameter",
			     "utm_source, or utm_* for all that begin so", explain_query_name},
};

/* "fe80::1%eth0", alone or in brackets: a link-local address of one interface. */
static bool has_zone(enum form form, const char *value)
{
	const char *percent = strchr(value, '%'), *at = percent;
	unsigned colons = 0;

	if (percent == NULL || form == FORM_ANY || form == FORM_LOG_FORMAT)
		return false;
	for (; at > value && (isxdigit((unsigned char)at[-1]) || at[-1] == ':'); at--)
		colons += at[-1] == ':';
	return colons >= 2 && (at == value || at[-1] == '[');
}

/* A network with bits beyond its length is likely a slip: say which network it lies in. */
static bool check_host_bits(const char *value, struct diagnostic *why)
{
	struct units_network network;
	char address[UNITS_HOST];

	if (!units_parse_network(value, &network) || !units_network_mask(&network))
		return true;
	inet_ntop(network.family, network.address, address, sizeof(address));
	diagnostic_set(why, "%s has bits beyond its length; use %s/%u", value, address,
		       network.bits);
	return false;
}

bool form_check(enum form form, const char *value, struct diagnostic *why)
{
	char shown[FORM_SHOWN];

	if (!forms[form].is(value)) {
		if (has_zone(form, value)) {
			diagnostic_set(why,
				       "%s has a zone id, which is not supported; use an address "
				       "that is not link-local",
				       show(value, shown));
			return false;
		}
		if (forms[form].explain != NULL && text_is_any(value) &&
		    forms[form].explain(value, why))
			return false;
		diagnostic_set(why, "%s is not %s; use %s", show(value, shown), forms[form].article,
			       forms[form].wanted);
		return false;
	}
	if (form == FORM_NETWORK || form == FORM_SENDER || form == FORM_DESTINATION)
		return check_host_bits(value, why);
	return true;
}

char *form_normal(enum form form, const char *value)
{
	char with_port[UNITS_HOST + 9];
	size_t length = strlen(value);

	if (form == FORM_RESOLVER && text_add_resolver_port(value, with_port))
		return strdup(with_port);
	if (form == FORM_RULE_PARENT &&
	    (strcasecmp(value, "direct") == 0 || strcasecmp(value, "none") == 0))
		return strdup("none");
	if ((form == FORM_PARENT || form == FORM_RULE_PARENT ||
	     (form == FORM_GATEWAY && strstr(value, "@unix:") == NULL)) &&
	    length > 0 && value[length - 1] == '/')
		length--;
	return strndup(value, length);
}

const char *form_name(enum form form)
{
	return forms[form].name;
}
