/* What a struct cache is, for the files of cache.h. */
#ifndef CACHE_IMPL_H
#define CACHE_IMPL_H

#include "cache/http/message.h"
#include "cache/purge.h"
#include "cache/writes.h"

enum {
	CACHE_URI_SIZE = 64 << 10, /* a normal form; conf->uri_length is at most half of it */
};

struct cache {
	const struct conf *conf;
	struct store *store;
	struct writes writes;
	struct purge_walk purge;
	char *uris;                 /* CACHE_URI_SIZE; the target of the call under way */
	char *keys;                 /* CACHE_URI_SIZE; what its key is made of, by a rule */
	char *record;               /* RECORD_SIZE, 8-aligned */
	uint64_t record_generation; /* times that it was used again */
};

/*
 * The normal form of a request's target, as its rule wants it for the key, and the key; false when
 * it is too long.
 */
bool cache_find_key(struct cache *cache, const struct http_request *req, struct slice *ret_uri,
		    struct cache_key *ret_key);

#endif
