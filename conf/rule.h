/* One rule of the configuration for some hosts and paths: plain data, see rules.h. */
#ifndef CONF_RULE_H
#define CONF_RULE_H

#include "conf/conf.h"
#include "conf/pattern.h"

enum { RULE_NAME_MAX = 64 };

struct conf_rule {
	char *name;
	int line; /* of the file, where it begins */

	/* One member per row of rule_options.def, as in struct conf. */
#define OPTION_LIST(name, preset, form, help) struct conf_list name;
#define OPTION_STRING(name, preset, form, help) char *name;
#define OPTION_BOOL(name, preset, help) bool name;
#define OPTION_DURATION(name, preset, min, max, help) int64_t name##_ms;
#include "conf/rule_options.def"
#undef OPTION_LIST
#undef OPTION_STRING
#undef OPTION_BOOL
#undef OPTION_DURATION

	uint32_t index;           /* among the rules */
	uint32_t given;           /* which rows, from bit 0 on */
	struct pattern *patterns; /* of `match`, in its order */
	/* The options as they are under this rule; lists and texts are those of the whole. */
	struct conf options;
	const struct conf *whole; /* the options without any rule */
	/* What tells apart rules that make one key of several URIs; 0 for a rule that does not. */
	uint32_t query_tag;
};

static inline bool rule_has(const struct conf_rule *rule, uint32_t row)
{
	return (rule->given >> row & 1) != 0;
}

/* The row of an option by its name, for RULE_HAS(rule, ttl). */
enum rule_row {
#define OPTION_LIST(name, preset, form, help) RULE_ROW_##name,
#define OPTION_STRING(name, preset, form, help) RULE_ROW_##name,
#define OPTION_BOOL(name, preset, help) RULE_ROW_##name,
#define OPTION_DURATION(name, preset, min, max, help) RULE_ROW_##name,
#include "conf/rule_options.def"
#undef OPTION_LIST
#undef OPTION_STRING
#undef OPTION_BOOL
#undef OPTION_DURATION
};
#define RULE_HAS(rule, name) rule_has(rule, RULE_ROW_##name)

/* The parent is "none": directly. */
static inline bool rule_goes_direct(const struct conf_rule *rule)
{
	return strcmp(rule->parent, "none") == 0;
}

static inline bool rule_denies(const struct conf_rule *rule)
{
	return rule->deny;
}

/* What it says, but for `match`, as "ttl = 1h, store = off"; without a password of a parent. */
enum { RULE_TEXT = 256 };
void conf_rule_describe(const struct conf_rule *rule, char to[static RULE_TEXT]);

#endif
