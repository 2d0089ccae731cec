/* Message heads out of text, for tests of rules. */
#include "tests/support/heads.h"

#include "cache/http/fields.h"

bool heads_take_line(struct slice *rest, struct slice *ret_line)
{
	const char *end;

	if (rest->n == 0)
		return false;
	end = memchr(rest->p, '\n', rest->n);
	*ret_line = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
	rest->p += ret_line->n + (end != NULL);
	rest->n -= ret_line->n + (end != NULL);
	return true;
}

/* The bytes up to the next space, and the rest behind it. */
static struct slice take_word(struct slice *rest)
{
	const char *space = rest->n > 0 ? memchr(rest->p, ' ', rest->n) : NULL;
	struct slice word = slice_of(rest->p, space ? (size_t)(space - rest->p) : rest->n);

	rest->p += word.n + (space != NULL);
	rest->n -= word.n + (space != NULL);
	return word;
}

static enum http_method method_of(struct slice name)
{
	static const char *const names[] = {
#define METHOD(id, name, safe, idempotent) name,
#include "cache/http/methods.def"
#undef METHOD
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (slice_eq(name, slice_str(names[i])))
			return (enum http_method)i;
	}
	return METHOD_OTHER;
}

static bool parse_version(struct slice text, uint8_t *ret_minor)
{
	*ret_minor = !slice_eq(text, SLICE("HTTP/1.0"));
	return text.n == 0 || *ret_minor == 0;
}

/* The proxy's parser lets no other control characters in. */
static bool is_field_text(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool parse_fields(struct slice text, struct http_field *lines, struct http_fields *fields)
{
	struct slice line;

	*fields = (struct http_fields){.at = lines, .capacity = HEAD_LINES};
	while (heads_take_line(&text, &line)) {
		const char *colon = line.n > 0 ? memchr(line.p, ':', line.n) : NULL;
		size_t n = colon ? (size_t)(colon - line.p) : 0;

		if (colon == NULL || !is_field_text(line) || !http_is_token(slice_of(line.p, n)) ||
		    !http_fields_add(fields, slice_of(line.p, n),
				     slice_trim(slice_of(colon + 1, line.n - n - 1))))
			return false;
	}
	http_fields_nominate(fields);
	return true;
}

static enum http_body body_of(const struct http_fields *fields, uint64_t *ret_length)
{
	const struct http_field *length = http_fields_first(fields, FIELD_CONTENT_LENGTH);

	*ret_length = 0;
	if (http_has_field(fields, FIELD_TRANSFER_ENCODING))
		return BODY_CHUNKED;
	for (size_t i = 0; length && i < length->value.n && i < 18; i++) {
		if (length->value.p[i] >= '0' && length->value.p[i] <= '9')
			*ret_length = *ret_length * 10 + (uint64_t)(length->value.p[i] - '0');
	}
	return *ret_length > 0 ? BODY_LENGTH : BODY_NONE;
}

static bool is_status(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	}
	return text.n == 3;
}

bool request_head_parse(struct slice text, struct request_head *ret_head)
{
	struct http_request *req = &ret_head->req;
	struct slice first;

	*req = (struct http_request){.keep_alive = true};
	if (!heads_take_line(&text, &first))
		return false;
	req->method_name = take_word(&first);
	req->method = method_of(req->method_name);
	req->target = take_word(&first);
	if (!http_is_token(req->method_name) || !parse_version(first, &req->version_minor) ||
	    http_uri_parse_absolute(req->target, &req->uri) != URI_OK ||
	    !parse_fields(text, ret_head->lines, &req->fields))
		return false;
	/* RFC 9110 7.8: ignored in HTTP/1.0 */
	req->upgrade = http_has_field(&req->fields, FIELD_UPGRADE) && req->version_minor > 0;
	req->body = body_of(&req->fields, &req->content_length);
	return true;
}

bool response_head_parse(struct slice text, struct response_head *ret_head)
{
	struct http_response *res = &ret_head->res;
	struct slice first, status;
	uint64_t length;

	*res = (struct http_response){.keep_alive = true};
	if (!heads_take_line(&text, &first))
		return false;
	status = take_word(&first);
	if (!is_status(status) || !parse_version(first, &res->version_minor) ||
	    !parse_fields(text, ret_head->lines, &res->fields))
		return false;
	res->status = (uint16_t)((status.p[0] - '0') * 100 + (status.p[1] - '0') * 10 +
				 (status.p[2] - '0'));
	/* A 204 has no body, whatever it announces. */
	if (res->status == 204)
		res->framing_trouble = body_of(&res->fields, &length) != BODY_NONE;
	else
		res->body = body_of(&res->fields, &res->content_length);
	return true;
}
