/*
 * One question to an origin, for one exchange that leads it and any number that wait for its head.
 *
 * Requests that miss, or must validate, a key that is being asked for wait for the head of the
 * answer (RULES 10).  When it is stored they are looked up again, each by the rules for its own
 * request; when it cannot be shared they are all released, and the key is remembered for a while as
 * not worth waiting for (shareable.h).  collapse.h has how long they wait at most.  A leader whose
 * client leaves goes on without a client while others wait; a fetch that fails hands over to the
 * next waiter, and a second failure fails them all.
 */
#ifndef PROXY_EXCHANGE_FETCH_H
#define PROXY_EXCHANGE_FETCH_H

#include "proxy/exchange/fetch_plan.h"

struct fetches;

/* NULL when out of memory. */
struct fetches *fetches_new(const struct fetches_use *use);
void fetches_free(struct fetches *fetches);

/* The worker ends: what is asked in the background is given up. */
void fetches_give_up(struct fetches *fetches);

/*
 * Ask for a parked exchange: wait for the fetch of the same key that is under way, or lead a new
 * one.  A record kept by exchange_keep_record() is validated.  Nothing is answered before this
 * returns but failures.  What is known of the key is added to the plan.
 */
void fetch_start(struct fetches *fetches, struct exchange *x, struct fetch_plan *plan);

/*
 * The oldest that are under way, of those that have lasted for IN_FLIGHT_MS, into shared memory:
 * a few times a second (in_flight.h).
 */
void fetches_note_old(const struct fetches *fetches);

/* Is this key being asked for? */
bool fetch_under_way(struct fetches *fetches, const struct cache_key *key);

/* For the front end: content of the leader's request body, and its answer's progress. */
bool fetch_send(struct exchange *x, struct slice content);
void fetch_send_end(struct exchange *x);
void fetch_resume(struct exchange *x);

/*
 * The exchange wants no answer any more.  True when the fetch goes on with it as a leader without
 * client.
 */
bool fetch_leave(struct fetches *fetches, struct exchange *x);

#endif
