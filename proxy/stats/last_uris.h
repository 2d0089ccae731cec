/*
 * The last URI that each reason (reasons.def) held for, to begin with when one looks for the cause:
 * written when the reason is counted, which is for 204s that the origin was asked for, never on a hit.
 *
 * One slot a reason, in memory that all workers share from last_uris_share() on, and a process's own
 * before.  Any worker writes it, without a lock, since one that dies could leave that taken: a
 * checksum over length and bytes tells a reader of two writers that met, or one that died midway.
 * Such a slot counts as empty until the next write, and a torn text is never shown.
 *
 * URIs are in normal form, without user and password (none is accepted), with those of URIs within
 * masked as in the access log; queries are shown.
 */
#ifndef PROXY_STATS_LAST_URIS_H
#define PROXY_STATS_LAST_URIS_H

#include "cache/http/uri.h"
#include "cache/policy/policy.h"

enum { LAST_URI_MAX = 496 }; /* bytes kept of one; the rest is cut */

struct last_uris;

/* Share from here on, over fork().  False without memory. */
bool last_uris_share(void);

/* Those of the service; never NULL. */
struct last_uris *last_uris_all(void);

/* A request for this URI, or its answer, met the reason. */
void last_uris_note(enum reason reason, const struct http_uri *uri);

/* The length written to `to`; 0 when none is known. */
size_t last_uris_read(const struct last_uris *all, enum reason reason,
		      char to[static LAST_URI_MAX]);

/* The reason at one of the places that it was the last for; REASON_NONE when it was for none. */
enum reason last_uris_find(const struct last_uris *all, const struct http_uri *uri,
			   enum reason_where where);

#endif
