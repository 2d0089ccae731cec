/* May a response be stored (RFC 9111 3), and which of its fields. */
#include "cache/policy/cache_control.h"
#include "cache/policy/freshness.h"
#include "cache/http/date.h"
#include "cache/http/fields.h"
#include "cache/policy/validation.h"
#include "cache/policy/request.h"
#include "cache/policy/rule.h"

enum { MS_PER_S = 1000 };

/* One response and what was found out about it; the steps of policy_may_store() fill it. */
struct candidate {
	const struct http_request *req;
	const struct http_response *res;
	const struct exchange_times *times;
	const struct conf *conf;
	enum record_kind kind;
	struct response_control control;
	int64_t made_s;
	struct lifetime lifetime;
	bool is_explicit; /* the origin gave one, whatever a rule makes of it */
	struct slice etag;
	int64_t last_modified_s;
};

static bool says(const struct candidate *candidate, enum cache_directive directive)
{
	return cache_control_has(&candidate->control.directives, directive);
}

/* A field that the rules or other caches depend on: a copy without it would be wrong. */
static bool names_needed_field(const struct cache_control_names *names)
{
	for (uint32_t i = 0; i < names->count; i++) {
		if (http_field_flags(http_field_lookup(names->at[i])) & KEEP)
			return true;
	}
	return false;
}

/*
 * Whether no-cache or private holds for the response as a whole (RFC 9111 5.2.2.4, 5.2.2.7).  The
 * lists of a targeted field are ignored, since policy_drops_field() does not know the options.
 */
static bool holds_whole(const struct candidate *candidate, enum cache_directive directive,
			const struct cache_control_names *names)
{
	const struct cache_control *directives = &candidate->control.directives;

	if (!cache_control_has(directives, directive))
		return false;
	return candidate->control.targeted || cache_control_is_unqualified(directives, directive) ||
	       names_needed_field(names);
}

static bool has_quoted_string(const struct http_fields *fields, enum http_field_id id)
{
	const struct http_field *line = http_fields_first(fields, id);

	for (; line != NULL; line = http_fields_next(fields, line)) {
		if (line->value.n > 0 && memchr(line->value.p, '"', line->value.n) != NULL)
			return true;
	}
	return false;
}

void policy_drops_read(const struct http_response *res, struct policy_drops *ret_drops)
{
	struct cache_control control;

	ret_drops->all = cache_control_is_too_long(&res->fields, FIELD_CACHE_CONTROL);
	ret_drops->no_cache.count = ret_drops->private.count = 0;
	if (ret_drops->all || !has_quoted_string(&res->fields, FIELD_CACHE_CONTROL))
		return;
	cache_control_parse(&res->fields, FIELD_CACHE_CONTROL, &control);
	ret_drops->no_cache = control.no_cache;
	ret_drops->private = control.private;
}

bool policy_drops_field(const struct policy_drops *drops, const struct http_field *field)
{
	unsigned flags = http_field_flags((enum http_field_id)field->id);

	if (http_field_is_hop(field) || flags & UNSTORED)
		return true;
	/* Naming one of these bars the response, see holds_whole(). */
	if (flags & KEEP)
		return false;
	return drops->all || cache_control_names_field(&drops->no_cache, field->name) ||
	       cache_control_names_field(&drops->private, field->name);
}

static enum reason method_bars(struct candidate *candidate)
{
	switch (candidate->req->method) {
	case METHOD_GET:
	case METHOD_POST:
		candidate->kind = RECORD_GET;
		return REASON_NONE;
	case METHOD_HEAD:
		candidate->kind = RECORD_HEAD;
		return REASON_NONE;
	case METHOD_OPTIONS:
		candidate->kind = RECORD_PREFLIGHT;
		if (candidate->conf->preflight_cache && policy_request_is_preflight(candidate->req))
			return REASON_NONE;
		return REASON_METHOD;
	default:
		return REASON_METHOD;
	}
}

static enum reason request_bars(struct candidate *candidate)
{
	const struct http_request *req = candidate->req;
	enum reason why = method_bars(candidate);
	struct request_control control;

	if (why != REASON_NONE)
		return why;
	if (policy_request_stands_alone(req, &why))
		return why;
	if (http_has_field(&req->fields, FIELD_RANGE))
		return REASON_RANGE;
	if (req->rule != NULL && !req->rule->store)
		return REASON_RULE_STORE_OFF;
	policy_request_control(req, &control);
	if (cache_control_has(&control.asked, CC_NO_STORE))
		return REASON_REQUEST_NO_STORE;
	return control.asked.broken ? REASON_REQUEST_BAD_CACHE_CONTROL : REASON_NONE;
}

/* RFC 9111 3.5. */
static bool is_shareable(const struct candidate *candidate)
{
	bool s_maxage = says(candidate, CC_S_MAXAGE) &&
			!((candidate->control.directives.invalid >> CC_S_MAXAGE) & 1);

	return s_maxage || says(candidate, CC_PUBLIC) || says(candidate, CC_MUST_REVALIDATE);
}

