/* Compares purges with URIs, and reads their patterns. */
#include "cache/purge_match.h"

#include <stdlib.h>

#include "cache/base/decimal.h"
#include "cache/policy/rule.h"

/* Behind the origin of a group; no origin has it. */
enum { GROUP_SEPARATOR = ' ', ORIGIN_SIZE = URI_HOST_MAX + 32 };

/* As much as fits: a text for people. */
static void add_text(struct purge *purge, struct slice text)
{
	size_t room = PURGE_TEXT_MAX - purge->text_n, n = text.n < room ? text.n : room;

	if (n > 0)
		memcpy(purge->text + purge->text_n, text.p, n);
	purge->text_n += (uint32_t)n;
}

bool purge_of_uri(const struct conf *conf, const struct http_uri *uri, struct purge *ret_purge)
{
	char *memory = malloc(policy_key_uri_max(uri));
	struct slice normal;

	if (memory == NULL)
		return false;
	normal = policy_key_uri(conf, uri, memory);
	ret_purge->kind = PURGE_URI;
	ret_purge->keys[0] = ret_purge->keys[1] = cache_key_of_uri(normal);
	add_text(ret_purge, normal);
	free(memory);
	return true;
}

bool purge_of_prefix(const struct http_uri *prefix, struct purge *ret_purge)
{
	if (http_uri_normal_max(prefix) > PURGE_TEXT_MAX)
		return false;
	ret_purge->kind = PURGE_PREFIX;
	ret_purge->text_n = (uint32_t)http_uri_normal(prefix, ret_purge->text);
	return true;
}

/* "scheme://host[:port]" in normal form; its length, 0 when the URI is not one that is taken. */
static size_t origin_of(struct http_uri uri, char to[static ORIGIN_SIZE])
{
	uri.path = uri.normal = slice_of("", 0);
	if (http_uri_normal_max(&uri) > ORIGIN_SIZE)
		return 0;
	return http_uri_normal(&uri, to) - 1; /* without the path "/" */
}

static void name_group(struct purge *purge, struct slice origin, struct slice group)
{
	purge->kind = PURGE_GROUP;
	add_text(purge, origin);
	add_text(purge, slice_of((const char[]){GROUP_SEPARATOR}, 1));
	add_text(purge, group);
}

/*
 * Fields name groups by strings (RFC 9651 3.3.3), whose bytes make the key as they are in the field:
 * write a name so, in memory that the caller frees.  NULL when no string can have that name.
 */
static char *string_of(struct slice name, struct slice *ret_string)
{
	char *memory = name.n > 0 ? malloc(2 * name.n) : NULL;
	size_t n = 0;

	for (size_t i = 0; memory != NULL && i < name.n; i++) {
		char c = name.p[i];

		if (c < ' ' || c > '~') {
			free(memory);
			return NULL;
		}
		if (c == '"' || c == '\\')
			memory[n++] = '\\';
		memory[n++] = c;
	}
	*ret_string = slice_of(memory, n);
	return memory;
}

bool purge_of_group(const struct http_uri *uri, struct slice group, struct purge *ret_purge)
{
	char origin[ORIGIN_SIZE];
	size_t n = origin_of(*uri, origin);
	struct slice string;
	char *memory = n > 0 ? string_of(group, &string) : NULL;

	if (memory == NULL)
		return false;
	ret_purge->keys[0] = ret_purge->keys[1] = cache_key_of_group(slice_of(origin, n), string);
	name_group(ret_purge, slice_of(origin, n), group);
	free(memory);
	return true;
}

/* The group's keys at http and https of the host. */
static bool set_group_keys(struct slice host_and_port, struct slice string, struct purge *purge)
{
	static const char *const schemes[] = {"http://", "https://"};
	char text[ORIGIN_SIZE], origin[ORIGIN_SIZE];
	struct http_uri uri;

	for (unsigned i = 0; i < 2; i++) {
		size_t n = strlen(schemes[i]);

		memcpy(text, schemes[i], n);
		memcpy(text + n, host_and_port.p, host_and_port.n);
		n += host_and_port.n;
		/* nothing behind the authority */
		if (http_uri_parse_absolute(slice_of(text, n), &uri) != URI_OK || uri.path.n > 0)
			return false;
		n = origin_of(uri, origin);
		if (n == 0)
			return false;
		purge->keys[i] = cache_key_of_group(slice_of(origin, n), string);
	}
	return true;
}

