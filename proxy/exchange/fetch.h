/*
 * One question to an origin, for one exchange that leads it and any number that wait for its head.
 *
 * Requests that miss, or must validate, a key that is being asked for wait for the head of the
 * answer (RULES 10).  When it is stored they are looked up again, each by the rules for its own
 * request; when it cannot be shared they are all released, and the key is remembered for a while
 * as not worth waiting for (shareable.h).  collapse.h has how long they wait at most.  A leader
 * whose client leaves goes on without a client while others wait; a fetch that fails hands over to
 * the next waiter, and a second failure fails them all.
 */
#ifndef PROXY_EXCHANGE_FETCH_H
#define PROXY_EXCHANGE_FETCH_H

#include "proxy/exchange/leases.h"
#include "proxy/exchange/exchange.h"
#include "proxy/exchange/response_policy.h"

struct fetches;
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
	const struct stats_service *service; /* how many workers share the cache */
};

/* NULL when out of memory. */
struct fetches *fetches_new(const struct fetches_use *use);
void fetches_free(struct fetches *fetches);

/* The worker ends: what is asked in the background is given up. */
void fetches_give_up(struct fetches *fetches);

/* What the lookup said of the exchange's request. */
struct fetch_plan {
	bool cacheable; /* the answer may be stored, and shared */
	struct passed_over passed_over;
	bool spent;           /* what was just stored for it may not answer it: waiting is no use */
	bool proved;          /* a stored record shows that others were served by such an answer */
	struct cache_key key; /* with cacheable: fetch_key() */
	struct cache_key uri_key; /* of what the lease is for */
	struct lease lease; /* released when the fetch has ended; of a background validation */
};

/*
 * Ask for a parked exchange: wait for the fetch of the same key that is under way, or lead a new
 * one.  A record kept by exchange_keep_record() is validated.  Nothing is answered before this
 * returns but failures.  What is known of the key is added to the plan.
 */
void fetch_start(struct fetches *fetches, struct exchange *x, struct fetch_plan *plan);

/* The key that requests like this one wait for, from that of the target URI.  Those of a gateway
   (frontend->chosen) and others have keys of their own: what refuses the one is no answer to the
   other. */
struct cache_key fetch_key(const struct cache_key *uri_key, enum http_method method, bool chosen);

/* Is this key being asked for? */
bool fetch_under_way(struct fetches *fetches, const struct cache_key *key);

/* For the front end: content of the leader's request body, and its answer's progress. */
bool fetch_send(struct exchange *x, struct slice content);
void fetch_send_end(struct exchange *x);
void fetch_resume(struct exchange *x);

/* The exchange wants no answer any more.  True when the fetch goes on with it as a leader without
 * client. */
bool fetch_leave(struct fetches *fetches, struct exchange *x);

#endif