static enum reason directives_bar(const struct candidate *candidate)
{
	const struct cache_control *directives = &candidate->control.directives;

	if (cache_control_is_too_long(&candidate->res->fields, FIELD_CACHE_CONTROL))
		return REASON_BAD_CACHE_CONTROL;
	/* We understand 204, so this no-store is for caches that do not (RFC 9111 5.2.2.3). */
	if (says(candidate, CC_NO_STORE) && !says(candidate, CC_MUST_UNDERSTAND))
		return REASON_RESPONSE_NO_STORE;
	if (holds_whole(candidate, CC_PRIVATE, &directives->private))
		return REASON_PRIVATE;
	if (directives->broken)
		return REASON_BAD_CACHE_CONTROL;
	if (http_has_field(&candidate->req->fields, FIELD_AUTHORIZATION) &&
	    !is_shareable(candidate))
		return REASON_AUTHORIZATION;
	return REASON_NONE;
}

/* Vary selects by something that we cannot compare, such as "*". */
static bool varies_on_anything(const struct http_fields *fields)
{
	struct slice names[HTTP_VARY_NAMES_MAX];
	unsigned count;

	return http_has_field(fields, FIELD_VARY) && !http_vary_names(fields, names, &count);
}

/* RFC 9110 9.3.3 and 8.7: one Content-Location, and it is the target URI. */
static bool is_located_at_target(const struct candidate *candidate)
{
	const struct http_fields *fields = &candidate->res->fields;
	const struct http_field *line = http_fields_first(fields, FIELD_CONTENT_LOCATION);

	return line != NULL && http_fields_next(fields, line) == NULL && line->value.n > 0 &&
	       memchr(line->value.p, '#', line->value.n) == NULL &&
	       http_uri_refers_to(&candidate->req->uri, line->value);
}

/* The options for its lifetime; `force_ttl` is for no preflight. */
static const struct conf *lifetime_options(const struct candidate *candidate)
{
	return policy_lifetime_options(candidate->req, candidate->res, candidate->conf);
}

static bool is_forced(const struct candidate *candidate)
{
	const struct conf_rule *rule = lifetime_options(candidate)->rule;

	return candidate->kind != RECORD_PREFLIGHT && rule != NULL && rule->force_ttl_ms > 0;
}

/* From receipt on, whatever Age and Date say. */
static void force_lifetime(struct candidate *candidate)
{
	int64_t seconds =
		candidate->conf->rule->force_ttl_ms / MS_PER_S +
		freshness_initial_age(&candidate->res->fields, candidate->made_s, candidate->times);

	candidate->lifetime.source = LIFETIME_FORCED;
	candidate->lifetime.seconds = seconds < CC_SECONDS_MAX ? (uint32_t)seconds : CC_SECONDS_MAX;
}

static void find_freshness(struct candidate *candidate)
{
	const struct http_fields *fields = &candidate->res->fields;
	const struct conf *conf = lifetime_options(candidate);
	int64_t receipt_s = candidate->times->response.wall_s;

	candidate->made_s = freshness_made(fields, receipt_s);
	candidate->last_modified_s = freshness_date(fields, FIELD_LAST_MODIFIED, receipt_s);
	candidate->etag = policy_etag(fields);
	if (candidate->kind == RECORD_PREFLIGHT)
		candidate->lifetime = freshness_preflight(
			fields, &candidate->control, candidate->made_s, receipt_s, candidate->conf);
	else
		candidate->lifetime = freshness_lifetime(fields, &candidate->control,
							 candidate->made_s, receipt_s, conf);
	candidate->is_explicit = lifetime_is_explicit(candidate->lifetime.source);
	if (is_forced(candidate))
		force_lifetime(candidate);
}

/* A lifetime, a validator, or the origin's explicit permission to store the response. */
static bool is_of_use(const struct candidate *candidate)
{
	if (candidate->kind == RECORD_PREFLIGHT)
		return candidate->lifetime.source != LIFETIME_NONE;
	return candidate->lifetime.source != LIFETIME_NONE || candidate->etag.n > 0 ||
	       candidate->last_modified_s != HTTP_DATE_INVALID || says(candidate, CC_PUBLIC);
}

static enum reason freshness_bars(const struct candidate *candidate)
{
	/*
	 * A cookie may identify a user: store it only when the origin gives explicit freshness (RFC
	 * 9111 7.3).
	 */
	if (http_has_field(&candidate->res->fields, FIELD_SET_COOKIE) &&
	    (!candidate->conf->store_set_cookie || !candidate->is_explicit))
		return REASON_SET_COOKIE;
	if (candidate->req->method == METHOD_POST &&
	    !(candidate->is_explicit && is_located_at_target(candidate)))
		return REASON_POST_WITHOUT_LOCATION;
	return is_of_use(candidate) ? REASON_NONE : REASON_NO_FRESHNESS;
}

