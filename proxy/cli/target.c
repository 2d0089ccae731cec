/* Targets with parameters. */
#include "proxy/cli/target.h"

#include <stdio.h>
#include <string.h>

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

bool target_put_uri(struct buf *to, const char *name, const char *uri)
{
	return target_put(to, name, strstr(uri, "://") != NULL ? "" : "http://") &&
	       target_put(to, "", uri);
}

const char *target_text(struct buf *target)
{
	char *end = buf_reserve(target, 1);

	if (end == NULL)
		return NULL;
	*end = '\0';
	return buf_waiting(target).p;
}
