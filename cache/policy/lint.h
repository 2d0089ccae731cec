/*
 * What is wrong with an origin's answer: a linter for people who build endpoints that answer 204.
 *
 * Pure.  All findings of lint.def, not the first one alone as policy_may_store() tells: but one that
 * BARS is found exactly when that refuses the answer.
 */
#ifndef CACHE_POLICY_LINT_H
#define CACHE_POLICY_LINT_H

#include "cache/policy/policy.h"

enum lint_id {
#define LINT(id, group, level, name, text, section) LINT_##id,
#include "cache/policy/lint.def"
#undef LINT
	LINT_COUNT
};

enum lint_group {
#define LINT_GROUP(id, text) LINT_GROUP_##id,
#include "cache/policy/lint_groups.def"
#undef LINT_GROUP
	LINT_GROUP_COUNT
};

enum lint_level { LINT_BARS, LINT_WARNS };

/* A row of the table; constant time. */
struct lint_row {
	enum lint_group group;
	enum lint_level level;
	const char *name, *text, *section;
};
const struct lint_row *lint_row(enum lint_id id);

/* What is all right when nothing of the group was found. */
const char *lint_group_text(enum lint_group group);

/* In the order of the table, each once. */
struct lint {
	bool stored;     /* it may be stored, and `meta` says how */
	enum reason why; /* not; REASON_NONE when it may */
	struct record_meta meta;
	uint64_t found;                   /* bits of enum lint_id */
	struct slice details[LINT_COUNT]; /* views of the answer or of static text; mostly empty */
};

static inline bool lint_has(const struct lint *lint, enum lint_id id)
{
	return lint->found >> id & 1;
}

bool lint_has_group(const struct lint *lint, enum lint_group group);

/* This final answer to this request. */
void lint_response(const struct http_request *req, const struct http_response *res,
		   const struct exchange_times *times, const struct conf *conf,
		   struct lint *ret_lint);

#endif