/* A preflight is never validated, so one that requires validation is useless. */
static bool is_preflight_to_validate(const struct candidate *candidate)
{
	return candidate->kind == RECORD_PREFLIGHT &&
	       cache_control_has(&candidate->control.directives, CC_NO_CACHE);
}

static enum reason response_bars(struct candidate *candidate)
{
	const struct http_response *res = candidate->res;
	enum reason why = directives_bar(candidate);

	if (why != REASON_NONE)
		return why;
	if (is_preflight_to_validate(candidate))
		return REASON_PREFLIGHT_NO_CACHE;
	if (varies_on_anything(&res->fields))
		return REASON_VARY_STAR;
	find_freshness(candidate);
	return freshness_bars(candidate);
}

/* force_ttl stands for the directive, unless that names fields that the copy needs. */
static bool validates_each_use(const struct candidate *candidate)
{
	const struct cache_control *directives = &candidate->control.directives;

	return holds_whole(candidate, CC_NO_CACHE, &directives->no_cache) &&
	       !(is_forced(candidate) && (candidate->control.targeted ||
					  cache_control_is_unqualified(directives, CC_NO_CACHE)));
}

/* The mark of a key that other URIs may have, too. */
static uint32_t query_tag_of(const struct http_request *req)
{
	if (!rule_joins_keys(req->rule) || req->uri.path.n == 0 ||
	    memchr(req->uri.path.p, '?', req->uri.path.n) == NULL)
		return 0;
	return req->rule->query_tag;
}

static uint16_t flags_of(const struct candidate *candidate)
{
	const struct cache_control *directives = &candidate->control.directives;
	bool must_revalidate = says(candidate, CC_MUST_REVALIDATE) ||
			       says(candidate, CC_PROXY_REVALIDATE) || says(candidate, CC_S_MAXAGE);
	unsigned flags = candidate->res->version_minor == 0 ? META_HTTP_1_0 : 0;

	if (must_revalidate)
		flags |= META_MUST_REVALIDATE | META_NO_STALE;
	if (validates_each_use(candidate))
		flags |= META_NO_CACHE;
	if (holds_whole(candidate, CC_NO_CACHE, &directives->no_cache))
		flags |= META_NO_STALE;
	if (says(candidate, CC_STALE_WHILE_REVALIDATE))
		flags |= META_SAYS_WHILE_REVALIDATE;
	if (is_shareable(candidate))
		flags |= META_SHAREABLE_AUTH;
	if (says(candidate, CC_IMMUTABLE))
		flags |= META_IMMUTABLE;
	if (candidate->kind == RECORD_PREFLIGHT)
		return (uint16_t)(flags | META_NO_STALE);
	if (candidate->etag.n > 0)
		flags |= META_HAS_ETAG;
	if (candidate->last_modified_s != HTTP_DATE_INVALID)
		flags |= META_HAS_LAST_MODIFIED;
	return (uint16_t)flags;
}

static void write_meta(const struct candidate *candidate, struct record_meta *ret_meta)
{
	const struct cache_control *directives = &candidate->control.directives;
	const struct exchange_times *times = candidate->times;

	*ret_meta = (struct record_meta){
		.asked_at = times->asked_at,
		.query_tag = query_tag_of(candidate->req),
		.response_steady_ms = times->response.steady_ms,
		.response_wall_s = times->response.wall_s,
		.date_s = candidate->made_s,
		.last_modified_s = candidate->last_modified_s,
		.initial_age_s =
			freshness_initial_age(&candidate->res->fields, candidate->made_s, times),
		.lifetime_s = candidate->lifetime.seconds,
		.while_revalidate_s = directives->stale_while_revalidate,
		.if_error_s = says(candidate, CC_STALE_IF_ERROR) ? directives->stale_if_error
								 : UINT32_MAX,
		.kind = (uint8_t)candidate->kind,
		.lifetime_source = (uint8_t)candidate->lifetime.source,
		.flags = flags_of(candidate),
		.admission = times->admission,
	};
}

static enum reason bars(struct candidate *candidate)
{
	const struct http_response *res = candidate->res;
	enum reason why;

	if (res->status != 204)
		return REASON_STATUS;
	why = request_bars(candidate);
	if (why != REASON_NONE)
		return why;
	if (res->framing_trouble || res->body != BODY_NONE)
		return REASON_FRAMING;
	if (res->mended)
		return REASON_MENDED;
	response_control_read(&res->fields, candidate->conf, &candidate->control);
	return response_bars(candidate);
}

bool policy_may_store(const struct http_request *req, const struct http_response *res,
		      const struct exchange_times *times, const struct conf *conf,
		      struct record_meta *ret_meta, enum reason *ret_why)
{
	struct candidate candidate = {
		.req = req, .res = res, .times = times, .conf = policy_options(req, conf)};

	*ret_why = bars(&candidate);
	if (*ret_why != REASON_NONE)
		return false;
	write_meta(&candidate, ret_meta);
	return true;
}
