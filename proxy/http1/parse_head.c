/* What requests and responses have in common: lines, framing fields, http-parser's opinion. */
#include "proxy/http1/parse_head.h"

#include "cache/base/ascii.h"
#include "cache/base/decimal.h"
#include "cache/http/fields.h"

/* The library's list of methods has the tag of ours. */
#define http_method http_parser_method
#include <http_parser.h>
#undef http_method

/* ---- lines ---------------------------------------------------------------------------------- */

/*
 * The line at `offset`: its bytes without CRLF, and where the next begins.  Lines end in CRLF and
 * nothing else; other CR are left in the line, where no check lets them pass.
 */
enum parse_result head_line(struct slice bytes, size_t offset, struct slice *ret_line,
			    size_t *ret_next)
{
	const char *start = bytes.p + offset;
	const char *lf = memchr(start, '\n', bytes.n - offset);

	if (lf == NULL)
		return PARSE_MORE;
	if (lf == start || lf[-1] != '\r')
		return PARSE_FAILED;
	*ret_line = slice_of(start, (size_t)(lf - start) - 1);
	*ret_next = (size_t)(lf - bytes.p) + 1;
	return PARSE_DONE;
}

/* Whether the empty line that ends the head has come; *ret_end is the length of the head. */
bool head_find_end(struct slice bytes, size_t start, struct parse_progress *progress,
		   size_t *ret_end)
{
	size_t from = progress->scanned > start ? progress->scanned : start;
	const char *p = bytes.p + from;
	const char *end = bytes.p + bytes.n;
	const char *lf;

	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		const char *line = lf;

		/* An empty line, be it ended by CRLF or (to be refused later) a bare LF. */
		if (line > bytes.p && line[-1] == '\r')
			line--;
		if (line == bytes.p + start || line[-1] == '\n') {
			*ret_end = (size_t)(lf - bytes.p) + 1;
			return true;
		}
		p = lf + 1;
	}
	progress->scanned = (uint32_t)bytes.n;
	return false;
}

