/* Keys of the cache groups that stored responses are in, and that others invalidate. */
#include "cache/record/groups.h"

#include "cache/http/fields.h"
#include "cache/http/sf.h"

/* "scheme://host[:port]" of a URI in normal form, which always has a path. */
static struct slice origin_of(struct slice normal_uri)
{
	const char *host = memchr(normal_uri.p, ':', normal_uri.n);
	size_t host_at = host != NULL ? (size_t)(host - normal_uri.p) + 3 : normal_uri.n;
	const char *path;

	if (host_at >= normal_uri.n)
		return normal_uri;
	path = memchr(normal_uri.p + host_at, '/', normal_uri.n - host_at);
	return path != NULL ? slice_of(normal_uri.p, (size_t)(path - normal_uri.p)) : normal_uri;
}

static bool is_before(const struct cache_key *a, const struct cache_key *b)
{
	return a->word[0] != b->word[0] ? a->word[0] < b->word[0] : a->word[1] < b->word[1];
}

/* The origin's common group.  Its name has a line feed, which no string can have. */
static struct cache_key all_groups_of(struct slice origin)
{
	return cache_key_of_group(origin, SLICE("\n"));
}

/*
 * Add a group to a sorted list, so that merging is not quadratic.  Returns the new number, or
 * SIZE_MAX.  *at is a hint where to look, updated for the next one, since the groups of a record
 * are sorted, too.
 */
static size_t add_group(struct cache_key *to, size_t count, const struct cache_key *group,
			size_t *at)
{
	size_t low = 0, high = count;

	if (*at < count && cache_key_eq(&to[*at], group)) {
		++*at;
		return count;
	}
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (is_before(&to[middle], group))
			low = middle + 1;
		else
			high = middle;
	}
	*at = low + 1;
	if (low < count && cache_key_eq(&to[low], group))
		return count;
	if (count == GROUPS_MAX)
		return SIZE_MAX;
	memmove(to + low + 1, to + low, (count - low) * sizeof(*to));
	to[low] = *group;
	return count + 1;
}

/* Add the groups that a field names to those of `to`.  Returns the new number, or SIZE_MAX. */
static size_t add_groups(const struct http_fields *fields, enum http_field_id id,
			 struct slice origin, struct cache_key *to, size_t count)
{
	struct slice names[GROUPS_NAMED_MAX];
	size_t found = 0, at = 0;
	bool whole;

	if (!http_has_field(fields, id) ||
	    !sf_read_strings(fields, http_field_name(id), names, GROUPS_NAMED_MAX, &found))
		return count;
	whole = found <= GROUPS_NAMED_MAX;
	for (size_t i = 0; whole && i < found && count != SIZE_MAX; i++) {
		struct cache_key group = cache_key_of_group(origin, names[i]);

		count = add_group(to, count, &group, &at);
	}
	return whole ? count : SIZE_MAX;
}

size_t groups_of_response(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX])
{
	struct slice origin = origin_of(normal_uri);
	size_t count = add_groups(&res->fields, FIELD_CACHE_GROUPS, origin, to, 0), at = 0;
	struct cache_key all;

	if (count == 0 || count == SIZE_MAX)
		return count;
	all = all_groups_of(origin);
	return add_group(to, count, &all, &at);
}

size_t groups_add(struct cache_key to[GROUPS_MAX], size_t count, const struct cache_key *groups,
		  size_t group_count)
{
	size_t at = 0;

	for (size_t i = 0; i < group_count && count != SIZE_MAX; i++)
		count = add_group(to, count, &groups[i], &at);
	return count;
}

size_t groups_invalidated(const struct http_response *res, struct slice normal_uri,
			  struct cache_key to[GROUPS_MAX])
{
	struct slice origin = origin_of(normal_uri);
	size_t count = add_groups(&res->fields, FIELD_CACHE_GROUP_INVALIDATION, origin, to, 0);

	if (count != SIZE_MAX)
		return count;
	to[0] = all_groups_of(origin);
	return 1;
}
