/*
 * What an origin's final head means for the store, and for the exchange that asked: the rules of
 * cache/policy/policy.h acted on, and counted.
 */
#ifndef PROXY_EXCHANGE_RESPONSE_POLICY_H
#define PROXY_EXCHANGE_RESPONSE_POLICY_H

#include "proxy/exchange/fetch.h"

enum judged {
	JUDGED_PASS,      /* it is to be passed on */
	JUDGED_CONFIRMED, /* the exchange is to be answered from the record */
	JUDGED_STALE,     /* an error, in the place of which the stale record may answer */
	JUDGED_AGAIN,     /* it answers no condition: to be asked anew, without any */
	JUDGED_BAD,       /* no answer to what was asked */
};

struct judgement {
	bool stored;               /* what came is in the store: others may be looked up again */
	struct record_view record; /* with CONFIRMED; valid until the next call of the cache */
};

/*
 * Before the head is passed on: store, freshen, remove, invalidate.  `times` tell when the request
 * was sent; the answer's is now.
 */
enum judged judge_head(struct exchange *x, const struct fetch_plan *plan,
		       const struct exchange_times *times, const struct http_response *res,
		       struct judgement *ret_judgement);

/*
 * Count an answer that was mended, by origin.  judge_head() does so for heads; this is for what
 * shows only in the content.
 */
void judge_note_mended(const struct exchange *x);

/* The record that an exchange validates, a view of its own copy; false when it has none, or that
   was purged meanwhile. */
bool judge_kept_record(const struct exchange *x, struct record_view *ret_record);

/* May it be answered with that, stale as it is, in the place of an error (RFC 5861 4)? */
bool judge_allows_stale(const struct exchange *x, struct record_view *ret_record);

#endif
