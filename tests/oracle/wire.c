/* Parsing whole and in pieces, and what a composed message must have kept. */
#include "tests/oracle/wire.h"

#include "cache/http/fields.h"
#include "tests/support/guarded.h"

#define DIFFERS(a, b, member)                   \
	do {                                    \
		if ((a)->member != (b)->member) \
			return #member;         \
	} while (0)

void wire_parse(struct wire *wire, struct slice bytes)
{
	struct http_fields fields = {.at = wire->lines, .capacity = PARSE_FIELDS_MAX};
	struct parsed parsed = {0};

	if (wire->response) {
		wire->res = (struct http_response){.fields = fields};
		wire->result =
			parse_response(bytes,
				       &(struct response_rules){wire->conf, wire->method,
								wire->mended, wire->response_memo},
				       &wire->progress, &wire->res, &parsed);
	} else {
		wire->req = (struct http_request){.fields = fields};
		wire->result = parse_request(bytes, wire->conf, wire->memo, &wire->progress,
					     &wire->req, &parsed);
	}
	wire->failure = parsed.failure;
	wire->consumed = parsed.consumed;
}

/* ---- the same bytes in pieces --------------------------------------------------------------- */

static bool field_eq(const struct http_field *a, const struct http_field *b)
{
	return slice_eq(a->name, b->name) && slice_eq(a->value, b->value) && a->id == b->id &&
	       a->nominated == b->nominated;
}

static const char *fields_differ(const struct http_fields *a, const struct http_fields *b)
{
	DIFFERS(a, b, count);
	DIFFERS(a, b, present);
	for (uint32_t i = 0; i < a->count; i++) {
		if (!field_eq(&a->at[i], &b->at[i]))
			return "a field";
	}
	return NULL;
}

static const char *messages_differ(const struct wire *a, const struct wire *b)
{
	if (a->response) {
		DIFFERS(a, b, res.status);
		DIFFERS(a, b, res.version_minor);
		DIFFERS(a, b, res.keep_alive);
		DIFFERS(a, b, res.framing_trouble);
		DIFFERS(a, b, res.mended);
		DIFFERS(a, b, res.body);
		DIFFERS(a, b, res.content_length);
		return fields_differ(&a->res.fields, &b->res.fields);
	}
	DIFFERS(a, b, req.method);
	DIFFERS(a, b, req.form);
	DIFFERS(a, b, req.version_minor);
	DIFFERS(a, b, req.keep_alive);
	DIFFERS(a, b, req.asks_keep_alive);
	DIFFERS(a, b, req.expect_continue);
	DIFFERS(a, b, req.body);
	DIFFERS(a, b, req.content_length);
	DIFFERS(a, b, req.uri.scheme);
	DIFFERS(a, b, req.uri.port);
	if (!slice_eq(a->req.uri.host, b->req.uri.host) ||
	    !slice_eq(a->req.uri.path, b->req.uri.path))
		return "req.uri";
	return fields_differ(&a->req.fields, &b->req.fields);
}

static const char *verdicts_differ(const struct wire *whole, const struct wire *piece)
{
	DIFFERS(whole, piece, result);
	if (!whole->response && whole->result != PARSE_MORE &&
	    (!slice_eq(whole->req.method_name, piece->req.method_name) ||
	     !slice_eq(whole->req.target, piece->req.target)))
		return "method_name or target";
	if (whole->result == PARSE_FAILED)
		DIFFERS(whole, piece, failure);
	if (whole->result != PARSE_DONE)
		return NULL;
	DIFFERS(whole, piece, consumed);
	if (piece->progress.scanned != 0 || piece->progress.line_checked)
		return "progress";
	return messages_differ(whole, piece);
}

/* It remembers what was parsed under a configuration, as a worker does. */
static void take_memos(struct wire *wire, const struct conf *conf)
{
	if (wire->memo == NULL || wire->conf != conf) {
		parse_memo_free(wire->memo);
		response_memo_free(wire->response_memo);
		wire->memo = parse_memo_new();
		wire->response_memo = response_memo_new();
	}
	wire->conf = conf;
}

const char *wire_pieces_differ(const struct wire *whole, struct slice bytes, size_t first,
			       size_t step)
{
	static struct wire piece;
	const char *difference = NULL;

	take_memos(&piece, whole->conf);
	piece.response = whole->response;
	piece.method = whole->method;
	/* the connection has asked before: maybe the same */
	piece.progress = (struct parse_progress){.hints = piece.progress.hints};
	piece.result = PARSE_MORE;
	for (size_t n = first < bytes.n ? first : bytes.n; piece.result == PARSE_MORE; n += step) {
		bool last;

		n = n < bytes.n ? n : bytes.n;
		last = n == bytes.n || (whole->result == PARSE_DONE && n >= whole->consumed);
		wire_parse(&piece, guarded(slice_of(bytes.p, n)));
		if (last || piece.result != PARSE_MORE)
			difference = verdicts_differ(whole, &piece);
		guarded_end();
		if (last)
			break;
	}
	return difference;
}

