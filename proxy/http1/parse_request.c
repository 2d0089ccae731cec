/* Request heads: a strict pass of our own over each, confirmed by http-parser. */
#include "proxy/http1/parse_head.h"

#include "cache/http/fields.h"
#include "cache/policy/rule.h"

/* Room that a start line may take beside the target: method, two spaces, version, CRLF. */
enum { START_LINE_EXTRA = PARSE_METHOD_MAX + 12 };

static enum http_method method_of(struct slice name)
{
	static const struct {
		struct slice name;
		enum http_method method;
	} known[] = {
#define METHOD(id, name, safe, idempotent) {{name, sizeof(name) - 1}, METHOD_##id},
#include "cache/http/methods.def"
#undef METHOD
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq(name, known[i].name))
			return known[i].method;
	return METHOD_OTHER;
}

static enum failure failure_of(enum http_uri_result result)
{
	switch (result) {
	case URI_OK:
		return FAILURE_NONE;
	case URI_BAD_SCHEME:
		return FAILURE_UNSUPPORTED_SCHEME;
	case URI_USERINFO:
		return FAILURE_USERINFO;
	case URI_FRAGMENT:
		return FAILURE_FRAGMENT;
	case URI_NO_PORT:
		return FAILURE_NO_PORT;
	case URI_BAD:
		break;
	}
	return FAILURE_BAD_TARGET;
}

/* Of a gateway, or in a tunnel that is read. */
static enum failure read_path(struct slice target)
{
	if (http_uri_path_is_valid(target))
		return FAILURE_NONE;
	return memchr(target.p, '#', target.n) != NULL ? FAILURE_FRAGMENT : FAILURE_BAD_TARGET;
}

static enum failure read_target(struct http_request *req)
{
	struct slice target = req->target;

	req->uri = (struct http_uri){.path = slice_of("", 0)};
	if (req->method == METHOD_CONNECT) {
		req->form = TARGET_AUTHORITY;
		return failure_of(http_uri_parse_authority(target, &req->uri));
	}
	if (target.n == 1 && target.p[0] == '*') {
		req->form = TARGET_ASTERISK;
		return req->method == METHOD_OPTIONS ? FAILURE_NONE : FAILURE_BAD_TARGET;
	}
	if (target.p[0] == '/') {
		req->form = TARGET_ORIGIN;
		req->uri.path = target;
		return read_path(target);
	}
	req->form = TARGET_ABSOLUTE;
	return failure_of(http_uri_parse_absolute(target, &req->uri));
}

static void forget_line(struct http_request *req)
{
	req->method_name = req->target = slice_of("", 0);
	req->target_read = false;
	req->rule = NULL;
}

/* Method SP target SP version, each checked. */
static enum failure read_request_line(struct slice line, const struct conf *conf,
				      struct http_request *req)
{
	const char *first = memchr(line.p, ' ', line.n);
	const char *last = memrchr(line.p, ' ', line.n);
	enum failure failure;

	if (first == NULL || first == last)
		return FAILURE_BAD_REQUEST;
	/* What is no token is no method, and not logged as one: it may be a URI with a password. */
	if (!http_is_token(slice_of(line.p, (size_t)(first - line.p))))
		return FAILURE_BAD_REQUEST;
	req->method_name = slice_of(line.p, (size_t)(first - line.p));
	req->target = slice_of(first + 1, (size_t)(last - first) - 1);
	if (req->method_name.n > PARSE_METHOD_MAX || req->target.n == 0)
		return FAILURE_BAD_REQUEST;
	failure = head_version(slice_of(last + 1, (size_t)(line.p + line.n - last) - 1),
			       &req->version_minor);
	if (failure != FAILURE_NONE)
		return failure;
	if (req->target.n > conf->uri_length)
		return FAILURE_URI_TOO_LONG;
	req->method = method_of(req->method_name);
	failure = read_target(req);
	req->target_read = failure == FAILURE_NONE;
	if (!req->target_read)
		req->uri = (struct http_uri){.path = slice_of("", 0)};
	return failure;
}

static enum failure check_host(const struct http_request *req)
{
	const struct http_field *host = http_fields_first(&req->fields, FIELD_HOST);

	if (host == NULL)
		return req->version_minor == 0 ? FAILURE_NONE : FAILURE_BAD_HOST;
	/* Beside a target with an authority it is ignored (RFC 9112 3.2.2), and may be empty. */
	if (http_fields_lines(&req->fields, FIELD_HOST) == 1 && host->value.n == 0 &&
	    req->form == TARGET_ABSOLUTE)
		return FAILURE_NONE;
	if (http_fields_lines(&req->fields, FIELD_HOST) != 1 || !http_host_is_valid(host->value))
		return FAILURE_BAD_HOST;
	return FAILURE_NONE;
}

