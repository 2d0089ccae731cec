/* Request targets, their normal form, and references resolved against them. */
#include "cache/http/uri.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "cache/base/ascii.h"
#include "cache/base/decimal.h"

enum {
	NAME_LENGTH_MAX = 253,
	PORT_DIGITS_MAX = 5,
	ADDRESS_GROWTH =
		8, /* at most, of an IPv6 address in its normal form: "::1:1" is ::0.1.0.1 */
};

enum { IN_TARGET = 1, IN_NAME = 2, IS_UPPER = 4 };

/*
 * Where each byte may occur.  In path and query: all but controls, SP, DEL and '#', since fragments
 * are not sent (RFC 9110 4.2.5).  Clients send more than RFC 3986 allows, browsers by their own
 * standard, and origins expect it.  In host names: letters, digits, '-' and '_'; dots are handled
 * separately.
 */
#define ONES 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
static const uint8_t byte_class[256] = {
	/* clang-format off */
	[0x20] =
	0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 1, 1, /*  !"#$%&'()*+,-./ */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, /* 0123456789:;<=>? */
	1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, /* @ABCDEFGHIJKLMNO */
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 1, 1, 1, 3, /* PQRSTUVWXYZ[\]^_ */
	1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, /* `abcdefghijklmno */
	3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 0, /* pqrstuvwxyz{|}~  */
	[0x80] = ONES, ONES, ONES, ONES, ONES, ONES, ONES, ONES,
	/* clang-format on */
};

static inline bool is_in(char c, unsigned what)
{
	return byte_class[(unsigned char)c] & what;
}

static bool has_target_bytes(struct slice s)
{
	unsigned all = IN_TARGET;

	/* No early exit: targets are nearly always valid, and this runs for every request. */
	for (size_t i = 0; i < s.n; i++)
		all &= byte_class[(unsigned char)s.p[i]];
	return all & IN_TARGET;
}

static struct slice slice_from(struct slice s, size_t i)
{
	return i > 0 ? slice_of(s.p + i, s.n - i) : s;
}

/* Where the first such byte is, or s.n. */
static size_t find_byte(struct slice s, char c)
{
	size_t i = 0;

	while (i < s.n && s.p[i] != c)
		i++;
	return i;
}

/*
 * The length of a name at the start of the text, 0 when there is none: of the DNS, or an IPv4
 * address.  RFC 3986 allows more bytes, but not in names that can be looked up.
 */
static size_t name_length(struct slice text, bool *ret_is_lower)
{
	unsigned seen = 0;
	size_t label = 0; /* where it begins */
	size_t i, n;

	for (i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (is_in(c, IN_NAME)) {
			seen |= byte_class[(unsigned char)c];
			continue;
		}
		if (c != '.')
			break;
		if (i == label || i - label > URI_LABEL_MAX)
			return 0;
		label = i + 1;
	}
	*ret_is_lower = !(seen & IS_UPPER);
	/* A dot at the end is the root: "example.com." is a complete name. */
	n = i > 0 && i == label ? i - 1 : i;
	return n > 0 && n <= NAME_LENGTH_MAX && i - label <= URI_LABEL_MAX ? i : 0;
}

/* Without its brackets.  Zone ids and "IPvFuture" are refused: inet_pton() knows neither. */
static bool read_ipv6(struct slice text, struct in6_addr *ret_address)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.n >= sizeof(copy) || memchr(text.p, 0, text.n) != NULL)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = 0;
	return inet_pton(AF_INET6, copy, ret_address) == 1;
}

static bool is_ipv6(struct slice text)
{
	struct in6_addr ignored;

	return read_ipv6(text, &ignored);
}

/* The digits of a port at the start of the text; false unless they are one of 1 to 65535. */
static bool take_port(struct slice text, size_t *ret_n, uint16_t *ret_port)
{
	struct decimal port = decimal_take(text, UINT16_MAX);

	*ret_n = port.digits;
	*ret_port = (uint16_t)port.number;
	return port.number > 0 && !port.too_large && port.digits <= PORT_DIGITS_MAX;
}

