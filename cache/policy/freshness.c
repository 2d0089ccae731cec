/* How long a response is fresh and how old it came, from its fields. */
#include "cache/policy/freshness.h"

#include "cache/base/decimal.h"
#include "cache/http/date.h"
#include "cache/http/fields.h"
#include "conf/rule.h"

enum { MS_PER_S = 1000, PERCENT = 100 };

void response_control_read(const struct http_fields *fields, const struct conf *conf,
			   struct response_control *ret_control)
{
	const struct conf_list *names = &conf->targeted_cache_control;

	ret_control->targeted = true;
	for (size_t i = 0; i < names->count; i++) {
		if (cache_control_from_sf(fields, slice_str(names->at[i]),
					  &ret_control->directives))
			return;
	}
	ret_control->targeted = false;
	cache_control_parse(fields, FIELD_CACHE_CONTROL, &ret_control->directives);
}

static uint32_t saturate(int64_t seconds)
{
	if (seconds < 0)
		return 0;
	return seconds < CC_SECONDS_MAX ? (uint32_t)seconds : CC_SECONDS_MAX;
}

/* The value of a field that has exactly one line; false otherwise. */
static bool single_value(const struct http_fields *fields, enum http_field_id id,
			 struct slice *ret_value)
{
	const struct http_field *line = http_fields_first(fields, id);

	if (line == NULL || http_fields_next(fields, line) != NULL)
		return false;
	*ret_value = line->value;
	return true;
}

int64_t freshness_date(const struct http_fields *fields, enum http_field_id id, int64_t now_s)
{
	struct slice value;

	return single_value(fields, id, &value) ? http_date_parse(value, now_s) : HTTP_DATE_INVALID;
}

int64_t freshness_made(const struct http_fields *fields, int64_t receipt_s)
{
	int64_t date = freshness_date(fields, FIELD_DATE, receipt_s);

	return date == HTTP_DATE_INVALID ? receipt_s : date;
}

/* delta-seconds (RFC 9111 1.2.2): digits, as many as there are. */
static bool parse_seconds(struct slice text, uint32_t *ret_seconds)
{
	uint64_t seconds;

	if (!decimal_read_capped(text, CC_SECONDS_MAX, &seconds))
		return false;
	*ret_seconds = (uint32_t)seconds;
	return true;
}

/* RFC 9111 5.1: the first member counts; a value that is not a number is ignored. */
static uint32_t age_value(const struct http_fields *fields)
{
	const struct http_field *line = http_fields_first(fields, FIELD_AGE);
	struct slice first;
	const char *comma;
	uint32_t age;

	if (line == NULL)
		return 0;
	first = line->value;
	comma = first.n > 0 ? memchr(first.p, ',', first.n) : NULL;
	if (comma != NULL)
		first = slice_trim(slice_of(first.p, (size_t)(comma - first.p)));
	return parse_seconds(first, &age) ? age : 0;
}

uint32_t freshness_initial_age(const struct http_fields *fields, int64_t made_s,
			       const struct exchange_times *times)
{
	uint32_t apparent_age = saturate(times->response.wall_s - made_s);
	uint32_t response_delay = saturate(times->delay_ms / MS_PER_S);
	uint32_t corrected = saturate((int64_t)age_value(fields) + response_delay);

	return apparent_age > corrected ? apparent_age : corrected;
}

/* RFC 9111 5.3: what is not one date, "0" above all, lies in the past. */
static uint32_t expires_lifetime(const struct http_fields *fields, int64_t made_s,
				 int64_t receipt_s)
{
	int64_t expires = freshness_date(fields, FIELD_EXPIRES, receipt_s);

	return expires == HTTP_DATE_INVALID ? 0 : saturate(expires - made_s);
}

static bool explicit_lifetime(const struct http_fields *fields,
			      const struct response_control *control, int64_t made_s,
			      int64_t receipt_s, struct lifetime *ret_lifetime)
{
	const struct cache_control *directives = &control->directives;

	if (cache_control_has(directives, CC_S_MAXAGE))
		*ret_lifetime = (struct lifetime){LIFETIME_S_MAXAGE, directives->s_maxage};
	else if (cache_control_has(directives, CC_MAX_AGE))
		*ret_lifetime = (struct lifetime){LIFETIME_MAX_AGE, directives->max_age};
	else if (!control->targeted && http_has_field(fields, FIELD_EXPIRES))
		*ret_lifetime = (struct lifetime){LIFETIME_EXPIRES,
						  expires_lifetime(fields, made_s, receipt_s)};
	else
		return false;
	if (control->targeted)
		ret_lifetime->source = LIFETIME_TARGETED;
	return true;
}

/* RFC 9111 4.2.2: a part of the time for which it has not changed. */
static bool heuristic_lifetime(const struct http_fields *fields, int64_t made_s, int64_t receipt_s,
			       const struct conf *conf, struct lifetime *ret_lifetime)
{
	int64_t modified = freshness_date(fields, FIELD_LAST_MODIFIED, receipt_s);
	int64_t seconds;

	if (modified == HTTP_DATE_INVALID || conf->heuristic_percent == 0)
		return false;
	/* Dates have four digits of year: no product of them overflows. */
	seconds = (made_s - modified) * conf->heuristic_percent / PERCENT;
	if (seconds > conf->heuristic_max_ms / MS_PER_S)
		seconds = conf->heuristic_max_ms / MS_PER_S;
	*ret_lifetime = (struct lifetime){LIFETIME_HEURISTIC, saturate(seconds)};
	return true;
}

struct lifetime freshness_lifetime(const struct http_fields *fields,
				   const struct response_control *control, int64_t made_s,
				   int64_t receipt_s, const struct conf *conf)
{
	struct lifetime lifetime = {LIFETIME_NONE, 0};

	if (explicit_lifetime(fields, control, made_s, receipt_s, &lifetime) ||
	    heuristic_lifetime(fields, made_s, receipt_s, conf, &lifetime))
		return lifetime;
	if (conf->default_ttl_ms > 0)
		lifetime = (struct lifetime){conf->rule != NULL && conf->rule->ttl_ms > 0
						     ? LIFETIME_RULE
						     : LIFETIME_DEFAULT,
					     saturate(conf->default_ttl_ms / MS_PER_S)};
	return lifetime;
}

struct lifetime freshness_preflight(const struct http_fields *fields,
				    const struct response_control *control, int64_t made_s,
				    int64_t receipt_s, const struct conf *conf)
{
	uint32_t most = saturate(conf->preflight_max_age_ms / MS_PER_S);
	struct lifetime lifetime = {LIFETIME_NONE, 0};
	struct slice value;

	/* What is no number leaves 0. */
	if (!explicit_lifetime(fields, control, made_s, receipt_s, &lifetime) &&
	    single_value(fields, FIELD_ACCESS_CONTROL_MAX_AGE, &value))
		(void)parse_seconds(value, &lifetime.seconds);
	if (lifetime.seconds > most)
		lifetime.seconds = most;
	lifetime.source = lifetime.seconds > 0 ? LIFETIME_PREFLIGHT : LIFETIME_NONE;
	return lifetime;
}
