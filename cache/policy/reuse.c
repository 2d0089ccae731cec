/* May a record answer a request (RFC 9111 4), fresh, stale, or when the origin fails (RFC 5861). */
#include "cache/policy/request.h"
#include "cache/policy/rule.h"

enum {
	MS_PER_S = 1000,
	/* Workers read their clocks at different times: a small difference is not the future. */
	FUTURE_MAX_MS = 1000,
};

static bool is_from_future(const struct record_meta *meta, const struct http_clock *now)
{
	return meta->response_steady_ms > now->steady_ms &&
	       meta->response_steady_ms - now->steady_ms > FUTURE_MAX_MS;
}

/* It may have been invalidated, and the invalidation lost. */
static bool is_restored(const struct record_meta *meta, const struct http_clock *now)
{
	return now->restored_ms != 0 && meta->response_steady_ms <= now->restored_ms;
}

int64_t policy_age_s(const struct record_meta *meta, const struct http_clock *now)
{
	int64_t resident_ms = now->steady_ms - meta->response_steady_ms;

	return (int64_t)meta->initial_age_s + (resident_ms > 0 ? resident_ms / MS_PER_S : 0);
}

int64_t policy_lifetime_s(const struct record_meta *meta, const struct conf *conf)
{
	int64_t most = conf->max_ttl_ms / MS_PER_S;

	return conf->max_ttl_ms > 0 && meta->lifetime_s > most ? most : meta->lifetime_s;
}

/* Stale for exactly the window's length is still allowed; a window of 0 allows nothing. */
static bool is_within(int64_t staleness, uint32_t window)
{
	return window > 0 && staleness <= window;
}

/* RFC 9111 5.2.1.1: a request with max-age wants nothing stale, unless it has max-stale. */
static bool takes_stale(const struct cache_control *asked)
{
	return asked->min_fresh == 0 &&
	       (!cache_control_has(asked, CC_MAX_AGE) || cache_control_has(asked, CC_MAX_STALE));
}

/* max-age=0 asks the origin even about what came in this second. */
static bool is_too_old(const struct cache_control *asked, int64_t age)
{
	return cache_control_has(asked, CC_MAX_AGE) &&
	       (age > asked->max_age || asked->max_age == 0);
}

/* What the response says, or, when it says nothing, the rule. */
static uint32_t while_revalidate_window(const struct conf_rule *rule,
					const struct record_meta *meta)
{
	if (rule == NULL || meta->while_revalidate_s > 0 ||
	    meta->flags & META_SAYS_WHILE_REVALIDATE)
		return meta->while_revalidate_s;
	return (uint32_t)(rule->stale_while_revalidate_ms / MS_PER_S);
}

static enum reuse reuse_stale(const struct cache_control *asked, const struct record_meta *meta,
			      const struct conf_rule *rule, int64_t staleness, enum reason *ret_why)
{
	*ret_why = REASON_EXPIRED;
	if (meta->flags & META_NO_STALE || !takes_stale(asked))
		return REUSE_VALIDATE;
	if (is_within(staleness, while_revalidate_window(rule, meta))) {
		*ret_why = REASON_REVALIDATING;
		/* Not even in the background does only-if-cached ask the origin. */
		return cache_control_has(asked, CC_ONLY_IF_CACHED) ? REUSE_STALE : REUSE_REVALIDATE;
	}
	if (is_within(staleness, asked->max_stale)) {
		*ret_why = REASON_STALE_ALLOWED;
		return REUSE_STALE;
	}
	return REUSE_VALIDATE;
}

/* Whether the request or the response wants validation of a record whatever its age. */
static bool must_validate(const struct request_control *control, const struct record_meta *meta,
			  const struct http_clock *now, enum reason *ret_why)
{
	if (cache_control_has(&control->asked, CC_NO_CACHE))
		*ret_why = REASON_REQUEST_NO_CACHE;
	else if (control->pragma)
		*ret_why = REASON_REQUEST_PRAGMA;
	else if (meta->flags & META_NO_CACHE)
		*ret_why = REASON_RESPONSE_NO_CACHE;
	else if (meta->flags & META_PURGED)
		*ret_why = REASON_PURGED;
	else if (is_restored(meta, now))
		*ret_why = REASON_RESTORED;
	else if (is_from_future(meta, now))
		*ret_why = REASON_CLOCK;
	else
		return false;
	return true;
}