/* Four numbers up to 255, without zeros in front of them (RFC 3986 3.2.2). */
static bool is_dotted_quad(struct slice text)
{
	for (unsigned part = 0;; part++) {
		struct decimal number = decimal_take(text, 255);

		if (number.digits == 0 || number.too_large ||
		    (number.digits > 1 && text.p[0] == '0'))
			return false;
		text = slice_of(text.p + number.digits, text.n - number.digits);
		if (part == 3)
			return text.n == 0;
		if (text.n == 0 || text.p[0] != '.')
			return false;
		text = slice_of(text.p + 1, text.n - 1);
	}
}

/* Called for each target, so inlined into its only caller here. */
static inline bool is_number(struct slice label)
{
	bool hex = label.n >= 2 && label.p[0] == '0' && (label.p[1] | 0x20) == 'x';

	for (size_t i = hex ? 2 : 0; i < label.n; i++) {
		char c = (char)(label.p[i] | 0x20);

		if (!ascii_is_digit(label.p[i]) && !(hex && c >= 'a' && c <= 'f'))
			return false;
	}
	return label.n > 0;
}

bool http_label_is_number(struct slice label)
{
	return is_number(label);
}

/* The last label of a name, without the dot of the root. */
static struct slice last_label(struct slice name)
{
	size_t i;

	if (name.p[name.n - 1] == '.')
		name.n--;
	for (i = name.n; i > 0 && name.p[i - 1] != '.'; i--)
		;
	return slice_from(name, i);
}

/*
 * Whether some software would read a host as an address and other software as a name: it ends in a
 * number but is not a dotted quad, as "127.1", "0x7f.1", "2130706433" (HAZARDS T3, T6).
 */
static bool is_ambiguous(struct slice host)
{
	struct slice label;

	if (host.p[0] == '[')
		return false;
	label = last_label(host);
	return ascii_is_digit(label.p[0]) && is_number(label) && !is_dotted_quad(host);
}

/* host [ ":" port ] at the start of a text.  Userinfo has no place in it. */
struct authority {
	struct slice host;
	size_t length;
	uint16_t port;  /* 0 when there is none */
	bool is_normal; /* in lower case, no zeros before the port */
};

static bool take_host(struct slice text, struct authority *authority)
{
	size_t n;

	authority->is_normal = false;
	if (text.n > 0 && text.p[0] == '[') {
		n = find_byte(text, ']') + 1;
		if (n > text.n || !is_ipv6(slice_of(text.p + 1, n - 2)))
			return false;
	} else {
		n = name_length(text, &authority->is_normal);
	}
	authority->host = slice_of(text.p, n);
	authority->length = n;
	authority->port = 0;
	return n > 0;
}

static bool take_authority(struct slice text, struct authority *ret_authority)
{
	struct slice digits;
	size_t n;

	if (!take_host(text, ret_authority))
		return false;
	if (ret_authority->length == text.n || text.p[ret_authority->length] != ':')
		return true;
	digits = slice_from(text, ret_authority->length + 1);
	if (!take_port(digits, &n, &ret_authority->port))
		return false;
	ret_authority->length += n + 1;
	ret_authority->is_normal &= digits.p[0] != '0';
	return true;
}

/* Length of a scheme before its colon (RFC 3986 3.1), 0 when the text does not begin with one. */
static size_t scheme_length(struct slice text)
{
	size_t i = 1;

	if (text.n == 0 || !ascii_is_alpha(text.p[0]))
		return 0;
	while (i < text.n && (ascii_is_alpha(text.p[i]) || ascii_is_digit(text.p[i]) ||
			      text.p[i] == '+' || text.p[i] == '-' || text.p[i] == '.'))
		i++;
	return i < text.n && text.p[i] == ':' ? i : 0;
}