const char *wire_parse_every_way(struct wire *wire, struct slice bytes)
{
	enum { LONG = 1024, LAST = 50 };
	bool is_long = bytes.n > LONG;
	const char *difference = NULL;

	wire->progress = (struct parse_progress){0};
	wire_parse(wire, bytes);
	for (size_t step = 1; step <= 7 && !is_long && difference == NULL; step++)
		difference = wire_pieces_differ(wire, bytes, step, step);
	if (is_long)
		difference = wire_pieces_differ(wire, bytes, 1000, 1000);
	for (size_t first = is_long ? bytes.n - LAST : 1; first < bytes.n && difference == NULL;
	     first++)
		difference = wire_pieces_differ(wire, bytes, first, bytes.n);
	return difference;
}

/* ---- what was composed ---------------------------------------------------------------------- */

/*
 * A line of that name is taken for one of the connection as soon as Connection says close (RFC 9110
 * 18.4): it may be there or not.
 */
static bool is_close(const struct http_field *line)
{
	return slice_ieq(line->name, SLICE("close"));
}

/* The next line that travels on, from *i on. */
static const struct http_field *next_end_to_end(const struct http_fields *fields, uint32_t *i)
{
	while (*i < fields->count) {
		const struct http_field *line = &fields->at[(*i)++];

		if (!http_field_is_hop(line) && !is_close(line))
			return line;
	}
	return NULL;
}

/* Each end-to-end line of `from` that `skip` does not name stands in `to`, in order; *i is after.
 */
static const char *fields_lost(const struct http_fields *from, uint64_t skip,
			       const struct http_fields *to, uint32_t *i)
{
	const struct http_field *line, *other;
	uint32_t at = 0;

	while ((line = next_end_to_end(from, &at)) != NULL) {
		if (line->id != FIELD_OTHER && ((skip >> line->id) & 1))
			continue;
		other = next_end_to_end(to, i);
		if (other == NULL || !slice_eq(line->name, other->name) ||
		    !slice_eq(line->value, other->value))
			return "an end-to-end field";
	}
	return NULL;
}

/* What follows is of the proxy's own making. */
static const char *rest_is(const struct http_fields *fields, uint32_t i, uint64_t own)
{
	const struct http_field *line;

	while ((line = next_end_to_end(fields, &i)) != NULL) {
		if (line->id == FIELD_OTHER || !((own >> line->id) & 1))
			return "a field too many";
		own &= ~((uint64_t)1 << line->id);
	}
	return own != 0 ? "a field of our own" : NULL;
}

/* Of hop-by-hop fields only those that `kept` names. */
static const char *has_hop(const struct http_fields *fields, uint64_t kept)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		if (http_field_is_hop(&fields->at[i]) && !is_close(&fields->at[i]) &&
		    !((kept >> fields->at[i].id) & 1))
			return "a hop-by-hop field";
	}
	return NULL;
}

#define BIT(id) ((uint64_t)1 << FIELD_##id)

static bool host_is(struct slice asked, struct slice sent)
{
	char normal[URI_HOST_MAX];

	return slice_eq(slice_of(normal, http_host_normal(asked, normal)), sent);
}

/* RFC 9112 3.2: origin-form, or absolute-form to a parent, the host in its normal form and the path byte for byte. */
static bool target_is(const struct http_request *asked, bool absolute,
		      const struct http_request *sent)
{
	struct slice asked_path = asked->uri.path, path = sent->uri.path;

	if (absolute &&
	    (sent->form != TARGET_ABSOLUTE || sent->uri.port != asked->uri.port ||
	     sent->uri.scheme != asked->uri.scheme || !host_is(asked->uri.host, sent->uri.host)))
		return false;
	if (asked->method == METHOD_OPTIONS && asked_path.n == 0)
		return absolute ? path.n == 0 : sent->form == TARGET_ASTERISK;
	if (asked_path.n > 0 && asked_path.p[0] == '/')
		return slice_eq(path, asked_path);
	return path.n > 0 && path.p[0] == '/' &&
	       slice_eq(slice_of(path.p + 1, path.n - 1), asked_path);
}

