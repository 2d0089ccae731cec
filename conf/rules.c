/* Rules: kept while the file is read, checked among one another, and put into the table by host. */
#include "conf/rules.h"

#include <stdlib.h>
#include <string.h>

#include "conf/option.h"

enum { MS_PER_S = 1000, COLLAPSE_MS = 10000 };

/* ---- one rule ------------------------------------------------------------------------------- */

static bool set_presets(struct conf_rule *rule)
{
	for (size_t i = 0; i < rule_option_total; i++) {
		const struct option *option = &rule_options[i];
		bool is_text = option->type == OPTION_IS_STRING;

		if (option->preset == NULL)
			option_set_number(option, rule, option->number);
		else if (!option_set(option, rule, &option->preset, is_text))
			return false;
	}
	return true;
}

static void free_rule(struct conf_rule *rule)
{
	for (size_t i = 0; rule->patterns != NULL && i < rule->match.count; i++)
		pattern_free(&rule->patterns[i]);
	free(rule->patterns);
	for (size_t i = 0; i < rule_option_total; i++)
		option_release(&rule_options[i], rule);
	free(rule->name);
}

struct conf_rule *conf_rules_add(struct conf *conf, const char *name, int line)
{
	struct conf_rules *rules = conf->rules;
	struct conf_rule *rule, *more;

	if (rules == NULL)
		rules = conf->rules = calloc(1, sizeof(*rules));
	if (rules == NULL)
		return NULL;
	if ((rules->count & (rules->count - 1)) == 0) {
		more = reallocarray(rules->at, rules->count > 0 ? 2 * rules->count : 1,
				    sizeof(*more));
		if (more == NULL)
			return NULL;
		rules->at = more;
	}
	rule = &rules->at[rules->count++];
	*rule = (struct conf_rule){.name = strdup(name), .line = line, .index = rules->count - 1};
	return rule->name != NULL && set_presets(rule) ? rule : NULL;
}

void conf_rules_free(struct conf_rules *rules)
{
	if (rules == NULL)
		return;
	for (uint32_t i = 0; i < rules->count; i++)
		free_rule(&rules->at[i]);
	free(rules->at);
	free(rules->places);
	free(rules->hosts);
	free(rules);
}

/* ---- checks --------------------------------------------------------------------------------- */

/* What conf_rules_finish() works on. */
struct finishing {
	struct conf_rules *rules;
	conf_rules_fault *fault;
	void *owner;
};

__attribute__((format(printf, 4, 5))) static void complain(const struct finishing *finishing,
							   int line, const char *name,
							   const char *format, ...)
{
	struct diagnostic why;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why.text, sizeof(why.text), format, arguments);
	va_end(arguments);
	finishing->fault(finishing->owner, line, name, why.text);
}

/* Rows that have an effect under a rule whose answers are not stored. */
static const uint32_t without_store =
	1U << RULE_ROW_match | 1U << RULE_ROW_store | 1U << RULE_ROW_parent;
static const uint32_t with_deny = 1U << RULE_ROW_match | 1U << RULE_ROW_deny;

/* An option beside which another has no effect is likely a slip. */
static void check_beside(const struct finishing *finishing, const struct conf_rule *rule,
			 const char *cause, uint32_t effective)
{
	uint32_t idle = rule->given & ~effective;

	if (idle != 0)
		complain(finishing, rule->line, rule->name, "%s has no effect beside %s",
			 rule_options[__builtin_ctz(idle)].name, cause);
}

