/*
 * A run of bytes, without ownership.
 *
 * A slice is passed by value and is valid as long as the memory it points into: the header that
 * hands one out says how long that is.  It is not NUL-terminated.  `p` may be NULL when `n` is 0.
 */
#ifndef CACHE_BASE_SLICE_H
#define CACHE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *p;
	size_t n;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
#define SLICE_ARG(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct slice slice_of(const char *p, size_t n)
{
	return (struct slice){p, n};
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){s, strlen(s)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII case does not count; locale never matters because main() leaves it at "C". */
static inline bool slice_ieq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

/* A part of some bytes, as the same part of a copy of them. */
static inline struct slice slice_moved(struct slice part, const char *bytes, const char *copy)
{
	return part.n > 0 ? slice_of(copy + (part.p - bytes), part.n) : slice_of(copy, 0);
}

/* Without the optional white space (OWS, RFC 9110 5.6.3) at either end. */
static inline struct slice slice_trim(struct slice s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s.p++, s.n--;
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

#endif
