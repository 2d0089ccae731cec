/* Response heads: a strict pass of our own over each, confirmed by http-parser. */
#include "proxy/parse_head.h"

#include "cache/http_fields.h"

/* "HTTP/1.x" SP 3DIGIT [ SP reason ]; 100 to 599.  The reason is checked and forgotten. */
static bool read_status_line(struct slice line, struct http_response *res)
{
	unsigned status = 0;

	if (line.n < 12 || head_version(slice_of(line.p, 8), &res->version_minor) != FAILURE_NONE ||
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
	return status >= 100 && status <= 599 &&
	       head_value_is_clean(slice_of(line.p + 12, line.n - 12));
}

static bool response_has_no_body(const struct http_response *res, enum http_method method)
{
	return res->status < 200 || res->status == 204 || res->status == 304 ||
	       method == METHOD_HEAD;
}

static bool response_framing(struct http_response *res, enum http_method method,
			     struct framing *framing)
{
	enum coding coding = head_coding(&res->fields);

	*framing = (struct framing){.minor = res->version_minor};
	if (!head_length(&res->fields, framing))
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
	    http_connection_has(&res->fields, SLICE("close")))
		return false;
	if (http_has_field(&res->fields, FIELD_TRANSFER_ENCODING) &&
	    (framing->has_length || res->version_minor == 0))
		return false;
	return res->version_minor > 0 || http_connection_has(&res->fields, SLICE("keep-alive"));
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
	if (!head_find_end(bytes, 0, progress, &end)) {
		*ret_failure = FAILURE_RESPONSE_HEAD_TOO_LARGE;
		return bytes.n > conf->head_size ? PARSE_FAILED : PARSE_MORE;
	}
	if (end > conf->head_size) {
		*ret_failure = FAILURE_RESPONSE_HEAD_TOO_LARGE;
		return PARSE_FAILED;
	}
	head = slice_of(bytes.p, end);
	if (head_line(head, 0, &line, &fields_at) != PARSE_DONE || !read_status_line(line, res))
		return PARSE_FAILED;
	*ret_failure = head_fields(head, fields_at, conf, &res->fields, FAILURE_BAD_RESPONSE,
				   FAILURE_RESPONSE_HEAD_TOO_LARGE);
	if (*ret_failure != FAILURE_NONE)
		return PARSE_FAILED;
	*ret_failure = FAILURE_BAD_RESPONSE;
	if (!response_framing(res, method, &framing) ||
	    !head_confirm_response(head, res->status, response_has_no_body(res, method), &framing))
		return PARSE_FAILED;
	res->keep_alive = response_keeps_alive(res, &framing);
	*progress = (struct parse_progress){0};
	*ret_consumed = end;
	return PARSE_DONE;
}
