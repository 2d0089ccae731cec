/* Bytes to messages: a strict pass of our own over each head, confirmed by http-parser. */
#include "proxy/parse.h"

#include "cache/http_fields.h"

/* the library's list of methods has the tag of ours */
#define http_method http_parser_method
#include <http_parser.h>
#undef http_method

/* Room that a start line may take beside the target: method, two spaces, version, CRLF. */
enum { START_LINE_EXTRA = PARSE_METHOD_MAX + 12 };

/* What the two passes must agree on. */
struct framing {
	unsigned minor;
	bool has_length;
	uint64_t length;
	bool chunked;
};

/* ---- lines ---------------------------------------------------------------------------------- */

/*
 * The line at `offset`: its bytes without CRLF, and where the next begins.  Lines end in CRLF and
 * nothing else; other CR are left in the line, where no check lets them pass.
 */
static enum parse_result line_at(struct slice bytes, size_t offset, struct slice *ret_line,
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
static bool head_is_whole(struct slice bytes, size_t start, struct parse_progress *progress,
			  size_t *ret_end)
{
	size_t from = progress->scanned > start ? progress->scanned : start;
	const char *p = bytes.p + from;
	const char *end = bytes.p + bytes.n;
	const char *lf;

	while ((lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		const char *line = lf;

		/* an empty line, be it ended by CRLF or (to be refused later) a bare LF */
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

static bool value_is_clean(struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* One field line: name ":" OWS value OWS, no white space at the start (obs-fold) or before the
 * colon. */
static bool field_line(struct slice line, struct http_fields *fields)
{
	size_t colon = 0;
	struct slice value;

	while (colon < line.n && http_is_tchar((unsigned char)line.p[colon]))
		colon++;
	if (colon == 0 || colon == line.n || line.p[colon] != ':')
		return false;
	value = slice_trim(slice_of(line.p + colon + 1, line.n - colon - 1));
	return value_is_clean(value) && http_fields_add(fields, slice_of(line.p, colon), value);
}

/* All field lines up to the empty one; `too_many` is the failure for too many of them. */
static enum failure field_lines(struct slice head, size_t offset, const struct conf *conf,
				struct http_fields *fields, enum failure bad, enum failure too_many)
{
	struct slice line;

	for (;;) {
		if (line_at(head, offset, &line, &offset) != PARSE_DONE)
			return bad;
		if (line.n == 0)
			break;
		if (fields->count >= conf->field_count || fields->count >= fields->capacity)
			return too_many;
		if (!field_line(line, fields))
			return bad;
	}
	http_fields_nominate(fields);
	return offset == head.n ? FAILURE_NONE : bad;
}

static void fields_reset(struct http_fields *fields)
{
	fields->count = 0;
	fields->present = 0;
}

/* ---- framing fields ------------------------------------------------------------------------- */

/* 1*DIGIT, at most 2^63-1. */
static bool parse_length(struct slice text, uint64_t *ret_length)
{
	uint64_t length = 0;

	if (text.n == 0 || text.n > 32)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned digit = (unsigned)(unsigned char)text.p[i] - '0';

		if (digit > 9 || length > ((uint64_t)INT64_MAX - digit) / 10)
			return false;
		length = length * 10 + digit;
	}
	*ret_length = length;
	return true;
}

/* Content-Length: one line of 1*DIGIT, or none. */
static bool read_length(const struct http_fields *fields, struct framing *framing)
{
	const struct http_field *line = http_fields_first(fields, FIELD_CONTENT_LENGTH);

	framing->has_length = line != NULL;
	if (line == NULL)
		return true;
	return http_fields_lines(fields, FIELD_CONTENT_LENGTH) == 1 &&
	       parse_length(line->value, &framing->length);
}

enum coding { CODING_NONE, CODING_CHUNKED, CODING_OTHER, CODING_BAD };

/* What Transfer-Encoding says: exactly one `chunked`, other codings, or nonsense. */
static enum coding read_coding(const struct http_fields *fields)
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
	/* an Upgrade field must not make it stop (HAZARDS P11) */
	if (parser->method != HTTP_CONNECT || parser->type == HTTP_RESPONSE)
		parser->upgrade = 0;
	return opinion->no_body ? 1 : 0;
}

/* Feed a whole head, `prefix` in the place of its first `skip` bytes.  False when it is refused. */
static bool ask_parser(enum http_parser_type type, struct slice prefix, struct slice head,
		       size_t skip, struct opinion *opinion)
{
	static const http_parser_settings settings = {.on_headers_complete = on_headers_complete};
	http_parser parser;
	size_t rest = head.n - skip;

	http_parser_init(&parser, type);
	parser.data = opinion;
	/* a response with both is decoded and its connection closed (RFC 9112 6.3) */
	parser.allow_chunked_length = type == HTTP_RESPONSE;
	opinion->complete = false;
	if (prefix.n > 0 && http_parser_execute(&parser, &settings, prefix.p, prefix.n) != prefix.n)
		return false;
	return http_parser_execute(&parser, &settings, head.p + skip, rest) == rest &&
	       HTTP_PARSER_ERRNO(&parser) == HPE_OK && opinion->complete && opinion->major == 1;
}

static const unsigned parser_methods[] = {
	[METHOD_GET] = HTTP_GET,         [METHOD_HEAD] = HTTP_HEAD,
	[METHOD_POST] = HTTP_POST,       [METHOD_PUT] = HTTP_PUT,
	[METHOD_DELETE] = HTTP_DELETE,   [METHOD_PATCH] = HTTP_PATCH,
	[METHOD_OPTIONS] = HTTP_OPTIONS, [METHOD_TRACE] = HTTP_TRACE,
	[METHOD_CONNECT] = HTTP_CONNECT, [METHOD_OTHER] = HTTP_POST,
};

/*
 * Does http-parser read the request as we did?  It knows a fixed list of methods only: for any
 * other, it is shown POST in its place, for what it shall confirm is the rest (HAZARDS P18).
 */
static bool request_confirmed(struct slice head, const struct http_request *req,
			      const struct framing *framing)
{
	struct opinion opinion = {.no_body = false};
	bool other = req->method == METHOD_OTHER;

	return ask_parser(HTTP_REQUEST, other ? SLICE("POST") : slice_of(NULL, 0), head,
			  other ? req->method_name.n : 0, &opinion) &&
	       opinion.method == parser_methods[req->method] &&
	       opinion.framing.minor == framing->minor &&
	       opinion.framing.has_length == framing->has_length &&
	       (!framing->has_length || opinion.framing.length == framing->length) &&
	       opinion.framing.chunked == framing->chunked;
}

/* ---- requests ------------------------------------------------------------------------------- */

static enum http_method method_of(struct slice name)
{
	static const struct {
		struct slice name;
		enum http_method method;
	} known[] = {
		{{"GET", 3}, METHOD_GET},         {{"HEAD", 4}, METHOD_HEAD},
		{{"POST", 4}, METHOD_POST},       {{"PUT", 3}, METHOD_PUT},
		{{"DELETE", 6}, METHOD_DELETE},   {{"PATCH", 5}, METHOD_PATCH},
		{{"OPTIONS", 7}, METHOD_OPTIONS}, {{"TRACE", 5}, METHOD_TRACE},
		{{"CONNECT", 7}, METHOD_CONNECT},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq(name, known[i].name))
			return known[i].method;
	return METHOD_OTHER;
}

/* "HTTP/1.x": the minor version.  Other majors are told from other things (HAZARDS F14). */
static enum failure read_version(struct slice text, uint8_t *ret_minor)
{
	if (text.n != 8 || memcmp(text.p, "HTTP/", 5) != 0 || text.p[5] < '0' || text.p[5] > '9' ||
	    text.p[6] != '.' || text.p[7] < '0' || text.p[7] > '9')
		return FAILURE_BAD_REQUEST;
	if (text.p[5] != '1')
		return FAILURE_UNSUPPORTED_VERSION;
	*ret_minor = text.p[7] == '0' ? 0 : 1;
	return FAILURE_NONE;
}

static enum failure read_target(struct http_request *req)
{
	struct slice target = req->target;

	req->uri = (struct http_uri){.path = slice_of("", 0)};
	if (req->method == METHOD_CONNECT) {
		req->form = TARGET_AUTHORITY;
		return http_uri_parse_authority(target, &req->uri) == URI_OK ? FAILURE_NONE
									     : FAILURE_BAD_TARGET;
	}
	if (target.n == 1 && target.p[0] == '*') {
		req->form = TARGET_ASTERISK;
		return req->method == METHOD_OPTIONS ? FAILURE_NONE : FAILURE_BAD_TARGET;
	}
	if (target.p[0] == '/') {
		req->form = TARGET_ORIGIN;
		req->uri.path = target;
		return http_uri_path_is_valid(target) ? FAILURE_NONE : FAILURE_BAD_TARGET;
	}
	req->form = TARGET_ABSOLUTE;
	switch (http_uri_parse_absolute(target, &req->uri)) {
	case URI_OK:
		return FAILURE_NONE;
	case URI_BAD_SCHEME:
		return FAILURE_UNSUPPORTED_SCHEME;
	case URI_BAD:
		break;
	}
	return FAILURE_BAD_TARGET;
}

/* method SP target SP version, each checked. */
static enum failure read_request_line(struct slice line, const struct conf *conf,
				      struct http_request *req)
{
	const char *first = memchr(line.p, ' ', line.n);
	const char *last = memrchr(line.p, ' ', line.n);
	enum failure failure;

	if (first == NULL || first == last)
		return FAILURE_BAD_REQUEST;
	req->method_name = slice_of(line.p, (size_t)(first - line.p));
	req->target = slice_of(first + 1, (size_t)(last - first) - 1);
	if (!http_is_token(req->method_name) || req->method_name.n > PARSE_METHOD_MAX ||
	    req->target.n == 0)
		return FAILURE_BAD_REQUEST;
	failure = read_version(slice_of(last + 1, (size_t)(line.p + line.n - last) - 1),
			       &req->version_minor);
	if (failure != FAILURE_NONE)
		return failure;
	if (req->target.n > conf->uri_length)
		return FAILURE_URI_TOO_LONG;
	req->method = method_of(req->method_name);
	return read_target(req);
}

static enum failure check_host(const struct http_request *req)
{
	const struct http_field *host = http_fields_first(&req->fields, FIELD_HOST);

	if (host == NULL)
		return req->version_minor == 0 ? FAILURE_NONE : FAILURE_BAD_HOST;
	if (http_fields_lines(&req->fields, FIELD_HOST) != 1 || !http_host_is_valid(host->value))
		return FAILURE_BAD_HOST;
	return FAILURE_NONE;
}

static enum failure request_framing(struct http_request *req, struct framing *framing)
{
	enum coding coding = read_coding(&req->fields);

	*framing = (struct framing){.minor = req->version_minor};
	if (!read_length(&req->fields, framing))
		return FAILURE_BAD_FRAMING;
	if (coding != CODING_NONE &&
	    (framing->has_length || coding == CODING_BAD || req->version_minor == 0))
		return FAILURE_BAD_FRAMING;
	if (coding == CODING_OTHER)
		return FAILURE_UNSUPPORTED_CODING;
	framing->chunked = coding == CODING_CHUNKED;
	req->body = framing->chunked ? BODY_CHUNKED : framing->length > 0 ? BODY_LENGTH : BODY_NONE;
	req->content_length = framing->length;
	/* a tunnel has no request body (HAZARDS P9, T5) */
	if (req->method == METHOD_CONNECT && (framing->has_length || framing->chunked))
		return FAILURE_BAD_FRAMING;
	return FAILURE_NONE;
}

/*
 * Is another protocol asked for that may be passed on?  Not h2c: that would be a connection of
 * HTTP requests that nobody looks at, and clients offer it with whatever they ask.
 */
static bool asks_upgrade(const struct http_request *req)
{
	return req->method == METHOD_GET && req->version_minor > 0 && req->body == BODY_NONE &&
	       http_fields_lines(&req->fields, FIELD_UPGRADE) == 1 &&
	       http_list_has(&req->fields, FIELD_CONNECTION, SLICE("upgrade")) &&
	       !http_list_has(&req->fields, FIELD_UPGRADE, SLICE("h2c"));
}

static enum failure request_fields(struct http_request *req, const struct conf *conf)
{
	const struct http_field *expect = http_fields_first(&req->fields, FIELD_EXPECT);

	/* RFC 9112 9.3: a proxy keeps no connection open for an HTTP/1.0 client */
	req->keep_alive = req->version_minor > 0 &&
			  !http_list_has(&req->fields, FIELD_CONNECTION, SLICE("close"));
	req->upgrade = conf->upgrade && asks_upgrade(req);
	req->expect_continue = false;
	if (expect == NULL || req->version_minor == 0)
		return FAILURE_NONE;
	if (http_fields_lines(&req->fields, FIELD_EXPECT) != 1 ||
	    !slice_ieq(expect->value, SLICE("100-continue")))
		return FAILURE_EXPECTATION;
	req->expect_continue = req->body != BODY_NONE;
	return FAILURE_NONE;
}

/* The whole head: every check, then http-parser's. */
static enum failure read_request(struct slice head, size_t offset, const struct conf *conf,
				 struct http_request *req)
{
	struct framing framing;
	enum failure failure;

	fields_reset(&req->fields);
	failure = field_lines(head, offset, conf, &req->fields, FAILURE_BAD_REQUEST,
			      FAILURE_HEAD_TOO_LARGE);
	if (failure == FAILURE_NONE)
		failure = check_host(req);
	if (failure == FAILURE_NONE)
		failure = request_framing(req, &framing);
	if (failure == FAILURE_NONE)
		failure = request_fields(req, conf);
	if (failure == FAILURE_NONE && !request_confirmed(head, req, &framing))
		failure = FAILURE_BAD_REQUEST;
	return failure;
}

/* Empty lines before the request line are passed over, a few of them. */
static enum parse_result skip_empty_lines(struct slice bytes, size_t *ret_start)
{
	size_t at = 0;

	for (unsigned lines = 0; at < bytes.n && bytes.p[at] == '\r'; lines++) {
		if (lines == PARSE_EMPTY_LINES_MAX)
			return PARSE_FAILED;
		if (at + 1 == bytes.n)
			return PARSE_MORE;
		if (bytes.p[at + 1] != '\n')
			return PARSE_FAILED;
		at += 2;
	}
	*ret_start = at;
	return at == bytes.n ? PARSE_MORE : PARSE_DONE;
}

/*
 * The request line is judged as soon as it is there, and a first byte that begins none at once:
 * other tongues (TLS, SMTP) never send the end of a head.
 */
static enum parse_result start_line(struct slice bytes, size_t start, const struct conf *conf,
				    struct parse_progress *progress, struct http_request *req,
				    size_t *ret_next, enum failure *ret_failure)
{
	/* what was looked at of an incomplete line has no LF */
	size_t from =
		!progress->line_checked && progress->scanned > start ? progress->scanned : start;
	const char *lf = memchr(bytes.p + from, '\n', bytes.n - from);
	size_t end = lf != NULL ? (size_t)(lf - bytes.p) : bytes.n;
	struct slice line;

	req->method_name = req->target = slice_of("", 0);
	*ret_failure = FAILURE_BAD_REQUEST;
	if (!http_is_tchar((unsigned char)bytes.p[start]))
		return PARSE_FAILED;
	if (end - start > conf->uri_length + START_LINE_EXTRA) {
		*ret_failure = FAILURE_URI_TOO_LONG;
		return PARSE_FAILED;
	}
	if (lf == NULL) {
		progress->scanned = (uint32_t)end;
		return PARSE_MORE;
	}
	if (line_at(slice_of(bytes.p, end + 1), start, &line, ret_next) != PARSE_DONE)
		return PARSE_FAILED;
	*ret_failure = read_request_line(line, conf, req);
	return *ret_failure == FAILURE_NONE ? PARSE_DONE : PARSE_FAILED;
}

enum parse_result parse_request(struct slice bytes, const struct conf *conf,
				struct parse_progress *progress, struct http_request *req,
				size_t *ret_consumed, enum failure *ret_failure)
{
	size_t start, fields_at, end;
	enum parse_result result = skip_empty_lines(bytes, &start);

	if (result != PARSE_DONE) {
		req->method_name = req->target = slice_of("", 0);
		*ret_failure = FAILURE_BAD_REQUEST;
		return result;
	}
	/* an incomplete head whose line was judged before: look for its end first */
	if (progress->line_checked && !head_is_whole(bytes, start, progress, &end) &&
	    bytes.n - start <= conf->head_size)
		return PARSE_MORE;
	result = start_line(bytes, start, conf, progress, req, &fields_at, ret_failure);
	if (result != PARSE_DONE)
		return result;
	progress->line_checked = true;
	if (!head_is_whole(bytes, start, progress, &end)) {
		*ret_failure = FAILURE_HEAD_TOO_LARGE;
		return bytes.n - start > conf->head_size ? PARSE_FAILED : PARSE_MORE;
	}
	*ret_failure = FAILURE_HEAD_TOO_LARGE;
	if (end - start > conf->head_size)
		return PARSE_FAILED;
	*ret_failure =
		read_request(slice_of(bytes.p + start, end - start), fields_at - start, conf, req);
	if (*ret_failure != FAILURE_NONE)
		return PARSE_FAILED;
	*progress = (struct parse_progress){0};
	*ret_consumed = end;
	return PARSE_DONE;
}

/* ---- responses ------------------------------------------------------------------------------ */

/* "HTTP/1.x" SP 3DIGIT [ SP reason ]; 100 to 599.  The reason is checked and forgotten. */
static bool read_status_line(struct slice line, struct http_response *res)
{
	unsigned status = 0;

	if (line.n < 12 || read_version(slice_of(line.p, 8), &res->version_minor) != FAILURE_NONE ||
	    line.p[8] != ' ')
		return false;
	for (size_t i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return false;
		status = status * 10 + (unsigned)(line.p[i] - '0');
	}
	if (line.n > 12 && line.p[12] != ' ')
		return false;
	res->status = (uint16_t)status;
	return status >= 100 && status <= 599 && value_is_clean(slice_of(line.p + 12, line.n - 12));
}

static bool response_has_no_body(const struct http_response *res, enum http_method method)
{
	return res->status < 200 || res->status == 204 || res->status == 304 ||
	       method == METHOD_HEAD;
}

static bool response_framing(struct http_response *res, enum http_method method,
			     struct framing *framing)
{
	enum coding coding = read_coding(&res->fields);

	*framing = (struct framing){.minor = res->version_minor};
	if (!read_length(&res->fields, framing))
		return false;
	framing->chunked = coding == CODING_CHUNKED;
	res->content_length = framing->length;
	res->framing_trouble = res->status == 204 && (coding != CODING_NONE || framing->length > 0);
	if (response_has_no_body(res, method)) {
		res->body = BODY_NONE;
		return true;
	}
	if (coding == CODING_BAD || coding == CODING_OTHER)
		return false;
	if (coding == CODING_CHUNKED)
		res->body = BODY_CHUNKED;
	else if (framing->has_length)
		res->body = framing->length > 0 ? BODY_LENGTH : BODY_NONE;
	else
		res->body = BODY_UNTIL_CLOSE;
	return true;
}

/* May the connection be kept after this response?  Doubtful framing says no (HAZARDS A3, A4). */
static bool response_keeps_alive(const struct http_response *res, const struct framing *framing)
{
	if (res->framing_trouble || res->body == BODY_UNTIL_CLOSE ||
	    http_list_has(&res->fields, FIELD_CONNECTION, SLICE("close")))
		return false;
	if (http_has_field(&res->fields, FIELD_TRANSFER_ENCODING) &&
	    (framing->has_length || res->version_minor == 0))
		return false;
	return res->version_minor > 0 ||
	       http_list_has(&res->fields, FIELD_CONNECTION, SLICE("keep-alive"));
}

static bool response_confirmed(struct slice head, const struct http_response *res,
			       const struct framing *framing, enum http_method method)
{
	struct opinion opinion = {.no_body = response_has_no_body(res, method)};

	return ask_parser(HTTP_RESPONSE, slice_of(NULL, 0), head, 0, &opinion) &&
	       opinion.status == res->status && opinion.framing.has_length == framing->has_length &&
	       (!framing->has_length || opinion.framing.length == framing->length) &&
	       (opinion.no_body || opinion.framing.chunked == framing->chunked);
}

enum parse_result parse_response(struct slice bytes, const struct conf *conf,
				 enum http_method method, struct parse_progress *progress,
				 struct http_response *res, size_t *ret_consumed,
				 enum failure *ret_failure)
{
	struct framing framing;
	struct slice line, head;
	size_t fields_at, end;

	*ret_failure = FAILURE_BAD_RESPONSE;
	if (bytes.n == 0)
		return PARSE_MORE;
	if (memcmp(bytes.p, "HTTP/1.", bytes.n < 7 ? bytes.n : 7) != 0)
		return PARSE_FAILED;
	if (!head_is_whole(bytes, 0, progress, &end)) {
		*ret_failure = FAILURE_RESPONSE_HEAD_TOO_LARGE;
		return bytes.n > conf->head_size ? PARSE_FAILED : PARSE_MORE;
	}
	if (end > conf->head_size) {
		*ret_failure = FAILURE_RESPONSE_HEAD_TOO_LARGE;
		return PARSE_FAILED;
	}
	head = slice_of(bytes.p, end);
	fields_reset(&res->fields);
	if (line_at(head, 0, &line, &fields_at) != PARSE_DONE || !read_status_line(line, res))
		return PARSE_FAILED;
	*ret_failure = field_lines(head, fields_at, conf, &res->fields, FAILURE_BAD_RESPONSE,
				   FAILURE_RESPONSE_HEAD_TOO_LARGE);
	if (*ret_failure != FAILURE_NONE)
		return PARSE_FAILED;
	*ret_failure = FAILURE_BAD_RESPONSE;
	if (!response_framing(res, method, &framing) ||
	    !response_confirmed(head, res, &framing, method))
		return PARSE_FAILED;
	res->keep_alive = response_keeps_alive(res, &framing);
	*progress = (struct parse_progress){0};
	*ret_consumed = end;
	return PARSE_DONE;
}
