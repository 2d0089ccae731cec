/* LINKS: cache/policy */
/*
 * Fuzzes the rules as a whole: may it be stored, may it be reused, and when.
 *
 * An input is text: "OPTIONS DELAY AFTER" (a set of bits and two times in seconds), then up to four
 * heads divided by empty lines, as in tests/vectors: request, response, second request, second
 * response.  Those that are missing are as before.  What must hold is asked for in other ways than
 * the rules work it out.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/http/date.h"
#include "cache/http/fields.h"
#include "cache/policy/policy.h"
#include "tests/support/heads.h"
#include "tests/support/test_conf.h"

#define RECEIPT_S ((int64_t)784111777)
#define ADMISSION 204

enum { MS_PER_S = 1000, SECONDS_MAX = 1 << 28, PARTS = 4 };
enum { OPTION_TARGETED = 1, OPTION_PREFLIGHT = 2, OPTION_TTL = 4, OPTION_ERROR = 8 };

#define HOLDS(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

struct situation {
	unsigned options;
	long delay_s, after_s;
	struct request_head request, second_request;
	struct response_head response, second_response;
	struct exchange_times times;
	struct conf *conf;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One after the other a head, up to an empty line. */
static struct slice take_part(struct slice *rest)
{
	const char *end = rest->n > 0 ? memmem(rest->p, rest->n, "\n\n", 2) : NULL;
	struct slice part = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
	size_t taken = part.n + (end != NULL ? 2 : 0);

	rest->p += taken;
	rest->n -= taken;
	return part;
}

static bool read_situation(struct slice text, struct situation *situation)
{
	struct slice first, part[PARTS];
	char line[64];

	if (!heads_take_line(&text, &first) || first.n >= sizeof(line))
		return false;
	snprintf(line, sizeof(line), "%.*s", SLICE_ARG(first));
	if (sscanf(line, "%u %ld %ld", &situation->options, &situation->delay_s,
		   &situation->after_s) != 3 ||
	    situation->delay_s < 0 || situation->delay_s > SECONDS_MAX || situation->after_s < 0 ||
	    situation->after_s > SECONDS_MAX)
		return false;
	for (unsigned i = 0; i < PARTS; i++) {
		part[i] = take_part(&text);
		if (part[i].n == 0 && i >= 2)
			part[i] = part[i - 2];
	}
	return request_head_parse(part[0], &situation->request) &&
	       response_head_parse(part[1], &situation->response) &&
	       request_head_parse(part[2], &situation->second_request) &&
	       response_head_parse(part[3], &situation->second_response);
}

static void set_up(struct situation *situation)
{
	int64_t receipt_ms = RECEIPT_S * MS_PER_S;

	situation->times = (struct exchange_times){
		receipt_ms - situation->delay_s * MS_PER_S,
		{.wall_s = RECEIPT_S, .steady_ms = receipt_ms},
		0,
		situation->delay_s * MS_PER_S,
		ADMISSION,
	};
	situation->conf->preflight_cache = situation->options & OPTION_PREFLIGHT;
	test_conf_set(situation->conf, "targeted_cache_control",
		      situation->options & OPTION_TARGETED ? "CDN-Cache-Control" : "");
	situation->conf->max_ttl_ms = situation->options & OPTION_TTL ? 100 * MS_PER_S : 0;
	situation->conf->default_ttl_ms = situation->options & OPTION_TTL ? 50 * MS_PER_S : 0;
	situation->conf->stale_if_error_ms = situation->options & OPTION_ERROR ? 50 * MS_PER_S : 0;
}

/* The value of a field, lines joined, in lower case. */
static const char *joined(const struct http_fields *fields, const char *name)
{
	static char text[1 << 16];
	size_t n = 0;

	for (uint32_t i = 0; i < fields->count; i++) {
		const struct http_field *field = &fields->at[i];

		if (!slice_ieq(field->name, slice_str(name)))
			continue;
		for (size_t k = 0; k < field->value.n && n < sizeof(text) - 2; k++)
			text[n++] = (char)tolower((unsigned char)field->value.p[k]);
		text[n++] = ',';
		if (n >= sizeof(text) - 2)
			break;
	}
	text[n] = '\0';
	return text;
}

/* Whether a list without quotes has a member; with quotes nothing is claimed. */
static bool lists(const char *text, const char *member)
{
	size_t n = strlen(member);

	if (strchr(text, '"') || strlen(text) != strcspn(text, "\\"))
		return false;
	for (const char *at = text; at; at = strchr(at, ',')) {
		at += strspn(at, ", \t");
		if (!*at)
			return false;
		if (strncmp(at, member, n) == 0 && strchr(", \t", at[n]))
			return true;
	}
	return false;
}

static bool has(const struct http_fields *fields, const char *name)
{
	return *joined(fields, name) != '\0';
}

