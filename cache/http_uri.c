/* Request targets, their normal form, and references resolved against them. */
#include "cache/http_uri.h"

#include <arpa/inet.h>

enum { NAME_LENGTH_MAX = 253, PORT_DIGITS_MAX = 5 };

static bool is_alpha(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

enum { IN_TARGET = 1, IN_NAME = 2 };

/*
 * What a byte may be in.  Targets: 0x21-0x7e but for "<>\^`{|}, and no '#' since fragments are not
 * sent (RFC 9110 4.2.5).  Names of hosts: letters, digits, '-' and '_'; the dots are seen to apart.
 */
static const uint8_t byte_class[256] = {
	/* clang-format off */
	[0x20] =
	0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, /*  !"#$%&'()*+,-./ */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 0, 1, 0, 1, /* 0123456789:;<=>? */
	1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* @ABCDEFGHIJKLMNO */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 0, 1, 0, 3, /* PQRSTUVWXYZ[\]^_ */
	0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* `abcdefghijklmno */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 1, 0, /* pqrstuvwxyz{|}~  */
	/* clang-format on */
};

static inline bool is_in(char c, unsigned what)
{
	return byte_class[(unsigned char)c] & what;
}

static bool has_target_bytes(struct slice s)
{
	unsigned all = IN_TARGET;

	/* No way out of the loop: targets are nearly always good, and it runs for every request. */
	for (size_t i = 0; i < s.n; i++)
		all &= byte_class[(unsigned char)s.p[i]];
	return all;
}

static struct slice slice_from(struct slice s, size_t i)
{
	return i > 0 ? slice_of(s.p + i, s.n - i) : s;
}

/* Where the first byte that is one of the two is, or s.n. */
static size_t find_either(struct slice s, char a, char b)
{
	size_t i = 0;

	while (i < s.n && s.p[i] != a && s.p[i] != b)
		i++;
	return i;
}

static size_t find_byte(struct slice s, char c)
{
	return find_either(s, c, c);
}

/*
 * A name of the DNS, or an IPv4 address in any spelling: it is the address found that is checked
 * before it is connected to.  RFC 3986 would allow more bytes, but none that a name can be looked
 * up by.
 */
static bool is_name(struct slice host)
{
	size_t label = 0;

	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--; /* the root: "example.com." is a complete name */
	if (host.n == 0 || host.n > NAME_LENGTH_MAX)
		return false;
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (is_in(c, IN_NAME)) {
			if (++label > URI_LABEL_MAX)
				return false;
		} else {
			return false;
		}
	}
	return label > 0;
}

/* Without its brackets.  Zone ids and "IPvFuture" are refused: inet_pton() knows neither. */
static bool is_ipv6(struct slice address)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	if (address.n >= sizeof(text) || memchr(address.p, 0, address.n))
		return false;
	memcpy(text, address.p, address.n);
	text[address.n] = 0;
	return inet_pton(AF_INET6, text, &ignored) == 1;
}

static bool parse_port(struct slice digits, uint16_t *ret_port)
{
	uint32_t port = 0;

	if (digits.n == 0 || digits.n > PORT_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < digits.n; i++) {
		if (!is_digit(digits.p[i]))
			return false;
		port = port * 10 + (uint32_t)(digits.p[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* host [ ":" port ]; *ret_port is 0 when there is none.  Userinfo has no place in it. */
static bool parse_authority(struct slice authority, struct slice *ret_host, uint16_t *ret_port)
{
	struct slice rest;
	size_t host_n;

	if (authority.n > 0 && authority.p[0] == '[') {
		host_n = find_byte(authority, ']') + 1;
		if (host_n > authority.n || !is_ipv6(slice_of(authority.p + 1, host_n - 2)))
			return false;
	} else {
		host_n = find_byte(authority, ':');
		if (!is_name(slice_of(authority.p, host_n)))
			return false;
	}

	*ret_host = slice_of(authority.p, host_n);
	*ret_port = 0;
	rest = slice_from(authority, host_n);
	if (rest.n == 0)
		return true;
	return rest.p[0] == ':' && parse_port(slice_from(rest, 1), ret_port);
}

/* Length of a scheme before its colon (RFC 3986 3.1), 0 when the text does not begin with one. */
static size_t scheme_length(struct slice text)
{
	size_t i = 0;

	if (text.n == 0 || !is_alpha(text.p[0]))
		return 0;
	while (i < text.n && (is_alpha(text.p[i]) || is_digit(text.p[i]) || text.p[i] == '+' ||
			      text.p[i] == '-' || text.p[i] == '.'))
		i++;
	return i < text.n && text.p[i] == ':' ? i : 0;
}

/* "//" authority path, with bytes checked already. */
static bool parse_hierarchy(enum http_scheme scheme, struct slice text, struct http_uri *ret_uri)
{
	struct http_uri uri = {.scheme = scheme};
	size_t authority_n;

	if (text.n < 2 || text.p[0] != '/' || text.p[1] != '/')
		return false;
	text = slice_from(text, 2);
	authority_n = find_either(text, '/', '?');
	if (!parse_authority(slice_of(text.p, authority_n), &uri.host, &uri.port))
		return false;
	if (uri.port == 0)
		uri.port = http_scheme_port(scheme);
	uri.path = slice_from(text, authority_n);
	*ret_uri = uri;
	return true;
}

enum http_uri_result http_uri_parse_absolute(struct slice target, struct http_uri *ret_uri)
{
	struct slice name = slice_of(target.p, scheme_length(target));
	enum http_scheme scheme;

	if (name.n == 0 || !has_target_bytes(target))
		return URI_BAD;
	if (slice_ieq(name, SLICE("http")))
		scheme = SCHEME_HTTP;
	else if (slice_ieq(name, SLICE("https")))
		scheme = SCHEME_HTTPS;
	else
		return URI_BAD_SCHEME;
	return parse_hierarchy(scheme, slice_from(target, name.n + 1), ret_uri) ? URI_OK : URI_BAD;
}

enum http_uri_result http_uri_parse_authority(struct slice target, struct http_uri *ret_uri)
{
	struct http_uri uri = {.scheme = SCHEME_HTTPS};

	if (!parse_authority(target, &uri.host, &uri.port) || uri.port == 0)
		return URI_BAD;
	uri.path = slice_of(target.p + target.n, 0);
	*ret_uri = uri;
	return URI_OK;
}

bool http_uri_path_is_valid(struct slice path)
{
	return path.n > 0 && path.p[0] == '/' && has_target_bytes(path);
}

bool http_host_is_valid(struct slice host)
{
	struct slice name;
	uint16_t port;

	return parse_authority(host, &name, &port);
}

uint16_t http_scheme_port(enum http_scheme scheme)
{
	return scheme == SCHEME_HTTPS ? 443 : 80;
}

static size_t write_port(uint16_t port, char *to)
{
	char digits[PORT_DIGITS_MAX];
	size_t n = 0;

	for (unsigned rest = port; rest > 0; rest /= 10)
		digits[n++] = (char)('0' + rest % 10);
	for (size_t i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}

size_t http_uri_authority(const struct http_uri *uri, char *to)
{
	size_t n = uri->host.n;

	for (size_t i = 0; i < n; i++)
		to[i] = to_lower(uri->host.p[i]);
	if (uri->port != http_scheme_port(uri->scheme)) {
		to[n++] = ':';
		n += write_port(uri->port, to + n);
	}
	return n;
}

static size_t write_origin(const struct http_uri *uri, char *to)
{
	struct slice prefix = uri->scheme == SCHEME_HTTPS ? SLICE("https://") : SLICE("http://");

	memcpy(to, prefix.p, prefix.n);
	return prefix.n + http_uri_authority(uri, to + prefix.n);
}

size_t http_uri_normal_max(const struct http_uri *uri)
{
	return sizeof("https://") - 1 + uri->host.n + 1 + PORT_DIGITS_MAX + 1 + uri->path.n;
}

size_t http_uri_normal(const struct http_uri *uri, char *to)
{
	size_t n = write_origin(uri, to);

	if (uri->path.n == 0 || uri->path.p[0] != '/')
		to[n++] = '/';
	if (uri->path.n > 0)
		memcpy(to + n, uri->path.p, uri->path.n);
	return n + uri->path.n;
}

/*
 * Remove "." and ".." segments (RFC 3986 5.2.4) from a path that begins with '/', in place; returns
 * its new length.  Each byte is written at most once and taken back at most once.
 */
static size_t remove_dot_segments(char *path, size_t n)
{
	size_t out = 0;
	size_t i = 0;

	while (i < n) {
		struct slice rest = slice_of(path + i + 1, n - i - 1);
		struct slice segment = slice_of(rest.p, find_byte(rest, '/'));
		bool is_last = segment.n == rest.n;
		bool is_up = slice_eq(segment, SLICE(".."));
		size_t whole = segment.n + 1;

		if (is_up || slice_eq(segment, SLICE("."))) {
			while (is_up && out > 0 && path[--out] != '/')
				;
			if (is_last)
				path[out++] = '/';
		} else {
			memmove(path + out, path + i, whole);
			out += whole;
		}
		i += whole;
	}
	return out;
}

/* A path in three parts: the directory it is relative to, if any, and the reference's path and
 * query. */
struct merged {
	struct slice directory;
	struct slice path;
	struct slice query;
	bool keep_dots; /* the path is the base's own: it stays as it was asked for */
};

/* RFC 3986 5.2.2 for a reference without scheme and authority. */
static struct merged merge(const struct http_uri *base, struct slice reference)
{
	struct slice base_path = slice_of(base->path.p, find_byte(base->path, '?'));
	size_t path_n = find_byte(reference, '?');
	struct merged merged = {
		.path = slice_of(reference.p, path_n),
		.query = slice_from(reference, path_n),
	};

	if (path_n == 0) {
		merged.path = base_path;
		merged.keep_dots = true;
		if (merged.query.n == 0)
			merged.query = slice_from(base->path, base_path.n);
	} else if (reference.p[0] != '/') {
		while (base_path.n > 0 && base_path.p[base_path.n - 1] != '/')
			base_path.n--;
		merged.directory = base_path;
	}
	return merged;
}

static size_t append(char *to, size_t n, struct slice s)
{
	if (s.n > 0)
		memcpy(to + n, s.p, s.n);
	return n + s.n;
}

static bool write_merged(const struct http_uri *origin, const struct merged *merged, char *to,
			 size_t size, size_t *ret_length)
{
	char head[sizeof("https://") + URI_HOST_MAX + 1 + PORT_DIGITS_MAX];
	size_t head_n = write_origin(origin, head);
	struct slice first = merged->directory.n > 0 ? merged->directory : merged->path;
	bool slash = first.n == 0 || first.p[0] != '/';
	size_t n;

	if (head_n + slash + merged->directory.n + merged->path.n + merged->query.n > size)
		return false;
	n = append(to, 0, slice_of(head, head_n));
	if (slash)
		to[n++] = '/';
	n = append(to, n, merged->directory);
	n = append(to, n, merged->path);
	if (!merged->keep_dots)
		n = head_n + remove_dot_segments(to + head_n, n - head_n);
	*ret_length = append(to, n, merged->query);
	return true;
}

static bool is_same_origin(const struct http_uri *a, const struct http_uri *b)
{
	return a->scheme == b->scheme && a->port == b->port && slice_ieq(a->host, b->host);
}

bool http_uri_resolve_same_origin(const struct http_uri *base, struct slice reference, char *to,
				  size_t size, size_t *ret_length)
{
	struct http_uri uri;
	struct merged merged;

	reference.n = find_byte(reference, '#');
	if (!has_target_bytes(reference))
		return false;
	if (scheme_length(reference) > 0) {
		if (http_uri_parse_absolute(reference, &uri) != URI_OK)
			return false;
	} else if (reference.n >= 2 && memcmp(reference.p, "//", 2) == 0) {
		if (!parse_hierarchy(base->scheme, reference, &uri))
			return false;
	} else {
		merged = merge(base, reference);
		return write_merged(base, &merged, to, size, ret_length);
	}
	if (!is_same_origin(base, &uri))
		return false;
	/* Whatever its path is, none of the base's goes into it. */
	merged = (struct merged){
		.path = slice_of(uri.path.p, find_byte(uri.path, '?')),
	};
	merged.query = slice_from(uri.path, merged.path.n);
	return write_merged(&uri, &merged, to, size, ret_length);
}
