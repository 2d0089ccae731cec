/* Where a head that was refused is wrong, for the log. */
#include "proxy/http1/parse_fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "cache/http/fields.h"
#include "proxy/http1/parse.h"

/* A head that is looked at line by line. */
struct look {
	struct slice rest; /* behind the line */
	struct slice line; /* without its end */
	unsigned number;   /* of the line */
	bool ended;        /* it has an end */
	bool bare;         /* which is an LF without CR */
	char *to;
};

static bool next_line(struct look *look)
{
	const char *lf = look->rest.n > 0 ? memchr(look->rest.p, '\n', look->rest.n) : NULL;
	size_t n = lf != NULL ? (size_t)(lf - look->rest.p) : look->rest.n;

	if (look->rest.n == 0)
		return false;
	look->ended = lf != NULL;
	look->bare = look->ended && (n == 0 || lf[-1] != '\r');
	look->line = slice_of(look->rest.p, look->ended && !look->bare ? n - 1 : n);
	n += look->ended;
	look->rest = slice_of(look->rest.p + n, look->rest.n - n);
	look->number++;
	return true;
}

/* It is found; always true. */
__attribute__((format(printf, 3, 4))) static bool say(const struct look *look, size_t byte,
						      const char *format, ...)
{
	int n = byte == 0 ? snprintf(look->to, PARSE_FAULT_SIZE, "line %u: ", look->number)
			  : snprintf(look->to, PARSE_FAULT_SIZE,
				     "line %u, byte %zu: ", look->number, byte);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(look->to + n, PARSE_FAULT_SIZE - (size_t)n, format, arguments);
	va_end(arguments);
	return true;
}

