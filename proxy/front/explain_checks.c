/* The rules that a request meets, one by one. */
#include "proxy/front/explain_checks.h"

#include <stdio.h>

#include "proxy/front/explain_text.h"

enum { TEXT = 256 };

void explain_put_check(struct json_writer *out, const char *kind, const char *name,
		       const char *text)
{
	json_put_array(out, NULL);
	json_put_words(out, NULL, kind);
	json_put_words(out, NULL, name);
	json_put_text(out, NULL, slice_str(text));
	json_put_end(out);
}

/* What a reason is about. */
enum rule { REQUEST, STORED, VARIANT, RESPONSE, AGE };

static enum rule rule_of(enum reason why)
{
	switch (why) {
	case REASON_NO_RECORD:
	case REASON_ADMISSION:
	case REASON_RULE_KEY:
		return STORED;
	case REASON_VARY:
		return VARIANT;
	case REASON_RESPONSE_NO_CACHE:
	case REASON_RESTORED:
		return RESPONSE;
	case REASON_EXPIRED:
	case REASON_PURGED:
	case REASON_CLOCK:
	case REASON_REVALIDATING:
	case REASON_STALE_ALLOWED:
	case REASON_REQUEST_MAX_AGE:
	case REASON_REQUEST_MIN_FRESH:
		return AGE;
	default:
		return REQUEST;
	}
}

static bool has_reason(const struct explained *explained, enum rule rule)
{
	return explained->why != REASON_NONE && rule_of(explained->why) == rule;
}

/* The rule that has the reason says no, or that it let a stale answer through. */
static const char *kind_of(const struct explained *explained, enum rule rule)
{
	if (!has_reason(explained, rule))
		return "ok";
	return explain_is_from_store(explained->verdict) ? "warn" : "no";
}

static void check(struct json_writer *out, const struct explained *explained, enum rule rule,
		  const char *name, const char *all_right)
{
	explain_put_check(out, kind_of(explained, rule), name,
			  has_reason(explained, rule) ? reason_meaning(explained->why) : all_right);
}

static void check_age(struct json_writer *out, const struct explained *explained)
{
	char age[EXPLAIN_SPAN], lifetime[EXPLAIN_SPAN], text[TEXT];
	bool here = has_reason(explained, AGE);

	snprintf(text, sizeof(text), "%s of %s%s%s", explain_span(explained->age_s, age),
		 explain_span(explained->lifetime_s, lifetime), here ? ": " : "",
		 here ? reason_meaning(explained->why) : "");
	explain_put_check(out, kind_of(explained, AGE), "Age", text);
}

static void check_record(struct json_writer *out, const struct explained *explained)
{
	const struct cache_lookup *lookup = &explained->in_store.lookup;

	check(out, explained, STORED, "Stored", "there is an answer of this URI");
	if (!lookup->has_record && !lookup->uri_known)
		return;
	check(out, explained, VARIANT, "Variant",
	      lookup->has_record && record_vary(&lookup->record).n > 0
		      ? "the fields that Vary names are as stored"
		      : "there is no Vary");
	if (!lookup->has_record)
		return;
	check(out, explained, RESPONSE, "Response", "does not ask to be confirmed at each use");
	check_age(out, explained);
}

/* The rule refuses it, or keeps the cache out. */
static const char *rules_kind(const struct explained *explained)
{
	return explained->refused == FAILURE_DENIED_RULE || explained->why == REASON_RULE_STORE_OFF
		       ? "no"
		       : "ok";
}

void explain_put_checks(struct json_writer *out, const struct explained *explained)
{
	char rule[EXPLAIN_RULE];
	bool denied = explained->verdict == EXPLAIN_REFUSED &&
		      explained->refused != FAILURE_ONLY_IF_CACHED;

	json_put_array(out, "checks");
	explain_put_check(out, denied ? "no" : "ok", "Access",
			  denied ? failure_sentence(explained->refused) : "clients may ask for it");
	if (explained->req->rule != NULL)
		explain_put_check(out, rules_kind(explained), "Rule",
				  explain_rule(explained, rule));
	if (!denied && explained->verdict != EXPLAIN_LOCAL)
		check(out, explained, REQUEST, "Request", "nothing in it stands in the way");
	if (explained->found)
		check_record(out, explained);
	json_put_end(out);
}