static enum reuse reuse_record(const struct request_control *control,
			       const struct record_meta *meta, const struct http_clock *now,
			       const struct conf *conf, enum reason *ret_why)
{
	const struct cache_control *asked = &control->asked;
	int64_t age = policy_age_s(meta, now);
	int64_t lifetime = policy_lifetime_s(meta, conf);

	if (must_validate(control, meta, now, ret_why))
		return REUSE_VALIDATE;
	if (lifetime <= age) {
		*ret_why = REASON_EXPIRED;
		return is_too_old(asked, age)
			       ? REUSE_VALIDATE
			       : reuse_stale(asked, meta, conf->rule, age - lifetime, ret_why);
	}
	*ret_why = REASON_REQUEST_MAX_AGE;
	if (is_too_old(asked, age))
		return REUSE_VALIDATE;
	*ret_why = REASON_REQUEST_MIN_FRESH;
	if (lifetime < age + asked->min_fresh)
		return REUSE_VALIDATE;
	*ret_why = REASON_NONE;
	return REUSE_FRESH;
}

/* Was it stored by a rule that made one key of several URIs, and is that not in effect now? */
static bool has_other_key(const struct http_request *req, const struct record_meta *meta)
{
	uint32_t tag = meta->query_tag;

	return tag != 0 && (req->rule == NULL || req->rule->query_tag != tag);
}

static enum reuse reuse_at_all(const struct http_request *req,
			       const struct request_control *control,
			       const struct record_meta *meta, const struct http_clock *now,
			       const struct conf *conf, enum reason *ret_why)
{
	const struct cache_control *asked = &control->asked;
	enum reuse verdict;

	/* Of one that has a record the caller knows it. */
	if (meta == NULL && !policy_is_lookup(req, conf, ret_why))
		return REUSE_BYPASS;
	if (cache_control_has(asked, CC_NO_STORE) || asked->broken) {
		*ret_why = cache_control_has(asked, CC_NO_STORE) ? REASON_REQUEST_NO_STORE
								 : REASON_REQUEST_BAD_CACHE_CONTROL;
		return REUSE_BYPASS;
	}
	if (meta == NULL || !policy_kind_serves((enum record_kind)meta->kind, req)) {
		*ret_why = REASON_NO_RECORD;
		return REUSE_MISS;
	}
	if (has_other_key(req, meta)) {
		*ret_why = REASON_RULE_KEY;
		return REUSE_MISS;
	}
	verdict = reuse_record(control, meta, now, conf, ret_why);
	/* If-None-Match means something else to OPTIONS (RFC 9110 13.1.2). */
	if (verdict == REUSE_VALIDATE && meta->kind == RECORD_PREFLIGHT)
		return REUSE_MISS;
	return verdict;
}

enum reuse policy_reuse(const struct http_request *req, const struct record_meta *meta,
			const struct http_clock *now, const struct conf *conf, enum reason *ret_why)
{
	struct request_control control;
	enum reuse verdict;

	policy_request_control(req, &control);
	verdict = reuse_at_all(req, &control, meta, now, policy_options(req, conf), ret_why);
	if (!cache_control_has(&control.asked, CC_ONLY_IF_CACHED) || verdict == REUSE_FRESH ||
	    verdict == REUSE_STALE)
		return verdict;
	*ret_why = REASON_ONLY_IF_CACHED;
	return REUSE_REFUSED;
}

/* The stricter of request and response; the operator's option only when neither has it. */
static uint32_t if_error_window(const struct cache_control *asked, const struct record_meta *meta,
				const struct conf *conf)
{
	bool by_request = cache_control_has(asked, CC_STALE_IF_ERROR);
	bool by_response = meta->if_error_s != UINT32_MAX;
	int64_t seconds = conf->stale_if_error_ms / MS_PER_S;

	if (by_request && by_response)
		return asked->stale_if_error < meta->if_error_s ? asked->stale_if_error
								: meta->if_error_s;
	if (by_request)
		return asked->stale_if_error;
	if (by_response)
		return meta->if_error_s;
	return seconds < CC_SECONDS_MAX ? (uint32_t)seconds : CC_SECONDS_MAX;
}

uint32_t policy_while_revalidate_s(const struct http_request *req, const struct record_meta *meta)
{
	return meta->flags & META_NO_STALE ? 0 : while_revalidate_window(req->rule, meta);
}

uint32_t policy_if_error_s(const struct http_request *req, const struct record_meta *meta,
			   const struct conf *conf)
{
	struct request_control control;

	policy_request_control(req, &control);
	if (meta->flags & META_NO_STALE || control.pragma || control.asked.broken ||
	    cache_control_has(&control.asked, CC_NO_CACHE))
		return 0;
	return if_error_window(&control.asked, meta, policy_options(req, conf));
}

bool policy_stale_if_error(const struct http_request *req, const struct record_meta *meta,
			   const struct http_clock *now, const struct conf *conf)
{
	const struct conf *options = policy_options(req, conf);
	int64_t staleness = policy_age_s(meta, now) - policy_lifetime_s(meta, options);

	return !is_restored(meta, now) && !is_from_future(meta, now) &&
	       is_within(staleness, policy_if_error_s(req, meta, conf));
}