/* RFC 9111 3, from the text. */
static void check_stored(const struct situation *situation)
{
	const struct http_fields *asked = &situation->request.req.fields;
	const struct http_fields *fields = &situation->response.res.fields;
	const char *text;

	HOLDS(situation->response.res.status == 204);
	HOLDS(!lists(joined(asked, "cache-control"), "no-store"));
	HOLDS(!has(asked, "range") && !has(asked, "if-match") && !has(asked, "if-range"));
	HOLDS(!lists(joined(fields, "vary"), "*"));
	HOLDS(!has(fields, "transfer-encoding"));
	if (situation->options & OPTION_TARGETED && has(fields, "cdn-cache-control"))
		return;
	text = joined(fields, "cache-control");
	HOLDS(!lists(text, "private"));
	HOLDS(!lists(text, "no-store") || strstr(text, "must-understand"));
	HOLDS(!has(asked, "authorization") || strstr(joined(fields, "cache-control"), "public") ||
	      strstr(joined(fields, "cache-control"), "s-maxage") ||
	      strstr(joined(fields, "cache-control"), "must-revalidate"));
}

static void check_meta(const struct situation *situation, const struct record_meta *meta)
{
	const struct http_fields *fields = &situation->response.res.fields;
	const char *text;

	HOLDS(meta->kind <= RECORD_PREFLIGHT && meta->lifetime_source <= LIFETIME_LAST);
	HOLDS(meta->lifetime_s <= (uint32_t)1 << 31 && meta->initial_age_s <= (uint32_t)1 << 31);
	HOLDS(meta->initial_age_s >= situation->delay_s || !has(fields, "date") ||
	      meta->date_s != RECEIPT_S);
	HOLDS(meta->admission == situation->times.admission);
	HOLDS(!(meta->flags & META_HAS_ETAG) || strchr(joined(fields, "etag"), '"'));
	HOLDS((meta->last_modified_s == HTTP_DATE_INVALID) ||
	      (meta->flags & META_HAS_LAST_MODIFIED) || meta->kind == RECORD_PREFLIGHT);
	if (situation->options & OPTION_TARGETED)
		return;
	text = joined(fields, "cache-control");
	HOLDS(!lists(text, "no-cache") || meta->flags & META_NO_CACHE);
	HOLDS(!lists(text, "must-revalidate") || meta->flags & META_NO_STALE);
	HOLDS(!lists(text, "proxy-revalidate") || meta->flags & META_NO_STALE);
}

/*
 * No order of lines is anything to go by, but where the first or last counts by the RFC: Age, and
 * structured fields.
 */
static void check_order(struct situation *situation, bool stored, enum reason why,
			const struct record_meta *meta)
{
	struct http_fields *fields = &situation->response.res.fields;
	struct record_meta other;
	enum reason other_why;

	if (http_fields_lines(fields, FIELD_AGE) > 1 ||
	    http_fields_lines(fields, FIELD_CDN_CACHE_CONTROL) > 1)
		return;
	for (uint32_t i = 0; i < fields->count / 2; i++) {
		struct http_field swapped = fields->at[i];

		fields->at[i] = fields->at[fields->count - 1 - i];
		fields->at[fields->count - 1 - i] = swapped;
	}
	HOLDS(policy_may_store(&situation->request.req, &situation->response.res, &situation->times,
			       situation->conf, &other, &other_why) == stored);
	HOLDS(other_why == why);
	HOLDS(!stored || memcmp(meta, &other, sizeof(other)) == 0);
}

/* Better is lower. */
static int rank_of(enum reuse reuse)
{
	switch (reuse) {
	case REUSE_FRESH:
		return 0;
	case REUSE_STALE:
	case REUSE_REVALIDATE:
		return 1;
	default:
		return 2;
	}
}

static enum reuse reuse_after(const struct situation *situation, const struct record_meta *meta,
			      int64_t after_ms)
{
	const struct http_request *req = &situation->second_request.req;
	struct http_clock now = {.wall_s = RECEIPT_S + after_ms / MS_PER_S,
				 .steady_ms = situation->times.response.steady_ms + after_ms};
	enum reason why = REASON_COUNT;
	enum reuse reuse;

	if (!policy_is_lookup(req, situation->conf, &why))
		meta = NULL;
	reuse = policy_reuse(req, meta, &now, situation->conf, &why);

	HOLDS(why < REASON_COUNT && reason_token(why) != NULL);
	HOLDS(reuse == REUSE_FRESH || why == REASON_ONLY_IF_CACHED ||
	      reason_is_at(why, REASON_ASKED + REASON_AT_STALE));
	HOLDS((why == REASON_NONE) == (reuse == REUSE_FRESH));
	if (lists(joined(&req->fields, "cache-control"), "only-if-cached"))
		HOLDS(reuse == REUSE_FRESH || reuse == REUSE_STALE || reuse == REUSE_REFUSED);
	if (lists(joined(&req->fields, "cache-control"), "no-cache"))
		HOLDS(rank_of(reuse) == 2);
	if (rank_of(reuse) < 2) {
		HOLDS(meta && policy_kind_serves((enum record_kind)meta->kind, req));
		HOLDS(!(meta->flags & META_NO_CACHE));
		HOLDS((policy_age_s(meta, &now) < policy_lifetime_s(meta, situation->conf)) ==
		      (reuse == REUSE_FRESH));
		HOLDS(reuse == REUSE_FRESH || !(meta->flags & META_NO_STALE));
	}
	return reuse;
}