bool head_value_is_clean(struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/*
 * One field line: name ":" OWS value OWS, no white space at the start (obs-fold) or before the
 * colon.
 */
static bool field_line(struct slice line, struct http_fields *fields)
{
	size_t colon = 0;
	struct slice value;

	while (colon < line.n && http_is_tchar((unsigned char)line.p[colon]))
		colon++;
	if (colon == 0 || colon == line.n || line.p[colon] != ':')
		return false;
	value = slice_trim(slice_of(line.p + colon + 1, line.n - colon - 1));
	return head_value_is_clean(value) &&
	       http_fields_add(fields, slice_of(line.p, colon), value);
}

/* All field lines up to the empty one; `too_many` is the failure for too many of them. */
enum failure head_fields(struct slice head, size_t offset, unsigned limit,
			 struct http_fields *fields, enum failure bad, enum failure too_many)
{
	struct slice line;

	fields->count = 0;
	fields->present = fields->repeated = 0;
	for (;;) {
		if (head_line(head, offset, &line, &offset) != PARSE_DONE)
			return bad;
		if (line.n == 0)
			break;
		if (fields->count >= limit || fields->count >= fields->capacity)
			return too_many;
		if (!field_line(line, fields))
			return bad;
	}
	http_fields_nominate(fields);
	return offset == head.n ? FAILURE_NONE : bad;
}

/*
 * "HTTP/1.x": the minor version.  Other major versions have a failure of their own (HAZARDS F14).
 */
enum failure head_version(struct slice text, uint8_t *ret_minor)
{
	if (text.n != 8 || memcmp(text.p, "HTTP/", 5) != 0 || !ascii_is_digit(text.p[5]) ||
	    text.p[6] != '.' || !ascii_is_digit(text.p[7]))
		return FAILURE_BAD_REQUEST;
	if (text.p[5] != '1')
		return FAILURE_UNSUPPORTED_VERSION;
	*ret_minor = text.p[7] == '0' ? 0 : 1;
	return FAILURE_NONE;
}

/* ---- framing fields ------------------------------------------------------------------------- */

/* 1*DIGIT, at most 2^63-1. */
static bool parse_length(struct slice text, uint64_t *ret_length)
{
	return text.n <= 32 && decimal_read(text, INT64_MAX, ret_length);
}

/* The white space behind a value, up to the CRLF that is there. */
static struct slice padding_of(const struct http_field *field)
{
	const char *end = field->value.p + field->value.n;
	size_t n = 0;

	while (end[n] == ' ' || end[n] == '\t')
		n++;
	return slice_of(end, n);
}

/* Content-Length: one line of 1*DIGIT, or none. */
bool head_length(const struct http_fields *fields, struct framing *framing)
{
	const struct http_field *line = http_fields_first(fields, FIELD_CONTENT_LENGTH);

	framing->has_length = line != NULL;
	if (line == NULL)
		return true;
	framing->padding[0] = padding_of(line);
	return http_fields_lines(fields, FIELD_CONTENT_LENGTH) == 1 &&
	       parse_length(line->value, &framing->length);
}

/* What Transfer-Encoding says: exactly one `chunked`, other codings, or nonsense. */
enum coding head_coding(const struct http_fields *fields)
{
	struct http_list list;
	struct slice member;
	unsigned members = 0, chunked = 0;
	bool last_is_chunked = false;

	if (!http_has_field(fields, FIELD_TRANSFER_ENCODING))
		return CODING_NONE;
	list = http_list_of(fields, FIELD_TRANSFER_ENCODING);
	while (http_list_next(&list, &member)) {
		const char *semicolon = memchr(member.p, ';', member.n);
		struct slice name = member;

		if (semicolon != NULL)
			name = slice_trim(slice_of(member.p, (size_t)(semicolon - member.p)));
		if (!http_is_token(name))
			return CODING_BAD;
		last_is_chunked = slice_ieq(member, SLICE("chunked"));
		chunked += last_is_chunked;
		members++;
	}
	if (list.broken || members == 0)
		return CODING_BAD;
	/* `chunked` on its own, on one line: all else is a way to be understood differently */
	if (members == 1 && chunked == 1)
		return http_fields_lines(fields, FIELD_TRANSFER_ENCODING) == 1 &&
				       slice_ieq(http_fields_first(fields, FIELD_TRANSFER_ENCODING)
							 ->value,
						 SLICE("chunked"))
			       ? CODING_CHUNKED
			       : CODING_BAD;
	return chunked > 1 || (chunked == 1 && !last_is_chunked) ? CODING_BAD : CODING_OTHER;
}

void head_set_chunked(const struct http_fields *fields, struct framing *framing)
{
	framing->chunked = true;
	framing->padding[1] = padding_of(http_fields_first(fields, FIELD_TRANSFER_ENCODING));
}

/* ---- http-parser's opinion ------------------------------------------------------------------ */

/* What http-parser made of a head; `data` of its parser. */
struct opinion {
	bool complete;
	bool no_body; /* what we know of a response: say so to the parser */
	struct framing framing;
	unsigned major;
	unsigned method;
	unsigned status;
};

static int on_headers_complete(http_parser *parser)
{
	struct opinion *opinion = parser->data;

	opinion->complete = true;
	opinion->major = parser->http_major;
	opinion->framing.minor = parser->http_minor > 0; /* 1.2 is taken as 1.1 */
	opinion->framing.has_length = parser->content_length != UINT64_MAX;
	opinion->framing.length = parser->content_length;
	opinion->framing.chunked = (parser->flags & F_CHUNKED) != 0;
	opinion->method = parser->method;
	opinion->status = parser->status_code;
	/* Upgrade and CONNECT make it stop behind a head (HAZARDS P11), where its bytes end. */
	return opinion->no_body ? 1 : 0;
}

static const http_parser_settings parser_settings = {.on_headers_complete = on_headers_complete};

static bool feed(http_parser *parser, struct slice part)
{
	return http_parser_execute(parser, &parser_settings, part.p, part.n) == part.n;
}

/* Feed field lines without the white space behind two of the values. */
static bool feed_without(http_parser *parser, struct slice rest, const struct slice padding[2])
{
	bool swapped = padding[1].n > 0 && padding[1].p < padding[0].p;

	for (unsigned i = 0; i < 2; i++) {
		struct slice gap = padding[swapped ? 1 - i : i];
		const char *end;

		if (gap.n == 0)
			continue;
		end = gap.p + gap.n;
		if (!feed(parser, slice_of(rest.p, (size_t)(gap.p - rest.p))))
			return false;
		rest = slice_of(end, (size_t)(rest.p + rest.n - end));
	}
	return feed(parser, rest);
}

/*
 * Feed a whole head in two parts.  White space behind a length and `chunked` is left out: it does
 * not know that this is allowed (HAZARDS P18).  False when the head is refused.
 */
static bool ask_parser(enum http_parser_type type, struct slice line, struct slice rest,
		       const struct slice padding[2], struct opinion *opinion)
{
	http_parser parser;

	http_parser_init(&parser, type);
	parser.data = opinion;
	/* A response with both is decoded and its connection closed (RFC 9112 6.3). */
	parser.allow_chunked_length = type == HTTP_RESPONSE;
	if (line.n > 0 && !feed(&parser, line))
		return false;
	return (padding[0].n + padding[1].n == 0 ? feed(&parser, rest)
						 : feed_without(&parser, rest, padding)) &&
	       HTTP_PARSER_ERRNO(&parser) == HPE_OK && opinion->complete && opinion->major == 1;
}

static bool same_length(const struct opinion *opinion, const struct framing *framing)
{
	return opinion->framing.has_length == framing->has_length &&
	       (!framing->has_length || opinion->framing.length == framing->length);
}

/* A request line for each method, as http-parser is shown it. */
struct shown {
	unsigned method;
	struct slice line[2]; /* by minor version */
};

#define SHOWN(method, line)                                                     \
	{                                                                       \
		HTTP_##method,                                                  \
		{                                                               \
			{#method " " line " HTTP/1.0\r\n",                      \
			 sizeof(#method " " line " HTTP/1.0\r\n") - 1},         \
				{#method " " line " HTTP/1.1\r\n",              \
				 sizeof(#method " " line " HTTP/1.1\r\n") - 1}, \
		}                                                               \
	}

bool head_confirm_request(enum http_method method, struct slice fields,
			  const struct framing *framing)
{
	static const struct shown all[] = {
		[METHOD_GET] = SHOWN(GET, "/"),           [METHOD_HEAD] = SHOWN(HEAD, "/"),
		[METHOD_POST] = SHOWN(POST, "/"),         [METHOD_PUT] = SHOWN(PUT, "/"),
		[METHOD_DELETE] = SHOWN(DELETE, "/"),     [METHOD_PATCH] = SHOWN(PATCH, "/"),
		[METHOD_OPTIONS] = SHOWN(OPTIONS, "/"),   [METHOD_TRACE] = SHOWN(TRACE, "/"),
		[METHOD_CONNECT] = SHOWN(CONNECT, "h:1"),
	};
	/* It knows a list of methods, and that is not ours: others are shown as POST. */
	const struct shown *shown = &all[method <= METHOD_CONNECT ? method : METHOD_POST];
	struct opinion opinion = {.no_body = false};

	return ask_parser(HTTP_REQUEST, shown->line[framing->minor], fields, framing->padding,
			  &opinion) &&
	       opinion.method == shown->method && opinion.framing.minor == framing->minor &&
	       same_length(&opinion, framing) && opinion.framing.chunked == framing->chunked;
}

bool head_confirm_response(struct slice head, unsigned status, bool no_body,
			   const struct framing *framing)
{
	struct opinion opinion = {.no_body = no_body};

	return ask_parser(HTTP_RESPONSE, slice_of(head.p, 0), head, framing->padding, &opinion) &&
	       opinion.status == status && same_length(&opinion, framing) &&
	       (no_body || opinion.framing.chunked == framing->chunked);
}
