/* Keys of the cache groups that stored responses are in, and that others invalidate. */
#include "cache/groups.h"

#include "cache/http_fields.h"
#include "cache/http_sf.h"

/* "scheme://host[:port]" of a URI in normal form, which always has a path. */
static struct slice origin_of(struct slice normal_uri)
{
	const char *host = memchr(normal_uri.p, ':', normal_uri.n);
	size_t host_at = host ? (size_t)(host - normal_uri.p) + 3 : normal_uri.n;
	const char *path;

	if (host_at >= normal_uri.n)
		return normal_uri;
	path = memchr(normal_uri.p + host_at, '/', normal_uri.n - host_at);
	return path ? slice_of(normal_uri.p, (size_t)(path - normal_uri.p)) : normal_uri;
}

static bool has_group(const struct cache_key *groups, size_t count, const struct cache_key *group)
{
	for (size_t i = 0; i < count; i++) {
		if (cache_key_eq(&groups[i], group))
			return true;
	}
	return false;
}

/* Adds the groups that a field names to those of `to`; how many there are then, or SIZE_MAX. */
static size_t add_groups(const struct http_fields *fields, enum http_field_id id,
			 struct slice origin, struct cache_key *to, size_t count)
{
	struct slice names[GROUPS_MAX];
	size_t found = 0;
	bool whole;

	if (!http_has_field(fields, id) ||
	    !sf_read_strings(fields, http_field_name(id), names, GROUPS_MAX, &found))
		return count;
	whole = found <= GROUPS_MAX;
	for (size_t i = 0; i < found && i < GROUPS_MAX; i++) {
		struct cache_key group = cache_key_of_group(origin, names[i]);

		if (has_group(to, count, &group))
			continue;
		if (count == GROUPS_MAX)
			return SIZE_MAX;
		to[count++] = group;
	}
	return whole ? count : SIZE_MAX;
}

size_t groups_of_response(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX])
{
	return add_groups(&res->fields, FIELD_CACHE_GROUPS, origin_of(normal_uri), to, 0);
}

/* What is not there yet of a record's groups; how many there are then, or SIZE_MAX. */
static size_t add_keys(const struct record_view *view, struct cache_key *to, size_t count)
{
	for (size_t i = 0; i < view->group_count; i++) {
		if (has_group(to, count, &view->groups[i]))
			continue;
		if (count == GROUPS_MAX)
			return SIZE_MAX;
		to[count++] = view->groups[i];
	}
	return count;
}

size_t groups_of_entry(struct slice entry, struct cache_key to[GROUPS_MAX])
{
	struct record_view view;
	struct slice uri;
	size_t count = 0;

	for (unsigned i = 0; count != SIZE_MAX && entry_at(entry, i, &uri, &view); i++)
		count = add_keys(&view, to, count);
	return count;
}

size_t groups_invalidated(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX])
{
	size_t count = add_groups(&res->fields, FIELD_CACHE_GROUP_INVALIDATION,
				  origin_of(normal_uri), to, 0);

	return count == SIZE_MAX ? GROUPS_MAX : count;
}
