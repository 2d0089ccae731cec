/* An origin's final head: what is stored, freshened or removed by it, and who is answered how. */
#include "proxy/exchange/response_policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "proxy/stats/offenders.h"

/* A question and the head that answers it. */
struct trial {
	struct exchange *x;
	const struct passed_over *passed_over;
	const struct http_response *res;
	struct exchange_times times;
	struct cache *cache;
};

const struct cache_kept *response_policy_kept(const struct exchange *x)
{
	if (x->kept == NULL || cache_is_absent(x->use->cache, x->kept))
		return NULL;
	return x->kept;
}

bool response_policy_allows_stale(const struct exchange *x)
{
	return x->status == 0 && response_policy_kept(x) != NULL &&
	       policy_stale_if_error(&x->req, record_meta(&x->kept->record), &x->use->turn->now,
				     x->use->conf);
}

/* ---- what became of it, for client, log and statistics -------------------------------------- */

static void note_stored(struct exchange *x)
{
	STATS_ADD(stores, 1);
	x->status_field.stored = true;
	x->status_field.why = REASON_NONE;
}

static void note_not_stored(struct exchange *x, enum reason why)
{
	x->status_field.why = why;
}

static void note_offender(struct offenders *offenders, const struct http_uri *uri)
{
	char name[URI_HOST_MAX + 8];
	size_t n = http_uri_authority(uri, name);

	/* Always show the port, even the default one. */
	if (uri->port == http_scheme_port(uri->scheme))
		n += (size_t)snprintf(name + n, sizeof(name) - n, ":%u", uri->port);
	offenders_add(offenders, slice_of(name, n), 1);
}

void response_policy_note_mended(const struct exchange *x)
{
	struct failure_subject subject = exchange_subject(x);

	STATS_ADD(responses_mended, 1);
	failure_log_mended(&subject);
	note_offender(&stats->mended, &x->req.uri);
}

/* ---- storing -------------------------------------------------------------------------------- */

/* Store the response if the rules allow; otherwise *ret_why says what bars it. */
static bool store(const struct trial *trial, enum reason *ret_why)
{
	*ret_why = REASON_STATUS;
	if (cache_store(trial->cache, &trial->x->req, trial->res, &trial->times, ret_why)) {
		note_stored(trial->x);
		return true;
	}
	note_not_stored(trial->x, *ret_why);
	return false;
}

/* A 304 for the record: what it becomes answers, also when it may not be kept. */
static void freshen(const struct trial *trial, const struct cache_kept *old,
		    struct record_view *ret_record)
{
	struct exchange *x = trial->x;
	struct cache_freshened fresh;

	STATS_ADD(validations_confirmed, 1);
	if (cache_freshen(trial->cache, &x->req, old, trial->res, &trial->times, &fresh))
		*ret_record = fresh.record;
	else
		*ret_record = old->record; /* confirmed all the same */
	x->status_field.why = REASON_NONE;
	if (fresh.why != REASON_NONE)
		note_not_stored(x, fresh.why);
}

/* RFC 9111 4.3.5: the answer to a HEAD updates the GET's record, or removes it. */
static bool update(const struct trial *trial, const struct cache_kept *old)
{
	struct cache_freshened fresh;

	cache_freshen(trial->cache, &trial->x->req, old, trial->res, &trial->times, &fresh);
	if (fresh.why == REASON_NONE)
		note_stored(trial->x);
	else
		note_not_stored(trial->x, fresh.why);
	return fresh.why == REASON_NONE;
}

/*
 * A 204 in the place of the record.  A HEAD's that is not about a GET's shows that this is out of
 * date.
 */
static bool replace(const struct trial *trial, const struct cache_kept *old)
{
	const struct http_request *req = &trial->x->req;
	bool outdated = req->method == METHOD_HEAD && record_meta(&old->record)->kind == RECORD_GET;
	enum reason why;
	bool stored;

	if (outdated)
		cache_remove(trial->cache, &old->key, &old->record);
	stored = store(trial, &why);
	if (!stored && !outdated && !trial->passed_over->had_fresh && !policy_is_about_request(why))
		cache_remove(trial->cache, &old->key, &old->record);
	return stored;
}

