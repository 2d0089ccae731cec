/* A stale record in the place of an error. */
#include "proxy/exchange/stale_answer.h"

#include "proxy/exchange/response_policy.h"
#include "proxy/exchange/shown.h"

bool stale_answer(struct exchange *x, enum failure failure)
{
	struct failure_subject subject = exchange_subject(x);

	if (!response_policy_allows_stale(x))
		return false;
	if (failure != FAILURE_NONE) {
		failure_log_hidden(&subject, failure);
		shown_error(&subject, failure, 204);
	}
	x->status_field.why = REASON_STALE_ERROR;
	if (x->outcome != OUTCOME_BACKGROUND)
		x->outcome = OUTCOME_STALE;
	return exchange_answer_record(x, &x->kept->record);
}

void stale_answer_or_fail(struct exchange *x, enum failure failure)
{
	const struct cache_kept *kept;

	/* What the proxy itself refuses is no error of the origin. */
	if (failure_status(failure) >= 500) {
		if (x->sink != NULL && stale_answer(x, failure))
			return;
		kept = x->status == 0 ? response_policy_kept(x) : NULL;
		if (kept != NULL && record_meta(&kept->record)->flags & META_MUST_REVALIDATE)
			failure = FAILURE_MUST_REVALIDATE; /* RFC 9111 5.2.2.2 */
	}
	exchange_fail(x, failure);
}
