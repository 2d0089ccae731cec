/* Chooses the rule for a URI, and makes the URI that its key is made of. */
#include "cache/policy/rule.h"

#include <string.h>

/* ---- which rule ----------------------------------------------------------------------------- */

enum { PLAIN_MAX = (32 << 10) + 8 }; /* a target has at most 32 KiB */

/* What origins may make of a path, the plain form first. */
static const enum pattern_form forms[] = {
	PATTERN_PLAIN,
	PATTERN_DECODED,
	PATTERN_FOLDED,
	PATTERN_FOLDED | PATTERN_LATE_SLASH,
	PATTERN_PLAIN | PATTERN_LATE_SLASH,
};

enum { FORMS = sizeof(forms) / sizeof(*forms) };

struct spellings {
	size_t n[FORMS]; /* 0: not made yet */
	char text[FORMS][PLAIN_MAX];
};

/* A URI that is compared with patterns. */
struct target {
	const struct conf_rules *rules;
	const struct http_uri *uri;
	struct slice host, path;
	bool tunnel;
	struct spellings *spellings; /* of the path; NULL when there is but the one written */
	bool by_path;                /* a path could have made another rule fit */
	uint32_t best;               /* the first rule that fits, so far */
};

static bool keeps_out(const struct conf_rule *rule)
{
	return rule_denies(rule) || !rule->store;
}

static struct slice path_in(const struct target *target, size_t form)
{
	struct spellings *spellings = target->spellings;

	if (spellings == NULL)
		return target->path;
	if (spellings->n[form] == 0)
		spellings->n[form] =
			pattern_path_in(forms[form], target->path, spellings->text[form]);
	return slice_of(spellings->text[form], spellings->n[form]);
}

/* Does the path fit in one of its forms, from the first one on? */
static bool form_fits(const struct target *target, const struct pattern *pattern, size_t count)
{
	for (size_t i = 0; i < (target->spellings != NULL ? count : 1); i++)
		if (pattern_path_fits(pattern->plain, path_in(target, i)))
			return true;
	return false;
}

/* What keeps out fits by any form, all else by the path as written and in plain form. */
static bool path_fits(struct target *target, const struct conf_rule *rule,
		      const struct pattern *pattern)
{
	bool as_written, either = keeps_out(rule);

	if (pattern->path == NULL)
		return true;
	if (target->tunnel)
		return false;
	target->by_path = true;
	as_written = pattern_path_fits(pattern->path, target->path);
	return as_written == either ? either : form_fits(target, pattern, either ? FORMS : 1);
}

static bool fits(struct target *target, const struct rule_place *place)
{
	const struct pattern *pattern = place->pattern;
	enum pattern_scheme scheme =
		target->uri->scheme == SCHEME_HTTPS ? PATTERN_HTTPS : PATTERN_HTTP;

	return (pattern->port == 0 || pattern->port == target->uri->port) &&
	       (pattern->scheme == PATTERN_ANY_SCHEME || pattern->scheme == scheme ||
		target->tunnel) &&
	       path_fits(target, &target->rules->at[place->rule], pattern);
}

static void try_places(struct target *target, const struct rule_places *places)
{
	for (uint32_t i = 0; i < places->count && places->at[i].rule < target->best; i++)
		if (fits(target, &places->at[i]))
			target->best = places->at[i].rule;
}

/* The host, and each domain that it is in. */
static void try_hosts(struct target *target)
{
	struct slice host = target->host;
	uint32_t hash = RULE_HASH_START;

	for (size_t i = host.n; i-- > 0;) {
		const struct rule_host *found;

		hash = rule_hash_add(hash, host.p[i]);
		if (i > 0 && host.p[i - 1] != '.')
			continue;
		found = conf_rules_host(target->rules, slice_of(host.p + i, host.n - i), hash);
		if (found != NULL && i == 0)
			try_places(target, &found->exact);
		if (found != NULL)
			try_places(target, &found->below);
	}
}

static const struct conf_rule *find_target(struct target *target)
{
	try_hosts(target);
	try_places(target, &target->rules->hostless);
	return target->best < target->rules->count ? &target->rules->at[target->best] : NULL;
}

/* Paths that can be written in another way are rare. */
__attribute__((noinline)) static const struct conf_rule *find_spelled(struct target *target)
{
	struct spellings spellings;
	char slashed[PLAIN_MAX];

	if (target->path.n >= PLAIN_MAX)
		return NULL;
	/* an empty path before a query is / (RFC 3986 6.2.3) */
	if (target->path.p[0] == '?') {
		slashed[0] = '/';
		memcpy(slashed + 1, target->path.p, target->path.n);
		target->path = slice_of(slashed, target->path.n + 1);
	}
	memset(spellings.n, 0, sizeof(spellings.n));
	target->spellings = &spellings;
	return find_target(target);
}