bool purge_of_group_at(struct slice host_and_port, struct slice group, struct purge *ret_purge)
{
	struct slice string;
	char *memory = host_and_port.n <= URI_HOST_MAX + 7 ? string_of(group, &string) : NULL;
	bool taken = memory != NULL && set_group_keys(host_and_port, string, ret_purge);

	free(memory);
	if (taken)
		name_group(ret_purge, host_and_port, group);
	return taken;
}

struct slice purge_text(const struct purge *purge)
{
	return slice_of(purge->text, purge->text_n);
}

struct slice purge_group_origin(const struct purge *purge)
{
	struct slice text = purge_text(purge);
	const char *end = memchr(text.p, GROUP_SEPARATOR, text.n);

	return end != NULL ? slice_of(text.p, (size_t)(end - text.p)) : text;
}

struct slice purge_group_name(const struct purge *purge)
{
	struct slice text = purge_text(purge);
	size_t before = purge_group_origin(purge).n + 1;

	return before < text.n ? slice_of(text.p + before, text.n - before) : slice_of("", 0);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

/*
 * "host" or "host:port" taken apart; the host without a dot at its end, port 0 when there is none.
 */
static void split_authority(struct slice authority, struct slice *ret_host, uint16_t *ret_port)
{
	const char *colon = memrchr(authority.p, ':', authority.n);
	const char *bracket = memchr(authority.p, ']', authority.n);

	*ret_host = authority;
	*ret_port = 0;
	if (colon != NULL && (bracket == NULL || bracket < colon)) {
		struct slice digits;

		ret_host->n = (size_t)(colon - authority.p);
		digits = slice_of(colon + 1, authority.n - ret_host->n - 1);
		*ret_port = (uint16_t)decimal_take(digits, UINT16_MAX).number;
	}
	if (ret_host->n > 1 && ret_host->p[ret_host->n - 1] == '.')
		ret_host->n--;
}

bool purge_of_host(struct slice host_and_port, struct purge *ret_purge)
{
	struct slice host;

	if (host_and_port.n == 0 || host_and_port.n > URI_HOST_MAX + 7 ||
	    !http_host_is_valid(host_and_port))
		return false;
	split_authority(host_and_port, &host, &ret_purge->port);
	ret_purge->kind = PURGE_HOST;
	ret_purge->text_n = (uint32_t)http_host_normal(host, ret_purge->text);
	return true;
}

/* A URI in normal form has a scheme of ours, an authority, and a path that begins with "/". */
static bool is_of_host(const struct purge *purge, struct slice uri)
{
	bool secure = uri.n > 4 && uri.p[4] == 's';
	size_t before = secure ? sizeof("https://") - 1 : sizeof("http://") - 1;
	struct slice rest, host;
	const char *path;
	uint16_t port;

	if (uri.n <= before)
		return false;
	rest = slice_of(uri.p + before, uri.n - before);
	path = memchr(rest.p, '/', rest.n);
	if (path != NULL)
		rest.n = (size_t)(path - rest.p);
	split_authority(rest, &host, &port);
	if (port == 0)
		port = http_scheme_port(secure ? SCHEME_HTTPS : SCHEME_HTTP);
	return slice_eq(host, purge_text(purge)) && (purge->port == 0 || purge->port == port);
}

bool purge_concerns_groups(const struct purge *purge, const struct cache_key *groups, size_t count)
{
	for (size_t i = 0; purge->kind == PURGE_GROUP && i < count; i++) {
		if (purge_has_key(purge, &groups[i]))
			return true;
	}
	return false;
}

bool purge_concerns_uri(const struct purge *purge, const struct cache_key *key, struct slice uri)
{
	switch (purge->kind) {
	case PURGE_ALL:
		/* One that removes everything has a mark of its own (cache/store/purge_mark.h). */
		return purge->soft;
	case PURGE_URI:
		return purge_has_key(purge, key);
	case PURGE_PREFIX:
		return uri.n >= purge->text_n && memcmp(uri.p, purge->text, purge->text_n) == 0;
	case PURGE_HOST:
		return is_of_host(purge, uri);
	case PURGE_GROUP:
		break;
	}
	return false;
}
