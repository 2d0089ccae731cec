/*
 * What fetches are given: once, what they use; and each time what is to be asked for, by what the
 * lookup said.
 */
#ifndef PROXY_EXCHANGE_FETCH_PLAN_H
#define PROXY_EXCHANGE_FETCH_PLAN_H

#include "cache/base/key.h"
#include "cache/http/message.h"
#include "proxy/exchange/leases.h"
#include "proxy/exchange/response_policy.h"
#include "proxy/loop/turn.h"

struct origins;
struct routes;
struct shareable_keys;
struct tunnels;

/* What fetches use; all of it outlives them. */
struct fetches_use {
	const struct conf *conf;
	struct turn *turn;
	struct cache *cache;
	const struct routes *routes;
	struct origins *origins;
	struct tunnels *tunnels;
	struct shareable_keys *shareable;
};

/* What the lookup said of the exchange's request. */
struct fetch_plan {
	bool cacheable; /* the answer may be stored, and shared */
	struct passed_over passed_over;
	bool not_reusable;    /* the record just stored must not answer it: do not wait again */
	bool proved;          /* a stored record shows that others were served by such an answer */
	struct cache_key key; /* with cacheable: fetch_key() */
	const struct conf *options; /* by the rule of the request; set by fetch_start() */
	struct cache_key uri_key;   /* of what the lease is for */
	struct lease lease; /* released when the fetch has ended; of a background validation */
};

/*
 * The key that requests like this one wait for, from that of the target URI.  Those of a gateway
 * (frontend->chosen) and others have keys of their own: what refuses the one is no answer to the
 * other.
 */
struct cache_key fetch_key(const struct cache_key *uri_key, enum http_method method, bool chosen);

#endif
