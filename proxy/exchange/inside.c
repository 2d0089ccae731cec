/* Requests in a tunnel that is read as HTTP: whom they are for. */
#include "proxy/exchange/inside.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/ascii.h"
#include "cache/http/fields.h"

struct inside *inside_new(const struct http_request *connect, struct slice user,
			  const struct frontend *frontend)
{
	const struct http_uri *uri = &connect->uri;
	struct inside *inside = malloc(sizeof(*inside) + uri->host.n + sizeof(":65535") + user.n);
	size_t n = uri->host.n;

	if (inside == NULL)
		return NULL;
	*inside = (struct inside){.frontend = frontend};
	ascii_write_lower(uri->host, inside->text);
	inside->text[n++] = ':';
	n += http_port_write(uri->port, inside->text + n);
	inside->authority = slice_of(inside->text, n);
	if (user.n > 0) /* a certificate's is in memory of the exchange, which ends before this */
		inside->user = slice_of(memcpy(inside->text + n, user.p, user.n), user.n);
	inside->origin = (struct http_uri){
		.scheme = SCHEME_HTTP,
		.host = slice_of(inside->text, uri->host.n),
		.port = uri->port,
		.path = slice_of("", 0),
	};
	return inside;
}

/* The authority of CONNECT; without its port only where that goes without saying. */
static bool is_host(const struct inside *inside, struct slice value)
{
	struct slice host = inside->origin.host,
		     port = slice_of(inside->authority.p + host.n, inside->authority.n - host.n);
	const char *colon = memrchr(value.p, ':', value.n);

	if (colon == NULL || memchr(colon, ']', value.n - (size_t)(colon - value.p)) != NULL)
		return inside->origin.port == http_scheme_port(SCHEME_HTTP) &&
		       http_host_is_same(value, host);
	return slice_eq(slice_of(colon, value.n - (size_t)(colon - value.p)), port) &&
	       http_host_is_same(slice_of(value.p, (size_t)(colon - value.p)), host);
}

static bool is_for(const struct inside *inside, const struct http_request *req)
{
	const struct http_field *host = http_fields_first(&req->fields, FIELD_HOST);

	return host != NULL && http_fields_next(&req->fields, host) == NULL &&
	       is_host(inside, host->value) &&
	       (req->form != TARGET_ABSOLUTE || http_uri_same_origin(&req->uri, &inside->origin));
}

bool inside_begins(const struct inside *inside, const struct http_request *req)
{
	return req->method != METHOD_CONNECT && !http_has_field(&req->fields, FIELD_UPGRADE) &&
	       is_for(inside, req);
}

enum failure inside_complete(const struct inside *inside, struct http_request *req)
{
	if (req->method == METHOD_CONNECT)
		return FAILURE_DENIED_METHOD;
	if (!is_for(inside, req))
		return FAILURE_MISDIRECTED;
	/* "*" has an empty path, which is sent on as "*" */
	req->uri = (struct http_uri){
		.scheme = SCHEME_HTTP,
		.host = inside->origin.host,
		.port = inside->origin.port,
		.path = req->uri.path,
	};
	req->form = TARGET_ABSOLUTE;
	return FAILURE_NONE;
}