static enum failure request_framing(struct http_request *req, struct framing *framing)
{
	enum coding coding = head_coding(&req->fields);

	*framing = (struct framing){.minor = req->version_minor};
	if (!head_length(&req->fields, framing))
		return FAILURE_BAD_FRAMING;
	if (coding != CODING_NONE &&
	    (framing->has_length || coding == CODING_BAD || req->version_minor == 0))
		return FAILURE_BAD_FRAMING;
	if (coding == CODING_OTHER)
		return FAILURE_UNSUPPORTED_CODING;
	if (coding == CODING_CHUNKED)
		head_set_chunked(&req->fields, framing);
	req->body = framing->chunked ? BODY_CHUNKED : framing->length > 0 ? BODY_LENGTH : BODY_NONE;
	req->content_length = framing->length;
	/* A tunnel has no request body (HAZARDS P9, T5). */
	if (req->method == METHOD_CONNECT && (framing->has_length || framing->chunked))
		return FAILURE_BAD_FRAMING;
	return FAILURE_NONE;
}

/*
 * Is another protocol asked for that may be passed on?  Not h2c: that would be a connection of HTTP
 * requests that are not checked, and clients offer it with any request.
 */
static bool asks_upgrade(const struct http_request *req)
{
	return req->method == METHOD_GET && req->version_minor > 0 && req->body == BODY_NONE &&
	       http_fields_lines(&req->fields, FIELD_UPGRADE) == 1 &&
	       http_connection_has(&req->fields, SLICE("upgrade")) &&
	       !http_list_has(&req->fields, FIELD_UPGRADE, SLICE("h2c"));
}

static void read_persistence(struct http_request *req)
{
	bool stays = !http_connection_has(&req->fields, SLICE("close"));

	req->keep_alive = req->version_minor > 0 && stays;
	req->asks_keep_alive = req->version_minor == 0 && stays &&
			       http_connection_has(&req->fields, SLICE("keep-alive"));
}

static enum failure request_fields(struct http_request *req, const struct conf *conf)
{
	const struct http_field *expect = http_fields_first(&req->fields, FIELD_EXPECT);

	read_persistence(req);
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

static unsigned request_lines(const struct conf *conf)
{
	return conf->field_count < PARSE_REQUEST_FIELDS_MAX ? (unsigned)conf->field_count
							    : PARSE_REQUEST_FIELDS_MAX;
}

/* What the field lines say, unless the same were read before: every check, then http-parser's. */
static enum failure read_fields(struct slice head, size_t offset, const struct conf *conf,
				struct parse_memo *memo, struct parse_hints *hints,
				struct http_request *req)
{
	struct slice block = slice_of(head.p + offset, head.n - offset);
	struct framing framing;
	enum failure failure;

	if (memo != NULL && parse_memo_recall(memo, hints, block, req)) {
		parse_memo_note_head(memo, hints, head, offset, req);
		return FAILURE_NONE;
	}
	failure = head_fields(head, offset, request_lines(conf), &req->fields, FAILURE_BAD_REQUEST,
			      FAILURE_HEAD_TOO_LARGE);
	if (failure == FAILURE_NONE)
		failure = check_host(req);
	if (failure == FAILURE_NONE)
		failure = request_framing(req, &framing);
	if (failure == FAILURE_NONE)
		failure = request_fields(req, conf);
	if (failure == FAILURE_NONE && !head_confirm_request(req->method, block, &framing))
		failure = FAILURE_BAD_REQUEST;
	if (failure == FAILURE_NONE && memo != NULL)
		parse_memo_note_block(memo, block, req);
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
 * other protocols (TLS, SMTP) never send the end of a head.  `consumed` is where the line ends.
 */
static enum parse_result start_line(struct slice bytes, size_t start, const struct conf *conf,
				    struct parse_progress *progress, struct http_request *req,
				    struct parsed *ret_parsed)
{
	/* What was looked at of an incomplete line has no LF. */
	size_t from =
		!progress->line_checked && progress->scanned > start ? progress->scanned : start;
	const char *lf = memchr(bytes.p + from, '\n', bytes.n - from);
	size_t end = lf != NULL ? (size_t)(lf - bytes.p) : bytes.n;
	struct slice line;