const char *wire_request_differs(const struct http_request *asked, const struct request_form *form,
				 const struct http_request *sent)
{
	char authority[URI_HOST_MAX + 6];
	size_t n = http_uri_authority(&asked->uri, authority);
	const struct http_field *host = http_fields_first(&sent->fields, FIELD_HOST);
	uint64_t own = BIT(VIA), skip = 0;
	uint64_t hop = BIT(HOST) | BIT(CONTENT_LENGTH) | BIT(TRANSFER_ENCODING);
	uint32_t at = 0;
	const char *difference;

	if (!slice_eq(asked->method_name, sent->method_name))
		return "method_name";
	DIFFERS(asked, sent, body);
	DIFFERS(asked, sent, content_length);
	if (host == NULL || !slice_eq(host->value, slice_of(authority, n)))
		return "Host";
	if (!target_is(asked, form->absolute, sent))
		return "target";
	if (sent->version_minor != 1 || !sent->keep_alive)
		return "persistence";
	if (form->validate != NULL || form->unconditional)
		skip |= BIT(IF_NONE_MATCH) | BIT(IF_MODIFIED_SINCE);
	if (asked->version_minor == 0)
		skip |= BIT(EXPECT);
	if (form->validate != NULL && form->validate->etag.n > 0)
		own |= BIT(IF_NONE_MATCH);
	if (form->validate != NULL && form->validate->last_modified.n > 0)
		own |= BIT(IF_MODIFIED_SINCE);
	if (form->max_forwards != NULL) {
		skip |= BIT(MAX_FORWARDS);
		own |= BIT(MAX_FORWARDS);
	}
	if (form->proxy_authorization.n > 0)
		hop |= BIT(PROXY_AUTHORIZATION);
	difference = fields_lost(&asked->fields, skip, &sent->fields, &at);
	if (difference == NULL)
		difference = rest_is(&sent->fields, at, own);
	return difference != NULL ? difference : has_hop(&sent->fields, hop);
}

/* How the end of `got` is told to that client. */
static enum http_body body_sent(const struct http_response *got, const struct delivery *delivery)
{
	if (got->body != BODY_CHUNKED && got->body != BODY_UNTIL_CLOSE)
		return got->body;
	return delivery->client_minor > 0 ? BODY_CHUNKED : BODY_UNTIL_CLOSE;
}

/* Content-Length goes where a body has one, and where it tells of the body that a GET would get. */
static bool length_is_right(const struct http_response *got, const struct http_response *sent)
{
	bool told = got->status >= 200 && got->status != 204 &&
		    (got->body == BODY_NONE || got->body == BODY_LENGTH) &&
		    http_has_field(&got->fields, FIELD_CONTENT_LENGTH) &&
		    !http_has_field(&got->fields, FIELD_TRANSFER_ENCODING);

	return http_has_field(&sent->fields, FIELD_CONTENT_LENGTH) == told &&
	       (!told || got->content_length == sent->content_length);
}

const char *wire_response_differs(const struct http_response *got, const struct delivery *delivery,
				  const struct http_response *sent)
{
	bool until_close = body_sent(got, delivery) == BODY_UNTIL_CLOSE;
	uint64_t own = BIT(VIA) | (got->status < 200 ? 0 : BIT(CACHE_STATUS));
	uint32_t at = 0;
	const char *difference;

	DIFFERS(got, sent, status);
	if (sent->body != body_sent(got, delivery))
		return "body";
	if (!length_is_right(got, sent))
		return "Content-Length";
	/* what we write needs no mending, but for a status that is nobody's */
	if (sent->framing_trouble || sent->mended != (sent->status > 599) ||
	    sent->version_minor != 1)
		return "framing_trouble, mended or version_minor";
	if (sent->keep_alive != (delivery->keep_alive && !until_close && !sent->mended))
		return "keep_alive";
	if (http_connection_has(&sent->fields, SLICE("keep-alive")) !=
	    (got->status >= 200 && delivery->client_minor == 0 && delivery->keep_alive))
		return "Connection: keep-alive";
	if (http_has_field(&sent->fields, FIELD_TRANSFER_ENCODING) != (sent->body == BODY_CHUNKED))
		return "Transfer-Encoding";
	if (got->status >= 200 && !http_has_field(&got->fields, FIELD_DATE))
		own |= BIT(DATE);
	difference = fields_lost(&got->fields, 0, &sent->fields, &at);
	if (difference == NULL)
		difference = rest_is(&sent->fields, at, own);
	return difference != NULL ? difference
				  : has_hop(&sent->fields, BIT(CONNECTION) | BIT(CONTENT_LENGTH) |
								   BIT(TRANSFER_ENCODING));
}