/* The record that the client's request passed over is superseded (RULES 5). */
static void remove_passed_over(const struct trial *trial)
{
	const struct http_request *req = &trial->x->req;
	struct cache_lookup lookup;

	if (!trial->passed_over->had_record || !policy_supersedes(trial->res->status))
		return;
	cache_lookup(trial->cache, req, &trial->times.response, &lookup);
	if (lookup.has_record)
		cache_remove(trial->cache, &lookup.key, &lookup.record);
}

/* ---- judging -------------------------------------------------------------------------------- */

/* Without the record, and so without conditions. */
static enum response_action ask_again(struct exchange *x)
{
	free(x->kept);
	x->kept = NULL;
	return RESPONSE_ASK_AGAIN;
}

/* The answer in relation to the record that is being validated. */
static enum response_action apply_validation(const struct trial *trial,
					     const struct cache_kept *old,
					     struct response_effect *effect)
{
	struct exchange *x = trial->x;
	const struct validated record = {record_meta(&old->record), record_etag(&old->record),
					 x->outcome == OUTCOME_BACKGROUND};

	switch (policy_validation(&x->req, &record, trial->res, &trial->times.response,
				  x->use->conf)) {
	case VALIDATION_FRESHEN:
		effect->stored = true;
		freshen(trial, old, &effect->record);
		return RESPONSE_USE_RECORD;
	case VALIDATION_STALE:
		return RESPONSE_USE_STALE;
	case VALIDATION_RETRY:
		return ask_again(x);
	case VALIDATION_REPLACE:
		effect->stored = replace(trial, old);
		break;
	case VALIDATION_UPDATE:
		effect->stored = update(trial, old);
		break;
	case VALIDATION_REMOVE:
		note_not_stored(x, REASON_STATUS);
		cache_remove(trial->cache, &old->key, &old->record);
		break;
	case VALIDATION_PASS_304:
	case VALIDATION_KEEP:
		break;
	}
	return RESPONSE_PASS_ON;
}

/* RFC 9110 15.4.5: a 304 is an answer to those who have something already. */
static bool is_conditional(const struct http_request *req)
{
	return http_has_field(&req->fields, FIELD_IF_NONE_MATCH) ||
	       http_has_field(&req->fields, FIELD_IF_MODIFIED_SINCE);
}

static enum response_action apply(struct trial *trial, struct response_effect *ret_effect)
{
	struct exchange *x = trial->x;
	const struct http_response *res = trial->res;
	const struct cache_kept *old;
	enum reason why;

	if (res->framing_trouble) {
		STATS_ADD(framing_repaired, 1);
		note_offender(&stats->repaired, &x->req.uri);
	}
	if (res->mended)
		response_policy_note_mended(x);
	if (policy_invalidates(&x->req, res))
		STATS_ADD(invalidations,
			  cache_invalidate(trial->cache, &x->req, res, &trial->times));
	old = response_policy_kept(x);
	if (old != NULL)
		return apply_validation(trial, old, ret_effect);
	if (res->status == 304 && x->kept != NULL)
		return ask_again(x); /* it was purged while it was being validated */
	if (res->status == 304 && !is_conditional(&x->req))
		return RESPONSE_REFUSE;
	remove_passed_over(trial);
	ret_effect->stored = store(trial, &why);
	return RESPONSE_PASS_ON;
}

enum response_action response_policy_apply(struct exchange *x,
					   const struct passed_over *passed_over,
					   const struct exchange_times *times,
					   const struct http_response *res,
					   struct response_effect *ret_effect)
{
	struct trial trial = {x, passed_over, res, *times, x->use->cache};
	enum response_action action;

	trial.times.response = x->use->turn->now;
	ret_effect->stored = false;
	action = apply(&trial, ret_effect);
	/* Before the answer is sent: its receiver may check the statistics at once. */
	STATS_SET(writes_waiting, (int64_t)cache_pending(trial.cache));
	return action;
}
