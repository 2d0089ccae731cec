/* Answers to clients: heads built anew, field by field. */
#include "proxy/http1/compose.h"

#include <assert.h>
#include <stdio.h>

#include "cache/http/date.h"
#include "cache/http/fields.h"
#include "proxy/http1/put.h"

/* ---- fields of our own ---------------------------------------------------------------------- */

static const struct slice forward_reasons[] = {
	[FWD_NONE] = {"", 0},
	[FWD_BYPASS] = {"bypass", 6},
	[FWD_METHOD] = {"method", 6},
	[FWD_URI_MISS] = {"uri-miss", 8},
	[FWD_VARY_MISS] = {"vary-miss", 9},
	[FWD_STALE] = {"stale", 5},
	[FWD_REQUEST] = {"request", 7},
};

const char *compose_forward_word(enum forward_reason reason)
{
	return forward_reasons[reason].p;
}

static size_t own_fields_max(const struct conf *conf, const struct cache_status *status)
{
	/* Via, Cache-Status with every parameter, Date, framing, Connection; the key is quoted */
	return 512 + 3 * strlen(conf->pseudonym) + 2 * status->key.n;
}

/* A String of RFC 9651 3.3.3: printable ASCII; what is not becomes a question mark. */
static char *put_string(char *at, struct slice text)
{
	*at++ = '"';
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '"' || c == '\\')
			*at++ = '\\';
		*at++ = c >= ' ' && c < 0x7f ? c : '?';
	}
	*at++ = '"';
	return at;
}

/* A URI has neither quotes nor controls, but is escaped all the same. */
static char *put_key(char *at, struct slice key)
{
	return put_string(PUT(at, "; key="), key);
}

static char *put_cache_status(char *at, struct slice pseudonym, const struct cache_status *status)
{
	at = PUT(at, "Cache-Status: ");
	at = put(at, pseudonym);
	if (status->hit) {
		at = PUT(at, "; hit; ttl=");
		at = put_signed(at, status->ttl_s);
	}
	if (status->fwd != FWD_NONE) {
		at = PUT(at, "; fwd=");
		at = put(at, forward_reasons[status->fwd]);
	}
	if (status->fwd_status != 0) {
		at = PUT(at, "; fwd-status=");
		at = put_number(at, status->fwd_status);
	}
	if (status->stored)
		at = PUT(at, "; stored");
	if (status->collapsed)
		at = PUT(at, "; collapsed");
	if (status->key.n > 0)
		at = put_key(at, status->key);
	if (status->why != REASON_NONE) {
		at = PUT(at, "; detail=");
		at = put(at, slice_str(reason_token(status->why)));
	}
	return PUT(at, "\r\n");
}

bool compose_cache_status(struct buf *to, const struct conf *conf,
			  const struct cache_status *status_field)
{
	size_t name_n = strlen("Cache-Status: "), n;
	char *room = buf_reserve(to, own_fields_max(conf, status_field));

	if (room == NULL)
		return false;
	n = (size_t)(put_cache_status(room, slice_str(conf->pseudonym), status_field) - room) -
	    name_n - strlen("\r\n");
	memmove(room, room + name_n, n);
	buf_added(to, n);
	return true;
}

static char *put_date(char *at, int64_t now_s)
{
	at = PUT(at, "Date: ");
	http_date_write(now_s, at);
	return PUT(at + HTTP_DATE_LENGTH, "\r\n");
}

static char *put_status_line(char *at, unsigned status)
{
	at = PUT(at, "HTTP/1.1 ");
	at = put_number(at, status);
	*at++ = ' ';
	at = put(at, slice_str(compose_reason_phrase(status)));
	return PUT(at, "\r\n");
}

