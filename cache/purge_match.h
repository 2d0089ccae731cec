/*
 * Which URIs a purge concerns (struct purge of cache/store/purge_table.h), and what of a request by
 * an operator makes one.  Pure.
 *
 * Patterns are compared with URIs in normal form (cache/http/uri.h), byte by byte: so a prefix may
 * end anywhere behind the authority, also inside a segment or an escape sequence.  A prefix without
 * path ends with "/", so that http://a is not also http://ab/.  A host is all its URIs, http and
 * https, of that port or of any; a dot at its end does not count.
 */
#ifndef CACHE_PURGE_MATCH_H
#define CACHE_PURGE_MATCH_H

#include "cache/http/uri.h"
#include "cache/store/purge_table.h"
#include "conf/conf.h"

/*
 * Set kind, key and text of *ret_purge, which is all zero otherwise.  False when the pattern is too
 * long (PURGE_TEXT_MAX), or malformed; of a URI or a group also when there is no memory, with errno
 * ENOMEM.  Groups belong to an origin (RFC 9875 2): that of `uri`.  Their names are without the
 * quotes and escapes of the field.
 */
bool purge_of_uri(const struct conf *conf, const struct http_uri *uri, struct purge *ret_purge);
bool purge_of_prefix(const struct http_uri *prefix, struct purge *ret_purge);
bool purge_of_host(struct slice host_and_port, struct purge *ret_purge);
bool purge_of_group(const struct http_uri *uri, struct slice group, struct purge *ret_purge);

/* Of the origins http and https of a host. */
bool purge_of_group_at(struct slice host_and_port, struct slice group, struct purge *ret_purge);

/* The pattern, for people too; of a group its origin and name. */
struct slice purge_text(const struct purge *purge);
struct slice purge_group_origin(const struct purge *purge);
struct slice purge_group_name(const struct purge *purge);

/* Whether it is of one of these groups. */
bool purge_concerns_groups(const struct purge *purge, const struct cache_key *groups, size_t count);

/*
 * Whether it concerns all that is stored under a URI (`key` is the entry's).  False for groups,
 * which the records tell.
 */
bool purge_concerns_uri(const struct purge *purge, const struct cache_key *key, struct slice uri);

#endif
