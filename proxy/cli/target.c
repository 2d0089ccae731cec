/* Targets with parameters. */
#include "proxy/cli/target.h"

#include <stdio.h>
#include <string.h>

#include "proxy/cli/shown.h"

static bool is_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c != '\0' && strchr("-._~", c) != NULL);
}

bool target_put(struct buf *to, const char *name, const char *value)
{
	char escape[4];
	bool ok = buf_append(to, slice_str(name));

	for (; ok && *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		snprintf(escape, sizeof(escape), is_plain(c) ? "%c" : "%%%02x", c);
		ok = buf_append(to, slice_str(escape));
	}
	return ok;
}

/* "a/?to=http://b/" has none (RFC 3986 3.1). */
static bool has_scheme(const char *uri)
{
	size_t n = strspn(uri, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.");

	return strncmp(uri + n, "://", 3) == 0;
}

void target_note_scheme(const char *command, const char *uri)
{
	if (has_scheme(uri))
		return;
	fprintf(stderr, "cache204: %s: ", command);
	shown_write(stderr, uri);
	fputs(" has no scheme: taken as http://", stderr);
	shown_write(stderr, uri);
	putc('\n', stderr);
}

bool target_put_uri(struct buf *to, const char *name, const char *uri)
{
	return target_put(to, name, has_scheme(uri) ? "" : "http://") && target_put(to, "", uri);
}

const char *target_text(struct buf *target)
{
	char *end = buf_reserve(target, 1);

	if (end == NULL)
		return NULL;
	*end = '\0';
	return buf_waiting(target).p;
}
