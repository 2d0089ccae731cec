/* What was found out about a request, as sentences for people. */
#include "proxy/front/explain_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cache/policy/cache_control.h"

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* Two units at most, the second one only when it is not 0. */
static const char *two_units(int64_t seconds, int64_t large, const char *large_name, int64_t small,
			     const char *small_name, char to[static EXPLAIN_SPAN])
{
	int64_t rest = seconds % large / small;

	if (rest != 0)
		snprintf(to, EXPLAIN_SPAN, "%" PRId64 " %s %" PRId64 " %s", seconds / large,
			 large_name, rest, small_name);
	else
		snprintf(to, EXPLAIN_SPAN, "%" PRId64 " %s", seconds / large, large_name);
	return to;
}

const char *explain_span(int64_t seconds, char to[static EXPLAIN_SPAN])
{
	if (seconds >= 2 * DAY)
		return two_units(seconds, DAY, "d", HOUR, "h", to);
	if (seconds >= 2 * HOUR)
		return two_units(seconds, HOUR, "h", MINUTE, "min", to);
	if (seconds >= 2 * MINUTE)
		return two_units(seconds, MINUTE, "min", 1, "s", to);
	snprintf(to, EXPLAIN_SPAN, "%" PRId64 " s", seconds);
	return to;
}

/* ---- sentences ------------------------------------------------------------------------------ */

static void say_hit(const struct explained *explained, char to[static EXPLAIN_SENTENCE])
{
	char left[EXPLAIN_SPAN];

	explain_span(explained->lifetime_s - explained->age_s, left);
	if (explained->status == 304)
		snprintf(to, EXPLAIN_SENTENCE,
			 "A request now is answered 304 from the store: its condition "
			 "matches the stored answer, which is fresh for %s more.",
			 left);
	else
		snprintf(to, EXPLAIN_SENTENCE,
			 "A request now is answered from the store, fresh for %s more.", left);
}

static void say_stale(const struct explained *explained, char to[static EXPLAIN_SENTENCE])
{
	char past[EXPLAIN_SPAN];

	explain_span(explained->age_s - explained->lifetime_s, past);
	snprintf(to, EXPLAIN_SENTENCE,
		 "A request now is answered %s from the store, %s after the lifetime%s.",
		 explained->status == 304 ? "304" : "at once", past,
		 explained->why == REASON_REVALIDATING
			 ? ", and the origin is asked for a new one behind it"
		 : explained->why == REASON_STALE_ALLOWED ? ", as the request allows"
							  : "");
}

static void say_validate(const struct explained *explained, char to[static EXPLAIN_SENTENCE])
{
	bool can_confirm = record_meta(&explained->in_store.lookup.record)->flags &
			   (META_HAS_ETAG | META_HAS_LAST_MODIFIED);
	char past[EXPLAIN_SPAN], since[EXPLAIN_SPAN + 16] = "";

	if (explained->why == REASON_EXPIRED)
		snprintf(since, sizeof(since), " (%s ago)",
			 explain_span(explained->age_s - explained->lifetime_s, past));
	snprintf(to, EXPLAIN_SENTENCE, "A request now goes to the origin, %s: %s%s.",
		 can_confirm
			 ? "which can confirm the stored answer with a 304"
			 : "for a new answer, since the stored one has no validator to ask with",
		 reason_meaning(explained->why), since);
}

static void say_refused(const struct explained *explained, char to[static EXPLAIN_SENTENCE])
{
	snprintf(to, EXPLAIN_SENTENCE, "A request now is answered %u here (%s): %s",
		 explained->status, failure_name(explained->refused),
		 failure_sentence(explained->refused));
}

static void say_miss(const struct explained *explained, char to[static EXPLAIN_SENTENCE])
{
	enum entry_select selected = explained->in_store.selected;
	const char *more = "";

	if (explained->why == REASON_NO_RECORD && selected == ENTRY_DAMAGED)
		more = "; what is there is damaged, and is removed by the next request";
	else if (explained->why == REASON_NO_RECORD && explained->in_store.entry.n > 0)
		more = " that this request could be answered from: what is there is for other "
		       "methods, or was purged or invalidated";
	snprintf(to, EXPLAIN_SENTENCE, "A request now goes to the origin: %s%s.",
		 reason_meaning(explained->why), more);
}

/* What is known of answers for it, behind the rest. */
static void say_answers(const struct explained *explained, char to[static EXPLAIN_SENTENCE])
{
	size_t n = strlen(to);

	if (explained->barred != REASON_NONE)
		snprintf(to + n, EXPLAIN_SENTENCE - n, " Its %sanswer %s not stored: %s.",
			 explained->asked ? "" : "last ", explained->asked ? "is" : "was",
			 reason_meaning(explained->barred));
	else if (explained->asked && explained->kept)
		snprintf(to + n, EXPLAIN_SENTENCE - n, " Its answer is stored then.");
}

