/*
 * What a rule is for: one pattern of its option match.
 *
 *	[http://|https://]host[:port][/path]
 *
 * host is a name, an address, .domain for a name and all below it, or * for any.  Without a scheme
 * both fit, and every port unless one is given.  The path is compared with path and query as a
 * whole, * in it stands for any bytes, / and ? too, and without one every path fits.  Pure.
 */
#ifndef CONF_PATTERN_H
#define CONF_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/diagnostic.h"
#include "cache/base/slice.h"

enum pattern_scheme { PATTERN_ANY_SCHEME, PATTERN_HTTP, PATTERN_HTTPS };

enum { PATTERN_MAX = 1024 };

/* Texts are of the pattern; in lower case, without a dot at its end, is `host`. */
struct pattern {
	enum pattern_scheme scheme;
	bool below;    /* the host, and all names below it */
	uint16_t port; /* 0 for any */
	char *host;    /* IPv6 as pattern_host_normal() writes it; NULL for any */
	char *path;    /* as written; NULL for any */
	char *plain;   /* in the form of pattern_plain_path() */
};

bool text_is_pattern(const char *text);

/* Why it is none, and what would be right: for forms.c. */
bool pattern_explain(const char *text, struct diagnostic *why);

/* Takes apart what text_is_pattern(); false when memory is out.  Free in any case. */
bool pattern_read(const char *text, struct pattern *ret_pattern);
void pattern_free(struct pattern *pattern);

/*
 * An address in brackets as all its spellings are written, without brackets for an IPv4 one within
 * IPv6; false when it is no IPv6 address.  `to` has PATTERN_HOST bytes.
 */
enum { PATTERN_HOST = 48 };
bool pattern_host_normal(struct slice host, char to[static PATTERN_HOST], size_t *ret_length);

/* What an origin may make of a path, beside undoing %XX once. */
enum pattern_form {
	PATTERN_DECODED = 0,
	PATTERN_FOLDED = 1,     /* dot segments removed (RFC 3986 5.2.4) */
	PATTERN_MERGED = 2,     /* several slashes are one */
	PATTERN_LATE_SLASH = 4, /* %2F is no slash while segments are told apart */
	PATTERN_PLAIN = PATTERN_FOLDED | PATTERN_MERGED,
};

/*
 * A path, with its query, in one of its spellings.  Origins see one resource where the bytes of
 * targets differ.  `to` has path.n bytes; returns the length.  The second is PATTERN_PLAIN.
 */
size_t pattern_path_in(enum pattern_form form, struct slice path, char *to);
size_t pattern_plain_path(struct slice path, char *to);

/* Whether a path is the same in each form. */
bool pattern_path_is_plain(struct slice path);

/* Does a text fit a path of a pattern, in which * stands for any bytes?  Linear in both. */
bool pattern_path_fits(const char *path, struct slice text);

#endif
