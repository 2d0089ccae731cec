/* Passwords that request targets have, or may have, are not for the log. */
#include "proxy/stats/accesslog_mask.h"

#include "cache/base/ascii.h"

/* The masked text, as far as there is room. */
struct masked {
	char *to;
	size_t size;
	size_t used;
};

static void show(struct masked *masked, struct slice text)
{
	size_t n = text.n < masked->size - masked->used ? text.n : masked->size - masked->used;

	if (n > 0)
		memcpy(masked->to + masked->used, text.p, n);
	masked->used += n;
}

static struct slice part(struct slice text, size_t from, size_t to)
{
	return slice_of(text.p + from, to - from);
}

static bool ends_authority(char c)
{
	return c == '/' || c == '?' || c == '#' || c == '\\';
}

/* The end of an authority that begins at `i`. */
static size_t authority_end(struct slice target, size_t i)
{
	while (i < target.n && !ends_authority(target.p[i]))
		i++;
	return i;
}

static bool is_slash(char c)
{
	return c == '/' || c == '\\';
}

static bool is_scheme_byte(char c)
{
	return ascii_is_digit(c) || ascii_is_alpha(c) || c == '+' || c == '-' || c == '.';
}

/*
 * Where the authority of a target begins that was not understood: past a scheme and its slashes, at
 * the start when it has none.
 */
static size_t unread_authority(struct slice target)
{
	size_t scheme = 0, i;

	while (scheme < target.n && is_scheme_byte(target.p[scheme]))
		scheme++;
	i = scheme > 0 && scheme < target.n && target.p[scheme] == ':' ? scheme + 1 : 0;
	if (i == target.n || !is_slash(target.p[i]))
		return 0;
	while (i < target.n && is_slash(target.p[i]))
		i++;
	return i;
}

/*
 * Shows what may be shown of the start of a target that was not understood, and returns its length.
 */
static size_t mask_unread(struct masked *masked, struct slice target)
{
	const char *last_at = memrchr(target.p, '@', target.n);
	size_t begin = unread_authority(target), end;

	/* A path that is no good. */
	if (begin == 1 && last_at == NULL)
		return 0;
	show(masked, part(target, 0, begin));
	show(masked, SLICE("***"));
	if (begin == 0)
		return target.n;
	end = last_at != NULL && (size_t)(last_at - target.p) > begin ? (size_t)(last_at - target.p)
								      : begin;
	return authority_end(target, end);
}

/* From `i` on, without the userinfo of URIs within. */
static void mask_embedded(struct masked *masked, struct slice target, size_t i)
{
	size_t shown = i;

	while (i + 1 < target.n) {
		const char *at;
		size_t end;

		if (target.p[i] != '/' || target.p[i + 1] != '/') {
			i++;
			continue;
		}
		i += 2;
		end = authority_end(target, i);
		at = memrchr(target.p + i, '@', end - i);
		if (at == NULL)
			continue;
		show(masked, part(target, shown, i));
		show(masked, SLICE("***"));
		shown = i = (size_t)(at - target.p);
	}
	show(masked, part(target, shown, target.n));
}

struct slice accesslog_mask(struct slice target, bool read, char *room, size_t size)
{
	struct masked masked = {room, size, 0};
	size_t begin = 0;

	if (target.n == 0 || (read && memchr(target.p, '@', target.n) == NULL))
		return target;
	if (!read)
		begin = mask_unread(&masked, target);
	mask_embedded(&masked, target, begin);
	return slice_of(room, masked.used);
}