const char *explain_sentence(const struct explained *explained, char to[static EXPLAIN_SENTENCE])
{
	to[0] = '\0';
	switch (explained->verdict) {
	case EXPLAIN_HIT:
		say_hit(explained, to);
		break;
	case EXPLAIN_STALE:
		say_stale(explained, to);
		break;
	case EXPLAIN_VALIDATE:
		say_validate(explained, to);
		break;
	case EXPLAIN_MISS:
		say_miss(explained, to);
		break;
	case EXPLAIN_BYPASS:
		snprintf(to, EXPLAIN_SENTENCE,
			 "A request now goes to the origin, and no stored answer is used "
			 "for it: %s.",
			 reason_meaning(explained->why));
		break;
	case EXPLAIN_REFUSED:
		say_refused(explained, to);
		break;
	case EXPLAIN_LOCAL:
		snprintf(to, EXPLAIN_SENTENCE, "The proxy answers this itself: Max-Forwards is 0.");
		break;
	case EXPLAIN_COUNT:
		break;
	}
	if (!explain_is_from_store(explained->verdict))
		say_answers(explained, to);
	return to;
}

/* ---- lifetimes ------------------------------------------------------------------------------ */

/* The first targeted field of the option that counts (RFC 9213 2.2). */
static struct slice targeted_field(const struct conf *conf, const struct http_fields *fields)
{
	struct cache_control control;

	for (size_t i = 0; i < conf->targeted_cache_control.count; i++) {
		struct slice name = slice_str(conf->targeted_cache_control.at[i]);

		if (cache_control_from_sf(fields, name, &control))
			return name;
	}
	return SLICE("a targeted field");
}

const char *explain_lifetime_source(const struct explained *explained,
				    const struct http_fields *fields,
				    char to[static EXPLAIN_SOURCE])
{
	const struct record_meta *meta = record_meta(&explained->in_store.lookup.record);
	struct slice name;

	to[0] = '\0';
	switch ((enum lifetime_source)meta->lifetime_source) {
	case LIFETIME_NONE:
		break;
	case LIFETIME_TARGETED:
		name = targeted_field(explained->env->conf, fields);
		snprintf(to, EXPLAIN_SOURCE, "%.*s", (int)(name.n < 64 ? name.n : 64), name.p);
		break;
	case LIFETIME_S_MAXAGE:
		snprintf(to, EXPLAIN_SOURCE, "s-maxage=%" PRIu32 " in Cache-Control",
			 meta->lifetime_s);
		break;
	case LIFETIME_MAX_AGE:
		snprintf(to, EXPLAIN_SOURCE, "max-age=%" PRIu32 " in Cache-Control",
			 meta->lifetime_s);
		break;
	case LIFETIME_EXPIRES:
		snprintf(to, EXPLAIN_SOURCE, "Expires less Date");
		break;
	case LIFETIME_HEURISTIC:
		snprintf(to, EXPLAIN_SOURCE, "Last-Modified, by the option heuristic_percent");
		break;
	case LIFETIME_DEFAULT:
		snprintf(to, EXPLAIN_SOURCE, "the option default_ttl");
		break;
	case LIFETIME_RULE:
		snprintf(to, EXPLAIN_SOURCE, "ttl of a rule");
		break;
	case LIFETIME_FORCED:
		snprintf(to, EXPLAIN_SOURCE, "force_ttl of a rule, from receipt on");
		break;
	case LIFETIME_PREFLIGHT:
		snprintf(to, EXPLAIN_SOURCE,
			 "Access-Control-Max-Age, by the option preflight_max_age");
		break;
	}
	return to;
}

const char *explain_rule(const struct explained *explained, char to[static EXPLAIN_RULE])
{
	const struct conf_rule *rule = explained->req->rule;
	char says[RULE_TEXT];

	to[0] = '\0';
	if (rule == NULL)
		return to;
	conf_rule_describe(rule, says);
	snprintf(to, EXPLAIN_RULE, "by rule %s, line %d%s%s", rule->name, rule->line,
		 says[0] != '\0' ? ": " : "", says);
	return to;
}

const char *explain_error_source(const struct explained *explained, char to[static EXPLAIN_SOURCE])
{
	const struct record_meta *meta = record_meta(&explained->in_store.lookup.record);
	uint32_t seconds = policy_if_error_s(explained->req, meta, explained->env->conf);

	to[0] = '\0';
	if (seconds == 0)
		return to;
	if (meta->if_error_s == seconds)
		snprintf(to, EXPLAIN_SOURCE, "stale-if-error=%" PRIu32, seconds);
	else if (meta->if_error_s != UINT32_MAX ||
		 seconds != explained->options->stale_if_error_ms / 1000)
		snprintf(to, EXPLAIN_SOURCE, "stale-if-error=%" PRIu32 " of the request", seconds);
	else
		snprintf(to, EXPLAIN_SOURCE, "the option stale_if_error%s",
			 seconds != explained->env->conf->stale_if_error_ms / 1000 ? " of a rule"
										   : "");
	return to;
}
