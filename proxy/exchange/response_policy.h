/*
 * What an origin's final head means for the store, and for the exchange that asked: the rules of
 * cache/policy/policy.h acted on, and counted.
 */
#ifndef PROXY_EXCHANGE_RESPONSE_POLICY_H
#define PROXY_EXCHANGE_RESPONSE_POLICY_H

#include "proxy/exchange/exchange.h"

enum response_action {
	RESPONSE_PASS_ON,    /* it is to be passed on */
	RESPONSE_USE_RECORD, /* the exchange is to be answered from the record */
	RESPONSE_USE_STALE,  /* an error, in the place of which the stale record may answer */
	RESPONSE_ASK_AGAIN,  /* it answers no condition: to be asked anew, without any */
	RESPONSE_REFUSE,     /* no answer to what was asked */
};

/* What the lookup found for the request, which was sent on all the same. */
struct passed_over {
	bool had_fresh;  /* a fresh record, at the client's wish (RULES 5) */
	bool had_record; /* a record, which is not going to be validated */
};

struct response_effect {
	bool stored;               /* what came is in the store: others may be looked up again */
	struct record_view record; /* with CONFIRMED; valid until the next call of the cache */
};

/*
 * Before the head is passed on: store, freshen, remove, invalidate.  `times` tell when the request
 * was sent; the answer's is now.
 */
enum response_action response_policy_apply(struct exchange *x,
					   const struct passed_over *passed_over,
					   const struct exchange_times *times,
					   const struct http_response *res,
					   struct response_effect *ret_effect);

/*
 * Count an answer that was mended, by origin.  response_policy_apply() does so for heads; this is
 * for what shows only in the content.
 */
void response_policy_note_mended(const struct exchange *x);

/* The record that an exchange validates; NULL when it has none, or that was purged meanwhile. */
const struct cache_kept *response_policy_kept(const struct exchange *x);

/* May it be answered with that, stale as it is, in the place of an error (RFC 5861 4)? */
bool response_policy_allows_stale(const struct exchange *x);

#endif
