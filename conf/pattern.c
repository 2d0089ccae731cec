/* Reads the patterns of rules, and compares paths with them. */
#include "conf/pattern.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cache/base/ascii.h"
#include "conf/form_texts.h"

/* ---- paths ---------------------------------------------------------------------------------- */

/* The byte that begins at `i`, and how many bytes it is written in. */
static char byte_at(struct slice text, size_t i, size_t *ret_n)
{
	int high, low;

	*ret_n = 1;
	if (text.p[i] != '%' || text.n - i < 3)
		return text.p[i];
	high = ascii_hex(text.p[i + 1]);
	low = ascii_hex(text.p[i + 2]);
	if (high < 0 || low < 0)
		return text.p[i];
	*ret_n = 3;
	return (char)(high << 4 | low);
}

/* In place, too. */
static size_t decode(struct slice text, char *to)
{
	size_t n = 0, width;

	for (size_t i = 0; i < text.n; i += width)
		to[n++] = byte_at(text, i, &width);
	return n;
}

enum { NO_DOTS = 3 };

/* How many dots a segment is made of, NO_DOTS for another one. */
static size_t dots_of(enum pattern_form form, struct slice segment)
{
	size_t dots = 0, width = 1;

	for (size_t i = 0; i < segment.n && dots < NO_DOTS; i += width) {
		char byte = (form & PATTERN_LATE_SLASH) != 0 ? byte_at(segment, i, &width)
							     : segment.p[i];

		dots = byte == '.' ? dots + 1 : NO_DOTS;
	}
	return dots;
}

/* A segment ended: takes it back when it is a dot segment.  Returns the new length. */
static size_t end_segment(enum pattern_form form, const char *to, size_t n)
{
	size_t start = n, dots;

	while (start > 0 && to[start - 1] != '/')
		start--;
	dots = dots_of(form, slice_of(to + start, n - start));
	if (start == 0 || dots == NO_DOTS)
		return n;
	if (dots < 2) /* "." or empty */
		return start;
	/* before the slash of the one above, which stays */
	for (start--; start > 0 && to[start - 1] != '/'; start--)
		;
	return start > 0 ? start : 1;
}

static size_t add_slash(enum pattern_form form, char *to, size_t n)
{
	bool is_folded = false;

	if ((form & PATTERN_FOLDED) != 0) {
		size_t folded = end_segment(form, to, n);

		is_folded = folded != n;
		n = folded;
	}
	if ((is_folded || (form & PATTERN_MERGED) != 0) && n > 0 && to[n - 1] == '/')
		return n;
	to[n++] = '/';
	return n;
}

size_t pattern_path_in(enum pattern_form form, struct slice path, char *to)
{
	/* with a late slash the segments are told apart first, and decoded then */
	bool is_late = (form & PATTERN_LATE_SLASH) != 0;
	size_t n = 0, i = 0, width = 1;

	for (; i < path.n && path.p[i] != '?'; i += width) {
		char byte = is_late ? path.p[i] : byte_at(path, i, &width);

		if (byte == '/')
			n = add_slash(form, to, n);
		else
			to[n++] = byte;
	}
	if ((form & PATTERN_FOLDED) != 0)
		n = end_segment(form, to, n);
	if (is_late)
		n = decode(slice_of(to, n), to);
	return n + decode(slice_of(path.p + i, path.n - i), to + n);
}

size_t pattern_plain_path(struct slice path, char *to)
{
	return pattern_path_in(PATTERN_PLAIN, path, to);
}

bool pattern_path_is_plain(struct slice path)
{
	char before = 0;
	bool in_path = true;

	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];

		if (c == '%' || (in_path && before == '/' && (c == '/' || c == '.')))
			return false;
		in_path &= c != '?';
		before = c;
	}
	return true;
}

bool pattern_path_fits(const char *path, struct slice text)
{
	const char *star = strchrnul(path, '*');
	size_t n = (size_t)(star - path);

	if (text.n < n || memcmp(text.p, path, n) != 0)
		return false;
	if (*star == '\0')
		return text.n == n;
	text = slice_of(text.p + n, text.n - n);
	for (path = star + 1;; path = star + 1) {
		const char *found;

		star = strchrnul(path, '*');
		n = (size_t)(star - path);
		if (*star == '\0')
			return text.n >= n && memcmp(text.p + text.n - n, path, n) == 0;
		found = memmem(text.p, text.n, path, n);
		if (found == NULL)
			return false;
		text.n -= (size_t)(found - text.p) + n;
		text.p = found + n;
	}
}