static void check_rule(const struct finishing *finishing, const struct conf_rule *rule)
{
	if (rule->match.count == 0)
		complain(finishing, rule->line, rule->name,
			 "no match; say which URIs it is for, as match = \"example.com\"");
	if (rule_denies(rule))
		check_beside(finishing, rule, "deny = on", with_deny);
	else if (!rule->store)
		check_beside(finishing, rule, "store = off", without_store);
	else if (RULE_HAS(rule, force_ttl))
		check_beside(finishing, rule, "force_ttl", ~(1U << RULE_ROW_ttl));
	if (rule->ignore_query.count > RULE_IGNORED_MAX)
		complain(finishing, rule->line, rule->name,
			 "ignore_query has more than %d names; use * for those that begin alike",
			 RULE_IGNORED_MAX);
	for (size_t i = 0; i < rule_option_total; i++) {
		const struct option *option = &rule_options[i];

		if (option->type == OPTION_IS_DURATION &&
		    option_number(option, rule) % MS_PER_S != 0)
			complain(finishing, rule->line, rule->name,
				 "%s has a fraction of a second; use whole seconds", option->name);
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct conf_rule *const *one = a, *const *other = b;
	int order = strcmp((*one)->name, (*other)->name);

	return order != 0 ? order : (*one)->line - (*other)->line;
}

static bool check_names(const struct finishing *finishing)
{
	const struct conf_rules *rules = finishing->rules;
	const struct conf_rule **sorted = calloc(rules->count, sizeof(*sorted));

	if (sorted == NULL)
		return false;
	for (uint32_t i = 0; i < rules->count; i++)
		sorted[i] = &rules->at[i];
	qsort(sorted, rules->count, sizeof(*sorted), compare_names);
	for (uint32_t i = 1; i < rules->count; i++)
		if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
			complain(finishing, sorted[i]->line, sorted[i]->name,
				 "a rule of this name is in line %d; give it another name",
				 sorted[i - 1]->line);
	free(sorted);
	return true;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const char *host_of(const struct rule_place *place)
{
	return place->pattern->host != NULL ? place->pattern->host : "";
}

/* By host, a domain behind the host, then in the order of the file. */
static int compare_places(const void *a, const void *b)
{
	const struct rule_place *one = a, *other = b;
	int order = strcmp(host_of(one), host_of(other));

	if (order != 0)
		return order;
	if (one->pattern->below != other->pattern->below)
		return one->pattern->below - other->pattern->below;
	if (one->rule != other->rule)
		return one->rule < other->rule ? -1 : 1;
	return one->pattern < other->pattern ? -1 : one->pattern > other->pattern;
}

static bool is_same_group(const struct rule_place *a, const struct rule_place *b)
{
	return strcmp(host_of(a), host_of(b)) == 0 && a->pattern->below == b->pattern->below;
}

/* All that fits the one fits the other. */
static bool has_all_of(const struct pattern *all, const struct pattern *one)
{
	return (all->scheme == PATTERN_ANY_SCHEME || all->scheme == one->scheme) &&
	       (all->port == 0 || all->port == one->port) &&
	       (all->path == NULL || (one->path != NULL && strcmp(all->path, one->path) == 0));
}

/* Whether a host has no more patterns than each of its requests may be compared with. */
static bool check_size(const struct finishing *finishing, const struct rule_places *group)
{
	bool hostless = group->at->pattern->host == NULL;
	uint32_t most = hostless ? RULE_HOSTLESS_MAX : RULE_SAME_HOST_MAX;
	const struct conf_rule *rule;

	if (group->count <= most)
		return true;
	rule = &finishing->rules->at[group->at[most].rule];
	if (hostless)
		complain(finishing, rule->line, rule->name,
			 "more than %u patterns without a host, which each request is compared "
			 "with; name the host",
			 most);
	else
		complain(finishing, rule->line, rule->name,
			 "more than %u patterns of the host %s; use one with * for several paths",
			 most, group->at->pattern->host);
	return false;
}

static uint32_t hash_of(struct slice host)
{
	uint32_t hash = RULE_HASH_START;

	while (host.n > 0)
		hash = rule_hash_add(hash, host.p[--host.n]);
	return hash;
}

static void put_group(struct conf_rules *rules, struct rule_places group)
{
	const struct pattern *pattern = group.at->pattern;
	uint32_t i;

	if (pattern->host == NULL) {
		rules->hostless = group;
		return;
	}
	for (i = hash_of(slice_str(pattern->host)) & rules->mask;
	     rules->hosts[i].host.p != NULL &&
	     !slice_eq(rules->hosts[i].host, slice_str(pattern->host));
	     i = (i + 1) & rules->mask)
		;
	rules->hosts[i].host = slice_str(pattern->host);
	if (pattern->below)
		rules->hosts[i].below = group;
	else
		rules->hosts[i].exact = group;
}

/* What is before a place and fits all that it fits; NULL for nothing of this group. */
static const struct rule_place *shadow_in(const struct rule_places *group,
					  const struct rule_place *place)
{
	for (uint32_t i = 0; i < group->count && group->at[i].rule <= place->rule; i++)
		if ((group->at[i].rule < place->rule || group->at[i].pattern < place->pattern) &&
		    has_all_of(group->at[i].pattern, place->pattern))
			return &group->at[i];
	return NULL;
}

/* The same of its host, the domains that it is in, and any host. */
static const struct rule_place *shadow_of(const struct conf_rules *rules,
					  const struct rule_place *place)
{
	const struct rule_place *shadow = shadow_in(&rules->hostless, place);
	struct slice host = slice_str(host_of(place));

	for (size_t i = 0; shadow == NULL && i < host.n; i++) {
		struct slice rest = slice_of(host.p + i, host.n - i);
		const struct rule_host *found = NULL;

		if (i == 0 || host.p[i - 1] == '.')
			found = conf_rules_host(rules, rest, hash_of(rest));
		if (found != NULL)
			shadow = shadow_in(&found->below, place);
		if (found != NULL && shadow == NULL && i == 0 && !place->pattern->below)
			shadow = shadow_in(&found->exact, place);
	}
	return shadow;
}

/* A pattern that never decides is likely a slip. */
static void check_shadowed(const struct finishing *finishing, const struct rule_place *place)
{
	const struct conf_rules *rules = finishing->rules;
	const struct rule_place *shadow = shadow_of(rules, place);
	const struct conf_rule *rule = &rules->at[place->rule], *first;

	if (shadow == NULL)
		return;
	first = &rules->at[shadow->rule];
	complain(finishing, rule->line, rule->name,
		 "%s never fits, for %s \"%s\" in line %d has it first",
		 rule->match.at[place->pattern - rule->patterns],
		 first == rule ? "this rule" : "rule", first->name, first->line);
}

/* False when out of memory. */
static bool read_patterns(struct conf_rules *rules, uint32_t *ret_count)
{
	for (uint32_t i = 0; i < rules->count; i++) {
		struct conf_rule *rule = &rules->at[i];

		rule->patterns = calloc(rule->match.count + 1, sizeof(*rule->patterns));
		for (size_t j = 0; rule->patterns != NULL && j < rule->match.count; j++)
			if (!pattern_read(rule->match.at[j], &rule->patterns[j]))
				return false;
		if (rule->patterns == NULL)
			return false;
		*ret_count += (uint32_t)rule->match.count;
	}
	return true;
}

static bool make_table(const struct finishing *finishing)
{
	struct conf_rules *rules = finishing->rules;
	uint32_t count = 0, slots = 4, n = 0;
	bool bounded = true;

	if (!read_patterns(rules, &count))
		return false;
	if (count > RULE_PATTERNS_MAX)
		complain(finishing, rules->at->line, rules->at->name,
			 "all rules together have more than %d patterns", RULE_PATTERNS_MAX);
	while (slots < 2 * count)
		slots *= 2;
	rules->mask = slots - 1;
	rules->hosts = calloc(slots, sizeof(*rules->hosts));
	rules->places = calloc(count + 1, sizeof(*rules->places));
	if (rules->hosts == NULL || rules->places == NULL)
		return false;
	for (uint32_t i = 0; i < rules->count; i++)
		for (size_t j = 0; j < rules->at[i].match.count; j++)
			rules->places[n++] = (struct rule_place){i, &rules->at[i].patterns[j]};
	qsort(rules->places, count, sizeof(*rules->places), compare_places);
	for (uint32_t i = 0; i < count; i += n) {
		struct rule_places group = {&rules->places[i], 0};

		for (n = 0; i + n < count && is_same_group(group.at, &rules->places[i + n]); n++)
			;
		group.count = n;
		bounded &= check_size(finishing, &group);
		put_group(rules, group);
	}
	for (uint32_t i = 0; bounded && i < count; i++)
		check_shadowed(finishing, &rules->places[i]);
	return true;
}

/* ---- options under a rule ------------------------------------------------------------------- */

static uint32_t hash_text(uint32_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * UINT32_C(0x01000193);
	while (*text++ != '\0');
	return hash;
}

static uint32_t hash_list(uint32_t hash, const struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		hash = hash_text(hash, list->at[i]);
	return hash_text(hash, "");
}

/* The same for a rule that is the same after a reload. */
static uint32_t query_tag_of(const struct conf_rule *rule)
{
	uint32_t hash = hash_text(RULE_HASH_START, rule->sort_query ? "sorted" : "");

	if (rule->ignore_query.count == 0 && !rule->sort_query)
		return 0;
	hash = hash_text(hash, rule->name);
	hash = hash_list(hash, &rule->match);
	hash = hash_list(hash, &rule->ignore_query);
	return hash != 0 ? hash : 1;
}

static void set_collapse(struct conf *under, bool on)
{
	if (on && under->collapse_timeout_ms == 0)
		under->collapse_timeout_ms = COLLAPSE_MS;
	else if (!on)
		under->collapse_timeout_ms = 0;
	under->collapse_cold_timeout_ms = under->collapse_timeout_ms;
}

static void set_options(struct conf_rule *rule, const struct conf *whole)
{
	struct conf *under = &rule->options;

	*under = *whole;
	under->rule = rule;
	rule->whole = whole;
	if (RULE_HAS(rule, ttl)) {
		under->default_ttl_ms = rule->ttl_ms;
		under->heuristic_percent = 0;
	}
	if (RULE_HAS(rule, max_ttl))
		under->max_ttl_ms = rule->max_ttl_ms;
	if (RULE_HAS(rule, stale_if_error))
		under->stale_if_error_ms = rule->stale_if_error_ms;
	if (RULE_HAS(rule, preflight_cache))
		under->preflight_cache = rule->preflight_cache;
	if (RULE_HAS(rule, collapse))
		set_collapse(under, rule->collapse);
	rule->query_tag = query_tag_of(rule);
}

bool conf_rules_finish(struct conf *conf, conf_rules_fault *fault, void *owner)
{
	const struct finishing finishing = {conf->rules, fault, owner};
	struct conf_rules *rules = conf->rules;

	if (rules == NULL)
		return true;
	for (uint32_t i = 0; i < rules->count; i++) {
		check_rule(&finishing, &rules->at[i]);
		set_options(&rules->at[i], conf);
	}
	return check_names(&finishing) && make_table(&finishing);
}