const char *compose_reason_phrase(unsigned status)
{
	static const char *const phrases[] = {
		[100] = "Continue",
		[101] = "Switching Protocols",
		[102] = "Processing",
		[103] = "Early Hints",
		[200] = "OK",
		[201] = "Created",
		[202] = "Accepted",
		[203] = "Non-Authoritative Information",
		[204] = "No Content",
		[205] = "Reset Content",
		[206] = "Partial Content",
		[300] = "Multiple Choices",
		[301] = "Moved Permanently",
		[302] = "Found",
		[303] = "See Other",
		[304] = "Not Modified",
		[307] = "Temporary Redirect",
		[308] = "Permanent Redirect",
		[400] = "Bad Request",
		[401] = "Unauthorized",
		[403] = "Forbidden",
		[404] = "Not Found",
		[405] = "Method Not Allowed",
		[406] = "Not Acceptable",
		[407] = "Proxy Authentication Required",
		[408] = "Request Timeout",
		[409] = "Conflict",
		[410] = "Gone",
		[411] = "Length Required",
		[412] = "Precondition Failed",
		[413] = "Content Too Large",
		[414] = "URI Too Long",
		[415] = "Unsupported Media Type",
		[416] = "Range Not Satisfiable",
		[417] = "Expectation Failed",
		[421] = "Misdirected Request",
		[422] = "Unprocessable Content",
		[426] = "Upgrade Required",
		[429] = "Too Many Requests",
		[431] = "Request Header Fields Too Large",
		[500] = "Internal Server Error",
		[501] = "Not Implemented",
		[502] = "Bad Gateway",
		[503] = "Service Unavailable",
		[504] = "Gateway Timeout",
		[505] = "HTTP Version Not Supported",
		[508] = "Loop Detected",
	};

	if (status < sizeof(phrases) / sizeof(phrases[0]) && phrases[status] != NULL)
		return phrases[status];
	return "Other";
}

/* The end of a head, and what becomes of the connection (RFC 9112 9.3, 9.6). */
static char *put_connection(char *at, const struct delivery *delivery)
{
	if (!delivery->keep_alive)
		return PUT(at, "Connection: close\r\n\r\n");
	if (delivery->client_minor == 0)
		return PUT(at, "Connection: keep-alive\r\n\r\n");
	return PUT(at, "\r\n");
}

/* ---- answers from a record: the hit path ---------------------------------------------------- */

bool compose_record(struct buf *to, const struct conf *conf, const struct record_answer *answer,
		    const struct cache_status *status_field, const struct delivery *delivery)
{
	struct slice pseudonym = slice_str(conf->pseudonym);
	bool is_304 = answer->status == 304;
	struct slice fields = record_head(answer->record, is_304);
	char *start, *at;

	start = buf_reserve(to, 64 + fields.n + own_fields_max(conf, status_field));
	if (start == NULL)
		return false;
	at = is_304 ? PUT(start, "HTTP/1.1 304 Not Modified\r\n")
		    : PUT(start, "HTTP/1.1 204 No Content\r\n");
	at = put(at, fields);
	at = PUT(at, "Age: ");
	at = put_number(at, (uint64_t)answer->age_s);
	at = PUT(at, "\r\n");
	at = put_via(at, pseudonym, record_minor_version(answer->record));
	at = put_cache_status(at, pseudonym, status_field);
	at = put_connection(at, delivery);
	buf_added(to, (size_t)(at - start));
	return true;
}

/* ---- responses passed on -------------------------------------------------------------------- */

static bool may_have_length(const struct http_response *res)
{
	return res->status >= 200 && res->status != 204;
}

bool compose_needs_close(const struct http_response *res, const struct delivery *delivery)
{
	return delivery->client_minor == 0 &&
	       (res->body == BODY_CHUNKED || res->body == BODY_UNTIL_CLOSE);
}

bool compose_is_chunked(const struct http_response *res, const struct delivery *delivery)
{
	return delivery->client_minor > 0 &&
	       (res->body == BODY_CHUNKED || res->body == BODY_UNTIL_CLOSE);
}

/* Content-Length, Transfer-Encoding or neither. */
static char *put_framing(char *at, const struct http_response *res, const struct delivery *delivery)
{
	if (compose_is_chunked(res, delivery))
		return PUT(at, "Transfer-Encoding: chunked\r\n");
	if (res->body == BODY_CHUNKED || res->body == BODY_UNTIL_CLOSE)
		return at;
	/* A HEAD or 304 tells the length that a GET would have (RFC 9110 8.6), if it is one. */
	if (!may_have_length(res) || !http_has_field(&res->fields, FIELD_CONTENT_LENGTH) ||
	    http_has_field(&res->fields, FIELD_TRANSFER_ENCODING))
		return at;
	at = PUT(at, "Content-Length: ");
	at = put_number(at, res->content_length);
	return PUT(at, "\r\n");
}

static char *put_end_to_end(char *at, const struct http_fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++)
		if (!http_field_is_hop(&fields->at[i]))
			at = put_field(at, &fields->at[i]);
	return at;
}

