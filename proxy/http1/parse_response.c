/*
 * Response heads: a strict pass of our own, over mended ones if need be, confirmed by http-parser.
 */
#include "cache/base/decimal.h"
#include "proxy/http1/parse_head.h"
#include "proxy/http1/response_memo.h"

#include "cache/http/fields.h"

/* "HTTP/1.x" SP 3DIGIT [ SP reason ]; 100 to 999.  The reason is checked and forgotten. */
static bool read_status_line(struct slice line, struct http_response *res)
{
	uint64_t status;

	if (line.n < 12 || head_version(slice_of(line.p, 8), &res->version_minor) != FAILURE_NONE ||
	    line.p[8] != ' ' || !decimal_read(slice_of(line.p + 9, 3), UINT16_MAX, &status))
		return false;
	if (line.n > 12 && line.p[12] != ' ')
		return false;
	res->status = (uint16_t)status;
	res->mended = status > 599; /* passed on as it is (RFC 9110 15), and not trusted */
	return status >= 100 && head_value_is_clean(slice_of(line.p + 12, line.n - 12));
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
	if (coding == CODING_CHUNKED)
		head_set_chunked(&res->fields, framing);
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

/*
 * May the connection be kept after this response?  Doubtful framing says no (HAZARDS A3, A4, A7).
 */
static bool response_keeps_alive(const struct http_response *res, const struct framing *framing)
{
	if (res->framing_trouble || res->mended || res->body == BODY_UNTIL_CLOSE ||
	    http_connection_has(&res->fields, SLICE("close")))
		return false;
	if (http_has_field(&res->fields, FIELD_TRANSFER_ENCODING) &&
	    (framing->has_length || res->version_minor == 0))
		return false;
	return res->version_minor > 0 || http_connection_has(&res->fields, SLICE("keep-alive"));
}

/* A whole head, by the grammar. */
static enum failure read_head(struct slice head, const struct response_rules *rules,
			      struct http_response *res)
{
	struct framing framing;
	struct slice line;
	size_t fields_at;
	enum failure failure;

	if (head_line(head, 0, &line, &fields_at) != PARSE_DONE || !read_status_line(line, res))
		return FAILURE_BAD_RESPONSE;
	failure = head_fields(head, fields_at, (unsigned)rules->conf->field_count, &res->fields,
			      FAILURE_BAD_RESPONSE, FAILURE_RESPONSE_TOO_MANY_FIELDS);
	if (failure != FAILURE_NONE)
		return failure;
	if (!response_framing(res, rules->method, &framing) ||
	    !head_confirm_response(head, res->status, response_has_no_body(res, rules->method),
				   &framing))
		return FAILURE_BAD_RESPONSE;
	res->keep_alive = response_keeps_alive(res, &framing);
	return FAILURE_NONE;
}

/* The same head mended, which must then be by the grammar. */
static enum failure read_mended(struct slice head, const struct response_rules *rules,
				struct http_response *res)
{
	enum failure failure;
	size_t n;

	if (rules->mended == NULL)
		return FAILURE_BAD_RESPONSE;
	switch (mend_head(head, rules->mended, PARSE_MENDED_MAX, &n)) {
	case MEND_DOUBTFUL:
		return FAILURE_BAD_RESPONSE;
	case MEND_NO_ROOM:
		return FAILURE_RESPONSE_TOO_MANY_FIELDS;
	case MEND_DONE:
		break;
	}
	failure = read_head(slice_of(rules->mended, n), rules, res);
	res->mended = true;
	res->keep_alive = false;
	return failure;
}

/* Unless the same was read before: by the grammar, or mended. */
static enum failure read_whole(struct slice head, const struct response_rules *rules,
			       struct http_response *res)
{
	enum failure failure;

	if (rules->memo != NULL && response_memo_recall(rules->memo, head, rules->method, res))
		return FAILURE_NONE;
	failure = read_head(head, rules, res);
	if (failure == FAILURE_BAD_RESPONSE)
		return read_mended(head, rules, res);
	if (failure == FAILURE_NONE && rules->memo != NULL)
		response_memo_note(rules->memo, head, rules->method, res);
	return failure;
}

enum parse_result parse_response(struct slice bytes, const struct response_rules *rules,
				 struct parse_progress *progress, struct http_response *res,
				 struct parsed *ret_parsed)
{
	size_t end;

	ret_parsed->failure = FAILURE_BAD_RESPONSE;
	if (bytes.n == 0)
		return PARSE_MORE;
	if (memcmp(bytes.p, "HTTP/1.", bytes.n < 7 ? bytes.n : 7) != 0)
		return PARSE_FAILED;
	if (!head_find_end(bytes, 0, progress, &end)) {
		ret_parsed->failure = FAILURE_RESPONSE_HEAD_TOO_LARGE;
		return bytes.n > rules->conf->head_size ? PARSE_FAILED : PARSE_MORE;
	}
	if (end > rules->conf->head_size) {
		ret_parsed->failure = FAILURE_RESPONSE_HEAD_TOO_LARGE;
		return PARSE_FAILED;
	}
	ret_parsed->failure = read_whole(slice_of(bytes.p, end), rules, res);
	if (ret_parsed->failure != FAILURE_NONE)
		return PARSE_FAILED;
	*progress = (struct parse_progress){0};
	ret_parsed->consumed = end;
	return PARSE_DONE;
}