static const struct conf_rule *find(const struct conf_rules *rules, const struct http_uri *uri,
				    bool tunnel, bool *ret_any_path)
{
	struct target target = {
		.rules = rules,
		.uri = uri,
		.host = uri->host,
		.path = uri->path.n > 0 ? uri->path : SLICE("/"),
		.tunnel = tunnel,
		.best = rules->count,
	};
	const struct conf_rule *found;
	char normal[PATTERN_HOST];
	size_t n;

	*ret_any_path = false;
	if (uri->host.n == 0)
		return NULL;
	if (uri->host.p[0] == '[' && pattern_host_normal(uri->host, normal, &n))
		target.host = slice_of(normal, n);
	else if (uri->host.p[uri->host.n - 1] == '.')
		target.host.n--;
	found = target.path.p[0] != '?' && pattern_path_is_plain(target.path)
			? find_target(&target)
			: find_spelled(&target);
	*ret_any_path = !target.by_path;
	return found;
}

const struct conf_rule *policy_find_rule(const struct conf_rules *rules, const struct http_uri *uri,
					 bool *ret_any_path)
{
	bool ignored;

	return find(rules, uri, false, ret_any_path != NULL ? ret_any_path : &ignored);
}

const struct conf_rule *policy_find_tunnel_rule(const struct conf_rules *rules,
						const struct http_uri *uri)
{
	bool ignored;

	return find(rules, uri, true, &ignored);
}

const struct conf *policy_uri_options(const struct conf *conf, struct slice normal)
{
	const struct conf_rule *rule;
	struct http_uri uri;

	if (conf->rules == NULL || http_uri_parse_absolute(normal, &uri) != URI_OK)
		return conf;
	rule = policy_find_rule(conf->rules, &uri, NULL);
	return rule != NULL ? &rule->options : conf;
}

/* ---- which key ------------------------------------------------------------------------------ */

static bool is_ignored(const struct conf_list *ignored, struct slice name)
{
	for (size_t i = 0; i < ignored->count; i++) {
		struct slice pattern = slice_str(ignored->at[i]);
		bool begins = pattern.n > 0 && pattern.p[pattern.n - 1] == '*';

		pattern.n -= begins;
		if (begins ? name.n >= pattern.n && memcmp(name.p, pattern.p, pattern.n) == 0
			   : slice_eq(name, pattern))
			return true;
	}
	return false;
}

static struct slice name_of(struct slice parameter)
{
	const char *equals = memchr(parameter.p, '=', parameter.n);

	return equals != NULL ? slice_of(parameter.p, (size_t)(equals - parameter.p)) : parameter;
}

/* The parameter at the start of what is left, which then begins behind its &. */
static struct slice next_parameter(struct slice *left, bool *ret_last)
{
	const char *end = memchr(left->p, '&', left->n);
	struct slice parameter = *left;

	*ret_last = end == NULL;
	if (end == NULL)
		return parameter;
	parameter.n = (size_t)(end - left->p);
	*left = slice_of(end + 1, left->n - parameter.n - 1);
	return parameter;
}

static bool comes_after(struct slice a, struct slice b)
{
	int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return order != 0 ? order > 0 : a.n > b.n;
}

/* Those of one name stay in their order: it may mean something. */
static void sort(struct slice *parameters, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct slice one = parameters[i];
		size_t at = i;

		for (; at > 0 && comes_after(name_of(parameters[at - 1]), name_of(one)); at--)
			parameters[at] = parameters[at - 1];
		parameters[at] = one;
	}
}

static size_t write_parameter(struct slice parameter, bool first, char *to)
{
	if (!first)
		*to++ = '&';
	memcpy(to, parameter.p, parameter.n);
	return parameter.n + !first;
}

static size_t write_sorted(struct slice *parameters, size_t count, char *to)
{
	size_t n = 0;

	sort(parameters, count);
	for (size_t i = 0; i < count; i++)
		n += write_parameter(parameters[i], i == 0, to + n);
	return n;
}

size_t rule_key_uri(const struct conf_rule *rule, struct slice normal, char *to)
{
	const char *mark = memchr(normal.p, '?', normal.n);
	size_t head = mark != NULL ? (size_t)(mark - normal.p) : normal.n, n = 0, kept = 0;
	struct slice left, sorted[RULE_PARAMETERS_MAX];
	bool last = false;

	memcpy(to, normal.p, normal.n);
	if (mark == NULL)
		return normal.n;
	left = slice_of(mark + 1, normal.n - head - 1);
	while (!last) {
		struct slice parameter = next_parameter(&left, &last);

		if (is_ignored(&rule->ignore_query, name_of(parameter)))
			continue;
		n += write_parameter(parameter, kept == 0, to + head + 1 + n);
		if (kept < RULE_PARAMETERS_MAX)
			sorted[kept] = parameter;
		kept++;
	}
	if (kept == 0)
		return head;
	if (rule->sort_query && kept <= RULE_PARAMETERS_MAX)
		n = write_sorted(sorted, kept, to + head + 1);
	return head + 1 + n;
}

size_t policy_key_uri_max(const struct http_uri *uri)
{
	return 2 * http_uri_normal_max(uri);
}

struct slice policy_key_uri(const struct conf *conf, const struct http_uri *uri, char *to)
{
	size_t room = http_uri_normal_max(uri);
	struct slice normal = slice_of(to, http_uri_normal(uri, to));
	const struct conf_rule *rule =
		conf->rules != NULL ? policy_find_rule(conf->rules, uri, NULL) : NULL;

	if (!rule_joins_keys(rule))
		return normal;
	return slice_of(to + room, rule_key_uri(rule, normal, to + room));
}