bool compose_response(struct buf *to, const struct conf *conf, const struct http_response *res,
		      const struct cache_status *status_field, const struct delivery *delivery,
		      int64_t now_s)
{
	struct slice pseudonym = slice_str(conf->pseudonym);
	char *start = buf_reserve(to, 128 + fields_max(&res->fields) +
					      own_fields_max(conf, status_field));
	char *at;

	if (start == NULL)
		return false;
	at = put_status_line(start, res->status);
	at = put_end_to_end(at, &res->fields);
	/* RFC 9110 6.6.1: a response without Date gets the time of receipt */
	if (!http_has_field(&res->fields, FIELD_DATE))
		at = put_date(at, now_s);
	at = put_framing(at, res, delivery);
	at = put_via(at, pseudonym, res->version_minor);
	at = put_cache_status(at, pseudonym, status_field);
	at = put_connection(at, delivery);
	buf_added(to, (size_t)(at - start));
	return true;
}

/* A head that no content follows in this message: interim, or the last of HTTP on its connection. */
static bool compose_1xx(struct buf *to, const struct conf *conf, const struct http_response *res,
			bool upgrades)
{
	struct slice pseudonym = slice_str(conf->pseudonym);
	char *start = buf_reserve(to, 256 + pseudonym.n + fields_max(&res->fields));
	char *at;

	if (start == NULL)
		return false;
	at = put_status_line(start, res->status);
	at = put_end_to_end(at, &res->fields);
	if (upgrades)
		at = put_upgrade(at, &res->fields);
	at = put_via(at, pseudonym, res->version_minor);
	at = PUT(at, "\r\n");
	buf_added(to, (size_t)(at - start));
	return true;
}

bool compose_interim(struct buf *to, const struct conf *conf, const struct http_response *res)
{
	return compose_1xx(to, conf, res, false);
}

bool compose_switch(struct buf *to, const struct conf *conf, const struct http_response *res)
{
	return compose_1xx(to, conf, res, true);
}

/* ---- answers made here ---------------------------------------------------------------------- */

enum { FAILURE_TEXT_MAX = 1280, FAILURE_DETAILS_MAX = 256 };

static bool has_content(unsigned status)
{
	return status != 204 && status != 304;
}

static char *put_local_start(char *at, unsigned status, const char *content_type, size_t content_n,
			     int64_t now_s)
{
	at = put_status_line(at, status);
	at = put_date(at, now_s);
	if (has_content(status)) {
		if (content_type[0] != '\0') {
			at = PUT(at, "Content-Type: ");
			at = put(at, slice_str(content_type));
			at = PUT(at, "\r\n");
		}
		at = PUT(at, "Content-Length: ");
		at = put_number(at, content_n);
		at = PUT(at, "\r\n");
	}
	return PUT(at, "Cache-Control: no-store\r\n");
}

static char *put_local_end(char *at, unsigned status, struct slice content,
			   const struct delivery *delivery)
{
	at = put_connection(at, delivery);
	return has_content(status) && !delivery->head_only ? put(at, content) : at;
}

bool compose_local(struct buf *to, const struct local_answer *answer,
		   const struct delivery *delivery, int64_t now_s)
{
	struct slice content = answer->content;
	char *start =
		buf_reserve(to, 512 + strlen(answer->content_type) + answer->extra.n + content.n);
	char *at;

	if (start == NULL)
		return false;
	at = put_local_start(start, answer->status, answer->content_type, content.n, now_s);
	at = put(at, answer->extra);
	at = put_local_end(at, answer->status, content, delivery);
	buf_added(to, (size_t)(at - start));
	return true;
}

/* What a client needs to do better next time. */
static size_t advice_max(const struct conf *conf)
{
	size_t n = 128 + strlen(conf->pseudonym);

	for (size_t i = 0; i < conf->methods.count; i++)
		n += strlen(conf->methods.at[i]) + 2;
	return n;
}

