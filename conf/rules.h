/*
 * The rules of the configuration for some hosts and paths: plain data, and the table by which those
 * of a host are found.
 *
 * They are read by rule_block.h, in the order of the file, and the first that fits a URI decides
 * alone (cache/policy/rule.h).  Constant once conf_load() has returned; owned by the struct conf.
 */
#ifndef CONF_RULES_H
#define CONF_RULES_H

#include "conf/rule.h"

enum {
	RULES_MAX = 4096,
	RULE_PATTERNS_MAX = 8192, /* of all rules */
	RULE_HOSTLESS_MAX = 64,   /* patterns without a host: each URI is compared with each */
	RULE_IGNORED_MAX = 64,    /* names in ignore_query: each parameter is compared with each */
	RULE_SAME_HOST_MAX = 256, /* patterns of one host, or one .domain */
};

/* A pattern and the rule that it is of. */
struct rule_place {
	uint32_t rule;
	const struct pattern *pattern;
};

/* Places of one group, in the order of rules. */
struct rule_places {
	const struct rule_place *at;
	uint32_t count;
};

/* All that is for one host. */
struct rule_host {
	struct slice host; /* p is NULL in a free slot */
	struct rule_places exact, below;
};

struct conf_rules {
	struct conf_rule *at;
	uint32_t count;
	struct rule_place *places;
	struct rule_places hostless;
	struct rule_host *hosts; /* open addressing; not full */
	uint32_t mask;           /* of the hash, to a slot */
};

/*
 * The hash of a host is that of its bytes from the last one on, so that a pass over a name has
 * those of all domains that it is in; case does not count.  No peer can add to the table, so it needs no seed.
 */
enum { RULE_HASH_START = 0x5bd1e995 };
static inline uint32_t rule_hash_add(uint32_t hash, char byte)
{
	return (hash ^ ((unsigned char)byte | 0x20)) * UINT32_C(0x01000193);
}

/* The slot of a host, by its hash; NULL when no pattern is for it.  Case does not count. */
static inline const struct rule_host *conf_rules_host(const struct conf_rules *rules,
						      struct slice host, uint32_t hash)
{
	for (uint32_t i = hash;; i++) {
		const struct rule_host *slot = &rules->hosts[i & rules->mask];

		if (slot->host.p == NULL)
			return NULL;
		if (slice_ieq(slot->host, host))
			return slot;
	}
}

/* ---- while the file is read ----------------------------------------------------------------- */

/* A new one at the end, with presets; NULL when out of memory.  Of RULES_MAX at most. */
struct conf_rule *conf_rules_add(struct conf *conf, const char *name, int line);

/* Says what is wrong with one or several rules, at a line. */
typedef void conf_rules_fault(void *owner, int line, const char *name, const char *why);

/*
 * Once all options are known: checks the rules among one another, makes the table and the options
 * of each.  False when out of memory.
 */
bool conf_rules_finish(struct conf *conf, conf_rules_fault *fault, void *owner);

void conf_rules_free(struct conf_rules *rules);

#endif