	forget_line(req);
	ret_parsed->failure = FAILURE_BAD_REQUEST;
	if (!http_is_tchar((unsigned char)bytes.p[start]))
		return PARSE_FAILED;
	if (end - start > conf->uri_length + START_LINE_EXTRA) {
		ret_parsed->failure = FAILURE_URI_TOO_LONG;
		return PARSE_FAILED;
	}
	if (lf == NULL) {
		progress->scanned = (uint32_t)end;
		return PARSE_MORE;
	}
	if (head_line(slice_of(bytes.p, end + 1), start, &line, &ret_parsed->consumed) !=
	    PARSE_DONE)
		return PARSE_FAILED;
	ret_parsed->failure = read_request_line(line, conf, req);
	return ret_parsed->failure == FAILURE_NONE ? PARSE_DONE : PARSE_FAILED;
}

/*
 * Are the field lines those of the connection's last request?  Then nothing is left to read.
 * `head` begins with a line of that length, and may go on after its end.  Returns its length, or 0.
 */
static size_t same_fields(struct slice head, size_t line, const struct conf *conf,
			  struct parse_memo *memo, struct parse_hints *hints,
			  struct http_request *req)
{
	struct slice rest = slice_of(head.p + line, head.n - line);
	size_t length;

	/* One that makes the head too large is not looked for. */
	if (rest.n + line > conf->head_size)
		rest.n = conf->head_size > line ? conf->head_size - line : 0;
	if (!parse_memo_block_again(memo, *hints, rest, req, &length))
		return 0;
	parse_memo_note_head(memo, hints, slice_of(head.p, line + length), line, req);
	return line + length;
}

/* Most requests are for the origin of the one before. */
static void choose_rule(const struct conf *conf, struct parse_memo *memo, struct http_request *req)
{
	bool any_path = false;

	if (req->form != TARGET_ABSOLUTE) {
		policy_choose_rule(req, conf);
		return;
	}
	if (memo != NULL && parse_memo_rule(memo, &req->uri, &req->rule))
		return;
	req->rule = policy_find_rule(conf->rules, &req->uri, &any_path);
	if (memo != NULL && any_path)
		parse_memo_note_rule(memo, &req->uri, req->rule);
}

static enum parse_result parse_whole(struct slice bytes, const struct conf *conf,
				     struct parse_memo *memo, struct parse_progress *progress,
				     struct http_request *req, struct parsed *ret_parsed)
{
	size_t start, line, end;
	enum parse_result result = skip_empty_lines(bytes, &start);

	if (result != PARSE_DONE) {
		forget_line(req);
		ret_parsed->failure = FAILURE_BAD_REQUEST;
		return result;
	}
	/* An incomplete head whose line was judged before: look for its end first. */
	if (progress->line_checked && !head_find_end(bytes, start, progress, &end) &&
	    bytes.n - start <= conf->head_size)
		return PARSE_MORE;
	result = start_line(bytes, start, conf, progress, req, ret_parsed);
	if (result != PARSE_DONE)
		return result;
	if (conf->rules != NULL)
		choose_rule(conf, memo, req);
	progress->line_checked = true;
	line = ret_parsed->consumed - start;
	if (memo != NULL) {
		end = same_fields(slice_of(bytes.p + start, bytes.n - start), line, conf, memo,
				  &progress->hints, req);
		ret_parsed->consumed = start + end;
		if (end > 0)
			return PARSE_DONE;
	}
	if (!head_find_end(bytes, start, progress, &end)) {
		ret_parsed->failure = FAILURE_HEAD_TOO_LARGE;
		return bytes.n - start > conf->head_size ? PARSE_FAILED : PARSE_MORE;
	}
	ret_parsed->failure = FAILURE_HEAD_TOO_LARGE;
	if (end - start > conf->head_size)
		return PARSE_FAILED;
	ret_parsed->failure = read_fields(slice_of(bytes.p + start, end - start), line, conf, memo,
					  &progress->hints, req);
	ret_parsed->consumed = end;
	return ret_parsed->failure == FAILURE_NONE ? PARSE_DONE : PARSE_FAILED;
}

enum parse_result parse_request(struct slice bytes, const struct conf *conf,
				struct parse_memo *memo, struct parse_progress *progress,
				struct http_request *req, struct parsed *ret_parsed)
{
	enum parse_result result = PARSE_DONE;

	if (memo == NULL ||
	    !parse_memo_again(memo, progress->hints, bytes, req, &ret_parsed->consumed))
		result = parse_whole(bytes, conf, memo, progress, req, ret_parsed);
	if (result == PARSE_DONE)
		*progress = (struct parse_progress){.hints = progress->hints};
	return result;
}