/* ---- hosts ---------------------------------------------------------------------------------- */

bool pattern_host_normal(struct slice host, char to[static PATTERN_HOST], size_t *ret_length)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (host.n < 2 || host.p[0] != '[' || host.p[host.n - 1] != ']' ||
	    host.n - 2 >= sizeof(text))
		return false;
	memcpy(text, host.p + 1, host.n - 2);
	text[host.n - 2] = '\0';
	if (strlen(text) != host.n - 2 || inet_pton(AF_INET6, text, &address) != 1)
		return false;
	if (IN6_IS_ADDR_V4MAPPED(&address)) {
		inet_ntop(AF_INET, address.s6_addr + 12, to, PATTERN_HOST);
	} else {
		inet_ntop(AF_INET6, &address, to + 1, PATTERN_HOST - 2);
		to[0] = '[';
		strcat(to, "]");
	}
	*ret_length = strlen(to);
	return true;
}

/* A pattern in parts, which are views of its text. */
struct parts {
	enum pattern_scheme scheme;
	struct slice host, port; /* port.p is NULL without a colon */
	const char *path;        /* "" for none */
};

/* False when the scheme is another one. */
static bool split(const char *text, struct parts *ret)
{
	const char *behind = strstr(text, "://"), *end, *colon;

	*ret = (struct parts){.scheme = PATTERN_ANY_SCHEME};
	/* "://" in a path is none of a scheme */
	if (behind != NULL && strcspn(text, "/?") > (size_t)(behind - text)) {
		if (strncasecmp(text, "http://", 7) == 0)
			ret->scheme = PATTERN_HTTP;
		else if (strncasecmp(text, "https://", 8) == 0)
			ret->scheme = PATTERN_HTTPS;
		else
			return false;
		text = behind + 3;
	}
	end = text + strcspn(text, "/?#");
	ret->path = end;
	colon = *text == '[' ? memchr(text, ']', (size_t)(end - text)) : text;
	colon = colon != NULL ? memchr(colon, ':', (size_t)(end - colon)) : NULL;
	if (colon != NULL)
		ret->port = slice_of(colon + 1, (size_t)(end - colon) - 1);
	ret->host = slice_of(text, (size_t)((colon != NULL ? colon : end) - text));
	return true;
}

static bool read_port(struct slice text, uint16_t *ret_port)
{
	char digits[8];
	uint16_t last;

	if (text.n == 0 || text.n >= sizeof(digits))
		return false;
	memcpy(digits, text.p, text.n);
	digits[text.n] = '\0';
	return units_parse_ports(digits, ret_port, &last) && *ret_port == last;
}

/* Without the dot that begins a domain, and the one that ends a name. */
static struct slice bare_name(struct slice host)
{
	if (host.n > 1 && host.p[0] == '.')
		host = slice_of(host.p + 1, host.n - 1);
	if (host.n > 1 && host.p[host.n - 1] == '.')
		host.n--;
	return host;
}

static bool is_ipv4(struct slice host)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	if (host.n == 0 || host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(AF_INET, text, &address) == 1;
}

static bool is_host(struct slice host)
{
	struct slice name = bare_name(host);
	char normal[PATTERN_HOST];
	size_t n;

	return slice_eq(host, SLICE("*")) || is_ipv4(host) || text_is_name(name.p, name.n) ||
	       pattern_host_normal(host, normal, &n);
}

/* ---- what is wrong -------------------------------------------------------------------------- */

static bool has_dot_segment(const char *path)
{
	size_t n = strcspn(path, "?"), width, dots = 0, others = 0;

	for (size_t i = 0; i < n; i += width) {
		char byte = byte_at(slice_of(path, n), i, &width);

		if (byte != '/') {
			dots += byte == '.';
			others += byte != '.';
			continue;
		}
		if (others == 0 && (dots == 1 || dots == 2))
			return true;
		dots = others = 0;
	}
	return others == 0 && (dots == 1 || dots == 2);
}

static const char *path_fault(const char *path)
{
	if (*path == '?')
		return "has a ? behind the host; begin the path with /";
	if (strchr(path, '#') != NULL)
		return "has a #, which is never sent; write %23 for the character";
	if (has_dot_segment(path))
		return "has a . or .. segment, which no path has when it is compared";
	if (strcasestr(path, "%2a") != NULL || strstr(path, "%00") != NULL)
		return "has %2A or %00, which cannot be compared; use * for any bytes";
	for (; *path; path++)
		if ((unsigned char)*path <= ' ' || *path == 0x7f)
			return "has a space or control character; write it as %20 and the like";
	return NULL;
}

