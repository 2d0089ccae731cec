/* Requests to origins and to the parent: heads built anew, field by field. */
#include "proxy/http1/compose.h"

#include <stdio.h>

#include "cache/http/fields.h"
#include "proxy/http1/put.h"

/*
 * The client's own validators give way to the record's, but for its entity tags, which join them.
 */
static bool replaces_condition(const struct http_field *field, const struct request_form *form)
{
	return (form->validate != NULL || form->unconditional) &&
	       (field->id == FIELD_IF_NONE_MATCH || field->id == FIELD_IF_MODIFIED_SINCE);
}

static bool request_drops(const struct http_field *field, const struct http_request *req,
			  const struct request_form *form)
{
	return http_field_is_hop(field) || replaces_condition(field, form) ||
	       (field->id == FIELD_MAX_FORWARDS && form->max_forwards != NULL) ||
	       (field->id == FIELD_EXPECT && req->version_minor == 0); /* RFC 9110 10.1.1 */
}

/* If-None-Match: the record's tag and those of the client; If-Modified-Since of the record. */
static char *put_validators(char *at, const struct http_request *req,
			    const struct record_view *record)
{
	struct slice etag = record_etag(record), last_modified = record_last_modified(record);
	const struct http_field *line;

	if (etag.n > 0) {
		at = PUT(at, "If-None-Match: ");
		at = put(at, etag);
		line = http_fields_first(&req->fields, FIELD_IF_NONE_MATCH);
		for (; line != NULL; line = http_fields_next(&req->fields, line)) {
			if (line->value.n == 0 || slice_eq(line->value, SLICE("*")) ||
			    slice_eq(line->value, etag))
				continue;
			at = PUT(at, ", ");
			at = put(at, line->value);
		}
		at = PUT(at, "\r\n");
	}
	if (last_modified.n > 0) {
		at = PUT(at, "If-Modified-Since: ");
		at = put(at, last_modified);
		at = PUT(at, "\r\n");
	}
	return at;
}

static char *put_target(char *at, const struct http_request *req, const struct request_form *form)
{
	bool whole_server = req->method == METHOD_OPTIONS && req->uri.path.n == 0;

	if (form->absolute) {
		at = req->uri.scheme == SCHEME_HTTPS ? PUT(at, "https://") : PUT(at, "http://");
		at += http_uri_authority(&req->uri, at);
	}
	/* RFC 9112 3.2.4: OPTIONS of a URI without path is for the server as a whole */
	if (whole_server)
		return form->absolute ? at : PUT(at, "*");
	if (req->uri.path.n == 0 || req->uri.path.p[0] != '/')
		*at++ = '/'; /* empty path, or a query only */
	return put(at, req->uri.path);
}

static char *put_request_framing(char *at, const struct http_request *req)
{
	if (req->body == BODY_CHUNKED)
		return PUT(at, "Transfer-Encoding: chunked\r\n");
	if (!http_has_field(&req->fields, FIELD_CONTENT_LENGTH))
		return at;
	at = PUT(at, "Content-Length: ");
	at = put_number(at, req->content_length);
	return PUT(at, "\r\n");
}

bool compose_request(struct buf *to, const struct conf *conf, const struct http_request *req,
		     const struct request_form *form)
{
	struct slice instance = slice_str(conf_instance(conf));
	size_t validators = form->validate == NULL ? 0
						   : record_etag(form->validate).n +
							     record_last_modified(form->validate).n;
	char *start =
		buf_reserve(to, 512 + req->method_name.n + req->uri.path.n + 2 * URI_HOST_MAX +
					fields_max(&req->fields) + instance.n + validators +
					form->proxy_authorization.n);
	char *at;

	if (start == NULL)
		return false;
	at = put(start, req->method_name);
	*at++ = ' ';
	at = put_target(at, req, form);
	at = PUT(at, " HTTP/1.1\r\nHost: ");
	at += http_uri_authority(&req->uri, at);
	at = PUT(at, "\r\n");
	for (uint32_t i = 0; i < req->fields.count; i++)
		if (!request_drops(&req->fields.at[i], req, form))
			at = put_field(at, &req->fields.at[i]);
	if (form->validate != NULL)
		at = put_validators(at, req, form->validate);
	if (form->max_forwards != NULL) {
		at = PUT(at, "Max-Forwards: ");
		at = put(at, slice_str(form->max_forwards));
		at = PUT(at, "\r\n");
	}
	if (form->proxy_authorization.n > 0) {
		at = PUT(at, "Proxy-Authorization: ");
		at = put(at, form->proxy_authorization);
		at = PUT(at, "\r\n");
	}
	at = put_request_framing(at, req);
	if (req->upgrade)
		at = put_upgrade(at, &req->fields);
	at = put_via(at, instance, req->version_minor);
	at = PUT(at, "\r\n");
	buf_added(to, (size_t)(at - start));
	return true;
}

bool compose_connect(struct buf *to, const struct conf *conf, const struct http_request *req,
		     struct slice proxy_authorization)
{
	struct slice instance = slice_str(conf_instance(conf)), host = req->uri.host;
	char *start = buf_reserve(to, 512 + 2 * host.n + fields_max(&req->fields) + instance.n +
					      proxy_authorization.n);
	char *at;

	if (start == NULL)
		return false;
	at = put(PUT(start, "CONNECT "), host);
	at = put_number(PUT(at, ":"), req->uri.port);
	at = put(PUT(at, " HTTP/1.1\r\nHost: "), host);
	at = put_number(PUT(at, ":"), req->uri.port);
	at = PUT(at, "\r\n");
	for (uint32_t i = 0; i < req->fields.count; i++)
		if (req->fields.at[i].id == FIELD_VIA)
			at = put_field(at, &req->fields.at[i]);
	at = put_via(at, instance, req->version_minor);
	if (proxy_authorization.n > 0) {
		at = PUT(at, "Proxy-Authorization: ");
		at = put(at, proxy_authorization);
		at = PUT(at, "\r\n");
	}
	at = PUT(at, "\r\n");
	buf_added(to, (size_t)(at - start));
	return true;
}

size_t compose_chunk_head(char *to, size_t n)
{
	return (size_t)snprintf(to, CHUNK_HEAD_MAX, "%zx\r\n", n);
}
