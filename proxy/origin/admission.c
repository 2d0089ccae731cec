/* Which clients may get a stored response, by where it came from. */
#include "proxy/origin/admission.h"

#include <string.h>

#include "conf/rules.h"
#include "proxy/access/ranges.h"

enum place {
	PLACE_PUBLIC,
	PLACE_PRIVATE,
	PLACE_NEVER,
	PLACE_PARENT, /* a parent proxy looked the name up */
};

/* FNV-1a */
static uint64_t add_byte(uint64_t hash, char byte)
{
	return (hash ^ (unsigned char)byte) * UINT64_C(0x100000001b3);
}

/* With its end, so that two texts are no one. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	do
		hash = add_byte(hash, *text);
	while (*text++ != '\0');
	return hash;
}

static uint64_t add_list(uint64_t hash, const char *name, const struct conf_list *list)
{
	hash = add_text(hash, name);
	for (size_t i = 0; i < list->count; i++)
		hash = add_text(hash, list->at[i]);
	return hash;
}

/*
 * Of `deny` the networks alone: its names are looked at with each request.  *ret_any: it has some.
 */
static uint64_t add_networks(uint64_t hash, const struct conf_list *deny, bool *ret_any)
{
	struct network network;

	*ret_any = false;
	hash = add_text(hash, "deny");
	for (size_t i = 0; i < deny->count; i++) {
		if (!network_parse(slice_str(deny->at[i]), &network))
			continue;
		hash = add_text(hash, deny->at[i]);
		*ret_any = true;
	}
	return hash;
}

/* Where rules lead: those before one with a parent matter, too.  Without passwords. */
static uint64_t add_rules(uint64_t hash, const struct conf_rules *rules)
{
	bool any = false;

	for (uint32_t i = 0; i < rules->count; i++)
		any |= RULE_HAS(&rules->at[i], parent);
	for (uint32_t i = 0; any && i < rules->count; i++) {
		const struct conf_rule *rule = &rules->at[i];
		const char *at = strrchr(rule->parent, '@');

		hash = add_list(hash, "match", &rule->match);
		hash = add_text(hash, at != NULL ? at : rule->parent);
	}
	return hash;
}

struct admission admission_new(const struct conf *conf, const struct access *access,
			       const struct routes *routes)
{
	const struct parent *parent = routes_parent(routes);
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	bool denies_networks;

	hash = add_networks(hash, &conf->deny, &denies_networks);
	hash = add_list(hash, "allow", &conf->allow);
	hash = add_text(hash, access_is_local_only(access) ? "here" : "everywhere");
	hash = add_text(hash, conf_choice_word(conf->dns_private));
	for (size_t i = 0; i < parent->host.n; i++)
		hash = add_byte(hash, parent->host.p[i]);
	hash = add_byte(add_byte(hash, (char)(parent->port >> 8)), (char)parent->port);
	hash = add_list(hash, "no_proxy", &conf->no_proxy);
	if (conf->rules != NULL)
		hash = add_rules(hash, conf->rules);
	hash ^= hash >> 32;
	return (struct admission){
		.rules = ((uint32_t)hash | ADMISSION_PLACES) & ~(uint32_t)(ADMISSION_PLACES - 1),
		.places = denies_networks ? 0 : 1U << PLACE_PUBLIC,
	};
}

static enum place place_of(const union address *address)
{
	switch (range_kind(address)) {
	case RANGE_PUBLIC:
		return PLACE_PUBLIC;
	case RANGE_PRIVATE:
		return PLACE_PRIVATE;
	case RANGE_NEVER:
		break;
	}
	return PLACE_NEVER;
}

/* What the operator chose was not judged by the rules for clients: it is now. */
uint32_t admission_of(const struct admission *admission, const struct access *access,
		      const struct route *route, const struct destination *from)
{
	enum place place;

	if (route->socket != NULL)
		return PLACE_NEVER; /* where only clients of its gateway may go */
	place = place_of(&from->address);
	if (route->parent != NULL)
		return admission->rules | PLACE_PARENT;
	if (route->chosen &&
	    access_address(access, route->host, from->source, &from->address) != FAILURE_NONE)
		return place;
	return admission->rules | place;
}