/* What was stale, or old, is not fresh, or young, later. */
static void check_time(const struct situation *situation, const struct record_meta *meta)
{
	int64_t after_ms = situation->after_s * MS_PER_S;
	int64_t step[] = {0, after_ms / 2, after_ms, after_ms + 1, after_ms + MS_PER_S};
	int worst = 0;
	int64_t oldest = 0;

	for (size_t i = 0; i < sizeof(step) / sizeof(*step); i++) {
		struct http_clock now = {.wall_s = RECEIPT_S,
					 .steady_ms =
						 situation->times.response.steady_ms + step[i]};
		int rank = rank_of(reuse_after(situation, meta, step[i]));

		HOLDS(rank >= worst);
		HOLDS(policy_age_s(meta, &now) >= oldest);
		HOLDS(policy_age_s(meta, &now) >= meta->initial_age_s + step[i] / MS_PER_S);
		worst = rank;
		oldest = policy_age_s(meta, &now);
	}
}

static void check_conditions(const struct situation *situation, const struct record_meta *meta)
{
	const struct http_request *req = &situation->second_request.req;
	const struct http_response *res = &situation->second_response.res;
	const struct http_field *etag =
		http_fields_first(&situation->response.res.fields, FIELD_ETAG);
	struct http_clock now = {.wall_s = RECEIPT_S + situation->after_s,
				 .steady_ms = situation->times.response.steady_ms +
					      situation->after_s * MS_PER_S};
	struct slice tag = etag ? etag->value : slice_of(NULL, 0);
	enum validation validation = policy_validation(req, &(struct validated){meta, tag, false},
						       res, &now, situation->conf);
	enum validation alone = policy_validation(req, &(struct validated){meta, tag, true}, res,
						  &now, situation->conf);
	bool if_error = policy_stale_if_error(req, meta, &now, situation->conf);

	if (policy_not_modified(req, meta, tag, &now))
		HOLDS(has(&req->fields, "if-none-match") || has(&req->fields, "if-modified-since"));
	HOLDS(!if_error || !(meta->flags & META_NO_STALE));
	HOLDS(validation != VALIDATION_PASS_304 || has(&req->fields, "if-none-match"));
	HOLDS(validation != VALIDATION_STALE || (res->status >= 500 && if_error));
	HOLDS((validation == VALIDATION_REPLACE || validation == VALIDATION_UPDATE) ==
	      (res->status == 204));
	HOLDS(validation <= VALIDATION_STALE);
	HOLDS((validation == VALIDATION_REMOVE) == policy_supersedes(res->status));
	HOLDS(alone == (res->status >= 400 && validation == VALIDATION_REMOVE ? VALIDATION_KEEP
									      : validation));
	if (res->status != 304)
		HOLDS(validation >= VALIDATION_REPLACE);
}

static void check_fields(const struct http_response *res)
{
	struct policy_drops drops;

	policy_drops_read(res, &drops);
	for (uint32_t i = 0; i < res->fields.count; i++) {
		const struct http_field *field = &res->fields.at[i];

		if (http_field_is_hop(field) || field->id == FIELD_CONTENT_LENGTH)
			HOLDS(policy_drops_field(&drops, field));
		else if (field->id == FIELD_VARY || field->id == FIELD_DATE)
			HOLDS(!policy_drops_field(&drops, field));
	}
}

static void check_waiting(const struct http_request *req)
{
	if (!policy_may_wait(req))
		return;
	HOLDS(http_method_is_safe(req->method) && req->body == BODY_NONE);
	HOLDS(!has(&req->fields, "authorization") && !has(&req->fields, "range"));
	HOLDS(!lists(joined(&req->fields, "cache-control"), "no-cache"));
	HOLDS(!lists(joined(&req->fields, "cache-control"), "no-store"));
}

static void check(struct situation *situation)
{
	struct record_meta meta;
	enum reason why = REASON_COUNT;
	bool stored = policy_may_store(&situation->request.req, &situation->response.res,
				       &situation->times, situation->conf, &meta, &why);

	HOLDS(stored == (why == REASON_NONE));
	check_fields(&situation->response.res);
	check_waiting(&situation->second_request.req);
	HOLDS(!policy_invalidates(&situation->request.req, &situation->response.res) ||
	      situation->response.res.status < 400);
	if (!stored) {
		HOLDS(rank_of(reuse_after(situation, NULL, 0)) == 2);
	} else {
		check_stored(situation);
		check_meta(situation, &meta);
		check_time(situation, &meta);
		check_conditions(situation, &meta);
	}
	check_order(situation, stored, why, &meta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct situation situation;

	if (situation.conf == NULL)
		situation.conf = test_conf_new();
	if (!read_situation(slice_of((const char *)data, size), &situation))
		return 0;
	set_up(&situation);
	check(&situation);
	return 0;
}
