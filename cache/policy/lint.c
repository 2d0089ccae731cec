/* What is wrong with an origin's answer. */
#include "cache/policy/lint.h"

#include <assert.h>

#include "cache/base/decimal.h"
#include "cache/http/date.h"
#include "cache/http/fields.h"
#include "cache/http/sf.h"
#include "cache/policy/rule.h"
#include "cache/policy/freshness.h"
#include "cache/policy/validation.h"

enum { CLOCK_SLACK_S = 60 };

_Static_assert(LINT_COUNT <= 64, "a set of them is one word");

const struct lint_row *lint_row(enum lint_id id)
{
	static const struct lint_row rows[LINT_COUNT] = {
#define LINT(id, group, level, name, text, section) \
	{LINT_GROUP_##group, LINT_##level, name, text, section},
#include "cache/policy/lint.def"
#undef LINT
	};

	return &rows[id];
}

const char *lint_group_text(enum lint_group group)
{
	static const char *const texts[LINT_GROUP_COUNT] = {
#define LINT_GROUP(id, text) text,
#include "cache/policy/lint_groups.def"
#undef LINT_GROUP
	};

	return texts[group];
}

bool lint_has_group(const struct lint *lint, enum lint_group group)
{
	for (enum lint_id id = 0; id < LINT_COUNT; id++)
		if (lint_has(lint, id) && lint_row(id)->group == group)
			return true;
	return false;
}

/* An answer that is being looked at. */
struct look {
	const struct http_request *req;
	const struct http_response *res;
	const struct http_fields *fields; /* of the answer */
	const struct exchange_times *times;
	const struct conf *conf;
	struct response_control control;
	struct lifetime lifetime;
	int64_t made_s;
	struct lint *lint;
};

static void find_with(const struct look *look, enum lint_id id, struct slice detail)
{
	if (lint_has(look->lint, id))
		return;
	look->lint->found |= (uint64_t)1 << id;
	look->lint->details[id] = detail;
}

static void find(const struct look *look, enum lint_id id)
{
	find_with(look, id, slice_of(NULL, 0));
}

static bool says(const struct look *look, enum cache_directive directive)
{
	return cache_control_has(&look->control.directives, directive);
}

/* The value of the first line of a field. */
static struct slice value_of(const struct look *look, enum http_field_id id)
{
	const struct http_field *line = http_fields_first(look->fields, id);

	return line != NULL ? line->value : slice_of(NULL, 0);
}

/* ---- content, syntax, connection ------------------------------------------------------------ */

static void look_at_content(const struct look *look)
{
	const struct http_fields *fields = look->fields;
	struct slice length = value_of(look, FIELD_CONTENT_LENGTH);
	uint64_t bytes;
	bool zero = decimal_read_capped(length, 1, &bytes) && bytes == 0;

	if (http_has_field(fields, FIELD_TRANSFER_ENCODING))
		find_with(look, LINT_CODING, value_of(look, FIELD_TRANSFER_ENCODING));
	else if (zero)
		find(look, LINT_LENGTH_ZERO);
	else if (http_has_field(fields, FIELD_CONTENT_LENGTH))
		find_with(look, LINT_LENGTH, length);
	if (look->res->framing_trouble && !lint_has(look->lint, LINT_CODING) &&
	    !lint_has(look->lint, LINT_LENGTH))
		find(look, LINT_CONTENT);
	if (http_fields_named(fields, SLICE("Content-Type")) != NULL)
		find_with(look, LINT_CONTENT_TYPE,
			  http_fields_named(fields, SLICE("Content-Type"))->value);
}

static void look_at_syntax(const struct look *look)
{
	/* Of those that are dates or tags more is said elsewhere. */
	static const enum http_field_id once[] = {FIELD_CONTENT_LOCATION, FIELD_LOCATION,
						  FIELD_AGE};

	if (look->res->mended)
		find(look, LINT_MENDED);
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (http_fields_lines(look->fields, once[i]) > 1)
			find_with(look, LINT_REPEATED, http_field_name(once[i]));
}

static void look_at_connection(const struct look *look)
{
	const struct http_response *res = look->res;

	if (res->version_minor == 0)
		find(look, LINT_OLD_VERSION);
	else if (http_connection_has(look->fields, SLICE("close")))
		find(look, LINT_CLOSED);
}

/* ---- dates ---------------------------------------------------------------------------------- */

static void look_at_date(const struct look *look)
{
	int64_t now_s = look->times->response.wall_s;
	int64_t date = freshness_date(look->fields, FIELD_DATE, now_s);

	if (!http_has_field(look->fields, FIELD_DATE))
		find(look, LINT_DATE_MISSING);
	else if (date == HTTP_DATE_INVALID)
		find_with(look, LINT_DATE_BAD, value_of(look, FIELD_DATE));
	else if (date > now_s + CLOCK_SLACK_S)
		find_with(look, LINT_DATE_AHEAD, value_of(look, FIELD_DATE));
	else if (date < now_s - CLOCK_SLACK_S && !http_has_field(look->fields, FIELD_AGE))
		find_with(look, LINT_DATE_BEHIND, value_of(look, FIELD_DATE));
}

static void look_at_age(const struct look *look)
{
	struct slice age = value_of(look, FIELD_AGE);
	uint64_t seconds;

	if (http_has_field(look->fields, FIELD_AGE)) {
		if (http_fields_lines(look->fields, FIELD_AGE) > 1 ||
		    !decimal_read_capped(age, CC_SECONDS_MAX, &seconds))
			find_with(look, LINT_AGE_BAD, age);
		else
			find_with(look, LINT_AGE_OF_OTHERS, age);
	}
	if (look->lifetime.seconds > 0 &&
	    freshness_initial_age(look->fields, look->made_s, look->times) >=
		    look->lifetime.seconds)
		find(look, LINT_AGE_OVER);
}

static void look_at_validators(const struct look *look)
{
	int64_t now_s = look->times->response.wall_s;
	int64_t modified = freshness_date(look->fields, FIELD_LAST_MODIFIED, now_s);
	struct slice etag = policy_etag(look->fields);

	if (http_has_field(look->fields, FIELD_ETAG) && etag.n == 0)
		find_with(look, LINT_ETAG_BAD, value_of(look, FIELD_ETAG));
	if (http_has_field(look->fields, FIELD_LAST_MODIFIED) && modified == HTTP_DATE_INVALID)
		find_with(look, LINT_MODIFIED_BAD, value_of(look, FIELD_LAST_MODIFIED));
	else if (modified > look->made_s) /* the invalid one is the earliest of all */
		find_with(look, LINT_MODIFIED_AHEAD, value_of(look, FIELD_LAST_MODIFIED));
	if (etag.n == 0 && modified == HTTP_DATE_INVALID)
		find(look, LINT_NO_VALIDATOR);
}

/* ---- directives ----------------------------------------------------------------------------- */

/* A directive of Cache-Control: its name, and what is behind "=". */
struct member {
	struct slice name, value;
};

static struct member split(struct slice text)
{
	const char *equals = memchr(text.p, '=', text.n);
	size_t n = equals != NULL ? (size_t)(equals - text.p) : text.n;
	struct member member = {.name = slice_trim(slice_of(text.p, n))};

	if (equals != NULL)
		member.value = slice_trim(slice_of(text.p + n + 1, text.n - n - 1));
	return member;
}

static void look_at_member(const struct look *look, struct member values[CC_DIRECTIVE_COUNT],
			   struct slice text)
{
	struct member member = split(text);
	enum cache_directive directive = cache_control_directive(member.name);

	switch (directive) {
	case CC_DIRECTIVE_COUNT:
		find_with(look, LINT_DIRECTIVE_UNKNOWN, member.name);
		return;
	case CC_MIN_FRESH:
	case CC_MAX_STALE:
	case CC_ONLY_IF_CACHED:
		find_with(look, LINT_DIRECTIVE_OF_REQUESTS, member.name);
		return;
	default:
		break;
	}
	if (values[directive].name.n > 0 && !slice_eq(values[directive].value, member.value))
		find_with(look, LINT_DIRECTIVE_TWICE, member.name);
	values[directive] = member;
	if ((look->control.directives.invalid >> directive & 1) != 0)
		find_with(look, LINT_SECONDS_BAD, text);
}

/* One by one, of a field that is not too long to be read. */
static void look_at_members(const struct look *look)
{
	struct member values[CC_DIRECTIVE_COUNT] = {0};
	struct http_list list = http_list_of(look->fields, FIELD_CACHE_CONTROL);
	struct slice text;

	while (http_list_next(&list, &text))
		look_at_member(look, values, text);
}

static bool is_too_long(const struct look *look)
{
	return cache_control_is_too_long(look->fields, FIELD_CACHE_CONTROL);
}

/* What keeps the answer out, as the origin says. */
static void look_at_barring(const struct look *look)
{
	const struct cache_control *directives = &look->control.directives;
	bool no_store = says(look, CC_NO_STORE) && !says(look, CC_MUST_UNDERSTAND);
	bool private = cache_control_is_unqualified(directives, CC_PRIVATE);

	if (no_store)
		find(look, LINT_NO_STORE);
	if (private || look->lint->why == REASON_PRIVATE)
		find(look, LINT_PRIVATE);
	if (is_too_long(look) || directives->broken)
		find(look, LINT_DIRECTIVES_BROKEN);
	if ((no_store && (says(look, CC_MAX_AGE) || says(look, CC_S_MAXAGE))) ||
	    ((no_store || private) && says(look, CC_PUBLIC)) ||
	    (private && says(look, CC_S_MAXAGE)))
		find(look, LINT_CONTRADICTION);
}

static void look_at_directives(const struct look *look)
{
	bool never_stale = says(look, CC_MUST_REVALIDATE) || says(look, CC_PROXY_REVALIDATE) ||
			   says(look, CC_S_MAXAGE) || says(look, CC_NO_CACHE);
	struct slice names[1];
	size_t count;

	look_at_barring(look);
	if (!look->control.targeted && !is_too_long(look))
		look_at_members(look);
	if (never_stale && (says(look, CC_STALE_WHILE_REVALIDATE) || says(look, CC_STALE_IF_ERROR)))
		find(look, LINT_NEVER_STALE);
	if (http_has_field(look->fields, FIELD_PRAGMA))
		find(look, LINT_PRAGMA);
	if (http_has_field(look->fields, FIELD_CDN_CACHE_CONTROL) && !look->control.targeted)
		find(look, LINT_TARGETED_UNUSED);
	if (http_has_field(look->fields, FIELD_CACHE_GROUPS) &&
	    !sf_read_strings(look->fields, http_field_name(FIELD_CACHE_GROUPS), names,
			     sizeof(names) / sizeof(names[0]), &count))
		find_with(look, LINT_GROUPS_BAD, value_of(look, FIELD_CACHE_GROUPS));
}

/* What Cache-Control says is no matter of a lifetime. */
static bool is_kept_out(const struct look *look)
{
	return lint_has(look->lint, LINT_NO_STORE) || lint_has(look->lint, LINT_PRIVATE) ||
	       lint_has(look->lint, LINT_DIRECTIVES_BROKEN);
}

/* ---- lifetime ------------------------------------------------------------------------------- */

static void look_at_expires(const struct look *look)
{
	if (freshness_date(look->fields, FIELD_EXPIRES, look->times->response.wall_s) ==
	    HTTP_DATE_INVALID)
		find_with(look, LINT_EXPIRES_BAD, value_of(look, FIELD_EXPIRES));
	else if (look->lifetime.seconds == 0)
		find_with(look, LINT_EXPIRES_PAST, value_of(look, FIELD_EXPIRES));
}

static void look_at_lifetime(const struct look *look)
{
	switch (look->lifetime.source) {
	case LIFETIME_NONE:
		if (lint_has(look->lint, LINT_NO_VALIDATOR) && !says(look, CC_PUBLIC))
			find(look, LINT_NO_LIFETIME);
		else if (!says(look, CC_NO_CACHE) && !is_kept_out(look))
			find(look, LINT_ONLY_VALIDATED);
		break;
	case LIFETIME_HEURISTIC:
		find(look, LINT_HEURISTIC);
		break;
	case LIFETIME_EXPIRES:
		look_at_expires(look);
		break;
	case LIFETIME_TARGETED:
	case LIFETIME_S_MAXAGE:
	case LIFETIME_MAX_AGE:
		if (look->lifetime.seconds == 0 && !says(look, CC_NO_CACHE) && !is_kept_out(look))
			find(look, LINT_STALE_AT_ONCE);
		break;
	case LIFETIME_DEFAULT:
	case LIFETIME_PREFLIGHT:
	case LIFETIME_RULE:
	case LIFETIME_FORCED:
		break;
	}
}

static void look_at_cookies(const struct look *look)
{
	if (!http_has_field(look->fields, FIELD_SET_COOKIE))
		return;
	if (look->conf->store_set_cookie && lifetime_is_explicit(look->lifetime.source))
		find(look, LINT_COOKIE_SHARED);
	else
		find(look, LINT_COOKIE_BARS);
}

static void look_at_vary(const struct look *look)
{
	struct slice names[HTTP_VARY_NAMES_MAX];
	unsigned count;

	if (!http_has_field(look->fields, FIELD_VARY))
		return;
	if (!http_vary_names(look->fields, names, &count)) {
		find_with(look, LINT_VARY_STAR, value_of(look, FIELD_VARY));
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		enum http_field_id id = http_field_lookup(names[i]);

		if (id == FIELD_USER_AGENT || id == FIELD_COOKIE)
			find_with(look, LINT_VARY_WIDE, names[i]);
		else if (id == FIELD_ACCEPT_ENCODING)
			find_with(look, LINT_VARY_ENCODING, names[i]);
	}
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void find_lifetime(struct look *look)
{
	const struct conf *conf = policy_lifetime_options(look->req, look->res, look->conf);
	int64_t receipt_s = look->times->response.wall_s;

	response_control_read(look->fields, look->conf, &look->control);
	look->made_s = freshness_made(look->fields, receipt_s);
	if (look->req->method == METHOD_OPTIONS)
		look->lifetime = freshness_preflight(look->fields, &look->control, look->made_s,
						     receipt_s, look->conf);
	else
		look->lifetime = freshness_lifetime(look->fields, &look->control, look->made_s,
						    receipt_s, conf);
	if (look->lint->stored && look->lint->meta.lifetime_source == LIFETIME_FORCED)
		look->lifetime.source = LIFETIME_FORCED;
}

/* Whether something was found that bars. */
static bool is_barred(const struct lint *lint)
{
	for (enum lint_id id = 0; id < LINT_COUNT; id++)
		if (lint_has(lint, id) && lint_row(id)->level == LINT_BARS)
			return true;
	return false;
}

static void look_at_all(struct look *look)
{
	find_lifetime(look);
	look_at_directives(look);
	look_at_validators(look);
	look_at_lifetime(look);
	look_at_date(look);
	look_at_age(look);
	look_at_vary(look);
	look_at_cookies(look);
	look_at_content(look);
	look_at_syntax(look);
	look_at_connection(look);
}

void lint_response(const struct http_request *req, const struct http_response *res,
		   const struct exchange_times *times, const struct conf *conf,
		   struct lint *ret_lint)
{
	struct look look = {.req = req,
			    .res = res,
			    .fields = &res->fields,
			    .times = times,
			    .conf = conf,
			    .lint = ret_lint};

	*ret_lint = (struct lint){0};
	ret_lint->stored = policy_may_store(req, res, times, conf, &ret_lint->meta, &ret_lint->why);
	if (res->status == 204)
		look_at_all(&look);
	else
		find(&look, LINT_STATUS);
	if (!ret_lint->stored && !is_barred(ret_lint))
		find_with(&look, LINT_NOT_STORED, slice_str(reason_meaning(ret_lint->why)));
}
