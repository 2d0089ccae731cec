/* Decoding of message bodies: by length, chunked, until close. */
#include "proxy/http1/body.h"

#include "cache/base/ascii.h"
#include "cache/http/fields.h"

enum chunk_state {
	CHUNK_SIZE_FIRST, /* at least one digit */
	CHUNK_SIZE,
	CHUNK_SIZE_SPACE, /* white space before an extension's semicolon */
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	CHUNK_TRAILER_START, /* a trailer line or the last CRLF */
	CHUNK_TRAILER,
	CHUNK_TRAILER_LF,
	CHUNK_LAST_LF,
};

void body_begin(struct body *body, enum http_body kind, uint64_t content_length)
{
	*body = (struct body){
		.kind = kind,
		.left = kind == BODY_LENGTH ? content_length : 0,
		.state = CHUNK_SIZE_FIRST,
		.done = kind == BODY_NONE || (kind == BODY_LENGTH && content_length == 0),
	};
}

/* One more byte that is neither content nor needed, bounded against the content. */
static bool spare_byte(struct body *body)
{
	return ++body->extensions <= BODY_EXTENSIONS_SPARE + body->content / 8;
}

static bool size_digit(struct body *body, int digit)
{
	bool first = body->state == CHUNK_SIZE_FIRST;

	body->state = CHUNK_SIZE;
	if (body->digits > 0 || digit > 0)
		body->digits++;
	else if (!first && !spare_byte(body))
		return false; /* leading zeros are bounded as the extensions are */
	body->left = body->left << 4 | (unsigned)digit;
	return body->digits <= 16 && body->left <= INT64_MAX;
}

/* A byte of an extension: anything visible, bounded per chunk and against the content. */
static bool extension_byte(struct body *body, unsigned char c)
{
	return c != 0x7f && (c >= 0x20 || c == '\t') && ++body->line <= BODY_EXTENSION_MAX &&
	       spare_byte(body);
}

static bool size_line_byte(struct body *body, unsigned char c)
{
	int digit = ascii_hex((char)c);

	if (body->state <= CHUNK_SIZE && digit >= 0)
		return size_digit(body, digit);
	if (body->state == CHUNK_SIZE_FIRST)
		return false;
	if (c == '\r' && (body->state != CHUNK_SIZE_SPACE || body->may_pad)) {
		body->padded |= body->state == CHUNK_SIZE_SPACE;
		body->state = CHUNK_SIZE_LF;
		return true;
	}
	if (body->state == CHUNK_EXTENSION)
		return extension_byte(body, c);
	if (c != ';' && c != ' ' && c != '\t')
		return false;
	body->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_SPACE;
	return extension_byte(body, c);
}

static bool trailer_byte(struct body *body, unsigned char c)
{
	if (++body->trailers > BODY_TRAILERS_MAX)
		return false;
	if (c == '\r') {
		body->state = CHUNK_TRAILER_LF;
		return body->name_ended;
	}
	if (!body->name_ended) {
		body->name_ended = c == ':' && body->line > 0;
		body->line++;
		return body->name_ended || http_is_tchar(c);
	}
	return c != 0x7f && (c >= 0x20 || c == '\t');
}

/* What follows the LF of a chunk-size line. */
static void size_line_ended(struct body *body)
{
	body->state = body->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
	body->line = 0;
	body->digits = 0;
}

/* One byte of framing, everything but content.  False when it is not what the grammar has there. */
static bool framing_byte(struct body *body, unsigned char c)
{
	switch ((enum chunk_state)body->state) {
	case CHUNK_SIZE_FIRST:
	case CHUNK_SIZE:
	case CHUNK_SIZE_SPACE:
	case CHUNK_EXTENSION:
		return size_line_byte(body, c);
	case CHUNK_SIZE_LF:
		size_line_ended(body);
		return c == '\n';
	case CHUNK_DATA_CR:
		body->state = CHUNK_DATA_LF;
		return c == '\r';
	case CHUNK_DATA_LF:
		body->state = CHUNK_SIZE_FIRST;
		return c == '\n';
	case CHUNK_TRAILER_START:
		if (c == '\r') {
			body->state = CHUNK_LAST_LF;
			return true;
		}
		body->state = CHUNK_TRAILER;
		body->line = 0;
		body->name_ended = false;
		return ++body->trailer_lines <= BODY_TRAILER_LINES_MAX && trailer_byte(body, c);
	case CHUNK_TRAILER:
		return trailer_byte(body, c);
	case CHUNK_TRAILER_LF:
		body->state = CHUNK_TRAILER_START;
		return c == '\n';
	case CHUNK_LAST_LF:
		body->done = true;
		return c == '\n';
	case CHUNK_DATA:
		break;
	}
	return false;
}

/* A run of content, at most what is left of the length or chunk. */
static struct slice take_content(struct body *body, struct slice bytes)
{
	size_t n = bytes.n < body->left ? bytes.n : (size_t)body->left;

	body->left -= n;
	body->content += n;
	return slice_of(bytes.p, n);
}

static enum body_result decode_chunked(struct body *body, struct slice bytes, size_t *ret_consumed,
				       struct slice *ret_content)
{
	size_t at = 0;

	while (at < bytes.n && !body->done) {
		if (body->state == CHUNK_DATA) {
			*ret_content = take_content(body, slice_of(bytes.p + at, bytes.n - at));
			if (body->left == 0)
				body->state = CHUNK_DATA_CR;
			*ret_consumed = at + ret_content->n;
			return BODY_MORE;
		}
		if (!framing_byte(body, (unsigned char)bytes.p[at++]))
			return BODY_BAD;
	}
	*ret_consumed = at;
	return body->done ? BODY_DONE : BODY_MORE;
}

enum body_result body_decode(struct body *body, struct slice bytes, size_t *ret_consumed,
			     struct slice *ret_content)
{
	*ret_consumed = 0;
	*ret_content = slice_of(NULL, 0);
	if (body->done)
		return BODY_DONE;
	if (body->kind == BODY_CHUNKED)
		return decode_chunked(body, bytes, ret_consumed, ret_content);
	if (body->kind == BODY_UNTIL_CLOSE) {
		body->content += bytes.n;
		*ret_consumed = bytes.n;
		*ret_content = bytes;
		return BODY_MORE;
	}
	*ret_content = take_content(body, bytes);
	*ret_consumed = ret_content->n;
	body->done = body->left == 0;
	return body->done ? BODY_DONE : BODY_MORE;
}