/* "//" authority path; *ret_is_normal leaves the scheme out. */
static bool parse_hierarchy(enum http_scheme scheme, struct slice text, struct http_uri *ret_uri,
			    bool *ret_is_normal)
{
	uint16_t usual = http_scheme_port(scheme);
	struct authority authority;
	struct slice path;

	if (text.n < 2 || text.p[0] != '/' || text.p[1] != '/')
		return false;
	text = slice_from(text, 2);
	if (!take_authority(text, &authority) || is_ambiguous(authority.host))
		return false;
	path = slice_from(text, authority.length);
	if (path.n > 0 && ((path.p[0] != '/' && path.p[0] != '?') || !has_target_bytes(path)))
		return false;
	*ret_is_normal =
		authority.is_normal && authority.port != usual && path.n > 0 && path.p[0] == '/';
	*ret_uri = (struct http_uri){
		.scheme = scheme,
		.host = authority.host,
		.port = authority.port > 0 ? authority.port : usual,
		.path = path,
	};
	return true;
}

/* The kind of mistake in a target of ours that cannot be parsed, for the message to its sender. */
static enum http_uri_result fault_of(struct slice target)
{
	size_t begin = scheme_length(target);
	struct slice authority;

	if (find_byte(target, '#') < target.n)
		return URI_FRAGMENT;
	if (target.n < begin + 3 || memcmp(target.p + begin, "://", 3) != 0)
		return URI_BAD;
	authority = slice_from(target, begin + 3);
	authority.n = find_byte(authority, '/');
	return find_byte(authority, '@') < authority.n ? URI_USERINFO : URI_BAD;
}

static enum http_uri_result parse_other(struct slice target, struct http_uri *ret_uri)
{
	struct slice name = slice_of(target.p, scheme_length(target));
	enum http_scheme scheme = SCHEME_HTTP;
	bool ignored;

	if (name.n == 0)
		return URI_BAD;
	if (slice_ieq(name, SLICE("https")))
		scheme = SCHEME_HTTPS;
	else if (!slice_ieq(name, SLICE("http")))
		return has_target_bytes(target) ? URI_BAD_SCHEME : URI_BAD;
	return parse_hierarchy(scheme, slice_from(target, name.n + 1), ret_uri, &ignored)
		       ? URI_OK
		       : fault_of(target);
}

enum http_uri_result http_uri_parse_absolute(struct slice target, struct http_uri *ret_uri)
{
	bool is_normal;

	/* Nearly all targets are spelt like this. */
	if (target.n < 5 || memcmp(target.p, "http:", 5) != 0)
		return parse_other(target, ret_uri);
	if (!parse_hierarchy(SCHEME_HTTP, slice_from(target, 5), ret_uri, &is_normal))
		return fault_of(target);
	if (is_normal)
		ret_uri->normal = target;
	return URI_OK;
}

enum http_uri_result http_uri_parse_authority(struct slice target, struct http_uri *ret_uri)
{
	struct authority authority;

	if (!take_authority(target, &authority) || authority.length != target.n ||
	    is_ambiguous(authority.host))
		return URI_BAD;
	if (authority.port == 0)
		return URI_NO_PORT;
	*ret_uri = (struct http_uri){
		.scheme = SCHEME_HTTPS,
		.host = authority.host,
		.port = authority.port,
		.path = slice_of(target.p + target.n, 0),
	};
	return URI_OK;
}

bool http_uri_path_is_valid(struct slice path)
{
	return path.n > 0 && path.p[0] == '/' && has_target_bytes(path);
}

bool http_host_is_valid(struct slice host)
{
	struct authority authority;

	return take_authority(host, &authority) && authority.length == host.n;
}

uint16_t http_scheme_port(enum http_scheme scheme)
{
	return scheme == SCHEME_HTTPS ? 443 : 80;
}