static bool host_fault(const char *text, const struct parts *parts, struct diagnostic *why)
{
	struct slice host = parts->host, name = host;
	char shown[FORM_SHOWN];
	uint16_t port;

	form_show(text, shown);
	if (host.n > 2 && host.p[0] == '*' && host.p[1] == '.')
		name = slice_of(host.p + 1, host.n - 1);
	if (name.n != host.n && is_host(name))
		diagnostic_set(why, "%s has a *; use %.*s for a name and all below it", shown,
			       (int)name.n, name.p);
	else if (host.n == 0 && *parts->path == '/')
		diagnostic_set(why, "%s has no host; use *%s for any", shown, shown);
	else if (host.n > 0 && memchr(host.p, '@', host.n) != NULL)
		diagnostic_set(why, "%s has a user, which no target has; leave it out", shown);
	else if (!is_host(host))
		diagnostic_set(why,
			       "%s has no host; begin with a name, an address, .domain, or * for "
			       "any, then the path",
			       shown);
	else if (parts->port.p != NULL && !read_port(parts->port, &port))
		diagnostic_set(why, "%s has no port behind the colon; use 1 to 65535", shown);
	else
		return false;
	return true;
}

/* As other caches have them. */
static bool is_expression(const char *text)
{
	return *text == '^' || *text == '~' || strchr(text, '\\') != NULL ||
	       strstr(text, "(?") != NULL;
}

bool pattern_explain(const char *text, struct diagnostic *why)
{
	struct parts parts;
	char shown[FORM_SHOWN];

	form_show(text, shown);
	if (strlen(text) > PATTERN_MAX)
		diagnostic_set(why, "%s is longer than %d bytes", shown, PATTERN_MAX);
	else if (is_expression(text))
		diagnostic_set(why,
			       "%s is a regular expression; use host/path, with * for any bytes of "
			       "the path",
			       shown);
	else if (strchr(text, '/') != NULL && text_is_network(text))
		diagnostic_set(why, "%s is a network; a rule is for a name or one address", shown);
	else if (!split(text, &parts))
		diagnostic_set(why, "%s is neither of http nor of https", shown);
	else if (host_fault(text, &parts, why))
		return true;
	else if (path_fault(parts.path) != NULL)
		diagnostic_set(why, "%s %s", shown, path_fault(parts.path));
	else
		return false;
	return true;
}

bool text_is_pattern(const char *text)
{
	struct diagnostic ignored;

	return !pattern_explain(text, &ignored);
}

/* ---- reading -------------------------------------------------------------------------------- */

static char *read_host(struct slice host)
{
	struct slice name = bare_name(host);
	char normal[PATTERN_HOST];
	size_t n;
	char *text;

	if (pattern_host_normal(host, normal, &n))
		return strndup(normal, n);
	text = strndup(name.p, name.n);
	for (size_t i = 0; text != NULL && i < name.n; i++)
		text[i] = ascii_lower(text[i]);
	return text;
}

static uint16_t port_of(const struct parts *parts)
{
	uint16_t port = 0;

	if (parts->port.p != NULL)
		read_port(parts->port, &port);
	else if (parts->scheme != PATTERN_ANY_SCHEME)
		port = parts->scheme == PATTERN_HTTP ? 80 : 443;
	return port;
}

bool pattern_read(const char *text, struct pattern *ret_pattern)
{
	struct parts parts;
	bool any_host, has_path;
	size_t n;

	split(text, &parts);
	any_host = slice_eq(parts.host, SLICE("*"));
	has_path = *parts.path != '\0' && strcmp(parts.path, "/*") != 0;
	*ret_pattern = (struct pattern){
		.scheme = parts.scheme,
		.below = !any_host && parts.host.p[0] == '.',
		.port = port_of(&parts),
		.host = any_host ? NULL : read_host(parts.host),
		.path = has_path ? strdup(parts.path) : NULL,
		.plain = has_path ? calloc(1, strlen(parts.path) + 1) : NULL,
	};
	if ((ret_pattern->host == NULL) != any_host || (ret_pattern->path == NULL) == has_path ||
	    (ret_pattern->plain == NULL) == has_path)
		return false;
	if (has_path) {
		n = pattern_plain_path(slice_str(parts.path), ret_pattern->plain);
		ret_pattern->plain[n] = '\0';
	}
	return true;
}

void pattern_free(struct pattern *pattern)
{
	free(pattern->host);
	free(pattern->path);
	free(pattern->plain);
}