static bool say_byte(const struct look *look, size_t at, const char *what)
{
	return say(look, at + 1, "0x%02x %s", (unsigned char)look->line.p[at], what);
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Other protocols on the port: what they begin with is not what a head begins with.  An empty line
 * has its end for a first byte.
 */
static bool is_tls(const struct look *look)
{
	return look->line.p[0] == 0x15 || look->line.p[0] == 0x16;
}

/* ---- field lines ---------------------------------------------------------------------------- */

/* Where the name ends: at the first byte that is not of a token. */
static size_t name_length(struct slice line)
{
	size_t n = 0;

	while (n < line.n && http_is_tchar((unsigned char)line.p[n]))
		n++;
	return n;
}

static bool is_named(struct slice line, const char *name)
{
	return slice_ieq(slice_of(line.p, name_length(line)), slice_str(name));
}

static bool is_bad_name(const struct look *look, size_t colon, bool mends)
{
	size_t blank = colon;

	if (colon == look->line.n)
		return say(look, 0, "no colon");
	if (colon == 0)
		return look->line.p[0] == ':' ? say(look, 1, "no name before the colon")
					      : say_byte(look, 0, "begins no field name");
	while (blank < look->line.n && is_blank(look->line.p[blank]))
		blank++;
	if (blank == look->line.n || look->line.p[blank] != ':')
		return say_byte(look, colon, "in a field name");
	return blank > colon && !mends && say(look, colon + 1, "white space before the colon");
}

/* Of values; `mends`: only what cannot be mended counts. */
static bool is_bad_byte(const struct look *look, size_t at, bool mends)
{
	char c = look->line.p[at];

	if (mends)
		return c == '\0' || c == '\r';
	return is_control(c) && c != '\t';
}

static bool is_bad_field(const struct look *look, bool mends)
{
	size_t colon = name_length(look->line);

	if (is_bad_name(look, colon, mends))
		return true;
	for (size_t at = colon; at < look->line.n; at++)
		if (is_bad_byte(look, at, mends))
			return say_byte(look, at, "in a value");
	return false;
}

/* ---- requests ------------------------------------------------------------------------------- */

static bool is_bad_version(const struct look *look, size_t at)
{
	struct slice text = slice_of(look->line.p + at, look->line.n - at);

	return (text.n != 8 || memcmp(text.p, "HTTP/", 5) != 0 || text.p[6] != '.') &&
	       say(look, at + 1, "not an HTTP version");
}

/* A balancer's, which is taken from those in proxy_protocol_from alone. */
static bool is_proxy_header(const struct look *look)
{
	struct slice line = look->line, rest = look->rest;

	return (line.n >= 6 && memcmp(line.p, "PROXY ", 6) == 0) ||
	       (line.n == 1 && line.p[0] == '\0' && rest.n >= 4 && memcmp(rest.p, "QUIT", 4) == 0);
}

static bool is_bad_request_line(const struct look *look)
{
	struct slice line = look->line;
	size_t method = name_length(line), last = line.n, at;

	if (is_proxy_header(look))
		return say(look, 0, "a PROXY header, from a sender not in proxy_protocol_from");
	if (is_tls(look))
		return say_byte(look, 0, "begins TLS, this address speaks plain HTTP");
	if (method == 0)
		return say_byte(look, 0, "begins no method");
	if (method > PARSE_METHOD_MAX)
		return say(look, 0, "the method is too long");
	if (method < line.n && line.p[method] != ' ')
		return say_byte(look, method, "in the method");
	if (!look->ended)
		return false;
	while (last > method && line.p[last - 1] != ' ')
		last--;
	if (method == line.n || last <= method + 2)
		return say(look, 0, "not a method, a target and a version");
	for (at = method + 1; at < last - 1; at++)
		if (is_control(line.p[at]) || line.p[at] == ' ')
			return say_byte(look, at, "in the target");
	return is_bad_version(look, last);
}

/* A field that has to do with the failure; where there is a second one, that is the trouble. */
static bool find_fields(struct look *look, const char *one, const char *other)
{
	unsigned before = 0, found = 0;
	const char *name = NULL;
	bool again = false;

	while (next_line(look) && look->line.n > 0) {
		const char *this = is_named(look->line, one)     ? one
				   : is_named(look->line, other) ? other
								 : NULL;

		if (this == NULL)
			continue;
		again = name != NULL;
		before = found;
		found = look->number;
		name = this;
		if (again)
			break;
	}
	if (name == NULL)
		return false;
	look->number = found;
	return again ? say(look, 0, "%s, beside that of line %u", name, before)
		     : say(look, 0, "%s", name);
}

/* Right line by line: by what they say together. */
static bool find_by_failure(struct look *look, enum failure failure)
{
	switch (failure) {
	case FAILURE_BAD_HOST:
		if (!find_fields(look, "Host", "Host"))
			snprintf(look->to, PARSE_FAULT_SIZE, "no Host");
		return true;
	case FAILURE_BAD_FRAMING:
	case FAILURE_UNSUPPORTED_CODING:
		return find_fields(look, "Content-Length", "Transfer-Encoding");
	case FAILURE_EXPECTATION:
		return find_fields(look, "Expect", "Expect");
	default:
		return false;
	}
}

/* "[fe80::1%25eth0]": of an interface of the client's machine, or of ours, or of none. */
static bool has_zone(struct slice line)
{
	const char *open = memchr(line.p, '[', line.n), *percent;
	size_t n;

	if (open == NULL)
		return false;
	n = line.n - (size_t)(open - line.p);
	percent = memchr(open, '%', n);
	return percent != NULL && memchr(open, ']', (size_t)(percent - open)) == NULL &&
	       memchr(percent, ']', n - (size_t)(percent - open)) != NULL;
}

/* The request line failed, and what follows was not looked at. */
static bool find_in_line(const struct look *look, enum failure failure)
{
	switch (failure) {
	case FAILURE_BAD_TARGET:
		if (has_zone(look->line))
			return say(look, 0, "a zone id in the target, which is not supported");
		return say(look, 0, "the target");
	case FAILURE_UNSUPPORTED_SCHEME:
	case FAILURE_USERINFO:
	case FAILURE_FRAGMENT:
	case FAILURE_NO_PORT:
		return say(look, 0, "the target");
	case FAILURE_UNSUPPORTED_VERSION:
		return say(look, 0, "the version");
	default:
		return false;
	}
}

/* Says how much had come, where that was too much. */
static bool find_size(struct look *look, struct slice bytes, enum failure failure)
{
	unsigned lines = 0;
	size_t n;

	if (failure != FAILURE_HEAD_TOO_LARGE && failure != FAILURE_URI_TOO_LONG)
		return false;
	look->rest = bytes;
	while (next_line(look) && look->line.n > 0)
		lines++;
	n = bytes.n - look->rest.n;
	snprintf(look->to, PARSE_FAULT_SIZE, "%u lines, %zu bytes as far as it came", lines, n);
	return true;
}

static struct slice without_empty_lines(struct slice bytes)
{
	for (unsigned i = 0; i < PARSE_EMPTY_LINES_MAX && bytes.n >= 2; i++) {
		if (bytes.p[0] != '\r' || bytes.p[1] != '\n')
			break;
		bytes = slice_of(bytes.p + 2, bytes.n - 2);
	}
	return bytes;
}

static bool find_in_request(struct look *look, struct slice bytes, enum failure failure)
{
	look->rest = bytes;
	if (!next_line(look))
		return false;
	if (is_bad_request_line(look))
		return true;
	if (look->bare)
		return say(look, look->line.n + 1, "LF without CR");
	if (find_in_line(look, failure) || find_size(look, bytes, failure))
		return true;
	while (next_line(look) && look->ended) {
		if (look->bare)
			return say(look, look->line.n + 1, "LF without CR");
		if (look->line.n == 0)
			break;
		if (is_blank(look->line.p[0]))
			return say(look, 1, "white space begins the line");
		if (is_bad_field(look, false))
			return true;
	}
	look->rest = bytes;
	look->number = 0;
	return find_by_failure(look, failure);
}

const char *parse_fault_request(struct slice bytes, enum failure failure,
				char to[static PARSE_FAULT_SIZE])
{
	struct look look = {.to = to};

	to[0] = '\0';
	find_in_request(&look, without_empty_lines(bytes), failure);
	return to;
}

/* ---- responses ------------------------------------------------------------------------------ */

static bool is_bad_status_line(const struct look *look)
{
	static const char expected[] = "HTTP/1.";
	struct slice line = look->line;
	size_t at = 0;

	if (is_tls(look))
		return say_byte(look, 0, "begins TLS, the request was plain HTTP");
	while (at < line.n && at < sizeof(expected) - 1 && line.p[at] == expected[at])
		at++;
	if (at < sizeof(expected) - 1)
		return at < line.n ? say_byte(look, at, "in the place of HTTP/1.")
				   : say(look, 0, "too short for a status line");
	if (line.n < 12 || line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
		return say(look, 0, "not a version, a status and a reason");
	for (at = 9; at < line.n; at++)
		if (at < 12 ? line.p[at] < '0' || line.p[at] > '9' : is_bad_byte(look, at, true))
			return say_byte(look, at, at < 12 ? "in the status" : "in the reason");
	return false;
}

static bool may_not_be_folded(struct slice line)
{
	return is_named(line, "Content-Length") || is_named(line, "Transfer-Encoding") ||
	       is_named(line, "Connection");
}

static bool find_in_response(struct look *look, struct slice bytes)
{
	struct slice before = slice_of("", 0);

	look->rest = bytes;
	if (!next_line(look))
		return false;
	if (is_bad_status_line(look))
		return true;
	while (next_line(look) && look->ended && look->line.n > 0) {
		if (!is_blank(look->line.p[0])) {
			if (is_bad_field(look, true))
				return true;
			before = look->line;
		} else if (before.n == 0 || may_not_be_folded(before)) {
			return say(look, 1, "white space begins the line");
		}
	}
	look->rest = bytes;
	look->number = 0;
	return find_fields(look, "Content-Length", "Transfer-Encoding");
}

const char *parse_fault_response(struct slice bytes, char to[static PARSE_FAULT_SIZE])
{
	struct look look = {.to = to};

	to[0] = '\0';
	find_in_response(&look, bytes);
	return to;
}
