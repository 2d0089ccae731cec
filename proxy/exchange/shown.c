/* Exchanges by names that may be shown. */
#include "proxy/exchange/shown.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/base/monotonic.h"
#include "proxy/stats/accesslog_mask.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/sketch.h"

enum { HOST_SIZE = URI_HOST_MAX + sizeof("[]:65535") };

static size_t append(char *room, size_t used, struct slice text)
{
	size_t n = text.n < SHOWN_URI_MAX - used ? text.n : SHOWN_URI_MAX - used;

	memcpy(room + used, text.p, n);
	return used + n;
}

struct slice shown_uri(const struct http_uri *uri, char room[SHOWN_URI_MAX])
{
	char masked[SKETCH_NAME_MAX];
	struct slice path;
	size_t used;

	if (uri->host.n == 0)
		return slice_of("", 0);
	path = accesslog_mask(uri->path, true, masked, sizeof(masked));
	used = append(room, 0, uri->scheme == SCHEME_HTTPS ? SLICE("https://") : SLICE("http://"));
	used += http_uri_authority(uri, room + used);
	used = append(room, used, path.n == 0 ? SLICE("/") : path);
	return slice_of(room, used);
}

static struct slice shown_host(const struct http_uri *uri, char room[HOST_SIZE])
{
	return slice_of(room, uri->host.n == 0 ? 0 : http_uri_authority(uri, room));
}

void shown_count(const struct sketch_event *event, const struct cache_key *key,
		 const struct http_request *req)
{
	bool is_tunnel = req->method == METHOD_CONNECT;
	char host[HOST_SIZE], room[SHOWN_URI_MAX];
	struct slice uri = is_tunnel ? slice_of("", 0) : shown_uri(&req->uri, room);
	struct cache_key own = *key;

	if (uri.n > 0 && own.word[0] == 0 && own.word[1] == 0)
		own = cache_key_of_uri(uri);
	sketch_count(event, &own, shown_host(&req->uri, host), uri);
}

/* What the system or the peer said, else what the failure means; and which address, if known. */
static void describe(const struct failure_subject *of, enum failure failure,
		     char text[RECENT_DETAIL_MAX + 1])
{
	const char *cause = cause_text();
	char origin[ADDRESS_TEXT_SIZE] = "";

	if (of->origin->any.sa_family != AF_UNSPEC)
		address_format_port(of->origin, origin);
	if (cause[0] == '\0')
		cause = failure_sentence(failure);
	if (origin[0] != '\0' && strstr(cause, origin) == NULL)
		snprintf(text, RECENT_DETAIL_MAX + 1, "%s (from %s)", cause, origin);
	else
		snprintf(text, RECENT_DETAIL_MAX + 1, "%s", cause);
}

void shown_error(const struct failure_subject *of, enum failure failure, unsigned status)
{
	char host[HOST_SIZE], room[SHOWN_URI_MAX], detail[RECENT_DETAIL_MAX + 1];
	struct recent_error_names names;

	if (!failure_is_error(failure))
		return;
	describe(of, failure, detail);
	names.host = shown_host(&of->req->uri, host);
	names.uri = shown_uri(&of->req->uri, room);
	names.detail = slice_str(detail);
	recent_errors_add(failure, status, &names, monotonic_us() / 1000);
}