static char *put_allow(char *at, const struct conf *conf)
{
	at = PUT(at, "Allow: ");
	if (conf->methods.count == 0)
		at = PUT(at, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, CONNECT");
	for (size_t i = 0; i < conf->methods.count; i++) {
		if (i > 0)
			at = PUT(at, ", ");
		at = put(at, slice_str(conf->methods.at[i]));
	}
	return PUT(at, "\r\n");
}

bool compose_allow(struct buf *to, const struct conf *conf)
{
	char *start = buf_reserve(to, advice_max(conf));

	if (start == NULL)
		return false;
	buf_added(to, (size_t)(put_allow(start, conf) - start));
	return true;
}

static char *put_advice(char *at, const struct conf *conf, unsigned status)
{
	switch (status) {
	case 405: /* RFC 9110 15.5.6 */
		return put_allow(at, conf);
	case 407: /* RFC 7617 2.1; the pseudonym is a token */
		at = PUT(at, "Proxy-Authenticate: Basic realm=\"");
		at = put(at, slice_str(conf->pseudonym));
		return PUT(at, "\", charset=\"UTF-8\"\r\n");
	case 429:
	case 503:
		return PUT(at, "Retry-After: 2\r\n");
	default:
		return at;
	}
}

/* "line 3, byte 8: 0x00 in a value; option head_size"; its length. */
static size_t failure_details(const struct failure_answer *answer,
			      char to[static FAILURE_DETAILS_MAX])
{
	const char *options = failure_options(answer->failure);
	const char *between = answer->fault[0] != '\0' ? "; " : "";
	const char *word = strchr(options, ',') == NULL ? "option " : "options ";
	int n;

	if (options[0] == '\0')
		between = word = "";
	n = snprintf(to, FAILURE_DETAILS_MAX, "%.128s%s%s%s", answer->fault, between, word,
		     options);
	assert(n < FAILURE_DETAILS_MAX); /* options are a few names of our own */
	return (size_t)n;
}

static char *put_proxy_status(char *at, struct slice pseudonym, const struct failure_answer *answer)
{
	char details[FAILURE_DETAILS_MAX];
	size_t n = failure_details(answer, details);

	at = PUT(at, "Proxy-Status: ");
	at = put(at, pseudonym);
	at = PUT(at, "; error=");
	at = put(at, slice_str(failure_token(answer->failure)));
	if (n > 0)
		at = put_string(PUT(at, "; details="), slice_of(details, n));
	return PUT(at, "\r\n");
}

/* Names and sentences of failures are short, our own names are as the operator likes. */
static size_t failure_text(const struct conf *conf, const struct failure_answer *answer,
			   char to[static FAILURE_TEXT_MAX])
{
	enum failure failure = answer->failure;
	unsigned status = failure_status(failure);
	int n = snprintf(to, FAILURE_TEXT_MAX, "%u %s\n%s\n", status, compose_reason_phrase(status),
			 failure_sentence(failure));

	if (answer->fault[0] != '\0')
		n += snprintf(to + n, FAILURE_TEXT_MAX - (size_t)n, "Where: %.128s.\n",
			      answer->fault);

	if (failure == FAILURE_LOOP)
		n += snprintf(
			to + n, FAILURE_TEXT_MAX - (size_t)n,
			"Its Via has this proxy's name, %.128s: look where parent proxies and the "
			"name of the origin lead. If the name is that of another proxy in the "
			"chain as well, give each a pseudonym of its own (option pseudonym).\n",
			conf_instance(conf));
	if (failure == FAILURE_OWN_ADDRESS)
		n += snprintf(to + n, FAILURE_TEXT_MAX - (size_t)n,
			      "If it was for another host, look where the name of that host, a "
			      "gateway's URL or a parent proxy leads: it is here.\n");
	n += snprintf(to + n, FAILURE_TEXT_MAX - (size_t)n, "(%.128s: %s)\n", conf->pseudonym,
		      failure_name(failure));
	return (size_t)n;
}

bool compose_failure(struct buf *to, const struct conf *conf, const struct failure_answer *answer,
		     const struct cache_status *status_field, const struct delivery *delivery,
		     int64_t now_s)
{
	struct slice pseudonym = slice_str(conf->pseudonym);
	unsigned status = failure_status(answer->failure);
	char text[FAILURE_TEXT_MAX];
	size_t n = failure_text(conf, answer, text);
	char *start =
		buf_reserve(to, 512 + 2 * FAILURE_DETAILS_MAX + n +
					own_fields_max(conf, status_field) + advice_max(conf));
	char *at;

	if (start == NULL)
		return false;
	at = put_local_start(start, status, "text/plain; charset=utf-8", n, now_s);
	at = put_advice(at, conf, status);
	if (failure_token(answer->failure)[0] != '\0')
		at = put_proxy_status(at, pseudonym, answer);
	at = put_cache_status(at, pseudonym, status_field);
	at = PUT(at, "X-Content-Type-Options: nosniff\r\n");
	at = put_local_end(at, status, slice_of(text, n), delivery);
	buf_added(to, (size_t)(at - start));
	return true;
}
