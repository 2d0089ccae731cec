/*
 * Keys of the store, and the selecting fields of a variant (RFC 9111 2, 4.1).
 *
 * The primary key is a hash of the normal form of the target URI; the URI itself is in the entry
 * and is compared, so a collision is a miss.  What else tells records of one URI apart (kind, Vary)
 * is compared record by record within the entry.
 */
#ifndef CACHE_KEY_H
#define CACHE_KEY_H

#include "cache/http_message.h"

/* XXH3-128 of the normal URI (or of origin and group name). */
struct cache_key {
	uint64_t word[2];
};

static inline bool cache_key_eq(const struct cache_key *a, const struct cache_key *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

struct cache_key cache_key_of_uri(struct slice normal_uri);

/* Of a cache group (RFC 9875): the origin "scheme://host[:port]" in normal form, and the group
 * name. */
struct cache_key cache_key_of_group(struct slice origin, struct slice group);

/*
 * The selecting fields as a block of bytes: for each distinct name that Vary lists, in order, the
 * name in lower case and the request's value as it is sent on, or its absence.  Values are the
 * lines joined with ", ", white space around commas (but for those in quoted strings) made the
 * same, and Accept-Language in the one spelling of language.h.  Returns the length; 0 without Vary;
 * SIZE_MAX when it does not fit, for "*", and for a Vary that is no list of names or of more than
 * 128: no request matches such a response.
 */
size_t key_vary_write(const struct http_fields *response, const struct http_request *req, char *to,
		      size_t size);

/* Whether a request has the same selecting fields as a block written above.  No allocation. */
bool key_vary_matches(struct slice block, const struct http_request *req);

/* Whether a block has every name that another has: all that this one's Vary asks was written down.
 */
bool key_vary_covers(struct slice block, struct slice other);

/*
 * As key_vary_matches(), but that the language of the response also matches an Accept-Language that
 * puts it above all others.  More than RFC 9111 4.1 allows by its letter: see option
 * language_select.
 */
bool key_vary_matches_language(struct slice block, const struct http_request *req,
			       struct slice language);

/*
 * The selecting block of a preflight: origin, method, headers (lower case, sorted, each once),
 * private network.  It is a prefix of no other such block.  SIZE_MAX when it does not fit, or has
 * more than 128 headers.
 */
size_t key_preflight_write(const struct http_request *req, char *to, size_t size);

#endif
