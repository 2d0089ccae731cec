/* Lists of destinations: networks, names, domains. */
#include "proxy/access/destinations.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/hostname.h"

struct name_rule {
	char name[HOSTNAME_MAX];
	uint8_t length;
	bool is_domain; /* and all below */
};

struct rules {
	struct network *networks;
	size_t network_count;
	struct name_rule *names; /* sorted by name; a domain before a host of the same name */
	size_t name_count;
};

static struct slice name_of(const struct name_rule *rule)
{
	return slice_of(rule->name, rule->length);
}

static int compare_names(struct slice a, struct slice b)
{
	int difference = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return difference ? difference : (a.n > b.n) - (a.n < b.n);
}

static int compare_rules(const void *a, const void *b)
{
	const struct name_rule *left = a;
	const struct name_rule *right = b;
	int difference = compare_names(name_of(left), name_of(right));

	return difference ? difference : right->is_domain - left->is_domain;
}

static bool add_rule(struct rules *rules, struct slice text)
{
	struct name_rule *rule = &rules->names[rules->name_count];

	if (network_parse(text, &rules->networks[rules->network_count])) {
		rules->network_count++;
		return true;
	}
	rule->is_domain = text.n > 0 && text.p[0] == '.';
	if (rule->is_domain)
		text = slice_of(text.p + 1, text.n - 1);
	rule->length = (uint8_t)hostname_normal(text, rule->name);
	if (rule->length == 0)
		return false;
	rules->name_count++;
	return true;
}

struct rules *rules_new(const struct conf_list *list, const char *option, struct diagnostic *error)
{
	struct rules *rules = calloc(1, sizeof(*rules));
	size_t i;

	if (rules != NULL) {
		rules->networks = calloc(list->count + 1, sizeof(*rules->networks));
		rules->names = calloc(list->count + 1, sizeof(*rules->names));
	}
	if (rules == NULL || rules->networks == NULL || rules->names == NULL) {
		diagnostic_set(error, "%s: out of memory", option);
		rules_free(rules);
		return NULL;
	}
	for (i = 0; i < list->count; i++) {
		if (!add_rule(rules, slice_str(list->at[i]))) {
			diagnostic_set(error, "%s: \"%s\" is not a network, a name or a .domain",
				       option, list->at[i]);
			rules_free(rules);
			return NULL;
		}
	}
	qsort(rules->names, rules->name_count, sizeof(*rules->names), compare_rules);
	return rules;
}

void rules_free(struct rules *rules)
{
	if (rules == NULL)
		return;
	free(rules->networks);
	free(rules->names);
	free(rules);
}

/* Whether a rule has exactly this name, and if `below` speaks of what is below it. */
static bool has_rule(const struct rules *rules, struct slice name, bool below)
{
	size_t low = 0;
	size_t high = rules->name_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_names(name_of(&rules->names[middle]), name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == rules->name_count || !slice_eq(name_of(&rules->names[low]), name))
		return false;
	return rules->names[low].is_domain || !below;
}

bool rules_have_name(const struct rules *rules, struct slice host)
{
	char normal[HOSTNAME_MAX];
	struct slice name = slice_of(normal, hostname_normal(host, normal));
	bool below = false;

	while (name.n > 0) {
		const char *dot = memchr(name.p, '.', name.n);

		if (has_rule(rules, name, below))
			return true;
		if (dot == NULL)
			return false;
		name = slice_of(dot + 1, name.n - (size_t)(dot + 1 - name.p));
		below = true;
	}
	return false;
}

bool rules_have_address(const struct rules *rules, const union address *address)
{
	size_t i;

	for (i = 0; i < rules->network_count; i++)
		if (network_has(&rules->networks[i], address))
			return true;
	return false;
}