size_t http_port_write(uint16_t port, char *to)
{
	char digits[PORT_DIGITS_MAX];
	size_t n = 0;

	for (unsigned rest = port; rest > 0; rest /= 10)
		digits[n++] = (char)('0' + rest % 10);
	for (size_t i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}

size_t http_host_normal(struct slice host, char *to)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t n;

	if (host.n < 2 || host.p[0] != '[' ||
	    !read_ipv6(slice_of(host.p + 1, host.n - 2), &address)) {
		ascii_write_lower(host, to);
		return host.n;
	}
	n = strlen(inet_ntop(AF_INET6, &address, text, sizeof(text)));
	to[0] = '[';
	memcpy(to + 1, text, n);
	to[n + 1] = ']';
	return n + 2;
}

size_t http_uri_authority(const struct http_uri *uri, char *to)
{
	size_t n = uri->host.n;

	if (uri->normal.n > 0) /* so is the host */
		memcpy(to, uri->host.p, n);
	else
		n = http_host_normal(uri->host, to);
	if (uri->port != http_scheme_port(uri->scheme)) {
		to[n++] = ':';
		n += http_port_write(uri->port, to + n);
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
	bool grows = uri->normal.n == 0 && uri->host.n > 0 && uri->host.p[0] == '[';

	return sizeof("https://") - 1 + uri->host.n + (grows ? ADDRESS_GROWTH : 0) + 1 +
	       PORT_DIGITS_MAX + 1 + uri->path.n;
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

/*
 * A path in three parts: the directory it is relative to, if any, and the reference's path and
 * query.
 */
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

bool http_host_is_same(struct slice a, struct slice b)
{
	char of_a[INET6_ADDRSTRLEN + 2], of_b[INET6_ADDRSTRLEN + 2];

	if (slice_ieq(a, b))
		return true;
	if (a.n == 0 || b.n == 0 || a.p[0] != '[' || b.p[0] != '[' || a.n > sizeof(of_a) ||
	    b.n > sizeof(of_b))
		return false;
	return slice_eq(slice_of(of_a, http_host_normal(a, of_a)),
			slice_of(of_b, http_host_normal(b, of_b)));
}

bool http_uri_same_origin(const struct http_uri *a, const struct http_uri *b)
{
	return a->scheme == b->scheme && a->port == b->port && http_host_is_same(a->host, b->host);
}

bool http_uri_resolve_same_origin(const struct http_uri *base, struct slice reference, char *to,
				  size_t size, size_t *ret_length)
{
	struct http_uri uri;
	struct merged merged;
	bool ignored;

	reference.n = find_byte(reference, '#');
	if (!has_target_bytes(reference))
		return false;
	if (scheme_length(reference) > 0) {
		if (http_uri_parse_absolute(reference, &uri) != URI_OK)
			return false;
	} else if (reference.n >= 2 && memcmp(reference.p, "//", 2) == 0) {
		if (!parse_hierarchy(base->scheme, reference, &uri, &ignored))
			return false;
	} else {
		merged = merge(base, reference);
		return write_merged(base, &merged, to, size, ret_length);
	}
	if (!http_uri_same_origin(base, &uri))
		return false;
	/* It has its own authority: nothing of the base's path is used. */
	merged = (struct merged){
		.path = slice_of(uri.path.p, find_byte(uri.path, '?')),
	};
	merged.query = slice_from(uri.path, merged.path.n);
	return write_merged(&uri, &merged, to, size, ret_length);
}

/* Write both forms: one with dot segments removed, the other as it is. */
bool http_uri_refers_to(const struct http_uri *uri, struct slice reference)
{
	size_t normal_max = http_uri_normal_max(uri);
	size_t resolved_max = normal_max + reference.n, normal_n, resolved_n;
	char *normal = malloc(normal_max + resolved_max);
	bool same = false;

	if (normal == NULL)
		return false;
	normal_n = http_uri_normal(uri, normal);
	if (http_uri_resolve_same_origin(uri, reference, normal + normal_max, resolved_max,
					 &resolved_n))
		same = slice_eq(slice_of(normal, normal_n),
				slice_of(normal + normal_max, resolved_n));
	free(normal);
	return same;
}
