/* The rules of sharing, read simply; see sharing.h. */
#include "tests/oracle/sharing.h"

#include <stdio.h>

#include "cache/http/fields.h"

bool sharing_has(const char *lines, const char *text)
{
	return strstr(lines, text) != NULL;
}

struct slice sharing_value(const char *lines, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = lines; *at != '\0'; at = strstr(at, "\r\n") + 2)
		if (strncmp(at, name, length) == 0 && strncmp(at + length, ": ", 2) == 0)
			return slice_of(at + length + 2,
					(size_t)(strstr(at, "\r\n") - (at + length + 2)));
	return slice_of("", 0);
}

static bool is(const struct asked *asked, const char *method)
{
	return strcmp(asked->method, method) == 0;
}

static bool same_origin(const struct asked *one, const struct asked *other)
{
	return strcmp(one->host, other->host) == 0 && one->tls == other->tls;
}

/* Is the path that of the value of this line? */
static bool names_path(const struct answered *answered, const char *field, const char *path)
{
	return slice_eq(sharing_value(answered->fields, field), slice_str(path));
}

static bool has_body(const struct asked *asked)
{
	return asked->length > 0 || asked->chunk > 0;
}

/* ---- to another ----------------------------------------------------------------------------- */

static const char *methods_fault(const struct asked *first, const struct answered *answered,
				 const struct asked *other)
{
	bool post = is(first, "POST") && names_path(answered, "Content-Location", first->path);

	if (!is(first, "GET") && !is(first, "HEAD") && !post)
		return "an answer to this method is for nobody else";
	if (!is(other, "GET") && !is(other, "HEAD"))
		return "a request of this method got another's answer";
	if (has_body(other))
		return "a request with a body got another's answer";
	return NULL;
}

/* The request wants the word of the origin itself. */
static const char *request_fault(const struct answered *answered, const struct asked *other)
{
	if (sharing_has(other->fields, "no-cache") || sharing_has(other->fields, "If-Match"))
		return "a request for the origin itself got another's answer";
	if (sharing_has(other->fields, "max-age=0") && answered->stale_s == 0)
		return "a request for nothing old got another's answer";
	return NULL;
}

static const char *age_fault(const struct answered *answered, const struct asked *other,
			     int64_t age_s)
{
	/* of dates in whole seconds */
	int64_t allowed_s = answered->fresh_s + answered->stale_s + 1;

	if (sharing_has(other->fields, "max-stale") && !answered->strict)
		return NULL;
	return age_s > allowed_s ? "a client got what is too old" : NULL;
}

/* An answer to HEAD updates a stored one, whose tag stays when it has none (RFC 9111 4.3.5). */
static const char *condition_fault(const struct asked *first, const struct answered *answered,
				   const struct asked *other, unsigned status)
{
	struct slice tags = sharing_value(other->fields, "If-None-Match");
	struct slice tag = sharing_value(answered->fields, "ETag");

	if (status != 304 || tags.n == 0 || slice_eq(tags, SLICE("*")) ||
	    (is(first, "HEAD") && tag.n == 0))
		return NULL;
	return slice_eq(tags, tag) ? NULL
				   : "a client was told that its tag is right, and it is not";
}

const char *sharing_fault(const struct asked *first, const struct answered *answered,
			  const struct asked *other, unsigned status, int64_t age_s)
{
	const char *fault;

	if (!answered->shareable || (status != 204 && status != 304))
		return "a client got what another was answered";
	if (!same_origin(first, other) || strcmp(first->path, other->path) != 0)
		return "a client got the answer of another target";
	if (sharing_has(answered->fields, "Vary: X-Vary") &&
	    !slice_eq(sharing_value(first->fields, "X-Vary"),
		      sharing_value(other->fields, "X-Vary")))
		return "a client got another variant";
	fault = methods_fault(first, answered, other);
	if (fault == NULL)
		fault = request_fault(answered, other);
	if (fault == NULL)
		fault = age_fault(answered, other, age_s);
	return fault != NULL ? fault : condition_fault(first, answered, other, status);
}

/* ---- fields --------------------------------------------------------------------------------- */

/* Of the proxy, or of the connection. */
static bool is_added(struct slice name)
{
	static const char *const added[] = {
		"Age", "Cache-Status", "Connection",   "Content-Length",    "Date",
		"Via", "X-Answer",     "Proxy-Status", "Transfer-Encoding", "Upgrade",
	};

	for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
		if (slice_eq(name, slice_str(added[i])))
			return true;
	return false;
}

static bool is_directive(struct slice value)
{
	size_t length = sizeof(SHARING_NAME) - 1;

	return value.n > length && memcmp(value.p, SHARING_NAME, length) == 0;
}

/* The lines' names, one after another; false at the end. */
static bool next_name(const char **at, char name[static 64])
{
	const char *colon = strchr(*at, ':');

	if (colon == NULL)
		return false;
	snprintf(name, 64, "%.*s", (int)(colon - *at), *at);
	*at = strstr(*at, "\r\n") + 2;
	return true;
}

const char *sharing_fields_fault(const struct answered *answered, const struct http_fields *fields,
				 bool shared)
{
	const char *at = answered->fields;
	char name[64];

	for (unsigned i = 0; i < fields->count; i++) {
		const struct http_field *field = &fields->at[i];

		snprintf(name, sizeof(name), "%.*s", SLICE_ARG(field->name));
		if (!is_added(field->name) && !is_directive(field->value) &&
		    !slice_eq(field->value, sharing_value(answered->fields, name)))
			return "an answer came with a field that its origin did not give it";
		if (shared && answered->secret != NULL && strcmp(name, answered->secret) == 0)
			return "a client got a field that is another's";
	}
	while (next_name(&at, name))
		if (!is_added(slice_str(name)) &&
		    http_fields_named(fields, slice_str(name)) == NULL &&
		    !(shared && answered->secret != NULL && strcmp(name, answered->secret) == 0))
			return "an answer came without a field that its origin gave it";
	return NULL;
}

/* ---- invalidation --------------------------------------------------------------------------- */

bool sharing_may_clear(const struct asked *unsafe, const struct answered *answered)
{
	return answered->status >= 200 && answered->status < 400 && !is(unsafe, "GET") &&
	       !is(unsafe, "HEAD") && !is(unsafe, "OPTIONS") && !is(unsafe, "TRACE") &&
	       !is(unsafe, "CONNECT");
}

bool sharing_clears(const struct asked *unsafe, const struct answered *answered,
		    const struct asked *first, const struct answered *answered_first)
{
	struct slice group = sharing_value(answered->fields, "Cache-Group-Invalidation");

	if (!sharing_may_clear(unsafe, answered) || !same_origin(unsafe, first))
		return false;
	return strcmp(unsafe->path, first->path) == 0 ||
	       names_path(answered, "Location", first->path) ||
	       names_path(answered, "Content-Location", first->path) ||
	       (group.n > 0 &&
		slice_eq(group, sharing_value(answered_first->fields, "Cache-Groups")));
}

bool sharing_purges(const struct purged *purged, const struct asked *first,
		    const struct answered *answered)
{
	if (purged->host != NULL && strcmp(purged->host, first->host) != 0)
		return false;
	if (purged->path != NULL &&
	    (first->tls || strncmp(purged->path, first->path, strlen(purged->path)) != 0))
		return false;
	return purged->group == NULL ||
	       slice_eq(slice_str(purged->group), sharing_value(answered->fields, "Cache-Groups"));
}
